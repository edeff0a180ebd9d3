// What each role may do, as plain statements that functions of the configuration answer: stacks put them into templates, tests put questions to them. Partition, region and
// account may be tokens. Nothing here is wider than the calls that the code makes, and nothing stands beside `*` but what AWS knows no narrower resource for.
import type { AccessMode } from '../shared/core/policy.ts'
import { belowPrefix, ownRecords, roleArn, secretArn, type Place } from './names.ts'

/** What a condition block of IAM says. */
export type Conditions = Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>

/** One statement of an identity policy or boundary. */
export interface Statement {
  readonly Sid: string
  readonly Effect: 'Allow' | 'Deny'
  readonly Action: readonly string[]
  readonly Resource: readonly string[]
  readonly Condition?: Conditions
}

/** One statement of a policy that hangs on a resource: a VPC endpoint, a key, a queue. */
export interface ResourceStatement extends Statement {
  readonly Principal: '*' | Readonly<Record<string, string | readonly string[]>>
}

/** One statement of a role's trust policy, whose resource is the role. */
export interface TrustStatement extends Omit<Statement, 'Resource'> {
  readonly Principal: Readonly<Record<string, string | readonly string[]>>
}

/** The secrets of one account and region that a role works with, and what the configuration lets it do. */
export interface SecretScope {
  /** With its one trailing slash; never empty. */
  readonly prefix: string
  readonly accessMode: AccessMode
  readonly storeVirtualKeys: boolean
  /** Names outside the prefix that are read; one that ends in `*` is every name that begins so. Full ARNs stay as they are. */
  readonly readable: readonly string[]
  /** Names outside the prefix that may be written: the hosted ones, where the access mode writes. */
  readonly writable: readonly string[]
  /** Names that every function reads: the master keys. */
  readonly needed: readonly string[]
  /** Ordinary secrets that are rotated. */
  readonly rotated: readonly string[]
  /** Regions that a new secret is replicated to. */
  readonly replicaRegions: readonly string[]
}

/** A role that functions assume. */
export interface RoleToAssume {
  readonly arn: string
  /** Whether the configuration has an external id for it. Without one it can only be a role of our own account. */
  readonly external: boolean
  /** Session tags that the configuration adds to Latchkey's own. */
  readonly tagKeys?: readonly string[]
}

/** The only actions that ever stand beside the resource `*`: AWS knows no other for them. */
export const actionsWithoutResource: readonly string[] = [
  'secretsmanager:ListSecrets', 'secretsmanager:BatchGetSecretValue', 'xray:PutTraceSegments', 'xray:PutTelemetryRecords', 'sts:GetWebIdentityToken', 'sts:GetCallerIdentity',
  'ec2:CreateNetworkInterface', 'ec2:DescribeNetworkInterfaces', 'ec2:DescribeSubnets', 'ec2:DeleteNetworkInterface', 'ec2:AssignPrivateIpAddresses', 'ec2:UnassignPrivateIpAddresses',
]

/** Session tags of Latchkey's own; a configuration may add others. */
export const sessionTags = { team: 'latchkey-team', request: 'latchkey-request' } as const

/** A statement that allows. */
export const allow = (Sid: string, actions: readonly string[], Resource: readonly string[], Condition?: Conditions): Statement => ({ Sid, Effect: 'Allow', Action: actions, Resource, ...(Condition !== undefined && { Condition }) })
/** A statement that denies, whatever else allows. */
export const deny = (Sid: string, actions: readonly string[], Resource: readonly string[], Condition?: Conditions): Statement => ({ ...allow(Sid, actions, Resource, Condition), Effect: 'Deny' })
/** Secrets Manager's actions. */
export const onSecrets = (...actions: readonly string[]): readonly string[] => actions.map((action) => `secretsmanager:${action}`)
/** A statement without a resource would be refused by IAM. */
const some = (statements: readonly Statement[]): readonly Statement[] => statements.filter(({ Resource }) => Resource.length > 0)

/** What is known of a secret without its value. */
export const facts = onSecrets('DescribeSecret', 'ListSecretVersionIds')
const changes = onSecrets('PutSecretValue', 'UpdateSecretVersionStage', 'UpdateSecret', 'TagResource', 'UntagResource', 'RestoreSecret')
const recoverable: Conditions = { NumericGreaterThanEquals: { 'secretsmanager:RecoveryWindowInDays': '7' } }

const list = (Sid: string, mode: AccessMode): Statement => allow(Sid, onSecrets('ListSecrets', ...(mode === 'write_only' ? [] : ['BatchGetSecretValue'])), ['*'])

/** Writes below a prefix. A delete can be undone for a week at least. */
export const keepKeys = (place: Place, prefix: string): readonly Statement[] => [
  allow('CreateKeys', onSecrets('CreateSecret'), [belowPrefix(place, prefix)], { StringLike: { 'secretsmanager:Name': `${prefix}*` } }),
  allow('ChangeKeys', changes, [belowPrefix(place, prefix)]),
  allow('DeleteKeysRecoverably', onSecrets('DeleteSecret'), [belowPrefix(place, prefix)], recoverable),
]

/** The values that a role which changes secrets reads: in `write_only` none but Latchkey's own records and what the role needs itself. */
const readWhatIsChanged = (place: Place, { prefix, accessMode, needed }: SecretScope, changed: readonly string[]): readonly Statement[] => {
  const value = onSecrets('GetSecretValue')
  if (accessMode === 'write_only') return [allow('ReadOwnRecords', value, [ownRecords(place, prefix)]), allow('ReadWhatItNeeds', value, arns(place, needed))]
  return [allow('ReadValues', value, [belowPrefix(place, prefix), ...arns(place, [...needed, ...(accessMode === 'read_and_write' ? changed : [])])])]
}

const arns = (place: Place, names: readonly string[]): readonly string[] => [...new Set(names)].map((name) => secretArn(place, name))

/** What the `read` function may do. In `write_only` it reads no value but what it needs itself, and never a record of Latchkey's own. */
export const readStatements = (scope: SecretScope, place: Place): readonly Statement[] => {
  const reads = scope.accessMode !== 'write_only'
  const resources = [...(reads ? [belowPrefix(place, scope.prefix)] : []), ...arns(place, reads ? [...scope.readable, ...scope.needed] : scope.needed)]
  return some([
    // One statement: a policy has 6,144 characters, and every hosted name stands in it once.
    allow('ReadValues', [...onSecrets('GetSecretValue'), ...facts], resources),
    list('ListNames', scope.accessMode),
    deny('NeverOwnRecords', onSecrets('GetSecretValue'), [ownRecords(place, scope.prefix)]),
  ])
}

/** What the `keys` function may do. Its write statements below the prefix follow `store_virtual_keys`; `access_mode` decides about values, and about hosted secrets. */
export const keysStatements = (scope: SecretScope, place: Place): readonly Statement[] => {
  const hosted = arns(place, scope.accessMode === 'read_only' ? [] : scope.writable)
  return some([
    ...readWhatIsChanged(place, scope, scope.writable),
    allow('ReadFacts', facts, [belowPrefix(place, scope.prefix), ...hosted]),
    list('ListNames', scope.accessMode),
    ...(scope.storeVirtualKeys ? keepKeys(place, scope.prefix) : []),
    allow('ChangeHosted', [...onSecrets('CreateSecret'), ...changes], hosted),
    allow('DeleteHostedRecoverably', onSecrets('DeleteSecret'), hosted, recoverable),
    ...replicate(scope, place),
  ])
}

/** What the `rotate` function may do: nothing outside the prefix, but for ordinary secrets that `latchkey.rotation` names. It makes no key, only records of its own. */
export const rotateStatements = (scope: SecretScope, place: Place): readonly Statement[] => {
  const below = [belowPrefix(place, scope.prefix)]
  const rotated = arns(place, scope.accessMode === 'read_and_write' ? scope.rotated : [])
  return some([
    ...readWhatIsChanged(place, scope, scope.rotated),
    allow('ReadFacts', facts, [...below, ...rotated]),
    list('ListNames', scope.accessMode),
    ...(scope.storeVirtualKeys
      ? [allow('CreateOwnRecords', onSecrets('CreateSecret'), [ownRecords(place, scope.prefix)]), allow('ChangeKeys', changes, below), allow('DeleteKeysRecoverably', onSecrets('DeleteSecret'), below, recoverable)]
      : []),
    allow('RotateSecrets', onSecrets('PutSecretValue', 'UpdateSecretVersionStage', 'TagResource', 'UntagResource'), rotated),
  ])
}

const replicate = ({ replicaRegions, storeVirtualKeys, prefix }: SecretScope, place: Place): readonly Statement[] =>
  storeVirtualKeys && replicaRegions.length > 0
    ? [allow('ReplicateKeys', onSecrets('ReplicateSecretToRegions'), [belowPrefix(place, prefix)], { 'ForAllValues:StringEquals': { 'secretsmanager:AddReplicaRegions': replicaRegions }, Null: { 'secretsmanager:AddReplicaRegions': 'false' } })]
    : []

/** The keys that encrypt secrets, used by Secrets Manager for the caller and by nobody else. */
export const kmsStatements = (keyArns: readonly string[], { region }: Pick<Place, 'region'>, writes: boolean): readonly Statement[] =>
  some([allow('KeyThroughSecretsManager', ['kms:Decrypt', ...(writes ? ['kms:GenerateDataKey'] : [])], keyArns, { StringEquals: { 'kms:ViaService': `secretsmanager.${region}.amazonaws.com` } })])

/** The key of the system `aws_kms`, whose ciphertext stands in variables. */
export const cipherStatements = (keyArns: readonly string[]): readonly Statement[] => some([allow('DecryptVariables', ['kms:Decrypt'], keyArns)])

/**
 * The roles that may be assumed. One with an external id is never assumed without it, so that our own code cannot forget it. One without is written as a role of our own
 * account whatever its ARN says: elsewhere it is denied.
 */
export const assumeStatements = (roles: readonly RoleToAssume[], place: Pick<Place, 'partition' | 'account'>): readonly Statement[] => {
  const across = roles.flatMap(({ arn, external }) => (external ? [arn] : []))
  const own = roles.flatMap(({ arn, external }) => (external ? [] : [roleArn(place, arn.split(':role/')[1] ?? '')]))
  const tagKeys = [...new Set([...Object.values(sessionTags), ...roles.flatMap(({ tagKeys: more = [] }) => more)])]
  return some([
    allow('AssumeWithExternalId', ['sts:AssumeRole'], across, { Null: { 'sts:ExternalId': 'false' } }),
    allow('AssumeInOwnAccount', ['sts:AssumeRole'], own),
    allow('DescribeTheSession', ['sts:TagSession', 'sts:SetSourceIdentity'], [...across, ...own], { 'ForAllValues:StringEquals': { 'aws:TagKeys': tagKeys } }),
  ])
}

/** Tokens for other clouds: for these audiences, five minutes, signed in the one way that Entra takes. */
export const outboundIdentityStatements = (audiences: readonly string[], maxSeconds = 300): readonly Statement[] =>
  audiences.length === 0
    ? []
    : [
        allow('TokenForAnotherCloud', ['sts:GetWebIdentityToken'], ['*'], {
          'ForAllValues:StringEquals': { 'sts:IdentityTokenAudience': audiences },
          Null: { 'sts:IdentityTokenAudience': 'false' },
          NumericLessThanEquals: { 'sts:DurationSeconds': String(maxSeconds) },
          StringEquals: { 'sts:SigningAlgorithm': 'RS256' },
        }),
      ]

/** The secrets that a function's variables refer to, wherever the stores themselves are. */
export const variableStatements = (names: readonly string[], place: Place): readonly Statement[] => some([allow('ReadVariables', onSecrets('GetSecretValue'), arns(place, names))])

/** X-Ray. */
export const tracingStatements = (): readonly Statement[] => [allow('SendTraces', ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], ['*'])]

/** What Lambda needs to put a function into a VPC, and what the function's own code is denied of it. */
export const networkInterfaceStatements = (functionArn: string): readonly Statement[] => {
  const actions = actionsWithoutResource.filter((action) => action.startsWith('ec2:'))
  return [allow('AttachToNetwork', actions, ['*']), deny('NeverFromTheCode', actions, ['*'], { ArnEquals: { 'lambda:SourceFunctionArn': functionArn } })]
}
