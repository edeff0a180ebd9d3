// Google Secret Manager under examination: the provider over Google's client and our own connection, against the fake that keeps the vendor's rules, or against
// any server that speaks the protocol over REST.
import { capabilities, type SecretProvider } from '../../../shared/core/provider.ts'
import { readSettings } from '../../../shared/core/settings.ts'
import { googleSecretManager } from '../../../shared/providers/google-secret-manager.ts'
import { foreignAccount, knownAccount } from '../../fakes/google-bearer.ts'
import { fakeProject, startGoogleFake } from '../../fakes/google/secret-manager.ts'
import { ManualClock, testRuntime, type TestRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, passOn, passOnTarget, type Deviation, type ExamProvider, type Harness, type Target } from '../harness.ts'

/** Opens the provider, as a configuration would. */
export const openGoogleSecrets = (runtime: TestRuntime, given: Record<string, unknown>): Promise<SecretProvider> => {
  const read = readSettings(googleSecretManager.settings, { google_project_id: fakeProject, google_service_account: knownAccount().file, ...given }, { path: 'google', env: runtime.env })
  if (read.issues.length > 0) throw new Error(read.issues.map(({ path, message }) => `${path} ${message}`).join('\n'))
  return googleSecretManager.open(read.settings, runtime, { kind: 'operator' })
}

const mustHave = capabilities.filter((capability) => capability !== 'recover' && capability !== 'readMany')

const opening = (runtime: TestRuntime, settings: Record<string, unknown>) => {
  const opened: SecretProvider[] = []
  return {
    instance: async (more: Record<string, unknown> = {}): Promise<SecretProvider> => {
      const provider = await openGoogleSecrets(runtime, { ...settings, ...more })
      opened.push(provider)
      return provider
    },
    closeAll: async (): Promise<void> => {
      for (const provider of opened) await provider.close?.()
    },
  }
}

/** The provider on the fake, a fresh project each time. */
export const googleSecretManagerHarness: Harness = {
  mustHave,
  faults: faultKinds,
  nonsense: nonsenseKinds,
  open: async (): Promise<ExamProvider> => {
    const runtime = testRuntime({ hurries: true })
    const fake = await startGoogleFake({ now: () => runtime.clock.now() })
    const { instance, closeAll } = opening(runtime, { google_endpoint: fake.url })
    const provider = await instance()
    return {
      provider,
      clock: runtime.clock,
      pass: async (ms) => {
        await fake.held()
        await passOn(runtime.clock)(ms)
      },
      seed: async (name, value) => fake.seed(provider.traits.names.encode(name), value),
      fault: (fault) => fake.fault(fault),
      heal: () => fake.heal(),
      expire: () => runtime.clock.advance(2 * 3_600_000),
      calls: () => fake.requests.length,
      reopen: () => instance(),
      misconfigured: () => instance({ google_service_account: foreignAccount().file }),
      close: async () => {
        await closeAll()
        await fake.close()
      },
    }
  },
}

/** The provider on any server. The target's settings hold the project and the credential. */
export const googleSecretManagerTargetHarness = (target: Target, deviations: readonly Deviation[] = []): Harness => ({
  mustHave,
  faults: [],
  faultsReason: 'a server of somebody else cannot be broken on purpose',
  fresh: false,
  deviations,
  open: async (): Promise<ExamProvider> => {
    const runtime = testRuntime({ now: Date.now(), hurries: true })
    const { instance, closeAll } = opening(runtime, { ...target.settings, google_endpoint: target.url })
    const provider = await instance()
    const operator = await instance()
    return {
      provider,
      clock: runtime.clock,
      // The clock that signs tokens stays the server's own: only the wall's time goes by.
      pass: (ms) => passOnTarget(new ManualClock(), target)(ms),
      seed: async (name, value) => {
        const { SecretManagerServiceClient } = await import('@google-cloud/secret-manager')
        const { googleOperator } = await import('./google-operator.ts')
        const client = new SecretManagerServiceClient(googleOperator(target))
        const parent = `projects/${String(target.settings['google_project_id'])}`
        const secretId = operator.traits.names.encode(name)
        await client.createSecret({ parent, secretId, secret: { replication: { automatic: {} } } }).catch(() => undefined)
        await client.addSecretVersion({ parent: `${parent}/secrets/${secretId}`, payload: { data: Buffer.from(value) } })
        await client.close()
      },
      reopen: () => instance(),
      close: closeAll,
    }
  },
})
