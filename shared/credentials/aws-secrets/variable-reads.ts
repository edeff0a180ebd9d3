// Secrets that a function's variables refer to, read as the function itself: with the keys that its host put into the environment, by the requests that Latchkey signs. No setting of
// a store counts here, because none is read yet.
import { LatchkeyError } from '../../core/errors.ts'
import type { Call, ProviderIo } from '../../core/runtime.ts'
import type { SecretValue } from '../../core/secret.ts'
import { environmentKeys, type AwsKeys } from '../aws-keys.ts'
import { awsCall } from '../aws-calls.ts'
import { legal, recordOf, service, type SecretReads } from '../aws/secrets-manager.ts'
import { secretsEndpoint, signedReads } from '../aws/signed-reads.ts'
import { isOpenHttp } from '../plain-http.ts'

/** Reads values for variables. */
export interface VariableReads {
  /** The current version of a secret, or the one of that id. @throws not_found, provider_denied, provider_unavailable and every other failure, whose messages go on after "it refers to the secret …, " */
  read(name: string, version: string | undefined, call: Call): Promise<SecretValue>
  close(): Promise<void>
}

const arn = /^arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):\d{12}:secret:[A-Za-z0-9/_+=.@-]+$/
const attempts = 3
const misconfigured = (message: string): LatchkeyError => new LatchkeyError('misconfigured', message)

/** Opens them; makes no call. */
export const variableReads = (io: ProviderIo): VariableReads => {
  const given = (name: string): string | undefined => io.env.get(name) || undefined
  const opened = new Map<string, Promise<SecretReads & { close(): Promise<void> }>>()

  const open = async (region: string, credentials: AwsKeys): Promise<SecretReads & { close(): Promise<void> }> => {
    const setting = given('AWS_ENDPOINT_URL_SECRETS_MANAGER') === undefined ? 'AWS_ENDPOINT_URL' : 'AWS_ENDPOINT_URL_SECRETS_MANAGER'
    const url = given(setting)
    if (url !== undefined && isOpenHttp(url)) throw misconfigured(`but ${setting} is plain http and leads away from this machine. Secrets travel over https:// only.`)
    const wants = (name: string): boolean => url === undefined && given(name) === 'true'
    const rules = { aws_use_fips_endpoint: wants('AWS_USE_FIPS_ENDPOINT'), aws_use_dualstack_endpoint: wants('AWS_USE_DUALSTACK_ENDPOINT'), aws_allow_plain_http: false, aws_max_attempts: attempts, aws_read_with_sdk: false }
    const endpoint = url ?? secretsEndpoint(rules, region)
    if (endpoint === undefined) throw misconfigured(`but the address of its service in ${region} is not known here. Set AWS_ENDPOINT_URL_SECRETS_MANAGER to the endpoint that this function shall use.`)
    return signedReads({ endpoint, region, credentials, attempts, setting: url === undefined ? 'AWS_REGION' : setting }, io)
  }

  const read = async (name: string, region: string, version: string | undefined, call: Call): Promise<SecretValue> => {
    const credentials = environmentKeys(io.env)
    if (credentials === undefined) throw misconfigured('but there are no AWS credentials in the environment. AWS Lambda gives them to every function.')
    const reads = opened.get(region) ?? open(region, credentials)
    opened.set(region, reads)
    const input = { SecretId: name, ...(version === undefined ? { VersionStage: 'AWSCURRENT' } : { VersionId: version }) }
    const { getSecretValue } = await reads
    const answer = await awsCall(service, io, 'GetSecretValue', { text: name, native: name }, call, (patience) => getSecretValue(input, patience))
    return recordOf(answer, 'GetSecretValue').value
  }

  return {
    read: async (name, version, call) => {
      const region = arn.exec(name)?.[1] ?? given('AWS_REGION')
      if (!legal.test(name) && !arn.test(name)) throw misconfigured('which is neither a name that AWS Secrets Manager can hold (A-Z a-z 0-9 / _ + = . @ -) nor the full ARN of one.')
      if (region === undefined) throw misconfigured('but AWS_REGION is not set, so that nobody knows in which region it is.')
      return read(name, region, version, call).catch((error: unknown) => Promise.reject(error instanceof LatchkeyError ? inWords(error, region) : error))
    },
    close: async () => {
      for (const reads of opened.values()) await (await reads.catch(() => undefined))?.close()
    },
  }
}

/** Absent, refused and failed: each says what to do. */
const inWords = (error: LatchkeyError, region: string): LatchkeyError => {
  if (error.code === 'not_found' || error.code === 'soft_deleted') return new LatchkeyError('not_found', `which is not in AWS Secrets Manager in ${region}${error.code === 'soft_deleted' ? ' any more: it was deleted, and can still be restored' : ', or has no such version'}. Put it there, or refer to another.`)
  if (error.code === 'provider_denied') return error.with({}, `and AWS refused secretsmanager:GetSecretValue on it in ${region}. Allow it to this function's role and, with a customer managed key, kms:Decrypt.`)
  if (error.code === 'misconfigured') return error
  return error.with({}, `which could not be read in ${region}: ${error.message} Every start asks anew.`)
}
