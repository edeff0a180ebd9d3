// Keys that LiteLLM stored, once they are ours, where an operation on them stops half-way: their token has no operation that wrote it, so what finds it and what ends it is
// said by labels and stamps alone.
import { describe, expect, it } from 'vitest'
import { createdName } from '../../../shared/core/names/created.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { leaseMs } from '../../../shared/core/keys/operation.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { tokenHash, type KeyAnswer } from '../../../shared/core/virtual-key.ts'
import { calmHook } from '../../shapes/service.ts'
import { oneStamp } from '../../sim/judges/oracle.ts'
import { shapes, type Shape } from '../../sim/shapes.ts'
import { house, litellmWrites, outcomeOf, stoppingAfter, unanswered, unlabelled } from './key-house.ts'

const theirs = SecretValue.of('sk-litellm-made-this-one')
/** What somebody else writes over it. */
const written = SecretValue.of('sk-written-over-it')

/** A house with a key that LiteLLM stored, and accepts where there is a gateway. */
const withForeign = async (shape: Shape) => {
  const all = await house(shape)
  await litellmWrites(all.provider, theirs)
  all.gateway.hold(theirs)
  return all
}

/** Stops before the claim becomes current. */
const unpromoted = { wrap: () => ({ promote: unanswered }) }

describe.each(shapes)('an adopted key on $name', (shape) => {
  it('is found by its token while a second rotation stands, the first of which a block ruled out', async () => {
    const { keys, beside, context, accepts, runtime } = await withForeign(shape)
    await keys.adopt({ alias: 'a' }, context())
    await outcomeOf(beside(unpromoted).rotate({ alias: 'a' }, {}, context()))
    await keys.setBlocked({ alias: 'a' }, true, context())
    await keys.setBlocked({ alias: 'a' }, false, context())
    runtime.clock.advance(leaseMs)

    await outcomeOf(beside(unpromoted).rotate({ alias: 'a' }, {}, context()))

    expect(await accepts(theirs)).toBe(true)
  })

  it('is not taken for one that somebody else wrote over while it rotates, and a block rules that rotation out', async () => {
    const { keys, beside, context, call, accepts } = await withForeign(shape)
    const adopted = await keys.adopt({ alias: 'a' }, context())
    await outcomeOf(beside(unpromoted).rotate({ alias: 'a' }, {}, context()))
    const { drift } = await keys.info({ alias: 'a' }, call())

    const blocked = await keys.setBlocked({ alias: 'a' }, true, context())
    const freed = await keys.setBlocked({ alias: 'a' }, false, context())

    expect(drift).toBeUndefined()
    expect([adopted, blocked, freed].map(({ epoch }) => epoch > 1)).toEqual([false, true, true])
    expect(await accepts(theirs)).toBe(true)
  })

  it('that is deleted while a rotation looks at its value was not rotated, and the answer says so', async () => {
    const { keys, beside, context } = await withForeign(shape)
    await keys.adopt({ alias: 'a' }, context())
    let deleted = false
    const rotating = beside({
      wrap: (inner) => ({
        read: async (...all) => {
          if (!deleted) {
            deleted = true
            await keys.remove({ alias: 'a' }, context())
          }
          return inner.read(...all)
        },
      }),
    })

    await expect(rotating.rotate({ alias: 'a' }, {}, context())).rejects.toMatchObject({ code: 'not_found', details: { applied: 'no' } })
    expect(deleted).toBe(true)
  })

  it('that was renamed is found by its token under its new name, and not under the old one', async () => {
    const { keys, context, call, accepts } = await withForeign(shape)
    const { keyId } = await keys.adopt({ alias: 'a' }, context())

    await keys.update({ alias: 'a' }, { alias: 'b' }, context())

    expect(await keys.info({ token: theirs }, call())).toMatchObject({ keyId, alias: 'b' })
    expect(await keys.info({ sha256: tokenHash(theirs) }, call())).toMatchObject({ keyId, alias: 'b' })
    expect(await accepts(theirs)).toBe(true)
  })

  it('is accepted in its grace, also where somebody else wrote over the next token and that is rotated', async () => {
    const { keys, context, provider, accepts } = await withForeign(shape)
    await keys.adopt({ alias: 'a' }, context())
    await keys.rotate({ alias: 'a' }, { graceMs: 60_000 }, context())
    await litellmWrites(provider, written)

    const rotated = await keys.rotate({ alias: 'a' }, {}, context())

    expect([await accepts(theirs), await accepts(rotated.key)]).toEqual([true, true])
  })

  it('that was renamed after a rotation was ruled out is found by its token', async () => {
    const { keys, beside, context, call, accepts } = await withForeign(shape)
    const other = beside()
    await other.adopt({ alias: 'a' }, context())
    await outcomeOf(beside(unpromoted).rotate({ alias: 'a' }, {}, context()))
    await other.setBlocked({ alias: 'a' }, true, context())
    await other.setBlocked({ alias: 'a' }, false, context())

    await other.update({ alias: 'a' }, { alias: 'b' }, context())

    expect((await keys.info({ token: theirs }, call())).alias).toBe('b')
    expect(await accepts(theirs)).toBe(true)
  })

  it('that was renamed is found by its token while another one is made under its old name', async () => {
    const { keys, beside, context, call, accepts } = await withForeign(shape)
    // Who is asked afterwards has not put it there, and so looks it up.
    const { keyId } = await beside().adopt({ alias: 'a' }, context())
    await beside().update({ alias: 'a' }, { alias: 'b' }, context())

    await outcomeOf(beside(stoppingAfter('write', 'litellm/a')).create({ alias: 'a' }, context()))

    expect(await keys.info({ token: theirs }, call())).toMatchObject({ keyId, alias: 'b' })
    expect(await accepts(theirs)).toBe(true)
  })

  it('lives on under its name where a renaming is taken back', async () => {
    const { keys, beside, context, call, accepts, sweep, runtime } = await withForeign(shape)
    const { keyId } = await keys.adopt({ alias: 'a' }, context())
    await outcomeOf(beside(unpromoted).update({ alias: 'a' }, { alias: 'b' }, context()))
    runtime.clock.advance(leaseMs)

    await sweep()

    expect(await keys.info({ alias: 'a' }, call())).toMatchObject({ keyId, state: 'active' })
    expect([await accepts(theirs), await sweep()]).toEqual([true, []])
  })

  it('that was deleted answers a repetition of its adoption with that, also under the next key of the name, and leaves that alone', async () => {
    const { withGateway, context, atGateway, provider } = await withForeign(shape)
    const keys = withGateway()
    const { keyId } = await keys.adopt({ alias: 'a' }, context('adopt-adopt-adopt'))
    const said = { keyId, state: 'revoked', superseded: 'deleted' }
    await keys.remove({ alias: 'a' }, context())

    const deleted = await keys.adopt({ alias: 'a' }, context('adopt-adopt-adopt'))
    const next = await keys.create({ alias: 'a' }, context())
    const replaced = await keys.adopt({ alias: 'a' }, context('adopt-adopt-adopt')).catch((error: unknown) => error)

    expect(deleted).toMatchObject(said)
    expect(replaced).toMatchObject(oneStamp(provider) ? { code: 'conflict', details: { applied: 'yes' } } : said)
    expect([atGateway(theirs), atGateway(next.key)]).toEqual([false, true])
  })

  it('that was deleted answers a repetition of its adoption with that also while the next key of the name has none of its labels yet', async () => {
    const { keys, beside, context, provider } = await withForeign(shape)
    const { keyId } = await keys.adopt({ alias: 'a' }, context('adopt-adopt-adopt'))
    await keys.remove({ alias: 'a' }, context())
    await outcomeOf(beside(stoppingAfter('write', 'litellm/a')).create({ alias: 'a' }, context()))

    const again = await keys.adopt({ alias: 'a' }, context('adopt-adopt-adopt')).catch((error: unknown) => error)

    expect(again).toMatchObject(oneStamp(provider) ? { code: 'conflict', details: { applied: 'yes' } } : { keyId, state: 'revoked', superseded: 'deleted' })
  })

  it('leaves no token at the gateway that the manager does not hold, where somebody else wrote over it before the gateway was told', async () => {
    const { withGateway, context, provider, accepts, atGateway, sweep, runtime } = await withForeign(shape)
    let marked = false
    const meanwhile = withGateway({
      wrap: ({ annotate }) => ({
        annotate: async (...all) => {
          await annotate(...all)
          if (!marked) await litellmWrites(provider, written)
          marked = true
        },
      }),
    })

    const said = await outcomeOf(meanwhile.adopt({ alias: 'a' }, context()))
    await outcomeOf(withGateway().rotate({ alias: 'a' }, {}, context()))
    runtime.clock.advance(leaseMs)
    await sweep(withGateway())

    expect([said, await accepts(theirs), atGateway(theirs)]).toEqual(['done', false, false])
  })

  it('leaves no such token either where its adoption stopped there and the value that somebody else wrote is adopted', async () => {
    const { withGateway, context, provider, accepts, atGateway, sweep, gateway } = await withForeign(shape)
    const keys = withGateway()
    await outcomeOf(withGateway({}, () => ({ change: () => Promise.reject(new LatchkeyError('gateway_unavailable', 'The gateway does not answer.')) })).adopt({ alias: 'a' }, context()))
    await litellmWrites(provider, written)
    gateway.hold(written)

    await keys.adopt({ alias: 'a' }, context())
    await sweep(keys)

    expect([await accepts(theirs), atGateway(theirs), await accepts(written), atGateway(written)]).toEqual([false, false, true, true])
  })

  it('has a row with our mark, so that the sweep ends its token once somebody else wrote over it', async () => {
    const { withGateway, context, provider, gateway, sweep, runtime } = await withForeign(shape)
    const keys = withGateway()
    const { keyId } = await keys.adopt({ alias: 'a' }, context())
    const marked = gateway.rows().get(tokenHash(theirs))
    await litellmWrites(provider, written)
    await outcomeOf(keys.rotate({ alias: 'a' }, {}, context()))
    runtime.clock.advance(leaseMs)

    await sweep(keys)

    expect(marked).toMatchObject({ keyId, epoch: 1 })
    expect(gateway.accepts(tokenHash(theirs))).toBe(false)
  })

  it('whose deletion stopped at its tombstone is ended at the gateway by the sweep', async () => {
    const { withGateway, context, atGateway, sweep, runtime } = await withForeign(shape)
    const keys = withGateway()
    await keys.adopt({ alias: 'a' }, context())
    await outcomeOf(withGateway({ wrap: (inner) => stoppingAfter('write', 'litellm/a').wrap(unlabelled(inner, 'litellm/a')) }).remove({ alias: 'a' }, context()))
    const before = atGateway(theirs)
    runtime.clock.advance(leaseMs)

    const done = await sweep(keys)

    expect(done.map(({ name, finding, action }) => [name, finding, action])).toEqual([['litellm/a', 'unfinished', 'repaired']])
    expect([before, atGateway(theirs)]).toEqual([true, false])
  })

  it('whose rotation stopped once it was current, and that is deleted then, leaves no token at the gateway', async () => {
    const { withGateway, context, gateway, runtime } = await withForeign(shape)
    const keys = withGateway()
    await keys.adopt({ alias: 'a' }, context())
    await outcomeOf(withGateway(stoppingAfter('promote', 'litellm/a')).rotate({ alias: 'a' }, {}, context()))
    runtime.clock.advance(leaseMs)

    await keys.remove({ alias: 'a' }, context())

    expect([...gateway.rows()].filter(([hash]) => gateway.accepts(hash))).toEqual([])
  })
})

describe.each(shapes)('a gateway that follows a key on $name', (shape) => {
  it('which a renaming has just left goes on accepting its token', async () => {
    const { withGateway, beside, gateway, context, call, atGateway, sweep, runtime } = await withForeign(shape)
    const { keyId } = await withGateway().adopt({ alias: 'a' }, context())
    await gateway.through(calmHook, runtime.clock).change({ token: theirs }, { teamId: 'changed there' }, call())
    let renamed = false
    const meanwhile = withGateway({}, (inner) => ({
      change: async (...all) => {
        if (!renamed) {
          renamed = true
          await outcomeOf(beside(stoppingAfter('promote', 'litellm/a')).update({ alias: 'a' }, { alias: 'b' }, context()))
        }
        return inner.change(...all)
      },
    }))

    await sweep(meanwhile)

    expect(await beside().info({ keyId }, call())).toMatchObject({ alias: 'b' })
    expect(atGateway(theirs)).toBe(true)
  })

  it.each([
    ['leaves the token before its end', 0, true],
    ['does not accept the token before once its grace is over', 10_000, false],
  ])('which was rotated meanwhile %s, and the current one its alias', async (_what, laterMs, accepted) => {
    const { withGateway, gateway, context, call, runtime, atGateway } = await house(shape)
    const other = withGateway()
    const made = await other.create({ alias: 'a' }, context())
    await gateway.through(calmHook, runtime.clock).change({ token: made.key as SecretValue }, { teamId: 'changed there' }, call())
    let rotated: KeyAnswer | undefined
    const meanwhile = withGateway({}, (inner) => ({
      change: async (...all) => {
        if (rotated === undefined) {
          rotated = await other.rotate({ alias: 'a' }, { graceMs: 10_000 }, context())
          runtime.clock.advance(laterMs)
        }
        return inner.change(...all)
      },
    }))

    // Only the keys: the gateway's own rows would come on the next page.
    await meanwhile.reconcile({ limit: 50, repair: true }, context())

    expect([made, rotated].map((answer) => atGateway(answer?.key))).toEqual([accepted, true])
    expect(gateway.rows().get(tokenHash(rotated?.key as SecretValue))?.alias).toBe('a')
    runtime.clock.advance(10_000)
    expect([made, rotated].map((answer) => atGateway(answer?.key))).toEqual([false, true])
  })

  it('which was deleted meanwhile leaves its alias free', async () => {
    const { withGateway, context, gateway, atGateway } = await withForeign(shape)
    const other = withGateway()
    let deleted = false
    const meanwhile = withGateway({}, (inner) => ({
      change: async (...all) => {
        if (!deleted) {
          deleted = true
          await other.remove({ alias: 'a' }, context())
        }
        return inner.change(...all)
      },
    }))

    await outcomeOf(meanwhile.adopt({ alias: 'a' }, context()))
    const next = await other.create({ alias: 'a' }, context())

    expect([deleted, atGateway(theirs), atGateway(next.key)]).toEqual([true, false, true])
    expect([...gateway.rows().values()].filter(({ alias }) => alias === 'a')).toHaveLength(1)
  })
})

describe.each(shapes.filter(({ outsiders }) => outsiders['foreign write'] !== undefined))('an adoption on $name', (shape) => {
  it('over whose value somebody else writes in the service before it is done tells which key it took over', async () => {
    const { withGateway, context, service, gateway } = await withForeign(shape)
    let over = false
    const meanwhile = withGateway({}, ({ change }) => ({
      change: async (...all) => {
        if (!over) await shape.outsiders['foreign write']?.(service, createdName('litellm/a'))
        over = true
        return change(...all)
      },
    }))

    const { keyId } = await meanwhile.adopt({ alias: 'a' }, context())

    expect(keyId).toBe(gateway.rows().get(tokenHash(theirs))?.keyId)
    expect(keyId).toHaveLength(16)
  })
})
