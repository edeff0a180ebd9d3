// LiteLLM's fields of a key request: the form of each, and what Latchkey does with it on each route. The schemas, the guard over what acts at a gateway
// and the table of the README are all made from here.
import * as z from 'zod/mini'
import { isGatewayField, type GatewayField } from '../../core/configuration/gateway-fields.ts'
import { parseDuration } from '../../core/virtual-key.ts'

/** Text without control characters. */
export const text = (max: number): z.ZodMiniString => z.string().check(z.minLength(1), z.maxLength(max), z.regex(/^[^\p{Cc}]*$/u, 'must not hold control characters'))

/** LiteLLM's clients send `null` for what they leave out, or take off. */
export const maybe = <T extends z.ZodMiniType>(type: T): z.ZodMiniOptional<z.ZodMiniNullable<T>> => z.optional(z.nullable(type))

/** Every field of a request may be left out. */
export const optional = <T extends Readonly<Record<string, z.ZodMiniType>>>(fields: T): { [K in keyof T]: z.ZodMiniOptional<z.ZodMiniNullable<T[K]>> } =>
  Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, maybe(type)])) as { [K in keyof T]: z.ZodMiniOptional<z.ZodMiniNullable<T[K]>> }

/** The form of an alias, as far as every store agrees on it; the rest is the store's grammar. */
export const alias = text(200).check(z.refine((given) => !/^[\s-]*$/.test(given), 'must hold a letter or a digit'))
/** The form of what may name a key. */
export const tokenForm = z.string().check(z.minLength(1), z.maxLength(512), z.regex(/^[\x21-\x7e]*$/, 'must be printable ASCII without spaces'))

/** How a duration is written. */
export const durationWords = 'must be a whole number and a unit, such as 30s, 30m, 30h, 30d, 1w or 2mo'
const duration = z.string().check(z.refine((given) => parseDuration(given, 0) !== undefined, durationWords))
const map = z.record(z.string(), z.unknown())
const maps = z.array(map)
const list = z.array(text(256))
const count = z.int().check(z.gte(0))
const money = z.number().check(z.gte(0))
const flag = z.boolean()

const enforced: Readonly<Record<GatewayField, z.ZodMiniType>> = {
  user_id: text(256), organization_id: text(256), project_id: text(256), agent_id: text(256),
  models: list, permissions: map, object_permission: map, key_type: z.enum(['default', 'llm_api', 'management', 'read_only']), allowed_routes: list, allowed_passthrough_routes: list, denied_passthrough_routes: list,
  access_group_ids: list, allowed_vector_store_indexes: maps,
  max_budget: money, soft_budget: money, budget_id: text(256), budget_duration: duration, budget_limits: maps, budget_fallbacks: map, model_max_budget: map, end_user_budget_id: text(256),
  temp_budget_increase: money, temp_budget_expiry: text(64), throttle_on_budget_exceeded: flag, spend: money,
  max_parallel_requests: count, tpm_limit: count, rpm_limit: count, tpd_limit: count, tpm_limit_type: text(64), rpm_limit_type: text(64), model_tpm_limit: map, model_rpm_limit: map,
  model_itpm_limit: map, model_otpm_limit: map, mcp_rpm_limit: map, tag_rpm_limit: map, default_estimated_output_tokens: count, default_estimated_output_tokens_per_model: map,
  aliases: map, config: map, router_settings: map, allowed_cache_controls: list, guardrails: list, disable_global_guardrails: flag, policies: list, prompts: list, enforced_params: list, disabled_callbacks: list,
  enable_prompt_caching: flag, logging: maps, enforced_batch_output_expires_after: map, enforced_file_expires_after: map, team_member_key_duration: text(64), secret_manager_settings: map,
}

const kept = { metadata: map, tags: list, auto_rotate: flag, rotation_interval: z.string() }

/** Everything that is kept with a key, by LiteLLM's names. */
export const dataFields = { ...optional(enforced), ...optional(kept) }

/** Whether a field is kept with the key as it was sent. */
export const isDataField = (name: string): boolean => name in dataFields

/** Which of a request's fields the gateway enforces, `metadata`'s members of those names included: there LiteLLM itself keeps some of them. */
export const enforcedFields = (sent: Readonly<Record<string, unknown>>): readonly { readonly path: string; readonly field: GatewayField }[] => {
  const { metadata } = sent
  const inner = metadata !== null && typeof metadata === 'object' ? Object.keys(metadata) : []
  return [...Object.keys(sent).map((field) => ({ path: field, field })), ...inner.map((field) => ({ path: `metadata.${field}`, field }))].filter((found): found is { path: string; field: GatewayField } => isGatewayField(found.field))
}

/** What becomes of a field. `grant`: it needs a grant that names it, and is then kept, echoed, and told to the gateway where one is configured. */
export type Heed = 'honoured' | 'kept' | 'grant' | 'ignored' | 'refused'

/** One row of the README's table; a request that has no such field ignores it with a warning, like every field that it does not know. */
export interface FieldRow {
  readonly field: string
  readonly generate: Heed
  readonly update: Heed
  readonly regenerate: Heed
  readonly note?: string
}

const row = (field: string, heeds: readonly [generate: Heed, update: Heed, regenerate: Heed], note?: string): FieldRow => ({ field, generate: heeds[0], update: heeds[1], regenerate: heeds[2], ...(note === undefined ? {} : { note }) })
const everywhere = (heed: Heed): readonly [Heed, Heed, Heed] => [heed, heed, heed]

/** Every field of LiteLLM's requests that Latchkey knows, and what it does with it. */
export const fieldRows: readonly FieldRow[] = [
  row('key', everywhere('honoured'), 'generate: a token of your own, which begins with `sk-`; else the key that is meant: key id, token, or the SHA-256 of a token of your own'),
  row('key_alias', everywhere('honoured'), 'beside `key` the new alias; without it the key that is meant'),
  row('team_id', everywhere('honoured'), 'beside `key` the new team; beside a `key_alias` that names the key, the team that it is looked for in'),
  row('duration', everywhere('honoured'), 'from now; for a key that does not end update takes `-1` or `null`, regenerate `-1`'),
  row('blocked', ['refused', 'honoured', 'ignored'], 'generate: `false` only; update: by itself, or where the key is so already'),
  row('new_key', ['ignored', 'ignored', 'honoured'], 'a token of your own'),
  row('grace_period', ['ignored', 'ignored', 'honoured'], 'how long the old token is accepted, up to 30 days; left out, it ends now'),
  row('new_master_key', ['ignored', 'ignored', 'refused'], 'the master key is changed where it is configured'),
  row('auto_rotate', everywhere('honoured'), 'needs `rotation_interval`'),
  row('rotation_interval', everywhere('honoured'), 'from 10 minutes to 3650 days, in s, m, h, d or w'),
  row('metadata', everywhere('kept'), 'replaced as a whole; a member with the name of a field that needs a grant needs that grant'),
  row('tags', everywhere('kept')),
  ...Object.keys(enforced).map((field) => row(field, everywhere('grant'))),
  row('send_invite_email', everywhere('ignored'), 'Latchkey sends no mail'),
]
