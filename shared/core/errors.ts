// The one error class and the one list of codes. Everything that leaves Latchkey as a failure is authored here or by a caller
// of LatchkeyError: a vendor's message, object or stack never travels with it.

interface CodeFacts {
  readonly status: number
  /** Whether the same request may succeed later without anybody changing anything. */
  readonly retryable: boolean
}

/** Every failure Latchkey can answer, with its HTTP status; what to do is in errors/texts.ts, and the README headings are printed from both. */
export const errorCodes = {
  unauthenticated: { status: 401, retryable: false },
  forbidden: { status: 403, retryable: false },
  invalid_request: { status: 400, retryable: false },
  not_found: { status: 404, retryable: false },
  already_exists: { status: 409, retryable: false },
  conflict: { status: 409, retryable: true },
  soft_deleted: { status: 409, retryable: false },
  precondition_failed: { status: 412, retryable: false },
  idempotency_mismatch: { status: 422, retryable: false },
  approval_required: { status: 409, retryable: false },
  method_not_allowed: { status: 405, retryable: false },
  unsupported_media_type: { status: 415, retryable: false },
  uri_too_long: { status: 414, retryable: false },
  headers_too_large: { status: 431, retryable: false },
  too_large: { status: 413, retryable: false },
  unsupported: { status: 501, retryable: false },
  throttled: { status: 429, retryable: true },
  provider_denied: { status: 502, retryable: false },
  provider_throttled: { status: 503, retryable: true },
  provider_unavailable: { status: 503, retryable: true },
  provider_quota: { status: 507, retryable: false },
  gateway_denied: { status: 502, retryable: false },
  gateway_unavailable: { status: 503, retryable: true },
  version_disabled: { status: 409, retryable: false },
  deadline_exceeded: { status: 504, retryable: true },
  integrity: { status: 502, retryable: false },
  audit_unavailable: { status: 503, retryable: true },
  misconfigured: { status: 503, retryable: false },
  internal: { status: 500, retryable: false },
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
