// What both functions do once, while the platform starts them: take the configuration that the build validated, from LATCHKEY_CONFIG or from
// latchkey.json beside the bundle, and open it. Whatever stops that is one clear line in the log, and the platform's own error.
import { join } from 'node:path'
import type { ParseOptions } from '../../shared/core/configuration.ts'
import { LatchkeyError, asLatchkeyError } from '../../shared/core/errors.ts'
import type { Runtime } from '../../shared/core/runtime.ts'
import type { Route } from '../../shared/http/api.ts'
import { openLatchkey } from '../../shared/latchkey.ts'
import { functionConfiguration } from '../function-configuration.ts'
import { hostRuntime } from '../host-runtime.ts'
import { answerHttp, type HttpAnswer } from './http.ts'

type Handler = (event: unknown, context: { getRemainingTimeInMillis(): number }) => Promise<HttpAnswer>

const written = async ({ env, files }: Runtime): Promise<unknown> => {
  const text = env.get('LATCHKEY_CONFIG') ?? (await files.read(join(import.meta.dirname, 'latchkey.json')).then((bytes) => (bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8'))))
  if (text === undefined || text === '') throw new LatchkeyError('misconfigured', 'No configuration: set LATCHKEY_CONFIG to JSON, or build with --config so that latchkey.json lies beside the bundle.')
  try {
    return JSON.parse(text)
  } catch {
    throw new LatchkeyError('misconfigured', 'The configuration is not JSON: functions take what `npm run build -- --config <file>` writes, not YAML.')
  }
}

/** Opens Latchkey with these routes and answers the function's handler. @throws misconfigured, after saying so in the log */
export const openFunction = async (routes: readonly Route[], more: Pick<ParseOptions, 'gateway' | 'checkFields'> = {}): Promise<Handler> => {
  const runtime = hostRuntime()
  try {
    const configuration = await functionConfiguration(await written(runtime), runtime.env, more)
    for (const { path, message } of configuration.warnings) runtime.log.log('warn', `${path} ${message}`)
    const { app } = await openLatchkey(configuration, runtime, { routes })
    return (event, context) => answerHttp(app, runtime.clock, event, context.getRemainingTimeInMillis())
  } catch (error) {
    const known = asLatchkeyError(error)
    runtime.log.log('error', `Latchkey cannot start: ${known.message}`, { code: known.code })
    throw known
  }
}
