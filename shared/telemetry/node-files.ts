// Files of this machine, loaded by who needs one beside the configuration. A private file appears under its name only once it is whole, so that
// of two processes that make it at once both read the same one.
import { randomBytes } from 'node:crypto'
import { link, lstat, mkdir, open, readFile, realpath, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { LatchkeyError } from '../core/errors.ts'
import type { Files } from '../core/runtime.ts'

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '')

const failures: Readonly<Record<string, readonly ['misconfigured' | 'provider_quota', string]>> = {
  EACCES: ['misconfigured', 'this user may not use it; give the user that runs Latchkey the right to it'],
  EPERM: ['misconfigured', 'this user may not use it; give the user that runs Latchkey the right to it'],
  EROFS: ['misconfigured', 'it lies on a read-only file system; name another place'],
  ENOTDIR: ['misconfigured', 'a part of the path is a file where a folder is needed; name another place'],
  EEXIST: ['misconfigured', 'a part of the path is a file where a folder is needed; name another place'],
  ENOENT: ['misconfigured', 'its folder cannot be made; name another place'],
  EISDIR: ['misconfigured', 'it is a folder where a file is needed'],
  ELOOP: ['misconfigured', 'its symbolic links lead nowhere'],
  ENAMETOOLONG: ['misconfigured', 'the path is too long'],
  ERR_INVALID_ARG_VALUE: ['misconfigured', 'the path holds a NUL character'],
  ENOSPC: ['provider_quota', 'the disk is full; free room on it'],
  EDQUOT: ['provider_quota', "this user's share of the disk is used up; free room on it"],
}

/** What stands where a path is expected may be a pasted token or a PEM text: only what looks like a path is shown. */
const shown = (path: string): string => (path.length <= 255 && !/\p{Cc}|^eyJ|^-----|^\s*\{/u.test(path) ? path : '(a text that is no path)')

const refused = (verb: string, path: string, error: unknown): LatchkeyError => {
  const [code, why] = failures[codeOf(error)] ?? ['misconfigured', 'the system refused it']
  return new LatchkeyError(code, `${shown(path)} cannot be ${verb}: ${why}.`)
}

const writeNew = async (path: string, bytes: Uint8Array): Promise<void> => {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Gives the whole file its name; `false` when the name is taken. File systems without links get the plain exclusive creation. */
const publish = async (draft: string, path: string, bytes: Uint8Array): Promise<boolean> => {
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(codeOf(error))) throw error
  }
  try {
    await writeNew(path, bytes)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/** A name stays after a power cut only if its folder is written too; not every system lets a folder be synced. */
const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r').catch(() => undefined)
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    },
  )

/** What a file that could not be read is: `undefined` where there is none. @throws misconfigured for everything else */
export const unread = (path: string, error: unknown): undefined => {
  if (codeOf(error) === 'ENOENT') return undefined
  throw refused('read', path, error)
}

/** Reading and making files, and following links. */
export const moreFiles: Files = {
  read: async (path) => {
    try {
      return await readFile(path)
    } catch (error) {
      return unread(path, error)
    }
  },

  realPath: async (path) => {
    try {
      return await realpath(path)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      throw refused('followed', path, error)
    }
  },

  createPrivate: async (path, bytes) => {
    const draft = `${path}.${randomBytes(6).toString('hex')}.new`
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      if (await exists(path)) return false
      try {
        await writeNew(draft, bytes)
        return await publish(draft, path, bytes)
      } finally {
        await unlink(draft).catch(() => undefined)
        await syncFolder(dirname(path))
      }
    } catch (error) {
      throw refused('made', path, error)
    }
  },
}
