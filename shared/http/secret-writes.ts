// Changing ordinary secrets: PUT, DELETE and recover. Apart from the reads, because bodies here are validated with zod and the read function loads none.
import * as z from 'zod/mini'
import { SecretValue } from '../core/secret.ts'
import type { SecretStore } from '../core/store.ts'
import type { Answer, Exchange, Route } from './api.ts'
import { badField } from './body.ts'
import { answer, etagOf } from './problem.ts'
import { checkReserved } from './secrets/answers.ts'
import { storeOf } from './secrets/question.ts'
import { strictly } from './validation.ts'

const printable = /^[^\p{Cc}]*$/u
const reserved = /^(?:managed-by$|latchkey-)/i

const tags = z.record(
  z.string().check(z.minLength(1), z.maxLength(128), z.regex(printable, 'must not hold control characters'), z.refine((key) => !reserved.test(key), 'managed-by and latchkey-… are Latchkey\'s own; choose another key')),
  z.string().check(z.maxLength(256), z.regex(printable, 'must not hold control characters')),
)

const putSchema = z.object({
  value: z.string(),
  encoding: z.optional(z.enum(['utf8', 'base64'])),
  description: z.optional(z.string().check(z.maxLength(2048), z.regex(printable, 'must not hold control characters'))),
  tags: z.optional(tags.check(z.refine((given) => Object.keys(given).length <= 10, 'has too many tags; the limit is 10'))),
  adopt: z.optional(z.boolean()),
})

/** Only canonical base64: Node's own decoder skips what it does not understand. */
const valueOf = (text: string, encoding: 'utf8' | 'base64' | undefined): SecretValue => {
  if (encoding !== 'base64') return SecretValue.of(text)
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw badField('value', 'is not canonical base64', 'Use the standard alphabet with padding, without line breaks.')
  return SecretValue.ofBytes(bytes)
}

/** The version of `If-Match`: one strong tag. @throws invalid_request */
const ifMatchOf = (exchange: Exchange): { readonly ifMatch?: string } => {
  const given = exchange.headers['if-match']
  if (given === undefined) return {}
  const version = /^"([\x21\x23-\x7e]{1,256})"$|^([\w.=/+-]{1,256})$/.exec(given.trim())
  if (version === null) throw badField('if-match', 'must be one version in double quotes', 'Send the ETag of a read; lists, * and W/ have no meaning here.')
  return { ifMatch: version[1] ?? version[2] ?? '' }
}

const nameIn = (exchange: Exchange, store: SecretStore): string => {
  const name = exchange.params['name'] ?? ''
  checkReserved([store], name)
  return name
}

const putSecret = async (exchange: Exchange): Promise<Answer> => {
  const { value, encoding, ...facts } = strictly(putSchema, exchange.body)
  const store = storeOf(exchange)
  const given = Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== undefined))
  const outcome = await store.put({ name: nameIn(exchange, store), value: valueOf(value, encoding), ...ifMatchOf(exchange), ...given }, exchange.call)
  const version = outcome.version === undefined ? {} : { version: outcome.version }
  const receipt = await exchange.record({ decision: 'allowed', name: outcome.name, store: store.name, ...version })
  return answer(receipt, outcome.created ? 201 : 200, { name: outcome.name, store: store.name, version: outcome.version ?? null, changed: outcome.changed }, etagOf(outcome.version))
}

const deleteSecret = async (exchange: Exchange): Promise<Answer> => {
  const store = storeOf(exchange)
  const name = nameIn(exchange, store)
  const { recoverableUntil } = await store.remove(name, ifMatchOf(exchange), exchange.call)
  const receipt = await exchange.record({ decision: 'allowed', name, store: store.name })
  return answer(receipt, 200, { name, store: store.name, deleted: true, recoverable_until: recoverableUntil?.toISOString() ?? null })
}

const recoverSecret = async (exchange: Exchange): Promise<Answer> => {
  const store = storeOf(exchange)
  const name = nameIn(exchange, store)
  await store.recover(name, exchange.call)
  const receipt = await exchange.record({ decision: 'allowed', name, store: store.name })
  return answer(receipt, 200, { name, store: store.name, recovered: true })
}

/** What changes ordinary secrets; part of `keyRoutes`. */
export const writeRoutes: readonly Route[] = [
  { method: 'PUT', path: '/secrets/{name}', shape: 'problem', action: ['secrets:write'], query: ['store'], body: 'required', changes: true, handler: putSecret },
  { method: 'DELETE', path: '/secrets/{name}', shape: 'problem', action: ['secrets:delete'], query: ['store'], changes: true, handler: deleteSecret },
  { method: 'POST', path: '/secrets/{name}:recover', shape: 'problem', action: ['secrets:delete'], audit: 'secrets:recover', query: ['store'], changes: true, handler: recoverSecret },
]
