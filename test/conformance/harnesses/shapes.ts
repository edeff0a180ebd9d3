// The five shapes of memory under examination. Faults strike on the wire between provider and service, call by call,
// so that a change which takes several calls is really cut in the middle.
import type { Capability, SecretProvider } from '../../../shared/core/provider.ts'
import type { Clock, Runtime } from '../../../shared/core/runtime.ts'
import type { Hook } from '../../shapes/service.ts'
import { testRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, type Deviation, type Harness } from '../harness.ts'
import { behind, Striker } from '../striker.ts'

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
  open: async () => {
    const runtime = testRuntime()
    const wire = new Striker()
    const hook: Hook = async (step, apply) => {
      await Promise.resolve()
      return wire.pass(step.changes, apply)
    }
    const service = new make(runtime.clock)
    return behind(wire, runtime, await open(service, runtime), () => open(service.through(hook), runtime))
  },
})
