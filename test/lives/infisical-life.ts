// A key's life in Infisical, as Infisical's own client for JavaScript sees it: the secret in its folder, its metadata and comment, and every version by its number.
import { InfisicalSDK } from '@infisical/sdk'
import { onTestFinished } from 'vitest'
import { infisicalSettings, openInfisical } from '../conformance/harnesses/infisical.ts'
import { fakeIdentity, fakeProject, startInfisicalFake } from '../fakes/infisical/service.ts'
import { testRuntime } from '../support/runtime.ts'
import type { LifeReader, LifeScene } from './whole-life.ts'

const scope = { projectId: fakeProject.id, environment: 'dev' }
const exact = { ...scope, expandSecretReferences: false, includeImports: false, viewSecretValue: true }
const placeOf = (name: string): readonly [folder: string, key: string] => [`/${name.slice(0, name.lastIndexOf('/'))}`, name.slice(name.lastIndexOf('/') + 1)]

interface Shown { readonly secretValue: string; readonly version: number; readonly secretComment: string; readonly secretMetadata?: readonly { readonly key: string; readonly value: string }[] }

const readerOf = (loggedIn: () => Promise<InfisicalSDK>): LifeReader => ({
  see: async (name) => {
    const client = await loggedIn()
    const [secretPath, secretName] = placeOf(name)
    const get = async (version?: number): Promise<Shown> => (await client.secrets().getSecret({ ...exact, secretPath, secretName, ...(version !== undefined && { version }) })) as unknown as Shown
    const { secretValue: value, version: newest, secretComment: description, secretMetadata = [] } = await get()
    const numbers = Array.from({ length: newest }, (_, index) => index + 1)
    const versions = await Promise.all(numbers.map(async (version) => ({ says: String(version), value: (await get(version)).secretValue })))
    return { native: `${secretPath}/${secretName}`, value, marks: Object.fromEntries(secretMetadata.map((pair) => [pair.key, pair.value])), description, versions }
  },
  foreignWrite: async (name, secretValue) => {
    const [secretPath, key] = placeOf(name)
    await (await loggedIn()).secrets().createSecret(key, { ...scope, secretPath, secretValue })
  },
})

/** On the fake, until the test ends. */
export const infisicalLife = async (): Promise<LifeScene & { prune(): void }> => {
  const runtime = testRuntime({ hurries: true })
  const fake = await startInfisicalFake({ now: () => runtime.clock.now() })
  const provider = await openInfisical(runtime, infisicalSettings(fake.url))
  const { clientId, clientSecret } = fakeIdentity
  onTestFinished(async () => {
    await provider.close?.()
    await fake.close()
  })
  return { provider, runtime, forgets: false, reader: readerOf(() => new InfisicalSDK({ siteUrl: fake.url }).auth().universalAuth.login({ clientId, clientSecret })), prune: () => fake.service.project.prune(1) }
}
