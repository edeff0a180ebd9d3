// One line a provider: LiteLLM's name of the system, and how its file is loaded. Lazy, so that a function loads its own provider and no other.
// A bundle may hold some of them only; what it does not hold is refused when it is opened, with what there is.
import type { EntrySettings } from '../core/configuration/stores.ts'
import type { StoreConfiguration } from '../core/configuration.ts'
import type { Origin, SecretProvider } from '../core/provider.ts'
import type { ProviderIo } from '../core/runtime.ts'
import type { Setting } from '../core/settings.ts'
import { plainSettings } from '../core/settings/plain.ts'

/** A provider's file as the registry sees it: whatever its settings are, only its own table makes them. */
export interface AnyProvider {
  readonly name: string
  readonly title: string
  readonly settings: Readonly<Record<string, Setting>>
  open(settings: never, io: ProviderIo, origin: Origin): Promise<SecretProvider>
}

/** System → file. Tests and bundles may bring their own. */
export type Registry = Readonly<Record<string, () => Promise<AnyProvider>>>

/** The providers that are built. */
export const registry: Registry = {
  memory: () => import('./memory.ts').then((file) => file.memory),
  environment: () => import('./environment.ts').then((file) => file.environment),
  embedded: () => import('./embedded.ts').then((file) => file.embedded),
  aws_secret_manager: () => import('./aws-secrets-manager.ts').then((file) => file.awsSecretsManager),
  aws_kms: () => import('./aws-kms.ts').then((file) => file.awsKms),
  azure_key_vault: () => import('./azure-key-vault.ts').then((file) => file.azureKeyVault),
  google_secret_manager: () => import('./google-secret-manager.ts').then((file) => file.googleSecretManager),
  google_kms: () => import('./google-kms.ts').then((file) => file.googleKms),
  hashicorp_vault: () => import('./hashicorp-vault.ts').then((file) => file.hashicorpVault),
  cyberark: () => import('./cyberark.ts').then((file) => file.cyberark),
  infisical: () => import('./infisical.ts').then((file) => file.infisical),
  custom: () => import('./custom.ts').then((file) => file.custom),
}

/** Loads one provider's file. @throws misconfigured when there is none for the system */
export const loadProvider = async (system: string, path = 'key_management_system', from: Registry = registry): Promise<AnyProvider> => {
  const name = system === 'local' ? 'environment' : system
  const load = Object.hasOwn(from, name) ? from[name] : undefined
  if (load !== undefined) return load()
  throw (await import('../core/errors/nearest.ts')).unknownSystem(name, Object.keys(from), path)
}

/** The settings of a store that no provider's table has, so that a slip in one of them is told by its right name. */
const storeSettings: Readonly<Record<keyof EntrySettings, true>> = { system: true, access_mode: true, hosted_keys: true, primary_secret_name: true, fallback: true }

/** Loads a store's provider, reads its settings by the provider's own table, and opens it; makes no network call. @throws misconfigured with every issue of the store's settings */
export const openProvider = async (store: StoreConfiguration, io: ProviderIo, from: Registry = registry): Promise<SecretProvider> => {
  const provider = await loadProvider(store.system, store.path, from)
  const foreign = Object.keys(storeSettings).filter((name) => !Object.hasOwn(store.settings, name))
  const settings = plainSettings(provider.settings, store.settings, { env: io.env, foreign }) ?? (await import('../core/settings.ts')).requireSettings(provider.settings, store.settings, { path: store.path, env: io.env, foreign })
  return provider.open(settings as never, io, { kind: 'operator' })
}
