// Conjur under examination: our fake, as its administrator, with the right to delete and without; and any server that somebody names.
import { capabilities, type SecretProvider } from '../../../shared/core/provider.ts'
import type { ProviderIo } from '../../../shared/core/runtime.ts'
import { readSettings } from '../../../shared/core/settings.ts'
import { cyberark } from '../../../shared/providers/cyberark.ts'
import { startConjurFake, type ConjurService } from '../../fakes/conjur/server.ts'
import { wireless } from '../../fakes/wire.ts'
import type { Hook } from '../../shapes/service.ts'
import { testRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, passOn, type Deviation, type ExamProvider, type Harness, type Target } from '../harness.ts'
import { seedThrough } from '../striker.ts'

/** Opens the provider as a configuration would. */
export const openConjur = (runtime: ProviderIo, given: Readonly<Record<string, unknown>>): Promise<SecretProvider> => {
  const read = readSettings(cyberark.settings, given, { path: 'cyberark', env: runtime.env })
  if (read.issues.length > 0) throw new Error(read.issues.map(({ path, message }) => `${path} ${message}`).join('\n'))
  return cyberark.open(read.settings, runtime, { kind: 'operator' })
}

/** Opens the provider on a server without a socket, behind the simulator's hook. */
export const openConjurWireless = ({ service, hook }: { readonly service: ConjurService; readonly hook: Hook }, runtime: ProviderIo): Promise<SecretProvider> =>
  openConjur({ ...runtime, http: wireless(service, hook) }, { cyberark_account: 'acct', cyberark_api_key: service.keyOf('admin') })

const could = capabilities.filter((capability) => !['setEnabled', 'recover'].includes(capability))

/** The provider on the fake, a fresh server each time. */
export const cyberarkHarness = ({ deletes = true }: { readonly deletes?: boolean } = {}): Harness => ({
  mustHave: could.filter((capability) => deletes || capability !== 'remove'),
  faults: faultKinds,
  nonsense: nonsenseKinds,
  open: async (): Promise<ExamProvider> => {
    const runtime = testRuntime({ hurries: true })
    const fake = await startConjurFake({ now: () => runtime.clock.now() })
    const opened: SecretProvider[] = []
    const instance = async (more: Record<string, unknown> = {}): Promise<SecretProvider> => {
      const provider = await openConjur(runtime, { cyberark_api_base: fake.url, cyberark_account: 'acct', cyberark_api_key: fake.service.keyOf('admin'), cyberark_delete: deletes, ...more })
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
      seed: async (name, value) => fake.service.seed(name.text, value),
      fault: (fault) => fake.fault(fault),
      heal: () => fake.heal(),
      // Tokens live for eight minutes.
      expire: () => runtime.clock.advance(500_000),
      calls: () => fake.requests.length,
      reopen: () => instance(),
      misconfigured: () => instance({ cyberark_api_key: 'a key that belongs to nobody' }),
      close: async () => {
        for (const provider of opened) await provider.close?.()
        await fake.close()
      },
    }
  },
})

/** The provider on any server: its address and whatever settings log in there. What is to be read is written by a provider of its own. */
export const cyberarkTargetHarness = ({ url, settings }: Target, deviations: readonly Deviation[] = []): Harness => ({
  mustHave: could.filter((capability) => settings['cyberark_delete'] === true || capability !== 'remove'),
  faults: [],
  faultsReason: 'a server that is not ours cannot be broken on purpose',
  fresh: false,
  deviations,
  open: async (): Promise<ExamProvider> => {
    const runtime = testRuntime({ now: Date.now(), hurries: true, seed: `target ${process.pid} ${performance.now()}` })
    const opened: SecretProvider[] = []
    const instance = async (): Promise<SecretProvider> => {
      const provider = await openConjur(runtime, { ...settings, cyberark_api_base: url })
      opened.push(provider)
      return provider
    }
    return {
      provider: await instance(),
      clock: runtime.clock,
      pass: passOn(runtime.clock),
      seed: seedThrough(await instance(), runtime.random),
      reopen: instance,
      close: async () => {
        for (const provider of opened) await provider.close?.()
      },
    }
  },
})
