// Answers of AWS that are refusals: what they are called, whether they pass, and the error that the SDK would throw for one. Loaded by the first.
import type { HttpResponse } from '../../core/http-client.ts'
import { retryAfterOf } from '../../core/http/answers.ts'
import { isOfAws, nonsense } from '../aws-calls.ts'
import { service } from '../aws/secrets-manager.ts'
import { fieldsOf } from '../aws/signed-reads.ts'

/** A clock that is wrong by less than this is good enough for AWS. */
const toleratedSkewMs = 300_000

/** AWS's names for a rate that passes. A quota that is used up has another, and is not asked again. */
const throttled = /^(?:Throttling(?:Exception)?|Throttled(?:Exception)?|TooManyRequestsException|Request(?:LimitExceeded|Throttled(?:Exception)?)|ProvisionedThroughputExceededException|BandwidthLimitExceeded|SlowDown|PriorRequestNotComplete|TransactionInProgressException)$/
/** Names of failures that pass, whatever their status. */
const passing = /^(?:TimeoutError|RequestTimeout(?:Exception)?)$/
/** What AWS calls a signature whose time is not its own. */
const skewed = /^(?:AuthFailure|InvalidSignatureException|RequestExpired|RequestInTheFuture|RequestTimeTooSkewed|SignatureDoesNotMatch)$/

const textIn = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

/** `com.amazon.coral.service#Name:http://…` is Name. */
const nameOf = (response: HttpResponse): string => {
  const { __type: type, code } = fieldsOf(response) ?? {}
  const said = response.headers['x-amzn-errortype'] ?? textIn(code) ?? textIn(type) ?? ''
  return said.replace(/[,:].*$/s, '').replace(/^.*#/s, '')
}

/** In the shape that the SDK gives it. The text goes no further than `awsFailure`, which only looks at it. */
const thrownFor = (response: HttpResponse): Error => {
  const { message, Message } = fieldsOf(response) ?? {}
  const requestId = response.headers['x-amzn-requestid']
  const seconds = retryAfterOf(response)
  return Object.assign(new Error(textIn(message) ?? textIn(Message) ?? ''), {
    name: nameOf(response),
    $metadata: { httpStatusCode: response.status, ...(requestId !== undefined && { requestId }) },
    ...(seconds !== undefined && { $response: { headers: { 'retry-after': String(seconds) } } }),
  })
}

/** Whether the same request may be answered a moment later. */
export const passes = (response: HttpResponse): boolean => response.status >= 500 || throttled.test(nameOf(response)) || passing.test(nameOf(response))

/** How far this clock is from the service's, where that is why it refused. `skewMs`: by how much the request's time was put right already. */
export const skewOf = (response: HttpResponse, now: number, skewMs: number): number | undefined => {
  const there = Date.parse(response.headers['date'] ?? '')
  return skewed.test(nameOf(response)) && Math.abs(there - now - skewMs) >= toleratedSkewMs ? there - now : undefined
}

/** The error for a refusal: the service's own, or what is said of an answer that is not the service's. */
export const refusalOf = (response: HttpResponse, operation: string): Error => (response.status >= 500 || isOfAws(response.headers) ? thrownFor(response) : nonsense(service, operation))
