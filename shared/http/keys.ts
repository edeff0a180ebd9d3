// LiteLLM's key routes over the key lifecycle: the table of them, and those that make and change one key. Batches and what only looks stand in `keys/`.
import { LatchkeyError } from '../core/errors.ts'
import type { KeyLifecycle } from '../core/key-lifecycle.ts'
import type { KeyInfo } from '../core/virtual-key.ts'
import type { Answer, Exchange, Route } from './api.ts'
import { demand } from './auth.ts'
import { badField } from './body.ts'
import { eventRoutes } from './events/rotation.ts'
import { changeBody, infoBody, keptBody } from './key-answers.ts'
import { blockRequest, changesSomething, generateRequest, rotateRequest, updateRequest, type Change } from './key-requests.ts'
import { audited, contextOf, demandFields, keysOf, theirKey } from './keys/access.ts'
import { adoptKeys, deleteKeys, reconcileKeys } from './keys/batches.ts'
import { checkRotation } from './keys/terms.ts'
import { keyHealth, keyInfo, listKeys, listParameters, litellmListParameters, verifyKey } from './keys/views.ts'
import { answer } from './problem.ts'
import { writeRoutes } from './secret-writes.ts'

const nowOf = (exchange: Exchange): number => exchange.services.runtime.clock.now()

const generate = async (exchange: Exchange): Promise<Answer> => {
  const { request, enforced, warnings } = generateRequest(exchange.body, nowOf(exchange))
  const team = request.teamId ?? null
  demand(exchange.caller, ['keys:create'], { team })
  demandFields(exchange, 'keys:create', enforced, team)
  const keys = await keysOf(exchange)
  const made = await keys.create(request, contextOf(exchange))
  const receipt = await exchange.record({ decision: 'allowed', ...audited(made) })
  return answer(receipt, 200, changeBody(made, exchange.caller.name, 'create', warnings, { duration: exchange.body['duration'] ?? null }))
}

/** Whether a change can be judged only by looking at the key first. A key that is not looked at can be in the middle of the very operation that is repeated. */
const needsLook = (exchange: Exchange, { change, enforced }: Change): boolean => {
  const { data } = change
  const rotation = data?.['auto_rotate'] === true || (data !== undefined && 'rotation_interval' in data && data['rotation_interval'] === null)
  return rotation || (!exchange.caller.master && (enforced.length > 0 || change.teamId !== undefined))
}

/** @throws forbidden when the caller may not change this key so, or may not give it to the team that it is to have */
const checkChange = (exchange: Exchange, { change, enforced }: Change, info: KeyInfo | undefined): void => {
  const teams = [...(info === undefined ? [] : [info.teamId ?? null]), ...(change.teamId === undefined ? [] : [change.teamId])]
  for (const team of teams) {
    demand(exchange.caller, ['keys:update'], { team })
    demandFields(exchange, 'keys:update', enforced, team)
  }
  checkRotation(change.data ?? {}, nowOf(exchange), info?.data)
}

const block = async (keys: KeyLifecycle, asked: Pick<ReturnType<typeof blockRequest>, 'target' | 'warnings'>, blocked: boolean, exchange: Exchange): Promise<Answer> => {
  const { target } = await theirKey(keys, asked.target, 'keys:block', exchange)
  const changed = await keys.setBlocked(target, blocked, contextOf(exchange))
  const receipt = await exchange.record({ decision: 'allowed', ...audited(changed, 'keys:block') })
  return answer(receipt, 200, keptBody(changed, exchange.caller.name, asked.warnings))
}

const blockKey = async (exchange: Exchange): Promise<Answer> => block(await keysOf(exchange), blockRequest(exchange.body), true, exchange)
const unblockKey = async (exchange: Exchange): Promise<Answer> => block(await keysOf(exchange), blockRequest(exchange.body), false, exchange)

/** `blocked` beside other changes would be a second operation, unless the key is so already. @throws invalid_request */
const checkBlocked = (blocked: boolean | undefined, info: KeyInfo | undefined): void => {
  if (blocked === undefined || info === undefined || (info.state === 'blocked') === blocked) return
  throw badField('blocked', `goes by itself where it changes the key, which is ${blocked ? 'not blocked' : 'blocked'}; nothing was changed`, `Send POST /key/${blocked ? 'block' : 'unblock'}, and this request without blocked.`)
}

/** @throws invalid_request for a team beside an alias that names the key: it says where the alias is, and moves nothing */
const checkAliasTeam = (team: string | undefined, info: KeyInfo | undefined): void => {
  if (team === undefined || info === undefined || info.teamId === team) return
  throw badField('team_id', 'is not the team of the key that key_alias names', 'To move a key to another team, name it by key: {"key": "<key id>", "team_id": "<team>"}.')
}

const update = async (exchange: Exchange): Promise<Answer> => {
  const asked = updateRequest(exchange.body, nowOf(exchange))
  const keys = await keysOf(exchange)
  const changes = changesSomething(asked)
  if (!changes && asked.blocked !== undefined) return block(keys, asked, asked.blocked, exchange)
  const look = !changes || asked.blocked !== undefined || asked.aliasTeam !== undefined || needsLook(exchange, asked)
  const { target, info } = await theirKey(keys, asked.target, 'keys:update', exchange, look)
  checkAliasTeam(asked.aliasTeam, info)
  checkChange(exchange, asked, info)
  checkBlocked(asked.blocked, info)
  if (!changes && info !== undefined) {
    const receipt = await exchange.record({ decision: 'allowed', ...audited(info) })
    return answer(receipt, 200, { ...infoBody(info), key: info.keyId, operation_id: null, warnings: [...asked.warnings, 'The request changes nothing; the key is as it was.'] })
  }
  const changed = await keys.update(target, asked.change, contextOf(exchange))
  const receipt = await exchange.record({ decision: 'allowed', ...audited(changed) })
  return answer(receipt, 200, keptBody(changed, exchange.caller.name, asked.warnings))
}

/**
 * LiteLLM's regenerate changes fields and alias too. They go first, as an operation of its own: an alias that is taken costs no token, and should the rotation fail, a
 * repetition finds them done. The alias that the key has already is no change.
 */
const changeBefore = async (keys: KeyLifecycle, { change: given, enforced }: Change, info: KeyInfo, exchange: Exchange): Promise<boolean> => {
  const { alias, ...rest } = given
  const change = alias === undefined || alias === info.alias ? rest : given
  if (!changesSomething({ change })) return false
  checkChange(exchange, { change, enforced }, info)
  const changed = await keys.update({ keyId: info.keyId }, change, contextOf(exchange, '#update'))
  await exchange.record({ decision: 'allowed', ...audited(changed, 'keys:update') })
  return true
}

const regenerate = async (exchange: Exchange): Promise<Answer> => {
  const asked = rotateRequest(exchange)
  const keys = await keysOf(exchange)
  const { target, info } = await theirKey(keys, asked.target, 'keys:rotate', exchange, changesSomething(asked))
  const changed = info !== undefined && changesSomething(asked) && (await changeBefore(keys, asked, info, exchange))
  const rotated = await keys.rotate(target, asked.request, contextOf(exchange)).catch((error: unknown) => {
    if (!changed || !(error instanceof LatchkeyError)) throw error
    throw error.with({ applied: 'unknown' }, `${error.message} What the request changes beside the token was done before.`)
  })
  const receipt = await exchange.record({ decision: 'allowed', ...audited(rotated, 'keys:rotate') })
  return answer(receipt, 200, changeBody(rotated, exchange.caller.name, 'rotate', asked.warnings))
}

const changes = { method: 'POST', shape: 'litellm', body: 'required', changes: true } as const

/** What the keys function serves, beside `commonRoutes`. */
export const keyRoutes: readonly Route[] = [
  { ...changes, path: '/key/generate', action: ['keys:create'], body: 'optional', handler: generate },
  { ...changes, path: '/key/update', action: ['keys:update', 'keys:block'], handler: update },
  { ...changes, path: '/key/block', action: ['keys:block'], handler: blockKey },
  { ...changes, path: '/key/unblock', action: ['keys:block'], handler: unblockKey },
  { ...changes, path: '/key/delete', action: ['keys:delete'], handler: deleteKeys },
  { ...changes, path: '/key/{key}/regenerate', action: ['keys:rotate'], body: 'optional', handler: regenerate },
  { ...changes, path: '/key/regenerate', action: ['keys:rotate'], handler: regenerate },
  { method: 'GET', path: '/key/info', shape: 'litellm', action: ['keys:read'], query: ['key', 'key_alias', 'team_id'], handler: keyInfo },
  { method: 'GET', path: '/key/list', shape: 'litellm', action: ['keys:read'], query: listParameters, unsupportedQuery: litellmListParameters, handler: listKeys },
  { method: 'POST', path: '/key/verify', shape: 'litellm', action: ['keys:verify'], body: 'required', handler: verifyKey },
  { method: 'POST', path: '/key/health', shape: 'litellm', action: 'public', audit: 'keys:verify', body: 'optional', handler: keyHealth },
  { ...changes, path: '/keys:adopt', shape: 'problem', action: ['keys:adopt'], handler: adoptKeys },
  { ...changes, path: '/keys:reconcile', shape: 'problem', action: ['keys:reconcile'], body: 'optional', handler: reconcileKeys },
  ...writeRoutes,
  ...eventRoutes,
]
