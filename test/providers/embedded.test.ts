// The embedded store from outside: what lies on the disk, which key opens it, what is kept and for how long. What every provider must do is in the exam.
import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readSettings } from '../../shared/core/settings.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { embedded } from '../../shared/providers/embedded.ts'
import { canariesIn, canary } from '../support/canary.ts'
import { callOf, envOf, ManualClock } from '../support/runtime.ts'
import { databaseIn, nameOf, put, storeIn, temporaryFolder, textOf } from './embedded-store.ts'

const clock = new ManualClock()
const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8)

describe('the files of the embedded store', () => {
  it('are readable to this user alone, the folder that they make included', async () => {
    const folder = join(await temporaryFolder(), 'deep', 'data')
    const store = await storeIn(folder)
    await put(store, clock, 'a', 'value')

    const modes = await Promise.all(['embedded.db', 'embedded.db-wal', 'embedded.db-shm', 'embedded.key'].map((file) => modeOf(join(folder, file))))

    expect(modes).toEqual(['600', '600', '600', '600'])
    expect([await modeOf(folder), await modeOf(join(folder, '..'))]).toEqual(['700', '700'])
  })

  it('hold names, and nothing of a value, a label, a description or an operation', async () => {
    const folder = await temporaryFolder()
    const store = await storeIn(folder)
    const [value, label, description] = [canary('value'), canary('label'), canary('description')]

    await put(store, clock, 'plain-name', value, { labels: { [label]: label }, description, operation: 'put-5ec2e7' })
    await store.remove(nameOf('plain-name'), { expect: 'any', final: false }, callOf(clock))
    const bytes = (await Promise.all((await readdir(folder)).map((file) => readFile(join(folder, file), 'latin1')))).join('')

    expect(canariesIn(bytes)).toEqual([])
    expect(bytes).not.toContain('put-5ec2e7')
    expect(bytes).toContain('plain-name')
  })

  it('hold what was written after a close and an open', async () => {
    const folder = await temporaryFolder()
    const first = await storeIn(folder)
    await put(first, clock, 'a', 'kept', { labels: { team: 'x' } })
    await first.close()

    const second = await storeIn(folder)

    expect(await textOf(second, clock, 'a')).toBe('kept')
    expect((await second.describe(nameOf('a'), callOf(clock))).labels).toEqual({ team: 'x' })
  })
})

describe('the key of the embedded store', () => {
  const bytes = randomBytes(32)

  it('is made once, as a file, when no setting names one', async () => {
    const folder = await temporaryFolder()
    await (await storeIn(folder)).close()
    const made = await readFile(join(folder, 'embedded.key'), 'utf8')
    await (await storeIn(folder)).close()

    expect(Buffer.from(made, 'base64')).toHaveLength(32)
    expect(await readFile(join(folder, 'embedded.key'), 'utf8')).toBe(made)
  })

  it.each([
    ['base64', bytes.toString('base64')],
    ['base64url', bytes.toString('base64url')],
    ['hex', bytes.toString('hex')],
    ['hex in capitals, with a line break', `${bytes.toString('hex').toUpperCase()}\n`],
  ])('is the same key as %s', async (_, key) => {
    const folder = await temporaryFolder()
    const first = await storeIn(folder, { key: bytes.toString('base64') })
    await put(first, clock, 'a', 'value')
    await first.close()

    const second = await storeIn(folder, { key })

    expect(await textOf(second, clock, 'a')).toBe('value')
    expect(await readdir(folder)).not.toContain('embedded.key')
  })

  it.each([['too short', 'c2hvcnQ='], ['31 bytes', randomBytes(31).toString('hex')], ['33 bytes', randomBytes(33).toString('base64')], ['words', 'correct horse battery staple']])('is refused when it is %s, and nothing is made', async (_, key) => {
    const folder = await temporaryFolder()

    const opening = storeIn(folder, { key })

    await expect(opening).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining('openssl rand -base64 32') })
    await expect(opening).rejects.not.toMatchObject({ message: expect.stringContaining(key) })
    expect(await readdir(folder)).toEqual([])
  })

  it('is said to be another one when it is, and the file stays as it was', async () => {
    const folder = await temporaryFolder()
    const store = await storeIn(folder)
    await put(store, clock, 'a', 'value')
    await store.close()
    const before = [await readFile(join(folder, 'embedded.db')), await readdir(folder)]

    const opening = storeIn(folder, { key: randomBytes(32).toString('base64') })

    await expect(opening).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining('sealed with another key') })
    expect([await readFile(join(folder, 'embedded.db')), await readdir(folder)]).toEqual(before)
    expect(await textOf(await storeIn(folder), clock, 'a')).toBe('value')
  })

  it('is never made anew for a store that has lost its own', async () => {
    const folder = await temporaryFolder()
    await (await storeIn(folder)).close()
    await rm(join(folder, 'embedded.key'))

    const opening = storeIn(folder)

    await expect(opening).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining('embedded.key') })
    expect(await readdir(folder)).toEqual(['embedded.db'])
  })

  it('is named when its file holds something else', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'embedded.key'), 'not a key\n')

    const opening = storeIn(folder)

    await expect(opening).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining('embedded.key') })
  })

  it('seals two stores differently', async () => {
    const key = bytes.toString('base64')
    const [one, other] = [await temporaryFolder(), await temporaryFolder()]
    await put(await storeIn(one, { key }), clock, 'a', 'value', { operation: 'put-same' })
    const second = await storeIn(other, { key })
    await put(second, clock, 'a', 'other', { operation: 'put-same' })
    const taken = databaseIn(one).prepare('SELECT sealed FROM versions').get()

    databaseIn(other).prepare('UPDATE versions SET sealed = ?').run(taken?.['sealed'] as Uint8Array)

    await expect(textOf(second, clock, 'a')).rejects.toMatchObject({ code: 'integrity' })
  })
})

describe('the settings of the embedded store', () => {
  it('come from the environment when the file has none, and the key stays a secret', () => {
    const env = envOf({ LATCHKEY_DATA_DIR: '/data', LATCHKEY_EMBEDDED_KEY: 'k'.repeat(43) })

    const { settings, issues } = readSettings(embedded.settings, {}, { path: 'store', env })

    expect(issues).toEqual([])
    expect(settings).toMatchObject({ path: '/data', recovery_window_days: 7, lock_wait_ms: 5000 })
    expect(settings.key).toBeInstanceOf(SecretValue)
  })
})

describe('what the embedded store keeps', () => {
  it('a hundred versions without a stage, the newest, beside the staged ones', async () => {
    const folder = await temporaryFolder()
    const store = await storeIn(folder)
    const versions = []
    for (let index = 0; index < 105; index += 1) versions.push(await put(store, clock, 'a', `value ${index}`))

    const facts = await store.describe(nameOf('a'), callOf(clock))

    expect(facts.versions?.map(({ id }) => id)).toEqual(versions.slice(-102).map(({ id }) => id))
    expect(await textOf(store, clock, 'a', { version: versions[3]?.id ?? '' })).toBe('value 3')
    await expect(textOf(store, clock, 'a', { version: versions[2]?.id ?? '' })).rejects.toMatchObject({ code: 'not_found' })
    expect(databaseIn(folder).prepare('SELECT count(*) AS rows FROM versions').get()).toEqual({ rows: 102 })
  })

  it('a deleted secret until its time is over, then it is absent and its name is free', async () => {
    const standing = new ManualClock()
    const folder = await temporaryFolder()
    const store = await storeIn(folder, { clock: standing, days: 7 })
    await put(store, standing, 'a', 'first')
    const { recoverableUntil } = await store.remove(nameOf('a'), { expect: 'any', final: false }, callOf(standing))

    standing.set((recoverableUntil?.getTime() ?? 0) - 1)
    const held = store.write({ name: nameOf('a'), value: SecretValue.of('x'), expect: 'absent', operation: 'put-early', stage: 'current' }, callOf(standing))
    await expect(held).rejects.toMatchObject({ code: 'soft_deleted', details: { recoverableUntil } })
    standing.advance(1)

    await expect(store.describe(nameOf('a'), callOf(standing))).rejects.toMatchObject({ code: 'not_found' })
    await expect(store.recover(nameOf('a'), callOf(standing))).rejects.toMatchObject({ code: 'not_found' })
    await put(store, standing, 'a', 'second', { expect: 'absent' })
    expect((await store.describe(nameOf('a'), callOf(standing))).versions).toHaveLength(1)
  })

  it('nothing of a deleted secret after its time, from the next open on', async () => {
    const standing = new ManualClock()
    const folder = await temporaryFolder()
    const store = await storeIn(folder, { clock: standing, days: 1 })
    await put(store, standing, 'a', 'gone')
    await put(store, standing, 'b', 'stays')
    await store.remove(nameOf('a'), { expect: 'any', final: false }, callOf(standing))
    await store.close()
    standing.advance(86_400_000)

    const again = await storeIn(folder, { clock: standing })

    expect(databaseIn(folder).prepare('SELECT name FROM secrets UNION SELECT name FROM versions').all()).toEqual([{ name: 'litellm/b' }])
    expect(await textOf(again, standing, 'b')).toBe('stays')
  })

  it('no version number twice, not even after a final delete', async () => {
    const store = await storeIn(await temporaryFolder())
    const first = await put(store, clock, 'a', 'one')
    await store.remove(nameOf('a'), { expect: 'any', final: true }, callOf(clock))

    const second = await put(store, clock, 'a', 'two')

    expect(Number(second.id)).toBeGreaterThan(Number(first.id))
  })

  it('pages of a list by label end, although each looks at a thousand secrets at most', async () => {
    const store = await storeIn(await temporaryFolder(), { connect: async (path) => fast(path) })
    for (let index = 0; index < 1100; index += 1) await put(store, clock, `s-${String(index).padStart(4, '0')}`, 'v', { labels: { odd: index % 1099 === 0 ? 'yes' : 'no' } })

    const first = await store.list({ prefix: 'litellm/', label: ['odd', 'yes'], limit: 50 }, callOf(clock))
    const second = await store.list({ prefix: 'litellm/', label: ['odd', 'yes'], limit: 50, cursor: first.cursor ?? '' }, callOf(clock))

    expect(first.items.map(({ nativeName }) => nativeName)).toEqual(['litellm/s-0000'])
    expect(second.items.map(({ nativeName }) => nativeName)).toEqual(['litellm/s-1099'])
    expect(second.cursor).toBeUndefined()
  })
})

/** A thousand writes need not reach the disk for a test of pages. */
const fast = (path: string): DatabaseSync => {
  const database = new DatabaseSync(path)
  const exec = database.exec.bind(database)
  database.exec = (sql) => exec(sql.replace('PRAGMA synchronous = FULL', 'PRAGMA synchronous = OFF'))
  return database
}
