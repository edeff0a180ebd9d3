// The process environment and `.env`, read once at open and never written. The environment wins where both have a name, as with dotenv and LiteLLM.
// With a list of readable names it is no open door: the credentials that Latchkey itself runs on are refused by name, whatever the list says.
import { resolve } from 'node:path'
import { isAskable, isNeverReadable, readableNames } from '../credentials/readable-names.ts'
import { LatchkeyError } from '../core/errors.ts'
import { hostedName, verbatimCodec } from '../core/names.ts'
import { cursorAfter, positionOf } from '../core/names/cursors.ts'
import { defineProvider, type OpenedProvider } from '../core/provider.ts'
import { checkCall, type ProviderIo } from '../core/runtime.ts'
import { SecretValue, type SecretFacts, type SecretName, type SecretRecord } from '../core/secret.ts'
import { homePath } from '../credentials/operator-files.ts'

interface EnvironmentSettings {
  readonly dotenv_path: string
  readonly readable?: readonly string[]
  readonly never?: readonly string[]
}

/** A value in one of three kinds of quotes, over several lines if need be, or the rest of the line up to `#`. */
const quoted = (quote: string): string => String.raw`\s*${quote}(?:\\${quote}|[^${quote}])*${quote}`
const assignment = new RegExp(String.raw`^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)(${quoted("'")}|${quoted('"')}|${quoted('`')}|[^#\r\n]+)?\s*(?:#.*)?$`, 'gm')

/** What `dotenv` reads from a text, name by name: later lines win, nothing is interpolated, what is no assignment is passed over. */
export const parseDotenv = (text: string): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const [, name = '', written = ''] of text.replace(/\r\n?/g, '\n').matchAll(assignment)) {
    const trimmed = written.trim()
    const bare = trimmed.replace(/^(['"`])([\s\S]*)\1$/gm, '$2')
    found.set(name, trimmed.startsWith('"') ? bare.replaceAll(String.raw`\n`, '\n').replaceAll(String.raw`\r`, '\r') : bare)
  }
  return found
}

const readDotenv = async (path: string, io: ProviderIo): Promise<ReadonlyMap<string, string>> => {
  const mode = io.env.get('LITELLM_MODE') ?? ''
  if (mode !== '' && mode !== 'DEV') return new Map()
  const bytes = await io.files.read(resolve(homePath(path, io.env))).catch((error: unknown) => {
    if (!(error instanceof LatchkeyError)) throw error
    throw error.with({}, `${error.message} Set dotenv_path to a file that Latchkey may read, or LITELLM_MODE to PRODUCTION to load none.`)
  })
  return bytes === undefined ? new Map() : parseDotenv(Buffer.from(bytes).toString('utf8'))
}

const codec = verbatimCodec()

const open = async (settings: EnvironmentSettings, io: ProviderIo): Promise<OpenedProvider> => {
  const dotenv = await readDotenv(settings.dotenv_path, io)
  const never = settings.never ?? []
  const { readable } = settings
  const valueOf = (name: string): string | undefined => io.env.get(name) ?? dotenv.get(name)

  const lookUp = (name: SecretName): string => {
    const native = codec.encode(name)
    // Without a list it is the configuration's own environment, and no caller's: there the master key itself is looked up.
    if (readable !== undefined && isNeverReadable(name.text, never)) throw new LatchkeyError('forbidden', `${name.text} belongs to Latchkey or to its credentials; it is never readable.`)
    if (readable !== undefined && !readable.includes(name.text) && !dotenv.has(name.text)) {
      throw new LatchkeyError('forbidden', `${name.text} is not open: of the environment only names in hosted_keys, in ${settings.dotenv_path} or in the configuration can be read.`)
    }
    const value = valueOf(native)
    if (value === undefined) throw new LatchkeyError('not_found', `${name.text} is neither in the environment nor in ${settings.dotenv_path}.`)
    return value
  }
  const recordOf = (name: SecretName): SecretRecord => {
    const value = lookUp(name)
    if (!value.isWellFormed()) throw new LatchkeyError('integrity', `The value of ${name.text} in the environment is not well-formed Unicode.`)
    return { name, value: SecretValue.of(value) }
  }
  const factsOf = (name: SecretName): SecretFacts => ({ name, nativeName: name.text, labels: {} })

  /** Names that were opened on purpose, so that a list shows nothing of the rest of the environment. */
  const listed = (): readonly string[] => [...readableNames([dotenv.keys(), readable ?? []], never)].filter((name) => isAskable(name) && valueOf(name) !== undefined).sort()

  return {
    traits: { names: codec, versions: 'none', value: { maxBytes: 1_048_576, empty: true, bytes: 'text' } },
    read: async (name, at, call) => {
      checkCall(call, io.clock)
      if (at.version !== undefined || (at.stage ?? 'current') !== 'current') throw new LatchkeyError('not_found', `${name.text} has no versions: the environment keeps one value only.`)
      return recordOf(name)
    },
    readMany: async (names, call) => {
      checkCall(call, io.clock)
      return names.map((name) => {
        try {
          return recordOf(name)
        } catch (error) {
          if (error instanceof LatchkeyError) return error
          throw error
        }
      })
    },
    describe: async (name, call) => {
      checkCall(call, io.clock)
      lookUp(name)
      return factsOf(name)
    },
    list: async ({ prefix, label, cursor, limit }, call) => {
      checkCall(call, io.clock)
      const after = cursor === undefined ? '' : positionOf(cursor)
      const rest = label === undefined ? listed().filter((name) => name.startsWith(prefix) && name > after) : []
      const items = rest.slice(0, limit)
      const last = items.at(-1)
      const page = { items: items.map((name) => factsOf(hostedName(name))) }
      return last !== undefined && rest.length > limit ? { ...page, cursor: cursorAfter(last) } : page
    },
    check: async () => [
      { ok: true, subject: 'environment', message: dotenv.size === 0 ? 'The process environment can be read; no .env is loaded.' : `The process environment can be read, and ${dotenv.size} names of ${settings.dotenv_path}.` },
    ],
  }
}

/** The process environment and a `.env` file, read only: exact names, exact values. */
export const environment = defineProvider<EnvironmentSettings>({
  name: 'environment',
  title: 'the process environment and .env',
  settings: {
    dotenv_path: { type: 'string', default: '.env', text: 'A file of assignments, read once at the start while LITELLM_MODE is DEV or unset; it may be missing, it is never written, and the environment wins over it.' },
    readable: { type: 'string_list', text: 'Names that may be read beside those in the file. Default: every name of the environment, which is for the configuration\'s own references only.' },
    never: { type: 'string_list', text: 'Further names that are never readable, beside the credentials of Latchkey, the clouds and the managers.' },
  },
  open,
})
