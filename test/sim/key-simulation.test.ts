// The key engine under the simulator: random schedules from two seeds and the small scope.
import { describe, expect, it } from 'vitest'
import { smallScope, tally, totals } from './report.ts'
import { overtaken, randomSchedule, shrink, type RandomSchedule } from './schedule.ts'
import { shapes } from './shapes.ts'

const schedules = Number(process.env['SIM_SCHEDULES'] ?? 300)
const seeds = ['20261121', '7']
Error.stackTraceLimit = 4

/** The trace of the smallest failing schedule, or nothing when all hold. */
const firstFailure = async (schedule: Omit<RandomSchedule, 'seed'>, seen = tally()): Promise<string> => {
  for (const seed of seeds) {
    for (let index = 0; index < schedules / seeds.length; index += 1) {
      const outcome = await randomSchedule({ ...schedule, seed: `${seed}.${index}` })
      seen.add(outcome)
      if (outcome.violation === undefined) continue
      const smallest = await shrink({ ...schedule, seed: `${seed}.${index}` }, outcome)
      return [smallest.violation?.message, ...smallest.trace, `npm run sim -- --seed ${seed}.${index} --schedules 1 --shape ${schedule.shape.name}`].join('\n')
    }
  }
  return ''
}

describe.each(shapes)('keys on $name', (shape) => {
  it('are neither lost nor duplicated nor resurrected under random faults', { timeout: 300_000 }, async () => {
    const began = performance.now()
    const seen = tally()

    const failure = await firstFailure({ shape }, seen)

    expect(failure).toBe('')
    console.log(totals(shape, seeds, seen, (performance.now() - began) / 1000))
  })

  it('survive any one fault or pause of one operation beside another', { timeout: 300_000 }, async () => {
    const outcomes = await smallScope(shape, schedules >= 2000 ? 1 : 7)

    expect(outcomes.map(({ violation, trace }) => violation === undefined ? '' : [violation.message, ...trace].join('\n')).filter((text) => text !== '')).toEqual([])
    expect(outcomes.length).toBeGreaterThan(100)
  })
})

describe.each(shapes)('a rotation on $name', (shape) => {
  it('leaves the key alone that was created under its alias while it stood still', async () => {
    const outcomes = await Promise.all(Array.from({ length: 16 }, (_, pause) => overtaken(shape, pause + 1)))

    expect(outcomes.map(({ violation }) => violation?.message).filter((message) => message !== undefined)).toEqual([])
  })
})

describe('a schedule', () => {
  it('runs the same way for the same seed', async () => {
    const [shape] = shapes
    const runs = shape === undefined ? [] : await Promise.all([1, 2].map(() => randomSchedule({ shape, seed: 'same' })))

    expect(runs[0]?.trace).toEqual(runs[1]?.trace)
    expect(runs[0]?.trace.length).toBeGreaterThan(10)
  })
})
