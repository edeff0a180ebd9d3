// The sweep: it ends what stopped, begins what is due, and says what it did. What belongs to somebody else it leaves alone.
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { leaseMs } from '../../../shared/core/keys/operation.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { shapes } from '../../sim/shapes.ts'
import { house, litellmWrites, outcomeOf, unanswered } from './key-house.ts'

const day = 86_400_000

describe.each(shapes)('the sweep on $name', (shape) => {
  it('finds nothing where all is well, and writes nothing', async () => {
    const { keys, context, sweep, steps } = await house(shape)
    await keys.create({ alias: 'a' }, context())
    await keys.rotate({ alias: 'a' }, { graceMs: 600_000 }, context())
    await keys.create({ alias: 'b' }, context())
    await keys.remove({ alias: 'b' }, context())
    steps.length = 0

    const found = await sweep()

    expect(found).toEqual([])
    expect(steps.filter(({ changes }) => changes)).toEqual([])
  })

  it('leaves what is younger than the lease, and then brings a rotation and a renaming to an end', async () => {
    const { keys, beside, context, sweep, runtime, accepts, call } = await house(shape)
    const one = await keys.create({ alias: 'a' }, context())
    const two = await keys.create({ alias: 'b' }, context())
    await outcomeOf(beside({ wrap: () => ({ promote: unanswered }) }).rotate({ alias: 'a' }, {}, context()))
    await outcomeOf(beside({ wrap: (inner) => ({ promote: async (...all) => { await inner.promote(...all); return unanswered() } }) }).update({ alias: 'b' }, { alias: 'c' }, context()))

    const young = await sweep()
    runtime.clock.advance(leaseMs)
    const old = await sweep()

    expect(young.filter(({ action }) => action === 'repaired')).toEqual([])
    expect(old.length).toBeGreaterThan(0)
    expect(old.every(({ finding, action }) => finding === 'unfinished' && action === 'repaired')).toBe(true)
    expect(await sweep()).toEqual([])
    expect((await keys.info({ keyId: one.keyId }, call())).state).toBe('active')
    expect([(await keys.info({ keyId: two.keyId }, call())).alias, await accepts(two.key)]).toEqual(['c', true])
  })

  it('takes a renaming back that was given up before the old name ended', async () => {
    const { keys, beside, context, sweep, runtime, accepts, call } = await house(shape)
    const made = await keys.create({ alias: 'a' }, context())
    await outcomeOf(beside({ wrap: () => ({ promote: unanswered }) }).update({ alias: 'a' }, { alias: 'b' }, context()))
    runtime.clock.advance(leaseMs)

    await sweep()

    expect(await sweep()).toEqual([])
    expect([(await keys.info({ keyId: made.keyId }, call())).alias, await accepts(made.key)]).toEqual(['a', true])
    expect((await keys.create({ alias: 'b' }, context())).alias).toBe('b')
  })

  it('rotates what is due, once, with a grace of a day, and not what is blocked', async () => {
    const { keys, context, sweep, runtime, accepts, call } = await house(shape)
    const due = await keys.create({ alias: 'a', data: { auto_rotate: true, rotation_interval: '30d' } }, context())
    await keys.create({ alias: 'b', data: { auto_rotate: true, rotation_interval: '30d' } }, context())
    await keys.create({ alias: 'c', data: { rotation_interval: '30d' } }, context())
    await keys.setBlocked({ alias: 'b' }, true, context())
    const { rotationDue } = await keys.info({ alias: 'a' }, call())
    runtime.clock.advance(30 * day)

    const done = await sweep()

    expect(rotationDue?.getTime()).toBeGreaterThan(runtime.clock.now() - 60_000)
    expect(done.map(({ name, finding, action }) => [name, finding, action])).toEqual([['litellm/a', 'rotation_due', 'repaired']])
    expect([(await keys.info({ alias: 'a' }, call())).epoch, await accepts(due.key)]).toEqual([2, true])
    expect(await sweep()).toEqual([])
    runtime.clock.advance(day)
    expect(await accepts(due.key)).toBe(false)
  })

  it('takes the token before back once its grace is over, and leaves it while it lasts', async () => {
    const { keys, context, sweep, runtime, accepts } = await house(shape)
    const first = await keys.create({ alias: 'a' }, context())
    const second = await keys.rotate({ alias: 'a' }, { graceMs: 3_600_000 }, context())
    const early = [await sweep(), await accepts(first.key)]
    runtime.clock.advance(3_600_001)

    const found = await sweep(keys, false)
    const done = await sweep()

    expect(early).toEqual([[], true])
    expect([found, done].map((items) => items.map(({ finding, action }) => [finding, action]))).toEqual([[['grace_over', 'would_repair']], [['grace_over', 'repaired']]])
    expect(await sweep()).toEqual([])
    expect([await accepts(first.key), await accepts(second.key)]).toEqual([false, true])
  })

  it('leaves the token before to a rotation that has not told the gateway yet, so that it ends there as well', async () => {
    const { keys, withGateway, context, sweep, runtime, atGateway } = await house(shape)
    const silent = () => Promise.reject(new LatchkeyError('gateway_unavailable', 'The gateway does not answer.'))
    const told = withGateway()
    const first = await told.create({ alias: 'a' }, context())
    const stopped = await outcomeOf(withGateway({}, () => ({ setBlocked: silent })).rotate({ alias: 'a' }, {}, context()))

    await sweep(told)
    const between = (await keys.info({ alias: 'a' }, context().call)).operations.find(({ verb }) => verb === 'rotate')?.step
    runtime.clock.advance(leaseMs)
    await sweep(told)

    expect([stopped, between]).toEqual(['gateway_unavailable', 'rotating'])
    expect(atGateway(first.key)).toBe(false)
  })

  it('ends a key a day after it expired', async () => {
    const { keys, context, sweep, runtime, call } = await house(shape)
    await keys.create({ alias: 'a', durationMs: 3_600_000 }, context())
    runtime.clock.advance(3_600_000)
    const early = await sweep()
    const { state } = await keys.info({ alias: 'a' }, call())
    runtime.clock.advance(day)

    const late = await sweep()

    expect([early, state]).toEqual([[], 'expired'])
    expect(late.map(({ finding, action }) => [finding, action])).toEqual([['expired', 'repaired']])
    await expect(keys.info({ alias: 'a' }, call())).rejects.toMatchObject({ code: 'not_found' })
  })

  it('sends the service\'s own delete a day after a deletion where the service has one, and the alias can be used again', async () => {
    const { keys, context, sweep, runtime, accepts, provider, call } = await house(shape)
    const old = await keys.create({ alias: 'a' }, context())
    await keys.remove({ alias: 'a' }, context())
    runtime.clock.advance(day)

    const done = await sweep()
    const facts = await provider.describe(createdName('litellm/a'), call()).catch(() => undefined)
    const made = await outcomeOf(keys.create({ alias: 'a' }, context()))
    runtime.clock.advance(leaseMs)
    const later = made === 'done' ? undefined : await keys.create({ alias: 'a' }, context())

    const purged = (provider as { remove?: unknown }).remove !== undefined
    expect(done.map(({ finding, action }) => [finding, action])).toEqual(purged ? [['purge_due', 'repaired']] : [])
    expect(facts?.current === undefined).toBe(purged)
    expect((await keys.info({ alias: 'a' }, call())).keyId).not.toBe(old.keyId)
    expect([await accepts(old.key), later === undefined || (await accepts(later.key))]).toEqual([false, true])
  })

  it('only says what it would do without repair', async () => {
    const { keys, context, sweep, runtime, call } = await house(shape)
    await keys.create({ alias: 'a', data: { auto_rotate: true, rotation_interval: '30d' } }, context())
    runtime.clock.advance(30 * day)

    const found = await sweep(keys, false)

    expect(found.map(({ finding, action }) => [finding, action])).toEqual([['rotation_due', 'would_repair']])
    expect((await keys.info({ alias: 'a' }, call())).epoch).toBe(1)
  })
})

describe('the sweep', () => {
  it('does not see a live key that somebody deleted in the service, because its lists do not; info tells it', async () => {
    const { keys, context, sweep, provider, accepts, call } = await house()
    const made = await keys.create({ alias: 'a' }, context())
    await provider.remove(createdName('litellm/a'), { expect: 'any', final: false }, call())

    const { drift } = await keys.info({ alias: 'a' }, call())
    const done = await sweep()
    await provider.recover(createdName('litellm/a'), call())

    expect(drift?.map(({ kind }) => kind)).toEqual(['deleted_in_service'])
    expect(done).toEqual([])
    expect(await accepts(made.key)).toBe(true)
  })

  it('leaves secrets that are not ours as they are', async () => {
    const { provider, sweep, call, runtime } = await house()
    await litellmWrites(provider, SecretValue.of('sk-theirs'), 'litellm/theirs')
    runtime.clock.advance(30 * day)

    expect(await sweep()).toEqual([])
    expect((await provider.read(createdName('litellm/theirs'), {}, call())).value.equals(SecretValue.of('sk-theirs'))).toBe(true)
  })

  it('stops a page when its time runs out, and goes on from there', async () => {
    const { keys, context, call, runtime } = await house()
    for (const alias of ['a', 'b', 'c']) await keys.create({ alias, data: { auto_rotate: true, rotation_interval: '1d' } }, context())
    runtime.clock.advance(2 * day)

    const short = await keys.reconcile({ limit: 50, repair: true }, { ...context(), call: { ...call(), deadline: runtime.clock.now() + 1_000 } })

    expect(short).toMatchObject({ checked: 0, items: [] })
    expect((await keys.reconcile({ limit: 50, repair: true }, context())).items).toHaveLength(3)
  })
})

describe('a rotation by schedule', () => {
  const minute = 60_000
  it.each([
    ['90s', 10 * minute],
    ['9m', 10 * minute],
    ['11m', 11 * minute],
    ['2h', 120 * minute],
    ['30d', 30 * day],
    ['1w', 7 * day],
    ['1mo', undefined],
    ['30', undefined],
  ])('of every %s is due %s ms after the token was made', async (interval, ms) => {
    const { keys, context, call } = await house()
    await keys.create({ alias: 'a', data: { auto_rotate: true, rotation_interval: interval } }, context())

    const { rotationDue, created } = await keys.info({ alias: 'a' }, call())

    expect(rotationDue?.getTime()).toBe(ms === undefined ? undefined : (created?.getTime() ?? 0) + ms)
  })
})
