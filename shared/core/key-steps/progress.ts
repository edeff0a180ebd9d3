// What one instance knows of its own operation while it runs. Nothing here outlives the request; whoever resumes starts without it.
import { isCode, type LatchkeyError } from '../errors.ts'
import type { Stamp } from '../keys/operation.ts'
import type { KeyRecord } from '../keys/record.ts'
import { isUnanswered } from '../keys/records.ts'
import type { SecretValue } from '../secret.ts'

/** What this instance knows of its own operation, beyond what the store says. */
export interface Progress {
  /** What was found before the first round; later rounds read again. */
  found?: KeyRecord | undefined
  applied: 'no' | 'yes' | 'unknown'
  /** The tombstone that this instance wrote over. */
  before?: string
  /** The key that the tombstone ended, as this instance first saw it. */
  keyId?: string
  /** The epoch that this instance last tried to win. */
  epoch?: number
  /** This instance has sent what cannot be told from the facts while it is on its way. */
  sent?: boolean
  /** The token that this instance made known to the gateway before it was current. */
  registered?: SecretValue
  /** The stamp that this instance wrote. */
  stamped?: Stamp | undefined
  /** Why this instance took its own operation back. */
  refusal?: LatchkeyError
  /** The claim was not to be seen once. */
  doubted?: boolean
  /** The epoch of a claim that another instance of this operation made. */
  resumed?: number | undefined
  /** The claim was answered to this instance, so its token is stored. */
  claimed?: boolean
  /** The token that this instance proposed; gone where another instance may have stored another one for the same operation. */
  token?: SecretValue | undefined
}

/** What a failed write tells: refused for want of room it was not applied, unless what was sent before may still be on its way. */
export const noteFailure = (progress: Progress, error: unknown): void => {
  if (isCode(error, 'provider_quota') && progress.sent !== true) progress.applied = 'no'
  progress.sent ||= isUnanswered(error)
}
