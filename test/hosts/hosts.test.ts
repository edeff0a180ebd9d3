// One body over every host: the same requests get the same answers, whoever carries them. A new host, or a new form of its events, is one line in `hosts`.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hosts, masterKey, patienceSeconds, type Answered, type Asked, type Host } from './processes/opened-hosts.ts'

const authorization = `Bearer ${masterKey}`
const json = { authorization, 'content-type': 'application/json' }
const post = (path: string, body: object, headers: Readonly<Record<string, string>> = json): Asked => ({ method: 'POST', path, headers, body: JSON.stringify(body) })
const put = (path: string, body: object): Asked => ({ ...post(path, body), method: 'PUT' })
const get = (path: string, headers: Readonly<Record<string, string>> = { authorization }): Asked => ({ path, headers })

/** What a platform itself does with a request before Latchkey sees it: only what it answers then, and why. */
const platforms: Readonly<Record<string, Readonly<Record<string, { readonly status: number; readonly why: string }>>>> = {
  azure: { 'dot segments': { status: 404, why: 'the URL of its request object is resolved: /secrets/b is asked for' } },
  gcp: { 'a body that is no JSON': { status: 400, why: 'the framework parses JSON bodies before it calls the function, and answers by itself' } },
}

describe.each(hosts)('on %s', (hostName, open) => {
  let host: Host
  beforeAll(async () => {
    host = await open()
  }, 60_000)
  afterAll(() => host.close())

  const bodyOf = async (asked: Asked): Promise<Record<string, unknown>> => JSON.parse((await host.ask(asked)).body) as Record<string, unknown>
  const statusOf = async (asked: Asked): Promise<number> => (await host.ask(asked)).status

  it('read: a secret, by name, as text, and many at once', async () => {
    host.aws.seed('OPENAI_API_KEY', 'sk-of-the-vendor é\n')

    const [one, text, many] = [await host.ask(get('/secrets/OPENAI_API_KEY?refresh=true')), await host.ask(get('/secrets/OPENAI_API_KEY', { authorization, accept: 'text/plain' })), await host.ask(post('/secrets:read', { names: ['OPENAI_API_KEY', 'absent'] }))]

    expect([one.status, JSON.parse(one.body)]).toMatchObject([200, { value: 'sk-of-the-vendor é\n', source: 'aws_secret_manager' }])
    expect(one.headers).toMatchObject({ 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store', 'x-cache': 'MISS', 'x-content-type-options': 'nosniff' })
    expect([text.body, text.headers['content-type']]).toEqual(['sk-of-the-vendor é\n', 'text/plain; charset=utf-8'])
    expect(JSON.parse(many.body)).toMatchObject({ results: [{ value: 'sk-of-the-vendor é\n' }, { name: 'absent', error: { code: 'not_found' } }] })
  })

  it('read: a name with a slash is the same with %2F, and a query is decoded once', async () => {
    host.aws.seed('team/db', '{"pass word":"x","a+b":"y"}')

    const answers = [await bodyOf(get('/secrets/team%2Fdb?property=pass%20word')), await bodyOf(get('/secrets/team/db?property=pass+word')), await bodyOf(get('/secrets/team/db?property=a%2Bb'))]

    expect(answers.map(({ value }) => value)).toEqual(['x', 'x', 'y'])
  })

  it('create: a secret and a virtual key', async () => {
    const [written, made] = [await host.ask(put('/secrets/CREATED', { value: 'v' })), await host.ask(post('/key/generate', { key_alias: 'created', team_id: 'payments' }))]

    expect([written.status, made.status]).toEqual([201, 200])
    expect(JSON.parse(made.body)).toMatchObject({ key: expect.stringMatching(/^sk-/), key_alias: 'created', team_id: 'payments', stored: { store: 'default', name: 'litellm/created' } })
    expect([host.aws.secrets.has('CREATED'), host.aws.secrets.has('litellm/created')]).toEqual([true, true])
  })

  it('rotate: a virtual key gets a new token, and only the new one is valid', async () => {
    const made = await bodyOf(post('/key/generate', { key_alias: 'rotated' }))

    const rotated = await bodyOf(post('/key/regenerate', { key_alias: 'rotated' }))

    const verified = [await bodyOf(post('/key/verify', { key: made['key'] })), await bodyOf(post('/key/verify', { key: rotated['key'] }))]
    expect(rotated).toMatchObject({ key: expect.stringMatching(/^sk-/), key_id: made['key_id'] })
    expect(verified).toMatchObject([{ valid: false }, { valid: true, key_id: made['key_id'] }])
    expect((await host.ask(get('/key/info?key_alias=rotated'))).body).not.toContain(rotated['key'])
  })

  it('delete: a secret and a virtual key are gone', async () => {
    await host.ask(put('/secrets/DELETED', { value: 'v' }))
    const made = await bodyOf(post('/key/generate', { key_alias: 'deleted' }))

    const answers = [await statusOf({ method: 'DELETE', path: '/secrets/DELETED', headers: { authorization } }), await statusOf(post('/key/delete', { key_aliases: ['deleted'] }))]

    expect(answers).toEqual([200, 200])
    expect([await statusOf(get('/secrets/DELETED')), await bodyOf(post('/key/verify', { key: made['key'] }))]).toEqual([404, { valid: false }])
  })

  const cases: readonly (readonly [title: string, asked: Asked, status: number, code: string])[] = [
    ['refused: no credential', get('/secrets/a', {}), 401, 'unauthenticated'],
    ['refused: a wrong credential', get('/secrets/a', { authorization: 'Bearer sk-wrong' }), 401, 'unauthenticated'],
    ['refused: an identity that only the caller claims', get('/secrets/a', { 'x-ms-client-principal': 'eyJhdXRoX3R5cCI6ImFhZCJ9', 'x-amzn-iam-arn': 'arn:aws:iam::123456789012:root', 'x-goog-authenticated-user-email': 'a@b.c' }), 401, 'unauthenticated'],
    ['refused: a virtual key\'s value without the grant', get('/secrets/litellm/created'), 403, 'forbidden'],
    ['an absent secret', get('/secrets/absent'), 404, 'not_found'],
    ['a route that is not there', get('/nowhere'), 404, 'not_found'],
    ['a method that is not there', { method: 'PATCH', path: '/secrets/a', headers: { authorization } }, 405, 'method_not_allowed'],
    ['a body of another type', post('/secrets:read', {}, { authorization, 'content-type': 'text/xml' }), 415, 'unsupported_media_type'],
    ['a body that is no JSON', { ...post('/secrets:read', {}), body: '{"names":' }, 400, 'invalid_request'],
    ['dot segments', get('/secrets/a/%2e%2e/b'), 400, 'invalid_request'],
    ['too large: a URL over 2 KiB', get(`/secrets/${'a'.repeat(2_100)}`), 414, 'uri_too_long'],
    ['too large: headers over 8 KiB', get('/secrets/a', { authorization, 'x-long': 'a'.repeat(8_300) }), 431, 'headers_too_large'],
    ['too large: a body over 64 KiB', post('/secrets:read', { names: ['a'.repeat(65_536)] }), 413, 'too_large'],
    ['too large: a secret write over 512 KiB', put('/secrets/a', { value: 'a'.repeat(524_288) }), 413, 'too_large'],
  ]
  const isOurs = ([title]: (typeof cases)[number]): boolean => platforms[hostName]?.[title] === undefined

  const expectDocumented = ({ headers, body, ...answer }: Answered, status: number, code: string): void => {
    expect({ ...answer, headers }).toMatchObject({ status, headers: { 'content-type': 'application/problem+json; charset=utf-8', 'cache-control': 'no-store', 'x-request-id': expect.any(String) } })
    expect(JSON.parse(body)).toMatchObject({ code, status })
  }

  it.each(cases.filter(isOurs))('%s is a documented answer', async (_title, asked, status, code) => {
    expectDocumented(await host.ask(asked), status, code)
  })

  it(`answers otherwise only where the platform answers first: ${Object.entries(platforms[hostName] ?? {}).map(([title, { why }]) => `${title} (${why})`).join(', ') || 'nowhere'}`, async () => {
    const others = cases.filter((row) => !isOurs(row))

    const statuses = await Promise.all(others.map(async ([title, asked]) => [title, await statusOf(asked)]))

    expect(Object.fromEntries(statuses)).toEqual(Object.fromEntries(Object.entries(platforms[hostName] ?? {}).map(([title, { status }]) => [title, status])))
  })

  it('deadline: gives up before the platform does, and says so', async () => {
    host.aws.seed('SLOW', 'v')
    host.aws.fault({ kind: 'slow', operations: ['GetSecretValue'] })
    const started = performance.now()

    const answer = await host.ask({ ...get('/secrets/SLOW'), remainingMs: 3_000 })

    host.aws.heal()
    expectDocumented(answer, 504, 'deadline_exceeded')
    expect(performance.now() - started).toBeLessThan(patienceSeconds * 1_000 + 2_000)
  })

  it('HEAD has no body, and OPTIONS says what there is', async () => {
    host.aws.seed('HEADED', 'v')

    const [head, options] = [await host.ask({ method: 'HEAD', path: '/health', headers: {} }), await host.ask({ method: 'OPTIONS', path: '/health', headers: {} })]

    expect([head.status, head.body, options.status, options.headers['allow']]).toEqual([200, '', 204, 'GET, HEAD, OPTIONS'])
  })

  it('health needs no credential and says the version', async () => {
    const answer = await host.ask(get('/health', {}))

    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([200, { version: expect.stringMatching(/^\d+\.\d+\.\d+$/) }])
  })

  it('prints one audit line a decision and none of the values', () => {
    const output = host.output()

    expect(output).toContain('"decision":"allowed"')
    expect(output).toContain('"decision":"denied"')
    expect(output).not.toMatch(/sk-of-the-vendor|sk-one-master-key|sk-wrong/)
  })
})
