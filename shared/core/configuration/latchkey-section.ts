// The top-level key `latchkey:`, which holds what LiteLLM has no word for: callers, cache and naming. Strict: an unknown key is an issue with the nearest
// known one, and what is planned but not built is refused, because a setting that does nothing would be believed.
import type { Issue } from '../errors.ts'
import type { Env } from '../runtime.ts'
import { readSettings, type SettingsTable } from '../settings.ts'
import { readAccess, unbuilt, type AccessEntry, type FieldCheck } from './access.ts'
import type { IdentityReader, Trust } from './identities.ts'

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

// `deployment` says where Latchkey runs, which is infra's business: what runs has no use for it, and the build leaves it out.
const elsewhere = ['default_store', 'stores', 'read_order', 'cache', 'access', 'trust', 'gateway', 'rotation', 'deployment'] as const
const notBuilt = ['team_endpoints', 'teams'] as const

interface Section {
  readonly cache: CacheConfiguration
  readonly access: readonly AccessEntry[]
  readonly trust: Trust
  readonly keyName: KeyNameTemplate
  readonly issues: readonly Issue[]
}

/** Reads everything of `latchkey:` but its stores and its gateway. */
export const readSection = (section: Readonly<Record<string, unknown>>, env: Env, check?: FieldCheck, identities?: IdentityReader): Section => {
  const naming = readSettings(namingSettings, section, { path: 'latchkey', env, foreign: [...elsewhere, ...notBuilt] })
  const cache = readSettings(cacheSettings, section['cache'], { path: 'latchkey.cache', env })
  const issues: Issue[] = [...naming.issues, ...cache.issues]
  const interval = refreshInterval(section['cache'], env, issues)
  for (const key of notBuilt) if (section[key] !== undefined && section[key] !== null) issues.push(unbuilt(`latchkey.${key}`))
  const access = readAccess(section['access'], env, issues, check, identities)
  const trust = identities?.readTrust(section['trust'], access.map(({ identity }) => identity), env, issues) ?? { easy_auth: false, google_iam: false }
  return {
    cache: {
      ttlSeconds: interval ?? cache.settings.ttl_seconds, maxStaleSeconds: cache.settings.max_stale_seconds,
      negativeTtlSeconds: cache.settings.negative_ttl_seconds, maxEntries: cache.settings.max_entries,
    },
    access,
    trust,
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
