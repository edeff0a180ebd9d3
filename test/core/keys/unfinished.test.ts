// What an operation does about one that somebody else left unfinished: below the lease it stays away, above it it drives or clears away.
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { shapes } from '../../sim/shapes.ts'
import { house, outcomeOf, seconds, unanswered, type Required } from './key-house.ts'

const leaseMs = 60_000
const name = createdName('litellm/a')

/** Stops a rotation before its stamp, before it takes effect, and before it is done. */
const beforeStamp = () => ({ annotate: unanswered })
const beforePromotion = () => ({ promote: unanswered })
const beforeRetirement = (provider: Required) => ({
  discard: unanswered,
  annotate: (...given: Parameters<Required['annotate']>) => (Object.values(given[1].labels ?? {}).some((text) => text?.includes(' done ')) ? unanswered() : provider.annotate(...given)),
})

describe.each(shapes)('an unfinished rotation on $name', (shape) => {
  it.each([
    // Its epoch is used up, so that it cannot take effect any more.
    ['without a stamp', beforeStamp, 3],
    ['with a stamp', beforePromotion, 3],
    ['that is already current', beforeRetirement, 3],
  ])('%s is left alone below the lease, then settled by the next rotation', async (_where, wrap, epoch) => {
    const { keys, beside, context, runtime, accepts } = await house(shape)
    const first = await keys.create({ alias: 'a' }, context())
    const stopped = await outcomeOf(beside({ wrap }).rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate')))
    runtime.clock.advance(leaseMs - 1 - shape.pausesMs)
    const young = keys.rotate({ alias: 'a' }, {}, context())
    await expect(young).rejects.toMatchObject({ code: 'conflict', details: { retryAfter: seconds(shape, 1), applied: 'no' } })
    runtime.clock.advance(1 + shape.pausesMs)

    const next = await keys.rotate({ alias: 'a' }, {}, context())

    expect(stopped).toBe('provider_unavailable')
    expect(next.epoch).toBe(epoch)
    expect([await accepts(first.key), await accepts(next.key)]).toEqual([false, true])
  })

  it.each([
    ['with a stamp', beforePromotion],
    ['that is already current', beforeRetirement],
  ])('%s, settled by others, is repeated without effect', async (_where, wrap) => {
    const { keys, beside, context, runtime, accepts } = await house(shape)
    await keys.create({ alias: 'a' }, context())
    await outcomeOf(beside({ wrap }).rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate')))
    runtime.clock.advance(leaseMs)
    const next = await keys.rotate({ alias: 'a' }, {}, context())

    const again = await keys.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))

    expect(again).toMatchObject({ keyWithheld: 'superseded', superseded: 'rotated', epoch: 3 })
    expect(await accepts(next.key)).toBe(true)
  })

  it('that its own caller repeats goes on at once, and gives the same token to everybody', async () => {
    const { keys, beside, context, accepts } = await house(shape)
    await keys.create({ alias: 'a' }, context())
    await outcomeOf(beside({ wrap: beforePromotion }).rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate')))

    const resumed = await keys.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))
    const again = await beside().rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))

    expect(resumed.epoch).toBe(2)
    expect(again.key?.equals(resumed.key as SecretValue)).toBe(true)
    expect(await accepts(resumed.key)).toBe(true)
  })

  it('whose stamp is gone before it is current keeps the grace that it announces', async () => {
    const { keys, beside, provider, context, call, accepts } = await house(shape)
    const first = await keys.create({ alias: 'a' }, context())
    const { labels: former } = await provider.describe(name, call())
    const overwritten = (inner: Required): Partial<Required> => ({
      annotate: async (...all) => {
        await inner.annotate(...all)
        const slot = Object.entries(all[1].labels ?? {}).find(([, text]) => text?.includes(' rotating '))?.[0]
        if (slot !== undefined) await inner.annotate(name, { labels: { [slot]: former[slot] ?? null } }, call())
      },
    })

    const rotated = await beside({ wrap: overwritten }).rotate({ alias: 'a' }, { graceMs: 60_000 }, context())

    expect(rotated.previousUntil).toBeDefined()
    expect([await accepts(first.key), await accepts(rotated.key)]).toEqual([true, true])
  })

  it('is shown as rotating, and ended by a delete that does not wait for it', async () => {
    const { keys, beside, context, call, accepts } = await house(shape)
    const first = await keys.create({ alias: 'a' }, context())
    await outcomeOf(beside({ wrap: beforePromotion }).rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate')))
    const { state } = await keys.info({ alias: 'a' }, call())

    const removed = await keys.remove({ alias: 'a' }, context())

    expect(state).toBe('rotating')
    expect(removed).toMatchObject({ keyId: first.keyId, state: 'revoked' })
    expect(await accepts(first.key)).toBe(false)
    await expect(keys.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))).rejects.toMatchObject({ code: expect.stringMatching(/^(not_found|conflict)$/) })
  })

  it('under write_only is taken back after the lease, because nobody can read its token', async () => {
    const { keys, beside, context, call, runtime } = await house(shape, { accessMode: 'write_only' })
    await keys.create({ alias: 'a' }, context())
    await outcomeOf(beside({ accessMode: 'write_only', wrap: beforeStamp }).rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate')))

    await expect(keys.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))).rejects.toMatchObject({ code: 'conflict', details: { retryAfter: seconds(shape, 60), applied: 'no' } })
    runtime.clock.advance(leaseMs)
    await expect(keys.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('write_only'), details: { applied: 'no' } })
    expect((await keys.info({ alias: 'a' }, call())).epoch).toBe(1)
    expect((await keys.rotate({ alias: 'a' }, {}, context('another-key-another'))).epoch).toBe(2)
  })
})

describe('a pending version of somebody else', () => {
  it('stops a rotation, which says who must act, and no delete', async () => {
    const { keys, context, provider, call, accepts } = await house()
    const made = await keys.create({ alias: 'a' }, context())
    await provider.write({ name, value: SecretValue.of('theirs'), expect: { version: made.stored.version ?? '' }, operation: `console-${'0'.repeat(30)}`, epoch: 2, stage: 'pending' }, call())

    await expect(keys.rotate({ alias: 'a' }, {}, context())).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('end it in the service'), details: { applied: 'no' } })
    expect(await accepts(made.key)).toBe(true)
    expect((await keys.remove({ alias: 'a' }, context())).state).toBe('revoked')
  })

  it('that begins between reading and claiming wins, and the rotation was not applied', async () => {
    const { beside, keys, context, call, provider } = await house()
    const made = await keys.create({ alias: 'a' }, context())
    const slow = beside({
      wrap: (inner) => ({
        write: async (write, given) => {
          await provider.write({ ...write, operation: `2-rotate-${'f'.repeat(32)}`, value: SecretValue.of('sk-faster') }, call())
          return inner.write(write, given)
        },
      }),
    })

    await expect(slow.rotate({ alias: 'a' }, {}, context())).rejects.toMatchObject({ code: 'conflict', details: { applied: 'no', retryAfter: 60 } })
    expect((await keys.info({ keyId: made.keyId }, call())).epoch).toBe(1)
  })

  it('of unknown age counts as old', async () => {
    const { beside, keys, context } = await house(shapes[0], {
      wrap: (inner) => ({
        describe: async (...given) => {
          const facts = await inner.describe(...given)
          return { ...facts, versions: (facts.versions ?? []).map(({ created: _created, ...version }) => version) }
        },
      }),
    })
    await keys.create({ alias: 'a' }, context())
    await outcomeOf(beside({ wrap: beforeStamp }).rotate({ alias: 'a' }, {}, context()))

    expect((await keys.rotate({ alias: 'a' }, {}, context())).epoch).toBe(3)
  })
})

describe.each(shapes)('an unfinished creation over a tombstone on $name', (shape) => {
  const unfinished = async () => {
    const opened = await house(shape)
    const old = await opened.keys.create({ alias: 'a', token: SecretValue.of('sk-old-0001') }, opened.context())
    await opened.keys.remove({ alias: 'a' }, opened.context())
    const stopped = await outcomeOf(opened.beside({ wrap: beforeStamp }).create({ alias: 'a' }, opened.context('create-create-create')))
    return { ...opened, old, stopped }
  }

  it('is no key yet: not shown, not listed, not accepted, not rotated', async () => {
    const { keys, context, call, provider, stopped } = await unfinished()
    const { value } = await provider.read(name, {}, call())

    expect(stopped).toBe('provider_unavailable')
    expect(await keys.verify(value, call())).toEqual({ valid: false })
    expect((await keys.list({ limit: 10 }, call())).items).toEqual([])
    expect((await keys.list({ limit: 10, alias: 'a' }, call())).items).toEqual([])
    expect(await outcomeOf(keys.info({ alias: 'a' }, call()))).toBe('not_found')
    expect(await outcomeOf(keys.rotate({ alias: 'a' }, {}, context()))).toBe('not_found')
  })

  it('is left alone below the lease, then written over', async () => {
    const { keys, context, runtime, accepts, old } = await unfinished()
    await expect(keys.create({ alias: 'a' }, context())).rejects.toMatchObject({ code: 'conflict', details: { retryAfter: seconds(shape, 60), applied: 'no' } })
    runtime.clock.advance(leaseMs)

    const made = await keys.create({ alias: 'a' }, context())

    expect(made).toMatchObject({ epoch: 4, state: 'active' })
    expect([await accepts(made.key), await accepts(old.key)]).toEqual([true, false])
    expect(await keys.create({ alias: 'a' }, context('create-create-create'))).toMatchObject({ keyWithheld: 'superseded' })
  })

  it('that is repeated becomes the key that it was meant to be', async () => {
    const { keys, context, accepts } = await unfinished()

    const made = await keys.create({ alias: 'a' }, context('create-create-create'))

    expect(made).toMatchObject({ epoch: 3, state: 'active' })
    expect(await accepts(made.key)).toBe(true)
  })
})

describe('a creation over a tombstone', () => {
  const overTombstone = async (wrap: (provider: Required) => Partial<Required>, options = {}) => {
    const opened = await house()
    const old = await opened.keys.create({ alias: 'a' }, opened.context())
    await opened.keys.remove({ alias: 'a' }, opened.context())
    return { ...opened, old, slow: opened.beside({ wrap, options }) }
  }

  it('carries its own expiry, team, fields and the configured description', async () => {
    const { slow, context, provider, call, runtime } = await overTombstone(() => ({}), { description: 'Gateway key' })

    const made = await slow.create({ alias: 'a', teamId: 't', durationMs: 60_000, data: { models: ['m'] } }, context())

    expect(made).toMatchObject({ epoch: 3, teamId: 't', data: { models: ['m'] }, expires: new Date(runtime.clock.now() + 60_000) })
    expect((await provider.describe(name, call())).description).toBe('Gateway key')
  })

  it.each([
    ['deleted', 'revoked', 'deleted'],
    ['rotated', 'active', 'rotated'],
  ] as const)('says so when its key is %s before it is answered', async (how, state, superseded) => {
    const opened = await overTombstone((inner) => ({
      annotate: async (...given) => {
        await inner.annotate(...given)
        await (how === 'deleted' ? opened.keys.remove({ alias: 'a' }, opened.context()) : opened.keys.rotate({ alias: 'a' }, {}, opened.context()))
      },
    }))

    const made = await opened.slow.create({ alias: 'a' }, opened.context())

    expect(made).toMatchObject({ keyWithheld: 'superseded', superseded, state })
    expect(made.key).toBeUndefined()
  })

  it('and a rotation are answered from what they did, when the secret is gone for good by then', async () => {
    const gone = (inner: Required) => ({
      annotate: async (...given: Parameters<Required['annotate']>) => {
        await inner.annotate(...given)
        const { current } = await inner.describe(name, given[2])
        const finished = Object.values(given[1].labels ?? {}).some((text) => text?.includes(' done '))
        await (finished && current !== undefined ? inner.remove(name, { expect: 'any', final: true }, given[2]) : undefined)
      },
    })
    const creating = await overTombstone(gone)
    const rotating = await house()
    await rotating.keys.create({ alias: 'a' }, rotating.context())

    const made = await creating.slow.create({ alias: 'a' }, creating.context())
    const rotated = await rotating.beside({ wrap: gone }).rotate({ alias: 'a' }, {}, rotating.context())

    expect([made.key, rotated.key].map((key) => key instanceof SecretValue)).toEqual([true, true])
    expect(await creating.accepts(made.key)).toBe(false)
  })

  it.each([
    ['every label', () => true],
    ['the key id', (key: string) => key === 'latchkey-key-id'],
  ])('that somebody took %s off is another key, and the delete is still recognised', async (_what, goes) => {
    const { keys, context, call, provider, accepts } = await house()
    const old = await keys.create({ alias: 'a' }, context())
    await keys.remove({ alias: 'a' }, context('delete-delete-delete'))
    const takeOff = async () => {
      const { labels } = await provider.describe(name, call())
      await provider.annotate(name, { labels: Object.fromEntries(Object.keys(labels).filter(goes).map((key) => [key, null])) }, call())
    }
    await takeOff()

    const removedAgain = await keys.remove({ alias: 'a' }, context('delete-delete-delete'))
    await takeOff()
    const made = await keys.create({ alias: 'a' }, context())

    expect(removedAgain).toMatchObject({ state: 'revoked', epoch: 2 })
    expect(made).toMatchObject({ state: 'active', epoch: 3 })
    expect([await accepts(old.key), await accepts(made.key)]).toEqual([false, true])
  })

  it('gives up when others change the labels again and again, and says that it took effect', async () => {
    let tries = 0
    const { slow, context, call, keys } = await overTombstone(() => ({
      annotate: () => {
        tries += 1
        return Promise.reject(new LatchkeyError('conflict', 'The labels were changed since.'))
      },
    }))

    await expect(slow.create({ alias: 'a' }, context())).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('gave up'), details: { applied: 'yes', retryAfter: 1 } })
    expect(tries).toBeLessThan(20)
    expect(await outcomeOf(keys.info({ alias: 'a' }, call()))).toBe('not_found')
  })
})
