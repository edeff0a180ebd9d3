// A folder as a zip archive that depends on nothing but its files: sorted, of one time, with one set of rights, and compressed by code of one version instead
// of whatever library this machine's Node was built with.
import { readdir, readFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { zipSync, type Zippable } from 'fflate'

/** The first time that a zip archive can say. It is written as local time, so that every time zone writes the same. */
const anyTime = new Date(1980, 0, 1)
const unix = 3
const readableByAll = (0o100644 << 16) >>> 0

/** Every file of a folder, sorted by its path with `/`. */
export const filesOf = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, '/'))
    .toSorted()

/** The archive of a folder's files. */
export const archive = async (folder: string): Promise<Uint8Array> => {
  const files: Zippable = {}
  for (const path of await filesOf(folder)) files[path] = [await readFile(join(folder, path)), { level: 6, mtime: anyTime, os: unix, attrs: readableByAll }]
  return zipSync(files)
}
