// Ordinary secrets that events rotate: a random password, or a module of the operator's own, which is called again after any answer was lost and never sees a second value.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { verbatimCodec } from '../../shared/core/names.ts'
import { slugHashCodec } from '../../shared/core/names/slug-hash.ts'
import { checkRotated, readRotation } from '../../shared/core/rotation/settings.ts'
import { nameIn } from '../../shared/core/stores/naming.ts'
import { shapes } from '../sim/shapes.ts'
import { openAccount, steps } from './aws-account.ts'
import { day, eventOf, houseOn } from './rotation-house.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-generator-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A module that keeps, beside it, what it was called with; `failing`: its step that fails while the file `broken` is there. */
const moduleOf = (name = 'generator.mjs', failing = 'test'): string => {
  const path = join(folder, name)
  writeFileSync(path, `import { appendFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
const log = (...all) => appendFileSync(join(import.meta.dirname, 'calls'), JSON.stringify(all) + '\\n')
const perhaps = (step) => { if (step === '${failing}' && existsSync(join(import.meta.dirname, 'broken'))) throw new Error('a message with the-value-itself in it') }
let made = 0
export const create = ({ name, current }) => { log('create', name, current); perhaps('create'); return 'generated-' + (made += 1) + '-after-' + current }
export const set = ({ pending, current }) => { log('set', pending, current); perhaps('set') }
export const test = ({ pending, current }) => { log('test', pending, current); perhaps('test') }
export const finish = ({ current, previous, until }) => { log('finish', current, previous, until instanceof Date); perhaps('finish') }
`)
  return path
}
const calls = async (): Promise<readonly unknown[][]> => {
  const { readFile } = await import('node:fs/promises')
  return (await readFile(join(folder, 'calls'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as unknown[])
}
const rotation = (more: object): object => ({ secrets: [{ names: ['DB-*'], ...more }] })

describe.each(shapes)('an event about an ordinary secret on $name', (shape) => {
  it('gives it a random password, once, and leaves others alone', async () => {
    const { handle, oldSecret, valueOf, lines } = await houseOn(shape, { rotation: rotation({ length: 24, characters: 'abcdefghij' }) })
    await oldSecret('DB-PASSWORD', 'the first one')
    await oldSecret('OTHER', 'stays')
    await oldSecret('DB-THEIRS', 'theirs', {})

    const outcomes = []
    for (const name of ['DB-PASSWORD', 'DB-PASSWORD', 'OTHER', 'DB-THEIRS', 'DB-ABSENT']) outcomes.push((await handle(eventOf({ name }))).reason)

    expect(outcomes).toEqual(['rotated', 'too_soon', 'no_generator', 'not_ours', 'not_ours'])
    expect((await valueOf('DB-PASSWORD')).reveal()).toMatch(/^[a-j]{24}$/)
    expect([(await valueOf('OTHER')).reveal(), (await valueOf('DB-THEIRS')).reveal()]).toEqual(['stays', 'theirs'])
    expect(lines()).toHaveLength(5)
  })

  it('goes on with the value that is stored when a module failed, and tells nothing of what it said', async () => {
    const { handle, oldSecret, valueOf, runtime } = await houseOn(shape, { rotation: rotation({ module: moduleOf() }) })
    await oldSecret('DB-A', 'first')
    writeFileSync(join(folder, 'broken'), '')
    const failed = await handle(eventOf({ name: 'DB-A' }))
    const between = (await valueOf('DB-A')).reveal()
    rmSync(join(folder, 'broken'))

    const done = await handle(eventOf({ name: 'DB-A' }))

    expect([failed.decision, between, done.reason]).toEqual(['retry', 'first', 'rotated'])
    expect((await valueOf('DB-A')).reveal()).toBe('generated-1-after-first')
    expect((await calls()).map(([step, value]) => [step, value])).toEqual([
      ['create', 'DB-A'], ['set', 'generated-1-after-first'], ['test', 'generated-1-after-first'],
      ['set', 'generated-1-after-first'], ['test', 'generated-1-after-first'], ['finish', 'generated-1-after-first'],
    ])
    expect((await calls()).at(-1)).toEqual(['finish', 'generated-1-after-first', 'first', true])
    expect(JSON.stringify([failed, runtime.audited, runtime.lines])).not.toMatch(/the-value-itself|generated-1/)
  })

  it('tells the module of the end again when that was lost, and changes nothing else', async () => {
    const { handle, instance, oldSecret, valueOf } = await houseOn(shape, { rotation: rotation({ module: moduleOf('finish.mjs', 'finish') }) })
    await oldSecret('DB-A', 'first')
    const lost = (): Promise<never> => Promise.reject(new LatchkeyError('provider_unavailable', 'The service does not answer.'))
    const stopping = await instance((inner) => ({ promote: async (...all) => { await inner.promote?.(...all); return lost() } }))
    const stopped = await stopping.handle(eventOf({ name: 'DB-A' }))

    const again = [await handle(eventOf({ name: 'DB-A' })), await handle(eventOf({ name: 'DB-A' }))]

    expect([stopped.decision, ...again.map(({ reason }) => reason)]).toEqual(['retry', 'rotated', 'too_soon'])
    expect((await valueOf('DB-A')).reveal()).toBe('generated-1-after-first')
    expect((await calls()).filter(([step]) => step === 'finish')).toEqual([['finish', 'generated-1-after-first', 'first', true]])
  })
})

describe('AWS’s four steps of an ordinary secret', () => {
  it('call the module’s functions one each, and again when they are repeated', async () => {
    const account = await openAccount({ rotation: rotation({ module: moduleOf() }) })
    await account.oldSecret('DB-A', 'first')
    const started = account.begin('DB-A')

    const reasons = []
    for (const step of steps) reasons.push((await account.invoke(step, started)).reason, (await account.invoke(step, started)).reason)

    expect(reasons).toEqual(['step_done', 'step_done', 'step_done', 'step_done', 'step_done', 'step_done', 'step_done', 'already_done'])
    expect((await account.valueOf('DB-A')).reveal()).toBe('generated-1-after-first')
    expect((await calls()).map(([step]) => step)).toEqual(['create', 'set', 'set', 'test', 'test', 'test', 'finish'])
    expect(account.labelsOf('DB-A')[started.token]).toContain('AWSCURRENT')
    await account.close()
  })

  it('come to one value whatever call is not answered', { timeout: 60_000 }, async () => {
    for (let nth = 1; ; nth += 1) {
      const account = await openAccount({ rotation: rotation({}) })
      await account.oldSecret('DB-A', 'first')
      const started = account.begin('DB-A')
      account.fake.fault({ kind: 'unavailable_after', nth, times: 1 })
      const asked = account.fake.requests.length

      await account.drive(started)

      const struck = account.fake.requests.length - asked >= nth
      account.fake.heal()
      expect([nth, account.labelsOf('DB-A')[started.token]?.includes('AWSCURRENT'), account.fake.secrets.get('DB-A')?.versions.size]).toEqual([nth, true, 2])
      expect(account.fake.secrets.get('DB-A')?.tags.get('latchkey-rotating') ?? '').toBe('')
      await account.close()
      if (!struck) break
    }
  })

  it('refuse a step before its own', async () => {
    const account = await openAccount({ rotation: rotation({}) })
    await account.oldSecret('DB-A', 'first')
    const started = account.begin('DB-A')

    const reasons = []
    for (const step of ['setSecret', 'testSecret', 'finishSecret'] as const) reasons.push((await account.invoke(step, started)).reason)

    expect(reasons).toEqual(['out_of_order', 'out_of_order', 'out_of_order'])
    expect((await account.valueOf('DB-A')).reveal()).toBe('first')
    await account.close()
  })
})

describe('a module', () => {
  it.each([
    ['that is not there', (): string => join(folder, 'absent.mjs')],
    ['that exports nothing of use', (): string => { writeFileSync(join(folder, 'empty.mjs'), 'export const other = 1'); return join(folder, 'empty.mjs') }],
    ['whose create is no function', (): string => { writeFileSync(join(folder, 'text.mjs'), "export const create = 'x'"); return join(folder, 'text.mjs') }],
    ['whose create gives no text', (): string => { writeFileSync(join(folder, 'number.mjs'), 'export const create = () => 7'); return join(folder, 'number.mjs') }],
  ])('%s is refused by name, and nothing is written', async (_title, path) => {
    const [shape] = shapes
    const { handle, oldSecret, valueOf, writes } = await houseOn(shape as never, { rotation: rotation({ module: path() }) })
    await oldSecret('DB-A', 'first')
    const before = writes()

    const outcome = await handle(eventOf({ name: 'DB-A' }))

    expect([outcome.decision, outcome.reason, outcome.error?.code]).toEqual(['refused', 'not_possible', 'misconfigured'])
    expect([(await valueOf('DB-A')).reveal(), writes() - before]).toEqual(['first', 0])
  })
})

describe('latchkey.rotation', () => {
  it('is read with its defaults', () => {
    const [entry] = readRotation({ secrets: [{ names: ['prod/*', 'DB_**'] }] })

    expect(entry).toMatchObject({ store: 'default', length: 40 })
    expect(['prod/a', 'prod/a/b', 'DB_a/b', 'other'].map((text) => entry?.matches({ text, place: 'hosted' }, verbatimCodec()))).toEqual([true, false, true, false])
    expect(readRotation(undefined)).toEqual([])
  })

  it.each([
    ['DB_PASSWORD', 'db-password', 'hosted', true], ['db-*', 'DB-A', 'hosted', true], ['DB_*', 'DB_A', 'hosted', true], ['DB-PASSWORD', 'DB-PASSWORDS', 'hosted', false],
    ['team/DB_A', 'team/DB_A', 'created', true], ['team/DB_A', 'team/db_a', 'created', false], ['team/DB_A', 'team/DB-A', 'created', false],
  ] as const)('names on Azure, as %s, what is spelt %s (%s): %s', (pattern, text, place, expected) => {
    const [entry] = readRotation({ secrets: [{ names: [pattern] }] })

    expect(entry?.matches({ text, place }, slugHashCodec)).toBe(expected)
  })

  it.each<[string, unknown, RegExp]>([
    ['no mapping', [], /latchkey\.rotation must be a mapping/], ['an unknown key', { secret: [] }, /latchkey\.rotation\.secret .*did you mean secrets/], ['secrets that are no list', { secrets: {} }, /secrets must be a list/],
    ['an entry without names', { secrets: [{}] }, /secrets\[0\]\.names/], ['an unknown setting', { secrets: [{ names: ['A'], lenght: 20 }] }, /did you mean length/], ['a short password', { secrets: [{ names: ['A'], length: 8 }] }, /length/],
    ['characters that repeat', { secrets: [{ names: ['A'], characters: 'aaaaaaaaaaaa' }] }, /characters must be/], ['a module that is none', { secrets: [{ names: ['A'], module: './x.py' }] }, /module must be the path/],
  ])('is refused: %s', (_title, given, message) => {
    expect(() => readRotation(given)).toThrow(message)
  })

  it('is refused for a store that is not there, may not be read and written, or cannot stage', () => {
    const entries = readRotation({ secrets: [{ names: ['A'], store: 'x' }] })
    const store = (accessMode: string, stages: boolean) => new Map([['x', { policy: { accessMode }, can: () => stages }]])

    expect(() => checkRotated(entries, new Map())).toThrow(/names no store/)
    expect(() => checkRotated(entries, store('write_only', true))).toThrow(/read_and_write/)
    expect(() => checkRotated(entries, store('read_and_write', false))).toThrow(/cannot stage/)
    expect(() => checkRotated(entries, store('read_and_write', true))).not.toThrow()
  })
})

describe('a value’s time', () => {
  it('is made the secret’s expiry anew, where valid_days says so', async () => {
    const azure = shapes.find(({ name }) => name === 'azure')
    const { handle, oldSecret, store, call, clock } = await houseOn(azure as never, { rotation: rotation({ valid_days: 90 }) })
    await oldSecret('DB-A', 'first')

    await handle(eventOf({ name: 'DB-A' }))

    const { expires } = await store.describe(nameIn(store, 'DB-A'), call())
    expect(Math.abs((expires?.getTime() ?? 0) - clock.now() - 90 * day)).toBeLessThan(60_000)
  })
})
