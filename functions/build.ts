// The one build: what is deployed, from a table. Each row becomes a folder that is deployed as it is (with `--config <file>` its configuration as JSON), a zip
// archive of it that is the same from the same sources, and the list of what is in it. It fails when a bundle is over its budget or holds what it must not.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { identities } from '../shared/core/configuration/identities.ts'
import { parseConfiguration } from '../shared/core/configuration.ts'
import { aliasPolicy } from '../shared/core/configuration/alias-policy.ts'
import { compile, withoutDeployment } from '../shared/core/configuration/compile.ts'
import { LatchkeyError } from '../shared/core/errors.ts'
import { readRotation } from '../shared/core/rotation/settings.ts'
import { latchkeyVersion } from '../shared/latchkey.ts'
import { registry } from '../shared/providers/registry.ts'
import { nodeFiles, processEnv } from '../shared/telemetry/node-runtime.ts'
import { archive } from './build/archive.ts'
import { root, type Deployable } from './build/bundle.ts'
import { buildFolder, type FolderOptions } from './build/folder.ts'
import { readLock } from './build/lockfile.ts'
import { budgets, complaints, kilobyte, partsOf } from './build/parts.ts'
import { runBeside } from './build/platform-files.ts'
import { providerFiles } from './build/provider-files.ts'
import { sbom } from './build/sbom.ts'
import { withSettled } from './build/settled-stores.ts'
import { keySections } from './key-sections.ts'
import { loadConfigFile } from './local/config-file.ts'

/** Everything that is deployed. `asked`: built only with `--combined`. */
export const deployables: readonly (Deployable & { readonly asked?: true })[] = [
  { host: 'lambda', entry: 'read' },
  { host: 'lambda', entry: 'keys' },
  { host: 'lambda', entry: 'rotate' },
  { host: 'azure', entry: 'read' },
  { host: 'azure', entry: 'keys' },
  { host: 'azure', entry: 'rotate' },
  { host: 'azure', entry: 'combined', asked: true },
  { host: 'gcp', entry: 'read' },
  { host: 'gcp', entry: 'keys' },
  { host: 'gcp', entry: 'rotate' },
  { host: 'gcp', entry: 'combined', asked: true },
]

/** The configuration as the functions take it: LiteLLM's file as JSON, checked as it will be checked there, but for what only their environment knows, and what it means. */
export const compileConfigFile = async (path: string): Promise<string> => {
  const input = withoutDeployment((await loadConfigFile(path, processEnv, nodeFiles)).input)
  const options = { env: processEnv, loopback: false, systems: Object.keys(registry), identities }
  const { configuration } = parseConfiguration(input, { ...options, ...keySections })
  aliasPolicy({ settings: configuration.litellmSettings, env: processEnv })
  readRotation(configuration.rotation)
  const compiled = compile(input, options)
  return JSON.stringify(compiled === undefined ? input : await withSettled(compiled))
}

/** What one row of the size table says. */
interface Size {
  readonly host: string
  readonly function: string
  readonly part: string
  readonly bytes: number
}

/** Builds one row into `out`, with its configuration if there is one; answers the sizes of its parts and of its archive, and what is wrong with it. */
const deploy = async (row: Deployable, out: string, how: FolderOptions, configuration: string | undefined): Promise<{ readonly sizes: readonly Size[]; readonly wrong: readonly string[] }> => {
  const [{ host, entry }, { lock, version }] = [row, how]
  const [folder, artifact] = [join(out, host, entry), join(out, `${host}-${entry}`)]
  await Promise.all([`${artifact}.zip`, `${artifact}.cdx.json`].map((path) => rm(path, { force: true })))
  const metafile = await buildFolder(row, folder, how)
  const parts = partsOf(metafile, row)
  if (configuration !== undefined) await writeFile(join(folder, 'latchkey.json'), configuration)
  const zip = await archive(folder)
  await writeFile(`${artifact}.zip`, zip)
  await writeFile(`${artifact}.cdx.json`, sbom(row, metafile, runBeside(lock, host), lock, version))
  const sizes = [...parts, { name: 'zip archive', bytes: zip.byteLength }].map(({ name, bytes }) => ({ host, function: entry, part: name, bytes }))
  return { sizes, wrong: complaints(row, parts) }
}

const refuseUnknown = (option: string, given: readonly string[], known: readonly string[]): void => {
  const unknown = given.filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new LatchkeyError('misconfigured', `${option} names ${unknown.join(', ')}; there are ${known.join(', ')}.`)
}

const options = { config: { type: 'string' }, only: { type: 'string', multiple: true }, host: { type: 'string', multiple: true }, combined: { type: 'boolean', default: false }, out: { type: 'string', default: join(root, 'dist') } } as const

const main = async (): Promise<void> => {
  const { values } = parseArgs({ options })
  refuseUnknown('--only', values.only ?? [], Object.keys(registry))
  refuseUnknown('--host', values.host ?? [], [...new Set(deployables.map(({ host }) => host))])
  const configuration = values.config === undefined ? undefined : await compileConfigFile(values.config)
  await mkdir(values.out, { recursive: true })
  // The configuration itself reads the environment, the master key first of all, whatever else a deployment has.
  const only = values.only === undefined ? undefined : [...new Set([...values.only, 'environment'])]
  const how = { only, providers: configuration === undefined ? [] : await providerFiles(configuration), lock: await readLock(), version: latchkeyVersion }
  const rows = deployables.filter(({ host, asked }) => (values.host?.includes(host) ?? true) && (asked !== true || values.combined))
  const [sizes, wrong]: [Size[], string[]] = [[], []]
  for (const row of rows) {
    const built = await deploy(row, values.out, how, configuration)
    sizes.push(...built.sizes)
    wrong.push(...built.wrong)
  }
  await writeFile(join(values.out, 'sizes.json'), `${JSON.stringify(sizes, null, 2)}\n`)
  for (const { host, function: entry, part, bytes } of sizes) process.stdout.write(`${host.padEnd(8)}${entry.padEnd(10)}${part.padEnd(24)}${(bytes / kilobyte).toFixed(1).padStart(9)} kB\n`)
  const limits = [`read entry ${budgets.readEntry / kilobyte} kB`, ...Object.entries(budgets.providers).map(([name, bytes]) => `${name} ${bytes / kilobyte} kB`)]
  process.stdout.write(`written to ${relative(process.cwd(), values.out) || basename(values.out)}; budgets: ${limits.join(', ')}\n`)
  for (const complaint of wrong) process.stderr.write(`${complaint}\n`)
  process.exitCode = wrong.length === 0 ? 0 : 1
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    process.stderr.write(`The bundles cannot be built: ${error instanceof LatchkeyError ? error.message : String(error)}\n`)
    process.exitCode = error instanceof LatchkeyError ? 78 : 1
  })
}
