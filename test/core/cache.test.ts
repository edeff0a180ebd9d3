import { describe, expect, it } from 'vitest'
import { cacheKey } from '../../shared/core/cache.ts'
import type { LatchkeyError } from '../../shared/core/errors.ts'
import { callOf } from '../support/runtime.ts'
import { absent, down, key, recordOf, setUp, text } from './cached-service.ts'

describe('freshness', () => {
  it('is the one that the key brings, where it brings one', async () => {
    const { cache, clock, load, asked, call } = setUp({ ttlMs: 1_000 })
    const longer = cacheKey('of its own', '', 5_000)
    const first = cache.read(longer, load, call())
    asked[0]?.answer('one')
    await first
    clock.advance(3_000)

    const hit = cache.peek(longer)

    expect(hit?.state).toBe('HIT')
  })

  it('of nothing keeps nothing: no value, no stale answer, no absence', async () => {
    const { cache, load, asked, call } = setUp()
    const never = cacheKey('always read', '', 0)
    const found = cache.read(never, load, call())
    asked[0]?.answer('one')
    await found
    const failing = cache.read(never, load, call())
    asked[1]?.fail(down())
    const failed = await failing.catch((error: LatchkeyError) => error.code)
    const missing = cache.read(never, load, call())
    asked[2]?.fail(absent())
    await missing.catch(() => undefined)

    const again = cache.read(never, load, call())
    asked[3]?.answer('two')

    expect([failed, await text(again), asked.length, cache.size]).toEqual(['provider_unavailable', 'MISS two', 4, 0])
  })

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

  it('leaves nothing under way behind an answer where nothing runs after it: the first read after the TTL waits', async () => {
    const { cache, clock, load, asked, call } = setUp({ ttlMs: 1_000, refreshBeside: false })
    const first = cache.read(key, load, call())
    asked[0]?.answer('one')
    await first
    clock.advance(999)

    const late = await text(cache.read(key, load, call()))
    const askedBy = asked.length
    clock.advance(1)
    const after = cache.read(key, load, call())
    asked[1]?.answer('two')

    expect([late, askedBy, await text(after)]).toEqual(['HIT one', 1, 'MISS two'])
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

  it('takes no notice of a rotation that is over already', async () => {
    const { cache, clock, load, asked, call } = setUp({ ttlMs: 1_000 })
    const first = cache.read(key, load, call())
    asked[0]?.answer('one', { nextRotation: new Date(1_000_000) })
    await first

    clock.advance(700)

    expect(cache.peek(key)?.record.value.reveal()).toBe('one')
  })

  it('does not let a read that asks for a refresh share the quiet one that is on its way', async () => {
    const { cache, clock, load, asked, call } = setUp({ ttlMs: 1_000 })
    const first = cache.read(key, load, call())
    asked[0]?.answer('one')
    await first
    clock.advance(800)
    await cache.read(key, load, call())

    const refreshed = [cache.read(key, load, call(), true), cache.read(key, load, call(), true)]
    asked[2]?.answer('three')
    asked[1]?.answer('two')

    expect(await Promise.all(refreshed.map(text))).toEqual(['MISS three', 'MISS three'])
    expect(asked).toHaveLength(3)
  })

  it('does not let a read that asks for a refresh share an ordinary flight after the TTL', async () => {
    const { cache, clock, load, asked, call } = setUp({ ttlMs: 1_000 })
    const first = cache.read(key, load, call())
    asked[0]?.answer('one')
    await first
    clock.advance(1_000)

    const plain = cache.read(key, load, call())
    const refreshed = cache.read(key, load, call(), true)
    asked[1]?.answer('two')
    asked[2]?.answer('three')

    expect([await text(plain), await text(refreshed)]).toEqual(['MISS two', 'MISS three'])
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

  it('gives its places back when it is forgotten', async () => {
    const { cache, call } = setUp()
    const keys = Array.from({ length: 100 }, (_, index) => cacheKey(`s${index}`, ''))
    const readAll = async (): Promise<void> => {
      for (const each of keys) await cache.read(each, () => Promise.reject(absent()), call()).catch(() => undefined)
    }
    await readAll()
    for (const each of keys) cache.invalidate(each.secret)

    await readAll()

    expect(cache.size).toBe(100)
  })
})
