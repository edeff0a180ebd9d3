import { describe, expect, it, onTestFinished } from 'vitest'
import { hostedName } from '../../../shared/core/names.ts'
import { openConjur } from '../../conformance/harnesses/cyberark.ts'
import { startConjurFake } from '../../fakes/conjur/server.ts'
import { authority } from '../../support/certificates.ts'
import { canary } from '../../support/canary.ts'
import { callOf, testRuntime } from '../../support/runtime.ts'
import { failureOf, openedConjur } from './opened-conjur.ts'

const name = hostedName('SECRET')
const key = { cyberark_api_key: 'key' }
const open = (settings: Readonly<Record<string, unknown>>, files: Record<string, string> = {}) => openConjur(testRuntime({ files }), settings)
const opened = async (...given: Parameters<typeof openedConjur>) => {
  const conjur = await openedConjur(...given)
  conjur.fake.service.seed('SECRET', 'value')
  const logins = () => conjur.fake.requests.filter(({ path }) => path.endsWith('/authenticate')).length
  const read = async () => (await conjur.provider.read(name, {}, conjur.call)).value.reveal()
  return { ...conjur, logins, read }
}

describe('the settings', () => {
  it.each([
    ['an account with a slash', { ...key, cyberark_account: 'my/account' }, 'cyberark_account'],
    ['an account with a colon', { ...key, cyberark_account: 'my:account' }, 'cyberark_account'],
    ['an account with a line break', { ...key, cyberark_account: 'acct\r\nX-Evil: 1' }, 'cyberark_account'],
    ['an account that climbs', { ...key, cyberark_account: '..' }, 'cyberark_account'],
    ['a login with a line break', { ...key, cyberark_username: 'host/a\nb' }, 'cyberark_username'],
    ['a login that climbs', { ...key, cyberark_username: '..' }, 'cyberark_username'],
    ['an address on another machine without TLS', { ...key, cyberark_api_base: 'http://conjur.example' }, 'cyberark_allow_plain_http'],
    ['an address with a user in it', { ...key, cyberark_api_base: 'https://user:word@conjur.example' }, 'cyberark_api_base'],
    ['a certificate without its key', { cyberark_client_cert: 'cert.pem' }, 'cyberark_client_key'],
    ['a key without its certificate', { ...key, cyberark_client_key: 'key.pem' }, 'cyberark_client_cert'],
    ['a certificate over plain http', { cyberark_client_cert: 'cert.pem', cyberark_client_key: 'key.pem' }, 'cyberark_api_base'],
    ['a certificate that is not there', { cyberark_api_base: 'https://127.0.0.1:1', cyberark_client_cert: 'cert.pem', cyberark_client_key: 'key.pem' }, 'cyberark_client_cert'],
    ['authorities that are no PEM', { ...key, cyberark_ca_cert: 'ca.pem' }, 'cyberark_ca_cert'],
    ['an authenticator that nobody knows', { ...key, cyberark_authenticator: 'authn-oidc/okta' }, 'cyberark_authenticator'],
    ['an authenticator that climbs', { ...key, cyberark_authenticator: 'authn-jwt/..' }, 'cyberark_authenticator'],
    ['a web token login without a token', { cyberark_authenticator: 'authn-jwt/k8s' }, 'cyberark_jwt'],
    ['a certificate login without a certificate', { cyberark_authenticator: 'authn-cert/spiffe' }, 'cyberark_client_cert'],
    ['a branch with a slash at its end', { ...key, cyberark_policy_branch: 'litellm/' }, 'cyberark_policy_branch'],
    ['a branch that climbs', { ...key, cyberark_policy_branch: 'a/../b' }, 'cyberark_policy_branch'],
  ])('stop the start for %s, naming the setting', async (_title, settings, setting) => {
    const error = await failureOf(open(settings, { 'ca.pem': 'nothing of the kind' }))

    expect(error.code).toBe('misconfigured')
    expect(error.message).toContain(setting)
  })

  it.each([
    ['the API key', { cyberark_account: 'a/b' }, 'cyberark_api_key'],
    ['a path', { ...key, cyberark_api_base: 'https://127.0.0.1:1', cyberark_client_key: 'x' }, 'cyberark_client_cert'],
    ['an account', {}, 'cyberark_account'],
  ])('never show %s in what they refuse', async (label, settings, setting) => {
    const value = `${canary(label)}/..`

    const error = await failureOf(open({ ...settings, [setting]: value, ...(setting === 'cyberark_account' && key) }))

    expect(JSON.stringify(error) + error.message).not.toContain(value)
  })

  it.each([['false', 1], ['False', 1], ['no', 0], ['0', 0]])('take CYBERARK_SSL_VERIFY=%s as LiteLLM does: only the word false switches it off, and that is said', async (word, notices) => {
    const provider = await open({ ...key, cyberark_ssl_verify: word })

    expect(provider.notices ?? []).toHaveLength(notices)
  })

  it('give the refresh interval to the cache where it is not LiteLLM\'s default', async () => {
    const [usual, short] = [await open(key), await open({ ...key, cyberark_refresh_interval: 60 })]

    expect([usual.traits.cacheTtlMs, short.traits.cacheTtlMs]).toEqual([undefined, 60_000])
  })
})

describe('the token', () => {
  it('serves many reads, also the first ones at once', async () => {
    const { read, logins } = await opened()

    await Promise.all(Array.from({ length: 20 }, read))
    await read()

    expect(logins()).toBe(1)
  })

  it('is fetched again at 85 % of the life that it states, and not before', async () => {
    const { read, logins, runtime } = await opened()
    await read()

    runtime.clock.advance(407_000)
    await read()
    const before = logins()
    runtime.clock.advance(2_000)
    await read()

    expect([before, logins()]).toEqual([1, 2])
  })

  it.each([[300, 299_000, 2_000], [60, 59_000, 2_000], [86_400, 469_000, 2_000]])('that states no end is used for %i seconds, and always for less than eight minutes', async (interval, within, beyond) => {
    const { read, logins, runtime } = await opened({ cyberark_refresh_interval: interval }, { server: { statesEnd: false } })
    await read()

    runtime.clock.advance(within)
    await read()
    const before = logins()
    runtime.clock.advance(beyond)
    await read()

    expect([before, logins()]).toEqual([1, 2])
  })

  it('that the server no longer takes costs one more login, for reads and for writes', async () => {
    const { read, logins, runtime, fake } = await opened()
    await read()

    fake.fault({ kind: 'expired_credential', only: ({ path }) => path.startsWith('/secrets'), times: 1 })
    const value = await read()

    expect([value, logins()]).toEqual(['value', 2])
    expect(runtime.lines).toEqual([])
  })

  it('survives a clock that jumps back by an hour and forward by a day', async () => {
    const { read, logins, runtime } = await opened()
    await read()

    runtime.clock.set(runtime.clock.now() - 3_600_000)
    const back = await read()
    runtime.clock.advance(86_400_000)
    const forth = await read()

    expect([back, forth]).toEqual(['value', 'value'])
    expect(logins()).toBeLessThanOrEqual(3)
  })

  it('is a refusal once the key is no longer the login\'s, with both settings named, and no second login storm', async () => {
    const { fake, provider, logins, call } = await opened()
    fake.service.state.apiKeys.set('acct:user:admin', 'another key')

    const error = await failureOf(provider.read(name, {}, call))

    expect(error.code).toBe('provider_denied')
    expect(error.message).toMatch(/cyberark_username.*cyberark_api_key/)
    expect(logins()).toBe(1)
  })

  it.each([
    ['a page', { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>log in</html>' }],
    ['half a token', { status: 200, body: '{"protected":"p","payload":"q"' }],
    ['a token without a signature', { status: 200, body: { protected: 'p', payload: 'q' } }],
    ['nothing', { status: 200, body: '' }],
    ['null', { status: 200, body: 'null' }],
    ['a redirect', { status: 302, headers: { location: 'https://elsewhere.example' } }],
    ['a failure', { status: 502 }],
  ])('that is %s is no login: the service is unavailable', async (_title, answer) => {
    const { fake, provider, call } = await opened()
    fake.fault({ kind: 'says', only: ({ path }) => path.endsWith('/authenticate'), answer })

    expect((await failureOf(provider.read(name, {}, call))).code).toBe('provider_unavailable')
  })
})

describe('other ways in', () => {
  const ca = authority()
  const server = ca.signs({ subject: 'conjur', names: ['127.0.0.1', 'localhost'] })
  const client = ca.signs({ subject: 'host/apps/gateway' })
  const tls = { cert: server.cert, key: server.key, clientCa: ca.cert }

  const secure = async (settings: Readonly<Record<string, unknown>>, files: Record<string, string> = {}, server: Record<string, unknown> = {}) => {
    const runtime = testRuntime({ files })
    const fake = await startConjurFake({ now: () => runtime.clock.now(), certificates: { 'host/apps/gateway': 'host/apps/gateway' }, jwts: { 'aGVhZA.Ym9keQ.c2ln': 'host/apps/gateway' }, ...server }, { tls })
    const { state } = fake.service
    const host = state.full('host', 'apps/gateway')
    state.apiKeys.set(host, state.newKey())
    fake.service.seed('SECRET', 'value')
    for (const privilege of ['read', 'execute']) state.permit(state.add('variable', 'SECRET', ''), host, privilege)
    const provider = await openConjur(runtime, { cyberark_api_base: fake.url, cyberark_account: 'acct', cyberark_username: 'host/apps/gateway', cyberark_ca_cert: ca.cert, ...settings })
    onTestFinished(async () => {
      await provider.close?.()
      await fake.close()
    })
    const read = async () => (await provider.read(name, {}, callOf(runtime.clock))).value.reveal()
    return { fake, read }
  }
  const pem = { cyberark_client_cert: client.cert, cyberark_client_key: client.key }

  it('a certificate on the route of API keys, with an empty body, as LiteLLM does', async () => {
    const { fake, read } = await secure(pem)

    expect(await read()).toBe('value')
    expect(fake.requests[0]).toMatchObject({ method: 'POST', path: '/authn/acct/host%2Fapps%2Fgateway/authenticate', certificate: 'host/apps/gateway' })
    expect(fake.requests[0]?.body.byteLength).toBe(0)
  })

  it('a certificate from files, as paths', async () => {
    const { read } = await secure({ cyberark_client_cert: '/etc/conjur/client.pem', cyberark_client_key: '/etc/conjur/client.key', cyberark_ca_cert: 'ca.pem' }, { '/etc/conjur/client.pem': client.cert, '/etc/conjur/client.key': client.key, 'ca.pem': ca.cert })

    expect(await read()).toBe('value')
  })

  it('an API key over mutual TLS: both are shown', async () => {
    const { fake, read } = await secure({ ...pem, cyberark_api_key: 'not the key' })

    expect((await failureOf(read())).code).toBe('provider_denied')
    expect(fake.requests[0]).toMatchObject({ certificate: 'host/apps/gateway' })
  })

  it('the authenticator authn-cert, which knows the host by its certificate', async () => {
    const { fake, read } = await secure({ ...pem, cyberark_authenticator: 'authn-cert/spiffe', cyberark_username: 'admin' })

    expect(await read()).toBe('value')
    expect(fake.requests[0]?.path).toBe('/authn-cert/spiffe/acct/authenticate')
  })

  it('the authenticator authn-jwt, with a token and with a file that is read again for every login', async () => {
    const files = { '/run/token': 'b2xk.b2xk.b2xk\n' }
    const { fake, read } = await secure({ cyberark_authenticator: 'authn-jwt/k8s', cyberark_jwt: '/run/token' }, files)

    const early = await failureOf(read())
    files['/run/token'] = 'aGVhZA.Ym9keQ.c2ln\n'
    const value = await read()

    expect(early.code).toBe('provider_denied')
    expect(value).toBe('value')
    expect(fake.requests[0]).toMatchObject({ path: '/authn-jwt/k8s/acct/host%2Fapps%2Fgateway/authenticate', headers: { 'content-type': 'application/x-www-form-urlencoded' } })
  })

  it('a server whose authority is not trusted is not talked to, unless the word false says so', async () => {
    const refused = await secure({ cyberark_api_key: 'key', cyberark_ca_cert: authority('another').cert })
    const off = await secure({ cyberark_api_key: 'key', cyberark_ca_cert: authority('another').cert, cyberark_ssl_verify: 'false' })

    expect((await failureOf(refused.read())).code).toBe('provider_unavailable')
    expect((await failureOf(off.read())).code).toBe('provider_denied')
    expect(refused.fake.requests).toEqual([])
  })
})
