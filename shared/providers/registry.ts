// One line a provider: LiteLLM's name of the system, and how its file is loaded. Lazy, so that a function loads its own provider and no other.
// A bundle may hold some of them only; what it does not hold is refused when it is opened, with what there is.
import type { StoreConfiguration } from '../core/configuration.ts'
import type { Origin, SecretProvider } from '../core/provider.ts'
import type { ProviderIo } from '../core/runtime.ts'
import type { Setting } from '../core/settings.ts'
import { settledSettings } from '../core/settings/settled.ts'

type Table = Readonly<Record<string, Setting>>

/** A provider's file as the registry sees it: whatever its settings are, only its own table makes them. */
interface ProviderFile<Settings = Table | (() => Promise<Table>)> {
  readonly name: string
  readonly title: string
  readonly settings: Settings
  open(settings: never, io: ProviderIo, origin: Origin): Promise<SecretProvider>
}

/** A provider with its table. */
export type AnyProvider = ProviderFile<Table>

/** System → file. Tests and bundles may bring their own. */
export type Registry = Readonly<Record<string, () => Promise<ProviderFile>>>

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

const loadFile = async (system: string, path: string, from: Registry): Promise<ProviderFile> => {
  const name = system === 'local' ? 'environment' : system
  const load = Object.hasOwn(from, name) ? from[name] : undefined
  if (load !== undefined) return load()
  throw (await import('../core/errors/nearest.ts')).unknownSystem(name, Object.keys(from), path)
}

const tableOf = async ({ settings }: ProviderFile): Promise<Table> => (typeof settings === 'function' ? settings() : settings)

/** Loads one provider's file, with its table. @throws misconfigured when there is none for the system */
export const loadProvider = async (system: string, path = 'key_management_system', from: Registry = registry): Promise<AnyProvider> => {
  const file = await loadFile(system, path, from)
  return { ...file, settings: await tableOf(file) }
}

/** Loads a store's provider, takes its settings as the build settled them, else by the provider's own table, and opens it; makes no network call. @throws misconfigured with every issue of the store's settings */
export const openProvider = async (store: StoreConfiguration, io: ProviderIo, from: Registry = registry): Promise<SecretProvider> => {
  const file = await loadFile(store.system, store.path, from)
  const settled = store.settled && settledSettings(store.settled, store.settings, io.env)
  const settings = settled ?? (await import('../core/settings/store-settings.ts')).storeSettings(await tableOf(file), store, io.env)
  return file.open(settings as never, io, { kind: 'operator' })
}
