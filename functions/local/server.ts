// `npm start`: the whole of Latchkey on one address of this machine. It says what it found, or everything that is wrong and how to mend it.
import { parseArgs } from 'node:util'
import { isWeakMasterKey, parseConfiguration, type Configuration } from '../../shared/core/configuration.ts'
import { identities } from '../../shared/core/configuration/identities.ts'
import { LatchkeyError, asLatchkeyError } from '../../shared/core/errors.ts'
import type { Runtime } from '../../shared/core/runtime.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { commonRoutes } from '../../shared/http/health.ts'
import { keyRoutes } from '../../shared/http/keys.ts'
import { readRoutes } from '../../shared/http/secrets.ts'
import { latchkeyVersion, openLatchkey, type Latchkey } from '../../shared/latchkey.ts'
import { registry } from '../../shared/providers/registry.ts'
import { hostRuntime } from '../host-runtime.ts'
import { keySections } from '../key-sections.ts'
import { requestMs, within } from '../time-budget.ts'
import { loadConfigFile } from './config-file.ts'
import { listen } from './listen.ts'
import { helpText, isLoopback, startText } from './report.ts'

const routes = [...readRoutes, ...keyRoutes, ...commonRoutes]
const stopWithinMs = 10_000
/** What sysexits.h calls a configuration error. */
const misconfigured = 78

const portOf = (text: string | undefined): number => {
  const port = text === undefined || text === '' ? 4100 : Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new LatchkeyError('misconfigured', 'PORT must be a whole number from 0 to 65535; 0 takes any that is free.')
  return port
}

/** Opens with the configured master key, or with one made for this run where loopback allows that. */
const openWithKey = async (configuration: Configuration, runtime: Runtime, host: string): Promise<{ latchkey: Latchkey; minted?: string; weak?: true }> => {
  const latchkey = await openLatchkey(configuration, runtime, { routes })
  const found = await within(runtime.clock, (call) => latchkey.masterKey(call))
  const fix = 'Set LITELLM_MASTER_KEY, or general_settings.master_key, to at least 32 random characters, or leave HOST out.'
  if (!isLoopback(host) && found === undefined) throw new LatchkeyError('misconfigured', `HOST=${host} can be reached from other machines, and no master key is configured. ${fix}`)
  if (!isLoopback(host) && found !== undefined && isWeakMasterKey(found)) throw new LatchkeyError('misconfigured', `HOST=${host} can be reached from other machines, and the master key has fewer than 32 characters. ${fix}`)
  if (found !== undefined) return { latchkey, ...(isWeakMasterKey(found) && configuration.masterKey.kind !== 'literal' ? { weak: true } : {}) }
  await latchkey.close()
  const minted = `sk-${Buffer.from(runtime.random.bytes(32)).toString('base64url')}`
  const masterKey = { kind: 'literal', from: 'general_settings.master_key', value: SecretValue.of(minted), weak: false } as const
  return { latchkey: await openLatchkey({ ...configuration, masterKey }, runtime, { routes }), minted }
}

const start = async (runtime: Runtime, config: string | undefined): Promise<void> => {
  const { clock, env, random } = runtime
  const [host, port] = [env.get('HOST') || '127.0.0.1', portOf(env.get('PORT'))]
  const file = await loadConfigFile(config, env, runtime.files)
  const { configuration } = parseConfiguration(file.input, { env, loopback: isLoopback(host), systems: Object.keys(registry), identities, ...keySections })
  const { latchkey, minted, weak = false } = await openWithKey(configuration, runtime, host)
  const server = await listen(latchkey.app, { host, port, requestMs: requestMs(env) }, clock)
  const facts = { configuration, minted, weak, path: file.path, url: server.url, version: latchkeyVersion, stores: latchkey.stores, mark: Buffer.from(random.bytes(3)).toString('hex') }
  process.stdout.write(startText({ ...facts, references: await within(clock, (call) => latchkey.references(call)) }))

  const stop = async (): Promise<void> => {
    process.once('SIGTERM', () => process.exit(1)).once('SIGINT', () => process.exit(1))
    const late = clock.sleep(stopWithinMs).then(() => process.exit(1))
    await Promise.race([server.stop().then(() => latchkey.close()), late])
    process.exit(0)
  }
  process.once('SIGTERM', () => void stop()).once('SIGINT', () => void stop())
}

/** Of a bug, where it happened; its message may hold anything and is not shown. */
const framesOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => line.startsWith('    at ')).join('\n') : '') + '\n'

const complain = (error: unknown): void => {
  const { code, message, details } = asLatchkeyError(error)
  const lines = details.issues?.map((issue) => `${issue.path} ${issue.message}`) ?? [message]
  process.stderr.write(`Latchkey cannot start:\n${lines.map((line) => `  ${line}\n`).join('')}${code === 'internal' ? framesOf(error) : ''}`)
  process.exitCode = code === 'misconfigured' ? misconfigured : 1
}

try {
  const { values } = parseArgs({ options: { config: { type: 'string' }, help: { type: 'boolean' } } })
  if (values.help === true) process.stdout.write(helpText())
  else await Promise.resolve().then(() => start(hostRuntime(), values.config)).catch(complain)
} catch {
  process.stderr.write(`Latchkey takes --config <file> and --help, nothing else.\n\n${helpText()}`)
  process.exitCode = misconfigured
}
