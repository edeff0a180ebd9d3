// A configuration as the rest of the house sees it, and the one function that makes it of LiteLLM's file. Pure on objects: it parses no YAML and opens
// nothing; it reports every problem at once, because a person mends a file once, not ten times.
import type { AccessEntry, CacheConfiguration, KeyNameTemplate } from './configuration/latchkey-section.ts'
import type { KeyManagementSettings } from './configuration/litellm-settings.ts'
import type { MasterKeyPlan, Reference } from './configuration/references.ts'
import type { SelectedBy, StoreConfiguration } from './configuration/stores.ts'
import type { Env } from './runtime.ts'

export type { AccessEntry, CacheConfiguration, Grant, KeyNameTemplate } from './configuration/latchkey-section.ts'
export type { AccessMode, KeyManagementSettings } from './configuration/litellm-settings.ts'
export type { MasterKeyPlan, Reference, Source } from './configuration/references.ts'
export type { SelectedBy, StoreConfiguration } from './configuration/stores.ts'

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
  readonly keyName: KeyNameTemplate
  readonly warnings: readonly Warning[]
}

export interface ParseOptions {
  readonly env: Env
  /** Whether only this machine can reach us: a weak master key is then a warning, elsewhere an issue. */
  readonly loopback: boolean
}

export interface Parsed {
  readonly configuration: Configuration
  readonly warnings: readonly Warning[]
}

/**
 * Reads LiteLLM's file, already parsed into objects. `undefined` means that there is no file: the built-in configuration of `npm start`.
 * @throws misconfigured with every issue of the file and its path
 */
export const parseConfiguration = (_input: unknown, _options: ParseOptions): Parsed => {
  throw new Error('follows')
}
