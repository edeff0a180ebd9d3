// Routes about many keys: what LiteLLM stored is taken over, what drifted is found and repaired, and one bad item spoils nothing but itself.
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { open } from './harness.ts'

const keyed = (body: unknown, key = 'an-idempotency-key-of-one-intent') => ({ body, headers: { 'idempotency-key': key } })
const callers = { team: [{ action: 'keys:*', team: 'payments' }], platform: [{ action: 'keys:*', team: '*' }], reader: [{ action: 'keys:read' }] }
const tokenOf = (name: string): string => `sk-litellm-made-this-${name}-0123456789`

/** A store that LiteLLM wrote to: tokens below the prefix without any mark of ours. */
const inherited = async (...names: readonly string[]) => {
  const opened = await open({ callers })
  for (const name of names) await opened.seed(`litellm/${name}`, tokenOf(name), {})
  opened.runtime.audited.length = 0
  return opened
}

describe('POST /keys:adopt', () => {
  it('takes one secret over as a key: its token stays as it is, and is not shown', async () => {
    const { send, runtime } = await inherited('old')

    const got = await send('POST /keys:adopt', { body: { key_alias: 'old', team_id: 'payments', duration: '30d', metadata: { owner: 'ada' } } })
    const verified = await send('POST /key/verify', { body: { key: tokenOf('old') } })

    expect(got.status, got.body).toBe(200)
    expect(got.json).toMatchObject({ adopted: true, key_alias: 'old', team_id: 'payments', expires: '2026-12-21T12:00:00.000Z', metadata: { owner: 'ada' }, stored: { store: 'default', name: 'litellm/old' }, operation_id: expect.any(String) as string })
    expect(got.body).not.toContain(tokenOf('old'))
    expect(verified.json).toMatchObject({ valid: true, key_id: got.json['key_id'], team_id: 'payments' })
    expect(runtime.audited[0]).toMatchObject({ action: 'keys:adopt', decision: 'allowed', name: 'litellm/old', keyId: got.json['key_id'] })
  })

  it('only shows what could be taken over, unless dry_run is false', async () => {
    const { send, held } = await inherited('a', 'b')
    await send('POST /key/generate', { body: { key_alias: 'ours' } })
    const before = await held()

    const got = await send('POST /keys:adopt', { body: { all: true } })

    expect(got.json).toMatchObject({ dry_run: true, adopted: 0, next_cursor: null, warnings: [] })
    expect(got.json['results']).toMatchObject([{ key_alias: 'a', adopted: false, stored: { store: 'default', name: 'litellm/a' } }, { key_alias: 'b', adopted: false, stored: { name: 'litellm/b' } }])
    expect(await held()).toBe(before)
  })

  it('takes a page over with a result and an audit line for each, the bad ones named and left', async () => {
    const { send, seed, runtime } = await inherited('a', 'c')
    await seed('litellm/b', 'this is no token', {})

    const got = await send('POST /keys:adopt', { body: { all: true, dry_run: false, tags: ['inherited'] } })
    const again = await send('POST /keys:adopt', { body: { all: true } })

    expect(got.json).toMatchObject({ dry_run: false, adopted: 2 })
    expect(got.json['results']).toMatchObject([
      { key_alias: 'a', adopted: true, key_id: expect.stringMatching(/^[a-z2-7]{16}$/) as string },
      { key_alias: 'b', adopted: false, stored: { name: 'litellm/b' }, error: { code: expect.any(String) as string, detail: expect.stringMatching(/\w{3}/) as string } },
      { key_alias: 'c', adopted: true },
    ])
    expect(runtime.audited.slice(0, 3).map(({ action, decision, name }) => [action, decision, name])).toEqual([['keys:adopt', 'allowed', 'litellm/a'], ['keys:adopt', 'failed', 'litellm/b'], ['keys:adopt', 'allowed', 'litellm/c']])
    expect(again.json['results']).toMatchObject([{ key_alias: 'b' }])
    expect(got.body).not.toContain('this is no token')
  })

  it('is repeated under its Idempotency-Key, item by item, whatever page the item stands on', async () => {
    const { send } = await inherited('a')
    const first = await send('POST /keys:adopt', keyed({ all: true, dry_run: false }))

    const again = await send('POST /keys:adopt', keyed({ all: true, dry_run: false, limit: 10 }))

    expect([first.json['adopted'], again.status, again.json['adopted']]).toEqual([1, 200, 0])
  })

  it('asks for a grant over every team, because what is no key yet has no team', async () => {
    const { send } = await inherited('a')

    const answers = [await send('POST /keys:adopt', { as: 'team', body: { key_alias: 'a', team_id: 'payments' } }), await send('POST /keys:adopt', { as: 'team', body: { all: true } }), await send('POST /keys:adopt', { as: 'reader', body: { all: true } })]
    const allowed = await send('POST /keys:adopt', { as: 'platform', body: { key_alias: 'a' } })

    expect(answers.map((got) => [got.status, got.json['code']])).toEqual(answers.map(() => [403, 'forbidden']))
    expect(answers[0]?.body).toContain('every team')
    expect(allowed.status).toBe(200)
  })
})

describe('POST /keys:reconcile', () => {
  it('tells what it found, and changes nothing unless it is asked to repair', async () => {
    const { send, held } = await open()
    await send('POST /key/generate', { body: { key_alias: 'fine' } })
    const before = await held()

    const got = await send('POST /keys:reconcile', { body: {} })

    expect(got.json).toMatchObject({ repair: false, checked: expect.any(Number) as number, items: [], next_cursor: null })
    expect(await held()).toBe(before)
  })

  it('repairs what stopped half-way, with a line for each key that it changed', async () => {
    let down = false
    const wrap = (provider: SecretProvider): SecretProvider => ({ ...provider, promote: (...given) => (down ? Promise.reject(new LatchkeyError('provider_unavailable', 'No answer.')) : (provider.promote?.(...given) ?? Promise.resolve())) })
    const { send, clock, runtime } = await open({ wrap })
    const { json } = await send('POST /key/generate', { body: { key_alias: 'app' } })
    down = true
    await send('POST /key/regenerate', { body: { key_alias: 'app' } })
    down = false
    clock.advance(120_000)
    runtime.audited.length = 0

    const seen = await send('POST /keys:reconcile', { body: {} })
    const repaired = await send('POST /keys:reconcile', { body: { repair: true } })
    const after = await send('POST /keys:reconcile', { body: {} })

    expect(seen.json['items']).toMatchObject([{ name: 'litellm/app', key_id: json['key_id'], finding: 'unfinished', action: 'would_repair', message: expect.stringMatching(/\w{3}/) as string }])
    const items = repaired.json['items'] as unknown as readonly { action: string; name: string }[]
    expect([repaired.json['repair'], items.length > 0, items.every(({ action, name }) => action === 'repaired' && name === 'litellm/app'), after.json['items']]).toEqual([true, true, true, []])
    const page = ['keys:reconcile', 'allowed', undefined, undefined]
    expect(runtime.audited.map(({ action, decision, name, code }) => [action, decision, name, code])).toEqual([page, ...items.map(() => ['keys:reconcile', 'allowed', 'litellm/app', 'unfinished']), page, page])
  })

  it('needs no body', async () => {
    const { send } = await open()

    const got = await send('POST /keys:reconcile')

    expect([got.status, got.json['repair']]).toEqual([200, false])
  })

  it('goes on from its cursor until there is none', async () => {
    const { send } = await open()
    for (const alias of ['a', 'b', 'c']) await send('POST /key/generate', { body: { key_alias: alias } })

    let checked = 0
    let cursor: unknown
    let pages = 0
    do {
      const got = await send('POST /keys:reconcile', { body: { limit: 2, ...(typeof cursor === 'string' ? { cursor } : {}) } })
      checked += Number(got.json['checked'])
      cursor = got.json['next_cursor']
      pages += 1
    } while (typeof cursor === 'string' && pages < 10)

    expect([checked, pages > 1, cursor]).toEqual([3, true, null])
  })

  it('asks for a grant over every team', async () => {
    const { send } = await open({ callers })

    const answers = [await send('POST /keys:reconcile', { as: 'team' }), await send('POST /keys:reconcile', { as: 'reader' })]

    expect(answers.map((got) => [got.status, got.json['code']])).toEqual([[403, 'forbidden'], [403, 'forbidden']])
  })
})

describe('a delete of many', () => {
  it('does the others where one item is malformed, and says so item by item', async () => {
    const { send } = await open()
    const [a, b] = [await send('POST /key/generate', { body: { key_alias: 'a' } }), await send('POST /key/generate', { body: {} })]

    const got = await send('POST /key/delete', { body: { keys: ['has a space', '', b.json['key_id']], key_aliases: ['-', 'a'] } })

    expect([got.status, got.json['deleted_keys']]).toEqual([200, [b.json['key_id'], a.json['key_id']]])
    expect(got.json['results']).toMatchObject([
      { item: 'keys[0]', deleted: false, error: { type: 'invalid_request', param: 'keys[0]' } },
      { item: 'keys[1]', deleted: false, error: { type: 'invalid_request' } },
      { item: 'keys[2]', deleted: true },
      { item: 'key_aliases[0]', deleted: false, error: { type: 'invalid_request', message: expect.stringContaining('letter or a digit') as string } },
      { item: 'key_aliases[1]', key_alias: 'a', deleted: true },
    ])
  })

  it('is repeated as a whole under its Idempotency-Key: what was done is answered as done', async () => {
    const { send, held } = await open()
    const made = [await send('POST /key/generate', { body: { key_alias: 'a' } }), await send('POST /key/generate', { body: { key_alias: 'b' } })]
    const keys = made.map(({ json }) => json['key_id'])
    const first = await send('POST /key/delete', keyed({ keys }))
    const before = await held()

    const again = await send('POST /key/delete', keyed({ keys }))

    expect([again.status, again.json['deleted_keys']]).toEqual([200, first.json['deleted_keys']])
    expect(await held()).toBe(before)
  })
})
