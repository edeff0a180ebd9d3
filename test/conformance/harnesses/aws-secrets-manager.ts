// AWS Secrets Manager under examination: the provider over its real SDK, against the fake that speaks the wire protocol. Two attempts instead of three,
// so that a fault is met by the SDK's repetition as well, and a throttled case does not wait a second longer. It works under an assumed role, whose session can end.
import { randomBytes } from 'node:crypto'
import { capabilities, type SecretProvider } from '../../../shared/core/provider.ts'
import { readSettings } from '../../../shared/core/settings.ts'
import { awsSecretsManager } from '../../../shared/providers/aws-secrets-manager.ts'
import { fakeKeys, startSecretsManagerFake } from '../../fakes/aws-secrets-manager.ts'
import { startStsFake } from '../../fakes/sts.ts'
import { testRuntime, type TestRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, passOn, passOnTarget, type Deviation, type ExamProvider, type Harness, type Target } from '../harness.ts'
import { seedThrough } from '../striker.ts'

/** Opens the provider on an endpoint of this machine, as a configuration would. */
export const openAws = (runtime: TestRuntime, given: Record<string, unknown>): Promise<SecretProvider> => {
  const read = readSettings(awsSecretsManager.settings, { aws_region_name: 'us-east-1', aws_access_key_id: fakeKeys.accessKeyId, aws_secret_access_key: fakeKeys.secretAccessKey, ...given }, { path: 'aws' })
  if (read.issues.length > 0) throw new Error(read.issues.map(({ path, message }) => `${path} ${message}`).join('\n'))
  return awsSecretsManager.open(read.settings, runtime, { kind: 'operator' })
}

/** What the provider can do, of all that a provider may. */
export const awsCapabilities = capabilities.filter((capability) => capability !== 'setEnabled')

const user = { ...fakeKeys, arn: 'arn:aws:iam::123456789012:user/latchkey' }
const role = 'arn:aws:iam::123456789012:role/Latchkey'

/** The provider on the fake, a fresh account each time, as a role that a user assumes. */
export const awsHarness: Harness = {
  mustHave: awsCapabilities,
  faults: faultKinds,
  nonsense: nonsenseKinds,
  open: async (): Promise<ExamProvider> => {
    const runtime = testRuntime()
    const now = (): number => runtime.clock.now()
    const sts = await startStsFake({ now, callers: [user], roles: [{ arn: role, principals: [user.arn] }] })
    const fake = await startSecretsManagerFake({ now, keys: sts.keys })
    const settings = { aws_secretsmanager_endpoint: fake.url, aws_max_attempts: 2, aws_role_name: role, aws_sts_endpoint: sts.url }
    const opened: SecretProvider[] = []
    const instance = async (more: Record<string, unknown> = {}): Promise<SecretProvider> => {
      const provider = await openAws(runtime, { ...settings, ...more })
      opened.push(provider)
      return provider
    }
    return {
      provider: await instance(),
      clock: runtime.clock,
      pass: async (ms) => {
        await fake.held()
        await passOn(runtime.clock)(ms)
      },
      seed: async (name, value) => fake.seed(name.text, value),
      fault: (fault) => fake.fault(fault),
      heal: () => fake.heal(),
      expire: () => {
        runtime.clock.advance(3_660_000)
        sts.endSessions()
      },
      calls: () => fake.requests.length,
      reopen: () => instance(),
      misconfigured: () => instance({ aws_secret_access_key: 'a key that belongs to nobody' }),
      close: async () => {
        for (const provider of opened) await provider.close?.()
        await fake.close()
        await sts.close()
      },
    }
  },
}

/** The provider on any server that speaks Secrets Manager's protocol. One server for all cases, so the exam's own names keep them apart; nothing can be broken on purpose. */
export const awsTargetHarness = (target: Target, deviations: readonly Deviation[] = []): Harness => ({
  mustHave: awsCapabilities,
  faults: [],
  faultsReason: 'a server that somebody else runs cannot be broken on purpose',
  fresh: false,
  deviations,
  open: async () => {
    const runtime = testRuntime({ now: Date.now() })
    const settings = { aws_secretsmanager_endpoint: target.url, ...target.settings }
    const opened: SecretProvider[] = []
    const instance = async (): Promise<SecretProvider> => {
      const provider = await openAws(runtime, settings)
      opened.push(provider)
      return provider
    }
    return {
      provider: await instance(),
      clock: runtime.clock,
      pass: passOnTarget(runtime.clock, target),
      seed: seedThrough(await instance(), { bytes: randomBytes }),
      reopen: instance,
      close: async () => {
        for (const provider of opened) await provider.close?.()
      },
    }
  },
})
