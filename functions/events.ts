// What the rotate functions of all hosts share: a Scheduler's own message, the time for each event, and what the platform is told. The clouds' own events are read by
// `<host>/events.ts`; a sender's text is looked at, never repeated.
import { LatchkeyError } from '../shared/core/errors.ts'
import type { EventSource, MalformedEvent, RotationEvent, RotationOutcome } from '../shared/core/rotation/event.ts'
import type { Rotator } from '../shared/core/rotation/rotator.ts'
import type { Clock } from '../shared/core/runtime.ts'
import { timeBudget } from './time-budget.ts'

/** A JSON object that somebody sent. */
export type Sent = Readonly<Record<string, unknown>>

/** An event as far as it could be read. */
export type Parsed = RotationEvent | MalformedEvent

/** No event of any source is longer. */
export const maxEventBytes = 64 * 1024
const mostKeys = 100

/** A member that is text, trimmed; anything else counts as left out. */
export const textAt = (sent: Sent, key: string): string | undefined => {
  const value = sent[key]
  return typeof value === 'string' && value.trim() !== '' && value.length <= 2048 ? value.trim() : undefined
}

/** An event's time: RFC 3339 text, or seconds since the epoch as a number or as text; nothing for anything else. */
export const dateAt = (sent: Sent, key: string): Date | undefined => {
  const value = sent[key]
  const seconds = typeof value === 'number' ? value : typeof value === 'string' && /^\s*\d{9,11}\s*$/.test(value) ? Number(value) : undefined
  const ms = seconds === undefined ? Date.parse(typeof value === 'string' && /^\s*\d{4}-\d\d-\d\dT/.test(value) ? value : '') : seconds * 1000
  return Number.isNaN(ms) ? undefined : new Date(ms)
}

/** JSON text as an object or a list; nothing for what is no JSON, or longer than any event. */
export const jsonOf = (text: string): unknown => {
  if (Buffer.byteLength(text) > maxEventBytes) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The id of what has none, or none that could stand in a line. */
export const idOr = (text: string | undefined, fallback: string): string => (text !== undefined && /^[\x21-\x7e]{1,256}$/.test(text) ? text : fallback)

/** An event that cannot be one. */
export const malformed = (source: EventSource, id: string, problem: string): MalformedEvent => ({ source, id, problem })

/** Whether it is what a schedule of ours sends. */
export const isScheduled = (sent: Sent): boolean => sent['source'] === 'latchkey.scheduler'

/**
 * What a schedule sends: `{"source": "latchkey.scheduler", "action": "rotate due"}`, or `"rotate"` with `keys`, a list of key ids. With `scheduledTime` a delivery that comes
 * late is known for what it is.
 */
export const scheduledEvents = (sent: Sent, source: EventSource, delivery: string): readonly Parsed[] => {
  const at = dateAt(sent, 'scheduledTime')
  const id = idOr(at === undefined ? undefined : `${textAt(sent, 'schedule') ?? 'schedule'}@${at.toISOString()}`, delivery)
  const said = { source, id, ...(at === undefined ? {} : { at }) }
  const { action, keys } = sent
  if (action === 'rotate due' || action === 'due') return [{ ...said, kind: 'due' }]
  if (action !== 'rotate') return [malformed(source, id, 'The schedule names no action; it must be "rotate due", or "rotate" with "keys".')]
  const list: readonly unknown[] = Array.isArray(keys) ? keys : []
  const ids = list.filter((key) => typeof key === 'string').filter((key) => /^[a-z0-9]{1,52}$/.test(key))
  if (list.length === 0 || list.length > mostKeys || ids.length !== list.length) return [malformed(source, id, `"keys" must be a list of 1 to ${mostKeys} key ids.`)]
  return ids.map((keyId) => ({ ...said, kind: 'rotate', keyId }))
}

/** Handles events one after the other, in the time that the platform leaves; each has its outcome and its line. */
export const handleAll = async (rotator: Pick<Rotator, 'handle'>, clock: Clock, events: readonly Parsed[], remainingMs?: number): Promise<readonly RotationOutcome[]> => {
  const time = timeBudget(clock, remainingMs)
  try {
    const outcomes: RotationOutcome[] = []
    for (const event of events) outcomes.push(await rotator.handle(event, time))
    return outcomes
  } finally {
    time.end()
  }
}

/** What the platform shall see as a failed invocation, so that it delivers again: authored words, and none of the event's. */
export const failureOf = (outcome: RotationOutcome): LatchkeyError => outcome.error ?? new LatchkeyError('invalid_request', `${outcome.reason}: ${outcome.message}`)

/** @throws the first failure that a repetition may mend, after every event was handled */
export const throwRetries = (outcomes: readonly RotationOutcome[]): readonly RotationOutcome[] => {
  const retry = outcomes.find(({ decision }) => decision === 'retry')
  if (retry !== undefined) throw failureOf(retry)
  return outcomes
}

/** An outcome as plain text members, for a platform's log or a caller. */
export const shownOutcome = ({ decision, reason, message, name, keyId, operationId, cursor }: RotationOutcome): Sent => ({ decision, reason, message, name, key_id: keyId, operation_id: operationId, next_cursor: cursor })
