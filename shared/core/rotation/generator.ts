// Who makes the new value of an ordinary secret, and tells whoever checks it: a random password, or a module of the operator's own. The module gets plain text and
// answers plain text; what it throws is not shown, because it may hold anything.
import { pathToFileURL } from 'node:url'
import { LatchkeyError } from '../errors.ts'
import type { Call, Random } from '../runtime.ts'
import { SecretValue } from '../secret.ts'
import type { RotatedSecrets } from './settings.ts'

/** What a module's functions are told beside the values. */
export interface GeneratorContext {
  /** The secret's name, as Latchkey's configuration and URLs have it. */
  readonly name: string
  /** Aborts when the time of this event ends. */
  readonly signal: AbortSignal
}

/**
 * What a module of yours may export, by name or as its default. Every function may be called again with the same values after an answer was lost, so each looks whether
 * its work is done before it does it. Until `finish` has been called both values should be accepted; `until` is when the one before may end.
 */
export interface GeneratorModule {
  /** The new value. Called once for a version: a value that is stored is never made again. Default: a random password. */
  create?(given: GeneratorContext & { readonly current: string }): Promise<string> | string
  /** Makes whoever checks the value accept `pending`, beside `current`. */
  set?(given: GeneratorContext & { readonly pending: string; readonly current: string }): Promise<void> | void
  /** Uses `pending` for something harmless. Throws when it is not accepted. */
  test?(given: GeneratorContext & { readonly pending: string; readonly current: string }): Promise<void> | void
  /** `current` is the new value by now; lets `previous` end at `until`. */
  finish?(given: GeneratorContext & { readonly current: string; readonly previous: string; readonly until: Date }): Promise<void> | void
}

/** A generator as the rotation calls it. */
export interface Generator {
  create(name: string, current: SecretValue, call: Call): Promise<SecretValue>
  set(name: string, values: { readonly pending: SecretValue; readonly current: SecretValue }, call: Call): Promise<void>
  test(name: string, values: { readonly pending: SecretValue; readonly current: SecretValue }, call: Call): Promise<void>
  finish(name: string, values: { readonly current: SecretValue; readonly previous: SecretValue; readonly until: Date }, call: Call): Promise<void>
}

const steps = ['create', 'set', 'test', 'finish'] as const

/** Characters drawn without preference for any of them. */
const password = (length: number, characters: string, random: Random): SecretValue => {
  const fair = 256 - (256 % characters.length)
  let drawn = ''
  while (drawn.length < length) for (const byte of random.bytes(length * 2)) if (byte < fair && drawn.length < length) drawn += characters[byte % characters.length]
  return SecretValue.of(drawn)
}

const wrong = (path: string, message: string): LatchkeyError => new LatchkeyError('misconfigured', `latchkey.rotation.secrets: the module ${path} ${message}`)

const load = async (path: string): Promise<GeneratorModule> => {
  let exported: Readonly<Record<string, unknown>>
  try {
    exported = (await import(/* @vite-ignore */ pathToFileURL(path).href)) as Readonly<Record<string, unknown>>
  } catch {
    throw wrong(path, 'cannot be loaded. A relative path begins at the working directory.')
  }
  const found = (typeof exported['default'] === 'object' && exported['default'] !== null ? exported['default'] : exported) as Readonly<Record<string, unknown>>
  const given = steps.filter((step) => found[step] !== undefined)
  if (given.length === 0) throw wrong(path, 'has none of create, set, test and finish.')
  const mistyped = given.find((step) => typeof found[step] !== 'function')
  if (mistyped !== undefined) throw wrong(path, `has a ${mistyped} that is no function.`)
  return found
}

/** The generator of an entry of the configuration. Its module is loaded when it is first needed. @throws misconfigured when that cannot be */
export const generatorOf = (entry: RotatedSecrets, random: Random): Generator => {
  let loaded: Promise<GeneratorModule> | undefined
  const ask = async <T>(step: (typeof steps)[number], call: Call, act: (own: GeneratorModule) => Promise<T> | T): Promise<T> => {
    const own = entry.module === undefined ? {} : await (loaded ??= load(entry.module))
    call.signal.throwIfAborted()
    const left = Promise.withResolvers<never>()
    const leave = (): void => left.reject(new LatchkeyError('deadline_exceeded', `The time of this event ended in ${step} of the generator.`, { applied: 'unknown' }))
    call.signal.addEventListener('abort', leave, { once: true })
    try {
      return await Promise.race([(async () => act(own))(), left.promise])
    } catch (error) {
      throw error instanceof LatchkeyError ? error : new LatchkeyError('provider_unavailable', `The generator's ${step} failed; what it said is not shown.`)
    } finally {
      call.signal.removeEventListener('abort', leave)
    }
  }
  const given = (name: string, { signal }: Call): GeneratorContext => ({ name, signal })
  return {
    create: (name, current, call) =>
      ask('create', call, async (own) => {
        if (own.create === undefined) return password(entry.length, entry.characters, random)
        const made: unknown = await own.create({ ...given(name, call), current: current.reveal() })
        if (typeof made !== 'string' || made === '') throw new LatchkeyError('misconfigured', "The generator's create must answer text that is not empty.")
        return SecretValue.of(made)
      }),
    set: (name, { pending, current }, call) => ask('set', call, (own) => own.set?.({ ...given(name, call), pending: pending.reveal(), current: current.reveal() })),
    test: (name, { pending, current }, call) => ask('test', call, (own) => own.test?.({ ...given(name, call), pending: pending.reveal(), current: current.reveal() })),
    finish: (name, { current, previous, until }, call) => ask('finish', call, (own) => own.finish?.({ ...given(name, call), current: current.reveal(), previous: previous.reveal(), until })),
  }
}
