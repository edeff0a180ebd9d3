// The gateway that accepts the virtual keys, as the key lifecycle needs it: single steps, each one call, each of which may be repeated and may land late.
// What they add up to (register, retire, follow a block) is the lifecycle's; the gateway decides nothing.
import type { Call } from './runtime.ts'
import type { SecretValue } from './secret.ts'

/** A token at the gateway: itself, or its SHA-256 as 64 hex digits where nobody may read it. */
export type TokenRef = { readonly token: SecretValue } | { readonly sha256: string }

/** What a gateway is told of a token, and answers about it. */
export interface GatewayRow {
  /** Unique among the gateway's rows; absent where the row has none. */
  readonly alias?: string
  readonly teamId?: string
  /** Latchkey's mark: the key that the token belongs to. A row without it was made by somebody else. */
  readonly keyId?: string
  /** The epoch that the token was drawn for. */
  readonly epoch?: number
  /** When the gateway ends the token by itself. */
  readonly expires?: Date
  readonly blocked: boolean
  /** LiteLLM's other fields, as they were allowed for this key: models, budgets, metadata and the like. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** A row as the gateway lists it. */
export interface ListedRow extends GatewayRow {
  readonly sha256: string
}

/** A change of one row; what is left out stays. `null` takes an expiry or an alias off. */
export interface RowChange {
  readonly alias?: string | null
  readonly teamId?: string | null
  readonly expires?: Date | null
  readonly fields?: Readonly<Record<string, unknown>>
  /** Latchkey's mark, for a row that somebody else made and whose token is a key of ours now. */
  readonly mark?: { readonly keyId: string; readonly epoch: number }
}

/** A running gateway, through its own admin API. Failures: gateway_denied (our master key or the request is refused; nothing was done), gateway_unavailable (no answer: the call may have been carried out), deadline_exceeded. */
export interface Gateway {
  /** For answers and audit lines: `gateway`. */
  readonly name: string
  /** Adds a token if it is not there. A row of that token that is there stays as it is, whatever it says: an add never lengthens and never unblocks. @throws already_exists (param key_alias) when another token's row has the alias */
  add(token: SecretValue, row: GatewayRow, call: Call): Promise<'added' | 'stood'>
  /** Whether the gateway accepts the token now, asked with the token itself. */
  accepts(token: SecretValue, call: Call): Promise<boolean>
  /** Nothing where there is no such row. */
  find(ref: TokenRef, call: Call): Promise<GatewayRow | undefined>
  /** `false`: there is no such row. @throws already_exists (param key_alias) */
  change(ref: TokenRef, change: RowChange, call: Call): Promise<boolean>
  /** `false`: there is no such row; nothing is remembered then. */
  setBlocked(ref: TokenRef, blocked: boolean, call: Call): Promise<boolean>
  /** Takes the row away. `false`: there was none. */
  remove(ref: TokenRef, call: Call): Promise<boolean>
  /**
   * Only where the gateway's licence allows it: the row of `old` gets the new token and keeps its spend and budgets, and the old token is accepted for `graceMs` longer.
   * `false`: there is no row of `old`. Repeated after it took effect it answers `true`.
   */
  replace?(old: TokenRef, token: SecretValue, how: { readonly graceMs: number; readonly epoch: number }, call: Call): Promise<boolean>
  /** One page of all rows; it may be short, or empty with a cursor. */
  list(query: { readonly cursor?: string; readonly limit: number }, call: Call): Promise<{ readonly items: readonly ListedRow[]; readonly cursor?: string }>
  close?(): Promise<void>
}
