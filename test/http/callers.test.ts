import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { masterKey, open, tokenOf } from './harness.ts'

describe('who calls', () => {
  it.each([
    ['authorization', `Bearer ${masterKey}`],
    ['authorization', `bearer   ${masterKey}`],
    ['x-litellm-api-key', masterKey],
    ['x-litellm-api-key', `Bearer ${masterKey}`],
  ])('takes the master key in %s: %s', async (name, value) => {
    const { send } = await open()

    const got = await send('GET /whoami', { as: '', headers: { [name]: value } })

    expect(got.json['name']).toBe('master-key')
  })

  it('leaves another scheme in Authorization to whoever stands in front, and takes the token beside it', async () => {
    const { send } = await open({ callers: { app: [] } })

    const got = await send('GET /whoami', { as: '', headers: { authorization: 'AWS4-HMAC-SHA256 Credential=x', 'x-litellm-api-key': tokenOf('app') } })

    expect(got.json['name']).toBe('app')
  })

  it.each(['sk-master', `${masterKey}x`, masterKey.slice(0, -1), masterKey.toUpperCase(), ' ', 'x'.repeat(4000)])('refuses a token that is not the master key: %s', async (token) => {
    const { send } = await open()

    const got = await send('GET /whoami', { as: '', headers: { authorization: `Bearer ${token}` } })

    expect([got.status, got.headers['www-authenticate']]).toEqual([401, 'Bearer'])
  })

  it('tells a wrong token from the master key also after the right one came, and follows a change of the key at once', async () => {
    const keys = [SecretValue.of(masterKey), SecretValue.of('sk-the-next-master-key-0123456789-0123456789')]
    let current = keys[0]
    const { send } = await open({ masterKey: async () => current })
    const as = async (token: string): Promise<number> => (await send('GET /whoami', { as: '', headers: { authorization: `Bearer ${token}` } })).status

    const before = [await as(masterKey), await as(masterKey), await as(`${masterKey}x`)]
    current = keys[1]
    const after = [await as(masterKey), await as('sk-the-next-master-key-0123456789-0123456789')]

    expect([before, after]).toEqual([[200, 200, 401], [401, 200]])
  })

  it('asks for the master key only when no listed token matches', async () => {
    let asked = 0
    const { send } = await open({ callers: { app: [] }, masterKey: async () => SecretValue.of(masterKey + String((asked += 1)).slice(1)) })

    await send('GET /whoami', { as: 'app' })
    const before = asked
    await send('GET /whoami')

    expect([before, asked]).toEqual([0, 1])
  })

  it('answers an outage of the master key\'s store as an outage, never as a wrong key', async () => {
    const { send, runtime } = await open({ callers: { app: [] }, masterKey: () => Promise.reject(new LatchkeyError('provider_unavailable', 'The store is away.')) })

    const [unmatched, matched] = [await send('GET /whoami'), await send('GET /whoami', { as: 'app' })]

    expect([unmatched.status, unmatched.headers['retry-after'], matched.status]).toEqual([503, '5', 200])
    expect(runtime.audited[0]).toMatchObject({ decision: 'failed', code: 'provider_unavailable', caller: 'anonymous' })
  })

  it('lets nobody in where no master key is configured', async () => {
    const { send } = await open({ masterKey: async () => undefined })

    const got = await send('GET /whoami')

    expect(got.status).toBe(401)
  })

  it.each([
    ['reserved names', [{ name: 'master-key', tokenSha256: 'ab'.repeat(32), grants: [] }]],
    ['two entries of one name', [{ name: 'a', tokenSha256: 'ab'.repeat(32), grants: [] }, { name: 'a', tokenSha256: 'cd'.repeat(32), grants: [] }]],
    ['a hash that is none', [{ name: 'a', tokenSha256: 'abc', grants: [] }]],
  ])('does not start with %s', async (_what, access) => {
    const { createAuthenticator } = await import('../../shared/http/auth.ts')

    const start = (): unknown => createAuthenticator({ access, masterKey: async () => undefined })

    expect(start).toThrow(/latchkey\.access/)
  })
})

describe('grants', () => {
  it.each([
    ['OPENAI_API_KEY', ['OPENAI_*'], 200],
    ['OPENAI_API_KEY', ['OPENAI_API_KEY'], 200],
    ['OPENAI_API_KEY', ['OPENAI'], 403],
    ['OPENAI_API_KEY', ['openai_*'], 403],
    ['OPENAI_API_KEY', ['*'], 200],
    ['OPENAI_API_KEY', undefined, 200],
    ['team/openai', ['*'], 403],
    ['team/openai', ['team/*'], 200],
    ['team/deep/openai', ['team/*'], 403],
    ['team/deep/openai', ['team/**'], 200],
    ['teamster/openai', ['team/**'], 403],
    ['team/deep/openai', ['**'], 200],
    ['team/deep/openai', ['team/*/openai'], 200],
    ['team.openai', ['team?openai', 'team(openai'], 403],
    ['teamXopenai', ['team.openai'], 403],
  ])('for %s with the patterns %j answers %i', async (name, names, status) => {
    const { send, seed } = await open({ callers: { app: [{ action: 'secrets:read', ...(names === undefined ? {} : { names }) }] } })
    await seed(name, 'v')

    const got = await send(`GET /secrets/${encodeURIComponent(name)}`, { as: 'app' })

    expect(got.status).toBe(status)
  })

  it.each([
    ['secrets:read', 403], ['secrets:*', 403], ['keys:*', 403], ['*', 403], ['keys:reveal', 200],
  ])('with the grant %s a virtual key\'s value is answered %i', async (action, status) => {
    const { send } = await open({ callers: { app: [{ action }] } })
    await send('POST /key/generate', { body: { key_alias: 'a' } })

    const got = await send('GET /secrets/litellm/a', { as: 'app' })

    expect(got.status).toBe(status)
  })

  it.each([
    ['with an empty prefix everything may be a virtual key', { prefix: '' }, 403],
    ['with an empty prefix a hosted name is none', { prefix: '', hostedKeys: new Set(['A']) }, 200],
    ['with an empty prefix where none are stored it is none', { prefix: '', storeVirtualKeys: false }, 200],
  ])('%s', async (_what, policy, status) => {
    const { send, seed } = await open({ policy })
    await seed('A', 'v')

    const got = await send('GET /secrets/A')

    expect(got.status).toBe(status)
  })

  it('answers an absent and a present name alike to a caller who may read neither', async () => {
    const { send, seed } = await open({ callers: { app: [{ action: 'secrets:read', names: ['OPENAI_*'] }], keys: [{ action: 'keys:*', team: 'a' }] } })
    await seed('PRESENT', 'v')
    await send('POST /key/generate', { body: { key_alias: 'PRESENT', team_id: 'b' } })
    const as = async (line: string, caller: string, body?: unknown): Promise<string> => {
      const got = await send(line, { as: caller, headers: { 'x-request-id': 'same' }, ...(body === undefined ? {} : { body }) })
      return `${got.status} ${JSON.stringify(got.headers)} ${got.body}`.replaceAll(/PRESENT|ABSENT_/g, 'NAME')
    }
    const lines = (name: string): Promise<string[]> =>
      Promise.all([
        as(`GET /secrets/${name}`, 'app'), as(`GET /secrets/${name}?version=1`, 'app'), as('POST /secrets:read', 'app', { names: [name] }), as(`PUT /secrets/${name}`, 'app', { value: 'v' }), as(`DELETE /secrets/${name}`, 'app'),
        as(`GET /key/info?key_alias=${name}`, 'keys'), as('POST /key/regenerate', 'keys', { key_alias: name }), as('POST /key/delete', 'keys', { key_aliases: [name] }),
        as('POST /key/update', 'keys', { key_alias: name, tags: ['a'] }), as('POST /key/update', 'keys', { key_alias: name, blocked: true }), as('POST /key/block', 'keys', { key_alias: name }), as('POST /key/unblock', 'keys', { key_alias: name }), as('POST /keys:adopt', 'keys', { key_alias: name }),
      ])

    const [present, absent] = [await lines('PRESENT'), await lines('ABSENT_')]

    expect(present).toEqual(absent)
  })
})
