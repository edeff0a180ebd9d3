// What package-lock.json says of the packages that a deployment carries or installs: the one place that knows exact versions and hashes.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from './bundle.ts'

/** One installed package, as the lockfile has it. */
export interface LockedPackage {
  readonly name?: string
  readonly version: string
  readonly integrity?: string
  readonly license?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** By place, such as `node_modules/a/node_modules/b`. */
export type Lock = Readonly<Record<string, LockedPackage>>

/** The project's own lockfile. */
export const readLock = async (): Promise<Lock> => (JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as { packages: Lock }).packages

/** A package's name, from its place. */
export const nameAt = (place: string): string => place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length)

/** Where Node finds a package that one at `from` asks for: in the nearest node_modules on the way up. */
const placeOf = (lock: Lock, name: string, from: string): string | undefined => {
  const place = `${from === '' ? '' : `${from}/`}node_modules/${name}`
  if (lock[place] !== undefined) return place
  return from === '' ? undefined : placeOf(lock, name, from.slice(0, Math.max(0, from.lastIndexOf('/node_modules/'))))
}

/** The places of a package of ours and of everything that it needs, sorted. @throws when the lockfile lacks one that is not optional */
export const closureOf = (lock: Lock, name: string): readonly string[] => {
  const found = new Set<string>()
  const visit = (wanted: string, from: string, optional: boolean): void => {
    const place = placeOf(lock, wanted, from)
    if (place === undefined && !optional) throw new Error(`package-lock.json has no ${wanted}; run npm install.`)
    if (place === undefined || found.has(place)) return
    found.add(place)
    for (const next of Object.keys(lock[place]?.dependencies ?? {})) visit(next, place, false)
    for (const next of Object.keys(lock[place]?.optionalDependencies ?? {})) visit(next, place, true)
  }
  visit(name, '', false)
  return [...found].toSorted()
}
