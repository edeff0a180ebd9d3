// How Latchkey logs into Infisical: which method the settings mean, what each sends, how long a login is used, and what is said when one is refused.
import { inspect } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { hostedName } from '../../../shared/core/names.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { infisicalSettings, openInfisical } from '../../conformance/harnesses/infisical.ts'
import { checkSignature } from '../../fakes/aws-signature.ts'
import { fakeIdentity, fakeProject, startInfisicalFake, type Knobs, type RunningInfisical } from '../../fakes/infisical/service.ts'
import { canariesIn, canary } from '../../support/canary.ts'
import { callOf, testRuntime, type TestRuntime } from '../../support/runtime.ts'

const name = hostedName('KEY')
const logins = (fake: RunningInfisical): string[] => fake.requests.filter(({ path }) => path.startsWith('/api/v1/auth/')).map(({ path }) => path.slice('/api/v1/auth/'.length))

const started = async (given: { knobs?: Knobs; env?: Record<string, string>; files?: Record<string, string> } = {}): Promise<{ fake: RunningInfisical; runtime: TestRuntime; open(settings?: Record<string, unknown>): Promise<SecretProvider> }> => {
  const runtime = testRuntime({ hurries: true, env: given.env ?? {}, files: given.files ?? {} })
  const fake = await startInfisicalFake({ now: () => runtime.clock.now(), ...(given.knobs !== undefined && { knobs: given.knobs }) })
  fake.service.project.create('dev', '/', name.text, { secretValue: 'held' })
  const opened: SecretProvider[] = []
  onTestFinished(async () => {
    for (const provider of opened) await provider.close?.()
    await fake.close()
  })
  return {
    fake,
    runtime,
    open: async (settings = infisicalSettings(fake.url)) => {
      const provider = await openInfisical(runtime, { infisical_site_url: fake.url, infisical_project_id: fakeProject.id, ...settings })
      opened.push(provider)
      return provider
    },
  }
}
const readBy = async (provider: SecretProvider, runtime: TestRuntime): Promise<string> =>
  provider.read(name, {}, callOf(runtime.clock)).then(({ value }) => value.reveal(), (error: unknown) => {
    expect(error).toBeInstanceOf(LatchkeyError)
    expect(canariesIn(inspect(error, { depth: 9, showHidden: true }))).toEqual([])
    return (error as LatchkeyError).code
  })

const jwt = (claims: object): string => `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`
const identityId = '8b6c1d1e-0000-4000-8000-000000000001'

describe('the settings of a login', () => {
  it.each([
    ['nothing', {}, 'infisical_token'],
    ['a client id alone', { infisical_client_id: 'id' }, 'infisical_client_secret'],
    ['a client secret alone', { infisical_client_secret: 'x' }, 'infisical_client_id'],
    ['token without one', { infisical_auth_method: 'token' }, 'infisical_token'],
    ['kubernetes without an identity', { infisical_auth_method: 'kubernetes' }, 'infisical_identity_id'],
    ['oidc without a token', { infisical_auth_method: 'oidc', infisical_identity_id: identityId }, 'infisical_jwt'],
    ['aws without a region', { infisical_auth_method: 'aws', infisical_identity_id: identityId }, 'infisical_aws_region'],
    ['plain http elsewhere', { infisical_token: 'x', infisical_site_url: 'http://infisical.corp.example' }, 'infisical_site_url'],
    ['an authority that is not there', { infisical_token: 'x', infisical_ca_cert: '/none.pem' }, 'infisical_ca_cert'],
    ['a path that climbs', { infisical_token: 'x', infisical_secret_path: '/a/../b' }, 'infisical_secret_path'],
  ])('that do not fit stop the start, naming the setting: %s', async (_, settings, setting) => {
    const { open, fake } = await started()

    const error = await open(settings).then(() => undefined, (thrown: unknown) => thrown as LatchkeyError)

    expect([error?.code, error?.message.startsWith(setting)]).toEqual(['misconfigured', true])
    expect(fake.requests).toEqual([])
  })

  it('come from the environment by their names there, the token first', async () => {
    const { fake, runtime, open } = await started({ env: { INFISICAL_CLIENT_ID: fakeIdentity.clientId, INFISICAL_CLIENT_SECRET: fakeIdentity.clientSecret } })
    const by = await open({})
    const token = fake.service.identities.issue(fakeIdentity.id)
    const preferring = await open({ infisical_token: token })

    expect([await readBy(by, runtime), await readBy(preferring, runtime), logins(fake)]).toEqual(['held', 'held', ['universal-auth/login']])
  })
})

describe('a login', () => {
  it('is made once for many at once, and not at open', async () => {
    const { fake, runtime, open } = await started()
    const provider = await open()
    expect(logins(fake)).toEqual([])

    const values = await Promise.all(Array.from({ length: 20 }, () => readBy(provider, runtime)))

    expect([new Set(values), logins(fake)]).toEqual([new Set(['held']), ['universal-auth/login']])
  })

  it('is renewed shortly before it ends, and made anew when its longest life is over', async () => {
    const { fake, runtime, open } = await started()
    const provider = await open()
    await readBy(provider, runtime)
    for (let step = 0; step < 3; step += 1) {
      runtime.clock.advance(7_145_000)
      expect(await readBy(provider, runtime)).toBe('held')
    }
    expect(logins(fake)).toEqual(['universal-auth/login', 'auth/token/renew', 'auth/token/renew', 'auth/token/renew'].map((path) => path.replace('auth/token', 'token')))
    runtime.clock.advance(86_400_000)

    expect([await readBy(provider, runtime), logins(fake).at(-1)]).toEqual(['held', 'universal-auth/login'])
  })

  it('survives a clock that jumps over its end, in one request more', async () => {
    const { fake, runtime, open } = await started()
    const provider = await open()
    await readBy(provider, runtime)
    runtime.clock.advance(30 * 86_400_000)

    expect([await readBy(provider, runtime), logins(fake)]).toEqual(['held', ['universal-auth/login', 'universal-auth/login']])
  })

  it('is repeated once when the service takes the token back, with 401 as with 403 TokenError', async () => {
    const { fake, runtime, open } = await started()
    const provider = await open()
    await readBy(provider, runtime)
    fake.service.identities.revokeTokens()
    expect([await readBy(provider, runtime), logins(fake).length]).toEqual(['held', 2])
    fake.fault({ kind: 'expired_credential', times: 1 })
    expect([await readBy(provider, runtime), logins(fake).length]).toEqual(['held', 3])
    fake.fault({ kind: 'expired_credential' })

    expect([await readBy(provider, runtime), logins(fake).length]).toEqual(['provider_denied', 4])
  })

  it('is not repeated for a permission that is missing, nor for a token that was given', async () => {
    const { fake, runtime, open } = await started({ knobs: { denies: () => true } })
    const [provider, given] = [await open(), await open({ infisical_token: 'not.a.token' })]

    expect([await readBy(provider, runtime), logins(fake).length]).toEqual(['provider_denied', 1])
    fake.requests.splice(0)
    expect([await readBy(given, runtime), fake.requests.length]).toEqual(['provider_denied', 1])
    expect((await given.check('read', callOf(runtime.clock))).find(({ ok }) => !ok)?.setting).toBe('infisical_token')
  })

  it('that is refused names its method and its setting, and nothing of the secret', async () => {
    const { runtime, open, fake } = await started()
    const provider = await open({ ...infisicalSettings(fake.url), infisical_client_secret: canary('client secret') })

    const [finding] = await provider.check('read', callOf(runtime.clock))

    expect([finding?.ok, finding?.setting, finding?.subject]).toEqual([false, 'infisical_client_secret', 'login (universal)'])
    expect(canariesIn(inspect(finding, { depth: 9 }))).toEqual([])
    expect(await readBy(provider, runtime)).toBe('provider_denied')
  })

  it('spares a client secret that may be used once: renewals need none', async () => {
    const { fake, runtime, open } = await started()
    fake.service.identities.add({ ...fakeIdentity, method: 'universal', projects: [fakeProject.id], secretUses: 1, maxTtl: 0 })
    const provider = await open()
    await readBy(provider, runtime)
    for (let step = 0; step < 30; step += 1) {
      runtime.clock.advance(7_145_000)
      await readBy(provider, runtime)
    }

    expect([await readBy(provider, runtime), logins(fake).filter((path) => path.endsWith('login')).length]).toEqual(['held', 1])
  })

  it.each([
    ['gives no token', { expiresIn: 60 }],
    ['gives a token with a line break', { accessToken: 'a\nb', expiresIn: 60 }],
    ['says no time', { accessToken: 'abc' }],
  ])('that %s is no login', async (_, body) => {
    const { fake, runtime, open } = await started()
    const provider = await open()
    fake.fault({ kind: 'says', only: ({ path }) => path.endsWith('/login'), answer: { status: 200, body } })

    expect(await readBy(provider, runtime)).toBe('provider_unavailable')
  })
})

describe('an identity by a token of another issuer', () => {
  const token = jwt({ iss: 'https://issuer.example', sub: 'gateway' })
  it.each([
    ['kubernetes', {}, { files: { '/var/run/secrets/kubernetes.io/serviceaccount/token': `${token}\n` } }],
    ['kubernetes', { infisical_jwt: '/run/token' }, { files: { '/run/token': token } }],
    ['azure', {}, { env: { AZURE_FEDERATED_TOKEN_FILE: '/run/azure' }, files: { '/run/azure': token } }],
    ['oidc', { infisical_jwt: 'oidc/circleci_v2/' }, { env: { CIRCLE_OIDC_TOKEN_V2: token } }],
    ['oidc', { infisical_jwt: token }, {}],
    ['jwt', { infisical_jwt: 'oidc/env/MY_TOKEN' }, { env: { MY_TOKEN: token } }],
    ['gcp', { infisical_jwt: token }, {}],
  ])('logs in by %s with %o', async (method, settings, machine) => {
    const { fake, runtime, open } = await started(machine)
    fake.service.identities.add({ id: identityId, projects: [fakeProject.id], method, accepts: ({ jwt: shown }) => shown === token })
    const provider = await open({ infisical_auth_method: method, infisical_identity_id: identityId, ...settings })

    expect([await readBy(provider, runtime), logins(fake)]).toEqual(['held', [`${method}-auth/login`]])
    expect(JSON.parse(fake.requests[0]?.body.toString() ?? '')).toEqual({ identityId, jwt: token })
  })

  it('that the identity does not allow is refused with what to look at', async () => {
    const { fake, runtime, open } = await started()
    fake.service.identities.add({ id: identityId, projects: [fakeProject.id], method: 'oidc', accepts: () => false })
    const provider = await open({ infisical_auth_method: 'oidc', infisical_identity_id: identityId, infisical_jwt: token })

    const [finding] = await provider.check('read', callOf(runtime.clock))

    expect([finding?.ok, finding?.setting, finding?.message.includes('audience')]).toEqual([false, 'infisical_identity_id', true])
  })

  it('that is no member of the project is refused, and that is no absence', async () => {
    const { fake, runtime, open } = await started()
    fake.service.identities.add({ id: identityId, projects: [], method: 'jwt', accepts: () => true })
    const provider = await open({ infisical_auth_method: 'jwt', infisical_identity_id: identityId, infisical_jwt: token })

    expect(await readBy(provider, runtime)).toBe('provider_denied')
  })
})

describe('an identity by AWS', () => {
  it('shows a GetCallerIdentity that the AWS SDK signed for the region, and sends none to AWS', async () => {
    const { fake, runtime, open } = await started({ env: { AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret', AWS_SESSION_TOKEN: 'session', AWS_REGION: 'eu-central-1' } })
    let shown: Readonly<Record<string, string>> = {}
    fake.service.identities.add({ id: identityId, projects: [fakeProject.id], method: 'aws', accepts: (given) => Object.keys((shown = given)).length > 0 })
    const provider = await open({ infisical_auth_method: 'aws', infisical_identity_id: identityId })

    expect(await readBy(provider, runtime)).toBe('held')
    const headers = JSON.parse(Buffer.from(shown['iamRequestHeaders'] ?? '', 'base64').toString()) as Record<string, string>
    const body = Buffer.from(shown['iamRequestBody'] ?? '', 'base64')
    expect(body.toString()).toContain('Action=GetCallerIdentity')
    expect(() => checkSignature({ method: 'POST', headers }, body, { region: 'eu-central-1', service: 'sts', keys: [{ accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret', sessionToken: 'session' }] })).not.toThrow()
    expect(() => checkSignature({ method: 'POST', headers }, body, { region: 'eu-central-1', service: 'sts', keys: [{ accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'another', sessionToken: 'session' }] })).toThrow()
    expect([headers['host'], headers['x-amz-security-token']]).toEqual(['sts.eu-central-1.amazonaws.com', 'session'])
    expect(headers['authorization']).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE\/\d{8}\/eu-central-1\/sts\/aws4_request, SignedHeaders=[a-z0-9;-]*host[a-z0-9;-]*, Signature=[0-9a-f]{64}$/)
  })
})

describe('a bucket that is used up', () => {
  it('is provider_throttled with the seconds that only the message says', async () => {
    const { runtime, open } = await started({ knobs: { secretsPerMinute: 0 } })
    const provider = await open()

    const error = await provider.read(name, {}, callOf(runtime.clock)).then(() => undefined, (thrown: unknown) => thrown as LatchkeyError)

    expect(error?.code).toBe('provider_throttled')
    expect(error?.details.retryAfter).toBeGreaterThan(1)
    expect(error?.details.retryAfter).toBeLessThanOrEqual(60)
  })
})

describe('the older API', () => {
  it('reads and writes through the same state, by its own path and parameter', async () => {
    const { fake, runtime, open } = await started()
    const provider = await open({ ...infisicalSettings(fake.url), infisical_api_version: 'v3' })
    const call = callOf(runtime.clock)
    await provider.write?.({ name: hostedName('OLD'), value: SecretValue.of('one'), expect: 'absent', operation: `put-${'0'.repeat(32)}`, stage: 'current' }, call)
    await provider.write?.({ name: hostedName('OLD'), value: SecretValue.of('two'), expect: 'any', operation: `put-${'1'.repeat(32)}`, stage: 'current' }, call)

    expect([(await provider.read(hostedName('OLD'), {}, call)).value.reveal(), (await provider.read(hostedName('OLD'), { stage: 'previous' }, call)).value.reveal()]).toEqual(['two', 'one'])
    expect(fake.requests.filter(({ path }) => path.includes('secrets')).every(({ path }) => path.startsWith('/api/v3/secrets/raw'))).toBe(true)
  })

  it('that ignores the version asked for never answers another one', async () => {
    const { fake, runtime, open } = await started({ knobs: { ignoresVersion: true } })
    const provider = await open()
    fake.service.project.update('dev', '/', name.text, { secretValue: 'newest' })

    const error = await provider.read(name, { version: '1' }, callOf(runtime.clock)).then(() => undefined, (thrown: unknown) => thrown as LatchkeyError)

    expect(error?.code).toBe('not_found')
  })
})
