// One file for what the first read loads. Splitting leaves the code that the entry and the lazy chunks share in a file of its own for every way of sharing it, and each of twenty small files
// costs a cold start a look-up, a read and a compilation. Here those that are loaded anyway become one; where the others expect them stand a few bytes that lead there.
import { readFile, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import * as esbuild from 'esbuild'
import type { Metafile } from 'esbuild'
import type { Deployable } from './bundle.ts'

type Outputs = Metafile['outputs']

/** What a source file became: a bundle's entry, or what stands behind an `import()`. */
export const outputOf = (outputs: Outputs, source: string): string | undefined => Object.keys(outputs).find((path) => outputs[path]?.entryPoint === source)

/** The output of what is deployed itself. */
export const entryOf = (outputs: Outputs, { host, entry }: Deployable): string => outputOf(outputs, `functions/${host}/${entry}.ts`) ?? ''

/** The outputs that loading `from` loads, without what stands behind an `import()`. */
export const loadedWith = (outputs: Outputs, from: string, found = new Set<string>()): ReadonlySet<string> => {
  if (found.has(from)) return found
  found.add(from)
  for (const { path, kind } of outputs[from]?.imports ?? []) if (kind === 'import-statement' && outputs[path] !== undefined) loadedWith(outputs, path, found)
  return found
}

/** What the first read out of one bundle loads. */
export interface FirstRead {
  /** Of the files as they lie there after {@link mergeFirstRead}. */
  readonly bytes: number
  readonly files: number
  /** Source files of ours and of vendors. */
  readonly inputs: readonly string[]
}

const mergedName = 'first-read.mjs'
const importLine = /import\{([^{}]*)\}from"\.\/chunks\/([\w.-]+)"/g
const lazyImport = /import\("\.\/chunks\/([\w.-]+)"\)/g
const bareImport = /import"\.\/chunks\/([\w.-]+)";?/g

/** Merges, in the folder of a bundle, what its entry loads with what stands behind the first `import()` of the given provider files. Answers what is loaded then. @throws when the bundle is not as esbuild writes it */
export const mergeFirstRead = async (row: Deployable, folder: string, { outputs }: Metafile, providers: readonly string[]): Promise<FirstRead> => {
  const entry = entryOf(outputs, row)
  const lazily = [...providers.map((file) => `shared/providers/${file}.ts`), 'shared/core/http-client.ts'].flatMap((source) => outputOf(outputs, source) ?? [])
  const chunks = [...new Set([entry, ...lazily].flatMap((path) => [...loadedWith(outputs, path)]))].filter((path) => path !== entry).toSorted()
  const place = new Map(chunks.map((path, index) => [basename(path), index]))
  const exportsOf = (path: string): readonly string[] => outputs[path]?.exports ?? []
  const renamed = (path: string, name: string): string => `m${place.get(basename(path)) ?? 0}_${name}`

  const { outputFiles } = await esbuild.build({
    stdin: { contents: chunks.map((path) => `export { ${exportsOf(path).map((name) => `${name} as ${renamed(path, name)}`).join(', ')} } from './${basename(path)}'`).join('\n'), resolveDir: join(folder, 'chunks') },
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    charset: 'utf8',
    logLevel: 'error',
    plugins: [{ name: 'lazy-stays-lazy', setup: (build) => build.onResolve({ filter: /./ }, ({ kind, path }) => (kind === 'dynamic-import' ? { path, external: true } : undefined)) }],
  })
  await writeFile(join(folder, 'chunks', mergedName), outputFiles[0]?.contents ?? '')
  for (const path of chunks) await writeFile(join(folder, 'chunks', basename(path)), `export{${exportsOf(path).map((name) => `${renamed(path, name)} as ${name}`).join(',')}}from"./${mergedName}";\n`)

  const file = join(folder, basename(entry))
  const text = await readFile(file, 'utf8')
  const direct = text
    .replaceAll(importLine, (line, names: string, chunk: string) => (place.has(chunk) ? `import{${names.split(',').map((name) => renamed(chunk, name)).join(',')}}from"./chunks/${mergedName}"` : line))
    .replaceAll(lazyImport, (line, chunk: string) => (place.has(chunk) ? `import("./chunks/${mergedName}").then(m=>({${exportsOf(chunks[place.get(chunk) ?? 0] ?? '').map((name) => `${name}:m.${renamed(chunk, name)}`).join(',')}}))` : line))
    .replaceAll(bareImport, (line, chunk: string) => (place.has(chunk) ? `import"./chunks/${mergedName}";` : line))
  if (chunks.some((path) => direct.includes(`from"./chunks/${basename(path)}"`))) throw new Error(`${dirname(entry)} does not import its chunks as it was expected to`)
  await writeFile(file, direct)

  const sizes = await Promise.all([file, join(folder, 'chunks', mergedName)].map(async (path) => (await stat(path)).size))
  return { bytes: sizes.reduce((sum, size) => sum + size, 0), files: sizes.length, inputs: [...new Set([entry, ...chunks].flatMap((path) => Object.keys(outputs[path]?.inputs ?? {})))] }
}
