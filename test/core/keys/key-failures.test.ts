// Keys when the service, the time or the randomness fails between two calls: what is still sent, what is answered, and what a repetition finds.
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretValue } from '../../../shared/core/secret.ts'
import { shapes } from '../../sim/shapes.ts'
import type { ManualClock } from '../../support/runtime.ts'
import { house, outcomeOf, shapeNamed, unanswered, type Required } from './key-house.ts'

const name = createdName('litellm/a')
const hourMs = 3_600_000

/** Every write takes longer than a request has. */
const slowWrites = (clock: ManualClock) => (inner: Required) => ({
  write: async (...given: Parameters<Required['write']>) => {
    const outcome = await inner.write(...given)
    clock.advance(25_000)
    return outcome
  },
})

describe.each(shapes)('a deadline on $name', (shape) => {
  it('that passes after the claim lets nothing more be sent, and a repetition goes on', async () => {
    const { keys, beside, context, call, runtime, steps, accepts } = await house(shape)
    const first = await keys.create({ alias: 'a' }, context())
    let sentByClaim = 0
    const slow = beside({ wrap: (inner) => ({ write: async (...given) => slowWrites(runtime.clock)(inner).write(...given).finally(() => (sentByClaim = steps.length)) }) })

    await expect(slow.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))).rejects.toMatchObject({ code: 'deadline_exceeded', message: expect.stringContaining('nothing more was sent'), details: { applied: 'unknown', operationId: expect.stringMatching(/^[0-9a-f]{32}$/) } })
    expect(steps).toHaveLength(sentByClaim)
    expect((await keys.info({ alias: 'a' }, call())).epoch).toBe(1)
    const resumed = await keys.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))
    expect([await accepts(first.key), await accepts(resumed.key)]).toEqual([false, true])
  })

  it('that passes after the tombstone says that the key is gone', async () => {
    const { keys, beside, context, runtime, accepts } = await house(shape)
    const first = await keys.create({ alias: 'a' }, context())

    await expect(beside({ wrap: slowWrites(runtime.clock) }).remove({ alias: 'a' }, context('delete-delete-delete'))).rejects.toMatchObject({ code: 'deadline_exceeded', details: { applied: 'yes' } })

    expect(await accepts(first.key)).toBe(false)
    expect(await keys.remove({ alias: 'a' }, context('delete-delete-delete'))).toMatchObject({ keyId: first.keyId, state: 'revoked', epoch: 2 })
  })

  it('that passes before a value is read reads nothing', async () => {
    const { keys, beside, context, call, runtime, steps } = await house(shape)
    const made = await keys.create({ alias: 'a' }, context())
    let described = 0
    const slow = beside({
      wrap: (inner) => ({
        describe: async (...given) => {
          const facts = await inner.describe(...given)
          runtime.clock.advance(25_000)
          described = steps.length
          return facts
        },
      }),
    })

    await expect(slow.verify(made.key as SecretValue, call())).rejects.toMatchObject({ code: 'deadline_exceeded' })
    expect(steps).toHaveLength(described)
  })
})

describe('a caller who leaves', () => {
  it('while the service works gets deadline_exceeded, and nothing more is sent', async () => {
    const leaving = new AbortController()
    const { keys, beside, context, call, steps } = await house()
    await keys.create({ alias: 'a' }, context())
    let sent = 0
    const slow = beside({
      wrap: () => ({
        write: () => {
          leaving.abort(new Error('gone'))
          sent = steps.length
          return Promise.reject(leaving.signal.reason as Error)
        },
      }),
    })

    await expect(slow.rotate({ alias: 'a' }, {}, { ...context(), call: call({ signal: leaving.signal }) })).rejects.toMatchObject({ code: 'deadline_exceeded', message: expect.stringContaining('while the secret manager was working'), details: { applied: 'unknown' } })
    expect(steps).toHaveLength(sent)
  })

  it('before anything was sent changes nothing', async () => {
    const { keys, context, call, steps } = await house()

    await expect(keys.create({ alias: 'a' }, { ...context(), call: call({ signal: AbortSignal.abort() }) })).rejects.toMatchObject({ code: 'deadline_exceeded' })
    expect(steps).toEqual([])
  })

  it('learns what the service said, when it said something', async () => {
    const leaving = new AbortController()
    const { beside, context, call } = await house()
    const denying = beside({
      wrap: () => ({
        write: () => {
          leaving.abort()
          return Promise.reject(new LatchkeyError('provider_denied', 'Not allowed.'))
        },
      }),
    })

    await expect(denying.create({ alias: 'a' }, { ...context(), call: call({ signal: leaving.signal }) })).rejects.toMatchObject({ code: 'provider_denied' })
  })
})

describe('a service that does not answer', () => {
  it('is asked four times in one operation, then the answer says that nobody knows', async () => {
    let tries = 0
    const { keys, context, beside } = await house()
    const down = beside({ wrap: () => ({ write: () => (tries += 1, unanswered()) }) })

    await expect(down.create({ alias: 'a' }, context('create-create-create'))).rejects.toMatchObject({ code: 'provider_unavailable', details: { applied: 'unknown' } })
    expect(tries).toBe(4)
    expect((await keys.create({ alias: 'a' }, context('create-create-create'))).epoch).toBe(1)
  })

  it('is not taken for one that refuses a token', async () => {
    const { keys, context, beside, call } = await house()
    const made = await keys.create({ alias: 'a' }, context())

    await expect(beside({ wrap: () => ({ read: unanswered }) }).verify(made.key as SecretValue, call())).rejects.toMatchObject({ code: 'provider_unavailable' })
  })

  it('and a version that cannot be read are two things: the other token is still accepted', async () => {
    const { keys, context, beside, call } = await house()
    const first = await keys.create({ alias: 'a' }, context())
    const second = await keys.rotate({ alias: 'a' }, { graceMs: hourMs }, context())
    const half = beside({ wrap: (inner) => ({ read: (...given) => (given[1].version === second.stored.version ? Promise.reject(new LatchkeyError('version_disabled', 'Disabled.')) : inner.read(...given)) }) })

    expect(await half.verify(second.key as SecretValue, call())).toEqual({ valid: false })
    expect(await half.verify(first.key as SecretValue, call())).toMatchObject({ valid: true, keyId: first.keyId })
  })

  it('has its own refusals of a promotion passed on, and the key stays as it was', async () => {
    const { keys, context, beside, accepts } = await house()
    const first = await keys.create({ alias: 'a' }, context())
    const denied = beside({ wrap: () => ({ promote: () => Promise.reject(new LatchkeyError('provider_denied', 'Not allowed.')) }) })

    await expect(denied.rotate({ alias: 'a' }, {}, context())).rejects.toMatchObject({ code: 'provider_denied', details: { applied: 'unknown' } })
    expect(await accepts(first.key)).toBe(true)
  })
})

describe('randomness that fails', () => {
  it('stops a creation before anything is sent, and is no failure of the store', async () => {
    const broken = { bytes: () => { throw new RangeError('no entropy') } }
    const { keys, context, steps } = await house(shapes[0], { options: { random: broken } })

    await expect(keys.create({ alias: 'a' }, context('create-create-create'))).rejects.toThrow(RangeError)
    expect(steps).toEqual([])
  })
})

describe.each(['staged', 'upsert'].map(shapeNamed))('a secret that the service deleted on $name', (shape) => {
  const deletedIn = async (given = {}) => {
    const opened = await house(shape, given)
    await opened.keys.create({ alias: 'a' }, opened.context('create-create-create'))
    return { ...opened, softDelete: () => opened.provider.remove(name, { expect: 'any', final: false }, opened.call()) }
  }

  it.each(['read_and_write', 'write_only'] as const)('is no key that a repeated creation would show as active (%s)', async (accessMode) => {
    const { keys, context, softDelete, provider, call } = await deletedIn({ accessMode })
    await softDelete()

    await expect(keys.create({ alias: 'a' }, context('create-create-create'))).rejects.toMatchObject({ code: 'soft_deleted', details: { param: 'key_alias', applied: shape.guarantee === 'detected' ? 'unknown' : 'yes', recoverableUntil: expect.any(Date) } })
    await provider.recover(name, call())
    expect((await keys.create({ alias: 'a' }, context('create-create-create'))).state).toBe('active')
  })

  it.each(['read_and_write', 'write_only'] as const)('is no key that a repeated rotation would show as active (%s)', async (accessMode) => {
    const { keys, context, softDelete } = await deletedIn({ accessMode })
    await keys.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))
    await softDelete()

    await expect(keys.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('no such key'), details: { applied: 'yes' } })
    await expect(keys.rotate({ alias: 'a' }, {}, context())).rejects.toMatchObject({ code: 'not_found', details: { applied: 'no' } })
  })

  it('after its tombstone still knows the delete, and when the purge may follow', async () => {
    const { keys, context, softDelete, runtime } = await deletedIn()
    const removed = await keys.remove({ alias: 'a' }, context('delete-delete-delete'))
    await softDelete()
    runtime.clock.advance(hourMs)

    const again = await keys.remove({ alias: 'a' }, context('delete-delete-delete'))

    expect(again).toMatchObject({ keyId: removed.keyId, state: 'revoked', purgeAfter: removed.purgeAfter })
    expect(again.stored).not.toHaveProperty('version')
  })

  it('is named without a date when the service gives none', async () => {
    const { beside, context } = await deletedIn()
    const empty = beside({
      wrap: (inner) => ({
        describe: async (...given) => {
          const { current: _current, versions: _versions, ...facts } = await inner.describe(...given)
          return facts
        },
      }),
    })

    const refused = await empty.create({ alias: 'a' }, context()).catch((error: unknown) => error)

    expect(refused).toMatchObject({ code: 'soft_deleted', details: { applied: 'no' } })
    expect((refused as LatchkeyError).details).not.toHaveProperty('recoverableUntil')
  })
})

describe('a store with room for one stamp', () => {
  it('refuses a third grace before anything happens, and rotates without one', async () => {
    const { keys, context, call, accepts } = await house(shapeNamed('upsert'))
    const tokens = [await keys.create({ alias: 'a' }, context())]
    tokens.push(await keys.rotate({ alias: 'a' }, { graceMs: hourMs }, context()))
    tokens.push(await keys.rotate({ alias: 'a' }, { graceMs: hourMs }, context()))

    await expect(keys.rotate({ alias: 'a' }, { graceMs: 1000 }, context())).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('no room to remember one more grace'), details: { retryAfter: 3600, applied: 'no' } })

    expect((await keys.info({ alias: 'a' }, call())).epoch).toBe(3)
    expect(await Promise.all(tokens.map(({ key }) => accepts(key)))).toEqual([true, true, true])
    expect((await keys.rotate({ alias: 'a' }, {}, context())).epoch).toBe(4)
  })
})

describe('an expiry', () => {
  it('ends a grace that would last longer, and an expired key is taken by no repetition', async () => {
    const { keys, context, call, runtime, accepts } = await house()
    const first = await keys.create({ alias: 'a', durationMs: 60_000 }, context())
    const second = await keys.rotate({ alias: 'a' }, { graceMs: hourMs }, context())

    expect(await keys.verify(first.key as SecretValue, call())).toMatchObject({ valid: true, notAfter: first.expires })
    expect(await keys.verify(second.key as SecretValue, call())).toMatchObject({ valid: true, notAfter: first.expires })
    runtime.clock.advance(59_999)
    expect([await accepts(first.key), await accepts(second.key)]).toEqual([true, true])
    runtime.clock.advance(1)
    expect([await accepts(first.key), await accepts(second.key)]).toEqual([false, false])
    expect(await outcomeOf(keys.rotate({ alias: 'a' }, {}, context()))).toBe('invalid_request')
  })
})
