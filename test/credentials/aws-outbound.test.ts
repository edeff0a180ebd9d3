// `oidc/aws/<audience>`: AWS's word on a function for another cloud, against the fake STS that AWS's own client examines. What it asks is what the policy of a function allows, and no more.
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LatchkeyError } from '../../shared/core/errors.ts'
import { expiryOf, oidcTokens } from '../../shared/credentials/oidc.ts'
import type { SecretValue } from '../../shared/core/secret.ts'
import { fakeKeys } from '../fakes/aws-signature.ts'
import { startStsFake, type StsFake } from '../fakes/sts.ts'
import { startFake, type WireAnswer } from '../fakes/wire.ts'
import { callOf, testRuntime, type TestRuntime } from '../support/runtime.ts'

const now = Date.UTC(2026, 10, 22, 12)
const audience = 'api://AzureADTokenExchange'
const session = { ...fakeKeys, sessionToken: 'a/session/token', arn: 'arn:aws:sts::123456789012:assumed-role/latchkey-read/latchkey-read' }
let sts: StsFake
let time: number

beforeEach(async () => {
  time = now
  sts = await startStsFake({ now: () => time, region: 'eu-central-1', callers: [session], roles: [] })
  sts.outbound.on = true
})
afterEach(() => sts.close())

const ofLambda = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({ AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: session.accessKeyId, AWS_SECRET_ACCESS_KEY: session.secretAccessKey, AWS_SESSION_TOKEN: session.sessionToken, AWS_ENDPOINT_URL_STS: sts.url, ...more })
const runtimeOf = (more: Readonly<Record<string, string>> = {}): TestRuntime => testRuntime({ now, hurries: true, env: ofLambda(more) })
const asking = (runtime: TestRuntime, reference = `oidc/aws/${audience}`): Promise<SecretValue> => oidcTokens(reference, 'azure_client_assertion', runtime).get(callOf(runtime.clock))
const failing = (runtime: TestRuntime): Promise<LatchkeyError> => asking(runtime).then(() => expect.fail('it succeeded'), (error: LatchkeyError) => error)

describe('a token of AWS for another cloud', () => {
  it('is asked for with the keys of the environment, for one audience, five minutes and RS256', async () => {
    const token = await asking(runtimeOf())

    expect(sts.forms).toEqual([{ action: 'GetWebIdentityToken', fields: { 'Audience.member.1': audience, DurationSeconds: '300', SigningAlgorithm: 'RS256' }, signedBy: session.accessKeyId }])
    expect(expiryOf(token)).toBe(now + 300_000)
    expect(JSON.parse(Buffer.from(token.reveal().split('.')[1] ?? '', 'base64url').toString('utf8'))).toMatchObject({ aud: audience, sub: session.arn })
  })

  it('takes an audience with slashes, spaces and signs as it stands', async () => {
    await asking(runtimeOf(), 'oidc/aws/https://x.example/a b?c=d&e')

    expect(sts.forms[0]?.fields['Audience.member.1']).toBe('https://x.example/a b?c=d&e')
  })

  it('is kept until a minute before its end, and asked for once by all who wait', async () => {
    const runtime = runtimeOf()
    const source = oidcTokens(`oidc/aws/${audience}`, 'x', runtime)
    const callsAt = async (second: number): Promise<number> => {
      time = now + second * 1000
      runtime.clock.set(time)
      await Promise.all(Array.from({ length: 5 }, () => source.get(callOf(runtime.clock))))
      return sts.forms.length
    }

    expect([await callsAt(0), await callsAt(239), await callsAt(240)]).toEqual([1, 1, 2])
  })

  it('is not asked for at open', () => {
    oidcTokens(`oidc/aws/${audience}`, 'x', runtimeOf())

    expect(sts.requests).toEqual([])
  })

  it('is asked for again where AWS throttles or fails for a moment', async () => {
    sts.fault({ kind: 'throttled', times: 1 })

    await asking(runtimeOf())

    expect(sts.requests).toHaveLength(2)
  })

  it.each([['AWS_STS_ENDPOINT', { AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:1' }], ['AWS_ENDPOINT_URL', { AWS_ENDPOINT_URL_STS: '' }]])('is asked for where %s says', async (name, more) => {
    await asking(runtimeOf({ ...more, [name]: sts.url }))

    expect(sts.forms).toHaveLength(1)
  })

  it.each([['eu-central-1', 'https://sts.eu-central-1.amazonaws.com'], ['cn-north-1', 'https://sts.cn-north-1.amazonaws.com.cn']])('is asked for at the endpoint of %s by default, never at the global one', async (region, url) => {
    const runtime = runtimeOf({ AWS_REGION: region, AWS_ENDPOINT_URL_STS: '' })
    const dialled: string[] = []
    const http = { connect: (peer: { readonly url: string }) => (dialled.push(peer.url), runtime.http.connect({ ...peer, url: sts.url, title: 'AWS STS', setting: 'x' })) }

    await asking({ ...runtime, http }).catch(() => undefined)

    expect(dialled).toEqual([url])
  })
})

describe('a token of AWS that cannot be had', () => {
  const isNamed = { details: { issues: [{ path: 'azure_client_assertion' }] } }

  it('names the switch of the account, where that is off', async () => {
    sts.outbound.on = false

    expect(await failing(runtimeOf())).toMatchObject({ ...isNamed, code: 'misconfigured', message: 'AWS OIDC provider failed: this account gives no tokens for other clouds yet: aws iam enable-outbound-web-identity-federation, once.' })
  })

  it("names right, audience and setting, where the function's role lacks the right", async () => {
    sts.outbound.audiences = ['https://elsewhere.example']

    const failure = await failing(runtimeOf())

    expect(failure).toMatchObject({ ...isNamed, code: 'provider_denied', details: { vendor: { name: 'AccessDenied', status: 403 } } })
    expect(failure.message).toBe(`AWS OIDC provider failed: AWS refused sts:GetWebIdentityToken. The role needs it for the audience ${audience}, 300 seconds and RS256; the stack gives it for latchkey.deployment.federation.outbound_audiences.`)
  })

  it.each([
    ['no keys', { AWS_ACCESS_KEY_ID: '' }, 'misconfigured', /no AWS credentials in the environment/],
    ['no region', { AWS_REGION: '' }, 'misconfigured', /AWS_REGION is not set/],
    ['keys that AWS does not know', { AWS_ACCESS_KEY_ID: 'AKIANOBODY0000000000' }, 'provider_denied', /does not accept the keys of the environment/],
    ['a wrong secret key', { AWS_SECRET_ACCESS_KEY: 'wrong' }, 'provider_denied', /does not accept the keys of the environment/],
    ['an endpoint in the open', { AWS_ENDPOINT_URL_STS: 'http://sts.example' }, 'misconfigured', /AWS_ENDPOINT_URL_STS is plain http/],
    ['nobody there', { AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:1' }, 'provider_unavailable', /could not be reached/],
  ] as const)('tells of %s', async (_what, more, code, message) => {
    expect(await failing(runtimeOf(more))).toMatchObject({ ...isNamed, code, message: expect.stringMatching(message) as string })
  })

  it.each([
    ['throttled', 'provider_throttled'],
    ['unavailable_before', 'provider_unavailable'],
    ['expired_credential', 'provider_denied'],
  ] as const)('tells of %s', async (kind, code) => {
    sts.fault({ kind, echo: 'the text of AWS' })

    const failure = await failing(runtimeOf())

    expect(failure).toMatchObject({ ...isNamed, code, message: expect.stringMatching(/^AWS OIDC provider failed/) as string })
    expect(inspect(failure, { depth: 9 })).not.toMatch(/the text of AWS|a\/session\/token/)
  })

  it.each([
    ['a page', { status: 200, body: '<html>sign in here</html>' }],
    ['half a token', { status: 200, body: '<GetWebIdentityTokenResult><WebIdentityToken>sign in' }],
    ['something that is no token', { status: 200, body: '<WebIdentityToken>sign.in.here</WebIdentityToken>' }],
    ['a redirect', { status: 302, headers: { location: 'http://127.0.0.1:9/' } }],
    ['a name of ours', { status: 400, body: '<Code>constructor</Code> sign in' }],
  ] as const)('is not %s', async (_what, answer: WireAnswer) => {
    const other = await startFake({ handle: () => answer, changes: () => false, refuse: () => ({ status: 500 }) })

    const failure = await failing(runtimeOf({ AWS_ENDPOINT_URL_STS: other.url }))
    await other.close()

    expect(failure.code).toBe('provider_unavailable')
    expect(failure.message).not.toMatch(/sign.in/)
  })

  it.each([['oidc/aws', /needs more behind a slash/], ['oidc/aws/', /needs more behind a slash/]])('%s is no reference', (reference, message) => {
    expect(() => oidcTokens(reference, 'x', runtimeOf())).toThrow(message)
  })
})
