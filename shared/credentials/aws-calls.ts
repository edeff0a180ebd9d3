// How Latchkey calls any AWS service: the client's settings, the patience of one call, and what becomes of a failure.
// The SDK retries and signs; what it throws ends here, because its errors carry the vendor's text and the whole exchange.
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import { LatchkeyError, refuse, type ErrorCode } from '../core/errors.ts'
import type { Call, ProviderIo } from '../core/runtime.ts'
import type { SettingsTable } from '../core/settings.ts'
import type { AwsIdentity } from './aws.ts'
import { refuseOpenHttp } from './plain-http.ts'

/** Settings that every client of an AWS service has. */
export interface AwsClientSettings {
  readonly aws_use_fips_endpoint: boolean
  readonly aws_use_dualstack_endpoint: boolean
  readonly aws_allow_plain_http: boolean
  readonly aws_max_attempts: number
}

/** The client rows of every AWS provider's settings table. */
export const awsClientSettings: SettingsTable<AwsClientSettings> = {
  aws_use_fips_endpoint: { type: 'boolean', default: false, env: ['AWS_USE_FIPS_ENDPOINT'], text: "Uses the region's FIPS endpoint." },
  aws_use_dualstack_endpoint: { type: 'boolean', default: false, env: ['AWS_USE_DUALSTACK_ENDPOINT'], text: "Uses the region's endpoint for IPv4 and IPv6." },
  aws_allow_plain_http: { type: 'boolean', default: false, text: 'Allows an endpoint that begins with `http://` on another machine. Secrets then travel unencrypted.' },
  aws_max_attempts: { type: 'integer', default: 3, min: 1, max: 10, env: ['AWS_MAX_ATTEMPTS'], text: 'How often one request is sent at most, when AWS throttles or fails.' },
}

/** What differs between AWS services when a call fails. */
export interface AwsService {
  /** For people. */
  readonly title: string
  /** As in IAM actions. */
  readonly prefix: string
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

/** Names of failures that all services share. The name decides, never the status: on JSON services nearly every client fault is a 400. */
const commonCodes: Readonly<Record<string, ErrorCode>> = {
  ValidationException: 'invalid_request',
  AccessDeniedException: 'provider_denied',
  AccessDenied: 'provider_denied',
  UnrecognizedClientException: 'provider_denied',
  InvalidClientTokenId: 'provider_denied',
  ExpiredTokenException: 'provider_denied',
  ExpiredToken: 'provider_denied',
  RequestExpired: 'provider_denied',
  InvalidSignatureException: 'provider_denied',
  SignatureDoesNotMatch: 'provider_denied',
  IncompleteSignature: 'provider_denied',
  IncompleteSignatureException: 'provider_denied',
  MissingAuthenticationToken: 'provider_denied',
  MissingAuthenticationTokenException: 'provider_denied',
  OptInRequired: 'provider_denied',
  CredentialsProviderError: 'misconfigured',
  TokenProviderError: 'misconfigured',
  LimitExceededException: 'provider_quota',
  ThrottlingException: 'provider_throttled',
  Throttling: 'provider_throttled',
  TooManyRequestsException: 'provider_throttled',
  RequestLimitExceeded: 'provider_throttled',
}

const messages: Partial<Record<ErrorCode, (service: AwsService, action: string, name: string) => string>> = {
  not_found: (_, __, name) => `There is no such secret, or no such version of it: ${name}.`,
  already_exists: (_, __, name) => `There is a secret of that name already: ${name}.`,
  conflict: (_, __, name) => `${name} has another current version than the one named, or another operation on it is in progress.`,
  soft_deleted: (_, __, name) => `${name} is deleted and can still be recovered.`,
  invalid_request: ({ title }, action, name) => `${title} does not accept what ${action} sent for ${name}.`,
  provider_denied: ({ prefix }, action) => `AWS refused ${prefix}:${action}. Check Latchkey's credentials, its permission for this action and, with a customer managed key, kms:Decrypt and kms:GenerateDataKey.`,
  provider_throttled: ({ prefix }, action) => `AWS throttles ${prefix}:${action}.`,
  provider_quota: ({ title, prefix }, action) => `A quota of ${title} is used up: ${prefix}:${action} was refused.`,
  misconfigured: () => 'No AWS credentials were found. Set aws_access_key_id and aws_secret_access_key, or run with an identity that the default credential chain finds.',
}

/** An answer that cannot be one. Never an absence. */
export const nonsense = (service: AwsService, action: string): LatchkeyError => new LatchkeyError('provider_unavailable', `${service.title} could not be reached, or did not answer ${action} sensibly.`)

const outOfTime = (sent: boolean): LatchkeyError =>
  new LatchkeyError('deadline_exceeded', sent ? 'AWS did not answer within the time of this call.' : 'The time for this call had run out before it was made.', { applied: sent ? 'unknown' : 'no' })

/** Labels as AWS takes tags, without those that are to go. */
export const awsTags = (labels: Readonly<Record<string, string | null>>): { Key: string; Value: string }[] => Object.entries(labels).flatMap(([Key, Value]) => (Value === null ? [] : [{ Key, Value }]))

/** A secret's tags as labels. A mark of Latchkey's own without a value is on its way out. */
export const awsLabels = (tags: readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[] = []): Readonly<Record<string, string>> =>
  Object.fromEntries(tags.flatMap(({ Key = '', Value = '' }) => (Value === '' && Key.startsWith('latchkey-') ? [] : [[Key, Value]])))

/** What to set and what to take off, where the tags that are there are known. Two calls are not one step: a mark that goes while others come is emptied by the call that brings those. */
export const awsTagChange = (labels: Readonly<Record<string, string | null>>, there: Readonly<Record<string, string>> | undefined): { readonly Tags: { Key: string; Value: string }[]; readonly TagKeys: string[] } => {
  const set = awsTags(labels).filter(({ Key, Value }) => there?.[Key] !== Value)
  const TagKeys = Object.keys(labels).filter((key) => labels[key] === null)
  return { Tags: set.length === 0 ? [] : [...set, ...TagKeys.filter((key) => key.startsWith('latchkey-')).map((Key) => ({ Key, Value: '' }))], TagKeys }
}

/** What AWS allows in tags. @throws invalid_request */
export const checkAwsTags = ({ title }: AwsService, limits: { readonly pairs: number; readonly keyBytes: number; readonly valueBytes: number }, labels: Readonly<Record<string, string | null>>): void => {
  const entries = Object.entries(labels).map(([key, value]) => [key, value ?? ''] as const)
  if (entries.length > limits.pairs) throw refuse('tags', `there are ${entries.length}; ${title} holds ${limits.pairs}`)
  if (entries.some(([key, value]) => key === '' || key.length > limits.keyBytes || value.length > limits.valueBytes)) throw refuse('tags', `on ${title} a name has 1 to ${limits.keyBytes} characters and a value at most ${limits.valueBytes}`)
  if (entries.some(([key]) => /^aws:/i.test(key))) throw refuse('tags', 'names that begin with "aws:" belong to AWS')
  if (entries.some((pair) => !/^[\p{L}\p{N}\p{Zs}+\-=._:/@]*$/u.test(pair.join('')))) throw refuse('tags', `${title} allows letters, digits, spaces and + - = . _ : / @`)
}

interface Thrown {
  readonly name?: string
  readonly message?: string
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string }
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> }
}

/** Of what the SDK threw, all that may be kept: name, status and request id, where they look like ones. */
export const vendorOf = (error: unknown): NonNullable<LatchkeyError['details']['vendor']> => {
  const { name = '', $metadata: { httpStatusCode: status, requestId = '' } = {} }: Thrown = error instanceof Error ? error : {}
  return { ...(/^\w{1,64}$/.test(name) && { name }), ...(status !== undefined && { status }), ...(/^[\w-]{1,64}$/.test(requestId) && { requestId }) }
}

/** Keeps of what the SDK threw its name, status and request id. The rest may hold anything. */
export const awsFailure = (service: AwsService, error: unknown, action: string, subject?: AwsSubject): LatchkeyError => {
  if (error instanceof LatchkeyError) return error.with({})
  const { name = '', message = '', $response }: Thrown = error instanceof Error ? error : {}
  const known = { ...commonCodes, ...service.codes }
  const code = service.refine?.(name, message) ?? (Object.hasOwn(known, name) ? known[name] : undefined) ?? 'provider_unavailable'
  const seconds = Number($response?.headers?.['retry-after'])
  return new LatchkeyError(code, messages[code]?.(service, action, subject?.text ?? 'this store') ?? nonsense(service, action).message, {
    vendor: vendorOf(error),
    ...(code === 'provider_denied' && { detail: `${service.prefix}:${action} on ${subject?.native ?? '*'}` }),
    ...(code === 'provider_throttled' && { retryAfter: seconds >= 1 && seconds <= 3600 ? Math.ceil(seconds) : 1 }),
  })
}

/** AWS refused the credentials themselves, not what they may do: nothing was done. */
const spent: ReadonlySet<string> = new Set(['ExpiredToken', 'ExpiredTokenException', 'UnrecognizedClientException', 'InvalidClientTokenId'])

/**
 * Runs one call of the SDK under the caller's signal and deadline, and turns every failure into ours. Ends promptly whatever the SDK is waiting for. With an `identity`,
 * a call that is refused because its session has ended is made once more, after a new login.
 */
export const awsCall = async <Answer>(service: AwsService, io: ProviderIo, action: string, subject: AwsSubject | undefined, call: Call, send: (patience: Patience) => Promise<Answer>, identity?: Pick<AwsIdentity, 'attempt'>): Promise<Answer> => {
  const renew = identity?.attempt()
  try {
    return await sendOnce(service, io, action, subject, call, send)
  } catch (error) {
    if (!(error instanceof LatchkeyError) || !spent.has(error.details.vendor?.name ?? '') || renew?.() !== true) throw error
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
    throw own.signal.aborted ? (own.signal.reason as Error) : awsFailure(service, error, action, subject)
  } finally {
    done.abort()
  }
}

const requestTimeoutMs = 3000
/** Providers do not log: neither does what they bring. */
export const silent = { trace: () => undefined, debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

/** No attempt begins after the deadline, none waits beyond it, and what neither calls itself JSON nor has AWS's request id is somebody else's answer. */
const guarded = (handler: NodeHttpHandler, service: AwsService, io: ProviderIo): NodeHttpHandler => {
  const handle = handler.handle.bind(handler)
  handler.handle = async (request, options) => {
    const patience = options as Patience
    const left = patience.deadline - io.clock.now()
    if (left <= 0) throw outOfTime(patience.sent)
    patience.abortSignal.throwIfAborted()
    patience.sent = true
    const answer = await handle(request, { abortSignal: patience.abortSignal, requestTimeout: Math.min(requestTimeoutMs, left) })
    const { statusCode, headers, body } = answer.response
    if (statusCode >= 500 || headers['content-type']?.includes('json') === true || headers['x-amzn-requestid'] !== undefined) return answer
    ;(body as { destroy?(): void } | undefined)?.destroy?.()
    throw nonsense(service, 'the request')
  }
  return handler
}

/** What every client of the SDK is told, whatever its service. */
export const awsClientOptions = (settings: AwsClientSettings, url: string | undefined) => ({
  ...(url !== undefined && { endpoint: url }),
  useFipsEndpoint: settings.aws_use_fips_endpoint,
  useDualstackEndpoint: settings.aws_use_dualstack_endpoint,
  maxAttempts: settings.aws_max_attempts,
  retryMode: 'standard',
  logger: silent,
})

/** The configuration of a client. Makes no call. @throws misconfigured when the endpoint would carry secrets in the open */
export const awsClient = async (settings: AwsClientSettings, endpoint: { readonly setting: string; readonly url: string | undefined }, service: AwsService, io: ProviderIo) => {
  const { setting, url } = endpoint
  if (url !== undefined) refuseOpenHttp(setting, url, { setting: 'aws_allow_plain_http', value: settings.aws_allow_plain_http })
  const { NodeHttpHandler } = await import('@smithy/node-http-handler')
  return {
    ...awsClientOptions(settings, url),
    requestHandler: guarded(new NodeHttpHandler({ connectionTimeout: 2000, requestTimeout: requestTimeoutMs, throwOnRequestTimeout: true, logger: silent }), service, io),
  }
}

interface Retries {
  refreshRetryTokenForRetry(token: unknown, why: { readonly error?: unknown }): Promise<unknown>
}

const isQuota = ({ name }: Error): boolean => name === 'LimitExceededException'

/** The SDK counts a used-up quota among the throttled and would send it again: no more. `isUsedUp` tells a quota from a rate where a service has one name for both. */
export const withoutQuotaRetries = async (client: { readonly config: { retryStrategy(): Promise<object> } }, isUsedUp: (error: Error) => boolean = isQuota): Promise<void> => {
  const strategy = (await client.config.retryStrategy()) as Retries
  const again = strategy.refreshRetryTokenForRetry.bind(strategy)
  strategy.refreshRetryTokenForRetry = (token, why) => (why.error instanceof Error && isUsedUp(why.error) ? Promise.reject(why.error) : again(token, why))
}
