// Google Cloud KMS under examination: the provider against the fake that encrypts for real, or against any server that speaks the protocol over REST.
// The operator of these harnesses encrypts with the service and sets a variable, in each of the forms in turn that a variable may have.
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { googleKms } from '../../../shared/providers/google-kms.ts'
import { foreignAccount, knownAccount } from '../../fakes/google-bearer.ts'
import { startGoogleKmsFake } from '../../fakes/google-kms.ts'
import type { TestRuntime } from '../../support/runtime.ts'
import type { Deviation, Harness, Target } from '../harness.ts'
import { onFake, onTarget, openConfigured, runByOthers, type Given } from '../opened.ts'
import { overVariables, overVariablesOnFake, readable, runtimeOver, seedIn } from '../operators/hosted-variables.ts'

/** Opens the provider, as a configuration would. */
export const openGoogleKms = (runtime: TestRuntime, given: Given): Promise<SecretProvider> =>
  openConfigured(googleKms, runtime, { google_application_credentials: knownAccount().file, ...given })

const hex = (bytes: Buffer): string => bytes.reduce((text, byte) => `${text}\\x${byte.toString(16).padStart(2, '0')}`, '')
let written = 0
/** Base64, the documented literal, and what a shell makes of it. */
const asOperatorsWrite = (ciphertext: Buffer): string => {
  const forms = [ciphertext.toString('base64'), `b'${hex(ciphertext)}'`, `b${hex(ciphertext)}`]
  return forms[(written += 1) % forms.length] ?? ''
}

/** The provider on the fake, a fresh key and a fresh environment each time; the values are bound to their variable's name. */
export const googleKmsHarness: Harness = {
  ...overVariablesOnFake,
  open: async () => {
    const variables: Record<string, string> = {}
    const runtime = runtimeOver(variables, { hurries: true })
    const fake = await startGoogleKmsFake({ now: () => runtime.clock.now() })
    const key = fake.createKey()
    const settings = { readable, google_kms_endpoint: fake.url, google_kms_resource_name: key, google_kms_aad: 'variable={name}' }
    return {
      ...(await onFake(fake, runtime, (more) => openGoogleKms(runtime, { ...settings, ...more }), { google_application_credentials: foreignAccount().file })),
      seed: seedIn(variables, (name, value) => asOperatorsWrite(fake.encrypt(key, value, `variable=${name.text}`))),
      expire: () => runtime.clock.advance(2 * 3_600_000),
    }
  },
}

/** The provider on any server. The target's settings hold the credential and `google_kms_resource_name`, a key that the credential may encrypt with as well. */
export const googleKmsTargetHarness = (target: Target, deviations: readonly Deviation[] = []): Harness => ({
  ...runByOthers,
  ...overVariables,
  deviations,
  open: async () => {
    const variables: Record<string, string> = {}
    const runtime = runtimeOver(variables, { now: Date.now(), hurries: true })
    const { KeyManagementServiceClient } = await import('@google-cloud/kms')
    const resource = String(target.settings['google_kms_resource_name'])
    const { googleOperator } = await import('../operators/google.ts')
    const operator = new KeyManagementServiceClient(googleOperator(target))
    const exam = await onTarget(target, runtime, () => openGoogleKms(runtime, { ...target.settings, readable, google_kms_endpoint: target.url, google_kms_aad: 'variable={name}' }))
    return {
      ...exam,
      seed: seedIn(variables, async (name, value) => {
        const [{ ciphertext }] = await operator.encrypt({ name: resource, plaintext: Buffer.from(value), additionalAuthenticatedData: Buffer.from(`variable=${name.text}`) })
        return asOperatorsWrite(typeof ciphertext === 'string' ? Buffer.from(ciphertext, 'base64') : Buffer.from(ciphertext ?? []))
      }),
      close: async () => {
        await exam.close()
        await operator.close()
      },
    }
  },
})
