// The fake of Entra ID and of the managed identity endpoints, examined by @azure/identity over TLS with its own way out.
import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { ClientAssertionCredential, ClientCertificateCredential, ClientSecretCredential, ManagedIdentityCredential, type TokenCredential } from '@azure/identity'
import { afterEach, describe, expect, it } from 'vitest'
import { fakeApplication } from '../../conformance/harnesses/azure-key-vault.ts'
import { startFake } from '../../fakes/wire.ts'
import { knownCertificate, refusalOf, scene, strangeCertificate, type Scene } from './azure-scene.ts'

const { tenantId, clientId, secret } = fakeApplication
const issuer = 'https://issuer.example'
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
const federated = { issuer, subject: 'system:serviceaccount:latchkey:read', audience: 'api://AzureADTokenExchange', publicKey: createPublicKey(keys.privateKey) }
const seconds = (): number => Math.floor(Date.now() / 1000)
const assertion = (claims: object = {}, key: KeyObject = keys.privateKey): string => {
  const body = [{ alg: 'RS256', typ: 'JWT' }, { iss: issuer, sub: federated.subject, aud: federated.audience, exp: seconds() + 600, ...claims }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${body}.${sign('sha256', Buffer.from(body), key).toString('base64url')}`
}

const open: Scene[] = []
const start = async (): Promise<Scene> => {
  const started = await scene({ applications: [{ clientId, secrets: [secret], expiredSecrets: ['an-expired-secret'], certificates: [knownCertificate], federated: [federated] }] })
  open.push(started)
  return started
}
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})
const outcome = async (started: Scene, credential: TokenCredential, scope = 'https://vault.azure.net/.default'): Promise<unknown> => {
  const token = await credential.getToken(scope).catch((error: unknown) => error)
  const held = token as { token?: string; message?: string }
  return held.token === undefined ? /AADSTS\d+/.exec(held.message ?? '')?.[0] : started.vault.directory.fault(held.token)
}
const secretOf = (started: Scene, given: { tenant?: string; client?: string; secret?: string } = {}) => new ClientSecretCredential(given.tenant ?? tenantId, given.client ?? clientId, given.secret ?? secret, started.signIn)

describe('@azure/identity on the fake directory', () => {
  it('signs in with a client secret, and the vault takes the token', async () => {
    const started = await start()

    expect(await outcome(started, secretOf(started))).toBeUndefined()
    expect(await refusalOf(started.client(secretOf(started)).getSecret('nothing'))).toEqual([404, 'SecretNotFound'])
  })

  it.each([
    ['a wrong secret', { secret: 'wrong' }, 'AADSTS7000215'],
    ['an expired secret', { secret: 'an-expired-secret' }, 'AADSTS7000222'],
    ['an application that is not there', { client: '00000000-0000-4000-8000-000000000000' }, 'AADSTS700016'],
    ['a directory that is not there', { tenant: '00000000-0000-4000-8000-000000000000' }, undefined],
  ])('is refused with %s', async (_title, given, code) => {
    const started = await start()

    const refused = await outcome(started, secretOf(started, given))

    expect(refused).toBe(code)
    expect(started.fake.requests.some(({ path }) => path.endsWith('/token')) === (code !== undefined)).toBe(true)
  })

  it('is refused a token for what the directory does not know', async () => {
    const started = await start()

    expect(await outcome(started, secretOf(started), 'https://elsewhere.example/.default')).toBe('AADSTS500011')
  })

  it.each([
    ['the registered certificate', knownCertificate, undefined],
    ['a foreign certificate', strangeCertificate, 'AADSTS700027'],
    ['the registered certificate over a foreign key', knownCertificate.replace(/-----BEGIN PRIVATE[\s\S]*/, '') + (/-----BEGIN PRIVATE[\s\S]*/.exec(strangeCertificate)?.[0] ?? ''), 'AADSTS700027'],
  ])('signs in, or not, with %s', async (_title, certificate, code) => {
    const started = await start()

    expect(await outcome(started, new ClientCertificateCredential(tenantId, clientId, { certificate }, started.signIn))).toBe(code)
  })

  it.each([
    ['the right token of the platform', () => assertion(), undefined],
    ['a token of another subject', () => assertion({ sub: 'somebody else' }), 'AADSTS700213'],
    ['a token for another audience', () => assertion({ aud: 'sts.amazonaws.com' }), 'AADSTS700212'],
    ['a token of another issuer', () => assertion({ iss: 'https://elsewhere.example' }), 'AADSTS700211'],
    ['an expired token', () => assertion({ exp: seconds() - 5 }), 'AADSTS700024'],
    ['a token that somebody else signed', () => assertion({}, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey), 'AADSTS700027'],
  ])('signs in, or not, with %s', async (_title, assertionOf, code) => {
    const started = await start()

    expect(await outcome(started, new ClientAssertionCredential(tenantId, clientId, async () => assertionOf(), started.signIn))).toBe(code)
  })

  it("takes the host's managed identity from App Service's endpoint", async () => {
    const started = await start()
    const plain = await startFake(started.vault)
    const before = { ...process.env }
    Object.assign(process.env, { IDENTITY_ENDPOINT: `${plain.url}/msi/token`, IDENTITY_HEADER: 'identity-header' })

    const system = await outcome(started, new ManagedIdentityCredential())
    const user = await outcome(started, new ManagedIdentityCredential({ resourceId: '/subscriptions/s/user-1' }))

    process.env = before
    await plain.close()
    expect([system, user]).toEqual([undefined, undefined])
    expect(plain.requests.map(({ query }) => [query.get('api-version'), query.get('mi_res_id')])).toEqual([['2019-08-01', null], ['2019-08-01', '/subscriptions/s/user-1']])
  })
})
