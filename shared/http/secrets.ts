// Reading secrets: the routes of the read function. One secret is read here; lists are loaded by who asks for the first.
import type { SecretRef, Stage } from '../core/secret.ts'
import type { Answer, Exchange, Route } from './api.ts'
import { demand } from './auth.ts'
import { badField } from './body.ts'
import { answer, etagOf, textAnswer } from './problem.ts'
import { actionFor, askedStores, checkReserved, readBody } from './secrets/answers.ts'

const stages: readonly Stage[] = ['current', 'previous', 'pending']

const refOf = (exchange: Exchange, name: string): { readonly ref: SecretRef; readonly refresh: boolean } => {
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

/** Whether the first type that we have is `text/plain`; JSON is what everybody else gets. */
const wantsText = (accept: string | undefined): boolean =>
  accept?.split(',').map((part) => part.split(';')[0]?.trim().toLowerCase()).find((type) => type === 'text/plain' || type === 'application/json' || type === '*/*') === 'text/plain'

const readSecret = async (exchange: Exchange): Promise<Answer> => {
  const name = exchange.params['name'] ?? ''
  const stores = askedStores(exchange)
  const action = actionFor(stores, name)
  demand(exchange.caller, [action], { name })
  checkReserved(stores, name)
  const { ref, refresh } = refOf(exchange, name)
  const { reader } = exchange.services
  const read = (refresh ? undefined : reader.peek(ref)) ?? (await reader.read(ref, exchange.call, { refresh }))
  if (wantsText(exchange.headers['accept']) && !read.value.isText) throw badField('accept', 'asks for text/plain, and this value is not text', 'Ask for application/json; the value comes as base64.')
  const receipt = await exchange.record({ action, decision: 'allowed', name, store: read.store, ...(read.version === undefined ? {} : { version: read.version }) })
  const headers = {
    'x-cache': read.cache,
    age: String(Math.max(0, Math.floor((exchange.services.runtime.clock.now() - read.confirmedAt) / 1000))),
    ...etagOf(read.version),
  }
  return wantsText(exchange.headers['accept']) ? textAnswer(receipt, read.value.reveal(), headers) : answer(receipt, 200, readBody(read), headers)
}

/** What the read function serves, beside {@link commonRoutes}. */
export const readRoutes: readonly Route[] = [
  { method: 'GET', path: '/secrets/{name}', shape: 'problem', action: ['secrets:read', 'keys:reveal'], query: ['property', 'version', 'stage', 'store', 'refresh'], handler: readSecret },
  { method: 'POST', path: '/secrets:read', shape: 'problem', action: ['secrets:read', 'keys:reveal'], body: 'required', handler: async (exchange) => (await import('./secrets/lists.ts')).readSecrets(exchange) },
  { method: 'GET', path: '/secrets', shape: 'problem', action: ['secrets:list'], query: ['prefix', 'cursor', 'limit', 'store'], handler: async (exchange) => (await import('./secrets/lists.ts')).listSecrets(exchange) },
]
