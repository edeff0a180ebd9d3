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
  ).filter(({ id }) => !id.startsWith('CloudFormation-Validate::')  )

/** How many kinds of findings are acknowledged in each kind of deployment; none more than is written here. */
const allowed: Readonly<Record<Variant, number>> = { shipped: 5, isolated: 5, private: 6, urls: 4, tokens: 4, federated: 5 }

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
