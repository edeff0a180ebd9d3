// The five shapes of memory under examination. Faults strike on the wire between provider and service, call by call,
// so that a change which takes several calls is really cut in the middle.
import type { Capability, SecretProvider } from '../../../shared/core/provider.ts'
import type { Clock, Runtime } from '../../../shared/core/runtime.ts'
import type { Hook } from '../../shapes/service.ts'
import { testRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, passOn, type Deviation, type ExamProvider, type Harness } from '../harness.ts'
import { seedThrough, Striker } from '../striker.ts'

interface Service<S> {
  through(hook: Hook): S
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
  nonsense: nonsenseKinds,
  deviations,
  open: async (): Promise<ExamProvider> => {
    const runtime = testRuntime()
    const wire = new Striker()
    const hook: Hook = async (step, apply) => {
      await Promise.resolve()
      return wire.pass(step.changes, apply)
    }
    const service = new make(runtime.clock)
    const instance = (): Promise<SecretProvider> => open(service.through(hook), runtime)
    const operator = await open(service, runtime)
    return {
      provider: await instance(),
      clock: runtime.clock,
      pass: passOn(runtime.clock),
      seed: seedThrough(operator, runtime.random),
      fault: (fault) => wire.fault(fault),
      heal: () => wire.heal(),
      calls: () => wire.calls,
      reopen: instance,
      close: async () => {},
    }
  },
})
