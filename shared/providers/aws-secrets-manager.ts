// AWS Secrets Manager. Reads are requests that Latchkey signs itself, over its one client; everything else goes through AWS's own SDK, which is loaded by whoever asks for it
// first: a function that only reads never does, where its host gives it keys.
import { awsIdentity, awsRegion } from '../credentials/aws.ts'
import { awsCall } from '../credentials/aws-calls.ts'
import type { StoreCalls } from '../credentials/aws-secrets/store-calls.ts'
import { absent, codec, recordOf, service, tagLimits, valueBytes, type Ask, type AwsSecretsManagerSettings, type SecretReads } from '../credentials/aws/secrets-manager.ts'
import { secretsEndpoint, signedReads } from '../credentials/aws/signed-reads.ts'
import { refuseOpenHttp } from '../credentials/plain-http.ts'
import { isCode } from '../core/errors.ts'
import { defineProvider, type OpenedProvider, type SecretProvider, type TableLoader } from '../core/provider.ts'
import type { Call, ProviderIo } from '../core/runtime.ts'
import type { SecretName, SecretRecord } from '../core/secret.ts'

const raise = (error: unknown): never => { throw error }

type Calls<Loaded> = { readonly [Method in keyof Loaded as Loaded[Method] extends (...given: never[]) => Promise<unknown> ? Method : never]: Loaded[Method] }

/** Methods of what is loaded by the first who calls one. */
const later = <Loaded, Method extends keyof Calls<Loaded> & string>(load: () => Promise<Loaded>, ...methods: readonly Method[]): Pick<Calls<Loaded>, Method> =>
  Object.fromEntries(methods.map((method) => [method, async (...given: unknown[]) => (await load() as unknown as Readonly<Record<string, (...given: unknown[]) => unknown>>)[method]?.(...given)])) as unknown as Pick<Calls<Loaded>, Method>

const connect = async (settings: AwsSecretsManagerSettings, io: ProviderIo): Promise<OpenedProvider> => {
  const identity = await awsIdentity(settings, io)
  const region = await awsRegion(settings)
  const url = settings.aws_secretsmanager_endpoint
  if (url !== undefined) refuseOpenHttp('aws_secretsmanager_endpoint', url, { setting: 'aws_allow_plain_http', value: settings.aws_allow_plain_http })
  const endpoint = secretsEndpoint(settings, region)
  const signed = endpoint === undefined ? undefined : await signedReads({ endpoint, region, credentials: identity.credentials, attempts: settings.aws_max_attempts, setting: url === undefined ? 'aws_region_name' : 'aws_secretsmanager_endpoint' }, io)
  let opened: Promise<StoreCalls> | undefined
  const calls = (): Promise<StoreCalls> => (opened ??= import('../credentials/aws-secrets/store-calls.ts').then(({ storeCalls }) => storeCalls({ settings, io, identity, region, ask, read, readLabel, ...(signed !== undefined && { signed }), ...((endpoint ?? url) !== undefined && { url: endpoint ?? url }) })))
  const rotation = async (): Promise<StoreCalls['stepRotation']> => (await calls()).stepRotation
  const reads: SecretReads = signed ?? later(calls, 'getSecretValue', 'batchGetSecretValue')

  const ask: Ask = (action, name, call, send) => awsCall(service, io, action, name && { text: name.text, native: codec.encode(name) }, call, send, identity)

  const readLabel = async (name: SecretName, VersionStage: string | undefined, VersionId: string | undefined, call: Call): Promise<SecretRecord> => {
    const input = { SecretId: codec.encode(name), ...(VersionId !== undefined && { VersionId }), ...(VersionStage !== undefined && { VersionStage }) }
    const answer = await ask('GetSecretValue', name, call, (patience) => reads.getSecretValue(input, patience)).catch((error: unknown) => raise(isCode(error, 'soft_deleted') ? absent(name) : error))
    return { name, ...recordOf(answer, 'GetSecretValue') }
  }

  const read: SecretProvider['read'] = async (name, { version, stage }, call) => {
    // No version has such an id, and AWS would call the request malformed.
    if (version !== undefined && !/^[\x21-\x7e]{32,64}$/.test(version)) throw absent(name, 'version of the secret')
    if (stage !== 'pending') return readLabel(name, stage === 'previous' ? 'AWSPREVIOUS' : version === undefined || stage === 'current' ? 'AWSCURRENT' : undefined, version, call)
    return (await calls()).readPending(name, version, call)
  }

  return {
    notices: identity.notices,
    read,
    ...later(calls, 'readMany', 'list', 'describe', 'write', 'promote', 'annotate', 'discard', 'remove', 'recover', 'locate', 'check'),
    stepRotation: later(rotation, 'describe', 'read', 'write', 'finish'),
    close: async () => {
      await signed?.close()
      await (await opened)?.close()
    },
    traits: {
      names: codec,
      // A list may lack what the last five minutes brought.
      settleMs: 300_000,
      versions: 'opaque',
      value: { maxBytes: valueBytes, empty: false, bytes: 'any' },
      write: { guarantee: 'atomic', softDelete: true, labels: { travel: 'on_create', ...tagLimits, filter: true } },
    },
  }
}

/** AWS Secrets Manager. */
export const awsSecretsManager = defineProvider<AwsSecretsManagerSettings, TableLoader<AwsSecretsManagerSettings>>({
  name: 'aws_secret_manager',
  title: 'AWS Secrets Manager',
  settings: () => import('../credentials/aws-secrets/settings.ts').then((file) => file.awsSecretsManagerSettings),
  open: connect,
})
