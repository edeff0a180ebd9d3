// What a host makes of an event, and what the rotator makes of it. Plain data: a rotation that any cloud's event began is one and the same thing from here on.
import type { LatchkeyError } from '../errors.ts'
import type { AuditEvent, AuditReceipt } from '../runtime.ts'

/** Who brought an event. */
export type EventSource = 'secrets_manager_step' | 'event_bridge' | 'event_grid' | 'timer' | 'pubsub' | 'scheduler' | 'http'

/** The four steps by which AWS Secrets Manager drives a rotation. */
export type RotationStep = 'create' | 'set' | 'test' | 'finish'

/**
 * One event. Nothing in it is believed: `native` is held against the service itself, `name` and `keyId` against what the store holds.
 * `rotate`: one secret is due; `step`: one step of a rotation that the service drives; `invalidate`: a secret was changed; `due`: look for whatever is due;
 * `probe`: an event that asks for nothing.
 */
export interface RotationEvent {
  readonly source: EventSource
  readonly kind: 'rotate' | 'step' | 'invalidate' | 'due' | 'probe'
  /** The sender's own id of this event, the same whenever it is delivered again; stands in the audit line. */
  readonly id: string
  /** The service's own name of the secret: an ARN, a vault's URL, a project's path. */
  readonly native?: string
  /** Our name of the secret, in the store that is named beside it. Default store: `default`. */
  readonly name?: string
  readonly store?: string
  readonly keyId?: string
  /** For steps: the version that the service has reserved. */
  readonly version?: string
  readonly step?: RotationStep
  /** For steps: what AWS wants back with the value when the function works in another account. */
  readonly rotationToken?: string
  /** For steps: the function that was invoked, as the platform says, not the event. */
  readonly handler?: string
  /** When it happened, or was scheduled for. */
  readonly at?: Date
  /** For `due`: where an earlier sweep stopped. */
  readonly cursor?: string
}

/** An event that cannot be one. */
export interface MalformedEvent {
  readonly source: EventSource
  readonly id: string
  /** What is wrong, in words that hold nothing of the event's own text. */
  readonly problem: string
}

/** Why an event ended as it did, and what an operator does about it; the README's table is printed from it. */
export const rotationReasons = {
  rotated: { decision: 'done', when: 'The secret has a new value; for a key, the token before stays accepted for 24 hours.', fix: 'Nothing.' },
  step_done: { decision: 'done', when: 'The step of the rotation is done.', fix: 'Nothing.' },
  swept: { decision: 'done', when: 'Everything that was due has been looked at, as far as the time reached; the rest is looked at next time.', fix: 'Look at the lines of keys that failed, if there are any.' },
  invalidated: { decision: 'done', when: 'The secret was changed; this process no longer answers from its cache.', fix: 'Nothing.' },
  nothing_to_do: { decision: 'done', when: 'The platform tries whether somebody listens, or tells of something that changes no secret.', fix: 'Nothing.' },
  already_done: { decision: 'ignored', when: 'The event, or another about the same, was carried out before.', fix: 'Nothing.' },
  too_soon: { decision: 'ignored', when: 'The value was made after the event, or less than 10 minutes before it.', fix: 'Nothing; to rotate at once, send `POST /key/regenerate`.' },
  too_old: { decision: 'ignored', when: 'The event is more than an hour old.', fix: 'Nothing for keys with `auto_rotate`: the sweep finds them. Otherwise rotate by hand.' },
  key_ended: { decision: 'ignored', when: 'The key is deleted, blocked or expired.', fix: 'Take the schedule off that still names it.' },
  ends_by_itself: { decision: 'ignored', when: 'The vault says that the key is about to expire; that is the end that the key was given, which no rotation moves.', fix: 'Nothing; to let it live longer, change its `duration`.' },
  no_generator: { decision: 'ignored', when: 'The secret is no key, and no generator is configured for it.', fix: 'List it under `latchkey.rotation.secrets`, or take its schedule off.' },
  malformed: { decision: 'refused', when: 'It is not an event that this source sends.', fix: 'Look at who may send here; the message names what is wrong.' },
  not_ours: { decision: 'refused', when: 'The secret is in another account, region, vault or project, is not there, or is not marked as Latchkey’s.', fix: 'Take the subscription off, or adopt the secret (`managed-by: latchkey`).' },
  not_enabled: { decision: 'refused', when: 'AWS says that the secret has no rotation, or one by another function.', fix: 'Configure rotation of the secret with this function’s ARN.' },
  not_staged: { decision: 'refused', when: 'AWS does not hold the version of this step as AWSPENDING.', fix: 'Let AWS begin the rotation; do not call the steps by hand.' },
  out_of_order: { decision: 'refused', when: 'A step before this one is not done.', fix: 'Let AWS repeat the rotation; it begins with createSecret.' },
  overtaken: { decision: 'refused', when: 'Another change of the key came first; the version of this rotation can no longer become current.', fix: 'Start the rotation anew if it is still wanted.' },
  not_possible: { decision: 'refused', when: 'The configuration or the store does not allow it; the message says which setting.', fix: 'Mend what the message names, then send the event again.' },
  failed: { decision: 'retry', when: 'Something did not answer, or is busy with another change of the same secret.', fix: 'Nothing if a repetition succeeds; the dead-letter place holds it otherwise. Mend what the message names and send it again.' },
} as const satisfies Record<string, { readonly decision: 'done' | 'ignored' | 'refused' | 'retry'; readonly when: string; readonly fix: string }>

/** One of {@link rotationReasons}. */
export type RotationReason = keyof typeof rotationReasons

/** Writes one audit line. */
export type Recorder = (line: Partial<AuditEvent> & Pick<AuditEvent, 'decision'>) => Promise<AuditReceipt>

/** What became of an event, before anybody was told. */
export interface Verdict {
  readonly reason: RotationReason
  /** What is particular to this event; default: what the reason says. */
  readonly message?: string
  readonly store?: string
  readonly name?: string
  readonly keyId?: string
  readonly team?: string
  readonly operationId?: string
  readonly version?: string
  /** For sweeps: where the next one goes on, and how much was done. */
  readonly cursor?: string
  readonly swept?: { readonly checked: number; readonly repaired: number; readonly failed: number }
  /** For sweeps: since when the oldest rotation is due that could not be brought about. */
  readonly overdueSince?: Date
  readonly error?: LatchkeyError
}

/**
 * What a host is told. `done` and `ignored`: acknowledge; `refused`: no repetition can succeed, so acknowledge, or put it where the platform keeps dead letters;
 * `retry`: throw `error`, so that the platform sends the event again and in the end keeps it.
 */
export interface RotationOutcome extends Verdict {
  readonly decision: 'done' | 'ignored' | 'refused' | 'retry'
  readonly message: string
  /** Proof of the audit line; absent when it could not be written, which is a `retry`. */
  readonly receipt?: AuditReceipt
}
