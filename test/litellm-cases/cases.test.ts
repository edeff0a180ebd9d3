// LiteLLM's 163 cases are all accounted for: each has a test of its number, or says what it waits for, and no number is claimed that nobody tests.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { litellmCases, type LitellmCase } from '../../functions/litellm-cases.ts'

const counts = { G: 29, O: 12, A: 31, K: 7, Z: 7, S: 11, V: 29, C: 10, L: 27 }
const ids = Object.entries(counts).flatMap(([letter, count]) => Array.from({ length: count }, (_, index) => `${letter}${String(index + 1).padStart(2, '0')}`))

const leading = /^([GOAKZSVCL]\d{2}(?:, [GOAKZSVCL]\d{2})*)(?=[: ])/
const idsOf = (title: string): readonly string[] => leading.exec(title)?.[1]?.split(', ') ?? []
const literal = String.raw`'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"`
/** A title of it(…) or of it.each(…)(…), whose rows end a line with a closing bracket. */
const titles = new RegExp(String.raw`^\s*(?:it|it\.each\(.*?\)|\](?: as const|(?: satisfies [^)]+)?)?\))\(\s*(?:${literal})`, 'gm')
/** A row of it.each: an array whose first item is a text, or a bare id where the title begins with it. */
const rows = new RegExp(String.raw`^\s*\[(?:${literal}),`, 'gm')

/** The numbers that a source's tests bear: at the beginning of a title, or of a row that a title of this source begins with. */
const claimed = (source: string): readonly string[] => {
  const all = [...source.matchAll(titles)].map(([, single, double]) => single ?? double ?? '')
  const rowed = all.some((title) => /^%s|^\$id/.test(title)) ? [...source.matchAll(rows)].map(([, single, double]) => `${single ?? double ?? ''}:`) : []
  return [...all, ...rowed].flatMap(idsOf)
}

const missing = (cases: readonly LitellmCase[], numbers: ReadonlySet<string>): readonly string[] => cases.filter(({ id, result }) => result !== 'pending' && !numbers.has(id)).map(({ id }) => id)
const untrue = (cases: readonly LitellmCase[], numbers: ReadonlySet<string>): readonly string[] => cases.filter(({ id, result }) => result === 'pending' && numbers.has(id)).map(({ id }) => id)

const root = join(import.meta.dirname, '..')
const sources = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts') && entry.name !== 'cases.test.ts' && !entry.parentPath.startsWith(join(root, 'peers')))
  .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
const numbers = new Set(sources.flatMap(claimed))

describe("LiteLLM's cases", () => {
  it('are all listed, each once, in order', ({ task }) => {
    const count = (result: LitellmCase['result']): number => litellmCases.filter((row) => row.result === result).length
    task.meta.report = `LiteLLM's cases: ${litellmCases.length}; ${count('same')} the same, ${count('differs')} differ for a reason, ${count('pending')} pending (${litellmCases.flatMap(({ id, result }) => (result === 'pending' ? [id] : [])).join(', ')})`

    expect(litellmCases.map(({ id }) => id)).toEqual(ids)
    expect(ids).toHaveLength(163)
  })

  it('have a test of their number, unless they are pending', () => {
    expect(missing(litellmCases, numbers)).toEqual([])
  })

  it('are claimed by no test while they are pending', () => {
    expect(untrue(litellmCases, numbers)).toEqual([])
  })

  it('are the only numbers that tests bear', () => {
    expect([...numbers].filter((id) => !ids.includes(id))).toEqual([])
  })

  it('say in whole sentences what differs, why, and what is waited for', () => {
    const sentence = /^[A-Z`\d].*[.`)]$/s
    const wrong = litellmCases.filter((row) => !sentence.test(row.about) || (row.result === 'differs' && !(sentence.test(row.difference) && sentence.test(row.reason))) || (row.result === 'pending' && row.waits.length < 10))

    expect(wrong.map(({ id }) => id)).toEqual([])
  })
})

describe('the search for numbers', () => {
  it.each([
    ['a title', "  it('V01: goes there', () => {", ['V01']],
    ['a title of several', "it('V10, V11: keeps apart', async () => {", ['V10', 'V11']],
    ['a title in other quotes', "it(\"S05 it's refused\", async () => {", ['S05']],
    ['the title of a table', "  it.each(['x'])('V27: sends nothing for %j', async () => {", ['V27']],
    ['the title behind a table', "  ] as const)('C04: tries %i', async () => {", ['C04']],
    ['rows that begin the title', "it.each([\n  ['K05: base64', 1],\n  ['no number', 1],\n])('%s: is read', () => {", ['K05']],
    ['the first of a range, and no other', "it('V01 to V07: go there', () => {", ['V01']],
    ['rows whose id is put first', "const rows = [\n  ['V01', token],\n]\nit.each(rows)('$id: go there', () => {", ['V01']],
  ])('finds %s', (_title, source, found) => {
    expect(claimed(source)).toEqual(found)
  })

  it.each([
    ['a comment', "// V01: goes there\n/* it('V01: x') */"],
    ['an assertion', "    expect(title).toBe('V01: x')"],
    ['the end of a title', "it('goes there (V01)', () => {"],
    ['a group', "describe('V01: addresses', () => {"],
    ['a test that is left out', ['it', "skip('V01: goes there', () => {"].join('.')],
    ['rows that no title begins with', "it.each([\n  ['V01: x', 1],\n])('reads %s', () => {"],
  ])('finds nothing in %s', (_title, source) => {
    expect(claimed(source)).toEqual([])
  })

  it('misses a case without a test, and sees one that claims too much', () => {
    const cases: readonly LitellmCase[] = [{ id: 'G01', about: 'x', result: 'same' }, { id: 'G02', about: 'x', result: 'pending', waits: 'something' }]

    expect([missing(cases, new Set(['G02'])), untrue(cases, new Set(['G02']))]).toEqual([['G01'], ['G02']])
  })
})
