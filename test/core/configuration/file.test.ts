// Finding the file, and what is said of text that is not YAML: one place, one fix, nothing of the file but the names of settings.
import { describe, expect, it } from 'vitest'
import { loadConfigFile, parseConfigText, type ConfigFile } from '../../../functions/local/config-file.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { envOf, filesOf } from '../../support/runtime.ts'

const load = (given: { argument?: string; variable?: string; files?: Record<string, string | Uint8Array> }): Promise<ConfigFile> =>
  loadConfigFile(given.argument, envOf(given.variable === undefined ? {} : { CONFIG_FILE_PATH: given.variable }), filesOf(given.files ?? {}))

const parse = (text: string | Uint8Array): Promise<unknown> => parseConfigText(typeof text === 'string' ? Buffer.from(text) : text, 'c.yaml')

const failureOf = async (run: Promise<unknown>): Promise<LatchkeyError> => {
  try {
    await run
  } catch (error) {
    if (error instanceof LatchkeyError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('the configuration file', () => {
  const files = { 'config.yaml': 'here: 1', 'a.yaml': 'here: 2', 'b.json': '{"here": 3}' }

  it.each([
    ['--config first', { argument: 'a.yaml', variable: 'b.json', files }, { path: 'a.yaml', input: { here: 2 } }],
    ['then CONFIG_FILE_PATH, JSON as well', { variable: 'b.json', files }, { path: 'b.json', input: { here: 3 } }],
    ['then ./config.yaml, an empty variable being unset', { variable: '', files }, { path: 'config.yaml', input: { here: 1 } }],
    ['nothing at all when there is none', {}, { input: undefined }],
    ['an empty file, which is a file', { files: { 'config.yaml': '# nothing yet\n' } }, { path: 'config.yaml', input: null }],
  ])('is %s', async (_, given, found) => {
    expect(await load(given)).toEqual(found)
  })

  it.each([
    ['--config names a file that is missing', { argument: 'x.yaml' }, /^--config: names the file x\.yaml, which is not there/],
    ['CONFIG_FILE_PATH does', { variable: 'x.yaml' }, /^CONFIG_FILE_PATH: names the file x\.yaml/],
    ['--config names nothing', { argument: '' }, /needs the path/],
    ['it is no UTF-8', { files: { 'config.yaml': Uint8Array.of(0x61, 0x3a, 0x20, 0xff) } }, /is not UTF-8 text/],
    ['it is too long', { files: { 'config.yaml': ' '.repeat(1_048_577) } }, /the limit is 1048576/],
  ])('is refused when %s', async (_, given, message) => {
    const failure = await failureOf(load(given))

    expect([failure.code, failure.details.issues?.length]).toEqual(['misconfigured', 1])
    expect(failure.message).toMatch(message)
  })

  it('keeps what YAML 1.2 says of types', async () => {
    expect(await parse('\uFEFFa: yes\nb: 0x10\nc: 2026-11-21\nd: True\ne: ~\nf: "1"\n"__proto__": 1\n')).toEqual(JSON.parse('{"a":"yes","b":16,"c":"2026-11-21","d":true,"e":null,"f":"1","__proto__":1}'))
  })
})

describe('a text that is not YAML', () => {
  it.each([
    ['a key indented too far behind a quoted value', 'a:\n  b: "hidden"\n    c:\n      d: 1\n', 'c.yaml:3:5', 'c must start in the same column as b (3, not 5): move lines 3 to 4 two columns to the left'],
    ['a key indented too far behind a bare value', 'a:\n  b: hidden\n   c: 1\n', 'c.yaml:3:4', 'c must start in the same column as b (3, not 4): move line 3 one column to the left'],
    ['two keys indented too far', 'a:\n  b: hidden\n    c: 1\n    d: 2\n  e: 3\n', 'c.yaml:3:5', 'c must start in the same column as b (3, not 5): move lines 3 to 4 two columns to the left'],
    ['a key that stands between two columns', 'a:\n  b: hidden\n c: 1\n', 'c.yaml:3:2', 'c stands in column 2, where none of the lines above it starts: put it in column 3 beside b, or in column 1 beside a'],
    ['a key that may be a value', 'a:\n  sk-hidden: "x"\n    sk-hidden2: y\n', 'c.yaml:3:5', 'this key must start in the same column as the key above (3, not 5): move line 3 two columns to the left'],
    ['Windows line ends and a comment between', 'a:\r\n  b: "x"\r\n\r\n# hidden\r\n    c: 2\r\n', 'c.yaml:5:5', 'c must start in the same column as b (3, not 5): move line 5 two columns to the left'],
    ['a duplicate key', 'a:\n  b: 1\n  b: hidden\n', 'c.yaml:3:3', 'b stands twice in the same mapping; keep one of the two'],
    ['a tab', 'a:\n\tb: hidden\n', 'c.yaml:2:1', 'the line is indented with a tab; use spaces'],
    ['an alias', 'a: &x hidden\nb: *x\n', 'c.yaml:1:7', 'anchors (&) and aliases (*) are not read; write the value out, or put text that begins so in quotes'],
    ['an alias bomb', 'a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n', 'c.yaml:1:7', 'anchors (&) and aliases (*) are not read; write the value out, or put text that begins so in quotes'],
    ['an alias of nothing', 'a: *hidden\n', 'c.yaml:1:4', 'anchors (&) and aliases (*) are not read; write the value out, or put text that begins so in quotes'],
    ['a merge key', 'a:\n  <<: { b: hidden }\n', 'c.yaml:2:3', 'merge keys (<<) are not read; write the settings out'],
    ['a tag', 'a: !!js/function hidden\n', 'c.yaml:1:4', 'only plain values are read here; take the tag (the word behind "!") out'],
    ['a key that is a list', '? [hidden]\n: 1\n', 'c.yaml:1:3', 'a key must be plain text'],
    ['two documents', 'a: 1\n---\nb: hidden\n', 'c.yaml:2:1', 'the file holds several documents; keep one and take the line --- out'],
    ['an open bracket', 'a: [1, hidden\nb: 3\n', 'c.yaml:2:1', 'a bracket [ or { above this line is not closed'],
    ['a line without a colon', 'a: 1\nhidden\nb: 2\n', 'c.yaml:2:1', 'this line is neither "key: value" nor an item of a list; is a colon missing?'],
    ['a reserved character', 'a: @hidden\n', 'c.yaml:1:4', 'a value that begins with @, ` or % must stand in quotes'],
  ])('is answered with place and fix: %s', async (_, text, path, message) => {
    const failure = await failureOf(parse(text))

    expect([failure.code, failure.details.issues]).toEqual(['misconfigured', [{ path, message }]])
    expect(failure.message).not.toContain('hidden')
  })

  it.each([
    ['an open quote', 'a: "hidden\nb: 1\n'],
    ['a colon inside a value', 'a: hidden: c\n'],
    ['a wrong escape', 'a: "\\hidden"\n'],
    ['a list item out of its column', 'a:\n  - b: 1\n   - c: hidden\n'],
    ['nesting without end', '['.repeat(20_000)],
    ['mappings without end', Array.from({ length: 1000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n') + ' "hidden'],
  ])('shows nothing of itself: %s', async (_, text) => {
    const failure = await failureOf(parse(text))

    expect([failure.code, failure.details.issues?.length]).toEqual(['misconfigured', 1])
    expect(JSON.stringify([failure.message, failure.details])).not.toMatch(/hidden|\n/)
  })
})
