// The key engine under the simulator: random schedules from two seeds, the small scope, and the bugs that it must catch.
import { describe, expect, it } from 'vitest'
import { bugs, bugsElsewhere } from './bugs.ts'
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

describe('the simulator catches', () => {
  it.each(bugs.flatMap((bug) => bug.shapes.map((name) => ({ bug, name, title: `${bug.id} on ${name}: ${bug.says}` }))))('$title', { timeout: 120_000 }, async ({ bug, name }) => {
    const found: string[] = []
    for (const shape of shapes.filter((each) => each.name === name)) {
      for (let pause = 1; pause < 9; pause += 1) {
        const { violation } = await overtaken(shape, pause, bug)
        if (violation !== undefined && bug.expected.includes(violation.invariant)) found.push(violation.invariant)
      }
      for (let index = 0; index < 600 && found.length === 0; index += 1) {
        const { violation } = await randomSchedule({ shape, seed: `bug${index}`, bug })
        if (violation !== undefined && bug.expected.includes(violation.invariant)) found.push(violation.invariant)
      }
    }

    expect(found).not.toEqual([])
  })

  it('or names the reason, for every bug of operations 8', () => {
    const known = new Set([...bugs.map(({ id }) => id), ...Object.keys(bugsElsewhere)])

    expect(Array.from({ length: 22 }, (_, index) => `B-${String(index + 1).padStart(2, '0')}`).filter((id) => !known.has(id))).toEqual([])
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
