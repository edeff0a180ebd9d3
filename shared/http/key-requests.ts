// LiteLLM's requests that make, change and rotate one key, as the lifecycle takes them. What a request says of a field that is not its own is a
// warning; what Latchkey would have to do in two operations is refused, except where an order of the two is safe to repeat.
import * as z from 'zod/mini'
import { SecretValue } from '../core/secret.ts'
import type { KeyRequest, KeyTarget, KeyUpdate, RotateRequest } from '../core/virtual-key.ts'
import type { Exchange, JsonObject } from './api.ts'
import { badField } from './body.ts'
import { alias, dataFields, enforcedFields, optional, text, tokenForm } from './keys/fields.ts'
import { checkRotation, dataOf, graceMs, lifetimeMs, namedKey, namesNoKey, suppliedToken, unenforced } from './keys/terms.ts'
import { strictly, tolerantly } from './validation.ts'

const naming = { key_alias: alias, team_id: text(256), key: tokenForm }
const duration = z.string()
const mail = { send_invite_email: z.boolean() }
const generateSchema = z.object({ ...optional({ ...naming, duration, blocked: z.boolean(), ...mail }), ...dataFields })
const updateSchema = z.object({ ...optional({ ...naming, duration, blocked: z.boolean(), ...mail }), ...dataFields })
const rotateSchema = z.object({ ...optional({ ...naming, duration, blocked: z.boolean(), ...mail, new_key: tokenForm, new_master_key: z.string(), grace_period: z.string() }), ...dataFields })
const blockSchema = z.object(optional(naming))
const verifySchema = z.object({ key: tokenForm })
const healthSchema = z.object(optional({ key: tokenForm }))

const mailWarning = (sent: unknown): readonly string[] => (sent === true ? ['send_invite_email: Latchkey sends no mail; it was ignored.'] : [])

/** Fields that the gateway enforces, as a request sends them. */
export type Enforced = ReturnType<typeof enforcedFields>

/** A request for a new key, with what was kept and what was not. `null` counts as left out. @throws invalid_request */
export const generateRequest = (body: JsonObject, now: number): { readonly request: KeyRequest; readonly enforced: Enforced; readonly warnings: readonly string[] } => {
  const { fields, warnings } = tolerantly(generateSchema, body)
  if (fields.blocked === true) throw badField('blocked', 'must be false or left out: a key is made unblocked', 'Make the key, then send its key_id to POST /key/block.')
  const data = Object.fromEntries(Object.entries(dataOf(fields)).filter(([, value]) => value !== null))
  checkRotation(data, now)
  return {
    request: {
      ...(fields.key_alias == null ? {} : { alias: fields.key_alias }),
      ...(fields.team_id == null ? {} : { teamId: fields.team_id }),
      ...(fields.duration == null ? {} : { durationMs: lifetimeMs(fields.duration, now) }),
      ...(fields.key == null ? {} : { token: suppliedToken(fields.key, 'key') }),
      ...(Object.keys(data).length === 0 ? {} : { data }),
    },
    enforced: enforcedFields(data),
    warnings: [...warnings, ...unenforced(data), ...mailWarning(fields.send_invite_email)],
  }
}

/** What a request changes of a key that is there. */
export interface Change {
  readonly change: KeyUpdate
  readonly enforced: Enforced
}

/** `null` takes off what can be taken off, as LiteLLM's update does. A team beside an alias that names the key says where the alias is, and changes nothing. */
const changeOf = (fields: Readonly<Record<string, unknown>> & { readonly duration?: string | null | undefined; readonly team_id?: string | null | undefined }, byKey: boolean, now: number): Change => {
  const data = dataOf(fields)
  const never = fields.duration === null || fields.duration === '-1'
  return {
    change: {
      ...(byKey && fields.team_id !== undefined ? { teamId: fields.team_id } : {}),
      ...(fields.duration === undefined ? {} : { durationMs: never || fields.duration === null ? null : lifetimeMs(fields.duration, now) }),
      ...(Object.keys(data).length === 0 ? {} : { data }),
    },
    enforced: enforcedFields(data),
  }
}

/** Whether anything is to be changed at all. */
export const changesSomething = ({ change }: Pick<Change, 'change'>): boolean => Object.keys(change).length > 0

/** An update of one key. */
export interface UpdateAsked extends Change {
  readonly target: KeyTarget
  /** The team in which an alias that names the key is looked for. */
  readonly aliasTeam?: string
  readonly blocked?: boolean
  readonly warnings: readonly string[]
}

/** @throws invalid_request, also for a request that names no key */
export const updateRequest = (body: JsonObject, now: number): UpdateAsked => {
  const { fields, warnings } = tolerantly(updateSchema, body)
  const target = namedKey({ key: fields.key ?? undefined, alias: fields.key_alias ?? undefined, team: fields.team_id ?? undefined }, 'key')
  if (target === undefined) throw namesNoKey()
  const byKey = fields.key != null
  const { change, enforced } = changeOf(fields, byKey, now)
  return {
    target,
    enforced,
    change: { ...change, ...(byKey && fields.key_alias != null ? { alias: fields.key_alias } : {}) },
    ...(byKey || fields.team_id == null ? {} : { aliasTeam: fields.team_id }),
    ...(fields.blocked == null ? {} : { blocked: fields.blocked }),
    warnings: [...warnings, ...unenforced(change.data ?? {}), ...mailWarning(fields.send_invite_email)],
  }
}

/** A rotation, and what is changed of the key before it. */
export interface RotateAsked extends Change {
  readonly target: KeyTarget
  readonly request: RotateRequest
  readonly warnings: readonly string[]
}

/** What to rotate and how. An alias beside a key is its new one. @throws invalid_request */
export const rotateRequest = ({ body, params, services }: Exchange): RotateAsked => {
  const now = services.runtime.clock.now()
  const { fields, warnings } = tolerantly(rotateSchema, body)
  const inPath = params['key']
  if (fields.new_master_key != null) throw badField('new_master_key', 'must be left out: the master key is changed where it is configured')
  if (inPath !== undefined && fields.key != null && fields.key !== inPath) throw badField('key', 'names another key than the path', 'Send one of them.')
  const key = inPath ?? fields.key ?? undefined
  const target = namedKey({ key, alias: fields.key_alias ?? undefined, team: fields.team_id ?? undefined }, 'key')
  if (target === undefined) throw namesNoKey()
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))
  const { change, enforced } = changeOf(given, key !== undefined, now)
  return {
    target,
    change: { ...change, ...(key === undefined || fields.key_alias == null ? {} : { alias: fields.key_alias }) },
    enforced,
    request: {
      ...(fields.new_key == null ? {} : { newToken: suppliedToken(fields.new_key, 'new_key') }),
      ...(fields.grace_period == null ? {} : { graceMs: graceMs(fields.grace_period, now) }),
    },
    warnings: [
      ...warnings.map((warning) => warning.replace('is not a field that Latchkey knows', 'is not changed by a rotation')),
      ...(fields.blocked == null ? [] : ['blocked: is not changed by a rotation; it was ignored. POST /key/block and /key/unblock change it.']),
      ...unenforced(change.data ?? {}),
      ...mailWarning(fields.send_invite_email),
    ],
  }
}

/** The key to block or unblock. @throws invalid_request */
export const blockRequest = (body: JsonObject): { readonly target: KeyTarget; readonly warnings: readonly string[] } => {
  const { fields, warnings } = tolerantly(blockSchema, body)
  const target = namedKey({ key: fields.key ?? undefined, alias: fields.key_alias ?? undefined, team: fields.team_id ?? undefined }, 'key')
  if (target === undefined) throw namesNoKey()
  return { target, warnings }
}

/** The token to verify. @throws invalid_request */
export const verifyRequest = (body: JsonObject): SecretValue => SecretValue.of(strictly(verifySchema, body).key)

/** The token whose health is asked for, where the body names one: the token itself, because only by it can be told whether it is accepted. @throws invalid_request */
export const healthRequest = (body: JsonObject): SecretValue | undefined => {
  const { fields } = tolerantly(healthSchema, body)
  if (fields.key == null) return undefined
  if (!fields.key.startsWith('sk-')) throw badField('key', 'must be the token itself, which begins with "sk-"', 'GET /key/info tells about a key by its id.')
  return SecretValue.of(fields.key)
}
