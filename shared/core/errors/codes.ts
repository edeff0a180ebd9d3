// The one list of codes, with what they mean over HTTP. Apart from the error itself, because what succeeds never looks one up.

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
