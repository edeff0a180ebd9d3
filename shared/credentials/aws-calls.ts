// How Latchkey calls any AWS service, through the SDK or by a request of its own: the client's settings, the patience of one call, and what becomes of a
// failure. What the SDK throws ends here, because its errors carry the vendor's text and the whole exchange.
import { LatchkeyError, type ErrorCode } from '../core/errors.ts'
import { answered, type Call, type ProviderIo } from '../core/runtime.ts'
import type { AwsIdentity } from './aws.ts'

/** Settings that every client of an AWS service has. */
export interface AwsClientSettings {
  readonly aws_use_fips_endpoint: boolean
  readonly aws_use_dualstack_endpoint: boolean
  readonly aws_allow_plain_http: boolean
  readonly aws_max_attempts: number
}

/** What differs between AWS services when a call fails. */
export interface AwsService {
  /** For people. */
  readonly title: string
  /** As in IAM actions. */
  readonly prefix: string
  /** Asked for by the first failure. */
  meanings(): Promise<AwsMeanings>
}

/** What a service's failures mean. */
export interface AwsMeanings {
  /** The service's own names for failures. */
  readonly codes: Readonly<Record<string, ErrorCode>>
  /** For names that mean several things: what this text makes of one. */
  refine?(name: string, message: string): ErrorCode | undefined
}

/** What a call is about, as we name it and as the service does. */
export interface AwsSubject {
  readonly text: string
  readonly native: string
}

/** Travels with one request through the SDK to the handler. */
export interface Patience {
  readonly abortSignal: AbortSignal
  readonly deadline: number
  sent: boolean
}

/** Whether an answer may be AWS's own: it calls itself JSON, or has AWS's request id. Anything else is of somebody in between. */
export const isOfAws = (headers: Readonly<Record<string, string | undefined>>): boolean => headers['content-type']?.includes('json') === true || headers['x-amzn-requestid'] !== undefined

/** An answer that cannot be one. Never an absence. */
export const nonsense = (service: AwsService, action: string): LatchkeyError => new LatchkeyError('provider_unavailable', `${service.title} could not be reached, or did not answer ${action} sensibly.`)

/** The time of a call has run out, before or after it was sent. */
export const outOfTime = (sent: boolean): LatchkeyError =>
  new LatchkeyError('deadline_exceeded', sent ? 'AWS did not answer within the time of this call.' : 'The time for this call had run out before it was made.', { applied: sent ? 'unknown' : 'no' })

/**
 * Runs one call of the SDK under the caller's signal and deadline, and turns every failure into ours. Ends promptly whatever the SDK is waiting for. With an `identity`,
 * a call that is refused because its session has ended is made once more, after a new login.
 */
export const awsCall = async <Answer>(service: AwsService, io: ProviderIo, action: string, subject: AwsSubject | undefined, call: Call, send: (patience: Patience) => Promise<Answer>, identity?: Pick<AwsIdentity, 'attempt'>): Promise<Answer> => {
  const renew = identity?.attempt()
  try {
    return await sendOnce(service, io, action, subject, call, send)
  } catch (error) {
    if (renew === undefined || !(await import('./aws/failures.ts')).isSpent(error) || !renew()) throw error
    return sendOnce(service, io, action, subject, call, send)
  }
}

const sendOnce = async <Answer>(service: AwsService, io: ProviderIo, action: string, subject: AwsSubject | undefined, call: Call, send: (patience: Patience) => Promise<Answer>): Promise<Answer> => {
  call.signal.throwIfAborted()
  const left = call.deadline - io.clock.now()
  if (left <= 0) throw outOfTime(false)
  const own = new AbortController()
  const done = new AbortController()
  const patience: Patience = { abortSignal: own.signal, deadline: call.deadline, sent: false }
  const ended = new Promise<never>((_, reject) => own.signal.addEventListener('abort', () => reject(own.signal.reason as Error), { once: true }))
  call.signal.addEventListener('abort', () => own.abort(call.signal.reason), { once: true, signal: done.signal })
  io.clock.until(call.deadline, done.signal).then(() => own.abort(outOfTime(patience.sent)), () => undefined)
  try {
    return await Promise.race([send(patience), ended])
  } catch (error) {
    if (own.signal.aborted) throw own.signal.reason as Error
    throw await (await import('./aws/failures.ts')).awsFailure(service, error, action, subject)
  } finally {
    done.abort(answered)
  }
}
