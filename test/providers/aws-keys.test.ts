import { describe, it } from 'vitest'
import { SecretsManager } from '@aws-sdk/client-secrets-manager'
import { openAws } from '../conformance/aws-harness.ts'
import { fakeKeys, startSecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { keyStory } from '../peers/key-story.ts'
import { testRuntime } from '../support/runtime.ts'

describe('a virtual key in AWS Secrets Manager', () => {
  it('lives from creation to tombstone and again, as the official SDK sees it', async () => {
    const runtime = testRuntime()
    const fake = await startSecretsManagerFake({ now: () => runtime.clock.now() })
    const provider = await openAws(runtime, { aws_secretsmanager_endpoint: fake.url })
    const api = new SecretsManager({ region: 'us-east-1', endpoint: fake.url, credentials: fakeKeys })

    await keyStory(provider, runtime, 'alias', async (SecretId) => {
      const { SecretString: value = '' } = await api.getSecretValue({ SecretId, VersionStage: 'AWSCURRENT' })
      const previous = await api.getSecretValue({ SecretId, VersionStage: 'AWSPREVIOUS' }).then((answer) => answer.SecretString ?? null, () => null)
      const { Tags = [] } = await api.describeSecret({ SecretId })
      return { value, previous, tags: Object.fromEntries(Tags.map(({ Key = '', Value = '' }) => [Key, Value])) }
    })

    api.destroy()
    await provider.close?.()
    await fake.close()
  })
})
