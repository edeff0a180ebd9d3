// Who Latchkey is at Vault, over time: leases, renewals, refusals, files that change, and settings that name nobody.
import { generateKeyPairSync, sign } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hostedName } from '../../../shared/core/names.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { openVault } from '../../conformance/harnesses/hashicorp-vault.ts'
import { assertNothingSecret } from '../../conformance/exam.ts'
import type { FakeRole } from '../../fakes/vault/access.ts'
import { startVaultFake, type VaultFake } from '../../fakes/vault/vault.ts'
import { canary } from '../../support/canary.ts'
import { authority } from '../../support/certificates.ts'
import { callOf, testRuntime, type TestRuntime } from '../../support/runtime.ts'

const files: Record<string, string> = {}
let runtime: TestRuntime
let fake: VaultFake
const opened: SecretProvider[] = []

beforeEach(async () => {
  for (const path of Object.keys(files)) delete files[path]
  runtime = testRuntime({ hurries: true, files, env: { HOME: '/home/me' } })
  fake = await startVaultFake({ now: () => runtime.clock.now() })
})

afterEach(async () => {
  for (const provider of opened.splice(0)) await provider.close?.()
  await fake.close()
})

const call = () => callOf(runtime.clock)
const open = async (given: Record<string, unknown>): Promise<SecretProvider> => {
  const provider = await openVault(runtime, { vault_addr: fake.url, ...given })
  opened.push(provider)
  return provider
}
const seed = (path = 'n'): void => {
  fake.state.engines.get('secret')?.handle('data', { method: 'POST', path, query: new URLSearchParams(), type: 'application/json', body: { data: { key: 'v' } } })
}
const read = async (provider: SecretProvider, name = 'n'): Promise<string> => (await provider.read(hostedName(name), {}, call())).value.reveal()
const went = (part: string): number => fake.requests.filter(({ path }) => path.endsWith(part)).length
const approle = (more: Partial<FakeRole> = {}): void => fake.state.role({ login: 'approle', mount: 'approle', name: 'r', roleId: 'role', secretIds: new Map([['a secret id', 0]]), policies: ['root'], ttlSeconds: 600, ...more })
const asApprole = { approle_role_id: 'role', approle_secret_id: 'a secret id' }
const failureOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error)

describe('a lease', () => {
  it('is used until 20 % of it remain, then renewed, and at its end replaced by a login', async () => {
    seed()
    approle({ maxTtlSeconds: 1_100 })
    const provider = await open(asApprole)
    const seen: number[][] = []

    for (const seconds of [0, 479, 2, 480, 300]) {
      runtime.clock.advance(seconds * 1_000)
      await read(provider)
      seen.push([went('/login'), went('/renew-self')])
    }

    expect(seen).toEqual([[1, 0], [1, 0], [1, 1], [1, 2], [2, 2]])
  })

  it('that renewal does not lengthen is replaced by a login', async () => {
    seed()
    approle({ maxTtlSeconds: 600 })
    const provider = await open(asApprole)
    await read(provider)

    runtime.clock.advance(500_000)
    await read(provider)

    expect([went('/login'), went('/renew-self')]).toEqual([2, 1])
  })

  it('that cannot be renewed is replaced by a login', async () => {
    seed()
    approle({ kind: 'batch' })
    const provider = await open(asApprole)
    await read(provider)

    runtime.clock.advance(500_000)
    await read(provider)

    expect([went('/login'), went('/renew-self')]).toEqual([2, 0])
  })

  it('shorter than its margin is used for half of its time', async () => {
    seed()
    approle({ ttlSeconds: 40, renewable: false })
    const provider = await open(asApprole)
    await read(provider)
    runtime.clock.advance(19_000)
    await read(provider)
    runtime.clock.advance(2_000)
    await read(provider)

    expect(went('/login')).toBe(2)
  })

  it('is fetched once for many reads that begin together', async () => {
    seed()
    approle()
    const provider = await open(asApprole)

    await Promise.all(Array.from({ length: 20 }, () => read(provider)))

    expect(went('/login')).toBe(1)
  })
})

describe('a refusal', () => {
  it('by policy costs no login: the token that may look at itself is good', async () => {
    seed()
    fake.state.policy('elsewhere', { path: 'secret/data/elsewhere', capabilities: ['read'] })
    approle({ policies: ['elsewhere'] })
    const provider = await open(asApprole)

    const failures = [await failureOf(read(provider)), await failureOf(read(provider))]

    expect(failures).toMatchObject([{ code: 'provider_denied' }, { code: 'provider_denied' }])
    expect(went('/login')).toBe(1)
  })

  it('of a token and of the one after it is the answer', async () => {
    seed()
    approle()
    const provider = await open(asApprole)
    await read(provider)
    fake.fault({ kind: 'denied', echo: 'x' })

    const failure = await failureOf(read(provider))

    expect(failure).toMatchObject({ code: 'provider_denied' })
    expect(went('/login')).toBe(2)
  })

  it('of a token that was given is the answer at once', async () => {
    const provider = await open({ vault_token: canary('dead token') })

    const failure = await failureOf(read(provider))

    expect(failure).toMatchObject({ code: 'provider_denied' })
    expect(fake.requests).toHaveLength(1)
    assertNothingSecret(failure)
  })

  it.each([400, 500])('of a login with %i is tried once a call, and names what to look at', async (status) => {
    fake.fault({ kind: 'says', only: ({ path }) => path.endsWith('/login'), answer: { status, body: { errors: ['failed to validate credentials'] } } })
    const provider = await open(asApprole)

    const failure = await failureOf(read(provider))

    expect(failure).toMatchObject({ code: status === 400 ? 'provider_denied' : 'provider_unavailable' })
    expect(went('/login')).toBe(1)
  })

  it('of a login that is not mounted is a wrong setting', async () => {
    const provider = await open({ ...asApprole, approle_mount_path: 'elsewhere' })

    expect(await failureOf(read(provider))).toMatchObject({ code: 'misconfigured', message: expect.stringContaining('auth/elsewhere') as unknown })
  })

  it('of an answer without a token is unavailable', async () => {
    fake.fault({ kind: 'says', only: ({ path }) => path.endsWith('/login'), answer: { status: 200, body: { auth: null } } })
    const provider = await open(asApprole)

    expect(await failureOf(read(provider))).toMatchObject({ code: 'provider_unavailable' })
  })
})

describe('a wrapped secret id', () => {
  it('is unwrapped once, and what it holds serves later logins', async () => {
    seed()
    approle({ ttlSeconds: 40, renewable: false })
    fake.state.access.wrapped.set('hvs.wrapping', { secret_id: 'a secret id' })
    const provider = await open({ ...asApprole, approle_secret_id: 'hvs.wrapping', vault_approle_secret_id_wrapped: true })

    await read(provider)
    runtime.clock.advance(30_000)
    await read(provider)

    expect([went('/unwrap'), went('/login')]).toEqual([1, 2])
  })

  it('that somebody else unwrapped is a refusal that says so', async () => {
    approle()
    const provider = await open({ ...asApprole, approle_secret_id: 'hvs.taken', vault_approle_secret_id_wrapped: true })

    expect(await failureOf(read(provider))).toMatchObject({ code: 'provider_denied', message: expect.stringContaining('nobody has used yet') as unknown })
  })
})

describe('other logins', () => {
  it('show the client certificate in TLS, to a Vault of our own authority, from files or text', async () => {
    const [ca, clients] = [authority(), authority('clients')]
    const server = ca.signs({ subject: 'vault', names: ['127.0.0.1'] })
    const client = clients.signs({ subject: 'gateway' })
    const secure = await startVaultFake({ now: () => runtime.clock.now(), tls: { ...server, clientCa: clients.cert } })
    secure.state.role({ login: 'cert', mount: 'cert', name: 'gateway', subjects: ['gateway'], policies: ['root'], ttlSeconds: 600 })
    secure.state.engines.get('secret')?.handle('data', { method: 'POST', path: 'n', query: new URLSearchParams(), type: '', body: { data: { key: 'v' } } })
    Object.assign(files, { '/certs/client.pem': client.cert, '/home/me/client.key': client.key, '/certs/ca.pem': ca.cert })
    const fromFiles = await open({ vault_addr: secure.url, vault_ca: '/certs/ca.pem', client_cert: '/certs/client.pem', client_key: '~/client.key', vault_cert_role: 'gateway' })
    const fromText = await open({ vault_addr: secure.url, vault_ca: ca.cert, client_cert: client.cert, client_key: client.key })
    const distrusting = await open({ vault_addr: secure.url, client_cert: client.cert, client_key: client.key })
    const careless = await open({ vault_addr: secure.url, vault_ssl_verify: false, client_cert: client.cert, client_key: client.key })

    const outcomes = [await read(fromFiles), await read(fromText), await failureOf(read(distrusting)), await read(careless)]

    await secure.close()
    expect(outcomes).toMatchObject(['v', 'v', { code: 'provider_unavailable', message: expect.stringContaining('not signed by an authority') as unknown }, 'v'])
    expect(secure.requests.filter(({ path }) => path === '/v1/auth/cert/login').map(({ body }) => JSON.parse(body.toString()) as unknown)).toEqual([{ name: 'gateway' }, { name: null }, { name: null }])
  })

  it('read the service account token again at every login', async () => {
    seed()
    const accounts = new Set(['first-account-token'])
    fake.state.role({ login: 'kubernetes', mount: 'kubernetes', name: 'pod', accounts, policies: ['root'], ttlSeconds: 40, renewable: false })
    const path = '/var/run/secrets/kubernetes.io/serviceaccount/token'
    files[path] = 'first-account-token\n'
    const provider = await open({ vault_kubernetes_role: 'pod' })
    await read(provider)

    runtime.clock.advance(30_000)
    accounts.delete('first-account-token')
    accounts.add('second-account-token')
    const stale = await failureOf(read(provider))
    files[path] = 'second-account-token'

    expect(stale).toMatchObject({ code: 'provider_denied', message: expect.stringContaining('Kubernetes login') as unknown })
    expect(await read(provider)).toBe('v')
  })

  it('take an identity token as text, from a file, and by reference', async () => {
    seed()
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const text = [{ alg: 'RS256' }, { aud: 'vault', exp: runtime.clock.now() / 1000 + 600 }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    const jwt = `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`
    fake.state.role({ login: 'jwt', mount: 'oidc', name: 'gateway', key: publicKey, audience: 'vault', policies: ['root'], ttlSeconds: 600 })
    files['/tokens/vault'] = jwt
    runtime = testRuntime({ hurries: true, files, env: { CIRCLE_OIDC_TOKEN: jwt } })
    const settings = { vault_jwt_role: 'gateway', vault_jwt_mount_path: 'oidc' }

    const values = [await read(await open({ ...settings, vault_jwt: jwt })), await read(await open({ ...settings, vault_jwt: '/tokens/vault' })), await read(await open({ ...settings, vault_jwt: 'oidc/circleci/vault' }))]

    expect(values).toEqual(['v', 'v', 'v'])
    expect(fake.requests.filter(({ path }) => path === '/v1/auth/oidc/login').map(({ body }) => JSON.parse(body.toString()) as unknown)).toEqual([1, 2, 3].map(() => ({ role: 'gateway', jwt })))
  })

  it('come before a token that is set beside them', async () => {
    fake.state.role({ login: 'kubernetes', mount: 'kubernetes', name: 'pod', accounts: new Set(['the-account-token']), policies: ['root'] })
    files['/token'] = 'the-account-token'
    const provider = await open({ vault_kubernetes_role: 'pod', vault_kubernetes_token_path: '/token', vault_token: fake.rootToken })

    const findings = await provider.check('reach', call())

    expect(findings.map(({ ok, message }) => [ok, message])).toContainEqual([true, 'Several credentials are set: vault_kubernetes_role decides, vault_token (HCP_VAULT_TOKEN) is not used. Take away what is not needed.'])
    expect(went('/login')).toBe(1)
  })
})

describe('settings', () => {
  it.each<readonly [what: string, given: Record<string, unknown>, setting: string]>([
    ['a certificate without its key', { client_cert: '-----BEGIN CERTIFICATE-----' }, 'client_key'],
    ['a key without its certificate', { client_key: '-----BEGIN PRIVATE KEY-----' }, 'client_cert'],
    ['a role id without a secret id', { approle_role_id: 'role' }, 'approle_secret_id'],
    ['a secret id without a role id', { approle_secret_id: 'x' }, 'approle_role_id'],
    ['no credential at all', {}, 'vault_token'],
    ['a certificate that is not there', { client_cert: '/none.pem', client_key: '/none.key' }, 'client_cert'],
    ['an authority that is not there', { vault_token: 't', vault_ca: '/none.pem' }, 'vault_ca'],
    ['plain http elsewhere', { vault_addr: 'http://vault.example:8200', vault_token: 't' }, 'vault_addr'],
    ['a namespace with a dot segment', { vault_token: 't', vault_namespace: 'a/../b' }, 'vault_secret_namespace'],
    ['a mount with a query', { vault_token: 't', vault_mount_name: 'a?b' }, 'vault_mount_name'],
    ['an empty mount', { vault_token: 't', vault_mount_name: ' / ' }, 'vault_mount_name'],
    ['an empty part of the prefix', { vault_token: 't', vault_path_prefix: 'a//b' }, 'vault_path_prefix'],
    ['a field of our own marks', { vault_token: 't', vault_field: 'latchkey-x' }, 'vault_field'],
  ])('with %s stop the start, and name the setting', async (_what, given, setting) => {
    const failure = await failureOf(open(given))

    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringContaining(setting) as unknown })
    expect(fake.requests).toEqual([])
  })

  it('allow plain http elsewhere where it is asked for', async () => {
    await expect(open({ vault_addr: 'http://vault.example:8200', vault_token: 't', vault_allow_plain_http: true })).resolves.toBeDefined()
  })
})
