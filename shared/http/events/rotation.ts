// `POST /events/rotation`: for schedulers that only speak HTTP, and for managers that send no event of their own (Vault, Conjur, Infisical). The grant is what proves the
// sender; what it names is judged like any event.
import * as z from 'zod/mini'
import { LatchkeyError } from '../../core/errors.ts'
import type { RotationEvent, RotationOutcome } from '../../core/rotation/event.ts'
import type { AuditReceipt } from '../../core/runtime.ts'
import type { Answer, Exchange, Route } from '../api.ts'
import { demand } from '../auth.ts'
import { badField } from '../body.ts'
import { demandEveryTeam, keysOf, theirKey } from '../keys/access.ts'
import { optional, text } from '../keys/fields.ts'
import { answer } from '../problem.ts'
import { checkName } from '../routing.ts'
import { strictly } from '../validation.ts'

const schema = z.object({
  kind: z.enum(['rotate', 'invalidate', 'due']),
  ...optional({ key_id: text(52), name: text(512), store: text(64), event_id: text(256), scheduled_time: text(40), cursor: text(2048) }),
})

const dateOf = (given: string | null | undefined): { readonly at?: Date } => {
  if (given == null) return {}
  const at = Date.parse(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/.test(given) ? given : '')
  if (Number.isNaN(at)) throw badField('scheduled_time', 'must be a time as RFC 3339 has it', 'Write 2026-11-22T09:00:00Z.')
  return { at: new Date(at) }
}

/** @throws invalid_request for what does not go together */
const eventOf = ({ body, requestId }: Exchange): RotationEvent => {
  const fields = strictly(schema, body)
  const [keyId, name, store, cursor] = [fields.key_id ?? undefined, fields.name ?? undefined, fields.store ?? undefined, fields.cursor ?? undefined]
  const named = [keyId, name].filter((given) => given !== undefined).length
  if (fields.kind === 'due' ? named > 0 || store !== undefined : named !== 1) throw badField('name', fields.kind === 'due' ? 'goes with rotate and invalidate; due looks at every key' : 'or key_id must be given, one of the two')
  if (cursor !== undefined && fields.kind !== 'due') throw badField('cursor', 'goes with due only')
  if (keyId !== undefined && (store !== undefined || !/^[a-z0-9]{1,52}$/.test(keyId))) throw badField('key_id', 'must be the id of a key, and goes without store')
  return {
    source: 'http', kind: fields.kind, id: fields.event_id ?? requestId, ...dateOf(fields.scheduled_time),
    ...(keyId === undefined ? {} : { keyId }), ...(name === undefined ? {} : { name: checkName(name, 'name') }), ...(store === undefined ? {} : { store }), ...(cursor === undefined ? {} : { cursor }),
  }
}

/** What a refused event is answered with; a cloud is told nothing of it but that it need not come again. */
const refusal = ({ reason, message, error }: RotationOutcome): LatchkeyError => {
  if (error !== undefined) return error
  return reason === 'not_ours' ? new LatchkeyError('not_found', 'There is no such secret or key here that is Latchkey’s.', { param: 'name' }) : new LatchkeyError('invalid_request', message, { param: 'kind' })
}

const bodyOf = ({ decision, reason, message, store, name, keyId, operationId, version, swept, cursor }: RotationOutcome) => ({
  decision, reason, message, store, name, key_id: keyId, operation_id: operationId, version, swept, next_cursor: cursor ?? null,
})

const rotation = async (exchange: Exchange): Promise<Answer> => {
  const event = eventOf(exchange)
  if (event.kind === 'due') demandEveryTeam(exchange, 'events:rotate')
  if (event.name !== undefined) {
    demand(exchange.caller, ['events:rotate'], { name: event.name })
    // A grant for one team's keys says nothing of names.
    demandEveryTeam(exchange, 'events:rotate')
  }
  if (event.keyId !== undefined) await theirKey(await keysOf(exchange), { keyId: event.keyId }, 'events:rotate', exchange)
  const outcome = await (await exchange.services.rotator()).handle(event, exchange.call, (line) => exchange.record(line))
  const { receipt } = outcome
  if (outcome.decision === 'done' || outcome.decision === 'ignored') return answer(receipt as AuditReceipt, 200, bodyOf(outcome))
  throw outcome.decision === 'refused' ? refusal(outcome) : (outcome.error ?? new LatchkeyError('internal', 'Something failed inside Latchkey; the request id leads to the log line.'))
}

/** What the keys function serves of events. */
export const eventRoutes: readonly Route[] = [{ method: 'POST', path: '/events/rotation', shape: 'problem', action: ['events:rotate'], body: 'required', changes: true, handler: rotation }]
