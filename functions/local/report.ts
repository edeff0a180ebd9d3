// What the local server says: its own settings, what it found in the configuration, and three lines to paste. Facts in, text out; nothing is printed here.
import type { Configuration } from '../../shared/core/configuration.ts'
import type { Latchkey, ReferenceSource } from '../../shared/latchkey.ts'

/** The settings of the local server itself, for `--help` and the README. */
export const serverSettings = [
  { name: '--config', env: 'CONFIG_FILE_PATH', default: './config.yaml if it is there', text: "The configuration, LiteLLM's own file. Without one the built-in configuration holds: stores `embedded` and `environment`." },
  { name: '', env: 'PORT', default: '4100', text: 'The port. 0 takes any that is free.' },
  { name: '', env: 'HOST', default: '127.0.0.1', text: 'The address to listen on. Anything but loopback needs a configured master key of at least 32 characters.' },
  { name: '', env: 'LITELLM_MASTER_KEY', default: 'made anew for each run', text: 'The master key, unless `general_settings.master_key` says otherwise.' },
  { name: '', env: 'LATCHKEY_DATA_DIR', default: '.latchkey', text: 'Where the store `embedded` keeps its file and its key.' },
  { name: '', env: 'LATCHKEY_AUDIT_KEY', default: 'drawn for each process and announced in its first audit line', text: 'At least 32 bytes that chain the audit lines; kept where whoever can change the log cannot read it.' },
  { name: '', env: 'LATCHKEY_REQUEST_SECONDS', default: '25', text: 'The longest that one request may take, 1 to 25 seconds, here and in functions; for whatever stands in front and waits less.' },
  { name: '--help', env: '', default: '', text: 'Prints this.' },
] as const

/** The text of `--help`. */
export const helpText = (): string =>
  ['npm start -- [--config <file>]', '', ...serverSettings.map(({ name, env, default: value, text }) => `  ${[name, env].filter(Boolean).join(', ').padEnd(28)}${text.replaceAll('`', '')}${value === '' ? '' : ` Default: ${value}.`}`), ''].join('\n')

/** Whether an address can be reached from this machine only. */
export const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)

/** Facts of one start. */
export interface Start {
  readonly url: string
  readonly version: string
  readonly path: string | undefined
  readonly configuration: Configuration
  readonly stores: Latchkey['stores']
  readonly references: readonly ReferenceSource[]
  /** The master key made for this run; nothing when one is configured. */
  readonly minted: string | undefined
  /** The master key was found, and is so short that it can be guessed. The configuration itself warns of one that stands in it. */
  readonly weak: boolean
  /** Makes the alias in the printed line new with every start. */
  readonly mark: string
}

/** Three commands that succeed, pasted in this order, as far as the configuration's policy allows any three. */
export const pasteLines = ({ url, stores, minted, mark }: Pick<Start, 'url' | 'stores' | 'minted' | 'mark'>): readonly string[] => {
  const auth = minted === undefined ? '-H "Authorization: Bearer $LITELLM_MASTER_KEY"' : `-H 'Authorization: Bearer ${minted}'`
  const send = (method: string, path: string, body: object): string => `curl -sS -X ${method} ${url}${path} ${auth} -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`
  const get = (path: string): string => `curl -sS ${url}${path} ${auth}`
  const store = stores.get('default')
  const policy = store?.policy
  const writes = policy !== undefined && policy.accessMode !== 'read_only' && policy.hostedKeys === undefined && store?.can('write') === true
  return [
    ...(writes ? [send('PUT', '/secrets/your-test-key', { value: 'hello from Latchkey' })] : []),
    ...(writes && policy.accessMode !== 'write_only' ? [get('/secrets/your-test-key')] : []),
    ...(policy?.storeVirtualKeys === true && store?.can('write') === true ? [send('POST', '/key/generate', { key_alias: `demo-${mark}`, duration: '30d' })] : []),
    get('/whoami'),
    get('/capabilities'),
    get('/health'),
  ].slice(0, 3)
}

/** Everything that is printed once the server listens. */
export const startText = (start: Start): string => {
  const { configuration, stores, references, path, minted, weak } = start
  const policies = [...stores.values()].map(({ name, system, policy }) => `  ${name.padEnd(14)}${system}, ${policy.accessMode}${policy.storeVirtualKeys ? `, keeps virtual keys below ${policy.prefix === '' ? '(no prefix)' : `${policy.prefix}/`}` : ''}`)
  return [
    `Latchkey ${start.version} on ${start.url}`,
    `Configuration: ${path ?? 'built in, because there is no config.yaml here'}`,
    `Stores, reads go ${configuration.readOrder.join(', then ')}:`,
    ...policies,
    ...configuration.warnings.map((warning) => `Warning: ${warning.path} ${warning.message}`),
    ...[...stores.values()].flatMap(({ name, provider }) => (provider.notices ?? []).map((notice) => `Warning: store ${name}: ${notice}`)),
    ...(weak ? ['Warning: the master key has fewer than 32 characters and can be guessed; make one with: echo "sk-$(openssl rand -hex 32)"'] : []),
    ...(references.length === 0 ? [] : ['References:', ...references.map((found) => `  ${found.reference.padEnd(40)} ${found.source}${found.code === undefined ? '' : ` (${found.code})`}   ${found.path}`)]),
    ...(minted === undefined ? [] : [`Master key of this run (none is configured): ${minted}`]),
    '',
    minted === undefined ? 'Paste these three, in this order, in a shell whose LITELLM_MASTER_KEY is your master key:' : 'Paste these three, in this order:',
    '',
    ...pasteLines(start),
    '',
    '',
  ].join('\n')
}
