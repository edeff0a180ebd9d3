// AWS KMS under examination: the provider over its real SDK, against the fake that encrypts for real, or against any server that speaks the protocol.
// The operator of these harnesses encrypts with the service and sets a variable; that is all the writing there is.
import { KMS } from '@aws-sdk/client-kms'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import type { SecretName } from '../../../shared/core/secret.ts'
import { awsKms } from '../../../shared/providers/aws-kms.ts'
import { startKmsFake } from '../../fakes/aws-kms.ts'
import { fakeKeys } from '../../fakes/aws-signature.ts'
import type { TestRuntime } from '../../support/runtime.ts'
import type { Deviation, Harness, Target } from '../harness.ts'
import { onFake, onTarget, openConfigured, runByOthers, type Given } from '../opened.ts'
import { overVariables, overVariablesOnFake, readable, runtimeOver, seedIn } from '../operators/hosted-variables.ts'

/** Opens the provider on an endpoint of this machine, as a configuration would. */
export const openAwsKms = (runtime: TestRuntime, given: Given): Promise<SecretProvider> =>
  openConfigured(awsKms, runtime, { aws_region_name: 'us-east-1', aws_access_key_id: fakeKeys.accessKeyId, aws_secret_access_key: fakeKeys.secretAccessKey, ...given })

/** The provider on the fake, a fresh account and a fresh environment each time; the values are bound to their variable's name. */
export const awsKmsHarness: Harness = {
  ...overVariablesOnFake,
  open: async () => {
    const variables: Record<string, string> = {}
    const runtime = runtimeOver(variables)
    const fake = await startKmsFake({ now: () => runtime.clock.now() })
    const key = fake.createKey()
    // Two attempts instead of three, so that a fault is met by the SDK's repetition as well, and a throttled case does not wait a second longer.
    const settings = { readable, aws_kms_endpoint: fake.url, aws_max_attempts: 2, aws_kms_key_id: key, aws_kms_encryption_context: { variable: '{name}' } }
    return {
      ...(await onFake(fake, runtime, (more) => openAwsKms(runtime, { ...settings, ...more }), { aws_secret_access_key: 'a key that belongs to nobody' })),
      seed: seedIn(variables, (name, value) => fake.encrypt(key, value, { variable: name.text })),
    }
  },
}

/** What a target needs beside the provider's own settings: the credential, as its official client takes it. */
const credentialOf = ({ settings }: Target): { accessKeyId: string; secretAccessKey: string } => ({ accessKeyId: String(settings['aws_access_key_id'] ?? 'test'), secretAccessKey: String(settings['aws_secret_access_key'] ?? 'test') })

/** The provider on any server. `aws_kms_key_id` of the target is what the operator encrypts with; without it the operator makes a key first. */
export const awsKmsTargetHarness = (target: Target, deviations: readonly Deviation[] = []): Harness => {
  let key: Promise<string> | undefined
  return {
    ...runByOthers,
    ...overVariables,
    deviations,
    open: async () => {
      const variables: Record<string, string> = {}
      const runtime = runtimeOver(variables, { now: Date.now() })
      const credentials = credentialOf(target)
      const operator = new KMS({ region: String(target.settings['aws_region_name'] ?? 'us-east-1'), endpoint: target.url, credentials })
      const keyId = await (key ??= typeof target.settings['aws_kms_key_id'] === 'string' ? Promise.resolve(target.settings['aws_kms_key_id']) : operator.createKey({}).then(({ KeyMetadata }) => KeyMetadata?.Arn ?? ''))
      const settings = { aws_access_key_id: credentials.accessKeyId, aws_secret_access_key: credentials.secretAccessKey, ...target.settings, readable, aws_kms_endpoint: target.url, aws_kms_key_id: keyId, aws_kms_encryption_context: { variable: '{name}' } }
      const exam = await onTarget(target, runtime, () => openAwsKms(runtime, settings))
      const encrypt = async (name: SecretName, value: string | Uint8Array): Promise<string> =>
        Buffer.from((await operator.encrypt({ KeyId: keyId, Plaintext: Buffer.from(value), EncryptionContext: { variable: name.text } })).CiphertextBlob ?? '').toString('base64')
      return {
        ...exam,
        seed: seedIn(variables, encrypt),
        close: async () => {
          await exam.close()
          operator.destroy()
        },
      }
    },
  }
}
