// Changing one key: update, block, and a regenerate that changes more than the token.
import { describe, expect, it } from 'vitest'
import { open } from './harness.ts'

const keyed = (body: unknown, key = 'an-idempotency-key-of-one-intent') => ({ body, headers: { 'idempotency-key': key } })
const day = 86_400_000

const withKey = async (body: Readonly<Record<string, unknown>> = { key_alias: 'app' }, options: Parameters<typeof open>[0] = {}) => {
  const opened = await open(options)
  const made = await opened.send('POST /key/generate', { body })
  opened.runtime.audited.length = 0
  return { ...opened, made, id: String(made.json['key_id']), token: String(made.json['key']) }
}

describe('POST /key/update', () => {
  it('replaces what it names, keeps the rest, and neither shows nor changes the token', async () => {
    const { send, id, token } = await withKey({ key_alias: 'app', metadata: { owner: 'ada', cost: 1 }, tags: ['prod'], models: ['gpt-5'] })

    const got = await send('POST /key/update', { body: { key: id, metadata: { owner: 'bob' }, max_budget: 5 } })
    const verified = await send('POST /key/verify', { body: { key: token } })

    expect(got.status).toBe(200)
    expect(got.json).toMatchObject({ key: id, key_id: id, key_alias: 'app', metadata: { owner: 'bob' }, tags: ['prod'], models: ['gpt-5'], max_budget: 5, key_name: null, operation_id: expect.any(String) as string })
    expect(got.json['metadata']).toEqual({ owner: 'bob' })
    expect(got.json['warnings']).toEqual(['max_budget: kept and echoed, not enforced by Latchkey.'])
    expect(got.body).not.toContain(token)
    expect(verified.json['valid']).toBe(true)
  })

  it('takes the token, a supplied token\'s hash or the alias as the name of the key', async () => {
    const { send, token } = await withKey()

    const answers = [await send('POST /key/update', { body: { key: token, tags: ['a'] } }), await send('POST /key/update', { body: { key_alias: 'app', tags: ['b'] } })]
    const info = await send('GET /key/info?key_alias=app')

    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(info.json['tags']).toEqual(['b'])
  })

  it('L18: renames with key_alias beside the key: same key id, same token, another name in the store', async () => {
    const { send, id, token } = await withKey()

    const got = await send('POST /key/update', { body: { key: id, key_alias: 'renamed' } })
    const [verified, before] = [await send('POST /key/verify', { body: { key: token } }), await send('GET /key/info?key_alias=app')]

    expect(got.json).toMatchObject({ key_id: id, key_alias: 'renamed', stored: { name: 'litellm/renamed' } })
    expect([verified.json['key_id'], before.status]).toEqual([id, 404])
  })

  it.each(['master-key', 'payments'])('is repeated by %s under its Idempotency-Key without another rename', async (as) => {
    const { send, id, token } = await withKey({ key_alias: 'app', team_id: 'payments' }, { callers: { payments: [{ action: 'keys:*', team: 'payments' }] } })
    const request = { ...keyed({ key: id, key_alias: 'renamed', tags: ['a'] }), ...(as === 'payments' ? { as } : {}) }
    const first = await send('POST /key/update', request)

    const again = await send('POST /key/update', request)
    const verified = await send('POST /key/verify', { body: { key: token } })

    expect([first, again].map((got) => [got.status, got.json['key_alias'], got.json['stored']])).toMatchObject([first, first].map((got) => [200, 'renamed', { name: got.json['stored']?.['name'] }]))
    expect(verified.json['key_id']).toBe(id)
  })

  it('moves to another team, and to none with null', async () => {
    const { send, id } = await withKey({ key_alias: 'app', team_id: 'payments' })

    const moved = await send('POST /key/update', { body: { key: id, team_id: 'research' } })
    const listed = await send('GET /key/list?team_id=research')
    const freed = await send('POST /key/update', { body: { key: id, team_id: null } })

    expect([moved.json['team_id'], freed.json['team_id']]).toEqual(['research', null])
    expect(listed.json['keys']).toMatchObject([{ key_id: id }])
  })

  it.each([['-1'], [null]])('takes the end away with duration %j, as LiteLLM does', async (duration) => {
    const { send, id } = await withKey({ key_alias: 'app', duration: '30d' })

    const got = await send('POST /key/update', { body: { key: id, duration } })

    expect([got.status, got.json['expires']]).toEqual([200, null])
  })

  it('counts a new duration from now, and revives a key that has expired', async () => {
    const { send, id, token, clock } = await withKey({ key_alias: 'app', duration: '1h' })
    clock.advance(2 * 3_600_000)
    const expired = await send('GET /key/info?key_alias=app')

    const got = await send('POST /key/update', { body: { key: id, duration: '1d' } })
    const verified = await send('POST /key/verify', { body: { key: token } })

    expect([expired.json['state'], got.json['state'], verified.json['valid']]).toEqual(['expired', 'active', true])
    expect(got.json['expires']).toBe(new Date(clock.now() + day).toISOString())
  })

  it('takes a kept field off with null', async () => {
    const { send, id } = await withKey({ key_alias: 'app', max_budget: 5, models: ['gpt-5'] })

    const got = await send('POST /key/update', { body: { key: id, max_budget: null } })

    expect([got.json['max_budget'], got.json['models']]).toEqual([undefined, ['gpt-5']])
  })

  it('answers an update that changes nothing with the key as it is, and does nothing', async () => {
    const { send, id, held, runtime } = await withKey()
    const before = await held()

    const got = await send('POST /key/update', { body: { key: id, favourite_colour: 'blue' } })

    expect([got.status, got.json['key_id'], got.json['operation_id']]).toEqual([200, id, null])
    expect(got.json['warnings']).toEqual(['favourite_colour: is not a field that Latchkey knows; it was ignored and is not stored.', 'The request changes nothing; the key is as it was.'])
    expect(await held()).toBe(before)
    expect(runtime.audited).toMatchObject([{ action: 'keys:update', decision: 'allowed', keyId: id }])
  })

  it('looks for an alias in the team beside it, and moves nothing by it', async () => {
    const { send, id } = await withKey({ key_alias: 'app', team_id: 'payments' })

    const right = await send('POST /key/update', { body: { key_alias: 'app', team_id: 'payments', tags: ['a'] } })
    const wrong = await send('POST /key/update', { body: { key_alias: 'app', team_id: 'research', tags: ['b'] } })
    const info = await send('GET /key/info', { query: `key=${id}` })

    expect([right.status, wrong.status, wrong.json.error['param']]).toEqual([200, 400, 'team_id'])
    expect(wrong.body).toContain('name it by key')
    expect(info.json).toMatchObject({ team_id: 'payments', tags: ['a'] })
  })

  it('blocks and unblocks by itself, with the grant of blocking', async () => {
    const { send, id, token, runtime } = await withKey({ key_alias: 'app' }, { callers: { guard: [{ action: 'keys:block' }], editor: [{ action: 'keys:update' }] } })

    const blocked = await send('POST /key/update', { as: 'guard', body: { key: id, blocked: true } })
    const verified = await send('POST /key/verify', { body: { key: token } })
    const refused = await send('POST /key/update', { as: 'editor', body: { key: id, blocked: false } })
    const freed = await send('POST /key/update', { as: 'guard', body: { key: id, blocked: false } })

    expect([blocked.status, blocked.json['state'], blocked.json['blocked'], verified.json['valid']]).toEqual([200, 'blocked', true, false])
    expect([refused.status, refused.json.error['type']]).toEqual([403, 'forbidden'])
    expect([freed.json['state'], freed.json['blocked']]).toEqual(['active', false])
    expect(runtime.audited[0]).toMatchObject({ action: 'keys:block', decision: 'allowed', caller: 'guard', keyId: id })
  })

  it('takes blocked beside other changes where the key is so already, and refuses it where it is not', async () => {
    const { send, id } = await withKey()

    const same = await send('POST /key/update', { body: { key: id, blocked: false, tags: ['a'] } })
    const other = await send('POST /key/update', { body: { key: id, blocked: true, tags: ['b'] } })
    const info = await send('GET /key/info', { query: `key=${id}` })

    expect([same.status, other.status, other.json.error['param']]).toEqual([200, 400, 'blocked'])
    expect(other.body).toContain('POST /key/block')
    expect(info.json).toMatchObject({ tags: ['a'], blocked: false })
  })

  it('judges a change of the rotation by what is kept already', async () => {
    const { send, id } = await withKey({ key_alias: 'app', auto_rotate: true, rotation_interval: '30d' })

    const longer = await send('POST /key/update', { body: { key: id, rotation_interval: '60d' } })
    const again = await send('POST /key/update', { body: { key: id, auto_rotate: true } })
    const without = await send('POST /key/update', { body: { key: id, rotation_interval: null } })
    const off = await send('POST /key/update', { body: { key: id, rotation_interval: null, auto_rotate: false } })

    expect([longer, again, without, off].map(({ status }) => status)).toEqual([200, 200, 400, 200])
    expect(without.json.error['param']).toBe('rotation_interval')
  })
})

describe('an update by a caller of one team', () => {
  const callers = {
    payments: [{ action: 'keys:*', team: 'payments' }],
    both: [{ action: 'keys:*', team: 'payments' }, { action: 'keys:*', team: 'research' }],
  }

  it('finds no other team\'s key', async () => {
    const { send, id } = await withKey({ key_alias: 'app', team_id: 'research' }, { callers })

    const answers = [await send('POST /key/update', { as: 'payments', body: { key: id, tags: ['a'] } }), await send('POST /key/block', { as: 'payments', body: { key: id } }), await send('POST /key/unblock', { as: 'payments', body: { key_alias: 'app' } })]

    expect(answers.map((got) => [got.status, got.json.error['type'], String(got.json.error['message'])])).toEqual(answers.map(() => [404, 'not_found', 'There is no such key among those that this caller may see.']))
  })

  it('moves a key only between teams that are both covered', async () => {
    const { send, id } = await withKey({ key_alias: 'app', team_id: 'payments' }, { callers })

    const denied = [await send('POST /key/update', { as: 'payments', body: { key: id, team_id: 'research' } }), await send('POST /key/update', { as: 'both', body: { key: id, team_id: null } }), await send('POST /key/regenerate', { as: 'payments', body: { key: id, team_id: 'research' } })]
    const moved = await send('POST /key/update', { as: 'both', body: { key: id, team_id: 'research' } })

    expect(denied.map((got) => [got.status, got.json.error['type']])).toEqual(denied.map(() => [403, 'forbidden']))
    expect([moved.status, moved.json['team_id']]).toEqual([200, 'research'])
  })
})

describe('POST /key/block and /key/unblock', () => {
  it('ends and gives back a token\'s acceptance without changing it, and says so in info and list', async () => {
    const { send, id, token } = await withKey()
    const valid = async (): Promise<unknown> => (await send('POST /key/verify', { body: { key: token } })).json['valid']

    const blocked = await send('POST /key/block', { body: { key: token } })
    const [during, info, list] = [await valid(), await send('GET /key/info', { query: `key=${id}` }), await send('GET /key/list?status=blocked')]
    const freed = await send('POST /key/unblock', { body: { key_alias: 'app' } })

    expect(blocked.json).toMatchObject({ key_id: id, blocked: true, state: 'blocked', operation_id: expect.any(String) as string })
    expect([during, info.json['blocked'], info.json['state']]).toEqual([false, true, 'blocked'])
    expect(list.json['keys']).toMatchObject([{ key_id: id, blocked: true }])
    expect([freed.json['blocked'], await valid()]).toEqual([false, true])
    expect(blocked.body).not.toContain(token)
  })

  it('is repeated under its Idempotency-Key without effect', async () => {
    const { send, id } = await withKey()

    const first = await send('POST /key/block', keyed({ key: id }))
    const again = await send('POST /key/block', keyed({ key: id }))

    expect([again.status, again.json['operation_id']]).toEqual([200, first.json['operation_id']])
  })
})

describe('a regenerate with more than a token', () => {
  it('changes the fields first, then the token, each with its own line', async () => {
    const { send, id, token, runtime, clock } = await withKey({ key_alias: 'app', duration: '1h', models: ['gpt-5'] })
    clock.advance(2 * 3_600_000)

    const got = await send('POST /key/regenerate', { body: { key: id, duration: '30d', metadata: { owner: 'ada' } } })

    expect(got.status).toBe(200)
    expect(got.json).toMatchObject({ key_id: id, metadata: { owner: 'ada' }, models: ['gpt-5'], expires: new Date(clock.now() + 30 * day).toISOString() })
    expect(got.json['key']).not.toBe(token)
    expect(runtime.audited.map(({ action, decision }) => [action, decision])).toEqual([['keys:update', 'allowed'], ['keys:rotate', 'allowed']])
  })

  it('L12: renames with another alias beside the key, and keeps the name with the same one', async () => {
    const { send, id } = await withKey()

    const same = await send('POST /key/regenerate', { body: { key: id, key_alias: 'app' } })
    const renamed = await send(`POST /key/${id}/regenerate`, { body: { key_alias: 'renamed' } })
    const verified = await send('POST /key/verify', { body: { key: renamed.json['key'] } })

    expect([same.json['key_alias'], renamed.json['key_alias'], renamed.json['key_id']]).toEqual(['app', 'renamed', id])
    expect([same, renamed].map((got) => got.json['stored']?.['name'])).toEqual(['litellm/app', 'litellm/renamed'])
    expect(verified.json['key_id']).toBe(id)
  })

  it('rotates nothing where the new alias is taken', async () => {
    const { send, id, token } = await withKey()
    await send('POST /key/generate', { body: { key_alias: 'taken' } })

    const got = await send('POST /key/regenerate', { body: { key: id, key_alias: 'taken' } })
    const verified = await send('POST /key/verify', { body: { key: token } })

    expect([got.status, got.json.error['type'], verified.json['valid']]).toEqual([400, 'already_exists', true])
  })

  it('is repeated with its new alias under its Idempotency-Key: one rename, one rotation', async () => {
    const { send, id } = await withKey()
    const request = keyed({ key: id, key_alias: 'renamed' })
    const first = await send('POST /key/regenerate', request)

    const again = await send('POST /key/regenerate', request)

    expect([again.status, again.json['key'], again.json['operation_id'], again.json['key_alias']]).toEqual([200, first.json['key'], first.json['operation_id'], 'renamed'])
  })

  it('asks for the grant of updating where it changes more than the token', async () => {
    const { send, id } = await withKey({ key_alias: 'app' }, { callers: { rotator: [{ action: 'keys:rotate' }] } })

    const statuses: number[] = []
    for (const more of [{}, { key_alias: 'app' }, { key_alias: 'b' }, { duration: '1d' }]) statuses.push((await send('POST /key/regenerate', { as: 'rotator', body: { key: id, ...more } })).status)

    expect(statuses).toEqual([200, 200, 403, 403])
  })

  it('takes null for everything that a client leaves out', async () => {
    const { send, id } = await withKey({ key_alias: 'app', duration: '30d', max_budget: 5 })

    const got = await send('POST /key/regenerate', { body: { key: id, duration: null, max_budget: null, team_id: null, key_alias: null, new_key: null, grace_period: null, blocked: null } })

    expect([got.status, got.json['max_budget'], got.json['warnings']]).toEqual([200, 5, []])
    expect(got.json['expires']).not.toBeNull()
  })

  it('is repeated under its Idempotency-Key: fields and token are changed once', async () => {
    const { send, id, held } = await withKey()
    const first = await send('POST /key/regenerate', keyed({ key: id, tags: ['a'] }))
    const before = await held()

    const again = await send('POST /key/regenerate', keyed({ key: id, tags: ['a'] }))

    expect([again.json['key'], again.json['operation_id']]).toEqual([first.json['key'], first.json['operation_id']])
    expect(await held()).toBe(before)
  })

  it('says what was done where the rotation fails after the fields were changed', async () => {
    const { send, id } = await withKey()
    await send('POST /key/generate', { body: { key_alias: 'own', key: 'sk-of-the-callers-own-0000000001' } })

    const got = await send('POST /key/regenerate', { body: { key: id, tags: ['a'], new_key: 'sk-of-the-callers-own-0000000001' } })
    const info = await send('GET /key/info', { query: `key=${id}` })

    expect(got.json.error).toMatchObject({ type: 'already_exists', applied: 'unknown', message: expect.stringContaining('was done before') as string })
    expect(info.json['tags']).toEqual(['a'])
  })
})
