// What the harnesses share: a provider opened as a configuration would open it, and what the exam has of one on a fake, or on a server that somebody else runs.
// Each harness spreads one of these and adds what only its service knows: how a secret gets there, and how credentials end.
import type { ProviderDefinition, SecretProvider, TableLoader } from '../../shared/core/provider.ts'
import type { ProviderIo } from '../../shared/core/runtime.ts'
import { readSettings, type SettingsTable } from '../../shared/core/settings.ts'
import type { TestRuntime } from '../support/runtime.ts'
import { passOn, passOnTarget, type ExamProvider, type Fault, type Harness, type Target } from './harness.ts'

/** Settings as a configuration has them. */
export type Given = Readonly<Record<string, unknown>>

/** Opens a provider by its own table of settings. @throws misconfigured; an Error for settings that the table refuses */
export const openConfigured = async <S>(definition: ProviderDefinition<S, SettingsTable<S> | TableLoader<S>>, io: ProviderIo, given: Given): Promise<SecretProvider> => {
  const { settings, issues } = readSettings(typeof definition.settings === 'function' ? await definition.settings() : definition.settings, given, { path: definition.name, env: io.env })
  if (issues.length > 0) throw new Error(issues.map(({ path, message }) => `${path} ${message}`).join('\n'))
  return definition.open(settings, io, { kind: 'operator' })
}

/** What the exam has of a service, with the way to one more provider whose settings differ. Closing it closes every provider that was opened here. */
export type Opened = Pick<ExamProvider, 'provider' | 'reopen' | 'close'> & { instance(more: Given): Promise<SecretProvider> }

/** Opens the first provider; `open` gets what differs from the usual settings. */
export const openedBy = async (open: (more: Given) => Promise<SecretProvider>): Promise<Opened> => {
  const opened: SecretProvider[] = []
  const instance = async (more: Given): Promise<SecretProvider> => {
    const provider = await open(more)
    opened.push(provider)
    return provider
  }
  return {
    provider: await instance({}),
    instance,
    reopen: () => instance({}),
    close: async () => {
      for (const provider of opened) await provider.close?.()
    },
  }
}

/** Of a running fake, what the exam needs. */
export interface ExamFake {
  readonly requests: readonly unknown[]
  fault(fault: Fault): void
  held(): Promise<void>
  heal(): void
  close(): Promise<void>
}

/** A provider on a fake: time stands until it is passed, and not before an answer that is to be held back has arrived. `wrong` are settings that only the service can refuse. */
export const onFake = async (fake: ExamFake, { clock }: TestRuntime, open: (more: Given) => Promise<SecretProvider>, wrong: Given): Promise<ExamProvider> => {
  const { provider, reopen, instance, close } = await openedBy(open)
  return {
    provider,
    clock,
    pass: async (ms) => {
      await fake.held()
      await passOn(clock)(ms)
    },
    fault: (fault) => fake.fault(fault),
    heal: () => fake.heal(),
    calls: () => fake.requests.length,
    reopen,
    misconfigured: () => instance(wrong),
    close: async () => {
      await close()
      await fake.close()
    },
  }
}

/** What a harness says of a server that somebody else runs. One server for all cases, so the exam's own names keep them apart. */
export const runByOthers = { faults: [], faultsReason: 'a server that somebody else runs cannot be broken on purpose', fresh: false } as const satisfies Partial<Harness>

/** A provider on such a server: its clock follows the wall. */
export const onTarget = async (target: Target, { clock }: TestRuntime, open: (more: Given) => Promise<SecretProvider>): Promise<Opened & ExamProvider> => ({
  ...(await openedBy(open)),
  clock,
  pass: passOnTarget(clock, target),
})
