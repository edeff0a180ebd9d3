// What each platform wants beside a bundle: nothing on Lambda; host.json, package.json and the one package that its worker looks for on Azure; a package.json
// with the framework, and a lockfile for it, on Google, whose build installs them.
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root, type CloudHost, type Deployable } from './bundle.ts'
import { closureOf, type Lock, type LockedPackage } from './lockfile.ts'

const frameworks: Readonly<Partial<Record<CloudHost, string>>> = { azure: '@azure/functions', gcp: '@google-cloud/functions-framework' }

/** The places of the packages that a platform runs beside the bundle. */
export const runBeside = (lock: Lock, host: CloudHost): readonly string[] => {
  const framework = frameworks[host]
  return framework === undefined ? [] : closureOf(lock, framework)
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

/** Sources, types and maps of a package are for people. */
const isRun = (path: string): boolean => !/[\\/](?:src|types)(?:[\\/]|$)|\.(?:map|d\.ts|md)$|\.min\.js$/.test(path.slice(path.lastIndexOf('node_modules')))

/** Writes them into the folder of a built function. */
export const writePlatformFiles = async ({ host, entry }: Deployable, folder: string, lock: Lock, version: string): Promise<void> => {
  const framework = frameworks[host]
  if (framework === undefined) return
  const dependencies = { [framework]: lock[`node_modules/${framework}`]?.version ?? '' }
  const name = `latchkey-${host}-${entry}`
  await writeFile(join(folder, 'package.json'), json({ name, version, private: true, type: 'module', main: `${entry}.mjs`, engines: { node: '^24.0.0' }, dependencies }))
  if (host === 'azure') {
    await writeFile(join(folder, 'host.json'), await readFile(join(root, 'functions/azure/host.json'), 'utf8'))
    for (const place of runBeside(lock, host)) {
      await mkdir(join(folder, place), { recursive: true })
      await cp(join(root, place), join(folder, place), { recursive: true, filter: isRun })
    }
    return
  }
  const packages = runBeside(lock, host).map((place) => {
    const { dev: _dev, devOptional: _devOptional, ...locked } = { ...lock[place] } as LockedPackage & { readonly dev?: boolean; readonly devOptional?: boolean }
    return [place, locked] as const
  })
  const head = { name, version, dependencies, engines: { node: '^24.0.0' } }
  await writeFile(join(folder, 'package-lock.json'), json({ name, version, lockfileVersion: 3, requires: true, packages: { '': head, ...Object.fromEntries(packages) } }))
}
