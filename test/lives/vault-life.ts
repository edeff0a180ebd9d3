// A key's life in Vault, as node-vault sees it: the field that LiteLLM reads, custom_metadata, and every version by its number.
import nodeVault from 'node-vault'
import { onTestFinished } from 'vitest'
import { openVault } from '../conformance/harnesses/hashicorp-vault.ts'
import { startVaultFake } from '../fakes/vault/vault.ts'
import { testRuntime } from '../support/runtime.ts'
import type { LifeReader, LifeScene } from './whole-life.ts'

interface Secret { readonly data: { readonly data: Readonly<Record<string, unknown>>; readonly metadata: { readonly version: number } } }
interface Metadata { readonly data: { readonly custom_metadata: Readonly<Record<string, string>> | null; readonly versions: Readonly<Record<string, { readonly destroyed: boolean; readonly deletion_time: string }>> } }

const readerOf = (client: ReturnType<typeof nodeVault>): LifeReader => ({
  see: async (name) => {
    const { data: now } = (await client.read(`secret/data/${name}`)) as Secret
    const { data: metadata } = (await client.read(`secret/metadata/${name}`)) as Metadata
    const { description, ...marks } = metadata.custom_metadata ?? {}
    const versions = await Promise.all(
      Object.entries(metadata.versions).map(async ([number, { destroyed, deletion_time: deleted }]) => {
        if (destroyed || deleted !== '') return { says: destroyed ? 'destroyed' : 'deleted' }
        const { data } = (await client.read(`secret/data/${name}?version=${number}`)) as Secret
        return { says: 'readable', value: String(data.data['key'] ?? '') }
      }),
    )
    return { native: `secret/${name}`, value: String(now.data['key'] ?? ''), marks, description, versions }
  },
  foreignWrite: async (name, key) => void (await client.write(`secret/data/${name}`, { data: { key } })),
})

/** On the fake, until the test ends. */
export const vaultLife = async (): Promise<LifeScene & { keep(versions: number): void }> => {
  const runtime = testRuntime({ hurries: true })
  const fake = await startVaultFake({ now: () => runtime.clock.now() })
  const provider = await openVault(runtime, { vault_addr: fake.url, vault_token: fake.rootToken })
  onTestFinished(async () => {
    await provider.close?.()
    await fake.close()
  })
  return { provider, runtime, forgets: true, reader: readerOf(nodeVault({ endpoint: fake.url, token: fake.rootToken, noCustomHTTPVerbs: true })), keep: (versions) => void ((fake.state.engines.get('secret') ?? fake.state.mount('secret')).config.maxVersions = versions) }
}
