// The top-level key `latchkey:`, which holds what LiteLLM has no word for. Strict: an unknown key is an issue with the nearest known one.

/** What one caller may do. `names` and `team` narrow it; a missing `names` means every name, a missing `team` every team. */
export interface Grant {
  /** One of the closed list of actions, or a pattern `secrets:*`, `keys:*`, `*`. */
  readonly action: string
  /** Patterns: `*` inside a segment, `**` across segments. */
  readonly names?: readonly string[]
  readonly team?: string
}

/** A caller that is known by the SHA-256 of its token. */
export interface AccessEntry {
  readonly name: string
  /** 64 lower-case hex digits. */
  readonly tokenSha256: string
  readonly grants: readonly Grant[]
}

export interface CacheConfiguration {
  /** Default: 300. 0 turns the cache off. */
  readonly ttlSeconds: number
  /** Default: 900. */
  readonly maxStaleSeconds: number
  /** Default: 10. */
  readonly negativeTtlSeconds: number
  /** Default: 1000. */
  readonly maxEntries: number
}

/** How a stored key is named; with `{team}` an alias is unique per team instead of per store. */
export type KeyNameTemplate = '{prefix}{alias}' | '{prefix}{team}/{alias}'
