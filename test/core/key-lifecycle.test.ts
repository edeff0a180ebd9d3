import { describe, expect, it } from 'vitest'
import { KeyLifecycle } from '../../shared/core/key-lifecycle.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { CompareAndSetService, openCompareAndSet } from '../shapes/compare-and-set.ts'
import { callOf, testRuntime } from '../support/runtime.ts'

const house = async () => {
  const runtime = testRuntime()
  const service = new CompareAndSetService(runtime.clock)
  const provider = await openCompareAndSet(service, runtime)
  const store = { name: 'default', provider, policy: { prefix: 'litellm', storeVirtualKeys: true, accessMode: 'read_and_write' as const }, invalidate: () => undefined }
  const lifecycle = new KeyLifecycle(store, { clock: runtime.clock, random: runtime.random })
  const context = (key?: string, route = '/key/generate') => ({ call: callOf(runtime.clock), caller: 'tester', route, body: '{}', ...(key === undefined ? {} : { idempotencyKey: key }) })
  return { runtime, service, lifecycle, context, call: () => callOf(runtime.clock) }
}

describe('a virtual key', () => {
  it('is created, verified, rotated with grace, and deleted', async () => {
    const { runtime, lifecycle, context, call } = await house()

    const created = await lifecycle.create({ alias: 'a', teamId: 'Team 1', data: { models: ['m'] } }, context())
    const first = created.key ?? SecretValue.of('')
    expect(await lifecycle.verify(first, call())).toMatchObject({ valid: true, keyId: created.keyId, teamId: 'Team 1' })
    const rotated = await lifecycle.rotate({ keyId: created.keyId }, { graceMs: 60_000 }, context())
    const second = rotated.key ?? SecretValue.of('')
    expect(rotated).toMatchObject({ keyId: created.keyId, epoch: 2, state: 'active', data: { models: ['m'] } })
    expect(await lifecycle.verify(first, call())).toMatchObject({ valid: true })
    expect(await lifecycle.verify(second, call())).toMatchObject({ valid: true })
    runtime.clock.advance(60_001)
    expect(await lifecycle.verify(first, call())).toMatchObject({ valid: false })
    expect((await lifecycle.list({ limit: 10 }, call())).items.map(({ alias }) => alias)).toEqual(['a'])
    const removed = await lifecycle.remove({ alias: 'a' }, context())
    expect(removed).toMatchObject({ state: 'revoked', epoch: 3 })
    expect(await lifecycle.verify(second, call())).toMatchObject({ valid: false })
    await expect(lifecycle.info({ alias: 'a' }, call())).rejects.toMatchObject({ code: 'not_found' })
    const again = await lifecycle.create({ alias: 'a' }, context())
    expect(again).toMatchObject({ epoch: 4, state: 'active', data: {} })
    expect(again.keyId).not.toBe(created.keyId)
    expect(again.teamId).toBeUndefined()
  })
})
