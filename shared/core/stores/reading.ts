// Reading across stores: the configured order, where only a confirmed absence moves on, and the one fallback that an operator may have written.
import { LatchkeyError, isCode } from '../errors.ts'
import type { Call } from '../runtime.ts'
import type { SecretRef } from '../secret.ts'
import type { SecretStore, StoreRead } from '../store.ts'

/** Reads across the configured stores. */
export interface Reader {
  /** An answer from memory, at once, or nothing. @throws as {@link SecretStore.peek} */
  peek(ref: SecretRef): StoreRead | undefined
  read(ref: SecretRef, call: Call, how?: { readonly refresh?: boolean }): Promise<StoreRead>
  /** In the order asked; each name succeeds or fails by itself. */
  readMany(names: readonly string[], call: Call): Promise<readonly (StoreRead | LatchkeyError)[]>
  /** The store of that name. Default: `default`, where writes and virtual keys go. @throws invalid_request */
  store(name?: string): SecretStore
}

/** What a {@link Reader} is made of. */
export interface ReadingOptions {
  readonly stores: ReadonlyMap<string, SecretStore>
  readonly order: readonly string[]
  /** Stores whose failed reads are answered from the environment, because the operator wrote `fallback: environment`. */
  readonly fallback: ReadonlySet<string>
  readonly environment?: SecretStore
}

/** A failure, as opposed to an absence, a refusal by our own rules, or a request that is wrong. */
const isFailure = (error: unknown): boolean => !isCode(error, 'not_found', 'forbidden', 'invalid_request', 'deadline_exceeded', 'unsupported')

/** Makes the reader of a configuration. */
export const createReader = (options: ReadingOptions): Reader => {
  const named = (name: string): SecretStore => {
    const found = options.stores.get(name)
    if (found === undefined) throw new LatchkeyError('invalid_request', `store: there is no store "${name}".`, { param: 'store', hint: `Stores: ${[...options.stores.keys()].join(', ')}.` })
    return found
  }
  const ordered = options.order.map(named)
  const storesFor = (ref: SecretRef): readonly SecretStore[] => (ref.store === undefined ? ordered : [named(ref.store)])

  const guarded = async (store: SecretStore, ref: SecretRef, call: Call, how: { readonly refresh?: boolean }): Promise<StoreRead> => {
    try {
      return await store.read(ref, call, how)
    } catch (error) {
      const { environment } = options
      if (!isFailure(error) || environment === undefined || !options.fallback.has(store.name)) throw error
      return environment.read({ ...ref, store: environment.name }, call, how).catch(() => {
        throw error
      })
    }
  }

  const read: Reader['read'] = async (ref, call, how = {}) => {
    const stores = storesFor(ref)
    let absence: unknown
    for (const store of stores) {
      try {
        return await guarded(store, ref, call, how)
      } catch (error) {
        if (!isCode(error, 'not_found') && !(absence !== undefined && isCode(error, 'forbidden'))) throw error
        absence ??= error
      }
    }
    throw absence
  }

  return {
    store: (name = 'default') => named(name),
    read,
    peek: (ref) => {
      let absence: unknown
      for (const store of storesFor(ref)) {
        try {
          return store.peek(ref)
        } catch (error) {
          if (!isCode(error, 'not_found') && !(absence !== undefined && isCode(error, 'forbidden'))) throw error
          absence ??= error
        }
      }
      throw absence
    },
    readMany: async (names, call) => {
      const mayBeElsewhere = (failure: LatchkeyError): boolean => (isCode(failure, 'not_found') ? ordered.length > 1 : isFailure(failure) && ordered[0] !== undefined && options.fallback.has(ordered[0].name))
      return (await import('./reading-many.ts')).readManyAcross(ordered, names, call, mayBeElsewhere, (ref) => read(ref, call))
    },
  }
}
