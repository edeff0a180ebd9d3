// What the README's table says of LiteLLM's fields, field by field, and the grants that name those that a gateway enforces.
import { describe, expect, it } from 'vitest'
import { gatewayFields } from '../../shared/core/configuration/gateway-fields.ts'
import { fieldRows, type Heed } from '../../shared/http/keys/fields.ts'
import { open } from './harness.ts'

/** One lawful value of every field. */
const samples: Readonly<Record<string, unknown>> = {
  key_alias: 'renamed', team_id: 'payments', duration: '30d', blocked: true, new_key: 'sk-new-token-of-the-callers-own-01', grace_period: '1h', new_master_key: 'sk-new-master', auto_rotate: true, rotation_interval: '30d',
  metadata: { owner: 'ada' }, tags: ['prod'], send_invite_email: true,
  user_id: 'u', organization_id: 'o', project_id: 'p', agent_id: 'a', models: ['gpt-5'], permissions: { pii: false }, object_permission: { agents: ['a'] }, key_type: 'llm_api', allowed_routes: ['/chat'], allowed_passthrough_routes: ['/x'],
  denied_passthrough_routes: ['/y'], access_group_ids: ['g'], allowed_vector_store_indexes: [{ index_name: 'i' }], max_budget: 5, soft_budget: 4, budget_id: 'b', budget_duration: '30d', budget_limits: [{ max_budget: 1 }],
  budget_fallbacks: { a: ['b'] }, model_max_budget: { a: 1 }, end_user_budget_id: 'e', temp_budget_increase: 1, temp_budget_expiry: '2027-01-01', throttle_on_budget_exceeded: true, spend: 0, max_parallel_requests: 1, tpm_limit: 1,
  rpm_limit: 1, tpd_limit: 1, tpm_limit_type: 'dynamic', rpm_limit_type: 'dynamic', model_tpm_limit: { a: 1 }, model_rpm_limit: { a: 1 }, mcp_rpm_limit: { a: 1 }, tag_rpm_limit: { a: 1 }, aliases: { a: 'b' }, config: { a: 1 },
  router_settings: { a: 1 }, allowed_cache_controls: ['no-cache'], guardrails: ['g'], disable_global_guardrails: true, policies: ['p'], prompts: ['p'], enforced_params: ['user'], disabled_callbacks: ['s3'], enable_prompt_caching: true,
  model_itpm_limit: { a: 1 }, model_otpm_limit: { a: 1 }, default_estimated_output_tokens: 1, default_estimated_output_tokens_per_model: { a: 1 }, logging: [{ callback_name: 'langfuse' }], enforced_batch_output_expires_after: { seconds: 1 },
  enforced_file_expires_after: { seconds: 1 }, team_member_key_duration: '30d', secret_manager_settings: { mount: 'a' },
}

const routes = ['generate', 'update', 'regenerate'] as const
const callers = { pipeline: [{ action: 'keys:*' }], budgets: [{ action: 'keys:*', fields: ['max_budget'] }], all: [{ action: 'keys:*', fields: ['*'] }] }

/** One field on one route, by a caller with every action and no field. */
const sent = async (field: string, route: (typeof routes)[number], as = 'pipeline') => {
  const opened = await open({ callers })
  const made = await opened.send('POST /key/generate', { body: { key_alias: 'app', auto_rotate: false, rotation_interval: '60d' } })
  const own = { key: made.json['key_id'] }
  const body = route === 'generate' ? { [field]: field === 'key' ? 'sk-a-token-of-the-callers-own-0001' : samples[field], ...(field === 'auto_rotate' ? { rotation_interval: '30d' } : {}) } : { ...own, ...(field === 'key' ? { tags: ['a'] } : { [field]: samples[field] }) }
  const got = await opened.send(`POST /key/${route}`, { as, body })
  return { got, warned: ((got.json['warnings'] ?? []) as unknown as readonly string[]).some((text) => text.startsWith(`${field}:`)) }
}

const rows = fieldRows.flatMap((row) => routes.map((route): readonly [field: string, route: (typeof routes)[number], heed: Heed] => [row.field, route, row[route]]))
const of = (heed: Heed) => rows.filter((row) => row[2] === heed)

describe('the table of fields', () => {
  it('has every field that the gateway enforces, and a sample here of each of its rows', () => {
    const fields = fieldRows.map(({ field }) => field)

    expect(fieldRows.filter(({ generate }) => generate === 'grant').map(({ field }) => field)).toEqual([...gatewayFields])
    expect(fields.filter((field) => field !== 'key' && samples[field] === undefined)).toEqual([])
    expect(new Set(fields).size).toBe(fields.length)
  })

  it.each(of('honoured'))('%s on %s is honoured', async (field, route) => {
    const { got, warned } = await sent(field, route)

    expect([got.status, warned], got.body).toEqual([200, false])
  })

  it.each(of('kept'))('%s on %s is kept and echoed', async (field, route) => {
    const { got, warned } = await sent(field, route)

    expect([got.status, got.json[field], warned]).toEqual([200, samples[field], false])
  })

  it.each(of('grant'))('%s on %s needs a grant that names it', async (field, route) => {
    const [denied, allowed] = [await sent(field, route), await sent(field, route, 'all')]

    expect([denied.got.status, denied.got.json.error?.['param'], allowed.got.status, allowed.got.json[field]]).toEqual([403, field, 200, samples[field]])
  })

  it.each(of('ignored'))('%s on %s is ignored with a warning', async (field, route) => {
    const { got, warned } = await sent(field, route)

    expect([got.status, warned], got.body).toEqual([200, true])
  })

  it.each(of('refused'))('%s on %s is refused', async (field, route) => {
    const { got } = await sent(field, route)

    expect([got.status, got.json.error['param']]).toEqual([400, field])
  })
})

describe('a grant that names fields', () => {
  it('allows those and no others, and says which', async () => {
    const { send } = await open({ callers })

    const allowed = await send('POST /key/generate', { as: 'budgets', body: { max_budget: 5 } })
    const denied = await send('POST /key/generate', { as: 'budgets', body: { max_budget: 5, models: ['gpt-5'], tpm_limit: 1 } })

    expect([allowed.status, denied.status]).toEqual([200, 403])
    expect(denied.json.error).toMatchObject({ param: 'models', message: expect.stringMatching(/^models, tpm_limit: /) as string, hint: expect.stringContaining('fields: ["models"]') as string })
  })

  it('holds for its own team and its own action', async () => {
    const { send } = await open({ callers: { lead: [{ action: 'keys:*' }, { action: 'keys:create', team: 'payments', fields: ['max_budget'] }] } })
    const body = { team_id: 'payments', max_budget: 5 }

    const made = await send('POST /key/generate', { as: 'lead', body })
    const elsewhere = await send('POST /key/generate', { as: 'lead', body: { ...body, team_id: 'research' } })
    const updated = await send('POST /key/update', { as: 'lead', body: { key: made.json['key_id'], max_budget: 6 } })

    expect([made.status, elsewhere.status, updated.status]).toEqual([200, 403, 403])
  })

  it('covers taking a field off, and the members of metadata where LiteLLM keeps the same thing', async () => {
    const { send } = await open({ callers })
    const { json } = await send('POST /key/generate', { body: { max_budget: 5, models: ['gpt-5'] } })

    const off = await send('POST /key/update', { as: 'pipeline', body: { key: json['key_id'], max_budget: null } })
    const inner = await send('POST /key/update', { as: 'budgets', body: { key: json['key_id'], metadata: { guardrails: [] } } })
    const granted = await send('POST /key/update', { as: 'budgets', body: { key: json['key_id'], max_budget: null } })

    expect([off.status, inner.status, inner.json.error['param'], granted.status]).toEqual([403, 403, 'metadata.guardrails', 200])
  })

  it('is shown to whoever has it', async () => {
    const { send } = await open({ callers })

    const got = await send('GET /whoami', { as: 'budgets' })

    expect(got.json['grants']).toEqual([{ action: 'keys:*', fields: ['max_budget'] }])
  })
})
