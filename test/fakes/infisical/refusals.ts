// How Infisical refuses: one body for everything, told apart by its name and status.
import type { Refusal, WireAnswer } from '../wire.ts'

/** Thrown by the rules, answered by the service. */
export class Refused extends Error {
  readonly status: number
  readonly error: string
  readonly said: string | readonly object[]
  readonly details: unknown

  constructor(status: number, error: string, said: string | readonly object[], details?: unknown) {
    super(error)
    this.status = status
    this.error = error
    this.said = said
    this.details = details
  }
}

let requests = 0

/** The body of a refusal. */
export const refusalAnswer = ({ status, error, said, details }: Refused): WireAnswer => {
  requests += 1
  return { status, headers: { 'content-type': 'application/json; charset=utf-8' }, body: { reqId: `req-${requests.toString(36).padStart(8, '0')}`, statusCode: status, message: said, error, ...(details !== undefined && { details }) } }
}

export const badRequest = (said: string): Refused => new Refused(400, 'BadRequest', said)
export const unauthorized = (said: string): Refused => new Refused(401, 'UnauthorizedError', said)
export const tokenError = (said: string): Refused => new Refused(403, 'TokenError', said)
export const forbidden = (said: string): Refused => new Refused(403, 'ForbiddenError', said)
export const permissionDenied = (action: string, subject = 'secrets'): Refused => new Refused(403, 'PermissionDenied', `You are not allowed to ${action} on ${subject}`, [{ action, inverted: false, subject }])
export const notFound = (said: string): Refused => new Refused(404, 'NotFound', said)
export const invalid = (path: string, said: string): Refused => new Refused(422, 'ValidationFailure', [{ code: 'custom', path: [path], message: said }])
export const tooMany = (seconds: number): Refused => new Refused(429, 'RateLimitExceeded', `Rate limit exceeded. Please try again in ${seconds} seconds`)

/** What the faults of the exam ask for. */
export const faultOf = (refusal: Refusal, echo: string): Refused => {
  if (refusal === 'denied') return new Refused(403, 'PermissionDenied', `You are not allowed to edit on secrets ${echo}`, [{ echo }])
  if (refusal === 'throttled') return new Refused(429, 'RateLimitExceeded', `Rate limit exceeded. Please try again in 17 seconds ${echo}`)
  if (refusal === 'expired_credential') return new Refused(403, 'TokenError', `Your token has expired. Please re-authenticate. ${echo}`)
  return new Refused(500, 'InternalServerError', `Something went wrong ${echo}`)
}
