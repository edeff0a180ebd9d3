// Keys that a gateway accepts: what it is told, in which order, and what holds when it refuses, does not answer or is told late. The store decides, the gateway follows.
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import type { Gateway } from '../../../shared/core/gateway.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { leaseMs } from '../../../shared/core/keys/operation.ts'
import { tokenHash } from '../../../shared/core/virtual-key.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { calmHook } from '../../shapes/service.ts'
import { shapes } from '../../sim/shapes.ts'
import { house, litellmWrites, outcomeOf, unanswered } from './key-house.ts'

const silent = (): Promise<never> => Promise.reject(new LatchkeyError('gateway_unavailable', 'The gateway does not answer.'))
const refused = (): Promise<never> => Promise.reject(new LatchkeyError('gateway_denied', 'The gateway refuses the field models.'))

/** Does it, and loses every answer. */
const answersLost = (method: 'add' | 'setBlocked' | 'change') => (inner: Gateway): Partial<Gateway> => ({
  [method]: async (...all: readonly unknown[]) => {
    await (inner[method] as (...given: readonly unknown[]) => Promise<unknown>)(...all)
    return silent()
  },
})

describe.each(shapes)('a key at the gateway, on $name', (shape) => {
  it('is accepted there once its creation is answered, with alias, team, end and fields', async () => {
    const { withGateway, context, gateway, atGateway } = await house(shape)
    const keys = withGateway()

    const made = await keys.create({ alias: 'a', teamId: 'team', durationMs: 3_600_000, data: { models: ['m'], auto_rotate: true, rotation_interval: '30d' } }, context())

    expect(atGateway(made.key)).toBe(true)
    expect([...gateway.rows().values()]).toEqual([{ alias: 'a', teamId: 'team', keyId: made.keyId, epoch: 1, expires: made.expires, blocked: false, fields: { models: ['m'] } }])
    expect(made.enforcedBy).toEqual(['gateway', 'verify'])
  })

  it('rotates without a moment in which no token is accepted, and the old one ends there', async () => {
    const { withGateway, context, gateway, atGateway, runtime } = await house(shape)
    const keys = withGateway()
    const first = await keys.create({ alias: 'a' }, context())

    const second = await keys.rotate({ alias: 'a' }, { graceMs: 3_600_000 }, context())
    const between = [atGateway(first.key), atGateway(second.key)]
    const third = await keys.rotate({ alias: 'a' }, {}, context())

    expect(between).toEqual([true, true])
    expect([atGateway(first.key), atGateway(second.key), atGateway(third.key)]).toEqual([true, false, true])
    expect(gateway.rows().get(tokenHash(third.key as SecretValue))?.alias).toBe('a')
    runtime.clock.advance(3_700_000)
    expect([atGateway(first.key), atGateway(third.key)]).toEqual([false, true])
  })

  it('is deleted with every token that it had, and its alias is free for another key', async () => {
    const { withGateway, context, atGateway } = await house(shape)
    const keys = withGateway()
    const first = await keys.create({ alias: 'a' }, context())
    const second = await keys.rotate({ alias: 'a' }, { graceMs: 3_600_000 }, context())

    await keys.remove({ alias: 'a' }, context())
    const other = await keys.create({ alias: 'a' }, context())

    expect([first, second, other].map(({ key }) => atGateway(key))).toEqual([false, false, true])
  })

  it('that was deleted is not accepted again where an unblock comes late, though the clock of who deleted it was ahead', async () => {
    const { withGateway, context, call, gateway, atGateway, runtime: { clock } } = await house(shape)
    const made = await withGateway().create({ alias: 'a' }, context())
    const ahead = { now: () => clock.now() + 5_000, sleep: clock.sleep.bind(clock), until: clock.until.bind(clock) }
    await withGateway({ options: { clock: ahead } }).remove({ alias: 'a' }, context())

    await gateway.through(calmHook, clock).setBlocked({ token: made.key as SecretValue }, false, call())

    expect(atGateway(made.key)).toBe(false)
  })

  it('is blocked and unblocked there, its token in grace as well', async () => {
    const { withGateway, context, atGateway } = await house(shape)
    const keys = withGateway()
    const first = await keys.create({ alias: 'a' }, context())
    const second = await keys.rotate({ alias: 'a' }, { graceMs: 3_600_000 }, context())

    await keys.setBlocked({ alias: 'a' }, true, context())
    const blocked = [first, second].map(({ key }) => atGateway(key))
    await keys.setBlocked({ alias: 'a' }, false, context())

    expect([blocked, [first, second].map(({ key }) => atGateway(key))]).toEqual([[false, false], [true, true]])
  })

  it('is unblocked there where the stamp of the block comes late and takes the place of the unblock\'s own', async () => {
    const { withGateway, provider, context, call, atGateway } = await house(shape)
    const keys = withGateway()
    const made = await keys.create({ alias: 'a' }, context())
    await keys.setBlocked({ alias: 'a' }, true, context())
    const name = createdName('litellm/a')
    const held = Object.entries((await provider.describe(name, call())).labels)
    let late = held.filter(([, text]) => text.includes(' block done '))
    const unblocking = withGateway({
      wrap: (inner) => ({
        annotate: async (...all) => {
          await inner.annotate(...all)
          const labels = Object.fromEntries(late)
          late = []
          if (Object.keys(labels).length > 0) await inner.annotate(name, { labels }, call())
        },
      }),
    })

    const freed = await unblocking.setBlocked({ alias: 'a' }, false, context())

    expect([freed.state, atGateway(made.key)]).toEqual(['active', true])
  })

  it('says of a block of the deleted one before that it was that one\'s, however often that is asked again', async () => {
    const { withGateway, context, call, runtime } = await house(shape)
    const keys = withGateway()
    await keys.create({ alias: 'a' }, context())
    const block = (by = keys) => by.setBlocked({ alias: 'a' }, true, context('block-block-block')).catch((error: unknown) => error)
    await block(withGateway({}, () => ({ setBlocked: silent })))
    await keys.remove({ alias: 'a' }, context())
    runtime.clock.advance(leaseMs)
    await keys.create({ alias: 'a' }, context())
    // Takes the slot of the block's stamp.
    await keys.update({ alias: 'a' }, { data: { models: ['n'] } }, context())

    const again = await block()

    expect(again).toMatchObject({ code: 'conflict', details: { applied: 'yes' } })
    expect((await keys.info({ alias: 'a' }, call())).state).toBe('active')
  })

  it('is updated and renamed there', async () => {
    const { withGateway, context, gateway, atGateway } = await house(shape)
    const keys = withGateway()
    const made = await keys.create({ alias: 'a', data: { models: ['m'] } }, context())

    await keys.update({ alias: 'a' }, { data: { models: ['n'] } }, context())
    await keys.update({ alias: 'a' }, { alias: 'b', data: { note: 'x' } }, context())

    expect(gateway.rows().get(tokenHash(made.key as SecretValue))).toMatchObject({ alias: 'b', fields: { models: ['n'], note: 'x' }, blocked: false })
    expect(atGateway(made.key)).toBe(true)
  })

  it('that the gateway refuses for good is taken back, and the answer says so', async () => {
    const { withGateway, context, call, accepts, keys: store } = await house(shape)

    const creation = withGateway({}, () => ({ add: refused })).create({ alias: 'a' }, context())

    await expect(creation).rejects.toMatchObject({ code: 'gateway_denied', message: expect.stringContaining('taken back'), details: { applied: 'no' } })
    await expect(store.info({ alias: 'a' }, call())).rejects.toMatchObject({ code: 'not_found' })
    expect(await accepts((await withGateway().create({ alias: 'a' }, context())).key)).toBe(true)
  })

  it('whose new token the gateway refuses keeps the old one, and the new one is nowhere', async () => {
    const { withGateway, context, accepts, atGateway, gateway } = await house(shape)
    const made = await withGateway().create({ alias: 'a' }, context())

    const rotation = withGateway({}, () => ({ accepts: () => Promise.resolve(false) })).rotate({ alias: 'a' }, {}, context())

    await expect(rotation).rejects.toMatchObject({ code: 'gateway_denied', details: { applied: 'no' } })
    expect([await accepts(made.key), atGateway(made.key)]).toEqual([true, true])
    expect([...gateway.rows().values()].filter(({ blocked }) => !blocked)).toHaveLength(1)
    expect((await withGateway().rotate({ alias: 'a' }, {}, context())).epoch).toBe(3)
  })

  it('of which the gateway answers nothing is unknown, and its repetition ends it', async () => {
    const { withGateway, context, atGateway } = await house(shape)

    await expect(withGateway({}, answersLost('add')).create({ alias: 'a' }, context('create-create-create'))).rejects.toMatchObject({ code: 'gateway_unavailable', details: { applied: 'unknown', operationId: expect.any(String) } })
    const made = await withGateway().create({ alias: 'a' }, context('create-create-create'))
    await expect(withGateway({}, () => ({ accepts: silent })).rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))).rejects.toMatchObject({ code: 'gateway_unavailable', details: { applied: 'unknown' } })
    const rotated = await withGateway().rotate({ alias: 'a' }, {}, context('rotate-rotate-rotate'))
    await expect(withGateway({}, answersLost('setBlocked')).remove({ alias: 'a' }, context('delete-delete-delete'))).rejects.toMatchObject({ code: 'gateway_unavailable', details: { applied: 'unknown' } })
    await withGateway().remove({ alias: 'a' }, context('delete-delete-delete'))

    expect([made, rotated].map(({ key }) => atGateway(key))).toEqual([false, false])
  })

  it('that nobody repeats is brought to its end by the sweep: creation, rotation, block and deletion', async () => {
    const { withGateway, context, atGateway, runtime, sweep, call } = await house(shape)
    const keys = withGateway()
    await outcomeOf(withGateway({}, () => ({ add: silent })).create({ alias: 'a' }, context()))
    const old = await keys.create({ alias: 'b' }, context())
    await outcomeOf(withGateway({}, () => ({ setBlocked: silent })).rotate({ alias: 'b' }, {}, context()))
    const blocked = await keys.create({ alias: 'c' }, context())
    await outcomeOf(withGateway({}, () => ({ setBlocked: silent, change: silent })).setBlocked({ alias: 'c' }, true, context()))
    const deleted = await keys.create({ alias: 'd' }, context())
    await outcomeOf(withGateway({}, () => ({ setBlocked: silent })).remove({ alias: 'd' }, context()))
    runtime.clock.advance(leaseMs)

    const done = await sweep(keys)

    expect([...new Set(done.map(({ name, finding, action }) => `${name} ${finding} ${action}`))].toSorted()).toEqual(['a', 'b', 'c', 'd'].map((alias) => `litellm/${alias} unfinished repaired`))
    expect([old, blocked, deleted].map(({ key }) => atGateway(key))).toEqual([false, false, false])
    expect(await sweep(keys)).toEqual([])
    expect((await keys.info({ alias: 'a' }, call())).drift).toBeUndefined()
  })

  it('over whose value somebody else wrote, and that is blocked while it rotates, is never without its current token', async () => {
    const { withGateway, provider, context, atGateway } = await house(shape)
    await withGateway().create({ alias: 'a' }, context())
    await litellmWrites(provider, SecretValue.of('sk-written-over-it'))
    // The block stops before its own claim.
    const block = () => outcomeOf(withGateway({ wrap: () => ({ write: unanswered }) }).setBlocked({ alias: 'a' }, true, context()))
    let blocked: string | undefined
    const rotating = withGateway({
      wrap: (inner) => ({
        promote: async (...all) => {
          blocked ??= await block()
          return inner.promote(...all)
        },
      }),
    })

    const rotated = await rotating.rotate({ alias: 'a' }, {}, context())

    expect([blocked, rotated.state, atGateway(rotated.key)]).toEqual(['conflict', 'active', true])
  })

  it('that is deleted while its creation waits for the gateway is not accepted afterwards', async () => {
    const { withGateway, keys: direct, context, gateway } = await house(shape)
    const late = withGateway({}, (inner) => ({
      add: async (token, row, call) => {
        await direct.remove({ alias: 'a' }, context())
        return inner.add(token, row, call)
      },
    }))

    await outcomeOf(late.create({ alias: 'a' }, context()))

    expect([...gateway.rows().values()].filter(({ blocked }) => !blocked)).toEqual([])
  })

  it('where no value may be read is told by hash: rotated, blocked and deleted there', async () => {
    const { withGateway, context, atGateway } = await house(shape)
    const blind = withGateway({ accessMode: 'write_only' })
    const first = await blind.create({ alias: 'a' }, context())

    const second = await blind.rotate({ alias: 'a' }, {}, context())
    const after = [first, second].map(({ key }) => atGateway(key))
    await blind.setBlocked({ alias: 'a' }, true, context())
    const blocked = atGateway(second.key)
    await blind.setBlocked({ alias: 'a' }, false, context())
    const unblocked = atGateway(second.key)
    await blind.remove({ alias: 'a' }, context())

    expect([after, blocked, unblocked, atGateway(second.key)]).toEqual([[false, true], false, true, false])
  })
})

describe('a licensed gateway', () => {
  it('replaces the token of the row where the grace outlasts a crash, so that spend and budgets stay', async () => {
    const replaced: string[] = []
    const { withGateway, context, atGateway } = await house()
    const keys = withGateway({}, (inner) => ({
      replace: async (old, token, { graceMs, epoch }, call) => {
        replaced.push(`${graceMs} ${epoch}`)
        await inner.add(token, { blocked: false, fields: {}, epoch, keyId: 'k' }, call)
        return (await inner.find(old, call)) !== undefined
      },
    }))
    await keys.create({ alias: 'a' }, context())

    const rotated = await keys.rotate({ alias: 'a' }, { graceMs: 86_400_000 }, context())
    await keys.rotate({ alias: 'a' }, { graceMs: 60_000 }, context())

    expect(replaced).toEqual(['86400000 2'])
    expect(atGateway(rotated.key)).toBe(true)
  })
})

describe('the gateway and the manager', () => {
  it('differ after somebody changed a row: told by info, mended by the sweep but for a block, which somebody meant, and only reported without repair', async () => {
    const { withGateway, context, gateway, runtime, sweep, call, atGateway } = await house()
    const keys = withGateway()
    const forgotten = await keys.create({ alias: 'a' }, context())
    const blocked = await keys.create({ alias: 'b' }, context())
    const port = gateway.through(async (_step, apply) => apply(), runtime.clock)
    await port.remove({ token: forgotten.key as SecretValue }, call())
    await port.setBlocked({ token: blocked.key as SecretValue }, true, call())

    const told = [await keys.info({ alias: 'a' }, call()), await keys.info({ alias: 'b' }, call())].map(({ drift }) => drift?.[0]?.kind)
    const report = await sweep(keys, false)
    const before = atGateway(forgotten.key)
    await sweep(keys)

    expect(told).toEqual(['unknown_to_gateway', 'blocked_at_gateway'])
    expect(report.map(({ finding, action }) => [finding, action])).toEqual([['unknown_to_gateway', 'would_repair'], ['blocked_at_gateway', 'left']])
    expect([before, atGateway(forgotten.key), atGateway(blocked.key)]).toEqual([false, true, false])
  })

  it(': a row with our mark that no key knows is blocked, another\'s is left alone', async () => {
    const { withGateway, context, gateway, runtime, sweep, call, atGateway } = await house()
    const keys = withGateway()
    const made = await keys.create({ alias: 'a' }, context())
    const port = gateway.through(async (_step, apply) => apply(), runtime.clock)
    const token = (text: string): SecretValue => SecretValue.of(text)
    await port.add(token('sk-ours'), { keyId: 'aaaaaaaaaaaaaaaa', blocked: false, fields: {} }, call())
    await port.add(token('sk-theirs'), { blocked: false, fields: {} }, call())

    await sweep(keys)

    expect([atGateway(made.key), atGateway(token('sk-ours')), atGateway(token('sk-theirs'))]).toEqual([true, false, true])
  })

  it('a gateway that cannot be asked is no drift', async () => {
    const { withGateway, context, call } = await house()
    await withGateway().create({ alias: 'a' }, context())

    expect((await withGateway({}, () => ({ find: unanswered })).info({ alias: 'a' }, call())).drift).toBeUndefined()
  })
})
