// What is wrong with a file that is not YAML, in our own words. The parser's own messages and code frames are never shown: they print what stands beside
// the mistake, which in this file is a key or a password.

/** A mistake in a file: where, both from 1, and how to mend it. */
export interface YamlProblem {
  readonly line: number
  readonly column: number
  readonly fix: string
}

type Place = Pick<YamlProblem, 'line' | 'column'>

/** A parser's error, without its source. */
interface ParserError {
  readonly code: string
  readonly message: string
  readonly at: Place
  readonly end: Place
}

/** For anchors and aliases, which the parser itself may refuse or not. */
export const aliases = 'anchors (&) and aliases (*) are not read; write the value out, or put text that begins so in quotes'

const fixes: Readonly<Record<string, string>> = {
  BAD_INDENT: 'the indentation does not fit the lines above; the settings of one mapping, and the items of one list, start in the same column',
  BLOCK_AS_IMPLICIT_KEY: 'a value that holds ": " must stand in quotes; without such a value, look at the indentation',
  BLOCK_IN_FLOW: 'inside [ ] and { } everything is separated by commas; close the bracket before the next setting',
  BAD_SCALAR_START: 'a value that begins with @, ` or % must stand in quotes',
  BAD_DQ_ESCAPE: 'this backslash begins no escape sequence; write \\\\ or use single quotes',
  BAD_ALIAS: aliases,
  DUPLICATE_KEY: 'this key stands twice in the same mapping; keep one of the two',
  IMPOSSIBLE: 'the text cannot be read as YAML here',
  KEY_OVER_1024_CHARS: 'this key is longer than 1024 characters; is a colon missing?',
  MISSING_CHAR: 'something is missing here or above: a closing quote or bracket, a comma, or a space behind a colon',
  MULTILINE_IMPLICIT_KEY: 'this line is neither "key: value" nor an item of a list; is a colon missing?',
  MULTIPLE_DOCS: 'the file holds several documents; keep one and take the line --- out',
  MULTIPLE_TAGS: 'only plain values are read here; take the tag (the word behind "!") out',
  RESOURCE_EXHAUSTION: 'the file is nested too deeply',
  TAB_AS_INDENT: 'the line is indented with a tab; use spaces',
  TAG_RESOLVE_FAILED: 'only plain values are read here; take the tag (the word behind "!") out',
  UNEXPECTED_TOKEN: 'this does not belong here; check the quotes and brackets of this line and the one above',
}

/** Turns a parser's error into one place and one fix; keys are named if they look like settings, values never. */
export const explainYamlError = (error: ParserError, lines: readonly string[]): YamlProblem => {
  const { at } = error
  const generic = { ...at, fix: fixes[error.code] ?? 'the text cannot be read as YAML here' }
  if (error.code === 'BAD_INDENT' && error.message.startsWith('Flow')) return { ...at, fix: 'a bracket [ or { above this line is not closed' }
  if (error.code === 'BAD_INDENT' && error.message.startsWith('All mapping items')) return explainIndentation(filledLine(lines, at.line), lines) ?? generic
  if (error.code === 'MULTILINE_IMPLICIT_KEY' || error.code === 'BLOCK_AS_IMPLICIT_KEY') return explainContinuation(at, lines) ?? generic
  const name = error.code === 'DUPLICATE_KEY' ? keyOf(lines, at.line)?.name : undefined
  return name === undefined ? generic : { ...at, fix: `${name} stands twice in the same mapping; keep one of the two` }
}

/** A value without quotes goes on over deeper lines, so a key that is indented too far looks to the parser like the rest of the value before it. */
const explainContinuation = (at: Place, lines: readonly string[]): YamlProblem | undefined => {
  const deeper = nextKey(lines, at.line)
  if (deeper === undefined || keyOf(lines, at.line) === undefined || indentOf(lines, deeper) <= indentOf(lines, at.line) || inlineColon(lines, at)) return undefined
  return explainIndentation(deeper, lines)
}

interface Key {
  readonly column: number
  /** Only if it looks like a setting; anything else might be a value. */
  readonly name?: string
}

/** The first key of a line; a list's dashes before it do not count. */
const keyOf = (lines: readonly string[], line: number): Key | undefined => {
  const found = /^(\s*(?:-\s+)*)("?)([^\s#"':,[\]{}][^"':,[\]{}]*)\2\s*:(?=\s|$)/.exec((lines[line - 1] ?? '').slice(0, 500))
  if (found === null) return undefined
  const [, before = '', , text = ''] = found
  return { column: before.length + 1, ...(/^[A-Za-z_]\w{0,63}$/.test(text) ? { name: text } : {}) }
}

const isEmpty = (text: string): boolean => /^\s*(?:#|$)/.test(text)
const indentOf = (lines: readonly string[], line: number): number => (lines[line - 1] ?? '').search(/\S|$/)

/** The line itself, or the next one that is neither blank nor a comment. */
const filledLine = (lines: readonly string[], line: number): number => {
  const skip = lines.slice(line - 1).findIndex((text) => !isEmpty(text))
  return skip < 0 ? line : line + skip
}

const nextKey = (lines: readonly string[], line: number): number | undefined => {
  const next = filledLine(lines, line + 1)
  return keyOf(lines, next) === undefined ? undefined : next
}

/** Whether the value that begins at `at` has a colon of its own on its line. */
const inlineColon = (lines: readonly string[], at: Place): boolean => /:(?:\s|$)/.test((lines[at.line - 1] ?? '').slice(at.column - 1))

/** A key that starts in a column where its mapping does not: which column is right, and which lines to move. */
const explainIndentation = (line: number, lines: readonly string[]): YamlProblem | undefined => {
  const key = keyOf(lines, line)
  if (key === undefined) return undefined
  const above = Array.from({ length: line - 1 }, (_, index) => keyOf(lines, line - 1 - index)).filter((other) => other !== undefined)
  const sibling = above.find((other) => other.column < key.column)
  if (sibling === undefined) return undefined
  const name = key.name ?? 'this key'
  const [nearest] = above
  if (nearest !== undefined && nearest.column > key.column) {
    const fix = `${name} stands in column ${key.column}, where none of the lines above it starts: put it in column ${nearest.column} beside ${nearest.name ?? 'the key above'}, or in column ${sibling.column} beside ${sibling.name ?? 'the key further up'}`
    return { line, column: key.column, fix }
  }
  const last = lastOfBlock(lines, line)
  const distance = key.column - sibling.column
  const moved = `${last === line ? `line ${line}` : `lines ${line} to ${last}`} ${inWords(distance)} column${distance === 1 ? '' : 's'} to the left`
  return { line, column: key.column, fix: `${name} must start in the same column as ${sibling.name ?? 'the key above'} (${sibling.column}, not ${key.column}): move ${moved}` }
}

const lastOfBlock = (lines: readonly string[], first: number): number => {
  const indent = indentOf(lines, first)
  let last = first
  for (let line = first + 1; line <= lines.length; line += 1) {
    if (isEmpty(lines[line - 1] ?? '')) continue
    if (indentOf(lines, line) < indent) break
    last = line
  }
  return last
}

const inWords = (count: number): string => ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'][count] ?? String(count)
