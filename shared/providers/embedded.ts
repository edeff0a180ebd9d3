// A secret manager in one file on this machine: the default of `npm start`. Every method is one transaction of the sealed file, so nothing can come
// between a condition and the change it guards, in this process or in another. Network file systems are not for it.
import { resolve } from 'node:path'
import { asLatchkeyError, LatchkeyError } from '../core/errors.ts'
import { verbatimCodec } from '../core/names.ts'
import { cursorAfter, positionOf } from '../core/names/cursors.ts'
import { defineProvider, type Annotation, type ReadAt, type SecretProvider } from '../core/provider.ts'
import type { Call, Clock, ProviderIo } from '../core/runtime.ts'
import type { SecretFacts, SecretName, SecretRecord, SecretValue, Stage, Version } from '../core/secret.ts'
import { openSealedFile, type Rows, type SealedFile, type StoredRow, type StoredSecret, type StoredVersion } from '../credentials/sealed-file.ts'
import { homePath } from '../credentials/operator-files.ts'

interface EmbeddedSettings {
  readonly path: string
  readonly key?: SecretValue
  readonly recovery_window_days: number
  readonly lock_wait_ms: number
}

const [maxBytes, unstagedKept, scannedPerPage] = [65_536, 100, 1000]
const codec = verbatimCodec()

const absent = (name: SecretName, what = 'secret'): LatchkeyError => new LatchkeyError('not_found', `There is no such ${what}: ${name.text}.`)
const changed = (message: string): LatchkeyError => new LatchkeyError('conflict', message, { hint: 'Read it again and decide again.' })
const moved = (name: SecretName): LatchkeyError => changed(`${name.text} has another current version than the one named.`)
const softDeleted = (name: SecretName, until: number): LatchkeyError =>
  new LatchkeyError('soft_deleted', `${name.text} is deleted and can be recovered until ${new Date(until).toISOString()}.`, { recoverableUntil: new Date(until) })
const refuse = (error: unknown): never => {
  throw error
}

const staged = (secret: StoredSecret, stage: Stage): StoredVersion | undefined => secret.versions.find((version) => version.stage === stage)
const numbered = (secret: StoredSecret, id: string, name: SecretName): StoredVersion => secret.versions.find((version) => version.id === id) ?? refuse(absent(name, 'version of the secret'))
const versionOf = ({ stage, created, ...version }: StoredVersion): Version => ({ ...version, created: new Date(created), stages: stage === undefined ? [] : [stage] })

const factsOf = ({ name, counter, secret }: StoredRow): SecretFacts => {
  const { place, created, versions, labels, description, expires, deletedUntil } = secret
  const current = staged(secret, 'current')
  return {
    name: { text: name, place },
    nativeName: name,
    created: new Date(created),
    versions: versions.map(versionOf),
    labels,
    etag: String(counter),
    ...(description !== undefined && { description }),
    ...(expires !== undefined && { expires: new Date(expires) }),
    ...(deletedUntil !== undefined ? { recoverableUntil: new Date(deletedUntil) } : current !== undefined && { current: versionOf(current) }),
  }
}

/** What a request says beside the value, over what was said before; `null` takes a thing back. */
const say = (secret: StoredSecret, { labels, description, expires }: Omit<Annotation, 'etag'>): void => {
  secret.labels = Object.fromEntries(Object.entries({ ...secret.labels, ...labels }).filter((pair): pair is [string, string] => pair[1] !== null))
  if (description !== undefined) secret.description = description
  if (expires !== undefined) secret.expires = expires?.getTime()
}

const makeCurrent = (secret: StoredSecret, version: StoredVersion): void => {
  for (const other of secret.versions) if (other.stage === 'current' || other.stage === 'previous') other.stage = other.stage === 'current' ? 'previous' : undefined
  version.stage = 'current'
}

/** The secret of that name, soft-deleted or not, or nothing. A deletion whose time is over is final. */
const find = (rows: Rows, name: SecretName, clock: Clock): StoredRow | undefined => {
  const row = rows.get(codec.encode(name))
  return row?.secret.deletedUntil !== undefined && row.secret.deletedUntil <= clock.now() ? undefined : row
}
const held = (rows: Rows, name: SecretName, clock: Clock): StoredRow => find(rows, name, clock) ?? refuse(absent(name))

const readOne = (rows: Rows, name: SecretName, at: ReadAt, clock: Clock): SecretRecord => {
  const { secret } = held(rows, name, clock)
  if (secret.deletedUntil !== undefined) throw absent(name)
  const stage = at.stage ?? 'current'
  const version = at.version === undefined ? (staged(secret, stage) ?? refuse(absent(name, `${stage} version of the secret`))) : numbered(secret, at.version, name)
  if (!version.enabled) throw new LatchkeyError('version_disabled', `The version asked for of ${name.text} is disabled.`)
  const value = rows.value(name.text, version)
  return { name, value, version: versionOf(version), ...(secret.expires !== undefined && { expires: new Date(secret.expires) }) }
}

const orFailure = <T>(step: () => T): T | LatchkeyError => {
  try {
    return step()
  } catch (error) {
    return error instanceof LatchkeyError ? error : refuse(error)
  }
}

const providerOf = (file: SealedFile, clock: Clock, windowMs: number): Omit<SecretProvider, 'traits'> => {
  /** A name that the file cannot hold is refused before anything is tried. */
  const onName = async <T>(kind: 'read' | 'change', name: SecretName, call: Call, body: (rows: Rows) => T): Promise<T> => {
    codec.encode(name)
    return file.within(kind, call, body)
  }
  const onHeld = <T>(name: SecretName, call: Call, body: (row: StoredRow, rows: Rows) => T): Promise<T> => onName('change', name, call, (rows) => body(held(rows, name, clock), rows))

  /** Changes the metadata of a secret that is there. Without an answer nothing is stored. */
  const change = (name: SecretName, call: Call, body: (row: StoredRow) => StoredSecret | undefined): Promise<void> =>
    onHeld(name, call, (row, rows) => {
      if (row.secret.deletedUntil !== undefined) throw softDeleted(name, row.secret.deletedUntil)
      const secret = body(row)
      if (secret !== undefined) rows.put(row.name, secret)
    })

  return {
    read: (name, at, call) => onName('read', name, call, (rows) => readOne(rows, name, at, clock)),
    describe: (name, call) => onName('read', name, call, (rows) => factsOf(held(rows, name, clock))),
    close: async () => file.close(),

    check: (depth, call) =>
      file.within(depth === 'write' ? 'change' : 'read', call, (rows) => (depth === 'write' ? rows.probe() : undefined)).then(
        () => [{ ok: true, subject: 'embedded', message: `The file can be ${depth === 'write' ? 'written' : 'read'} and its metadata is whole.` }],
        (error: unknown) => [{ ok: false, subject: 'embedded', message: asLatchkeyError(error).message, setting: 'path' }],
      ),

    readMany: async (names, call) => (names.length === 0 ? [] : file.within('read', call, (rows) => names.map((name) => orFailure(() => readOne(rows, name, {}, clock))))),

    list: async ({ prefix, label, cursor, limit }, call) => {
      const after = cursor === undefined ? undefined : positionOf(cursor)
      return file.within('read', call, (rows) => {
        const items: SecretFacts[] = []
        let [scanned, last] = [0, '']
        for (const row of rows.from(after ?? prefix, after !== undefined)) {
          if (!row.name.startsWith(prefix)) break
          if (items.length >= limit || scanned >= scannedPerPage) return { items, cursor: cursorAfter(last) }
          scanned += 1
          last = row.name
          if (row.secret.deletedUntil === undefined && (label === undefined || row.secret.labels[label[0]] === label[1])) items.push(factsOf(row))
        }
        return { items }
      })
    },

    write: async (request, call) => {
      const { name, value, expect, operation, stage, epoch, before } = request
      if (value.byteLength > maxBytes) throw new LatchkeyError('too_large', `value: is ${value.byteLength} bytes long; the limit is ${maxBytes}.`, { param: 'value' })
      return onName('change', name, call, (rows) => {
        const there = find(rows, name, clock)?.secret
        if (there?.deletedUntil !== undefined) throw softDeleted(name, there.deletedUntil)
        const mine = there?.versions.find((version) => version.operation === operation)
        if (mine !== undefined) return { outcome: 'same_operation', version: versionOf(mine) }
        if (there !== undefined && expect === 'absent') throw new LatchkeyError('already_exists', `There is a secret of that name already: ${name.text}.`)
        if (there === undefined && (stage === 'pending' || typeof expect === 'object')) throw absent(name)
        if (there !== undefined && typeof expect === 'object' && staged(there, 'current')?.id !== expect.version) throw moved(name)
        if (there !== undefined && stage === 'pending' && staged(there, 'pending') !== undefined) throw changed(`Another operation on ${name.text} is in progress.`)

        if (there === undefined) rows.drop(name.text)
        const secret: StoredSecret = there ?? { place: name.place, created: clock.now(), labels: {}, versions: [] }
        const basis = { operation, ...(epoch !== undefined && { epoch }), ...(before !== undefined && { before }), created: clock.now() }
        const version: StoredVersion = { id: String(rows.number()), ...basis, enabled: true, stage: 'pending' }
        if (stage === 'current') {
          makeCurrent(secret, version)
          say(secret, request)
        }
        const surplus = secret.versions.filter((old) => old.stage === undefined).slice(0, -unstagedKept)
        for (const old of surplus) rows.dropValue(name.text, old)
        secret.versions = [...secret.versions.filter((old) => !surplus.includes(old)), version]
        rows.addValue(name.text, version, value)
        rows.put(name.text, secret)
        return { outcome: 'written', version: versionOf(version) }
      })
    },

    promote: (name, { to, from }, call) =>
      change(name, call, ({ secret }) => {
        const version = numbered(secret, to, name)
        if (version.stage === 'current') return undefined
        if (staged(secret, 'current')?.id !== from || version.stage !== 'pending') throw moved(name)
        makeCurrent(secret, version)
        return secret
      }),

    annotate: (name, { etag, ...said }, call) =>
      change(name, call, ({ counter, secret }) => {
        if (etag !== undefined && etag !== String(counter)) throw changed(`${name.text} was changed since it was read.`)
        say(secret, said)
        return secret
      }),

    discard: (name, id, call) =>
      change(name, call, ({ secret }) => {
        if (staged(secret, 'current')?.id === id) throw changed(`That version of ${name.text} is current; only others can be discarded.`)
        if (!secret.versions.some((version) => version.id === id && version.stage !== undefined)) return undefined
        secret.versions = secret.versions.map((version) => (version.id === id ? { ...version, stage: undefined } : version))
        return secret
      }),

    setEnabled: (name, id, enabled, call) =>
      change(name, call, ({ secret }) => {
        numbered(secret, id, name).enabled = enabled
        return secret
      }),

    remove: (name, { expect, final }, call) =>
      onHeld(name, call, ({ name: text, secret }, rows) => {
        if (secret.deletedUntil !== undefined && !final) throw absent(name)
        if (typeof expect === 'object' && staged(secret, 'current')?.id !== expect.version) throw moved(name)
        if (final || windowMs === 0) {
          rows.drop(text)
          return {}
        }
        secret.deletedUntil = clock.now() + windowMs
        rows.put(text, secret)
        return { recoverableUntil: new Date(secret.deletedUntil) }
      }),

    ...(windowMs > 0 && {
      recover: (name: SecretName, call: Call): Promise<void> =>
        onHeld(name, call, ({ name: text, secret: { deletedUntil, ...secret } }, rows) => {
          if (deletedUntil !== undefined) rows.put(text, secret)
        }),
    }),
  }
}

/** Opens the store; `connect` is for tests that need a database which fails. */
export const openEmbedded = async (settings: EmbeddedSettings, io: ProviderIo, connect?: Parameters<typeof openSealedFile>[2]): Promise<SecretProvider> => {
  const windowMs = settings.recovery_window_days * 86_400_000
  const place = { folder: resolve(homePath(settings.path, io.env)), lockWaitMs: settings.lock_wait_ms, ...(settings.key !== undefined && { key: settings.key }) }
  return {
    ...providerOf(await openSealedFile(place, io, connect), io.clock, windowMs),
    traits: {
      names: codec,
      settleMs: 0,
      versions: 'numbered',
      value: { maxBytes, empty: true, bytes: 'any' },
      write: { guarantee: 'atomic', softDelete: windowMs > 0, labels: { travel: 'always', pairs: 64, keyBytes: 128, valueBytes: 1024, filter: true } },
    },
  }
}

/** The embedded store: versions, labels, soft delete; safe for several processes on one machine; values and metadata sealed, names not. */
export const embedded = defineProvider<EmbeddedSettings>({
  name: 'embedded',
  title: 'a file on this machine',
  settings: {
    path: { type: 'string', default: '.latchkey', env: ['LATCHKEY_DATA_DIR'], text: 'Folder of the store, on a local disk; it is made for this user alone.' },
    key: { type: 'string', secret: true, env: ['LATCHKEY_EMBEDDED_KEY'], text: 'The key that seals the store, 32 bytes as base64 or hex. Default: the file embedded.key in the folder, made once.' },
    recovery_window_days: { type: 'integer', default: 7, min: 0, max: 365, text: 'How long a deleted secret can be recovered; 0 deletes for good at once.' },
    lock_wait_ms: { type: 'integer', default: 5000, min: 0, max: 60_000, text: 'How long a call waits while another process writes to the store.' },
  },
  open: (settings, io) => openEmbedded(settings, io),
})
