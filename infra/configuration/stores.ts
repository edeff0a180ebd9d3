// The stores of the file as the deployment sees them: which secrets of our own account the functions work with, which roles they assume, and which variables they need.
import type { Configuration, StoreConfiguration } from '../../shared/core/configuration.ts'
import type { MasterKeyPlan } from '../../shared/core/configuration/references.ts'
import type { Env } from '../../shared/core/runtime.ts'
import { readSettings, type Setting } from '../../shared/core/settings.ts'
import { loadProvider } from '../../shared/providers/registry.ts'
import type { Report } from '../config.ts'
import type { RoleToAssume, SecretScope } from '../policies.ts'
import { reportPlainSecrets, secretReferences } from './plain-secrets.ts'
import { isExternalId, isKeyArn } from './teams.ts'

/** What is read. */
interface Given {
  readonly input: Readonly<Record<string, unknown>>
  readonly configuration: Configuration
  readonly readable: readonly string[]
  readonly variables: Readonly<Record<string, string>>
  readonly account: string | undefined
  readonly env: Env
}

/** Secrets that are reached through a role: where they are, for the endpoints of a network. */
export interface RemoteSecrets {
  readonly account: string
  readonly region?: string
  readonly prefix: string
  /** Outside the prefix; as in SecretScope. */
  readonly names: readonly string[]
}

/** What stores mean for a deployment. */
interface StoreFacts {
  readonly systems: readonly string[]
  readonly partition: string
  readonly region?: string
  readonly secrets?: SecretScope
  readonly keyArns: readonly string[]
  readonly cipherKeyArns: readonly string[]
  readonly roles: readonly RoleToAssume[]
  readonly remote: readonly RemoteSecrets[]
  readonly stsEndpoint?: string
  readonly environment: Readonly<Record<string, string>>
  readonly secretVariables: Readonly<Record<string, string>>
}

/** The settings of a store that say where it is, and who goes there. */
interface AwsSettings {
  readonly aws_region_name?: string
  readonly aws_role_name?: string
  readonly aws_external_id?: string
  readonly aws_profile_name?: string
  readonly aws_sts_endpoint?: string
  readonly aws_session_tags?: Readonly<Record<string, string>>
  readonly kms_key_id?: string
  readonly aws_kms_key_id?: string
  readonly replica_regions?: readonly string[]
}

const rows = ['aws_region_name', 'aws_role_name', 'aws_external_id', 'aws_profile_name', 'aws_sts_endpoint', 'aws_session_tags', 'kms_key_id', 'aws_kms_key_id', 'replica_regions'] as const
const legal = /^[A-Za-z0-9/_+=.@-]{1,512}$/
const isSecretArn = (name: string): boolean => /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+$/.test(name)

/** Only what the file says: the environment of whoever synthesizes must not decide what is deployed. */
const settingsOf = (store: StoreConfiguration, table: Readonly<Record<string, Setting>>, env: Env, report: Report): AwsSettings => {
  const own = Object.fromEntries(rows.flatMap((name) => (table[name] === undefined ? [] : [[name, { ...table[name], env: undefined }]])))
  const { settings, issues } = readSettings<AwsSettings>(own as never, store.settings, { path: store.path, env, foreign: Object.keys(store.settings) })
  for (const { path, message } of issues) report(path, message)
  return settings
}

const roleOf = (store: StoreConfiguration, { aws_role_name: arn, aws_external_id: id, aws_session_tags: tags }: AwsSettings, account: string | undefined, report: Report): readonly RoleToAssume[] => {
  if (arn === undefined) return []
  const owner = /^arn:aws[a-z-]*:iam::(\d{12}):role\/[\w+=,.@/-]{1,512}$/.exec(arn)?.[1]
  if (owner === undefined) report(`${store.path}.aws_role_name`, 'must be the ARN of one role: arn:aws:iam::<12 digits>:role/<path and name>')
  if (id !== undefined && !isExternalId(id)) report(`${store.path}.aws_external_id`, 'must have 2 to 1224 of A-Z a-z 0-9 _ + = , . @ : / -')
  if (id === undefined && owner !== undefined && account !== undefined && owner !== account) report(`${store.path}.aws_external_id`, `is required: ${owner} is another account than latchkey.deployment.account, and its role is never assumed without an external id`)
  return [{ arn, external: id !== undefined, ...(tags !== undefined && { tagKeys: Object.keys(tags) }) }]
}

/** The name of a master key that a manager is asked for; one that comes from the environment has to be brought there. */
const masterKeyNames = (plan: MasterKeyPlan, given: Given, report: Report): readonly string[] => {
  if (plan.kind === 'literal') return []
  if (plan.kind === 'ref') return [plan.ref.name]
  if (plan.lookIn.includes('manager')) return plan.ciphertext === true ? [] : [plan.name]
  if (given.variables[plan.name] === undefined) report('latchkey.deployment.functions.secret_variables', `must name the secret for ${plan.name}, which this file looks for in the environment only: { ${plan.name}: <name of a secret in the cloud's own manager> }`)
  return []
}

const namesToRead = (store: StoreConfiguration, configuration: Configuration): readonly string[] => {
  if (store.primarySecretName !== undefined) return [store.primarySecretName]
  const referred = configuration.references.flatMap(({ source, ref, ciphertext }) => (source === 'manager' && ciphertext !== true && (ref.store ?? 'default') === store.name ? [ref.name] : []))
  return [...(store.hostedKeys ?? []), ...referred.filter((name) => legal.test(name) || isSecretArn(name))]
}

/** Patterns of `latchkey.rotation` as IAM has them: both stars are any text. */
const rotatedNames = (given: unknown, report: Report): readonly string[] => {
  const secrets = (given as { readonly secrets?: readonly { readonly store?: string; readonly names?: readonly string[] }[] } | null | undefined)?.secrets ?? []
  return secrets.flatMap(({ store = 'default', names = [] }, index) =>
    store !== 'default' ? [] : names.map((name) => name.replaceAll('**', '*')).filter((name) => {
      const narrow = /^[A-Za-z0-9/_+=.@-]{2,}[A-Za-z0-9/_+=.@*-]*$/.test(name)
      if (!narrow) report(`latchkey.rotation.secrets[${index}].names`, 'must each begin with at least two characters that are no wildcard: the role may change what they match, and nothing else')
      return narrow
    }),
  )
}

/**
 * The variables that settings refer to and that hold no secret: what they say here, they say in the functions. References in the rest of LiteLLM's file are names of secrets, and
 * those in `latchkey.deployment` are read here only.
 */
const plainVariables = ({ references }: Configuration, secret: readonly string[], env: Env): Readonly<Record<string, string>> =>
  Object.fromEntries(references.flatMap(({ path, name, ref }) => {
    const setting = /^(?:general_settings\.(?:key_management_|use_)|latchkey\.(?!deployment\b|gateway\.master_key$))/.test(path)
    const text = setting && ref.store === undefined && !secret.includes(name) ? env.get(name) : undefined
    return text === undefined ? [] : [[name, text]]
  }))

/** Reads the stores; whatever cannot be deployed is reported. */
export const readStores = async (given: Given, report: Report): Promise<StoreFacts> => {
  const { configuration, input, variables, env } = given
  const stores = [...configuration.stores.values()]
  const opened = await Promise.all(stores.map(async (store) => {
    const { settings: table } = await loadProvider(store.system, store.path)
    return { store, table, settings: settingsOf(store, table, env, report) }
  }))
  reportPlainSecrets(input, opened, report)
  for (const { store, settings } of opened) if (settings.aws_profile_name !== undefined) report(`${store.path}.aws_profile_name`, 'is a file of a machine, which no function has; write aws_role_name')
  const roles = opened.flatMap(({ store, settings }) => roleOf(store, settings, given.account, report))
  const own = opened.filter(({ store, settings }) => store.system === 'aws_secret_manager' && settings.aws_role_name === undefined)
  const main = own.find(({ store }) => store.name === 'default') ?? own[0]
  const keys = (system: string, row: 'kms_key_id' | 'aws_kms_key_id', required: boolean): readonly string[] => [...new Set(opened.flatMap(({ store, settings }) => {
    // A key of an account whose role is assumed is that role's business.
    const mine = store.system === system && settings.aws_role_name === undefined
    const key = mine ? settings[row] : undefined
    if (mine && (key === undefined ? required : !isKeyArn(key))) report(`${store.path}.${row}`, `must be the ARN of a key in a deployment, no id and no alias: the role may use that key only`)
    return key === undefined ? [] : [key]
  }))]
  const references = secretReferences(opened)
  for (const { name, path } of references) if (variables[name] === undefined) report(path, `needs ${name} in the functions' environment: name its secret in latchkey.deployment.functions.secret_variables: { ${name}: <name> }`)
  for (const [name, secret] of Object.entries(variables)) {
    if (!/^[A-Za-z_]\w{0,254}$/.test(name)) report('latchkey.deployment.functions.secret_variables', 'must have names of environment variables as keys')
    if ((!legal.test(secret) && !isSecretArn(secret)) || /^(?:sk-|hvs\.|eyJ|AKIA|ASIA)/.test(secret)) report(`latchkey.deployment.functions.secret_variables.${name}`, "must be the name or ARN of a secret in the cloud's own manager, never its value")
  }
  for (const name of given.readable) if (!/^[A-Za-z0-9/_+=.@-]{2,512}\*?$/.test(name) && !isSecretArn(name)) report('latchkey.deployment.functions.readable_names', 'must be names of secrets, with * at the very end only and two characters before it')
  const masterKeys = [configuration.masterKey, ...(configuration.gateway === undefined ? [] : [configuration.gateway.masterKey])].flatMap((plan) => masterKeyNames(plan, given, report))
  const names = own.flatMap(({ store }) => namesToRead(store, configuration))
  for (const { store } of own) for (const name of store.hostedKeys ?? []) if (!legal.test(name)) report(`${store.path}.hosted_keys`, 'must be names that AWS Secrets Manager can hold: A-Z a-z 0-9 / _ + = . @ -')
  const primary = main?.store.primarySecretName
  const environment = plainVariables(configuration, [...references.map(({ name }) => name), ...Object.keys(variables)], env)
  const [first] = opened
  const remote = opened.flatMap(({ store, settings }): readonly RemoteSecrets[] => {
    const account = store.system === 'aws_secret_manager' ? settings.aws_role_name?.split(':')[4] : undefined
    return account === undefined ? [] : [{ account, ...(settings.aws_region_name !== undefined && { region: settings.aws_region_name }), prefix: `${store.prefix}/`, names: namesToRead(store, configuration) }]
  })
  const region = main?.settings.aws_region_name ?? first?.settings.aws_region_name
  return {
    systems: [...new Set(stores.map(({ system }) => system))],
    partition: region?.startsWith('cn-') === true ? 'aws-cn' : region?.startsWith('us-gov-') === true ? 'aws-us-gov' : 'aws',
    region, roles, remote, environment, secretVariables: variables,
    stsEndpoint: opened.map(({ settings }) => settings.aws_sts_endpoint).find((url) => url !== undefined),
    keyArns: keys('aws_secret_manager', 'kms_key_id', false),
    cipherKeyArns: keys('aws_kms', 'aws_kms_key_id', true),
    secrets: main === undefined ? undefined : {
      prefix: `${main.store.prefix}/`,
      accessMode: main.store.accessMode,
      storeVirtualKeys: main.store.storeVirtualKeys,
      readable: [...new Set([...names.filter((name) => !given.readable.some((wide) => wide.endsWith('*') && name.startsWith(wide.slice(0, -1)))), ...given.readable])],
      writable: own.flatMap(({ store }) => (store.accessMode === 'read_only' ? [] : (store.hostedKeys ?? []))),
      needed: [...new Set(primary === undefined ? masterKeys : [primary])],
      rotated: rotatedNames(configuration.rotation, report),
      replicaRegions: main.settings.replica_regions ?? [],
    },
  }
}
