import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import golden from '../fixtures/litellm-key-fields.json' with { type: 'json' }
import { open } from './harness.ts'

const keyed = (body: unknown, key = 'an-idempotency-key-of-one-intent') => ({ body, headers: { 'idempotency-key': key } })

describe('LiteLLM\'s answers', () => {
  it('has every field of LiteLLM\'s generate, and the request\'s own fields', async () => {
    const { send } = await open()

    const got = await send('POST /key/generate', { body: golden.generate.request })

    expect(got.status).toBe(200)
    expect(Object.keys(got.json)).toEqual(expect.arrayContaining([...golden.generate.fields]))
    expect(got.json).toMatchObject(golden.generate.request)
  })

  it('has every field of LiteLLM\'s regenerate', async () => {
    const { send } = await open()
    await send('POST /key/generate', { body: golden.generate.request })

    const got = await send('POST /key/regenerate', { body: { ...golden.regenerate.request, key_alias: 'golden' } })

    expect(Object.keys(got.json)).toEqual(expect.arrayContaining([...golden.regenerate.fields]))
    expect(got.json).toMatchObject({ key_alias: 'golden', team_id: 'payments', models: ['gpt-5'], metadata: { owner: 'ada' } })
  })

  it('has LiteLLM\'s fields of an update, a block, a health and a list', async () => {
    const { send } = await open()
    const { json } = await send('POST /key/generate', { body: golden.generate.request })

    const [health, list] = [await send('POST /key/health', { body: { key: json['key'] } }), await send('GET /key/list')]
    const update = await send('POST /key/update', { body: { key: json['key_id'], metadata: { owner: 'bob' } } })
    const block = await send('POST /key/block', { body: { key: json['key_id'] } })

    for (const [got, { fields }] of [[update, golden.update], [block, golden.block], [health, golden.health], [list, golden.list]] as const) expect(Object.keys(got.json)).toEqual(expect.arrayContaining([...fields]))
    expect([block.json['blocked'], health.json['key']]).toEqual([true, 'healthy'])
  })

  it('has LiteLLM\'s fields of a delete and of an error', async () => {
    const { send } = await open()
    await send('POST /key/generate', { body: { key_alias: 'a' } })

    const deleted = await send('POST /key/delete', { body: { key_aliases: ['a'] } })
    const failed = await send('POST /key/delete', { body: { key_aliases: ['a'] } })

    expect(Object.keys(deleted.json)).toEqual(expect.arrayContaining([...golden.delete.fields]))
    expect(Object.keys(failed.json.error)).toEqual(expect.arrayContaining([...golden.error.fields]))
  })

  it('computes key_name, token and token_id as LiteLLM does', async () => {
    const { send } = await open()

    const { json } = await send('POST /key/generate', { body: { key: 'sk-of-the-callers-own-0000000001' } })

    const hash = createHash('sha256').update('sk-of-the-callers-own-0000000001').digest('hex')
    expect(json).toMatchObject({ key: 'sk-of-the-callers-own-0000000001', key_name: 'sk-...0001', token: hash, token_id: hash })
  })

  it('never lets a kept field take the place of a fact', async () => {
    const { send } = await open()

    const { json } = await send('POST /key/generate', { body: { key_alias: 'a', metadata: { key_id: 'x' }, config: { stored: 1 } } })

    expect(json).toMatchObject({ stored: { store: 'default', name: 'litellm/a' }, metadata: { key_id: 'x' }, config: { stored: 1 } })
  })
})

describe('a key\'s life', () => {
  it('creates, tells, lists, verifies, rotates and deletes', async () => {
    const { send, stores, runtime } = await open()

    const made = await send('POST /key/generate', { body: { key_alias: 'app', team_id: 'payments', duration: '30d' } })
    const info = await send('GET /key/info?key_alias=app')
    const list = await send('GET /key/list')
    const valid = await send('POST /key/verify', { body: { key: made.json['key'] } })
    const rotated = await send('POST /key/app/regenerate').then(() => send(`POST /key/${String(made.json['key_id'])}/regenerate`, { body: { grace_period: '1h' } }))
    const grace = await send('POST /key/verify', { body: { key: made.json['key'] } })
    const deleted = await send('POST /key/delete', { body: { keys: [made.json['key_id']] } })
    const gone = await send('POST /key/verify', { body: { key: rotated.json['key'] } })

    expect(made.json).toMatchObject({ key_alias: 'app', team_id: 'payments', expires: '2026-12-21T12:00:00.000Z', stored: { store: 'default', name: 'litellm/app', version: '1' }, guarantee: 'atomic', enforced_by: ['verify'], warnings: [] })
    expect(info.json).toMatchObject({ key_id: made.json['key_id'], state: 'active', info: { key_alias: 'app' } })
    expect(list.json['keys']).toMatchObject([{ key_id: made.json['key_id'], stored: { name: 'litellm/app' } }])
    expect(valid.json).toEqual({ valid: true, key_id: made.json['key_id'], team_id: 'payments', not_after: '2026-12-21T12:00:00.000Z' })
    expect(rotated.json).toMatchObject({ key_id: made.json['key_id'], previous_until: '2026-11-21T13:00:00.000Z', stored: { name: 'litellm/app' } })
    expect(rotated.json['key']).not.toBe(made.json['key'])
    expect(grace.json).toMatchObject({ valid: true, not_after: '2026-11-21T13:00:00.000Z' })
    expect(deleted.json).toMatchObject({ deleted_keys: [made.json['key_id']], results: [{ item: 'keys[0]', deleted: true, stored: { name: 'litellm/app' }, purge_after: expect.any(String) as string }] })
    expect(gone.json).toEqual({ valid: false })
    expect(stores.size).toBe(1)
    expect(runtime.audited.map((event) => [event.action, event.decision])).toEqual([
      ['keys:create', 'allowed'], ['keys:read', 'allowed'], ['keys:read', 'allowed'], ['keys:verify', 'allowed'], ['keys:rotate', 'failed'], ['keys:rotate', 'allowed'], ['keys:verify', 'allowed'], ['keys:delete', 'allowed'], ['keys:verify', 'allowed'],
    ])
  })

  it('stores the token under prefix and alias, exactly', async () => {
    const { send } = await open({ callers: { owner: [{ action: 'keys:reveal', names: ['litellm/**'] }] } })
    const made = await send('POST /key/generate', { body: { key_alias: 'app' } })

    const read = await send('GET /secrets/litellm/app', { as: 'owner', headers: { accept: 'text/plain' } })

    expect(read.body).toBe(made.json['key'])
  })

  it('names a key without an alias by its id', async () => {
    const { send } = await open()

    const { json } = await send('POST /key/generate')

    expect(json).toMatchObject({ key_alias: null, team_id: null, expires: null, stored: { name: `litellm/virtual-key-${String(json['key_id'])}` } })
  })

  it('takes a key id, the token or a supplied token\'s hash, in path, body and query', async () => {
    const { send } = await open()
    const made = await send('POST /key/generate', { body: { key_alias: 'minted' } })
    await send('POST /key/generate', { body: { key_alias: 'own', key: 'sk-of-the-callers-own-0000000001' } })
    const hash = createHash('sha256').update('sk-of-the-callers-own-0000000001').digest('hex')

    const byToken = await send(`GET /key/info?key=${String(made.json['key'])}`)
    const byHash = await send(`GET /key/info?key=${hash}`)
    const inPath = await send(`POST /key/${String(made.json['key'])}/regenerate`)
    const inBody = await send('POST /key/regenerate', { body: { key: hash } })

    expect([byToken, byHash, inPath, inBody].map((got) => [got.status, got.json['key_alias']])).toEqual([[200, 'minted'], [200, 'own'], [200, 'minted'], [200, 'own']])
    expect(byToken.body).not.toContain(made.json['key'])
  })

  it('deletes what it can of a batch and says the rest item by item, without ever repeating a token', async () => {
    const { send, runtime } = await open()
    const [a, b] = [await send('POST /key/generate', { body: { key_alias: 'a' } }), await send('POST /key/generate', { body: {} })]
    runtime.audited.length = 0
    const strange = 'sk-a-token-that-nobody-here-has-seen'

    const got = await send('POST /key/delete', { body: { keys: [strange, b.json['key']], key_aliases: ['a', 'nobody'] } })

    expect(got.status).toBe(200)
    expect(got.json['deleted_keys']).toEqual([b.json['key_id'], a.json['key_id']])
    expect(got.json['results']).toMatchObject([
      { item: 'keys[0]', deleted: false, error: { type: 'not_found' } },
      { item: 'keys[1]', deleted: true },
      { item: 'key_aliases[0]', key_alias: 'a', deleted: true },
      { item: 'key_aliases[1]', key_alias: 'nobody', deleted: false },
    ])
    expect(runtime.audited.map((event) => event.decision)).toEqual(['failed', 'allowed', 'allowed', 'failed'])
    expect(got.body).not.toContain(strange)
    expect(got.body).not.toContain(b.json['key'])
  })

  it('shows a deleted key in no list, while its tombstone still holds the name', async () => {
    const { send } = await open()
    for (const alias of ['a', 'b']) await send('POST /key/generate', { body: { key_alias: alias } })
    await send('POST /key/delete', { body: { key_aliases: ['a'] } })

    const [secrets, keys] = [await send('GET /secrets'), await send('GET /key/list')]

    expect(secrets.json['items']).toMatchObject([{ name: 'litellm/b' }])
    expect(keys.json['keys']).toMatchObject([{ key_alias: 'b' }])
  })

  it('answers 404 with every item when a batch finds none', async () => {
    const { send } = await open()

    const got = await send('POST /key/delete', { body: { keys: ['a'.repeat(16)], key_aliases: ['nobody'] } })

    expect([got.status, got.json.error['code']]).toEqual([404, '404'])
    expect(got.json.error['issues']).toMatchObject([{ path: 'keys[0]' }, { path: 'key_aliases[0]' }])
  })
})

describe('requests', () => {
  it('ignores unknown fields and lists them in warnings, and says what is kept and not enforced', async () => {
    const { send, held } = await open()

    const got = await send('POST /key/generate', { body: { key_alias: 'a', favourite_colour: 'blue', '\u001b[31m': 1, max_budget: 5, tpm_limit: 7, send_invite_email: true } })

    expect(got.json['warnings']).toEqual([
      'favourite_colour: is not a field that Latchkey knows; it was ignored and is not stored.',
      '(a key that is no field name): is not a field that Latchkey knows; it was ignored and is not stored.',
      'max_budget, tpm_limit: kept and echoed, not enforced by Latchkey.',
      'send_invite_email: Latchkey sends no mail; it was ignored.',
    ])
    expect(await held()).not.toContain('blue')
  })

  it('takes null for everything, as LiteLLM\'s clients send it', async () => {
    const { send } = await open()

    const got = await send('POST /key/generate', { body: { key_alias: null, team_id: null, duration: null, key: null, models: null, max_budget: null, blocked: null, metadata: null } })

    expect([got.status, got.json['warnings']]).toEqual([200, []])
  })

  it.each([
    ['30s', '2026-11-21T12:00:30.000Z'], ['30m', '2026-11-21T12:30:00.000Z'], ['30h', '2026-11-22T18:00:00.000Z'], ['30d', '2026-12-21T12:00:00.000Z'], ['1w', '2026-11-28T12:00:00.000Z'], ['2mo', '2027-01-21T12:00:00.000Z'], ['3mo', '2027-02-21T12:00:00.000Z'],
  ])('ends a key after %s at %s', async (duration, expires) => {
    const { send } = await open()

    const got = await send('POST /key/generate', { body: { duration } })

    expect(got.json).toMatchObject({ expires, duration })
  })

  it('lets a team\'s caller make, see and end that team\'s keys, and no others', async () => {
    const { send } = await open({ callers: { payments: [{ action: 'keys:*', team: 'payments' }] } })
    await send('POST /key/generate', { body: { key_alias: 'theirs', team_id: 'research' } })
    const theirs = await send('GET /key/info?key_alias=theirs')

    const made = await send('POST /key/generate', { as: 'payments', body: { key_alias: 'ours', team_id: 'payments' } })
    const list = await send('GET /key/list', { as: 'payments' })
    const rotated = await send('POST /key/regenerate', { as: 'payments', body: { key_alias: 'ours' } })
    const foreign = await send('GET /key/info', { as: 'payments', query: `key=${String(theirs.json['key_id'])}` })
    const deleted = await send('POST /key/delete', { as: 'payments', body: { key_aliases: ['theirs', 'ours'] } })

    expect([made.status, rotated.status, foreign.status]).toEqual([200, 200, 404])
    expect((list.json['keys'] as unknown as { key_alias: string }[]).map((key) => key.key_alias)).toEqual(['ours'])
    expect(deleted.json['results']).toMatchObject([{ deleted: false, error: { type: 'not_found' } }, { deleted: true }])
  })

  it('lists the keys of all of a caller\'s teams, and of no other', async () => {
    const { send } = await open({ callers: { lead: [{ action: 'keys:read', team: 'a' }, { action: 'keys:*', team: 'b' }] } })
    for (const team of ['a', 'b', 'c']) await send('POST /key/generate', { body: { key_alias: `of-${team}`, team_id: team } })
    await send('POST /key/generate', { body: { key_alias: 'of-nobody' } })

    const list = await send('GET /key/list', { as: 'lead' })

    expect((list.json['keys'] as unknown as { key_alias: string }[]).map((key) => key.key_alias)).toEqual(['of-a', 'of-b'])
  })

  it('tells a team\'s verifier nothing about other teams\' tokens', async () => {
    const { send } = await open({ callers: { gate: [{ action: 'keys:verify', team: 'payments' }] } })
    const theirs = await send('POST /key/generate', { body: { team_id: 'research' } })

    const got = await send('POST /key/verify', { as: 'gate', body: { key: theirs.json['key'] } })

    expect(got.json).toEqual({ valid: false })
  })

  it('pages the list by cursor', async () => {
    const { send } = await open()
    for (const alias of ['a', 'b', 'c']) await send('POST /key/generate', { body: { key_alias: alias } })

    const first = await send('GET /key/list?size=2')
    const second = await send('GET /key/list', { query: `limit=2&cursor=${encodeURIComponent(String(first.json['next_cursor']))}` })

    expect([first, second].flatMap((got) => got.json['keys'] as unknown as { key_alias: string }[]).map((key) => key.key_alias)).toEqual(['a', 'b', 'c'])
  })
})

describe('Idempotency-Key', () => {
  it('answers a repeated creation with the same key, once made', async () => {
    const { send, held } = await open()

    const first = await send('POST /key/generate', keyed({ key_alias: 'a', metadata: { x: 1, y: 2 } }))
    const before = await held()
    const again = await send('POST /key/generate', keyed({ metadata: { y: 2, x: 1 }, key_alias: 'a' }))

    expect([again.status, again.json['key'], again.json['operation_id']]).toEqual([200, first.json['key'], first.json['operation_id']])
    expect(await held()).toBe(before)
  })

  it('refuses another body with 422', async () => {
    const { send } = await open()
    await send('POST /key/generate', keyed({ key_alias: 'a' }))

    const other = await send('POST /key/generate', keyed({ key_alias: 'a', duration: '1d' }))

    expect([other.status, other.json.error['type']]).toEqual([422, 'idempotency_mismatch'])
  })

  it('answers a repeated rotation and a repeated delete as done', async () => {
    const { send, held } = await open()
    const made = await send('POST /key/generate', { body: { key_alias: 'a' } })

    const rotated = await send(`POST /key/${String(made.json['key_id'])}/regenerate`, keyed({}))
    const again = await send(`POST /key/${String(made.json['key_id'])}/regenerate`, keyed({}))
    const deleted = await send('POST /key/delete', keyed({ keys: [made.json['key_id']] }))
    const before = await held()
    const deletedAgain = await send('POST /key/delete', keyed({ keys: [made.json['key_id']] }))

    expect([again.json['key'], again.json['operation_id']]).toEqual([rotated.json['key'], rotated.json['operation_id']])
    expect([deletedAgain.status, deletedAgain.json['deleted_keys']]).toEqual([200, deleted.json['deleted_keys']])
    expect(await held()).toBe(before)
  })

  it('withholds the token once the reveal window is over, and says why', async () => {
    const { send, clock } = await open()
    await send('POST /key/generate', keyed({ key_alias: 'a' }))
    clock.advance(901_000)

    const again = await send('POST /key/generate', keyed({ key_alias: 'a' }))

    expect(again.json).toMatchObject({ key: null, key_withheld: 'reveal_expired', token: null, key_name: null })
  })

  it('belongs to one caller', async () => {
    const { send } = await open({ callers: { other: [{ action: 'keys:*' }] } })
    const first = await send('POST /key/generate', keyed({}))

    const second = await send('POST /key/generate', { ...keyed({}), as: 'other' })

    expect(second.json['key_id']).not.toBe(first.json['key_id'])
  })
})
