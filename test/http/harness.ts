// The whole application over the reference provider, with four callers, a trail of audit lines and a view of everything the stores hold.
import { createHash } from 'node:crypto'
import { SecretCache } from '../../shared/core/cache.ts'
import type { AccessEntry, Grant } from '../../shared/core/configuration.ts'
import type { LatchkeyError } from '../../shared/core/errors.ts'
import { KeyLifecycle } from '../../shared/core/key-lifecycle.ts'
import { hostedName } from '../../shared/core/names.ts'
import type { AccessPolicy } from '../../shared/core/policy.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { Rotator } from '../../shared/core/rotation/rotator.ts'
import type { RotatedSecrets } from '../../shared/core/rotation/settings.ts'
import { createReader } from '../../shared/core/stores/reading.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { SecretStore } from '../../shared/core/store.ts'
import type { ApiRequest, ApiResponse, ProvedIdentity, Services } from '../../shared/http/api.ts'
import { createApp } from '../../shared/http/app.ts'
import { createAuthenticator } from '../../shared/http/auth.ts'
import { commonRoutes } from '../../shared/http/health.ts'
import { keyRoutes } from '../../shared/http/keys.ts'
import { readRoutes } from '../../shared/http/secrets.ts'
import { memory } from '../../shared/providers/memory.ts'
import { callOf, testRuntime, type TestRuntime } from '../support/runtime.ts'

export const masterKey = 'sk-master-0123456789-0123456789-0123456789'
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The token of a caller that {@link open} was given grants for. */
export const tokenOf = (name: string): string => `token-of-${name}-0123456789-0123456789`

export interface OpenOptions {
  readonly callers?: Readonly<Record<string, readonly Grant[]>>
  /** Further entries of `latchkey.access`. */
  readonly access?: readonly AccessEntry[]
  readonly policy?: Partial<AccessPolicy>
  readonly runtime?: TestRuntime
  /** Without it there is the master key above. */
  readonly masterKey?: () => Promise<SecretValue | undefined>
  /** Stands between the store and its provider. */
  readonly wrap?: (provider: SecretProvider) => SecretProvider
  readonly stores?: readonly string[]
  /** Ordinary secrets that events may rotate. */
  readonly rotated?: readonly RotatedSecrets[]
}

export interface Sent {
  readonly method?: string
  readonly as?: string
  readonly query?: string
  /** What the platform proved. */
  readonly identity?: ProvedIdentity
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON; bytes and text go as they are. */
  readonly body?: unknown
  readonly signal?: AbortSignal
  readonly deadline?: number
}

export interface Got extends ApiResponse {
  /** The body as JSON; anything a test asks of it is looked at, never trusted. */
  readonly json: Record<string, never> & { readonly error: Record<string, never> }
}

export const open = async (options: OpenOptions = {}) => {
  const runtime = options.runtime ?? testRuntime()
  const { clock, random } = runtime
  const cache = new SecretCache(clock)
  const providers = new Map<string, SecretProvider>()
  const stores = new Map<string, SecretStore>()
  for (const name of options.stores ?? ['default']) {
    const provider = await memory.open({ recovery_window_seconds: 3600 }, runtime, { kind: 'operator' })
    const policy: AccessPolicy = { accessMode: 'read_and_write', prefix: 'litellm', storeVirtualKeys: true, ...options.policy }
    providers.set(name, provider)
    stores.set(name, new SecretStore({ name, system: 'memory', provider: options.wrap?.(provider) ?? provider, policy, cache, clock, random }))
  }
  const main = stores.get('default') as SecretStore
  const master = SecretValue.of(masterKey)
  const lifecycle = new KeyLifecycle(main, { clock, random, keyName: '{prefix}{alias}' })
  const access = [...Object.entries(options.callers ?? {}).map(([name, grants]) => ({ name, tokenSha256: sha256(tokenOf(name)), grants })), ...(options.access ?? [])]
  const services: Services = {
    changes: true,
    stores,
    reader: createReader({ stores, order: [...stores.keys()], fallback: new Set() }),
    keys: async () => lifecycle,
    rotator: async () => new Rotator({ stores, keys: lifecycle, keyStore: 'default', gateway: false, rotated: options.rotated ?? [], runtime }),
    auth: createAuthenticator({ access, masterKey: options.masterKey ?? (async () => master) }),
    runtime,
    version: '0.0.0-test',
  }
  const app = createApp([...readRoutes, ...keyRoutes, ...commonRoutes], services)

  const send = async (line: string, sent: Sent = {}): Promise<Got> => {
    const [method = 'GET', url = '/'] = line.split(' ')
    const cut = url.indexOf('?')
    const body = sent.body === undefined ? new Uint8Array() : sent.body instanceof Uint8Array ? sent.body : Buffer.from(typeof sent.body === 'string' ? sent.body : JSON.stringify(sent.body))
    const token = sent.as === undefined ? masterKey : sent.as === '' ? undefined : tokenOf(sent.as)
    const request: ApiRequest = {
      method,
      path: cut < 0 ? url : url.slice(0, cut),
      query: sent.query ?? (cut < 0 ? '' : url.slice(cut + 1)),
      headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(sent.body === undefined ? {} : { 'content-type': 'application/json' }), ...sent.headers },
      body,
      signal: sent.signal ?? new AbortController().signal,
      deadline: sent.deadline ?? clock.now() + 25_000,
      ...(sent.identity === undefined ? {} : { identity: sent.identity }),
    }
    const response = await app(request)
    return { ...response, json: (response.headers['content-type']?.includes('json') === true && response.body !== '' ? JSON.parse(response.body) : {}) as Got['json'] }
  }

  /** Puts a secret there as if somebody else had. */
  const seed = async (name: string, value: string | Uint8Array, labels: Readonly<Record<string, string>> = { 'managed-by': 'latchkey' }, store = 'default'): Promise<void> => {
    const held = typeof value === 'string' ? SecretValue.of(value) : SecretValue.ofBytes(value)
    await providers.get(store)?.write?.({ name: hostedName(name), value: held, expect: 'any', operation: `seed-${sha256(name + random.bytes(8).toString()).slice(0, 40)}`, stage: 'current', labels }, callOf(clock))
  }

  /** Everything every store holds: names, versions, stages, labels and values. */
  const held = async (): Promise<string> => {
    const all: unknown[] = []
    for (const [store, provider] of providers) {
      const page = await provider.list?.({ prefix: '', limit: 100 }, callOf(clock))
      for (const facts of page?.items ?? []) {
        const value = await provider.read(facts.name, {}, callOf(clock)).then((record) => record.value.bytes().toString('base64'), (error: LatchkeyError) => error.code)
        all.push({ store, ...facts, versions: (await provider.describe?.(facts.name, callOf(clock)))?.versions, value })
      }
    }
    return JSON.stringify(all, null, 1)
  }

  return { send, seed, held, runtime, services, stores, providers, app, clock }
}
