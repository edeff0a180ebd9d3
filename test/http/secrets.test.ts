import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { canary } from '../support/canary.ts'
import { open } from './harness.ts'
import { furnished } from './refusals.ts'

describe('reading one secret', () => {
  it('answers the value with its version, store and source, and headers that keep it out of every cache', async () => {
    const { send } = await furnished()

    const got = await send('GET /secrets/OPENAI_API_KEY', { headers: { 'x-request-id': 'abc-123' } })

    expect(got.status).toBe(200)
    expect(got.json).toMatchObject({ name: 'OPENAI_API_KEY', value: 'sk-live-value-of-openai', version: '1', store: 'default', source: 'memory', created_at: '2026-11-21T12:00:00.000Z' })
    expect(got.headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'x-cache': 'MISS', age: '0', etag: '"1"', 'x-request-id': 'abc-123' })
  })

  it('says how old an answer from memory is', async () => {
    const { send, clock } = await furnished()
    await send('GET /secrets/OPENAI_API_KEY')
    clock.advance(42_900)

    const got = await send('GET /secrets/OPENAI_API_KEY')

    expect(got.headers).toMatchObject({ 'x-cache': 'HIT', age: '42' })
  })

  it('reads anew with refresh=true', async () => {
    const { send, seed } = await furnished()
    await send('GET /secrets/OPENAI_API_KEY')
    await seed('OPENAI_API_KEY', 'changed elsewhere')

    const cached = await send('GET /secrets/OPENAI_API_KEY')
    const fresh = await send('GET /secrets/OPENAI_API_KEY?refresh=true')

    expect([cached.json['value'], fresh.json['value']]).toEqual(['sk-live-value-of-openai', 'changed elsewhere'])
  })

  it.each([
    ['text/plain', 'text/plain; charset=utf-8', 'sk-live-value-of-openai'],
    ['text/plain;q=1, application/json', 'text/plain; charset=utf-8', 'sk-live-value-of-openai'],
  ])('gives the bare value for Accept: %s', async (accept, type, body) => {
    const { send } = await furnished()

    const got = await send('GET /secrets/OPENAI_API_KEY', { headers: { accept } })

    expect([got.headers['content-type'], got.body]).toEqual([type, body])
  })

  it.each(['application/json', '*/*', 'text/html', 'application/json, text/plain'])('gives JSON for Accept: %s', async (accept) => {
    const { send } = await furnished()

    const got = await send('GET /secrets/OPENAI_API_KEY', { headers: { accept } })

    expect(got.headers['content-type']).toBe('application/json; charset=utf-8')
  })

  it('gives bytes that are no text as base64', async () => {
    const { send } = await furnished()

    const got = await send('GET /secrets/bytes')

    expect(got.json).toMatchObject({ value: Buffer.of(0xff, 0xfe, 0x00).toString('base64'), encoding: 'base64' })
  })

  it('gives a property of a JSON secret, and only its own', async () => {
    const { send } = await furnished()

    const user = await send('GET /secrets/settings?property=user')
    const own = await send('GET /secrets/settings?property=toString')

    expect([user.json['value'], own.json['value']]).toEqual(['ada', '1'])
  })

  it('decodes a name once, with %2F as a slash', async () => {
    const { send, seed } = await open()
    await seed('team a/openai', 'v')

    const got = await send('GET /secrets/team%20a%2Fopenai')

    expect(got.json).toMatchObject({ name: 'team a/openai', value: 'v' })
  })

  it('reads a version or a stage', async () => {
    const { send } = await furnished()
    await send('PUT /secrets/OPENAI_API_KEY', { body: { value: 'second' } })

    const first = await send('GET /secrets/OPENAI_API_KEY?version=1')
    const previous = await send('GET /secrets/OPENAI_API_KEY?stage=previous')
    const current = await send('GET /secrets/OPENAI_API_KEY?stage=current')

    expect([first, previous, current].map((got) => got.json['value'])).toEqual(['sk-live-value-of-openai', 'sk-live-value-of-openai', 'second'])
  })

  it('answers HEAD as GET, without a body', async () => {
    const { send } = await furnished()

    const got = await send('HEAD /secrets/OPENAI_API_KEY')

    expect([got.status, got.body, got.headers['etag']]).toEqual([200, '', '"1"'])
  })

  it('answers OPTIONS with the methods, asking for no credential', async () => {
    const { send, runtime } = await furnished()

    const got = await send('OPTIONS /secrets/anything', { as: '' })

    expect([got.status, got.headers['allow'], runtime.audited.length]).toEqual([204, 'GET, HEAD, PUT, DELETE, OPTIONS', 0])
  })

  it('moves on in the read order only after a confirmed absence, and says which store answered', async () => {
    const { send, seed } = await open({ stores: ['default', 'second'] })
    await seed('ONLY_SECOND', 'from the second', {}, 'second')

    const found = await send('GET /secrets/ONLY_SECOND')
    const named = await send('GET /secrets/ONLY_SECOND?store=default')

    expect(found.json).toMatchObject({ value: 'from the second', store: 'second' })
    expect(named.status).toBe(404)
  })

  it.each([
    ['provider_denied', 502, undefined],
    ['provider_throttled', 503, '7'],
    ['provider_unavailable', 503, '7'],
    ['integrity', 502, undefined],
  ] as const)('answers %s as itself, never as an absence, and with Retry-After where it may pass', async (code, status, wait) => {
    const failing = (provider: SecretProvider): SecretProvider => ({ ...provider, read: () => Promise.reject(new LatchkeyError(code, 'It failed.', wait === undefined ? {} : { retryAfter: 6.2 })) })
    const { send } = await open({ wrap: failing, stores: ['default', 'second'] })

    const got = await send('GET /secrets/x')

    expect([got.status, got.json['code'], got.headers['retry-after']]).toEqual([status, code, wait])
  })

  it('lets the second of two callers of one flight have its answer when the first one leaves', async () => {
    let release = (): void => undefined
    const slow = (provider: SecretProvider): SecretProvider => ({
      ...provider,
      read: async (...args) => {
        await new Promise<void>((resolve) => (release = resolve))
        return provider.read(...args)
      },
    })
    const { send, seed } = await open({ wrap: slow })
    await seed('SHARED', 'for both')
    const leaving = new AbortController()

    const first = send('GET /secrets/SHARED', { signal: leaving.signal })
    const second = send('GET /secrets/SHARED')
    await Promise.resolve()
    leaving.abort()
    const left = await first
    release()
    const stayed = await second

    expect([left.status, left.json['code']]).toEqual([504, 'deadline_exceeded'])
    expect([stayed.status, stayed.json['value']]).toEqual([200, 'for both'])
  })

  it('answers what nobody foresaw with the request id alone, and logs where, not what', async () => {
    const value = canary('thrown')
    const broken = (provider: SecretProvider): SecretProvider => ({ ...provider, list: () => Promise.reject(new TypeError(`cannot use (${value}:12:5)`)) })
    const { send, runtime } = await open({ wrap: broken })

    const got = await send('GET /secrets', { headers: { 'x-request-id': 'r-1' } })

    expect([got.status, got.json['code'], got.json['request_id']]).toEqual([500, 'internal', 'r-1'])
    expect(got.body + JSON.stringify(runtime.lines)).not.toContain(value)
    expect(runtime.lines).toMatchObject([{ level: 'error', fields: { request_id: 'r-1', route: '/secrets', at: expect.stringMatching(/^secrets\.test\.ts:\d+$/) as string } }])
  })
})

describe('reading many', () => {
  it('answers each name by itself, in order', async () => {
    const { send, runtime } = await furnished()

    const got = await send('POST /secrets:read', { body: { names: ['OPENAI_API_KEY', 'absent', 'litellm/taken', '../x', 'bytes'] } })

    const results = got.json['results'] as unknown as readonly Record<string, unknown>[]
    expect(got.status).toBe(200)
    expect(results.map((item) => item['value'] ?? (item['error'] as { code: string }).code)).toEqual(['sk-live-value-of-openai', 'not_found', 'forbidden', 'invalid_request', '//4A'])
    expect(runtime.audited.map((event) => event.decision)).toEqual(['allowed', 'failed', 'denied', 'failed', 'allowed'])
  })

  it('reads from the second store what the first one lacks', async () => {
    const { send, seed } = await open({ stores: ['default', 'second'] })
    await seed('A', 'a')
    await seed('B', 'b', {}, 'second')

    const got = await send('POST /secrets:read', { body: { names: ['B', 'A'] } })

    expect(got.json['results']).toMatchObject([{ name: 'B', value: 'b', store: 'second' }, { name: 'A', value: 'a', store: 'default' }])
  })

  it('takes a hundred names', async () => {
    const { send } = await furnished()

    const got = await send('POST /secrets:read', { body: { names: Array.from({ length: 100 }, () => 'OPENAI_API_KEY') } })

    expect((got.json['results'] as unknown as unknown[]).length).toBe(100)
  })
})

describe('listing', () => {
  it('pages by cursor and never shows a value', async () => {
    const { send, seed } = await open()
    const value = canary('listed')
    for (const name of ['a/1', 'a/2', 'a/3', 'b/1']) await seed(name, value)

    const first = await send('GET /secrets?prefix=a/&limit=2')
    const second = await send(`GET /secrets?prefix=a/&limit=2&cursor=${encodeURIComponent(String(first.json['next_cursor']))}`)

    expect([first, second].map((got) => (got.json['items'] as unknown as { name: string }[]).map((item) => item.name))).toEqual([['a/1', 'a/2'], ['a/3']])
    expect(second.json['next_cursor']).toBeNull()
    expect(first.body + second.body).not.toContain(value)
  })

  it('leaves out names that the grant does not cover', async () => {
    const { send, seed } = await open({ callers: { ops: [{ action: 'secrets:list', names: ['a/*'] }] } })
    for (const name of ['a/1', 'a/deep/1', 'b/1']) await seed(name, 'v')

    const got = await send('GET /secrets', { as: 'ops' })

    expect(got.json['items']).toMatchObject([{ name: 'a/1' }])
  })
})

describe('writing', () => {
  it('creates with 201, changes with 200, and makes no version of an equal value', async () => {
    const { send } = await open()

    const created = await send('PUT /secrets/A', { body: { value: 'one', description: 'first', tags: { Owner: 'AI Platform team' } } })
    const same = await send('PUT /secrets/A', { body: { value: 'one' } })
    const changed = await send('PUT /secrets/A', { body: { value: 'two' } })

    expect([created, same, changed].map((got) => [got.status, got.json['changed'], got.json['version'], got.headers['etag']])).toEqual([[201, true, '1', '"1"'], [200, false, '1', '"1"'], [200, true, '2', '"2"']])
  })

  it('makes a write visible to the next read at once', async () => {
    const { send } = await furnished()
    await send('GET /secrets/OPENAI_API_KEY')

    await send('PUT /secrets/OPENAI_API_KEY', { body: { value: 'new' } })
    const got = await send('GET /secrets/OPENAI_API_KEY')

    expect(got.json['value']).toBe('new')
  })

  it('takes a value longer than other texts may be, any control character escaped, and bytes as base64', async () => {
    const { send } = await open()
    const long = `${'x'.repeat(60_000)}\u0000\n\ud83d\ude00`

    await send('PUT /secrets/long', { body: { value: long } })
    await send('PUT /secrets/raw', { body: { value: '//4A', encoding: 'base64' } })
    const [text, raw] = [await send('GET /secrets/long'), await send('GET /secrets/raw')]

    expect([text.json['value'], raw.json['value'], raw.json['encoding']]).toEqual([long, '//4A', 'base64'])
  })

  it('replaces the version that If-Match names', async () => {
    const { send } = await furnished()
    const read = await send('GET /secrets/OPENAI_API_KEY')

    const got = await send('PUT /secrets/OPENAI_API_KEY', { body: { value: 'next' }, headers: { 'if-match': read.headers['etag'] ?? '' } })

    expect([got.status, got.json['changed']]).toEqual([200, true])
  })

  it('takes over a foreign secret when asked to', async () => {
    const { send } = await furnished()

    const got = await send('PUT /secrets/foreign', { body: { value: 'ours', adopt: true } })

    expect([got.status, got.json['changed']]).toEqual([200, true])
  })

  it('deletes, says until when, refuses the name meanwhile, and recovers', async () => {
    const { send } = await furnished()

    const deleted = await send('DELETE /secrets/OPENAI_API_KEY')
    const again = await send('DELETE /secrets/OPENAI_API_KEY')
    const held = await send('PUT /secrets/OPENAI_API_KEY', { body: { value: 'v' } })
    const recovered = await send('POST /secrets/OPENAI_API_KEY:recover')
    const read = await send('GET /secrets/OPENAI_API_KEY')

    expect(deleted.json).toMatchObject({ deleted: true, recoverable_until: '2026-11-21T13:00:00.000Z' })
    expect([again.status, held.status, held.json['code'], held.json['recoverable_until']]).toEqual([404, 409, 'soft_deleted', '2026-11-21T13:00:00.000Z'])
    expect([recovered.json['recovered'], read.json['value']]).toEqual([true, 'sk-live-value-of-openai'])
  })

  it('says that nobody knows whether a write took effect when its answer was lost', async () => {
    const lost = (provider: SecretProvider): SecretProvider => ({ ...provider, write: () => Promise.reject(new LatchkeyError('provider_unavailable', 'No answer came.')) })
    const { send } = await open({ wrap: lost })

    const got = await send('PUT /secrets/A', { body: { value: 'v' } })

    expect([got.status, got.json['applied'], got.headers['retry-after']]).toEqual([503, 'unknown', '5'])
  })
})
