// Somebody goes around Latchkey and changes rows: whatever they do to a row, the answer is `integrity`, and nothing more is changed.
import type { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import type { WriteRequest } from '../../shared/core/provider.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { callOf, ManualClock } from '../support/runtime.ts'
import { databaseIn, nameOf, put, storeIn, temporaryFolder, textOf, type Store } from './embedded-store.ts'

const clock = new ManualClock()
const call = () => callOf(clock)
const tampered = { code: 'integrity', message: expect.stringContaining('not what Latchkey wrote') }

interface Tampering {
  readonly store: Store
  readonly database: DatabaseSync
  /** Everything that stands in the file, for comparison. */
  dump(): unknown
}

/** Two secrets of two versions each, opened through Latchkey and beside it. */
const opened = async (): Promise<Tampering> => {
  const folder = await temporaryFolder()
  const store = await storeIn(folder)
  for (const label of ['a', 'b']) for (const value of ['old', 'new']) await put(store, clock, label, `${label} ${value}`, { labels: { state: value } })
  const database = databaseIn(folder)
  const dump = () => ['store', 'secrets', 'versions'].map((table) => {
    const rows = database.prepare(`SELECT * FROM ${table}`)
    rows.setReadBigInts(true)
    return rows.all()
  })
  return { store, database, dump }
}

const sealedOf = (database: DatabaseSync, table: string, where: string): Uint8Array => database.prepare(`SELECT sealed FROM ${table} WHERE ${where}`).get()?.['sealed'] as Uint8Array

/** The same bytes with one bit turned. */
const turned = (bytes: Uint8Array, at: number): Uint8Array => Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ 1 : byte))

const write = (label: string, more: Partial<WriteRequest> = {}): WriteRequest => ({ name: nameOf(label), value: SecretValue.of('x'), expect: 'any', operation: 'put-after', stage: 'current', ...more })

/** Everything that can be asked of one secret. */
const questions: readonly (readonly [string, (store: Store) => Promise<unknown>])[] = [
  ['read', (store) => store.read(nameOf('a'), {}, call())],
  ['describe', (store) => store.describe(nameOf('a'), call())],
  ['list', (store) => store.list({ prefix: 'litellm/', limit: 50 }, call())],
  ['write', (store) => store.write(write('a'), call())],
  ['claim', (store) => store.write(write('a', { stage: 'pending', epoch: 2 }), call())],
  ['annotate', (store) => store.annotate(nameOf('a'), { labels: { state: 'mine' } }, call())],
  ['promote', (store) => store.promote(nameOf('a'), { to: '2', from: '1' }, call())],
  ['discard', (store) => store.discard(nameOf('a'), '1', call())],
  ['disable', (store) => store.setEnabled(nameOf('a'), '1', false, call())],
  ['remove', (store) => store.remove(nameOf('a'), { expect: 'any', final: true }, call())],
  ['recover', (store) => store.recover(nameOf('a'), call())],
]

/** What can be done to a metadata row. */
const metadata: readonly (readonly [string, (database: DatabaseSync, store: Store) => Promise<void> | void])[] = [
  ['changed', (database) => void database.prepare("UPDATE secrets SET sealed = ? WHERE name = 'litellm/a'").run(turned(sealedOf(database, 'secrets', "name = 'litellm/a'"), 20))],
  ['cut short', (database) => void database.exec("UPDATE secrets SET sealed = substr(sealed, 1, 20) WHERE name = 'litellm/a'")],
  ['emptied', (database) => void database.exec("UPDATE secrets SET sealed = x'' WHERE name = 'litellm/a'")],
  ['numbered anew', (database) => void database.exec("UPDATE secrets SET counter = counter + 1 WHERE name = 'litellm/a'")],
  ['numbered beyond every number', (database) => void database.exec("UPDATE secrets SET counter = 9223372036854775807 WHERE name = 'litellm/a'")],
  ['taken away', (database) => void database.exec("DELETE FROM secrets WHERE name = 'litellm/a'")],
  ['given to another name', (database) => void database.exec("UPDATE secrets SET name = 'litellm/c' WHERE name = 'litellm/a'")],
  ['copied to another name', (database) => void database.exec("INSERT INTO secrets SELECT 'litellm/c', counter, sealed FROM secrets WHERE name = 'litellm/a'")],
  [
    'swapped with another',
    (database) => {
      const [a, b] = [sealedOf(database, 'secrets', "name = 'litellm/a'"), sealedOf(database, 'secrets', "name = 'litellm/b'")]
      database.prepare("UPDATE secrets SET sealed = ? WHERE name = 'litellm/a'").run(b)
      database.prepare("UPDATE secrets SET sealed = ? WHERE name = 'litellm/b'").run(a)
    },
  ],
  [
    'swapped with another, number and all',
    (database) => {
      const [a, b] = ['a', 'b'].map((label) => database.prepare('SELECT counter, sealed FROM secrets WHERE name = ?').get(`litellm/${label}`))
      const set = database.prepare('UPDATE secrets SET counter = ?, sealed = ? WHERE name = ?')
      set.run(b?.['counter'] as number, b?.['sealed'] as Uint8Array, 'litellm/a')
      set.run(a?.['counter'] as number, a?.['sealed'] as Uint8Array, 'litellm/b')
    },
  ],
  [
    'put back to what it was before',
    async (database, store) => {
      const before = database.prepare("SELECT counter, sealed FROM secrets WHERE name = 'litellm/a'").get()
      await store.annotate(nameOf('a'), { labels: { state: 'revoked' } }, call())
      database.prepare("UPDATE secrets SET counter = ?, sealed = ? WHERE name = 'litellm/a'").run(before?.['counter'] as number, before?.['sealed'] as Uint8Array)
    },
  ],
]

/** What can be done to a value row. */
const values: readonly (readonly [string, (database: DatabaseSync) => void])[] = [
  ['changed', (database) => void database.prepare("UPDATE versions SET sealed = ? WHERE name = 'litellm/a'").run(turned(sealedOf(database, 'versions', "name = 'litellm/a' ORDER BY id DESC"), 13))],
  ['cut short', (database) => void database.exec("UPDATE versions SET sealed = substr(sealed, 1, length(sealed) - 1) WHERE name = 'litellm/a'")],
  ['taken away', (database) => void database.exec("DELETE FROM versions WHERE name = 'litellm/a'")],
  [
    'swapped with the version before it',
    (database) => {
      const rows = database.prepare("SELECT id, sealed FROM versions WHERE name = 'litellm/a' ORDER BY id").all()
      for (const [index, row] of rows.entries()) database.prepare('UPDATE versions SET sealed = ? WHERE id = ?').run(rows[1 - index]?.['sealed'] as Uint8Array, row['id'] as number)
    },
  ],
  ['swapped with another secret’s', (database) => void database.prepare("UPDATE versions SET sealed = ? WHERE name = 'litellm/a'").run(sealedOf(database, 'versions', "name = 'litellm/b' ORDER BY id DESC"))],
]

describe('a metadata row of the embedded store', () => {
  it.each(metadata)('that was %s is noticed by every question, and nothing is changed', async (_, tamper) => {
    const { store, database, dump } = await opened()
    await tamper(database, store)
    const before = dump()

    const answers = await Promise.allSettled(questions.map(([, ask]) => ask(store)))

    expect(answers).toEqual(questions.map(() => ({ status: 'rejected', reason: expect.objectContaining(tampered) })))
    expect(dump()).toEqual(before)
  })

  it.each(metadata)('that was %s is still noticed after the next open', async (_, tamper) => {
    const folder = await temporaryFolder()
    const first = await storeIn(folder)
    await put(first, clock, 'a', 'value')
    await put(first, clock, 'b', 'value')
    await tamper(databaseIn(folder), first)
    await first.close()

    const second = await storeIn(folder)

    await expect(second.read(nameOf('a'), {}, call())).rejects.toMatchObject(tampered)
    await expect(second.list({ prefix: '', limit: 50 }, call())).rejects.toMatchObject(tampered)
  })

  it('that was put back is found by check, which names the setting', async () => {
    const { store, database } = await opened()
    database.exec("DELETE FROM secrets WHERE name = 'litellm/a'")

    const findings = await store.check('read', call())

    expect(findings).toEqual([{ ok: false, subject: 'embedded', setting: 'path', message: expect.stringContaining('not what Latchkey wrote') }])
  })
})

describe('a value row of the embedded store', () => {
  it.each(values)('that was %s is not read, and nothing else suffers', async (_, tamper) => {
    const { store, database, dump } = await opened()
    tamper(database)
    const before = dump()

    await expect(textOf(store, clock, 'a')).rejects.toMatchObject(tampered)

    expect(dump()).toEqual(before)
    expect(await textOf(store, clock, 'b')).toBe('b new')
    expect(await store.readMany([nameOf('a'), nameOf('b')], call())).toEqual([expect.objectContaining(tampered), expect.objectContaining({ name: nameOf('b') })])
    expect((await store.describe(nameOf('a'), call())).labels).toEqual({ state: 'new' })
  })

  it.each(values)('that was %s can be replaced by a new version', async (_, tamper) => {
    const { store, database } = await opened()
    tamper(database)

    await put(store, clock, 'a', 'anew')

    expect(await textOf(store, clock, 'a')).toBe('anew')
  })

  it('of a secret that is gone for good does not pass for one of its successor', async () => {
    const { store, database } = await opened()
    const taken = sealedOf(database, 'versions', "name = 'litellm/a' ORDER BY id DESC")
    await store.remove(nameOf('a'), { expect: 'any', final: true }, call())
    await put(store, clock, 'a', 'successor')

    database.prepare("UPDATE versions SET sealed = ? WHERE name = 'litellm/a'").run(taken)

    await expect(textOf(store, clock, 'a')).rejects.toMatchObject(tampered)
  })
})

describe('the rows that hold the embedded store together', () => {
  it('are missed when the ledger is put back', async () => {
    const { store, database, dump } = await opened()
    const old = database.prepare('SELECT ledger FROM store').get()?.['ledger'] as Uint8Array
    await put(store, clock, 'a', 'later')
    database.prepare('UPDATE store SET ledger = ?').run(old)
    const before = dump()

    await expect(store.write(write('b'), call())).rejects.toMatchObject(tampered)

    expect(dump()).toEqual(before)
  })

  it.each(["UPDATE store SET ledger = x'00'", 'DELETE FROM store'])('are missed after %s', async (statement) => {
    const { store, database } = await opened()
    database.exec(statement)

    await expect(store.read(nameOf('a'), {}, call())).rejects.toMatchObject(tampered)
    await expect(store.write(write('a'), call())).rejects.toMatchObject(tampered)
  })

  it('stop the next open when the row that proves the key is gone', async () => {
    const folder = await temporaryFolder()
    await (await storeIn(folder)).close()
    databaseIn(folder).exec('DELETE FROM store')

    const opening = storeIn(folder)

    await expect(opening).rejects.toMatchObject({ code: 'integrity', message: expect.stringContaining('backup') })
  })
})
