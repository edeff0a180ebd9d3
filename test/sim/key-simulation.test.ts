// The key engine under the simulator: random schedules from two seeds, and every schedule that failed once.
import { describe, expect, it } from 'vitest'
import { count, tally, totals } from './report.ts'
import { regressions } from './regressions.ts'
import { play, randomSchedule, type Outcome } from './schedule.ts'
import { shapes, type Shape } from './shapes.ts'
import { withoutFailures } from './failures.ts'

const schedules = Number(process.env['SIM_SCHEDULES'] ?? 300)
const seeds = ['20261121', '7']
Error.stackTraceLimit = 4

describe.each(shapes)('keys on $name', (shape) => {
  it('are neither lost nor duplicated nor resurrected under random faults', { timeout: 300_000 }, async () => {
    const began = performance.now()
    const seen = tally()
    const outcomes: Outcome[] = []

    for (const seed of seeds) for (let index = 0; index < schedules / seeds.length / shape.effort; index += 1) outcomes.push(await randomSchedule({ shape, seed: `${seed}.${index}` }))

    for (const outcome of outcomes) count(seen, outcome)
    seen.seconds = (performance.now() - began) / 1000
    console.log(totals(shape, seeds, seen))
    expect(await withoutFailures(outcomes)).toBe('')
  })
})

describe.each(shapes.filter(({ inMemory }) => inMemory))('keys on $name of which no value may be read', (shape) => {
  it('are neither lost nor duplicated nor resurrected under random faults', { timeout: 300_000 }, async () => {
    const outcomes: Outcome[] = []

    for (let index = 0; index < schedules / 3; index += 1) outcomes.push(await randomSchedule({ shape, seed: `write only.${index}`, writeOnly: true }))

    expect(outcomes.some(({ trace }) => trace.some((line) => line.includes('answers active')))).toBe(true)
    expect(await withoutFailures(outcomes)).toBe('')
  })
})

describe('a schedule that failed once', () => {
  it.each(regressions())('holds: $says ($file)', async ({ script }) => {
    const outcome = await play(script)

    expect(outcome.violation?.message).toBeUndefined()
  })
})

describe('a schedule', () => {
  const [shape] = shapes as readonly [Shape]

  it('runs the same way for the same seed', async () => {
    const runs = await Promise.all([1, 2].map(() => randomSchedule({ shape, seed: 'same' })))

    expect(runs[0]?.trace).toEqual(runs[1]?.trace)
    expect(runs[0]?.trace.length).toBeGreaterThan(10)
  })

  it('runs the same way from the script that it wrote down', async () => {
    const drawn = await randomSchedule({ shape, seed: 'written down' })

    const played = await play(JSON.parse(JSON.stringify(drawn.script)) as typeof drawn.script)

    expect(played.trace).toEqual(drawn.trace)
  })
})
