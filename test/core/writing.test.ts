import { describe, expect, it } from 'vitest'
import { SecretCache } from '../../shared/core/cache.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { hostedName } from '../../shared/core/names.ts'
import { createdName } from '../../shared/core/names/created.ts'
import type { OpenedProvider, ReadAt, SecretProvider, WriteRequest } from '../../shared/core/provider.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { SecretStore } from '../../shared/core/store.ts'
import { memory } from '../../shared/providers/memory.ts'
import { callOf, testRuntime } from '../support/runtime.ts'
import { codeOf } from './opened-store.ts'

/** A store whose provider is the reference with something changed. */
const storeOver = async (change: (provider: SecretProvider) => Partial<SecretProvider>, policy: { primarySecretName?: string } = {}) => {
  const runtime = testRuntime()
  const { clock, random } = runtime
  const provider = await memory.open({ recovery_window_seconds: 3_600 }, runtime, { kind: 'operator' })
  const store = new SecretStore({ name: 'default', system: 'memory', provider: { ...provider, ...change(provider) }, policy: { accessMode: 'read_and_write', prefix: 'litellm', storeVirtualKeys: true, ...policy }, cache: new SecretCache(clock), clock, random })
  return { store, provider, call: () => callOf(clock), clock }
}

describe('what a store asks of its provider', () => {
  it('is the whole of a primary secret, and nothing else of any other', async () => {
    const asked: ReadAt[] = []
    const spying = (provider: SecretProvider): Partial<SecretProvider> => ({
      read: (name, at, call) => {
        asked.push(at)
        return provider.read(name, at, call)
      },
    })
    const primary = await storeOver(spying, { primarySecretName: 'all' })
    const plain = await storeOver(spying)
    await primary.provider.write?.({ name: hostedName('all'), value: SecretValue.of('{"A":"x"}'), expect: 'any', operation: 'o'.repeat(32), stage: 'current' }, primary.call())
    await plain.store.put({ name: 'A', value: SecretValue.of('x') }, plain.call())

    await primary.store.read({ name: 'A' }, primary.call())
    await plain.store.read({ name: 'A' }, plain.call())
    await plain.store.read({ name: 'A', stage: 'current', version: '1' }, plain.call())

    expect(asked).toEqual([{ whole: true }, {}, { version: '1' }])
  })

  it('is two calls for a key: its value, and whether it is blocked; a read that the facts are refused to shows nothing', async () => {
    const asked: string[] = []
    const { store, provider, call } = await storeOver((inner) => ({
      read: (...all) => {
        asked.push('read')
        return inner.read(...all)
      },
      describe: (...all) => {
        asked.push('describe')
        return (inner.describe as NonNullable<SecretProvider['describe']>)(...all)
      },
    }))
    const closed = await storeOver(() => ({ describe: () => Promise.reject(new LatchkeyError('provider_denied', 'The facts are refused.')) }))
    for (const given of [provider, closed.provider]) await given.write?.({ name: createdName('litellm/a'), value: SecretValue.of('sk-1'), expect: 'absent', operation: `1-create-${'0'.repeat(32)}`, stage: 'current' }, call())

    expect((await store.read({ name: 'litellm/a' }, call())).value.reveal()).toBe('sk-1')
    expect(asked).toEqual(['read', 'describe'])
    await expect(closed.store.read({ name: 'litellm/a' }, closed.call())).rejects.toMatchObject({ code: 'provider_denied' })
  })

  it('carries what the request says: description, tags, the mark, and the expected version', async () => {
    const writes: WriteRequest[] = []
    const { store, call } = await storeOver((provider) => ({
      write: (request, own) => {
        writes.push(request)
        return (provider.write as NonNullable<SecretProvider['write']>)(request, own)
      },
    }))

    const first = await store.put({ name: 'A', value: SecretValue.of('1'), description: 'mine', tags: { team: 'blue' } }, call())
    await store.put({ name: 'A', value: SecretValue.of('2'), ifMatch: first.version ?? '' }, call())
    await store.put({ name: 'A', value: SecretValue.of('3') }, call())

    expect(writes.map(({ expect: expected, description, labels }) => ({ expected, description, labels }))).toEqual([
      { expected: 'absent', description: 'mine', labels: { team: 'blue', 'managed-by': 'latchkey' } },
      { expected: { version: '1' }, description: undefined, labels: { 'managed-by': 'latchkey' } },
      { expected: 'any', description: undefined, labels: { 'managed-by': 'latchkey' } },
    ])
    expect(new Set(writes.map(({ operation }) => operation)).size).toBe(3)
  })

  it('is answered with when the secret ends, where the service knows', async () => {
    const ends = new Date(Date.UTC(2027, 0, 1))
    const { store, provider, call } = await storeOver(() => ({}))
    await provider.write?.({ name: hostedName('A'), value: SecretValue.of('x'), expect: 'any', operation: 'o'.repeat(32), stage: 'current', expires: ends }, call())

    expect((await store.read({ name: 'A' }, call())).expiresAt).toEqual(ends)
  })
})

describe('a store whose provider knows no labels', () => {
  it('cannot know what is ours: what is there is overwritten only when adopted', async () => {
    const { store, call } = await storeOver(({ traits }) => ({ traits: { ...traits, write: { guarantee: 'detected', softDelete: true, labels: 'none' } } }))

    const outcomes = [
      await codeOf(store.put({ name: 'A', value: SecretValue.of('1') }, call())),
      await codeOf(store.put({ name: 'A', value: SecretValue.of('2') }, call())),
      await codeOf(store.put({ name: 'A', value: SecretValue.of('2'), adopt: true }, call())),
    ]

    expect(outcomes).toEqual(['answered', 'already_exists', 'answered'])
  })
})

describe('a provider that answers strangely', () => {
  it('fewer secrets than it was asked for, a tombstone among many, no version: each is what it is', async () => {
    const few = await storeOver(() => ({ readMany: async () => [] }))
    const many = await storeOver(() => ({}))
    const bare = await storeOver((provider) => ({ write: async (request, own) => ({ outcome: (await (provider.write as NonNullable<SecretProvider['write']>)(request, own)).outcome }) }))
    await many.provider.write?.({ name: createdName('litellm/gone'), value: SecretValue.of('revoked'), expect: 'absent', operation: `2-delete-${'0'.repeat(32)}`, stage: 'current' }, many.call())

    const outcomes = [(await few.store.readMany(['A'], few.call()))[0], (await many.store.readMany(['litellm/gone'], many.call()))[0], await bare.store.put({ name: 'A', value: SecretValue.of('x') }, bare.call())]

    expect(outcomes).toMatchObject([{ code: 'internal' }, { code: 'not_found' }, { name: 'A', changed: true, created: true }])
  })

  it('a vanished secret between two calls is absent', async () => {
    const gone = (): Promise<never> => Promise.reject(new LatchkeyError('not_found', 'gone'))
    const { store, provider, call } = await storeOver(() => ({ remove: gone, recover: gone }))
    await provider.write?.({ name: hostedName('A'), value: SecretValue.of('x'), expect: 'any', operation: 'o'.repeat(32), stage: 'current', labels: { 'managed-by': 'latchkey' } }, call())

    await expect(store.remove('A', {}, call())).rejects.toMatchObject({ code: 'not_found', message: 'No secret "A" in store "default" (memory).' })
    await expect(store.recover('A', call())).rejects.toMatchObject({ code: 'not_found' })
    await expect(store.describe(hostedName('B'), call())).rejects.toMatchObject({ code: 'not_found', message: 'No secret "B" in store "default" (memory).' })
  })
})

describe('a primary secret', () => {
  it('may be named by its full ARN, and is read whole for many names in single reads', async () => {
    const arn = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:all-AbCdEf'
    const { store, provider, call } = await storeOver(() => ({}), { primarySecretName: arn })
    await provider.write?.({ name: { text: arn, place: 'native' }, value: SecretValue.of('{"A":"1","B":"2"}'), expect: 'any', operation: 'o'.repeat(32), stage: 'current' }, call())

    const answers = await store.readMany(['A', 'B', 'C'], call())

    expect(answers.map((answer) => (answer instanceof LatchkeyError ? answer.code : answer.value.reveal()))).toEqual(['1', '2', 'not_found'])
  })
})

describe('what a store refuses before any call', () => {
  it.each([
    ['a value at the limit is taken', 'x'.repeat(65_536), {}, 'answered'],
    ['one byte over is not', 'x'.repeat(65_537), {}, 'too_large'],
    ['empty is taken where the service can hold it', '', {}, 'answered'],
    ['empty is refused where it cannot', '', { empty: false }, 'invalid_request'],
    ['text is taken where only text goes', 'text', { bytes: 'text' as const }, 'answered'],
  ])('%s', async (_title, text, value, outcome) => {
    const { store, call } = await storeOver(({ traits }) => ({ traits: { ...traits, value: { ...traits.value, ...value } } }))

    expect(await codeOf(store.put({ name: 'A', value: SecretValue.of(text) }, call()))).toBe(outcome)
  })

  it('other bytes are refused where only text goes', async () => {
    const { store, call } = await storeOver(({ traits }) => ({ traits: { ...traits, value: { ...traits.value, bytes: 'text' } } }))

    expect(await codeOf(store.put({ name: 'A', value: SecretValue.ofBytes(Buffer.from([0xff])) }, call()))).toBe('invalid_request')
  })

  it('every change, when the provider says that it only reads, whatever methods it has', async () => {
    const { store, call } = await storeOver(({ traits: { write: _write, ...traits } }) => ({ traits }) satisfies Partial<OpenedProvider> as Partial<SecretProvider>)

    const outcomes = [await codeOf(store.put({ name: 'A', value: SecretValue.of('x') }, call())), await codeOf(store.remove('A', {}, call())), await codeOf(store.recover('A', call()))]

    expect(outcomes).toEqual(['unsupported', 'unsupported', 'unsupported'])
    expect([store.can('write'), store.can('promote'), store.can('list'), store.can('readMany')]).toEqual([false, false, true, true])
  })
})

describe('a change that fails in the service', () => {
  it.each([
    ['a moved version, with If-Match, as the precondition that it is', 'conflict', '1', 'precondition_failed'],
    ['a moved version, without it, as a conflict', 'conflict', undefined, 'conflict'],
    ['a failure by its own code', 'provider_throttled', undefined, 'provider_throttled'],
  ] as const)('is answered: %s', async (_title, thrown, ifMatch, outcome) => {
    const fail = (): Promise<never> => Promise.reject(new LatchkeyError(thrown, 'no'))
    const { store, provider, call } = await storeOver(() => ({ write: fail, remove: fail }))
    await provider.write?.({ name: hostedName('A'), value: SecretValue.of('x'), expect: 'any', operation: 'o'.repeat(32), stage: 'current', labels: { 'managed-by': 'latchkey' } }, call())
    const matching = ifMatch === undefined ? {} : { ifMatch }

    const outcomes = [await codeOf(store.put({ name: 'A', value: SecretValue.of('y'), ...matching }, call())), await codeOf(store.remove('A', matching, call()))]

    expect(outcomes).toEqual([outcome, outcome])
  })

  it('forgets what was cached, because nobody knows what happened', async () => {
    let reads = 0
    const { store, call } = await storeOver((provider) => ({
      read: (name, at, own) => {
        reads += 1
        return provider.read(name, at, own)
      },
      write: (request, own) => (request.expect === 'absent' ? (provider.write as NonNullable<SecretProvider['write']>)(request, own) : Promise.reject(new LatchkeyError('provider_unavailable', 'lost'))),
    }))
    await store.put({ name: 'A', value: SecretValue.of('x') }, call())
    await store.read({ name: 'A' }, call())
    await codeOf(store.put({ name: 'A', value: SecretValue.of('y') }, call()))
    const before = reads

    await store.read({ name: 'A' }, call())

    expect(reads).toBe(before + 1)
  })
})
