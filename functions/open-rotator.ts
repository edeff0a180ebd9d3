// What the rotate function of every host does once, while the platform starts it: take the configuration that the build validated, open it, and have the rotator ready.
import type { Rotator } from '../shared/core/rotation/rotator.ts'
import type { Runtime } from '../shared/core/runtime.ts'
import { openLatchkey } from '../shared/latchkey.ts'
import { readDeployed, starting } from './deployed.ts'
import { keySections } from './key-sections.ts'

/** A rotator, and the ports that it runs on. */
export interface OpenedRotator {
  readonly rotator: Rotator
  readonly runtime: Runtime
}

/** Opens Latchkey for events. `folder`: where the bundle lies; `steps`: whether AWS sends the steps of its rotation. @throws misconfigured, after saying so in the log */
export const openRotator = (runtime: Runtime, folder: string, { steps = false } = {}): Promise<OpenedRotator> =>
  starting(runtime, async () => {
    const configuration = await readDeployed(runtime, keySections, folder)
    const rotator = await (await openLatchkey(configuration, runtime, { refreshBeside: false })).rotator()
    if (steps) rotator.requireSteps()
    return { rotator, runtime }
  })
