// Keeps what a store confirmed: found for the TTL, absent for seconds, failed never. A hit is answered synchronously; everything else goes through one
// flight a secret, which carries its own time budget so that the caller who began it may leave without taking the others along.
import { LatchkeyError, isCode } from './errors.ts'
import { waitFor, type Call, type Clock } from './runtime.ts'
import type { SecretRecord } from './secret.ts'
import { Entries, type Entry } from './stores/entries.ts'

/** How long and how much is kept. */
export interface CacheLimits {
  /** How long a confirmed value is fresh. Default: 300 000. */
  readonly ttlMs: number
  /** How long beyond the TTL a value is still answered while the service cannot be reached. Default: 900 000. */
  readonly maxStaleMs: number
  /** How long a confirmed absence is remembered. Default: 10 000. */
  readonly negativeTtlMs: number
  readonly maxEntries: number
  readonly maxBytes: number
  /** Whether a read in the last quarter of the TTL starts a refresh that goes on after its answer. Not where the process is frozen then. Default: true. */
  readonly refreshBeside: boolean
}

/** The limits where the configuration says nothing. */
export const defaultLimits: CacheLimits = { ttlMs: 300_000, maxStaleMs: 900_000, negativeTtlMs: 10_000, maxEntries: 1_000, maxBytes: 8 * 1024 * 1024, refreshBeside: true }
const flightMs = 10_000

/** What a read is answered with, and how sure it is. */
export interface CacheAnswer {
  readonly record: SecretRecord
  readonly state: 'HIT' | 'MISS' | 'STALE'
  /** When the service was asked for what is answered here; the age counts from it. */
  readonly confirmedAt: number
}

/** What is cached: one version or stage of one secret of one store. Made once by {@link cacheKey}, because a hit has no time to join texts. */
export interface CacheKey {
  /** The store, its settings and the secret: what a write invalidates. */
  readonly secret: string
  readonly id: string
  /** In place of the cache's own TTL; with 0 nothing is kept, absences included. */
  readonly ttlMs?: number
}

/** The key of one variant (version, stage, whole) of a secret. */
export const cacheKey = (secret: string, variant: string, ttlMs?: number): CacheKey => ({ secret, id: `${secret}\u0000${variant}`, ...(ttlMs === undefined ? {} : { ttlMs }) })

interface Flight {
  readonly promise: Promise<CacheAnswer>
  readonly generation: number
  readonly forced: boolean
}

/** One cache for all stores of a process; a secret is forgotten by {@link SecretCache.invalidate}. */
export class SecretCache {
  readonly #limits: CacheLimits
  readonly #clock: Clock
  readonly #entries: Entries
  readonly #flights = new Map<string, Flight>()
  /** Counts what invalidates a secret, so that an answer asked for before it never comes back in. */
  readonly #generations = new Map<string, number>()
  #changes = 0
  /** The generation of every secret that is not listed, raised when the list is emptied. */
  #era = 0

  constructor(clock: Clock, limits: Partial<CacheLimits> = {}) {
    this.#clock = clock
    this.#limits = { ...defaultLimits, ...limits }
    this.#entries = new Entries(this.#limits)
  }

  get size(): number {
    return this.#entries.size
  }

  get byteSize(): number {
    return this.#entries.bytes
  }

  /** A fresh answer, at once, or nothing. Starts no call, and answers nothing once a refresh is due. @throws not_found while an absence is remembered */
  peek(key: CacheKey): CacheAnswer | undefined {
    const entry = this.#entries.get(key.id)
    const now = this.#clock.now()
    if (entry === undefined || !(entry.confirmedAt <= now && now < entry.freshUntil && now < Math.max(entry.softAt, entry.retryAt))) return undefined
    return this.#hit(entry, 'HIT')
  }

  /**
   * Answers from memory, or from the service under single flight. In the last quarter of the TTL it answers from memory and refreshes beside it.
   * While the service is unreachable, an answer up to TTL + maxStale old is given as `STALE`; a denial or an absence ends that at once.
   * `refresh` asks the service in any case and fails if that fails.
   */
  read(key: CacheKey, load: (call: Call) => Promise<SecretRecord>, call: Call, refresh = false): Promise<CacheAnswer> {
    const { id } = key
    const entry = this.#entries.get(id)
    const now = this.#clock.now()
    if (refresh || entry === undefined || entry.confirmedAt > now) return waitFor(this.#fly(key, id, load, refresh), call, this.#clock)
    const usable = entry.record instanceof LatchkeyError ? entry.freshUntil : entry.confirmedAt + (key.ttlMs ?? this.#limits.ttlMs) + this.#limits.maxStaleMs
    if (now < entry.freshUntil) {
      if (now >= entry.softAt && now >= entry.retryAt) void this.#fly(key, id, load, false).catch(() => undefined)
      return this.#kept(entry, 'HIT')
    }
    if (now < entry.retryAt && now < usable) return this.#kept(entry, 'STALE')
    return waitFor(this.#fly(key, id, load, false), call, this.#clock).catch((error: unknown) => {
      const after = this.#clock.now()
      if (!isCode(error, 'provider_unavailable', 'provider_throttled', 'deadline_exceeded') || this.#entries.get(id) !== entry || after >= usable) throw error
      return this.#hit(entry, 'STALE')
    })
  }

  /** Forgets a secret in all its variants, and makes every answer that is still on its way too old to be kept or joined. */
  invalidate(secret: string): void {
    this.#changes += 1
    this.#generations.set(secret, this.#changes)
    this.#entries.dropSecret(secret)
    if (this.#generations.size <= 10 * this.#limits.maxEntries) return
    this.#generations.clear()
    this.#era = this.#changes
  }

  #generation(secret: string): number {
    return this.#generations.get(secret) ?? this.#era
  }

  #hit(entry: Entry, state: 'HIT' | 'STALE'): CacheAnswer {
    this.#entries.touch(entry)
    if (entry.record instanceof LatchkeyError) throw entry.record
    return { record: entry.record, state, confirmedAt: entry.confirmedAt }
  }

  /** A promise even of a remembered absence, which {@link #hit} throws. */
  async #kept(entry: Entry, state: 'HIT' | 'STALE'): Promise<CacheAnswer> {
    return this.#hit(entry, state)
  }

  #fly(key: CacheKey, id: string, load: (call: Call) => Promise<SecretRecord>, forced: boolean): Promise<CacheAnswer> {
    const generation = this.#generation(key.secret)
    const flying = this.#flights.get(id)
    if (flying !== undefined && flying.generation === generation && (flying.forced || !forced)) return flying.promise
    const startedAt = this.#clock.now()
    const own: Call = { signal: new AbortController().signal, deadline: startedAt + flightMs }
    const promise = load(own).then(
      (record) => {
        if (this.#generation(key.secret) === generation) this.#keep(key, record, startedAt)
        return { record, state: 'MISS' as const, confirmedAt: startedAt }
      },
      (error: unknown) => {
        if (this.#generation(key.secret) === generation) this.#failed(key, error, startedAt)
        throw error
      },
    )
    const flight = { promise, generation, forced }
    this.#flights.set(id, flight)
    const landed = (): void => {
      if (this.#flights.get(id) === flight) this.#flights.delete(id)
    }
    promise.then(landed, landed)
    return promise
  }

  #failed(key: CacheKey, error: unknown, at: number): void {
    const { id } = key
    if (isCode(error, 'not_found')) {
      this.#keep(key, error, at)
      return
    }
    const entry = this.#entries.get(id)
    if (isCode(error, 'provider_denied', 'version_disabled')) this.#entries.drop(id)
    else if (entry !== undefined) {
      entry.failures += 1
      entry.retryAt = this.#clock.now() + Math.min(30_000, 1_000 * 2 ** (entry.failures - 1))
    }
  }

  #keep({ id, secret, ttlMs = this.#limits.ttlMs }: CacheKey, record: SecretRecord | LatchkeyError, confirmedAt: number): void {
    // A slow flight may land after one that was begun later.
    if ((this.#entries.get(id)?.confirmedAt ?? -Infinity) > confirmedAt) return
    const absent = record instanceof LatchkeyError
    const ttl = absent ? Math.min(this.#limits.negativeTtlMs, ttlMs) : ttlMs
    const rotation = absent ? undefined : record.nextRotation?.getTime()
    const freshUntil = Math.min(confirmedAt + ttl, rotation !== undefined && rotation > confirmedAt ? rotation : Infinity)
    const softAt = absent || !this.#limits.refreshBeside ? freshUntil : confirmedAt + 0.75 * (freshUntil - confirmedAt)
    if (ttl === 0) this.#entries.drop(id)
    else this.#entries.keep(id, { secret, record, confirmedAt, freshUntil, softAt, bytes: absent ? 0 : record.value.byteLength })
  }
}
