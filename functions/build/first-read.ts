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
const importLine = /import(?:\{([^{}]*)\}from)?"\.\/(?:chunks\/)?([\w.-]+)";?/g
const lazyImport = /import\("\.\/([\w.-]+)"\)/g
const exportLine = /export\{([^{}]*)\};?\s*$/

/** esbuild's own few functions. Each of its outputs imports their chunk, most of them none of the functions. */
const isRuntime = (output: Outputs[string] | undefined): boolean => output !== undefined && output.bytes > 0 && output.imports.length === 0 && Object.keys(output.inputs).length === 0

const fileIn = (folder: string, path: string): string => join(folder, basename(dirname(path)) === 'chunks' ? 'chunks' : '', basename(path))

/** What a file imports, as `<chunk> <name>`. */
const namesAsked = (text: string): readonly string[] =>
  [...text.matchAll(importLine)].flatMap(([, names = '', chunk = '']) => names.split(',').map((clause) => `${chunk} ${clause.split(' as ')[0] ?? ''}`))

/** Takes out of every file of a bundle the imports that import nothing but {@link isRuntime}'s chunk. */
const withoutIdleRuntime = async (folder: string, outputs: Outputs): Promise<void> => {
  const runtime = Object.keys(outputs).find((path) => isRuntime(outputs[path]))
  if (runtime === undefined) return
  for (const path of Object.keys(outputs)) {
    const file = fileIn(folder, path)
    const text = await readFile(file, 'utf8')
    const rest = text.replaceAll(importLine, (line, names: string | undefined, chunk: string) => (names === undefined && chunk === basename(runtime) ? '' : line))
    if (rest !== text) await writeFile(file, rest)
  }
}

/** Merges, in the folder of a bundle, what its entry loads with what stands behind the first `import()` of the given provider files. Answers what is loaded then. @throws when the bundle is not as esbuild writes it */
export const mergeFirstRead = async (row: Deployable, folder: string, { outputs }: Metafile, providers: readonly string[]): Promise<FirstRead> => {
  await withoutIdleRuntime(folder, outputs)
  const entry = entryOf(outputs, row)
  const lazily = [...providers.map((file) => `shared/providers/${file}.ts`), 'shared/core/http-client.ts'].flatMap((source) => outputOf(outputs, source) ?? [])
  const loaded = [...new Set([entry, ...lazily].flatMap((path) => [...loadedWith(outputs, path)]))].filter((path) => path !== entry)
  const texts = new Map(await Promise.all(loaded.map(async (path) => [path, await readFile(join(folder, 'chunks', basename(path)), 'utf8')] as const)))
  const isUsed = (chunk: string): boolean => [...texts.values()].some((text) => text.includes(`"./${basename(chunk)}"`))
  const chunks = loaded.filter((path) => !isRuntime(outputs[path]) || isUsed(path)).toSorted()
  const byName = new Map(chunks.map((path) => [basename(path), path]))
  const asked = new Set((await Promise.all(Object.keys(outputs).filter((path) => !chunks.includes(path)).map((path) => readFile(fileIn(folder, path), 'utf8')))).flatMap(namesAsked))
  /** What others import of it; all, where it is imported as a whole. */
  const exportsOf = (path: string): readonly string[] => (outputs[path]?.exports ?? []).filter((name) => outputs[path]?.entryPoint !== undefined || asked.has(`${basename(path)} ${name}`))
  const merged = new Map(chunks.flatMap((path) => exportsOf(path).map((name) => `${path} ${name}`)).map((place, index) => [place, `$${index.toString(36)}`]))
  const renamed = (path: string, name: string): string => merged.get(`${path} ${name}`) ?? ''

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
    plugins: [{ name: 'lazy-and-external-stay-so', setup: (build) => build.onResolve({ filter: /./ }, ({ kind, path }) => (kind === 'dynamic-import' || !path.startsWith('.') ? { path, external: true } : undefined)) }],
  })
  const text = outputFiles[0]?.text ?? ''
  const locals = new Map((exportLine.exec(text)?.[1] ?? '').split(',').map((pair) => pair.split(' as ')).map(([local = '', name = local]) => [name, local]))
  // Who imports lazily what has become of this file needs no other.
  const direct = text.replaceAll(lazyImport, (found, chunk: string) => {
    const path = byName.get(chunk)
    return path === undefined ? found : `Promise.resolve({${exportsOf(path).map((name) => `${name}:${locals.get(renamed(path, name)) ?? ''}`).join(',')}})`
  })
  await writeFile(join(folder, 'chunks', mergedName), direct)
  for (const path of chunks) await writeFile(join(folder, 'chunks', basename(path)), `export{${exportsOf(path).map((name) => `${renamed(path, name)} as ${name}`).join(',')}}from"./${mergedName}";\n`)

  const file = join(folder, basename(entry))
  const imports: string[] = []
  const rest = (await readFile(file, 'utf8')).replaceAll(importLine, (line, names: string | undefined, chunk: string) => {
    const path = byName.get(chunk)
    if (path === undefined) return line
    imports.push(...(names ?? '').split(',').filter((name) => name !== '').map((name) => renamedImport(name, (exported) => renamed(path, exported))))
    return ''
  })
  if (chunks.some((path) => rest.includes(`/${basename(path)}"`))) throw new Error(`${dirname(entry)} does not import its chunks as it was expected to`)
  await writeFile(file, `import{${imports.join(',')}}from"./chunks/${mergedName}";${rest}`)

  const sizes = await Promise.all([file, join(folder, 'chunks', mergedName)].map(async (path) => (await stat(path)).size))
  return { bytes: sizes.reduce((sum, size) => sum + size, 0), files: sizes.length, inputs: [...new Set([entry, ...chunks].flatMap((path) => Object.keys(outputs[path]?.inputs ?? {})))] }
}

/** `a as b`, or `a`, imported under its new name. */
const renamedImport = (clause: string, rename: (exported: string) => string): string => {
  const [exported = '', local = exported] = clause.split(' as ')
  return `${rename(exported)} as ${local}`
}
