// Your own provider: a module of yours behind the same manners as ours. Its shape is checked when the store is opened, so that a missing member stops the
// start and not the first request; and its plain answers and errors are turned into ours, so that twenty lines suffice and nothing it throws is shown.
import { pathToFileURL } from 'node:url'
import { LatchkeyError, type ErrorCode } from '../core/errors.ts'
import { errorCodes } from '../core/errors/codes.ts'
import { nearest } from '../core/errors/nearest.ts'
import { serviceFailure } from '../core/failure.ts'
import { verbatimCodec } from '../core/names.ts'
import { defineProvider, type Capability, type OpenedProvider, type ProviderTraits, type SecretProvider, type WriteRequest } from '../core/provider.ts'
import { checkCall, type Call, type Clock, type ProviderIo } from '../core/runtime.ts'
import { SecretValue, type SecretName, type SecretRecord } from '../core/secret.ts'

interface CustomSettings {
  readonly custom_secret_manager: string
  readonly custom_settings?: Readonly<Record<string, string>>
}

/** What a module of yours may give: a provider, of which `read` may answer plain text or bytes, and nothing for an absent secret. */
export interface PlainProvider extends Omit<OpenedProvider, 'read'> {
  read(...given: Parameters<SecretProvider['read']>): Promise<string | Uint8Array | SecretRecord | undefined>
}

type Method = (...given: readonly unknown[]) => unknown
type Members = Readonly<Record<string, unknown>>

const title = 'your own provider'
const setting = 'custom_secret_manager'
/** Every optional method, in the order in which tables show them. */
export const capabilities = ['describe', 'readMany', 'list', 'write', 'promote', 'annotate', 'discard', 'setEnabled', 'remove', 'recover', 'close'] as const satisfies readonly Capability[]

const methods = ['read', 'check', ...capabilities] as const
const members: readonly string[] = [...methods, 'traits']
const needs: Readonly<Record<string, string>> = { read: 'read(name, at, call)', check: 'check(depth, call)' }
const safeTraits: ProviderTraits = { names: verbatimCodec(), settleMs: 0, versions: 'none', value: { maxBytes: 24_576, empty: true, bytes: 'text' } }

const misconfigured = (message: string): LatchkeyError => new LatchkeyError('misconfigured', `${setting}: ${message}`)
const isMembers = (thing: unknown): thing is Members => thing !== null && typeof thing === 'object'
const kindOf = (thing: unknown): string => (thing === null ? 'null' : Array.isArray(thing) ? 'a list' : typeof thing === 'object' ? 'an object' : `a ${typeof thing}`)

/** Loads the module. Of what it throws only the error's own name and code are told: its message may hold anything. */
const load = async (path: string): Promise<unknown> => {
  if (/^[A-Za-z_]\w*\.[A-Za-z_]\w*$/.test(path) && !/\.[cm]?[jt]s$/.test(path)) throw misconfigured('is the name of a Python class, as LiteLLM has it; give the path of a module instead, such as ./my-provider.ts.')
  if (!/\.[cm]?[jt]s$/.test(path)) throw misconfigured('must be the path of a module that ends in .ts, .mts, .js, .mjs or .cjs.')
  let exported: Members
  try {
    exported = (await import(/* @vite-ignore */ pathToFileURL(path).href)) as Members
  } catch (error) {
    const [name, code] = error instanceof Error ? [error.name, 'code' in error ? ` ${String(error.code)}` : ''] : ['something that is no error', '']
    throw misconfigured(`the module cannot be loaded (${/^\w{1,40}$/.test(name) ? name : 'Error'}${/^ [A-Z_]{1,60}$/.test(code) ? code : ''}). A relative path begins at the working directory.`)
  }
  const found = exported['provider'] ?? exported['default']
  if (found === undefined) throw misconfigured('the module has neither a default export nor one named provider.')
  return found
}

const numbers = (traits: Members): readonly [string, unknown][] => [
  ['traits.settleMs', traits['settleMs'] ?? 0],
  ['traits.value.maxBytes', isMembers(traits['value']) ? traits['value']['maxBytes'] : 0],
]

/** Everything that is wrong with a provider's shape, in words that name the member. */
const shapeIssues = (given: Members): readonly string[] => {
  const missing = ['read', 'check'].filter((key) => given[key] === undefined).map((key) => `${key} is missing; a provider has ${String(needs[key])}`)
  const mistyped = methods.filter((key) => given[key] !== undefined && typeof given[key] !== 'function').map((key) => `${key} is ${kindOf(given[key])} and must be a function`)
  const strange = Object.keys(given).flatMap((key) => {
    const near = members.includes(key) || given[key] === undefined ? undefined : nearest(key, members)
    return near === undefined || given[near] !== undefined ? [] : [`${/^\w{1,40}$/.test(key) ? key : '(a member)'} is no member of a provider; did you mean ${near}?`]
  })
  const traits = given['traits'] ?? {}
  if (!isMembers(traits)) return [...missing, ...mistyped, ...strange, `traits is ${kindOf(traits)} and must be an object`]
  const wrong = numbers(traits).filter(([, value]) => !(Number.isSafeInteger(value) && (value as number) >= 0)).map(([key]) => `${key} must be a whole number`)
  if (traits['value'] !== undefined && !isMembers(traits['value'])) wrong.push(`traits.value is ${kindOf(traits['value'])} and must be an object`)
  if (traits['names'] !== undefined && !(isMembers(traits['names']) && typeof traits['names']['encode'] === 'function')) wrong.push('traits.names must have encode(name)')
  if (traits['versions'] !== undefined && !['none', 'numbered', 'opaque'].some((kind) => kind === traits['versions'])) wrong.push('traits.versions must be none, numbered or opaque')
  if (given['write'] !== undefined && !isMembers(traits['write'])) wrong.push('write is there, but traits.write, which says what a write guarantees, is missing')
  return [...missing, ...mistyped, ...strange, ...wrong]
}

const checked = (given: unknown): OpenedProvider => {
  if (!isMembers(given)) throw misconfigured(`what it exports is ${kindOf(given)} and must be a provider (read, check) or have open(settings, io).`)
  const issues = shapeIssues(given)
  if (issues.length > 0) throw misconfigured(`${issues.join('; ')}.`)
  return given as unknown as OpenedProvider
}

/** The module's own settings, references opened. */
const ownSettings = (given: Readonly<Record<string, string>>, io: ProviderIo): Record<string, string> =>
  Object.fromEntries(Object.entries(given).map(([key, text]) => {
    if (!text.startsWith('os.environ/')) return [key, text]
    const value = io.env.get(text.slice('os.environ/'.length))
    if (value === undefined || value === '') throw new LatchkeyError('misconfigured', `custom_settings.${key} refers to the environment variable ${text.slice('os.environ/'.length)}, which is not set.`)
    return [key, value]
  }))

const failureOf = (error: unknown, action: string, name: SecretName | undefined, call: Call): unknown => {
  if (error instanceof LatchkeyError || (call.signal.aborted && error === call.signal.reason)) return error
  const code = error instanceof Error && 'code' in error && Object.hasOwn(errorCodes, String(error.code)) ? (String(error.code) as ErrorCode) : 'provider_unavailable'
  return serviceFailure(code, { title, action, ...(name !== undefined && { name: name.text }) })
}

const isText = (thing: unknown): thing is string => typeof thing === 'string'
const valueOf = (given: unknown): SecretValue | undefined => {
  if (given instanceof SecretValue) return given
  if (isText(given)) return SecretValue.of(given)
  if (given instanceof Uint8Array) return SecretValue.ofBytes(given)
  return isMembers(given) && typeof given['bytes'] === 'function' ? SecretValue.ofBytes((given['bytes'] as () => Uint8Array)()) : undefined
}

/** What a read may answer: nothing for an absent secret, text, bytes, or a record of which `value` may be plain. */
const recordOf = (name: SecretName, answer: unknown): SecretRecord => {
  if (answer === undefined || answer === null) throw serviceFailure('not_found', { title, action: 'read', name: name.text })
  const record = isMembers(answer) && 'value' in answer ? answer : { value: answer }
  const value = valueOf(record['value'])
  if (value === undefined) throw serviceFailure('provider_unavailable', { title, action: 'read', name: name.text })
  return { ...record, name, value }
}

const refuseValue = ({ value }: WriteRequest, traits: ProviderTraits): void => {
  const { maxBytes, empty } = traits.value
  if (value.byteLength > maxBytes) throw new LatchkeyError('too_large', `value: is ${value.byteLength} bytes long; the limit is ${maxBytes}.`, { param: 'value' })
  if (value.byteLength === 0 && !empty) throw new LatchkeyError('invalid_request', 'value: must not be empty.', { param: 'value' })
}

/** The module behind our manners: nothing is asked after the call is over, a caller that leaves does not wait, and failures are ours. */
const mannered = (given: OpenedProvider, clock: Clock): OpenedProvider => {
  const traits: ProviderTraits = { ...safeTraits, ...given.traits }
  const asked = async (key: string, all: readonly unknown[]): Promise<unknown> => {
    const call = all.at(-1) as Call
    const subject = isMembers(all[0]) && 'name' in all[0] ? all[0]['name'] : all[0]
    const name = isMembers(subject) && isText(subject['text']) ? (subject as unknown as SecretName) : undefined
    if (name !== undefined) traits.names.encode(name)
    if (key === 'write') refuseValue(all[0] as WriteRequest, traits)
    checkCall(call, clock)
    const left = Promise.withResolvers<never>()
    const leave = (): void => left.reject(call.signal.reason as Error)
    call.signal.addEventListener('abort', leave, { once: true })
    try {
      const answer = await Promise.race([(async () => (given[key as keyof OpenedProvider] as unknown as Method).apply(given, [...all]))(), left.promise])
      return key === 'read' ? recordOf(name ?? (subject as SecretName), answer) : answer
    } catch (error) {
      throw failureOf(error, key, name, call)
    } finally {
      call.signal.removeEventListener('abort', leave)
    }
  }
  const check: SecretProvider['check'] = async (depth, call) => {
    const findings = await asked('check', [depth, call]).catch((error: unknown) => [{ ok: false, subject: title, message: error instanceof LatchkeyError ? error.message : 'Its check ended before it said anything.', setting }])
    return Array.isArray(findings) ? findings : [{ ok: false, subject: title, message: 'Its check must answer a list of findings.', setting }]
  }
  const present = methods.filter((key) => key !== 'check' && key !== 'close' && given[key] !== undefined)
  return {
    ...(Object.fromEntries(present.map((key) => [key, (...all: readonly unknown[]) => asked(key, all)])) as unknown as OpenedProvider),
    check,
    ...(given.close !== undefined && { close: async () => given.close?.() }),
    traits,
  }
}

/** A provider of your own. Opening it loads the module. @throws misconfigured naming what is missing or mistyped */
export const custom = defineProvider<CustomSettings>({
  name: 'custom',
  title,
  settings: {
    custom_secret_manager: { type: 'string', required: true, text: 'The path of your own provider’s module, from the working directory or absolute; its default export, or the one named provider, is a provider or has open(settings, io).' },
    custom_settings: { type: 'string_map', text: 'What `open` of your module gets as its settings; a value may be os.environ/NAME.' },
  },
  open: async (settings, io, origin) => {
    const exported = await load(settings.custom_secret_manager)
    const own = ownSettings(settings.custom_settings ?? {}, io)
    if (!isMembers(exported) || exported['open'] === undefined) return mannered(checked(exported), io.clock)
    if (typeof exported['open'] !== 'function') throw misconfigured(`open is ${kindOf(exported['open'])} and must be a function.`)
    let opened: unknown
    try {
      opened = await (exported['open'] as Method).call(exported, own, io, origin)
    } catch (error) {
      throw error instanceof LatchkeyError ? error : misconfigured('its open(settings, io) failed.')
    }
    return mannered(checked(opened), io.clock)
  },
})
