// Secrets that stand as ciphertext in environment variables: which may be asked for, which are there, and in what order several are decrypted. How one is
// decrypted is the service's; a variable that does not decrypt is a failure, never an absence, and its text is never an answer and never in a message.
import { asLatchkeyError, LatchkeyError } from '../../core/errors.ts'
import { hostedName, verbatimCodec } from '../../core/names.ts'
import { cursorAfter, positionOf } from '../../core/names/cursors.ts'
import type { SecretProvider } from '../../core/provider.ts'
import { checkCall, type Call, type ProviderIo } from '../../core/runtime.ts'
import type { SecretName, SecretRecord, SecretValue } from '../../core/secret.ts'
import type { SettingsTable } from '../../core/settings.ts'
import { isAskable, isNeverReadable, readableNames } from '../readable-names.ts'

/** Which variables are open. */
export interface ReadableSettings {
  readonly readable?: readonly string[]
  readonly never?: readonly string[]
}

/** The rows of a settings table for them. */
export const readableSettings: SettingsTable<ReadableSettings> = {
  readable: { type: 'string_list', text: "Variables that may be read. Default: every variable of the environment, which is for the configuration's own references only." },
  never: { type: 'string_list', text: 'Further names that are never readable, beside the credentials of Latchkey, the clouds and the managers.' },
}

/** A place in a setting's text where the name of the variable goes. */
const placeholder = '{name}'

/** A setting's text for one variable: `{name}` in it is the variable's name. */
export const textFor = (template: string, name: SecretName): string => template.replaceAll(placeholder, name.text)

/** The bytes of base64 that is written in the one canonical way, with its padding, in the standard or the URL-safe alphabet; nothing for any other text. */
export const canonicalBase64 = (text: string): Buffer | undefined => {
  for (const alphabet of ['base64', 'base64url'] as const) {
    const bytes = Buffer.from(text, alphabet)
    const canonical = bytes.toString(alphabet)
    if (canonical.padEnd(Math.ceil(canonical.length / 4) * 4, '=') === text) return bytes
  }
  return undefined
}

/** What a variable holds is no ciphertext of this service. Nothing of its text is said. */
export const noCiphertext = (name: SecretName, message: string): LatchkeyError => new LatchkeyError('misconfigured', `The variable ${name.text} ${message}.`, { issues: [{ path: name.text, message }] })

const codec = verbatimCodec()
/** How many variables of one request are decrypted at a time: fast enough for a start, and far below any service's quota. */
const atOnce = 8

const forbidden = (message: string): LatchkeyError => new LatchkeyError('forbidden', message)

/** The reading half of a provider over such variables. */
export interface CiphertextVariables extends Required<Pick<SecretProvider, 'read' | 'readMany' | 'describe' | 'list'>> {
  /** The first variable that may be read by name and is set, to try a decryption with; none where everything is open. */
  sample(): SecretName | undefined
}

/** Reads variables of the environment through `decrypt`, which gets the variable's text as it is, never an empty one. */
export const ciphertextVariables = (settings: ReadableSettings, io: ProviderIo, decrypt: (name: SecretName, text: string, call: Call) => Promise<SecretValue>): CiphertextVariables => {
  const { readable, never = [] } = settings

  const lookUp = (name: SecretName): string => {
    const native = codec.encode(name)
    // Without a list these are the configuration's own references, and no caller's: the master key itself is decrypted there.
    if (readable !== undefined && isNeverReadable(name.text, never)) throw forbidden(`${name.text} belongs to Latchkey or to its credentials; it is never readable.`)
    if (readable !== undefined && !readable.includes(name.text)) throw forbidden(`${name.text} is not open: of the environment only names in hosted_keys or in the configuration can be read.`)
    const text = io.env.get(native)
    if (text === undefined) throw new LatchkeyError('not_found', `There is no variable ${name.text} in the environment.`)
    return text
  }

  const listed = (): readonly string[] => [...readableNames([readable ?? []], never)].filter((name) => isAskable(name) && io.env.get(name) !== undefined).sort()

  const read: SecretProvider['read'] = async (name, { version, stage = 'current' }, call) => {
    checkCall(call, io.clock)
    if (version !== undefined || stage !== 'current') throw new LatchkeyError('not_found', `${name.text} has no versions: a variable keeps one value only.`)
    const text = lookUp(name)
    if (text === '') throw noCiphertext(name, 'is empty; it must hold ciphertext, or not be set at all')
    return { name, value: await decrypt(name, text, call) }
  }

  return {
    read,
    readMany: async (names, call) => {
      checkCall(call, io.clock)
      const answers = new Map<string, SecretRecord | LatchkeyError>()
      const different = new Map(names.map((name) => [name.text, name])).values()
      const work = async (): Promise<void> => {
        for (const name of different) {
          const answer = await read(name, {}, call).catch(asLatchkeyError)
          call.signal.throwIfAborted()
          answers.set(name.text, answer)
        }
      }
      await Promise.all(Array.from({ length: Math.min(atOnce, names.length) }, work))
      return names.flatMap((name) => {
        const answer = answers.get(name.text)
        return answer === undefined ? [] : [answer instanceof LatchkeyError ? answer : { ...answer, name }]
      })
    },
    describe: async (name, call) => {
      checkCall(call, io.clock)
      lookUp(name)
      return { name, nativeName: name.text, labels: {} }
    },
    list: async ({ prefix, label, cursor, limit }, call) => {
      checkCall(call, io.clock)
      const after = cursor === undefined ? '' : positionOf(cursor)
      const rest = label === undefined ? listed().filter((name) => name.startsWith(prefix) && name > after) : []
      const items = rest.slice(0, limit).map((name) => ({ name: hostedName(name), nativeName: name, labels: {} }))
      const last = items.at(-1)
      return last !== undefined && rest.length > limit ? { items, cursor: cursorAfter(last.nativeName) } : { items }
    },
    sample: () => listed().map((name) => hostedName(name))[0],
  }
}
