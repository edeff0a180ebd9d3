// From what is asked to what is fetched: the policy's word, the name as the service knows it, and where in the cache the answer lies.
import { cacheKey, type CacheKey } from '../cache.ts'
import { hostedName, nativeName } from '../names.ts'
import { checkRead, isKeyName, nameOf, type AccessPolicy } from '../policy.ts'
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

/**
 * Makes the lookup of a store. Plain names are worked out once, because a cache hit has no time for the grammar; a name outside it is never remembered.
 * The lookup throws forbidden and invalid_request.
 */
export const createLookup = (store: string, policy: AccessPolicy, ttlMs?: number): ((ref: SecretRef) => Lookup) => {
  const remembered = new Map<string, Lookup>()
  const make = (ref: SecretRef): Lookup => {
    const name = nameOf(policy, ref.name)
    const primary = policy.primarySecretName
    const among = primary !== undefined && !isKeyName(policy, ref.name)
    checkRead(policy, store, ref.name)
    const native = among ? (primary.startsWith('arn:') ? nativeName(primary) : hostedName(primary, 'primary_secret_name')) : name
    const at: ReadAt = { ...(ref.version === undefined ? {} : { version: ref.version }), ...(ref.stage === undefined || ref.stage === 'current' ? {} : { stage: ref.stage }), ...(among ? { whole: true } : {}) }
    const key = cacheKey(secretKey(store, native), `${native.place}\u0000${at.version ?? ''}\u0000${at.stage ?? ''}\u0000${among}`, ttlMs)
    return { key, native, at, ...(among ? { primary: ref.name } : {}) }
  }
  return (ref) => {
    if (ref.version !== undefined || ref.stage !== undefined) return make(ref)
    const known = remembered.get(ref.name)
    if (known !== undefined) return known
    const made = make(ref)
    if (remembered.size >= maxRemembered) remembered.clear()
    remembered.set(ref.name, made)
    return made
  }
}
