// The checks of stacks by number, over the templates of every kind of deployment.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stackChecks } from './support/stack-checks.ts'
import { appOf, makeStacksOfAll, removeScratch, templatesOf, variants, world, type Stacks } from './support/stacks.ts'
import { resourcesOf, type Template } from './support/template.ts'

afterAll(removeScratch)

describe('the templates of every kind of deployment', () => {
  let stacks: Stacks

  beforeAll(async () => {
    stacks = await makeStacksOfAll()
  }, 60_000)

  it.each(Object.entries(stackChecks))('keep %s', (_title, check) => {
    expect(check(stacks)).toEqual([])
  })
})

describe('the web ACL before a private API', () => {
  it('lets one address do, where no limit is written, what the throttle lets all of them do', async () => {
    const { app } = await appOf(variants.private.replace('waf_rate_limit: 2000', 'throttle_rate: 7'))

    const acls = Object.values(resourcesOf(templatesOf(app)['LatchkeyEdge'] as Template, 'AWS::WAFv2::WebACL', world))

    expect(acls.map(({ Rules: rules }) => (rules as { Statement: object }[]).map(({ Statement }) => Statement))).toEqual([[{ RateBasedStatement: { AggregateKeyType: 'IP', Limit: 2100 } }]])
  })
})
