// Which stores a request is about, and the names that none of them gives away.
import { didYouMean } from '../../core/errors.ts'
import { isInternal } from '../../core/names.ts'
import type { SecretStore } from '../../core/store.ts'
import type { Exchange } from '../api.ts'
import { seesDetail } from '../auth.ts'
import { badField } from '../body.ts'

/** The store a request names, or `default`. @throws invalid_request for one that is not configured */
export const storeOf = (exchange: Exchange): SecretStore => {
  const { stores } = exchange.services
  const name = exchange.query.get('store') ?? 'default'
  const store = stores.get(name)
  if (store !== undefined) return store
  throw badField('query.store', `is no configured store${seesDetail(exchange.caller) ? didYouMean(name, stores.keys()) : ''}`, 'GET /capabilities lists the stores.')
}

/** Segments that begin with `__` are Latchkey's own everywhere, except in names that the operator hosts. @throws invalid_request */
export const checkReserved = (stores: readonly SecretStore[], name: string, field = 'name'): void => {
  if (!isInternal(name) || stores.some((store) => store.policy.hostedKeys?.has(name) === true)) return
  throw badField(field, 'has a segment that begins with "__", which is reserved for Latchkey\'s own records', 'Choose another name.')
}

/** Every store that may answer: the one named, or all of them. */
export const askedStores = (exchange: Exchange): readonly SecretStore[] => (exchange.query.has('store') ? [storeOf(exchange)] : [...exchange.services.stores.values()])
