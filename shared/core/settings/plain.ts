// Settings of which there is nothing to say: every value is of its type as it stands. A deployed function's are, because the build has validated them; all others
// are read by settings.ts, which knows what is wrong.
import type { Env } from '../runtime.ts'
import { SecretValue } from '../secret.ts'
import type { ReadOptions, Setting, SettingsTable } from '../settings.ts'

/** Whether text is a URL that an HTTP client could dial. */
export const isHttpUrl = (text: string): boolean => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)

const fromEnvironment = ({ env: names = [] }: Setting, env: Env | undefined): string | undefined => names.map((name) => env?.get(name)).find((value) => value !== undefined && value !== '')

const isPlain = (value: unknown, { type, default: standard, values }: Setting): boolean =>
  value === standard || (typeof value === 'string' ? !value.startsWith('os.environ/') && ((type === 'string' && values === undefined) || (type === 'url' && isHttpUrl(value))) : type === 'boolean' && typeof value === 'boolean')

/** What `readSettings` makes of the same, or nothing where it would have to convert or to complain. */
export const plainSettings = <S>(table: SettingsTable<S>, input: Readonly<Record<string, unknown>>, { env, foreign = [] }: Omit<ReadOptions, 'path'>): S | undefined => {
  const settings: Record<string, unknown> = {}
  for (const [key, setting] of Object.entries<Setting>(table)) {
    if (input[key] === null && setting.notNull === true) return undefined
    const value = input[key] ?? fromEnvironment(setting, env) ?? setting.default
    if (value === undefined ? setting.required === true : !isPlain(value, setting)) return undefined
    if (value !== undefined) settings[key] = setting.secret === true && typeof value === 'string' ? SecretValue.of(value) : value
  }
  const known = new Set([...Object.keys(table), ...foreign])
  return Object.keys(input).every((key) => known.has(key)) ? (settings as S) : undefined
}
