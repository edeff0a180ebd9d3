import { describe, expect, it } from 'vitest'
import { SecretCache } from '../../shared/core/cache.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { SecretStore } from '../../shared/core/store.ts'
import { createReader } from '../../shared/core/stores/reading.ts'
import { testRuntime } from '../support/runtime.ts'
import { codeOf, open } from './opened-store.ts'

describe('reading across stores', () => {
  const failing = (code: 'provider_unavailable' | 'provider_denied'): ProxyHandler<SecretProvider> => ({
    get: (target, property: keyof SecretProvider) => (property === 'read' || property === 'readMany' ? () => Promise.reject(new LatchkeyError(code, 'no')) : target[property]),
  })

  const two = async (code?: 'provider_unavailable' | 'provider_denied', fallback: readonly string[] = [], behind = true) => {
    const first = await open({ name: 'default' })
    const second = await open({ name: 'environment' })
    await second.seed('B', 'from second')
    await second.seed('A', 'from second')
    await first.seed('A', 'from first')
    const broken = code === undefined ? first.store : new SecretStore({ ...first.store, cache: new SecretCache(first.clock), clock: first.clock, random: testRuntime().random, provider: new Proxy(first.provider, failing(code)) })
    const stores = new Map([['default', broken], ['environment', second.store]])
    return { reader: createReader({ stores, order: ['default', 'environment'], fallback: new Set(fallback), ...(behind ? { environment: second.store } : {}) }), call: first.call }
  }

  it('moves on after a confirmed absence only, and says where the value came from', async () => {
    const { reader, call } = await two()

    const answers = await Promise.all([reader.read({ name: 'A' }, call()), reader.read({ name: 'B' }, call())])

    expect(answers.map((answer) => [answer.value.reveal(), answer.store])).toEqual([['from first', 'default'], ['from second', 'environment']])
    expect(reader.peek({ name: 'B' })?.store).toBe('environment')
    expect(await codeOf(reader.read({ name: 'C' }, call()))).toBe('not_found')
  })

  it.each(['provider_unavailable', 'provider_denied'] as const)('ends with %s, not with the next store', async (code) => {
    const { reader, call } = await two(code)

    expect(await codeOf(reader.read({ name: 'B' }, call()))).toBe(code)
    expect((await reader.readMany(['B'], call()))[0]).toMatchObject({ code })
  })

  it('answers a failure from the environment only where the operator wrote it', async () => {
    const { reader, call } = await two('provider_denied', ['default'])

    const one = await reader.read({ name: 'A' }, call())
    const [many] = await reader.readMany(['A'], call())

    expect([one.store, one.value.reveal()]).toEqual(['environment', 'from second'])
    expect(many).toMatchObject({ store: 'environment' })
  })

  it('ends with the failure where there is no environment to fall back to', async () => {
    const { reader, call } = await two('provider_denied', ['default'], false)

    expect(await codeOf(reader.read({ name: 'A' }, call()))).toBe('provider_denied')
  })

  it('asks one store when the request names it', async () => {
    const { reader, call } = await two()

    expect((await reader.read({ name: 'A', store: 'environment' }, call())).value.reveal()).toBe('from second')
    await expect(reader.read({ name: 'A', store: 'nope' }, call())).rejects.toMatchObject({ code: 'invalid_request', details: { param: 'store' } })
  })
})
