import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SecretCache, cacheKey, type CacheAnswer, type CacheLimits } from '../../shared/core/cache.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { SecretValue, type SecretRecord } from '../../shared/core/secret.ts'
import { ManualClock, callOf } from '../support/runtime.ts'

const key = cacheKey('store\u0000name', '')
const recordOf = (text: string, more: Partial<SecretRecord> = {}): SecretRecord => ({ name: { text: 'name', place: 'hosted' }, value: SecretValue.of(text), ...more })
const absent = (): LatchkeyError => new LatchkeyError('not_found', 'No such secret.')
const down = (): LatchkeyError => new LatchkeyError('provider_unavailable', 'Unreachable.')

/** A service whose answers the test gives one by one. */
const upstream = () => {
  const asked: { answer: (text: string, more?: Partial<SecretRecord>) => void; fail: (error: unknown) => void }[] = []
  const load = (): Promise<SecretRecord> =>
    new Promise((resolve, reject) => {
      asked.push({ answer: (text, more) => resolve(recordOf(text, more)), fail: reject })
    })
  return { asked, load }
}

const setUp = (limits: Partial<CacheLimits> = {}) => {
  const clock = new ManualClock(1_000_000)
  return { clock, cache: new SecretCache(clock, limits), call: () => callOf(clock), ...upstream() }
}

const text = async (answer: Promise<CacheAnswer>): Promise<string> => {
  const { record, state } = await answer
  return `${state} ${record.value.reveal()}`
}

describe('freshness', () => {
  it('answers a fresh value at once, without a call', async () => {
    const { cache, load, asked, call } = setUp()
    const first = cache.read(key, load, call())
    asked[0]?.answer('one')
    await first

    const hit = cache.peek(key)

    expect(hit?.state).toBe('HIT')
    expect(hit?.record.value.reveal()).toBe('one')
    expect(asked).toHaveLength(1)
  })

  it('counts the age from when the service was asked, not from when it answered', async () => {
    const { cache, clock, load, asked, call } = setUp({ ttlMs: 1_000 })
    const first = cache.read(key, load, call())
    clock.advance(900)
    asked[0]?.answer('one')

    const answer = await first
    clock.advance(101)

    expect(answer.confirmedAt).toBe(1_000_000)
    expect(cache.peek(key)).toBeUndefined()
  })

  it('asks again once the TTL is over', async () => {
    const { cache, clock, load, asked, call } = setUp({ ttlMs: 1_000 })
    const first = cache.read(key, load, call())
    asked[0]?.answer('one')
    await first
    clock.advance(1_000)

    const second = cache.read(key, load, call())
    asked[1]?.answer('two')

    expect(await text(second)).toBe('MISS two')
  })

  it('refreshes beside the answer in the last quarter of the TTL', async () => {
    const { cache, clock, load, asked, call } = setUp({ ttlMs: 1_000 })
    const first = cache.read(key, load, call())
    asked[0]?.answer('one')
    await first
    clock.advance(750)

    const soft = await text(cache.read(key, load, call()))
    asked[1]?.answer('two')
    await Promise.resolve()
    clock.advance(300)

    expect(soft).toBe('HIT one')
    expect(cache.peek(key)?.record.value.reveal()).toBe('two')
  })

  it('is fresh at most until the rotation that the answer itself announced', async () => {
    const { cache, clock, load, asked, call } = setUp({ ttlMs: 1_000 })
    const first = cache.read(key, load, call())
    asked[0]?.answer('one', { nextRotation: new Date(1_000_400) })
    await first

    clock.advance(299)
    const before = cache.peek(key)
    clock.advance(101)

    expect(before?.record.value.reveal()).toBe('one')
    expect(cache.peek(key)).toBeUndefined()
  })

  it('keeps nothing when the TTL is 0, and still shares a flight', async () => {
    const { cache, load, asked, call } = setUp({ ttlMs: 0 })

    const both = [cache.read(key, load, call()), cache.read(key, load, call())]
    asked[0]?.answer('one')
    await Promise.all(both)

    expect(asked).toHaveLength(1)
    expect(cache.size).toBe(0)
  })

  it('trusts no entry from the future after the clock was set back', async () => {
    const { cache, clock, load, asked, call } = setUp()
    const first = cache.read(key, load, call())
    asked[0]?.answer('one')
    await first

    clock.set(999_000)

    expect(cache.peek(key)).toBeUndefined()
  })
})

describe('single flight', () => {
  it.each([
    ['found', (flight: { answer: (text: string) => void }) => flight.answer('one'), 'one'],
    ['absent', (flight: { fail: (error: unknown) => void }) => flight.fail(absent()), 'not_found'],
    ['failed', (flight: { fail: (error: unknown) => void }) => flight.fail(down()), 'provider_unavailable'],
  ] as const)('asks once for a thousand readers of one %s secret', async (_what, land, outcome) => {
    const { cache, load, asked, call } = setUp()

    const readers = Array.from({ length: 1_000 }, () => cache.read(key, load, call()).then((answer) => answer.record.value.reveal(), (error: LatchkeyError) => error.code))
    land(asked[0] as never)
    const outcomes = new Set(await Promise.all(readers))

    expect([...outcomes]).toEqual([outcome])
    expect(asked).toHaveLength(1)
  })

  it('the first of two callers of one flight aborts and the second still gets its answer', async () => {
    const { cache, clock, load, asked, call } = setUp()
    const leaving = new AbortController()
    const first = cache.read(key, load, callOf(clock, { signal: leaving.signal }))
    const second = cache.read(key, load, call())

    leaving.abort()
    const gone = await first.catch((error: LatchkeyError) => error.code)
    asked[0]?.answer('one')

    expect(gone).toBe('deadline_exceeded')
    expect(await text(second)).toBe('MISS one')
    expect(asked).toHaveLength(1)
  })

  it('never hands the flight a signal of one of its callers', async () => {
    const { cache, clock, call } = setUp()
    const leaving = new AbortController()
    let seen: AbortSignal | undefined
    const reading = cache.read(key, (own) => {
      seen = own.signal
      return Promise.resolve(recordOf('one'))
    }, callOf(clock, { signal: leaving.signal }))

    leaving.abort()
    await reading.catch(() => undefined)
    await cache.read(key, () => Promise.resolve(recordOf('two')), call())

    expect(seen?.aborted).toBe(false)
  })

  it('forgets a failure with its flight', async () => {
    const { cache, load, asked, call } = setUp()
    const first = cache.read(key, load, call())
    asked[0]?.fail(down())
    await first.catch(() => undefined)

    const second = cache.read(key, load, call())
    asked[1]?.answer('one')

    expect(await text(second)).toBe('MISS one')
  })

  it('keeps the answer that was asked for last, whichever lands last', async () => {
    const { cache, clock, load, asked, call } = setUp()
    const early = cache.read(key, load, call())
    clock.advance(10)
    const late = cache.read(key, load, call(), true)

    asked[1]?.answer('new')
    await late
    asked[0]?.answer('old')
    await early

    expect(cache.peek(key)?.record.value.reveal()).toBe('new')
  })
})

describe('absence', () => {
  it('is remembered for seconds, and only when it was confirmed', async () => {
    const { cache, clock, load, asked, call } = setUp({ negativeTtlMs: 10_000 })
    const first = cache.read(key, load, call())
    asked[0]?.fail(absent())
    await first.catch(() => undefined)

    expect(() => cache.peek(key)).toThrow('No such secret.')
    clock.advance(10_000)
    expect(cache.peek(key)).toBeUndefined()
  })

  it('fills at most a hundred places', async () => {
    const { cache, call } = setUp()

    for (let index = 0; index < 150; index += 1) await cache.read(cacheKey(`s${index}`, ''), () => Promise.reject(absent()), call()).catch(() => undefined)

    expect(cache.size).toBe(100)
  })
})

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

  it('holds at most so many bytes, and never a value that is larger alone', async () => {
    const { cache, call } = setUp({ maxBytes: 10 })
    for (const [secret, value] of [['a', '123456'], ['b', '123456'], ['c', '12345678901']] as const) {
      await cache.read(cacheKey(secret, ''), () => Promise.resolve(recordOf(value)), call())
    }

    expect(cache.byteSize).toBe(6)
    expect(cache.peek(cacheKey('b', ''))?.state).toBe('HIT')
  })
})
