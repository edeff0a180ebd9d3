// The stores of a configuration: which system each has, what its policy is, and what is left for the provider's own table.
import type { AccessMode } from './litellm-settings.ts'

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
