// The one build: split ESM bundles in dist/lambda/{read,keys}, each a folder that is deployed as it is (with `--config <file>` its configuration as JSON),
// and the table of their sizes. It fails when a bundle is over its budget or holds what it must not. Third-party `node:http` becomes
// process.getBuiltinModule: importing it would load undici.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { basename, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import * as esbuild from 'esbuild'
import type { Metafile, Plugin } from 'esbuild'
import { readGateway } from '../shared/core/configuration/gateway-section.ts'
import { parseConfiguration } from '../shared/core/configuration.ts'
import { aliasPolicy } from '../shared/core/configuration/alias-policy.ts'
import { compile } from '../shared/core/configuration/compile.ts'
import { revive } from '../shared/core/configuration/compiled.ts'
import { checkFields } from '../shared/core/configuration/gateway-fields.ts'
import { LatchkeyError } from '../shared/core/errors.ts'
import { registry } from '../shared/providers/registry.ts'
import { nodeFiles, processEnv } from '../shared/telemetry/node-runtime.ts'
import { loadedWith, mergeFirstRead } from './first-read.ts'
import { loadConfigFile } from './local/config-file.ts'

const root = join(import.meta.dirname, '..')
const kilobyte = 1_024

/** Bytes, minified: what an entry loads at once, and the chunks behind one `import()`. */
export const budgets = { readEntry: 50 * kilobyte, awsChunk: 330 * kilobyte } as const

const withoutUndici: Plugin = {
  name: 'http-without-undici',
  setup: (build) => {
    build.onResolve({ filter: /^(node:)?http$/ }, () => ({ path: 'node:http', namespace: 'builtin-http' }))
    build.onLoad({ filter: /./, namespace: 'builtin-http' }, () => ({
      contents: `const http = process.getBuiltinModule('node:http')
export default http
export const { Agent, ClientRequest, IncomingMessage, METHODS, OutgoingMessage, STATUS_CODES, Server, ServerResponse, createServer, get, globalAgent, maxHeaderSize, request, validateHeaderName, validateHeaderValue } = http`,
    }))
  },
}

/** What vendors `require` of Node itself: in an ES module there is no `require`. */
const requiredBuiltins: Plugin = {
  name: 'required-builtins',
  setup: (build) => {
    build.onResolve({ filter: /^[\w:/]+$/ }, ({ kind, path }) => (kind === 'require-call' && builtinModules.includes(path.replace(/^node:/, '')) ? { path, namespace: 'builtin' } : undefined))
    build.onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({ contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`, loader: 'js' }))
  },
}

const explanation = /, text: (?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|\w+\.\w+\.text)(?= \})/g
const builtinImport = /^import \{ ([\w, ]+) \} from '(node:(?:crypto|fs))'$/gm
const registryLine = /^ {2}(\w+): \(\) => import\(.*\n/gm

/**
 * Our own files as a function needs them: settings without the sentences that explain them to people, and a registry with the systems that it will ever have. What they import of Node is
 * taken from process.getBuiltinModule: an ESM import reads every export of the module, and with it loads what stands behind a getter (webcrypto, fs/promises and all of readline).
 */
const withoutWhatNobodyReads = (only: readonly string[] | undefined): Plugin => ({
  name: 'without-what-nobody-reads',
  setup: (build) => {
    build.onLoad({ filter: /[\\/](?:shared|functions)[\\/].*\.ts$/ }, async ({ path }) => {
      const text = (await readFile(path, 'utf8')).replaceAll(explanation, '').replaceAll(builtinImport, (_, names: string, module: string) => `const { ${names.split(/, */).filter((name) => !name.startsWith('type ')).join(', ')} } = process.getBuiltinModule('${module}')`)
      const isRegistry = only !== undefined && basename(path) === 'registry.ts'
      return { contents: isRegistry ? text.replaceAll(registryLine, (line, system: string) => (only.includes(system) ? line : '')) : text, loader: 'ts' }
    })
  },
})

/** Builds one function into `folder` and answers what esbuild knows of it. `only`: the systems it will ever have; default: all. */
export const bundle = async (entry: 'read' | 'keys', folder: string, only?: readonly string[]): Promise<Metafile> => {
  await rm(folder, { recursive: true, force: true })
  const { metafile } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: { [entry]: `functions/lambda/${entry}.ts` },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    minify: true,
    treeShaking: true,
    metafile: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    mainFields: ['module', 'main'],
    conditions: ['module', 'import', 'node'],
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'error',
    // Vendors look for files beside their own; what they find lies in the bundle instead.
    define: { __dirname: '"/latchkey"' },
    plugins: [withoutUndici, requiredBuiltins, withoutWhatNobodyReads(only)],
  })
  return metafile
}

type Outputs = Metafile['outputs']

const providerOf = (outputs: Outputs, path: string): string | undefined => /^shared\/providers\/(?!registry)(.+)\.ts$/.exec(outputs[path]?.entryPoint ?? '')?.[1]

/** What one bundle weighs, and the files of the house and of vendors in each part. */
export interface Part {
  readonly name: string
  readonly bytes: number
  readonly inputs: ReadonlySet<string>
}

/**
 * The entry with what it imports, then each lazily imported provider with what our files bring beside the entry, its SDK included. What an SDK itself
 * imports lazily (single sign-on, browsers) is loaded only by who needs it, and is in no part.
 */
export const partsOf = ({ outputs }: Metafile): readonly Part[] => {
  const entry = Object.keys(outputs).find((path) => outputs[path]?.entryPoint?.startsWith('functions/lambda/')) ?? ''
  const atOnce = loadedWith(outputs, entry)
  const part = (name: string, paths: Iterable<string>): Part => {
    const list = [...paths]
    return { name, bytes: list.reduce((sum, path) => sum + (outputs[path]?.bytes ?? 0), 0), inputs: new Set(list.flatMap((path) => Object.keys(outputs[path]?.inputs ?? {}))) }
  }
  const isOurs = (path: string): boolean => Object.keys(outputs[path]?.inputs ?? {}).some((input) => input.startsWith('shared/'))
  const behind = (path: string, found = new Set<string>()): ReadonlySet<string> => {
    for (const loaded of loadedWith(outputs, path)) {
      if (found.has(loaded) || atOnce.has(loaded)) continue
      found.add(loaded)
      for (const { path: next, kind } of outputs[loaded]?.imports ?? []) if (kind === 'dynamic-import' && isOurs(loaded) && outputs[next] !== undefined) behind(next, found)
    }
    return found
  }
  const providers = Object.keys(outputs).filter((path) => providerOf(outputs, path) !== undefined)
  return [part('entry', atOnce), ...providers.map((path) => part(providerOf(outputs, path) ?? '', behind(path)))]
}

/** What a bundle holds that it must not. */
export const complaints = (entry: string, parts: readonly Part[]): readonly string[] => {
  const found: string[] = []
  for (const part of parts) {
    const providers = [...part.inputs].filter((input) => /^shared\/providers\/(?!registry\.ts)/.test(input) && input !== `shared/providers/${part.name}.ts`)
    if (providers.length > 0) found.push(`${entry}: ${part.name} holds another provider: ${providers.join(', ')}`)
    const vendors = [...part.inputs].filter((input) => part.name === 'entry' && /node_modules\/(?!zod\/)/.test(input))
    if (vendors.length > 0) found.push(`${entry}: the entry holds libraries: ${vendors.slice(0, 3).join(', ')}`)
    if (entry === 'read' && [...part.inputs].some((input) => /node_modules\/(zod|yaml)\//.test(input))) found.push(`read: ${part.name} holds zod or yaml`)
  }
  const entryBytes = parts.find((part) => part.name === 'entry')?.bytes ?? 0
  if (entry === 'read' && entryBytes > budgets.readEntry) found.push(`read: the entry has ${entryBytes} bytes; the budget is ${budgets.readEntry}`)
  const aws = parts.find((part) => part.name === 'aws-secrets-manager')?.bytes ?? 0
  if (aws > budgets.awsChunk) found.push(`${entry}: aws-secrets-manager has ${aws} bytes; the budget is ${budgets.awsChunk}`)
  return found
}

/** The configuration as the functions take it: LiteLLM's file as JSON, checked as it will be checked there, but for what only their environment knows, and what it means. */
export const functionConfiguration = async (path: string): Promise<string> => {
  const { input } = await loadConfigFile(path, processEnv, nodeFiles)
  const options = { env: processEnv, loopback: false, systems: Object.keys(registry) }
  const { configuration } = parseConfiguration(input, { ...options, gateway: readGateway, checkFields })
  aliasPolicy({ settings: configuration.litellmSettings, env: processEnv })
  return JSON.stringify(compile(input, options) ?? input)
}

/** The files of the providers that a compiled configuration will open; none where it was not compiled. */
export const providerFiles = (configuration: string): readonly string[] => {
  const stores = revive(JSON.parse(configuration), { get: () => undefined, names: () => [] })?.stores.values() ?? []
  return [...new Set([...stores].map(({ system }) => system))].map((system) => systemFiles[system] ?? system.replaceAll('_', '-'))
}

/** Where a provider's file is not called as its system is. */
const systemFiles: Readonly<Record<string, string>> = { aws_secret_manager: 'aws-secrets-manager', google_secret_manager: 'google-secret-manager' }

const main = async (): Promise<void> => {
  const { values } = parseArgs({ options: { config: { type: 'string' }, only: { type: 'string', multiple: true }, out: { type: 'string', default: join(root, 'dist') } } })
  const configuration = values.config === undefined ? undefined : await functionConfiguration(values.config)
  const unknown = (values.only ?? []).filter((system) => !Object.hasOwn(registry, system))
  if (unknown.length > 0) throw new LatchkeyError('misconfigured', `--only names ${unknown.join(', ')}; there are ${Object.keys(registry).join(', ')}.`)
  const wrong: string[] = []
  const rows: { function: string; part: string; bytes: number }[] = []
  for (const entry of ['read', 'keys'] as const) {
    const folder = join(values.out, 'lambda', entry)
    const metafile = await bundle(entry, folder, values.only)
    const parts = partsOf(metafile)
    await mergeFirstRead(folder, metafile, configuration === undefined ? [] : providerFiles(configuration))
    if (configuration !== undefined) await writeFile(join(folder, 'latchkey.json'), configuration)
    rows.push(...parts.map((part) => ({ function: entry, part: part.name, bytes: part.bytes })))
    wrong.push(...complaints(entry, parts))
  }
  await mkdir(values.out, { recursive: true })
  await writeFile(join(values.out, 'sizes.json'), `${JSON.stringify(rows, null, 2)}\n`)
  for (const row of rows) process.stdout.write(`${row.function.padEnd(6)}${row.part.padEnd(24)}${(row.bytes / kilobyte).toFixed(1).padStart(9)} kB\n`)
  process.stdout.write(`written to ${relative(process.cwd(), values.out) || basename(values.out)}/lambda; budgets: read entry ${budgets.readEntry / kilobyte} kB, aws-secrets-manager ${budgets.awsChunk / kilobyte} kB\n`)
  for (const complaint of wrong) process.stderr.write(`${complaint}\n`)
  process.exitCode = wrong.length === 0 ? 0 : 1
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    process.stderr.write(`The bundles cannot be built: ${error instanceof LatchkeyError ? error.message : String(error)}\n`)
    process.exitCode = error instanceof LatchkeyError ? 78 : 1
  })
}
