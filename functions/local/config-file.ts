// Finds and parses the configuration file. YAML is read only here, by whoever starts Latchkey on a machine; functions get JSON that the build made of it.
// Aliases, merge keys, custom tags and duplicate keys are refused: a configuration says a thing once, where it can be seen, and cannot grow when it is read.
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { Env, Files } from '../../shared/core/runtime.ts'
import { aliases, explainYamlError, type YamlProblem } from './yaml-problem.ts'

const maxBytes = 1_048_576

/** What was found: `input` goes to `parseConfiguration`; without a file it is `undefined`, which means the built-in configuration. */
export interface ConfigFile {
  readonly path?: string
  readonly input: unknown
}

/** Reads the file that `--config` names, else CONFIG_FILE_PATH, else ./config.yaml if it is there. @throws misconfigured when a named file is missing or the text is not YAML */
export const loadConfigFile = async (argument: string | undefined, env: Env, files: Files): Promise<ConfigFile> => {
  const variable = env.get('CONFIG_FILE_PATH')
  const named = argument !== undefined ? { path: argument, by: '--config' } : variable !== undefined && variable !== '' ? { path: variable, by: 'CONFIG_FILE_PATH' } : undefined
  if (named?.path === '') throw refuse('--config', 'needs the path of a file')
  const path = named?.path ?? 'config.yaml'
  const bytes = await files.read(path)
  if (bytes === undefined && named === undefined) return { input: undefined }
  if (bytes === undefined) throw refuse(named?.by ?? path, `names the file ${path}, which is not there`)
  return { path, input: await parseConfigText(bytes, path) }
}

/** Parses the file's text. `path` stands in the message only. @throws misconfigured with one problem: line and column, both from 1, and how to mend it, without a piece of the file */
export const parseConfigText = async (bytes: Uint8Array, path: string): Promise<unknown> => {
  if (bytes.byteLength > maxBytes) throw refuse(path, `is ${bytes.byteLength} bytes long; the limit is ${maxBytes}`)
  const { LineCounter, isAlias, isCollection, isScalar, parseDocument, visit } = await import('yaml')
  const text = decode(bytes, path)
  const lines = new LineCounter()
  const place = (offset: number): Pick<YamlProblem, 'line' | 'column'> => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
  try {
    const document = parseDocument(text, { version: '1.2', schema: 'core', uniqueKeys: true, merge: false, prettyErrors: false, lineCounter: lines })
    const error = document.errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION') ?? document.errors[0]
    if (error !== undefined) throw problem(path, explainYamlError({ code: error.code, message: error.message, at: place(error.pos[0]), end: place(error.pos[1]) }, text.split(/\r?\n/)))
    const [warning] = document.warnings
    if (warning !== undefined) throw problem(path, { ...place(warning.pos[0]), fix: 'only plain values are read here; take the tag (the word behind "!") out' })
    visit(document, {
      Node: (_, node) => {
        if (isAlias(node) || ('anchor' in node && node.anchor !== undefined)) throw problem(path, { ...place(node.range?.[0] ?? 0), fix: aliases })
      },
      Pair: (_, pair) => {
        const { key } = pair
        if (isScalar(key) && key.value === '<<') throw problem(path, { ...place(key.range?.[0] ?? 0), fix: 'merge keys (<<) are not read; write the settings out' })
        if (isCollection(key)) throw problem(path, { ...place(key.range?.[0] ?? 0), fix: 'a key must be plain text' })
      },
    })
    return document.toJS({ maxAliasCount: 0 })
  } catch (error) {
    if (error instanceof LatchkeyError) throw error
    throw refuse(path, 'cannot be read as YAML: it is nested too deeply')
  }
}

const decode = (bytes: Uint8Array, path: string): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw refuse(path, 'is not UTF-8 text')
  }
}

const refuse = (path: string, message: string): LatchkeyError => new LatchkeyError('misconfigured', `${path}: ${message}.`, { issues: [{ path, message }] })

const problem = (path: string, { line, column, fix }: YamlProblem): LatchkeyError =>
  new LatchkeyError('misconfigured', `${path}, line ${line}, column ${column}: ${fix}${fix.endsWith('?') ? '' : '.'}`, { issues: [{ path: `${path}:${line}:${column}`, message: fix }] })
