// The sealed file of the embedded store: SQLite rows under AES-256-GCM, each bound to what it is said to be, under keys that belong to one file alone.
// Names are stored as they are, so that lists need no key. A sealed ledger numbers every change and holds the sum of all metadata rows: a row that somebody
// changed, swapped, put back or took away is `integrity`. Only a whole file put back from a backup cannot be told from the truth.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { isCode, LatchkeyError, type ErrorCode, type ErrorDetails } from '../core/errors.ts'
import type { Call, ProviderIo } from '../core/runtime.ts'
import { SecretValue, type SecretName, type Stage, type Version } from '../core/secret.ts'

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

export interface SealedFile {
  /** One transaction, all or nothing; `change` waits for other processes without holding up this one. */
  within<T>(kind: 'read' | 'change', call: Call, body: (rows: Rows) => T): Promise<T>
  close(): void
}

/** Opens the database; tests put a failing one in its place. */
export type Connect = (path: string) => Promise<Pick<DatabaseSync, 'exec' | 'prepare' | 'close' | 'isOpen' | 'isTransaction'>>
type Database = Awaited<ReturnType<Connect>>
type Sealer = ReturnType<typeof sealerOf>

/** What a sealed row is said to be. It opens only under the same words, so that none can stand in for another. */
type About = readonly (string | number | null)[]

const keyLength = 32
const nonceLength = 12
const tagLength = 16
const applicationId = 0x4c4b6579
const schema = `PRAGMA application_id = ${applicationId}; PRAGMA user_version = 1;
CREATE TABLE store (id INTEGER PRIMARY KEY CHECK (id = 1), salt BLOB NOT NULL, canary BLOB NOT NULL, ledger BLOB NOT NULL) STRICT;
CREATE TABLE secrets (name TEXT PRIMARY KEY, counter INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
CREATE TABLE versions (name TEXT NOT NULL, id INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (name, id)) STRICT;`

interface Failure {
  readonly call: ErrorCode
  /** What an open that meets it answers. What the operator must mend stops the start. */
  readonly open: ErrorCode
  readonly why: string
  /** Another process holds the file: worth another try. */
  readonly again?: true
}

const held: Failure = { call: 'provider_unavailable', open: 'provider_unavailable', why: 'is held by another process', again: true }

/** By SQLite's primary result code. */
const failures: Readonly<Record<number, Failure>> = {
  3: { call: 'provider_denied', open: 'misconfigured', why: 'may not be used by this user' },
  5: held,
  6: held,
  8: { call: 'provider_denied', open: 'misconfigured', why: 'may only be read by this user, not changed' },
  10: { call: 'provider_unavailable', open: 'provider_unavailable', why: 'cannot be read or written: the disk answers with an error' },
  11: { call: 'integrity', open: 'misconfigured', why: 'is damaged; restore it from a backup' },
  13: { call: 'provider_quota', open: 'provider_quota', why: 'cannot grow: the disk is full' },
  14: { call: 'provider_unavailable', open: 'misconfigured', why: 'cannot be opened; its folder must exist and be writable' },
  15: held,
  26: { call: 'integrity', open: 'misconfigured', why: 'is no database of Latchkey; restore it from a backup or name another path' },
}

const failureOf = (error: unknown): Failure | undefined => {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  if (error.code === 'ERR_INVALID_STATE') return { call: 'provider_unavailable', open: 'provider_unavailable', why: 'is closed' }
  if (error.code === 'ERR_OUT_OF_RANGE') return { call: 'integrity', open: 'misconfigured', why: 'holds a row that is not what Latchkey wrote; restore it from a backup' }
  if (error.code !== 'ERR_SQLITE_ERROR' || !('errcode' in error)) return undefined
  return failures[Number(error.errcode) & 0xff] ?? { call: 'provider_unavailable', open: 'misconfigured', why: 'cannot be used' }
}

/** `opening` is the path of a file that is being opened. */
const authored = (failure: Failure, details: ErrorDetails, opening?: string): LatchkeyError =>
  new LatchkeyError(opening === undefined ? failure.call : failure.open, `The embedded store ${opening === undefined ? '' : `${opening} `}${failure.why}.`, details)

const tampered = (what: string): LatchkeyError =>
  new LatchkeyError('integrity', `${what} in the embedded store is not what Latchkey wrote; nothing was changed. Restore the store from a backup.`)

/** Keys are drawn from the file's own salt, so that one key used for two files seals each differently. */
const sealerOf = (key: SecretValue, salt: Uint8Array, io: ProviderIo) => {
  const derive = (use: string): Buffer => Buffer.from(hkdfSync('sha256', key.bytes(), salt, use, 32))
  const [sealing, marking] = [derive('latchkey embedded seal'), derive('latchkey embedded mark')]
  const words = (about: About): Buffer => Buffer.from(JSON.stringify(about))
  return {
    seal: (about: About, plain: Uint8Array): Uint8Array => {
      const nonce = io.random.bytes(nonceLength)
      const cipher = createCipheriv('aes-256-gcm', sealing, nonce).setAAD(words(about))
      return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    },
    /** `undefined`: sealed by another key, or changed, or about something else. */
    open: (about: About, sealed: unknown): Buffer | undefined => {
      if (!(sealed instanceof Uint8Array) || sealed.length < nonceLength + tagLength) return undefined
      const decipher = createDecipheriv('aes-256-gcm', sealing, sealed.subarray(0, nonceLength), { authTagLength: tagLength }).setAAD(words(about))
      const plain = decipher.setAuthTag(sealed.subarray(-tagLength)).update(sealed.subarray(nonceLength, -tagLength))
      try {
        return Buffer.concat([plain, decipher.final()])
      } catch {
        return undefined
      }
    },
    mark: (name: string, counter: number): Buffer => createHmac('sha256', marking).update(words([name, counter])).digest(),
  }
}

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
  const toggle = (sum: Buffer, name: string, counter: number): void => sealer.mark(name, counter).forEach((byte, index) => void (sum[index] = (sum[index] ?? 0) ^ byte))
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
      const plain = sealer.open(about(name, version), value.get(name, Number(version.id))?.['sealed'])
      if (plain === undefined) throw tampered(`A value of ${name}`)
      return SecretValue.ofBytes(plain)
    },
    addValue: (name, version, plain) => void addValue.run(name, Number(version.id), sealer.seal(about(name, version), plain.bytes())),
    dropValue: (name, version) => void dropValue.run(name, Number(version.id)),
    probe: () => db.exec('SAVEPOINT probe; UPDATE store SET id = id; ROLLBACK TO probe; RELEASE probe'),
  }
}

/** Runs `step`, and again while another process holds the file: until the signal, the deadline, or our own patience ends it. */
const patiently = async <T>(io: ProviderIo, waitMs: number, call: Call, step: () => T, opening?: string): Promise<T> => {
  const patience = io.clock.now() + waitMs
  for (;;) {
    call.signal.throwIfAborted()
    if (io.clock.now() >= call.deadline) throw new LatchkeyError('deadline_exceeded', 'The time for this call ran out before the embedded store took it.', { applied: 'no' })
    try {
      return step()
    } catch (error) {
      const failure = failureOf(error)
      if (failure === undefined) throw error
      if (failure.again === undefined) throw authored(failure, { applied: 'no' }, opening)
      if (io.clock.now() >= patience) throw authored(failure, { applied: 'no', retryAfter: 1 }, opening)
    }
    await io.clock.sleep(2 + ((io.random.bytes(1)[0] ?? 0) % 24), call.signal)
  }
}

/** All of `body` or nothing. A failure of the commit itself leaves it open whether the change is there. */
const transaction = <T>(db: Database, begin: 'BEGIN' | 'BEGIN IMMEDIATE', body: () => T): T => {
  let committing = false
  db.exec(begin)
  try {
    const result = body()
    committing = true
    db.exec('COMMIT')
    return result
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    const failure = failureOf(error)
    if (!committing || failure === undefined || failure.again === true) throw error
    throw authored(failure, { applied: begin === 'BEGIN' ? 'no' : 'unknown' })
  }
}

/** 32 bytes written as base64 (either alphabet) or hex; anything else is no key. */
const keyOf = (written: SecretValue, where: string): SecretValue => {
  const text = written.isText ? written.reveal().trim() : ''
  const bytes = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, 'hex') : /^[A-Za-z0-9+/_-]{43}=?$/.test(text) ? Buffer.from(text, 'base64') : undefined
  if (bytes?.length !== keyLength) throw new LatchkeyError('misconfigured', `${where} must hold ${keyLength} bytes as base64 or hex, for instance from: openssl rand -base64 32`)
  return SecretValue.ofBytes(bytes)
}

/** What stands in the file already; `undefined` when it is new. @throws misconfigured when it belongs to something else */
const found = (db: Database, path: string): { readonly salt: Uint8Array; readonly canary: unknown } | undefined => {
  if (db.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.['tables'] === 0) return undefined
  const id = db.prepare('PRAGMA application_id').get()?.['application_id']
  const format = Number(db.prepare('PRAGMA user_version').get()?.['user_version'])
  if (id !== applicationId) throw new LatchkeyError('misconfigured', `${path} is a database of another program; name another path.`)
  if (format !== 1) throw new LatchkeyError('misconfigured', `${path} was made by a newer Latchkey (format ${format}); use that one, or name another path.`)
  const row = db.prepare('SELECT salt, canary FROM store').get()
  if (!(row?.['salt'] instanceof Uint8Array)) throw new LatchkeyError('integrity', `${path} has lost the row that proves its key; restore it from a backup.`)
  return { salt: row['salt'], canary: row['canary'] }
}

const connectSqlite: Connect = async (path) => new (await import('node:sqlite')).DatabaseSync(path, { timeout: 5 })

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
    let stands = await tried(() => found(opened, path))
    if (stands === undefined && given === undefined) await io.files.createPrivate(keyPath, Buffer.from(`${Buffer.from(io.random.bytes(keyLength)).toString('base64')}\n`))
    const proven = given ?? (await keyFile())
    if (proven === undefined) throw new LatchkeyError('misconfigured', `${path} is sealed with a key that is not here; put ${keyPath} back or set LATCHKEY_EMBEDDED_KEY.`)

    await tried(() => {
      if (stands === undefined) opened.exec('PRAGMA journal_mode = WAL')
      opened.exec('PRAGMA synchronous = FULL')
    })
    const begin = (): Uint8Array => {
      stands = found(opened, path)
      const salt = stands?.salt ?? io.random.bytes(16)
      const sealer = sealerOf(proven, salt, io)
      if (stands === undefined) {
        opened.exec(schema)
        opened.prepare('INSERT INTO store VALUES (1, ?, ?, ?)').run(salt, sealer.seal(['canary'], Buffer.from('latchkey')), sealer.seal(['ledger'], Buffer.alloc(40)))
      } else if (sealer.open(['canary'], stands.canary) === undefined) {
        throw new LatchkeyError('misconfigured', `${path} was sealed with another key; nothing was changed. Set LATCHKEY_EMBEDDED_KEY to the key it was made with, or name another path.`)
      }
      return salt
    }
    const sealer = sealerOf(proven, await tried(() => transaction(opened, stands === undefined ? 'BEGIN IMMEDIATE' : 'BEGIN', begin)), io)
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
