// Conjur under examination: our fake, as its administrator, with the right to delete and without; and any server that somebody names.
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { capabilities } from '../../../shared/providers/custom.ts'
import type { ProviderIo } from '../../../shared/core/runtime.ts'
import { cyberark } from '../../../shared/providers/cyberark.ts'
import { startConjurFake, type ConjurService } from '../../fakes/conjur/server.ts'
import { wireless } from '../../fakes/wire.ts'
import type { Hook } from '../../shapes/service.ts'
import { testRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, passOn, type Deviation, type Harness, type Target } from '../harness.ts'
import { onFake, onTarget, openConfigured, runByOthers, type Given } from '../opened.ts'
import { seedThrough } from '../striker.ts'

/** Opens the provider as a configuration would. */
export const openConjur = (runtime: ProviderIo, given: Given): Promise<SecretProvider> => openConfigured(cyberark, runtime, given)

/** Opens the provider on a server without a socket, behind the simulator's hook. */
export const openConjurWireless = ({ service, hook }: { readonly service: ConjurService; readonly hook: Hook }, runtime: ProviderIo): Promise<SecretProvider> =>
  openConjur({ ...runtime, http: wireless(service, hook) }, { cyberark_account: 'acct', cyberark_api_key: service.keyOf('admin') })

const could = capabilities.filter((capability) => !['setEnabled', 'recover'].includes(capability))

/** The provider on the fake, a fresh server each time. */
export const cyberarkHarness = ({ deletes = true }: { readonly deletes?: boolean } = {}): Harness => ({
  mustHave: could.filter((capability) => deletes || capability !== 'remove'),
  faults: faultKinds,
  nonsense: nonsenseKinds,
  open: async () => {
    const runtime = testRuntime({ hurries: true })
    const fake = await startConjurFake({ now: () => runtime.clock.now() })
    const settings = { cyberark_api_base: fake.url, cyberark_account: 'acct', cyberark_api_key: fake.service.keyOf('admin'), cyberark_delete: deletes }
    return {
      ...(await onFake(fake, runtime, (more) => openConjur(runtime, { ...settings, ...more }), { cyberark_api_key: 'a key that belongs to nobody' })),
      seed: async (name, value) => fake.service.seed(name.text, value),
      // Tokens live for eight minutes.
      expire: () => runtime.clock.advance(500_000),
    }
  },
})

/** The provider on any server: its address and whatever settings log in there. What is to be read is written by a provider of its own. */
export const cyberarkTargetHarness = (target: Target, deviations: readonly Deviation[] = []): Harness => ({
  ...runByOthers,
  mustHave: could.filter((capability) => target.settings['cyberark_delete'] === true || capability !== 'remove'),
  deviations,
  open: async () => {
    const runtime = testRuntime({ now: Date.now(), hurries: true, seed: `target ${process.pid} ${performance.now()}` })
    const exam = await onTarget(target, runtime, () => openConjur(runtime, { ...target.settings, cyberark_api_base: target.url }))
    return { ...exam, pass: passOn(runtime.clock), seed: seedThrough(await exam.reopen(), runtime.random) }
  },
})
