// Policies of VPC endpoints: the third gate, after the role and the resource. None is AWS's default, which lets everything through to everybody's account.
import type { EndpointService, InfraConfig } from './config.ts'
import { belowPrefix, secretArn, type Place } from './names.ts'
import { assumeStatements, type ResourceStatement, type SecretScope } from './policies.ts'

/** Whose requests pass: after a role of another account is assumed, the caller is that account's. */
interface Passing {
  readonly account: string
}

const allow = (Sid: string, Action: readonly string[], Resource: readonly string[], accounts: readonly string[]): ResourceStatement => ({
  Sid, Effect: 'Allow', Principal: '*', Action, Resource, Condition: { StringEquals: { 'aws:PrincipalAccount': accounts } },
})

/** What goes through to STS. */
interface StsTraffic extends Passing {
  /** The roles that functions assume. */
  readonly roleArns: readonly string[]
  /** Whether functions get tokens for another cloud. */
  readonly outbound: boolean
}

/** The endpoint of STS: to the listed roles, as ourselves. */
const stsEndpointPolicy = ({ account, roleArns, outbound }: StsTraffic): readonly ResourceStatement[] =>
  [
    allow('AssumeTheRoles', ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'], roleArns, [account]),
    allow('AsOurselves', ['sts:GetCallerIdentity', ...(outbound ? ['sts:GetWebIdentityToken'] : [])], ['*'], [account]),
  ].filter(({ Resource }) => Resource.length > 0)

/** What goes through to Secrets Manager. */
interface SecretsTraffic extends Passing {
  /** Where secrets are, and below which prefix: our own, and each team's. */
  readonly scopes: readonly { readonly place: Place; readonly prefix: string; readonly names?: readonly string[] }[]
  /** Further secrets, as ARNs. */
  readonly names?: readonly string[]
}

/** The endpoint of Secrets Manager: to the secrets of the configuration, in our account and the teams'. */
const secretsEndpointPolicy = ({ account, scopes, names: further = [] }: SecretsTraffic): readonly ResourceStatement[] => {
  const accounts = [...new Set([account, ...scopes.map(({ place }) => place.account)])]
  const resources = [...scopes.flatMap(({ place, prefix, names = [] }) => [belowPrefix(place, prefix), ...names.map((name) => secretArn(place, name))]), ...further]
  const actions = ['GetSecretValue', 'DescribeSecret', 'ListSecretVersionIds', 'CreateSecret', 'PutSecretValue', 'UpdateSecretVersionStage', 'UpdateSecret', 'TagResource', 'UntagResource', 'RestoreSecret', 'DeleteSecret', 'ReplicateSecretToRegions']
  return [
    allow('TheSecrets', actions.map((action) => `secretsmanager:${action}`), [...new Set(resources)], accounts),
    allow('TheLists', ['secretsmanager:ListSecrets', 'secretsmanager:BatchGetSecretValue'], ['*'], accounts),
  ]
}

/** Every name that a scope reads or writes outside its prefix. */
export const namesOf = ({ readable, writable, needed, rotated }: SecretScope): readonly string[] => [...new Set([...readable, ...writable, ...needed, ...rotated])]

/** The endpoint of KMS, for the system `aws_kms`. */
const kmsEndpointPolicy = ({ account, keyArns }: Passing & { readonly keyArns: readonly string[] }): readonly ResourceStatement[] => [allow('TheKeys', ['kms:Decrypt', 'kms:GenerateDataKey'], keyArns, [account])]

/** The policy of every endpoint that a configuration needs: to its roles, its secrets and its keys, wherever they are. */
export const endpointPolicies = ({ secrets, secretsRegion, secretVariables, remote, teams, roles, federation, cipherKeyArns, keyArns, services }: InfraConfig, place: Place): readonly (readonly [EndpointService, readonly ResourceStatement[]])[] => {
  const { account } = place
  const own = secrets === undefined ? [] : [{ place: { ...place, region: secretsRegion ?? place.region }, prefix: secrets.prefix, names: namesOf(secrets) }]
  const others = [...remote.map(({ account: owner, region = place.region, prefix, names }) => ({ place: { ...place, account: owner, region }, prefix, names })), ...teams.map(({ account: owner, region = place.region, prefix }) => ({ place: { ...place, account: owner, region }, prefix, names: [] }))]
  const policies: Readonly<Record<EndpointService, () => readonly ResourceStatement[]>> = {
    sts: () => stsEndpointPolicy({ account, roleArns: [...new Set(assumeStatements(roles, place).flatMap(({ Resource }) => Resource))], outbound: (federation.outbound_audiences ?? []).length > 0 }),
    secretsmanager: () => secretsEndpointPolicy({ account, scopes: [...own, ...others], names: Object.values(secretVariables).map((name) => secretArn(place, name)) }),
    kms: () => kmsEndpointPolicy({ account, keyArns: [...cipherKeyArns, ...keyArns] }),
  }
  return services.map((service) => [service, policies[service]()])
}
