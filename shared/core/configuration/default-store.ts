// The store `default`: LiteLLM's settings, and `latchkey.default_store` laid over them for what LiteLLM has no word for.
import { nearest } from '../errors/nearest.ts'
import type { Env } from '../runtime.ts'
import { defaultsOf, readSettings, unknownKey, type SettingsTable } from '../settings.ts'
import { appliesTo, policySettings, systemChoice, systemSettings, type KeyManagementSettings, type PolicySettings, type SystemSettings } from './litellm-settings.ts'
import { systems } from './systems.ts'
import { canonical, checkSystem, makeStore, mappingOf, policyDefaults, restOf, take, type Findings, type Mapping, type Policy, type SelectedBy, type StoreConfiguration } from './store-configuration.ts'
import { storeEntrySettings, type EntrySettings } from './stores.ts'

const settingsPath = 'general_settings.key_management_settings'
const entryPath = 'latchkey.default_store'

type DefaultEntrySettings = EntrySettings & Partial<Pick<PolicySettings, 'store_virtual_keys' | 'prefix_for_stored_virtual_keys' | 'description' | 'tags'>>

/** `latchkey.default_store`: an entry that may say all that key_management_settings may. */
export const defaultStoreSettings: SettingsTable<DefaultEntrySettings> = {
  ...storeEntrySettings,
  store_virtual_keys: { type: 'boolean', text: policySettings.store_virtual_keys.text },
  prefix_for_stored_virtual_keys: { type: 'string', notNull: true, text: policySettings.prefix_for_stored_virtual_keys.text },
  description: policySettings.description,
  tags: policySettings.tags,
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
  if (first?.by === 'key_management_system' && systems[first.system]?.inLiteLLM !== true) {
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

const checkTwice = (given: Mapping, entry: Mapping, findings: Findings): void => {
  for (const [key, value] of Object.entries(entry)) {
    const other = given[key]
    if (other !== undefined && other !== null && JSON.stringify(other) !== JSON.stringify(value)) {
      findings.issues.push({ path: `${entryPath}.${key}`, message: `says something else than ${settingsPath}.${key}; keep one of the two` })
    }
  }
}

const noSystemSettings: SystemSettings = defaultsOf(systemSettings)

interface DefaultStore {
  readonly store: StoreConfiguration
  readonly selectedBy: SelectedBy
  readonly keyManagement: KeyManagementSettings
}

/** The store of `npm start` without a file. */
export const builtInStore = (): DefaultStore => {
  const policy: Policy = { ...policyDefaults, store_virtual_keys: true, access_mode: 'read_and_write' }
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
  const keyManagement: KeyManagementSettings = { ...policyDefaults, ...noSystemSettings, ...policy, ...own }
  const fallsBack = fallback === undefined ? {} : { fallback }
  checkUnknown(given, findings)
  checkTwice(given, entry, findings)
  const ofSystem = readSystemSettings(given, system, findings)
  if (by === 'none') {
    if (Object.keys(given).length > 0) findings.warnings.push({ path: settingsPath, message: 'key_management_settings is idle without a key_management_system: secrets come from the environment only.' })
    if (Object.keys(entry).length > 0) findings.issues.push({ path: `${entryPath}.system`, message: 'is required; or set general_settings.key_management_system' })
    const store = makeStore('default', 'general_settings', 'environment', {}, policyDefaults, () => undefined, findings)
    return { store, selectedBy: by, keyManagement: { ...keyManagement, ...ofSystem.all } }
  }
  const written = (key: string): string | undefined => ([[entry, entryPath], [given, settingsPath]] as const).filter(([from]) => from[key] !== undefined && from[key] !== null).map(([, path]) => `${path}.${key}`)[0]
  const path = Object.keys(entry).length > 0 ? entryPath : settingsPath
  return {
    store: makeStore('default', path, system ?? 'environment', { ...ofSystem.own, ...restOf(entry, defaultStoreSettings) }, { ...keyManagement, ...fallsBack }, written, findings),
    selectedBy: by,
    keyManagement: { ...keyManagement, ...ofSystem.all },
  }
}
