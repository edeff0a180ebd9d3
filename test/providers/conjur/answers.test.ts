// What Conjur, or whoever answers in its place, may say: absence, refusal and nonsense are kept apart, and nothing of it comes out again.
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretValue } from '../../../shared/core/secret.ts'
import { assertNothingSecret } from '../../conformance/exam.ts'
import type { WireAnswer } from '../../fakes/wire.ts'
import { canary } from '../../support/canary.ts'
import { failureOf, openedConjur, writeOf } from './opened-conjur.ts'

const name = hostedName('SECRET')
const secrets = { only: ({ path }: { path: string }) => path.startsWith('/secrets') }
const codesOf = (items: readonly unknown[]): unknown[] => items.map((item) => (item instanceof LatchkeyError ? item.code : (item as { value: SecretValue }).value.reveal()))

describe('an answer to one read', () => {
  it.each<[string, WireAnswer, string]>([
    ['401', { status: 401 }, 'provider_denied'],
    ['403', { status: 403 }, 'provider_denied'],
    ['404', { status: 404, body: { error: { code: 'not_found' } } }, 'not_found'],
    ['404 without a body', { status: 404 }, 'not_found'],
    ['405', { status: 405 }, 'misconfigured'],
    ['406', { status: 406 }, 'provider_unavailable'],
    ['422', { status: 422 }, 'invalid_request'],
    ['429', { status: 429, headers: { 'retry-after': '9' } }, 'provider_throttled'],
    ['500', { status: 500 }, 'provider_unavailable'],
    ['503', { status: 503 }, 'provider_unavailable'],
    ['a redirect', { status: 302, headers: { location: '/login' } }, 'provider_unavailable'],
    ['204', { status: 204 }, 'provider_unavailable'],
    ['a page', { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' }, 'provider_unavailable'],
    ['JSON that is none', { status: 200, headers: { 'content-type': 'application/json' }, body: '{"half"' }, 'provider_unavailable'],
    ['something compressed', { status: 200, headers: { 'content-encoding': 'gzip' }, body: 'x' }, 'provider_unavailable'],
  ])('that is %s is %3$s', async (_title, answer, code) => {
    const { fake, provider, call } = await openedConjur()
    fake.service.seed('SECRET', 'value')
    fake.fault({ kind: 'says', ...secrets, answer })

    expect((await failureOf(provider.read(name, {}, call))).code).toBe(code)
  })

  it('is a value as it is, also JSON that calls itself so', async () => {
    const { fake, provider, call } = await openedConjur()
    fake.service.seed('SECRET', '{"a": 1}\n')
    Object.assign(fake.service.state.resources.get('acct:variable:SECRET')?.annotations ?? {}, { 'conjur/mime_type': 'application/json' })

    expect((await provider.read(name, {}, call)).value.reveal()).toBe('{"a": 1}\n')
  })
})

describe('an answer to many reads', () => {
  it.each<[string, WireAnswer]>([
    ['an empty object', { status: 200, headers: { 'content-encoding': 'base64' }, body: {} }],
    ['values that are not packed though asked', { status: 200, body: { 'acct:variable:SECRET': 'dmFsdWU=', 'acct:variable:OTHER': 'dmFsdWU=' } }],
    ['values that are no base64', { status: 200, headers: { 'content-encoding': 'base64' }, body: { 'acct:variable:SECRET': '***', 'acct:variable:OTHER': 'dmFsdWU=' } }],
    ['values of another type', { status: 200, headers: { 'content-encoding': 'base64' }, body: { 'acct:variable:SECRET': 1, 'acct:variable:OTHER': null } }],
    ['a list', { status: 200, headers: { 'content-encoding': 'base64' }, body: [] }],
    ['another account\'s values', { status: 200, headers: { 'content-encoding': 'base64' }, body: { 'x:variable:SECRET': 'dmFsdWU=' } }],
  ])('that is %s is nonsense for every one of them', async (_title, answer) => {
    const { fake, provider, call } = await openedConjur()
    fake.fault({ kind: 'says', ...secrets, answer })

    expect(codesOf(await provider.readMany([name, hostedName('OTHER')], call))).toEqual(['provider_unavailable', 'provider_unavailable'])
  })

  it('finds what is there beside what is missing, forbidden, invisible, twice asked or has a comma, by halving', async () => {
    const { fake, provider, open, call } = await openedConjur()
    const { state } = fake.service
    const host = state.full('host', 'reader')
    state.apiKeys.set(host, state.newKey())
    const ids = Array.from({ length: 60 }, (_, index) => `KEY_${index}`)
    for (const id of [...ids, 'with,comma']) fake.service.seed(id, `value of ${id}`)
    fake.service.seed('BYTES', Uint8Array.of(0, 255))
    for (const id of [...ids.filter((_, index) => index !== 30), 'with,comma', 'BYTES']) for (const privilege of ['read', 'execute']) state.permit(state.add('variable', id, ''), host, privilege)
    state.permit(state.add('variable', 'KEY_30', ''), host, 'read')
    fake.service.seed('HIDDEN', 'x')
    const reader = await open({ cyberark_username: 'host/reader', cyberark_api_key: fake.service.keyOf('host/reader') })
    const before = fake.requests.length

    const asked = [...ids, 'MISSING', 'HIDDEN', 'with,comma', 'KEY_0']
    const found = codesOf(await reader.readMany(asked.map((id) => hostedName(id)), call))
    const calls = fake.requests.length - before
    const [bytes] = await provider.readMany([hostedName('BYTES'), hostedName('KEY_1')], call)

    // Whether a variable that may not be seen is there, only a batch gives away; alone it is answered as missing.
    expect(found).toEqual([...ids.map((id) => (id === 'KEY_30' ? 'provider_denied' : `value of ${id}`)), 'not_found', 'not_found', 'value of with,comma', 'value of KEY_0'])
    expect(calls).toBeLessThan(30)
    expect((bytes as { value: SecretValue }).value.bytes()).toEqual(Buffer.of(0, 255))
  })

  it('asks for a name once that is wanted twice, because the server would count one too few', async () => {
    const { fake, provider, call, sent } = await openedConjur()
    for (const id of ['ONE', 'TWO']) fake.service.seed(id, id)

    const found = codesOf(await provider.readMany([hostedName('ONE'), hostedName('TWO'), hostedName('ONE')], call))

    expect(found).toEqual(['ONE', 'TWO', 'ONE'])
    expect(sent()).toHaveLength(1)
  })

  it('asks for a hundred hosted names in two calls, each with a query that a server takes', async () => {
    const { fake, provider, call, sent } = await openedConjur()
    const ids = Array.from({ length: 100 }, (_, index) => `HOSTED_KEY_${index}`)
    for (const id of ids) fake.service.seed(id, id)

    const found = codesOf(await provider.readMany(ids.map((id) => hostedName(id)), call))

    expect(found).toEqual(ids)
    expect(sent()).toHaveLength(2)
    expect(Math.max(...sent().map((line) => line.length))).toBeLessThan(8_000)
  })

  it('cuts long names into more calls', async () => {
    const { fake, provider, call, sent } = await openedConjur()
    const ids = Array.from({ length: 40 }, (_, index) => `${'/'.padStart(2, 'x').repeat(120)}${index}`)
    for (const id of ids) fake.service.seed(id, id)

    const found = codesOf(await provider.readMany(ids.map((id) => hostedName(id)), call))

    expect(found).toEqual(ids)
    expect(Math.max(...sent().map((line) => line.length))).toBeLessThan(8_000)
  })

  it('reads a virtual key in one call, with its version', async () => {
    const { provider, call, sent } = await openedConjur()
    const key = createdName('litellm/alias')
    const { version } = await provider.write(writeOf(key, 'token'), call)
    const before = sent().length

    const record = await provider.read(key, {}, call)

    expect(sent().slice(before)).toHaveLength(1)
    expect(record.version?.id).toBe(version?.id)
  })
})

describe('a list', () => {
  it('goes over as many pages of the server as there are, and finds a prefix that its search would not', async () => {
    const { fake, provider, call, sent } = await openedConjur()
    for (let index = 0; index < 1_005; index += 1) fake.service.seed(`the/key-${String(index).padStart(4, '0')}`, 'x')

    const { items, cursor } = await provider.list({ prefix: 'the/key-1', limit: 3 }, call)
    const next = await provider.list({ prefix: 'the/key-1', limit: 3, ...(cursor !== undefined && { cursor }) }, call)

    expect([...items, ...next.items].map((item) => item.name.text)).toEqual(['the/key-1000', 'the/key-1001', 'the/key-1002', 'the/key-1003', 'the/key-1004'])
    expect(next.cursor).toBeUndefined()
    expect(sent().filter((line) => line.includes('/resources/'))).toHaveLength(4)
  })

  it.each<[string, WireAnswer]>([
    ['an object', { status: 200, body: {} }],
    ['resources of another kind', { status: 200, body: [{ id: 'acct:host:x', secrets: [] }] }],
    ['resources of another account', { status: 200, body: [{ id: 'other:variable:x', secrets: [] }] }],
    ['null', { status: 200, body: [null] }],
  ])('that is %s is nonsense', async (_title, answer) => {
    const { fake, provider, call } = await openedConjur()
    fake.fault({ kind: 'says', only: ({ path }) => path.startsWith('/resources'), answer })

    expect((await failureOf(provider.list({ prefix: '', limit: 10 }, call))).code).toBe('provider_unavailable')
  })
})

describe('a check', () => {
  it.each<[string, WireAnswer]>([
    ['another account\'s', { status: 200, body: { account: 'other', username: 'admin' } }],
    ['a page', { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' }],
  ])('is not fooled by %s answer', async (_title, answer) => {
    const { fake, provider, call } = await openedConjur()
    fake.fault({ kind: 'says', only: ({ path }) => path === '/whoami', answer })

    expect(await provider.check('reach', call)).toMatchObject([{ ok: false, subject: 'login', setting: 'cyberark_api_key' }])
  })

  it('asks the server and changes nothing', async () => {
    const { fake, provider, open, call } = await openedConjur()
    fake.service.seed('SECRET', 'value')
    const deleting = await open({ cyberark_delete: true })

    const findings = [...(await provider.check('write', call)), ...(await deleting.check('write', call))]

    expect(findings.filter(({ ok }) => !ok)).toEqual([])
    expect(findings.map(({ subject }) => subject)).toContain('update on the policy root')
    expect(fake.requests.filter((request) => fake.service.changes(request))).toEqual([])
  })
})

describe('no secret', () => {
  it.each([401, 403, 404, 405, 406, 409, 418, 422, 429, 500, 503])('comes out of a failure that is answered %i with everything repeated', async (status) => {
    const { fake, provider, call } = await openedConjur()
    const [value, held, label] = [canary('value'), canary('held'), canary('label')]
    const key = createdName('litellm/alias')
    await provider.write(writeOf(key, held), call)
    fake.fault({ kind: 'says', only: ({ path }) => !path.endsWith('/authenticate'), answer: { status, body: `you sent ${value} ${held} ${label} ${fake.service.keyOf('admin')}` } })

    const failures = [await failureOf(provider.write(writeOf(key, value, { description: label }), call)), await failureOf(provider.read(key, {}, call)), await failureOf(provider.describe(key, call)), await failureOf(provider.list({ prefix: '', limit: 1 }, call))]
    const findings = await provider.check('write', call)

    for (const each of [...failures, ...findings]) {
      assertNothingSecret(each)
      expect(JSON.stringify(each)).not.toContain(fake.service.keyOf('admin'))
    }
  })
})
