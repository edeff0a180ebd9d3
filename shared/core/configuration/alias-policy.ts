// LiteLLM's two rules for the aliases of new keys, which stand in `litellm_settings`: its own form, or an operator's pattern in place of it. They narrow what an alias
// may be; what a name can be at all is core/names' business. Loaded where keys are made, not where secrets are read. A pattern is Python's, so what the two
// languages write differently is translated or refused.
import { refuse, type Issue } from '../errors.ts'
import type { Env } from '../runtime.ts'
import { readSettings, refuseIssues, unknownKey, type SettingsTable } from '../settings.ts'
import { isMapping } from '../settings/mapping.ts'

interface AliasSettings {
  readonly enable_key_alias_format_validation: boolean
  readonly key_alias_pattern?: string
}

/** Where the rule is found. */
export interface AliasSource {
  /** `litellm_settings` as it is written. */
  readonly settings: unknown
  readonly env: Env
}

/** What of `litellm_settings` is Latchkey's business. */
export const aliasSettings: SettingsTable<AliasSettings> = {
  enable_key_alias_format_validation: { type: 'boolean', default: false, text: 'The alias of a new key must have 2 to 255 of A-Z a-z 0-9 _ - / . @ and begin and end with a letter or digit.' },
  key_alias_pattern: { type: 'string', text: 'A regular expression that the whole alias of a new key must match, in place of the rule above. One that does not compile stops the start.' },
}

const path = 'litellm_settings'
const ownForm = { setting: 'enable_key_alias_format_validation', says: '2 to 255 of A-Z a-z 0-9 _ - / . @, with a letter or digit at both ends', pattern: '[A-Za-z0-9][A-Za-z0-9_\\-/.@]{0,253}[A-Za-z0-9]' }

/** Python's ends of the text and its escaped punctuation, which `u` knows under other names. What else the two do not share does not compile. */
const translated = (pattern: string): string =>
  pattern.replaceAll(/\\([\s\S])/gu, (whole, letter: string) => {
    if (letter === 'A') return '^'
    if (letter === 'Z') return '$'
    return /[ !"#%&',\-:;<=>@_`~]/.test(letter) ? `\\x${letter.charCodeAt(0).toString(16)}` : whole
  })

const compiles = (pattern: string): boolean => {
  try {
    new RegExp(pattern, 'u')
    return true
  } catch {
    return false
  }
}

const patternIssue = (given: string, pattern: string): string | undefined => {
  if (given === '') return 'must not be empty; leave it out if any alias will do'
  return compiles(pattern) ? undefined : 'is no regular expression that can be applied here; write it without inline flags, (?P<…>) and {,n}'
}

/**
 * How an alias that is new or changes is checked, or nothing where any will do. What is returned throws invalid_request (param key_alias) and names the rule.
 * @throws misconfigured for a rule that nobody could apply: it would be believed
 */
export const aliasPolicy = ({ settings: part, env }: AliasSource): ((alias: string) => void) | undefined => {
  const given = isMapping(part) ? part : {}
  const { settings, issues } = readSettings(aliasSettings, given, { path, env, foreign: Object.keys(given) })
  const known = Object.keys(aliasSettings)
  // LiteLLM passes over a key that it does not know.
  const slips = Object.keys(given).flatMap((key): readonly Issue[] => (key.includes('key_alias') && !known.includes(key) ? [unknownKey(path, key, known)] : []))
  const { key_alias_pattern: text, enable_key_alias_format_validation: form } = settings
  const rule = text !== undefined ? { setting: 'key_alias_pattern', says: text, pattern: translated(text) } : form === true ? ownForm : undefined
  const problem = rule === undefined ? undefined : patternIssue(rule.says, rule.pattern)
  refuseIssues([...issues, ...slips, ...(problem === undefined ? [] : [{ path: `${path}.key_alias_pattern`, message: problem }])])
  if (rule === undefined) return undefined
  const whole = new RegExp(`^(?:${rule.pattern})$`, 'u')
  return (alias) => {
    if (!whole.test(alias)) throw refuse('key_alias', `must match ${path}.${rule.setting} as a whole: ${rule.says}`)
  }
}
