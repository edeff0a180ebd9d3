// The composition root: a configuration and the ports in, a running Latchkey out. The only file that knows everything, and the only one that opens.
import { SecretCache } from './core/cache.ts'
import type { Configuration, MasterKeyPlan, StoreConfiguration } from './core/configuration.ts'
import { isCode, type LatchkeyError } from './core/errors.ts'
import type { ReferenceSource } from './core/stores/reference-sources.ts'
import type { AccessPolicy } from './core/policy.ts'
import { ciphertextSystems } from './core/stores/ciphertext-systems.ts'
import type { OwnValues } from './core/stores/own-values.ts'
import { createReader, type Reader } from './core/stores/reading.ts'
import type { Call, Runtime } from './core/runtime.ts'
import type { SecretRef, SecretValue } from './core/secret.ts'
import { SecretStore } from './core/store.ts'
import type { KeyLifecycle } from './core/key-lifecycle.ts'
import type { Rotator } from './core/rotation/rotator.ts'
import { createApp } from './http/app.ts'
import { createAuthenticator } from './http/auth.ts'
import type { App, Route } from './http/api.ts'
import { openProvider } from './providers/registry.ts'
import type { OpenedKeys } from './virtual-keys.ts'

/** The version of this Latchkey, as `GET /health` says it. */
export const latchkeyVersion = '0.1.0'

export type { ReferenceSource } from './core/stores/reference-sources.ts'

/** A running Latchkey: the application, its stores, and what a program that imports it may ask. */
export interface Latchkey {
  /** Answers one request; never throws. Without routes there is none, and every request is `not_found`. */
  readonly app: App
  readonly stores: ReadonlyMap<string, SecretStore>
  readonly reader: Reader
  /**
   * One secret, for a program that imports Latchkey: a name, `os.environ/NAME`, `secret://store/name?version=&property=`, or a ref.
   * Unlike over HTTP, a name that `hosted_keys` leaves out, or any name under `write_only`, comes from the environment, as in LiteLLM.
   * A `default` is the answer where the secret is confirmed absent; a refusal or a failure is never answered with it.
   * @throws not_found, provider_denied, provider_unavailable and every other failure; never an empty value for an absent secret
   */
  read(ref: string | SecretRef, how?: Partial<Call> & { readonly default?: string }): Promise<SecretValue>
  /** The virtual keys of the default store. */
  keys(): Promise<KeyLifecycle>
  /** What takes the rotation events of every cloud. */
  rotator(): Promise<Rotator>
  /** The master key, or nothing where none is configured. @throws the failure of the store that should hold it */
  masterKey(call: Call): Promise<SecretValue | undefined>
  /** Every reference of the configuration with where it is held; asks the stores. */
  references(call: Call): Promise<readonly ReferenceSource[]>
  close(): Promise<void>
}

/** How to open. */
export interface OpenOptions {
  /** What the application answers. Default: nothing. */
  readonly routes?: readonly Route[]
  /** Whether cached values are refreshed beside an answer. Not where nothing runs between requests: the first read after the TTL waits there. Default: true. */
  readonly refreshBeside?: boolean
}

/** Opens every configured store without a network call and composes the application. @throws misconfigured with every issue of the stores' settings, or of the rule for aliases */
export const openLatchkey = async (configuration: Configuration, runtime: Runtime, options: OpenOptions = {}): Promise<Latchkey> => {
  const { clock, random } = runtime
  const cache = new SecretCache(clock, { ...limitsOf(configuration), refreshBeside: options.refreshBeside !== false })
  const open = async (store: StoreConfiguration): Promise<SecretStore> =>
    new SecretStore({ name: store.name, system: store.system, provider: await openProvider(store, runtime), policy: policyOf(store), cache, clock, random })

  const masterSecrets = masterSecretsOf(configuration)
  const fence = async (store?: StoreConfiguration): Promise<StoreConfiguration> => {
    const { fenced, plainEnvironment } = await import('./core/stores/environment-fence.ts')
    return fenced(store ?? plainEnvironment, configuration, masterSecrets)
  }
  const configured = [...configuration.stores.values()]
  const stores = await openAll(configured, async (store) => open(isVariables(store) ? await fence(store) : store))
  const fallback = new Set(configured.filter((store) => store.fallbackToEnvironment).map((store) => store.name))
  const environment = [...stores.values()].find((store) => store.system === 'environment') ?? (fallback.size > 0 ? await open(await fence()) : undefined)
  const reader = createReader({ stores, order: configuration.readOrder, fallback, ...(environment === undefined ? {} : { environment }) })
  const main = reader.store('default')
  let values: Promise<OwnValues> | undefined
  /** Loaded by the first who asks for one: a caller with the master key, the start's report, a program that imports Latchkey. */
  const ownValues = (): Promise<OwnValues> => (values ??= import('./core/stores/own-values.ts').then(({ openOwnValues }) => openOwnValues({ configuration, reader, open, clock })))
  const keyOf = async (plan: MasterKeyPlan, call: Call): Promise<SecretValue | undefined> => (await ownValues()).keyOf(plan, call)
  const masterKey = (call: Call): Promise<SecretValue | undefined> => keyOf(configuration.masterKey, call)

  let opened: Promise<OpenedKeys> | undefined
  const ownKeys = (): Promise<OpenedKeys> => (opened ??= import('./virtual-keys.ts').then(({ openKeys }) => openKeys(main, configuration, runtime, keyOf, stores)))
  const keys = async (): Promise<KeyLifecycle> => (await ownKeys()).keys
  const rotator = async (): Promise<Rotator> => (await ownKeys()).rotator()

  const services = {
    stores,
    reader,
    keys,
    rotator,
    auth: createAuthenticator({ access: configuration.access, masterKey, masterSecrets }),
    runtime,
    version: latchkeyVersion,
    changes: options.routes?.some(({ changes }) => changes === true) === true,
  }
  const close = async (): Promise<void> => {
    // Keys that could not be opened hold nothing; whoever asked for them was told.
    await (await opened?.catch(() => undefined))?.close()
    await (await values?.catch(() => undefined))?.close()
    await closeAll(stores.values())
  }
  // What keys need is wrong at the start, not at the first of them.
  if (services.changes) await keys().catch((error: unknown) => close().finally(() => Promise.reject(error)))

  return {
    app: createApp(options.routes ?? [], services),
    stores,
    reader,
    keys,
    rotator,
    masterKey,
    read: async (given, how = {}) => (await ownValues()).read(given, how),
    references: async (call) => (await ownValues()).references(call),
    close,
  }
}

const closeAll = async (stores: Iterable<SecretStore | undefined>): Promise<void> => {
  for (const store of stores) await store?.provider.close?.()
}

/** Opens every store before it complains, so that a person mends all of them at once. @throws misconfigured with the issues of all stores */
const openAll = async (configured: readonly StoreConfiguration[], open: (store: StoreConfiguration) => Promise<SecretStore>): Promise<ReadonlyMap<string, SecretStore>> => {
  const stores = new Map<string, SecretStore>()
  const failed = new Map<StoreConfiguration, LatchkeyError>()
  for (const store of configured) {
    try {
      stores.set(store.name, await open(store))
    } catch (error) {
      if (!isCode(error, 'misconfigured')) throw error
      failed.set(store, error)
    }
  }
  if (failed.size === 0) return stores
  await closeAll(stores.values())
  throw (await import('./core/settings/misconfigured-stores.ts')).misconfiguredStores(failed)
}

/** The names of the secrets that hold the master keys, Latchkey's own and the gateway's, where secrets do. */
const masterSecretsOf = ({ masterKey, gateway }: Configuration): readonly string[] =>
  [masterKey, gateway?.masterKey].flatMap((plan) => (plan === undefined || plan.kind === 'literal' ? [] : [plan.kind === 'name' ? plan.name : plan.ref.name]))

/** Whether variables of the environment hold this store's values, as they are or encrypted. */
const isVariables = ({ system }: StoreConfiguration): boolean => system === 'environment' || ciphertextSystems.has(system)

const limitsOf = ({ cache }: Configuration): { ttlMs: number; maxStaleMs: number; negativeTtlMs: number; maxEntries: number } => ({
  ttlMs: cache.ttlSeconds * 1_000,
  maxStaleMs: cache.maxStaleSeconds * 1_000,
  negativeTtlMs: cache.negativeTtlSeconds * 1_000,
  maxEntries: cache.maxEntries,
})

const policyOf = (store: StoreConfiguration): AccessPolicy => ({
  accessMode: store.accessMode,
  prefix: store.prefix,
  storeVirtualKeys: store.storeVirtualKeys,
  ...(store.hostedKeys === undefined ? {} : { hostedKeys: new Set(store.hostedKeys) }),
  ...(store.primarySecretName === undefined ? {} : { primarySecretName: store.primarySecretName }),
})
