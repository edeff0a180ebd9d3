// SQLite as the embedded store uses it: whole transactions, patience with other processes that never holds up this one, and an authored answer to each of
// its failures. `node:sqlite` is loaded only when a file is opened.
import type { DatabaseSync } from 'node:sqlite'
import { LatchkeyError, type ErrorCode, type ErrorDetails } from '../core/errors.ts'
import { checkCall, type Call, type ProviderIo } from '../core/runtime.ts'

/** Opens the database; tests put a failing one in its place. */
export type Connect = (path: string) => Promise<Pick<DatabaseSync, 'exec' | 'prepare' | 'close' | 'isOpen' | 'isTransaction'>>
/** As much of a database as the embedded store uses. */
export type Database = Awaited<ReturnType<Connect>>

/** The real one. It gives up on a held file at once; {@link patiently} tries again. */
export const connectSqlite: Connect = async (path) => new (await import('node:sqlite')).DatabaseSync(path, { timeout: 5 })

/** One way in which the file fails. */
export interface Failure {
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

/** What SQLite's error means; `undefined` when it is none of SQLite's. */
export const failureOf = (error: unknown): Failure | undefined => {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  if (error.code === 'ERR_INVALID_STATE') return { call: 'provider_unavailable', open: 'provider_unavailable', why: 'is closed' }
  if (error.code === 'ERR_OUT_OF_RANGE') return { call: 'integrity', open: 'misconfigured', why: 'holds a row that is not what Latchkey wrote; restore it from a backup' }
  if (error.code !== 'ERR_SQLITE_ERROR' || !('errcode' in error)) return undefined
  return failures[Number(error.errcode) & 0xff] ?? { call: 'provider_unavailable', open: 'misconfigured', why: 'cannot be used' }
}

/** `opening` is the path of a file that is being opened. */
export const authored = (failure: Failure, details: ErrorDetails, opening?: string): LatchkeyError =>
  new LatchkeyError(opening === undefined ? failure.call : failure.open, `The embedded store ${opening === undefined ? '' : `${opening} `}${failure.why}.`, details)

/** Runs `step`, and again while another process holds the file: until the signal, the deadline, or our own patience ends it. `opening`: see {@link authored}. */
export const patiently = async <T>(io: ProviderIo, waitMs: number, call: Call, step: () => T, opening?: string): Promise<T> => {
  const patience = io.clock.now() + waitMs
  for (;;) {
    checkCall(call, io.clock)
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
export const transaction = <T>(db: Database, begin: 'BEGIN' | 'BEGIN IMMEDIATE', body: () => T): T => {
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

const applicationId = 0x4c4b6579

/** An empty store. `secrets` holds metadata, `versions` values, `store` what proves the key and the ledger. */
export const schema = `PRAGMA application_id = ${applicationId}; PRAGMA user_version = 1;
CREATE TABLE store (id INTEGER PRIMARY KEY CHECK (id = 1), salt BLOB NOT NULL, canary BLOB NOT NULL, ledger BLOB NOT NULL) STRICT;
CREATE TABLE secrets (name TEXT PRIMARY KEY, counter INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
CREATE TABLE versions (name TEXT NOT NULL, id INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (name, id)) STRICT;`

/** What stands in the file already; `undefined` when it is new. @throws misconfigured when it belongs to something else */
export const standing = (db: Database, path: string): { readonly salt: Uint8Array; readonly canary: unknown } | undefined => {
  if (db.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.['tables'] === 0) return undefined
  const id = db.prepare('PRAGMA application_id').get()?.['application_id']
  const format = Number(db.prepare('PRAGMA user_version').get()?.['user_version'])
  if (id !== applicationId) throw new LatchkeyError('misconfigured', `${path} is a database of another program; name another path.`)
  if (format !== 1) throw new LatchkeyError('misconfigured', `${path} was made by a newer Latchkey (format ${format}); use that one, or name another path.`)
  const row = db.prepare('SELECT salt, canary FROM store').get()
  if (!(row?.['salt'] instanceof Uint8Array)) throw new LatchkeyError('integrity', `${path} has lost the row that proves its key; restore it from a backup.`)
  return { salt: row['salt'], canary: row['canary'] }
}
