// References to identity tokens: LiteLLM's table of behaviour (O01 to O12), and what it leaves open.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { LatchkeyError } from '../../shared/core/errors.ts'
import { expiryOf, isJwt, oidcTokens } from '../../shared/credentials/oidc.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { nodeFiles } from '../../shared/telemetry/node-runtime.ts'
import { startFake, type RunningFake, type WireAnswer } from '../fakes/wire.ts'
import { callOf, testRuntime, type TestRuntime } from '../support/runtime.ts'

const now = Date.UTC(2026, 10, 21, 12)
const part = (content: object): string => Buffer.from(JSON.stringify(content)).toString('base64url')
const jwt = (endsIn: number | undefined, mark = 'one'): string => `${part({ alg: 'RS256' })}.${part({ mark, ...(endsIn !== undefined && { exp: now / 1000 + endsIn }) })}.c2lnbmF0dXJl`

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

const serving = async (answer: () => WireAnswer): Promise<RunningFake> => {
  const fake = await startFake({ handle: answer, changes: () => false, refuse: () => ({ status: 500 }) })
  ends.push(() => fake.close())
  return fake
}
const folderOf = async (files: Record<string, string>): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-oidc-'))
  ends.push(() => rm(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return folder
}
const asking = (runtime: TestRuntime, reference: string): Promise<string> => oidcTokens(reference, 'aws_web_identity_token', runtime).get(callOf(runtime.clock)).then((token) => token.reveal())
const failing = (runtime: TestRuntime, reference: string): Promise<LatchkeyError> => Promise.resolve().then(() => asking(runtime, reference)).then(() => expect.fail('it succeeded'), (error: LatchkeyError) => error)

describe('an identity token of the environment', () => {
  it.each([
    ['O01: a job of CircleCI', 'oidc/circleci/aud', { CIRCLE_OIDC_TOKEN: 'token' }],
    ['O01: a job of CircleCI, second version', 'oidc/circleci_v2/aud', { CIRCLE_OIDC_TOKEN_V2: 'token' }],
    ['without an audience', 'oidc/circleci', { CIRCLE_OIDC_TOKEN: 'token' }],
    ['O10: a variable that is named', 'oidc/env/X', { X: 'token' }],
    ['with space around it', 'oidc/env/X', { X: ' token\n' }],
  ])('%s: is taken from its variable', async (_title, reference, env) => {
    expect(await asking(testRuntime({ env: { ...env } }), reference)).toBe('token')
  })

  it.each([
    ['O02: a job of CircleCI without its token', 'oidc/circleci/aud', {}, /aws_web_identity_token.*CIRCLE_OIDC_TOKEN not found in environment/],
    ['O12: a variable that is not set, for which no default steps in', 'oidc/env/X', {}, /Environment variable X not found/],
    ['empty', 'oidc/env/X', { X: '' }, /Environment variable X not found/],
    ['too short', 'oidc/env/X', { X: 'abc' }, /the variable X holds no token/],
    ['of several lines', 'oidc/env/X', { X: 'abc\ndef' }, /the variable X holds no token/],
    ['O11: a provider that nobody knows', 'oidc/nope/a', {}, /Unsupported OIDC provider; there are google/],
    ['of an inherited name', 'oidc/constructor/a', {}, /Unsupported OIDC provider/],
    ['without anything', 'oidc/env', {}, /oidc\/env needs more/],
    ['with a strange variable', 'oidc/env/a b', {}, /name of an environment variable/],
    ['of Entra', 'oidc/azure/api', {}, /AZURE_FEDERATED_TOKEN_FILE not found/],
    ['github without its variables', 'oidc/github/aud', { ACTIONS_ID_TOKEN_REQUEST_URL: 'https://x' }, /ACTIONS_ID_TOKEN_REQUEST_TOKEN not found/],
    ['github with a strange address', 'oidc/github/aud', { ACTIONS_ID_TOKEN_REQUEST_URL: 'x', ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'y' }, /ACTIONS_ID_TOKEN_REQUEST_URL is no URL/],
  ])('%s: that is not there says so', async (_title, reference, env, message) => {
    const failure = await failing(testRuntime({ env: { ...env } as Record<string, string> }), reference)

    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringMatching(message) as string, details: { issues: [{ path: 'aws_web_identity_token' }] } })
  })
})

describe('an identity token in a file', () => {
  it('is read again at every call', async () => {
    const files: Record<string, string> = { '/run/secrets/token': 'first\n' }
    const runtime = testRuntime({ files, env: { X: '/run/secrets/token', AZURE_FEDERATED_TOKEN_FILE: '/run/secrets/token' } })
    const sources = ['oidc/file//run/secrets/token', 'oidc/env_path/X', 'oidc/azure/api'].map((reference) => oidcTokens(reference, 'x', runtime))
    const all = () => Promise.all(sources.map(async (source) => (await source.get(callOf(runtime.clock))).reveal()))

    const before = await all()
    files['/run/secrets/token'] = 'second'
    const after = await all()

    expect([before, after]).toEqual([['first', 'first', 'first'], ['second', 'second', 'second']])
  })

  it('O08: is read inside the allowed folders, also through a link that stays there', async () => {
    const folder = await folderOf({ 'in/data/token': 'token' })
    await symlink(join(folder, 'in/data'), join(folder, 'in/now'))
    await symlink(join(folder, 'in'), join(folder, 'alias'))
    const runtime = { ...testRuntime({ env: { LITELLM_OIDC_ALLOWED_CREDENTIAL_DIRS: `/nowhere, ${join(folder, 'alias')}` } }), files: nodeFiles }

    expect(await asking(runtime, `oidc/file/${join(folder, 'in/now/token')}`)).toBe('token')
  })

  it('is read from the place that was allowed, not from the link, which may lead elsewhere by then', async () => {
    const runtime = testRuntime({ files: { '/run/secrets/data/token': 'allowed', '/run/secrets/link': 'elsewhere' } })
    const files = { ...runtime.files, realPath: async (path: string) => (path === '/run/secrets/link' ? '/run/secrets/data/token' : path) }

    expect(await asking({ ...runtime, files }, 'oidc/file//run/secrets/link')).toBe('allowed')
  })

  it.each([
    ['O09: outside', 'out/token', /outside the allowed credential directories/],
    ['O09: beside, with the folder’s name as beginning', 'inside/token', /outside the allowed/],
    ['O09: behind dots', 'in/../out/token', /outside the allowed/],
    ['O09: behind a link that leads out', 'in/link', /outside the allowed/],
    ['absent', 'in/nothing', /does not exist/],
  ])('%s, is refused', async (_title, path, message) => {
    const folder = await folderOf({ 'in/token': 'token', 'out/token': 'token', 'inside/token': 'token' })
    await symlink(join(folder, 'out/token'), join(folder, 'in/link'))
    const runtime = { ...testRuntime({ env: { LITELLM_OIDC_ALLOWED_CREDENTIAL_DIRS: join(folder, 'in') } }), files: nodeFiles }

    const failure = await failing(runtime, `oidc/file/${folder}/${path}`)

    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringMatching(message) as string })
    expect(failure.message).not.toContain(folder)
  })

  it('O09: is refused with a relative path, and outside LiteLLM’s folders by default', async () => {
    const runtime = testRuntime({ files: { '/etc/token': 'token' } })

    expect((await failing(runtime, 'oidc/file/run/secrets/token')).message).toContain('must be absolute')
    expect((await failing(runtime, 'oidc/file//etc/token')).message).toContain('outside the allowed')
  })

  it('is refused when it is no token', async () => {
    const runtime = testRuntime({ files: { '/run/secrets/a': 'x'.repeat(70_000), '/run/secrets/b': '', '/run/secrets/c': 'a b c d' } })

    expect([(await failing(runtime, 'oidc/file//run/secrets/a')).message, (await failing(runtime, 'oidc/file//run/secrets/b')).message, (await failing(runtime, 'oidc/file//run/secrets/c')).message]).toEqual([
      expect.stringContaining('longer than 65536 bytes'),
      expect.stringContaining('holds no token'),
      expect.stringContaining('holds no token'),
    ])
  })
})

describe('an identity token of Google’s metadata server', () => {
  it('is asked for as LiteLLM asks', async () => {
    const fake = await serving(() => ({ status: 200, body: `${jwt(3600)}\n` }))

    const token = await asking(testRuntime({ env: { GCE_METADATA_HOST: new URL(fake.url).host } }), 'oidc/google/https://x.example/oidc/a?b')

    expect(token).toBe(jwt(3600))
    expect(fake.requests[0]).toMatchObject({ method: 'GET', path: '/computeMetadata/v1/instance/service-accounts/default/identity', headers: { 'metadata-flavor': 'Google' } })
    expect([...(fake.requests[0]?.query ?? [])]).toEqual([['audience', 'https://x.example/oidc/a?b']])
  })

  it.each([
    ['O03: five minutes', 300, 240],
    ['O04: over already', -10, 0],
    ['O05: two hours', 7200, 3540],
    ['without an end', undefined, 3540],
  ])('%s: is kept as long as its end allows', async (_title, endsIn, seconds) => {
    const fake = await serving(() => ({ status: 200, body: jwt(endsIn) }))
    const runtime = testRuntime({ now, env: { GCE_METADATA_HOST: new URL(fake.url).host } })
    const source = oidcTokens('oidc/google/aud', 'x', runtime)
    const callsAt = async (second: number): Promise<number> => {
      runtime.clock.set(now + second * 1000)
      await source.get(callOf(runtime.clock))
      return fake.requests.length
    }
    const calls = [await callsAt(0), await callsAt(Math.max(0, seconds - 1)), await callsAt(seconds)]

    expect(calls).toEqual(seconds === 0 ? [1, 2, 3] : [1, 1, 2])
  })

  it('is one request for all who wait', async () => {
    const fake = await serving(() => ({ status: 200, body: jwt(3600) }))
    const runtime = testRuntime({ now, env: { GCE_METADATA_HOST: new URL(fake.url).host } })
    const source = oidcTokens('oidc/google/aud', 'x', runtime)

    await Promise.all(Array.from({ length: 10 }, () => source.get(callOf(runtime.clock))))

    expect(fake.requests).toHaveLength(1)
  })

  it.each([
    ['O06: refused', { status: 400, body: 'no such audience' }, 'provider_denied'],
    ['absent', { status: 404 }, 'provider_denied'],
    ['failing', { status: 503 }, 'provider_unavailable'],
    ['a page', { status: 200, body: '<html>sign in</html>' }, 'provider_unavailable'],
    ['a redirect', { status: 302, headers: { location: 'http://127.0.0.1:9/' } }, 'provider_unavailable'],
  ] as const)('%s: that fails says which', async (_title, answer, code) => {
    const fake = await serving(() => answer)

    const failure = await failing(testRuntime({ hurries: true, env: { GCE_METADATA_HOST: new URL(fake.url).host } }), 'oidc/google/https://x')

    expect(failure).toMatchObject({ code, message: expect.stringMatching(/^Google OIDC provider failed/) as string, details: { issues: [{ path: 'aws_web_identity_token' }] } })
    expect(failure.message).not.toMatch(/no such audience|sign in|127\.0/)
  })
})

describe('an identity token of GitHub', () => {
  it('O07: is asked for with the job’s own token, and kept for 295 s while the job has it', async () => {
    const fake = await serving(() => ({ status: 200, body: { value: jwt(900), count: 1 } }))
    const env: Record<string, string> = { ACTIONS_ID_TOKEN_REQUEST_URL: `${fake.url}/token/1?api-version=2.0`, ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'job token' }
    const runtime = testRuntime({ now, env })
    const source = oidcTokens('oidc/github/aud', 'x', runtime)

    const token = await source.get(callOf(runtime.clock))
    runtime.clock.advance(294_000)
    await source.get(callOf(runtime.clock))
    const kept = fake.requests.length
    runtime.clock.advance(1_000)
    await source.get(callOf(runtime.clock))
    delete env['ACTIONS_ID_TOKEN_REQUEST_TOKEN']

    expect(token.reveal()).toBe(jwt(900))
    expect([kept, fake.requests.length]).toEqual([1, 2])
    expect(fake.requests[0]).toMatchObject({ path: '/token/1', headers: { authorization: 'Bearer job token', accept: 'application/json; api-version=2.0' } })
    expect([...(fake.requests[0]?.query ?? [])]).toEqual([['api-version', '2.0'], ['audience', 'aud']])
    await expect(source.get(callOf(runtime.clock))).rejects.toMatchObject({ code: 'misconfigured' })
  })

  it.each([[{ status: 401 }, 'provider_denied'], [{ status: 200, body: { count: 1 } }, 'provider_unavailable'], [{ status: 200, body: 'text' }, 'provider_unavailable']] as const)('that fails says so (%j)', async (answer, code) => {
    const fake = await serving(() => answer)

    const failure = await failing(testRuntime({ env: { ACTIONS_ID_TOKEN_REQUEST_URL: fake.url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'job token' } }), 'oidc/github/aud')

    expect(failure).toMatchObject({ code, message: expect.stringMatching(/^Github OIDC provider failed/) as string })
  })
})

describe('the look of a token', () => {
  it.each([
    [jwt(1), true],
    ['a.b.c', false],
    ['path.of.file', false],
    ['/var/run/secrets/token', false],
    ['', false],
  ])('tells a token from a path (%s)', (text, answer) => {
    expect(isJwt(text)).toBe(answer)
  })

  it('has an end, or none', () => {
    expect([expiryOf(SecretValue.of(jwt(60))), expiryOf(SecretValue.of(jwt(undefined))), expiryOf(SecretValue.of('text'))]).toEqual([now + 60_000, undefined, undefined])
  })
})
