// What changes about a key while its token stays: its fields, its end, its team, and whether it is blocked. Over every class of store; what a change meets when
// another operation runs, when its answer is lost and when it lands late.
import { describe, expect, it } from 'vitest'
import { SecretCache } from '../../../shared/core/cache.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { SecretStore } from '../../../shared/core/store.ts'
import type { SecretValue } from '../../../shared/core/secret.ts'
import { leaseMs } from '../../../shared/core/keys/operation.ts'
import { oneStamp } from '../../sim/judges/oracle.ts'
import { shapes } from '../../sim/shapes.ts'
import { house, outcomeOf, stoppingAfter, unanswered, type Required } from './key-house.ts'

const name = createdName('litellm/a')

/** Whether a label change of a store replaces all labels of a version without a condition. */
const lateOnVersion = ({ traits }: Required): boolean => {
  const labels = traits.write?.labels
  return labels !== undefined && labels !== 'none' && labels.lateOnVersion === true
}

describe.each(shapes)('an update on $name', (shape) => {
  it('merges fields, takes one off, sets an end, and keeps token, key id and epoch', async () => {
    const { keys, context, call, accepts, runtime } = await house(shape)
    const made = await keys.create({ alias: 'a', teamId: 'one', data: { note: 'x'.repeat(120), models: ['m'], gone: 1 } }, context())

    const updated = await keys.update({ alias: 'a' }, { data: { models: ['m', 'n'], gone: null }, durationMs: 3_600_000, teamId: 'two' }, context())

    expect(updated).toMatchObject({ keyId: made.keyId, epoch: 1, state: 'active', teamId: 'two', data: { note: 'x'.repeat(120), models: ['m', 'n'] } })
    expect(updated.data).not.toHaveProperty('gone')
    expect(await keys.info({ keyId: made.keyId }, call())).toMatchObject({ teamId: 'two', data: { models: ['m', 'n'] }, expires: updated.expires })
    expect(await accepts(made.key)).toBe(true)
    runtime.clock.advance(3_700_000)
    expect(await accepts(made.key)).toBe(false)
    expect((await keys.info({ alias: 'a' }, call())).state).toBe('expired')
  })

  it('takes the end off again, and the team', async () => {
    const { keys, context, call } = await house(shape)
    await keys.create({ alias: 'a', teamId: 'one', durationMs: 3_600_000 }, context())

    const updated = await keys.update({ alias: 'a' }, { durationMs: null, teamId: null }, context())

    expect([updated.expires, updated.teamId]).toEqual([undefined, undefined])
    expect(await keys.info({ alias: 'a' }, call())).not.toHaveProperty('expires')
  })

  it('leaves an announced grace as it is, and the next rotation as well', async () => {
    const { keys, context, accepts } = await house(shape)
    const first = await keys.create({ alias: 'a' }, context())
    const second = await keys.rotate({ alias: 'a' }, { graceMs: 3_600_000 }, context())

    await keys.update({ alias: 'a' }, { data: { note: 'n' } }, context())
    const third = await keys.rotate({ alias: 'a' }, { graceMs: 60_000 }, context())

    expect(await Promise.all([first, second, third].map(({ key }) => accepts(key)))).toEqual([true, true, true])
    expect(third.data).toEqual({ note: 'n' })
  })

  it('sent again with its Idempotency-Key changes nothing more, and with another body is refused', async () => {
    const { keys, context } = await house(shape)
    await keys.create({ alias: 'a' }, context())
    const first = await keys.update({ alias: 'a' }, { data: { note: 'first' } }, context('update-update-update', '{"note":"first"}'))
    await keys.update({ alias: 'a' }, { data: { note: 'second' } }, context())

    const again = await outcomeOf(keys.update({ alias: 'a' }, { data: { note: 'first' } }, context('update-update-update', '{"note":"first"}')))

    expect(first.data).toEqual({ note: 'first' })
    expect(again).toBe('done')
    expect((await keys.info({ alias: 'a' }, context().call)).data).toEqual({ note: 'second' })
    await keys.update({ alias: 'a' }, { data: { note: 'third' } }, context('another-another-another', '{"note":"third"}'))
    await expect(keys.update({ alias: 'a' }, { data: { note: 'x' } }, context('another-another-another', '{"note":"x"}'))).rejects.toMatchObject({ code: 'idempotency_mismatch' })
  })

  it('that has no room is refused with the limit, and nothing is changed', async () => {
    const { keys, context, call } = await house(shape)
    await keys.create({ alias: 'a', data: { note: 'kept' } }, context())

    await expect(keys.update({ alias: 'a' }, { data: { big: 'x'.repeat(70_000) } }, context())).rejects.toMatchObject({ code: 'too_large', details: { param: 'metadata', applied: 'no' } })
    expect((await keys.info({ alias: 'a' }, call())).data).toEqual({ note: 'kept' })
    expect((await keys.rotate({ alias: 'a' }, {}, context())).epoch).toBe(2)
  })

  it('whose answer is lost is driven to its end by its repetition', async () => {
    const { keys, beside, context, call } = await house(shape)
    await keys.create({ alias: 'a' }, context())
    const losing = beside({ wrap: (inner) => ({ annotate: async (...all) => { await inner.annotate(...all); return unanswered() } }) })
    await outcomeOf(losing.update({ alias: 'a' }, { data: { note: 'n' } }, context('update-update-update')))

    const again = await keys.update({ alias: 'a' }, { data: { note: 'n' } }, context('update-update-update'))

    expect(again.data).toEqual({ note: 'n' })
    expect((await keys.info({ alias: 'a' }, call())).data).toEqual({ note: 'n' })
    expect((await keys.rotate({ alias: 'a' }, {}, context())).data).toEqual({ note: 'n' })
  })

  it('that stopped after its claim is left alone below the lease, and taken back by the next operation', async () => {
    const { keys, beside, context, runtime } = await house(shape)
    await keys.create({ alias: 'a' }, context())
    await outcomeOf(beside({ wrap: () => ({ annotate: unanswered }) }).update({ alias: 'a' }, { data: { note: 'n' } }, context()))

    await expect(keys.rotate({ alias: 'a' }, {}, context())).rejects.toMatchObject({ code: 'conflict', details: { applied: 'no' } })
    runtime.clock.advance(leaseMs)
    const rotated = await keys.rotate({ alias: 'a' }, {}, context())

    expect([rotated.epoch, rotated.data]).toEqual([2, {}])
  })
})

describe.each(shapes)('a block on $name', (shape) => {
  it('refuses the token until it is taken back, over a rotation and an update', async () => {
    const { keys, context, call, accepts } = await house(shape)
    const made = await keys.create({ alias: 'a' }, context())

    const blocked = await keys.setBlocked({ alias: 'a' }, true, context())
    const rotated = await keys.rotate({ alias: 'a' }, {}, context())
    const updated = await keys.update({ alias: 'a' }, { data: { note: 'n' } }, context())

    expect([blocked.state, rotated.state, updated.state, (await keys.info({ alias: 'a' }, call())).state]).toEqual(['blocked', 'blocked', 'blocked', 'blocked'])
    expect([await accepts(made.key), await accepts(rotated.key)]).toEqual([false, false])
    const unblocked = await keys.setBlocked({ keyId: made.keyId }, false, context())
    expect([unblocked.state, await accepts(made.key), await accepts(rotated.key)]).toEqual(['active', false, true])
  })

  it('is no state of a key that is created under the alias afterwards', async () => {
    const { keys, context, accepts } = await house(shape)
    await keys.create({ alias: 'a' }, context())
    await keys.setBlocked({ alias: 'a' }, true, context())
    await keys.remove({ alias: 'a' }, context())

    const made = await keys.create({ alias: 'a' }, context())

    expect([made.state, await accepts(made.key)]).toEqual(['active', true])
  })

  it('of a deleted key says that when it is sent again, also while the next key of the alias has none of its labels yet', async () => {
    const { keys, beside, provider, context } = await house(shape)
    const { keyId } = await keys.create({ alias: 'a' }, context())
    await keys.setBlocked({ alias: 'a' }, true, context('block-block-block'))
    await keys.remove({ alias: 'a' }, context())
    await outcomeOf(beside(stoppingAfter('write', 'litellm/a')).create({ alias: 'a' }, context()))

    const again = await keys.setBlocked({ alias: 'a' }, true, context('block-block-block')).catch((error: unknown) => error)

    expect(again).toMatchObject(oneStamp(provider) ? { code: 'conflict', details: { applied: 'yes' } } : { keyId, state: 'revoked', superseded: 'deleted' })
  })

  it('waits for no rotation: it rules a claim out, and that rotation says that it was not applied', async () => {
    const { keys, beside, context, accepts, provider } = await house(shape)
    const made = await keys.create({ alias: 'a' }, context())
    await outcomeOf(beside({ wrap: () => ({ promote: unanswered }) }).rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate')))

    const blocked = await keys.setBlocked({ alias: 'a' }, true, context())

    // The rotation's epoch is used up: nothing of it can become current any more.
    expect(blocked).toMatchObject({ state: 'blocked', epoch: lateOnVersion(provider) ? 3 : 2 })
    await expect(keys.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))).rejects.toMatchObject({ code: 'conflict', details: { applied: 'no' } })
    await keys.setBlocked({ alias: 'a' }, false, context())
    expect(await accepts(made.key)).toBe(true)
  })

  it('stands on a version of its own where a label change that is delivered again would undo it, and nowhere else', async () => {
    const { keys, context, call, provider, accepts, sweep } = await house(shape)
    const made = await keys.create({ alias: 'a' }, context())
    const first = (await provider.describe(name, call())).current?.id

    const blocked = await keys.setBlocked({ alias: 'a' }, true, context())
    const free = await keys.setBlocked({ alias: 'a' }, false, context())

    const late = lateOnVersion(provider)
    expect([blocked.stored.version !== first, blocked.epoch, free.epoch]).toEqual([late, late ? 2 : 1, blocked.epoch])
    expect([await accepts(made.key), await sweep()]).toEqual([true, []])
  })

  it('twice is a block, and of a key that is not there not_found', async () => {
    const { keys, context } = await house(shape)
    await keys.create({ alias: 'a' }, context())
    await keys.setBlocked({ alias: 'a' }, true, context())

    expect((await keys.setBlocked({ alias: 'a' }, true, context())).state).toBe('blocked')
    await expect(keys.setBlocked({ alias: 'b' }, true, context())).rejects.toMatchObject({ code: 'not_found', details: { applied: 'no' } })
  })

  it('works where no value may be read, and reads none', async () => {
    const { beside, context, call } = await house(shape)
    const reads: string[] = []
    const keys = beside({ accessMode: 'write_only', wrap: (inner) => ({ read: (asked, at, given) => { if (!asked.text.includes('__latchkey')) reads.push(asked.text); return inner.read(asked, at, given) } }) })
    await keys.create({ alias: 'a' }, context())

    await keys.setBlocked({ alias: 'a' }, true, context())
    await keys.update({ alias: 'a' }, { data: { note: 'n' } }, context())

    expect(await keys.info({ alias: 'a' }, call())).toMatchObject({ state: 'blocked', data: { note: 'n' } })
    expect(reads).toEqual([])
  })
})

describe('a change on its way', () => {
  it('holds back a new key of the alias where a label takes no condition, until it has landed', async () => {
    const { keys, beside, context, runtime, provider, call } = await house()
    await keys.create({ alias: 'a' }, context())
    await outcomeOf(beside({ wrap: () => ({ annotate: unanswered }) }).update({ alias: 'a' }, { data: { note: 'late' } }, context()))
    await keys.remove({ alias: 'a' }, context())

    await expect(keys.create({ alias: 'a' }, context())).rejects.toMatchObject({ code: 'conflict', details: { applied: 'no' } })
    await provider.annotate(name, { labels: { 'latchkey-data-1': Buffer.from('{"note":"late"}').toString('base64url') } }, call())
    runtime.clock.advance(leaseMs)
    const made = await keys.create({ alias: 'a' }, context())

    expect(made.data).toEqual({})
  })

  it('of another instance is no rotation', async () => {
    const { keys, beside, context, call } = await house()
    const made = await keys.create({ alias: 'a' }, context())
    await outcomeOf(beside({ wrap: () => ({ annotate: unanswered }) }).update({ alias: 'a' }, { data: {} }, context()))

    const { state } = await keys.info({ alias: 'a' }, call())

    expect(state).toBe('active')
    expect((made.key as SecretValue).isText).toBe(true)
  })
})

describe('the value of a blocked key', () => {
  it('is shown to nobody until it is unblocked', async () => {
    const { keys, context, provider, call, runtime } = await house()
    const made = await keys.create({ alias: 'a' }, context())
    const store = new SecretStore({ name: 'default', system: 'staged', provider, policy: { accessMode: 'read_and_write', prefix: 'litellm', storeVirtualKeys: true }, cache: new SecretCache(runtime.clock, { ttlMs: 0 }), clock: runtime.clock, random: runtime.random })
    await keys.setBlocked({ alias: 'a' }, true, context())

    await expect(store.read({ name: 'litellm/a' }, call())).rejects.toMatchObject({ code: 'forbidden' })
    await keys.setBlocked({ alias: 'a' }, false, context())

    expect((await store.read({ name: 'litellm/a' }, call())).value.equals(made.key as SecretValue)).toBe(true)
  })
})
