// Azure Key Vault under examination: the provider over Microsoft's own client and sign-in, against the fakes that speak the wire protocols of both.
// Time moves only while nothing is on the wire: waiting for a deletion to be through, or for the vault's second to pass, costs nobody a second, and no limit comes early.
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { capabilities } from '../../../shared/providers/custom.ts'
import { slugHashCodec } from '../../../shared/core/names/slug-hash.ts'
import { nodeHttp } from '../../../shared/core/http-client.ts'
import { readSettings } from '../../../shared/core/settings.ts'
import type { ProviderIo, Runtime } from '../../../shared/core/runtime.ts'
import type { SecretName } from '../../../shared/core/secret.ts'
import { openVault } from '../../../shared/credentials/azure/vault.ts'
import { azureSettings } from '../../../shared/credentials/azure/settings.ts'
import { azureKeyVault } from '../../../shared/providers/azure-key-vault.ts'
import { KeyVault, type VaultOptions } from '../../fakes/azure/key-vault.ts'
import { startFake, wireless, type RunningFake, type WireService } from '../../fakes/wire.ts'
import type { Hook } from '../../shapes/service.ts'
import { callOf, envOf, testRuntime, type ManualClock, type TestRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, type Deviation, type Harness, type Target } from '../harness.ts'
import { onFake, openConfigured, openedBy, runByOthers, type Given } from '../opened.ts'

/** The application that every fake directory knows. */
export const fakeApplication = { tenantId: '11111111-2222-4333-8444-555555555555', clientId: '99999999-aaaa-4bbb-8ccc-dddddddddddd', secret: 'a-client-secret-of-the-fake' } as const

/** Its settings, as a configuration has them. */
export const applicationSettings = { azure_tenant_id: fakeApplication.tenantId, azure_client_id: fakeApplication.clientId, azure_client_secret: fakeApplication.secret }

/** A vault with that application and a managed identity. */
export const fakeVault = (options: VaultOptions): KeyVault =>
  new KeyVault({ applications: [{ clientId: fakeApplication.clientId, secrets: [fakeApplication.secret], expiredSecrets: ['an-expired-secret'] }], identities: [{ clientId: 'system', system: true }, { clientId: 'user-1', resourceId: '/subscriptions/s/user-1' }], tenantId: fakeApplication.tenantId, ...options })

/** Opens the provider as a configuration would. @throws misconfigured; an Error for settings that their table refuses */
export const openAzure = (io: ProviderIo, given: Given): Promise<SecretProvider> => openConfigured(azureKeyVault, io, given)

/** What the provider can do, of all that a provider may. Key Vault has no batch read. */
export const azureCapabilities = capabilities.filter((capability) => capability !== 'readMany')

/** How an operator puts a secret in: a created one under its encoded name, with the tag that says whose it is. */
export const seedVault = (vault: KeyVault, name: SecretName, value: string | Uint8Array): void =>
  void vault.seed(slugHashCodec.encode(name), Buffer.from(value).toString('utf8'), name.place === 'created' ? { 'latchkey-name': name.text } : undefined)

/** Ports on which the provider's pauses are over as soon as nothing is on the wire, in order of time; the way out has a clock of its own, that hurries. */
const unhurried = (runtime: TestRuntime): ProviderIo => {
  const { clock } = runtime
  const due: { readonly at: number; readonly wake: () => void }[] = []
  let sending = 0
  let quiet = 0
  const watch = (): void => {
    if (due.length === 0) return
    quiet = sending === 0 ? quiet + 1 : 0
    if (quiet > 3) {
      quiet = 0
      const [first] = due.toSorted((a, b) => a.at - b.at)
      clock.set(Math.max(clock.now(), first?.at ?? 0))
      for (const { wake } of due.splice(0).filter((each) => each.at > clock.now() ? (due.push(each), false) : true)) wake()
    }
    if (due.length > 0) setImmediate(watch)
  }
  return {
    ...runtime,
    clock: {
      now: () => clock.now(),
      until: (at, signal) => clock.until(at, signal),
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted === true) return reject(signal.reason as Error)
          signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
          if (due.push({ at: clock.now() + ms, wake: resolve }) === 1) setImmediate(watch)
        }),
    },
    http: {
      connect: async (peer) => {
        const client = await runtime.http.connect(peer)
        return {
          ...client,
          send: (request, call) => {
            sending += 1
            return client.send(request, call).finally(() => void (sending -= 1))
          },
        }
      },
    },
  }
}

/** A vault that runs, and the ports of whoever opens it. */
export interface RunningVault {
  readonly vault: KeyVault
  readonly fake: RunningFake
  readonly runtime: TestRuntime
  readonly io: ProviderIo
  readonly settings: Readonly<Record<string, unknown>>
}

/** Starts a vault with its directory on one port. */
export const startVault = async (options: Partial<VaultOptions> = {}, given: Parameters<typeof testRuntime>[0] = {}): Promise<RunningVault> => {
  const runtime = testRuntime({ hurries: true, ...given })
  const vault = fakeVault({ now: () => runtime.clock.now(), ...options })
  const fake = await startFake(vault)
  return { vault, fake, runtime, io: unhurried(runtime), settings: { azure_key_vault_uri: fake.url, azure_authority_host: fake.url, ...applicationSettings } }
}

/** The provider on the fake, a fresh vault each time. */
export const azureHarness: Harness = {
  mustHave: azureCapabilities,
  faults: faultKinds,
  nonsense: nonsenseKinds,
  open: async () => {
    const { vault, fake, runtime, io, settings } = await startVault()
    return {
      ...(await onFake(fake, runtime, (more) => openAzure(io, { ...settings, ...more }), { azure_client_secret: 'a secret that belongs to nobody' })),
      seed: async (name, value) => seedVault(vault, name, value),
      resourceOf: (name) => `${fake.url}/secrets/${slugHashCodec.encode(name)}`,
      foreignTo: (resource) => [resource.replace(fake.url, 'https://other.vault.azure.net'), resource.replace('/secrets/', '/keys/')],
      expire: () => runtime.clock.advance(3_600_000),
    }
  },
}

/**
 * The provider over the same fake without a socket, for the simulator: one request is one step behind the hook, and so is every pause, because time there moves
 * only between steps; it changes something, because what was undecided is decided when it is over. Signing in is no step.
 */
export const openAzureWireless = ({ service, hook }: { readonly service: KeyVault; readonly hook: Hook }, runtime: Runtime): Promise<SecretProvider> => {
  const clock = runtime.clock as ManualClock
  const local = 'http://127.0.0.1:1'
  const steps: Hook = (step, act) => (step.call === 'signIn' ? Promise.resolve().then(act) : hook(step, act))
  const at: WireService = { handle: (request) => service.handle({ ...request, headers: { ...request.headers, host: new URL(local).host } }), changes: (request) => service.changes(request), step: (request) => service.step(request), refuse: (refusal, echo) => service.refuse(refusal, echo) }
  const io: ProviderIo = {
    ...runtime,
    env: envOf({ AZURE_POD_IDENTITY_AUTHORITY_HOST: local }),
    http: wireless(at, steps),
    clock: {
      now: () => clock.now(),
      until: (at, signal) => clock.until(at, signal),
      sleep: (ms) => {
        const until = clock.now() + ms
        return hook({ call: 'wait', name: '', changes: true }, () => clock.set(Math.max(clock.now(), until)))
      },
    },
  }
  return openAzure(io, { azure_key_vault_uri: local, azure_credential: 'managed_identity' })
}

/** The provider on any server that speaks Key Vault's protocol; the settings hold the credential. Time there is real. */
export const azureTargetHarness = ({ url, settings }: Target, deviations: readonly Deviation[] = []): Harness => ({
  ...runByOthers,
  mustHave: azureCapabilities,
  deviations,
  open: async () => {
    const real = { now: () => Date.now(), sleep: (ms: number, signal?: AbortSignal) => pause(ms, signal), until: (at: number, signal?: AbortSignal) => pause(at - Date.now(), signal) }
    const runtime = testRuntime()
    const io = { ...runtime, clock: real, http: nodeHttp(real, runtime.random) }
    const opened = await openedBy(() => openAzure(io, { azure_key_vault_uri: url, ...settings }))
    const operator = await openVault(readSettings(azureSettings, { azure_key_vault_uri: url, ...settings }, { path: 'azure' }).settings, io)
    return {
      ...opened,
      clock: real,
      pass: (ms) => pause(ms),
      seed: async (name, value) => {
        const tags = name.place === 'created' ? { 'latchkey-name': name.text } : {}
        await operator.put({ text: name.text, native: slugHashCodec.encode(name) }, Buffer.from(value).toString('utf8'), { tags }, callOf(real))
      },
      close: async () => {
        await operator.close()
        await opened.close()
      },
    }
  },
})

const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason as Error)
    const timer = setTimeout(resolve, Math.max(0, ms))
    signal?.addEventListener('abort', () => (clearTimeout(timer), reject(signal.reason as Error)), { once: true })
  })
