// Settings are plain data tables; this is the one validator that reads them. It needs no library, and a function whose settings need no word of it (settings/settled.ts) does not load it.
import { LatchkeyError, type Issue } from './errors.ts'
import { didYouMean } from './errors/nearest.ts'
import type { Env } from './runtime.ts'
import { SecretValue } from './secret.ts'
import { isMapping } from './settings/mapping.ts'
import { isHttpUrl } from './settings/settled.ts'

type SettingType = 'string' | 'boolean' | 'integer' | 'url' | 'string_list' | 'string_map'

/** One setting, as data: the validator, the README tables, `--help` and the JSON Schema are all printed from it. */
export interface Setting {
  readonly type: SettingType
  readonly default?: string | number | boolean
  /** Environment variables that stand in when the file does not set it, the first that is set and not empty wins. */
  readonly env?: readonly string[]
  /** The value is wrapped in a SecretValue and shown nowhere. */
  readonly secret?: boolean
  readonly required?: boolean
  /** The only values allowed. */
  readonly values?: readonly string[]
  readonly min?: number
  readonly max?: number
  /** `null` and absent are the same, except where the table says a setting cannot be null. */
  readonly notNull?: boolean
  /** One sentence for people. */
  readonly text: string
}

/** The settings of one thing, by name. */
export type SettingsTable<S> = { readonly [K in keyof S]-?: Setting }

interface Reading<S> {
  /** Only when there is no issue is every setting what the table says. */
  readonly settings: S
  readonly issues: readonly Issue[]
}

/** How to read an object by its table. */
export interface ReadOptions {
  /** Where the object stands in the file, for the issues. */
  readonly path: string
  readonly env?: Env
  /** Keys that belong to somebody else's table and are left alone. */
  readonly foreign?: Iterable<string>
}

/**
 * Reads one object by one table and reports every problem at once, each with its path. A value `os.environ/NAME` is taken from `env`; an environment
 * variable that is set to the empty string counts as unset. Unknown keys are issues with the nearest known name.
 */
export const readSettings = <S>(table: SettingsTable<S>, input: unknown, options: ReadOptions): Reading<S> => {
  const issues: Issue[] = []
  const settings: Record<string, unknown> = {}
  if (input !== undefined && input !== null && !isMapping(input)) {
    return { settings: settings as S, issues: [{ path: options.path, message: 'must be a mapping of settings' }] }
  }
  const given = new Map(Object.entries(input ?? {}))
  const entries = Object.entries<Setting>(table)
  for (const [key, setting] of entries) {
    const path = `${options.path}.${key}`
    const raw = resolve(given.get(key), setting, options.env, path, issues)
    given.delete(key)
    if (raw === undefined) {
      if (setting.required === true) issues.push({ path, message: `is required${setting.env === undefined ? '' : `; set it here or in ${setting.env.join(' or ')}`}` })
      continue
    }
    const value = convert(raw, setting)
    if (value instanceof Problem) issues.push({ path, message: value.message })
    else settings[key] = setting.secret === true && typeof value === 'string' ? SecretValue.of(value) : value
  }
  const foreign = new Set(options.foreign)
  for (const key of given.keys()) if (!foreign.has(key)) issues.push(unknownKey(options.path, key, [...entries.map(([name]) => name), ...foreign]))
  return { settings: settings as S, issues }
}

/** What a table says where nothing is written; `null` for a setting without a default. */
export const defaultsOf = <S>(table: SettingsTable<S>): S => Object.fromEntries(Object.entries<Setting>(table).map(([key, { default: value }]) => [key, value ?? null])) as S

/** The issue for a key that nobody knows, with the nearest known one. */
export const unknownKey = (path: string, key: string, known: Iterable<string>): Issue => {
  const shown = /^[\w.@-]{1,64}$/.test(key) ? key : '(a key that is no setting name)'
  return { path: path === '' ? shown : `${path}.${shown}`, message: `is not a setting${didYouMean(key, known)}` }
}

/** Throws one `misconfigured` that lists every issue; nothing when there is none. */
export const refuseIssues = (issues: readonly Issue[]): void => {
  if (issues.length === 0) return
  throw new LatchkeyError('misconfigured', issues.map((issue) => `${issue.path} ${issue.message}`).join('\n'), { issues })
}

/** The settings of one object, when nothing is wrong with them. @throws misconfigured with every issue */
export const requireSettings = <S>(table: SettingsTable<S>, input: unknown, options: ReadOptions): S => {
  const { settings, issues } = readSettings(table, input, options)
  refuseIssues(issues)
  return settings
}

const resolve = (given: unknown, setting: Setting, env: Env | undefined, path: string, issues: Issue[]): unknown => {
  if (given === null && setting.notNull === true) {
    issues.push({ path, message: 'must not be null; leave it out for the default' })
    return undefined
  }
  if (typeof given === 'string' && given.startsWith('os.environ/') && env !== undefined) {
    const name = given.slice('os.environ/'.length)
    const value = env.get(name)
    if (value === undefined || value === '') issues.push({ path, message: `refers to the environment variable ${name}, which is not set` })
    return value === '' ? undefined : value
  }
  if (given !== undefined && given !== null) return given
  for (const name of setting.env ?? []) {
    const value = env?.get(name)
    if (value !== undefined && value !== '') return value
  }
  return setting.default
}

class Problem {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/** Turns text (from the environment) and YAML values alike into what the table says. */
const convert = (raw: unknown, setting: Setting): unknown => {
  switch (setting.type) {
    case 'boolean': {
      if (typeof raw === 'boolean') return raw
      const text = typeof raw === 'string' ? raw.trim().toLowerCase() : ''
      return text === 'true' || text === 'false' ? text === 'true' : new Problem('must be true or false')
    }
    case 'integer': {
      const number = typeof raw === 'string' && /^-?\d{1,15}$/.test(raw.trim()) ? Number(raw) : raw
      if (typeof number !== 'number' || !Number.isSafeInteger(number)) return new Problem('must be a whole number')
      if (number < (setting.min ?? -Infinity) || number > (setting.max ?? Infinity)) return new Problem(`must be between ${setting.min ?? 'any'} and ${setting.max ?? 'any'}`)
      return number
    }
    case 'string_list': {
      if (!Array.isArray(raw) || raw.some((item) => typeof item !== 'string')) return new Problem('must be a list of strings')
      return raw
    }
    case 'string_map': {
      const pairs = Array.isArray(raw) ? raw.map((item: unknown) => tagPair(item)) : raw !== null && typeof raw === 'object' ? Object.entries(raw) : undefined
      if (pairs === undefined || pairs.some((pair) => pair === undefined)) return new Problem('must be a map of names to text, or a list of {Key, Value}')
      if (pairs.some((pair) => pair !== undefined && pair[1] !== null && typeof pair[1] === 'object')) return new Problem('must hold text, numbers or booleans, no nested values')
      return Object.fromEntries(pairs.map((pair) => [pair?.[0], String(pair?.[1])]))
    }
    case 'url': {
      if (typeof raw !== 'string' || !isHttpUrl(raw)) return new Problem('must be a URL that begins with https:// or http://')
      return raw
    }
    case 'string': {
      if (typeof raw !== 'string') return new Problem('must be text; put it in quotes')
      if (setting.values !== undefined && !setting.values.includes(raw)) {
        return new Problem(`must be one of ${setting.values.join(', ')}${didYouMean(raw, setting.values)}`)
      }
      return raw
    }
  }
}

const tagPair = (item: unknown): readonly [string, unknown] | undefined =>
  item !== null && typeof item === 'object' && 'Key' in item && 'Value' in item && typeof item.Key === 'string' ? [item.Key, item.Value] : undefined
