// The further stores of `latchkey.stores`, and the order in which all of them are read.
import { didYouMean } from '../errors/nearest.ts'
import type { Env } from '../runtime.ts'
import { readSettings, type SettingsTable } from '../settings.ts'
import { accessModes, policySettings, type AccessMode } from './litellm-settings.ts'
import { systems } from './systems.ts'
import { canonical, checkSystem, makeStore, mappingOf, policyDefaults, restOf, take, type Findings, type Policy, type StoreConfiguration } from './store-configuration.ts'

/** What every entry may say about its store, beside the provider's own settings. */
export interface EntrySettings {
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
    const policy: Policy = { ...policyDefaults, ...settings, prefix_for_stored_virtual_keys: first.prefix }
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
    else findings.issues.push({ path: `${path}[${index}]`, message: `names a store that is not configured${didYouMean(name, [...stores.keys(), 'environment'])}` })
  })
  return { stores, readOrder: order }
}

const environmentStore = (prefix: string): StoreConfiguration =>
  makeStore('environment', 'latchkey.read_order', 'environment', {}, { ...policyDefaults, prefix_for_stored_virtual_keys: prefix }, () => undefined, { issues: [], warnings: [] })
