// What the five shapes of memory share: a wire whose every call is one atomic step behind a hook, and the manners of a provider on that wire.
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { Call, Clock } from '../../shared/core/runtime.ts'
import type { Stage } from '../../shared/core/secret.ts'

export interface WireStep {
  readonly call: string
  readonly name: string
  readonly changes: boolean
}

/** Stands around every wire call: it decides when the step applies, whether its answer arrives, and what fails. */
export type Hook = <T>(step: WireStep, apply: () => T) => Promise<T>

/** Every call is answered, after one turn of the event loop's microtasks. */
export const calmHook: Hook = async (_step, apply) => {
  await Promise.resolve()
  return apply()
}

/** What a service answers when it refuses: a name, as on the wire. */
export class Refusal extends Error {
  readonly reason: string

  constructor(reason: string) {
    super(reason)
    this.reason = reason
  }
}

export const isRefusal = (error: unknown, ...reasons: readonly string[]): error is Refusal => error instanceof Refusal && reasons.includes(error.reason)

const leavers = new WeakMap<AbortSignal, Set<(reason: Error) => void>>()

/** Who waits under a signal: one listener for all of them, because a simulated world makes millions of calls. */
const leaversOf = (signal: AbortSignal): Set<(reason: Error) => void> => {
  const known = leavers.get(signal)
  if (known !== undefined) return known
  const waiting = new Set<(reason: Error) => void>()
  leavers.set(signal, waiting)
  signal.addEventListener('abort', () => { for (const leave of waiting) leave(signal.reason as Error) }, { once: true })
  return waiting
}

/** A provider's way to its service: nothing is sent after the deadline, and an aborted caller does not wait. */
export const lineTo =
  (clock: Clock) =>
  async <T>(call: Call, send: () => Promise<T>): Promise<T> => {
    if (call.signal.aborted) throw call.signal.reason
    if (clock.now() >= call.deadline) throw new LatchkeyError('deadline_exceeded', 'The time ran out before the next call to the service; it was not sent.')
    const waiting = leaversOf(call.signal)
    return new Promise<T>((resolve, reject) => {
      waiting.add(reject)
      send().then(
        (answer) => {
          waiting.delete(reject)
          resolve(answer)
        },
        (error: unknown) => {
          waiting.delete(reject)
          reject(error as Error)
        },
      )
    })
  }

export const notFound = (what = 'secret'): LatchkeyError => new LatchkeyError('not_found', `The ${what} is not there.`)
export const conflict = (message = 'Another version is current.'): LatchkeyError => new LatchkeyError('conflict', message, { retryAfter: 1 })
export const alreadyExists = (): LatchkeyError => new LatchkeyError('already_exists', 'A secret of that name exists.')

/** The epoch in an operation of the key engine; nothing for other operations. */
export const epochOf = (operation: string | undefined): number | undefined => {
  const match = /^(\d{1,9})-/.exec(operation ?? '')
  return match === null ? undefined : Number(match[1])
}

/** @throws too_large, invalid_request before any call */
export const requireFits = (bytes: number, traits: { maxBytes: number; empty: boolean }): void => {
  if (bytes > traits.maxBytes) throw new LatchkeyError('too_large', `The value is ${bytes} bytes long; this service allows ${traits.maxBytes}.`)
  if (bytes === 0 && !traits.empty) throw new LatchkeyError('invalid_request', 'This service cannot hold an empty value.')
}

/** All entries of what a service holds, in the order in which they came, or only that of one name. */
export const heldBy = <T>(held: ReadonlyMap<string, T>, only: string | undefined): readonly (readonly [string, T])[] => {
  if (only === undefined) return [...held]
  const one = held.get(only)
  return one === undefined ? [] : [[only, one]]
}

/** One page of sorted names; the cursor is the last name of the page before. */
export const pageOf = (names: readonly string[], query: { cursor?: string; limit: number }): { names: readonly string[]; cursor?: string } => {
  const after = query.cursor === undefined ? '' : Buffer.from(query.cursor, 'base64url').toString('utf8')
  if (query.cursor !== undefined && !after.startsWith('after:')) throw new LatchkeyError('invalid_request', 'cursor: is not one that this store gave', { param: 'cursor' })
  const rest = names.toSorted().filter((name) => query.cursor === undefined || name > after.slice('after:'.length))
  const page = rest.slice(0, query.limit)
  return { names: page, ...(rest.length > page.length ? { cursor: Buffer.from(`after:${page.at(-1)}`).toString('base64url') } : {}) }
}

export const stagesOf = (stage: string): readonly Stage[] => (stage === 'current' || stage === 'previous' || stage === 'pending' ? [stage] : [])
