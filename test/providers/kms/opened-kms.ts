// A provider of ciphertext on a fresh fake, over variables in memory, as the tests of both KMS want it; and what they ask of a failure.
// What was opened is closed when the test is over.
import { inspect } from 'node:util'
import { expect, onTestFinished } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { hostedName } from '../../../shared/core/names.ts'
import type { ProviderDefinition, SecretProvider } from '../../../shared/core/provider.ts'
import type { Call } from '../../../shared/core/runtime.ts'
import { readSettings, refuseIssues } from '../../../shared/core/settings.ts'
import type { ExamFake } from '../../conformance/opened.ts'
import { runtimeOver } from '../../conformance/operators/hosted-variables.ts'
import { canariesIn } from '../../support/canary.ts'
import type { TestRuntime } from '../../support/runtime.ts'

/** What both providers can do. */
export type Kms = SecretProvider & Required<Pick<SecretProvider, 'describe' | 'list' | 'readMany' | 'close'>>

/** What a test has of it. */
export interface OpenedKms<F> {
  readonly variables: Record<string, string>
  readonly runtime: TestRuntime
  readonly fake: F
  /** A key that the fake has made. */
  readonly key: string
  /** Opens with exactly these settings. @throws misconfigured */
  open(given: Record<string, unknown>): Promise<Kms>
}

/** Starts the fake; nothing is set and no provider is open. */
export const openedKms = async <S, F extends { createKey(): string; close(): Promise<void> }>(definition: ProviderDefinition<S>, start: (given: { now(): number }) => Promise<F>, given?: Parameters<typeof runtimeOver>[1]): Promise<OpenedKms<F>> => {
  const variables: Record<string, string> = {}
  const runtime = runtimeOver(variables, given)
  const fake = await start({ now: () => runtime.clock.now() })
  const opened: SecretProvider[] = []
  onTestFinished(async () => {
    for (const provider of opened) await provider.close?.()
    await fake.close()
  })
  const open: OpenedKms<F>['open'] = async (some) => {
    const { settings, issues } = readSettings(definition.settings, some, { path: 'settings', env: runtime.env })
    refuseIssues(issues)
    const provider = (await definition.open(settings, runtime, { kind: 'operator' })) as Kms
    opened.push(provider)
    return provider
  }
  return { variables, runtime, fake, key: fake.createKey(), open }
}

/** What a promise fails with. */
export const failureOf = (promise: Promise<unknown>): Promise<LatchkeyError> => promise.then(() => new LatchkeyError('internal', 'it succeeded'), (error: LatchkeyError) => error)

/** What is watched and stands in a failure all the same: in its message, a detail or a hidden property. */
export const leaks = (error: unknown): readonly unknown[] => canariesIn(inspect(error, { depth: Infinity, showHidden: true }) + String(error) + JSON.stringify(error))

/** Reads many at once while the first eight answers are held back. Answers how many calls the service had got by then, and what came in the end. */
export const readHeld = async (provider: Kms, fake: ExamFake, names: readonly string[], call: Call) => {
  fake.fault({ kind: 'slow', times: 8 })
  const reading = provider.readMany(names.map((name) => hostedName(name)), call)
  await expect.poll(() => fake.requests.length).toBe(8)
  for (let turn = 0; turn < 40; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  const whileHeld = fake.requests.length
  fake.heal()
  return { whileHeld, answers: await reading }
}
