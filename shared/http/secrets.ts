// Reading secrets, one and many, and the routes of the read function. Bodies are checked by hand, because a validation
// library would cost every cold start more than these two checks.
import { LatchkeyError, asLatchkeyError, didYouMean, isCode } from '../core/errors.ts'
import type { SecretRef, SecretValue, Stage } from '../core/secret.ts'
import type { SecretStore, StoreRead } from '../core/store.ts'
import type { Action, Answer, Exchange, Json, Route } from './api.ts'
import { askedStores, checkReserved } from './secrets/asked-stores.ts'
import { demand, seesDetail } from './auth.ts'
import { badField, shownKey } from './body.ts'
import { answer, etagOf, problemBody, textAnswer, type Body } from './problem.ts'
import { checkName } from './routing.ts'

const maxNames = 100

/** What reading a name takes: a name that is, or may be, a virtual key's in any of the stores asked needs `keys:reveal`. */
const actionFor = (stores: readonly SecretStore[], name: string): Action =>
  stores.some((store) => store.isKeyName(name) || (store.policy.prefix === '' && store.policy.storeVirtualKeys && store.policy.hostedKeys?.has(name) !== true)) ? 'keys:reveal' : 'secrets:read'

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

/** The one place where a secret's value enters an answer. */
const valueOf = (value: SecretValue): Body => (value.isText ? { value: value.reveal() } : { value: value.bytes().toString('base64'), encoding: 'base64' })

const readBody = (read: StoreRead): Body => ({
  name: read.name,
  ...valueOf(read.value),
  version: read.version ?? null,
  store: read.store,
  source: read.source,
  created_at: read.createdAt?.toISOString() ?? null,
  expires_at: read.expiresAt?.toISOString(),
})

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

const namesOf = (body: Exchange['body']): readonly string[] => {
  for (const key of Object.keys(body)) {
    if (key !== 'names') throw badField(shownKey(key), `is not a field of this route${didYouMean(key, ['names'])}`, 'Send {"names": [...]}.')
  }
  const names: Json | undefined = body['names']
  if (!Array.isArray(names)) throw badField('names', 'must be a list of names', 'Send {"names": ["OPENAI_API_KEY"]}.')
  if (names.length < 1 || names.length > maxNames) throw badField('names', `has ${names.length} names; the limit is 1 to ${maxNames}`, 'Send several requests.')
  return names.map((name: Json, index) => {
    if (typeof name !== 'string') throw badField(`names[${index}]`, 'must be text')
    return name
  })
}

/** Each name by itself: refused before anything is asked, or read from the stores in their order. */
const readMany = async (names: readonly string[], stores: readonly SecretStore[], exchange: Exchange): Promise<readonly (StoreRead | LatchkeyError)[]> => {
  const refused = names.map((name, index): LatchkeyError | undefined => {
    try {
      demand(exchange.caller, [actionFor(stores, checkName(name, `names[${index}]`))], { name })
      checkReserved(stores, name, `names[${index}]`)
      return undefined
    } catch (error) {
      return asLatchkeyError(error)
    }
  })
  const reads = [...(await exchange.services.reader.readMany(names.filter((_, index) => refused[index] === undefined), exchange.call))]
  return refused.map((refusal) => refusal ?? reads.shift() ?? new LatchkeyError('internal', 'The stores answered fewer secrets than they were asked for.'))
}

const readSecrets = async (exchange: Exchange): Promise<Answer> => {
  const names = namesOf(exchange.body)
  const stores = askedStores(exchange)
  const reads = await readMany(names, stores, exchange)
  const items: Body[] = []
  let receipt
  for (const [index, read] of reads.entries()) {
    const name = names[index] ?? ''
    if (read instanceof LatchkeyError) {
      const legal = read.code === 'invalid_request' ? {} : { name }
      receipt = await exchange.record({ decision: isCode(read, 'forbidden') ? 'denied' : 'failed', code: read.code, ...legal })
      items.push({ name, error: problemBody(read, exchange.requestId, seesDetail(exchange.caller)) })
    } else {
      receipt = await exchange.record({ action: actionFor(stores, name), decision: 'allowed', name, store: read.store, ...(read.version === undefined ? {} : { version: read.version }) })
      items.push(readBody(read))
    }
  }
  if (receipt === undefined) throw badField('names', 'must not be empty')
  return answer(receipt, 200, { results: items })
}

/** Loaded by the first who asks: no read waits for it. */
const listSecrets = async (exchange: Exchange): Promise<Answer> => (await import('./secrets/list.ts')).listSecrets(exchange)

/** What the read function serves, beside {@link commonRoutes}. */
export const readRoutes: readonly Route[] = [
  { method: 'GET', path: '/secrets/{name}', shape: 'problem', action: ['secrets:read', 'keys:reveal'], query: ['property', 'version', 'stage', 'store', 'refresh'], handler: readSecret },
  { method: 'POST', path: '/secrets:read', shape: 'problem', action: ['secrets:read', 'keys:reveal'], body: 'required', handler: readSecrets },
  { method: 'GET', path: '/secrets', shape: 'problem', action: ['secrets:list'], query: ['prefix', 'cursor', 'limit', 'store'], handler: listSecrets },
]
