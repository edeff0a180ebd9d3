// The role of the account that owns the secrets, with its trust, its policy and a boundary that is the same as the policy. No assets and nothing of a bootstrap: it can be
// deployed by whoever owns the secrets, with nothing but CloudFormation.
import { Aws, Fn, Stack, Token, type CfnCondition } from 'aws-cdk-lib'
import { CfnManagedPolicy, CfnRole } from 'aws-cdk-lib/aws-iam'
import { Construct } from 'constructs'
import type { AccessMode } from '../../shared/core/policy.ts'
import type { TrustStatement } from '../policies.ts'
import { tenantCases, tenantTrust, type TenantCase } from '../tenant-policies.ts'

/** What the owner of the secrets decides. */
export interface SecretAccessRoleProps {
  /** The account that Latchkey runs in. */
  readonly latchkeyAccount: string
  /** The name of the deployment there. Default: `latchkey`. */
  readonly deployment?: string
  /** One, or two while it is being changed. Left out: only for a role of Latchkey's own account. */
  readonly externalIds?: readonly string[]
  /** The team's id as a segment; its session tag is then required. */
  readonly team?: string
  /** Ends with its one slash. */
  readonly prefix: string
  readonly accessMode: AccessMode
  readonly storeVirtualKeys: boolean
  /** Further secrets that are read, as ARNs. */
  readonly hostedSecretArns?: readonly string[]
  /** The customer managed key of the secrets. Left out: they are encrypted under `aws/secretsmanager`. */
  readonly keyArn?: string
  /** Default: `latchkey-*`. */
  readonly sessionNamePattern?: string
  /** Default: `latchkey-access`. */
  readonly roleName?: string
}

/** In a template with parameters these decide, when it is deployed, what props decide otherwise. */
export type Choices = Readonly<Record<Exclude<TenantCase, 'always'> | 'hasId' | 'ownAccount' | 'asksForAnything', CfnCondition>>

const chosen = ({ accessMode, storeVirtualKeys, hostedSecretArns = [], keyArn, team }: SecretAccessRoleProps): readonly TenantCase[] => [
  'always',
  accessMode === 'write_only' ? 'write_only' : 'reads',
  ...(storeVirtualKeys ? (['stores'] as const) : []),
  ...(hostedSecretArns.length > 0 && accessMode !== 'write_only' ? (['hosted'] as const) : []),
  ...(keyArn === undefined ? [] : [storeVirtualKeys ? ('key and stores' as const) : ('key' as const)]),
  ...(team === undefined ? [] : (['team'] as const)),
]

const either = (condition: CfnCondition, then: unknown, otherwise: unknown = Aws.NO_VALUE): unknown => Fn.conditionIf(condition.logicalId, then, otherwise)

/** One character: STS takes no external id of less than two, so nobody can send it. */
const impossibleId = '-'

/** The role, ready to be assumed by Latchkey. */
export class SecretAccessRole extends Construct {
  readonly role: CfnRole

  constructor(scope: Construct, id: string, props: SecretAccessRoleProps, choices?: Choices) {
    super(scope, id)
    const { prefix, hostedSecretArns: hostedArns = [], keyArn = '', team = '', roleName = 'latchkey-access' } = props
    const { partition, region, account } = Stack.of(this)
    const cases = chosen(props)
    const Statement = tenantCases({ place: { partition, region, account }, prefix, hostedArns, keyArn, team }).flatMap(([when, statement]): readonly unknown[] => {
      if (choices === undefined || when === 'always') return cases.includes(when) ? [statement] : []
      return [either(choices[when], statement)]
    })
    const policyDocument = { Version: '2012-10-17', Statement }
    const boundary = new CfnManagedPolicy(this, 'Boundary', { description: `The most that ${roleName} can ever do`, policyDocument })
    this.role = new CfnRole(this, 'Role', {
      roleName,
      description: "Latchkey works with this account's secrets below one prefix",
      maxSessionDuration: 3600,
      permissionsBoundary: boundary.ref,
      assumeRolePolicyDocument: { Version: '2012-10-17', Statement: trustOf(props, partition, choices) },
    })
    new CfnManagedPolicy(this, 'Policy', { description: `What ${roleName} does`, policyDocument, roles: [this.role.ref] })
  }
}

const trustOf = ({ latchkeyAccount, deployment = 'latchkey', externalIds, team, sessionNamePattern: sessionNames = 'latchkey-*' }: SecretAccessRoleProps, partition: string, choices: Choices | undefined): readonly unknown[] => {
  const fixed = { partition, latchkeyAccount, deployment, sessionNames }
  if (choices === undefined) return tenantTrust({ ...fixed, ...(externalIds !== undefined && { externalIds }), ...(team !== undefined && { team }) })
  // A key without a value falls away, and a block without keys is left out as a whole: an empty one is nothing that IAM documents.
  const [assume, tag, ...rest] = tenantTrust({ ...fixed, externalIds: Token.asList(either(choices.hasId, externalIds, either(choices.ownAccount, Aws.NO_VALUE, impossibleId))), team: Token.asString(either(choices.team, team)) })
  const [, plainTag] = tenantTrust({ ...fixed, ...(team !== undefined && { team }) })
  const only = (statement: TrustStatement | undefined, condition: CfnCondition, equals: unknown): unknown => ({ ...statement, Condition: { ...statement?.Condition, StringEquals: either(condition, equals) } })
  return [only(assume, choices.asksForAnything, assume?.Condition?.['StringEquals']), only(tag, choices.team, plainTag?.Condition?.['StringEquals']), ...rest]
}
