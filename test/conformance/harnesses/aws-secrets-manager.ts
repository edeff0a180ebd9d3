// AWS Secrets Manager under examination: the provider over its real SDK, against the fake that speaks the wire protocol. Two attempts instead of three,
// so that a fault is met by the SDK's repetition as well, and a throttled case does not wait a second longer. It works under an assumed role, whose session can end.
import { randomBytes, randomUUID } from 'node:crypto'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { capabilities } from '../../../shared/providers/custom.ts'
import { awsSecretsManager } from '../../../shared/providers/aws-secrets-manager.ts'
import { fakeKeys, startSecretsManagerFake } from '../../fakes/aws-secrets-manager.ts'
import { startStsFake } from '../../fakes/sts.ts'
import { testRuntime, type TestRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, type Deviation, type Harness, type Target } from '../harness.ts'
import { onFake, onTarget, openConfigured, runByOthers, type Given } from '../opened.ts'
import { seedThrough } from '../striker.ts'

/** Opens the provider on an endpoint of this machine, as a configuration would. */
export const openAws = (runtime: TestRuntime, given: Given): Promise<SecretProvider> =>
  openConfigured(awsSecretsManager, runtime, { aws_region_name: 'us-east-1', aws_access_key_id: fakeKeys.accessKeyId, aws_secret_access_key: fakeKeys.secretAccessKey, ...given })

/** What the provider can do, of all that a provider may. */
export const awsCapabilities = capabilities.filter((capability) => capability !== 'setEnabled')

const user = { ...fakeKeys, arn: 'arn:aws:iam::123456789012:user/latchkey' }
const role = 'arn:aws:iam::123456789012:role/Latchkey'

/** The provider on the fake, a fresh account each time, as a role that a user assumes; or with further settings. */
export const awsHarness = (more: Given = {}): Harness => ({
  mustHave: awsCapabilities,
  faults: faultKinds,
  nonsense: nonsenseKinds,
  open: async () => {
    const runtime = testRuntime({ hurries: true })
    const now = (): number => runtime.clock.now()
    const sts = await startStsFake({ now, callers: [user], roles: [{ arn: role, principals: [user.arn] }] })
    const fake = await startSecretsManagerFake({ now, keys: sts.keys })
    const settings = { aws_secretsmanager_endpoint: fake.url, aws_max_attempts: 2, aws_role_name: role, aws_sts_endpoint: sts.url, ...more }
    const exam = await onFake(fake, runtime, (given) => openAws(runtime, { ...settings, ...given }), { aws_secret_access_key: 'a key that belongs to nobody' })
    return {
      ...exam,
      seed: async (name, value) => fake.seed(name.text, value),
      resourceOf: ({ text }) => fake.secrets.get(text)?.arn ?? '',
      foreignTo: (arn) => [arn.replace('123456789012', '210987654321'), arn.replace('us-east-1', 'us-west-2'), `${arn.slice(0, -6)}AbCdEf`],
      begin: async ({ text }) => {
        const [version, handler] = [randomUUID(), 'arn:aws:lambda:us-east-1:123456789012:function:rotate']
        return { resource: fake.rotate(text, version, handler), version, handler }
      },
      expire: () => {
        runtime.clock.advance(3_660_000)
        sts.endSessions()
      },
      close: async () => {
        await exam.close()
        await sts.close()
      },
    }
  },
})

/** The provider on any server that speaks Secrets Manager's protocol. */
export const awsTargetHarness = (target: Target, deviations: readonly Deviation[] = []): Harness => ({
  ...runByOthers,
  mustHave: awsCapabilities,
  deviations,
  open: async () => {
    const runtime = testRuntime({ now: Date.now() })
    const exam = await onTarget(target, runtime, () => openAws(runtime, { aws_secretsmanager_endpoint: target.url, ...target.settings }))
    return { ...exam, seed: seedThrough(await exam.reopen(), { bytes: randomBytes }) }
  },
})
