// The gateway port on a LiteLLM that is well: what each call does there, what it answers, and what it does when it is sent again.
import { describe, expect, it } from 'vitest'
import { fakeMasterKey } from '../fakes/litellm-gateway.ts'
import { hashOf, newToken, openedGateway, refusal, rowFor } from './opened-gateway.ts'

const day = 86_400_000

describe('adding a token', () => {
  it('makes a row with alias, team, expiry, fields and the mark beside the caller\'s metadata', async () => {
    const { gateway, call, clock, held } = await openedGateway()
    const token = newToken()

    const outcome = await gateway.add(token, rowFor({ teamId: 'payments', expires: new Date(clock.now() + day), fields: { models: ['gpt-5'], max_budget: 10, metadata: { owner: 'ada' }, model_rpm_limit: { 'gpt-5': 3 } } }), call())

    expect(outcome).toBe('added')
    expect(held(token)).toMatchObject({
      key_alias: 'Team.one/ci', team_id: 'payments', blocked: null, expires: new Date(clock.now() + day).toISOString(), models: ['gpt-5'], max_budget: 10,
      metadata: { owner: 'ada', model_rpm_limit: { 'gpt-5': 3 }, latchkey: { key_id: 'abcdefghijklmnop', epoch: 1 } },
    })
    expect(await gateway.accepts(token, call())).toBe(true)
  })

  it.each([
    ['under the same alias', { alias: 'Team.one/ci' }],
    ['under another alias', { alias: 'other' }],
  ])('leaves a row of that token as it is when it is sent again %s: it neither unblocks nor lengthens', async (_title, again) => {
    const { gateway, call, clock, held } = await openedGateway()
    const token = newToken()
    await gateway.add(token, rowFor({ expires: new Date(clock.now() + 60_000) }), call())
    await gateway.setBlocked({ token }, true, call())
    const before = held(token)

    const outcome = await gateway.add(token, rowFor({ epoch: 7, expires: new Date(clock.now() + day), ...again }), call())

    expect(outcome).toBe('stood')
    expect(held(token)).toEqual(before)
  })

  it('says that the row stood when the very same call without an alias is repeated', async () => {
    const { gateway, call } = await openedGateway()
    const token = newToken()
    const { alias: _alias, ...row } = rowFor()

    const outcomes = [await gateway.add(token, row, call()), await gateway.add(token, row, call())]

    expect(outcomes).toEqual(['added', 'stood'])
  })

  it('says of two parallel calls which one made the row', async () => {
    const { gateway, call } = await openedGateway()
    const token = newToken()

    const outcomes = await Promise.all([gateway.add(token, rowFor(), call()), gateway.add(token, rowFor(), call())])

    expect(outcomes.toSorted()).toEqual(['added', 'stood'])
  })

  it('makes a blocked row, so that a late registration of the token changes nothing', async () => {
    const { gateway, call, fake } = await openedGateway()
    const token = newToken()

    const outcomes = [await gateway.add(token, rowFor({ blocked: true }), call()), await gateway.add(token, rowFor(), call())]

    expect(outcomes).toEqual(['added', 'stood'])
    expect(fake.service.accepts(token.reveal())).toBe(false)
  })

  it('refuses an alias of another token, and adds nothing', async () => {
    const { gateway, call, held } = await openedGateway()
    const token = newToken()
    await gateway.add(newToken(), rowFor(), call())

    const refused = await refusal(gateway.add(token, rowFor(), call()))

    expect(refused).toEqual(['already_exists', 'key_alias'])
    expect(held(token)).toBeUndefined()
  })

  it('names the alias when LiteLLM does not take its form', async () => {
    const { gateway, call } = await openedGateway()

    const refused = await refusal(gateway.add(newToken(), rowFor({ alias: 'a/../b' }), call()))

    expect(refused).toEqual(['gateway_denied', 'key_alias'])
  })

  it.each([
    ['without a licence', { tags: ['prod'] }, 'tags'],
    ['without a licence, told as a server error', { model_max_budget: { 'gpt-5': { budget_limit: 1, time_period: '1d' } } }, 'model_max_budget'],
    ['of another type', { max_budget: 'a lot' }, 'max_budget'],
  ])('names a field that LiteLLM does not take %s', async (_title, fields, param) => {
    const { gateway, call } = await openedGateway()

    const refused = await refusal(gateway.add(newToken(), rowFor({ fields }), call()))

    expect(refused).toEqual(['gateway_denied', param])
  })

  it('is denied where LiteLLM takes no tokens but its own', async () => {
    const { gateway, call } = await openedGateway({ ownKeysOnly: true })

    expect((await refusal(gateway.add(newToken(), rowFor(), call())))[0]).toBe('gateway_denied')
  })

  it('gives at least a second, whole ones, and lets names that are its own pass through no field', async () => {
    const { gateway, call, clock, held } = await openedGateway()
    const [past, odd] = [newToken(), newToken()]

    await gateway.add(past, rowFor({ alias: 'a', expires: new Date(clock.now() - day), fields: { duration: '9d', key_alias: 'smuggled', blocked: true, key: 'sk-smuggled-smuggled' } }), call())
    await gateway.add(odd, rowFor({ alias: 'b', expires: new Date(clock.now() + 90_999) }), call())

    expect([held(past), held(odd)].map((row) => Date.parse(row?.expires ?? '') - clock.now())).toEqual([1000, 90_000])
    expect(held(past)).toMatchObject({ key_alias: 'a', blocked: null })
  })

  it('takes the caller\'s own `latchkey` in metadata for nothing', async () => {
    const { gateway, call } = await openedGateway()
    const token = newToken()

    await gateway.add(token, { alias: 'x', blocked: false, fields: { metadata: { latchkey: { key_id: 'forged', epoch: 9 }, owner: 'ada' } } }, call())

    expect(await gateway.find({ token }, call())).toEqual({ alias: 'x', blocked: false, fields: { metadata: { owner: 'ada' } } })
  })
})

describe('whether a token is accepted', () => {
  it.each<[string, boolean, (opened: Awaited<ReturnType<typeof openedGateway>>, token: ReturnType<typeof newToken>) => unknown]>([
    ['that stands', true, () => undefined],
    ['that may not ask for itself', true, ({ gateway, call }, token) => gateway.change({ token }, { fields: { allowed_routes: ['/chat/completions'] } }, call())],
    ['that is blocked', false, ({ gateway, call }, token) => gateway.setBlocked({ token }, true, call())],
    ['that has expired', false, ({ clock }) => clock.advance(day + 1)],
    ['that was removed', false, ({ gateway, call }, token) => gateway.remove({ token }, call())],
  ])('is told of one %s', async (_title, accepted, act) => {
    const opened = await openedGateway()
    const token = newToken()
    await opened.gateway.add(token, rowFor({ expires: new Date(opened.clock.now() + day) }), opened.call())
    await act(opened, token)

    const answer = await opened.gateway.accepts(token, opened.call())

    expect([answer, opened.fake.service.accepts(token.reveal())]).toEqual([accepted, accepted])
  })

  it.each([['over its budget', { status: 400, body: { error: { message: 'Budget has been exceeded!', type: 'budget_exceeded', param: null, code: '400' } } }], ['over its budget, in a newer version', { status: 429, body: { error: { message: 'Budget', type: 'budget_exceeded', param: null, code: '429' } } }]])('is true of one %s', async (_title, answer) => {
    const { gateway, call, fake } = await openedGateway()
    fake.fault({ kind: 'says', answer })

    expect(await gateway.accepts(newToken(), call())).toBe(true)
  })

  it('is true of one that some versions keep from the route with 401', async () => {
    const { gateway, call, fake } = await openedGateway()
    fake.fault({ kind: 'says', answer: { status: 401, body: { error: { message: "Authentication Error, Virtual key is not allowed to call this route. Only allowed to call routes: ['llm_api_routes']", type: 'auth_error', param: 'None', code: '401' } } } })

    expect(await gateway.accepts(newToken(), call())).toBe(true)
  })

  it('is asked with the token itself, and with no other credential', async () => {
    const { gateway, call, fake } = await openedGateway()
    const token = newToken()

    const answer = await gateway.accepts(token, call())

    expect([answer, fake.requests.map(({ method, path, headers }) => [method, path, headers['authorization']])]).toEqual([false, [['GET', '/key/info', `Bearer ${token.reveal()}`]]])
  })
})

describe('finding a row', () => {
  it('gives it as it was added, by token and by hash in either case', async () => {
    const { gateway, call, clock } = await openedGateway()
    const token = newToken()
    const row = rowFor({ teamId: 'payments', expires: new Date(clock.now() + day), fields: { models: ['gpt-5'], max_budget: 0, tpm_limit: 5, metadata: { owner: 'ada' }, model_rpm_limit: { 'gpt-5': 3 }, key_type: 'llm_api', spend: 2.5 } })
    await gateway.add(token, row, call())

    const found = [await gateway.find({ token }, call()), await gateway.find({ sha256: hashOf(token) }, call()), await gateway.find({ sha256: hashOf(token).toUpperCase() }, call())]

    expect(found).toEqual([row, row, row])
  })

  it('finds nothing where there is no row, nor where only the archive has it', async () => {
    const { gateway, call } = await openedGateway()
    const [never, gone] = [newToken(), newToken()]
    await gateway.add(gone, rowFor(), call())
    await gateway.remove({ token: gone }, call())

    expect([await gateway.find({ token: never }, call()), await gateway.find({ token: gone }, call())]).toEqual([undefined, undefined])
  })

  it('shows no mark on what somebody else made, and reads a time without a zone as UTC', async () => {
    const { gateway, call, fake } = await openedGateway()
    fake.service.seed('sk-of-somebody-else', { key_alias: null, expires: '2030-01-02T03:04:05', blocked: true })

    expect(await gateway.find({ sha256: [...fake.service.rows.keys()][0] ?? '' }, call())).toEqual({ blocked: true, expires: new Date('2030-01-02T03:04:05Z'), fields: {} })
  })

  it.each(['', 'abc', 'sk-0123456789abcdef', '../../../key/list', 'g'.repeat(64)])('refuses %j in the place of a hash before anything is sent', async (sha256) => {
    const { gateway, call, fake } = await openedGateway()

    const refused = await refusal(gateway.find({ sha256 }, call()))

    expect([refused, fake.requests]).toEqual([['invalid_request', 'sha256'], []])
  })
})

describe('changing a row', () => {
  it('changes what is named, keeps the rest and the mark, and is true again when it is repeated', async () => {
    const { gateway, call, clock, held } = await openedGateway()
    const token = newToken()
    await gateway.add(token, rowFor({ fields: { models: ['gpt-5'], metadata: { owner: 'ada' }, model_rpm_limit: { 'gpt-5': 3 } } }), call())
    const change = { alias: 'new', teamId: 'research', expires: new Date(clock.now() + day), fields: { max_budget: 7, metadata: { owner: 'bob', latchkey: { key_id: 'forged' } } } }

    const outcomes = [await gateway.change({ token }, change, call()), await gateway.change({ sha256: hashOf(token) }, change, call())]

    expect(outcomes).toEqual([true, true])
    expect(held(token)).toMatchObject({ key_alias: 'new', team_id: 'research', expires: new Date(clock.now() + day).toISOString(), models: ['gpt-5'], max_budget: 7 })
    expect(held(token)?.metadata).toMatchObject({ owner: 'bob', model_rpm_limit: { 'gpt-5': 3 }, latchkey: { key_id: 'abcdefghijklmnop', epoch: 1 } })
  })

  it('marks a row that somebody else made, and keeps what its metadata says', async () => {
    const { gateway, call, held, fake } = await openedGateway()
    const token = newToken()
    await fetch(`${fake.url}/key/generate`, { method: 'POST', headers: { authorization: `Bearer ${fakeMasterKey}`, 'content-type': 'application/json' }, body: JSON.stringify({ key: token.reveal(), metadata: { owner: 'ada' }, model_rpm_limit: { 'gpt-5': 3 } }) })

    await gateway.change({ token }, { mark: { keyId: 'abcdefghijklmnop', epoch: 2 } }, call())
    await gateway.change({ token }, { fields: { metadata: { owner: 'bob' } } }, call())

    expect(await gateway.find({ token }, call())).toMatchObject({ keyId: 'abcdefghijklmnop', epoch: 2 })
    expect(held(token)?.metadata).toEqual({ owner: 'bob', model_rpm_limit: { 'gpt-5': 3 }, latchkey: { key_id: 'abcdefghijklmnop', epoch: 2 } })
  })

  it('takes alias, team and expiry off', async () => {
    const { gateway, call, clock } = await openedGateway()
    const token = newToken()
    await gateway.add(token, rowFor({ teamId: 'payments', expires: new Date(clock.now() + day) }), call())

    await gateway.change({ token }, { alias: null, teamId: null, expires: null }, call())

    expect(await gateway.find({ token }, call())).toEqual({ keyId: 'abcdefghijklmnop', epoch: 1, blocked: false, fields: {} })
  })

  it('says so where a version does not take an expiry off', async () => {
    const { gateway, call, clock } = await openedGateway({ older: true })
    const token = newToken()
    await gateway.add(token, rowFor({ expires: new Date(clock.now() + day) }), call())

    expect(await refusal(gateway.change({ token }, { expires: null }, call()))).toEqual(['gateway_denied', 'duration'])
  })

  it('is false where there is no row, also when metadata must be read first', async () => {
    const { gateway, call } = await openedGateway()

    expect([await gateway.change({ token: newToken() }, { alias: 'x' }, call()), await gateway.change({ token: newToken() }, { fields: { metadata: {} } }, call())]).toEqual([false, false])
  })

  it('asks no second time where LiteLLM itself names the key', async () => {
    const { gateway, call, fake } = await openedGateway()

    await gateway.change({ token: newToken() }, { alias: 'x' }, call())

    expect(fake.requests.map(({ path }) => path)).toEqual(['/key/update'])
  })

  it('refuses an alias that another row has, and takes its own', async () => {
    const { gateway, call } = await openedGateway()
    const [one, two] = [newToken(), newToken()]
    await gateway.add(one, rowFor({ alias: 'one' }), call())
    await gateway.add(two, rowFor({ alias: 'two' }), call())

    const refused = await refusal(gateway.change({ token: two }, { alias: 'one' }, call()))

    expect([refused, await gateway.change({ token: two }, { alias: 'two' }, call())]).toEqual([['already_exists', 'key_alias'], true])
  })

  it('tells a team that LiteLLM does not know from a row that is not there', async () => {
    const { gateway, call } = await openedGateway({ teams: ['payments'] })
    const token = newToken()
    await gateway.add(token, rowFor({ teamId: 'elsewhere' }), call())

    const refused = [await refusal(gateway.change({ token }, { alias: 'x' }, call())), await refusal(gateway.change({ token }, { teamId: 'nowhere' }, call()))]

    expect(refused).toEqual([['gateway_denied', 'team_id'], ['gateway_denied', 'team_id']])
    expect(await gateway.change({ token }, { teamId: 'payments' }, call())).toBe(true)
  })
})

describe('blocking and removing', () => {
  it.each([{ older: false }, { older: true }])('blocks and unblocks by hash, again and again, and remembers nothing of a token that is not there: %j', async (knobs) => {
    const { gateway, call, fake } = await openedGateway(knobs)
    const [token, stranger] = [newToken(), newToken()]
    await gateway.add(token, rowFor(), call())

    const outcomes = [await gateway.setBlocked({ sha256: hashOf(token) }, true, call()), await gateway.setBlocked({ token }, true, call()), await gateway.setBlocked({ token: stranger }, true, call()), await gateway.setBlocked({ token: stranger }, false, call())]

    expect(outcomes).toEqual([true, true, false, false])
    expect([fake.service.rows.size, fake.service.accepts(token.reveal())]).toEqual([1, false])
    expect([await gateway.setBlocked({ token }, false, call()), fake.service.accepts(token.reveal())]).toEqual([true, true])
  })

  it('blocks a token that a caller supplied in letters that LiteLLM takes in no block', async () => {
    const { gateway, call, fake } = await openedGateway()
    fake.service.seed('sk-own.token+with/letters=')

    expect(await gateway.setBlocked({ sha256: [...fake.service.rows.keys()][0] ?? '' }, true, call())).toBe(true)
  })

  it('takes a row away once', async () => {
    const { gateway, call, held } = await openedGateway()
    const token = newToken()
    await gateway.add(token, rowFor(), call())

    const outcomes = [await gateway.remove({ token }, call()), await gateway.remove({ token }, call())]

    expect([outcomes, held(token)]).toEqual([[true, false], undefined])
  })
})

describe('replacing a token', () => {
  it('is not offered without a licence', async () => {
    const { gateway } = await openedGateway()

    expect(gateway.replace).toBeUndefined()
  })

  it('gives the row the new token and epoch, keeps spend, budgets and alias, and lets the old one in for the grace', async () => {
    const { gateway, call, clock, fake, held } = await openedGateway({ licensed: true })
    const [old, token] = [newToken(), newToken()]
    await gateway.add(old, rowFor({ fields: { spend: 3, max_budget: 10, metadata: { owner: 'ada' } } }), call())

    const outcome = await gateway.replace?.({ sha256: hashOf(old) }, token, { graceMs: 60_000, epoch: 2 }, call())

    expect(outcome).toBe(true)
    expect(held(token)).toMatchObject({ key_alias: 'Team.one/ci', spend: 3, max_budget: 10, metadata: { owner: 'ada', latchkey: { key_id: 'abcdefghijklmnop', epoch: 2 } } })
    expect([await gateway.accepts(old, call()), await gateway.accepts(token, call()), await gateway.find({ token: old }, call())]).toEqual([true, true, undefined])
    clock.advance(60_001)
    expect([await gateway.accepts(old, call()), fake.service.accepts(token.reveal())]).toEqual([false, true])
  })

  it('ends the old token at once without a grace, is true when it is repeated, and false where there is neither', async () => {
    const { gateway, call } = await openedGateway({ licensed: true })
    const [old, token] = [newToken(), newToken()]
    await gateway.add(old, rowFor(), call())
    const replace = (from: typeof old, to: typeof old): Promise<boolean> | undefined => gateway.replace?.({ token: from }, to, { graceMs: 0, epoch: 2 }, call())

    const outcomes = [await replace(old, token), await gateway.accepts(old, call()), await replace(old, token), await replace(newToken(), newToken())]

    expect(outcomes).toEqual([true, false, true, false])
  })

  it('is denied, naming the licence, where LiteLLM has none after all', async () => {
    const { gateway, call } = await openedGateway({}, { licensed: true })
    const old = newToken()
    await gateway.add(old, rowFor(), call())

    await expect(gateway.replace?.({ token: old }, newToken(), { graceMs: 0, epoch: 2 }, call())).rejects.toMatchObject({ code: 'gateway_denied', message: expect.stringContaining('Enterprise licence') as string })
  })
})

describe('listing rows', () => {
  it('goes through all of them in pages, each with its hash', async () => {
    const { gateway, call, clock } = await openedGateway()
    const tokens = Array.from({ length: 5 }, () => newToken())
    for (const [index, token] of tokens.entries()) {
      await gateway.add(token, rowFor({ alias: `key-${index}`, epoch: index }), call())
      clock.advance(1000)
    }

    const first = await gateway.list({ limit: 2 }, call())
    const second = await gateway.list({ limit: 2, cursor: first.cursor ?? '' }, call())
    const third = await gateway.list({ limit: 2, cursor: second.cursor ?? '' }, call())

    expect([first, second, third].map(({ items, cursor }) => [items.map(({ sha256, epoch }) => [sha256, epoch]), cursor !== undefined])).toEqual([
      [[[hashOf(tokens[4] as never), 4], [hashOf(tokens[3] as never), 3]], true], [[[hashOf(tokens[2] as never), 2], [hashOf(tokens[1] as never), 1]], true], [[[hashOf(tokens[0] as never), 0]], false],
    ])
  })

  it('asks for no page larger than LiteLLM gives, and answers an empty gateway', async () => {
    const { gateway, call, fake } = await openedGateway()

    expect(await gateway.list({ limit: 500 }, call())).toEqual({ items: [] })
    expect(fake.requests[0]?.query.get('size')).toBe('100')
  })

  it.each(['', '0.10', '1', '1.1000', '2.10&status=deleted'])('refuses the cursor %j, which it never gave', async (cursor) => {
    const { gateway, call } = await openedGateway()

    expect(await refusal(gateway.list({ limit: 10, cursor }, call()))).toEqual(['invalid_request', 'cursor'])
  })
})
