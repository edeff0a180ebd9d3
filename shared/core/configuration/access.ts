// `latchkey.access`: who may call beside the master key, and what the grants of each allow. Strict to the letter: a grant that means something else than
// was meant is worse than none.
import type { Issue } from '../errors.ts'
import { didYouMean } from '../errors/nearest.ts'
import type { Env } from '../runtime.ts'
import { readSettings, unknownKey, type SettingsTable } from '../settings.ts'
import { isMapping } from '../settings/mapping.ts'
import type { IdentityReader, PinnedIdentity } from './identities.ts'

/** What one caller may do. `names` and `team` narrow it; a missing `names` means every name, a missing `team` every team. */
export interface Grant {
  /** One of {@link actions}, or a pattern `secrets:*`, `keys:*`, `*`. */
  readonly action: string
  /** Patterns: `*` inside a segment, `**` across segments. */
  readonly names?: readonly string[]
  readonly team?: string
  /** Which of the fields that the gateway enforces may be sent with this action; `*` is all of them. Default: none. */
  readonly fields?: readonly string[]
}

/** A caller that is known by one thing: the SHA-256 of its token, or an identity that the platform in front of a function proves. */
export interface AccessEntry {
  readonly name: string
  /** 64 lower-case hex digits. */
  readonly tokenSha256?: string
  readonly identity?: PinnedIdentity
  readonly grants: readonly Grant[]
}

/** Everything a grant can allow. */
export const actions = [
  'secrets:read', 'secrets:list', 'secrets:write', 'secrets:delete',
  'keys:create', 'keys:update', 'keys:rotate', 'keys:block', 'keys:delete', 'keys:read', 'keys:verify', 'keys:adopt', 'keys:reconcile', 'keys:reveal', 'events:rotate', 'ops:read',
] as const

const grantKeys: readonly string[] = ['action', 'names', 'team', 'fields']

const grantable: readonly string[] = [...actions, 'keys:*', 'secrets:*', '*']

/** Says what is wrong with the `fields` of a grant. The read function goes without: no request that it answers has any. */
export type FieldCheck = (fields: unknown, action: string, path: string, issues: Issue[]) => void

/** The issue of a setting that is planned and not there yet. */
export const unbuilt = (path: string): Issue => ({ path, message: 'is not built yet; take it out' })

interface AccessSettings {
  readonly name: string
  readonly token_sha256?: string
}

/** One entry of `latchkey.access`; its `grants` are a list of their own, and in place of `token_sha256` stands an identity where a platform proves one. */
export const accessSettings: SettingsTable<AccessSettings> = {
  name: { type: 'string', required: true, text: 'Who it is; stands in the audit line.' },
  token_sha256: { type: 'string', text: "The SHA-256 of the caller's token as 64 hex digits." },
}

/** The callers of the file; whatever does not fit is an issue. */
export const readAccess = (given: unknown, env: Env, issues: Issue[], check?: FieldCheck, identities?: IdentityReader): readonly AccessEntry[] => {
  const kinds = identities?.kinds ?? []
  const seen = { names: new Map<string, string>(), proofs: new Map<string, string>() }
  return listOf(given, 'latchkey.access', issues).flatMap((entry, index) => {
    const path = `latchkey.access[${index}]`
    const reading = readSettings(accessSettings, entry, { path, env, foreign: ['grants', ...kinds] })
    issues.push(...reading.issues)
    const { name, token_sha256: hash } = reading.settings
    if (typeof name === 'string' && !/^[A-Za-z0-9][\w.@-]{0,63}$/.test(name)) issues.push({ path: `${path}.name`, message: 'must be 1 to 64 of A-Z a-z 0-9 _ . @ - and begin with a letter or digit' })
    if (typeof hash === 'string' && !/^[0-9a-f]{64}$/i.test(hash)) issues.push({ path: `${path}.token_sha256`, message: 'must be the SHA-256 of the token, 64 hex digits; make it with: printf %s "$TOKEN" | sha256sum' })
    const [kind, more] = ['token_sha256', ...kinds].filter((proof) => entry[proof] !== undefined && entry[proof] !== null)
    if (kind === undefined) issues.push({ path: `${path}.token_sha256`, message: 'is required, or an identity: aws_arn, jwt, entra, google' })
    if (more !== undefined) issues.push({ path: `${path}.${more}`, message: `stands beside ${kind ?? ''}; every entry is known by one of the two` })
    const identity = identities?.readIdentity(entry, path, env, issues)
    once(seen.names, name, `${path}.name`, issues)
    once(seen.proofs, identity === undefined ? hash?.toLowerCase() : JSON.stringify(identity), `${path}.${kind ?? ''}`, issues)
    const proof = typeof hash === 'string' ? { tokenSha256: hash.toLowerCase() } : identity === undefined ? undefined : { identity }
    const grants = readGrants(entry['grants'], `${path}.grants`, issues, check)
    return typeof name === 'string' && proof !== undefined ? [{ name, ...proof, grants }] : []
  })
}

const once = (seen: Map<string, string>, value: string | undefined, path: string, issues: Issue[]): void => {
  if (value === undefined) return
  const first = seen.get(value)
  if (first === undefined) seen.set(value, path)
  else issues.push({ path, message: `is the same as ${first}; every caller needs its own` })
}

const readGrants = (given: unknown, path: string, issues: Issue[], check: FieldCheck | undefined): readonly Grant[] => {
  if (given === undefined || given === null || (Array.isArray(given) && given.length === 0)) issues.push({ path, message: 'is required; a caller without grants may do nothing' })
  return listOf(given, path, issues).flatMap((grant, index) => {
    const at = `${path}[${index}]`
    for (const key of Object.keys(grant)) if (!grantKeys.includes(key)) issues.push(unknownKey(at, key, grantKeys))
    const action = grant['action']
    if (typeof action !== 'string' || !grantable.includes(action)) {
      issues.push({ path: `${at}.action`, message: `must be one of ${grantable.join(', ')}${didYouMean(action, grantable)}` })
      return []
    }
    const names = grant['names'] ?? undefined
    const team = grant['team'] ?? undefined
    if (names !== undefined && !isPatterns(names)) issues.push({ path: `${at}.names`, message: 'must be a list of names, with * inside a segment and ** across segments' })
    if (team !== undefined && (typeof team !== 'string' || team === '')) issues.push({ path: `${at}.team`, message: 'must be a team id, or "*"; put it in quotes' })
    const fields = grant['fields']
    check?.(fields, action, `${at}.fields`, issues)
    return [{ action, ...(isPatterns(names) && { names }), ...(typeof team === 'string' && { team }), ...(Array.isArray(fields) && { fields }) }]
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
