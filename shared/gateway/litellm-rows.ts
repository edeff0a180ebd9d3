// A row of LiteLLM's key table as Latchkey reads and writes it. LiteLLM moves some fields of a request into the row's metadata, and an update of `metadata` replaces all
// of it: here they are told apart again, so that a change of the caller's metadata loses neither those fields nor Latchkey's mark.
import type { GatewayRow, ListedRow, RowChange } from '../core/gateway.ts'
import type { Fields } from './litellm-api.ts'
import { isMapping } from '../core/settings/mapping.ts'

const mark = 'latchkey'

/** Fields of a request that LiteLLM keeps inside `metadata`. */
const keptInMetadata: ReadonlySet<string> = new Set([
  'model_rpm_limit', 'model_tpm_limit', 'model_itpm_limit', 'model_otpm_limit', 'default_estimated_output_tokens', 'default_estimated_output_tokens_per_model', 'mcp_rpm_limit', 'tag_rpm_limit',
  'rpm_limit_type', 'tpm_limit_type', 'enforced_params', 'temp_budget_increase', 'temp_budget_expiry', 'allowed_vector_store_indexes', 'enforced_batch_output_expires_after', 'enforced_file_expires_after',
  'throttle_on_budget_exceeded', 'enable_prompt_caching', 'end_user_budget_id', 'disable_global_guardrails', 'guardrails', 'policies', 'tags', 'team_member_key_duration', 'prompts', 'logging',
  'secret_manager_settings', 'allowed_passthrough_routes', 'denied_passthrough_routes',
])

/** Columns that a request can set, beside those that a GatewayRow has names of its own for. What LiteLLM only derives or counts itself is left out. */
const columns = [
  'models', 'aliases', 'config', 'permissions', 'spend', 'user_id', 'agent_id', 'organization_id', 'project_id', 'max_parallel_requests', 'tpm_limit', 'rpm_limit', 'tpd_limit', 'max_budget', 'budget_duration',
  'budget_id', 'budget_limits', 'budget_fallbacks', 'model_max_budget', 'allowed_cache_controls', 'allowed_routes', 'key_type', 'router_settings', 'access_group_ids', 'auto_rotate', 'rotation_interval',
] as const

/** Names that Latchkey gives itself; among `fields` they mean nothing. */
const ours: ReadonlySet<string> = new Set(['key', 'keys', 'token', 'new_key', 'new_master_key', 'key_alias', 'team_id', 'duration', 'expires', 'blocked', 'grace_period', 'send_invite_email'])

/** LiteLLM answers what nobody set with the empty value of its kind. */
const isUnset = (name: string, value: unknown): boolean =>
  value === null || value === undefined || value === '' || value === false || (name === 'spend' && value === 0) || (name === 'key_type' && value === 'default') || (typeof value === 'object' && Object.keys(value).length === 0)

const metadataOf = (row: Fields): Fields => (isMapping(row['metadata']) ? row['metadata'] : {})

/** The mark of a row, as it stands. */
export const markOf = (row: Fields): Fields => {
  const held = metadataOf(row)[mark]
  return isMapping(held) ? held : {}
}

/** A time of LiteLLM's; without a zone it means UTC. */
const dateOf = (text: string): Date => new Date(/(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`)

/** Whether `/key/info` answers from the archive of deleted keys, as newer versions do: there is no such row any more. */
export const isArchived = (row: Fields): boolean => row['status'] === 'deleted' || (row['deleted_at'] ?? null) !== null

/** A row as the port has it; nothing when it is none. */
export const rowOf = (row: unknown): GatewayRow | undefined => {
  if (!isMapping(row)) return undefined
  const { key_alias: alias, team_id: teamId, expires, blocked } = row
  const { key_id: keyId, epoch } = markOf(row)
  const ends = typeof expires === 'string' ? dateOf(expires) : undefined
  if (((expires ?? null) !== null && ends === undefined) || (ends !== undefined && Number.isNaN(ends.getTime()))) return undefined
  const entries = Object.entries(metadataOf(row)).filter(([name]) => name !== mark)
  const metadata = Object.fromEntries(entries.filter(([name]) => !keptInMetadata.has(name)))
  const set = [...columns.map((name) => [name, row[name]] as const), ...entries.filter(([name]) => keptInMetadata.has(name)), ['metadata', metadata] as const]
  return {
    ...(typeof alias === 'string' && alias !== '' && { alias }),
    ...(typeof teamId === 'string' && teamId !== '' && { teamId }),
    ...(typeof keyId === 'string' && { keyId }),
    ...(Number.isSafeInteger(epoch) && { epoch: epoch as number }),
    ...(ends !== undefined && { expires: ends }),
    blocked: blocked === true,
    fields: Object.fromEntries(set.filter(([name, value]) => !isUnset(name, value))),
  }
}

/** A row of a list; nothing when it is none, or its token is no hash, which no call of ours could name. */
export const listedRow = (row: unknown): ListedRow | undefined => {
  const read = rowOf(row)
  const sha256 = isMapping(row) ? row['token'] : undefined
  return read === undefined || typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/i.test(sha256) ? undefined : { ...read, sha256: sha256.toLowerCase() }
}

/** LiteLLM's duration until then: whole seconds, at least one. It counts them from when it gets them. */
export const durationUntil = (expires: Date, now: number): string => `${Math.max(1, Math.floor((expires.getTime() - now) / 1000))}s`

/** The fields of a request without the names that are ours. */
export const plainFields = (fields: Fields): Fields => Object.fromEntries(Object.entries(fields).filter(([name]) => !ours.has(name)))

const withoutMark = (metadata: unknown): Fields => (isMapping(metadata) ? Object.fromEntries(Object.entries(metadata).filter(([name]) => name !== mark)) : {})

/** The metadata of a new row: the caller's, and Latchkey's mark. `addition` tells this call's row from one that was there. */
export const markedMetadata = ({ keyId, epoch, fields }: GatewayRow, addition: string): Fields => ({
  ...withoutMark(fields['metadata']),
  [mark]: { ...(keyId !== undefined && { key_id: keyId }), ...(epoch !== undefined && { epoch }), addition },
})

/** The metadata after a change of the caller's part: mark and fields that LiteLLM keeps there stay. `owner`: the mark of a row that had none. */
export const changedMetadata = (row: Fields, given: unknown, owner?: RowChange['mark']): Fields => ({
  ...withoutMark(given ?? metadataOf(row)),
  ...Object.fromEntries(Object.entries(metadataOf(row)).filter(([name]) => name === mark || keptInMetadata.has(name))),
  ...(owner !== undefined && { [mark]: { ...markOf(row), key_id: owner.keyId, epoch: owner.epoch } }),
})

/** The metadata of a row whose token was drawn for another epoch. */
export const metadataInEpoch = (row: Fields, epoch: number): Fields => ({ ...metadataOf(row), [mark]: { ...markOf(row), epoch } })
