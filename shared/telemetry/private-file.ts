// Making a private file. It appears under its name only once it is whole, so that of two processes that make it at once both read the same one.
import { randomBytes } from 'node:crypto'
import { link, lstat, mkdir, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf, refused } from './file-failures.ts'

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

/** Creates the file with mode 0600 and its folder with 0700; `false` and no change when it exists already. @throws misconfigured, provider_quota */
export const createPrivate = async (path: string, bytes: Uint8Array): Promise<boolean> => {
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
}
