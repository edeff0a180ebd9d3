// Looking at keys: what info and list say beside LiteLLM's fields, which filters a page answers, and the health of the key that calls.
import { describe, expect, it } from 'vitest'
import { createdName } from '../../shared/core/names/created.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { adoptedBody, deletedBody } from '../../shared/http/key-answers.ts'
import { callOf } from '../support/runtime.ts'
import { open, type Got } from './harness.ts'

const aliases = (got: Got): unknown => (got.json['keys'] as unknown as { key_alias: string }[]).map((key) => key.key_alias)

const furnished = async () => {
  const opened = await open({ callers: { gate: [{ action: 'keys:verify', team: 'payments' }], reader: [{ action: 'keys:read' }] } })
  const made: Record<string, Got> = {}
  for (const [alias, more] of Object.entries({
    app: { team_id: 'payments', user_id: 'ada', access_group_ids: ['g'] },
    batch: { user_id: 'bob', organization_id: 'acme', project_id: 'p' },
    short: { duration: '1h', user_id: 'ada' },
  })) made[alias] = await opened.send('POST /key/generate', { body: { key_alias: alias, ...more } })
  opened.runtime.audited.length = 0
  return { ...opened, token: (alias: string): string => String(made[alias]?.json['key']), id: (alias: string): string => String(made[alias]?.json['key_id']) }
}

/** A request with a virtual key as its credential. */
const own = (token: string, body?: unknown) => ({ as: '', headers: { authorization: `Bearer ${token}` }, ...(body === undefined ? {} : { body }) })

describe('GET /key/list', () => {
  it.each([
    ['user_id=ada', ['app', 'short']],
    ['organization_id=acme', ['batch']],
    ['project_id=p', ['batch']],
    ['access_group_id=g', ['app']],
    ['status=active', ['app', 'batch', 'short']],
    ['status=blocked', []],
    ['user_id=ada&team_id=payments', ['app']],
    ['user_id=bob&key_alias=app', []],
    ['return_full_object=true', ['app', 'batch', 'short']],
  ])('filters a page by %s', async (query, expected) => {
    const { send } = await furnished()

    const got = await send('GET /key/list', { query })

    expect([got.status, aliases(got)]).toEqual([200, expected])
  })

  it('shows an expired key as expired, and no longer as active', async () => {
    const { send, clock } = await furnished()
    clock.advance(2 * 3_600_000)

    const [expired, active] = [await send('GET /key/list?status=expired'), await send('GET /key/list?status=active')]

    expect([aliases(expired), aliases(active)]).toEqual([['short'], ['app', 'batch']])
  })

  it('lists only what names each key with return_full_object=false, as LiteLLM lists hashes', async () => {
    const { send, id } = await furnished()

    const got = await send('GET /key/list?return_full_object=false')

    expect(got.json['keys']).toEqual(['app', 'batch', 'short'].map(id))
  })

  it('keeps the cursor where a filter leaves a page short', async () => {
    const { send } = await furnished()

    const first = await send('GET /key/list?limit=2&user_id=bob')
    const second = await send('GET /key/list', { query: `limit=2&user_id=bob&cursor=${encodeURIComponent(String(first.json['next_cursor']))}` })

    expect([aliases(first), aliases(second), second.json['next_cursor']]).toEqual([['batch'], [], null])
  })
})

describe('GET /key/info', () => {
  it('says what is not as Latchkey left it, whether the key is blocked, and when it is rotated next', async () => {
    const { send } = await open()
    await send('POST /key/generate', { body: { key_alias: 'app', auto_rotate: true, rotation_interval: '30d' } })

    const got = await send('GET /key/info?key_alias=app')

    expect(got.json).toMatchObject({ drift: [], blocked: false, state: 'active', auto_rotate: true, rotation_interval: '30d' })
    expect(Object.keys(got.json)).toEqual(expect.arrayContaining(['rotation_due', 'key_rotation_at']))
  })
})

describe('POST /key/health', () => {
  it('tells a virtual key about itself, without a grant and without a body', async () => {
    const { send, token, id, runtime } = await furnished()

    const got = await send('POST /key/health', own(token('app')))

    expect(got.status, got.body).toBe(200)
    expect(got.json).toMatchObject({ key: 'healthy', logging_callbacks: null, reasons: [], key_id: id('app'), key_alias: 'app', team_id: 'payments', state: 'active' })
    expect(Object.keys(got.json)).not.toContain('stored')
    expect(got.body).not.toContain(token('app'))
    expect(runtime.audited).toMatchObject([{ action: 'keys:verify', decision: 'allowed', caller: `key:${id('app')}`, keyId: id('app') }])
  })

  it('is unhealthy where something is not as Latchkey left it, and says what', async () => {
    const { send, token, providers, clock } = await furnished()
    const provider = providers.get('default')
    const facts = await provider?.describe?.(createdName('litellm/app'), callOf(clock))
    await provider?.write?.({ name: createdName('litellm/app'), value: SecretValue.of(token('app')), expect: { version: facts?.current?.id ?? '' }, operation: 'somebody-else-wrote-this-version-0001', stage: 'current' }, callOf(clock))

    const got = await send('POST /key/health', own(token('app')))

    expect(got.status, got.body).toBe(200)
    expect(got.json).toMatchObject({ key: 'unhealthy', reasons: ['value_changed'], state: 'active' })
  })

  it('tells a caller with keys:verify about any token of its teams, and nothing about others', async () => {
    const { send, token } = await furnished()

    const [theirs, foreign, without] = [await send('POST /key/health', { as: 'gate', body: { key: token('app') } }), await send('POST /key/health', { as: 'gate', body: { key: token('batch') } }), await send('POST /key/health', { as: 'reader', body: { key: token('app') } })]

    expect([theirs.json['key'], theirs.json['stored']]).toEqual(['healthy', { store: 'default', name: 'litellm/app', version: '1' }])
    expect([foreign.status, foreign.json.error['type'], without.status]).toEqual([404, 'not_found', 403])
  })

  it.each([
    ['an unknown token', 'sk-nobody-here-has-seen-this-token', undefined],
    ['an unknown token that asks about another', 'sk-nobody-here-has-seen-this-token', { key: 'sk-x' }],
  ])('answers %s with 401, and a line', async (_what, token, body) => {
    const { send, runtime } = await furnished()

    const got = await send('POST /key/health', own(token, body))

    expect([got.status, got.json.error['type']]).toEqual([401, 'unauthenticated'])
    expect(runtime.audited).toMatchObject([{ action: 'keys:verify', decision: 'denied', caller: 'anonymous', code: 'unauthenticated' }])
  })

  it('does not take a token that is deleted, replaced, blocked or expired', async () => {
    const { send, token, id, clock } = await furnished()
    const blocked = await send('POST /key/generate', { body: { key_alias: 'blocked' } })
    await send('POST /key/block', { body: { key: blocked.json['key_id'] } })
    await send('POST /key/delete', { body: { keys: [id('app')] } })
    await send('POST /key/regenerate', { body: { key: id('batch') } })
    clock.advance(2 * 3_600_000)

    const answers: Got[] = []
    for (const each of [token('app'), token('batch'), String(blocked.json['key']), token('short')]) answers.push(await send('POST /key/health', own(each)))

    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401])
  })

  it('asks a caller, the master key among them, for the token in the body', async () => {
    const { send, runtime } = await furnished()

    const [none, byId] = [await send('POST /key/health'), await send('POST /key/health', { body: { key: 'a'.repeat(16) } })]

    expect([none, byId].map((got) => [got.status, got.json.error['param']])).toEqual([[400, 'key'], [400, 'key']])
    expect(runtime.audited.map(({ decision, caller, code }) => [decision, caller, code])).toEqual([['failed', 'master-key', 'invalid_request'], ['failed', 'master-key', 'invalid_request']])
  })
})

describe('the promise of the store', () => {
  const answered = { keyId: 'k', state: 'revoked', epoch: 2, stored: { store: 'default', name: 'litellm/a' }, data: {}, operations: [], operationId: 'o', enforcedBy: [] } as const

  it.each(['atomic', 'cooperating'] as const)('is told as it is where the service checks a condition (%s)', (guarantee) => {
    expect(deletedBody({ ...answered, guarantee })).toMatchObject({ guarantee, guarded: undefined })
  })

  it('says that nothing guards a change where the service checks none', () => {
    expect(deletedBody({ ...answered, guarantee: 'detected' })).toMatchObject({ guarantee: 'detected', guarded: false })
    expect(adoptedBody({ ...answered, guarantee: 'detected' })).toMatchObject({ guarded: false })
  })
})
