// The bugs of the naive protocols, and mutants of the engine: each is put in around a port, and must be found by its own invariant.
import { describe, expect, it } from 'vitest'
import { bugs, bugsElsewhere } from './planted/bugs.ts'
import { hunt } from './planted/hunt.ts'
import { mutants } from './planted/mutants.ts'

const planted = [...bugs, ...mutants]

describe('the simulator catches', () => {
  it.each(planted.flatMap((bug) => bug.shapes.map((name) => ({ bug, name, title: `${bug.id} on ${name}: ${bug.says}` }))))('$title', { timeout: 120_000 }, async ({ bug, name }) => {
    const found = await hunt(bug, name)

    expect(bug.expected).toContain(found)
  })

  it('or names the reason, for every bug of operations 8', () => {
    const known = new Set([...bugs.map(({ id }) => id), ...Object.keys(bugsElsewhere)])

    expect(Array.from({ length: 22 }, (_, index) => `B-${String(index + 1).padStart(2, '0')}`).filter((id) => !known.has(id))).toEqual([])
  })

  it('at least ten mutants beside them', () => {
    expect(new Set(mutants.map(({ id }) => id)).size).toBeGreaterThanOrEqual(10)
  })
})
