// A provider of ciphertext on a fresh fake, over variables in memory, as the tests of both KMS want it; and what they ask of a failure.
// What was opened is closed when the test is over.
import { inspect } from 'node:util'
import { onTestFinished } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import type { ProviderDefinition, SecretProvider } from '../../../shared/core/provider.ts'
import { readSettings, refuseIssues } from '../../../shared/core/settings.ts'
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
