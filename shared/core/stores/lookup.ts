// From what is asked to what is fetched: the policy's word, the name as the service knows it, and where in the cache the answer lies.
import { cacheKey, type CacheKey } from '../cache.ts'
import { hostedName, isOperators, nativeName } from '../names.ts'
import { isKeyName, mayRead, type AccessPolicy } from '../policy.ts'
import type { ReadAt } from '../provider.ts'
import type { SecretName, SecretRef } from '../secret.ts'

/** What one ref means in one store. */
export interface Lookup {
  readonly key: CacheKey
  /** What the provider is asked for: the name itself, or the primary secret. */
  readonly native: SecretName
  readonly at: ReadAt
  /** The property of the primary secret that holds the value. */
  readonly primary?: string
}

const maxRemembered = 1_000

/** What a write of this secret invalidates, under whatever place it was read: a list may give a key's name as the service's own. */
export const secretKey = (store: string, name: SecretName): string => `${store}\u0000${name.text}`

/** From refs to lookups, in one store. */
export interface Lookups {
  /** What a plain name was found to mean; nothing for a name that is new here. */
  known(ref: SecretRef): Lookup | undefined
  /** @throws forbidden, invalid_request */
  of(ref: SecretRef): Promise<Lookup>
}

/** Makes the lookups of a store. Plain names are worked out once, because a cache hit has no time for the grammar; a name outside it is never remembered. */
export const createLookups = (store: string, policy: AccessPolicy, ttlMs?: number): Lookups => {
  const remembered = new Map<string, Lookup>()
  const isPlain = (ref: SecretRef): boolean => ref.version === undefined && ref.stage === undefined
  const known = (ref: SecretRef): Lookup | undefined => (isPlain(ref) ? remembered.get(ref.name) : undefined)
  const make = async (ref: SecretRef): Promise<Lookup> => {
    const name = isOperators(ref.name, policy.prefix, policy.hostedKeys) ? hostedName(ref.name) : (await import('../names/created.ts')).createdName(ref.name)
    if (!mayRead(policy, ref.name)) throw (await import('./refusals.ts')).readRefusal(policy, store, ref.name)
    const primary = policy.primarySecretName
    const among = primary !== undefined && !isKeyName(policy, ref.name)
    const native = among ? (primary.startsWith('arn:') ? nativeName(primary) : hostedName(primary, 'primary_secret_name')) : name
    const at: ReadAt = { ...(ref.version === undefined ? {} : { version: ref.version }), ...(ref.stage === undefined || ref.stage === 'current' ? {} : { stage: ref.stage }), ...(among ? { whole: true } : {}) }
    const key = cacheKey(secretKey(store, native), `${native.place}\u0000${at.version ?? ''}\u0000${at.stage ?? ''}\u0000${among}`, ttlMs)
    return { key, native, at, ...(among ? { primary: ref.name } : {}) }
  }
  return {
    known,
    of: async (ref) => {
      const found = known(ref)
      if (found !== undefined) return found
      const made = await make(ref)
      if (!isPlain(ref)) return made
      if (remembered.size >= maxRemembered) remembered.clear()
      remembered.set(ref.name, made)
      return made
    },
  }
}
