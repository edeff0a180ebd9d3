// What the rotate function of every host does once, while the platform starts it: take the configuration that the build validated, from LATCHKEY_CONFIG or from latchkey.json
// beside the bundle, open it, and have the rotator ready. Whatever stops that is one clear line in the log, and the platform's own error.
import { join } from 'node:path'
import { checkFields } from '../shared/core/configuration/gateway-fields.ts'
import { readGateway } from '../shared/core/configuration/gateway-section.ts'
import { parseConfiguration } from '../shared/core/configuration.ts'
import { LatchkeyError, asLatchkeyError } from '../shared/core/errors.ts'
import type { Rotator } from '../shared/core/rotation/rotator.ts'
import type { Runtime } from '../shared/core/runtime.ts'
import { openLatchkey } from '../shared/latchkey.ts'
import { registry } from '../shared/providers/registry.ts'

/** A rotator, and the ports that it runs on. */
export interface OpenedRotator {
  readonly rotator: Rotator
  readonly runtime: Runtime
}

const written = async ({ env, files }: Runtime, folder: string): Promise<unknown> => {
  const text = env.get('LATCHKEY_CONFIG') ?? (await files.read(join(folder, 'latchkey.json')).then((bytes) => (bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8'))))
  if (text === undefined || text === '') throw new LatchkeyError('misconfigured', 'No configuration: set LATCHKEY_CONFIG to JSON, or build with --config so that latchkey.json lies beside the bundle.')
  try {
    return JSON.parse(text)
  } catch {
    throw new LatchkeyError('misconfigured', 'The configuration is not JSON: functions take what `npm run build -- --config <file>` writes, not YAML.')
  }
}

/** Opens Latchkey for events. `folder`: where the bundle lies; `steps`: whether AWS sends the steps of its rotation. @throws misconfigured, after saying so in the log */
export const openRotator = async (runtime: Runtime, folder: string, { steps = false } = {}): Promise<OpenedRotator> => {
  try {
    const { configuration, warnings } = parseConfiguration(await written(runtime, folder), { env: runtime.env, loopback: false, systems: Object.keys(registry), gateway: readGateway, checkFields })
    for (const { path, message } of warnings) runtime.log.log('warn', `${path} ${message}`)
    const rotator = await (await openLatchkey(configuration, runtime)).rotator()
    if (steps) rotator.requireSteps()
    return { rotator, runtime }
  } catch (error) {
    const known = asLatchkeyError(error)
    runtime.log.log('error', `Latchkey cannot start: ${known.message}`, { code: known.code })
    throw known
  }
}
