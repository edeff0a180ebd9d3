// What becomes of a failure of AWS: our code by its name, in our words. Loaded by the first one.
import { LatchkeyError, type ErrorCode } from '../../core/errors.ts'
import { nonsense, type AwsService, type AwsSubject } from '../aws-calls.ts'

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
export const awsFailure = async (service: AwsService, error: unknown, action: string, subject?: AwsSubject): Promise<LatchkeyError> => {
  if (error instanceof LatchkeyError) return error.with({})
  const { name = '', message = '', $response }: Thrown = error instanceof Error ? error : {}
  const { codes, refine } = await service.meanings()
  const known = { ...commonCodes, ...codes }
  const code = refine?.(name, message) ?? (Object.hasOwn(known, name) ? known[name] : undefined) ?? 'provider_unavailable'
  const seconds = Number($response?.headers?.['retry-after'])
  return new LatchkeyError(code, messages[code]?.(service, action, subject?.text ?? 'this store') ?? nonsense(service, action).message, {
    vendor: vendorOf(error),
    ...(code === 'provider_denied' && { detail: `${service.prefix}:${action} on ${subject?.native ?? '*'}` }),
    ...(code === 'provider_throttled' && { retryAfter: seconds >= 1 && seconds <= 3600 ? Math.ceil(seconds) : 1 }),
  })
}

/** AWS refused the credentials themselves, not what they may do: nothing was done. */
const spent: ReadonlySet<string> = new Set(['ExpiredToken', 'ExpiredTokenException', 'UnrecognizedClientException', 'InvalidClientTokenId'])

/** Whether a failure is that of credentials which have ended. */
export const isSpent = (error: unknown): boolean => error instanceof LatchkeyError && spent.has(error.details.vendor?.name ?? '')
