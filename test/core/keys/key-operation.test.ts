import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { beginOperation, parseStamp, rememberEvicted, seenByFormer, stampLabel, stampText, wasSeen, type Stamp } from '../../../shared/core/keys/operation.ts'
import { operationText, parseOperation, verbs } from '../../../shared/core/keys/operation-text.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { isTombstone } from '../../../shared/core/stores/tombstone.ts'
import { keyIdOf, mintedKeyId, mintToken } from '../../../shared/core/virtual-key.ts'
import { callOf, ManualClock, SeededRandom } from '../../support/runtime.ts'

const clock = new ManualClock()
const hex32 = fc.stringMatching(/^[0-9a-f]{32}$/)
const date = fc.integer({ min: 0, max: 4_102_444_800_000 }).map((ms) => new Date(ms))
const context = { call: callOf(clock), caller: 'c', route: 'r', body: '{}', idempotencyKey: 'k'.repeat(16) }

describe('an operation', () => {
  it('is the same for the same caller, route, target and key, and for nothing else', () => {
    const id = (change: Partial<typeof context> = {}, target = 't') => beginOperation('create', { ...context, ...change }, target, new SeededRandom()).id

    expect(id()).toBe(id({ body: 'other' }))
    expect(new Set([id(), id({ caller: 'cr', route: '' }), id({ caller: '', route: 'cr' }), id({ idempotencyKey: 'x'.repeat(16) }), id({}, 'u')]).size).toBe(5)
  })

  it('without a key is another one every time', () => {
    const { idempotencyKey: _none, ...unkeyed } = context
    const random = new SeededRandom()

    expect(beginOperation('create', unkeyed, 't', random).id).not.toBe(beginOperation('create', unkeyed, 't', random).id)
  })

  it('comes back from the text that a provider keeps', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 999_999_999 }), fc.constantFrom('create', 'rotate', 'delete'), hex32, (epoch, verb, id) => {
      const text = operationText(epoch, { verb, id })

      expect(parseOperation(text)).toEqual({ epoch, verb, id })
      expect(text).toMatch(/^[a-z0-9-]{32,64}$/)
    }))
    expect(parseOperation('put-0123456789abcdef0123456789abcdef')).toBeUndefined()
  })

  it('is seen as a tombstone by every read exactly where it is a deletion', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 999_999_999 }), fc.constantFrom(...verbs), hex32, (epoch, verb, id) => {
      expect(isTombstone({ operation: operationText(epoch, { verb, id }) })).toBe(verb === 'delete')
    }))
  })
})

describe('a stamp', () => {
  it('comes back from its label, and fits into 256 characters that every service takes', () => {
    const stamps: fc.Arbitrary<Stamp> = fc.record(
      { id: hex32, verb: fc.constantFrom('create', 'rotate', 'delete'), step: fc.constantFrom('rotating', 'revoking', 'done'), at: date, before: fc.stringMatching(/^[1-9]-rotate-[0-9a-f]{32}$/), until: date, digest: fc.stringMatching(/^[0-9a-f]{16}$/) },
      { requiredKeys: ['id', 'verb', 'step', 'at'] },
    )
    fc.assert(fc.property(stamps, fc.option(fc.record({ before: fc.stringMatching(/^[1-9]-rotate-[0-9a-f]{32}$/), until: date }), { nil: undefined }), (stamp, kept) => {
      const whole = kept === undefined ? stamp : { ...stamp, kept }

      expect(parseStamp(stampText(whole))).toEqual(whole)
      expect(stampText(whole)).toMatch(/^[\w +=.:/@-]{1,256}$/)
    }))
  })

  it('keeps the slot of its epoch', () => {
    expect([1, 2, 3, 4, 5].map((epoch) => stampLabel(epoch, 4))).toEqual(['latchkey-op-2', 'latchkey-op-3', 'latchkey-op-4', 'latchkey-op-1', 'latchkey-op-2'])
    expect(stampLabel(7, 1)).toBe('latchkey-op-1')
  })

  it('that loses its slot is remembered for a day, and only when it had a key', () => {
    const at = new Date(clock.now())
    const stamp: Stamp = { id: 'a'.repeat(32), verb: 'rotate', step: 'done', at, digest: 'b'.repeat(16) }
    const how = { now: clock.now(), maxBytes: 255, force: false, overtaken: false }

    const seen = rememberEvicted(undefined, stamp, 5, how)

    expect(wasSeen(seen, stamp.id)).toBe(true)
    expect(wasSeen(seen, 'c'.repeat(32))).toBe(false)
    expect(rememberEvicted(seen, { ...stamp, id: 'd'.repeat(32) }, 9, { ...how, now: how.now + 24 * 3_600_000 })).toBeUndefined()
    expect(rememberEvicted(undefined, { id: stamp.id, verb: 'rotate', step: 'done', at }, 5, how)).toBeUndefined()
    expect(() => rememberEvicted(seen, { ...stamp, id: 'd'.repeat(32) }, 9, { ...how, maxBytes: 30 })).toThrow(expect.objectContaining({ code: 'throttled' }))
    expect(wasSeen(rememberEvicted(seen, { ...stamp, id: 'd'.repeat(32) }, 9, { ...how, maxBytes: 30, force: true, overtaken: false }), 'd'.repeat(32))).toBe(true)
  })

  it('whose kept grace has no date keeps the rest', () => {
    const stamp: Stamp = { id: 'a'.repeat(32), verb: 'rotate', step: 'done', at: new Date(clock.now()) }

    expect(parseStamp(`${stampText(stamp)} kept=version=someday`)).toEqual(stamp)
    expect(parseStamp(`${stampText(stamp)} kept=version`)).toEqual(stamp)
    expect(parseStamp('put there by somebody')).toBeUndefined()
  })

  it('forced into a full list takes the place of the oldest entry, and what somebody else wrote there goes first', () => {
    const entryOf = (letter: string, hoursAgo: number): string => `${letter.repeat(12)}.2.${Math.floor((clock.now() - hoursAgo * 3_600_000) / 60_000).toString(36)}`
    const stamp: Stamp = { id: 'd'.repeat(32), verb: 'rotate', step: 'done', at: new Date(clock.now()), digest: 'b'.repeat(16) }
    const full = [entryOf('a', 1), entryOf('b', 20), entryOf('c', 2)].join(' ')

    const forced = rememberEvicted(full, stamp, 2, { now: clock.now(), maxBytes: full.length, force: true, overtaken: false })
    const cleared = rememberEvicted(`written-by-hand ${entryOf('a', 1)}`, stamp, 2, { now: clock.now(), maxBytes: full.length, force: false, overtaken: false })

    expect(['a', 'b', 'c', 'd'].map((letter) => wasSeen(forced, letter.repeat(32)))).toEqual([true, false, true, true])
    expect(cleared).toBe(`${entryOf('a', 1)} ${entryOf('d', 0)}`)
    expect(() => rememberEvicted(full, stamp, 2, { now: clock.now(), maxBytes: full.length, force: false, overtaken: false })).toThrow(expect.objectContaining({ details: expect.objectContaining({ retryAfter: 4 * 3600 }) }))
  })

  it('of a former key is marked once, however often the name changes hands', () => {
    const seen = `${'a'.repeat(12)}.2.x ${'b'.repeat(12)}.3.abc`.replace('.x', '.abc.x')

    const marked = seenByFormer(seen, 256)

    expect(seenByFormer(marked, 256)).toBe(marked)
    expect(seenByFormer('one.1.a two.2.b', 16)).toBe('two.2.b.x')
    expect([wasSeen(marked, 'a'.repeat(32), 'former'), wasSeen(marked, 'b'.repeat(32), 'former'), wasSeen(seen, 'b'.repeat(32), 'former')]).toEqual([true, true, false])
  })
})

describe('a minted token', () => {
  it('carries its key id, and every changed character shows', () => {
    fc.assert(fc.property(hex32, fc.nat(1000), (id, at) => {
      const token = mintToken(keyIdOf(id), new SeededRandom(id)).reveal()
      const place = 3 + (at % (token.length - 3))
      const changed = `${token.slice(0, place)}${token[place] === 'b' ? 'c' : 'b'}${token.slice(place + 1)}`

      expect(mintedKeyId(SecretValue.of(token))).toBe(keyIdOf(id))
      expect(token).toMatch(/^sk-[a-z2-7]{16}-[0-9A-Za-z]{32}-[0-9A-Za-z]{6}$/)
      expect(mintedKeyId(SecretValue.of(changed))).toBeUndefined()
    }))
  })
})
