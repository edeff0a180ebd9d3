// The rows of LiteLLM's behaviour for CyberArk, one by one.
import { describe, expect, it } from 'vitest'
import { KeyLifecycle } from '../../../shared/core/key-lifecycle.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { encodePart } from '../../../shared/core/http-client.ts'
import { readSettings } from '../../../shared/core/settings.ts'
import { readConjurToken } from '../../../shared/credentials/conjur/login.ts'
import { cyberark } from '../../../shared/providers/cyberark.ts'
import { envOf, testRuntime } from '../../support/runtime.ts'
import { failureOf, openedConjur, writeOf } from './opened-conjur.ts'

describe('reading, as LiteLLM reads', () => {
  it.each([
    ['OPENAI_API_KEY', 'OPENAI_API_KEY'],
    ['team/app/key', 'team%2Fapp%2Fkey'],
    ['a b+c.d-e_f~g', 'a%20b%2Bc.d-e_f~g'],
    ['needs "quote"', 'needs%20%22quote%22'],
    ["it's (all) *here*!", 'it%27s%20%28all%29%20%2Ahere%2A%21'],
  ])('C01: asks for %s at the path of the fixture, with the token in base64', async (name, encoded) => {
    const { fake, provider, call, sent } = await openedConjur()
    fake.service.seed(name, 'value')

    const { value } = await provider.read(hostedName(name), {}, call)

    const header = fake.requests.at(-1)?.headers['authorization'] ?? ''
    expect(value.reveal()).toBe('value')
    expect(sent()).toEqual([`GET /secrets/acct/variable/${encoded}`])
    expect(JSON.parse(Buffer.from(/^Token token="([A-Za-z0-9+/=]+)"$/.exec(header)?.[1] ?? '', 'base64').toString())).toHaveProperty('payload')
  })

  it('C01: packs the token of the fixture into the text of the fixture', () => {
    const { value } = readConjurToken(Buffer.from('{"protected":"p","payload":"q","signature":"s"}'), 300)

    expect(value.reveal()).toBe('eyJwcm90ZWN0ZWQiOiJwIiwicGF5bG9hZCI6InEiLCJzaWduYXR1cmUiOiJzIn0=')
  })

  it('C06: answers absence for 404, and says what else 404 may be', async () => {
    const { provider, call } = await openedConjur()

    const error = await failureOf(provider.read(hostedName('NOWHERE'), {}, call))

    expect(error.code).toBe('not_found')
    expect(error.details.hint).toContain('may not see')
  })

  it('C10: answers a value with quotes with its quotes, every time', async () => {
    const { fake, provider, call } = await openedConjur()
    fake.service.seed('QUOTED', '"q"')

    const values = [await provider.read(hostedName('QUOTED'), {}, call), await provider.read(hostedName('QUOTED'), {}, call)].map(({ value }) => value.reveal())

    expect(values).toEqual(['"q"', '"q"'])
  })
})

describe('writing, as LiteLLM writes', () => {
  it('C02: loads a policy in YAML, then sends the value as it is', async () => {
    const { fake, provider, call } = await openedConjur()

    await provider.write(writeOf(hostedName('needs "quote"'), 'the value\n'), call)

    const changes = fake.requests.filter(({ method, path }) => method === 'POST' && !path.startsWith('/authn') && !path.includes('__latchkey'))
    expect(changes.map(({ path, headers, body }) => [path, headers['content-type'], body.toString().split('\n')[0]])).toEqual([
      ['/policies/acct/policy/root', 'application/x-yaml', '- !variable "needs \\"quote\\""'],
      ['/secrets/acct/variable/needs%20%22quote%22', 'application/octet-stream', 'the value'],
    ])
    expect(fake.service.values('needs "quote"')).toEqual(['the value\n'])
  })

  it('C03: sends a policy again that met another one, when the server says, and succeeds', async () => {
    const { fake, runtime, provider, call, sent } = await openedConjur()
    fake.service.conflicts = 2
    fake.service.conflictRetryAfter = 8
    const began = runtime.clock.now()

    await provider.write(writeOf(createdName('litellm/a'), 'value'), call)

    expect(sent().filter((line) => line.includes('/policies/'))).toHaveLength(3)
    expect(runtime.clock.now() - began).toBe(16_000)
    expect(fake.service.values('litellm/a')).toEqual(['value'])
  })

  it('C03: gives up after five, as a service that is busy, and nothing is written', async () => {
    const { fake, provider, call, sent } = await openedConjur()
    fake.service.conflicts = 99

    const error = await failureOf(provider.write(writeOf(createdName('litellm/a'), 'value'), call))

    expect(error).toMatchObject({ code: 'provider_throttled', details: { retryAfter: 2 } })
    expect(sent().filter((line) => line.includes('/policies/'))).toHaveLength(5)
    expect(fake.service.values('litellm/a')).toEqual([])
  })

  it.each([
    [422, 'invalid_request'],
    [500, 'provider_unavailable'],
    [403, 'provider_denied'],
  ] as const)('C04: tries the value after a policy that is answered %i, and reports the policy when the variable is not there', async (status, code) => {
    const { fake, provider, call, sent } = await openedConjur()
    fake.fault({ kind: 'says', only: ({ path }) => path.startsWith('/policies/'), answer: { status } })

    const error = await failureOf(provider.write(writeOf(createdName('litellm/a'), 'value'), call))

    expect(error.code).toBe(code)
    expect(sent().filter((line) => line.includes('/policies/'))).toHaveLength(1)
    expect(sent().at(-1)).toBe('POST /secrets/acct/variable/litellm%2F__latchkey%2Fchain%2Fa')
  })

  it('C04: writes where the policy is refused and somebody has made the variables before', async () => {
    const { fake, provider, call } = await openedConjur()
    const { state } = fake.service
    for (const id of ['litellm/a', 'litellm/__latchkey/chain/a']) state.add('variable', id, state.full('user', 'admin'))
    fake.fault({ kind: 'says', only: ({ path }) => path.startsWith('/policies/'), answer: { status: 403 } })

    const { outcome } = await provider.write(writeOf(createdName('litellm/a'), 'value'), call)

    expect(outcome).toBe('written')
    expect(fake.service.values('litellm/a')).toEqual(['value'])
  })

  it('C05: keeps every one of four parallel writes, of one secret and of four', async () => {
    const { fake, provider, open, call } = await openedConjur()
    const other = await open()
    const same = createdName('litellm/same')

    const alone = await Promise.all([1, 2, 3, 4].map((each) => (each % 2 === 0 ? provider : other).write(writeOf(createdName(`litellm/n${each}`), `value ${each}`), call)))
    const together = await Promise.all([1, 2, 3, 4].map((each) => (each % 2 === 0 ? provider : other).write(writeOf(same, `value ${each}`), call)))

    const { value } = await provider.read(same, {}, call)
    const { versions } = await provider.describe(same, call)
    expect([...alone, ...together].map(({ outcome }) => outcome)).toEqual(Array(8).fill('written'))
    expect([1, 2, 3, 4].map((each) => fake.service.values(`litellm/n${each}`))).toEqual([1, 2, 3, 4].map((each) => [`value ${each}`]))
    expect(versions).toHaveLength(4)
    expect(fake.service.values('litellm/same').at(-1)).toBe(value.reveal())
  })

  it('C07: has no delete unless a setting says that the rights are there, and then deletes', async () => {
    const { fake, provider, open, call } = await openedConjur()
    const name = createdName('litellm/a')
    await provider.write(writeOf(name, 'value'), call)
    const allowed = await open({ cyberark_delete: true })

    await allowed.remove?.(name, { expect: 'any', final: false }, call)

    const gone = await failureOf(provider.read(name, {}, call))
    expect(provider.remove).toBeUndefined()
    expect(gone.code).toBe('not_found')
    expect(fake.service.state.resources.has('acct:variable:litellm/a')).toBe(false)
    expect(fake.service.state.resources.has('acct:variable:litellm/__latchkey/chain/a')).toBe(false)
  })
})

describe('rotating under a new alias', () => {
  it('C08: leaves the old variable with a text that cannot be a token', async () => {
    const { fake, provider, runtime, call } = await openedConjur()
    const store = { name: 'default', provider, policy: { prefix: 'litellm', storeVirtualKeys: true, accessMode: 'read_and_write' as const }, invalidate: () => undefined }
    const keys = new KeyLifecycle(store, runtime)
    const context = { call, caller: 'tester', route: '/key/regenerate', body: '{}' }
    const made = await keys.create({ alias: 'a' }, context)

    await keys.update({ alias: 'a' }, { alias: 'b' }, context)
    const rotated = await keys.rotate({ alias: 'b' }, {}, context)

    expect(rotated.keyId).toBe(made.keyId)
    expect(fake.service.values('litellm/a').at(-1)).toMatch(/^revoked /)
    expect(fake.service.values('litellm/b').at(-1)).toBe(rotated.key?.reveal())
  })
})

describe('starting, as LiteLLM starts', () => {
  it('C09: misses a credential in LiteLLM\'s words, naming both ways', async () => {
    const { settings } = readSettings(cyberark.settings, {}, { path: 'cyberark', env: envOf({}) })

    const error = await failureOf(cyberark.open(settings, testRuntime(), { kind: 'operator' }))

    expect(error.code).toBe('misconfigured')
    expect(error.message).toMatch(/^Missing CyberArk credentials\..*CYBERARK_API_KEY.*CYBERARK_CLIENT_CERT/)
  })

  it('has every variable of LiteLLM with its default', () => {
    const { settings, issues } = readSettings(cyberark.settings, {}, { path: 'cyberark', env: envOf({ CYBERARK_API_KEY: 'k', CYBERARK_ACCOUNT: '' }) })

    expect(issues).toEqual([])
    expect(settings).toMatchObject({ cyberark_api_base: 'http://127.0.0.1:8080', cyberark_account: 'default', cyberark_username: 'admin', cyberark_refresh_interval: 300, cyberark_ssl_verify: 'true' })
    expect(Object.entries(cyberark.settings).flatMap(([, { env }]) => env ?? []).toSorted()).toEqual(
      ['CYBERARK_API_BASE', 'CYBERARK_ACCOUNT', 'CYBERARK_USERNAME', 'CYBERARK_API_KEY', 'CYBERARK_CLIENT_CERT', 'CYBERARK_CLIENT_KEY', 'CYBERARK_REFRESH_INTERVAL', 'CYBERARK_SSL_VERIFY'].toSorted(),
    )
  })

  it('escapes what JavaScript leaves alone', () => {
    expect(encodePart("!'()*~-_.")).toBe('%21%27%28%29%2A~-_.')
  })
})
