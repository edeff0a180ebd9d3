// A key under another name: its id, token and fields stay, the old name ends. Two secrets change one after the other, so every place where it may stop is tried.
import { describe, expect, it } from 'vitest'
import { createdName } from '../../../shared/core/names/created.ts'
import { leaseMs } from '../../../shared/core/keys/operation.ts'
import type { SecretValue } from '../../../shared/core/secret.ts'
import { shapes } from '../../sim/shapes.ts'
import { house, outcomeOf, stoppingAfter, unanswered, unlabelled, type Required } from './key-house.ts'

const newName = 'litellm/b'

/** A provider that stops at one call about one name: before it is sent, or after it took effect. */
const stopping = (method: 'write' | 'promote' | 'annotate', text: string, when: 'before' | 'after') => (inner: Required): Partial<Required> => ({
  [method]: async (...all: readonly unknown[]) => {
    const named = typeof all[0] === 'object' && all[0] !== null && 'text' in all[0] ? (all[0].text as string) : (all[0] as { name: { text: string } }).name.text
    const send = inner[method] as (...given: readonly unknown[]) => Promise<unknown>
    if (named !== text) return send(...all)
    if (when === 'after') await send(...all)
    return unanswered()
  },
})

describe.each(shapes)('a renaming on $name', (shape) => {
  it('keeps token, key id and fields under the new alias, and leaves nothing under the old one', async () => {
    const { keys, context, call, accepts, provider } = await house(shape)
    const made = await keys.create({ alias: 'a', teamId: 'team', durationMs: 3_600_000, data: { note: 'n' } }, context())

    const renamed = await keys.update({ alias: 'a' }, { alias: 'b', data: { more: 1 } }, context())

    expect(renamed).toMatchObject({ keyId: made.keyId, alias: 'b', teamId: 'team', state: 'active', data: { note: 'n', more: 1 }, stored: { name: newName } })
    expect(renamed.expires).toEqual(made.expires)
    expect(await accepts(made.key)).toBe(true)
    expect((await provider.read(createdName(newName), {}, call())).value.equals(made.key as SecretValue)).toBe(true)
    expect(await keys.info({ keyId: made.keyId }, call())).toMatchObject({ alias: 'b' })
    expect(await keys.info({ token: made.key as SecretValue }, call())).toMatchObject({ alias: 'b' })
    await expect(keys.info({ alias: 'a' }, call())).rejects.toMatchObject({ code: 'not_found' })
    expect((await keys.list({ limit: 50 }, call())).items.map(({ alias }) => alias)).toEqual(['b'])
  })

  it('leaves a key that rotates, is blocked, deleted and created anew under both names', async () => {
    const { keys, context, accepts } = await house(shape)
    const made = await keys.create({ alias: 'a' }, context())
    await keys.rotate({ alias: 'a' }, {}, context())
    await keys.update({ keyId: made.keyId }, { alias: 'b' }, context())

    const rotated = await keys.rotate({ alias: 'b' }, {}, context())
    const blocked = await keys.setBlocked({ keyId: made.keyId }, true, context())
    const removed = await keys.remove({ alias: 'b' }, context())
    const again = await Promise.all(['a', 'b'].map((alias) => keys.create({ alias }, context())))

    expect([rotated.keyId, blocked.state, removed.state]).toEqual([made.keyId, 'blocked', 'revoked'])
    expect([await accepts(made.key), await accepts(rotated.key), await accepts(again[0]?.key), await accepts(again[1]?.key)]).toEqual([false, false, true, true])
    await expect(keys.info({ keyId: made.keyId }, context().call)).rejects.toMatchObject({ code: 'not_found' })
  })

  it('goes over a deleted key, and back to the name that it had', async () => {
    const { keys, context, call, accepts } = await house(shape)
    const other = await keys.create({ alias: 'b', data: { old: true } }, context())
    await keys.remove({ alias: 'b' }, context())
    const made = await keys.create({ alias: 'a' }, context())

    const there = await keys.update({ alias: 'a' }, { alias: 'b' }, context())
    const back = await keys.update({ alias: 'b' }, { alias: 'a' }, context())

    expect([there.data, there.keyId, back.keyId, back.alias]).toEqual([{}, made.keyId, made.keyId, 'a'])
    expect([await accepts(made.key), await accepts(other.key)]).toEqual([true, false])
    expect((await keys.info({ keyId: made.keyId }, call())).alias).toBe('a')
  })

  it('gives a key without an alias one', async () => {
    const { keys, context, call } = await house(shape)
    const made = await keys.create({}, context())

    const named = await keys.update({ keyId: made.keyId }, { alias: 'b' }, context())

    expect(named.stored.name).toBe(newName)
    expect((await keys.info({ keyId: made.keyId }, call())).alias).toBe('b')
  })

  it('to an alias that is taken changes nothing', async () => {
    const { keys, context, accepts } = await house(shape)
    const made = await keys.create({ alias: 'a' }, context())
    const other = await keys.create({ alias: 'b' }, context())

    await expect(keys.update({ alias: 'a' }, { alias: 'b' }, context())).rejects.toMatchObject({ code: 'already_exists', details: { param: 'key_alias', applied: 'no' } })
    expect([await accepts(made.key), await accepts(other.key)]).toEqual([true, true])
    expect((await keys.rotate({ alias: 'a' }, {}, context())).keyId).toBe(made.keyId)
  })

  it('is refused while a grace runs, because that token would not move along', async () => {
    const { keys, context } = await house(shape)
    await keys.create({ alias: 'a' }, context())
    await keys.rotate({ alias: 'a' }, { graceMs: 600_000 }, context())

    await expect(keys.update({ alias: 'a' }, { alias: 'b' }, context())).rejects.toMatchObject({ code: 'conflict', details: { retryAfter: expect.any(Number), applied: 'no' } })
  })

  it.each([
    ['before the new name is written', stopping('write', newName, 'before')],
    ['after the new name was written', stopping('write', newName, 'after')],
    ['before the old name ends', stopping('promote', 'litellm/a', 'before')],
    ['after the old name ended', stopping('promote', 'litellm/a', 'after')],
  ])('that stops %s leaves one key, and its repetition ends it', async (_where, wrap) => {
    const { keys, beside, context, accepts, call } = await house(shape)
    const made = await keys.create({ alias: 'a' }, context())
    await outcomeOf(beside({ wrap }).update({ alias: 'a' }, { alias: 'b' }, context('rename-rename-rename')))
    const between = await accepts(made.key)

    const outcome = await outcomeOf(keys.update({ alias: 'a' }, { alias: 'b' }, context('rename-rename-rename')))

    expect([between, outcome]).toEqual([true, 'done'])
    expect(await accepts(made.key)).toBe(true)
    expect((await keys.list({ limit: 50 }, call())).items.map(({ alias }) => alias)).toEqual(['b'])
  })

  it.each([
    ['after the new name was written', stopping('promote', 'litellm/a', 'before'), 'a'],
    ['after the old name ended', stopping('promote', 'litellm/a', 'after'), 'b'],
  ])('that stops %s and is not sent again leaves a key that the next operation finds', async (_where, wrap, alias) => {
    const { keys, beside, context, accepts, runtime, call } = await house(shape)
    const made = await keys.create({ alias: 'a' }, context())
    await outcomeOf(beside({ wrap }).update({ alias: 'a' }, { alias: 'b' }, context()))
    runtime.clock.advance(leaseMs)

    const rotated = await keys.rotate({ keyId: made.keyId }, {}, context())

    expect([rotated.alias, rotated.keyId, await accepts(rotated.key)]).toEqual([alias, made.keyId, true])
    expect((await keys.info({ token: rotated.key as SecretValue }, call())).alias).toBe(alias)
  })

  it('whose version stands under the new name without its labels is no key there yet', async () => {
    const { keys, beside, context, accepts } = await house(shape)
    const made = await keys.create({ alias: 'a' }, context())
    await outcomeOf(beside({ wrap: (inner) => stoppingAfter('write', newName).wrap(unlabelled(inner, newName)) }).update({ alias: 'a' }, { alias: 'b' }, context('rename-rename-rename')))

    const deleted = await outcomeOf(keys.remove({ alias: 'b' }, context()))
    const renamed = await keys.update({ alias: 'a' }, { alias: 'b' }, context('rename-rename-rename'))

    expect([deleted, renamed.alias, renamed.keyId, await accepts(made.key)]).toEqual(['not_found', 'b', made.keyId, true])
  })

  it('back to a name whose labels still say how the key left it is no key there yet', async () => {
    const { keys, beside, context, accepts, runtime, sweep, call } = await house(shape)
    const made = await keys.create({ alias: 'a' }, context())
    await keys.update({ alias: 'a' }, { alias: 'b' }, context())
    await outcomeOf(beside(stoppingAfter('write', 'litellm/a')).update({ alias: 'b' }, { alias: 'a' }, context()))
    runtime.clock.advance(leaseMs)

    const rotated = await outcomeOf(keys.rotate({ alias: 'a' }, {}, context()))
    await sweep()

    expect([rotated, (await keys.info({ keyId: made.keyId }, call())).alias, await accepts(made.key)]).toEqual(['not_found', 'b', true])
    expect((await keys.list({ limit: 50 }, call())).items.map(({ alias }) => alias)).toEqual(['b'])
  })

  it('that was given up does not hold its new name for ever', async () => {
    const { keys, beside, context, accepts, runtime } = await house(shape)
    const made = await keys.create({ alias: 'a' }, context())
    await outcomeOf(beside({ wrap: stopping('promote', 'litellm/a', 'before') }).update({ alias: 'a' }, { alias: 'b' }, context()))
    await expect(keys.create({ alias: 'b' }, context())).rejects.toMatchObject({ code: expect.stringMatching(/^(conflict|already_exists)$/) })
    runtime.clock.advance(leaseMs)
    const rotated = await keys.rotate({ alias: 'a' }, {}, context())

    const other = await keys.create({ alias: 'b' }, context())

    expect([other.keyId === made.keyId, await accepts(other.key), await accepts(rotated.key)]).toEqual([false, true, true])
    expect((await keys.info({ keyId: made.keyId }, context().call)).alias).toBe('a')
  })

  it('where no value may be read gives the key a new token', async () => {
    const { beside, keys, context } = await house(shape)
    const blind = beside({ accessMode: 'write_only' })
    const made = await blind.create({ alias: 'a' }, context())

    const renamed = await blind.update({ alias: 'a' }, { alias: 'b' }, context())

    expect([renamed.keyId, renamed.alias]).toEqual([made.keyId, 'b'])
    expect((await keys.verify(renamed.key as SecretValue, context().call)).valid).toBe(true)
    expect((await keys.verify(made.key as SecretValue, context().call)).valid).toBe(false)
  })
})

describe('a move', () => {
  it('to another team changes the name where names hold the team, and needs no alias', async () => {
    const { keys, context, accepts } = await house(undefined, { options: { keyName: '{prefix}{team}/{alias}' } })
    const made = await keys.create({ alias: 'a', teamId: 'one' }, context())

    const moved = await keys.update({ keyId: made.keyId }, { teamId: 'two' }, context())

    expect(moved).toMatchObject({ keyId: made.keyId, alias: 'a', teamId: 'two', stored: { name: 'litellm/two/a' } })
    expect(moved.key).toBeUndefined()
    expect((await keys.info({ keyId: made.keyId }, context().call)).teamId).toBe('two')
    expect(await accepts(made.key)).toBe(true)
  })
})
