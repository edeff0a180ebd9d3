// The key engine in the small scope: every pair of verbs from every start, every call of the first, every one fault. By default a part of the cases, spread over
// all pairs; `npm run sim:ci` runs them all.
import { describe, expect, it } from 'vitest'
import { withoutFailures } from './failures.ts'
import { overtaken } from './schedule.ts'
import { explore, exploredTotals, pairVerbs, verbsFrom } from './small-scope.ts'
import { shapes } from './shapes.ts'

const every = Number(process.env['SIM_SCHEDULES'] ?? 0) >= 2000 ? 1 : 40
Error.stackTraceLimit = 4

describe.each(shapes.filter(({ inMemory }) => inMemory))('keys on $name', (shape) => {
  it('survive any one fault or pause of one operation beside another', { timeout: 1_200_000 }, async () => {
    const began = performance.now()

    const all = await explore(shape, { every, crashes: 0 })

    console.log(exploredTotals(shape, { ...all, known: all.quiet.known, violations: all.failed.length }, (performance.now() - began) / 1000))
    expect(await withoutFailures(all.failed)).toBe('')
    expect(all.pairs).toBe(5 * pairVerbs.length ** 2 + verbsFrom('stored').length ** 2)
    expect(all.states.size).toBeGreaterThan(10_000)
  })
})

describe.each(shapes)('keys on $name', (shape) => {
  it.each([false, true])('are left alone by a rotation that stood still while their alias got a new key (gateway: %s)', async (gateway) => {
    const outcomes = await Promise.all(Array.from({ length: 16 }, (_, pause) => overtaken(shape, pause + 1, gateway)))

    expect(outcomes.map(({ violation }) => violation?.message).filter((message) => message !== undefined)).toEqual([])
  })
})
