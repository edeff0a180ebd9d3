// AWS KMS: an environment variable holds base64 ciphertext, and reading it is one Decrypt. Read only. The text that KMS answers is trimmed, as LiteLLM does;
// whatever does not decrypt is a failure of its own, and the ciphertext is never the answer: LiteLLM hands it out, and it then authenticates people.
import type { DecryptCommandOutput } from '@aws-sdk/client-kms'
import { awsIdentity, awsRegion, type AwsIdentitySettings } from '../credentials/aws.ts'
import { awsCall, nonsense, type AwsClientSettings, type AwsService } from '../credentials/aws-calls.ts'
import { awsClientSettings, awsIdentitySettings } from '../credentials/aws-settings.ts'
import { awsClient, withoutQuotaRetries } from '../credentials/aws/sdk-client.ts'
import { canonicalBase64, ciphertextVariables, noCiphertext, readableSettings, textFor, type ReadableSettings } from '../credentials/kms/ciphertext-variables.ts'
import { asLatchkeyError, LatchkeyError, type ErrorCode } from '../core/errors.ts'
import { hostedName, verbatimCodec } from '../core/names.ts'
import { defineProvider, type Finding, type OpenedProvider, type SecretProvider } from '../core/provider.ts'
import type { Call, ProviderIo } from '../core/runtime.ts'
import { SecretValue, type SecretName } from '../core/secret.ts'

interface AwsKmsSettings extends AwsIdentitySettings, AwsClientSettings, ReadableSettings {
  readonly aws_kms_endpoint?: string
  readonly aws_kms_key_id?: string
  readonly aws_kms_encryption_context?: Readonly<Record<string, string>>
}

const limits = { ciphertextBytes: 6_144, plaintextBytes: 4_096 }

/**
 * What KMS says of a ciphertext or its key, by its own names. `integrity`: it does not decrypt as it stands. `version_disabled`: the key is there and may not be
 * used, so nothing kept of it is served any longer. `misconfigured`: a setting names the wrong key, or none.
 */
const refusals: Readonly<Record<string, readonly [code: ErrorCode, says: (name: string) => string]>> = {
  InvalidCiphertextException: ['integrity', (name) => `AWS KMS cannot decrypt what the variable ${name} holds: it is no ciphertext of KMS, it was changed or cut, or it was encrypted with another encryption context than aws_kms_encryption_context.`],
  IncorrectKeyException: ['misconfigured', (name) => `What the variable ${name} holds was encrypted under another key than aws_kms_key_id. Encrypt it again under that key, or name the right one.`],
  NotFoundException: ['misconfigured', (name) => `AWS KMS has no such key for ${name}: check aws_kms_key_id and aws_region_name.`],
  InvalidKeyUsageException: ['misconfigured', (name) => `The key for ${name} is not one that encrypts and decrypts symmetrically: check aws_kms_key_id.`],
  DisabledException: ['version_disabled', (name) => `The KMS key under which ${name} was encrypted is disabled. Enable it, or encrypt the value again under another.`],
  KMSInvalidStateException: ['version_disabled', (name) => `The KMS key under which ${name} was encrypted is in a state in which it decrypts nothing, such as a scheduled deletion.`],
}

const service: AwsService = {
  title: 'AWS KMS',
  prefix: 'kms',
  meanings: async () => ({
    codes: { ...Object.fromEntries(Object.entries(refusals).map(([name, [code]]) => [name, code])), InvalidGrantTokenException: 'provider_denied', InvalidArnException: 'misconfigured' },
    // The name means a quota that stays used up, or a rate that passes.
    refine: (name, message) => (name === 'LimitExceededException' && isRate(message) ? 'provider_throttled' : undefined),
  }),
}

const isRate = (message: string): boolean => /\brate\b|per second/i.test(message)

/** What Python's `strip` takes off, which is not what `trim` does. */
const edges = /^[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+|[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/g

const valueOf = (name: SecretName, { Plaintext }: DecryptCommandOutput): SecretValue => {
  if (!(Plaintext instanceof Uint8Array)) throw nonsense(service, 'Decrypt')
  const value = SecretValue.ofBytes(Plaintext)
  if (!value.isText) throw new LatchkeyError('integrity', `What the variable ${name.text} holds decrypts to bytes that are no UTF-8 text.`)
  return SecretValue.of(value.reveal().replace(edges, ''))
}

const ciphertextOf = (name: SecretName, text: string): Uint8Array => {
  // Tools wrap base64 into lines, and files end with one.
  const bytes = canonicalBase64(text.trim().replace(/\r?\n/g, ''))
  if (bytes === undefined || bytes.byteLength === 0) throw noCiphertext(name, 'holds no base64 with its padding; it must hold the CiphertextBlob of AWS KMS, as aws kms encrypt prints it')
  if (bytes.byteLength > limits.ciphertextBytes) throw noCiphertext(name, `holds ${bytes.byteLength} bytes of ciphertext; AWS KMS takes ${limits.ciphertextBytes}`)
  return bytes
}

const open = async (settings: AwsKmsSettings, io: ProviderIo): Promise<OpenedProvider> => {
  const { aws_kms_key_id: keyId, aws_kms_encryption_context: context = {} } = settings
  const endpoint = { setting: 'aws_kms_endpoint', url: settings.aws_kms_endpoint }
  const identity = await awsIdentity(settings, io)
  const config = { region: await awsRegion(settings), credentials: identity.credentials, ...(await awsClient(settings, endpoint, service, io)) }
  const { KMSClient, DecryptCommand } = await import('@aws-sdk/client-kms')
  const client = new KMSClient(config)
  await withoutQuotaRetries(client, ({ name, message }) => name === 'LimitExceededException' && !isRate(message))

  const decryptBytes = async (name: SecretName, CiphertextBlob: Uint8Array, call: Call): Promise<DecryptCommandOutput> => {
    const EncryptionContext = Object.fromEntries(Object.entries(context).map(([key, template]) => [key, textFor(template, name)]))
    const command = new DecryptCommand({ CiphertextBlob, ...(keyId !== undefined && { KeyId: keyId }), ...(Object.keys(context).length > 0 && { EncryptionContext }) })
    const subject = { text: name.text, native: keyId ?? 'the key of the ciphertext' }
    return awsCall(service, io, 'Decrypt', subject, call, (patience) => client.send(command, patience), identity).catch((error: unknown) => {
      const vendor = error instanceof LatchkeyError ? error.details.vendor?.name : undefined
      const said = vendor !== undefined && Object.hasOwn(refusals, vendor) ? refusals[vendor]?.[1] : undefined
      throw error instanceof LatchkeyError && said !== undefined ? error.with({}, said(name.text)) : error
    })
  }
  const decrypt = async (name: SecretName, text: string, call: Call): Promise<SecretValue> => valueOf(name, await decryptBytes(name, ciphertextOf(name, text), call))

  const { sample, ...reading } = ciphertextVariables(settings, io, decrypt)

  const settingOf = ({ code, details: { vendor, issues } }: LatchkeyError): string | undefined => {
    if (vendor?.name === 'InvalidCiphertextException') return 'aws_kms_encryption_context'
    if (issues !== undefined) return issues[0]?.path
    if (code === 'misconfigured') return vendor?.name !== undefined && Object.hasOwn(refusals, vendor.name) ? 'aws_kms_key_id' : 'aws_access_key_id'
    return code === 'provider_denied' ? 'aws_access_key_id' : 'aws_region_name'
  }
  const finding = (failure: LatchkeyError | undefined, message: string): Finding => {
    const setting = failure && settingOf(failure)
    return { ok: failure === undefined, subject: 'kms:Decrypt', message: failure?.message ?? message, ...(setting !== undefined && { setting }) }
  }
  /** No call asks for the permission alone. A byte that is no ciphertext is refused as such by a service that knows who asks, or for want of a permission that only holds for real ones. */
  const knock = async (depth: 'reach' | 'read' | 'write', call: Call): Promise<Finding> => {
    const failure = await decryptBytes(hostedName('latchkey-check'), Uint8Array.of(0), call).then(() => undefined, asLatchkeyError)
    const name = failure?.details.vendor?.name
    const answers = name === 'InvalidCiphertextException' || (depth === 'reach' && name === 'AccessDeniedException')
    return finding(answers ? undefined : failure, 'AWS KMS answers. Whether it decrypts is known once a variable that may be read is set.')
  }
  const check: SecretProvider['check'] = async (depth, call) => {
    const who = depth === 'reach' ? [] : await identity.check(call)
    if (who.some(({ ok }) => !ok)) return who
    const name = sample()
    const read = name === undefined ? await knock(depth, call) : finding(await reading.read(name, {}, call).then(() => undefined, asLatchkeyError), `Allowed: ${name.text} was decrypted.`)
    return [...who, read, ...(depth === 'write' ? [{ ok: false, subject: 'kms:Encrypt', message: 'aws_kms only reads: the environment is never written.', setting: 'access_mode' }] : [])]
  }

  return {
    ...reading,
    check,
    close: async () => client.destroy(),
    traits: { names: verbatimCodec(), settleMs: 0, versions: 'none', value: { maxBytes: limits.plaintextBytes, empty: false, bytes: 'trimmed_text' } },
  }
}

/** AWS KMS over variables of the environment. */
export const awsKms = defineProvider<AwsKmsSettings>({
  name: 'aws_kms',
  title: 'AWS KMS',
  settings: {
    ...awsIdentitySettings,
    ...awsClientSettings,
    ...readableSettings,
    aws_kms_endpoint: { type: 'url', env: ['AWS_ENDPOINT_URL_KMS', 'AWS_ENDPOINT_URL'], text: "Another endpoint than the region's own, for example of a VPC endpoint or an emulator." },
    aws_kms_key_id: { type: 'string', text: 'The one key whose ciphertext is accepted: ARN of the key or of an alias. Default: whatever key the ciphertext names and Latchkey may use.' },
    aws_kms_encryption_context: { type: 'string_map', text: 'Encryption context that every ciphertext was made with; `{name}` in a value is the name of the variable. Default: none, as in LiteLLM.' },
  },
  open,
})
