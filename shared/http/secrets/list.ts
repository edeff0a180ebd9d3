// Listing names and facts, never values.
import type { SecretFacts } from '../../core/secret.ts'
import type { SecretStore } from '../../core/store.ts'
import type { Answer, Exchange } from '../api.ts'
import { storeOf } from './asked-stores.ts'
import { allows } from '../auth.ts'
import { badField } from '../body.ts'
import { answer, type Body } from '../problem.ts'
import { integerOf } from '../routing.ts'

const maxPrefix = 200

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

/** A page of the names that the caller may see. */
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
