// What is hosted, read before anybody asks: which stores, in which requests, and what a failure leaves.
import { describe, expect, it } from 'vitest'
import { SecretCache } from '../../shared/core/cache.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { AccessPolicy } from '../../shared/core/policy.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { SecretValue, type SecretName } from '../../shared/core/secret.ts'
import { SecretStore } from '../../shared/core/store.ts'
import { preload } from '../../shared/core/stores/preload.ts'
import { memory } from '../../shared/providers/memory.ts'
import { callOf, testRuntime } from '../support/runtime.ts'

const runtime = testRuntime()
const { clock, random } = runtime

/** A store that counts what its service is asked. */
const open = async (name: string, policy: Partial<AccessPolicy>, given: { readonly batch?: boolean; readonly broken?: readonly string[]; readonly values?: Readonly<Record<string, string>> } = {}): Promise<{ store: SecretStore; asked: string[] }> => {
  const asked: string[] = []
  const base = await memory.open({ recovery_window_seconds: 3600 }, runtime, { kind: 'operator' })
  const read = async (at: SecretName): ReturnType<SecretProvider['read']> => {
    if (given.broken?.includes(at.text) === true) throw new LatchkeyError('provider_denied', 'Refused.')
    const value = given.values?.[at.text]
    if (value === undefined) throw new LatchkeyError('not_found', 'Absent.')
    return { name: at, value: SecretValue.of(value) }
  }
  const { readMany: _none, ...rest } = base
  const provider: SecretProvider = {
    ...rest,
    read: (at) => {
      asked.push(`read ${at.text}`)
      return read(at)
    },
    ...(given.batch === true && {
      readMany: (names: readonly SecretName[]) => {
        asked.push(`batch of ${names.length}`)
        return Promise.all(names.map((at) => read(at).catch((error: unknown) => error as LatchkeyError)))
      },
    }),
  }
  const whole: AccessPolicy = { accessMode: 'read_only', prefix: 'litellm', storeVirtualKeys: false, ...policy }
  return { store: new SecretStore({ name, system: 'memory', provider, policy: whole, cache: new SecretCache(clock), clock, random }), asked }
}

const hosted = (...names: readonly string[]): Partial<AccessPolicy> => ({ hostedKeys: new Set(names) })

describe('preloading', () => {
  it('asks in one batch where the provider has one, and a read finds its name in memory', async () => {
    const { store, asked } = await open('default', hosted('A', 'B'), { batch: true, values: { A: 'a', B: 'b' } })

    const result = await preload([store], callOf(clock))
    const answer = await store.read({ name: 'B' }, callOf(clock))

    expect(result).toEqual({ read: 2, failed: [] })
    expect([answer.cache, answer.value.reveal(), asked]).toEqual(['HIT', 'b', ['batch of 2']])
  })

  it('asks name by name where it has none', async () => {
    const { store, asked } = await open('default', hosted('A', 'B'), { values: { A: 'a', B: 'b' } })

    await preload([store], callOf(clock))

    expect(asked).toEqual(['read A', 'read B'])
  })

  it('reads a primary secret once for all its names', async () => {
    const { store, asked } = await open('default', { ...hosted('A', 'B'), primarySecretName: 'all' }, { batch: true, values: { all: '{"A":"a","B":"b"}' } })

    const result = await preload([store], callOf(clock))

    expect([result, asked]).toEqual([{ read: 2, failed: [] }, ['read all']])
  })

  it('counts what failed, and keeps the rest', async () => {
    const { store } = await open('default', hosted('A', 'B', 'C'), { batch: true, values: { A: 'a' }, broken: ['B'] })

    const result = await preload([store], callOf(clock))

    expect(result).toEqual({ read: 1, failed: ['provider_denied', 'not_found'] })
  })

  it('leaves stores alone that host nothing, or whose values may not be read', async () => {
    const [open_, writeOnly, reading] = [await open('a', {}), await open('b', { ...hosted('A'), accessMode: 'write_only' }), await open('c', hosted('C'), { values: { C: 'c' } })]

    const result = await preload([open_.store, writeOnly.store, reading.store], callOf(clock))

    expect([result, open_.asked, writeOnly.asked, reading.asked]).toEqual([{ read: 1, failed: [] }, [], [], ['read C']])
  })
})
