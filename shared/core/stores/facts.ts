// What a store knows of its secrets without their values. Loaded by the first who asks.
import { LatchkeyError, absentSecret, asLatchkeyError, isCode } from '../errors.ts'
import { isInternal } from '../names.ts'
import type { Page } from '../provider.ts'
import type { Call } from '../runtime.ts'
import type { SecretFacts, SecretName } from '../secret.ts'
import type { SecretStore } from '../store.ts'
import { cannot } from './refusals.ts'

/** Names and facts below a prefix, without Latchkey's own records. @throws unsupported, invalid_request (cursor) */
export const listOf = async (store: SecretStore, query: { readonly prefix: string; readonly cursor?: string; readonly limit: number }, call: Call): Promise<Page<SecretFacts>> => {
  if (store.provider.list === undefined) throw cannot(store, 'list names')
  const page = await store.provider.list(query, call)
  return { ...page, items: page.items.filter((facts) => !isInternal(facts.name.text)) }
}

/** Facts of one secret. @throws not_found, unsupported */
export const factsOf = async (store: SecretStore, name: SecretName, call: Call): Promise<SecretFacts> => {
  if (store.provider.describe === undefined) throw cannot(store, 'tell facts without the value')
  return store.provider.describe(name, call).catch((error: unknown) => {
    throw isCode(error, 'not_found') ? absentSecret(store, name.text) : asLatchkeyError(error)
  })
}

/** A record, unless its key is blocked. @throws forbidden */
export const unlessBlocked = <T>(record: T, { labels }: { readonly labels: Readonly<Record<string, string>> }): T => {
  if (labels['latchkey-blocked'] === undefined || labels['latchkey-blocked'] !== labels['latchkey-key-id']) return record
  throw new LatchkeyError('forbidden', 'This key is blocked.')
}
