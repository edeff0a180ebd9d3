// What cdk-nag finds, and what of it is acknowledged: nothing else is left, and no acknowledgement outlives its finding.
import { Validations } from 'aws-cdk-lib'
import { AwsSolutionsChecks, NIST80053R5Checks, type IApplyRule } from 'cdk-nag'
import type { IConstruct } from 'constructs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { appOf, removeScratch, variants, type Variant } from './support/stacks.ts'

afterAll(removeScratch)

/** A finding, or an acknowledgement, and where. */
interface Entry {
  readonly id: string
  readonly path: string
}

/** Every finding of a rule, acknowledged or not. A rule that throws finds something too. */
const findingsOf = ({ rule, node }: IApplyRule): readonly string[] => {
  try {
    const result: unknown = rule(node)
    return Array.isArray(result) ? (result as string[]).map((one) => `[${one}]`) : result === 'Non-Compliant' ? [''] : []
  } catch {
    return ['']
  }
}

const entriesOf = (pack: string, params: IApplyRule): readonly Entry[] => findingsOf(params).map((finding) => ({ id: `${pack}-${params.ruleSuffixOverride ?? params.rule.name}${finding}`, path: params.node.node.path }))

class EverySolutionsFinding extends AwsSolutionsChecks {
  readonly entries: Entry[] = []
  protected override applyRule(params: IApplyRule): void {
    this.entries.push(...entriesOf(this.packName, params))
  }
}

class EveryNistFinding extends NIST80053R5Checks {
  readonly entries: Entry[] = []
  protected override applyRule(params: IApplyRule): void {
    this.entries.push(...entriesOf(this.packName, params))
  }
}

/** Ours: the library acknowledges rules of its own engine about its own constructs. */
const acknowledgements = (scope: IConstruct): readonly (Entry & { readonly reason: string })[] =>
  scope.node.findAll().flatMap(({ node }) =>
    node.metadata.flatMap(({ type, data }) => (type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY ? Object.entries(data as Readonly<Record<string, string>>).map(([id, reason]) => ({ id: id.replace(/^annotation::/i, ''), reason, path: node.path })) : [])),
  ).filter(({ id }) => !id.startsWith('CloudFormation-Validate::'))

/** How many kinds of findings are acknowledged in each kind of deployment; none more than is written here. */
const allowed: Readonly<Record<Variant, number>> = { shipped: 5, isolated: 5, private: 5, urls: 4, tokens: 4, federated: 5 }

describe.each(Object.entries(variants))('cdk-nag over the deployment %s', (variant, yaml) => {
  const [solutions, nist] = [new EverySolutionsFinding(), new EveryNistFinding()]
  let made: Awaited<ReturnType<typeof appOf>>
  let found: readonly Entry[]

  beforeAll(async () => {
    made = await appOf(yaml)
    for (const pack of [solutions, nist]) pack.validateScope(made.app)
    found = [...solutions.entries, ...nist.entries]
  }, 60_000)

  it('finds nothing that is not acknowledged', () => {
    const reports = [new AwsSolutionsChecks(made.app), new NIST80053R5Checks(made.app)].map((pack) => pack.validateScope(made.app))

    expect(reports.flatMap(({ violations }) => violations.map(({ ruleName, violatingResources }) => `${ruleName}: ${violatingResources.map(({ constructPath }) => constructPath).join(' ')}`))).toEqual([])
  })

  it('is acknowledged as often as is written here, each with a reason', () => {
    const all = acknowledgements(made.app)

    expect(new Set(all.map(({ id }) => id)).size).toBe(allowed[variant as Variant])
    expect(all.filter(({ reason }) => reason.length < 20)).toEqual([])
  })

  it('still finds what each acknowledgement is for, where it is', () => {
    const stale = acknowledgements(made.app).filter(({ id, path }) => !found.some((finding) => finding.id === id && (finding.path === path || finding.path.startsWith(`${path}/`))))

    expect(stale).toEqual([])
  })
})

const networks = { none: '{}', isolated: '{ mode: isolated }', existing: '{ mode: existing, vpc_id: vpc-1, subnet_ids: [subnet-1], availability_zones: [eu-central-1a], security_group_ids: [sg-1] }' }
const doors = { http: '{}', tokens: '{ authorizer: jwt, jwt_issuer: "https://issuer.example", jwt_audience: [latchkey] }', urls: '{ kind: function_url }', private: '{ kind: rest_private }' }
const modes = ['read_only', 'read_and_write']
const shapes = Object.keys(networks).flatMap((network) => Object.keys(doors).flatMap((door) => modes.map((mode) => [network, door, mode] as const))).filter(([network, door]) => !(network === 'none' && door === 'private'))

describe('whatever network, front door and access mode there are', () => {
  it.each(shapes)('at most five kinds of findings are acknowledged (network %s, api %s, %s)', async (network, door, mode) => {
    const yaml = `
general_settings: { master_key: os.environ/LITELLM_MASTER_KEY, key_management_system: aws_secret_manager, key_management_settings: { access_mode: ${mode}, store_virtual_keys: true, prefix_for_stored_virtual_keys: litellm/, hosted_keys: [OPENAI_API_KEY, LITELLM_MASTER_KEY] } }
latchkey: { deployment: { account: "123456789012", region: eu-central-1, network: ${networks[network as keyof typeof networks]}, api: ${doors[door as keyof typeof doors]}, functions: { tracing: true }, federation: { google_audience: latchkey-aws, google_service_account_ids: ["109876543210987654321"] } } }`

    const { app } = await appOf(yaml)

    expect(new Set(acknowledgements(app).map(({ id }) => id)).size).toBeLessThanOrEqual(5)
  })
})
