// Google Secret Manager under examination: the provider over Google's client and our own connection, against the fake that keeps the vendor's rules, or against
// any server that speaks the protocol over REST.
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { capabilities } from '../../../shared/providers/custom.ts'
import { googleSecretManager } from '../../../shared/providers/google-secret-manager.ts'
import { foreignAccount, knownAccount } from '../../fakes/google-bearer.ts'
import { fakeProject, startGoogleFake } from '../../fakes/google/secret-manager.ts'
import { projectNumber } from '../../fakes/google/secrets.ts'
import { ManualClock, testRuntime, type TestRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, passOnTarget, type Deviation, type Harness, type Target } from '../harness.ts'
import { onFake, onTarget, openConfigured, runByOthers, type Given } from '../opened.ts'

/** Opens the provider, as a configuration would. */
export const openGoogleSecrets = (runtime: TestRuntime, given: Given): Promise<SecretProvider> =>
  openConfigured(googleSecretManager, runtime, { google_project_id: fakeProject, google_service_account: knownAccount().file, ...given })

const mustHave = capabilities.filter((capability) => capability !== 'recover' && capability !== 'readMany')

/** The provider on the fake, a fresh project each time. */
export const googleSecretManagerHarness: Harness = {
  mustHave,
  faults: faultKinds,
  nonsense: nonsenseKinds,
  open: async () => {
    const runtime = testRuntime({ hurries: true })
    const fake = await startGoogleFake({ now: () => runtime.clock.now() })
    const exam = await onFake(fake, runtime, (more) => openGoogleSecrets(runtime, { google_endpoint: fake.url, ...more }), { google_service_account: foreignAccount().file })
    return {
      ...exam,
      seed: async (name, value) => fake.seed(exam.provider.traits.names.encode(name), value),
      resourceOf: (name) => `projects/${projectNumber}/secrets/${exam.provider.traits.names.encode(name)}`,
      foreignTo: (resource) => [resource.replace(projectNumber, '999'), resource.replace('/secrets/', '/locations/europe-west3/secrets/')],
      expire: () => runtime.clock.advance(2 * 3_600_000),
    }
  },
}

/** The provider on any server. The target's settings hold the project and the credential. */
export const googleSecretManagerTargetHarness = (target: Target, deviations: readonly Deviation[] = []): Harness => ({
  ...runByOthers,
  mustHave,
  deviations,
  open: async () => {
    const runtime = testRuntime({ now: Date.now(), hurries: true })
    const exam = await onTarget(target, runtime, () => openGoogleSecrets(runtime, { ...target.settings, google_endpoint: target.url }))
    return {
      ...exam,
      // The clock that signs tokens stays the server's own: only the wall's time goes by.
      pass: (ms) => passOnTarget(new ManualClock(), target)(ms),
      seed: async (name, value) => {
        const { SecretManagerServiceClient } = await import('@google-cloud/secret-manager')
        const { googleOperator } = await import('../operators/google.ts')
        const client = new SecretManagerServiceClient(googleOperator(target))
        const parent = `projects/${String(target.settings['google_project_id'])}`
        const secretId = exam.provider.traits.names.encode(name)
        await client.createSecret({ parent, secretId, secret: { replication: { automatic: {} } } }).catch(() => undefined)
        await client.addSecretVersion({ parent: `${parent}/secrets/${secretId}`, payload: { data: Buffer.from(value) } })
        await client.close()
      },
    }
  },
})
