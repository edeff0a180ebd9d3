// Who brings events, and how: each sender delivers what it has in its order, again where an answer was lost or a process died, as the clouds do. Senders of the same events
// beside each other are duplicates; AWS begins again at the first step when one fails; one that shuffles knows no order at all.
import type { RotationEvent, RotationOutcome } from '../../../shared/core/rotation/event.ts'
import type { Process } from '../world/world.ts'

/** What one sender brings. */
export interface Sending {
  readonly label: string
  readonly events: readonly RotationEvent[]
  /** After a failure: the same event again, or all of them from the first (AWS's steps). */
  readonly again: 'event' | 'all'
  /** How often anything is tried again at most. */
  readonly patience: number
}

/** One delivery of one event to one instance. */
export interface Delivery extends Process {
  readonly sender: Sender
  readonly event: RotationEvent
  outcome?: RotationOutcome
}

/** How one sender stands. */
export interface Sender {
  readonly sending: Sending
  /** Which event is next. */
  at: number
  failures: number
  deliveries: number
  now?: Delivery
  /** Nothing is left to be brought: everything was acknowledged, or it was told that no repetition helps, or it gave up. */
  done: boolean
}

export const senderOf = (sending: Sending): Sender => ({ sending, at: 0, failures: 0, deliveries: 0, done: false })

/** The next delivery of a sender that waits for none. */
export const nextOf = (sender: Sender): Delivery | undefined => {
  const event = sender.sending.events[sender.at]
  if (sender.done || sender.now !== undefined || event === undefined) return undefined
  sender.deliveries += 1
  return { label: `${sender.sending.label} ${event.step ?? event.kind} .${sender.deliveries}`, sender, event, dead: false, done: false, calls: 0, faulted: false, skewMs: 0, seen: 0, made: 0 }
}

/** What a sender makes of the end of its delivery: an answer, or a process that died. A step of AWS's that is refused ends its rotation. */
export const take = (sender: Sender): void => {
  const { now, sending } = sender
  if (now === undefined || (!now.done && !now.dead)) return
  delete sender.now
  const decision = now.dead ? 'retry' : now.outcome?.decision
  if (decision === 'retry') {
    sender.failures += 1
    if (sending.again === 'all') sender.at = 0
    sender.done = sender.failures > sending.patience
    return
  }
  sender.at += 1
  sender.done = sender.at >= sending.events.length || (decision === 'refused' && sending.again === 'all')
}
