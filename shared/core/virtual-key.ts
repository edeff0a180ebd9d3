// A virtual key as the rest of the house sees it: how one is asked for, named, minted, and what is answered about it.
import { hash } from 'node:crypto'
import type { Call, Random } from './runtime.ts'
import { SecretValue } from './secret.ts'

/** How a caller names a key. A token and its SHA-256 name it too, where the token says or the store knows which key it belongs to. */
export type KeyTarget =
  | { readonly keyId: string }
  | { readonly alias: string; readonly teamId?: string }
  | { readonly token: SecretValue }
  | { readonly sha256: string }

/** What a key is at this moment. A blocked or expired key is kept and not accepted; a revoked one has been deleted. */
export type KeyState = 'active' | 'rotating' | 'blocked' | 'expired' | 'revoked'

/** What stands beside an operation: who asks, by which route, and how a repetition is recognised. */
export interface OperationContext {
  readonly call: Call
  readonly caller: string
  readonly route: string
  /** The caller's `Idempotency-Key`, 16 to 255 printable ASCII characters. */
  readonly idempotencyKey?: string
  /** The request's body in canonical form; two requests with one key must agree in it. */
  readonly body: string
}

/** A key to be made. */
export interface KeyRequest {
  readonly alias?: string
  readonly teamId?: string
  /** Milliseconds until the key ends. */
  readonly durationMs?: number
  /** A token of the caller's own. */
  readonly token?: SecretValue
  /** LiteLLM's other fields: kept and echoed, never enforced. */
  readonly data?: Readonly<Record<string, unknown>>
}

/** How to rotate. */
export interface RotateRequest {
  readonly newToken?: SecretValue
  /** How long the old token stays retained. Default: 0. */
  readonly graceMs?: number
}

/** What to change of a key. What is left out stays. */
export interface KeyUpdate {
  /** A new alias: the key moves to another name, with its token and key id. */
  readonly alias?: string
  /** Another team; where names hold the team the key moves to another name. `null`: no team. */
  readonly teamId?: string | null
  /** Milliseconds from now until the key ends; `null`: it does not end. */
  readonly durationMs?: number | null
  /** LiteLLM's other fields, merged over those that are kept; `null` takes one off. */
  readonly data?: Readonly<Record<string, unknown>>
}

/** A secret that LiteLLM stored, to be taken over as a key: its value is its token and stays as it is. */
export interface AdoptRequest {
  readonly alias: string
  readonly teamId?: string
  readonly durationMs?: number
  readonly data?: Readonly<Record<string, unknown>>
}

/** A secret below the prefix that is no key of ours yet. */
export interface Adoptable {
  /** What its alias would be. */
  readonly alias: string
  readonly stored: { readonly store: string; readonly name: string; readonly version?: string }
}

/** Something that is not as Latchkey left it. */
export interface Drift {
  /**
   * `value_changed`: somebody else's value is current; `newer_value`: somebody wrote a value that Latchkey does not count; `deleted_in_service`: the secret was
   * deleted there while its key lives; `unknown_to_gateway`, `gateway_differs`, `blocked_at_gateway`: the gateway has no row of the current token, one that says otherwise, or one that somebody blocked there; `unfinished`: an operation stopped half-way;
   * `not_ours`: the gateway has a row with our mark that no key knows.
   */
  readonly kind: 'value_changed' | 'newer_value' | 'deleted_in_service' | 'unknown_to_gateway' | 'gateway_differs' | 'blocked_at_gateway' | 'unfinished' | 'not_ours'
  readonly message: string
}

/** What a reconciliation found of one key, and what it did about it. */
export interface Reconciled {
  readonly name: string
  readonly keyId?: string
  readonly finding: Drift['kind'] | 'expired' | 'rotation_due' | 'grace_over' | 'purge_due'
  /** `would_repair`: only reported; `left`: not Latchkey's to repair, or too young. */
  readonly action: 'repaired' | 'would_repair' | 'left' | 'failed'
  readonly message: string
}

/** One page of a reconciliation. Done when there is no cursor. */
export interface ReconcileReport {
  readonly checked: number
  readonly items: readonly Reconciled[]
  /** Since when the rotation of a key of this page is due that was not brought about; of several the oldest. */
  readonly overdueSince?: Date
  readonly cursor?: string
}

/** What is known of a key; never its token. */
export interface KeyInfo {
  readonly keyId: string
  readonly alias?: string
  readonly teamId?: string
  readonly state: KeyState
  readonly epoch: number
  readonly created?: Date
  readonly updated?: Date
  readonly expires?: Date
  readonly stored: { readonly store: string; readonly name: string; readonly version?: string }
  readonly data: Readonly<Record<string, unknown>>
  /** The last operations, newest first. */
  readonly operations: readonly { readonly id: string; readonly verb: string; readonly step: string; readonly at: Date; readonly before?: string; readonly until?: Date }[]
  /** Until when the version before is retained. */
  readonly previousUntil?: Date
  /** What is not as Latchkey left it. Only where it was looked for: in `info`, not in lists. */
  readonly drift?: readonly Drift[]
  /** When the next rotation is due, for a key with `auto_rotate`. */
  readonly rotationDue?: Date
  readonly guarantee: 'atomic' | 'cooperating' | 'detected'
}

/** What a change of a key is answered with. */
export interface KeyAnswer extends KeyInfo {
  /** The token; only at creation and rotation, and in a replay within the reveal window. */
  readonly key?: SecretValue
  /** Why there is no `key` in a replay's answer. */
  readonly keyWithheld?: 'reveal_expired' | 'write_only' | 'superseded'
  readonly superseded?: 'rotated' | 'deleted'
  readonly operationId: string
  /** Who accepts the token and ends it in time. `[]` when nobody does. */
  readonly enforcedBy: readonly ('verify' | 'gateway')[]
  /** On a delete: when the service's own delete may follow. */
  readonly purgeAfter?: Date
}

/** Whether a token is accepted now, and whose it is. */
export interface VerifyAnswer {
  readonly valid: boolean
  readonly keyId?: string
  readonly teamId?: string
  readonly notAfter?: Date
}

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const base32 = 'abcdefghijklmnopqrstuvwxyz234567'
const randomCharacters = 32
const checksumCharacters = 6

/** SHA-256 of a token as 64 hex digits: how a key with a token of the caller's own is found. */
export const tokenHash = (token: SecretValue): string => hash('sha256', token.bytes(), 'hex')

/** The key id that a creation gives, from its operation id: every instance that meets the operation knows it, without a label. */
export const keyIdOf = (operationId: string): string =>
  [...hash('sha256', `latchkey-key-id:${operationId}`, 'buffer').subarray(0, 16)].map((byte) => base32[byte & 31]).join('')

const checksum = (text: string): string =>
  [...hash('sha256', text, 'buffer').subarray(0, checksumCharacters)].map((byte) => base62[byte % 62]).join('')

/** A new token of a key: `sk-<key id>-<190 random bits>-<checksum>`. */
export const mintToken = (keyId: string, random: Random): SecretValue => {
  let drawn = ''
  while (drawn.length < randomCharacters) {
    for (const byte of random.bytes(randomCharacters * 2)) if (byte < 248 && drawn.length < randomCharacters) drawn += base62[byte % 62]
  }
  const body = `sk-${keyId}-${drawn}`
  return SecretValue.of(`${body}-${checksum(body)}`)
}

/** The key id that a minted token carries; nothing for a token that Latchkey did not mint. Says nothing about whether it is accepted. */
export const mintedKeyId = (token: SecretValue): string | undefined => {
  const [, body, keyId, sum] = (token.isText ? /^(sk-([a-z2-7]{16})-[0-9A-Za-z]{32})-([0-9A-Za-z]{6})$/.exec(token.reveal()) : null) ?? []
  return body !== undefined && checksum(body) === sum ? keyId : undefined
}

/** Whether a caller's own token has the form that LiteLLM accepts: `sk-` and printable ASCII without spaces, at most 512 characters. */
export const isSuppliedToken = (token: SecretValue): boolean => token.isText && /^sk-[\x21-\x7e]{1,509}$/.test(token.reveal())

/** Schedules and events rotate no key more often; people may. Ten minutes. */
export const shortestRotationMs = 600_000

const day = 86_400_000
const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: day, w: 7 * day }

/** LiteLLM's durations, strictly: a whole number and one of s, m, h, d, w, mo (calendar months from `now`). Milliseconds; nothing for text of another form. */
export const parseDuration = (text: string, now: number): number | undefined => {
  const [, count = '', unit = ''] = /^(\d{1,9})(mo|[smhdw])$/.exec(text) ?? []
  if (unit === '') return undefined
  return unit === 'mo' ? monthsAfter(now, Math.min(Number(count), 1200)) - now : Number(count) * (units[unit] ?? 0)
}

const monthsAfter = (now: number, months: number): number => {
  const date = new Date(now)
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months + 1, 0)).getUTCDate()
  date.setUTCMonth(date.getUTCMonth() + months, Math.min(date.getUTCDate(), last))
  return date.getTime()
}
