// The five shapes of memory under examination. Faults strike on the wire between provider and service, call by call,
// so that a change which takes several calls is really cut in the middle.
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { Capability, SecretProvider } from '../../shared/core/provider.ts'
import type { Clock, Runtime } from '../../shared/core/runtime.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import type { Hook } from '../shapes/service.ts'
import { testRuntime } from '../support/runtime.ts'
import { afterCommit, faultCodes, faultKinds, passOn, type Deviation, type ExamProvider, type Fault, type Harness } from './harness.ts'

interface Service<S> {
  through(hook: Hook): S
}

/** The wire: one hook for every call, which counts, holds back and strikes. */
class Wire {
  calls = 0
  #fault: Fault | undefined
  #matched = 0
  #held: (() => void)[] = []

  readonly hook: Hook = async (step, apply) => {
    this.calls += 1
    const fault = this.#strikes(step.changes)
    if (fault === undefined) {
      await Promise.resolve()
      return apply()
    }
    if (fault.kind === 'slow') {
      await new Promise<void>((letGo) => void this.#held.push(letGo))
      return apply()
    }
    if (afterCommit.has(fault.kind) && step.changes) apply()
    throw new LatchkeyError(faultCodes[fault.kind], 'The service did not do what was asked of it.', { retryAfter: 1 })
  }

  fault(fault: Fault): void {
    this.#fault = fault
    this.#matched = 0
  }

  heal(): void {
    this.#fault = undefined
    for (const letGo of this.#held.splice(0)) letGo()
  }

  #strikes(change: boolean): Fault | undefined {
    const fault = this.#fault
    if (fault === undefined || (fault.on !== undefined && (fault.on === 'change') !== change)) return undefined
    this.#matched += 1
    const first = fault.nth ?? 1
    return this.#matched >= first && this.#matched < first + (fault.times ?? Infinity) ? fault : undefined
  }
}

/** A harness for one shape: the class of its service and how a provider is opened on it. */
export const shapeHarness = <S extends Service<S>>(
  make: new (clock: Clock) => S,
  open: (service: S, runtime: Runtime) => Promise<SecretProvider>,
  mustHave: readonly Capability[],
  deviations: readonly Deviation[] = [],
): Harness => ({
  mustHave,
  faults: faultKinds,
  deviations,
  open: async (): Promise<ExamProvider> => {
    const runtime = testRuntime()
    const wire = new Wire()
    const service = new make(runtime.clock)
    const instance = (): Promise<SecretProvider> => open(service.through(wire.hook), runtime)
    const operator = await open(service, runtime)
    return {
      provider: await instance(),
      clock: runtime.clock,
      pass: passOn(runtime.clock),
      seed: async (name, value) => {
        const secret = typeof value === 'string' ? SecretValue.of(value) : SecretValue.ofBytes(value)
        const operation = `seed-${Buffer.from(runtime.random.bytes(16)).toString('hex')}`
        await operator.write?.({ name, value: secret, expect: 'any', operation, stage: 'current' }, { signal: new AbortController().signal, deadline: Infinity })
      },
      fault: (fault) => wire.fault(fault),
      heal: () => wire.heal(),
      calls: () => wire.calls,
      reopen: instance,
      close: async () => {},
    }
  },
})
