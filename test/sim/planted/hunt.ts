// Looks for a planted bug: first where its kind shows, then at random, in a bounded number of schedules.
import type { Invariant } from '../judges/oracle.ts'
import { overtaken, randomSchedule } from '../schedule.ts'
import { shapes } from '../shapes.ts'
import type { Bug } from '../simulation.ts'

const most = 1_000

/** The first of its invariants that it was seen to break; `undefined` when it was not. */
export const hunt = async (bug: Bug, name: string, seen: { schedules: number } = { schedules: 0 }): Promise<Invariant | undefined> => {
  const shape = shapes.find((each) => each.name === name)
  if (shape === undefined) return undefined
  const broken = (invariant: Invariant | undefined): invariant is Invariant => invariant !== undefined && bug.expected.includes(invariant)
  for (let pause = 1; pause < 9; pause += 1) {
    const { violation } = await overtaken(shape, pause, bug.gateway !== undefined, bug)
    seen.schedules += 1
    if (broken(violation?.invariant)) return violation?.invariant
  }
  for (let index = 0; index < most; index += 1) {
    const { violation } = await randomSchedule({ shape, seed: `bug${index}`, bug })
    seen.schedules += 1
    if (broken(violation?.invariant)) return violation?.invariant
  }
  return undefined
}
