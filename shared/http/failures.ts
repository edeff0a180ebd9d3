// Failures as answers, rendered from a LatchkeyError and nothing else. Loaded by the first failure: a cold read that succeeds needs none of its texts.
import { errorCodes } from '../core/errors/codes.ts'
import { errorTexts } from '../core/errors/texts.ts'
import type { ErrorCode, LatchkeyError } from '../core/errors.ts'
import type { ApiResponse, Route } from './api.ts'
import { json, textOf, type Body } from './problem.ts'

/** What is said about a failure, in words of our own. `detail` (native names, principals) only to callers who may see them. */
export const problemBody = (error: LatchkeyError, requestId: string, seesDetail: boolean): Body => ({
  type: `/problems/${error.code}`,
  title: errorTexts[error.code].when,
  status: errorCodes[error.code].status,
  code: error.code,
  detail: error.message,
  hint: error.details.hint ?? errorTexts[error.code].fix,
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
const litellmStatus = (error: LatchkeyError): number => (error.code === 'already_exists' ? 400 : errorCodes[error.code].status)

/** LiteLLM's own shape, with our code as `type` and LiteLLM's status, as text, as `code`. */
export const litellmBody = (error: LatchkeyError, requestId: string, seesDetail: boolean, status = litellmStatus(error)): Body => {
  const { param, ...rest } = more(error, requestId, seesDetail)
  return { error: { message: error.message, type: error.code, param: param ?? null, code: String(status), hint: error.details.hint ?? errorTexts[error.code].fix, ...rest } }
}

const secondsByCode: Partial<Record<ErrorCode, number>> = { conflict: 1, throttled: 1, provider_throttled: 2, provider_unavailable: 5, deadline_exceeded: 1, audit_unavailable: 5 }

/** Whole seconds, for every failure that may pass by itself. */
const retryAfter = (error: LatchkeyError): number | undefined =>
  errorCodes[error.code].retryable || error.details.retryAfter !== undefined ? Math.max(1, Math.ceil(error.details.retryAfter ?? secondsByCode[error.code] ?? 1)) : undefined

/** A failure as an answer of this route. Needs no receipt: it grants nothing. */
export const failure = (error: LatchkeyError, shape: Route['shape'], requestId: string, seesDetail = false): ApiResponse => {
  const wait = retryAfter(error)
  const headers = {
    'content-type': shape === 'problem' ? 'application/problem+json; charset=utf-8' : json['content-type'],
    ...(wait === undefined ? {} : { 'retry-after': String(wait) }),
    ...(error.code === 'unauthenticated' ? { 'www-authenticate': 'Bearer' } : {}),
  }
  return shape === 'problem'
    ? { status: errorCodes[error.code].status, headers, body: textOf(problemBody(error, requestId, seesDetail)) }
    : { status: litellmStatus(error), headers, body: textOf(litellmBody(error, requestId, seesDetail)) }
}
