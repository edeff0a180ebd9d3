// Events about keys on every class of store: however often they come, in whatever order and to how many instances, the key is rotated once.
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { leaseMs } from '../../shared/core/keys/operation.ts'
import { shapes } from '../sim/shapes.ts'
import { day, eventOf, hour, houseOn } from './rotation-house.ts'

const minute = 60_000

describe.each(shapes)('a rotation event on $name', (shape) => {
  it('gives the key a new token, keeps the one before for a day, and says so in one line', async () => {
    const { handle, oldKey, tokenOf, accepts, epochOf, lines, clock } = await houseOn(shape)
    const made = await oldKey('a')

    const outcome = await handle(eventOf({ keyId: made.keyId, id: 'event-7' }))

    expect([outcome.decision, outcome.reason, outcome.keyId]).toEqual(['done', 'rotated', made.keyId])
    expect(await epochOf('a')).toBe(2)
    expect((await tokenOf('a')).equals(made.key as never)).toBe(false)
    expect([await accepts(made.key), await accepts(await tokenOf('a'))]).toEqual([true, true])
    expect(lines()).toMatchObject([{ decision: 'allowed', code: 'rotated', caller: 'http', requestId: 'event-7', name: 'litellm/a', keyId: made.keyId, operationId: outcome.operationId }])
    clock.advance(day)
    expect(await accepts(made.key)).toBe(false)
  })

  it('that is delivered again, at once or within its hour, is acknowledged and changes nothing', async () => {
    const { handle, oldKey, clock, writes, epochOf } = await houseOn(shape)
    const { keyId } = await oldKey('a')
    const event = eventOf({ keyId, at: new Date(clock.now()) })
    await handle(event)
    const before = writes()

    const again = [await handle(event)]
    clock.advance(30 * minute)
    again.push(await handle(event))

    expect(again.map(({ decision, reason }) => [decision, reason])).toEqual([['ignored', 'already_done'], ['ignored', 'already_done']])
    expect([writes() - before, await epochOf('a')]).toEqual([0, 2])
  })

  it('that is replayed after days is acknowledged, unread', async () => {
    const { handle, oldKey, clock, steps } = await houseOn(shape)
    const { keyId } = await oldKey('a')
    const event = eventOf({ keyId, at: new Date(clock.now()) })
    await handle(event)
    clock.advance(3 * day)
    steps.length = 0

    const outcome = await handle(event)

    expect([outcome.decision, outcome.reason, steps.length]).toEqual(['ignored', 'too_old', 0])
  })

  it('of another source about the same need comes too soon for ten minutes', async () => {
    const { handle, oldKey, clock, epochOf } = await houseOn(shape)
    const { keyId } = await oldKey('a')
    await handle(eventOf({ keyId }))
    clock.advance(9 * minute)
    const soon = await handle(eventOf({ keyId, id: 'event-2', source: 'scheduler' }))
    const early = await handle(eventOf({ keyId, id: 'event-0', source: 'event_grid', at: new Date(clock.now() - 20 * minute) }))
    clock.advance(2 * minute)

    const later = await handle(eventOf({ keyId, id: 'event-3', source: 'scheduler' }))

    expect([soon, early, later].map(({ decision }) => decision)).toEqual(['ignored', 'ignored', 'done'])
    expect(await epochOf('a')).toBe(3)
  })

  it('brings a rotation to its end that stopped before its token became current, and one that stopped after', async () => {
    const { handle, instance, oldKey, keys, call, epochOf, accepts, tokenOf } = await houseOn(shape)
    const [one, two] = [await oldKey('a'), await oldKey('b')]
    const lost = (): Promise<never> => Promise.reject(new LatchkeyError('provider_unavailable', 'The service does not answer.'))
    const before = await instance(() => ({ promote: lost }))
    const after = await instance((inner) => ({ promote: async (...all) => { await inner.promote?.(...all); return lost() }, describe: async (...all) => { const facts = await inner.describe?.(...all); return facts?.versions?.some(({ epoch, stages }) => epoch === 2 && stages.includes('current')) === true ? lost() : (facts as never) } }))
    const stopped = [await before.handle(eventOf({ keyId: one.keyId })), await after.handle(eventOf({ name: 'litellm/b' }))]

    const repeated = [await handle(eventOf({ keyId: one.keyId })), await handle(eventOf({ name: 'litellm/b' }))]

    expect(stopped.map(({ decision, reason }) => [decision, reason])).toEqual([['retry', 'failed'], ['retry', 'failed']])
    expect(repeated.map(({ reason }) => reason)).toEqual(['rotated', 'rotated'])
    expect([await epochOf('a'), await epochOf('b')]).toEqual([2, 2])
    for (const alias of ['a', 'b']) expect((await keys.info({ alias }, call())).operations.find(({ verb }) => verb === 'rotate')?.step).toBe('done')
    expect([await accepts(two.key), await accepts(await tokenOf('b'))]).toEqual([true, true])
  })

  it('rotates although a rotation before it was begun, given up and undone: the token that was written again for that is as old as it was', async () => {
    const { handle, instance, oldKey, keys, context, clock, tokenOf, epochOf } = await houseOn(shape)
    const made = await oldKey('a', { data: { auto_rotate: true, rotation_interval: '30d' } })
    const broken = await instance(() => ({ annotate: () => Promise.reject(new LatchkeyError('provider_unavailable', 'The service does not answer.')) }))
    await broken.keys.rotate({ alias: 'a' }, {}, context()).catch(() => undefined)
    clock.advance(2 * leaseMs)
    await keys.reconcile({ limit: 50, repair: true }, context())
    const undone = [await epochOf('a'), (await tokenOf('a')).equals(made.key as never)]

    const outcome = await handle(eventOf({ keyId: made.keyId }))

    expect(undone).toEqual([2, true])
    expect([outcome.reason, (await tokenOf('a')).equals(made.key as never)]).toEqual(['rotated', false])
  })

  it('and the sweep rotate once between them', async () => {
    const { handle, oldKey, keys, context, clock, epochOf } = await houseOn(shape)
    const { keyId } = await oldKey('a', { data: { auto_rotate: true, rotation_interval: '1d' } })

    const [event, swept] = [await handle(eventOf({ keyId })), await keys.reconcile({ limit: 50, repair: true }, context())]

    expect([event.reason, swept.items]).toEqual(['rotated', []])
    clock.advance(day)
    const due = await handle(eventOf({ kind: 'due', source: 'timer' }))
    expect([due.reason, await epochOf('a')]).toEqual(['swept', 3])
    expect((await handle(eventOf({ keyId, source: 'scheduler' }))).decision).toBe('ignored')
  })

  it('about a key that was deleted, blocked or has expired is ignored, and about what is not ours refused; none writes', async () => {
    const { handle, oldKey, oldSecret, keys, context, clock, writes, lines } = await houseOn(shape)
    await oldKey('deleted')
    await oldKey('blocked')
    await oldKey('expired', { durationMs: day + hour })
    await oldSecret('litellm/theirs', 'sk-theirs', {})
    await keys.remove({ alias: 'deleted' }, context())
    await keys.setBlocked({ alias: 'blocked' }, true, context())
    clock.advance(3 * hour)
    const before = writes()

    const outcomes = []
    for (const name of ['deleted', 'blocked', 'expired', 'theirs', 'absent']) outcomes.push(await handle(eventOf({ name: `litellm/${name}` })))
    outcomes.push(await handle(eventOf({ keyId: 'nobodysnobodysno' })))

    expect(outcomes.map(({ decision, reason }) => [decision, reason])).toEqual([
      ['ignored', 'key_ended'], ['ignored', 'key_ended'], ['ignored', 'key_ended'], ['refused', 'not_ours'], ['refused', 'not_ours'], ['ignored', 'key_ended'],
    ])
    expect([writes() - before, lines().length]).toEqual([0, 6])
  })

  it('that comes fifty times to two instances at once rotates once', { timeout: 60_000 }, async () => {
    const { instance, oldKey, clock, epochOf, accepts, tokenOf, lines } = await houseOn(shape)
    const made = await oldKey('a')
    const [left, right] = [await instance(), await instance()]
    const storm = Array.from({ length: 50 }, (_, index) => eventOf({ keyId: made.keyId, id: `event-${index % 7}`, at: new Date(clock.now()) }))

    const outcomes = await Promise.all(storm.map((event, index) => (index % 2 === 0 ? left : right).handle(event)))
    clock.advance(leaseMs)
    const after = await left.handle(storm[0] as never)

    expect(await epochOf('a')).toBe(2)
    expect(new Set(outcomes.map(({ decision }) => decision))).not.toContain('refused')
    expect(after.decision).not.toBe('retry')
    expect(lines()).toHaveLength(51)
    expect([await accepts(made.key), await accepts(await tokenOf('a'))]).toEqual([true, true])
  })
})

describe('a rotation event about a token of which no store says when it was made', () => {
  it.each([[9, true, 1], [11, false, 2]] as const)('%i minutes after its secret was made comes too soon: %s', async (minutes, soon, epoch) => {
    const { instance, oldKey, epochOf, clock } = await houseOn(shapes[0] as never)
    const { keyId } = await oldKey('a')
    const silent = await instance((inner) => ({
      describe: async (...asked) => {
        const { current, ...facts } = (await inner.describe?.(...asked)) ?? {}
        const { created: _created, operation: _operation, ...version } = current ?? {}
        return { ...facts, created: new Date(clock.now() - minutes * minute), current: version } as never
      },
    }))

    const outcome = await silent.handle(eventOf({ keyId }))

    expect([outcome.reason === 'too_soon', await epochOf('a')]).toEqual([soon, epoch])
  })
})
