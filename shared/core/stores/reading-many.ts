// Reading many secrets at once: what memory lacks goes to the provider in its batches, and each name succeeds or fails by itself. Loaded by the first who reads many.
import type { CacheAnswer, SecretCache } from '../cache.ts'
import { LatchkeyError, absentSecret, asLatchkeyError } from '../errors.ts'
import type { Call, Clock } from '../runtime.ts'
import type { SecretName, SecretRecord, SecretRef } from '../secret.ts'
import type { SecretStore, StoreRead } from '../store.ts'
import type { Lookup, Lookups } from './lookup.ts'
import { isTombstone } from './tombstone.ts'

/** What one store does for a single read. */
export interface SingleRead {
  readonly cache: SecretCache
  readonly clock: Clock
  readonly lookups: Lookups
  load(lookup: Lookup, call: Call): Promise<SecretRecord>
  answer(ref: SecretRef, lookup: Lookup, answer: CacheAnswer): Promise<StoreRead>
}

/** Reads them from one store, in the order asked. */
export const readManyOf = async (store: SecretStore, { cache, clock, lookups, load, answer }: SingleRead, names: readonly string[], call: Call): Promise<readonly (StoreRead | LatchkeyError)[]> => {
  const waiting: { name: SecretName; settle: (record: SecretRecord | LatchkeyError) => void }[] = []
  const batch = store.provider.readMany?.bind(store.provider)
  const looked = await Promise.allSettled(names.map((name) => lookups.of({ name })))
  const answers = looked.map(async (outcome, index) => {
    if (outcome.status === 'rejected') throw outcome.reason as Error
    const [name, found] = [names[index] ?? '', outcome.value]
    const fetch = (own: Call): Promise<SecretRecord> =>
      batch === undefined || found.primary !== undefined
        ? load(found, own)
        : new Promise((resolve, reject) => {
            waiting.push({ name: found.native, settle: (record) => (record instanceof LatchkeyError ? reject(record) : isTombstone(record.version) ? reject(absentSecret(store, name)) : resolve(record)) })
          })
    return answer({ name }, found, await cache.read(found.key, fetch, call))
  })
  if (batch !== undefined && waiting.length > 0) {
    const own = { signal: new AbortController().signal, deadline: clock.now() + 10_000 }
    void batch(waiting.map((item) => item.name), own).then(
      (records) => waiting.forEach((item, index) => item.settle(records[index] ?? new LatchkeyError('internal', 'The provider answered fewer secrets than it was asked for.'))),
      (error: unknown) => waiting.forEach((item) => item.settle(asLatchkeyError(error))),
    )
  }
  return (await Promise.allSettled(answers)).map((result) => (result.status === 'fulfilled' ? result.value : asLatchkeyError(result.reason)))
}

/** Reads them from the first store, and each that it lacks, or that it may be left for, by itself. */
export const readManyAcross = async (stores: readonly SecretStore[], names: readonly string[], call: Call, mayBeElsewhere: (failure: LatchkeyError) => boolean, read: (ref: SecretRef) => Promise<StoreRead>): Promise<readonly (StoreRead | LatchkeyError)[]> => {
  const [first] = stores
  if (first === undefined) return []
  const answers = await first.readMany(names, call)
  return Promise.all(answers.map(async (answer, index) => (answer instanceof LatchkeyError && mayBeElsewhere(answer) ? read({ name: names[index] ?? '' }).catch(asLatchkeyError) : answer)))
}
