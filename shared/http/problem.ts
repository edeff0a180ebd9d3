// Answers. A success is made of an audit receipt, so that none can leave without its line; a failure is rendered from a LatchkeyError and nothing else.
import { errorCodes, type ErrorCode, type LatchkeyError } from '../core/errors.ts'
import type { AuditReceipt } from '../core/runtime.ts'
import type { Answer, ApiResponse, Route } from './api.ts'

/** The members of an answer; those that are `undefined` are left out. */
export type Body = { readonly [key: string]: unknown }

const json = { 'content-type': 'application/json; charset=utf-8' }

/** With a line end, because a person at a terminal reads it too. */
const textOf = (body: Body): string => `${JSON.stringify(body)}\n`

/** The only way to a success about anything that a decision was made on: it takes the receipt of that decision's audit line. */
export const answer = (_receipt: AuditReceipt, status: number, body: Body, headers: Readonly<Record<string, string>> = {}): Answer =>
  openAnswer(status, body, headers)

/** The bare text of a value, for `Accept: text/plain`. */
export const textAnswer = (_receipt: AuditReceipt, body: string, headers: Readonly<Record<string, string>>): Answer =>
  mayLeave({ status: 200, headers: { ...headers, 'content-type': 'text/plain; charset=utf-8' }, body })

/** The `ETag` of a version; a service's own id that no header can carry gives none. */
export const etagOf = (version: string | undefined): Readonly<Record<string, string>> => (version !== undefined && /^[\x21\x23-\x7e]{1,256}$/.test(version) ? { etag: `"${version}"` } : {})

/** An answer without a decision: health and readiness, which anybody may ask for. */
export const openAnswer = (status: number, body: Body, headers: Readonly<Record<string, string>> = {}): Answer =>
  mayLeave({ status, headers: { ...headers, ...json }, body: textOf(body) })

const mayLeave = (response: ApiResponse): Answer => response as unknown as Answer

/** What is said about a failure, in words of our own. `detail` (native names, principals) only to callers who may see them. */
export const problemBody = (error: LatchkeyError, requestId: string, seesDetail: boolean): Body => ({
  type: `/problems/${error.code}`,
  title: errorCodes[error.code].when,
  status: error.status,
  code: error.code,
  detail: error.message,
  hint: error.details.hint ?? errorCodes[error.code].fix,
  ...more(error, requestId, seesDetail),
})

const more = (error: LatchkeyError, requestId: string, seesDetail: boolean): Body => ({
  param: error.details.param,
  issues: error.details.issues,
  diagnosis: seesDetail ? error.details.detail : undefined,
  operation_id: error.details.operationId,
  applied: error.details.applied,
  recoverable_until: error.details.recoverableUntil?.toISOString(),
  retry_after: retryAfter(error),
  request_id: requestId,
})

/** LiteLLM's status where it is another than ours. */
const litellmStatus = (error: LatchkeyError): number => (error.code === 'already_exists' ? 400 : error.status)

/** LiteLLM's own shape, with our code as `type` and LiteLLM's status, as text, as `code`. */
export const litellmBody = (error: LatchkeyError, requestId: string, seesDetail: boolean, status = litellmStatus(error)): Body => {
  const { param, ...rest } = more(error, requestId, seesDetail)
  return { error: { message: error.message, type: error.code, param: param ?? null, code: String(status), hint: error.details.hint ?? errorCodes[error.code].fix, ...rest } }
}

const secondsByCode: Partial<Record<ErrorCode, number>> = { conflict: 1, throttled: 1, provider_throttled: 2, provider_unavailable: 5, deadline_exceeded: 1, audit_unavailable: 5 }

/** Whole seconds, for every failure that may pass by itself. */
const retryAfter = (error: LatchkeyError): number | undefined =>
  error.retryable || error.details.retryAfter !== undefined ? Math.max(1, Math.ceil(error.details.retryAfter ?? secondsByCode[error.code] ?? 1)) : undefined

/** A failure as an answer of this route. Needs no receipt: it grants nothing. */
export const failure = (error: LatchkeyError, shape: Route['shape'], requestId: string, seesDetail = false): ApiResponse => {
  const wait = retryAfter(error)
  const headers = {
    'content-type': shape === 'problem' ? 'application/problem+json; charset=utf-8' : json['content-type'],
    ...(wait === undefined ? {} : { 'retry-after': String(wait) }),
    ...(error.code === 'unauthenticated' ? { 'www-authenticate': 'Bearer' } : {}),
  }
  return shape === 'problem'
    ? { status: error.status, headers, body: textOf(problemBody(error, requestId, seesDetail)) }
    : { status: litellmStatus(error), headers, body: textOf(litellmBody(error, requestId, seesDetail)) }
}
