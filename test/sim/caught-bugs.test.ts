// The bugs of the naive protocols: each is put into the engine or the store, and must be found by its own invariant.
import { describe, expect, it } from 'vitest'
import { bugs, bugsElsewhere } from './bugs.ts'
import { overtaken, randomSchedule } from './schedule.ts'
import { shapes } from './shapes.ts'

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
