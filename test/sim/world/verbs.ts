// What a client asks for: the operations as wishes, and how each becomes a call of the engine.
import type { KeyLifecycle } from '../../../shared/core/key-lifecycle.ts'
import type { KeyAnswer, KeyTarget, OperationContext, ReconcileReport } from '../../../shared/core/virtual-key.ts'

export const wishVerbs = ['create', 'rotate', 'delete', 'block', 'unblock', 'update', 'rename', 'event', 'reconcile'] as const
/** Beside them: a key that LiteLLM stored is taken over. Few schedules have one, and those are drawn apart, so that the others stay what they were. */
export type WishVerb = (typeof wishVerbs)[number] | 'adopt'

/** One operation as a client means it: it may be sent several times with one key. */
export interface Wish {
  readonly verb: WishVerb
  readonly alias: string
  readonly keyed: boolean
  readonly graceMs: number
  readonly attempts: number
  /** Of a rename: the new alias. */
  readonly to?: string
  /** How the client names the key. Default: by alias. */
  readonly by?: 'keyId' | 'token'
}

/** What a reconciliation or an operation gives back. */
export type Said = KeyAnswer | ReconcileReport

/** The verb in the operation's text: an event is a rotation. */
export const operationVerb = (verb: WishVerb): Exclude<WishVerb, 'event' | 'reconcile'> => (verb === 'event' || verb === 'reconcile' ? 'rotate' : verb)

/** Which field of LiteLLM's an update changes, so that it can be seen whether it did. */
export const markOf = (wishNumber: number): string => `wish-${wishNumber}`

/** Every page of one reconciliation. */
export const reconcileAll = async (lifecycle: KeyLifecycle, limit: number, context: OperationContext): Promise<ReconcileReport> => {
  const items: ReconcileReport['items'][number][] = []
  let checked = 0
  let cursor: string | undefined
  do {
    const page = await lifecycle.reconcile({ limit, repair: true, ...(cursor === undefined ? {} : { cursor }) }, context)
    items.push(...(page.items))
    checked += page.checked
    cursor = page.cursor
  } while (cursor !== undefined)
  return { checked, items }
}

/** Sends a wish to one instance. */
export const send = (lifecycle: KeyLifecycle, wish: Wish, wishNumber: number, target: KeyTarget, context: OperationContext): Promise<Said> => {
  const { verb, alias, graceMs, to = '' } = wish
  if (verb === 'create') return lifecycle.create({ alias }, context)
  if (verb === 'adopt') return lifecycle.adopt({ alias }, context)
  if (verb === 'rotate' || verb === 'event') return lifecycle.rotate(target, { graceMs }, context)
  if (verb === 'delete') return lifecycle.remove(target, context)
  if (verb === 'reconcile') return reconcileAll(lifecycle, 3, context)
  if (verb === 'rename') return lifecycle.update(target, { alias: to }, context)
  if (verb === 'update') return lifecycle.update(target, { data: { metadata: { mark: markOf(wishNumber) } } }, context)
  return lifecycle.setBlocked(target, verb === 'block', context)
}
