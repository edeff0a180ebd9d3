// What a run of the simulator says of itself: one line a shape and one a class of guarantee, and how often each step boundary met each fault.
import type { Invariant } from './judges/oracle.ts'
import type { Outcome } from './schedule.ts'
import type { Shape } from './shapes.ts'

/** Plain data, so that a worker can hand it over. */
export interface Tally {
  schedules: number
  operations: number
  ended: number
  mostCalls: number
  seconds: number
  readonly violations: Partial<Record<Invariant, number>>
  readonly hits: Record<string, number>
}

export const tally = (): Tally => ({ schedules: 0, operations: 0, ended: 0, mostCalls: 0, seconds: 0, violations: {}, hits: {} })

export const count = (seen: Tally, { violation, operations, ended, hits, mostCalls }: Outcome): void => {
  seen.schedules += 1
  seen.operations += operations
  seen.ended += ended
  seen.mostCalls = Math.max(seen.mostCalls, mostCalls)
  for (const [boundary, times] of hits) seen.hits[boundary] = (seen.hits[boundary] ?? 0) + times
  if (violation !== undefined) seen.violations[violation.invariant] = (seen.violations[violation.invariant] ?? 0) + 1
}

/** Several tallies as one; the seconds are those of all of them. */
export const together = (tallies: readonly Tally[]): Tally => {
  const sum = tally()
  for (const each of tallies) {
    sum.schedules += each.schedules
    sum.operations += each.operations
    sum.ended += each.ended
    sum.mostCalls = Math.max(sum.mostCalls, each.mostCalls)
    sum.seconds += each.seconds
    for (const [boundary, times] of Object.entries(each.hits)) sum.hits[boundary] = (sum.hits[boundary] ?? 0) + times
    for (const [invariant, times] of Object.entries(each.violations) as [Invariant, number][]) sum.violations[invariant] = (sum.violations[invariant] ?? 0) + times
  }
  return sum
}

const details = (seen: Tally): string => {
  const { 'I1 key lost': lost = 0, 'I3 key duplicated': duplicated = 0, 'I6 key resurrected': resurrected = 0, ...others } = seen.violations
  const rest = Object.entries(others).map(([invariant, times]) => `${invariant} ${times}`)
  const boundaries = Object.keys(seen.hits)
  const kinds = new Set(boundaries.map((boundary) => boundary.split(' × ')[1]))
  return `${seen.seconds.toFixed(1)} s, keys lost/duplicated/resurrected ${lost}/${duplicated}/${resurrected}, other violations ${rest.length === 0 ? 'none' : rest.join(', ')}, operations ended ${((100 * seen.ended) / Math.max(1, seen.operations)).toFixed(1)} %, step boundaries × faults ${boundaries.length} (${kinds.size} kinds, each hit ${Math.min(...Object.values(seen.hits))} times or more), most calls ${seen.mostCalls}`
}

/** `sim  staged  atomic  schedules 4000, seeds 1 2, 12.3 s, keys lost/duplicated/resurrected 0/0/0, …` */
export const totals = (shape: Pick<Shape, 'name' | 'guarantee'>, seeds: readonly string[], seen: Tally): string => `sim  ${shape.name.padEnd(15)} ${shape.guarantee.padEnd(11)} schedules ${seen.schedules}, seeds ${seeds.join(' ')}, ${details(seen)}`

/** `sim  class atomic  …`: the shapes of one guarantee together. */
export const classTotals = (guarantee: Shape['guarantee'], seen: Tally): string => `sim  class ${guarantee.padEnd(21)} schedules ${seen.schedules}, ${details(seen)}`
