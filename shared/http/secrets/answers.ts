// What every route that reads secrets shares: what reading a name takes, and how a value enters an answer.
import { isInternal } from '../../core/names.ts'
import type { SecretValue } from '../../core/secret.ts'
import type { SecretStore, StoreRead } from '../../core/store.ts'
import type { Action } from '../api.ts'
import { badField } from '../body.ts'
import type { Body } from '../problem.ts'

/** Segments that begin with `__` are Latchkey's own everywhere, except in names that the operator hosts. @throws invalid_request */
export const checkReserved = (stores: readonly SecretStore[], name: string, field = 'name'): void => {
  if (!isInternal(name) || stores.some((store) => store.policy.hostedKeys?.has(name) === true)) return
  throw badField(field, 'has a segment that begins with "__", which is reserved for Latchkey\'s own records', 'Choose another name.')
}

/** What reading a name takes: a name that is, or may be, a virtual key's in any of the stores asked needs `keys:reveal`. */
export const actionFor = (stores: readonly SecretStore[], name: string): Action =>
  stores.some((store) => store.isKeyName(name) || (store.policy.prefix === '' && store.policy.storeVirtualKeys && store.policy.hostedKeys?.has(name) !== true)) ? 'keys:reveal' : 'secrets:read'

/** The one place where a secret's value enters an answer. */
const valueOf = (value: SecretValue): Body => (value.isText ? { value: value.reveal() } : { value: value.bytes().toString('base64'), encoding: 'base64' })

/** One read as it is answered. */
export const readBody = (read: StoreRead): Body => ({
  name: read.name,
  ...valueOf(read.value),
  version: read.version ?? null,
  store: read.store,
  source: read.source,
  created_at: read.createdAt?.toISOString() ?? null,
  expires_at: read.expiresAt?.toISOString(),
})
