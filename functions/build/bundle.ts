// One function as a split ESM bundle. Third-party `node:http` becomes process.getBuiltinModule: importing it would load undici.
import { readFile, rm } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { basename, dirname, join } from 'node:path'
import * as esbuild from 'esbuild'
import type { Metafile, Plugin } from 'esbuild'

/** The project's folder. */
export const root = join(import.meta.dirname, '../..')

/** Where a function runs. */
export type CloudHost = 'lambda' | 'azure' | 'gcp'

/** One thing that is deployed: `functions/<host>/<entry>.ts` becomes `dist/<host>/<entry>/` and `dist/<host>-<entry>.zip`. */
export interface Deployable {
  readonly host: CloudHost
  readonly entry: string
}

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

/** jsonwebtoken carries 28 kB of semver to ask whether Node is at least 15.7 or 16.9. What is built here runs on 24. */
const modernNode: Plugin = {
  name: 'modern-node',
  setup: (build) => {
    build.onResolve({ filter: /^semver$/ }, ({ importer, path }) => (/[\\/]jsonwebtoken[\\/]/.test(importer) ? { path, namespace: 'modern-node' } : undefined))
    build.onLoad({ filter: /./, namespace: 'modern-node' }, () => ({ contents: 'exports.satisfies = () => true', loader: 'js' }))
  },
}

/** What vendors would print for who sets DEBUG: requests, with their headers. Nothing of a secret is ever printed, so nothing is. */
const withoutDebug: Plugin = {
  name: 'without-debug',
  setup: (build) => {
    build.onResolve({ filter: /^debug$/ }, ({ path }) => ({ path, namespace: 'without-debug' }))
    build.onLoad({ filter: /./, namespace: 'without-debug' }, () => ({ contents: 'module.exports = () => Object.assign(() => undefined, { enabled: false })', loader: 'js' }))
  },
}

const explanation = /, text: (?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|\w+\.\w+\.text)(?= \})/g
const builtinImport = /^import \{ ([\w, ]+) \} from '(node:(?:crypto|fs))'$/gm
const packageImport = /(?<!typeof )\bimport\('(?![./]|node:)[^']+'\)(?!\.[A-Z])/g
/** One line of the providers' registry: a system, and the file that it is in, below `shared/providers` and without `.ts`. */
export const registryLine = /^ {2}(\w+): \(\) => import\('\.\/([\w-]+)\.ts'\).*\n/gm

const fromBuiltin = (_: string, names: string, module: string): string => `const { ${names.split(/, */).filter((name) => !name.startsWith('type ')).join(', ')} } = process.getBuiltinModule('${module}')`
/** In a chunk of its own a CommonJS package exports nothing but a default, which holds what Node lets be imported by name. */
const fromPackage = (found: string): string => `${found}.then((loaded) => (loaded.default?.__esModule === true ? loaded.default : loaded))`

/** The lines of the registry that the first read does not need, in a file of their own. */
const allSystems = 'all-systems'

/**
 * Our own files as a function needs them: settings without the sentences that explain them to people, and a registry with the systems that it will ever have, those that its
 * configuration opens before the others. What they import of Node is
 * taken from process.getBuiltinModule: an ESM import reads every export of the module, and with it loads what stands behind a getter (webcrypto, fs/promises and all of readline).
 */
const withoutWhatNobodyReads = (only: readonly string[] | undefined, providers: readonly string[]): Plugin => ({
  name: 'without-what-nobody-reads',
  setup: (build) => {
    let everyLine = ''
    build.onLoad({ filter: /[\\/](?:shared|functions)[\\/].*\.ts$/ }, async ({ path }) => {
      const text = (await readFile(path, 'utf8')).replaceAll(explanation, '').replaceAll(builtinImport, fromBuiltin).replaceAll(packageImport, fromPackage)
      if (basename(path) !== 'registry.ts') return { contents: text, loader: 'ts' }
      const lines = [...text.matchAll(registryLine)].filter(([, system = '']) => only?.includes(system) ?? true)
      const isFar = (file: string): boolean => providers.length > 0 && !providers.includes(file)
      const own = lines.flatMap(([line, , file = '']) => (isFar(file) ? [] : [line])).join('')
      const table = lines.some(([, , file = '']) => isFar(file)) ? `  ...Object.fromEntries(${JSON.stringify(lines.map(([, system]) => system))}.map((system) => [system, () => far(system)])),\n${own}` : own
      const far = `const far = (system: string) => import("${allSystems}").then(({ lines }) => lines[system]())\n`
      everyLine = lines.map(([line]) => line).join('')
      let written = false
      return { contents: `${far}${text.replaceAll(registryLine, () => (written ? '' : ((written = true), table)))}`, loader: 'ts', resolveDir: dirname(path) }
    })
    build.onResolve({ filter: new RegExp(`^${allSystems}$`) }, ({ resolveDir }) => ({ path: allSystems, namespace: allSystems, pluginData: resolveDir }))
    build.onLoad({ filter: /./, namespace: allSystems }, ({ pluginData }) => ({ contents: `export const lines = {\n${everyLine}}`, loader: 'ts', resolveDir: pluginData as string }))
  },
})

/** What changes things, in a function that only reads: no route leads there, so it is not even in the archive. */
const withoutChanges: Plugin = {
  name: 'without-changes',
  setup: (build) => {
    build.onLoad({ filter: /[\\/]shared[\\/](?:virtual-keys|core[\\/]stores[\\/]writing)\.ts$/ }, () => ({
      contents: `const none = () => { throw new TypeError('This function only reads.') }
export { none as openKeys, none as putSecret, none as removeSecret, none as recoverSecret }`,
    }))
  },
}

/** The name under which a bundle has {@link whatEntriesImport}. */
const start = 'start'

/**
 * A second way into the files that an entry imports. Splitting leaves what only one entry has in that entry, and what awaits at its top can be imported by no file that it loads while it does:
 * with this the code lies in chunks, which may be merged, and the entry is its own few statements.
 */
const whatEntriesImport: Plugin = {
  name: 'what-entries-import',
  setup: (build) => {
    build.onResolve({ filter: /^start:/ }, ({ path }) => ({ path: join(root, path.slice('start:'.length)), namespace: start }))
    build.onLoad({ filter: /./, namespace: start }, async ({ path }) => {
      const imports = [...(await readFile(path, 'utf8')).matchAll(/^import (?!type).* from ('\.[^']+')$/gm)].map(([, from = '']) => `import ${from}`)
      return { contents: imports.join('\n'), resolveDir: dirname(path) }
    })
  },
}

/** Builds one function into `folder` and answers what esbuild knows of it. `only`: the systems it will ever have; default: all. `providers`: the files of those that its configuration opens. */
export const bundle = async ({ host, entry }: Deployable, folder: string, only?: readonly string[], providers: readonly string[] = []): Promise<Metafile> => {
  await rm(folder, { recursive: true, force: true })
  const { metafile } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: { [entry]: `functions/${host}/${entry}.ts`, [start]: `start:functions/${host}/${entry}.ts` },
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
    // The worker gives this package what it registers with; a copy inside the bundle would register with nobody.
    external: ['@azure/functions'],
    // Vendors look for files beside their own; what they find lies in the bundle instead.
    define: { __dirname: '"/latchkey"' },
    plugins: [whatEntriesImport, withoutUndici, requiredBuiltins, modernNode, withoutDebug, ...(entry === 'read' ? [withoutChanges] : []), withoutWhatNobodyReads(only, providers)],
  })
  const spent = Object.keys(metafile.outputs).find((path) => metafile.outputs[path]?.entryPoint?.startsWith(`${start}:`) === true)
  if (spent !== undefined) {
    await rm(join(root, spent))
    delete metafile.outputs[spent]
  }
  return metafile
}
