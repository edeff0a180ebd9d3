// What the exam does not ask of every provider: fields, marks and foreign hands in the value map, versions that Vault deleted, answers that only Vault gives, checks.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hostedName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { SecretValue, type SecretName } from '../../../shared/core/secret.ts'
import { openVault } from '../../conformance/harnesses/hashicorp-vault.ts'
import { assertNothingSecret } from '../../conformance/exam.ts'
import { startVaultFake, type VaultFake } from '../../fakes/vault/vault.ts'
import { canary } from '../../support/canary.ts'
import { callOf, testRuntime, type TestRuntime } from '../../support/runtime.ts'

let runtime: TestRuntime
let fake: VaultFake
let provider: SecretProvider
const opened: SecretProvider[] = []

const open = async (given: Record<string, unknown> = {}): Promise<SecretProvider> => {
  const one = await openVault(runtime, { vault_addr: fake.url, vault_token: fake.rootToken, ...given })
  opened.push(one)
  return one
}

beforeEach(async () => {
  runtime = testRuntime({ hurries: true })
  fake = await startVaultFake({ now: () => runtime.clock.now() })
  provider = await open()
})

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close?.()
  await fake.close()
})

const name = createdName('litellm/a')
const call = () => callOf(runtime.clock)
const request = async (method: string, path: string, body?: string): Promise<{ readonly status: number; readonly body: Buffer }> => {
  const client = await runtime.http.connect({ url: fake.url, title: 'Vault', setting: 'url' })
  const answer = await client.send({ method, path: `/v1/secret/${path}`, headers: { 'x-vault-token': fake.rootToken, 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' }, ...(body !== undefined && { body }) }, call())
  await client.close()
  return { status: answer.status, body: Buffer.from(answer.body) }
}
const held = async (path = 'litellm/a'): Promise<Record<string, unknown>> => ((JSON.parse((await request('GET', `data/${path}`)).body.toString()) as { data: { data: Record<string, unknown> } }).data.data)
const foreign = (data: string, path = 'litellm/a') => request('POST', `data/${path}`, `{"data":${data}}`)
let operations = 0
const write = async (value: string, more: object = {}, of: SecretName = name, by = provider): Promise<string> => {
  operations += 1
  const outcome = await by.write?.({ name: of, value: SecretValue.of(value), expect: 'any', operation: `${operations}-rotate-${String(operations).padStart(32, '0')}`, stage: 'current', ...more }, call())
  return outcome?.version?.id ?? ''
}
const text = async (at: object = {}, by = provider): Promise<string> => (await by.read(name, at, call())).value.reveal()
const failureOf = (promise: Promise<unknown> | undefined): Promise<unknown> => Promise.resolve(promise).catch((error: unknown) => error)

describe('fields', () => {
  it('that are missing are not_found, naming what is there and no value', async () => {
    const secret = canary('other field')
    await foreign(JSON.stringify({ password: secret, user: secret }))

    const failure = await failureOf(provider.read(name, {}, call()))

    expect(failure).toMatchObject({ code: 'not_found', message: 'litellm/a has no field "key". It has password, user; vault_field says which one holds the value.' })
    assertNothingSecret(failure)
  })

  it.each([
    ['{"key":12345678901234567890}', '12345678901234567890'],
    ['{"key":1.10}', '1.10'],
    ['{"key":true}', 'true'],
    ['{"key":null}', 'null'],
    ['{"key":{"b":[1.0,"x"]}}', '{"b":[1.0,"x"]}'],
    ['{"key":""}', ''],
  ])('that are no text are their JSON: %s', async (data, expected) => {
    await foreign(data)

    expect(await text()).toBe(expected)
  })

  it('are read whole as JSON without our marks, and the other ones survive every write, exact numbers included', async () => {
    await foreign('{"key":"one","n":12345678901234567890,"user":"me"}')
    const from = (await provider.describe?.(name, call()))?.current?.id ?? ''
    await write('two', { expect: { version: from } })
    await write('three', { stage: 'pending', expect: { version: '2' } })

    expect(await text({ whole: true })).toBe('{"key":"two","n":12345678901234567890,"user":"me"}')
  })

  it('are chosen by vault_field', async () => {
    await foreign('{"key":"k","password":"p"}')
    const other = await open({ vault_field: 'password' })

    await write('new', {}, name, other)

    expect([await text(), await text({}, other)]).toEqual(['k', 'new'])
  })
})

describe('the value map', () => {
  it('has the current value under its field, and the claim and the value before under marks that name their operation', async () => {
    const one = await write('one', { operation: `1-create-${'a'.repeat(32)}` })
    const two = await write('two', { operation: `2-rotate-${'b'.repeat(32)}`, expect: { version: one } })
    await write('three', { operation: `3-rotate-${'c'.repeat(32)}`, expect: { version: two }, stage: 'pending' })

    const data = await held()

    const at = runtime.clock.now().toString(36)
    const shown = Object.fromEntries(Object.entries(data).map(([field, value]) => [field.replace(/\.[0-9a-f]{8}-/, '.nonce-'), value]))
    expect(shown).toEqual({
      key: 'two',
      [`latchkey-3.0-previous-1--${at}.nonce-1-create-${'a'.repeat(32)}`]: 'one',
      [`latchkey-3.1-current-2-1-${at}.nonce-2-rotate-${'b'.repeat(32)}`]: null,
      [`latchkey-3.2-pending-3-2-${at}.nonce-3-rotate-${'c'.repeat(32)}`]: 'three',
    })
  })

  it('knows its own write again when its answer was lost and it was sent twice: the labels follow', async () => {
    fake.fault({ kind: 'unavailable_after', on: 'change', times: 1 })

    const outcome = await provider.write?.({ name, value: SecretValue.of('v'), expect: 'absent', operation: `put-${'a'.repeat(32)}`, stage: 'current', labels: { team: 'payments' } }, call())

    expect(outcome?.outcome).toBe('written')
    expect(await provider.describe?.(name, call())).toMatchObject({ labels: { team: 'payments' }, current: { id: '1' } })
  })

  it('of another hand is one version without an operation, also where marks of ours were copied into it', async () => {
    const one = await write('one')
    await write('claimed', { stage: 'pending', expect: { version: one } })
    await request('PATCH', 'data/litellm/a', '{"data":{"key":"patched"}}')

    const facts = await provider.describe?.(name, call())

    expect(facts?.versions).toEqual([expect.objectContaining({ id: '3', stages: ['current'] })])
    expect(facts?.current).not.toHaveProperty('operation')
    expect(await text()).toBe('patched')
    expect(await text({ whole: true })).toBe('{"key":"patched"}')
    expect(await failureOf(provider.promote?.(name, { to: '2', from: one }, call()))).toMatchObject({ code: 'conflict' })
  })

  it('remembers twelve entries and lets the oldest go that hold nothing', async () => {
    const ids: string[] = []
    for (let index = 0; index < 15; index += 1) ids.push(await write(`value ${index}`))

    const versions = (await provider.describe?.(name, call()))?.versions ?? []

    expect(versions.map(({ id }) => id)).toEqual(ids.slice(-12))
    expect(await text({ version: ids[4] })).toBe('value 4')
    expect(await text({ version: ids[13] })).toBe('value 13')
  })

  it('leaves what a plain write replaced twice to the history of Vault, and finds it there', async () => {
    for (const [index, value] of ['one', 'two', 'three'].entries()) await write(value, { operation: `put-${String(index).repeat(32)}` })

    expect(Object.values(await held())).not.toContain('one')
    expect(await text({ version: '1' })).toBe('one')
  })

  it('is described and listed without a value on the way', async () => {
    const value = canary('not on the way')
    await write(value)
    const before = fake.requests.length

    await provider.describe?.(name, call())
    await provider.list?.({ prefix: 'litellm/', limit: 10 }, call())

    expect(fake.requests.slice(before).map(({ path }) => path)).toEqual(['/v1/secret/subkeys/litellm/a', '/v1/secret/metadata/litellm/', '/v1/secret/subkeys/litellm/a'])
  })
})

describe('versions that Vault deleted', () => {
  it('are version_disabled when they are asked for by number, deleted or destroyed, and not_found when it has forgotten them', async () => {
    for (const value of ['1', '2', '3', '4']) await write(value, { operation: `put-${value.repeat(32)}` })
    await request('POST', 'delete/litellm/a', '{"versions":[1]}')
    await request('POST', 'destroy/litellm/a', '{"versions":[2]}')

    expect(await failureOf(provider.read(name, { version: '1' }, call()))).toMatchObject({ code: 'version_disabled' })
    expect(await failureOf(provider.read(name, { version: '2' }, call()))).toMatchObject({ code: 'version_disabled' })
    expect(await failureOf(provider.read(name, { version: '99' }, call()))).toMatchObject({ code: 'not_found' })
    expect(await text({ version: '3' })).toBe('3')
  })

  it('of LiteLLM, which deletes the newest alone, are a soft delete that is recovered', async () => {
    await foreign('{"key":"theirs"}')
    await request('DELETE', 'data/litellm/a')

    const failures = [await failureOf(provider.read(name, {}, call())), await failureOf(write('ours'))]
    await provider.recover?.(name, call())

    expect(failures).toMatchObject([{ code: 'not_found' }, { code: 'soft_deleted' }])
    expect(await text()).toBe('theirs')
  })

  it('by their time to live are gone like any other', async () => {
    await write('short')
    await request('POST', 'metadata/litellm/a', '{"delete_version_after":"60s"}')
    await write('shorter')
    expect(await text()).toBe('shorter')

    runtime.clock.advance(61_000)

    expect(await failureOf(provider.read(name, {}, call()))).toMatchObject({ code: 'not_found' })
  })

  it('for good leave the path, so that numbers go on, and nothing of their labels stays with a new secret', async () => {
    await write('one', { labels: { 'latchkey-state': 'revoked', kept: 'no' }, description: 'old' })
    await provider.remove?.(name, { expect: 'any', final: true }, call())
    await request('POST', 'metadata/litellm/a', '{"custom_metadata":{"late":"label"}}')

    const id = await write('two', { expect: 'absent', labels: { team: 'new' } })

    expect(id).toBe('2')
    const facts = await provider.describe?.(name, call())
    expect([facts?.labels, facts?.description]).toEqual([{ team: 'new' }, undefined])
    expect(fake.requests.some(({ method, path }) => method === 'DELETE' && path.includes('/metadata/'))).toBe(false)
  })

  it('with a discarded value no longer hold it', async () => {
    const one = await write(canary('discarded'))
    await write('two', { expect: { version: one } })

    await provider.discard?.(name, one, call())

    const versions = await Promise.all([1, 2, 3].map(async (number) => (await request('GET', `data/litellm/a?version=${number}`)).status))
    expect(versions).toEqual([404, 404, 200])
  })
})

describe('answers of Vault', () => {
  const says = (status: number, body: object, times = 1): void => fake.fault({ kind: 'says', times, only: ({ path }) => path.includes('/data/'), answer: { status, body } })

  it('that the engine is being upgraded are waited for', async () => {
    await write('v')
    Object.assign(fake.state.engines.get('secret') ?? {}, { upgrading: 3 })

    expect(await text()).toBe('v')
  })

  it('that it is still being upgraded after that are unavailable', async () => {
    Object.assign(fake.state.engines.get('secret') ?? {}, { upgrading: 100 })

    expect(await failureOf(write('v'))).toMatchObject({ code: 'provider_unavailable', message: expect.stringContaining('upgrading') as unknown })
  })

  it('of a node that has not caught up (412) are asked again', async () => {
    await write('v')
    says(412, { errors: ['required index state not present'] })

    expect(await text()).toBe('v')
  })

  it.each([
    [472, 'standby'],
    [473, 'standby'],
    [503, 'sealed'],
    [307, 'redirect'],
    [500, 'could not be reached'],
    [418, 'could not be reached'],
  ])('with status %i are unavailable, and say why', async (status, why) => {
    says(status, { errors: [canary('echo')] }, 10)

    const failure = await failureOf(provider.read(name, {}, call()))

    expect(failure).toMatchObject({ code: 'provider_unavailable', message: expect.stringContaining(why) as unknown })
    assertNothingSecret(failure)
  })

  it.each([
    [404, { errors: ['no handler for route "secret/data/litellm/a". route entry not found.'] }, 'misconfigured'],
    [404, { data: null, warnings: ['Invalid path for a versioned K/V secrets engine.'] }, 'misconfigured'],
    [404, { errors: [] }, 'not_found'],
    [405, { errors: ['unsupported operation'] }, 'misconfigured'],
    [400, { errors: ['something'] }, 'invalid_request'],
    [413, { errors: ['http: request body too large'] }, 'too_large'],
    [429, { errors: ['request path "x": rate limit quota exceeded'] }, 'provider_throttled'],
    [200, { data: { key: 'v1 engine' } }, 'misconfigured'],
    [200, { errors: ['a page that says 200'] }, 'provider_unavailable'],
  ])('%i %j are %s', async (status, body, code) => {
    says(status, body, 10)

    expect(await failureOf(provider.read(name, {}, call()))).toMatchObject({ code })
  })

  it('without a version to a write come from no KV version 2 engine: nothing is taken for written', async () => {
    fake.fault({ kind: 'says', on: 'change', answer: { status: 204 } })

    expect(await failureOf(write('v'))).toMatchObject({ code: 'misconfigured' })
  })
})

describe('a namespace in the header', () => {
  it('that Vault ignores is found before anything is written', async () => {
    await fake.close()
    fake = await startVaultFake({ now: () => runtime.clock.now(), namespaces: false })
    const lost = await open({ vault_namespace: 'team', vault_namespace_header: true })

    const failures = [await failureOf(write('v', {}, name, lost)), await failureOf(lost.annotate?.(name, { labels: { a: 'b' } }, call()))]

    expect(failures).toMatchObject([{ code: 'misconfigured' }, { code: 'misconfigured' }])
    expect(fake.requests.filter((one) => fake.state.changes(one))).toEqual([])
  })

  it('is proved once', async () => {
    fake.state.namespace('team')
    fake.state.mount('secret', 'team')
    const inTeam = await open({ vault_namespace: 'team', vault_namespace_header: true })

    await write('one', {}, name, inTeam)
    await write('two', {}, name, inTeam)

    expect(await text({}, inTeam)).toBe('two')
    expect(fake.requests.filter(({ path }) => path === '/v1/team/sys/internal/ui/mounts/secret')).toHaveLength(1)
    expect(fake.requests.filter(({ path }) => path.includes('/data/')).every(({ path, headers }) => path === '/v1/secret/data/litellm/a' && headers['x-vault-namespace'] === 'team')).toBe(true)
  })
})

describe('what cannot be held is refused before anything is sent:', () => {
  it.each<readonly [what: string, more: object, code: string]>([
    ['a label without a value', { labels: { a: '' } }, 'invalid_request'],
    ['a label over 512 bytes', { labels: { a: 'ü'.repeat(257) } }, 'invalid_request'],
    ['a label name over 128 bytes', { labels: { ['k'.repeat(129)]: 'v' } }, 'invalid_request'],
    ['a line break in a label', { labels: { a: 'x\ny' } }, 'invalid_request'],
    ['63 labels', { labels: Object.fromEntries(Array.from({ length: 63 }, (_, index) => [`k${index}`, 'v'])) }, 'invalid_request'],
    ['a label that is called description', { labels: { description: 'x' } }, 'invalid_request'],
    ['a description over 512 bytes', { description: 'x'.repeat(513) }, 'invalid_request'],
    ['a description of two lines', { description: 'x\ny' }, 'invalid_request'],
    ['bytes that are no text', { value: SecretValue.ofBytes(Uint8Array.of(255)) }, 'invalid_request'],
    ['a value over the limit', { value: SecretValue.of('x'.repeat(131_073)) }, 'too_large'],
  ])('%s', async (_what, more, code) => {
    expect(await failureOf(write('v', more))).toMatchObject({ code })
    expect(fake.requests).toEqual([])
  })
})

describe('names', () => {
  it('are encoded segment by segment, and listed as they are', async () => {
    const odd = "a b/ü&=+@:;,'()*!~/c"
    await write('v', {}, hostedName(odd))

    const { items } = (await provider.list?.({ prefix: 'a b/', limit: 10 }, call())) ?? { items: [] }

    expect(fake.requests.find(({ method }) => method === 'POST')?.path).toBe('/v1/secret/data/a%20b/%C3%BC%26%3D%2B%40%3A%3B%2C%27%28%29%2A%21~/c')
    expect(items.map((one) => [one.name.text, one.nativeName])).toEqual([[odd, `secret/${odd}`]])
  })

  it('go below the path prefix, but for whole paths from the configuration', async () => {
    const below = await open({ vault_path_prefix: 'apps/gateway' })
    await write('v', {}, name, below)

    const { items } = (await below.list?.({ prefix: '', limit: 10 }, call())) ?? { items: [] }

    expect(items.map((one) => [one.name.text, one.nativeName])).toEqual([['litellm/a', 'secret/apps/gateway/litellm/a']])
    expect((await below.read({ text: 'apps/gateway/litellm/a', place: 'native' }, {}, call())).value.reveal()).toBe('v')
  })
})

describe('a check', () => {
  it('names each capability that the policy lacks, with its path below the prefix', async () => {
    fake.state.policy('half', { path: 'secret/data/apps/*', capabilities: ['read', 'create'] }, { path: 'secret/metadata/apps/*', capabilities: ['list', 'read'] })
    const member = await open({ vault_token: fake.state.token({ policies: ['half'] }), vault_path_prefix: 'apps' })

    const wrong = (await member.check('write', call())).filter(({ ok }) => !ok)

    expect(wrong.map(({ message }) => /lacks (.*), which/.exec(message)?.[1])).toEqual(['update on secret/data/apps/*', 'read on secret/subkeys/apps/*', 'create, update, patch on secret/metadata/apps/*', 'update on secret/delete/apps/*', 'update on secret/undelete/apps/*', 'update on secret/destroy/apps/*'])
    expect((await member.check('read', call())).filter(({ ok }) => !ok)).toEqual([])
  })

  it('counts a policy for the virtual keys alone', async () => {
    fake.state.policy('keys', ...['data', 'subkeys', 'metadata', 'delete', 'undelete', 'destroy'].map((kind) => ({ path: `secret/${kind}/litellm/*`, capabilities: ['create', 'read', 'update', 'patch', 'list'] })))
    const member = await open({ vault_token: fake.state.token({ policies: ['keys'] }) })

    expect((await member.check('write', call())).filter(({ ok }) => !ok)).toEqual([])
  })

  it('finds an engine that is not there, and a Vault that is none', async () => {
    const lost = await open({ vault_mount_name: 'elsewhere' })
    const engine = (await lost.check('reach', call())).filter(({ ok }) => !ok)
    fake.fault({ kind: 'says', answer: { status: 404, headers: { 'content-type': 'text/html' }, body: '<html>' } })
    const nowhere = (await provider.check('write', call())).filter(({ ok }) => !ok)

    expect(engine).toMatchObject([{ setting: 'vault_mount_name' }])
    expect(nowhere).toMatchObject([{ subject: 'vault token', message: expect.stringContaining('could not be reached') as unknown }])
  })
})
