import { describe, expect, it } from 'vitest'
import { takeTurns } from '../../../shared/credentials/conjur/turns.ts'
import { callOf, testRuntime } from '../../support/runtime.ts'

const setting = () => {
  const { clock } = testRuntime()
  const inTurn = takeTurns(clock)
  const done: string[] = []
  const held = Promise.withResolvers<void>()
  const first = inTurn('a', callOf(clock), async () => {
    await held.promise
    done.push('first')
  })
  return { clock, inTurn, done, held, first }
}

describe('the turns of one name', () => {
  it('come in the order in which they were asked for', async () => {
    const { clock, inTurn, done, held, first } = setting()
    const second = inTurn('a', callOf(clock), async () => void done.push('second'))
    const third = inTurn('a', callOf(clock), async () => void done.push('third'))

    held.resolve()
    await Promise.all([first, second, third])

    expect(done).toEqual(['first', 'second', 'third'])
  })

  it('do not hold up another name', async () => {
    const { clock, inTurn, done, held, first } = setting()

    await inTurn('b', callOf(clock), async () => void done.push('other'))

    expect(done).toEqual(['other'])
    held.resolve()
    await first
  })

  it('go on after one that failed', async () => {
    const { clock, inTurn, held, first } = setting()
    const failed = inTurn('a', callOf(clock), () => Promise.reject(new Error('failed')))
    const next = inTurn('a', callOf(clock), async () => 'done')

    held.resolve()

    await expect(failed).rejects.toThrow('failed')
    expect(await next).toBe('done')
    await first
  })

  it('are not taken by whoever left while it waited, and the next one still waits', async () => {
    const { clock, inTurn, done, held, first } = setting()
    const leaver = new AbortController()
    const left = inTurn('a', { ...callOf(clock), signal: leaver.signal }, async () => void done.push('left'))
    const next = inTurn('a', callOf(clock), async () => void done.push('next'))

    leaver.abort(new Error('left'))
    await expect(left).rejects.toMatchObject({ code: 'deadline_exceeded' })
    held.resolve()
    await Promise.all([first, next])

    expect(done).toEqual(['first', 'next'])
  })
})
