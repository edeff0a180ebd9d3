// A virtual key in Google Secret Manager where the service shows changes late. Its whole life, as Google's own client sees it, is led in test/lives.
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { KeyLifecycle } from '../../../shared/core/key-lifecycle.ts'
import { callOf } from '../../support/runtime.ts'
import { open } from './opened.ts'

describe('a virtual key in Google Secret Manager', () => {
  it('waits where the service shows changes late, and never answers what does not hold', async () => {
    const { provider, runtime } = await open({}, { lagMs: 4_000 })
    const keys = new KeyLifecycle({ name: 'default', provider, policy: { prefix: 'litellm', storeVirtualKeys: true, accessMode: 'read_and_write' }, invalidate: () => undefined }, { clock: runtime.clock, random: runtime.random })
    const context = (key: string) => ({ call: callOf(runtime.clock), caller: 'tester', route: '/key', body: '{}', idempotencyKey: key.padEnd(16, '-') })
    /** Sends the same request until it is answered; time goes by between. */
    const insist = async <T>(act: () => Promise<T>): Promise<T> => {
      for (let turn = 0; turn < 5; turn += 1) {
        const outcome = await act().catch((error: unknown) => (error instanceof LatchkeyError ? error : Promise.reject(error as Error)))
        runtime.clock.advance(10_000)
        if (!(outcome instanceof LatchkeyError)) return outcome
      }
      throw new Error('it was never answered')
    }

    const created = await insist(() => keys.create({ alias: 'a' }, context('create')))
    const rotated = await insist(() => keys.rotate({ alias: 'a' }, {}, context('rotate')))
    const accepts = async (key: typeof rotated.key): Promise<boolean> => key !== undefined && key !== null && (await keys.verify(key, callOf(runtime.clock))).valid

    expect([created.epoch, rotated.epoch]).toEqual([1, 2])
    expect([await accepts(rotated.key), await accepts(created.key)]).toEqual([true, false])
  })
})
