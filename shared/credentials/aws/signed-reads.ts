// The two calls that read secrets of AWS Secrets Manager, signed here and sent over the one outgoing client, without the SDK. What fails is thrown as the SDK throws it, under the
// service's own name, so that both ways end in the same words.
import type { BatchGetSecretValueResponse, GetSecretValueResponse, SecretValueEntry } from '@aws-sdk/client-secrets-manager'
import { retryAfterOf, type HttpResponse } from '../../core/http-client.ts'
import type { ProviderIo } from '../../core/runtime.ts'
import type { AwsIdentity } from '../aws.ts'
import { isOfAws, nonsense, outOfTime, type AwsClientSettings, type Patience } from '../aws-calls.ts'
import { service, type SecretReads } from './secrets-manager.ts'
import { signer } from './signature.ts'
import { isMapping } from '../../core/settings/mapping.ts'

/** Where the reads go, as whom, and how often one is sent at most. */
export interface SignedReadsOptions {
  readonly endpoint: string
  /** The setting that the endpoint comes from, for messages. */
  readonly setting: string
  readonly region: string
  readonly credentials: AwsIdentity['credentials']
  readonly attempts: number
}

/** By the names of regions: the ends of host names in the partitions of AWS that are open to the public. */
const publicPartitions: readonly (readonly [region: RegExp, suffix: string])[] = [
  [/^(?:us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+$/, 'amazonaws.com'],
  [/^us-gov-\w+-\d+$/, 'amazonaws.com'],
  [/^cn-\w+-\d+$/, 'amazonaws.com.cn'],
]

/** Where the signed reads go; nothing where the SDK's own rules are needed (FIPS, dual stack, other partitions), or the operator wants the SDK to read. */
export const secretsEndpoint = (settings: AwsClientSettings & { readonly aws_read_with_sdk: boolean; readonly aws_secretsmanager_endpoint?: string }, region: string): string | undefined => {
  if (settings.aws_read_with_sdk || settings.aws_use_fips_endpoint || settings.aws_use_dualstack_endpoint) return undefined
  const suffix = publicPartitions.find(([regions]) => regions.test(region))?.[1]
  return settings.aws_secretsmanager_endpoint ?? (suffix === undefined ? undefined : `https://secretsmanager.${region}.${suffix}`)
}

/** Twenty secrets of 64 kB, every character written as six. */
const maxAnswerBytes = 16 * 1_048_576
/** A clock that is wrong by less than this is good enough for AWS. */
const toleratedSkewMs = 300_000

/** AWS's names for a rate that passes. A quota that is used up has another, and is not asked again. */
const throttled = /^(?:Throttling(?:Exception)?|Throttled(?:Exception)?|TooManyRequestsException|Request(?:LimitExceeded|Throttled(?:Exception)?)|ProvisionedThroughputExceededException|BandwidthLimitExceeded|SlowDown|PriorRequestNotComplete|TransactionInProgressException)$/
/** Names of failures that pass, whatever their status. */
const passing = /^(?:TimeoutError|RequestTimeout(?:Exception)?)$/
/** What AWS calls a signature whose time is not its own. */
const skewed = /^(?:AuthFailure|InvalidSignatureException|RequestExpired|RequestInTheFuture|RequestTimeTooSkewed|SignatureDoesNotMatch)$/

type Fields = Readonly<Record<string, unknown>>

/** The object that an answer is, or nothing. */
const fieldsOf = ({ body }: HttpResponse): Fields | undefined => {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString('utf8'))
    return isMapping(value) ? value : undefined
  } catch {
    // What JSON.parse says of it shows the beginning of the text.
    return undefined
  }
}

const textIn = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

/** `com.amazon.coral.service#Name:http://…` is Name. */
const nameOf = (response: HttpResponse): string => {
  const { __type: type, code } = fieldsOf(response) ?? {}
  const said = response.headers['x-amzn-errortype'] ?? textIn(code) ?? textIn(type) ?? ''
  return said.replace(/[,:].*$/s, '').replace(/^.*#/s, '')
}

/** A refusal in the shape that the SDK gives it. The text goes no further than `awsFailure`, which only looks at it. */
const refusalOf = (response: HttpResponse): Error => {
  const { message, Message } = fieldsOf(response) ?? {}
  const requestId = response.headers['x-amzn-requestid']
  const seconds = retryAfterOf(response)
  return Object.assign(new Error(textIn(message) ?? textIn(Message) ?? ''), {
    name: nameOf(response),
    $metadata: { httpStatusCode: response.status, ...(requestId !== undefined && { requestId }) },
    ...(seconds !== undefined && { $response: { headers: { 'retry-after': String(seconds) } } }),
  })
}

/** One secret of an answer, its bytes and date made of what JSON has for them. What is no such thing is left out, and missed by whoever needs it. */
const valueOf = (fields: Fields): GetSecretValueResponse & SecretValueEntry => {
  const { ARN, Name, VersionId, SecretString, SecretBinary, VersionStages, CreatedDate } = fields
  const texts = Object.fromEntries(Object.entries({ ARN, Name, VersionId, SecretString }).filter(([, value]) => typeof value === 'string'))
  return {
    ...texts,
    ...(typeof SecretBinary === 'string' && { SecretBinary: Buffer.from(SecretBinary, 'base64') }),
    ...(Array.isArray(VersionStages) && { VersionStages: VersionStages.filter((stage) => typeof stage === 'string') }),
    ...(typeof CreatedDate === 'number' && { CreatedDate: new Date(CreatedDate * 1000) }),
  }
}

const listOf = (value: unknown): readonly Fields[] | undefined => (Array.isArray(value) ? value.filter(isMapping) : undefined)

const batchOf = (fields: Fields): BatchGetSecretValueResponse => {
  const [values, errors] = [listOf(fields['SecretValues']), listOf(fields['Errors'])]
  return {
    ...(values !== undefined && { SecretValues: values.map(valueOf) }),
    ...(errors !== undefined && { Errors: errors.map(({ SecretId, ErrorCode, Message }) => Object.fromEntries(Object.entries({ SecretId, ErrorCode, Message }).filter(([, value]) => typeof value === 'string'))) }),
  }
}

/** Opens them; makes no call. @throws misconfigured naming the setting of the endpoint */
export const signedReads = async ({ endpoint, setting, region, credentials, attempts }: SignedReadsOptions, { http, clock }: Pick<ProviderIo, 'http' | 'clock'>): Promise<SecretReads & { close(): Promise<void> }> => {
  const client = await http.connect({ url: endpoint, title: service.title, setting, attempts, maxAnswerBytes })
  const url = new URL(`${endpoint.replace(/\/+$/, '')}/`)
  const sign = signer({ region, service: 'secretsmanager' })
  let skewMs = 0

  const once = async (target: string, body: string, { abortSignal: signal, deadline }: Patience): Promise<HttpResponse> => {
    const keys = typeof credentials === 'function' ? await credentials() : credentials
    const headers = sign({ url, headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target }, body }, keys, clock.now() + skewMs)
    return client.send({ method: 'POST', path: '/', headers, body, repeatable: true, repeatIf: (response) => response.status >= 500 || throttled.test(nameOf(response)) || passing.test(nameOf(response)) }, { signal, deadline })
  }

  /** How far this clock is from the service's, where that is why it refused. */
  const skewOf = (response: HttpResponse): number | undefined => {
    const there = Date.parse(response.headers['date'] ?? '')
    return skewed.test(nameOf(response)) && Math.abs(there - clock.now() - skewMs) >= toleratedSkewMs ? there - clock.now() : undefined
  }

  const ask = async (operation: string, input: object, patience: Patience): Promise<Fields> => {
    const target = `secretsmanager.${operation}`
    const body = JSON.stringify(input)
    patience.sent = true
    let response = await once(target, body, patience)
    const skew = response.status === 200 ? undefined : skewOf(response)
    if (skew !== undefined) {
      skewMs = skew
      response = await once(target, body, patience)
    }
    const { status, headers } = response
    if (status >= 300 && clock.now() >= patience.deadline) throw outOfTime(true)
    if (status >= 300) throw status >= 500 || isOfAws(headers) ? refusalOf(response) : nonsense(service, operation)
    const fields = isOfAws(headers) ? fieldsOf(response) : undefined
    if (fields === undefined) throw nonsense(service, operation)
    return fields
  }

  return {
    getSecretValue: (input, patience) => ask('GetSecretValue', input, patience).then(valueOf),
    batchGetSecretValue: (input, patience) => ask('BatchGetSecretValue', input, patience).then(batchOf),
    close: () => client.close(),
  }
}
