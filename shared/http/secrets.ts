// Reading secrets, one and many, and listing their names: the routes of the read function. Bodies are checked by hand, because a validation
// library would cost every cold start more than these two checks.
import { LatchkeyError, asLatchkeyError, didYouMean, isCode } from '../core/errors.ts'
import { isInternal } from '../core/names.ts'
import type { SecretFacts, SecretRef, SecretValue, Stage } from '../core/secret.ts'
import type { SecretStore, StoreRead } from '../core/store.ts'
import type { Action, Answer, Exchange, Json, Route } from './api.ts'
import { allows, demand, seesDetail } from './auth.ts'
import { badField, shownKey } from './body.ts'
import { answer, etagOf, problemBody, textAnswer, type Body } from './problem.ts'
import { checkName, integerOf } from './routing.ts'

const maxNames = 100
const maxPrefix = 200

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
const askedStores = (exchange: Exchange): readonly SecretStore[] => (exchange.query.has('store') ? [storeOf(exchange)] : [...exchange.services.stores.values()])

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

const factsBody = (facts: SecretFacts, store: SecretStore): Body => ({
  name: facts.name.text,
  store: store.name,
  native_name: facts.nativeName,
  version: facts.current?.id ?? null,
  created_at: (facts.created ?? facts.current?.created)?.toISOString() ?? null,
  expires_at: facts.expires?.toISOString(),
  next_rotation_at: facts.nextRotation?.toISOString(),
  description: facts.description,
})

/** A deleted key's place until the purge: what stands there is no secret. */
const isTombstone = (facts: SecretFacts): boolean => facts.labels['latchkey-state'] === 'revoked' || /^\d+-delete-/.test(facts.current?.operation ?? '')

const listSecrets = async (exchange: Exchange): Promise<Answer> => {
  const { query, caller } = exchange
  const store = storeOf(exchange)
  const prefix = query.get('prefix') ?? ''
  if (Buffer.byteLength(prefix) > maxPrefix) throw badField('query.prefix', `is ${Buffer.byteLength(prefix)} bytes long; the limit is ${maxPrefix}`)
  const cursor = query.get('cursor')
  const page = await store.list({ prefix, limit: integerOf(query, 'limit', 50, 1, 100), ...(cursor === undefined ? {} : { cursor }) }, exchange.call)
  const items = page.items.filter((facts) => !isTombstone(facts) && allows(caller, 'secrets:list', { name: facts.name.text }))
  const receipt = await exchange.record({ decision: 'allowed', store: store.name, ...(prefix === '' ? {} : { name: prefix }) })
  return answer(receipt, 200, { items: items.map((facts) => factsBody(facts, store)), next_cursor: page.cursor ?? null })
}

/** What the read function serves, beside {@link commonRoutes}. */
export const readRoutes: readonly Route[] = [
  { method: 'GET', path: '/secrets/{name}', shape: 'problem', action: ['secrets:read', 'keys:reveal'], query: ['property', 'version', 'stage', 'store', 'refresh'], handler: readSecret },
  { method: 'POST', path: '/secrets:read', shape: 'problem', action: ['secrets:read', 'keys:reveal'], body: 'required', handler: readSecrets },
  { method: 'GET', path: '/secrets', shape: 'problem', action: ['secrets:list'], query: ['prefix', 'cursor', 'limit', 'store'], handler: listSecrets },
]
