// LiteLLM's key routes over the key lifecycle. Callers confined to teams learn nothing about other teams' keys: what is not theirs is answered
// exactly as what is not there.
import { LatchkeyError, asLatchkeyError, isCode } from '../core/errors.ts'
import type { KeyLifecycle } from '../core/key-lifecycle.ts'
import type { AuditEvent, AuditReceipt } from '../core/runtime.ts'
import type { KeyInfo, KeyTarget, OperationContext } from '../core/virtual-key.ts'
import type { Action, Answer, Exchange, Route } from './api.ts'
import { allows, demand, seesDetail, teamsOf } from './auth.ts'
import { badField, canonicalText } from './body.ts'
import { changeBody, deletedBody, infoBody } from './key-answers.ts'
import { aliasTarget, deleteRequest, generateRequest, rotateRequest, targetOf, verifyRequest, type DeleteItem } from './key-requests.ts'
import { answer, litellmBody, type Body } from './problem.ts'
import { integerOf } from './routing.ts'
import { writeRoutes } from './secret-writes.ts'

const contextOf = (exchange: Exchange): OperationContext => {
  const idempotencyKey = exchange.headers['idempotency-key']
  return {
    call: exchange.call,
    caller: exchange.caller.name,
    route: `${exchange.route.method} ${exchange.route.path}`,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    body: canonicalText(exchange.body),
  }
}

const audited = (info: KeyInfo & { readonly operationId?: string }, action?: Action): Omit<AuditEvent, 'decision' | 'caller' | 'requestId' | 'action'> & { readonly action?: string } => ({
  ...(action === undefined ? {} : { action }),
  name: info.stored.name,
  store: info.stored.store,
  keyId: info.keyId,
  ...(info.teamId === undefined ? {} : { team: info.teamId }),
  ...(info.operationId === undefined ? {} : { operationId: info.operationId }),
  ...(info.stored.version === undefined ? {} : { version: info.stored.version }),
})

const notTheirs = (): LatchkeyError => new LatchkeyError('not_found', 'There is no such key among those that this caller may see.')

/**
 * The key as the operation may name it. A caller for whom every key is covered is passed on; for one confined to teams the key is looked up first,
 * and named by its id from then on. @throws not_found alike for no key and another team's
 */
const ownTarget = async (keys: KeyLifecycle, target: KeyTarget, action: Action, exchange: Exchange): Promise<KeyTarget> => {
  if (teamsOf(exchange.caller, action) === undefined) return target
  const info = await keys.info(target, exchange.call).catch((error: unknown) => {
    throw isCode(error, 'not_found') ? notTheirs() : error
  })
  if (!allows(exchange.caller, action, { team: info.teamId ?? null })) throw notTheirs()
  return { keyId: info.keyId }
}

const generate = async (exchange: Exchange): Promise<Answer> => {
  const { request, warnings } = generateRequest(exchange)
  demand(exchange.caller, ['keys:create'], { team: request.teamId ?? null })
  const keys = await exchange.services.keys()
  const made = await keys.create(request, contextOf(exchange))
  const receipt = await exchange.record({ decision: 'allowed', ...audited(made) })
  return answer(receipt, 200, changeBody(made, exchange.caller.name, 'create', warnings, { duration: exchange.body['duration'] ?? null }))
}

/** A rotation keeps the name; an alias sent beside the key must be the one that the key has. */
const checkAlias = async (keys: KeyLifecycle, target: KeyTarget, alias: string | undefined, exchange: Exchange): Promise<void> => {
  if (alias === undefined) return
  const info = await keys.info(target, exchange.call)
  if (info.alias !== alias) throw badField('key_alias', 'must be the alias that the key has: renaming a key is not built yet', 'Leave it out.')
}

const regenerate = async (exchange: Exchange): Promise<Answer> => {
  const { target: given, alias, request, warnings } = rotateRequest(exchange)
  const keys = await exchange.services.keys()
  const target = await ownTarget(keys, given, 'keys:rotate', exchange)
  await checkAlias(keys, target, alias, exchange)
  const rotated = await keys.rotate(target, request, contextOf(exchange))
  const receipt = await exchange.record({ decision: 'allowed', ...audited(rotated) })
  return answer(receipt, 200, changeBody(rotated, exchange.caller.name, 'rotate', warnings))
}

interface Deletion {
  readonly body: Body
  readonly receipt: AuditReceipt
  readonly keyId?: string
  readonly error?: LatchkeyError
}

const deleteOne = async (keys: KeyLifecycle, item: DeleteItem, exchange: Exchange): Promise<Deletion> => {
  try {
    const removed = await keys.remove(await ownTarget(keys, item.target, 'keys:delete', exchange), contextOf(exchange))
    return { receipt: await exchange.record({ decision: 'allowed', ...audited(removed) }), keyId: removed.keyId, body: { item: item.path, ...deletedBody(removed) } }
  } catch (thrown) {
    if (isCode(thrown, 'audit_unavailable') || exchange.call.signal.aborted) throw thrown
    const error = asLatchkeyError(thrown)
    if (error !== thrown) exchange.services.runtime.log.log('error', 'unexpected failure', { request_id: exchange.requestId, route: exchange.route.path })
    const { operationId } = error.details
    const receipt = await exchange.record({ decision: isCode(error, 'forbidden') ? 'denied' : 'failed', code: error.code, ...(operationId === undefined ? {} : { operationId }) })
    return { error, receipt, body: { item: item.path, ...(item.alias === undefined ? {} : { key_alias: item.alias }), deleted: false, ...litellmBody(error, exchange.requestId, seesDetail(exchange.caller)) } }
  }
}

/** One after the other, each with its own outcome; the first failure ends nothing. */
const deleteKeys = async (exchange: Exchange): Promise<Answer> => {
  const { items, warnings } = deleteRequest(exchange.body)
  if (items.length === 0) {
    const error = badField('keys', 'and key_aliases are both empty; name 1 to 100 keys', 'Send {"keys": ["<key id>"]} or {"key_aliases": ["<alias>"]}.')
    const receipt = await exchange.record({ decision: 'failed', code: error.code })
    return answer(receipt, 422, litellmBody(error, exchange.requestId, false, 422))
  }
  const keys = await exchange.services.keys()
  const done: Deletion[] = []
  for (const item of items) done.push(await deleteOne(keys, item, exchange))
  const deleted = done.flatMap((one) => one.keyId ?? [])
  const results = done.map((one) => one.body)
  const last = done.at(-1)
  if (last === undefined) throw badField('keys', 'must not be empty')
  if (deleted.length > 0) return answer(last.receipt, 200, { deleted_keys: deleted, results, warnings })
  const error = done.find((one) => !isCode(one.error, 'not_found'))?.error ?? done[0]?.error ?? notTheirs()
  throw items.length === 1 ? error : error.with({ issues: done.map((one, index) => ({ path: items[index]?.path ?? 'keys', message: one.error?.message ?? '' })) })
}

/** The key that a query names by `key` or by `key_alias`. */
const queryTarget = ({ query }: Exchange): KeyTarget => {
  const [key, alias, team] = ['key', 'key_alias', 'team_id'].map((name) => query.get(name))
  if (key !== undefined && alias !== undefined) throw badField('query.key', 'goes without key_alias; the limit is one of the two', 'Send one of them.')
  if (key !== undefined) return targetOf(key, 'query.key')
  if (alias === undefined) throw badField('query.key', 'must be given, or key_alias', 'Send ?key=<key id> or ?key_alias=<alias>.')
  return aliasTarget(alias, team)
}

const info = async (exchange: Exchange): Promise<Answer> => {
  const target = queryTarget(exchange)
  const keys = await exchange.services.keys()
  const found = await keys.info(await ownTarget(keys, target, 'keys:read', exchange), exchange.call)
  const receipt = await exchange.record({ decision: 'allowed', ...audited(found) })
  const body = infoBody(found)
  return answer(receipt, 200, { ...body, info: body })
}

const listKeys = async (exchange: Exchange): Promise<Answer> => {
  const { query, caller } = exchange
  const [team, alias, cursor] = ['team_id', 'key_alias', 'cursor'].map((name) => query.get(name))
  if (team !== undefined) demand(caller, ['keys:read'], { team })
  if (query.has('limit') && query.has('size')) throw badField('query.size', 'is LiteLLM\'s name of limit; the limit is one of the two', 'Send one of them.')
  const limit = integerOf(query, query.has('size') ? 'size' : 'limit', 50, 1, 100)
  const teams = teamsOf(caller, 'keys:read')
  const teamId = team ?? (teams?.length === 1 ? teams[0] : undefined)
  const keys = await exchange.services.keys()
  const page = await keys.list({ limit, ...(teamId === undefined ? {} : { teamId }), ...(alias === undefined ? {} : { alias }), ...(cursor === undefined ? {} : { cursor }) }, exchange.call)
  const items = page.items.filter((item) => allows(caller, 'keys:read', { team: item.teamId ?? null }))
  const receipt = await exchange.record({ decision: 'allowed', ...(teamId === undefined ? {} : { team: teamId }) })
  return answer(receipt, 200, { keys: items.map(infoBody), next_cursor: page.cursor ?? null })
}

const verify = async (exchange: Exchange): Promise<Answer> => {
  const token = verifyRequest(exchange.body)
  const keys = await exchange.services.keys()
  const found = await keys.verify(token, exchange.call)
  const known = found.valid && allows(exchange.caller, 'keys:verify', { team: found.teamId ?? null })
  const receipt = await exchange.record({ decision: 'allowed', ...(known && found.keyId !== undefined ? { keyId: found.keyId } : {}), ...(known ? {} : { code: 'not_valid' }) })
  return answer(receipt, 200, known ? { valid: true, key_id: found.keyId ?? null, team_id: found.teamId ?? null, not_after: found.notAfter?.toISOString() ?? null } : { valid: false })
}

const listParameters = ['team_id', 'key_alias', 'cursor', 'limit', 'size']
const litellmListParameters = ['page', 'user_id', 'organization_id', 'key_hash', 'return_full_object', 'include_team_keys', 'include_created_by_keys', 'sort_by', 'sort_order', 'expand', 'status', 'project_id', 'access_group_id']
const changes = { method: 'POST', shape: 'litellm', body: 'required', changes: true } as const

/** What the keys function serves, beside `commonRoutes`. */
export const keyRoutes: readonly Route[] = [
  { ...changes, path: '/key/generate', action: ['keys:create'], body: 'optional', handler: generate },
  { ...changes, path: '/key/delete', action: ['keys:delete'], handler: deleteKeys },
  { ...changes, path: '/key/{key}/regenerate', action: ['keys:rotate'], body: 'optional', handler: regenerate },
  { ...changes, path: '/key/regenerate', action: ['keys:rotate'], handler: regenerate },
  { method: 'GET', path: '/key/info', shape: 'litellm', action: ['keys:read'], query: ['key', 'key_alias', 'team_id'], handler: info },
  { method: 'GET', path: '/key/list', shape: 'litellm', action: ['keys:read'], query: listParameters, unsupportedQuery: litellmListParameters, handler: listKeys },
  { method: 'POST', path: '/key/verify', shape: 'litellm', action: ['keys:verify'], body: 'required', handler: verify },
  ...writeRoutes,
]
