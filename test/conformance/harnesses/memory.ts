// The reference under examination, and the place where the wrong providers are put in. The reference has no wire, so the gate before it stands for one:
// it strikes calls as a network and a service would, and answers what a provider must make of that.
import { LatchkeyError } from '../../../shared/core/errors.ts'
import type { Capability, SecretProvider } from '../../../shared/core/provider.ts'
import { capabilities } from '../../../shared/providers/custom.ts'
import type { Call, Clock } from '../../../shared/core/runtime.ts'
import type { SecretValue } from '../../../shared/core/secret.ts'
import { memory } from '../../../shared/providers/memory.ts'
import { testRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, type Harness } from '../harness.ts'
import { behind, Striker } from '../striker.ts'

const changing: ReadonlySet<string> = new Set<keyof SecretProvider>(['write', 'promote', 'annotate', 'discard', 'setEnabled', 'remove', 'recover'])

/** Puts the gate before a provider's every call. What it refuses by itself (a call that is over, a name, a size) does not reach the gate. */
export const gated = (provider: SecretProvider, gate: Striker, clock: Clock): SecretProvider => {
  const behind: Record<string, unknown> = { ...provider }
  for (const key of ['read', ...capabilities.filter((capability) => capability !== 'close')] as const) {
    const method = provider[key] as ((...given: unknown[]) => Promise<unknown>) | undefined
    if (method === undefined) continue
    behind[key] = async (...given: unknown[]) => {
      const call = given.at(-1) as Call
      const over = call.signal.aborted || clock.now() >= call.deadline
      const large = key === 'write' && (given[0] as { value: SecretValue }).value.byteLength > provider.traits.value.maxBytes
      const nothing = key === 'readMany' && (given[0] as readonly unknown[]).length === 0
      const asked = key === 'read' || key === 'describe' ? [given[0] as Parameters<SecretProvider['read']>[0]] : []
      for (const name of asked) provider.traits.names.encode(name)
      return over || large || nothing ? method(...given) : gate.pass(changing.has(key), () => method(...given), call.signal)
    }
  }
  const check: SecretProvider['check'] = async (depth, call) => {
    try {
      return await gate.pass(false, () => provider.check(depth, call), call.signal)
    } catch (error) {
      return [{ ok: false, subject: 'the service', message: error instanceof LatchkeyError ? error.message : 'It could not be reached.' }]
    }
  }
  return { ...(behind as unknown as SecretProvider), check }
}

/** What stands between the reference and the exam; the wrong providers are such wrappers. */
export type Wrap = (provider: SecretProvider, clock: Clock) => SecretProvider

let spaces = 0

/** `wrap` sees a provider whose calls can fail, and the exam sees what `wrap` makes of it. */
export const memoryHarness = (given: { wrap?: Wrap; recoveryWindowSeconds?: number; mustHave?: readonly Capability[] } = {}): Harness => ({
  mustHave: given.mustHave ?? capabilities.filter((capability) => capability !== 'close'),
  faults: faultKinds,
  nonsense: nonsenseKinds,
  open: async () => {
    const runtime = testRuntime()
    const gate = new Striker()
    const space = `exam-${(spaces += 1)}`
    const open = (): Promise<SecretProvider> => memory.open({ space, recovery_window_seconds: given.recoveryWindowSeconds ?? 604_800 }, runtime, { kind: 'operator' })
    const instance = async (): Promise<SecretProvider> => (given.wrap ?? ((provider) => provider))(gated(await open(), gate, runtime.clock), runtime.clock)
    return { ...(await behind(gate, runtime, await open(), instance)), expire: () => runtime.clock.advance(86_400_000) }
  },
})
