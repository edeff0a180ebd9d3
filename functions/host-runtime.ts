// The ports as every host of ours has them. Log and audit go to standard output, one JSON line at a time, written before anything is answered: a line that
// waits in a buffer is lost when a function is frozen.
import { writeSync } from 'node:fs'
import type { Clock, Runtime } from '../shared/core/runtime.ts'
import { createAudit } from '../shared/telemetry/audit.ts'
import { createLog } from '../shared/telemetry/log.ts'
import { nodeFiles, processEnv, systemClock, systemRandom } from '../shared/telemetry/node-runtime.ts'

const standardOutput = 1
const patienceMs = 2_000

/** Writes one line to the end, waiting for a slow reader as long as an audit line may take. @throws what the system says when it cannot */
const lineWriter = (clock: Clock) => (line: string): void => {
  const until = clock.now() + patienceMs
  let rest = Buffer.from(`${line}\n`, 'utf8')
  while (rest.byteLength > 0) {
    try {
      rest = rest.subarray(writeSync(standardOutput, rest))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || clock.now() >= until) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

const write = lineWriter(systemClock)

/** All ports but the audit's, whose key is a variable. */
export type HostPorts = Omit<Runtime, 'audit'>

/** The ports of this process that hang on no variable. */
export const hostPorts = (): HostPorts => ({
  clock: systemClock,
  random: systemRandom,
  env: processEnv,
  files: nodeFiles,
  // Only who speaks plain HTTPS to its service loads the client.
  http: { connect: async (peer) => (await import('../shared/core/http-client.ts')).nodeHttp(systemClock, systemRandom).connect(peer) },
  log: createLog({ clock: systemClock, write }),
})

/** The audit beside them, with the key that their environment holds. @throws misconfigured when LATCHKEY_AUDIT_KEY is shorter than 32 bytes */
export const audited = (ports: HostPorts): Runtime => {
  const key = ports.env.get('LATCHKEY_AUDIT_KEY')
  return { ...ports, audit: createAudit({ ...ports, write, ...(key && { key: Buffer.from(key, 'utf8') }) }) }
}

/** The ports of this process. @throws misconfigured as {@link audited} does */
export const hostRuntime = (): Runtime => audited(hostPorts())
