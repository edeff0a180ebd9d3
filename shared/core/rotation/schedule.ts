// When an event is too old, too early or too soon, and which operation the rotation of a key is: the one that the sweep would begin for the same epoch,
// so that events of any source, their repetitions and the sweep rotate once between them.
import { createHash } from 'node:crypto'
import type { Call } from '../runtime.ts'
import type { OperationContext } from '../virtual-key.ts'

/** How long a rotation by an event leaves the value before accepted. */
export const eventGraceMs = 24 * 3_600_000
/** Events and schedules rotate nothing more often. */
export const leastDistanceMs = 600_000
/** Older events are acknowledged and ignored. */
export const oldestEventMs = 3_600_000
/** How far before ours an honest sender's clock may go. */
export const mostSkewMs = 600_000

/** Whether an event about a value comes too soon after that was made: the value is its answer already, or a fresh one. */
export const isTooSoon = (at: Date | undefined, made: Date | undefined, now: number): boolean => made !== undefined && Math.min(at?.getTime() ?? now, now) - made.getTime() < leastDistanceMs

/** The operation that rotates a key from its epoch on. It is the sweep's own, whoever begins it. */
export const rotationContext = (keyId: string, epoch: number, call: Call): OperationContext => {
  const what = `rotate ${keyId} ${epoch}`
  return { call, caller: 'latchkey', route: `sweep ${what}`, idempotencyKey: createHash('sha256').update(what).digest('hex'), body: '' }
}
