// The account that owns the secrets: who of Latchkey may come in, and what its role may do there. The same document is the role's permissions boundary.
import { belowPrefix, functionRoleArns, ownRecords, type Place } from './names.ts'
import { allow, deny, facts, keepKeys, kmsStatements, onSecrets, sessionTags, type Conditions, type Statement, type TrustStatement } from './policies.ts'

/** Who may assume the role of the account that owns the secrets. */
export interface TenantTrust {
  readonly partition: string
  readonly latchkeyAccount: string
  /** The deployment's name there, which its roles' names begin with. */
  readonly deployment: string
  /** One, or two while it is being changed. Absent: an own account's role, which asks for none. */
  readonly externalIds?: readonly string[]
  /** The team's id as a segment; absent: no team is asked for. */
  readonly team?: string
  readonly sessionNames: string
}

/** The trust policy of that role. It trusts the account and pins the roles by name: a role that is made anew is still the same to it, and needs not exist yet. */
export const tenantTrust = ({ partition, latchkeyAccount, deployment, externalIds, team, sessionNames }: TenantTrust): readonly TrustStatement[] => {
  const Principal = { AWS: `arn:${partition}:iam::${latchkeyAccount}:root` }
  const who: Conditions = { ArnEquals: { 'aws:PrincipalArn': functionRoleArns({ partition, account: latchkeyAccount }, deployment) } }
  const tag = team === undefined ? {} : { [`aws:RequestTag/${sessionTags.team}`]: team }
  const tags: Conditions = { 'ForAllValues:StringEquals': { 'aws:TagKeys': Object.values(sessionTags) } }
  const equals = { ...tag, ...(externalIds !== undefined && { 'sts:ExternalId': externalIds }) }
  return [
    { Sid: 'Assume', Effect: 'Allow', Principal, Action: ['sts:AssumeRole'], Condition: { ...who, ...tags, ...(Object.keys(equals).length > 0 && { StringEquals: equals }), StringLike: { 'sts:RoleSessionName': sessionNames } } },
    { Sid: 'TagSession', Effect: 'Allow', Principal, Action: ['sts:TagSession'], Condition: { ...who, ...tags, ...(team !== undefined && { StringEquals: tag }) } },
    { Sid: 'NameTheCaller', Effect: 'Allow', Principal, Action: ['sts:SetSourceIdentity'], Condition: who },
  ]
}

/** On what a tenant's statement depends. */
export type TenantCase = 'always' | 'reads' | 'write_only' | 'stores' | 'hosted' | 'key' | 'key and stores' | 'team'

/** What that role may do. */
export interface TenantScope {
  readonly place: Place
  readonly prefix: string
  /** Further secrets that are read, as ARNs. */
  readonly hostedArns: readonly string[]
  readonly keyArn: string
  readonly team: string
}

/** Every statement of that role with the case in which it holds: the template's parameters choose, or the construct's props. */
export const tenantCases = ({ place, prefix, hostedArns, keyArn, team }: TenantScope): readonly (readonly [when: TenantCase, statement: Statement])[] => {
  const below = [belowPrefix(place, prefix)]
  const teamTag = `aws:RequestTag/${sessionTags.team}`
  return [
    ['always', allow('ReadFacts', facts, below)],
    ['always', allow('ListNames', onSecrets('ListSecrets'), ['*'])],
    ['reads', allow('ReadValues', onSecrets('GetSecretValue'), below)],
    ['reads', allow('ReadTogether', onSecrets('BatchGetSecretValue'), ['*'])],
    ['write_only', allow('ReadOwnRecords', onSecrets('GetSecretValue'), [ownRecords(place, prefix)])],
    ['hosted', allow('ReadHosted', onSecrets('GetSecretValue', 'DescribeSecret'), hostedArns)],
    ...keepKeys(place, prefix).map((statement) => ['stores', statement] as const),
    ['key', { ...(kmsStatements([keyArn], place, false)[0] as Statement), Sid: 'ReadThroughSecretsManager' }],
    ['key and stores', { ...(kmsStatements([keyArn], place, true)[0] as Statement), Sid: 'WriteThroughSecretsManager' }],
    ['team', deny('NeverAnotherTeam', onSecrets('CreateSecret', 'TagResource'), ['*'], { StringNotEquals: { [teamTag]: team }, Null: { [teamTag]: 'false' } })],
    ['team', deny('NeverUntagTheTeam', onSecrets('UntagResource'), ['*'], { 'ForAnyValue:StringEquals': { 'aws:TagKeys': sessionTags.team } })],
  ]
}
