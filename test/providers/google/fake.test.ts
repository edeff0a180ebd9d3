// The fake under examination by Google's own client over both of its transports, without any of our code between them: what the service does, as its reference
// has it. Answers go through the vendor's message definitions on both ways.
import { SecretManagerServiceClient } from '@google-cloud/secret-manager'
import { credentials } from '@grpc/grpc-js'
import { GoogleAuth, JWT } from 'google-auth-library'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { crc32c } from '../../../shared/credentials/crc32c.ts'
import { signedToken, tokenAuth } from '../../conformance/operators/google.ts'
import { foreignAccount, knownAccount } from '../../fakes/google-bearer.ts'
import { startGoogleGrpc } from '../../fakes/google-grpc.ts'
import { secretManagerProtos, secretManagerService, throughMessage } from '../../fakes/google/messages.ts'
import { fakeProject, startGoogleFake, type GoogleFakeOptions, type RunningGoogleFake } from '../../fakes/google/secret-manager.ts'

const parent = `projects/${fakeProject}`
const statuses: Readonly<Record<number, string>> = { 3: 'INVALID_ARGUMENT', 5: 'NOT_FOUND', 6: 'ALREADY_EXISTS', 7: 'PERMISSION_DENIED', 8: 'RESOURCE_EXHAUSTED', 9: 'FAILED_PRECONDITION', 16: 'UNAUTHENTICATED' }

/** The client with a token in every call; the methods that the scenarios need, one answer each. */
const clientOf = (client: SecretManagerServiceClient, token: string | undefined) => {
  const options = { retry: null, autoPaginate: false, otherArgs: { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } } }
  const name = (id: string, version?: string): string => `${parent}/secrets/${id}${version === undefined ? '' : `/versions/${version}`}`
  return {
    create: async (id: string, secret = {}) => (await client.createSecret({ parent, secretId: id, secret: { replication: { automatic: {} }, ...secret } }, options))[0],
    add: async (id: string, text: string, sum?: number) => (await client.addSecretVersion({ parent: name(id), payload: { data: Buffer.from(text), ...(sum !== undefined && { dataCrc32c: sum }) } }, options))[0],
    get: async (id: string) => (await client.getSecret({ name: name(id) }, options))[0],
    patch: async (id: string, secret: object, paths: string[]) => (await client.updateSecret({ secret: { name: name(id), ...secret }, updateMask: { paths } }, options))[0],
    remove: async (id: string, etag?: string) => client.deleteSecret({ name: name(id), ...(etag !== undefined && { etag }) }, options),
    access: async (id: string, version = 'latest') => (await client.accessSecretVersion({ name: name(id, version) }, options))[0],
    text: async (id: string, version = 'latest') => Buffer.from((await client.accessSecretVersion({ name: name(id, version) }, options))[0].payload?.data ?? '').toString('utf8'),
    versions: async (id: string, filter = '') => (await client.listSecretVersions({ parent: name(id), filter }, options))[0],
    list: async (filter = '', pageSize = 0, pageToken = '') => client.listSecrets({ parent, filter, pageSize, pageToken }, options),
    disable: async (id: string, version: string) => (await client.disableSecretVersion({ name: name(id, version) }, options))[0],
    enable: async (id: string, version: string) => (await client.enableSecretVersion({ name: name(id, version) }, options))[0],
    destroy: async (id: string, version: string) => (await client.destroySecretVersion({ name: name(id, version) }, options))[0],
    may: async (permissions: string[]) => (await client.testIamPermissions({ resource: name('a'), permissions }, options))[0].permissions,
  }
}
type Client = ReturnType<typeof clientOf>

let now = Date.now()
let closing: (() => Promise<void> | void)[] = []
let fake: RunningGoogleFake

const transports: Readonly<Record<string, (options?: { readonly token?: string; readonly file?: string }) => Promise<Client>>> = {
  // Over REST the client logs in by itself, with the credential file.
  rest: async ({ token, file = knownAccount().file } = {}) => {
    const { hostname, port } = new URL(fake.url)
    const { client_email: email, private_key: key } = JSON.parse(file) as { client_email: string; private_key: string }
    const account = Object.assign(new JWT({ email, key, scopes: ['https://www.googleapis.com/auth/cloud-platform'] }), { useJWTAccessWithScope: true })
    const client = new SecretManagerServiceClient({ fallback: true, protocol: 'http', servicePath: hostname, port: Number(port), auth: new GoogleAuth({ authClient: account }) })
    closing.push(() => client.close())
    return clientOf(client, token)
  },
  // Without TLS gRPC sends no credentials of its own: the token travels in the metadata.
  grpc: async ({ token, file = knownAccount().file } = {}) => {
    const server = await startGoogleGrpc({ protos: secretManagerProtos, service: secretManagerService, run: (method, request, authorization) => fake.service.run(method, request, authorization) })
    const shown = token ?? signedToken(file, now)
    const client = new SecretManagerServiceClient({ servicePath: '127.0.0.1', port: server.port, sslCreds: credentials.createInsecure(), auth: tokenAuth(shown) as never })
    closing.push(() => client.close(), () => server.close())
    return clientOf(client, shown)
  },
}

const start = async (options: GoogleFakeOptions = {}): Promise<void> => {
  fake = await startGoogleFake({ now: () => now, ...options })
  closing.push(() => fake.close())
}

beforeEach(() => {
  now = Date.now()
  closing = []
})

afterEach(async () => {
  for (const close of closing.toReversed()) await close()
})

/** What a call came to: the status, or `ok`. */
const outcome = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'ok', (error: unknown) => statuses[(error as { code?: number }).code ?? -1] ?? 'nothing')

/** Scenario → what the official client must see. Every row begins with the secret `a`, one version `one`. */
const refusals: readonly (readonly [title: string, expected: string, run: (api: Client) => Promise<unknown>])[] = [
  ['a missing secret', 'NOT_FOUND', (api) => api.get('b')],
  ['a value of a missing secret', 'NOT_FOUND', (api) => api.access('b')],
  ['a version that was never made', 'NOT_FOUND', (api) => api.access('a', '2')],
  ['an alias that is not set', 'NOT_FOUND', (api) => api.access('a', 'current')],
  ['a second create', 'ALREADY_EXISTS', (api) => api.create('a')],
  ['a create without replication', 'INVALID_ARGUMENT', (api) => api.create('b', { replication: undefined })],
  ['a name with a slash', 'INVALID_ARGUMENT', (api) => api.create('b/c')],
  ['a name with a dot', 'INVALID_ARGUMENT', (api) => api.create('b.c')],
  ['an upper-case label', 'INVALID_ARGUMENT', (api) => api.create('b', { labels: { owner: 'Platform Team' } })],
  ['an annotation key with a space', 'INVALID_ARGUMENT', (api) => api.create('b', { annotations: { 'Cost Centre': '1' } })],
  ['annotations over 16 KiB', 'INVALID_ARGUMENT', (api) => api.create('b', { annotations: { a: 'x'.repeat(16_384) } })],
  ['an expiry in the past', 'INVALID_ARGUMENT', (api) => api.create('b', { expireTime: { seconds: 1 } })],
  ['an empty value', 'INVALID_ARGUMENT', (api) => api.add('a', '')],
  ['a value of 65,537 bytes', 'INVALID_ARGUMENT', (api) => api.add('a', 'x'.repeat(65_537))],
  ['a wrong checksum', 'INVALID_ARGUMENT', (api) => api.add('a', 'two', crc32c(Buffer.from('three')))],
  ['a right checksum', 'ok', (api) => api.add('a', 'two', crc32c(Buffer.from('two')))],
  ['a stale etag of a change', 'FAILED_PRECONDITION', (api) => api.patch('a', { etag: '"0"', labels: { a: 'b' } }, ['labels'])],
  ['a stale etag of a delete', 'FAILED_PRECONDITION', (api) => api.remove('a', '"0"')],
  ['a change without a mask', 'INVALID_ARGUMENT', (api) => api.patch('a', { labels: { a: 'b' } }, [])],
  ['a change of the replication', 'INVALID_ARGUMENT', (api) => api.patch('a', {}, ['replication'])],
  ['an alias of a version that is not there', 'INVALID_ARGUMENT', (api) => api.patch('a', { versionAliases: { current: 9 } }, ['version_aliases'])],
  ['the alias latest', 'INVALID_ARGUMENT', (api) => api.patch('a', { versionAliases: { latest: 1 } }, ['version_aliases'])],
  ['a disabled version', 'FAILED_PRECONDITION', async (api) => api.disable('a', '1').then(() => api.access('a', '1'))],
  ['latest, when that is disabled and an older one is not', 'FAILED_PRECONDITION', async (api) => api.add('a', 'two').then(() => api.disable('a', '2')).then(() => api.access('a'))],
  ['a version that is enabled again', 'ok', async (api) => api.disable('a', '1').then(() => api.enable('a', '1')).then(() => api.access('a', '1'))],
  ['a destroyed version', 'FAILED_PRECONDITION', async (api) => api.destroy('a', '1').then(() => api.access('a', '1'))],
  ['enabling a destroyed version', 'FAILED_PRECONDITION', async (api) => api.destroy('a', '1').then(() => api.enable('a', '1'))],
  ['a filter that is none', 'INVALID_ARGUMENT', (api) => api.list('labels.')],
  ['a page token that no list gave', 'INVALID_ARGUMENT', (api) => api.list('', 1, 'x')],
]

describe.each(Object.keys(transports))('the fake, asked by the official client over %s', (transport) => {
  const open = (options?: { readonly token?: string; readonly file?: string }): Promise<Client> => (transports[transport] as (typeof transports)['rest'])(options)

  it.each(refusals)('answers %s with %s', async (_title, expected, run) => {
    await start()
    fake.seed('a', 'one')
    const api = await open()

    const came = await outcome(run(api))

    expect(came).toBe(expected)
  })

  it('keeps what it was given, numbers versions from one, and lists the newest first', async () => {
    await start()
    const api = await open()
    const made = await api.create('a', { labels: { team: 'x' }, annotations: { Owner: 'Platform Team ünïcode' } })
    await api.add('a', 'one')
    const second = await api.add('a', 'zwei ü')

    const [got, versions, first] = [await api.get('a'), await api.versions('a'), await api.text('a', '1')]

    expect(made.name).toMatch(/^projects\/\d+\/secrets\/a$/)
    expect(second.name).toMatch(/\/versions\/2$/)
    expect({ labels: got.labels, annotations: got.annotations, etag: got.etag }).toEqual({ labels: { team: 'x' }, annotations: { Owner: 'Platform Team ünïcode' }, etag: made.etag })
    expect(versions.map(({ name }) => name?.at(-1))).toEqual(['2', '1'])
    expect([first, await api.text('a')]).toEqual(['one', 'zwei ü'])
  })

  it('moves an alias and annotations in one step under the etag', async () => {
    await start()
    fake.seed('a', 'one')
    fake.seed('a', 'two')
    const api = await open()
    const { etag } = await api.get('a')

    const changed = await api.patch('a', { etag, versionAliases: { current: 1 }, annotations: { k: 'v' } }, ['version_aliases', 'annotations'])

    expect(await api.text('a', 'current')).toBe('one')
    expect(changed.etag).not.toBe(etag)
    expect(await outcome(api.patch('a', { etag, annotations: {} }, ['annotations']))).toBe('FAILED_PRECONDITION')
  })

  it('answers values with their checksum', async () => {
    await start()
    fake.seed('a', 'one')
    const api = await open()

    const { payload } = await api.access('a')

    expect(String(payload?.dataCrc32c)).toBe(String(crc32c(Buffer.from('one'))))
  })

  it('deletes at once and for good, numbers begin anew', async () => {
    await start()
    fake.seed('a', 'one')
    fake.seed('a', 'two')
    const api = await open()

    await api.remove('a')
    const gone = await outcome(api.access('a', '1'))
    await api.create('a')
    const again = await api.add('a', 'new')

    expect([gone, again.name?.at(-1)]).toEqual(['NOT_FOUND', '1'])
  })

  it('lists in pages, by name and by label', async () => {
    await start()
    const api = await open()
    for (const id of ['x-1', 'x-2', 'y-1']) await api.create(id, { labels: { kind: id.slice(0, 1) } })

    const [first, , page] = await api.list('', 2)
    const [rest] = await api.list('', 2, page.nextPageToken ?? '')
    const [labelled] = await api.list('name:x AND labels.kind=x')

    expect([first.length, rest.length]).toEqual([2, 1])
    expect(labelled.map(({ name }) => name?.slice(-3)).toSorted()).toEqual(['x-1', 'x-2'])
  })

  it('lets a secret with a time to live go by itself', async () => {
    await start()
    const api = await open()
    await api.create('a', { ttl: { seconds: 60 } })

    now += 61_000

    expect(await outcome(api.get('a'))).toBe('NOT_FOUND')
  })

  it('knows who may what', async () => {
    await start({ allows: (_who, permission) => permission !== 'secretmanager.versions.access' })
    fake.seed('a', 'one')
    const api = await open()

    const [read, facts, may] = [await outcome(api.access('a')), await outcome(api.get('a')), await api.may(['secretmanager.versions.access', 'secretmanager.secrets.get'])]

    expect([read, facts, may]).toEqual(['PERMISSION_DENIED', 'ok', ['secretmanager.secrets.get']])
  })

  it('throttles by the vendor\'s quotas: twice a second to one secret', async () => {
    await start({ quotas: true })
    const api = await open()
    await api.create('a')

    const came = [await outcome(api.add('a', '1')), await outcome(api.add('a', '2')), await outcome(api.add('a', '3'))]
    now += 1_001

    expect([...came, await outcome(api.add('a', '4'))]).toEqual(['ok', 'ok', 'RESOURCE_EXHAUSTED', 'ok'])
  })

  it('shows the service\'s own delay: by number at once, else late', async () => {
    await start({ lagMs: 5_000 })
    fake.seed('a', 'one')
    const api = await open()
    now += 6_000
    fake.seed('a', 'two')

    const before = [await api.text('a'), await api.text('a', '2')]
    now += 6_000

    expect([...before, await api.text('a')]).toEqual(['one', 'two', 'two'])
  })

  it('refuses a token of a foreign key', async () => {
    await start()
    fake.seed('a', 'one')
    const api = await open({ file: foreignAccount().file })

    expect(await outcome(api.access('a'))).toBe('UNAUTHENTICATED')
  })
})

describe('the fake, asked over gRPC with a token of our making', () => {
  it.each([
    ['an expired one', () => signedToken(knownAccount().file, now - 7_200_000)],
    ['one for another API', () => signedToken(knownAccount().file, now, { scope: undefined, aud: 'https://cloudkms.googleapis.com/' })],
    ['one from the future', () => signedToken(knownAccount().file, now + 7_200_000)],
    ['one that is none', () => 'ya29.nobody'],
  ])('refuses %s', async (_title, token) => {
    await start()
    fake.seed('a', 'one')
    const api = await (transports['grpc'] as (typeof transports)['rest'])({ token: token() })

    expect(await outcome(api.access('a'))).toBe('UNAUTHENTICATED')
  })
})

describe('the shapes of the fake', () => {
  it('are those of the vendor: every field that an answer has stands in its message definition', async () => {
    await start()
    fake.seed('a', 'one')
    const run = (method: string, request: object) => fake.service.run(method, request as never, `Bearer ${signedToken(knownAccount().file, now)}`)
    const name = `${parent}/secrets/a`

    const answers = [
      ['Secret', run('GetSecret', { name })],
      ['Secret', run('UpdateSecret', { secret: { name, labels: { a: 'b' }, annotations: { c: 'd' }, versionAliases: { current: '1' }, rotation: { nextRotationTime: '2030-01-01T00:00:00.000Z', rotationPeriod: '86400s' }, topics: [{ name: 'projects/p/topics/t' }] }, updateMask: 'labels,annotations,version_aliases,rotation,topics' })],
      ['SecretVersion', run('GetSecretVersion', { name: `${name}/versions/1` })],
      ['AccessSecretVersionResponse', run('AccessSecretVersion', { name: `${name}/versions/1` })],
      ['ListSecretVersionsResponse', run('ListSecretVersions', { parent: name })],
      ['ListSecretsResponse', run('ListSecrets', { parent })],
      ['SecretVersion', run('DestroySecretVersion', { name: `${name}/versions/1` })],
    ] as const

    for (const [type, answer] of answers) expect(throughMessage(type, answer)).toMatchObject(answer)
  })
})

describe('a schedule of the fake', () => {
  it.each([
    ['has a topic', { rotation: { nextRotationTime: '2036-01-01T00:00:00Z' } }, 'rotation'],
    ['begins in five minutes or later', { rotation: { nextRotationTime: '2001-01-01T00:00:00Z' }, topics: [{ name: 'projects/p/topics/t' }] }, 'rotation,topics'],
    ['comes once an hour or less often', { rotation: { nextRotationTime: '2036-01-01T00:00:00Z', rotationPeriod: '60s' }, topics: [{ name: 'projects/p/topics/t' }] }, 'rotation,topics'],
  ])('%s', async (_title, secret, updateMask) => {
    await start()
    fake.seed('a', 'one')

    expect(() => fake.service.run('UpdateSecret', { secret: { name: `${parent}/secrets/a`, ...secret }, updateMask } as never, `Bearer ${signedToken(knownAccount().file, now)}`)).toThrow(expect.objectContaining({ status: 'INVALID_ARGUMENT' }) as Error)
  })
})
