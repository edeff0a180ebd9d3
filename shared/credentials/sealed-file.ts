// The sealed file of the embedded store: SQLite rows under AES-256-GCM, each bound to what it is said to be, under keys that belong to one file alone.
// Names are stored as they are, so that lists need no key. A sealed ledger numbers every change and holds the sum of all metadata rows: a row that somebody
// changed, swapped, put back or took away is `integrity`. Only a whole file put back from a backup cannot be told from the truth.
import { join } from 'node:path'
import { isCode, LatchkeyError } from '../core/errors.ts'
import type { Call, ProviderIo } from '../core/runtime.ts'
import { SecretValue, type SecretName, type Stage, type Version } from '../core/secret.ts'
import { keyOf, newKeyText, sealerOf, type About, type Sealer } from './sealing.ts'
import { authored, connectSqlite, failureOf, patiently, schema, standing, transaction, type Connect, type Database } from './sqlite.ts'

/** One version as the metadata row holds it. A stage is on one version or on none. */
export interface StoredVersion extends Omit<Version, 'stages' | 'created' | 'operation'> {
  readonly operation: string
  readonly created: number
  enabled: boolean
  stage?: Stage | undefined
}

/** The metadata of one secret: one sealed row. Times are epoch milliseconds. */
export interface StoredSecret {
  readonly place: SecretName['place']
  readonly created: number
  labels: Readonly<Record<string, string>>
  description?: string
  expires?: number | undefined
  deletedUntil?: number
  versions: readonly StoredVersion[]
}

/** `counter` goes up with every change, in the whole file. */
export interface StoredRow {
  readonly name: string
  readonly counter: number
  readonly secret: StoredSecret
}

/** The rows of one file inside one transaction. */
export interface Rows {
  /** @throws integrity */
  get(name: string): StoredRow | undefined
  /** In the order of their names, from `start` on; `start` itself only if not `beyond`. @throws integrity */
  from(start: string, beyond: boolean): IterableIterator<StoredRow>
  put(name: string, secret: StoredSecret): void
  /** Takes the secret away with all its values. */
  drop(name: string): void
  /** A number that this file never gave before and never gives again. */
  number(): number
  /** The value that this version was written with, as the metadata says it is. @throws integrity */
  value(name: string, version: StoredVersion): SecretValue
  addValue(name: string, version: StoredVersion, value: SecretValue): void
  dropValue(name: string, version: StoredVersion): void
  /** Tries a change and takes it back. */
  probe(): void
}

/** An open file whose key has been proven. */
export interface SealedFile {
  /** One transaction, all or nothing; `change` waits for other processes without holding up this one. */
  within<T>(kind: 'read' | 'change', call: Call, body: (rows: Rows) => T): Promise<T>
  close(): void
}

const tampered = (what: string): LatchkeyError =>
  new LatchkeyError('integrity', `${what} in the embedded store is not what Latchkey wrote; nothing was changed. Restore the store from a backup.`)

/** The ledger: the number given last, and the sum (exclusive or) of the marks of all metadata rows. Numbers never come twice, so no sum does. */
const ledgerOf = (db: Database, sealer: Sealer) => {
  const [row, save] = [db.prepare('SELECT ledger FROM store'), db.prepare('UPDATE store SET ledger = ?')]
  const [version, counters] = [db.prepare('PRAGMA data_version'), db.prepare('SELECT name, counter FROM secrets')]
  let seen: unknown
  let held: { readonly plain: Buffer; changed: boolean } | undefined
  const state = () => {
    const plain = held?.plain ?? sealer.open(['ledger'], row.get()?.['ledger'])
    if (plain === undefined) throw tampered('The ledger')
    return (held ??= { plain, changed: false })
  }
  const toggle = (sum: Buffer, name: string, counter: number): void => sealer.mark([name, counter]).forEach((byte, index) => void (sum[index] = (sum[index] ?? 0) ^ byte))
  return {
    /** Compares the rows with the sum, whenever anybody else has written since it last did. */
    verify: (): void => {
      held = undefined
      const now = version.get()?.['data_version']
      if (now === seen) return
      seen = undefined
      const sum = Buffer.alloc(32)
      for (const { name, counter } of counters.iterate()) toggle(sum, String(name), Number(counter))
      if (!sum.equals(state().plain.subarray(8))) throw tampered('A metadata row')
      seen = now
    },
    number: (): number => {
      const ledger = state()
      const next = ledger.plain.readBigUInt64BE() + 1n
      ledger.plain.writeBigUInt64BE(next)
      ledger.changed = true
      return Number(next)
    },
    toggle: (name: string, counter: number): void => {
      const ledger = state()
      ledger.changed = true
      toggle(ledger.plain.subarray(8), name, counter)
    },
    save: (): void => {
      if (held?.changed === true) save.run(sealer.seal(['ledger'], held.plain))
    },
  }
}

const rowsOf = (db: Database, sealer: Sealer, ledger: ReturnType<typeof ledgerOf>): Rows => {
  const columns = 'SELECT name, counter, sealed FROM secrets WHERE name'
  const [one, at, after] = [db.prepare(`${columns} = ?`), db.prepare(`${columns} >= ? ORDER BY name`), db.prepare(`${columns} > ? ORDER BY name`)]
  const put = db.prepare('INSERT INTO secrets VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET counter = excluded.counter, sealed = excluded.sealed')
  const [drop, dropValues] = [db.prepare('DELETE FROM secrets WHERE name = ?'), db.prepare('DELETE FROM versions WHERE name = ?')]
  const value = db.prepare('SELECT sealed FROM versions WHERE name = ? AND id = ?')
  const [addValue, dropValue] = [db.prepare('INSERT INTO versions VALUES (?, ?, ?)'), db.prepare('DELETE FROM versions WHERE name = ? AND id = ?')]
  const about = (name: string, { id, operation, epoch, before, created }: StoredVersion): About => ['value', name, id, operation, epoch ?? null, before ?? null, created]

  const opened = (row: Readonly<Record<string, unknown>>): StoredRow => {
    const [name, counter] = [String(row['name']), Number(row['counter'])]
    const plain = sealer.open(['metadata', name, counter], row['sealed'])
    if (plain === undefined) throw tampered(`The metadata row of ${name}`)
    return { name, counter, secret: JSON.parse(plain.toString('utf8')) as StoredSecret }
  }
  const forget = (name: string): void => {
    const old = one.get(name)
    if (old !== undefined) ledger.toggle(name, Number(old['counter']))
  }

  return {
    get: (name) => {
      const row = one.get(name)
      return row === undefined ? undefined : opened(row)
    },
    from: function* (start, beyond) {
      for (const row of (beyond ? after : at).iterate(start)) yield opened(row)
    },
    put: (name, secret) => {
      forget(name)
      const counter = ledger.number()
      put.run(name, counter, sealer.seal(['metadata', name, counter], Buffer.from(JSON.stringify(secret))))
      ledger.toggle(name, counter)
    },
    drop: (name) => {
      forget(name)
      drop.run(name)
      dropValues.run(name)
    },
    number: ledger.number,
    value: (name, version) => {
      const plain = sealer.openValue(about(name, version), value.get(name, Number(version.id))?.['sealed'])
      if (plain === undefined) throw tampered(`A value of ${name}`)
      return plain
    },
    addValue: (name, version, plain) => void addValue.run(name, Number(version.id), sealer.sealValue(about(name, version), plain)),
    dropValue: (name, version) => void dropValue.run(name, Number(version.id)),
    probe: () => db.exec('SAVEPOINT probe; UPDATE store SET id = id; ROLLBACK TO probe; RELEASE probe'),
  }
}

interface Place {
  readonly folder: string
  /** Default: the file `embedded.key` in the folder, made once. */
  readonly key?: SecretValue
  readonly lockWaitMs: number
}

/**
 * Opens `embedded.db` in the folder, or makes it: readable to this user alone, acknowledged writes on the disk. The first open seals a canary; a key that
 * does not open it is refused before anything is touched. @throws misconfigured, provider_quota, provider_unavailable
 */
export const openSealedFile = async ({ folder, key, lockWaitMs }: Place, io: ProviderIo, connect: Connect = connectSqlite): Promise<SealedFile> => {
  const [path, keyPath] = [join(folder, 'embedded.db'), join(folder, 'embedded.key')]
  const given = key === undefined ? undefined : keyOf(key, 'The setting key (LATCHKEY_EMBEDDED_KEY)')
  const keyFile = async (): Promise<SecretValue | undefined> => {
    const bytes = await io.files.read(keyPath)
    return bytes === undefined ? undefined : keyOf(SecretValue.ofBytes(bytes), keyPath)
  }
  const starting: Call = { signal: new AbortController().signal, deadline: Infinity }
  const tried = <T>(step: () => T): Promise<T> => patiently(io, lockWaitMs, starting, step, path)
  let db: Database | undefined

  try {
    await io.files.createPrivate(path, new Uint8Array())
    const opened = (db = await connect(path))
    let stands = await tried(() => standing(opened, path))
    if (stands === undefined && given === undefined) await io.files.createPrivate(keyPath, newKeyText(io.random))
    const proven = given ?? (await keyFile())
    if (proven === undefined) throw new LatchkeyError('misconfigured', `${path} is sealed with a key that is not here; put ${keyPath} back or set LATCHKEY_EMBEDDED_KEY.`)

    await tried(() => {
      if (stands === undefined) opened.exec('PRAGMA journal_mode = WAL')
      opened.exec('PRAGMA synchronous = FULL')
    })
    const begin = (): Uint8Array => {
      stands = standing(opened, path)
      const salt = stands?.salt ?? io.random.bytes(16)
      const sealer = sealerOf(proven, salt, io.random)
      if (stands === undefined) {
        opened.exec(schema)
        opened.prepare('INSERT INTO store VALUES (1, ?, ?, ?)').run(salt, sealer.seal(['canary'], Buffer.from('latchkey')), sealer.seal(['ledger'], Buffer.alloc(40)))
      } else if (sealer.open(['canary'], stands.canary) === undefined) {
        throw new LatchkeyError('misconfigured', `${path} was sealed with another key; nothing was changed. Set LATCHKEY_EMBEDDED_KEY to the key it was made with, or name another path.`)
      }
      return salt
    }
    const sealer = sealerOf(proven, await tried(() => transaction(opened, stands === undefined ? 'BEGIN IMMEDIATE' : 'BEGIN', begin)), io.random)
    const ledger = ledgerOf(opened, sealer)
    const rows = rowsOf(opened, sealer, ledger)
    const within: SealedFile['within'] = (kind, call, body) =>
      patiently(io, lockWaitMs, call, () =>
        transaction(opened, kind === 'read' ? 'BEGIN' : 'BEGIN IMMEDIATE', () => {
          ledger.verify()
          const result = body(rows)
          ledger.save()
          return result
        }),
      )
    await forgetExpired(within, io, starting)
    return {
      within,
      close: () => {
        if (opened.isOpen) opened.close()
      },
    }
  } catch (error) {
    db?.close()
    const failure = failureOf(error)
    throw failure === undefined ? error : authored(failure, {}, path)
  }
}

/** What was deleted and can no longer be recovered leaves the file at the next open. A file that was tampered with is left as it is: every call will say so. */
const forgetExpired = async (within: SealedFile['within'], io: ProviderIo, call: Call): Promise<void> => {
  const expired = (rows: Rows): readonly string[] => [...rows.from('', false)].filter(({ secret }) => secret.deletedUntil !== undefined && secret.deletedUntil <= io.clock.now()).map(({ name }) => name)
  try {
    if ((await within('read', call, expired)).length > 0) await within('change', call, (rows) => expired(rows).forEach(rows.drop))
  } catch (error) {
    if (!isCode(error, 'integrity')) throw error
  }
}
