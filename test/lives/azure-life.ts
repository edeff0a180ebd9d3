// A key's life in Azure Key Vault, as Microsoft's own client for JavaScript sees it, over TLS beside the provider's own way: the newest version with its tags, and all
// versions by their ids. The client signs in anew for every look, because the vault's time goes on faster than its own.
import { ClientSecretCredential } from '@azure/identity'
import { SecretClient } from '@azure/keyvault-secrets'
import { onTestFinished } from 'vitest'
import { fakeApplication, openAzure, startVault } from '../conformance/harnesses/azure-key-vault.ts'
import { slugHashCodec } from '../../shared/core/names/slug-hash.ts'
import type { VaultOptions } from '../fakes/azure/key-vault.ts'
import { startFake } from '../fakes/wire.ts'
import { authority } from '../support/certificates.ts'
import type { LifeReader, LifeScene } from './whole-life.ts'

/** The service's name of a secret: what a person finds it under, because the vault takes no slash. */
const nativeOf = (name: string): string => slugHashCodec.encode({ text: name, place: 'created' })

const readerOf = (clientFor: () => SecretClient): LifeReader => ({
  see: async (name) => {
    const client = clientFor()
    const native = nativeOf(name)
    const { value = '', properties } = await client.getSecret(native)
    const { description, ...marks } = properties.tags ?? {}
    const all = []
    for await (const version of client.listPropertiesOfSecretVersions(native)) all.push(version)
    const versions = await Promise.all(
      all.toSorted((a, b) => Number(a.version === properties.version) - Number(b.version === properties.version)).map(async ({ version = '', enabled }) =>
        enabled === false ? { says: 'disabled' } : { says: 'enabled', value: (await client.getSecret(native, { version })).value ?? '' }),
    )
    return { native, value, marks, description, versions }
  },
  // LiteLLM itself cannot keep keys here: its names have a slash. Whoever brings one says by a tag which name is meant; without it the secret is another's.
  foreignWrite: async (name, value) => void (await clientFor().setSecret(nativeOf(name), value, { tags: { 'latchkey-name': name } })),
})

/** On the fake, until the test ends. `allows`: what Latchkey may, where not everything; who looks on is the same application. */
export const azureLife = async (allows?: VaultOptions['allows']): Promise<LifeScene> => {
  const { vault, fake, runtime, io, settings } = await startVault(allows === undefined ? {} : { allows })
  const root = authority('authority of the Azure lives')
  const secure = await startFake(vault, { tls: root.signs({ subject: '127.0.0.1', names: ['127.0.0.1'] }) })
  const provider = await openAzure(io, settings)
  const trusting = { tlsOptions: { ca: root.cert }, retryOptions: { maxRetries: 0 } }
  const credential = (): ClientSecretCredential => new ClientSecretCredential(fakeApplication.tenantId, fakeApplication.clientId, fakeApplication.secret, { authorityHost: secure.url, disableInstanceDiscovery: true, ...trusting })
  onTestFinished(async () => {
    await provider.close?.()
    await secure.close()
    await fake.close()
  })
  return { provider, runtime, forgets: true, reader: readerOf(() => new SecretClient(secure.url, credential(), { disableChallengeResourceVerification: true, ...trusting })) }
}
