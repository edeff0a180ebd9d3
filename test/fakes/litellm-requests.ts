// What LiteLLM makes of a request before its rules see it, and how it words a failure: bodies by field and type, fields that live in the metadata, and the error shape.
import type { WireAnswer, WireRequest } from './wire.ts'

export type Fields = Readonly<Record<string, unknown>>

/** Thrown by the rules, answered by the service. */
export class LitellmFailure extends Error {
  readonly status: number
  readonly body: object

  constructor(status: number, body: object) {
    super(`${status}`)
    this.status = status
    this.body = body
  }
}

/** A ProxyException: its code is text. */
export const failure = (status: number, message: string, type = 'internal_server_error', param: string | null = null): LitellmFailure => new LitellmFailure(status, { error: { message, type, param, code: String(status) } })

/** What every answer about the licence says. */
export const notALicence = 'You must be a LiteLLM Enterprise user to use this feature. If you have a license please set `LITELLM_LICENSE` in your env.'

/** The answer, or the failure that was thrown. */
export const answerOf = (act: () => object | null): WireAnswer => {
  try {
    return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(act()) }
  } catch (error) {
    if (error instanceof LitellmFailure) return { status: error.status, body: error.body }
    throw error
  }
}

/** Fields for which LiteLLM wants a licence when they are made with a key. */
export const premiumFields = ['disable_global_guardrails', 'guardrails', 'policies', 'tags', 'prompts', 'allowed_passthrough_routes', 'denied_passthrough_routes'] as const

const metadataFields: ReadonlySet<string> = new Set([
  ...premiumFields, 'model_rpm_limit', 'model_tpm_limit', 'mcp_rpm_limit', 'tag_rpm_limit', 'rpm_limit_type', 'tpm_limit_type', 'enforced_params', 'temp_budget_increase', 'temp_budget_expiry', 'allowed_vector_store_indexes',
  'throttle_on_budget_exceeded', 'enable_prompt_caching', 'end_user_budget_id', 'default_estimated_output_tokens', 'default_estimated_output_tokens_per_model',
])
const columnFields: ReadonlySet<string> = new Set([
  'models', 'aliases', 'config', 'permissions', 'spend', 'user_id', 'agent_id', 'organization_id', 'project_id', 'max_parallel_requests', 'tpm_limit', 'rpm_limit', 'tpd_limit', 'max_budget', 'budget_duration', 'budget_id', 'budget_limits',
  'budget_fallbacks', 'model_max_budget', 'allowed_cache_controls', 'allowed_routes', 'router_settings', 'access_group_ids', 'auto_rotate', 'rotation_interval',
])

/** What of a request becomes a column, and what goes into the metadata; `null` for the latter leaves it as it is. What LiteLLM does not know it drops. */
export const admitted = (given: Fields): { readonly columns: Fields; readonly inside: Fields } => ({
  columns: Object.fromEntries(Object.entries(given).filter(([name]) => columnFields.has(name))),
  inside: Object.fromEntries(Object.entries(given).filter(([name, value]) => metadataFields.has(name) && value !== null)),
})

type Kind = 'text' | 'number' | 'map' | 'list' | 'flag'
const kinds: Readonly<Record<string, Kind>> = {
  key: 'text', key_alias: 'text', team_id: 'text', duration: 'text', new_key: 'text', grace_period: 'text', user_id: 'text', budget_duration: 'text', max_budget: 'number', spend: 'number', tpm_limit: 'number', rpm_limit: 'number',
  max_parallel_requests: 'number', metadata: 'map', aliases: 'map', permissions: 'map', config: 'map', models: 'list', tags: 'list', allowed_routes: 'list', keys: 'list', key_aliases: 'list', blocked: 'flag',
}
const isOf: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  text: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number' || (typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value))),
  map: (value) => typeof value === 'object' && !Array.isArray(value),
  list: (value) => Array.isArray(value),
  flag: (value) => typeof value === 'boolean',
}

const unprocessable = (place: readonly string[], type: string, msg: string): LitellmFailure => new LitellmFailure(422, { detail: [{ type, loc: ['body', ...place], msg }] })

/** The body's fields as the framework reads them before LiteLLM does. */
export const fieldsOf = ({ body }: WireRequest, route: string): Fields => {
  let given: unknown
  try {
    given = JSON.parse(body.byteLength === 0 ? '{}' : body.toString('utf8'))
  } catch {
    throw unprocessable(['0'], 'json_invalid', 'JSON decode error')
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw unprocessable([], 'model_attributes_type', 'Input should be a valid dictionary or object to extract fields from')
  const fields = given as Fields
  const wrong = Object.entries(fields).find(([name, value]) => value !== null && kinds[name] !== undefined && !isOf[kinds[name]](value))
  if (wrong !== undefined) throw unprocessable([wrong[0]], `${kinds[wrong[0]] ?? ''}_type`, 'Input should be of another type')
  if (['gateway.block', 'gateway.unblock'].includes(route) && fields['key'] === undefined) throw unprocessable(['key'], 'missing', 'Field required')
  if (route === 'gateway.change' && (fields['key'] ?? fields['key_alias'] ?? null) === null) throw unprocessable([], 'value_error', 'Value error, either key or key_alias must be provided')
  return fields
}
