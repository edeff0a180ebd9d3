import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cacheKey, type CacheLimits } from '../../shared/core/cache.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { SecretRecord } from '../../shared/core/secret.ts'
import { callOf } from '../support/runtime.ts'
import { down, key, recordOf, setUp, text } from './cached-service.ts'

describe('an unreachable service', () => {
  const warmed = async (limits: Partial<CacheLimits> = {}) => {
    const all = setUp({ ttlMs: 1_000, maxStaleMs: 5_000, ...limits })
    const first = all.cache.read(key, all.load, all.call())
    all.asked[0]?.answer('one')
    await first
    return all
  }

  it('is bridged with the old value, marked STALE, until TTL + maxStale', async () => {
    const { cache, clock, call } = await warmed()
    const failing = (): Promise<SecretRecord> => Promise.reject(down())

    clock.advance(5_999)
    const bridged = await text(cache.read(key, failing, call()))
    clock.advance(1)
    const over = await cache.read(key, failing, call()).catch((error: LatchkeyError) => error.code)

    expect(bridged).toBe('STALE one')
    expect(over).toBe('provider_unavailable')
  })

  it('is asked at most once a back-off step', async () => {
    const { cache, clock, call } = await warmed()
    let calls = 0
    const failing = (): Promise<SecretRecord> => {
      calls += 1
      return Promise.reject(down())
    }

    for (let step = 0; step < 30; step += 1) {
      clock.advance(100)
      await cache.read(key, failing, call())
    }

    expect(calls).toBe(2)
  })

  it.each(['provider_denied', 'not_found', 'version_disabled'] as const)('is not what %s means: the old value ends at once', async (code) => {
    const { cache, clock, call } = await warmed()
    clock.advance(1_000)

    const refused = await cache.read(key, () => Promise.reject(new LatchkeyError(code, 'x')), call()).catch((error: LatchkeyError) => error.code)
    const after = await cache.read(key, () => Promise.reject(down()), call()).catch((error: LatchkeyError) => error.code)

    expect(refused).toBe(code)
    expect(after).not.toBe('STALE')
    expect(after).toBe(code === 'not_found' ? 'not_found' : 'provider_unavailable')
  })

  it('is asked again exactly when the back-off step is over', async () => {
    const { cache, clock, call } = await warmed()
    clock.advance(1_000)
    await cache.read(key, () => Promise.reject(down()), call())

    clock.advance(999)
    const before = await text(cache.read(key, () => Promise.resolve(recordOf('two')), call()))
    clock.advance(1)
    const after = await text(cache.read(key, () => Promise.resolve(recordOf('two')), call()))

    expect([before, after]).toEqual(['STALE one', 'MISS two'])
  })

  it('in the last quarter is asked quietly once a back-off step', async () => {
    const { cache, clock, call } = await warmed()
    let calls = 0
    const failing = (): Promise<SecretRecord> => {
      calls += 1
      return Promise.reject(down())
    }

    clock.advance(800)
    await cache.read(key, failing, call())
    await Promise.resolve()
    await cache.read(key, failing, call())
    const hit = cache.peek(key)?.state

    expect([calls, hit]).toEqual([1, 'HIT'])
  })

  it('answers no old value that was invalidated, or grew too old, while it was asked', async () => {
    const { cache, clock, load, asked, call } = await warmed()
    clock.advance(1_000)
    const invalidated = cache.read(key, load, call())
    cache.invalidate(key.secret)
    asked[1]?.fail(down())
    const other = await warmed()
    other.clock.advance(5_000)
    const tooOld = other.cache.read(key, other.load, callOf(other.clock))
    other.clock.advance(1_000)
    other.asked[1]?.fail(down())

    const codes = await Promise.all([invalidated, tooOld].map((reading) => reading.catch((error: LatchkeyError) => error.code)))

    expect(codes).toEqual(['provider_unavailable', 'provider_unavailable'])
  })

  it('fails a read that asked for a refresh, and keeps the value for the others', async () => {
    const { cache, call } = await warmed()

    const refreshed = await cache.read(key, () => Promise.reject(down()), call(), true).catch((error: LatchkeyError) => error.code)

    expect(refreshed).toBe('provider_unavailable')
    expect(cache.peek(key)?.record.value.reveal()).toBe('one')
  })
})

describe('invalidation', () => {
  it('during a flight keeps the older answer out, and the next reader asks anew', async () => {
    const { cache, load, asked, call } = setUp()
    const early = cache.read(key, load, call())

    cache.invalidate(key.secret)
    const late = cache.read(key, load, call())
    asked[1]?.answer('new')
    await late
    asked[0]?.answer('old')
    await early

    expect(asked).toHaveLength(2)
    expect(cache.peek(key)?.record.value.reveal()).toBe('new')
  })

  it('takes every version and stage of a secret, and no other secret', async () => {
    const { cache, call } = setUp()
    const neighbour = cacheKey('store\u0000other', '')
    for (const each of [key, cacheKey(key.secret, 'v1'), neighbour]) await cache.read(each, () => Promise.resolve(recordOf('x')), call())

    cache.invalidate(key.secret)

    expect(cache.size).toBe(1)
    expect(cache.peek(neighbour)?.state).toBe('HIT')
  })

  it('never lets a value back in that was asked for before the last write, whatever the order of events', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom('read', 'land', 'write', 'tick'), { maxLength: 40 }), async (events) => {
        const { cache, clock, load, asked, call } = setUp({ ttlMs: 1_000 })
        const seenAt: number[] = []
        let version = 0
        let landed = 0
        const waiting: Promise<unknown>[] = []
        for (const event of events) {
          if (event === 'read') {
            waiting.push(cache.read(key, load, call()).catch(() => undefined))
            while (seenAt.length < asked.length) seenAt.push(version)
          }
          if (event === 'land' && landed < asked.length) {
            asked[landed]?.answer(String(seenAt[landed]))
            landed += 1
            for (let turn = 0; turn < 5; turn += 1) await Promise.resolve()
          }
          if (event === 'write') {
            version += 1
            cache.invalidate(key.secret)
          }
          if (event === 'tick') clock.advance(400)
          const hit = cache.peek(key)
          expect(hit === undefined || hit.record.value.reveal() === String(version)).toBe(true)
        }
        for (let rest = landed; rest < asked.length; rest += 1) asked[rest]?.answer(String(seenAt[rest]))
        await Promise.all(waiting)
      }),
    )
  })
})

describe('bounds', () => {
  it('holds at most so many entries, and gives up the one used longest ago', async () => {
    const { cache, call } = setUp({ maxEntries: 2 })
    const keys = ['a', 'b', 'c'].map((secret) => (cacheKey(secret, '')))
    for (const each of keys.slice(0, 2)) await cache.read(each, () => Promise.resolve(recordOf('x')), call())
    cache.peek(keys[0] ?? key)

    await cache.read(keys[2] ?? key, () => Promise.resolve(recordOf('x')), call())

    expect(keys.map((each) => cache.peek(each)?.state)).toEqual(['HIT', undefined, 'HIT'])
  })

  it('gives up the one that was kept first where none was used since', async () => {
    const { cache, call } = setUp({ maxEntries: 3, maxBytes: 3 })
    const keys = ['a', 'b', 'c', 'd'].map((secret) => cacheKey(secret, ''))
    for (const each of keys) await cache.read(each, () => Promise.resolve(recordOf('x')), call())

    expect(keys.map((each) => cache.peek(each)?.state)).toEqual([undefined, 'HIT', 'HIT', 'HIT'])
  })

  it('holds what just fits', async () => {
    const { cache, call } = setUp({ maxBytes: 4 })

    await cache.read(key, () => Promise.resolve(recordOf('four')), call())

    expect(cache.peek(key)?.state).toBe('HIT')
  })

  it('holds at most so many bytes, and never a value that is larger alone', async () => {
    const { cache, call } = setUp({ maxBytes: 10 })
    for (const [secret, value] of [['a', '123456'], ['b', '123456'], ['c', '12345678901']] as const) {
      await cache.read(cacheKey(secret, ''), () => Promise.resolve(recordOf(value)), call())
    }

    expect(cache.byteSize).toBe(6)
    expect(cache.peek(cacheKey('b', ''))?.state).toBe('HIT')
  })
})
