// What the rotator does about every event, whatever it is about: its line, its age, its time, and the sweep that it begins.
import { describe, expect, it } from 'vitest'
import { rotationReasons, type RotationReason } from '../../shared/core/rotation/event.ts'
import { parseConfiguration } from '../../shared/core/configuration.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { openLatchkey } from '../../shared/latchkey.ts'
import { openRotator } from '../../functions/open-rotator.ts'
import { shapes } from '../sim/shapes.ts'
import { testRuntime } from '../support/runtime.ts'
import { day, eventOf, hour, houseOn, type Opening } from './rotation-house.ts'

const opened = (opening?: Opening) => houseOn(shapes[0] as never, opening)

describe('an event', () => {
  it('that is none leaves one line that says what is wrong and what to do', async () => {
    const { handle, runtime } = await opened()

    const outcome = await handle({ source: 'pubsub', id: 'message 7\n', problem: 'The message is neither of Secret Manager nor of a schedule.' })

    expect([outcome.decision, outcome.reason]).toEqual(['refused', 'malformed'])
    expect(runtime.audited).toEqual([{ action: 'events:rotate', decision: 'denied', caller: 'pubsub', requestId: 'message_7_', code: 'malformed', note: `The message is neither of Secret Manager nor of a schedule. ${rotationReasons.malformed.fix}` }])
  })

  it('that asks for nothing is acknowledged', async () => {
    const { handle, steps } = await opened()

    expect(await handle(eventOf({ kind: 'probe' }))).toMatchObject({ decision: 'done', reason: 'nothing_to_do' })
    expect(steps).toEqual([])
  })

  it.each<[string, number, RotationReason]>([['an hour and a second old', -hour - 1_000, 'too_old'], ['an hour old', -hour, 'swept'], ['ten minutes ahead of our clock', 600_000, 'swept'], ['further ahead', 601_000, 'malformed']])('%s is judged by its age', async (_title, ahead, reason) => {
    const { handle, clock } = await opened()

    expect((await handle(eventOf({ kind: 'due', at: new Date(clock.now() + ahead) }))).reason).toBe(reason)
  })

  it('whose time is over before it begins is not begun', async () => {
    const { handle, steps, oldKey } = await opened()
    const { keyId } = await oldKey('a')
    steps.length = 0

    expect(await handle(eventOf({ keyId }), 0)).toMatchObject({ decision: 'retry', reason: 'failed', error: { code: 'deadline_exceeded' } })
    expect(steps).toEqual([])
  })

  it('is not acknowledged when its line cannot be written, and then nothing is changed until one can be', async () => {
    const { handle, runtime, oldKey, epochOf, writes } = await opened()
    const [one, two] = [await oldKey('a'), await oldKey('b')]
    runtime.auditDown = true
    const first = await handle(eventOf({ keyId: one.keyId }))
    const before = writes()
    const second = await handle(eventOf({ keyId: two.keyId }))
    runtime.auditDown = false

    const after = [await handle(eventOf({ keyId: one.keyId })), await handle(eventOf({ keyId: two.keyId }))]

    expect([first, second].map(({ decision, error }) => [decision, error?.code])).toEqual([['retry', 'audit_unavailable'], ['retry', 'audit_unavailable']])
    expect(writes()).toBeGreaterThan(before)
    expect(after.map(({ reason }) => reason)).toEqual(['already_done', 'rotated'])
    expect([await epochOf('a'), await epochOf('b')]).toEqual([2, 2])
  })

  it('where keys are not stored is refused by the name of the setting', async () => {
    const { handle } = await opened({ policy: { storeVirtualKeys: false } })

    expect(await handle(eventOf({ kind: 'due' }))).toMatchObject({ decision: 'refused', reason: 'not_possible', message: expect.stringContaining('store_virtual_keys') })
  })
})

describe('the sweep by a schedule', () => {
  it('rotates what is due in pages, with a line for each key and one for the event', async () => {
    const { handle, keys, context, runtime, clock } = await opened()
    for (let index = 0; index < 60; index += 1) await keys.create({ alias: `k${index}`, data: { auto_rotate: true, rotation_interval: '30d' } }, context())
    clock.advance(30 * day)
    runtime.audited.length = 0

    const outcome = await handle(eventOf({ kind: 'due', source: 'scheduler' }))

    expect(outcome).toMatchObject({ decision: 'done', reason: 'swept', swept: { checked: 60, repaired: 60, failed: 0 } })
    expect(outcome.cursor).toBeUndefined()
    expect(runtime.audited.filter(({ action }) => action === 'keys:reconcile')).toHaveLength(60)
    expect(runtime.audited.filter(({ action }) => action === 'events:rotate')).toHaveLength(1)
  })

  it('stops when its time is short, says so, and goes on there with the next event', async () => {
    const house = await opened()
    const { keys, context, clock } = house
    for (let index = 0; index < 60; index += 1) await keys.create({ alias: `k${String(index).padStart(2, '0')}`, data: { auto_rotate: true, rotation_interval: '30d' } }, context())
    clock.advance(30 * day)
    let looks = 0
    const slow = await house.instance((inner) => ({
      describe: async (...all) => {
        if ((looks += 1) === 120) clock.advance(22_000)
        return inner.describe?.(...all) as never
      },
    }))

    const first = await slow.handle(eventOf({ kind: 'due' }), 25_000)
    const second = await slow.handle(eventOf({ kind: 'due', id: 'event-2' }), 25_000)
    const third = await slow.handle(eventOf({ kind: 'due', id: 'event-3' }), 25_000)

    expect(first).toMatchObject({ decision: 'done', message: expect.stringContaining('the time ended') })
    expect((first.swept?.repaired ?? 0) + (second.swept?.repaired ?? 0) + (third.swept?.repaired ?? 0)).toBe(60)
    expect(second.cursor).toBeUndefined()
  })

  it('logs how long a rotation is overdue that cannot be brought about, the oldest of all of them, and nothing once it is', async () => {
    const house = await opened()
    const { handle, keys, context, clock, runtime } = house
    const stuck = await house.instance((inner) => ({ write: () => Promise.reject(new LatchkeyError('provider_denied', 'Not any more.')), read: inner.read }))
    await keys.create({ alias: 'a', data: { auto_rotate: true, rotation_interval: '30d' } }, context())
    clock.advance(day)
    await keys.create({ alias: 'b', data: { auto_rotate: true, rotation_interval: '30d' } }, context())
    clock.advance(33 * day)

    const failed = await stuck.handle(eventOf({ kind: 'due' }))
    const said = runtime.lines.filter(({ fields }) => fields['code'] === 'rotation_overdue')
    await handle(eventOf({ kind: 'due', id: 'event-2' }))
    const after = runtime.lines.filter(({ fields }) => fields['code'] === 'rotation_overdue')

    expect(failed.swept).toEqual({ checked: 2, repaired: 0, failed: 2 })
    expect(said).toEqual([{ level: 'warn', message: expect.any(String) as string, fields: { code: 'rotation_overdue', overdue_seconds: 4 * 86_400 } }])
    expect(after).toHaveLength(1)
  })

  it('logs nothing of a rotation that is begun by the sweep which finds it', async () => {
    const { handle, keys, context, clock, runtime } = await opened()
    await keys.create({ alias: 'a', data: { auto_rotate: true, rotation_interval: '30d' } }, context())
    clock.advance(40 * day)

    const outcome = await handle(eventOf({ kind: 'due' }))

    expect(outcome.swept?.repaired).toBe(1)
    expect(runtime.lines).toEqual([])
  })

  it('fails as a whole only when no page can be had', async () => {
    const house = await opened()
    const broken = await house.instance(() => ({ list: () => Promise.reject(new Error('the service is on fire')) }))

    expect(await broken.handle(eventOf({ kind: 'due' }))).toMatchObject({ decision: 'retry', reason: 'failed' })
  })
})

describe('a running Latchkey', () => {
  it('has a rotator over all its stores, and refuses a section that does not fit before the first event', async () => {
    const runtime = testRuntime({ env: { LITELLM_MASTER_KEY: 'sk-0123456789-0123456789-0123456789' } })
    const file = (secrets: readonly object[]): object => ({ general_settings: { key_management_system: 'memory', key_management_settings: { access_mode: 'read_and_write', store_virtual_keys: true } }, latchkey: { rotation: { secrets } } })
    const configurationOf = (given: object) => parseConfiguration(given, { env: runtime.env, loopback: true, systems: ['memory'] }).configuration

    const latchkey = await openLatchkey(configurationOf(file([])), runtime)
    const outcome = await (await latchkey.rotator()).handle(eventOf({ kind: 'due' }), { signal: new AbortController().signal, deadline: runtime.clock.now() + 20_000 })

    expect(outcome.reason).toBe('swept')
    await expect((await openLatchkey(configurationOf(file([{ names: ['A'], length: 1 }])), runtime)).keys()).rejects.toMatchObject({ code: 'misconfigured' })
    await latchkey.close()
  })

  it('opens for events from the configuration of a function, or says in the log why not', async () => {
    const config = JSON.stringify({ general_settings: { key_management_system: 'memory', key_management_settings: { access_mode: 'read_and_write', store_virtual_keys: true } } })
    const runtime = testRuntime({ env: { LATCHKEY_CONFIG: config } })
    const { rotator } = await openRotator(runtime, '/nowhere', { steps: true })

    expect((await rotator.handle(eventOf({ kind: 'probe' }), { signal: new AbortController().signal, deadline: runtime.clock.now() + 1_000 })).decision).toBe('done')
    for (const [env, message] of [[{}, /No configuration/], [{ LATCHKEY_CONFIG: 'a: b' }, /not JSON/]] as const) {
      const wrong = testRuntime({ env })
      await expect(openRotator(wrong, '/nowhere')).rejects.toThrow(message)
      expect(wrong.lines.at(-1)?.message).toMatch(message)
    }
  })
})

describe('the reasons', () => {
  it.each(Object.entries(rotationReasons))('%s says when and what to do', (_name, { when, fix }) => {
    expect([when, fix].every((text) => /^[A-Z].*\.$/.test(text))).toBe(true)
  })
})
