// `latchkey.rotation`: which ordinary secrets events may rotate, and who makes their new values. Virtual keys need nothing here. Read by whoever changes keys, when
// it starts; the function that only reads never loads it.
import { LatchkeyError, type Issue } from '../errors.ts'
import { namePattern, type NameCodec } from '../names.ts'
import { foldedName, isSpeltFreely } from '../names/folded.ts'
import type { SecretName } from '../secret.ts'
import { readSettings, refuseIssues, unknownKey, type SettingsTable } from '../settings.ts'
import { isMapping } from '../settings/mapping.ts'

interface RotatedSettings {
  readonly store: string
  readonly module?: string
  readonly length: number
  readonly characters: string
  readonly valid_days?: number
}

/** One entry of `latchkey.rotation.secrets`; its `names` are a list of their own. */
export const rotatedSettings: SettingsTable<RotatedSettings> = {
  store: { type: 'string', default: 'default', text: 'The store that holds them.' },
  module: { type: 'string', text: 'The path of a module of yours with any of `create`, `set`, `test` and `finish`. Left out: a random password.' },
  length: { type: 'integer', default: 40, min: 16, max: 1024, text: 'How many characters a random password has.' },
  characters: { type: 'string', default: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', text: 'What a random password is made of: 10 to 94 different characters of printable ASCII.' },
  valid_days: { type: 'integer', min: 1, max: 3650, text: "How long a new value is valid: it becomes the secret's expiry where the store has one, which is what Azure's near-expiry events go by. Left out: after such an event as long as the one before, at least 60 days; otherwise the expiry stays." },
}

/** Secrets that are rotated alike. */
export interface RotatedSecrets {
  readonly store: string
  readonly module?: string
  readonly length: number
  readonly characters: string
  readonly validDays?: number
  /** Whether it is about the secret of that name, as a service with this codec knows names. */
  matches(name: SecretName, codec: NameCodec): boolean
}

const isNames = (names: unknown): names is readonly string[] => Array.isArray(names) && names.length > 0 && names.every((name) => typeof name === 'string' && name !== '' && !/[\p{Cc}%]|\*{3}/u.test(name))

/** Reads the section; an absent one rotates no ordinary secret. @throws misconfigured with every issue */
export const readRotation = (given: unknown): readonly RotatedSecrets[] => {
  const issues: Issue[] = []
  const path = 'latchkey.rotation'
  if (given !== undefined && given !== null && !isMapping(given)) issues.push({ path, message: 'must be a mapping' })
  const section = isMapping(given) ? given : {}
  for (const key of Object.keys(section)) if (key !== 'secrets') issues.push(unknownKey(path, key, ['secrets']))
  const list = section['secrets'] ?? []
  if (!Array.isArray(list)) issues.push({ path: `${path}.secrets`, message: 'must be a list' })
  const entries = (Array.isArray(list) ? (list as readonly unknown[]) : []).flatMap((entry, index): RotatedSecrets[] => {
    const at = `${path}.secrets[${index}]`
    if (!isMapping(entry)) {
      issues.push({ path: at, message: 'must be a mapping' })
      return []
    }
    const { settings, issues: found } = readSettings(rotatedSettings, entry, { path: at, foreign: ['names'] })
    issues.push(...found)
    const names = entry['names']
    if (!isNames(names)) issues.push({ path: `${at}.names`, message: 'must be a list of names, with * inside a segment and ** across segments' })
    const { characters, module } = settings
    if (typeof characters === 'string' && (!/^[\x21-\x7e]{10,94}$/.test(characters) || new Set(characters).size !== characters.length)) issues.push({ path: `${at}.characters`, message: 'must be 10 to 94 different characters of printable ASCII, without spaces' })
    if (typeof module === 'string' && !/\.[cm]?[jt]s$/.test(module)) issues.push({ path: `${at}.module`, message: 'must be the path of a module that ends in .ts, .mts, .js, .mjs or .cjs' })
    const given = isNames(names) ? names : []
    const [patterns, folded] = [given.map(namePattern), given.map((text) => namePattern(text.toLowerCase().replaceAll('_', '-')))]
    const { store, length, valid_days: validDays } = settings
    return [{ store, length, characters, ...(module === undefined ? {} : { module }), ...(validDays === undefined ? {} : { validDays }), matches: (name, codec) => (isSpeltFreely(codec, name) ? folded : patterns).some((pattern) => pattern.test(foldedName(codec, name))) }]
  })
  refuseIssues(issues)
  return entries
}

/** What the stores of a configuration cannot do with the entries. @throws misconfigured */
export const checkRotated = (entries: readonly RotatedSecrets[], stores: ReadonlyMap<string, { readonly policy: { readonly accessMode: string }; can(capability: 'promote'): boolean }>): void =>
  entries.forEach(({ store: name }, index) => {
    const store = stores.get(name)
    const path = `latchkey.rotation.secrets[${index}].store`
    if (store === undefined) throw new LatchkeyError('misconfigured', `${path} names no store of this configuration; there are ${[...stores.keys()].join(', ')}.`)
    if (store.policy.accessMode !== 'read_and_write') throw new LatchkeyError('misconfigured', `${path}: "${name}" has access_mode ${store.policy.accessMode}; a rotation reads and writes, so it needs read_and_write.`)
    if (!store.can('promote')) throw new LatchkeyError('misconfigured', `${path}: "${name}" cannot stage a new value beside the current one.`)
  })
