// What a disk, a folder or another program can do to the embedded store: each has an answer that says who must act, and none is a stack.
import { chmod, mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SecretValue } from '../../shared/core/secret.ts'
import { systemClock } from '../../shared/telemetry/node-runtime.ts'
import { callOf, ManualClock } from '../support/runtime.ts'
import { databaseIn, nameOf, put, storeIn, temporaryFolder, textOf, withoutRights } from './embedded-store.ts'

const clock = new ManualClock()
const call = () => callOf(clock)
const large = 'x'.repeat(60_000)

describe('a full disk', () => {
  it('is provider_quota, and everything is as it was before', async () => {
    const folder = await temporaryFolder()
    const disk: { database?: DatabaseSync } = {}
    const store = await storeIn(folder, { connect: async (path) => (disk.database = new DatabaseSync(path)) })
    await put(store, clock, 'a', 'before', { labels: { state: 'before' } })
    disk.database?.exec('PRAGMA max_page_count = 16')

    const writing = store.write({ name: nameOf('a'), value: SecretValue.of(large), expect: 'any', operation: 'put-large', stage: 'current', labels: { state: 'after' } }, call())

    await expect(writing).rejects.toMatchObject({ code: 'provider_quota', message: 'The embedded store cannot grow: the disk is full.', details: { applied: 'no' } })
    expect(await textOf(store, clock, 'a')).toBe('before')
    expect((await store.describe(nameOf('a'), call())).labels).toEqual({ state: 'before' })
  })

  it('with room again takes the same write', async () => {
    const disk: { database?: DatabaseSync } = {}
    const store = await storeIn(await temporaryFolder(), { connect: async (path) => (disk.database = new DatabaseSync(path)) })
    disk.database?.exec('PRAGMA max_page_count = 16')
    await expect(put(store, clock, 'a', large, { operation: 'put-large' })).rejects.toMatchObject({ code: 'provider_quota' })
    disk.database?.exec('PRAGMA max_page_count = 1000')

    const version = await put(store, clock, 'a', large, { operation: 'put-large' })

    expect(version.operation).toBe('put-large')
    expect(await textOf(store, clock, 'a')).toBe(large)
  })

  it('met by the first open leaves nothing that a later one stumbles over', async () => {
    const folder = await temporaryFolder()
    const small = async (path: string): Promise<DatabaseSync> => {
      const database = new DatabaseSync(path)
      database.exec('PRAGMA max_page_count = 2')
      return database
    }

    await expect(storeIn(folder, { connect: small })).rejects.toMatchObject({ code: 'provider_quota' })
    const store = await storeIn(folder)

    await put(store, clock, 'a', 'value')
    expect(await textOf(store, clock, 'a')).toBe('value')
  })
})

describe('a disk that fails while it commits', () => {
  it('leaves open whether the write was made, and the same operation again says so', async () => {
    const disk = { fails: false }
    const failing = async (path: string): Promise<DatabaseSync> => {
      const database = new DatabaseSync(path)
      const exec = database.exec.bind(database)
      database.exec = (sql) => {
        exec(sql)
        if (sql === 'COMMIT' && disk.fails) throw Object.assign(new Error('disk I/O error'), { code: 'ERR_SQLITE_ERROR', errcode: 1034 })
      }
      return database
    }
    const store = await storeIn(await temporaryFolder(), { connect: failing })
    const write = () => store.write({ name: nameOf('a'), value: SecretValue.of('value'), expect: 'absent', operation: 'put-once', stage: 'current' }, call())
    disk.fails = true

    await expect(write()).rejects.toMatchObject({ code: 'provider_unavailable', details: { applied: 'unknown' } })
    await expect(textOf(store, clock, 'a')).rejects.toMatchObject({ code: 'provider_unavailable', details: { applied: 'no' } })
    disk.fails = false

    expect(await write()).toMatchObject({ outcome: 'same_operation' })
  })
})

describe('a folder without the rights', () => {
  it('to make the store in is misconfigured and names the path', async () => {
    const folder = await temporaryFolder()
    await chmod(folder, 0o555)

    const opening = withoutRights(() => storeIn(join(folder, 'data')))

    await expect(opening).rejects.toMatchObject({ code: 'misconfigured', message: `${join(folder, 'data', 'embedded.db')} cannot be made: this user may not use it; give the user that runs Latchkey the right to it.` })
    expect(await readdir(folder)).toEqual([])
  })

  it('to write beside a store that is there is misconfigured', async () => {
    const folder = await temporaryFolder()
    await (await storeIn(folder)).close()
    for (const file of await readdir(folder)) await chmod(join(folder, file), 0o444)
    await chmod(folder, 0o555)

    const opening = withoutRights(() => storeIn(folder))

    await expect(opening).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining(`The embedded store ${join(folder, 'embedded.db')} `) })
  })

  it('to read the database is misconfigured', async () => {
    const folder = await temporaryFolder()
    await (await storeIn(folder)).close()
    await chmod(join(folder, 'embedded.db'), 0o000)
    await chmod(folder, 0o555)

    const opening = withoutRights(() => storeIn(folder))

    await expect(opening).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining('cannot be opened') })
  })

  it('to read the key is misconfigured and names the key', async () => {
    const folder = await temporaryFolder()
    await (await storeIn(folder)).close()
    await chmod(join(folder, 'embedded.db'), 0o666)
    await chmod(join(folder, 'embedded.key'), 0o000)
    await chmod(folder, 0o777)

    const opening = withoutRights(() => storeIn(folder))

    await expect(opening).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining(`${join(folder, 'embedded.key')} cannot be read`) })
  })
})

describe('a file that became read-only', () => {
  it('is provider_denied for changes, and still read', async () => {
    const folder = await temporaryFolder()
    const disk: { database?: DatabaseSync } = {}
    const store = await storeIn(folder, { connect: async (path) => (disk.database = new DatabaseSync(path)) })
    await put(store, clock, 'a', 'value')
    disk.database?.exec('PRAGMA query_only = ON')

    const findings = await store.check('write', call())

    await expect(put(store, clock, 'a', 'other')).rejects.toMatchObject({ code: 'provider_denied', message: 'The embedded store may only be read by this user, not changed.' })
    expect(findings).toEqual([{ ok: false, subject: 'embedded', setting: 'path', message: 'The embedded store may only be read by this user, not changed.' }])
    expect(await textOf(store, clock, 'a')).toBe('value')
    expect(await store.check('read', call())).toMatchObject([{ ok: true }])
  })
})

describe('a path that is something else', () => {
  it('is misconfigured when it is a file', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'file'), 'mine')

    const opening = storeIn(join(folder, 'file'))

    await expect(opening).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining('a part of the path is a file') })
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('mine')
  })

  it('is misconfigured when a folder stands where the database should', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'embedded.db'))

    await expect(storeIn(folder)).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining('cannot be opened') })
  })

  it('is misconfigured when the file is no database, and the file stays', async () => {
    const folder = await temporaryFolder()
    const text = 'a text that is longer than the header of a database '.repeat(20)
    await writeFile(join(folder, 'embedded.db'), text)

    await expect(storeIn(folder)).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining('is no database of Latchkey') })

    expect(await readFile(join(folder, 'embedded.db'), 'utf8')).toBe(text)
  })

  it.each([
    ['another program’s database', 'CREATE TABLE theirs (x)', 'a database of another program'],
    ['a database of a newer Latchkey', 'PRAGMA application_id = 1280009593; PRAGMA user_version = 2; CREATE TABLE store (x)', 'made by a newer Latchkey (format 2)'],
  ])('is misconfigured when the file is %s, and the file stays', async (_, statements, says) => {
    const folder = await temporaryFolder()
    const database = databaseIn(folder)
    database.exec(statements)
    const before = await readFile(join(folder, 'embedded.db'))

    await expect(storeIn(folder)).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining(says) })

    expect(await readFile(join(folder, 'embedded.db'))).toEqual(before)
    expect(await readdir(folder)).not.toContain('embedded.key')
  })

  it('is misconfigured when half of the database is gone', async () => {
    const folder = await temporaryFolder()
    const first = await storeIn(folder)
    for (let index = 0; index < 20; index += 1) await put(first, clock, `s-${index}`, large)
    await first.close()
    await truncate(join(folder, 'embedded.db'), 8192)

    const answer = await storeIn(folder)
      .then((store) => store.read(nameOf('s-1'), {}, call()))
      .catch((error: unknown) => error)

    expect(answer).toMatchObject({ name: 'LatchkeyError', code: expect.stringMatching(/^(misconfigured|integrity)$/) })
    expect(answer).not.toHaveProperty('cause')
  })

  it('is integrity when pages of a running store are overwritten', async () => {
    const folder = await temporaryFolder()
    const first = await storeIn(folder)
    for (let index = 0; index < 20; index += 1) await put(first, clock, `s-${index}`, 'value')
    await first.close()
    const bytes = await readFile(join(folder, 'embedded.db'))
    await writeFile(join(folder, 'embedded.db'), bytes.fill(0xff, 4096 * 2))

    const answer = await storeIn(folder)
      .then((store) => store.read(nameOf('s-1'), {}, call()))
      .catch((error: unknown) => error)

    expect(answer).toMatchObject({ name: 'LatchkeyError', code: expect.stringMatching(/^(misconfigured|integrity)$/) })
  })
})

describe('another process that holds the file', () => {
  it('is provider_unavailable once the patience is over, while reads go on', async () => {
    const folder = await temporaryFolder()
    const store = await storeIn(folder, { clock: systemClock, lockWaitMs: 40 })
    await put(store, systemClock, 'a', 'value')
    databaseIn(folder).exec('BEGIN IMMEDIATE')

    const writing = put(store, systemClock, 'a', 'other')
    const reading = textOf(store, systemClock, 'a')

    await expect(writing).rejects.toMatchObject({ code: 'provider_unavailable', message: 'The embedded store is held by another process.', details: { retryAfter: 1, applied: 'no' } })
    expect(await reading).toBe('value')
  })

  it('is deadline_exceeded when the time of the call ends first', async () => {
    const folder = await temporaryFolder()
    const store = await storeIn(folder, { clock: systemClock })
    databaseIn(folder).exec('BEGIN IMMEDIATE')

    const writing = store.write({ name: nameOf('a'), value: SecretValue.of('x'), expect: 'any', operation: 'put-x', stage: 'current' }, callOf(systemClock, { withinMs: 40 }))

    await expect(writing).rejects.toMatchObject({ code: 'deadline_exceeded', details: { applied: 'no' } })
  })

  it('is waited for, and the write is made when the file is free', async () => {
    const standing = new ManualClock()
    const folder = await temporaryFolder()
    const store = await storeIn(folder, { clock: standing })
    const holder = databaseIn(folder)
    holder.exec('BEGIN IMMEDIATE')
    const writing = put(store, standing, 'a', 'value')

    standing.advance(30)
    await new Promise((resolve) => setImmediate(resolve))
    holder.exec('ROLLBACK')
    standing.advance(30)
    await writing

    expect(await textOf(store, standing, 'a')).toBe('value')
  })

  it('is not waited for by a caller who left', async () => {
    const folder = await temporaryFolder()
    const store = await storeIn(folder)
    const holder = databaseIn(folder)
    const leaving = new AbortController()
    const reason = new Error('left')
    holder.exec('BEGIN IMMEDIATE')
    const writing = store.write({ name: nameOf('a'), value: SecretValue.of('x'), expect: 'any', operation: 'put-x', stage: 'current' }, callOf(clock, { signal: leaving.signal }))

    leaving.abort(reason)

    await expect(writing).rejects.toBe(reason)
    holder.exec('ROLLBACK')
    await expect(textOf(store, clock, 'a')).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('a store that was closed', () => {
  it('says so', async () => {
    const store = await storeIn(await temporaryFolder())
    await store.close()

    await expect(textOf(store, clock, 'a')).rejects.toMatchObject({ code: 'provider_unavailable', message: 'The embedded store is closed.' })
  })
})
