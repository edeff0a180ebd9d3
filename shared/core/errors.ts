// The one error class and the one list of codes. Everything that leaves Latchkey as a failure is authored here or by a caller
// of LatchkeyError: a vendor's message, object or stack never travels with it.

interface CodeFacts {
  readonly status: number
  /** Whether the same request may succeed later without anybody changing anything. */
  readonly retryable: boolean
  readonly when: string
  readonly fix: string
}

/** Every failure Latchkey can answer, with its HTTP status and what to do; the README headings are printed from it. */
export const errorCodes = {
  unauthenticated: { status: 401, retryable: false, when: 'No caller credential, or a wrong one.', fix: 'Send `Authorization: Bearer <token>` or `x-litellm-api-key` with the master key or a token listed under `latchkey.access`.' },
  forbidden: { status: 403, retryable: false, when: "The caller, or the store's policy, may not: access mode, hosted keys, prefix, grant.", fix: 'The message names the grant or the setting; ask whoever owns the configuration.' },
  invalid_request: { status: 400, retryable: false, when: 'A body, name, query or setting does not fit; every issue is listed with its path.', fix: 'Mend the fields named and send the request again.' },
  not_found: { status: 404, retryable: false, when: 'The secret, version, property, key or route is confirmed absent; the message says which.', fix: 'Check the name, including its case; an absent secret is never answered as an empty value.' },
  already_exists: { status: 409, retryable: false, when: 'The alias is taken, or a secret of that name exists and is not ours.', fix: 'Choose another name, or adopt the secret with `adopt: true` if it is yours.' },
  conflict: { status: 409, retryable: true, when: 'The version moved under us, or another operation on this secret is in progress.', fix: 'Read again and retry after `Retry-After`.' },
  soft_deleted: { status: 409, retryable: false, when: 'The name is held by a deletion that can be recovered.', fix: 'Recover it (`POST /secrets/{name}:recover`), or wait until the time named.' },
  precondition_failed: { status: 412, retryable: false, when: '`If-Match` names another version than the current one.', fix: 'Read the secret, decide again, and send its `ETag`.' },
  idempotency_mismatch: { status: 422, retryable: false, when: 'The `Idempotency-Key` was used with another body.', fix: 'Use a new key.' },
  approval_required: { status: 409, retryable: false, when: 'The service took the write as a request for approval; nothing is stored.', fix: 'Have it approved in the service, or use a path without an approval policy.' },
  method_not_allowed: { status: 405, retryable: false, when: 'The route has other methods; `Allow` lists them.', fix: 'Use one of the methods in `Allow`.' },
  unsupported_media_type: { status: 415, retryable: false, when: 'The body is not `application/json`.', fix: 'Send `Content-Type: application/json`.' },
  uri_too_long: { status: 414, retryable: false, when: 'The URL is longer than 2 KiB.', fix: 'Send names in the body (`POST /secrets:read`).' },
  headers_too_large: { status: 431, retryable: false, when: 'The header block is larger than 8 KiB.', fix: 'Send fewer or shorter headers.' },
  too_large: { status: 413, retryable: false, when: 'The body or the value is over the limit; the message says both numbers.', fix: 'Store a shorter value, or a reference to it.' },
  unsupported: { status: 501, retryable: false, when: 'This provider cannot do it, whoever asks.', fix: 'See the provider table; use a store that can.' },
  throttled: { status: 429, retryable: true, when: "Latchkey's own limit.", fix: 'Wait for `Retry-After`.' },
  provider_denied: { status: 502, retryable: false, when: 'The secret manager refused Latchkey.', fix: "Give Latchkey's identity the permission that the message names." },
  provider_throttled: { status: 503, retryable: true, when: "The secret manager's rate limit, after our retries.", fix: 'Wait for `Retry-After`; raise the quota if it stays.' },
  provider_unavailable: { status: 503, retryable: true, when: 'The secret manager could not be reached, or answered nonsense.', fix: 'Check the network path and the service; retry after `Retry-After`.' },
  provider_quota: { status: 507, retryable: false, when: 'A permanent quota of the secret manager is used up.', fix: 'Free room in the service, or have the quota raised.' },
  gateway_denied: { status: 502, retryable: false, when: "The LLM gateway refused Latchkey's master key, or a field.", fix: 'Check `latchkey.gateway.master_key`, and what the message names.' },
  gateway_unavailable: { status: 503, retryable: true, when: 'The LLM gateway could not be reached, or answered nonsense.', fix: 'Check `latchkey.gateway.url`; repeat with the same `Idempotency-Key`.' },
  version_disabled: { status: 409, retryable: false, when: 'The version exists and is disabled or destroyed; that is no absence.', fix: 'Enable the version in the service, or read another one.' },
  deadline_exceeded: { status: 504, retryable: true, when: 'Our time budget ran out; `applied` says `no`, `yes` or `unknown`.', fix: 'Send the request again with the same `Idempotency-Key`.' },
  integrity: { status: 502, retryable: false, when: "A checksum or an authenticated value does not match: the service's answer, or a stored row that somebody changed.", fix: 'Do not use the value; look at the store and its key.' },
  audit_unavailable: { status: 503, retryable: true, when: 'The audit line cannot be written, so the request is refused.', fix: 'Mend the log sink; retry.' },
  misconfigured: { status: 503, retryable: false, when: 'A setting is wrong or missing; at the start it stops the start with exit code 78.', fix: 'Mend the setting that the message names.' },
  internal: { status: 500, retryable: false, when: 'A bug in Latchkey; only the request id is shown.', fix: 'Report it with the request id.' },
} as const satisfies Record<string, CodeFacts>

/** One of the codes of {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes

/** One thing that is wrong, and where it stands. */
export interface Issue {
  readonly path: string
  readonly message: string
}

/** What an error may carry beside its message; nothing of it is a value. */
export interface ErrorDetails {
  /** What to do next, safe for every caller. */
  readonly hint?: string
  /** Native names, principals, nearest names: shown only to callers with `ops:read` or `secrets:list`. */
  readonly detail?: string
  readonly issues?: readonly Issue[]
  /** Seconds. */
  readonly retryAfter?: number
  /** LiteLLM's `param`: the request field that is at fault. */
  readonly param?: string
  readonly operationId?: string
  readonly applied?: 'no' | 'yes' | 'unknown'
  /** For `soft_deleted`: until when the deletion can be recovered. */
  readonly recoverableUntil?: Date
  /** Of a vendor's failure only these three stay; they go to the log, never into an answer. */
  readonly vendor?: { readonly name?: string; readonly status?: number; readonly requestId?: string }
}

/** The only error that crosses a boundary of the house. Its message is public: it names things and settings, never a value. */
export class LatchkeyError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message)
    this.name = 'LatchkeyError'
    this.code = code
    this.details = details
  }

  get status(): number {
    return errorCodes[this.code].status
  }

  get retryable(): boolean {
    return errorCodes[this.code].retryable
  }

  /** The same failure with more said about it; details given here win. */
  with(details: ErrorDetails, message: string = this.message): LatchkeyError {
    return new LatchkeyError(this.code, message, { ...this.details, ...details })
  }
}

/** The answer for a secret that is confirmed absent from a store. */
export const absentSecret = (store: { readonly name: string; readonly system: string }, name: string): LatchkeyError =>
  new LatchkeyError('not_found', `No secret "${name}" in store "${store.name}" (${store.system}).`)

/** Whether a caught thing is a failure with this code. */
export const isCode = (error: unknown, ...codes: readonly ErrorCode[]): error is LatchkeyError =>
  error instanceof LatchkeyError && codes.includes(error.code)

/** What is left of a thrown thing that nobody authored: an abort is `deadline_exceeded`, anything else `internal`, without its message, which may hold anything. */
export const asLatchkeyError = (error: unknown): LatchkeyError => {
  if (error instanceof LatchkeyError) return error
  if (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')) {
    return new LatchkeyError('deadline_exceeded', 'The request ended before the secret manager answered.', { applied: 'unknown' })
  }
  return new LatchkeyError('internal', 'Something failed inside Latchkey; the request id leads to the log line.')
}

/** "did you mean …": the known name nearest to a mistyped one, or nothing if none is near. */
export const nearest = (word: string, known: Iterable<string>): string | undefined => {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase().slice(0, 64), candidate.toLowerCase().slice(0, 64))
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** The end of a message about a mistyped name: the nearest known one as a question, or nothing. Anything but text is near to nothing. */
export const didYouMean = (word: unknown, known: Iterable<string>): string => {
  const near = typeof word === 'string' ? nearest(word, known) : undefined
  return near === undefined ? '' : `; did you mean ${near}?`
}

const editDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** A request that is refused before it is sent. */
export const refuse = (param: string, message: string, code: ErrorCode = 'invalid_request'): LatchkeyError => new LatchkeyError(code, `${param}: ${message}.`, { param, issues: [{ path: param, message }] })

/** A setting that does not fit; the message ends with the fix. */
export const wrongSetting = (setting: string, message: string): LatchkeyError => new LatchkeyError('misconfigured', `${setting} ${message}`, { issues: [{ path: setting, message }] })
