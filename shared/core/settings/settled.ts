// Settings that the build has held against their table, as a deployed function reads them: what is written is what it should be, and of the table there is left what only the function's
// own environment can say. All others are read by settings.ts, which knows what is wrong.
import type { Env } from '../runtime.ts'
import { SecretValue } from '../secret.ts'

/** What is left of a table. Names of settings and of variables, and defaults; never a value that is written. */
export interface SettledSettings {
  readonly defaults: Readonly<Record<string, string | number | boolean>>
  /** The variables that stand in for a setting which is not written; the first that is set and not empty wins. */
  readonly variables: Readonly<Record<string, readonly string[]>>
  /** Settings that are not written and must be somewhere. */
  readonly required: readonly string[]
  /** Settings that are URLs where a variable stands in for them. */
  readonly urls: readonly string[]
  /** Settings whose text is a secret. */
  readonly secrets: readonly string[]
  /** Variables whose text the table has to read: a number, a truth, one of several words. */
  readonly unset: readonly string[]
}

/** Whether text is a URL that an HTTP client could dial. */
export const isHttpUrl = (text: string): boolean => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)

/** What `readSettings` makes of the same, or nothing where the table has to be asked. */
export const settledSettings = ({ defaults, variables, required, urls, secrets, unset }: SettledSettings, written: Readonly<Record<string, unknown>>, env: Env): Readonly<Record<string, unknown>> | undefined => {
  if (unset.some((name) => env.get(name))) return undefined
  const settings: Record<string, unknown> = { ...defaults, ...written }
  for (const [key, names] of Object.entries(variables)) {
    const value = names.map((name) => env.get(name)).find(Boolean)
    if (value === undefined) continue
    if (urls.includes(key) && !isHttpUrl(value)) return undefined
    settings[key] = value
  }
  for (const key of secrets) {
    const value = settings[key]
    if (typeof value === 'string') settings[key] = SecretValue.of(value)
  }
  return required.every((key) => settings[key] !== undefined) ? settings : undefined
}
