// What the requests for keys have in common: how a key is named in a path, a query or a body, how long things last, and what is kept with a key.
import type { LatchkeyError } from '../../core/errors.ts'
import { SecretValue } from '../../core/secret.ts'
import { isSuppliedToken, parseDuration, shortestRotationMs, type KeyTarget } from '../../core/virtual-key.ts'
import { badField } from '../body.ts'
import { durationWords, isDataField } from './fields.ts'

const day = 86_400_000
const longestMs = 3650 * day

const spell = (ms: number): string => (ms % day === 0 && ms > 0 ? `${ms / day} d` : ms % 60_000 === 0 && ms > 0 ? `${ms / 60_000} min` : `${ms / 1000} s`)

/** LiteLLM's durations within limits. @throws invalid_request naming form and limits */
export const durationMs = (given: string, path: string, now: number, limits: { readonly min: number; readonly max: number }): number => {
  const ms = parseDuration(given, now)
  if (ms === undefined) throw badField(path, durationWords)
  if (ms < limits.min || ms > limits.max) throw badField(path, `must be from ${spell(limits.min)} to ${spell(limits.max)}`)
  return ms
}

/** How long a key lives: 1 s to 3650 d. @throws invalid_request */
export const lifetimeMs = (given: string, now: number): number => durationMs(given, 'duration', now, { min: 1000, max: longestMs })

/** How long a replaced token is accepted: 0 to 30 d. @throws invalid_request */
export const graceMs = (given: string, now: number): number => durationMs(given === '0' ? '0s' : given, 'grace_period', now, { min: 0, max: 30 * day })

/** What a request says about rotation, and what is kept already. @throws invalid_request for an interval outside 10 min to 3650 d, or for a rotation without one */
export const checkRotation = (sent: Readonly<Record<string, unknown>>, now: number, before: Readonly<Record<string, unknown>> = {}): void => {
  const given = sent['rotation_interval']
  if (typeof given === 'string' && given.endsWith('mo')) throw badField('rotation_interval', 'must be a whole number and one of s, m, h, d, w: calendar months have no length of their own', 'Send "rotation_interval": "30d".')
  if (typeof given === 'string') durationMs(given, 'rotation_interval', now, { min: shortestRotationMs, max: longestMs })
  const after = { ...before, ...sent }
  if (after['auto_rotate'] === true && typeof after['rotation_interval'] !== 'string') throw badField('rotation_interval', 'is required where auto_rotate is true; from 10 min to 3650 d', 'Send "rotation_interval": "30d", or "auto_rotate": false.')
}

/** Which key a text means: 64 hex digits are a token's hash, `sk-…` is a token, anything else a key id. @throws invalid_request without the text */
export const targetOf = (given: string, path: string): KeyTarget => {
  if (!/^[\x21-\x7e]{1,512}$/.test(given)) throw badField(path, 'must be 1 to 512 printable ASCII characters without spaces', 'Send a key id, a token or its SHA-256.')
  if (/^[0-9a-f]{64}$/i.test(given)) return { sha256: given.toLowerCase() }
  return given.startsWith('sk-') ? { token: SecretValue.of(given) } : { keyId: given }
}

/** A key by its alias, which is unique per store, or per team where names hold the team. */
export const aliasTarget = (given: string, teamId: string | undefined): KeyTarget => ({ alias: given, ...(teamId === undefined ? {} : { teamId }) })

/** The key that a request names by `key` or else by `key_alias`; nothing where it names none. @throws invalid_request */
export const namedKey = (named: { readonly key: string | undefined; readonly alias: string | undefined; readonly team: string | undefined }, path: string): KeyTarget | undefined =>
  named.key !== undefined ? targetOf(named.key, path) : named.alias === undefined ? undefined : aliasTarget(named.alias, named.team)

/** The answer to a request that names no key, with the fix. */
export const namesNoKey = (): LatchkeyError => badField('key', 'must be given, or key_alias', 'Send the key id, the token or its SHA-256 as key, or the alias as key_alias.')

/** A token of the caller's own. @throws invalid_request */
export const suppliedToken = (given: string, path: string): SecretValue => {
  const token = SecretValue.of(given)
  if (!isSuppliedToken(token)) throw badField(path, 'must begin with "sk-" and be at most 512 printable ASCII characters without spaces', 'Leave it out, so that a token is made, or send one that begins with sk-.')
  return token
}

/** What of a request is kept with the key: LiteLLM's fields as they were sent, `null` among them. */
export const dataOf = (fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(fields).filter(([name, value]) => value !== undefined && isDataField(name)))

/** The warning about fields that are kept for the gateway and enforced by nobody here. */
export const unenforced = (data: Readonly<Record<string, unknown>>): readonly string[] => {
  const names = Object.keys(data).filter((name) => data[name] !== null && !['metadata', 'tags', 'auto_rotate', 'rotation_interval'].includes(name))
  return names.length === 0 ? [] : [`${names.join(', ')}: kept and echoed, not enforced by Latchkey.`]
}
