// A user's own module under examination: the reference behind `custom`, loaded by its path as a configuration would name it.
import { join } from 'node:path'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { capabilities, custom } from '../../../shared/providers/custom.ts'
import { memory } from '../../../shared/providers/memory.ts'
import { gates } from '../../fixtures/custom/memory-backed.ts'
import { testRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, type Harness } from '../harness.ts'
import { behind, Striker } from '../striker.ts'

const path = join(import.meta.dirname, '../../fixtures/custom/memory-backed.ts')
let spaces = 0

/** The harness of `custom`. */
export const customHarness: Harness = {
  mustHave: capabilities.filter((capability) => capability !== 'close'),
  faults: faultKinds,
  nonsense: nonsenseKinds,
  open: async () => {
    const runtime = testRuntime()
    const gate = new Striker()
    const space = `custom-${(spaces += 1)}`
    gates.set(space, gate)
    const instance = (): Promise<SecretProvider> => custom.open({ custom_secret_manager: path, custom_settings: { space } }, runtime, { kind: 'operator' })
    const operator = await memory.open({ space, recovery_window_seconds: 604_800 }, runtime, { kind: 'operator' })
    return { ...(await behind(gate, runtime, operator, instance)), close: async () => void gates.delete(space) }
  },
}
