// A virtual key as the rest of the house sees it: how one is asked for, named, minted, and what is answered about it.
import type { Call } from './runtime.ts'
import type { SecretValue } from './secret.ts'

/** How a caller names a key. A token and its SHA-256 name it too, where the token says or the store knows which key it belongs to. */
export type KeyTarget =
  | { readonly keyId: string }
  | { readonly alias: string; readonly teamId?: string }
  | { readonly token: SecretValue }
  | { readonly sha256: string }

export type KeyState = 'active' | 'rotating' | 'blocked' | 'revoked'

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

export interface RotateRequest {
  readonly newToken?: SecretValue
  /** How long the old token stays retained. Default: 0. */
  readonly graceMs?: number
}

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
  readonly guarantee: 'atomic' | 'cooperating' | 'detected'
}

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

export interface VerifyAnswer {
  readonly valid: boolean
  readonly keyId?: string
  readonly teamId?: string
  readonly notAfter?: Date
}
