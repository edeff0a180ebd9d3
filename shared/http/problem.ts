// Answers. A success is made of an audit receipt, so that none can leave without its line; how a failure is rendered is in failures.ts.
import type { AuditReceipt } from '../core/runtime.ts'
import type { Answer, ApiResponse } from './api.ts'

/** The members of an answer; those that are `undefined` are left out. */
export type Body = { readonly [key: string]: unknown }

/** The headers of every answer that is no failure. */
export const json = { 'content-type': 'application/json; charset=utf-8' }

/** With a line end, because a person at a terminal reads it too. */
export const textOf = (body: Body): string => `${JSON.stringify(body)}\n`

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
