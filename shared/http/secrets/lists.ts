// Reading many secrets, and listing their names. Bodies are checked by hand, because a validation library would cost every cold start more than these two checks.
import { LatchkeyError, asLatchkeyError, isCode } from '../../core/errors.ts'
import { didYouMean } from '../../core/errors/nearest.ts'
import type { SecretFacts } from '../../core/secret.ts'
import type { SecretStore, StoreRead } from '../../core/store.ts'
import type { Answer, Exchange, Json } from '../api.ts'
import { allows, demand, seesDetail } from '../auth.ts'
import { badField } from '../body.ts'
import { shownKey } from '../json-reader.ts'
import { problemBody } from '../failures.ts'
import { answer, type Body } from '../problem.ts'
import { integerOf } from '../requests/query.ts'
import { checkName } from '../routing.ts'
import { actionFor, checkReserved, readBody } from './answers.ts'
import { askedStores, storeOf } from './question.ts'

const maxNames = 100
const maxPrefix = 200

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

/** `POST /secrets:read`. */
export const readSecrets = async (exchange: Exchange): Promise<Answer> => {
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

/** `GET /secrets`. */
export const listSecrets = async (exchange: Exchange): Promise<Answer> => {
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
