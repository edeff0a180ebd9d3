// Who may do what to which key. A caller confined to teams learns nothing about other teams' keys: what is not theirs is answered exactly as what is not there.
import { isCode, LatchkeyError } from '../../core/errors.ts'
import type { KeyLifecycle } from '../../core/key-lifecycle.ts'
import type { AuditEvent } from '../../core/runtime.ts'
import type { KeyInfo, KeyTarget, OperationContext } from '../../core/virtual-key.ts'
import type { Action, Caller, Exchange } from '../api.ts'
import { allows, covers, demand, teamsOf } from '../auth.ts'
import { canonicalText } from '../json-reader.ts'
import type { Enforced } from '../key-requests.ts'

/** The lifecycle, loaded by the first key route. */
export const keysOf = (exchange: Exchange): Promise<KeyLifecycle> => exchange.services.keys()

/** The operation that this request is. `part` tells apart the operations of a request that needs two; `body`: what a repetition must agree in, where that is not the whole request. */
export const contextOf = (exchange: Exchange, part = '', body = canonicalText(exchange.body)): OperationContext => {
  const idempotencyKey = exchange.headers['idempotency-key']
  return {
    call: exchange.call,
    caller: exchange.caller.name,
    route: `${exchange.route.method} ${exchange.route.path}${part}`,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    body,
  }
}

type Line = Omit<AuditEvent, 'decision' | 'caller' | 'requestId' | 'action'> & { readonly action?: string }

/** What an audit line says of a key. `action`: where it is not the route's first. */
export const audited = (info: KeyInfo & { readonly operationId?: string }, action?: Action): Line => ({
  ...(action === undefined ? {} : { action }),
  name: info.stored.name,
  store: info.stored.store,
  keyId: info.keyId,
  ...(info.teamId === undefined ? {} : { team: info.teamId }),
  ...(info.operationId === undefined ? {} : { operationId: info.operationId }),
  ...(info.stored.version === undefined ? {} : { version: info.stored.version }),
})

/** The answer for another team's key, and for none. */
export const notTheirs = (): LatchkeyError => new LatchkeyError('not_found', 'There is no such key among those that this caller may see.')

/**
 * The key as the operation may name it. For a caller for whom every key is covered that is as it was named, unless `look`; for one confined to teams the key is
 * looked up first, and named by its id from then on. @throws forbidden without any such grant; not_found alike for no key and another team's
 */
export const theirKey = async (keys: KeyLifecycle, target: KeyTarget, action: Action, exchange: Exchange, look = false): Promise<{ readonly target: KeyTarget; readonly info?: KeyInfo }> => {
  const { caller, call } = exchange
  demand(caller, [action])
  const confined = teamsOf(caller, action) !== undefined
  if (!confined && !look) return { target }
  const info = await keys.info(target, call).catch((error: unknown) => {
    throw confined && isCode(error, 'not_found') ? notTheirs() : error
  })
  if (!allows(caller, action, { team: info.teamId ?? null })) throw notTheirs()
  return { target: { keyId: info.keyId }, info }
}

/** Whether a grant for this action names a field that the gateway enforces, for a key of this team (`null`: a key without one). */
const allowsField = (caller: Caller, action: Action, field: string, team: string | null): boolean =>
  (caller.master ||
    caller.grants.some((grant) => covers(grant, action) && (grant.team === undefined || grant.team === '*' || grant.team === team) && grant.fields?.some((name) => name === '*' || name === field) === true)) &&
  (caller.also === undefined || allowsField(caller.also, action, field, team))

/** @throws forbidden for a field that the gateway enforces and that no grant of this caller names for this team */
export const demandFields = (exchange: Exchange, action: Action, enforced: Enforced, team: string | null): void => {
  const denied = enforced.filter(({ field }) => !allowsField(exchange.caller, action, field, team)).map(({ path }) => path)
  if (denied.length === 0) return
  throw new LatchkeyError('forbidden', `${denied.join(', ')}: acts at the gateway and needs a grant that names it; "${exchange.caller.name}" has none.`, {
    param: denied[0] ?? '',
    hint: `Have it named in the fields of a grant: { action: "${action}", fields: ["${enforced.find(({ path }) => path === denied[0])?.field ?? ''}"] }. The master key may send it.`,
  })
}

/** What is no key of ours yet has no team, and a page may hold every team's. @throws forbidden to callers confined to teams */
export const demandEveryTeam = (exchange: Exchange, action: Action): void => {
  demand(exchange.caller, [action])
  if (teamsOf(exchange.caller, action) === undefined) return
  throw new LatchkeyError('forbidden', `The grant ${action} of "${exchange.caller.name}" is for one team; this goes over every team's keys.`, { hint: `Ask whoever owns the configuration for { action: "${action}", team: "*" }.` })
}
