// The rows V01 to V29: what LiteLLM does with Vault, and where Latchkey does it another way on purpose. The URL table is LiteLLM's own, to the letter.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SecretCache } from '../../../shared/core/cache.ts'
import type { HttpPort } from '../../../shared/core/http-client.ts'
import { KeyLifecycle } from '../../../shared/core/key-lifecycle.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { SecretStore } from '../../../shared/core/store.ts'
import { openVault } from '../../conformance/harnesses/hashicorp-vault.ts'
import { startVaultFake, type VaultFake } from '../../fakes/vault/vault.ts'
import type { WireRequest } from '../../fakes/wire.ts'
import { assertNothingSecret } from '../../conformance/exam.ts'
import { canary } from '../../support/canary.ts'
import { callOf, testRuntime, type TestRuntime } from '../../support/runtime.ts'

let runtime: TestRuntime
let fake: VaultFake
const opened: SecretProvider[] = []

beforeEach(async () => {
  runtime = testRuntime({ hurries: true })
  fake = await startVaultFake({ now: () => runtime.clock.now() })
})

afterEach(async () => {
  for (const provider of opened.splice(0)) await provider.close?.()
  await fake.close()
})

const open = async (given: Record<string, unknown> = {}): Promise<SecretProvider> => {
  const provider = await openVault(runtime, { vault_addr: fake.url, vault_token: fake.rootToken, ...given })
  opened.push(provider)
  return provider
}
const call = () => callOf(runtime.clock)
const storeOf = (provider: SecretProvider, name = 'default', cache = new SecretCache(runtime.clock)): SecretStore =>
  new SecretStore({ name, system: 'hashicorp_vault', provider, policy: { accessMode: 'read_and_write', prefix: 'litellm', storeVirtualKeys: true }, cache, clock: runtime.clock, random: runtime.random })
const keysOf = (store: SecretStore): KeyLifecycle => new KeyLifecycle(store, { clock: runtime.clock, random: runtime.random })
const context = (route: string) => ({ call: call(), caller: 'tester', route, body: '{}' })
const put = (provider: SecretProvider, text: string, value: string, more: object = {}) =>
  provider.write?.({ name: hostedName(text), value: SecretValue.of(value), expect: 'any', operation: `put-${Buffer.from(runtime.random.bytes(16)).toString('hex')}`, stage: 'current', ...more }, call())
const text = async (provider: SecretProvider, name: string): Promise<string> => (await provider.read(hostedName(name), {}, call())).value.reveal()
const sent = (part: string, method?: string): WireRequest[] => fake.requests.filter((request) => request.path.includes(part) && (method === undefined || request.method === method))
const bodyOf = (request: WireRequest | undefined): Record<string, Record<string, unknown>> => JSON.parse(request?.body.toString() ?? '{}') as Record<string, Record<string, unknown>>
const operator = async (path: string, data: Record<string, unknown>): Promise<void> => {
  const client = await runtime.http.connect({ url: fake.url, title: 'Vault', setting: 'url' })
  await client.send({ method: 'POST', path: `/v1/${path}`, headers: { 'x-vault-token': fake.rootToken, 'content-type': 'application/json' }, body: JSON.stringify({ data }) }, call())
  await client.close()
}

describe('addresses', () => {
  interface Sent {
    readonly url: string
    readonly namespace: unknown
  }
  /** Answers every login and every read, and notes where they went. */
  const noting = (notes: Sent[]): HttpPort => ({
    connect: async (peer) => ({
      send: async ({ path, headers = {} }) => {
        notes.push({ url: peer.url + path, namespace: headers['x-vault-namespace'] })
        const body = { auth: { client_token: 'hvs.given', lease_duration: 60, renewable: true }, data: { data: { key: 'v' }, metadata: { version: 1, created_time: '2026-11-21T12:00:00Z', deletion_time: '', destroyed: false, custom_metadata: null } } }
        return { status: 200, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(body)) }
      },
      close: async () => undefined,
    }),
  })
  type Row = readonly [id: string, env: Record<string, string>, name: string, url: string, login?: string, namespace?: string]
  const approle = { HCP_VAULT_APPROLE_ROLE_ID: 'r', HCP_VAULT_APPROLE_SECRET_ID: 's' }
  const token = { HCP_VAULT_TOKEN: 't' }

  const rows: readonly Row[] = [
    ['V01', token, 'OPENAI_API_KEY', 'http://127.0.0.1:8200/v1/secret/data/OPENAI_API_KEY'],
    ['V02', { ...approle, HCP_VAULT_NAMESPACE: ' admin/ ' }, 'OPENAI_API_KEY', 'http://127.0.0.1:8200/v1/admin/secret/data/OPENAI_API_KEY', 'http://127.0.0.1:8200/v1/auth/approle/login', 'admin'],
    ['V03', { ...approle, HCP_VAULT_NAMESPACE: 'admin', HCP_VAULT_LOGIN_NAMESPACE: ' /root/ ', HCP_VAULT_SECRET_NAMESPACE: ' /teams/team-a/ ' }, 'OPENAI_API_KEY', 'http://127.0.0.1:8200/v1/teams/team-a/secret/data/OPENAI_API_KEY', 'http://127.0.0.1:8200/v1/auth/approle/login', 'root'],
    ['V04', { ...token, HCP_VAULT_MOUNT_NAME: ' /kv-prod/ ', HCP_VAULT_PATH_PREFIX: ' /virtual-keys/ ' }, 'DB_PASSWORD', 'http://127.0.0.1:8200/v1/kv-prod/data/virtual-keys/DB_PASSWORD'],
    ['V05', { ...approle, HCP_VAULT_APPROLE_MOUNT_PATH: ' /custom-approle/ ', HCP_VAULT_NAMESPACE: 'admin' }, 'OPENAI_API_KEY', 'http://127.0.0.1:8200/v1/admin/secret/data/OPENAI_API_KEY', 'http://127.0.0.1:8200/v1/auth/custom-approle/login', 'admin'],
    ['V06', { HCP_VAULT_CLIENT_CERT: '-----BEGIN CERTIFICATE-----', HCP_VAULT_CLIENT_KEY: '-----BEGIN PRIVATE KEY-----', HCP_VAULT_CERT_ROLE: 'gateway' }, 'OPENAI_API_KEY', 'http://127.0.0.1:8200/v1/secret/data/OPENAI_API_KEY', 'http://127.0.0.1:8200/v1/auth/cert/login'],
    ['V07', { ...token, HCP_VAULT_ADDR: 'http://vault.test:8200///' }, 'OPENAI_API_KEY', 'http://vault.test:8200/v1/secret/data/OPENAI_API_KEY'],
  ]

  it.each(rows.map(([id, env, name, url, login, namespace]) => ({ id, env, name, url, login, namespace })))('$id: go where LiteLLM goes', async ({ id, env, name, url, login, namespace }) => {
    const notes: Sent[] = []
    const provider = await openVault({ ...testRuntime({ env }), http: noting(notes) }, id === 'V07' ? { vault_allow_plain_http: true } : {})

    await provider.read(hostedName(name), {}, call())

    expect(notes).toEqual([...(login === undefined ? [] : [{ url: login, namespace }]), { url, namespace: undefined }])
  })

  it('have the namespace in the header of the secrets where the setting says so', async () => {
    const notes: Sent[] = []
    const provider = await openVault({ ...testRuntime({ env: { ...token, HCP_VAULT_NAMESPACE: 'admin' } }), http: noting(notes) }, { vault_namespace_header: true })

    await provider.read(hostedName('OPENAI_API_KEY'), {}, call())

    expect(notes).toEqual([{ url: 'http://127.0.0.1:8200/v1/secret/data/OPENAI_API_KEY', namespace: 'admin' }])
  })
})

describe('reading', () => {
  it('V08: asks once for two reads, and again after 300 seconds or as HCP_VAULT_REFRESH_INTERVAL says', async () => {
    await operator('secret/data/n', { key: 'v' })
    const stores = [storeOf(await open()), storeOf(await open({ vault_refresh_interval_seconds: 3_600 }))]
    const before = sent('/data/n', 'GET').length

    for (const store of stores) for (const pass of [0, 0, 301_000]) {
      runtime.clock.advance(pass)
      expect((await store.read({ name: 'n' }, call())).value.reveal()).toBe('v')
    }

    expect(sent('/data/n', 'GET').length - before).toBe(2 + 1)
  })

  it("places a name in its own namespace, engine, prefix and field, as a team's settings will", async () => {
    fake.state.namespace('team-b')
    fake.state.mount('kv-prod', 'team-b')
    await operator('team-b/kv-prod/data/virtual-keys/DB_PASSWORD', { password: 'of team b', key: 'another' })
    const provider = await open({ vault_secret_namespace: 'team-b', vault_mount_name: 'kv-prod', vault_path_prefix: 'virtual-keys', vault_field: 'password' })

    const value = await text(provider, 'DB_PASSWORD')

    expect(value).toBe('of team b')
    expect(fake.requests.at(-1)?.path).toBe('/v1/team-b/kv-prod/data/virtual-keys/DB_PASSWORD')
  })

  it('V11: keeps namespaces and fields apart in one cache, one request each', async () => {
    for (const namespace of ['a', 'b']) {
      fake.state.namespace(namespace)
      fake.state.mount('secret', namespace)
      await operator(`${namespace}/secret/data/n`, { key: `key of ${namespace}`, password: `password of ${namespace}` })
    }
    const cache = new SecretCache(runtime.clock)
    const stores = [storeOf(await open({ vault_secret_namespace: 'a' }), 'a', cache), storeOf(await open({ vault_secret_namespace: 'b' }), 'b', cache), storeOf(await open({ vault_secret_namespace: 'b', vault_field: 'password' }), 'b-password', cache)]
    const before = sent('/data/n', 'GET').length

    const values: string[] = []
    for (const store of [...stores, ...stores]) values.push((await store.read({ name: 'n' }, call())).value.reveal())

    expect(values.slice(0, 3)).toEqual(['key of a', 'key of b', 'password of b'])
    expect(values.slice(3)).toEqual(values.slice(0, 3))
    expect(sent('/data/n', 'GET').length - before).toBe(3)
  })

  it('V12: answers a missing path as absent, which is what lets the environment follow, and a refusal as a refusal', async () => {
    const provider = await open()
    const denied = await open({ vault_token: fake.state.token({ policies: [] }) })

    const codes = [await text(provider, 'n').catch((error: unknown) => error), await text(denied, 'n').catch((error: unknown) => error)]

    expect(codes).toMatchObject([{ code: 'not_found' }, { code: 'provider_denied' }])
  })

  it.each(['../../x', 'a\nb', 'a\u2028b', 'a\u0085b', 'a/../b', 'release..2', 'a/', '/a', 'a//b', 'a.'])('V27: sends nothing for the name %j', async (name) => {
    const provider = await open()

    await expect(provider.read({ text: name, place: 'hosted' }, {}, call())).rejects.toMatchObject({ code: 'invalid_request' })

    expect(fake.requests).toEqual([])
  })

  it('V28: takes ? and # of a hosted name for what they are, and refuses them in an alias', async () => {
    await operator('secret/data/a', { key: 'of a' })
    await operator('secret/data/a%3Fx', { key: 'of a?x' })
    const provider = await open()

    const value = await text(provider, 'a?x')

    expect(value).toBe('of a?x')
    await expect(text(provider, 'a#y')).rejects.toMatchObject({ code: 'not_found' })
    expect(() => createdName('litellm/a?x')).toThrow('outside')
  })
})

describe('logins', () => {
  const role = (more: object = {}): void => fake.state.role({ login: 'approle', mount: 'approle', name: 'gateway', roleId: 'the role', secretIds: new Map([['the secret id', 0]]), policies: ['root'], ttlSeconds: 3_600, ...more })

  it('V13: prefer AppRole to a certificate and a token, and check says what is not used', async () => {
    role()
    const provider = await open({ approle_role_id: 'the role', approle_secret_id: 'the secret id', client_cert: '-----BEGIN CERTIFICATE-----', client_key: '-----BEGIN PRIVATE KEY-----', vault_token: 'not used' })

    const findings = await provider.check('reach', call())

    expect(sent('/login').map(({ path }) => path)).toEqual(['/v1/auth/approle/login'])
    expect(findings).toContainEqual(expect.objectContaining({ ok: true, subject: 'vault credentials', message: expect.stringContaining('approle_role_id (HCP_VAULT_APPROLE_ROLE_ID) decides, client_cert (HCP_VAULT_CLIENT_CERT) and vault_token (HCP_VAULT_TOKEN) are not used') as unknown }))
  })

  it('V14: send role id and secret id, and keep the token for its lease', async () => {
    role()
    await operator('secret/data/n', { key: 'v' })
    const provider = await open({ approle_role_id: 'the role', approle_secret_id: 'the secret id' })

    for (let reads = 0; reads < 3; reads += 1) await text(provider, 'n')

    expect(sent('/login')).toHaveLength(1)
    expect(bodyOf(sent('/login')[0])).toEqual({ role_id: 'the role', secret_id: 'the secret id' })
  })

  it('V15: list what may be set when nothing is', async () => {
    const failure = await openVault(runtime, { vault_addr: fake.url }).catch((error: unknown) => error)

    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringMatching(/HCP_VAULT_TOKEN.*approle_role_id and approle_secret_id.*client_cert and client_key/) as unknown })
  })

  it('V29: are repeated once when the token was revoked', async () => {
    role()
    await operator('secret/data/n', { key: 'v' })
    const provider = await open({ approle_role_id: 'the role', approle_secret_id: 'the secret id' })
    await text(provider, 'n')

    for (const [id, token] of fake.state.access.tokens) if (token.ttlSeconds > 0) fake.state.access.tokens.delete(id)
    const value = await text(provider, 'n')

    expect(value).toBe('v')
    expect(sent('/login')).toHaveLength(2)
  })
})

describe('writing', () => {
  it('V16, V17: puts the value under the field and the description into the metadata, with check-and-set and our operation', async () => {
    const provider = await open()
    const operation = `put-${'a'.repeat(32)}`

    const outcome = await put(provider, 'n', 'v', { operation, description: 'for payments', expect: 'absent' })

    const { options, data = {} } = bodyOf(sent('/data/n', 'POST')[0])
    expect(outcome?.version).toMatchObject({ id: '1', operation })
    expect(options).toEqual({ cas: 0 })
    expect(data['key']).toBe('v')
    expect(Object.keys(data).filter((name) => name !== 'key')).toEqual([expect.stringMatching(new RegExp(`^latchkey-1\\.0-current-1--[0-9a-z]+\\.[0-9a-f]{8}-${operation}$`))])
    expect(bodyOf(sent('/metadata/n', 'PATCH')[0])).toEqual({ custom_metadata: { description: 'for payments' } })
  })

  it('V18: is seen by the next read', async () => {
    const store = storeOf(await open())
    await store.put({ name: 'n', value: SecretValue.of('one') }, call())
    await store.read({ name: 'n' }, call())

    await store.put({ name: 'n', value: SecretValue.of('two') }, call())

    expect((await store.read({ name: 'n' }, call())).value.reveal()).toBe('two')
  })

  it('V19: is an error when Vault refuses it, and names the path and the capability', async () => {
    fake.state.policy('reader', { path: 'secret/data/*', capabilities: ['read'] })
    const provider = await open({ vault_token: fake.state.token({ policies: ['reader'] }) })

    const failure = await put(provider, 'n', canary('refused'))?.catch((error: unknown) => error)

    expect(failure).toMatchObject({ code: 'provider_denied', message: expect.stringContaining('create, update on secret/data/') as unknown })
    assertNothingSecret(failure)
  })

  it('V20, V21: deletes softly, and no cached field outlives it', async () => {
    await operator('secret/data/n', { key: 'k', other: 'o' })
    const provider = await open()
    const store = storeOf(provider)
    await store.put({ name: 'n', value: SecretValue.of('mine'), adopt: true }, call())
    await store.read({ name: 'n' }, call())

    await store.remove('n', {}, call())

    await expect(store.read({ name: 'n' }, call())).rejects.toMatchObject({ code: 'not_found' })
    expect(sent('/delete/n', 'POST')).toHaveLength(1)
    expect((await provider.describe?.(hostedName('n'), call()))?.recoverableUntil).toBeInstanceOf(Date)
  })
})

describe('rotating', () => {
  it('V23: keeps name, metadata and the operator’s own fields, claims first and moves by check-and-set', async () => {
    const provider = await open()
    const keys = keysOf(storeOf(provider))
    const made = await keys.create({ alias: 'n', data: { models: ['m'] } }, context('/key/generate'))

    const rotated = await keys.rotate({ alias: 'n' }, { graceMs: 60_000 }, context('/key/regenerate'))

    const writes = sent('/data/litellm/n', 'POST').map((request) => bodyOf(request)['options'])
    expect(rotated).toMatchObject({ keyId: made.keyId, epoch: 2, data: { models: ['m'] } })
    expect(rotated.stored.name).toBe('litellm/n')
    expect(writes).toEqual([{ cas: 0 }, { cas: 1 }, { cas: 2 }])
    expect(sent('/data/litellm/n', 'DELETE')).toEqual([])
  })

  it('V22: under a new alias writes the new path once, keeps what is said of the key, and ends the old path by a tombstone', async () => {
    const provider = await open()
    const keys = keysOf(storeOf(provider))
    const made = await keys.create({ alias: 'n', data: { models: ['m'] } }, context('/key/generate'))

    const renamed = await keys.update({ alias: 'n' }, { alias: 'o' }, context('/key/regenerate'))
    const rotated = await keys.rotate({ alias: 'o' }, {}, context('/key/regenerate'))

    expect([renamed.keyId, rotated.keyId, rotated.data, rotated.stored.name]).toEqual([made.keyId, made.keyId, { models: ['m'] }, 'litellm/o'])
    expect(await text(provider, 'litellm/o')).toBe(rotated.key?.reveal())
    expect(sent('/data/litellm/n', 'DELETE')).toEqual([])
    expect((await provider.describe?.(createdName('litellm/n'), call()))?.current?.operation).toContain('-delete-')
  })

  it('V26: under a new alias succeeds where the policy forbids to destroy versions of the old path', async () => {
    fake.state.policy('keeper', ...['data', 'metadata', 'subkeys'].map((kind) => ({ path: `secret/${kind}/*`, capabilities: ['create', 'read', 'update', 'patch', 'list'] })))
    const keys = keysOf(storeOf(await open({ vault_token: fake.state.token({ policies: ['keeper'] }) })))
    const made = await keys.create({ alias: 'n' }, context('/key/generate'))

    const renamed = await keys.update({ alias: 'n' }, { alias: 'o' }, context('/key/regenerate'))

    expect([renamed.keyId, renamed.alias]).toEqual([made.keyId, 'o'])
    expect((await keys.verify(made.key as SecretValue, call())).valid).toBe(true)
    await expect(keys.info({ alias: 'n' }, call())).rejects.toMatchObject({ code: 'not_found' })
  })

  it('V24: is not_found when there is no such key', async () => {
    const keys = keysOf(storeOf(await open()))

    await expect(keys.rotate({ alias: 'n' }, { graceMs: 0 }, context('/key/regenerate'))).rejects.toMatchObject({ code: 'not_found' })
  })

  it('V25: says no value when another writer came between', async () => {
    const provider = await open()
    const keys = keysOf(storeOf(provider))
    await keys.create({ alias: 'n' }, context('/key/generate'))
    const foreign = canary('foreign')
    let reads = 0
    const racing = keysOf(storeOf({ ...provider, promote: async (...args) => {
      reads += 1
      await operator('secret/data/litellm/n', { key: foreign })
      return provider.promote?.(...args)
    } }))

    const failure = await racing.rotate({ alias: 'n' }, { graceMs: 0 }, context('/key/regenerate')).catch((error: unknown) => error)

    expect(failure).toMatchObject({ code: expect.stringMatching(/conflict|not_found/) as unknown })
    expect(reads).toBeGreaterThan(0)
    assertNothingSecret(failure)
    expect(await text(provider, 'litellm/n')).toBe(foreign)
  })

  it('succeeds when the policy keeps the versions that held the old token', async () => {
    fake.state.policy('keeper', ...['data', 'metadata', 'subkeys'].map((kind) => ({ path: `secret/${kind}/*`, capabilities: ['create', 'read', 'update', 'patch', 'list'] })))
    const provider = await open({ vault_token: fake.state.token({ policies: ['keeper'] }) })
    const keys = keysOf(storeOf(provider))
    await keys.create({ alias: 'n' }, context('/key/generate'))

    const rotated = await keys.rotate({ alias: 'n' }, { graceMs: 0 }, context('/key/regenerate'))

    expect(rotated).toMatchObject({ epoch: 2, state: 'active' })
    await expect(provider.read(createdName('litellm/n'), { stage: 'previous' }, call())).rejects.toMatchObject({ code: 'not_found' })
  })
})
