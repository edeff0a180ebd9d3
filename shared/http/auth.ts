// Who calls, and what the grants allow. Tokens are compared by their SHA-256, all of them every time; the master key is asked for only when no token
// matched, because it may live in a secret manager that is slow or down. An identity that the platform proved counts only where an entry names it.
import { hash, timingSafeEqual } from 'node:crypto'
import type { AccessEntry, Grant } from '../core/configuration.ts'
import { LatchkeyError } from '../core/errors.ts'
import { namePattern } from '../core/names.ts'
import type { Call } from '../core/runtime.ts'
import type { SecretValue } from '../core/secret.ts'
import type { Action, Authenticator, Caller, Credentials } from './api.ts'
import type { MasterKeyCheck } from './auth/master-key.ts'

/** The caller's name under which the master key stands in audit lines; no `access` entry may have it. */
export const masterKeyName = 'master-key'

/** Nobody yet: what a public route sees, and what the audit line of a refused credential names. */
export const anonymous: Caller = { name: 'anonymous', master: false, grants: [] }

/** Whom an authenticator knows. */
export interface AuthenticatorOptions {
  readonly access: readonly AccessEntry[]
  /** Asked only for a token that no entry has. Its failure is the caller's answer: an outage is no wrong key. */
  readonly masterKey: (call: Call) => Promise<SecretValue | undefined>
  /** The secrets that hold master keys: whoever could read or write one would be the master, here or at the gateway. No grant covers them, in any spelling. */
  readonly masterSecrets?: readonly string[]
}

const refuse = (message: string): LatchkeyError => new LatchkeyError('unauthenticated', message)

/** @throws misconfigured when two entries share a name or one takes a reserved name */
export const createAuthenticator = (options: AuthenticatorOptions): Authenticator => {
  const barred = (options.masterSecrets ?? []).map(spelling)
  const entries = options.access.map(({ name, tokenSha256, identity, grants }) => ({ digest: Buffer.from(tokenSha256 ?? '', 'hex'), identity, caller: { name, master: false, grants, barred } }))
  const names = new Set([masterKeyName, anonymous.name])
  for (const { digest, identity, caller } of entries) {
    if (names.has(caller.name)) throw new LatchkeyError('misconfigured', `latchkey.access: the name "${caller.name}" is reserved or stands twice; give every entry its own name.`)
    if (identity === undefined && digest.length !== 32) throw new LatchkeyError('misconfigured', `latchkey.access: token_sha256 of "${caller.name}" must be 64 hex digits.`)
    names.add(caller.name)
  }
  const byToken = entries.filter(({ identity }) => identity === undefined)
  let isMaster: Promise<MasterKeyCheck> | undefined
  const holderOf = async (token: string, call: Call): Promise<Caller> => {
    const digest = hash('sha256', token, 'buffer')
    let found: Caller | undefined
    for (const entry of byToken) if (timingSafeEqual(entry.digest, digest)) found = entry.caller
    if (found !== undefined) return found
    isMaster ??= import('./auth/master-key.ts').then(({ masterKeyCheck }) => masterKeyCheck(options.masterKey))
    if (!(await (await isMaster)(token, digest, call))) throw refuse('The credential is not one that Latchkey knows.')
    return { name: masterKeyName, master: true, grants: [] }
  }
  return {
    authenticate: async (credentials, call) => {
      const proved = credentials.identity && (await import('./auth/identity.ts')).namedBy(entries, credentials.identity)
      const token = tokenOf(credentials)
      const holder = token === undefined ? undefined : await holderOf(token, call)
      if (proved !== undefined) return holder === undefined ? proved : { ...proved, name: `${proved.name}+${holder.name}`, also: holder }
      if (holder === undefined) throw refuse(credentials.identity === undefined ? 'No credential was sent.' : 'No entry of latchkey.access names the identity that called, and no token was sent.')
      return holder
    },
  }
}

/**
 * The token of `Authorization: Bearer` or `x-litellm-api-key`; another scheme in `Authorization` belongs to whoever stands in front of us, and so does a JWT
 * there once the platform has proved an identity.
 */
export const tokenOf = ({ headers, identity }: Credentials): string | undefined => {
  const sent = /^bearer +(\S+) *$/i.exec(headers['authorization'] ?? '')?.[1]
  const bearer = identity !== undefined && sent?.split('.').length === 3 ? undefined : sent
  const own = /^(?:bearer +)?(\S+) *$/i.exec(headers['x-litellm-api-key'] ?? '')?.[1]
  if (bearer !== undefined && own !== undefined && bearer !== own) throw refuse('Two different credentials were sent; send one.')
  const token = bearer ?? own
  return token?.isWellFormed() === true ? token : undefined
}

/** Whether a grant is about an action at all. */
export const covers = (grant: Grant, action: Action): boolean =>
  grant.action === action || (action !== 'keys:reveal' && (grant.action === '*' || grant.action === `${action.slice(0, action.indexOf(':'))}:*`))

const patterns = new WeakMap<Grant, readonly RegExp[]>()

const coversName = (grant: Grant, name: string): boolean => {
  if (grant.names === undefined) return true
  const compiled = patterns.get(grant) ?? grant.names.map(namePattern)
  patterns.set(grant, compiled)
  return compiled.some((pattern) => pattern.test(name))
}

/** What the caller may do it to: a secret's name, a key's team (`null`: a key without one), or nothing in particular. */
export interface Target {
  readonly name?: string
  readonly team?: string | null
}

/** What case and `_` against `-` leave of a name: some stores tell neither apart. */
const spelling = (name: string): string => name.toUpperCase().replaceAll('-', '_')

/** Deny by default. Without a target: whether there is anything at all that the caller may do this to. */
export const allows = (caller: Caller, action: Action, target: Target = {}): boolean =>
  ((caller.master && action !== 'keys:reveal') ||
    caller.grants.some(
      (grant) =>
        covers(grant, action) &&
        (target.name === undefined || caller.barred?.includes(spelling(target.name)) !== true) &&
        (target.name === undefined || coversName(grant, target.name)) &&
        (target.team === undefined || grant.team === undefined || grant.team === '*' || grant.team === target.team),
    )) &&
  (caller.also === undefined || allows(caller.also, action, target))

/** Whether native names and principals may be shown. */
export const seesDetail = (caller: Caller): boolean => allows(caller, 'ops:read') || allows(caller, 'secrets:list')

/** The teams a caller is confined to for an action, or `undefined` when every key is covered. */
export const teamsOf = (caller: Caller, action: Action): readonly string[] | undefined => {
  const also = caller.also && teamsOf(caller.also, action)
  const grants = caller.grants.filter((grant) => covers(grant, action))
  if (caller.master || grants.some((grant) => grant.team === undefined || grant.team === '*')) return also
  const teams = grants.flatMap((grant) => grant.team ?? [])
  return also === undefined ? teams : teams.filter((team) => also.includes(team))
}

/** @throws forbidden naming the grant, and nothing about what exists */
export const demand = (caller: Caller, wanted: readonly Action[], target?: Target): void => {
  if (wanted.some((action) => allows(caller, action, target))) return
  const where = target?.name !== undefined ? ' for this name' : target?.team !== undefined ? ' for this team' : ''
  throw new LatchkeyError('forbidden', `The caller "${caller.name}" has no grant ${wanted.join(' or ')}${where}.`, { hint: 'Ask whoever owns the configuration for a grant under latchkey.access.' })
}
