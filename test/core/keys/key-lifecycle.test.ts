// Virtual keys over all five shapes of memory, one caller at a time; many callers and faults are the simulator's (test/sim).
import { describe, expect, it } from 'vitest'
import { createdName } from '../../../shared/core/names/created.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { mintedKeyId } from '../../../shared/core/virtual-key.ts'
import { shapes } from '../../sim/shapes.ts'
import { callOf } from '../../support/runtime.ts'
import { house, type Required } from './key-house.ts'

describe.each(shapes)('a key on $name', (shape) => {
  it('is created under its alias, found by key id, and accepted', async () => {
    const { keys, context, call, provider } = await house(shape)

    const made = await keys.create({ alias: 'a', teamId: 'Team 1/ü', data: { models: ['m'], note: 'ü' } }, context())

    expect(made).toMatchObject({ alias: 'a', teamId: 'Team 1/ü', state: 'active', epoch: 1, data: { models: ['m'], note: 'ü' }, enforcedBy: ['verify'], guarantee: shape.guarantee, stored: { store: 'default', name: 'litellm/a' } })
    expect(mintedKeyId(made.key as SecretValue)).toBe(made.keyId)
    expect((await provider.read(createdName('litellm/a'), {}, call())).value.equals(made.key as SecretValue)).toBe(true)
    expect(await keys.info({ keyId: made.keyId }, call())).toMatchObject({ keyId: made.keyId, alias: 'a', data: { models: ['m'], note: 'ü' } })
    expect(await keys.verify(made.key as SecretValue, call())).toEqual({ valid: true, keyId: made.keyId, teamId: 'Team 1/ü' })
  })

  it('without an alias is named after its key id, and rotates and deletes by it', async () => {
    const { keys, context, call, accepts } = await house(shape)

    const made = await keys.create({}, context())
    const rotated = await keys.rotate({ token: made.key as SecretValue }, {}, context())
    const removed = await keys.remove({ keyId: made.keyId }, context())

    expect(made.stored.name).toBe(`litellm/virtual-key-${made.keyId}`)
    expect(made.alias).toBeUndefined()
    expect(rotated).toMatchObject({ keyId: made.keyId, epoch: 2 })
    expect(removed).toMatchObject({ keyId: made.keyId, state: 'revoked', epoch: 3 })
    expect(await accepts(rotated.key)).toBe(false)
    await expect(keys.info({ keyId: made.keyId }, call())).rejects.toMatchObject({ code: 'not_found' })
  })

  it('keeps every announced grace when it rotates again', async () => {
    const { keys, context, runtime, accepts } = await house(shape)
    const first = await keys.create({ alias: 'a' }, context())

    const second = await keys.rotate({ alias: 'a' }, { graceMs: 3_600_000 }, context())
    const third = await keys.rotate({ alias: 'a' }, { graceMs: 60_000 }, context())

    expect(await Promise.all([first, second, third].map(({ key }) => accepts(key)))).toEqual([true, true, true])
    runtime.clock.advance(60_000)
    expect(await Promise.all([first, second, third].map(({ key }) => accepts(key)))).toEqual([true, false, true])
    runtime.clock.advance(3_600_000)
    expect(await Promise.all([first, second, third].map(({ key }) => accepts(key)))).toEqual([false, false, true])
  })

  it('ends the old token at once without a grace', async () => {
    const { keys, context, accepts } = await house(shape)
    const first = await keys.create({ alias: 'a' }, context())

    const second = await keys.rotate({ alias: 'a' }, {}, context())

    expect([await accepts(first.key), await accepts(second.key)]).toEqual([false, true])
    expect(second.previousUntil).toBeUndefined()
  })

  it('ends the old token at once without a grace, where the clock of the service goes before ours as well', async () => {
    const ahead = ({ describe }: Required): Partial<Required> => ({
      describe: async (name, call) => {
        const { versions = [], ...facts } = await describe(name, call)
        return { ...facts, versions: versions.map((version) => (version.created === undefined ? version : { ...version, created: new Date(version.created.getTime() + 5_000) })) }
      },
    })
    const { keys, context, accepts } = await house(shape, { wrap: ahead })
    const first = await keys.create({ alias: 'a' }, context())

    const second = await keys.rotate({ alias: 'a' }, {}, context())

    expect([await accepts(first.key), await accepts(second.key)]).toEqual([false, true])
    expect(second.previousUntil).toBeUndefined()
  })

  it('created over a tombstone is another key, and nothing of the old one is accepted or shown', async () => {
    const { keys, context, call, accepts } = await house(shape)
    const old = await keys.create({ alias: 'a', teamId: 'old', durationMs: 60_000, data: { note: 'x'.repeat(150) } }, context())
    const newer = await keys.rotate({ alias: 'a' }, { graceMs: 3_600_000 }, context())
    await keys.remove({ alias: 'a' }, context())

    const made = await keys.create({ alias: 'a' }, context())

    expect(made.keyId).not.toBe(old.keyId)
    expect(await keys.info({ alias: 'a' }, call())).toMatchObject({ keyId: made.keyId, epoch: 4, data: {} })
    expect(await keys.info({ alias: 'a' }, call())).not.toHaveProperty('teamId')
    expect(await keys.info({ alias: 'a' }, call())).not.toHaveProperty('expires')
    expect(await Promise.all([old.key, newer.key, made.key].map(accepts))).toEqual([false, false, true])
  })

  it('tells when it was made, after a rotation as well', async () => {
    const { keys, context, call, runtime } = await house(shape)
    const began = runtime.clock.now()
    await keys.create({ alias: 'a' }, context())
    const by = runtime.clock.now()
    runtime.clock.advance(3_600_000)
    await keys.rotate({ alias: 'a' }, {}, context())

    const { created } = await keys.info({ alias: 'a' }, call())

    expect(created?.getTime()).toBeGreaterThanOrEqual(began - (began % 1_000))
    expect(created?.getTime()).toBeLessThanOrEqual(by)
  })

  it('answers a repetition of each operation with the same result', async () => {
    const { keys, context } = await house(shape)

    const made = await keys.create({ alias: 'a' }, context('create-create-create'))
    const madeAgain = await keys.create({ alias: 'a' }, context('create-create-create'))
    const rotated = await keys.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))
    const rotatedAgain = await keys.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))
    const removed = await keys.remove({ alias: 'a' }, context('delete-delete-delete'))
    const removedAgain = await keys.remove({ alias: 'a' }, context('delete-delete-delete'))

    expect(madeAgain.key?.equals(made.key as SecretValue)).toBe(true)
    expect(rotatedAgain.key?.equals(rotated.key as SecretValue)).toBe(true)
    expect([madeAgain.operationId, rotatedAgain.operationId, removedAgain.operationId]).toEqual([made.operationId, rotated.operationId, removed.operationId])
    expect(removedAgain).toMatchObject({ keyId: made.keyId, state: 'revoked', epoch: removed.epoch })
  })

  it('says what came after a repeated operation, and repeats nothing', async () => {
    const { keys, context } = await house(shape)
    const made = await keys.create({ alias: 'a' }, context('create-create-create'))
    await keys.rotate({ alias: 'a' }, {}, context())

    const afterRotation = await keys.create({ alias: 'a' }, context('create-create-create'))
    await keys.remove({ alias: 'a' }, context('delete-delete-delete'))
    const afterDeletion = await keys.create({ alias: 'a' }, context('create-create-create'))
    const next = await keys.create({ alias: 'a' }, context())
    const deletedAgain = await keys.remove({ alias: 'a' }, context('delete-delete-delete'))

    expect(afterRotation).toMatchObject({ keyId: made.keyId, superseded: 'rotated', keyWithheld: 'superseded' })
    expect(afterDeletion).toMatchObject({ keyId: made.keyId, superseded: 'deleted', state: 'revoked' })
    expect(deletedAgain.keyId).toBe(made.keyId)
    expect(next.keyId).not.toBe(made.keyId)
  })

  it('is listed with others by team, page after page, without deleted ones', async () => {
    const { keys, context, call } = await house(shape)
    for (const alias of ['a', 'b', 'c']) await keys.create({ alias, teamId: alias === 'c' ? 'two' : 'one' }, context())
    await keys.remove({ alias: 'b' }, context())

    const found: (string | undefined)[] = []
    let cursor: string | undefined
    do {
      const page = await keys.list({ limit: 1, ...(cursor === undefined ? {} : { cursor }) }, call())
      found.push(...page.items.map(({ alias }) => alias))
      cursor = page.cursor
    } while (cursor !== undefined)

    expect(found).toEqual(['a', 'c'])
    expect((await keys.list({ limit: 50, teamId: 'two' }, call())).items.map(({ alias }) => alias)).toEqual(['c'])
    expect((await keys.list({ limit: 50, alias: 'b' }, call())).items).toEqual([])
  })

  it('takes a token of the caller\'s own, finds the key by its hash, and never shows the hash as a token', async () => {
    const { keys, context, call, accepts } = await house(shape)
    const own = SecretValue.of('sk-mine-0001')
    const made = await keys.create({ alias: 'a', token: own }, context())

    const rotated = await keys.rotate({ token: own }, { graceMs: 60_000 }, context())

    expect(rotated.keyId).toBe(made.keyId)
    expect([await accepts(own), await accepts(rotated.key)]).toEqual([true, true])
    await expect(keys.create({ alias: 'b', token: SecretValue.of('no-prefix') }, context())).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(keys.create({ alias: 'b', token: rotated.key as SecretValue }, context())).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(keys.info({ sha256: 'a'.repeat(64) }, call())).rejects.toMatchObject({ code: 'not_found' })
  })

  it('under write_only is created and rotated without reading any value', async () => {
    const { keys, context, provider, call } = await house(shape, { accessMode: 'write_only' })

    const made = await keys.create({ alias: 'a' }, context('create-create-create'))
    const rotated = await keys.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))
    const again = await keys.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))

    expect(made.enforcedBy).toEqual([])
    expect((await provider.read(createdName('litellm/a'), {}, call())).value.equals(rotated.key as SecretValue)).toBe(true)
    expect(again).toMatchObject({ keyWithheld: 'write_only', epoch: 2 })
    await expect(keys.verify(made.key as SecretValue, call())).rejects.toMatchObject({ code: 'forbidden', message: expect.stringContaining('access_mode') })
  })
})

describe('the key engine', () => {
  it('makes a key in one call where labels travel with the creation', async () => {
    const { keys, context, steps } = await house()

    await keys.create({ alias: 'a', teamId: 't', durationMs: 60_000 }, context('create-create-create'))

    expect(steps.map(({ call }) => call)).toEqual(['createSecret'])
  })

  it('refuses a taken alias, and leaves a foreign secret alone', async () => {
    const { keys, context, provider, call } = await house()
    await keys.create({ alias: 'a' }, context())
    await provider.write?.({ name: createdName('litellm/b'), value: SecretValue.of('theirs'), expect: 'absent', operation: `console-${'0'.repeat(30)}`, stage: 'current' }, call())

    await expect(keys.create({ alias: 'a' }, context())).rejects.toMatchObject({ code: 'already_exists', details: { param: 'key_alias', applied: 'no' } })
    await expect(keys.create({ alias: 'b' }, context())).rejects.toMatchObject({ code: 'already_exists', message: expect.stringContaining('not ours') })
    await expect(keys.remove({ alias: 'b' }, context())).rejects.toMatchObject({ code: 'not_found' })
  })

  it('recovers a soft-deleted tombstone before it writes over it, but no live key', async () => {
    const { keys, context, provider, call } = await house()
    const old = await keys.create({ alias: 'a' }, context())
    await keys.create({ alias: 'b' }, context())
    await keys.remove({ alias: 'a' }, context())
    for (const name of ['litellm/a', 'litellm/b']) await provider.remove?.(createdName(name), { expect: 'any', final: false }, call())

    const made = await keys.create({ alias: 'a' }, context())

    expect(made.keyId).not.toBe(old.keyId)
    expect(made.epoch).toBe(3)
    await expect(keys.create({ alias: 'b' }, context())).rejects.toMatchObject({ code: 'soft_deleted' })
  })

  it('rotates no expired key, and still shows and deletes it', async () => {
    const { keys, context, runtime, call, accepts } = await house()
    const made = await keys.create({ alias: 'a', durationMs: 60_000 }, context())
    runtime.clock.advance(60_000)

    await expect(keys.rotate({ alias: 'a' }, {}, context())).rejects.toMatchObject({ code: 'invalid_request', message: expect.stringContaining(made.keyId) })
    expect(await accepts(made.key)).toBe(false)
    expect((await keys.info({ alias: 'a' }, call())).expires?.getTime()).toBe(runtime.clock.now())
    expect((await keys.remove({ alias: 'a' }, context())).state).toBe('revoked')
  })

  it('answers 422 when an Idempotency-Key comes back with another body', async () => {
    const { keys, context } = await house()
    await keys.create({ alias: 'a' }, context('create-create-create'))

    await expect(keys.create({ alias: 'a' }, context('create-create-create', '{"x":1}'))).rejects.toMatchObject({ code: 'idempotency_mismatch' })
  })

  it('shows the token of a repetition only within the reveal window', async () => {
    const { keys, context, runtime } = await house()
    await keys.create({ alias: 'a' }, context('create-create-create'))
    runtime.clock.advance(900_001)

    const again = await keys.create({ alias: 'a' }, context('create-create-create'))

    expect(again.key).toBeUndefined()
    expect(again.keyWithheld).toBe('reveal_expired')
  })

  it('refuses a keyed rotation that it could not remember, before anything happens', async () => {
    const { keys, context, call } = await house()
    await keys.create({ alias: 'a' }, context())
    const outcomes: string[] = []
    for (let index = 0; index < 20; index += 1) outcomes.push(await keys.rotate({ alias: 'a' }, {}, context(`rotation number ${index}`)).then(() => 'done', (error: { code: string }) => error.code))

    const refusedAt = outcomes.indexOf('throttled')
    const { epoch } = await keys.info({ alias: 'a' }, call())

    expect(refusedAt).toBeGreaterThan(8)
    expect(epoch).toBe(refusedAt + 1)
    expect((await keys.rotate({ alias: 'a' }, {}, context('rotation number 0'))).superseded).toBe('rotated')
    expect((await keys.remove({ alias: 'a' }, context())).state).toBe('revoked')
  })

  it('sends nothing after the deadline', async () => {
    const { keys, context, runtime, steps } = await house()
    const late = { ...context(), call: callOf(runtime.clock, { withinMs: 0 }) }

    await expect(keys.create({ alias: 'a' }, late)).rejects.toMatchObject({ code: 'deadline_exceeded' })
    expect(steps).toEqual([])
  })

  it('names what is missing: the setting, or the method of the provider', async () => {
    const { keys, context } = await house(shapes[0], { storeVirtualKeys: false })
    const other = await house(shapes[0], { without: 'promote' })

    await expect(keys.create({ alias: 'a' }, context())).rejects.toMatchObject({ code: 'forbidden', message: expect.stringContaining('store_virtual_keys') })
    await expect(other.keys.create({ alias: 'a' }, other.context())).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('promote') })
  })

  it('refuses fields that do not fit, naming the room there is', async () => {
    const { keys, context, steps } = await house()

    await expect(keys.create({ alias: 'a', data: { note: 'x'.repeat(20_000) } }, context())).rejects.toMatchObject({ code: 'too_large', message: expect.stringContaining('255') })
    expect(steps).toEqual([])
  })

  it('keeps configured description and tags, and aliases apart by team where the name says so', async () => {
    const { keys, context, provider, call } = await house(shapes[0], { options: { description: 'Gateway key', tags: { Owner: 'me' }, keyName: '{prefix}{team}/{alias}' } })
    await keys.create({ alias: 'a', teamId: 'one' }, context())
    const two = await keys.create({ alias: 'a', teamId: 'two' }, context())
    await keys.rotate({ alias: 'a', teamId: 'two' }, {}, context())

    expect(two.stored.name).toBe('litellm/two/a')
    expect((await keys.info({ keyId: two.keyId }, call())).alias).toBe('a')
    expect(await provider.describe?.(createdName('litellm/two/a'), call())).toMatchObject({ description: 'Gateway key', labels: { Owner: 'me', 'managed-by': 'latchkey' } })
    await expect(keys.create({ alias: 'a' }, context())).rejects.toMatchObject({ code: 'invalid_request', details: { param: 'team_id' } })
    await expect(house(shapes[0], { options: { tags: { 'latchkey-x': '1' } } })).rejects.toMatchObject({ code: 'misconfigured' })
  })
})
