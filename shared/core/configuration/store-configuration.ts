// One store before it is opened: its system, its policy, what is left for the provider's own table, and the rules that every store's settings obey.
import { LatchkeyError, type Issue } from '../errors.ts'
import { nearest } from '../errors/nearest.ts'
import { hostedName } from '../names.ts'
import { parsePrefix } from '../names/created.ts'
import { slugHashCodec } from '../names/slug-hash.ts'
import { defaultsOf } from '../settings.ts'
import { isMapping } from '../settings/mapping.ts'
import type { SettledSettings } from '../settings/settled.ts'
import { unprintable } from '../settings/unprintable.ts'
import { policySettings, type AccessMode, type PolicySettings } from './litellm-settings.ts'
import { ciphertextSystems } from '../stores/ciphertext-systems.ts'
import { systems } from './systems.ts'

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
  /** Of a deployed function: what the build made of the table for these settings. */
  readonly settled?: SettledSettings
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

/** An object of a file. */
export type Mapping = Readonly<Record<string, unknown>>

/** Where problems go while a file is read; nothing stops at the first. */
export interface Findings {
  readonly issues: Issue[]
  readonly warnings: Issue[]
  /** Systems that may be named beside the ones known here. */
  readonly systems?: readonly string[]
}

/** LiteLLM's name of a system as the registry has it. */
export const canonical = (system: string): string => (system === 'local' ? 'environment' : system)

/** Whether a file may name this system, built or not. */
export const checkSystem = (system: string, path: string, findings: Findings): boolean => {
  if (Object.hasOwn(systems, system) || findings.systems?.includes(system) === true) return true
  const near = nearest(system, [...Object.keys(systems), ...(findings.systems ?? [])])
  findings.issues.push({ path, message: `names no known system (Invalid Key Management System selected); ${near === undefined ? `known are ${Object.keys(systems).join(', ')}` : `did you mean ${near}?`}` })
  return false
}

/** What a store's settings say, defaults filled in. */
export type Policy = PolicySettings & { readonly fallback?: 'environment' }

/** A store of a policy, and everything in the policy that a name rule or a combination speaks against. */
export const makeStore = (name: string, path: string, system: string, settings: Mapping, policy: Policy, written: (key: string) => string | undefined, findings: Findings): StoreConfiguration => {
  const { hosted_keys: hosted, primary_secret_name: primary, description, tags } = policy
  const at = (key: string): string => written(key) ?? `${path}.${key}`
  if (hosted !== null) checkHosted(hosted, at('hosted_keys'), systems[system]?.foldsNames === true, findings)
  if (primary === '') findings.issues.push({ path: at('primary_secret_name'), message: 'must not be empty; leave it out if there is no such secret' })
  for (const key of Object.keys(tags ?? {})) {
    if (/^(?:managed-by|latchkey-.*)$/i.test(key)) findings.issues.push({ path: `${at('tags')}.${key}`, message: 'is a tag of Latchkey\'s own (managed-by, latchkey-*); choose another name' })
  }
  if (ciphertextSystems.has(system) && policy.fallback !== undefined) findings.issues.push({ path: at('fallback'), message: `must be left out under ${system}: the environment holds the ciphertext, which is no answer` })
  checkCombinations(policy, written, findings)
  return {
    name, system, path,
    settings: unprintable(settings),
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
  const say = (when: boolean, keys: readonly string[], what: string): void => {
    for (const key of when ? keys : []) {
      const path = written(key)
      if (path !== undefined) findings.warnings.push({ path, message: `${key} ${what}` })
    }
  }
  const { access_mode: mode, store_virtual_keys: stores, prefix_for_stored_virtual_keys: prefix } = policy
  say(mode === 'write_only', ['hosted_keys', 'primary_secret_name'], 'is idle: under access_mode write_only nothing is read from the manager.')
  say(!stores, ['prefix_for_stored_virtual_keys', 'description', 'tags'], 'is idle: without store_virtual_keys: true no virtual key is stored.')
  say(stores && /^\/?$/.test(prefix), ['prefix_for_stored_virtual_keys'], 'is empty: every name that is not hosted counts as a key.')
  say(stores && mode === 'read_only', ['access_mode'], 'read_only does not stop store_virtual_keys: virtual keys are still written; say read_and_write if that is meant.')
}

/** LiteLLM's defaults. */
export const policyDefaults: PolicySettings = defaultsOf(policySettings)

/** An object with keys; nothing is an empty one, anything else is an issue. */
export const mappingOf = (value: unknown, path: string, findings: Findings): Mapping => {
  if (value === undefined || value === null) return {}
  if (isMapping(value)) return value
  findings.issues.push({ path, message: 'must be a mapping of settings' })
  return {}
}

/** The settings of a reading; its issues go to the others. */
export const take = <S>(reading: { readonly settings: S; readonly issues: readonly Issue[] }, findings: Findings): S => {
  findings.issues.push(...reading.issues)
  return reading.settings
}

/** The keys of an entry that are no policy: the provider's own. */
export const restOf = (entry: Mapping, table: object): Mapping => Object.fromEntries(Object.entries(entry).filter(([key]) => !Object.hasOwn(table, key)))
