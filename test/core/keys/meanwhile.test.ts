// What another operation, or a call that lands late, does between two steps of an operation: each goes on from what it then sees, and says what is true.
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { leaseMs } from '../../../shared/core/keys/operation.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { shapes } from '../../sim/shapes.ts'
import { house, litellmWrites, outcomeOf } from './key-house.ts'

describe.each(shapes)('on $name', (shape) => {
  it('an unblock that the gateway did not answer is brought to its end by the next change of the key', async () => {
    const { withGateway, context, atGateway, runtime } = await house(shape)
    const keys = withGateway()
    const { key } = await keys.create({ alias: 'a' }, context())
    await keys.setBlocked({ alias: 'a' }, true, context())
    const silent = withGateway({}, () => ({ setBlocked: () => Promise.reject(new LatchkeyError('gateway_unavailable', 'The gateway does not answer.')) }))
    const unblocked = await outcomeOf(silent.setBlocked({ alias: 'a' }, false, context()))
    runtime.clock.advance(leaseMs)

    await keys.update({ alias: 'a' }, { data: { models: ['m'] } }, context())

    expect([unblocked, atGateway(key)]).toEqual(['gateway_unavailable', true])
  })

  it('an unblock that the gateway refuses holds up no later change', async () => {
    const { withGateway, context, runtime } = await house(shape)
    const keys = withGateway()
    await keys.create({ alias: 'a' }, context())
    await keys.setBlocked({ alias: 'a' }, true, context())
    const refusing = withGateway({}, () => ({ setBlocked: () => Promise.reject(new LatchkeyError('gateway_denied', 'The gateway refuses it.')) }))
    await outcomeOf(refusing.setBlocked({ alias: 'a' }, false, context()))
    runtime.clock.advance(leaseMs)

    const updated = await refusing.update({ alias: 'a' }, { data: { models: ['m'] } }, context())

    expect(updated.data).toEqual({ models: ['m'] })
  })

  it('a deletion that is refused for want of room once its tombstone stands, with the next key over that already, says that it was done', async () => {
    const { keys, beside, context } = await house(shape)
    const { keyId } = await keys.create({ alias: 'a' }, context())
    const refused = beside({
      wrap: ({ write }) => ({
        write: async (...all) => {
          await write(...all)
          await keys.create({ alias: 'a' }, context())
          throw new LatchkeyError('provider_quota', 'There is no room for its labels.')
        },
      }),
    })

    const removed = await refused.remove({ alias: 'a' }, context())

    expect(removed).toMatchObject({ keyId, state: 'revoked' })
  })

  it('a rotation of an adopted key that is deleted once it has claimed says that it was not applied', async () => {
    const { keys, beside, provider, context } = await house(shape)
    await litellmWrites(provider, SecretValue.of('sk-litellm-made-this-one'))
    await keys.adopt({ alias: 'a' }, context())
    const meanwhile = beside({
      wrap: ({ read }) => ({
        read: async (...all) => {
          await outcomeOf(keys.remove({ alias: 'a' }, context()))
          return read(...all)
        },
      }),
    })

    const failed = await meanwhile.rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate')).catch((error: unknown) => error)

    expect(failed).toMatchObject({ code: 'not_found', details: { applied: 'no' } })
  })
})
