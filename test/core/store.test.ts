import { describe, expect, it } from 'vitest'
import { SecretCache } from '../../shared/core/cache.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { hostedName } from '../../shared/core/names.ts'
import { createdName } from '../../shared/core/names/created.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { SecretStore } from '../../shared/core/store.ts'
import { callOf, testRuntime } from '../support/runtime.ts'
import { codeOf, open } from './opened-store.ts'
import { nameIn } from '../../shared/core/stores/naming.ts'

describe('reading', () => {
  it('answers the value, its version and where it came from, and the second time from memory', async () => {
    const { store, seed, call, calls } = await open()
    await seed('OPENAI_API_KEY', 'sk-live')

    const first = await store.read({ name: 'OPENAI_API_KEY' }, call())
    const second = store.peek({ name: 'OPENAI_API_KEY' })

    expect(first).toMatchObject({ name: 'OPENAI_API_KEY', store: 'default', source: 'memory', cache: 'MISS', version: '1' })
    expect(second?.value.reveal()).toBe('sk-live')
    expect(calls).toEqual(['read'])
  })

  it('answers each version and stage by itself, before and after the current one', async () => {
    const { store, call } = await open()
    for (const value of ['one', 'two', 'three']) await store.put({ name: 'A', value: SecretValue.of(value) }, call())

    const asked = [{ version: '1' }, { version: '2' }, {}, { stage: 'previous' as const }, { version: '1' }, { stage: 'current' as const }]
    const values: string[] = []
    for (const at of asked) values.push((await store.read({ name: 'A', ...at }, call())).value.reveal())

    expect(values).toEqual(['one', 'two', 'three', 'two', 'one', 'three'])
  })

  it('tells an absent secret from an absent version', async () => {
    const { store, seed, call } = await open()
    await seed('A', 'x')

    const secret = store.read({ name: 'B' }, call())
    const version = store.read({ name: 'A', version: '99' }, call())

    await expect(secret).rejects.toMatchObject({ code: 'not_found', message: 'No secret "B" in store "default" (memory).' })
    await expect(version).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('version') as string })
  })

  it.each([
    ['{"a":"text","n":1.10,"big":12345678901234567890,"o":{"x":[1,2]},"b":true,"z":null}', 'a', 'text'],
    ['{"n":1.10}', 'n', '1.10'],
    ['{"big":12345678901234567890}', 'big', '12345678901234567890'],
    ['{"o":{"x":[1, 2]}}', 'o', '{"x":[1,2]}'],
    ['{"o":{"x":[1,{"y":"deep"}]}}', '/o/x/1/y', 'deep'],
    ['{"a/b":{"~":"odd"}}', '/a~1b/~0', 'odd'],
    ['{"b":true}', 'b', 'true'],
    ['{"z":null}', 'z', 'null'],
    ['{"__proto__":"own"}', '__proto__', 'own'],
  ])('takes from %s the property %s', async (json, property, expected) => {
    const { store, seed, call } = await open()
    await seed('JSON', json)

    const answer = await store.read({ name: 'JSON', property }, call())

    expect(answer.value.reveal()).toBe(expected)
  })

  it.each([
    ['{"a":1}', 'b', 'not_found'],
    ['{"a":1}', 'toString', 'not_found'],
    ['{"a":1}', '__proto__', 'not_found'],
    ['{"a":"b"}', '/a/0', 'not_found'],
    ['no json', 'a', 'misconfigured'],
    ['"text"', 'a', 'misconfigured'],
    ['null', 'a', 'misconfigured'],
  ])('finds in %s no property %s: %s', async (json, property, code) => {
    const { store, seed, call } = await open()
    await seed('JSON', json)

    expect(await codeOf(store.read({ name: 'JSON', property }, call()))).toBe(code)
  })

  it('shows nothing of a value that is not JSON', async () => {
    const { store, seed, call } = await open()
    await seed('JSON', 'canary-7f3a-not-json')

    const error = await store.read({ name: 'JSON', property: 'a' }, call()).catch((thrown: unknown) => thrown)

    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('canary')
  })

  it('reads many in order, in one batch, each with its own outcome', async () => {
    const { store, seed, call, calls } = await open({ policy: { hostedKeys: new Set(['A', 'B', 'C']) } })
    await seed('A', 'a')
    await seed('C', 'c')
    await store.read({ name: 'A' }, call())

    const answers = await store.readMany(['C', 'B', 'A', 'D'], call())

    expect(answers.map((answer) => (answer instanceof LatchkeyError ? answer.code : answer.value.reveal()))).toEqual(['c', 'not_found', 'a', 'forbidden'])
    expect(calls).toEqual(['read', 'readMany'])
  })
})

describe('a caller who leaves', () => {
  it('does not wait for the batch that others still want', async () => {
    const { store, seed, clock, call, provider } = await open()
    await seed('A', 'a')
    let land = (): void => undefined
    const held = new Promise<void>((resolve) => {
      land = resolve
    })
    const slow = new SecretStore({ ...store, cache: new SecretCache(clock), clock, random: testRuntime().random, provider: { ...provider, readMany: (names, own) => held.then(() => provider.readMany?.(names, own) ?? []) } })
    const leaving = new AbortController()
    const first = slow.readMany(['A'], callOf(clock, { signal: leaving.signal }))
    const second = slow.readMany(['A'], call())

    leaving.abort()
    const [gone] = await first
    land()
    const [kept] = await second

    expect(gone).toMatchObject({ code: 'deadline_exceeded' })
    expect(kept).toMatchObject({ name: 'A', cache: 'MISS' })
  })
})

describe('the primary secret', () => {
  it('answers every hosted name from one fetch', async () => {
    const { store, seed, call, calls } = await open({ policy: { primarySecretName: 'all', hostedKeys: new Set(['K1', 'odd/one']) } })
    await seed('all', '{"K1":"one","odd/one":"two"}')

    const one = await store.read({ name: 'K1' }, call())
    const two = await store.read({ name: 'odd/one' }, call())

    expect([one.value.reveal(), two.value.reveal()]).toEqual(['one', 'two'])
    expect(calls).toEqual(['read'])
  })

  it('is never readable as a whole, and a name it lacks is absent', async () => {
    const { store, seed, call } = await open({ policy: { primarySecretName: 'all' } })
    await seed('all', '{"K1":"one"}')

    const outcomes = await Promise.all([codeOf(store.read({ name: 'all' }, call())), codeOf(store.read({ name: 'K2' }, call()))])

    expect(outcomes).toEqual(['forbidden', 'not_found'])
  })
})

describe('the policy', () => {
  it.each([
    ['write_only refuses reading', { accessMode: 'write_only' }, 'forbidden'],
    ['a list of hosted keys refuses other names', { hostedKeys: new Set(['B']) }, 'forbidden'],
    ['an empty list refuses every name', { hostedKeys: new Set<string>() }, 'forbidden'],
    ['read_only lets read', { accessMode: 'read_only' }, 'answered'],
  ] as const)('%s', async (_title, policy, outcome) => {
    const { store, seed, call } = await open({ policy })
    await seed('A', 'x')

    expect(await codeOf(store.read({ name: 'A' }, call()))).toBe(outcome)
  })

  it('knows virtual keys by their prefix, but for what the operator hosts there', async () => {
    const { store } = await open({ policy: { hostedKeys: new Set(['litellm/hosted', 'litellm/odd name']) } })
    const bare = (await open({ policy: { prefix: '' } })).store

    expect(['litellm/key', 'litellm/hosted', 'litellm-other', 'OPENAI'].map((name) => store.isKeyName(name))).toEqual([true, false, false, false])
    expect(['litellm/key', 'litellm/hosted', 'litellm/odd name', 'OPENAI'].map((name) => nameIn(store, name).place)).toEqual(['created', 'hosted', 'hosted', 'hosted'])
    expect([bare.isKeyName('anything'), nameIn(bare, 'anything').place]).toEqual([false, 'created'])
  })

  it('read_only refuses writing, before any call', async () => {
    const { store, call, calls } = await open({ policy: { accessMode: 'read_only' } })

    const outcomes = [await codeOf(store.put({ name: 'A', value: SecretValue.of('x') }, call())), await codeOf(store.remove('A', {}, call())), await codeOf(store.recover('A', call()))]

    expect(outcomes).toEqual(['forbidden', 'forbidden', 'forbidden'])
    expect(calls).toEqual([])
  })

  it.each(['litellm/__latchkey/teams/a', 'litellm/__x', '../up', 'a//b', 'litellm/.hidden', `litellm/${'x'.repeat(65)}`, 'a\u0000b', '%2e%2e', ''])('takes no name %j', async (name) => {
    const { store, call, calls } = await open()

    expect(await codeOf(store.read({ name }, call()))).toBe('invalid_request')
    expect(calls).toEqual([])
  })
})

describe('writing', () => {
  it('creates, leaves an equal value alone, and replaces another one', async () => {
    const { store, call } = await open()

    const first = await store.put({ name: 'A', value: SecretValue.of('1') }, call())
    const same = await store.put({ name: 'A', value: SecretValue.of('1') }, call())
    const next = await store.put({ name: 'A', value: SecretValue.of('2') }, call())

    expect([first, same, next]).toEqual([
      { name: 'A', changed: true, created: true, version: '1' },
      { name: 'A', changed: false, created: false, version: '1' },
      { name: 'A', changed: true, created: false, version: '2' },
    ])
  })

  it('makes a version of every PUT under write_only, and reads nothing', async () => {
    const { store, call, calls } = await open({ policy: { accessMode: 'write_only' } })
    await store.put({ name: 'A', value: SecretValue.of('1') }, call())

    const again = await store.put({ name: 'A', value: SecretValue.of('1') }, call())

    expect(again.changed).toBe(true)
    expect(calls).not.toContain('read')
  })

  it('takes three calls at the most to overwrite, and none to read what it wrote if that was cached', async () => {
    const { store, call, calls } = await open()
    await store.put({ name: 'A', value: SecretValue.of('1') }, call())
    calls.length = 0

    await store.put({ name: 'A', value: SecretValue.of('2') }, call())

    expect(calls).toEqual(['describe', 'read', 'write'])
  })

  it('shows the new value at once, whatever was cached', async () => {
    const { store, call } = await open()
    await store.put({ name: 'A', value: SecretValue.of('1') }, call())
    await store.read({ name: 'A' }, call())

    await store.put({ name: 'A', value: SecretValue.of('2') }, call())

    expect((await store.read({ name: 'A' }, call())).value.reveal()).toBe('2')
  })

  it('leaves a secret alone that is not marked as ours, unless it is adopted', async () => {
    const { store, seed, call } = await open()
    await seed('A', 'theirs')

    const refused = await codeOf(store.put({ name: 'A', value: SecretValue.of('mine') }, call()))
    const kept = await store.read({ name: 'A' }, call())
    const adopted = await store.put({ name: 'A', value: SecretValue.of('mine'), adopt: true }, call())
    const after = await store.put({ name: 'A', value: SecretValue.of('mine 2') }, call())

    expect([refused, kept.value.reveal(), adopted.changed, after.changed]).toEqual(['already_exists', 'theirs', true, true])
  })

  it('adopts a secret with the value it has, and marks it', async () => {
    const { store, seed, provider, call } = await open()
    await seed('A', 'same')

    await store.put({ name: 'A', value: SecretValue.of('same'), adopt: true }, call())

    expect((await provider.describe?.(hostedName('A'), call()))?.labels).toEqual({ 'managed-by': 'latchkey' })
  })

  it('never writes, deletes or recovers a virtual key', async () => {
    const { store, provider, call } = await open()
    const labels = { 'managed-by': 'latchkey', 'latchkey-key-id': 'k1' }
    await provider.write?.({ name: createdName('litellm/a'), value: SecretValue.of('sk-1'), expect: 'absent', operation: '1-create-'.padEnd(41, '0'), stage: 'current', labels }, call())

    const outcomes = [await codeOf(store.put({ name: 'litellm/a', value: SecretValue.of('x'), adopt: true }, call())), await codeOf(store.remove('litellm/a', {}, call())), await codeOf(store.recover('litellm/a', call()))]

    expect(outcomes).toEqual(['forbidden', 'forbidden', 'forbidden'])
  })

  it('writes and deletes only over the version that If-Match names', async () => {
    const { store, call } = await open()
    const { version } = await store.put({ name: 'A', value: SecretValue.of('1') }, call())
    await store.put({ name: 'A', value: SecretValue.of('2') }, call())

    const stale = await codeOf(store.put({ name: 'A', value: SecretValue.of('3'), ifMatch: version ?? '' }, call()))
    const staleDelete = await codeOf(store.remove('A', { ifMatch: version ?? '' }, call()))
    const absent = await codeOf(store.put({ name: 'B', value: SecretValue.of('3'), ifMatch: '1' }, call()))
    const right = await store.put({ name: 'A', value: SecretValue.of('3'), ifMatch: '2' }, call())

    expect([stale, staleDelete, absent, right.changed]).toEqual(['precondition_failed', 'precondition_failed', 'precondition_failed', true])
  })

  it('refuses what the service cannot hold before any call', async () => {
    const { store, call, calls } = await open()

    const tooLarge = store.put({ name: 'A', value: SecretValue.of('x'.repeat(65_537)) }, call())

    await expect(tooLarge).rejects.toMatchObject({ code: 'too_large', message: expect.stringMatching(/65537.*65536/) as string })
    expect(calls).toEqual([])
  })

  it('deletes softly, says until when, holds the name, and takes it back', async () => {
    const { store, clock, call } = await open()
    await store.put({ name: 'A', value: SecretValue.of('1') }, call())

    const { recoverableUntil } = await store.remove('A', {}, call())
    const gone = await codeOf(store.read({ name: 'A' }, call()))
    const held = await codeOf(store.put({ name: 'A', value: SecretValue.of('2') }, call()))
    const again = await codeOf(store.remove('A', {}, call()))
    await store.recover('A', call())

    expect(recoverableUntil?.getTime()).toBe(clock.now() + 3_600_000)
    expect([gone, held, again]).toEqual(['not_found', 'soft_deleted', 'not_found'])
    expect((await store.read({ name: 'A' }, call())).value.reveal()).toBe('1')
  })

  it('says what the service cannot do, by name', async () => {
    const { store, call } = await open({ without: ['write', 'remove', 'recover', 'list'] })

    const outcomes = [
      await codeOf(store.put({ name: 'A', value: SecretValue.of('x') }, call())),
      await codeOf(store.remove('A', {}, call())),
      await codeOf(store.recover('A', call())),
      await codeOf(store.list({ prefix: '', limit: 10 }, call())),
    ]

    expect(outcomes).toEqual(['unsupported', 'unsupported', 'unsupported', 'unsupported'])
  })
})

describe('listing', () => {
  it("shows names without values, and none of Latchkey's own records", async () => {
    const { store, provider, seed, call } = await open()
    await seed('A', 'x')
    await provider.write?.({ name: { text: 'litellm/__latchkey/index/k1', place: 'created' }, value: SecretValue.of('x'), expect: 'absent', operation: 'o'.repeat(32), stage: 'current' }, call())

    const page = await store.list({ prefix: '', limit: 10 }, call())

    expect(page.items.map((facts) => facts.name.text)).toEqual(['A'])
  })
})
