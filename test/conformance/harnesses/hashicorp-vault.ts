// HashiCorp Vault under examination: the provider over our own client, against the fake under an AppRole whose tokens expire, and against any server of that
// protocol that somebody names, under a token.
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { capabilities } from '../../../shared/providers/custom.ts'
import type { SecretName } from '../../../shared/core/secret.ts'
import { hashicorpVault } from '../../../shared/providers/hashicorp-vault.ts'
import { startVaultFake } from '../../fakes/vault/vault.ts'
import { callOf, testRuntime, type TestRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, passOn, type Deviation, type Harness, type Target } from '../harness.ts'
import { onFake, onTarget, openConfigured, runByOthers, type Given } from '../opened.ts'

/** Opens the provider as a configuration would. */
export const openVault = (runtime: TestRuntime, given: Given): Promise<SecretProvider> => openConfigured(hashicorpVault, runtime, given)

/** What the provider can do, of all that a provider may. */
export const vaultCapabilities = capabilities.filter((capability) => capability !== 'readMany')

/** Puts a secret into a server as an operator would: a map with the one field that LiteLLM reads. */
const seedIn = async (runtime: TestRuntime, { url, settings }: Target, name: SecretName, value: string | Uint8Array): Promise<void> => {
  const client = await runtime.http.connect({ url, title: 'Vault', setting: 'url' })
  const headers = { 'x-vault-token': String(settings['vault_token']), 'content-type': 'application/json' }
  const set = (setting: string, otherwise = ''): string => String(settings[setting] ?? otherwise)
  const parts = [set('vault_secret_namespace', set('vault_namespace')), set('vault_mount_name', 'secret'), 'data', set('vault_path_prefix'), name.text].filter((part) => part !== '')
  const path = `/v1/${parts.join('/').split('/').map(encodeURIComponent).join('/')}`
  const { status } = await client.send({ method: 'POST', path, headers, body: JSON.stringify({ data: { [set('vault_field', 'key')]: Buffer.from(value).toString('utf8') } }) }, callOf(runtime.clock))
  await client.close()
  if (status !== 200) throw new Error(`the operator's write was answered with ${status}`)
}

/** The provider on the fake, a fresh one each time. */
export const vaultHarness: Harness = {
  mustHave: vaultCapabilities,
  faults: faultKinds,
  nonsense: nonsenseKinds,
  open: async () => {
    const runtime = testRuntime({ hurries: true })
    const fake = await startVaultFake({ now: () => runtime.clock.now() })
    fake.state.role({ login: 'approle', mount: 'approle', name: 'exam', roleId: 'exam', secretIds: new Map([['the exam', 0]]), policies: ['root'], ttlSeconds: 1_200, maxTtlSeconds: 2_400 })
    const settings = { vault_addr: fake.url, approle_role_id: 'exam', approle_secret_id: 'the exam' }
    return {
      ...(await onFake(fake, runtime, (more) => openVault(runtime, { ...settings, ...more }), { approle_secret_id: 'a secret id that nobody gave' })),
      seed: (name, value) => seedIn(runtime, { url: fake.url, settings: { vault_token: fake.rootToken } }, name, value),
      expire: () => runtime.clock.advance(7 * 86_400_000),
    }
  },
}

/** The provider on a server that runs: its address, and the token among the settings. */
export const vaultTargetHarness = (target: Target, deviations: readonly Deviation[] = []): Harness => ({
  ...runByOthers,
  mustHave: vaultCapabilities,
  deviations,
  open: async () => {
    const runtime = testRuntime({ now: Date.now(), hurries: true })
    const exam = await onTarget(target, runtime, (more) => openVault(runtime, { vault_addr: target.url, ...target.settings, ...more }))
    return {
      ...exam,
      pass: passOn(runtime.clock),
      // Only a token says who the operator is, and can be a wrong one.
      ...(target.settings['vault_token'] !== undefined && {
        seed: (name: SecretName, value: string | Uint8Array) => seedIn(runtime, target, name, value),
        misconfigured: () => exam.instance({ vault_token: 'a token that nobody gave' }),
      }),
    }
  },
})
