// How long an initialisation waits for the secrets that its variables refer to. Loaded where one does.
import type { Env } from '../../shared/core/runtime.ts'
import { resolvedVariables } from '../../shared/secret-variables.ts'
import type { HostPorts } from '../host-runtime.ts'
import { timeBudget } from '../time-budget.ts'

/** With the reading of hosted secrets after it, this stays below the ten seconds that the platform gives an initialisation. */
const resolveMs = 4_000

/** The environment with its references resolved. @throws as {@link resolvedVariables} does, and deadline_exceeded after 4 s */
export const resolved = async (ports: HostPorts): Promise<Env> => {
  const time = timeBudget(ports.clock, resolveMs)
  return resolvedVariables(ports, time).finally(() => time.end())
}
