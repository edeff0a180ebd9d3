// Routes about many keys. Each item is an operation of its own with its own outcome, audit line and result; the first failure ends nothing.
import { asLatchkeyError, isCode, LatchkeyError } from '../../core/errors.ts'
import type { KeyLifecycle } from '../../core/key-lifecycle.ts'
import type { AuditReceipt } from '../../core/runtime.ts'
import type { Adoptable, AdoptRequest, Reconciled } from '../../core/virtual-key.ts'
import type { Answer, Exchange, JsonObject } from '../api.ts'
import { demand, seesDetail } from '../auth.ts'
import { badField } from '../body.ts'
import { adoptedBody, deletedBody, keptBody, reconciledBody } from '../key-answers.ts'
import { litellmBody, problemBody } from '../failures.ts'
import { canonicalText } from '../json-reader.ts'
import { answer, type Body } from '../problem.ts'
import { audited, contextOf, demandEveryTeam, demandFields, keysOf, notTheirs, theirKey } from './access.ts'
import { adoptRequest, deleteRequest, reconcileRequest, type AdoptAsked, type DeleteItem } from './batch-requests.ts'

/** What became of one item that failed: an answer for it and a line; what ends the whole request is thrown on. */
const itemFailure = async (thrown: unknown, exchange: Exchange, name?: string): Promise<{ readonly error: LatchkeyError; readonly receipt: AuditReceipt }> => {
  if (isCode(thrown, 'audit_unavailable') || exchange.call.signal.aborted) throw thrown
  const error = asLatchkeyError(thrown)
  if (error !== thrown) exchange.services.runtime.log.log('error', 'unexpected failure', { request_id: exchange.requestId, route: exchange.route.path })
  const { operationId } = error.details
  const receipt = await exchange.record({ decision: isCode(error, 'forbidden') ? 'denied' : 'failed', code: error.code, ...(name === undefined ? {} : { name }), ...(operationId === undefined ? {} : { operationId }) })
  return { error, receipt }
}

interface Deletion {
  readonly body: Body
  readonly receipt: AuditReceipt
  readonly keyId?: string
  readonly error?: LatchkeyError
}

const deleteOne = async (keys: KeyLifecycle, item: DeleteItem, exchange: Exchange): Promise<Deletion> => {
  try {
    if (item.target instanceof LatchkeyError) throw item.target
    const { target } = await theirKey(keys, item.target, 'keys:delete', exchange)
    const removed = await keys.remove(target, contextOf(exchange))
    return { receipt: await exchange.record({ decision: 'allowed', ...audited(removed) }), keyId: removed.keyId, body: { item: item.path, ...deletedBody(removed) } }
  } catch (thrown) {
    const { error, receipt } = await itemFailure(thrown, exchange)
    return { error, receipt, body: { item: item.path, ...(item.alias === undefined ? {} : { key_alias: item.alias }), deleted: false, ...litellmBody(error, exchange.requestId, seesDetail(exchange.caller)) } }
  }
}

/** One after the other, each with its own outcome. */
export const deleteKeys = async (exchange: Exchange): Promise<Answer> => {
  const { items, warnings } = deleteRequest(exchange.body)
  if (items.length === 0) {
    const error = badField('keys', 'and key_aliases are both empty; name 1 to 100 keys', 'Send {"keys": ["<key id>"]} or {"key_aliases": ["<alias>"]}.')
    const receipt = await exchange.record({ decision: 'failed', code: error.code })
    return answer(receipt, 422, litellmBody(error, exchange.requestId, false, 422))
  }
  const keys = await keysOf(exchange)
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

interface Adoption {
  readonly body: Body
  readonly receipt: AuditReceipt
  readonly adopted: boolean
}

/** A repetition must agree in what this one key gets, not in the page that it stood on. */
const adoptOne = async (keys: KeyLifecycle, item: Adoptable, { given }: AdoptAsked, exchange: Exchange): Promise<Adoption> => {
  const { name } = item.stored
  try {
    const request: AdoptRequest = { ...given, alias: item.alias }
    const made = await keys.adopt(request, contextOf(exchange, '', canonicalText({ ...givenText(exchange.body), key_alias: item.alias })))
    return { adopted: true, receipt: await exchange.record({ decision: 'allowed', ...audited(made) }), body: adoptedBody(made) }
  } catch (thrown) {
    const { error, receipt } = await itemFailure(thrown, exchange, name)
    return { adopted: false, receipt, body: { key_alias: item.alias, adopted: false, stored: storedBody(item), error: problemBody(error, exchange.requestId, seesDetail(exchange.caller)) } }
  }
}

const givenText = (body: JsonObject): JsonObject => Object.fromEntries(Object.entries(body).filter(([name]) => !['all', 'dry_run', 'cursor', 'limit'].includes(name)))
const storedBody = ({ stored }: Adoptable): Body => ({ store: stored.store, name: stored.name, version: stored.version ?? null })

const adoptPage = async (keys: KeyLifecycle, asked: AdoptAsked, page: NonNullable<AdoptAsked['all']>, exchange: Exchange): Promise<Answer> => {
  const { dryRun, ...query } = page
  const { items, cursor } = await keys.adoptable(query, exchange.call)
  const more = { dry_run: dryRun, next_cursor: cursor ?? null, warnings: asked.warnings }
  if (dryRun) {
    const receipt = await exchange.record({ decision: 'allowed' })
    return answer(receipt, 200, { results: items.map((item) => ({ key_alias: item.alias, adopted: false, stored: storedBody(item) })), adopted: 0, ...more })
  }
  const done: Adoption[] = []
  for (const item of items) done.push(await adoptOne(keys, item, asked, exchange))
  const receipt = done.at(-1)?.receipt ?? (await exchange.record({ decision: 'allowed' }))
  return answer(receipt, 200, { results: done.map(({ body }) => body), adopted: done.filter(({ adopted }) => adopted).length, ...more })
}

/** Takes secrets over that LiteLLM stored, one or a page of them; a page is only shown unless `dry_run` is false. */
export const adoptKeys = async (exchange: Exchange): Promise<Answer> => {
  const asked = adoptRequest(exchange.body, exchange.services.runtime.clock.now())
  demandEveryTeam(exchange, 'keys:adopt')
  demand(exchange.caller, ['keys:adopt'], { team: asked.given.teamId ?? null })
  demandFields(exchange, 'keys:adopt', asked.enforced, asked.given.teamId ?? null)
  const keys = await keysOf(exchange)
  if (asked.alias === undefined) return adoptPage(keys, asked, asked.all ?? { limit: 50, dryRun: true }, exchange)
  const made = await keys.adopt({ ...asked.given, alias: asked.alias }, contextOf(exchange))
  const receipt = await exchange.record({ decision: 'allowed', ...audited(made) })
  return answer(receipt, 200, { ...keptBody(made, exchange.caller.name, asked.warnings), adopted: true })
}

const lineOf = ({ name, keyId, action, finding }: Reconciled) => ({ decision: action === 'failed' ? ('failed' as const) : ('allowed' as const), name, code: finding, ...(keyId === undefined ? {} : { keyId }) })

/** One page of what is not as Latchkey left it, repaired if asked: a line for each key that was changed or could not be, and one for the page. */
export const reconcileKeys = async (exchange: Exchange): Promise<Answer> => {
  const asked = reconcileRequest(exchange.body)
  demandEveryTeam(exchange, 'keys:reconcile')
  const keys = await keysOf(exchange)
  const report = await keys.reconcile(asked, contextOf(exchange))
  for (const item of report.items) if (item.action === 'repaired' || item.action === 'failed') await exchange.record(lineOf(item))
  const receipt = await exchange.record({ decision: 'allowed' })
  return answer(receipt, 200, { repair: asked.repair, ...reconciledBody(report) })
}
