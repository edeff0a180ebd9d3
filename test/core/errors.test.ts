import { describe, expect, it } from 'vitest'
import { LatchkeyError, asLatchkeyError, isCode } from '../../shared/core/errors.ts'
import { nearest } from '../../shared/core/errors/nearest.ts'
import { checkCall, waitFor } from '../../shared/core/runtime.ts'
import { canaryToken } from '../support/canary.ts'
import { ManualClock, callOf } from '../support/runtime.ts'

describe('a failure that nobody authored', () => {
  it('becomes internal and leaves its message behind', () => {
    const secret = canaryToken('unauthored')

    const error = asLatchkeyError(new TypeError(`cannot read ${secret}`, { cause: secret }))

    expect(error.code).toBe('internal')
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(secret)
  })

  it.each(['AbortError', 'TimeoutError'])('that is an %s is a deadline that was exceeded, with an unknown outcome', (name) => {
    expect(asLatchkeyError(new DOMException('gone', name))).toMatchObject({ code: 'deadline_exceeded', details: { applied: 'unknown' } })
  })

  it('that is no error at all becomes internal too', () => {
    expect([asLatchkeyError('text').code, asLatchkeyError(undefined).code]).toEqual(['internal', 'internal'])
  })
})

describe('an authored failure', () => {
  it('passes as it is, and can be told more', () => {
    const error = new LatchkeyError('conflict', 'Moved.', { retryAfter: 1 })

    const more = error.with({ operationId: 'o' })

    expect(asLatchkeyError(error)).toBe(error)
    expect(more).toMatchObject({ code: 'conflict', message: 'Moved.', details: { retryAfter: 1, operationId: 'o' } })
    expect([isCode(more, 'conflict'), isCode(more, 'internal', 'not_found'), isCode(new Error('conflict'), 'conflict')]).toEqual([true, false, false])
  })
})

describe('the nearest known word', () => {
  it.each([
    ['acces_mode', ['access_mode', 'hosted_keys'], 'access_mode'],
    ['Hosted_Keys', ['access_mode', 'hosted_keys'], 'hosted_keys'],
    ['hosted_key', ['hosted_keys', 'hosted_kexx'], 'hosted_keys'],
    ['zzz', ['access_mode', 'hosted_keys'], undefined],
    ['ab', ['abcde'], undefined],
    ['', ['a'], 'a'],
    ['x', [], undefined],
  ])('to %j among %j is %j', (word, known, expected) => {
    expect(nearest(word, known)).toBe(expected)
  })
})

describe("a caller's patience", () => {
  it('ends before a send: the deadline first to the millisecond, and with the reason of the signal', () => {
    const clock = new ManualClock()
    const leaving = new AbortController()
    const call = callOf(clock, { withinMs: 10, signal: leaving.signal })

    checkCall(call, clock)
    clock.advance(9)
    checkCall(call, clock)
    clock.advance(1)

    expect(() => checkCall(call, clock)).toThrow(expect.objectContaining({ code: 'deadline_exceeded', details: { applied: 'no' } }))
    leaving.abort(new Error('the caller left'))
    expect(() => checkCall(call, clock)).toThrow('the caller left')
  })

  it('does not begin to wait for what others share once it is over', async () => {
    const clock = new ManualClock()
    const shared = Promise.reject(new Error('failed for others'))

    const late = waitFor(shared, callOf(clock, { withinMs: 0 }), clock)

    await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded' })
  })
})
