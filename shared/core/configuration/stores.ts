// The stores of a configuration: which system each has, what its policy is, and what is left for the provider's own table.
import { LatchkeyError, nearest, type Issue } from '../errors.ts'
import { hostedName, parsePrefix, slugHashCodec } from '../names.ts'
import type { Env } from '../runtime.ts'
import { readSettings, unknownKey, type SettingsTable } from '../settings.ts'
import { isMapping } from './latchkey-section.ts'
import { accessModes, appliesTo, policySettings, systemChoice, systems, systemSettings, type AccessMode, type KeyManagementSettings, type PolicySettings, type SystemSettings } from './litellm-settings.ts'

/** What chose the system of the store `default`. `none`: a file without a system, which is LiteLLM's environment only. `built-in`: there is no file. */
export type SelectedBy = 'key_management_system' | 'use_azure_key_vault' | 'use_google_kms' | 'latchkey.default_store' | 'none' | 'built-in'

/** One store before it is opened. */
export interface StoreConfiguration {
  readonly name: string
  /** The provider's name in the registry; LiteLLM's `local` is `environment`. */
  readonly system: string
  /** Where its settings stand in the file, for issues found at open. */
  readonly path: string
  /** As written, for the provider's own table: references and environment variables are still unresolved. */
  readonly settings: Readonly<Record<string, unknown>>
  readonly accessMode: AccessMode
  /** Absent: every name. Empty: no name. */
  readonly hostedKeys?: readonly string[]
  /** A name, or a full ARN. */
  readonly primarySecretName?: string
  /** Only the store `default` ever holds virtual keys. */
  readonly storeVirtualKeys: boolean
  /** Without a trailing slash; may be empty. Further stores have the default store's, so that its fence holds everywhere. */
  readonly prefix: string
  /** Of every stored virtual key. */
  readonly description?: string
  /** Of every stored virtual key. */
  readonly tags?: Readonly<Record<string, string>>
  /** A failed read is answered from the environment, and the answer says so. Only where the operator wrote `fallback: environment`. */
  readonly fallbackToEnvironment: boolean
}

type Mapping = Readonly<Record<string, unknown>>

/** Where problems go while a file is read; nothing stops at the first. */
export interface Findings {
  readonly issues: Issue[]
  readonly warnings: Issue[]
}

interface EntrySettings {
  readonly system?: string
  readonly access_mode?: AccessMode
  readonly hosted_keys?: readonly string[]
  readonly primary_secret_name?: string
  readonly fallback?: 'environment'
}

/** One entry of `latchkey.stores`, beside the provider's own settings. */
export const storeEntrySettings: SettingsTable<EntrySettings> = {
  system: { type: 'string', text: 'The secret manager, by LiteLLM\'s name.' },
  access_mode: { type: 'string', values: accessModes, text: 'As in key_management_settings. Default: read_only.' },
  hosted_keys: policySettings.hosted_keys,
  primary_secret_name: policySettings.primary_secret_name,
  fallback: { type: 'string', values: ['environment'], text: 'Where a failed read is answered from. Left out: nowhere, the read fails.' },
}

type DefaultEntrySettings = EntrySettings & Partial<Pick<PolicySettings, 'store_virtual_keys' | 'prefix_for_stored_virtual_keys' | 'description' | 'tags'>>

/** `latchkey.default_store`: an entry that may say all that key_management_settings may. */
export const defaultStoreSettings: SettingsTable<DefaultEntrySettings> = {
  ...storeEntrySettings,
  store_virtual_keys: { type: 'boolean', text: policySettings.store_virtual_keys.text },
  prefix_for_stored_virtual_keys: { type: 'string', notNull: true, text: policySettings.prefix_for_stored_virtual_keys.text },
  description: policySettings.description,
  tags: policySettings.tags,
}

const settingsPath = 'general_settings.key_management_settings'
const entryPath = 'latchkey.default_store'

/** LiteLLM's name of a system in the registry. */
const canonical = (system: string): string => (system === 'local' ? 'environment' : system)

const checkSystem = (system: string, path: string, findings: Findings): boolean => {
  if (Object.hasOwn(systems, system)) return true
  const near = nearest(system, Object.keys(systems))
  findings.issues.push({ path, message: `names no known system (Invalid Key Management System selected); ${near === undefined ? `known are ${Object.keys(systems).join(', ')}` : `did you mean ${near}?`}` })
  return false
}

/** Which key chooses the default store's system. Two that agree are one too many; two that differ are an error. */
const chooseSystem = (general: Mapping, entrySystem: string | undefined, env: Env, findings: Findings): { system?: string; by: SelectedBy } => {
  const { settings, issues } = readSettings(systemChoice, general, { path: 'general_settings', env, foreign: Object.keys(general) })
  findings.issues.push(...issues)
  const choices: { by: SelectedBy; path: string; system: string }[] = []
  const named = settings.key_management_system
  if (named !== undefined) choices.push({ by: 'key_management_system', path: 'general_settings.key_management_system', system: named })
  if (settings.use_azure_key_vault === true) choices.push({ by: 'use_azure_key_vault', path: 'general_settings.use_azure_key_vault', system: 'azure_key_vault' })
  if (settings.use_google_kms === true) choices.push({ by: 'use_google_kms', path: 'general_settings.use_google_kms', system: 'google_kms' })
  if (entrySystem !== undefined) choices.push({ by: 'latchkey.default_store', path: `${entryPath}.system`, system: entrySystem })
  const known = choices.filter((choice) => checkSystem(choice.system, choice.path, findings))
  const [first, ...others] = known
  for (const other of others) {
    if (first === undefined) continue
    if (canonical(other.system) !== canonical(first.system)) {
      findings.issues.push({ path: other.path, message: `chooses ${other.system}, but ${first.path} chooses ${first.system}; keep one of the two` })
    } else if (other.by !== 'latchkey.default_store') {
      findings.warnings.push({ path: other.path, message: `${other.by} is the older form of what ${first.by} already says; take it out.` })
    }
  }
  if (first?.by === 'key_management_system' && systems[first.system]?.inLiteLLM === false) {
    findings.warnings.push({ path: first.path, message: `LiteLLM refuses key_management_system: ${first.system}; if LiteLLM reads this file too, write latchkey.default_store: { system: ${first.system} } instead.` })
  }
  return first === undefined ? { by: choices[0]?.by ?? 'none' } : { system: canonical(first.system), by: first.by }
}

/** Unknown keys of key_management_settings: LiteLLM ignores them, so only one that looks like a slip of the pen is refused. */
const checkUnknown = (given: Mapping, findings: Findings): void => {
  const known = [...Object.keys(policySettings), ...Object.keys(systemSettings)]
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue
    const issue = unknownKey(settingsPath, key, known)
    if (nearest(key, known) !== undefined) findings.issues.push(issue)
    else findings.warnings.push({ path: issue.path, message: `${issue.path.slice(settingsPath.length + 1)} is no setting of LiteLLM's key_management_settings and is ignored; settings of other systems stand under latchkey.default_store.` })
  }
}

/** The settings of one system: their types, and whose they are. */
const readSystemSettings = (given: Mapping, system: string | undefined, findings: Findings): { all: Partial<SystemSettings>; own: Mapping } => {
  const { settings, issues } = readSettings(systemSettings, given, { path: settingsPath, foreign: Object.keys(given) })
  findings.issues.push(...issues)
  const own: [string, unknown][] = []
  for (const [key, value] of Object.entries(settings)) {
    const readers = appliesTo[key as keyof SystemSettings]
    if (system !== undefined && readers.includes(system)) own.push([key, value])
    else if (system !== undefined) findings.warnings.push({ path: `${settingsPath}.${key}`, message: `${key} is idle: ${system} does not read it, only ${readers.join(' and ')} ${readers.length === 1 ? 'does' : 'do'}.` })
  }
  return { all: settings, own: Object.fromEntries(own) }
}

/** The keys of an entry that are no policy: the provider's own. */
const restOf = (entry: Mapping, table: object): Mapping => Object.fromEntries(Object.entries(entry).filter(([key]) => !Object.hasOwn(table, key)))

const checkTwice = (given: Mapping, entry: Mapping, findings: Findings): void => {
  for (const [key, value] of Object.entries(entry)) {
    const other = given[key]
    if (other !== undefined && other !== null && JSON.stringify(other) !== JSON.stringify(value)) {
      findings.issues.push({ path: `${entryPath}.${key}`, message: `says something else than ${settingsPath}.${key}; keep one of the two` })
    }
  }
}

type Policy = PolicySettings & Pick<EntrySettings, 'fallback'>

/** A store of a policy, and everything in the policy that a name rule or a combination speaks against. */
const makeStore = (name: string, path: string, system: string, settings: Mapping, policy: Policy, written: (key: string) => string | undefined, findings: Findings): StoreConfiguration => {
  const { hosted_keys: hosted, primary_secret_name: primary, description, tags } = policy
  const at = (key: string): string => written(key) ?? `${path}.${key}`
  if (hosted !== null) checkHosted(hosted, at('hosted_keys'), systems[system]?.foldsNames === true, findings)
  if (primary === '') findings.issues.push({ path: at('primary_secret_name'), message: 'must not be empty; leave it out if there is no such secret' })
  for (const key of Object.keys(tags ?? {})) {
    if (/^(?:managed-by|latchkey-.*)$/i.test(key)) findings.issues.push({ path: `${at('tags')}.${key}`, message: 'is a tag of Latchkey\'s own (managed-by, latchkey-*); choose another name' })
  }
  checkCombinations(policy, written, findings)
  return {
    name, system, path, settings,
    accessMode: policy.access_mode,
    ...(hosted === null ? {} : { hostedKeys: hosted }),
    ...(primary === null ? {} : { primarySecretName: primary }),
    storeVirtualKeys: policy.store_virtual_keys,
    prefix: readPrefix(policy.prefix_for_stored_virtual_keys, at('prefix_for_stored_virtual_keys'), findings),
    ...(description === null ? {} : { description }),
    ...(tags === null ? {} : { tags }),
    fallbackToEnvironment: policy.fallback === 'environment',
  }
}

const readPrefix = (text: string, path: string, findings: Findings): string => attempt(() => parsePrefix(text, path), path, findings) ?? ''

const attempt = <T>(read: () => T, path: string, findings: Findings): T | undefined => {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof LatchkeyError)) throw error
    findings.issues.push({ path, message: error.details.issues?.[0]?.message ?? error.message })
    return undefined
  }
}

const checkHosted = (hosted: readonly string[], path: string, folds: boolean, findings: Findings): void => {
  const seen = new Map<string, number>()
  hosted.forEach((name, index) => {
    const at = `${path}[${index}]`
    if (name.startsWith('os.environ/')) {
      findings.issues.push({ path: at, message: 'must be the bare name, without os.environ/' })
      return
    }
    const parsed = attempt(() => hostedName(name, at), at, findings)
    if (!folds || parsed === undefined) return
    const native = attempt(() => slugHashCodec.encode(parsed).toLowerCase(), at, findings)
    const first = native === undefined ? undefined : seen.get(native)
    if (first !== undefined && hosted[first] !== name) findings.issues.push({ path: at, message: `is the same secret as ${path}[${first}] in Azure Key Vault, which knows neither case nor _ beside -; keep one of the two` })
    else if (native !== undefined) seen.set(native, index)
  })
}

/** Combinations that LiteLLM swallows without a word. */
const checkCombinations = (policy: Policy, written: (key: string) => string | undefined, findings: Findings): void => {
  const idle = (keys: readonly string[], why: string): void => {
    for (const key of keys) {
      const path = written(key)
      if (path !== undefined) findings.warnings.push({ path, message: `${key} is idle: ${why}` })
    }
  }
  if (policy.access_mode === 'write_only') idle(['hosted_keys', 'primary_secret_name'], 'under access_mode write_only nothing is read from the manager.')
  if (!policy.store_virtual_keys) idle(['prefix_for_stored_virtual_keys', 'description', 'tags'], 'without store_virtual_keys: true no virtual key is stored.')
  const mode = written('access_mode')
  if (policy.store_virtual_keys && policy.access_mode === 'read_only' && mode !== undefined) {
    findings.warnings.push({ path: mode, message: 'access_mode read_only does not stop store_virtual_keys: virtual keys are still written; say read_and_write if that is meant.' })
  }
}

const defaults: PolicySettings = {
  hosted_keys: null, store_virtual_keys: false, prefix_for_stored_virtual_keys: 'litellm/', access_mode: 'read_only', primary_secret_name: null, description: null, tags: null,
}

const noSystemSettings: SystemSettings = {
  aws_region_name: null, aws_role_name: null, aws_session_name: null, aws_external_id: null, aws_profile_name: null, aws_web_identity_token: null, aws_sts_endpoint: null,
  replica_regions: null, kms_key_id: null, custom_secret_manager: null,
}

interface DefaultStore {
  readonly store: StoreConfiguration
  readonly selectedBy: SelectedBy
  readonly keyManagement: KeyManagementSettings
}

/** The store of `npm start` without a file. */
export const builtInStore = (): DefaultStore => {
  const policy: Policy = { ...defaults, store_virtual_keys: true, access_mode: 'read_and_write' }
  const store = makeStore('default', 'built-in', 'embedded', {}, policy, () => undefined, { issues: [], warnings: [] })
  return { store, selectedBy: 'built-in', keyManagement: { ...policy, ...noSystemSettings } }
}

/** The store that LiteLLM's settings, and `latchkey.default_store` beside them, describe. */
export const readDefaultStore = (general: Mapping, givenEntry: unknown, env: Env, findings: Findings): DefaultStore => {
  const entry = mappingOf(givenEntry, entryPath, findings)
  const given = mappingOf(general['key_management_settings'], settingsPath, findings)
  const { system: entrySystem, fallback, ...own } = take(readSettings(defaultStoreSettings, entry, { path: entryPath, env, foreign: Object.keys(entry) }), findings)
  const { system, by } = chooseSystem(general, entrySystem, env, findings)
  const policy = take(readSettings(policySettings, given, { path: settingsPath, env, foreign: Object.keys(given) }), findings)
  const keyManagement: KeyManagementSettings & Policy = { ...defaults, ...noSystemSettings, ...policy, ...own, ...(fallback === undefined ? {} : { fallback }) }
  checkUnknown(given, findings)
  checkTwice(given, entry, findings)
  const ofSystem = readSystemSettings(given, system, findings)
  if (system === undefined) {
    if (by === 'none' && Object.keys(given).length > 0) findings.warnings.push({ path: settingsPath, message: 'key_management_settings is idle without a key_management_system: secrets come from the environment only.' })
    if (by === 'none' && Object.keys(entry).length > 0) findings.issues.push({ path: `${entryPath}.system`, message: 'is required; or set general_settings.key_management_system' })
    const store = makeStore('default', 'general_settings', 'environment', {}, defaults, () => undefined, findings)
    return { store, selectedBy: by, keyManagement: { ...keyManagement, ...ofSystem.all } }
  }
  const written = (key: string): string | undefined => ([[entry, entryPath], [given, settingsPath]] as const).filter(([from]) => from[key] !== undefined && from[key] !== null).map(([, path]) => `${path}.${key}`)[0]
  const path = Object.keys(entry).length > 0 ? entryPath : settingsPath
  const { fallback: _, ...shown } = keyManagement
  return {
    store: makeStore('default', path, system, { ...ofSystem.own, ...restOf(entry, defaultStoreSettings) }, keyManagement, written, findings),
    selectedBy: by,
    keyManagement: { ...shown, ...ofSystem.all },
  }
}

const take = <S>(reading: { readonly settings: S; readonly issues: readonly Issue[] }, findings: Findings): S => {
  findings.issues.push(...reading.issues)
  return reading.settings
}

/** An object with keys; nothing is an empty one, anything else is an issue. */
export const mappingOf = (value: unknown, path: string, findings: Findings): Mapping => {
  if (value === undefined || value === null) return {}
  if (isMapping(value)) return value
  findings.issues.push({ path, message: 'must be a mapping of settings' })
  return {}
}

/** The further stores of `latchkey.stores`. They read and write secrets as their access mode says; virtual keys are the default store's alone. */
export const readFurtherStores = (given: unknown, first: StoreConfiguration, env: Env, findings: Findings): readonly StoreConfiguration[] =>
  Object.entries(mappingOf(given, 'latchkey.stores', findings)).flatMap(([name, value]) => {
    const path = `latchkey.stores.${/^[\w-]{1,64}$/.test(name) ? name : '(a name that no store can have)'}`
    if (!/^[A-Za-z0-9][\w-]{0,63}$/.test(name)) findings.issues.push({ path, message: 'must be 1 to 64 of A-Z a-z 0-9 _ - and begin with a letter or digit' })
    if (name === 'default') findings.issues.push({ path, message: 'is the store of key_management_system; describe it in latchkey.default_store' })
    const entry = mappingOf(value, path, findings)
    const settings = take(readSettings(storeEntrySettings, entry, { path, env, foreign: Object.keys(entry) }), findings)
    const system = canonical(settings.system ?? '')
    if (settings.system === undefined) findings.issues.push({ path: `${path}.system`, message: `is required; known are ${Object.keys(systems).join(', ')}` })
    else if (!checkSystem(settings.system, `${path}.system`, findings)) return []
    else if (name === 'environment' && system !== 'environment') findings.issues.push({ path: `${path}.system`, message: 'must be environment in a store of this name; name the store otherwise' })
    const policy: Policy = { ...defaults, ...settings, prefix_for_stored_virtual_keys: first.prefix }
    const written = (key: string): string | undefined => (entry[key] === undefined || entry[key] === null ? undefined : `${path}.${key}`)
    return [makeStore(name, path, system, restOf(entry, storeEntrySettings), policy, written, findings)]
  })

/** The order of reading, and the stores it needs: `environment` is there as soon as it is named. */
export const readOrder = (given: unknown, configured: readonly StoreConfiguration[], findings: Findings): { stores: ReadonlyMap<string, StoreConfiguration>; readOrder: readonly string[] } => {
  const stores = new Map(configured.map((store) => [store.name, store]))
  const path = 'latchkey.read_order'
  if (given !== undefined && given !== null && (!Array.isArray(given) || given.length === 0 || given.some((name) => typeof name !== 'string'))) {
    findings.issues.push({ path, message: 'must be a list of store names' })
    return { stores, readOrder: ['default'] }
  }
  const order = (given ?? ['default']) as readonly string[]
  order.forEach((name, index) => {
    if (order.indexOf(name) !== index) findings.issues.push({ path: `${path}[${index}]`, message: 'names a store that stands before it already' })
    if (stores.has(name)) return
    if (name === 'environment') stores.set(name, environmentStore(stores.get('default')?.prefix ?? ''))
    else {
      const near = nearest(name, [...stores.keys(), 'environment'])
      findings.issues.push({ path: `${path}[${index}]`, message: `names a store that is not configured${near === undefined ? '' : `; did you mean ${near}?`}` })
    }
  })
  return { stores, readOrder: order }
}

const environmentStore = (prefix: string): StoreConfiguration =>
  makeStore('environment', 'latchkey.read_order', 'environment', {}, { ...defaults, prefix_for_stored_virtual_keys: prefix }, () => undefined, { issues: [], warnings: [] })
