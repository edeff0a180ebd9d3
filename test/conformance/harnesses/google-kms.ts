// Google Cloud KMS under examination: the provider against the fake that encrypts for real, or against any server that speaks the protocol over REST.
// The operator of these harnesses encrypts with the service and sets a variable, in each of the forms in turn that a variable may have.
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { readSettings } from '../../../shared/core/settings.ts'
import { googleKms } from '../../../shared/providers/google-kms.ts'
import { foreignAccount, knownAccount } from '../../fakes/google-bearer.ts'
import { startGoogleKmsFake } from '../../fakes/google-kms.ts'
import type { TestRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, passOn, passOnTarget, type Deviation, type ExamProvider, type Harness, type Target } from '../harness.ts'
import { readable, runtimeOver, variableName } from './hosted-variables.ts'

const capabilities = ['describe', 'readMany', 'list', 'close'] as const

/** Opens the provider, as a configuration would. */
export const openGoogleKms = (runtime: TestRuntime, given: Record<string, unknown>): Promise<SecretProvider> => {
  const read = readSettings(googleKms.settings, { google_application_credentials: knownAccount().file, ...given }, { path: 'google_kms', env: runtime.env })
  if (read.issues.length > 0) throw new Error(read.issues.map(({ path, message }) => `${path} ${message}`).join('\n'))
  return googleKms.open(read.settings, runtime, { kind: 'operator' })
}

const opening = (runtime: TestRuntime, settings: Record<string, unknown>) => {
  const opened: SecretProvider[] = []
  const instance = async (more: Record<string, unknown> = {}): Promise<SecretProvider> => {
    const provider = await openGoogleKms(runtime, { ...settings, readable, ...more })
    opened.push(provider)
    return provider
  }
  const closeAll = async (): Promise<void> => {
    for (const provider of opened) await provider.close?.()
  }
  return { instance, closeAll }
}

const hex = (bytes: Buffer): string => bytes.reduce((text, byte) => `${text}\\x${byte.toString(16).padStart(2, '0')}`, '')
let written = 0
/** Base64, the documented literal, and what a shell makes of it. */
const asOperatorsWrite = (ciphertext: Buffer): string => {
  const forms = [ciphertext.toString('base64'), `b'${hex(ciphertext)}'`, `b${hex(ciphertext)}`]
  return forms[(written += 1) % forms.length] ?? ''
}

/** The provider on the fake, a fresh key and a fresh environment each time; the values are bound to their variable's name. */
export const googleKmsHarness: Harness = {
  mustHave: capabilities,
  faults: faultKinds,
  nonsense: nonsenseKinds,
  answersItself: ['describe', 'list', 'read-missing'],
  name: variableName,
  open: async (): Promise<ExamProvider> => {
    const variables: Record<string, string> = {}
    const runtime = runtimeOver(variables, { hurries: true })
    const fake = await startGoogleKmsFake({ now: () => runtime.clock.now() })
    const key = fake.createKey()
    const { instance, closeAll } = opening(runtime, { google_kms_endpoint: fake.url, google_kms_resource_name: key, google_kms_aad: 'variable={name}' })
    return {
      provider: await instance(),
      clock: runtime.clock,
      pass: async (ms) => {
        await fake.held()
        await passOn(runtime.clock)(ms)
      },
      seed: async (name, value) => {
        readable.push(name.text)
        variables[name.text] = asOperatorsWrite(fake.encrypt(key, value, `variable=${name.text}`))
      },
      fault: (fault) => fake.fault(fault),
      heal: () => fake.heal(),
      expire: () => runtime.clock.advance(2 * 3_600_000),
      calls: () => fake.requests.length,
      reopen: () => instance(),
      misconfigured: () => instance({ google_application_credentials: foreignAccount().file }),
      close: async () => {
        await closeAll()
        await fake.close()
      },
    }
  },
}

/** The provider on any server. The target's settings hold the credential and `google_kms_resource_name`, a key that the credential may encrypt with as well. */
export const googleKmsTargetHarness = (target: Target, deviations: readonly Deviation[] = []): Harness => ({
  mustHave: capabilities,
  faults: [],
  faultsReason: 'a server of somebody else cannot be broken on purpose',
  name: variableName,
  fresh: false,
  deviations,
  open: async (): Promise<ExamProvider> => {
    const variables: Record<string, string> = {}
    const runtime = runtimeOver(variables, { now: Date.now(), hurries: true })
    const { KeyManagementServiceClient } = await import('@google-cloud/kms')
    const resource = String(target.settings['google_kms_resource_name'])
    const { googleOperator } = await import('./google-operator.ts')
    const operator = new KeyManagementServiceClient(googleOperator(target))
    const { instance, closeAll } = opening(runtime, { ...target.settings, google_kms_endpoint: target.url, google_kms_aad: 'variable={name}' })
    return {
      provider: await instance(),
      clock: runtime.clock,
      pass: passOnTarget(runtime.clock, target),
      seed: async (name, value) => {
        readable.push(name.text)
        const [{ ciphertext }] = await operator.encrypt({ name: resource, plaintext: Buffer.from(value), additionalAuthenticatedData: Buffer.from(`variable=${name.text}`) })
        variables[name.text] = asOperatorsWrite(typeof ciphertext === 'string' ? Buffer.from(ciphertext, 'base64') : Buffer.from(ciphertext ?? []))
      },
      reopen: () => instance(),
      close: async () => {
        await closeAll()
        await operator.close()
      },
    }
  },
})
