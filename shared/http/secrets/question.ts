// What a query says of a secret: its store, its version or stage, a property. Loaded by the first request that has one.
import { didYouMean } from '../../core/errors/nearest.ts'
import type { SecretRef, Stage } from '../../core/secret.ts'
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

/** Every store that may answer: the one named, or all of them. */
export const askedStores = (exchange: Exchange): readonly SecretStore[] => (exchange.query.has('store') ? [storeOf(exchange)] : [...exchange.services.stores.values()])

const stages: readonly Stage[] = ['current', 'previous', 'pending']

/** Which secret and which of its versions a query asks for. @throws invalid_request naming the parameter */
export const refOf = (exchange: Exchange, name: string): { readonly ref: SecretRef; readonly refresh: boolean } => {
  const { query } = exchange
  const [version, stage, property, refresh] = ['version', 'stage', 'property', 'refresh'].map((parameter) => query.get(parameter))
  if (refresh !== undefined && refresh !== 'true') throw badField('query.refresh', 'must be true, the only value', 'Leave it out to read from the cache.')
  if (stage !== undefined && !stages.includes(stage as Stage)) throw badField('query.stage', `must be one of ${stages.join(', ')}`)
  if (version !== undefined && stage !== undefined) throw badField('query.version', 'goes without stage; the limit is one of the two', 'Send one of them.')
  if (version !== undefined && !/^[\x21-\x7e]{1,256}$/.test(version)) throw badField('query.version', 'must be 1 to 256 printable ASCII characters')
  const store = query.get('store')
  const given = Object.fromEntries(Object.entries({ store, version, stage: stage as Stage | undefined, property }).filter(([, value]) => value !== undefined))
  return { ref: { name, ...given }, refresh: refresh === 'true' }
}
