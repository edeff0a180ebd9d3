// Changing ordinary secrets: who may, whether it is ours, whether anything changes. Virtual keys never pass through here.
import { LatchkeyError, absentSecret, asLatchkeyError, isCode } from '../errors.ts'
import { mayReadValues, type AccessPolicy } from '../policy.ts'
import type { Capability, SecretProvider } from '../provider.ts'
import type { Call } from '../runtime.ts'
import type { SecretFacts, SecretName, SecretValue } from '../secret.ts'
import { nameIn } from './naming.ts'
import { cannot, checkWrite } from './refusals.ts'

/** The label that says a secret is ours. */
const ownershipMark = ['managed-by', 'latchkey'] as const
/** The label that says a secret is a virtual key. */
export const keyIdLabel = 'latchkey-key-id'

/** Whether a secret is marked as ours. */
export const isMarked = ({ labels }: Pick<SecretFacts, 'labels'>): boolean => labels[ownershipMark[0]] === ownershipMark[1]

/** One ordinary secret to be written. */
export interface PutRequest {
  readonly name: string
  readonly value: SecretValue
  /** The version that must be current. */
  readonly ifMatch?: string
  readonly description?: string
  readonly tags?: Readonly<Record<string, string>>
  /** Take over a secret that is there and not marked as ours. */
  readonly adopt?: boolean
}

/** What a PUT did. */
export interface PutOutcome {
  readonly name: string
  readonly changed: boolean
  readonly created: boolean
  readonly version?: string
}

/** What these functions need of a store. */
interface Writable {
  readonly name: string
  readonly system: string
  readonly provider: SecretProvider
  readonly policy: AccessPolicy
  can(capability: Capability): boolean
  describe(name: SecretName, call: Call): Promise<SecretFacts>
  invalidate(name: SecretName): void
}


const changedMeanwhile = (name: string): LatchkeyError => new LatchkeyError('precondition_failed', `"${name}" has another current version than If-Match names.`)

/** Facts, or nothing for a confirmed absence. */
const factsOf = (store: Writable, name: SecretName, call: Call): Promise<SecretFacts | undefined> =>
  store.describe(name, call).catch((error: unknown) => {
    if (isCode(error, 'not_found')) return undefined
    throw asLatchkeyError(error)
  })

const checkOwnership = (text: string, facts: SecretFacts, verb: string, adopt = false): void => {
  if (facts.labels[keyIdLabel] !== undefined) throw new LatchkeyError('forbidden', `"${text}" is a virtual key; it changes only through /key/*.`)
  if (isMarked(facts) || adopt) return
  throw new LatchkeyError('already_exists', `"${text}" exists and is not tagged managed-by=latchkey; refusing to ${verb} it.`, { hint: 'To take it over, write it with "adopt": true.' })
}

const checkValue = (store: Writable, value: SecretValue): void => {
  const { maxBytes, empty, bytes } = store.provider.traits.value
  if (value.byteLength > maxBytes) throw new LatchkeyError('too_large', `value: is ${value.byteLength} bytes; ${store.system} holds at most ${maxBytes}.`, { param: 'value' })
  if (value.byteLength === 0 && !empty) throw new LatchkeyError('invalid_request', `value: must not be empty; ${store.system} cannot hold an empty value.`, { param: 'value' })
  if (bytes !== 'any' && !value.isText) throw new LatchkeyError('invalid_request', `value: must be text; ${store.system} cannot hold other bytes.`, { param: 'value' })
}

const afterward = (store: Writable, name: SecretName, ifMatch: string | undefined): { readonly failed: (error: unknown) => never; readonly done: () => void } => ({
  failed: (error) => {
    if (isCode(error, 'conflict') && ifMatch !== undefined) throw changedMeanwhile(name.text)
    if (isCode(error, 'not_found')) throw absentSecret(store, name.text)
    throw asLatchkeyError(error)
  },
  done: () => store.invalidate(name),
})

/** {@link SecretStore.put} */
export const putSecret = async (store: Writable, request: PutRequest, operation: string, call: Call): Promise<PutOutcome> => {
  checkWrite(store.policy, store.name)
  const { provider } = store
  if (!store.can('write') || provider.write === undefined) throw cannot(store, 'be written')
  const name = nameIn(store, request.name)
  const { ifMatch } = request
  checkValue(store, request.value)
  const labels = provider.traits.write?.labels === 'none' ? {} : { ...request.tags, [ownershipMark[0]]: ownershipMark[1] }
  const facts = await factsOf(store, name, call)
  if (facts?.recoverableUntil !== undefined) {
    throw new LatchkeyError('soft_deleted', `"${name.text}" was deleted and is held until ${facts.recoverableUntil.toISOString()}.`, { recoverableUntil: facts.recoverableUntil, hint: 'Recover it (POST /secrets/{name}:recover), or wait.' })
  }
  if (facts === undefined && ifMatch !== undefined) throw new LatchkeyError('precondition_failed', `"${name.text}" does not exist, so no version of it matches.`)
  const { failed, done } = afterward(store, name, ifMatch)
  if (facts !== undefined) {
    checkOwnership(name.text, facts, 'overwrite', request.adopt)
    if (ifMatch !== undefined && facts.current?.id !== ifMatch) throw changedMeanwhile(name.text)
    const sameFacts = Object.entries(labels).every(([key, value]) => facts.labels[key] === value) && (request.description ?? facts.description) === facts.description
    if (mayReadValues(store.policy) && facts.current !== undefined && sameFacts) {
      const current = await provider.read(name, {}, call).catch(failed)
      if (current.value.equals(request.value) && current.version?.id === facts.current.id) return { name: name.text, changed: false, created: false, version: facts.current.id }
    }
  }
  const written = await provider
    .write(
      {
        name,
        value: request.value,
        expect: facts === undefined ? 'absent' : ifMatch === undefined ? 'any' : { version: ifMatch },
        operation,
        stage: 'current',
        ...(Object.keys(labels).length === 0 ? {} : { labels }),
        ...(request.description === undefined ? {} : { description: request.description }),
      },
      call,
    )
    .catch(failed)
    .finally(done)
  return { name: name.text, changed: true, created: facts === undefined, ...(written.version === undefined ? {} : { version: written.version.id }) }
}

/** {@link SecretStore.remove} */
export const removeSecret = async (store: Writable, text: string, how: { readonly ifMatch?: string }, call: Call): Promise<{ readonly recoverableUntil?: Date }> => {
  checkWrite(store.policy, store.name)
  if (!store.can('remove') || store.provider.remove === undefined) throw cannot(store, 'delete a secret')
  const name = nameIn(store, text)
  const { ifMatch } = how
  const facts = await factsOf(store, name, call)
  if (facts === undefined || facts.recoverableUntil !== undefined) throw absentSecret(store, text)
  checkOwnership(text, facts, 'delete')
  if (ifMatch !== undefined && facts.current?.id !== ifMatch) throw changedMeanwhile(text)
  const { failed, done } = afterward(store, name, ifMatch)
  return store.provider
    .remove(name, { expect: ifMatch === undefined ? 'any' : { version: ifMatch }, final: false }, call)
    .catch(failed)
    .finally(done)
}

/** {@link SecretStore.recover} */
export const recoverSecret = async (store: Writable, text: string, call: Call): Promise<void> => {
  checkWrite(store.policy, store.name)
  if (!store.can('recover') || store.provider.recover === undefined) throw cannot(store, 'take a delete back')
  const name = nameIn(store, text)
  const facts = await factsOf(store, name, call)
  if (facts === undefined) throw absentSecret(store, text)
  checkOwnership(text, facts, 'recover')
  const { failed, done } = afterward(store, name, undefined)
  await store.provider.recover(name, call).catch(failed).finally(done)
}
