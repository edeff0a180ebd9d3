// Bench P12 as counts: what an operation on a key costs at the manager and at the gateway. The table of the README is the pin: a request more or less shows there.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { callTable, countAll, operations, systems, type Asked } from './upstream-calls.ts'

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
let counted: Awaited<ReturnType<typeof countAll>>
beforeAll(async () => {
  counted = await countAll()
}, 120_000)

const asked = (system: string, operation: string): readonly Asked[] => (counted.get(system) ?? []).map((each) => each.get(operation)).filter((found) => found !== undefined)

describe('the requests of an operation on a key', () => {
  it('are those of the table in the README', () => {
    const [, table = ''] = /<!-- counted: npm run bench, P12 -->\n\n([\s\S]*?)\n\n/.exec(readme) ?? []

    expect(table).toBe(callTable(counted))
  })

  it('are one change for a creation on AWS, which needs no more', () => {
    const [alone, beside] = asked('aws_secret_manager', 'create')

    expect(alone?.calls).toEqual(['DescribeSecret', 'CreateSecret'])
    // The done stamp of a key that a gateway has been told of.
    expect(beside?.calls.filter((call) => !/^(?:Describe|gateway)/.test(call))).toEqual(['CreateSecret', 'TagResource'])
  })

  it.each(systems)('never scan %s: nothing is listed where the key is named by its alias', (system) => {
    const named = operations.filter(({ name }) => !/by key id|list|verify/.test(name))

    const lists = named.flatMap(({ name }) => asked(system, name).map((each) => [name, each.lists]))

    expect(lists.filter(([, count]) => count !== 0)).toEqual([])
    expect(lists).toHaveLength(2 * named.length)
  })

  it.each(systems)('find a key of %s by its id with one request that names it: a page by tag or label, or the index', (system) => {
    const byId = operations.filter(({ name }) => /by key id|verify/.test(name))
    const filtered = ['aws_secret_manager', 'google_secret_manager'].includes(system)

    expect(byId.flatMap(({ name }) => asked(system, name).map((each) => each.lists))).toEqual(byId.flatMap(() => [Number(filtered), Number(filtered)]))
  })

  it.each(systems)('change nothing in %s where a key is only looked at', (system) => {
    const looks = operations.filter(({ name }) => /^(?:verify|info|one page)/.test(name))

    expect(looks.flatMap(({ name }) => asked(system, name).map(({ writes }) => writes))).toEqual(looks.flatMap(() => [0, 0]))
  })
})
