// LiteLLM's fields of a key that its gateway enforces: whose the key is, what it may reach, what it may spend and how fast. They are sent on with the
// gateway's master key, so a caller may send one only where a grant names it: with it, it could give its keys what nobody gave it.
import { nearest } from '../errors/nearest.ts'
import type { FieldCheck } from './access.ts'

/** In the order of the README's table: identity, reach, money, pace, and the rest. */
export const gatewayFields = [
  'user_id', 'organization_id', 'project_id', 'agent_id',
  'models', 'permissions', 'object_permission', 'key_type', 'allowed_routes', 'allowed_passthrough_routes', 'denied_passthrough_routes', 'access_group_ids', 'allowed_vector_store_indexes',
  'max_budget', 'soft_budget', 'budget_id', 'budget_duration', 'budget_limits', 'budget_fallbacks', 'model_max_budget', 'end_user_budget_id', 'temp_budget_increase', 'temp_budget_expiry', 'throttle_on_budget_exceeded', 'spend',
  'max_parallel_requests', 'tpm_limit', 'rpm_limit', 'tpd_limit', 'tpm_limit_type', 'rpm_limit_type', 'model_tpm_limit', 'model_rpm_limit', 'model_itpm_limit', 'model_otpm_limit', 'mcp_rpm_limit', 'tag_rpm_limit',
  'default_estimated_output_tokens', 'default_estimated_output_tokens_per_model',
  'aliases', 'config', 'router_settings', 'allowed_cache_controls', 'guardrails', 'disable_global_guardrails', 'policies', 'prompts', 'enforced_params', 'disabled_callbacks', 'enable_prompt_caching',
  'logging', 'enforced_batch_output_expires_after', 'enforced_file_expires_after', 'team_member_key_duration', 'secret_manager_settings',
] as const

/** One of {@link gatewayFields}. */
export type GatewayField = (typeof gatewayFields)[number]

/** Whether the gateway enforces a field of this name. */
export const isGatewayField = (name: string): name is GatewayField => (gatewayFields as readonly string[]).includes(name)

/** The actions whose requests have such fields. A regenerate that changes fields asks for `keys:update` too. */
const actionsWithFields: readonly string[] = ['keys:create', 'keys:update', 'keys:adopt', 'keys:*', '*']

/** Holds a grant's `fields` to this list: a name that is none of them would be believed to allow something. */
export const checkFields: FieldCheck = (given, action, path, issues) => {
  if (given === undefined || given === null) return
  if (!actionsWithFields.includes(action)) issues.push({ path, message: `has no meaning for ${action}; the actions with fields are ${actionsWithFields.join(', ')}` })
  else if (!Array.isArray(given) || given.length === 0) issues.push({ path, message: 'must be a list of field names, such as ["max_budget", "models"], or ["*"]' })
  else {
    given.forEach((name: unknown, index) => {
      if (name === '*' || (gatewayFields as readonly unknown[]).includes(name)) return
      const near = typeof name === 'string' ? nearest(name, gatewayFields) : undefined
      issues.push({ path: `${path}[${index}]`, message: `must be a field that the gateway enforces${near === undefined ? `: ${gatewayFields.join(', ')}` : `; did you mean ${near}?`}` })
    })
  }
}
