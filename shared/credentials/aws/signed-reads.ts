// The two calls that read secrets of AWS Secrets Manager, signed here and sent over the one outgoing client, without the SDK. What fails is thrown as the SDK throws it, under the
// service's own name, so that both ways end in the same words.
import type { GetSecretValueResponse, SecretValueEntry } from '@aws-sdk/client-secrets-manager'
import type { HttpResponse } from '../../core/http-client.ts'
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
/** The members of an answer. */
export type Fields = Readonly<Record<string, unknown>>

/** The object that an answer is, or nothing. */
export const fieldsOf = ({ body }: HttpResponse): Fields | undefined => {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString('utf8'))
    return isMapping(value) ? value : undefined
  } catch {
    // What JSON.parse says of it shows the beginning of the text.
    return undefined
  }
}

/** One secret of an answer, its bytes and date made of what JSON has for them. What is no such thing is left out, and missed by whoever needs it. */
export const valueOf = (fields: Fields): GetSecretValueResponse & SecretValueEntry => {
  const { ARN, Name, VersionId, SecretString, SecretBinary, VersionStages, CreatedDate } = fields
  const texts = Object.fromEntries(Object.entries({ ARN, Name, VersionId, SecretString }).filter(([, value]) => typeof value === 'string'))
  return {
    ...texts,
    ...(typeof SecretBinary === 'string' && { SecretBinary: Buffer.from(SecretBinary, 'base64') }),
    ...(Array.isArray(VersionStages) && { VersionStages: VersionStages.filter((stage) => typeof stage === 'string') }),
    ...(typeof CreatedDate === 'number' && { CreatedDate: new Date(CreatedDate * 1000) }),
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
    return client.send({ method: 'POST', path: '/', headers, body, repeatable: true, repeatIf: async (response) => (await import('../aws-secrets/refusals.ts')).passes(response) }, { signal, deadline })
  }

  const ask = async (operation: string, input: object, patience: Patience): Promise<Fields> => {
    const target = `secretsmanager.${operation}`
    const body = JSON.stringify(input)
    patience.sent = true
    let response = await once(target, body, patience)
    if (response.status !== 200) {
      const { refusalOf, skewOf } = await import('../aws-secrets/refusals.ts')
      const skew = skewOf(response, clock.now(), skewMs)
      if (skew !== undefined) {
        skewMs = skew
        response = await once(target, body, patience)
      }
      if (response.status >= 300 && clock.now() >= patience.deadline) throw outOfTime(true)
      if (response.status >= 300) throw refusalOf(response, operation)
    }
    const fields = isOfAws(response.headers) ? fieldsOf(response) : undefined
    if (fields === undefined) throw nonsense(service, operation)
    return fields
  }

  return {
    getSecretValue: (input, patience) => ask('GetSecretValue', input, patience).then(valueOf),
    batchGetSecretValue: async (input, patience) => (await import('../aws-secrets/batches.ts')).batchOf(await ask('BatchGetSecretValue', input, patience)),
    close: () => client.close(),
  }
}
