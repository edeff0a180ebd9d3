// The top-level key `latchkey:`, which holds what LiteLLM has no word for: callers, cache and naming. Strict: an unknown key is an issue with the nearest
// known one, and what is planned but not built is refused, because a setting that does nothing would be believed.
import { nearest, type Issue } from '../errors.ts'
import type { Env } from '../runtime.ts'
import { readSettings, unknownKey, type SettingsTable } from '../settings.ts'

/** What one caller may do. `names` and `team` narrow it; a missing `names` means every name, a missing `team` every team. */
export interface Grant {
  /** One of {@link actions}, or a pattern `secrets:*`, `keys:*`, `*`. */
  readonly action: string
  /** Patterns: `*` inside a segment, `**` across segments. */
  readonly names?: readonly string[]
  readonly team?: string
}

/** A caller that is known by the SHA-256 of its token. */
export interface AccessEntry {
  readonly name: string
  /** 64 lower-case hex digits. */
  readonly tokenSha256: string
  readonly grants: readonly Grant[]
}

/** How long a read is believed, and how much is kept. */
export interface CacheConfiguration {
  /** Default: 300. 0 turns the cache off. */
  readonly ttlSeconds: number
  /** Default: 900. */
  readonly maxStaleSeconds: number
  /** Default: 10. */
  readonly negativeTtlSeconds: number
  /** Default: 1000. */
  readonly maxEntries: number
}

/** How a stored key is named; with `{team}` an alias is unique per team instead of per store. */
export type KeyNameTemplate = '{prefix}{alias}' | '{prefix}{team}/{alias}'

/** Everything a grant can allow. */
export const actions = [
  'secrets:read', 'secrets:list', 'secrets:write', 'secrets:delete',
  'keys:create', 'keys:rotate', 'keys:delete', 'keys:read', 'keys:verify', 'keys:reveal', 'ops:read',
] as const

const actionPatterns = ['keys:*', 'secrets:*', '*'] as const

interface CacheSettings {
  readonly ttl_seconds: number
  readonly max_stale_seconds: number
  readonly negative_ttl_seconds: number
  readonly max_entries: number
}

/** `latchkey.cache`. */
export const cacheSettings: SettingsTable<CacheSettings> = {
  ttl_seconds: { type: 'integer', default: 300, min: 0, max: 3600, text: 'How long a value is served without asking again, from its last confirmed read. Left out: `SECRET_MANAGER_REFRESH_INTERVAL`, as given. A provider\'s own refresh setting wins.' },
  max_stale_seconds: { type: 'integer', default: 900, min: 0, max: 86_400, text: 'How old a value may get while the manager cannot be reached.' },
  negative_ttl_seconds: { type: 'integer', default: 10, min: 0, max: 300, text: 'How long a confirmed absence is believed.' },
  max_entries: { type: 'integer', default: 1000, min: 1, max: 100_000, text: 'How many values are kept.' },
}

interface NamingSettings {
  readonly key_name: KeyNameTemplate
}

/** The plain settings of `latchkey:` itself. */
export const namingSettings: SettingsTable<NamingSettings> = {
  key_name: { type: 'string', default: '{prefix}{alias}', values: ['{prefix}{alias}', '{prefix}{team}/{alias}'], text: 'How a stored key is named; with {team} an alias is unique per team.' },
}

const elsewhere = ['default_store', 'stores', 'read_order', 'cache', 'access', 'gateway'] as const
const notBuilt = ['team_endpoints', 'teams'] as const

interface Section {
  readonly cache: CacheConfiguration
  readonly access: readonly AccessEntry[]
  readonly keyName: KeyNameTemplate
  readonly issues: readonly Issue[]
}

/** Reads everything of `latchkey:` but its stores and its gateway. */
export const readSection = (section: Readonly<Record<string, unknown>>, env: Env): Section => {
  const naming = readSettings(namingSettings, section, { path: 'latchkey', env, foreign: [...elsewhere, ...notBuilt] })
  const cache = readSettings(cacheSettings, section['cache'], { path: 'latchkey.cache', env })
  const issues: Issue[] = [...naming.issues, ...cache.issues]
  const interval = refreshInterval(section['cache'], env, issues)
  for (const key of notBuilt) if (section[key] !== undefined && section[key] !== null) issues.push(unbuilt(`latchkey.${key}`))
  const access = readAccess(section['access'], env, issues)
  return {
    cache: {
      ttlSeconds: interval ?? cache.settings.ttl_seconds, maxStaleSeconds: cache.settings.max_stale_seconds,
      negativeTtlSeconds: cache.settings.negative_ttl_seconds, maxEntries: cache.settings.max_entries,
    },
    access,
    keyName: naming.settings.key_name,
    issues,
  }
}

/** LiteLLM's variable for all its caches counts as given, however long, where the file itself says nothing. */
const refreshInterval = (given: unknown, env: Env, issues: Issue[]): number | undefined => {
  const written = given !== null && typeof given === 'object' && 'ttl_seconds' in given && given.ttl_seconds !== null
  const text = env.get('SECRET_MANAGER_REFRESH_INTERVAL') ?? ''
  if (written || text === '') return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text)
  issues.push({ path: 'SECRET_MANAGER_REFRESH_INTERVAL', message: 'must be a whole number of seconds; leave it unset for the 300 of latchkey.cache.ttl_seconds' })
  return undefined
}

const unbuilt = (path: string): Issue => ({ path, message: 'is not built yet; take it out' })

interface AccessSettings {
  readonly name: string
  readonly token_sha256: string
}

/** One entry of `latchkey.access`; its `grants` are a list of their own. */
export const accessSettings: SettingsTable<AccessSettings> = {
  name: { type: 'string', required: true, text: 'Who it is; stands in the audit line.' },
  token_sha256: { type: 'string', required: true, text: "The SHA-256 of the caller's token as 64 hex digits." },
}

const readAccess = (given: unknown, env: Env, issues: Issue[]): readonly AccessEntry[] => {
  const seen = { names: new Map<string, string>(), hashes: new Map<string, string>() }
  return listOf(given, 'latchkey.access', issues).flatMap((entry, index) => {
    const path = `latchkey.access[${index}]`
    const other = ['jwt', 'aws_arn'].filter((key) => Object.hasOwn(entry, key))
    for (const key of other) issues.push(unbuilt(`${path}.${key}`))
    const reading = readSettings(accessSettings, entry, { path, env, foreign: ['grants', 'jwt', 'aws_arn'] })
    issues.push(...reading.issues.filter((issue) => other.length === 0 || issue.path !== `${path}.token_sha256`))
    const { name, token_sha256: hash } = reading.settings
    if (typeof name === 'string' && !/^[A-Za-z0-9][\w.@-]{0,63}$/.test(name)) issues.push({ path: `${path}.name`, message: 'must be 1 to 64 of A-Z a-z 0-9 _ . @ - and begin with a letter or digit' })
    if (typeof hash === 'string' && !/^[0-9a-f]{64}$/i.test(hash)) issues.push({ path: `${path}.token_sha256`, message: 'must be the SHA-256 of the token, 64 hex digits; make it with: printf %s "$TOKEN" | sha256sum' })
    once(seen.names, name, `${path}.name`, issues)
    once(seen.hashes, hash?.toLowerCase(), `${path}.token_sha256`, issues)
    const grants = readGrants(entry['grants'], `${path}.grants`, issues)
    return typeof name === 'string' && typeof hash === 'string' ? [{ name, tokenSha256: hash.toLowerCase(), grants }] : []
  })
}

const once = (seen: Map<string, string>, value: string | undefined, path: string, issues: Issue[]): void => {
  if (value === undefined) return
  const first = seen.get(value)
  if (first === undefined) seen.set(value, path)
  else issues.push({ path, message: `is the same as ${first}; every caller needs its own` })
}

const readGrants = (given: unknown, path: string, issues: Issue[]): readonly Grant[] => {
  if (given === undefined || given === null || (Array.isArray(given) && given.length === 0)) issues.push({ path, message: 'is required; a caller without grants may do nothing' })
  return listOf(given, path, issues).flatMap((grant, index) => {
    const at = `${path}[${index}]`
    for (const key of Object.keys(grant)) if (!['action', 'names', 'team'].includes(key)) issues.push(unknownKey(at, key, ['action', 'names', 'team']))
    const action = grant['action']
    const known: readonly string[] = [...actions, ...actionPatterns]
    if (typeof action !== 'string' || !known.includes(action)) {
      const near = typeof action === 'string' ? nearest(action, known) : undefined
      issues.push({ path: `${at}.action`, message: `must be one of ${known.join(', ')}${near === undefined ? '' : `; did you mean ${near}?`}` })
      return []
    }
    const names = grant['names'] ?? undefined
    const team = grant['team'] ?? undefined
    if (names !== undefined && !isPatterns(names)) issues.push({ path: `${at}.names`, message: 'must be a list of names, with * inside a segment and ** across segments' })
    if (team !== undefined && (typeof team !== 'string' || team === '')) issues.push({ path: `${at}.team`, message: 'must be a team id, or "*"; put it in quotes' })
    return [{ action, ...(isPatterns(names) ? { names } : {}), ...(typeof team === 'string' ? { team } : {}) }]
  })
}

const isPatterns = (names: unknown): names is readonly string[] =>
  Array.isArray(names) && names.length > 0 && names.every((name) => typeof name === 'string' && name !== '' && !/[\p{Cc}%]|\*{3}/u.test(name))

/** The mappings of a list; what is none is an issue. */
const listOf = (given: unknown, path: string, issues: Issue[]): readonly Record<string, unknown>[] => {
  if (given === undefined || given === null) return []
  if (!Array.isArray(given)) {
    issues.push({ path, message: 'must be a list' })
    return []
  }
  return given.flatMap((item: unknown, index) => {
    if (isMapping(item)) return [item]
    issues.push({ path: `${path}[${index}]`, message: 'must be a mapping' })
    return []
  })
}

/** Whether it is an object with keys, no list. */
export const isMapping = (value: unknown): value is Record<string, unknown> => value !== null && typeof value === 'object' && !Array.isArray(value)
