// A provider with policy, ownership, names and cache around it: the only thing the rest of the house talks to. Providers stay free of all four.
import { type LatchkeyError, absentSecret, asLatchkeyError, isCode } from './errors.ts'
import type { CacheAnswer, SecretCache } from './cache.ts'
import { isKeyName, type AccessPolicy } from './policy.ts'
import { isTombstone } from './stores/tombstone.ts'
import { createLookups, secretKey, type Lookup, type Lookups } from './stores/lookup.ts'
import type { Capability, Page, SecretProvider } from './provider.ts'
import type { Call, Clock, Random } from './runtime.ts'
import type { PutOutcome, PutRequest } from './stores/writing.ts'
import type { SecretFacts, SecretName, SecretRecord, SecretRef, SecretValue } from './secret.ts'

/** A value, and where and when it came from. */
export interface StoreRead {
  readonly name: string
  readonly value: SecretValue
  readonly version?: string
  readonly store: string
  /** The system the value came from. */
  readonly source: string
  readonly createdAt?: Date
  readonly expiresAt?: Date
  readonly confirmedAt: number
  readonly cache: CacheAnswer['state']
}

/** What a store is made of. */
export interface StoreOptions {
  readonly name: string
  readonly system: string
  readonly provider: SecretProvider
  readonly policy: AccessPolicy
  readonly cache: SecretCache
  readonly clock: Clock
  readonly random: Random
}

/** Loaded by the first write, so that a function that only reads never carries it. */
const writing = (): Promise<typeof import('./stores/writing.ts')> => import('./stores/writing.ts')

/** Loaded by the first list, description or read of a created secret. */
const aboutFacts = (): Promise<typeof import('./stores/facts.ts')> => import('./stores/facts.ts')

/** Whether an answer is a part of what the provider is asked for. */
const isPart = (ref: SecretRef, lookup: Lookup): boolean => ref.property !== undefined || lookup.primary !== undefined

/** One configured store. Reading, listing and writing ordinary secrets pass through here; virtual keys use its provider through the key lifecycle. */
export class SecretStore {
  readonly name: string
  readonly system: string
  readonly provider: SecretProvider
  readonly policy: AccessPolicy
  readonly #cache: SecretCache
  readonly #clock: Clock
  readonly #random: Random
  readonly #lookups: Lookups
  /** Loaded by the first who asks for a part of a secret. */
  #parts: typeof import('./stores/property.ts') | undefined

  constructor(options: StoreOptions) {
    this.name = options.name
    this.system = options.system
    this.provider = options.provider
    this.policy = options.policy
    this.#cache = options.cache
    this.#clock = options.clock
    this.#random = options.random
    this.#lookups = createLookups(options.name, options.policy, options.provider.traits.cacheTtlMs)
  }

  /** Whether the service can do this at all, and the provider says that it may be written. */
  can(capability: Capability): boolean {
    return this.provider[capability] !== undefined && (this.provider.traits.write !== undefined || ['describe', 'readMany', 'list', 'close'].includes(capability))
  }

  /** Whether a name stands among the virtual keys; reading it needs the grant `keys:reveal`. */
  isKeyName(text: string): boolean {
    return isKeyName(this.policy, text)
  }

  /** A fresh answer from memory, at once, or nothing, as for a name that was never asked for. @throws not_found while an absence is remembered */
  peek(ref: SecretRef): StoreRead | undefined {
    const lookup = this.#lookups.known(ref)
    if (lookup === undefined || (isPart(ref, lookup) && this.#parts === undefined)) return undefined
    const answer = this.#cache.peek(lookup.key)
    return answer === undefined ? undefined : this.#answer(ref, lookup, answer)
  }

  /** One secret, from memory or from the service. @throws forbidden, invalid_request, not_found (which of secret, version, property), version_disabled, provider_… */
  async read(ref: SecretRef, call: Call, how: { readonly refresh?: boolean } = {}): Promise<StoreRead> {
    const lookup = this.#lookups.known(ref) ?? (await this.#lookups.of(ref))
    const answer = await this.#cache.read(lookup.key, (own) => this.#load(lookup, own), call, how.refresh)
    return isPart(ref, lookup) ? this.#withParts(ref, lookup, answer) : this.#whole(ref, answer)
  }

  /** Many secrets in the order asked, each with its value or its own failure; what memory lacks is fetched in the provider's batches. */
  async readMany(names: readonly string[], call: Call): Promise<readonly (StoreRead | LatchkeyError)[]> {
    const { readManyOf } = await import('./stores/reading-many.ts')
    return readManyOf(this, { clock: this.#clock, cache: this.#cache, lookups: this.#lookups, load: (lookup, own) => this.#load(lookup, own), answer: (ref, lookup, answer) => this.#withParts(ref, lookup, answer) }, names, call)
  }

  /** Names and facts below a prefix, never values, and none of Latchkey's own records. @throws unsupported, invalid_request (cursor) */
  async list(query: { readonly prefix: string; readonly cursor?: string; readonly limit: number }, call: Call): Promise<Page<SecretFacts>> {
    return (await aboutFacts()).listOf(this, query, call)
  }

  /** Facts without the value, and without asking the cache. @throws not_found, unsupported */
  async describe(name: SecretName, call: Call): Promise<SecretFacts> {
    return (await aboutFacts()).factsOf(this, name, call)
  }

  /**
   * Writes one ordinary secret. An equal value makes no new version where values may be read. A secret that is not marked as ours is left alone unless
   * `adopt` is set; a virtual key always is. @throws already_exists, soft_deleted, precondition_failed, forbidden, too_large, invalid_request, unsupported
   */
  put(request: PutRequest, call: Call): Promise<PutOutcome> {
    return writing().then(({ putSecret }) => putSecret(this, request, `put-${Buffer.from(this.#random.bytes(16)).toString('hex')}`, call))
  }

  /** The service's own delete of an ordinary secret that is ours. @throws not_found, already_exists (not ours), precondition_failed, forbidden, unsupported */
  remove(name: string, how: { readonly ifMatch?: string }, call: Call): Promise<{ readonly recoverableUntil?: Date }> {
    return writing().then(({ removeSecret }) => removeSecret(this, name, how, call))
  }

  /** Takes a delete back while the service still can. @throws not_found, already_exists (not ours), unsupported */
  recover(name: string, call: Call): Promise<void> {
    return writing().then(({ recoverSecret }) => recoverSecret(this, name, call))
  }

  /** Forgets what is cached of a secret, and whatever of it is still on its way. */
  invalidate(name: SecretName): void {
    this.#cache.invalidate(secretKey(this.name, name))
  }

  /** A deleted key is absent in every version: its tombstone is no value, and what was before it is over. A blocked one is not shown. */
  async #load({ native, at }: Lookup, call: Call): Promise<SecretRecord> {
    try {
      const record = await this.provider.read(native, at, call)
      const facts = native.place === 'created' ? await this.provider.describe?.(native, call) : undefined
      if (!isTombstone(record.version) && !isTombstone(facts?.current)) return facts === undefined ? record : (await aboutFacts()).unlessBlocked(record, facts)
    } catch (error) {
      if (isCode(error, 'not_found') && at.version === undefined && at.stage === undefined) throw absentSecret(this, native.text)
      throw asLatchkeyError(error)
    }
    throw absentSecret(this, native.text)
  }

  /** What memory or the service answered, as it is asked for. The first part of a secret has to wait for {@link #withParts}. */
  #answer(ref: SecretRef, lookup: Lookup, answer: CacheAnswer): StoreRead {
    const whole = this.#whole(ref, answer)
    return this.#parts === undefined || !isPart(ref, lookup) ? whole : { ...whole, value: this.#parts.partOf(whole.value, ref, lookup, this) }
  }

  async #withParts(ref: SecretRef, lookup: Lookup, answer: CacheAnswer): Promise<StoreRead> {
    if (isPart(ref, lookup)) this.#parts ??= await import('./stores/property.ts')
    return this.#answer(ref, lookup, answer)
  }

  #whole(ref: SecretRef, { record, confirmedAt, state }: CacheAnswer): StoreRead {
    return {
      name: ref.name,
      value: record.value,
      store: this.name,
      source: this.system,
      confirmedAt,
      cache: state,
      ...(record.version === undefined ? {} : { version: record.version.id }),
      ...(record.version?.created === undefined ? {} : { createdAt: record.version.created }),
      ...(record.expires === undefined ? {} : { expiresAt: record.expires }),
    }
  }
}
