// Routes that look at keys and change none: info, list, verify and health. None of them shows a token.
import { asLatchkeyError, isCode, LatchkeyError } from '../../core/errors.ts'
import { SecretValue } from '../../core/secret.ts'
import type { KeyInfo, KeyTarget } from '../../core/virtual-key.ts'
import type { Answer, Caller, Exchange } from '../api.ts'
import { allows, demand, teamsOf, tokenOf } from '../auth.ts'
import { badField } from '../body.ts'
import { driftBody, healthBody, infoBody } from '../key-answers.ts'
import { healthRequest, verifyRequest } from '../key-requests.ts'
import { answer } from '../problem.ts'
import { integerOf } from '../requests/query.ts'
import { audited, keysOf, notTheirs, theirKey } from './access.ts'
import { namedKey } from './terms.ts'

/** The key that a query names by `key` or by `key_alias`. */
const queryTarget = ({ query }: Exchange): KeyTarget => {
  const [key, alias, team] = ['key', 'key_alias', 'team_id'].map((name) => query.get(name))
  if (key !== undefined && alias !== undefined) throw badField('query.key', 'goes without key_alias; the limit is one of the two', 'Send one of them.')
  const target = namedKey({ key, alias, team }, 'query.key')
  if (target === undefined) throw badField('query.key', 'must be given, or key_alias', 'Send ?key=<key id> or ?key_alias=<alias>.')
  return target
}

/** What is known of one key, and what is not as Latchkey left it. */
export const keyInfo = async (exchange: Exchange): Promise<Answer> => {
  const target = queryTarget(exchange)
  const { info } = await theirKey(await keysOf(exchange), target, 'keys:read', exchange, true)
  if (info === undefined) throw notTheirs()
  const receipt = await exchange.record({ decision: 'allowed', ...audited(info) })
  const body = { ...infoBody(info), drift: driftBody(info) }
  return answer(receipt, 200, { ...body, info: body })
}

/** The query parameters of the list. */
export const listParameters = ['team_id', 'key_alias', 'user_id', 'organization_id', 'project_id', 'access_group_id', 'status', 'return_full_object', 'cursor', 'limit', 'size']
/** What LiteLLM's list has beside them and ours has not: it would take a table of all keys. A minted token's hash is kept nowhere. */
export const litellmListParameters = ['page', 'key_hash', 'include_team_keys', 'include_created_by_keys', 'sort_by', 'sort_order', 'expand']

const states = ['active', 'rotating', 'blocked', 'expired']

/** Filters that a page's own facts answer; a page may then be short, or empty with a cursor. @throws invalid_request, unsupported */
const filterOf = ({ query }: Exchange): ((info: KeyInfo) => boolean) => {
  const status = query.get('status')
  if (status === 'deleted') throw new LatchkeyError('unsupported', 'query.status: a deleted key is in no list; the audit trail tells of it.', { param: 'status', hint: `Send one of ${states.join(', ')}.` })
  if (status !== undefined && !states.includes(status)) throw badField('query.status', `must be one of ${states.join(', ')}`)
  const group = query.get('access_group_id')
  const wanted = ['user_id', 'organization_id', 'project_id'].flatMap((name) => (query.has(name) ? [[name, query.get(name)] as const] : []))
  return ({ state, data }) => {
    const groups = data['access_group_ids']
    return (status === undefined || state === status) && (group === undefined || (Array.isArray(groups) && groups.includes(group))) && wanted.every(([name, value]) => data[name] === value)
  }
}

/** One page of keys, whole or, as LiteLLM's default has it, only what names each. */
export const listKeys = async (exchange: Exchange): Promise<Answer> => {
  const { query, caller } = exchange
  const [team, alias, cursor] = ['team_id', 'key_alias', 'cursor'].map((name) => query.get(name))
  if (team !== undefined) demand(caller, ['keys:read'], { team })
  if (query.has('limit') && query.has('size')) throw badField('query.size', 'is LiteLLM\'s name of limit; the limit is one of the two', 'Send one of them.')
  const limit = integerOf(query, query.has('size') ? 'size' : 'limit', 50, 1, 100)
  const whole = query.get('return_full_object') ?? 'true'
  if (whole !== 'true' && whole !== 'false') throw badField('query.return_full_object', 'must be true or false')
  const fits = filterOf(exchange)
  const teams = teamsOf(caller, 'keys:read')
  const teamId = team ?? (teams?.length === 1 ? teams[0] : undefined)
  const keys = await keysOf(exchange)
  const page = await keys.list({ limit, ...(teamId === undefined ? {} : { teamId }), ...(alias === undefined ? {} : { alias }), ...(cursor === undefined ? {} : { cursor }) }, exchange.call)
  const items = page.items.filter((item) => allows(caller, 'keys:read', { team: item.teamId ?? null }) && fits(item))
  const receipt = await exchange.record({ decision: 'allowed', ...(teamId === undefined ? {} : { team: teamId }) })
  return answer(receipt, 200, { keys: items.map((item) => (whole === 'true' ? infoBody(item) : item.keyId)), next_cursor: page.cursor ?? null })
}

/** Whether a token is accepted now; for gateways that ask us. */
export const verifyKey = async (exchange: Exchange): Promise<Answer> => {
  const token = verifyRequest(exchange.body)
  const keys = await keysOf(exchange)
  const found = await keys.verify(token, exchange.call)
  const known = found.valid && allows(exchange.caller, 'keys:verify', { team: found.teamId ?? null })
  const receipt = await exchange.record({ decision: 'allowed', ...(known && found.keyId !== undefined ? { keyId: found.keyId } : {}), ...(known ? {} : { code: 'not_valid' }) })
  return answer(receipt, 200, known ? { valid: true, key_id: found.keyId ?? null, team_id: found.teamId ?? null, not_after: found.notAfter?.toISOString() ?? null } : { valid: false })
}

/** The caller that the credential proves, or nothing where it may be a virtual key. */
const callerOf = async (exchange: Exchange): Promise<Caller | undefined> => {
  try {
    return await exchange.services.auth.authenticate(exchange, exchange.call)
  } catch (error) {
    if (isCode(error, 'unauthenticated') && tokenOf(exchange) !== undefined) return undefined
    throw error
  }
}

const ownHealth = async (exchange: Exchange): Promise<Answer> => {
  const token = SecretValue.of(tokenOf(exchange) ?? '')
  const info = await (await keysOf(exchange)).health(token, exchange.call).catch((error: unknown) => {
    throw isCode(error, 'not_found') ? new LatchkeyError('unauthenticated', 'The credential is neither a caller\'s nor a virtual key\'s.') : error
  })
  const receipt = await exchange.record({ decision: 'allowed', ...audited(info), caller: `key:${info.keyId}` })
  return answer(receipt, 200, healthBody(info, false))
}

const askedHealth = async (caller: Caller, token: SecretValue | undefined, exchange: Exchange): Promise<Answer> => {
  demand(caller, ['keys:verify'])
  if (token === undefined) throw badField('key', 'must be given: the credential is a caller\'s, no virtual key', 'Send {"key": "<token>"}, or the virtual key itself as the credential.')
  const info = await (await keysOf(exchange)).health(token, exchange.call)
  if (!allows(caller, 'keys:verify', { team: info.teamId ?? null })) throw notTheirs()
  const receipt = await exchange.record({ decision: 'allowed', ...audited(info), caller: caller.name })
  return answer(receipt, 200, healthBody(info, true))
}

/** LiteLLM's health of the key that calls; and of any token, for a caller with `keys:verify`. Nobody but a holder of the token learns anything. */
export const keyHealth = async (exchange: Exchange): Promise<Answer> => {
  const caller = await callerOf(exchange)
  try {
    const token = healthRequest(exchange.body)
    if (caller !== undefined) return await askedHealth(caller, token, exchange)
    if (token !== undefined) throw new LatchkeyError('unauthenticated', 'The credential is not one that Latchkey knows.')
    return await ownHealth(exchange)
  } catch (thrown) {
    const error = asLatchkeyError(thrown)
    if (!['audit_unavailable', 'unauthenticated'].includes(error.code)) await exchange.record({ decision: error.code === 'forbidden' ? 'denied' : 'failed', code: error.code, ...(caller === undefined ? {} : { caller: caller.name }) })
    throw thrown
  }
}
