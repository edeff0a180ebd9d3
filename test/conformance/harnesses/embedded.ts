// The embedded store under examination: a real file in a folder of its own. A database that fails stands in for a failing disk, because that is the only
// service there is; a file has no rate limit, no network and no credential that expires, so those faults cannot happen.
import { mkdtemp, rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import type { Connect } from '../../../shared/credentials/sqlite.ts'
import { openEmbedded } from '../../../shared/providers/embedded.ts'
import { nodeFiles, systemRandom } from '../../../shared/telemetry/node-runtime.ts'
import { callOf, envOf, ManualClock, noHttp } from '../../support/runtime.ts'
import { passOn, type Fault, type Harness } from '../harness.ts'

/** SQLite's result codes for what a disk or another process can do. */
const resultCodes: Readonly<Partial<Record<Fault['kind'], number>>> = { denied: 8, unavailable_before: 10, unavailable_after: 10, slow: 5 }

const sqliteError = (fault: Fault): Error => Object.assign(new Error(`sqlite failed ${fault.echo ?? ''}`), { code: 'ERR_SQLITE_ERROR', errcode: resultCodes[fault.kind], errstr: 'failed' })

/** A database that counts its transactions and breaks the ones that the fault means. */
const breakable = () => {
  let fault: Fault | undefined
  let calls = 0
  let matching = 0

  const strikes = (begin: string): boolean => {
    if (fault === undefined || (fault.on === 'read' && begin !== 'BEGIN') || (fault.on === 'change' && begin === 'BEGIN')) return false
    matching += 1
    const first = fault.nth ?? 1
    return matching >= first && (fault.kind === 'slow' || matching < first + (fault.times ?? Infinity))
  }

  const connect: Connect = async (path) => {
    const database = new DatabaseSync(path, { timeout: 5 })
    let struck = false
    return {
      exec: (sql) => {
        if (sql.startsWith('BEGIN')) {
          calls += 1
          struck = strikes(sql)
          if (fault !== undefined && struck && fault.kind !== 'unavailable_after') throw sqliteError(fault)
        }
        database.exec(sql)
        if (fault !== undefined && sql === 'COMMIT' && struck) throw sqliteError(fault)
      },
      prepare: (sql) => database.prepare(sql),
      close: () => database.close(),
      get isOpen() {
        return database.isOpen
      },
      get isTransaction() {
        return database.isTransaction
      },
    }
  }

  return {
    connect,
    calls: () => calls,
    fault: (given: Fault) => {
      fault = given
      matching = 0
    },
    heal: () => {
      fault = undefined
    },
  }
}

/** The harness of `embedded`. */
export const embeddedHarness: Harness = {
  mustHave: ['describe', 'readMany', 'list', 'write', 'promote', 'annotate', 'discard', 'setEnabled', 'remove', 'recover', 'close'],
  faults: ['denied', 'unavailable_before', 'unavailable_after', 'slow'],
  faultsReason: 'a file has no rate limit, no network and no expiring credential',
  open: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-embedded-'))
    const clock = new ManualClock()
    const io = { clock, random: systemRandom, env: envOf({}), files: nodeFiles, http: noHttp }
    const settings = { path: folder, recovery_window_days: 7, lock_wait_ms: 5000 }
    const service = breakable()
    const opened: SecretProvider[] = []
    const openOne = async (connect?: Connect): Promise<SecretProvider> => {
      const provider = await openEmbedded(settings, io, connect)
      opened.push(provider)
      return provider
    }
    let seeded = 0
    return {
      provider: await openOne(service.connect),
      clock,
      pass: passOn(clock),
      calls: service.calls,
      fault: service.fault,
      heal: service.heal,
      seed: async (name, value) => {
        const behind = await openOne()
        seeded += 1
        const secret = typeof value === 'string' ? SecretValue.of(value) : SecretValue.ofBytes(value)
        await behind.write?.({ name, value: secret, expect: 'any', operation: `put-${String(seeded).padStart(32, '0')}`, stage: 'current' }, callOf(clock))
        await behind.close?.()
      },
      reopen: () => openOne(service.connect),
      close: async () => {
        for (const provider of opened) await provider.close?.()
        await rm(folder, { recursive: true, force: true })
      },
    }
  },
}
