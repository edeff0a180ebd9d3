// The checks of stacks by number, over the templates of every kind of deployment.
import { readFileSync } from 'node:fs'
import { Annotations, Match } from 'aws-cdk-lib/assertions'
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

describe('what the stack says of a team', () => {
  it('is what the template for the owner of its secrets takes, in the same words', async () => {
    const { app } = await appOf(`${variants.isolated.replace('prefix: payments/ }', 'prefix: payments/, access_mode: read_and_write, store_virtual_keys: true, key_arn: "arn:aws:kms:eu-central-1:444455556666:key/11111111-2222-4333-8444-555555555555" }')}`)
    const { Outputs: outputs } = templatesOf(app)['Latchkey'] as Template & { readonly Outputs: Readonly<Record<string, { readonly Value: string }>> }
    const { Parameters: parameters } = JSON.parse(readFileSync('infra/access.template.json', 'utf8')) as { readonly Parameters: Readonly<Record<string, { readonly AllowedPattern?: string; readonly AllowedValues?: readonly string[] }>> }

    const said = Object.fromEntries((outputs['TeamParameters1']?.Value ?? '').split(' ').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))

    expect(said).toEqual({ LatchkeyAccount: '123456789012', LatchkeyName: 'latchkey', ExternalId: 'payments-0123456789', Team: 'payments', Prefix: 'payments/', AccessMode: 'read_and_write', StoreVirtualKeys: 'true', KeyArn: 'arn:aws:kms:eu-central-1:444455556666:key/11111111-2222-4333-8444-555555555555', RoleName: 'latchkey-access' })
    expect(Object.entries(said).filter(([name, value]) => !(parameters[name]?.AllowedValues?.includes(value) ?? new RegExp(`^(?:${parameters[name]?.AllowedPattern ?? '(?!)'})$`).test(value)))).toEqual([])
  })
})

describe('a setting that nobody reads', () => {
  it('is told by every synth', async () => {
    const { stack } = await appOf(variants.urls.replace('access_mode: read_and_write', 'access_mode: read_and_write, vault_addr: "https://vault.example"'))

    const told = Annotations.fromStack(stack).findWarning('*', Match.anyValue())

    expect(told.map(({ entry }) => entry.data)).toEqual([expect.stringMatching(/^config\.yaml: vault_addr is no setting of LiteLLM's key_management_settings and is ignored/)])
  })
})
