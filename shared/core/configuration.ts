// A configuration as the rest of the house sees it, and the one function that makes it of LiteLLM's file. Pure on objects: it parses no YAML and opens
// nothing; it reports every problem at once, because a person mends a file once, not ten times.
import { builtInStore, readDefaultStore } from './configuration/default-store.ts'
import type { AccessEntry, FieldCheck } from './configuration/access.ts'
import type { IdentityReader, Trust } from './configuration/identities.ts'
import type { GatewayConfiguration, GatewayReader } from './configuration/gateway-section.ts'
import { readSection, type CacheConfiguration, type KeyNameTemplate } from './configuration/latchkey-section.ts'
import { gatewaySettings, systemChoice, type KeyManagementSettings } from './configuration/litellm-settings.ts'
import { planMasterKey } from './configuration/master-key.ts'
import { collectReferences, lookUp, type MasterKeyPlan, type ReadPlan, type Reference } from './configuration/references.ts'
import { mappingOf, take, type Findings, type SelectedBy, type StoreConfiguration } from './configuration/store-configuration.ts'
import { readFurtherStores, readOrder } from './configuration/stores.ts'
import { nearest } from './errors/nearest.ts'
import type { Env } from './runtime.ts'
import { readSettings, refuseIssues, unknownKey } from './settings.ts'

export type { AccessEntry, Grant } from './configuration/access.ts'
export type { PinnedIdentity, Trust } from './configuration/identities.ts'
export type { CacheConfiguration, KeyNameTemplate } from './configuration/latchkey-section.ts'
export type { GatewayConfiguration } from './configuration/gateway-section.ts'
export type { AccessMode, KeyManagementSettings } from './configuration/litellm-settings.ts'
export { isWeakMasterKey } from './configuration/master-key.ts'
export type { MasterKeyPlan, Reference, Source } from './configuration/references.ts'
export type { SelectedBy, StoreConfiguration } from './configuration/store-configuration.ts'

/** Something that works, but surely not as whoever wrote it meant. `path` is where it stands in the file, or an environment variable's name. */
export interface Warning {
  readonly path: string
  readonly message: string
}

/** What one file, or no file, means. Everything in it is checked but the providers' own settings, which their tables check at open. */
export interface Configuration {
  /** By name; the store of `key_management_system` or `latchkey.default_store` is `default`, and every configuration has it. */
  readonly stores: ReadonlyMap<string, StoreConfiguration>
  /** Names of {@link Configuration.stores}; only a confirmed absence moves on to the next. */
  readonly readOrder: readonly string[]
  readonly selectedBy: SelectedBy
  /** LiteLLM's settings of the default store by LiteLLM's names, defaults filled in; `null` is "not set". Provider settings stand as they are written. */
  readonly keyManagement: KeyManagementSettings
  readonly masterKey: MasterKeyPlan
  /** Every `os.environ/…` and `secret://…` of the whole file, in the file's order. */
  readonly references: readonly Reference[]
  readonly cache: CacheConfiguration
  /** Who may call beside the master key. */
  readonly access: readonly AccessEntry[]
  /** Whose headers say who calls. */
  readonly trust: Trust
  readonly keyName: KeyNameTemplate
  /** The LLM gateway that is told of every key; absent where none is configured, or nobody asked (see {@link ParseOptions.gateway}). */
  readonly gateway?: GatewayConfiguration
  /** LiteLLM's part of that name as it is written; `aliasPolicy` reads what concerns the aliases of keys. */
  readonly litellmSettings?: unknown
  /** `latchkey.rotation` as it is written; read by whoever changes keys. */
  readonly rotation?: unknown
  readonly warnings: readonly Warning[]
}

/** What the meaning of a file depends on beside the file. */
export interface ParseOptions {
  readonly env: Env
  /** Whether only this machine can reach us: a weak master key is then a warning, elsewhere an issue. */
  readonly loopback: boolean
  /** Systems that a registry has beside the ones known here, so that a new provider needs no line in core. */
  readonly systems?: readonly string[]
  /** `readGateway`, for whoever changes keys or checks the whole file. A function that only reads secrets does without: it has no gateway, and does not load what describes one. */
  readonly gateway?: GatewayReader
  /** Holds the `fields` of grants to those that there are. Default: they are believed; only the read function does so. */
  readonly checkFields?: FieldCheck
  /** `identities`, for whoever may be given a file with callers that a platform proves. Without it such entries are issues: nobody is let in by what was not read. */
  readonly identities?: IdentityReader
}

/** A configuration, and its warnings once more for whoever prints them before anything is opened. */
export interface Parsed {
  readonly configuration: Configuration
  readonly warnings: readonly Warning[]
}

/**
 * Reads LiteLLM's file, already parsed into objects. `undefined` means that there is no file: the built-in configuration of `npm start`.
 * @throws misconfigured with every issue of the file and its path
 */
export const parseConfiguration = (input: unknown, { env, loopback, systems = [], gateway: readGateway, checkFields, identities }: ParseOptions): Parsed => {
  const findings: Findings = { issues: [], warnings: [], systems }
  const file = mappingOf(input, 'the file', findings)
  const general = mappingOf(file['general_settings'], 'general_settings', findings)
  const section = mappingOf(file['latchkey'], 'latchkey', findings)
  checkPlaces(file, general, findings)

  const { store, selectedBy, keyManagement } = input === undefined ? builtInStore() : readDefaultStore(general, section['default_store'], env, findings)
  const further = readFurtherStores(section['stores'], store, env, findings)
  const plan = readOrder(input === undefined ? ['default', 'environment'] : section['read_order'], [store, ...further], findings)
  const { cache, access, trust, keyName, issues } = readSection(section, env, checkFields, identities)
  const { references, ...found } = collectReferences(file, plan)
  const masterKey = ownMasterKey(general, plan, references, loopback, findings)
  const gateway = readGateway?.(section['gateway'], { env, plan, references, own: masterKey }, findings)
  const warnings = [...findings.warnings, ...found.warnings, ...noticeEnvironment(env)]
  refuseIssues([...findings.issues, ...issues, ...found.issues])
  const configuration: Configuration = { ...plan, selectedBy, keyManagement, masterKey, references, cache, access, trust, keyName, litellmSettings: file['litellm_settings'], rotation: section['rotation'], ...(gateway !== undefined && { gateway }), warnings }
  return { configuration, warnings }
}

/** Keys that stand in the wrong place or are misspelt where LiteLLM's own unrelated keys are tolerated: they would be swallowed, and everything with them. */
const checkPlaces = (file: Readonly<Record<string, unknown>>, general: Readonly<Record<string, unknown>>, findings: Findings): void => {
  const misplaced: readonly string[] = ['key_management_system', 'key_management_settings']
  for (const key of misplaced) {
    if (Object.hasOwn(file, key)) findings.warnings.push({ path: key, message: `${key} stands at the top level, where nobody reads it; indent it below general_settings.` })
  }
  const chosen = [...Object.keys(systemChoice), 'key_management_settings', 'master_key']
  for (const key of Object.keys(file)) if (!misplaced.includes(key)) noticeSlip('', key, ['general_settings', 'latchkey'], findings)
  for (const key of Object.keys(general)) noticeSlip('general_settings', key, chosen, findings)
}

const noticeSlip = (place: string, key: string, known: readonly string[], findings: Findings): void => {
  const near = known.includes(key) ? undefined : nearest(key, known)
  if (near === undefined) return
  const { path } = unknownKey(place, key, known)
  findings.warnings.push({ path, message: `${path} is ignored; did you mean ${near}?` })
}

/** LiteLLM's order: the setting, literal or a reference, else the name LITELLM_MASTER_KEY. */
const ownMasterKey = (general: Readonly<Record<string, unknown>>, plan: ReadPlan, references: readonly Reference[], loopback: boolean, findings: Findings): MasterKeyPlan => {
  const { master_key: given } = take(readSettings(gatewaySettings, general, { path: 'general_settings', foreign: Object.keys(general) }), findings)
  if (given === undefined) return { kind: 'name', from: 'default name', name: 'LITELLM_MASTER_KEY', ...lookUp(plan, 'LITELLM_MASTER_KEY') }
  return planMasterKey(given, 'general_settings.master_key', plan, references, loopback, findings)
}

const noticeEnvironment = (env: Env): readonly Warning[] =>
  env.get('USE_AWS_KMS')?.trim().toLowerCase() === 'true'
    ? [{ path: 'USE_AWS_KMS', message: "USE_AWS_KMS is set, but LiteLLM's KMS V2 is not built: variables named LITELLM_SECRET_AWS_KMS_… stay encrypted." }]
    : []
