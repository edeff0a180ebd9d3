// LiteLLM's requests for virtual keys: which fields there are, what each becomes, and how a key is named in a path, a query or a body.
// What acts at a gateway is taken from the master key only: with it a caller could give itself rights that no grant names.
import * as z from 'zod/mini'
import { LatchkeyError } from '../core/errors.ts'
import { SecretValue } from '../core/secret.ts'
import type { KeyRequest, KeyTarget, RotateRequest } from '../core/virtual-key.ts'
import type { Exchange, JsonObject } from './api.ts'
import { badField } from './body.ts'
import { strictly, tolerantly } from './validation.ts'

const day = 86_400_000
const maxDurationMs = 3650 * day
const maxGraceMs = 30 * day

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: day, w: 7 * day }
const durationForm = /^(\d{1,9})(mo|[smhdw])$/

/** LiteLLM's durations, strictly: a whole number and one of s, m, h, d, w, mo (calendar months). @throws invalid_request naming form and limits */
export const durationMs = (text: string, path: string, now: number, minMs: number, maxMs: number): number => {
  const [, count = '', unit = ''] = durationForm.exec(text) ?? []
  if (unit === '') throw badField(path, 'must be a whole number and a unit, such as 30s, 30m, 30h, 30d, 1w or 2mo')
  const ms = unit === 'mo' ? monthsAfter(now, Math.min(Number(count), 1200)) - now : Number(count) * (units[unit] ?? 0)
  if (ms < minMs || ms > maxMs) throw badField(path, `must be from ${minMs / 1000} s to ${maxMs / day} d`)
  return ms
}

const monthsAfter = (now: number, months: number): number => {
  const date = new Date(now)
  const dayOfMonth = date.getUTCDate()
  date.setUTCDate(1)
  date.setUTCMonth(date.getUTCMonth() + months)
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()
  date.setUTCDate(Math.min(dayOfMonth, last))
  return date.getTime()
}

const text = (max: number): z.ZodMiniString => z.string().check(z.minLength(1), z.maxLength(max), z.regex(/^[^\p{Cc}]*$/u, 'must not hold control characters'))
/** LiteLLM's clients send `null` for everything they leave out. */
const maybe = <T extends z.ZodMiniType>(type: T): z.ZodMiniOptional<z.ZodMiniNullable<T>> => z.optional(z.nullable(type))
const alias = text(200).check(z.refine((given) => !/^[\s-]*$/.test(given), 'must hold a letter or a digit'))
const tokenForm = z.string().check(z.minLength(1), z.maxLength(512), z.regex(/^[\x21-\x7e]*$/, 'must be printable ASCII without spaces'))
const duration = z.string().check(z.regex(durationForm, 'must be a whole number and a unit, such as 30s, 30m, 30h, 30d, 1w or 2mo'))
const map = z.record(z.string(), z.unknown())
const list = z.array(text(256))
const count = z.int().check(z.gte(0))
const money = z.number().check(z.gte(0))

/** Fields that act at a gateway with its master key. */
const gatewayFields = {
  user_id: text(256), organization_id: text(256), permissions: map, key_type: z.enum(['default', 'llm_api', 'management', 'read_only']), allowed_routes: list, allowed_passthrough_routes: list,
  object_permission: map, max_budget: money, soft_budget: money, budget_id: text(256), budget_duration: duration, model_max_budget: map,
}

/** Fields that are kept and echoed, and enforced by nobody here. */
const keptFields = {
  models: list, metadata: map, tags: list, aliases: map, config: map, spend: money, max_parallel_requests: count, tpm_limit: count, rpm_limit: count, tpm_limit_type: text(64), rpm_limit_type: text(64),
  model_rpm_limit: map, model_tpm_limit: map, allowed_cache_controls: list, guardrails: list, policies: list, prompts: list, enforced_params: list, router_settings: map, agent_id: text(256), project_id: text(256),
  allowed_vector_store_indexes: z.array(map), access_group_ids: list, disabled_callbacks: list, auto_rotate: z.boolean(), rotation_interval: duration,
}

const optional = <T extends Readonly<Record<string, z.ZodMiniType>>>(fields: T): { [K in keyof T]: z.ZodMiniOptional<z.ZodMiniNullable<T[K]>> } =>
  Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, maybe(type)])) as { [K in keyof T]: z.ZodMiniOptional<z.ZodMiniNullable<T[K]>> }

const ownFields = { key_alias: alias, team_id: text(256), duration, key: tokenForm, blocked: z.boolean(), send_invite_email: z.boolean() }
const generateSchema = z.object({ ...optional(ownFields), ...optional(gatewayFields), ...optional(keptFields) })
const rotateSchema = z.object(optional({ key: tokenForm, key_alias: alias, team_id: text(256), new_key: tokenForm, new_master_key: z.string(), grace_period: z.string() }))
const deleteSchema = z.object(optional({ keys: z.array(tokenForm), key_aliases: z.array(alias), team_id: text(256) }))
const verifySchema = z.object({ key: tokenForm })

/** A request for a new key, with what was kept and what was not. @throws invalid_request, forbidden for fields that act at the gateway */
export const generateRequest = (exchange: Exchange): { readonly request: KeyRequest; readonly warnings: readonly string[] } => {
  const { fields, warnings } = tolerantly(generateSchema, exchange.body)
  if (fields.blocked === true) throw badField('blocked', 'must be false or left out: blocking a key is not built yet')
  const sent = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null)
  const acting = sent.map(([name]) => name).filter((name) => name in gatewayFields)
  if (acting.length > 0 && !exchange.caller.master) {
    throw new LatchkeyError('forbidden', `${acting.join(', ')}: acts at the gateway and needs a grant that names it; only the master key may send it.`, { param: acting[0] ?? '' })
  }
  const now = exchange.services.runtime.clock.now()
  const data = Object.fromEntries(sent.filter(([name]) => !(name in ownFields)))
  const unheeded = Object.keys(data).filter((name) => !['metadata', 'tags'].includes(name))
  return {
    request: {
      ...(fields.key_alias == null ? {} : { alias: fields.key_alias }),
      ...(fields.team_id == null ? {} : { teamId: fields.team_id }),
      ...(fields.duration == null ? {} : { durationMs: durationMs(fields.duration, 'duration', now, 1000, maxDurationMs) }),
      ...(fields.key == null ? {} : { token: SecretValue.of(fields.key) }),
      ...(Object.keys(data).length === 0 ? {} : { data }),
    },
    warnings: [
      ...warnings,
      ...(unheeded.length === 0 ? [] : [`${unheeded.join(', ')}: kept and echoed, not enforced by Latchkey.`]),
      ...(fields.send_invite_email === true ? ['send_invite_email: Latchkey sends no mail; it was ignored.'] : []),
    ],
  }
}

/** Which key a text means: 64 hex digits are a token's hash, `sk-…` is a token, anything else a key id. @throws invalid_request without the text */
export const targetOf = (given: string, path: string): KeyTarget => {
  if (!/^[\x21-\x7e]{1,512}$/.test(given)) throw badField(path, 'must be 1 to 512 printable ASCII characters without spaces', 'Send a key id, a token or its SHA-256.')
  if (/^[0-9a-f]{64}$/i.test(given)) return { sha256: given.toLowerCase() }
  return given.startsWith('sk-') ? { token: SecretValue.of(given) } : { keyId: given }
}

/** What to rotate and how. An alias beside a key is no new name: renaming is another route's. */
export const rotateRequest = (exchange: Exchange): { readonly target: KeyTarget; readonly alias?: string; readonly request: RotateRequest; readonly warnings: readonly string[] } => {
  const { fields, warnings } = tolerantly(rotateSchema, exchange.body)
  const inPath = exchange.params['key']
  if (fields.new_master_key != null) throw badField('new_master_key', 'must be left out: the master key is changed where it is configured')
  if (inPath !== undefined && fields.key != null && fields.key !== inPath) throw badField('key', 'names another key than the path', 'Send one of them.')
  const key = inPath ?? fields.key ?? undefined
  if (key === undefined && fields.key_alias == null) throw badField('key', 'must be given, or key_alias', 'Send the key id, the token or its SHA-256 as key.')
  const target = key === undefined ? aliasTarget(fields.key_alias ?? '', fields.team_id ?? undefined) : targetOf(key, 'key')
  const grace = fields.grace_period == null ? undefined : durationMs(fields.grace_period === '0' ? '0s' : fields.grace_period, 'grace_period', exchange.services.runtime.clock.now(), 0, maxGraceMs)
  return {
    target,
    ...(key === undefined || fields.key_alias == null ? {} : { alias: fields.key_alias }),
    request: { ...(fields.new_key == null ? {} : { newToken: SecretValue.of(fields.new_key) }), ...(grace === undefined ? {} : { graceMs: grace }) },
    warnings: warnings.map((warning) => warning.replace('is not a field that Latchkey knows', 'is not changed by a rotation')),
  }
}

/** A key by its alias, which is unique per store, or per team where names hold the team. */
export const aliasTarget = (given: string, teamId: string | undefined): KeyTarget => ({ alias: given, ...(teamId === undefined ? {} : { teamId }) })

/** One key of a delete, and how the request named it; a token is never repeated. */
export interface DeleteItem {
  readonly path: string
  readonly alias?: string
  readonly target: KeyTarget
}

const maxDeletes = 100

/** The keys to delete, in the request's order. @throws invalid_request */
export const deleteRequest = (body: JsonObject): { readonly items: readonly DeleteItem[]; readonly warnings: readonly string[] } => {
  const { fields, warnings } = tolerantly(deleteSchema, body)
  const items = [
    ...(fields.keys ?? []).map((key, index): DeleteItem => ({ path: `keys[${index}]`, target: targetOf(key, `keys[${index}]`) })),
    ...(fields.key_aliases ?? []).map((given, index): DeleteItem => ({ path: `key_aliases[${index}]`, alias: given, target: aliasTarget(given, fields.team_id ?? undefined) })),
  ]
  if (items.length > maxDeletes) throw badField('keys', `and key_aliases name ${items.length} keys; the limit is ${maxDeletes}`, 'Send several requests.')
  return { items, warnings }
}

/** The token to verify. @throws invalid_request */
export const verifyRequest = (body: JsonObject): SecretValue => SecretValue.of(strictly(verifySchema, body).key)
