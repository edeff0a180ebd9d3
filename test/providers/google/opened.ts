// A provider on a fresh fake, as the tests of Google Secret Manager want it: with a way behind the wire, and everything closed in the end.
import { afterEach } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretProvider, WriteRequest } from '../../../shared/core/provider.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { openGoogleSecrets } from '../../conformance/harnesses/google-secret-manager.ts'
import { fakeProject, startGoogleFake, type GoogleFakeOptions, type RunningGoogleFake } from '../../fakes/google/secret-manager.ts'
import { callOf, testRuntime, type TestRuntime } from '../../support/runtime.ts'

let closing: (() => Promise<unknown> | undefined)[] = []
/** Where the fake's secrets are. */
export const parent = `projects/${fakeProject}/secrets`

/** What a test has of it. */
export interface Opened {
  readonly fake: RunningGoogleFake
  readonly provider: Required<SecretProvider>
  readonly runtime: TestRuntime
  call(): ReturnType<typeof callOf>
  write(name: string, value: string, more?: Partial<WriteRequest>): Promise<string>
  text(name: ReturnType<typeof createdName>, at?: object): Promise<string>
}

/** Opens both. */
export const open = async (settings: Record<string, unknown> = {}, options: GoogleFakeOptions = {}): Promise<Opened> => {
  const runtime = testRuntime({ hurries: true })
  const fake = await startGoogleFake({ now: () => runtime.clock.now(), ...options })
  const provider = (await openGoogleSecrets(runtime, { google_endpoint: fake.url, ...settings })) as Required<SecretProvider>
  closing.push(() => provider.close(), () => fake.close())
  let written = 0
  const call = () => callOf(runtime.clock)
  return {
    fake,
    provider,
    runtime,
    call,
    write: async (name, value, more = {}) => (await provider.write({ name: createdName(name), value: SecretValue.of(value), expect: 'any', operation: `put-${String((written += 1)).padStart(32, '0')}`, stage: 'current', ...more }, call())).version?.id ?? '',
    text: async (name, at = {}) => (await provider.read(name, at, call())).value.reveal(),
  }
}

/** What a call came to: the code, or `ok`. */
export const codeOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'ok', (error: unknown) => (error instanceof LatchkeyError ? error.code : 'not ours'))
afterEach(async () => {
  for (const close of closing.toReversed()) await close()
  closing = []
})
