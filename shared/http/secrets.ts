// Reading secrets: the routes of the read function. One secret is read here; lists are loaded by who asks for the first.
import type { Answer, Exchange, Route } from './api.ts'
import { demand } from './auth.ts'
import { badField } from './body.ts'
import { answer, etagOf, textAnswer } from './problem.ts'
import { actionFor, checkReserved, readBody } from './secrets/answers.ts'

/** Whether the first type that we have is `text/plain`; JSON is what everybody else gets. */
const wantsText = (accept: string | undefined): boolean =>
  accept?.split(',').map((part) => part.split(';')[0]?.trim().toLowerCase()).find((type) => type === 'text/plain' || type === 'application/json' || type === '*/*') === 'text/plain'

const readSecret = async (exchange: Exchange): Promise<Answer> => {
  const name = exchange.params['name'] ?? ''
  // Who asks for nothing but the name loads no reader of the rest.
  const question = exchange.query.size === 0 ? undefined : await import('./secrets/question.ts')
  const stores = question?.askedStores(exchange) ?? [...exchange.services.stores.values()]
  const action = actionFor(stores, name)
  demand(exchange.caller, [action], { name })
  checkReserved(stores, name)
  const { ref, refresh } = question?.refOf(exchange, name) ?? { ref: { name }, refresh: false }
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

const lists = (handler: 'readSecrets' | 'listSecrets') => async (exchange: Exchange): Promise<Answer> => (await import('./secrets/lists.ts'))[handler](exchange)

/** What the read function serves, beside {@link commonRoutes}. */
export const readRoutes: readonly Route[] = [
  { method: 'GET', path: '/secrets/{name}', shape: 'problem', action: ['secrets:read', 'keys:reveal'], query: ['property', 'version', 'stage', 'store', 'refresh'], handler: readSecret },
  { method: 'POST', path: '/secrets:read', shape: 'problem', action: ['secrets:read', 'keys:reveal'], body: 'required', handler: lists('readSecrets') },
  { method: 'GET', path: '/secrets', shape: 'problem', action: ['secrets:list'], query: ['prefix', 'cursor', 'limit', 'store'], handler: lists('listSecrets') },
]
