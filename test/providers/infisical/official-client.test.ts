// The fake under examination by Infisical's own client, and our requests beside that client's. It speaks the older API; the map between the two stands here.
import { InfisicalSDK, SecretType } from '@infisical/sdk'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { infisicalSettings, openInfisical } from '../../conformance/harnesses/infisical.ts'
import { fakeIdentity, fakeProject, startInfisicalFake, type Knobs, type RunningInfisical } from '../../fakes/infisical/service.ts'
import type { WireRequest } from '../../fakes/wire.ts'
import { callOf, ManualClock, testRuntime } from '../../support/runtime.ts'

const scope = { projectId: fakeProject.id, environment: 'dev' }
const exact = { ...scope, secretPath: '/', expandSecretReferences: false, includeImports: false, recursive: false, viewSecretValue: true }
const { clientId, clientSecret } = fakeIdentity

const started = async (knobs: Knobs = {}, now?: () => number): Promise<{ fake: RunningInfisical; clock: ManualClock; client: InfisicalSDK }> => {
  const clock = new ManualClock()
  const fake = await startInfisicalFake({ now: now ?? (() => clock.now()), knobs })
  onTestFinished(() => fake.close())
  const client = await new InfisicalSDK({ siteUrl: fake.url }).auth().universalAuth.login({ clientId, clientSecret })
  return { fake, clock, client }
}

const statusOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'no failure', (error: unknown) => /(?:StatusCode=|with status )(\d+)/.exec(String((error as Error).message))?.[1] ?? String((error as Error).message))

describe("Infisical's own client on the fake", () => {
  it('creates, reads, lists, changes and deletes a secret', async () => {
    const { client } = await started()
    await client.secrets().createSecret('KEY', { ...scope, secretPath: '/', secretValue: 'one', secretComment: 'for tests' })
    const made = await client.secrets().getSecret({ ...exact, secretName: 'KEY' })
    await client.secrets().updateSecret('KEY', { ...scope, secretPath: '/', secretValue: 'two' })
    const changed = await client.secrets().getSecret({ ...exact, secretName: 'KEY' })
    const { secrets } = await client.secrets().listSecrets(exact)
    await client.secrets().deleteSecret('KEY', { ...scope, secretPath: '/' })

    expect([made.secretValue, made.secretComment, made.version]).toEqual(['one', 'for tests', 1])
    expect([changed.secretValue, changed.version, changed.id === made.id]).toEqual(['two', 2, true])
    expect(secrets.map(({ secretKey, secretValue }) => [secretKey, secretValue])).toEqual([['KEY', 'two']])
    expect(await statusOf(client.secrets().getSecret({ ...exact, secretName: 'KEY' }))).toBe('404')
  })

  it('is refused as the service refuses: taken and missing names, missing folders, other projects, names with a colon', async () => {
    const { client } = await started()
    const create = (name: string, more: object = {}): Promise<unknown> => client.secrets().createSecret(name, { ...scope, secretPath: '/', secretValue: 'x', ...more })
    await create('KEY')

    const statuses = await Promise.all([create('KEY'), client.secrets().getSecret({ ...exact, secretName: 'NONE' }), client.secrets().updateSecret('NONE', { ...scope, secretPath: '/', secretValue: 'x' }), client.secrets().deleteSecret('NONE', { ...scope, secretPath: '/' }), create('K', { secretPath: '/none' }), create('K', { projectId: 'another' }), create('a:b')].map(statusOf))

    expect(statuses).toEqual(['400', '404', '404', '404', '404', '404', '422'])
  })

  it('makes folders and reads below them; a taken name is refused', async () => {
    const { client } = await started()
    await client.folders().create({ ...scope, name: 'gateway', path: '/' })
    await client.folders().create({ ...scope, name: 'keys', path: '/gateway' })
    await client.secrets().createSecret('KEY', { ...scope, secretPath: '/gateway/keys', secretValue: 'deep' })
    const folders = await client.folders().listFolders({ ...scope, path: '/gateway' })
    const { secrets } = await client.secrets().listSecrets({ ...exact, secretPath: '/gateway', recursive: true })

    expect(folders.map(({ name }) => name)).toEqual(['keys'])
    expect(secrets.map(({ secretPath, secretValue }) => [secretPath, secretValue])).toEqual([['/gateway/keys', 'deep']])
    expect(await statusOf(client.folders().create({ ...scope, name: 'keys', path: '/gateway' }))).toBe('400')
    expect(await statusOf(client.folders().create({ ...scope, name: 'a.b', path: '/' }))).toBe('422')
  })

  it('meets trimmed values, expanded references and imports, as each flag says', async () => {
    const { fake, client } = await started()
    const create = (name: string, secretValue: string, secretPath = '/'): Promise<unknown> => client.secrets().createSecret(name, { ...scope, secretPath, secretValue })
    await create('HOST', '  db.internal \n')
    await create('URL', '${HOST}')
    await client.folders().create({ ...scope, name: 'shared', path: '/' })
    await create('COMMON', 'imported', '/shared')
    fake.service.project.imports.push({ environment: 'dev', path: '/', fromEnvironment: 'dev', fromPath: '/shared' })
    const read = async (secretName: string, more: object = {}): Promise<string> => (await client.secrets().getSecret({ ...exact, secretName, ...more })).secretValue

    expect(await read('HOST')).toBe('db.internal\n')
    expect([await read('URL'), await read('URL', { expandSecretReferences: true })]).toEqual(['${HOST}', 'db.internal\n'])
    expect((await client.secrets().listSecrets({ ...exact, includeImports: true })).imports?.flatMap(({ secrets }) => secrets.map(({ secretKey }) => secretKey))).toEqual(['COMMON'])
    expect((await client.secrets().listSecrets(exact)).imports).toBeUndefined()
  })

  it('reads a version by its number while it is kept', async () => {
    const { fake, client } = await started()
    await client.secrets().createSecret('KEY', { ...scope, secretPath: '/', secretValue: 'v1' })
    for (const secretValue of ['v2', 'v3']) await client.secrets().updateSecret('KEY', { ...scope, secretPath: '/', secretValue })
    const before = await client.secrets().getSecret({ ...exact, secretName: 'KEY', version: 2 })
    fake.service.project.prune(1)

    expect([before.secretValue, before.version]).toEqual(['v2', 2])
    expect(await statusOf(client.secrets().getSecret({ ...exact, secretName: 'KEY', version: 2 }))).toBe('404')
  })

  it('is refused with wrong credentials, and with junk, foreign, expired and revoked tokens', async () => {
    const { fake, clock, client } = await started()
    const other = await started()
    const foreign = other.fake.service.identities.issue(fakeIdentity.id)
    const read = (sdk: InfisicalSDK): Promise<string> => statusOf(sdk.secrets().listSecrets(exact))
    const withToken = (token: string): InfisicalSDK => new InfisicalSDK({ siteUrl: fake.url }).auth().accessToken(token)

    expect(await statusOf(new InfisicalSDK({ siteUrl: fake.url }).auth().universalAuth.login({ clientId, clientSecret: 'wrong' }))).toBe('401')
    expect([await read(withToken('junk')), await read(withToken(foreign)), await read(client)]).toEqual(['403', '403', 'no failure'])
    clock.advance(7_300_000)
    expect(await read(client)).toBe('403')
    const again = await client.auth().universalAuth.login({ clientId, clientSecret })
    expect(await read(again)).toBe('no failure')
    fake.service.identities.revokeTokens()
    expect(await read(again)).toBe('401')
  })

  it('renews a login until its longest life', async () => {
    const { fake, clock, client } = await started()
    clock.advance(7_000_000)
    const renewed = await client.auth().universalAuth.renew()
    clock.advance(7_000_000)

    expect(await statusOf(renewed.secrets().listSecrets(exact))).toBe('no failure')
    expect(fake.requests.filter(({ path }) => path.endsWith('/token/renew'))).toHaveLength(1)
  })

  it('takes an approval for what it is: a 200 that stores nothing', async () => {
    const { fake, client } = await started({ approvals: () => true })
    const answer = await client.secrets().createSecret('KEY', { ...scope, secretPath: '/', secretValue: 'x' })

    expect(Object.keys(answer)).toEqual(['approval'])
    expect(fake.service.project.rows).toEqual([])
  })

  it('asks again when it is throttled, until the minute is over', async () => {
    let requests = 0
    const { fake, client } = await started({ secretsPerMinute: 1 }, () => 1_800_000_000_000 + (requests > 2 ? 60_000 : 0))
    fake.fault({ kind: 'slow', nth: 1_000, only: () => (requests += 1) < 0 })
    await client.secrets().listSecrets(exact)
    await client.secrets().listSecrets(exact)

    expect(fake.requests.filter(({ path }) => path === '/api/v3/secrets/raw')).toHaveLength(3)
  })
})

/** What a request says, in the older API's words: path, query and body fields. */
const said = ({ method, path, query, body, headers }: WireRequest): object => {
  const old = (key: string): string => (key === 'projectId' ? 'workspaceId' : key)
  const fields = body.byteLength === 0 ? {} : (JSON.parse(body.toString('utf8')) as Record<string, unknown>)
  return {
    method,
    path: path.replace('/api/v4/secrets', '/api/v3/secrets/raw'),
    type: headers['content-type'],
    ...(!path.startsWith('/api/v1/auth/') && { bearer: headers['authorization']?.startsWith('Bearer ') === true }),
    query: Object.fromEntries([...query].map(([key, value]) => [old(key), value] as const).toSorted()),
    body: Object.fromEntries(Object.entries(fields).map(([key, value]) => [old(key), value] as const).toSorted()),
  }
}

/** Where the two differ, and why. */
const differences: Readonly<Record<string, { readonly ours?: object; readonly theirs?: object; readonly because: string }>> = {
  get: { ours: { query: { include_imports: 'false' } }, theirs: { query: { secretName: 'KEY', includeImports: 'false' } }, because: 'the client repeats the name and writes the flag as no version of the API reads it; ours says it as the API does' },
  change: { ours: { body: { secretMetadata: expect.arrayContaining([{ key: 'latchkey-version', value: expect.stringMatching(/^put-f{32} 3 [0-9a-f]{24}$/) as unknown }]) as unknown } }, because: 'as with a creation: the client has another field for metadata, which the service keeps for itself' },
  create: { ours: { body: { secretMetadata: [{ key: 'team', value: 'payments' }, { key: 'latchkey-version', value: 'put-0123456789abcdef0123456789abcdef 1' }] } }, because: 'the client has no parameter for metadata, which is where labels and the mark of the operation stand' },
}

const without = (thing: object, left: object | undefined): object => {
  const copy = structuredClone(thing) as Record<string, Record<string, unknown>>
  for (const [part, fields] of Object.entries(left ?? {})) {
    for (const [key, value] of Object.entries(fields as Record<string, unknown>)) {
      expect(copy[part]?.[key]).toEqual(value)
      delete copy[part]?.[key]
    }
  }
  return copy
}

describe("our requests are the official client's", () => {
  const name = createdName('KEY')
  const operation = 'put-0123456789abcdef0123456789abcdef'
  const changing = `put-${'f'.repeat(32)}`
  const both = async (which: (request: WireRequest) => boolean, ours: (open: Awaited<ReturnType<typeof openInfisical>>, clock: ManualClock) => Promise<unknown>, theirs: (client: InfisicalSDK) => Promise<unknown>, prepare?: (client: InfisicalSDK) => Promise<unknown>): Promise<readonly [object, object]> => {
    const requestOf = async (act: (fake: RunningInfisical, client: InfisicalSDK) => Promise<unknown>): Promise<object> => {
      const { fake, client } = await started()
      await prepare?.(client)
      const before = fake.requests.length
      await act(fake, client)
      const found = fake.requests.slice(before).find(which)
      expect(found).toBeDefined()
      return said(found as WireRequest)
    }
    const runtime = testRuntime()
    return [await requestOf(async (fake) => ours(await openInfisical(runtime, infisicalSettings(fake.url)), runtime.clock)), await requestOf((_, client) => theirs(client))]
  }
  const shared = { ...scope, secretPath: '/', type: SecretType.Shared }
  const create = (client: InfisicalSDK): Promise<unknown> => client.secrets().createSecret('KEY', { ...shared, secretValue: 'value', secretComment: 'why' })

  interface Pair {
    readonly kind: string
    readonly which: (request: WireRequest) => boolean
    readonly ours: (provider: SecretProvider, clock: ManualClock) => Promise<unknown> | undefined
    readonly theirs: (client: InfisicalSDK) => Promise<unknown>
    readonly prepare?: (client: InfisicalSDK) => Promise<unknown>
  }
  const pairs: readonly Pair[] = [
    { kind: 'login', which: ({ path }) => path.endsWith('/universal-auth/login'), ours: (provider, clock) => provider.check('reach', callOf(clock)), theirs: (client) => client.auth().universalAuth.login({ clientId, clientSecret }) },
    { kind: 'get', which: ({ path }) => path.endsWith('/KEY'), ours: (provider, clock) => provider.read(name, {}, callOf(clock)), theirs: (client) => client.secrets().getSecret({ ...exact, type: SecretType.Shared, secretName: 'KEY' }), prepare: create },
    { kind: 'list', which: ({ path }) => path.endsWith('/secrets') || path.endsWith('/raw'), ours: (provider, clock) => provider.readMany?.([name], callOf(clock)), theirs: (client) => client.secrets().listSecrets(exact), prepare: create },
    { kind: 'create', which: ({ method, path }) => method === 'POST' && path.endsWith('/KEY'), ours: (provider, clock) => provider.write?.({ name, value: SecretValue.of('value'), expect: 'absent', operation, stage: 'current', labels: { team: 'payments' }, description: 'why' }, callOf(clock)), theirs: create },
    { kind: 'change', which: ({ method, body }) => method === 'PATCH' && body.includes('"secretValue":"next"'), ours: (provider, clock) => provider.write?.({ name, value: SecretValue.of('next'), expect: 'any', operation: changing, stage: 'current', description: 'why' }, callOf(clock)), theirs: (client) => client.secrets().updateSecret('KEY', { ...shared, secretValue: 'next', secretComment: 'why' }), prepare: create },
    { kind: 'delete', which: ({ method }) => method === 'DELETE', ours: (provider, clock) => provider.remove?.(name, { expect: 'any', final: false }, callOf(clock)), theirs: (client) => client.secrets().deleteSecret('KEY', shared), prepare: create },
    { kind: 'folder', which: ({ method, path }) => method === 'POST' && path.endsWith('/folders'), ours: (provider, clock) => provider.write?.({ name: createdName('gateway/KEY'), value: SecretValue.of('value'), expect: 'any', operation, stage: 'current' }, callOf(clock)), theirs: (client) => client.folders().create({ ...scope, name: 'gateway', path: '/' }) },
  ]

  it.each(pairs)('in method, path, query and body: $kind', async ({ kind, which, ours, theirs, prepare }) => {
    const [mine, official] = await both(which, async (provider, clock) => ours(provider, clock), theirs, prepare)

    expect(without(mine, differences[kind]?.ours)).toEqual(without(official, differences[kind]?.theirs))
  })
})
