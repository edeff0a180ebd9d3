import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { open } from './harness.ts'
import { furnished, refuses } from './refusals.ts'

const generate = 'POST /key/generate'
const regenerate = 'POST /key/regenerate'
const update = 'POST /key/update'
const adopt = 'POST /keys:adopt'
const reconcile = 'POST /keys:reconcile'
const of = (body: unknown) => ({ body })
const idOf = (letter: string): string => letter.repeat(16)

describe('key requests', () => {
  refuses([
    ['an alias that is a number', generate, of({ key_alias: 7 }), 400, 'invalid_request', ['key_alias', 'text']],
    ['an empty alias', generate, of({ key_alias: '' }), 400, 'invalid_request', ['key_alias', 'at least 1']],
    ['a blank alias', generate, of({ key_alias: '  ' }), 400, 'invalid_request', ['key_alias', 'letter or a digit']],
    ['the alias -', generate, of({ key_alias: '-' }), 400, 'invalid_request', ['key_alias', 'letter or a digit']],
    ['an alias of 201 characters', generate, of({ key_alias: 'a'.repeat(201) }), 400, 'invalid_request', ['key_alias', '200']],
    ['an alias with a NUL', generate, of({ key_alias: 'a\u0000b' }), 400, 'invalid_request', ['key_alias', 'control']],
    ['an alias that climbs', generate, of({ key_alias: '../a' }), 400, 'invalid_request', ['key_alias', 'dot']],
    ['an alias with a reserved segment', generate, of({ key_alias: '__latchkey/x' }), 400, 'invalid_request', ['key_alias', '__']],
    ['an alias with a space', generate, of({ key_alias: 'a b' }), 400, 'invalid_request', ['key_alias', 'A-Z']],
    ['an alias with a colon', generate, of({ key_alias: 'a:b' }), 400, 'invalid_request', ['key_alias', 'A-Z']],
    ['an alias in another alphabet', generate, of({ key_alias: 'ключ' }), 400, 'invalid_request', ['key_alias']],
    ['an alias that is taken', generate, of({ key_alias: 'taken' }), 400, 'already_exists', ['key_alias', 'already exists', '"code":"400"']],
    ['a team that is a list', generate, of({ team_id: ['a'] }), 400, 'invalid_request', ['team_id', 'text']],
    ['a team of 257 characters', generate, of({ team_id: 't'.repeat(257) }), 400, 'invalid_request', ['team_id', '256']],
    ['a duration without a unit', generate, of({ duration: '30' }), 400, 'invalid_request', ['duration', '30d', '1w']],
    ['a duration with a space', generate, of({ duration: '30 d' }), 400, 'invalid_request', ['duration', '30d']],
    ['a duration with a fraction', generate, of({ duration: '1.5h' }), 400, 'invalid_request', ['duration', '30d']],
    ['a negative duration', generate, of({ duration: '-1d' }), 400, 'invalid_request', ['duration', '30d']],
    ['a duration of nothing', generate, of({ duration: '0s' }), 400, 'invalid_request', ['duration', '1 s']],
    ['a duration of eleven years', generate, of({ duration: '4015d' }), 400, 'invalid_request', ['duration', '3650 d']],
    ['a duration of a million months', generate, of({ duration: '1000000mo' }), 400, 'invalid_request', ['duration', '3650 d']],
    ['an unknown unit', generate, of({ duration: '3y' }), 400, 'invalid_request', ['duration', '30d']],
    ['a duration that is a number', generate, of({ duration: 30 }), 400, 'invalid_request', ['duration', 'text']],
    ['a token with a space', generate, of({ key: 'sk-a b' }), 400, 'invalid_request', ['key', 'printable ASCII']],
    ['a token of 513 characters', generate, of({ key: `sk-${'a'.repeat(510)}` }), 400, 'invalid_request', ['key', '512']],
    ['an empty token', generate, of({ key: '' }), 400, 'invalid_request', ['key', 'at least 1']],
    ['a key that is born blocked', generate, of({ blocked: true }), 400, 'invalid_request', ['blocked', 'unblocked', 'POST /key/block']],
    ['models that are text', generate, of({ models: 'gpt' }), 400, 'invalid_request', ['models', 'list']],
    ['metadata that is a list', generate, of({ metadata: [] }), 400, 'invalid_request', ['metadata', 'object']],
    ['a negative budget', generate, of({ max_budget: -1 }), 400, 'invalid_request', ['max_budget', 'at least 0']],
    ['a fraction of a request', generate, of({ rpm_limit: 1.5 }), 400, 'invalid_request', ['rpm_limit', 'whole number']],
    ['an unknown key type', generate, of({ key_type: 'root' }), 400, 'invalid_request', ['key_type', 'llm_api']],
    ['an interval without a unit', generate, of({ auto_rotate: true, rotation_interval: '30' }), 400, 'invalid_request', ['rotation_interval', '30d']],
    ['an interval of nine minutes', generate, of({ auto_rotate: true, rotation_interval: '9m' }), 400, 'invalid_request', ['rotation_interval', '10 min', '3650 d']],
    ['an interval of eleven years', generate, of({ auto_rotate: true, rotation_interval: '4015d' }), 400, 'invalid_request', ['rotation_interval', '3650 d']],
    ['an interval of months', generate, of({ auto_rotate: true, rotation_interval: '1mo' }), 400, 'invalid_request', ['rotation_interval', 'months', '30d']],
    ['a rotation without an interval', generate, of({ auto_rotate: true }), 400, 'invalid_request', ['rotation_interval', 'required', '30d']],
    ['a token that does not begin with sk-', generate, of({ key: 'pk-a-token-of-the-callers-own' }), 400, 'invalid_request', ['key', 'sk-', 'Leave it out']],
    ['two wrong fields at once', generate, of({ key_alias: 7, models: 'gpt' }), 400, 'invalid_request', ['key_alias', 'models']],
    ['metadata with __proto__', generate, { body: '{"metadata":{"__proto__":{"a":1}}}' }, 400, 'invalid_request', ['metadata.__proto__', 'refuses']],
    ['metadata of seventeen levels', generate, { body: `{"metadata":${'{"a":'.repeat(15)}{}${'}'.repeat(15)}}` }, 400, 'invalid_request', ['metadata', '16 levels', 'flatter']],
    ['metadata beyond the room there is', generate, of({ metadata: { a: 'x'.repeat(60_000) } }), 413, 'too_large', ['metadata', 'room']],
    ['a query on generate', 'POST /key/generate?team_id=x', of({}), 400, 'invalid_request', ['query.team_id', 'has none']],
    ['a regenerate of nothing', regenerate, of({}), 400, 'invalid_request', ['key', 'key_alias']],
    ['a regenerate without a body', regenerate, {}, 400, 'invalid_request', ['body', 'empty']],
    ['a regenerate of an unknown key', regenerate, of({ key: idOf('a') }), 404, 'not_found', ['"code":"404"']],
    ['a regenerate of an unknown alias', regenerate, of({ key_alias: 'nobody' }), 404, 'not_found', ['"code":"404"']],
    ['a regenerate of an unknown key in the path', `POST /key/${idOf('a')}/regenerate`, {}, 404, 'not_found', ['"code":"404"']],
    ['a regenerate of an unknown hash', regenerate, of({ key: 'ab'.repeat(32) }), 404, 'not_found', ['"code":"404"']],
    ['two different keys in path and body', `POST /key/${idOf('a')}/regenerate`, of({ key: idOf('b') }), 400, 'invalid_request', ['key', 'path']],
    ['an empty key in the path', 'POST /key//regenerate', {}, 400, 'invalid_request', ['key', '1 to 512']],
    ['a space in the path\'s key', 'POST /key/a%20b/regenerate', {}, 400, 'invalid_request', ['key', 'printable ASCII']],
    ['a new master key', regenerate, of({ key_alias: 'taken', new_master_key: 'sk-new' }), 400, 'invalid_request', ['new_master_key', 'configured']],
    ['a grace of 31 days', regenerate, of({ key_alias: 'taken', grace_period: '31d' }), 400, 'invalid_request', ['grace_period', '30 d']],
    ['a grace without a unit', regenerate, of({ key_alias: 'taken', grace_period: '48' }), 400, 'invalid_request', ['grace_period', '30h']],
    ['a grace that is a number', regenerate, of({ key_alias: 'taken', grace_period: 48 }), 400, 'invalid_request', ['grace_period', 'text']],
    ['a negative grace', regenerate, of({ key_alias: 'taken', grace_period: '-1h' }), 400, 'invalid_request', ['grace_period', '30h']],
    ['a new token that does not begin with sk-', regenerate, of({ key_alias: 'taken', new_key: 'pk-x' }), 400, 'invalid_request', ['new_key', 'sk-']],
    ['a regenerate for eleven years', regenerate, of({ key_alias: 'taken', duration: '4015d' }), 400, 'invalid_request', ['duration', '3650 d']],
    ['an update of nothing', update, of({}), 400, 'invalid_request', ['key', 'key_alias', 'Send the key id']],
    ['an update without a body', update, {}, 400, 'invalid_request', ['body', 'empty']],
    ['an update that names no key', update, of({ metadata: { a: 1 } }), 400, 'invalid_request', ['key', 'key_alias']],
    ['an update of an unknown key', update, of({ key: idOf('a'), tags: [] }), 404, 'not_found', ['"code":"404"']],
    ['an update of an unknown key that changes nothing', update, of({ key: idOf('a') }), 404, 'not_found', ['"code":"404"']],
    ['an update with a bad duration', update, of({ key_alias: 'taken', duration: '30' }), 400, 'invalid_request', ['duration', '30d']],
    ['an update with a negative duration', update, of({ key_alias: 'taken', duration: '-2d' }), 400, 'invalid_request', ['duration', '30d']],
    ['an update for eleven years', update, of({ key_alias: 'taken', duration: '4015d' }), 400, 'invalid_request', ['duration', '1 s', '3650 d']],
    ['an update with metadata that is text', update, of({ key_alias: 'taken', metadata: 'x' }), 400, 'invalid_request', ['metadata', 'object']],
    ['an update with metadata beyond the room there is', update, of({ key_alias: 'taken', metadata: { a: 'x'.repeat(60_000) } }), 413, 'too_large', ['metadata', 'room']],
    ['an update to a rotation without an interval', update, of({ key_alias: 'taken', auto_rotate: true }), 400, 'invalid_request', ['rotation_interval', 'required']],
    ['a block that is no yes or no', update, of({ key_alias: 'taken', blocked: 'yes' }), 400, 'invalid_request', ['blocked', 'true or false']],
    ['a block of nothing', 'POST /key/block', of({}), 400, 'invalid_request', ['key', 'key_alias']],
    ['an unblock of an unknown key', 'POST /key/unblock', of({ key: idOf('a') }), 404, 'not_found', ['"code":"404"']],
    ['a block of an unknown alias', 'POST /key/block', of({ key_alias: 'nobody' }), 404, 'not_found', ['"code":"404"']],
    ['an adoption of nothing', adopt, of({}), 400, 'invalid_request', ['key_alias', 'all']],
    ['an adoption of one and all', adopt, of({ all: true, key_alias: 'a' }), 400, 'invalid_request', ['key_alias', 'one of the two']],
    ['an adoption of what is not there', adopt, of({ key_alias: 'nobody' }), 404, 'not_found', ['nobody']],
    ['a page without all', adopt, of({ key_alias: 'a', limit: 5 }), 400, 'invalid_request', ['limit', 'all']],
    ['an adoption of 101', adopt, of({ all: true, limit: 101 }), 400, 'invalid_request', ['limit', '100']],
    ['an adoption with an unknown field', adopt, of({ all: true, dryrun: true }), 400, 'invalid_request', ['dryrun', 'did you mean dry_run?']],
    ['an adoption with a bad duration', adopt, of({ key_alias: 'a', duration: 'x' }), 400, 'invalid_request', ['duration', '30d']],
    ['a reconciliation of 101', reconcile, of({ limit: 101 }), 400, 'invalid_request', ['limit', '100']],
    ['a reconciliation of nothing', reconcile, of({ limit: 0 }), 400, 'invalid_request', ['limit', 'at least 1']],
    ['a repair that is text', reconcile, of({ repair: 'yes' }), 400, 'invalid_request', ['repair', 'true or false']],
    ['a reconciliation with an unknown field', reconcile, of({ repairs: true }), 400, 'invalid_request', ['repairs', 'did you mean repair?']],
    ['a health without a token', 'POST /key/health', {}, 400, 'invalid_request', ['key', 'virtual key']],
    ['a health by key id', 'POST /key/health', of({ key: idOf('a') }), 400, 'invalid_request', ['key', 'GET /key/info']],
    ['the health of an unknown token', 'POST /key/health', of({ key: 'sk-nobody-here-has-seen-this' }), 404, 'not_found', ['"code":"404"']],
    ['a delete of nothing', 'POST /key/delete', of({}), 422, 'invalid_request', ['keys', 'key_aliases', '"code":"422"']],
    ['a delete of empty lists', 'POST /key/delete', of({ keys: [], key_aliases: [] }), 422, 'invalid_request', ['"code":"422"', '1 to 100']],
    ['a delete of an unknown key', 'POST /key/delete', of({ keys: [idOf('a')] }), 404, 'not_found', ['"code":"404"']],
    ['a delete of 101 keys', 'POST /key/delete', of({ keys: Array.from({ length: 101 }, () => idOf('a')) }), 400, 'invalid_request', ['keys', '101', '100']],
    ['keys that are text', 'POST /key/delete', of({ keys: 'sk-x' }), 400, 'invalid_request', ['keys', 'list']],
    ['a key in the list that is a number', 'POST /key/delete', of({ keys: [7] }), 400, 'invalid_request', ['keys[0]', 'text']],
    ['an info of nothing', 'GET /key/info', {}, 400, 'invalid_request', ['query.key', 'key_alias']],
    ['an info of two', 'GET /key/info?key=a&key_alias=b', {}, 400, 'invalid_request', ['query.key', 'one of the two']],
    ['an info of an unknown key', `GET /key/info?key=${idOf('a')}`, {}, 404, 'not_found', ['"code":"404"']],
    ['an info of an unknown alias', 'GET /key/info?key_alias=nobody', {}, 404, 'not_found', ['"code":"404"']],
    ['an info of a key with spaces', 'GET /key/info?key=a+b', {}, 400, 'invalid_request', ['query.key', 'printable ASCII']],
    ['a list sorted', 'GET /key/list?sort_by=spend', {}, 501, 'unsupported', ['sort_by', 'cursor']],
    ['a list by page', 'GET /key/list?page=2', {}, 501, 'unsupported', ['page', 'cursor']],
    ['a list by hash', `GET /key/list?key_hash=${'ab'.repeat(32)}`, {}, 501, 'unsupported', ['key_hash']],
    ['a list of deleted keys', 'GET /key/list?status=deleted', {}, 501, 'unsupported', ['status', 'active']],
    ['a list by an unknown status', 'GET /key/list?status=gone', {}, 400, 'invalid_request', ['query.status', 'active, rotating, blocked, expired']],
    ['a list of objects or not', 'GET /key/list?return_full_object=1', {}, 400, 'invalid_request', ['query.return_full_object', 'true or false']],
    ['a list of 101', 'GET /key/list?limit=101', {}, 400, 'invalid_request', ['query.limit', '1 to 100']],
    ['a list with two limits', 'GET /key/list?limit=1&size=1', {}, 400, 'invalid_request', ['query.size', 'one of the two']],
    ['a list with an unknown parameter', 'GET /key/list?aliases=a', {}, 400, 'invalid_request', ['query.aliases', 'Known:']],
    ['a verify of nothing', 'POST /key/verify', of({}), 400, 'invalid_request', ['key', 'required']],
    ['a verify with another field', 'POST /key/verify', of({ key: 'sk-x', team: 'a' }), 400, 'invalid_request', ['team', 'fields are']],
    ['a verify of a number', 'POST /key/verify', of({ key: 7 }), 400, 'invalid_request', ['key', 'text']],
  ])

  it('refuses to regenerate an expired key, naming it, while info and delete still work', async () => {
    const { send, runtime } = await furnished()
    const made = await send(generate, of({ key_alias: 'short', duration: '30s' }))
    runtime.clock.advance(31_000)

    const rotated = await send(regenerate, of({ key_alias: 'short' }))
    const info = await send('GET /key/info?key_alias=short')
    const deleted = await send('POST /key/delete', of({ key_aliases: ['short'] }))

    expect(rotated.status).toBe(400)
    expect(rotated.json.error).toMatchObject({ type: 'invalid_request', message: expect.stringContaining(String(made.json['key_id'])) as string })
    expect([info.status, deleted.status]).toEqual([200, 200])
  })
})

describe('callers', () => {
  const callers = {
    reader: [{ action: 'secrets:read', names: ['OPENAI_*'] }],
    payments: [{ action: 'keys:*', team: 'payments' }],
    research: [{ action: 'keys:*', team: 'research' }],
    nobody: [],
  }
  refuses([
    ['no credential', 'GET /secrets/OPENAI_API_KEY', { as: '' }, 401, 'unauthenticated', ['credential', 'Bearer']],
    ['no credential, before a bad body', put('new'), { as: '', body: '{' }, 401, 'unauthenticated', ['credential']],
    ['no credential on a key route, in LiteLLM\'s shape', generate, { as: '', body: {} }, 401, 'unauthenticated', ['"code":"401"']],
    ['a wrong credential', 'GET /whoami', { as: '', headers: { authorization: 'Bearer sk-wrong' } }, 401, 'unauthenticated', ['credential']],
    ['another scheme', 'GET /whoami', { as: '', headers: { authorization: 'Basic c2s6c2s=' } }, 401, 'unauthenticated', ['credential']],
    ['two different credentials', 'GET /whoami', { headers: { 'x-litellm-api-key': 'sk-other' } }, 401, 'unauthenticated', ['one']],
    ['a wrong credential on ready', 'GET /ready', { as: '', headers: { authorization: 'Bearer sk-wrong' } }, 401, 'unauthenticated', ['credential']],
    ['a name outside the grant', 'GET /secrets/ANTHROPIC_API_KEY', { as: 'reader' }, 403, 'forbidden', ['reader', 'secrets:read', 'latchkey.access']],
    ['a write by a reader, before its bad body', put('OPENAI_API_KEY'), { as: 'reader', body: '{' }, 403, 'forbidden', ['secrets:write']],
    ['a write by a reader, before its content type', put('OPENAI_API_KEY'), { as: 'reader', body: 'x', headers: { 'content-type': 'text/plain' } }, 403, 'forbidden', ['secrets:write']],
    ['a delete by a reader', 'DELETE /secrets/OPENAI_API_KEY', { as: 'reader' }, 403, 'forbidden', ['secrets:delete']],
    ['a list by a reader', 'GET /secrets', { as: 'reader' }, 403, 'forbidden', ['secrets:list']],
    ['a key by a reader', generate, { as: 'reader', body: {} }, 403, 'forbidden', ['keys:create', '"code":"403"']],
    ['a caller without grants', 'GET /secrets/OPENAI_API_KEY', { as: 'nobody' }, 403, 'forbidden', ['secrets:read']],
    ['a key for another team', generate, { as: 'payments', body: { team_id: 'research' } }, 403, 'forbidden', ['keys:create', 'team']],
    ['a key for no team by a team', generate, { as: 'payments', body: {} }, 403, 'forbidden', ['keys:create', 'team']],
    ['another team\'s key', 'GET /key/info?key_alias=taken', { as: 'research' }, 404, 'not_found', ['no such key']],
    ['a rotation of another team\'s key', regenerate, { as: 'research', body: { key_alias: 'taken' } }, 404, 'not_found', ['no such key']],
    ['a delete of another team\'s key', 'POST /key/delete', { as: 'research', body: { key_aliases: ['taken'] } }, 404, 'not_found', ['no such key']],
    ['a list of another team\'s keys', 'GET /key/list?team_id=payments', { as: 'research' }, 403, 'forbidden', ['team']],
    ['a budget from a team', generate, { as: 'payments', body: { team_id: 'payments', max_budget: 5 } }, 403, 'forbidden', ['max_budget', 'gateway', 'master key']],
    ['a user from a team', generate, { as: 'payments', body: { team_id: 'payments', user_id: 'admin' } }, 403, 'forbidden', ['user_id', 'gateway']],
    ['permissions from a team', generate, { as: 'payments', body: { team_id: 'payments', permissions: { all: true } } }, 403, 'forbidden', ['permissions']],
    ['allowed routes from a team', generate, { as: 'payments', body: { team_id: 'payments', allowed_routes: ['/admin'] } }, 403, 'forbidden', ['allowed_routes']],
    ['a key type from a team', generate, { as: 'payments', body: { team_id: 'payments', key_type: 'management' } }, 403, 'forbidden', ['key_type']],
    ['a virtual key read with keys:*', 'GET /secrets/litellm/taken', { as: 'payments' }, 403, 'forbidden', ['keys:reveal']],
  ], { callers })
})

function put(name: string): string {
  return `PUT /secrets/${name}`
}

describe('a key that is there', () => {
  const rows: readonly (readonly [title: string, body: Readonly<Record<string, unknown>>, status: number, code: string, says: readonly string[]])[] = [
    ['an alias of 201 characters', { key_alias: 'a'.repeat(201) }, 400, 'invalid_request', ['key_alias', '200']],
    ['a blank alias', { key_alias: ' ' }, 400, 'invalid_request', ['key_alias', 'letter or a digit']],
    ['an alias that climbs', { key_alias: '../a' }, 400, 'invalid_request', ['key_alias', 'dot']],
    ['an alias with a reserved segment', { key_alias: '__latchkey/x' }, 400, 'invalid_request', ['key_alias', '__']],
    ['an alias with a space', { key_alias: 'a b' }, 400, 'invalid_request', ['key_alias', 'A-Z']],
    ['an alias that is taken', { key_alias: 'taken' }, 400, 'already_exists', ['key_alias', 'already exists', '"code":"400"']],
    ['a team of 257 characters', { team_id: 't'.repeat(257) }, 400, 'invalid_request', ['team_id', '256']],
    ['a block and more', { blocked: true, tags: ['a'] }, 400, 'invalid_request', ['blocked', 'by itself', 'POST /key/block']],
  ]

  it.each(rows)('refuses %s as its change, and stays as it is', async (_title, body, status, code, says) => {
    const { send, held } = await furnished()
    const { json } = await send(generate, of({ key_alias: 'mine', key: 'sk-of-the-callers-own-0000000001' }))
    const before = await held()

    const got = await send(update, of({ key: json['key_id'], ...body }))

    expect([got.status, got.json.error['type']], got.body).toEqual([status, code])
    for (const text of says) expect(got.body).toContain(text)
    expect(await held()).toBe(before)
  })

  it.each([
    ['update', { tags: ['a'] }, { tags: ['b'] }],
    ['regenerate', {}, { grace_period: '1h' }],
    ['block', {}, { team_id: 'payments' }],
  ])('refuses another %s under the same Idempotency-Key with 422', async (route, first, second) => {
    const { send, held } = await furnished()
    const { json } = await send(generate, of({ key_alias: 'mine' }))
    const headers = { 'idempotency-key': 'an-idempotency-key-of-one-intent' }
    await send(`POST /key/${route}`, { headers, body: { key: json['key_id'], ...first } })
    const before = await held()

    const got = await send(`POST /key/${route}`, { headers, body: { key: json['key_id'], ...second } })

    expect([got.status, got.json.error['type']], got.body).toEqual([422, 'idempotency_mismatch'])
    expect(await held()).toBe(before)
  })

  it('is not rotated while a rotation runs: 409 with the operation and when to come again', async () => {
    let down = false
    const wrap = (provider: SecretProvider): SecretProvider => ({ ...provider, promote: (...given) => (down ? Promise.reject(new LatchkeyError('provider_unavailable', 'No answer.')) : (provider.promote?.(...given) ?? Promise.resolve())) })
    const { send } = await open({ wrap })
    await send(generate, of({ key_alias: 'mine' }))
    down = true
    await send(regenerate, of({ key_alias: 'mine' }))
    down = false

    const got = await send(regenerate, of({ key_alias: 'mine' }))

    expect([got.status, got.headers['retry-after'] !== undefined]).toEqual([409, true])
    expect(got.json.error).toMatchObject({ type: 'conflict', applied: 'no', operation_id: expect.stringMatching(/^[0-9a-f]{32}$/) as string })
  })
})
