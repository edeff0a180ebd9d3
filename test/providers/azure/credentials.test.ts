// How the provider signs in: every kind of credential against the fake directory, what a refused one says, and which settings cannot stand together.
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { createdName } from '../../../shared/core/names/created.ts'
import { isCode, LatchkeyError } from '../../../shared/core/errors.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { fakeApplication, openAzure, startVault, type RunningVault } from '../../conformance/harnesses/azure-key-vault.ts'
import { startFake } from '../../fakes/wire.ts'
import { callOf, testRuntime } from '../../support/runtime.ts'
import { knownCertificate, strangeCertificate } from './azure-scene.ts'

const { tenantId, clientId, secret } = fakeApplication
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
const federated = { issuer: 'https://issuer.example', subject: 'latchkey', audience: 'api://AzureADTokenExchange', publicKey: createPublicKey(keys.privateKey) }
const platformToken = (claims: object = {}): string => {
  const body = [{ alg: 'RS256', typ: 'JWT' }, { iss: federated.issuer, sub: federated.subject, aud: federated.audience, exp: Math.floor(Date.now() / 1000) + 600, ...claims }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${body}.${sign('sha256', Buffer.from(body), keys.privateKey).toString('base64url')}`
}
const applications = [{ clientId, secrets: [secret], expiredSecrets: ['an-expired-secret'], certificates: [knownCertificate], federated: [federated] }]
const application = { azure_tenant_id: tenantId, azure_client_id: clientId }
const encrypted = (password: string): string => (/-----BEGIN CERTIFICATE[\s\S]*?END CERTIFICATE-----\n/.exec(knownCertificate)?.[0] ?? '') + createPrivateKey(knownCertificate).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: password })

const running: RunningVault[] = []
const providers: SecretProvider[] = []
afterEach(async () => {
  for (const provider of providers.splice(0)) await provider.close?.()
  for (const { fake } of running.splice(0)) await fake.close()
})
const name = createdName('litellm/a')

/** Opens with exactly these settings beside the addresses, and reads a secret that is there. */
const readWith = async (settings: Record<string, unknown>, given: { env?: Record<string, string>; files?: Record<string, string> } = {}): Promise<string> => {
  const started = await startVault({ applications }, given)
  running.push(started)
  const { vault, fake, runtime } = started
  const env = Object.fromEntries(Object.entries(given.env ?? {}).map(([key, text]) => [key, text.replace('{fake}', fake.url)]))
  vault.seed(azureNative, 'the value', { 'latchkey-name': name.text })
  runtime.clock.advance(5_000)
  const io = { ...started.io, env: testRuntime({ env }).env }
  const provider = await openAzure(io, { azure_key_vault_uri: fake.url, azure_authority_host: fake.url, ...settings })
  providers.push(provider)
  return (await provider.read(name, {}, callOf(runtime.clock))).value.reveal()
}
const azureNative = 'litellm-a-z3tle6qzhweansfhvebr4lffr2'
const failureOf = async (promise: Promise<unknown>): Promise<LatchkeyError> => {
  const error = await promise.then(() => undefined, (thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(LatchkeyError)
  return error as LatchkeyError
}
const lastLogin = (path = '/token') => running.at(-1)?.fake.requests.filter((request) => request.path.endsWith(path)).at(-1)

describe('signing in', () => {
  it.each([
    ['a client secret', { ...application, azure_client_secret: secret }, {}],
    ["LiteLLM's four variables", {}, { env: { AZURE_TENANT_ID: tenantId, AZURE_CLIENT_ID: clientId, AZURE_CLIENT_SECRET: secret } }],
    ['a certificate as PEM text', { ...application, azure_client_certificate_path: knownCertificate }, {}],
    ['a certificate in a file', { ...application, azure_client_certificate_path: '/certs/client.pem' }, { files: { '/certs/client.pem': knownCertificate } }],
    ['a certificate under a password', { ...application, azure_client_certificate_path: encrypted('opens it'), azure_client_certificate_password: 'opens it' }, {}],
    ['workload identity federation', { ...application, azure_federated_token_file: '/var/run/token' }, { files: { '/var/run/token': platformToken() } }],
    ["another cloud's token by reference", { ...application, azure_client_assertion: 'oidc/env/PLATFORM_TOKEN' }, { env: { PLATFORM_TOKEN: platformToken() } }],
    ["App Service's managed identity", {}, { env: { IDENTITY_ENDPOINT: '{fake}/msi/token', IDENTITY_HEADER: 'identity-header' } }],
    ['a user-assigned identity by its client id', { azure_client_id: 'user-1' }, { env: { IDENTITY_ENDPOINT: '{fake}/msi/token', IDENTITY_HEADER: 'identity-header' } }],
    ['a user-assigned identity by its resource id', { azure_managed_identity_resource_id: '/subscriptions/s/user-1' }, { env: { AZURE_POD_IDENTITY_AUTHORITY_HOST: '{fake}' } }],
    ['the metadata service', { azure_credential: 'managed_identity' }, { env: { AZURE_POD_IDENTITY_AUTHORITY_HOST: '{fake}', AZURE_CLIENT_SECRET: 'not asked for' } }],
  ])('works by %s', async (_title, settings, given) => {
    expect(await readWith(settings, given)).toBe('the value')
  })

  it("works by AWS's word on a function of it", async () => {
    const sts = await startFake({ handle: () => ({ status: 200, headers: { 'content-type': 'text/xml' }, body: `<GetWebIdentityTokenResult><WebIdentityToken>${platformToken()}</WebIdentityToken></GetWebIdentityTokenResult>` }), changes: () => false, refuse: () => ({ status: 500 }) })

    const value = await readWith({ ...application, azure_client_assertion: `oidc/aws/${federated.audience}` }, { env: { AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', AWS_ENDPOINT_URL_STS: sts.url } })
    await sts.close()

    expect([value, new URLSearchParams(sts.requests[0]?.body.toString()).get('Audience.member.1')]).toEqual(['the value', federated.audience])
  })

  it('sends the certificate chain where that is wanted, and not otherwise', async () => {
    const headerOf = (): Record<string, unknown> => JSON.parse(Buffer.from(new URLSearchParams(lastLogin()?.body.toString()).get('client_assertion')?.split('.')[0] ?? '', 'base64url').toString()) as Record<string, unknown>
    await readWith({ ...application, azure_client_certificate_path: knownCertificate })
    const without = headerOf()

    await readWith({ ...application, azure_client_certificate_path: knownCertificate, azure_client_send_certificate_chain: true })

    expect([without['x5c'], headerOf()['x5c']]).toEqual([undefined, [expect.any(String)]])
  })

  it('asks with the form, the scope and the certificate thumbprint that the vendor documents', async () => {
    await readWith({ ...application, azure_client_secret: secret })

    const form = new URLSearchParams(lastLogin()?.body.toString())
    expect([form.get('grant_type'), form.get('client_id'), form.get('client_secret'), form.get('scope')?.split(' ')[0]]).toEqual(['client_credentials', clientId, secret, 'https://vault.azure.net/.default'])
  })

  it.each([
    ['a wrong client secret', { azure_client_secret: 'wrong' }, {}, 'AADSTS7000215', 'azure_client_secret'],
    ['an expired client secret', { azure_client_secret: 'an-expired-secret' }, {}, 'AADSTS7000222', 'azure_client_secret'],
    ['an unknown application', { azure_client_id: '00000000-0000-4000-8000-000000000000', azure_client_secret: secret }, {}, 'AADSTS700016', 'azure_client_id'],
    ['an unknown directory', { azure_tenant_id: '00000000-0000-4000-8000-000000000000', azure_client_secret: secret }, {}, 'AADSTS90002', 'azure_tenant_id'],
    ['a certificate that is not registered', { azure_client_certificate_path: strangeCertificate }, {}, 'AADSTS700027', 'azure_client_certificate_path'],
    ['a token of another subject', { azure_client_assertion: 'oidc/env/PLATFORM_TOKEN' }, { env: { PLATFORM_TOKEN: platformToken({ sub: 'other' }) } }, 'AADSTS700213', 'azure_client_assertion'],
    ['an expired token', { azure_federated_token_file: '/token' }, { files: { '/token': platformToken({ exp: 1 }) } }, 'AADSTS700024', 'azure_federated_token_file'],
  ])('says what is wrong with %s, and which setting', async (_title, settings, given, code, setting) => {
    const failure = await failureOf(readWith({ ...application, ...settings }, given))

    expect([failure.code, failure.details.vendor?.name]).toEqual(['provider_denied', code])
    expect(failure.message).toContain(`Check ${setting}.`)
  })

  it('says that a managed identity is not assigned, and where there is none', async () => {
    const env = { IDENTITY_ENDPOINT: '{fake}/msi/token', IDENTITY_HEADER: 'identity-header' }

    const failures = [await failureOf(readWith({ azure_client_id: 'nobody' }, { env })), await failureOf(readWith({}, { env: { AZURE_POD_IDENTITY_AUTHORITY_HOST: 'http://127.0.0.1:1' } }))]

    expect(failures.map(({ code }) => code)).toEqual(['provider_denied', 'provider_unavailable'])
    expect(failures.map(({ message }) => message)).toEqual([expect.stringContaining('azure_managed_identity_resource_id'), expect.stringContaining('azure_credential')])
  })

  it.each([
    ['a page of HTML', { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' }, 'provider_unavailable'],
    ['an object without a token', { status: 200, body: { token_type: 'Bearer' } }, 'provider_unavailable'],
    ['a redirect', { status: 302, headers: { location: 'https://elsewhere.example' } }, 'provider_unavailable'],
    ['a server error', { status: 503, body: { error: 'temporarily_unavailable' } }, 'provider_unavailable'],
    ['too many requests', { status: 429, body: { error: 'invalid_request' } }, 'provider_throttled'],
    ['an unknown refusal', { status: 400, body: { error: 'invalid_request', error_codes: [1], error_description: 'canary text' } }, 'provider_denied'],
  ])('answers %s in place of a token with a code of its own', async (_title, answer, code) => {
    const started = await startVault({ applications })
    running.push(started)
    started.fake.fault({ kind: 'says', only: ({ path }) => path.endsWith('/token'), answer })
    const provider = await openAzure(started.io, started.settings)
    providers.push(provider)

    const failure = await failureOf(provider.read(name, {}, callOf(started.runtime.clock)))

    expect(failure.code).toBe(code)
    expect(failure.message).not.toContain('canary')
  })
})

describe('a token', () => {
  const opened = async (options: Parameters<typeof startVault>[0] = {}) => {
    const started = await startVault({ applications, ...options })
    running.push(started)
    const provider = await openAzure(started.io, started.settings)
    providers.push(provider)
    started.vault.seed('HOSTED', 'the value')
    const read = async (): Promise<string> => (await provider.read({ text: 'HOSTED', place: 'hosted' }, {}, callOf(started.runtime.clock))).value.reveal()
    const logins = (): number => started.fake.requests.filter(({ path }) => path.endsWith('/token')).length
    return { ...started, provider, read, logins }
  }

  it('is fetched once for twenty first reads at once, and no call goes without one', async () => {
    const { read, logins, fake } = await opened()

    await Promise.all(Array.from({ length: 20 }, read))

    expect(logins()).toBe(1)
    expect(fake.requests.filter(({ path, headers }) => path.startsWith('/secrets') && headers['authorization'] === undefined)).toEqual([])
  })

  it('is renewed before it expires, and after a jump of the clock over its end', async () => {
    const { read, logins, runtime } = await opened()
    await read()

    runtime.clock.advance(3_300_000)
    await read()
    const before = logins()
    runtime.clock.advance(3_480_000)
    await read()
    runtime.clock.advance(30 * 86_400_000)

    expect([before, logins(), await read()]).toEqual([1, 2, 'the value'])
    expect(logins()).toBe(3)
  })

  it('is replaced once when the vault refuses it, and a second refusal is the answer', async () => {
    const { read, logins, fake } = await opened()
    await read()
    const refused = { status: 401, headers: { 'www-authenticate': 'Bearer authorization="https://login.microsoftonline.com/aaaaaaaa-0000-4000-8000-000000000000", resource="https://vault.azure.net"' }, body: { error: { code: 'Unauthorized' } } }
    fake.fault({ kind: 'says', only: ({ path }) => path.startsWith('/secrets'), times: 1, answer: refused })
    const value = await read()
    fake.fault({ kind: 'says', only: ({ path }) => path.startsWith('/secrets'), answer: refused })

    const failure = await failureOf(read())

    expect([value, logins()]).toEqual(['the value', 3])
    expect([failure.code, failure.message]).toEqual(['provider_denied', expect.stringContaining('another directory than azure_tenant_id')])
  })

  it('proves what the vault asks it to prove', async () => {
    const { read, logins, fake } = await opened()
    await read()
    const claims = Buffer.from('{"access_token":{"nbf":{"essential":true,"value":"1"}}}').toString('base64')
    fake.fault({ kind: 'says', only: ({ path }) => path.startsWith('/secrets'), times: 1, answer: { status: 401, headers: { 'www-authenticate': `Bearer authorization="https://login.microsoftonline.com/x", error="insufficient_claims", claims="${claims}"` }, body: { error: { code: 'Unauthorized' } } } })

    await read()

    expect(logins()).toBe(2)
    expect(new URLSearchParams(lastLogin()?.body.toString()).get('claims')).toContain('"nbf"')
  })

  it('of another directory is refused by the vault', async () => {
    const { vault, read } = await opened()
    Object.assign(vault.directory, { resource: 'https://vault.azure.net', token: () => 'not.a.token' })

    expect((await failureOf(read())).code).toBe('provider_denied')
  })
})

describe('opening', () => {
  const vaultUri = 'https://my-vault.vault.azure.net'
  const full = { ...application, azure_client_secret: secret }
  const refusal = async (settings: Record<string, unknown>): Promise<string> => {
    const error = await openAzure(testRuntime({ files: { '/empty.pem': '' } }), settings).then(() => undefined, (thrown: unknown) => thrown)
    return isCode(error, 'misconfigured') ? error.message : `not misconfigured: ${String(error)}`
  }

  it.each([
    ['no address', {}, 'AZURE_KEY_VAULT_URI'],
    ['two credentials', { azure_key_vault_uri: vaultUri, ...full, azure_federated_token_file: '/t' }, 'azure_client_secret and azure_federated_token_file are both set'],
    ['a secret without its application', { azure_key_vault_uri: vaultUri, azure_client_secret: secret }, 'azure_tenant_id and azure_client_id must be set to sign in by client_secret'],
    ['a named credential that is not there', { azure_key_vault_uri: vaultUri, ...application, azure_credential: 'client_certificate' }, 'azure_client_certificate_path must be set'],
    ['two names of one managed identity', { azure_key_vault_uri: vaultUri, azure_client_id: 'a', azure_managed_identity_resource_id: 'b' }, 'leave one out'],
    ['a look-alike vault', { azure_key_vault_uri: 'https://my-vault.vault.azure.net.evil.example', ...full }, 'must be one name before'],
    ['a vault below a vault', { azure_key_vault_uri: 'https://a.b.vault.azure.net', ...full }, 'must be one name before'],
    ['a vault with a path', { azure_key_vault_uri: 'https://my-vault.vault.azure.net/secrets/a', ...full }, 'no user, path, query or fragment'],
    ['a vault with a user', { azure_key_vault_uri: 'https://me@my-vault.vault.azure.net', ...full }, 'no user, path, query or fragment'],
    ['a vault on another port', { azure_key_vault_uri: 'https://my-vault.vault.azure.net:8443', ...full }, 'must be one name before'],
    ['plain http', { azure_key_vault_uri: 'http://my-vault.vault.azure.net', ...full }, 'must begin with https://'],
    ['an unknown cloud', { azure_key_vault_uri: 'https://v.vault.cloud.example', ...full }, 'set azure_key_vault_suffix'],
    ['a private cloud without its authority', { azure_key_vault_uri: 'https://v.vault.cloud.example', azure_key_vault_suffix: 'vault.cloud.example', ...full }, 'azure_authority_host is required'],
    ['a vault and an authority of two clouds', { azure_key_vault_uri: 'https://v.vault.usgovcloudapi.net', azure_authority_host: 'https://login.microsoftonline.com', ...full }, 'are of two clouds'],
    ['a public vault and an authority of nobody', { azure_key_vault_uri: vaultUri, azure_authority_host: 'https://login.evil.example', ...full }, 'are of two clouds'],
    ['a certificate that is none', { azure_key_vault_uri: vaultUri, ...application, azure_client_certificate_path: '/empty.pem' }, 'holds no PEM certificate'],
    ['a certificate file that is not there', { azure_key_vault_uri: vaultUri, ...application, azure_client_certificate_path: '/nowhere.pem' }, 'does not exist'],
    ['a certificate without its key', { azure_key_vault_uri: vaultUri, ...application, azure_client_certificate_path: knownCertificate.replace(/-----BEGIN PRIVATE[\s\S]*/, '') }, 'no private key'],
    ['a certificate under another password', { azure_key_vault_uri: vaultUri, ...application, azure_client_certificate_path: encrypted('one'), azure_client_certificate_password: 'two' }, 'azure_client_certificate_password'],
    ["a certificate over another's key", { azure_key_vault_uri: vaultUri, ...application, azure_client_certificate_path: knownCertificate.replace(/-----BEGIN PRIVATE[\s\S]*/, '') + (/-----BEGIN PRIVATE[\s\S]*/.exec(strangeCertificate)?.[0] ?? '') }, 'does not belong'],
    ['a directory that is a path', { azure_key_vault_uri: vaultUri, ...full, azure_tenant_id: '../common' }, 'azure_tenant_id must be'],
  ])('refuses %s, naming the setting and never a value', async (_title, settings, says) => {
    const message = await refusal(settings)

    expect(message.replace(/^not misconfigured: Error: azure\./, '')).toContain(says)
    expect(message).not.toContain(secret)
  })

  it.each([
    ['the public cloud', { azure_key_vault_uri: `${vaultUri}/` }],
    ['US government', { azure_key_vault_uri: 'https://v.vault.usgovcloudapi.net' }],
    ['China', { azure_key_vault_uri: 'https://v.vault.azure.cn', azure_authority_host: 'https://login.chinacloudapi.cn/' }],
    ['a private cloud', { azure_key_vault_uri: 'https://v.vault.cloud.example', azure_key_vault_suffix: 'vault.cloud.example', azure_authority_host: 'https://login.cloud.example' }],
  ])('takes %s, without any call', async (_title, settings) => {
    const provider = await openAzure(testRuntime(), { ...full, ...settings })

    expect(provider.traits.write?.guarantee).toBe('detected')
    await provider.close?.()
  })

  it('says that nothing but the managed identity is left', async () => {
    const provider = await openAzure(testRuntime(), { azure_key_vault_uri: vaultUri })

    expect(provider.notices?.join()).toContain('managed identity of this host')
    await provider.close?.()
  })
})
