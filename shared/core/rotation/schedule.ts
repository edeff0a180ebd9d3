// When an event is too old, too early or too soon, and which operation the rotation of a key is: the one that the sweep would begin for the same epoch,
// so that events of any source, their repetitions and the sweep rotate once between them.
import { createHash } from 'node:crypto'
import type { Call } from '../runtime.ts'
import { shortestRotationMs, type OperationContext } from '../virtual-key.ts'
import type { RotationEvent } from './event.ts'

/** How long a rotation by an event, or by the sweep, leaves the value before accepted. */
export const eventGraceMs = 24 * 3_600_000
/** Older events are acknowledged and ignored. */
export const oldestEventMs = 3_600_000
/** How far before ours an honest sender's clock may go. */
export const mostSkewMs = 600_000

/** Whether an event about a value comes too soon after that was made: the value is its answer already, or a fresh one. */
export const isTooSoon = (at: Date | undefined, made: Date | undefined, now: number): boolean => made !== undefined && Math.min(at?.getTime() ?? now, now) - made.getTime() < shortestRotationMs

/** A near-expiry event comes 30 days before the end: a value with less time than this would bring the next one at once. */
const leastValidMs = 60 * 86_400_000

/**
 * When a value that replaces one about to expire expires itself: after as long a time as the one before had, and never so soon that its own near-expiry event would come at
 * once and begin the next rotation. Nothing where the event says nothing of an expiry, or there is none.
 */
export const renewedExpiry = (event: Pick<RotationEvent, 'source'>, { expires }: { readonly expires?: Date }, made: Date | undefined, now: number): Date | undefined =>
  event.source !== 'event_grid' || expires === undefined ? undefined : new Date(now + Math.max(leastValidMs, expires.getTime() - (made?.getTime() ?? now)))

/** An operation of the sweep: the same for everybody who finds the same thing, so that two sweeps do it once. */
export const sweepContext = (what: string, call: Call): OperationContext => ({ call, caller: 'latchkey', route: `sweep ${what}`, idempotencyKey: createHash('sha256').update(what).digest('hex'), body: '' })

/** The operation that rotates a key from its epoch on. It is the sweep's own, whoever begins it. */
export const rotationContext = (keyId: string, epoch: number, call: Call): OperationContext => sweepContext(`rotate ${keyId} ${epoch}`, call)
