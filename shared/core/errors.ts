// The one error class; its codes are in errors/codes.ts. Everything that leaves Latchkey as a failure is authored here or by a caller
// of LatchkeyError: a vendor's message, object or stack never travels with it.
import type { ErrorCode } from './errors/codes.ts'

export type { ErrorCode } from './errors/codes.ts'

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

/** A request that is refused before it is sent. */
export const refuse = (param: string, message: string, code: ErrorCode = 'invalid_request'): LatchkeyError => new LatchkeyError(code, `${param}: ${message}.`, { param, issues: [{ path: param, message }] })

/** A setting that does not fit; the message ends with the fix. */
export const wrongSetting = (setting: string, message: string): LatchkeyError => new LatchkeyError('misconfigured', `${setting} ${message}`, { issues: [{ path: setting, message }] })
