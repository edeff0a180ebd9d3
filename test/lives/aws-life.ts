// A key's life in AWS Secrets Manager, as AWS's own client for JavaScript sees it: the value as LiteLLM asks for it, tags, and every version by its id.
import { SecretsManager } from '@aws-sdk/client-secrets-manager'
import { onTestFinished } from 'vitest'
import { openAws } from '../conformance/harnesses/aws-secrets-manager.ts'
import { fakeKeys, startSecretsManagerFake, type FakeAccessKey, type SecretsManagerFake, type SecretsManagerFakeOptions } from '../fakes/aws-secrets-manager.ts'
import { testRuntime } from '../support/runtime.ts'
import type { LifeReader, LifeScene } from './whole-life.ts'

const readerOf = (api: SecretsManager): LifeReader => ({
  see: async (SecretId) => {
    const { Name = '', Tags = [], Description } = await api.describeSecret({ SecretId })
    const { SecretString = '' } = await api.getSecretValue({ SecretId })
    const { Versions = [] } = await api.listSecretVersionIds({ SecretId, IncludeDeprecated: true })
    const versions = await Promise.all(
      Versions.toSorted((a, b) => Number(a.VersionStages?.includes('AWSCURRENT')) - Number(b.VersionStages?.includes('AWSCURRENT'))).map(async ({ VersionId, VersionStages = [] }) => {
        const { SecretString: value } = await api.getSecretValue({ SecretId, VersionId })
        return { says: VersionStages.join(', '), ...(value !== undefined && { value }) }
      }),
    )
    return { native: Name, value: SecretString, marks: Object.fromEntries(Tags.map(({ Key = '', Value = '' }) => [Key, Value])), description: Description, versions }
  },
  foreignWrite: async (Name, SecretString) => void (await api.createSecret({ Name, SecretString })),
})

/** Who looks on, and may do everything. */
const onlooker: FakeAccessKey = { accessKeyId: 'AKIAIOSFODNN7FAKE002', secretAccessKey: 'fake/secret/access/key/of/somebody/who/looks/on' }

/** On the fake, until the test ends. `allows`: what Latchkey itself may, where not everything. */
export const awsLife = async (allows: NonNullable<SecretsManagerFakeOptions['allows']> = () => true): Promise<LifeScene & { readonly fake: SecretsManagerFake }> => {
  const runtime = testRuntime()
  const fake = await startSecretsManagerFake({ now: () => runtime.clock.now(), keys: [fakeKeys, onlooker], allows: (who, ...asked) => who === onlooker.accessKeyId || allows(who, ...asked) })
  const provider = await openAws(runtime, { aws_secretsmanager_endpoint: fake.url })
  const api = new SecretsManager({ region: 'us-east-1', endpoint: fake.url, credentials: onlooker })
  onTestFinished(async () => {
    api.destroy()
    await provider.close?.()
    await fake.close()
  })
  return { provider, runtime, forgets: false, reader: readerOf(api), fake }
}
