// What every deployed function does once, while its platform starts it: take the configuration that the build validated, from LATCHKEY_CONFIG or from
// latchkey.json beside the bundle, and open it. Whatever stops that is one clear line in the log, and the platform's own error.
import { join } from 'node:path'
import type { Configuration } from '../shared/core/configuration.ts'
import type { Trust } from '../shared/core/configuration/identities.ts'
import { asLatchkeyError } from '../shared/core/errors.ts'
import type { Runtime } from '../shared/core/runtime.ts'
import type { Route } from '../shared/http/api.ts'
import { readAtStart } from '../shared/telemetry/node-runtime.ts'
import { openLatchkey, type Latchkey, type OpenOptions } from '../shared/latchkey.ts'
import { functionConfiguration } from './function-configuration.ts'
import { audited, hostPorts, type HostPorts } from './host-runtime.ts'
import type { KeySections } from './key-sections.ts'
import { requestMs } from './time-budget.ts'

/** One running instance, as its handlers need it. */
export interface Deployed extends Pick<Latchkey, 'app' | 'stores'> {
  readonly runtime: Runtime
  readonly trust: Trust
  /** The longest that one request may take here, in milliseconds. */
  readonly requestMs: number
}

const written = async ({ env }: Runtime, folder: string): Promise<unknown> => {
  const text = env.get('LATCHKEY_CONFIG') ?? (await readAtStart(join(folder, 'latchkey.json')).then((bytes) => (bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8'))))
  try {
    return JSON.parse(text ?? '')
  } catch {
    throw (await import('./no-configuration.ts')).noConfiguration(text)
  }
}

/** The configuration of this function; its warnings are in the log. `folder`: where the bundle lies. @throws misconfigured */
export const readDeployed = async (runtime: Runtime, more: KeySections, folder: string): Promise<Configuration> => {
  const configuration = await functionConfiguration(await written(runtime, folder), runtime.env, more)
  for (const { path, message } of configuration.warnings) runtime.log.log('warn', `${path} ${message}`)
  return configuration
}

/** What stops a start is one clear line in the log. @throws the same, for the platform */
export const starting = async <T>({ log }: Pick<Runtime, 'log'>, start: () => Promise<T>): Promise<T> => {
  try {
    return await start()
  } catch (error) {
    const known = asLatchkeyError(error)
    log.log('error', `Latchkey cannot start: ${known.message}`, { code: known.code })
    throw known
  }
}

/** What a function's entry knows: where it lies, what it reads of the file beside the rest, whether its platform lets it work between requests, and what becomes of the ports before anything is read. */
export type FunctionOptions = KeySections & Pick<OpenOptions, 'refreshBeside'> & { readonly folder: string; readonly prepare?: (ports: HostPorts) => Promise<HostPorts> }

/** Opens Latchkey with these routes. `check` may refuse what this platform cannot keep. @throws misconfigured, after saying so in the log */
export const openDeployed = async (routes: readonly Route[], { folder, refreshBeside = true, prepare, ...more }: FunctionOptions, check?: (deployed: Deployed) => void): Promise<Deployed> => {
  const ports = hostPorts()
  return starting(ports, async () => {
    const runtime = audited((await prepare?.(ports)) ?? ports)
    const configuration = await readDeployed(runtime, more, folder)
    const { app, stores } = await openLatchkey(configuration, runtime, { routes, refreshBeside })
    const deployed: Deployed = { app, stores, runtime, trust: configuration.trust, requestMs: requestMs(runtime.env) }
    check?.(deployed)
    return deployed
  })
}
