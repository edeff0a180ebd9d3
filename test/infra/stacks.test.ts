// The checks of stacks by number, over the templates of every kind of deployment.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stackChecks } from './support/stack-checks.ts'
import { appOf, configOf, makeStacksOfAll, removeScratch, templatesOf, variants, world, type Stacks } from './support/stacks.ts'
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

describe('check 31: an isolated network', () => {
  it('is refused for a store on the internet, with file, path and fix', async () => {
    const yaml = `
general_settings: { master_key: os.environ/LITELLM_MASTER_KEY, key_management_system: hashicorp_vault, key_management_settings: { vault_addr: https://vault.example, prefix_for_stored_virtual_keys: litellm/ } }
latchkey: { deployment: { network: { mode: isolated } } }`

    await expect(configOf(yaml)).rejects.toThrow(/^config\.yaml: latchkey\.deployment\.network\.mode isolated reaches AWS only, and hashicorp_vault is on the internet; write none, or existing with a way out$/m)
  })
})

describe('the web ACL before a private API', () => {
  it('lets one address do, where no limit is written, what the throttle lets all of them do', async () => {
    const { app } = await appOf(variants.private.replace('waf_rate_limit: 2000', 'throttle_rate: 7'))

    const acls = Object.values(resourcesOf(templatesOf(app)['LatchkeyEdge'] as Template, 'AWS::WAFv2::WebACL', world))

    expect(acls.map(({ Rules: rules }) => (rules as { Statement: object }[]).map(({ Statement }) => Statement))).toEqual([[{ RateBasedStatement: { AggregateKeyType: 'IP', Limit: 2100 } }]])
  })
})
