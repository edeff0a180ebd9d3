// The fake under examination by node-vault, without any of our code between them: what Vault does, as its documentation and its source have it. OpenBao gives the
// same answers to the same table in the peer lane, where hvac asks.
import { generateKeyPairSync, sign } from 'node:crypto'
import nodeVault from 'node-vault'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startVaultFake, type VaultFake } from '../../fakes/vault/vault.ts'

type Client = ReturnType<typeof nodeVault>
interface Failure {
  readonly response?: { readonly statusCode?: number; readonly body?: { readonly errors?: readonly string[]; readonly data?: unknown } }
}

let now = Date.UTC(2026, 10, 21)
let fake: VaultFake
let client: Client

// Node's server knows no method LIST, which Vault takes as well; hvac sends it to OpenBao.
const clientOf = (token: string, more: object = {}): Client => nodeVault({ endpoint: fake.url, token, noCustomHTTPVerbs: true, ...more })

beforeEach(async () => {
  now = Date.UTC(2026, 10, 21)
  fake = await startVaultFake({ now: () => now })
  client = clientOf(fake.rootToken)
})

afterEach(() => fake.close())

/** What a call came to: `ok`, or the status and the first of Vault's errors. */
const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: Failure) => `${error.response?.statusCode ?? '?'} ${error.response?.body?.errors?.[0] ?? (error.response?.body?.data === undefined ? '-' : 'with data')}`.trim(),
  )
const write = (path: string, value: string, cas?: number) => client.write(`secret/data/${path}`, { data: { key: value }, ...(cas !== undefined && { options: { cas } }) }) as Promise<{ data: { version: number } }>
const read = async (path: string, query = ''): Promise<unknown> => ((await client.read(`secret/data/${path}${query}`)) as { data: { data: unknown } }).data.data

describe('KV version 2', () => {
  it('numbers versions from one and reads any of them', async () => {
    const versions = [(await write('a', 'one')).data.version, (await write('a', 'two')).data.version]

    expect(versions).toEqual([1, 2])
    expect([await read('a'), await read('a', '?version=1')]).toEqual([{ key: 'two' }, { key: 'one' }])
  })

  it('writes under check-and-set only on the newest version; 0 only where nothing was ever written', async () => {
    await write('a', 'one', 0)

    const outcomes = [await outcome(write('a', 'x', 0)), await outcome(write('a', 'two', 1)), await outcome(write('a', 'x', 1)), await outcome(write('b', 'x', 1))]

    expect(outcomes).toEqual(['400 check-and-set parameter did not match the current version', 'ok', '400 check-and-set parameter did not match the current version', '400 check-and-set parameter did not match the current version'])
  })

  it('lets one of eight parallel creations win', async () => {
    const outcomes = await Promise.all(Array.from({ length: 8 }, (_, index) => outcome(write('a', String(index), 0))))

    expect(outcomes.filter((one) => one === 'ok')).toHaveLength(1)
  })

  it('keeps ten versions', async () => {
    for (let index = 1; index <= 12; index += 1) await write('a', String(index))

    expect(await read('a', '?version=3')).toEqual({ key: '3' })
    expect(await outcome(read('a', '?version=2'))).toBe('404 -')
  })

  it('deletes softly, undeletes, destroys for good; a deleted version is a 404 with its metadata, and 0 is no longer what is expected', async () => {
    await write('a', 'one')
    await client.delete('secret/data/a')
    const deleted = [await outcome(read('a')), await outcome(write('a', 'x', 0))]
    await client.write('secret/undelete/a', { versions: [1] })
    const back = await read('a')
    await client.write('secret/destroy/a', { versions: [1] })
    await client.write('secret/undelete/a', { versions: [1] })

    expect(deleted).toEqual(['404 with data', '400 check-and-set parameter did not match the current version'])
    expect(back).toEqual({ key: 'one' })
    expect(await outcome(read('a'))).toBe('404 with data')
    expect(await outcome(write('a', 'two', 1))).toBe('ok')
  })

  it('lists one folder, folders with a slash, deleted ones too, and nothing as a 404', async () => {
    for (const path of ['a', 'f/b', 'f/g/c']) await write(path, 'x')
    await client.delete('secret/data/a')

    const lists = [await client.list('secret/metadata'), await client.list('secret/metadata/f')] as { data: { keys: string[] } }[]

    expect(lists.map(({ data }) => data.keys)).toEqual([['a', 'f/'], ['b', 'g/']])
    expect(await outcome(client.list('secret/metadata/none'))).toBe('404 -')
  })

  it('keeps custom metadata over versions, merges it by PATCH, and holds its limits', async () => {
    await write('a', 'one')
    await client.write('secret/metadata/a', { custom_metadata: { team: 'a', Owner: 'AI Platform team' } })
    await client.update('secret/metadata/a', { custom_metadata: { team: null, state: 'active' } } as never)
    await write('a', 'two')

    const { data } = (await client.read('secret/metadata/a')) as { data: { custom_metadata: unknown; current_version: number; versions: object } }
    const outcomes = [await outcome(client.write('secret/metadata/a', { custom_metadata: { k: '' } })), await outcome(client.write('secret/metadata/a', { custom_metadata: { ['k'.repeat(129)]: 'v' } })), await outcome(client.write('secret/metadata/a', { custom_metadata: { k: 'v'.repeat(513) } })), await outcome(client.write('secret/metadata/a', { custom_metadata: { k: 'a\nb' } })), await outcome(client.write('secret/metadata/a', { custom_metadata: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`k${index}`, 'v'])) })), await outcome(client.update('secret/metadata/none', { custom_metadata: { k: 'v' } } as never))]

    expect(data).toMatchObject({ custom_metadata: { Owner: 'AI Platform team', state: 'active' }, current_version: 2 })
    expect(outcomes.map((text) => text.slice(0, 3))).toEqual(['400', '400', '400', '400', '400', '404'])
  })

  it('shows the names of fields without a value, and wipes a path with its metadata', async () => {
    await client.write('secret/data/a', { data: { key: 'v', nested: { deep: 1 } } })
    const { data } = (await client.read('secret/subkeys/a')) as { data: { subkeys: unknown } }
    await client.delete('secret/metadata/a')

    expect(data.subkeys).toEqual({ key: null, nested: { deep: null } })
    expect(await outcome(read('a'))).toBe('404 -')
    expect((await write('a', 'again', 0)).data.version).toBe(1)
  })

  it.each([
    ['a body without data', () => client.write('secret/data/a', {}), '400 no data provided'],
    ['data that is no map', () => client.write('secret/data/a', { data: 'text' }), "400 error converting input for field \"data\": '' expected type 'map[string]interface {}'"],
    ['no versions', () => client.write('secret/destroy/a', { versions: [] }), '400 no version number provided'],
    ['an engine that is not there', () => client.read('nothing/data/a'), '404 no handler for route "nothing/data/a". route entry not found.'],
    ['a merge under another content type', () => client.request({ path: '/secret/metadata/a', method: 'PATCH', json: { custom_metadata: {} } } as never), '415 PATCH requires Content-Type of application/merge-patch+json, provided application/json'],
  ])('refuses %s', async (_title, act, expected) => {
    expect(await outcome(act() as Promise<unknown>)).toBe(expected)
  })
})

describe('tokens and logins', () => {
  const role = { login: 'approle', mount: 'approle', name: 'r', roleId: 'role', policies: ['reader'], ttlSeconds: 60, maxTtlSeconds: 90 } as const

  it('expire, are renewed up to their end, and are then refused like foreign ones', async () => {
    fake.state.policy('reader', { path: 'secret/data/*', capabilities: ['read'] })
    fake.state.role({ ...role, secretIds: new Map([['secret', 0]]) })
    await write('a', 'one')
    const login = clientOf('')
    const { auth } = (await login.approleLogin({ role_id: 'role', secret_id: 'secret' })) as { auth: { client_token: string; lease_duration: number; renewable: boolean } }
    const member = clientOf(auth.client_token)

    now += 50_000
    const renewed = (await member.tokenRenewSelf()) as { auth: { lease_duration: number } }
    const before = await outcome(member.read('secret/data/a'))
    now += 41_000

    expect(auth).toMatchObject({ lease_duration: 60, renewable: true })
    expect(renewed.auth.lease_duration).toBe(40)
    expect(before).toBe('ok')
    expect([await outcome(member.read('secret/data/a')), await outcome(member.tokenRenewSelf()), await outcome(clientOf('hvs.foreign').read('secret/data/a'))]).toEqual(['403 permission denied', '403 permission denied', '403 permission denied'])
  })

  it('use a secret id as often as it may be used', async () => {
    fake.state.role({ ...role, secretIds: new Map([['once', 1]]) })
    const login = () => outcome(clientOf('').approleLogin({ role_id: 'role', secret_id: 'once' }) as Promise<unknown>)

    expect([await login(), await login()]).toEqual(['ok', '400 invalid role or secret ID'])
  })

  it('unwrap once', async () => {
    fake.state.access.wrapped.set('hvs.wrap', { secret_id: 'inside' })
    const unwrap = () => outcome(clientOf('').unwrap({ token: 'hvs.wrap' }) as Promise<unknown>)

    expect([await unwrap(), await unwrap()]).toEqual(['ok', '400 wrapping token is not valid or does not exist'])
  })

  it('take a service account that the role knows, and a JWT of the right issuer, audience and time', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const jwt = (audience: string, seconds: number, key = privateKey): string => {
      const text = [{ alg: 'RS256' }, { aud: audience, exp: now / 1000 + seconds }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
      return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
    }
    fake.state.role({ login: 'kubernetes', mount: 'kubernetes', name: 'pod', accounts: new Set(['account']) })
    fake.state.role({ login: 'jwt', mount: 'jwt', name: 'ci', key: publicKey, audience: 'vault' })
    const kubernetes = (token: string) => outcome(client.kubernetesLogin({ mount_point: 'kubernetes', role: 'pod', jwt: token }) as Promise<unknown>)
    const login = (token: string) => outcome(client.write('auth/jwt/login', { role: 'ci', jwt: token }) as Promise<unknown>)

    expect([await kubernetes('account'), await kubernetes('another')]).toEqual(['ok', '403 permission denied'])
    expect((await Promise.all([login(jwt('vault', 60)), login(jwt('other', 60)), login(jwt('vault', -1)), login(jwt('vault', 60, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey))])).map((text) => text.slice(0, 3))).toEqual(['ok', '400', '400', '400'])
  })

  it('may do what their policy says, path by path and capability by capability', async () => {
    fake.state.policy('team', { path: 'secret/data/litellm/*', capabilities: ['create', 'read'] }, { path: 'secret/metadata/*', capabilities: ['list'] }, { path: 'secret/data/litellm/hidden', capabilities: ['deny'] })
    await write('litellm/there', 'x')
    await write('litellm/hidden', 'x')
    const member = clientOf(fake.state.token({ policies: ['team'] }))
    const data = { data: { key: 'v' } }

    const outcomes = [await outcome(member.read('secret/data/litellm/there')), await outcome(member.write('secret/data/litellm/new', data)), await outcome(member.write('secret/data/litellm/there', data)), await outcome(member.read('secret/data/litellm/hidden')), await outcome(member.read('secret/data/elsewhere')), await outcome(member.list('secret/metadata/litellm')), await outcome(member.read('secret/metadata/litellm/there'))]

    expect(outcomes.map((text) => text.slice(0, 3))).toEqual(['ok', 'ok', '403', '403', '403', 'ok', '403'])
  })
})

describe('the server', () => {
  it('keeps namespaces apart, in the path as in the header, and knows no others', async () => {
    fake.state.namespace('team')
    fake.state.mount('secret', 'team')
    await client.write('team/secret/data/a', { data: { key: 'of the team' } })

    const inside = clientOf(fake.rootToken, { namespace: 'team' })

    expect(((await inside.read('secret/data/a')) as { data: { data: unknown } }).data.data).toEqual({ key: 'of the team' })
    expect(await outcome(read('a'))).toBe('404 -')
    expect(await outcome(clientOf(fake.rootToken, { namespace: 'nobody' }).read('secret/data/a'))).toBe('404 namespace not found')
  })

  it('without namespaces ignores their header, as the free edition does', async () => {
    await fake.close()
    fake = await startVaultFake({ now: () => now, namespaces: false })
    client = clientOf(fake.rootToken)
    await clientOf(fake.rootToken, { namespace: 'team' }).write('secret/data/a', { data: { key: 'in the root' } })

    expect(await read('a')).toEqual({ key: 'in the root' })
  })

  it('answers nothing while it is sealed, and says when there are too many requests without saying for how long', async () => {
    await write('a', 'one')
    fake.state.sealed = true
    const sealed = await outcome(read('a'))
    fake.state.sealed = false
    fake.state.perSecond = 1
    now += 1_000

    const outcomes = [await outcome(read('a')), await outcome(read('a'))]

    expect(sealed).toBe('503 Vault is sealed')
    expect(outcomes).toEqual(['ok', '429 request path "secret/data/a": rate limit quota exceeded'])
  })
})
