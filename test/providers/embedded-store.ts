// Embedded stores for the tests: each in a folder of its own, opened as often as a test likes, and closed with it.
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { SecretProvider, WriteRequest } from '../../shared/core/provider.ts'
import { createdName } from '../../shared/core/names/created.ts'
import type { Clock } from '../../shared/core/runtime.ts'
import { SecretValue, type Version } from '../../shared/core/secret.ts'
import type { Connect } from '../../shared/credentials/sqlite.ts'
import { openEmbedded } from '../../shared/providers/embedded.ts'
import { nodeFiles, systemRandom } from '../../shared/telemetry/node-runtime.ts'
import { callOf, envOf, ManualClock, noHttp } from '../support/runtime.ts'

export type Store = Required<Omit<SecretProvider, 'traits'>> & Pick<SecretProvider, 'traits'>

/** Where the system keeps files in memory; elsewhere the disk. */
export const inMemory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** A folder that is taken away when the test ends. */
export const temporaryFolder = async (below = tmpdir()): Promise<string> => {
  const folder = await mkdtemp(join(below, 'latchkey-embedded-'))
  onTestFinished(async () => {
    await chmod(folder, 0o700)
    await rm(folder, { recursive: true, force: true })
  })
  return folder
}

/** What a test gives when the defaults are not what it is about. */
export interface Given {
  readonly clock?: Clock
  readonly key?: string
  readonly days?: number
  readonly lockWaitMs?: number
  readonly connect?: Connect
}

/** Opens the store in a folder; it is closed when the test ends, if not before. */
export const storeIn = async (path: string, given: Given = {}): Promise<Store> => {
  const io = { clock: given.clock ?? new ManualClock(), random: systemRandom, env: envOf({}), files: nodeFiles, http: noHttp }
  const settings = { path, recovery_window_days: given.days ?? 7, lock_wait_ms: given.lockWaitMs ?? 5000, ...(given.key !== undefined && { key: SecretValue.of(given.key) }) }
  const store = (await openEmbedded(settings, io, given.connect)) as Store
  onTestFinished(() => store.close())
  return store
}

/** The database as somebody sees it who goes around Latchkey. */
export const databaseIn = (folder: string): DatabaseSync => {
  const database = new DatabaseSync(join(folder, 'embedded.db'))
  onTestFinished(() => {
    if (database.isOpen) database.close()
  })
  return database
}

export const nameOf = (label: string) => createdName(`litellm/${label}`)

let operations = 0

/** Writes a current value; `more` wins. */
export const put = async (store: Store, clock: Clock, label: string, value: string, more: Partial<WriteRequest> = {}): Promise<Version> => {
  operations += 1
  const operation = `put-${String(operations).padStart(32, '0')}`
  const { version } = await store.write({ name: nameOf(label), value: SecretValue.of(value), expect: 'any', operation, stage: 'current', ...more }, callOf(clock))
  if (version === undefined) throw new Error('the embedded store names every version')
  return version
}

export const textOf = async (store: Store, clock: Clock, label: string, at: { version?: string } = {}): Promise<string> => (await store.read(nameOf(label), at, callOf(clock))).value.reveal()

/** Runs as a user without rights: root may write to any file, whatever its mode. */
export const withoutRights = async <T>(act: () => Promise<T>): Promise<T> => {
  const root = process.geteuid?.() === 0
  if (root) process.seteuid?.(65_534)
  try {
    return await act()
  } finally {
    if (root) process.seteuid?.(0)
  }
}
