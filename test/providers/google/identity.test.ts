// Every kind of Google identity against the places where it logs in, the wrong ones among them: which source is used, what a credential file may name, when a token
// is renewed, and that nothing of a credential is ever said.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterEach, describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { hostedName } from '../../../shared/core/names.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { openGoogleSecrets } from '../../conformance/harnesses/google-secret-manager.ts'
import { assertNothingSecret } from '../../conformance/exam.ts'
import { foreignAccount, knownAccount } from '../../fakes/google-bearer.ts'
import { startGoogleFake, type GoogleFakeOptions, type RunningGoogleFake } from '../../fakes/google/secret-manager.ts'
import { canary } from '../../support/canary.ts'
import { callOf, testRuntime, type TestRuntime } from '../../support/runtime.ts'

let closing: (() => Promise<unknown> | undefined)[] = []
const audience = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/aws'
const robot = 'robot@fake-project.iam.gserviceaccount.com'
const user = { clientId: 'gcloud', clientSecret: canary('client secret'), refreshToken: canary('refresh token') }
const N = hostedName('N')

const fakeOf = async (runtime: TestRuntime, options: GoogleFakeOptions = {}): Promise<RunningGoogleFake> => {
  const fake = await startGoogleFake({ now: () => runtime.clock.now(), user, pool: { audience, accepts: (token) => token === 'foreign-token' || token.includes('GetCallerIdentity') }, impersonable: [robot], ...options })
  closing.push(() => fake.close())
  fake.seed('N', 'value')
  return fake
}

/** Opens with one credential and nothing else. */
const open = async (runtime: TestRuntime, fake: RunningGoogleFake, settings: Record<string, unknown>): Promise<SecretProvider> => {
  const provider = await openGoogleSecrets(runtime, { google_service_account: undefined, google_endpoint: fake.url, google_trusted_hosts: ['127.0.0.1'], google_metadata_host: fake.url.replace('http://', ''), ...settings })
  closing.push(() => provider.close?.())
  return provider
}

const read = async (runtime: TestRuntime, provider: SecretProvider): Promise<string> => provider.read(N, {}, callOf(runtime.clock)).then(({ value }) => value.reveal(), (error: unknown) => (error instanceof LatchkeyError ? error.code : 'not ours'))
const failureOf = (promise: Promise<unknown>): Promise<LatchkeyError> => promise.then(() => new LatchkeyError('internal', 'it succeeded'), (error: unknown) => error as LatchkeyError)

const files = {
  authorized_user: () => ({ type: 'authorized_user', client_id: user.clientId, client_secret: user.clientSecret, refresh_token: user.refreshToken, quota_project_id: 'billed' }),
  external: (url: string, source: object, more: object = {}) => ({ type: 'external_account', audience, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', token_url: `${url}/v1/token`, credential_source: source, ...more }),
  aws: { environment_id: 'aws1', regional_cred_verification_url: 'https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15' },
}
const impersonation = (url: string) => `${url}/v1/projects/-/serviceAccounts/${robot}:generateAccessToken`

afterEach(async () => {
  for (const close of closing.toReversed()) await close()
  closing = []
})

/** Kind → its credential, and what else it needs. Each must read, and each logs in only where it says. */
const kinds: readonly (readonly [title: string, logins: readonly string[], (url: string) => { settings: Record<string, unknown>; files?: Record<string, string>; env?: Record<string, string> }])[] = [
  ['a service account as JSON text', [], () => ({ settings: { google_service_account: knownAccount().file } })],
  ['a service account by path, as LiteLLM names it', [], () => ({ settings: {}, env: { GCS_PATH_SERVICE_ACCOUNT: '/keys/sa.json' }, files: { '/keys/sa.json': knownAccount().file } })],
  ['GOOGLE_APPLICATION_CREDENTIALS', [], () => ({ settings: {}, env: { GOOGLE_APPLICATION_CREDENTIALS: '/keys/adc.json' }, files: { '/keys/adc.json': knownAccount().file } })],
  ["gcloud's own file", ['/token'], (url) => ({ settings: {}, env: { CLOUDSDK_CONFIG: '/gcloud' }, files: { '/gcloud/application_default_credentials.json': JSON.stringify({ ...files.authorized_user(), token_uri: `${url}/token` }) } })],
  ['the metadata server', ['/computeMetadata/v1/instance/service-accounts/default/token'], () => ({ settings: {} })],
  ['federation by a token file', ['/v1/token'], (url) => ({ settings: { google_application_credentials: JSON.stringify(files.external(url, { file: '/var/run/token' })) }, files: { '/var/run/token': 'foreign-token\n' } })],
  ['federation by a token file of JSON', ['/v1/token'], (url) => ({ settings: { google_application_credentials: JSON.stringify(files.external(url, { file: '/t', format: { type: 'json', subject_token_field_name: 'id' } })) }, files: { '/t': '{"id":"foreign-token"}' } })],
  ['federation from AWS, with impersonation', ['/v1/token', `/v1/projects/-/serviceAccounts/${robot}:generateAccessToken`], (url) => ({ settings: { google_application_credentials: JSON.stringify(files.external(url, files.aws, { service_account_impersonation_url: impersonation(url) })) }, env: { AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'secret', AWS_SESSION_TOKEN: 'session' } })],
  ['impersonation by a service account', [`/v1/projects/-/serviceAccounts/${robot}:generateAccessToken`], (url) => ({ settings: { google_application_credentials: JSON.stringify({ type: 'impersonated_service_account', service_account_impersonation_url: impersonation(url), source_credentials: JSON.parse(knownAccount().file) as object }) } })],
]

describe('each kind of identity', () => {
  it.each(kinds)('%s reads', async (_title, logins, given) => {
    const env: Record<string, string> = {}
    const paths: Record<string, string> = {}
    const runtime = testRuntime({ hurries: true, env, files: paths })
    const fake = await fakeOf(runtime)
    const { settings, files: more = {}, env: variables = {} } = given(fake.url)
    Object.assign(env, variables)
    Object.assign(paths, more)
    const provider = await open(runtime, fake, settings)

    const values = [await read(runtime, provider), await read(runtime, provider)]

    expect(values).toEqual(['value', 'value'])
    expect(fake.requests.map(({ path }) => decodeURIComponent(path)).filter((path) => !path.includes('/secrets/'))).toEqual(logins)
  })

  it.each(kinds.filter(([, logins]) => logins.length > 0))('%s is asked again once a token has come to its end, and not before', async (_title, logins, given) => {
    const env: Record<string, string> = {}
    const paths: Record<string, string> = {}
    const runtime = testRuntime({ hurries: true, env, files: paths })
    const fake = await fakeOf(runtime)
    const { settings, files: more = {}, env: variables = {} } = given(fake.url)
    Object.assign(env, variables)
    Object.assign(paths, more)
    const provider = await open(runtime, fake, settings)
    await read(runtime, provider)

    runtime.clock.advance(58 * 60_000)
    const before = [await read(runtime, provider), fake.requests.filter(({ path }) => !path.includes('/secrets/')).length]
    runtime.clock.advance(10 * 60_000)
    const after = [await read(runtime, provider), fake.requests.filter(({ path }) => !path.includes('/secrets/')).length]

    expect([before, after]).toEqual([['value', logins.length], ['value', 2 * logins.length]])
  })

  it('sends what AWS vouches for: the signed request, for this pool', async () => {
    const runtime = testRuntime({ hurries: true, env: { AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'secret' } })
    const fake = await fakeOf(runtime)
    const provider = await open(runtime, fake, { google_application_credentials: JSON.stringify(files.external(fake.url, files.aws)) })
    await read(runtime, provider)

    const form = new URLSearchParams(fake.requests[0]?.body.toString('utf8'))
    const signed = JSON.parse(decodeURIComponent(form.get('subject_token') ?? '')) as { url: string; headers: { key: string; value: string }[] }

    expect(signed.url).toBe('https://sts.eu-west-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15')
    expect(Object.fromEntries(signed.headers.map(({ key, value }) => [key, value]))).toMatchObject({ 'x-goog-cloud-target-resource': audience, host: 'sts.eu-west-1.amazonaws.com' })
    expect(form.get('audience')).toBe(audience)
  })

  it('logs in once for all who wait, and counts calls against the quota project of the identity', async () => {
    const runtime = testRuntime({ hurries: true })
    const fake = await fakeOf(runtime)
    const provider = await open(runtime, fake, { google_application_credentials: JSON.stringify({ ...files.authorized_user(), token_uri: `${fake.url}/token` }) })

    await Promise.all(Array.from({ length: 20 }, () => read(runtime, provider)))

    expect(fake.requests.filter(({ path }) => path === '/token')).toHaveLength(1)
    expect(fake.requests.at(-1)?.headers['x-goog-user-project']).toBe('billed')
  })

  it('logs in once more when the service refuses a token, and no third time', async () => {
    const runtime = testRuntime({ hurries: true })
    const fake = await fakeOf(runtime)
    const provider = await open(runtime, fake, {})
    await read(runtime, provider)
    fake.fault({ kind: 'expired_credential', times: 1, only: ({ path }) => path.includes('/secrets/') })
    const healed = await read(runtime, provider)
    fake.heal()
    fake.fault({ kind: 'expired_credential', only: ({ path }) => path.includes('/secrets/') })

    const refused = await read(runtime, provider)

    expect([healed, refused]).toEqual(['value', 'provider_denied'])
    expect(fake.requests.filter(({ path }) => path.startsWith('/computeMetadata'))).toHaveLength(3)
  })
})

describe('wrong identities', () => {
  const secretText = canary('private key')
  const account = (more: object): string => JSON.stringify({ ...(JSON.parse(knownAccount().file) as object), ...more })

  it.each([
    ['text that is no JSON', '{not json'],
    ['an array', '{"a":1'],
    ['no type', '{}'],
    ['a type that is none', account({ type: 'gdch_service_account' })],
    ['no private key', account({ private_key: undefined })],
    ['a key that is none', account({ private_key: secretText })],
    ['no email', account({ client_email: '' })],
    ['another universe', account({ universe_domain: 'evil.example' })],
    ['a token endpoint of somebody else', JSON.stringify({ ...files.authorized_user(), token_uri: 'https://evil.example/token' })],
    ['a token endpoint that only begins like Google\'s', JSON.stringify({ ...files.authorized_user(), token_uri: 'https://oauth2.googleapis.com.evil.example/token' })],
    ['a token exchange of somebody else', JSON.stringify(files.external('https://evil.example', { file: '/t' }))],
    ['a token exchange over http', JSON.stringify(files.external('http://sts.googleapis.com', { file: '/t' }))],
    ['a program to run', JSON.stringify(files.external('https://sts.googleapis.com', { executable: { command: '/bin/sh' } }))],
    ['a certificate', JSON.stringify(files.external('https://sts.googleapis.com', { certificate: {} }))],
    ['a subject token from any address', JSON.stringify(files.external('https://sts.googleapis.com', { url: 'http://10.0.0.1/token' }))],
    ['an AWS check at somebody else\'s', JSON.stringify(files.external('https://sts.googleapis.com', { environment_id: 'aws1', regional_cred_verification_url: 'https://sts.evil.example?Action=GetCallerIdentity&Version=2011-06-15' }))],
    ['impersonation at somebody else\'s', JSON.stringify(files.external('https://sts.googleapis.com', { file: '/t' }, { service_account_impersonation_url: `https://evil.example/v1/projects/-/serviceAccounts/${robot}:generateAccessToken` }))],
    ['impersonation of another kind', JSON.stringify(files.external('https://sts.googleapis.com', { file: '/t' }, { service_account_impersonation_url: 'https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/x:signBlob' }))],
  ])('%s stops the start, naming the setting and nothing of the content', async (_title, text) => {
    const failure = await failureOf(openGoogleSecrets(testRuntime(), { google_service_account: undefined, google_application_credentials: text }))

    expect([failure.code, failure.message.startsWith('google_application_credentials: ')]).toEqual(['misconfigured', true])
    expect(failure.message).not.toMatch(/evil|BEGIN|\/bin\/sh|10\.0\.0\.1/)
    assertNothingSecret(failure)
  })

  it('a file that is not there stops the start, and does not fall to another source', async () => {
    const runtime = testRuntime({ files: { '/good.json': knownAccount().file } })

    const failure = await failureOf(openGoogleSecrets(runtime, { google_service_account: `${mkdtempSync(`${tmpdir()}/none-`)}/sa.json`, google_application_credentials: '/good.json' }))

    expect([failure.code, failure.message]).toEqual(['misconfigured', 'google_service_account: there is no such file.'])
  })

  it.each([
    ['a key that Google does not know', () => ({ google_service_account: foreignAccount().file }), {}],
    ['a refresh token that was taken back', (url: string) => ({ google_application_credentials: JSON.stringify({ ...files.authorized_user(), refresh_token: canary('old refresh token'), token_uri: `${url}/token` }) }), {}],
    ['a foreign token that the pool refuses', (url: string) => ({ google_application_credentials: JSON.stringify(files.external(url, { file: '/t' })) }), {}],
    ['a pool that there is not', (url: string) => ({ google_application_credentials: JSON.stringify({ ...files.external(url, { file: '/ok' }), audience: `${audience}x` }) }), {}],
    ['an account that may not be impersonated', (url: string) => ({ google_application_credentials: JSON.stringify(files.external(url, { file: '/ok' }, { service_account_impersonation_url: impersonation(url).replace('robot', 'other') })) }), {}],
    ['a machine without a metadata server', () => ({}), { metadata: false }],
  ] as const)('%s is provider_denied, a finding of the check, and nothing of it is said', async (_title, settings, options) => {
    const runtime = testRuntime({ hurries: true, files: { '/t': canary('foreign token'), '/ok': 'foreign-token' } })
    const fake = await fakeOf(runtime, options)
    const provider = await open(runtime, fake, settings(fake.url))

    const failure = await failureOf(provider.read(N, {}, callOf(runtime.clock)))
    const findings = await provider.check('read', callOf(runtime.clock))

    expect(failure.code).toBe('provider_denied')
    expect(findings.some(({ ok, setting }) => !ok && setting?.startsWith('google_') === true)).toBe(true)
    assertNothingSecret([failure, findings])
  })

  it('a federated token file that went away is misconfigured when it is needed', async () => {
    const runtime = testRuntime({ hurries: true })
    const fake = await fakeOf(runtime)
    const provider = await open(runtime, fake, { google_application_credentials: JSON.stringify(files.external(fake.url, { file: '/gone' })) })

    expect(await read(runtime, provider)).toBe('misconfigured')
  })

  it('a metadata server that is somebody else\'s is not believed', async () => {
    const runtime = testRuntime({ hurries: true })
    const fake = await fakeOf(runtime)
    fake.fault({ kind: 'says', only: ({ path }) => path.startsWith('/computeMetadata'), answer: { status: 200, headers: { 'content-type': 'application/json' }, body: { access_token: 'x', expires_in: 60 } } })
    const provider = await open(runtime, fake, {})

    expect(await read(runtime, provider)).toBe('provider_unavailable')
  })
})
