// The composition root: a configuration and the ports in, a running Latchkey out. The only file that knows everything, and the only one that opens.
import { SecretCache } from './core/cache.ts'
import type { Configuration, MasterKeyPlan, StoreConfiguration } from './core/configuration.ts'
import { isCode, type Issue, type LatchkeyError } from './core/errors.ts'
import { systems } from './core/configuration/systems.ts'
import type { ReferenceSource } from './core/stores/reference-sources.ts'
import type { AccessPolicy } from './core/policy.ts'
import { createReader, type Reader } from './core/stores/reading.ts'
import type { Call, Runtime } from './core/runtime.ts'
import { SecretValue, type SecretRef } from './core/secret.ts'
import { refuseIssues } from './core/settings.ts'
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

const callMs = 25_000

/** Opens every configured store without a network call and composes the application. @throws misconfigured with every issue of the stores' settings, or of the rule for aliases */
export const openLatchkey = async (configuration: Configuration, runtime: Runtime, options: OpenOptions = {}): Promise<Latchkey> => {
  const { clock, random } = runtime
  const cache = new SecretCache(clock, { ...limitsOf(configuration), refreshBeside: options.refreshBeside !== false })
  const open = async (store: StoreConfiguration): Promise<SecretStore> =>
    new SecretStore({ name: store.name, system: store.system, provider: await openProvider(store, runtime), policy: policyOf(store), cache, clock, random })

  const configured = [...configuration.stores.values()]
  const stores = await openAll(configured, (store) => open(fenced(store, configuration)))
  let unfenced: Promise<SecretStore> | undefined
  /** The environment as the configuration itself sees it: every name, and never over HTTP. Opened by the first who needs it. */
  const ownEnvironment = (): Promise<SecretStore> => (unfenced ??= open({ ...plainEnvironment, name: '(configuration) environment' }))
  const fallback = new Set(configured.filter((store) => store.fallbackToEnvironment).map((store) => store.name))
  const environment = [...stores.values()].find((store) => store.system === 'environment') ?? (fallback.size > 0 ? await open(fenced(plainEnvironment, configuration)) : undefined)
  const reader = createReader({ stores, order: configuration.readOrder, fallback, ...(environment === undefined ? {} : { environment }) })
  const main = reader.store('default')
  const mainConfiguration = configuration.stores.get(main.name)
  let openManager: Promise<SecretStore> | undefined
  /** The manager as the configuration itself sees it. It differs where variables hold ciphertext: over HTTP they are as fenced as the environment is. */
  const ownManager = async (): Promise<SecretStore> => (mainConfiguration === undefined || !holdsCiphertext(mainConfiguration) ? main : (openManager ??= open({ ...mainConfiguration, name: '(configuration) manager' })))

  /** As LiteLLM resolves: the manager where it may be asked, and the environment after a confirmed absence or where it may not. */
  const resolve = async (ref: SecretRef, call: Call, managerFirst: boolean): Promise<{ value: SecretValue; source: 'manager' | 'environment' }> => {
    if (managerFirst) {
      try {
        const own = await ownManager()
        const answer = own === main || (ref.store !== undefined && ref.store !== main.name) ? await reader.read(ref, call) : await own.read(ref, call)
        return { value: answer.value, source: answer.source === 'environment' ? 'environment' : 'manager' }
      } catch (error) {
        if (ref.store !== undefined || !isCode(error, 'not_found', 'forbidden')) throw error
      }
    }
    return { value: (await (await ownEnvironment()).read(ref, call)).value, source: 'environment' }
  }

  const keyOf = async (plan: MasterKeyPlan, call: Call): Promise<SecretValue | undefined> => {
    if (plan.kind === 'literal') return plan.value
    if (plan.kind === 'ref') return (await reader.read(plan.ref, call)).value
    for (const place of plan.lookIn) {
      try {
        return (await (await (place === 'manager' ? ownManager() : ownEnvironment())).read({ name: plan.name }, call)).value
      } catch (error) {
        if (!isCode(error, 'not_found')) throw error
      }
    }
    return undefined
  }

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
    auth: createAuthenticator({ access: configuration.access, masterKey, masterSecrets: masterSecretsOf(configuration) }),
    runtime,
    version: latchkeyVersion,
    changes: options.routes?.some(({ changes }) => changes === true) === true,
  }
  const close = async (): Promise<void> => {
    // Keys that could not be opened hold nothing; whoever asked for them was told.
    await (await opened?.catch(() => undefined))?.close()
    await closeAll([...stores.values(), await openManager])
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
    read: async (given, { signal = new AbortController().signal, deadline = clock.now() + callMs, default: instead } = {}) => {
      const { isOpener, parseRef } = await import('./core/configuration/references.ts')
      const ref = typeof given === 'string' ? parseRef(given) : given
      try {
        return (await resolve(ref, { signal, deadline }, ref.store !== undefined || !isOpener(configuration, ref.name))).value
      } catch (error) {
        if (instead === undefined || !isCode(error, 'not_found')) throw error
        return SecretValue.of(instead)
      }
    },
    references: async (call) => (await import('./core/stores/reference-sources.ts')).referenceSources(configuration.references, (ref, managerFirst) => resolve(ref, call, managerFirst)),
    close,
  }
}

const closeAll = async (stores: Iterable<SecretStore | undefined>): Promise<void> => {
  for (const store of stores) await store?.provider.close?.()
}

/** Opens every store before it complains, so that a person mends all of them at once. @throws misconfigured with the issues of all stores */
const openAll = async (configured: readonly StoreConfiguration[], open: (store: StoreConfiguration) => Promise<SecretStore>): Promise<ReadonlyMap<string, SecretStore>> => {
  const stores = new Map<string, SecretStore>()
  const issues: Issue[] = []
  for (const store of configured) {
    try {
      stores.set(store.name, await open(store))
    } catch (error) {
      if (!isCode(error, 'misconfigured')) throw error
      issues.push(...issuesOf(error, store))
    }
  }
  if (issues.length > 0) await closeAll(stores.values())
  refuseIssues(issues)
  return stores
}

/** What is wrong with a store. A table's issues are their own message; what a provider says of settings that do not fit together is said whole, with its fix. */
const issuesOf = (error: LatchkeyError, store: StoreConfiguration): readonly Issue[] => {
  const { issues = [] } = error.details
  const whole = issues.length > 0 && issues.every(({ path, message }) => error.message.includes(`${path} ${message}`))
  return whole ? issues : [{ path: store.path, message: error.message }]
}

/** The environment where no configuration describes it. */
const plainEnvironment: StoreConfiguration = {
  name: 'environment', system: 'environment', path: 'environment', settings: {}, accessMode: 'read_only', storeVirtualKeys: false, prefix: '', fallbackToEnvironment: false,
}

/** The names of the secrets that hold the master keys, Latchkey's own and the gateway's, where secrets do. */
const masterSecretsOf = ({ masterKey, gateway }: Configuration): readonly string[] =>
  [masterKey, gateway?.masterKey].flatMap((plan) => (plan === undefined || plan.kind === 'literal' ? [] : [plan.kind === 'name' ? plan.name : plan.ref.name]))

/** Whether variables of the environment hold this store's values, encrypted. */
const holdsCiphertext = ({ system }: StoreConfiguration): boolean => systems[system]?.ciphertext === true

/** Over HTTP the environment is no open door: only what is hosted, in `.env`, or referred to, and never what the master key is called. */
const fenced = (store: StoreConfiguration, configuration: Configuration): StoreConfiguration => {
  if (store.system !== 'environment' && !holdsCiphertext(store)) return store
  const referred = configuration.references.filter(({ ref }) => ref.store === undefined || ref.store === store.name).map(({ name }) => name)
  return { ...store, settings: { ...store.settings, readable: [...(store.hostedKeys ?? []), ...referred], never: masterSecretsOf(configuration) } }
}

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
