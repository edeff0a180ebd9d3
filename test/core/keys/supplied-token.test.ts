// Tokens that a caller brings: which are taken, whose they are, and how long a key is found by one.
import { describe, expect, it } from 'vitest'
import { isInternal } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { tokenHash } from '../../../shared/core/virtual-key.ts'
import { shapes } from '../../sim/shapes.ts'
import { house, outcomeOf, seconds, unanswered } from './key-house.ts'

const one = SecretValue.of('sk-own-token-0001')
const two = SecretValue.of('sk-own-token-0002')
const three = SecretValue.of('sk-own-token-0003')

describe('a token that is none', () => {
  it.each([
    ['without the prefix', SecretValue.of('pk-own-token')],
    ['with nothing after the prefix', SecretValue.of('sk-')],
    ['with a space', SecretValue.of('sk-own token')],
    ['with a letter outside ASCII', SecretValue.of('sk-schlüssel')],
    ['of 513 characters', SecretValue.of(`sk-${'x'.repeat(510)}`)],
    ['that is no text', SecretValue.ofBytes(Uint8Array.of(0x73, 0x6b, 0x2d, 0xff))],
  ])('%s is refused before any call, at creation and at rotation', async (_form, token) => {
    const { keys, context, steps } = await house()
    await keys.create({ alias: 'a' }, context())
    const before = steps.filter(({ changes }) => changes).length

    await expect(keys.create({ alias: 'b', token }, context())).rejects.toMatchObject({ code: 'invalid_request', message: expect.stringContaining('512'), details: { param: 'key', applied: 'no' } })
    await expect(keys.rotate({ alias: 'a' }, { newToken: token }, context())).rejects.toMatchObject({ code: 'invalid_request', details: { param: 'key', applied: 'no' } })
    expect(steps.filter(({ changes }) => changes)).toHaveLength(before)
  })

  it('of 512 characters is one', async () => {
    const { keys, context, accepts } = await house()
    const token = SecretValue.of(`sk-${'x'.repeat(509)}`)

    await keys.create({ alias: 'a', token }, context())

    expect(await accepts(token)).toBe(true)
  })
})

describe.each(shapes)('a token of the caller\'s own on $name', (shape) => {
  it('that another key has is refused, and nothing is changed', async () => {
    const { keys, context, call, accepts } = await house(shape)
    const holder = await keys.create({ alias: 'a', token: one }, context())
    const other = await keys.create({ alias: 'b' }, context())

    await expect(keys.create({ alias: 'c', token: one }, context())).rejects.toMatchObject({ code: 'already_exists', details: { param: 'key', applied: 'no' } })
    await expect(keys.rotate({ alias: 'b' }, { newToken: one }, context())).rejects.toMatchObject({ code: 'already_exists', details: { param: 'key', applied: 'no' } })

    expect(await keys.verify(one, call())).toMatchObject({ valid: true, keyId: holder.keyId })
    expect(await accepts(other.key)).toBe(true)
  })

  it('is free again once its key is deleted, and then names the live key alone', async () => {
    const { keys, context, call } = await house(shape)
    await keys.create({ alias: 'a', token: one }, context())
    await keys.remove({ alias: 'a' }, context())
    const made = await keys.create({ alias: 'b', token: one }, context())

    expect(await keys.verify(one, call())).toMatchObject({ valid: true, keyId: made.keyId })
    expect((await keys.info({ sha256: tokenHash(one).toUpperCase() }, call())).alias).toBe('b')
    expect(await outcomeOf(keys.create({ alias: 'c', token: one }, context()))).toBe('already_exists')
    expect((await keys.remove({ token: one }, context())).alias).toBe('b')
    expect(await keys.verify(one, call())).toEqual({ valid: false })
  })

  it('in its grace still names its live key, though a deleted key had it before', async () => {
    const { keys, context, call } = await house(shape)
    await keys.create({ alias: 'a', token: one }, context())
    await keys.remove({ alias: 'a' }, context())
    const made = await keys.create({ alias: 'b', token: one }, context())

    await keys.rotate({ alias: 'b' }, { newToken: two, graceMs: 60_000 }, context())

    expect(await keys.verify(one, call())).toMatchObject({ valid: true, keyId: made.keyId })
    expect(await keys.verify(two, call())).toMatchObject({ valid: true, keyId: made.keyId })
  })

  it('follows another one with a grace, and both name the key until it ends', async () => {
    const { keys, context, call, runtime, accepts } = await house(shape)
    await keys.create({ alias: 'a', token: one }, context())

    const rotated = await keys.rotate({ sha256: tokenHash(one) }, { newToken: two, graceMs: 60_000 }, context())

    expect(rotated.key?.equals(two)).toBe(true)
    expect([await accepts(one), await accepts(two)]).toEqual([true, true])
    expect((await keys.info({ token: one }, call())).alias).toBe('a')
    runtime.clock.advance(60_000)
    expect([await accepts(one), await accepts(two)]).toEqual([false, true])
  })

  it('without a grace is forgotten with the rotation', async () => {
    const { keys, context, call } = await house(shape)
    await keys.create({ alias: 'a', token: one }, context())

    await keys.rotate({ alias: 'a' }, {}, context())

    await expect(keys.info({ sha256: tokenHash(one) }, call())).rejects.toMatchObject({ code: 'not_found' })
    expect(await outcomeOf(keys.create({ alias: 'b', token: one }, context()))).toBe('done')
  })

  it('keeps its announced grace when the key rotates again', async () => {
    const { keys, context, runtime, accepts } = await house(shape)
    await keys.create({ alias: 'a', token: one }, context())
    const second = await keys.rotate({ alias: 'a' }, { graceMs: 3_600_000 }, context())

    const third = await keys.rotate({ alias: 'a' }, {}, context())

    expect([await accepts(one), await accepts(second.key), await accepts(third.key)]).toEqual([true, false, true])
    runtime.clock.advance(3_600_000)
    expect([await accepts(one), await accepts(third.key)]).toEqual([false, true])
  })

  it('is given no grace while an earlier own one has its own, because one is remembered; nothing is changed', async () => {
    const { keys, context, call, accepts, runtime } = await house(shape)
    await keys.create({ alias: 'a', token: one }, context())
    await keys.rotate({ alias: 'a' }, { newToken: two, graceMs: 60_000 }, context())

    await expect(keys.rotate({ alias: 'a' }, { newToken: three, graceMs: 60_000 }, context())).rejects.toMatchObject({ code: 'conflict', details: { retryAfter: seconds(shape, 60), applied: 'no' } })

    expect((await keys.info({ alias: 'a' }, call())).epoch).toBe(2)
    expect([await accepts(one), await accepts(two), await accepts(three)]).toEqual([true, true, false])
    runtime.clock.advance(60_000)
    await keys.rotate({ alias: 'a' }, { newToken: three, graceMs: 60_000 }, context())
    expect([await accepts(one), await accepts(two), await accepts(three)]).toEqual([false, true, true])
  })

  it('under write_only is taken, found and replaced without reading any value of a key', async () => {
    const read: string[] = []
    const { keys, context, call, provider } = await house(shape, {
      accessMode: 'write_only',
      wrap: (inner) => ({ read: (name, ...rest) => (read.push(name.text), inner.read(name, ...rest)) }),
    })
    await keys.create({ alias: 'a', token: one }, context())

    await keys.rotate({ token: one }, { newToken: two, graceMs: 60_000 }, context())

    expect(read.filter((name) => !isInternal(name))).toEqual([])
    expect((await provider.describe(createdName('litellm/a'), call())).labels).toMatchObject({ 'latchkey-token-sha256': tokenHash(two), 'latchkey-previous-sha256': tokenHash(one) })
    expect((await provider.read(createdName('litellm/a'), {}, call())).value.equals(two)).toBe(true)
  })
})

describe('a hash in the labels', () => {
  it('of a token that never became current is not taken for the one before', async () => {
    const { keys, beside, context, provider, call, runtime } = await house()
    await keys.create({ alias: 'a' }, context())
    const stuck = beside({ accessMode: 'write_only', wrap: () => ({ promote: unanswered }) })
    const writeOnly = beside({ accessMode: 'write_only' })
    const first = await outcomeOf(stuck.rotate({ alias: 'a' }, { newToken: one }, context('rotate-rotate-rotate')))
    runtime.clock.advance(60_000)
    const resumed = await outcomeOf(writeOnly.rotate({ alias: 'a' }, { newToken: one }, context('rotate-rotate-rotate')))

    await keys.rotate({ alias: 'a' }, { newToken: two, graceMs: 60_000 }, context())

    expect([first, resumed]).toEqual(['provider_unavailable', 'conflict'])
    const { labels } = await provider.describe(createdName('litellm/a'), call())
    expect(labels['latchkey-token-sha256']).toBe(tokenHash(two))
    expect(labels).not.toHaveProperty('latchkey-previous-sha256')
  })
})
