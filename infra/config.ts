// What the stacks are built from: LiteLLM's file with its `latchkey:` key, read by the parser that the functions themselves use, and the section `latchkey.deployment`.
// What could not work, or would be wider than was meant, stops the synth here, with file, path and fix.
import { readGateway } from '../shared/core/configuration/gateway-section.ts'
import { checkFields } from '../shared/core/configuration/gateway-fields.ts'
import { identities } from '../shared/core/configuration/identities.ts'
import { parseConfiguration, type Configuration, type Warning } from '../shared/core/configuration.ts'
import { LatchkeyError, type Issue } from '../shared/core/errors.ts'
import type { AccessMode } from '../shared/core/policy.ts'
import { readRotation } from '../shared/core/rotation/settings.ts'
import type { Env } from '../shared/core/runtime.ts'
import { readSettings, type SettingsTable } from '../shared/core/settings.ts'
import { isMapping } from '../shared/core/settings/mapping.ts'
import { registry } from '../shared/providers/registry.ts'
import { checkCombinations } from './configuration/combinations.ts'
import { readStores, type RemoteSecrets } from './configuration/stores.ts'
import { readTeams } from './configuration/teams.ts'
import type { RoleToAssume, SecretScope } from './policies.ts'
import {
  apiSettings, federationSettings, functionSettings, networkSettings, observabilitySettings, placeSettings, scheduleSettings,
  type ApiSettings, type FederationSettings, type FunctionSettings, type NetworkSettings, type ObservabilitySettings, type ScheduleSettings,
} from './settings.ts'

/** A service that an isolated network needs an interface endpoint of. */
export type EndpointService = 'sts' | 'secretsmanager' | 'kms'

/** A team whose secrets are in an account of its own, or below a prefix of its own in ours. */
export interface TeamRole {
  readonly team: string
  /** The team's id as it stands in names and session tags. */
  readonly segment: string
  readonly account: string
  /** With its path, if it has one. */
  readonly roleName: string
  readonly externalId?: string
  /** With its one trailing slash. */
  readonly prefix: string
  readonly accessMode: AccessMode
  readonly storeVirtualKeys: boolean
  readonly region?: string
  readonly keyArn?: string
}

/** A configuration as stacks and templates take it. Settings keep the names of their tables in infra/settings.ts. */
export interface InfraConfig {
  /** The file, as it was named. */
  readonly file: string
  readonly name: string
  /** Absent: whatever the credentials say. */
  readonly account?: string
  readonly region?: string
  /** The default store's system, and every system of the file. */
  readonly system: string
  readonly systems: readonly string[]
  /** With its one trailing slash; never empty. */
  readonly prefix: string
  readonly accessMode: AccessMode
  readonly storeVirtualKeys: boolean
  /** What the functions work with in our own account's Secrets Manager; absent where everything is elsewhere. */
  readonly secrets?: SecretScope
  /** The region of those secrets, where it is not the deployment's. */
  readonly secretsRegion?: string
  /** Customer managed keys of those secrets. */
  readonly keyArns: readonly string[]
  /** Keys of the system `aws_kms`. */
  readonly cipherKeyArns: readonly string[]
  /** Roles of other accounts, or of ours, that the functions assume: of stores and of teams. */
  readonly roles: readonly RoleToAssume[]
  /** Where the stores' secrets are that are reached through a role. */
  readonly remote: readonly RemoteSecrets[]
  /** Where STS is asked, if the file says so. */
  readonly stsEndpoint?: string
  /** Which endpoints an isolated network needs. */
  readonly services: readonly EndpointService[]
  /** Variables of the functions that hold no secret: references of the file as they are set here. */
  readonly environment: Readonly<Record<string, string>>
  /** Variables of the functions that hold a secret, and the name or ARN of that secret in the cloud's own manager. */
  readonly secretVariables: Readonly<Record<string, string>>
  readonly network: NetworkSettings
  readonly api: ApiSettings
  readonly functions: FunctionSettings
  readonly observability: ObservabilitySettings
  readonly schedule: ScheduleSettings
  readonly teams: readonly TeamRole[]
  readonly federation: FederationSettings
  /** What the functions themselves make of the file. */
  readonly configuration: Configuration
  readonly warnings: readonly Warning[]
}

/** A file that was parsed already. */
export interface ConfigInput {
  /** As it was named; stands before every issue. */
  readonly path: string
  readonly input: unknown
}

/** Every problem that was found, each with its path. */
export type Report = (path: string, message: string) => void

const sections = { network: networkSettings, api: apiSettings, functions: functionSettings, observability: observabilitySettings, schedule: scheduleSettings, federation: federationSettings } as const

type Sections = { readonly [K in keyof typeof sections]: (typeof sections)[K] extends SettingsTable<infer S> ? S : never }

const refuse = (file: string, issues: readonly Issue[]): LatchkeyError =>
  new LatchkeyError('misconfigured', issues.map(({ path, message }) => `${file}: ${path} ${message}`).join('\n'), { issues })

const parse = ({ path, input }: ConfigInput, env: Env): ReturnType<typeof parseConfiguration> => {
  try {
    const parsed = parseConfiguration(input, { env, loopback: false, systems: Object.keys(registry), gateway: readGateway, checkFields, identities })
    // What only whoever changes keys reads when it starts; here it is held against the same rules before it is deployed.
    readRotation(parsed.configuration.rotation)
    return parsed
  } catch (error) {
    throw error instanceof LatchkeyError && error.details.issues !== undefined ? refuse(path, error.details.issues) : error
  }
}

/** Reads the file for the stacks. `env` is asked for nothing but what the file itself refers to. @throws misconfigured with every issue, each with file, path and fix */
export const readInfraConfig = async (file: ConfigInput, env: Env): Promise<InfraConfig> => {
  const { configuration, warnings } = parse(file, env)
  const issues: Issue[] = []
  const report: Report = (path, message) => void issues.push({ path, message })
  const input = isMapping(file.input) ? file.input : {}
  const latchkey = isMapping(input['latchkey']) ? input['latchkey'] : {}
  const given = latchkey['deployment'] ?? {}
  const deployment = isMapping(given) ? given : {}
  if (!isMapping(given)) report('latchkey.deployment', 'must be a mapping of settings')

  const known = Object.keys(sections)
  const { settings: place, issues: found } = readSettings(placeSettings, deployment, { path: 'latchkey.deployment', env, foreign: [...known, 'teams'] })
  const read = Object.fromEntries(
    Object.entries(sections).map(([name, table]) => {
      const reading = readSettings(table as SettingsTable<unknown>, deployment[name], { path: `latchkey.deployment.${name}`, env })
      issues.push(...reading.issues)
      return [name, reading.settings]
    }),
  ) as unknown as Sections
  issues.push(...found)
  if (issues.length > 0) throw refuse(file.path, issues)

  const stores = await readStores({ input, configuration, readable: read.functions.readable_names ?? [], variables: read.functions.secret_variables ?? {}, account: place.account, env }, report)
  const region = place.region ?? stores.region
  const store = configuration.stores.get('default')
  const prefix = `${store?.prefix ?? ''}/`
  if (prefix === '/') report('general_settings.key_management_settings.prefix_for_stored_virtual_keys', 'must not be empty in a deployment: every secret of the account would count as a key; write for example litellm/')
  const teams = readTeams(deployment['teams'], { account: place.account, region, prefix, env }, report)
  const roles = [...stores.roles, ...teams.map(({ account, roleName, externalId }) => ({ arn: `arn:${stores.partition}:iam::${account}:role/${roleName}`, external: externalId !== undefined }))]
  const { systems, secrets, cipherKeyArns } = stores
  const outbound = (read.federation.outbound_audiences ?? []).length > 0
  const config: InfraConfig = {
    file: file.path, name: place.name, account: place.account, region,
    system: store?.system ?? 'environment', systems, prefix,
    accessMode: store?.accessMode ?? 'read_only', storeVirtualKeys: store?.storeVirtualKeys ?? false,
    secrets, secretsRegion: stores.region === region ? undefined : stores.region,
    keyArns: stores.keyArns, cipherKeyArns, roles, remote: stores.remote, stsEndpoint: stores.stsEndpoint,
    services: [
      ...(roles.length > 0 || outbound ? (['sts'] as const) : []),
      ...(systems.includes('aws_secret_manager') || teams.length > 0 || Object.keys(stores.secretVariables).length > 0 ? (['secretsmanager'] as const) : []),
      ...(systems.includes('aws_kms') ? (['kms'] as const) : []),
    ],
    environment: stores.environment, secretVariables: stores.secretVariables,
    ...read,
    teams, configuration, warnings,
  }
  checkCombinations(config, report)
  if (issues.length > 0) throw refuse(file.path, issues)
  return config
}

