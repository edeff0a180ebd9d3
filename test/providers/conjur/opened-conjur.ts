// The provider on a fake server, as these tests need it. What was opened is closed when the test is over.
import { onTestFinished } from 'vitest'
import type { SecretProvider, WriteRequest } from '../../../shared/core/provider.ts'
import type { Call } from '../../../shared/core/runtime.ts'
import { SecretValue, type SecretName } from '../../../shared/core/secret.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { openConjur } from '../../conformance/harnesses/cyberark.ts'
import { startConjurFake, type ConjurFake, type ConjurOptions } from '../../fakes/conjur/server.ts'
import type { FakeTls } from '../../fakes/wire.ts'
import { callOf, testRuntime, type TestRuntime } from '../../support/runtime.ts'

export type FullProvider = Required<Omit<SecretProvider, 'setEnabled' | 'recover' | 'remove' | 'notices'>> & Pick<SecretProvider, 'remove' | 'notices'>

export interface OpenedConjur {
  readonly fake: ConjurFake
  readonly runtime: TestRuntime
  readonly provider: FullProvider
  readonly call: Call
  /** Method and path (and query) of every request since the start, logins left out. */
  sent(): readonly string[]
  open(settings?: Readonly<Record<string, unknown>>): Promise<FullProvider>
}

/** Fake, runtime and one provider logged in as the administrator; `settings` win. */
export const openedConjur = async (settings: Readonly<Record<string, unknown>> = {}, more: { readonly server?: Partial<ConjurOptions>; readonly tls?: FakeTls; readonly hurries?: boolean } = {}): Promise<OpenedConjur> => {
  const runtime = testRuntime({ hurries: more.hurries ?? true })
  const fake = await startConjurFake({ now: () => runtime.clock.now(), ...more.server }, more.tls === undefined ? {} : { tls: more.tls })
  const providers: SecretProvider[] = []
  const open: OpenedConjur['open'] = async (given = {}) => {
    const provider = await openConjur(runtime, { cyberark_api_base: fake.url, cyberark_account: 'acct', cyberark_api_key: fake.service.keyOf('admin'), ...settings, ...given })
    providers.push(provider)
    return provider as FullProvider
  }
  onTestFinished(async () => {
    for (const provider of providers) await provider.close?.()
    await fake.close()
  })
  return {
    fake,
    runtime,
    provider: await open(),
    call: { ...callOf(runtime.clock), deadline: Number.MAX_SAFE_INTEGER },
    sent: () => fake.requests.filter(({ path }) => !path.startsWith('/authn')).map(({ method, path, query }) => `${method} ${path}${query.size > 0 ? `?${String(query)}` : ''}`),
    open,
  }
}

let written = 0
/** A write of a current value with an operation of its own. */
export const writeOf = (name: SecretName, value: string, more: Partial<WriteRequest> = {}): WriteRequest => ({ name, value: SecretValue.of(value), expect: 'any', operation: `put-${String((written += 1)).padStart(32, '0')}`, stage: 'current', ...more })

/** What a promise fails with. */
export const failureOf = async (promise: Promise<unknown>): Promise<LatchkeyError> => {
  const outcome = await promise.then(() => undefined, (error: unknown) => error)
  if (outcome instanceof LatchkeyError) return outcome
  throw new Error('a LatchkeyError was expected')
}
