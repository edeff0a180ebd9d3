// The tokenizer against dotenv itself: one corpus of files, and generated texts made of everything that means something in such a file.
import { readdirSync, readFileSync } from 'node:fs'
import { parse } from 'dotenv'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDotenv } from '../../shared/providers/environment.ts'

const corpus = new URL('../fixtures/dotenv/', import.meta.url)
const files = readdirSync(corpus).toSorted()
const textOf = (file: string): string => readFileSync(new URL(file, corpus), 'utf8')

/** A plain object cannot hold `__proto__` as dotenv sets it; everything else is compared. */
const ours = (text: string): Record<string, string> => Object.fromEntries([...parseDotenv(text)].filter(([name]) => name !== '__proto__'))

const piece = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('A', 'B', 'key.x', 'k-1', 'export ', 'export', 'value', ' ', '\t', '\u00a0', '\ufeff', '\u2028') },
  { weight: 4, arbitrary: fc.constantFrom('=', ':', ': ', '\n', '\r\n', '\r', '#', ' #', '"', "'", '`', '\\', '\\n', '\\r', '\\"', "\\'", '$A', '${A}') },
  { weight: 1, arbitrary: fc.string({ maxLength: 6 }) },
)
const line = fc.tuple(fc.constantFrom('A', 'B', ' C', 'export D', 'E.F'), fc.constantFrom('=', ' = ', ': ', ':', '=\n'), fc.array(piece, { maxLength: 8 })).map(([name, sign, rest]) => `${name}${sign}${rest.join('')}\n`)
const text = fc.oneof(fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join('')), fc.array(line, { maxLength: 6 }).map((lines) => lines.join('')))

describe('the .env grammar', () => {
  it.each(files)('%s is read as dotenv reads it', (file) => {
    const read = ours(textOf(file))

    expect(read).toEqual({ ...parse(textOf(file)) })
  })

  it('any text is read as dotenv reads it', () => {
    fc.assert(
      fc.property(text, (written) => {
        expect(ours(written)).toEqual({ ...parse(written) })
      }),
      { numRuns: 4000, seed: 20261121 },
    )
  })

  it('the corpus holds what people write', () => {
    const all = Object.assign({}, ...files.map((file) => ours(textOf(file)))) as Record<string, string>

    expect(all).toMatchObject({
      EQUALS: 'a=b==c',
      TRAILING: 'spaces here',
      NO_SPACE: 'val',
      KEY: 'yaml value',
      TWICE: 'second',
      EXPORTED: 'exported',
      NEWLINE_DOUBLE: 'first\nsecond',
      NEWLINE_SINGLE: String.raw`first\nsecond`,
      DOLLAR_BRACES: '${HOME}',
      BOTH_IN_BACKTICK: `a "b" 'c' d`,
      PEM: '-----BEGIN KEY-----\nabc\ndef\n-----END KEY-----',
      FIRST: 'after a mark',
      BOOLEAN: 'True',
    })
  })

  it('a name that means something to objects is a name like any other', () => {
    const read = parseDotenv('__proto__=x\nconstructor=y\n')

    expect([...read]).toEqual([['__proto__', 'x'], ['constructor', 'y']])
  })

  it('a long line takes no longer than its length', () => {
    const unbalanced = `A="${'\\"x'.repeat(50_000)}\nB=${' '.repeat(50_000)}x\nC=1\n`

    const read = parseDotenv(unbalanced)

    expect(read.get('C')).toBe('1')
  })
})
