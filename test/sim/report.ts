// What a run of the simulator says of itself: one line a shape, and how often each step boundary met each fault.
import type { Verb } from '../../shared/core/keys/operation-text.ts'
import { smallSchedule, type Outcome } from './schedule.ts'
import type { Shape } from './shapes.ts'
import { faults } from './world.ts'

export interface Tally {
  schedules: number
  operations: number
  ended: number
  lost: number
  duplicated: number
  resurrected: number
  other: number
  mostCalls: number
  readonly hits: Map<string, number>
  add(outcome: Outcome): void
}

export const tally = (): Tally => {
  const seen: Tally = {
    schedules: 0,
    operations: 0,
    ended: 0,
    lost: 0,
    duplicated: 0,
    resurrected: 0,
    other: 0,
    mostCalls: 0,
    hits: new Map(),
    add: ({ violation, operations, ended, hits, mostCalls }) => {
      seen.schedules += 1
      seen.operations += operations
      seen.ended += ended
      seen.mostCalls = Math.max(seen.mostCalls, mostCalls)
      for (const [boundary, count] of hits) seen.hits.set(boundary, (seen.hits.get(boundary) ?? 0) + count)
      if (violation === undefined) return
      if (violation.invariant === 'I1 key lost') seen.lost += 1
      else if (violation.invariant === 'I3 key duplicated') seen.duplicated += 1
      else if (violation.invariant === 'I6 key resurrected') seen.resurrected += 1
      else seen.other += 1
    },
  }
  return seen
}

/** `sim  staged  atomic  schedules 4000, seeds 1 2, 12.3 s, keys lost/duplicated/resurrected 0/0/0, …` */
export const totals = (shape: Shape, seeds: readonly string[], seen: Tally, seconds: number): string => {
  const fewest = Math.min(...seen.hits.values())
  return `sim  ${shape.name.padEnd(15)} ${shape.guarantee.padEnd(11)} schedules ${seen.schedules}, seeds ${seeds.join(' ')}, ${seconds.toFixed(1)} s, keys lost/duplicated/resurrected ${seen.lost}/${seen.duplicated}/${seen.resurrected}, other ${seen.other}, operations ended ${((100 * seen.ended) / seen.operations).toFixed(1)} %, step boundaries × faults ${seen.hits.size} (each hit ${fewest} times or more), most calls ${seen.mostCalls}`
}

const verbs: readonly Verb[] = ['create', 'rotate', 'delete']

/** Two operations and one fault, all of them: every pair, every start, every fault (or pause) at every call of the first. `every`: only each n-th. */
export const smallScope = async (shape: Shape, every = 1): Promise<readonly Outcome[]> => {
  const outcomes: Outcome[] = []
  let number = 0
  for (const start of ['absent', 'live', 'deleted'] as const) {
    for (const first of verbs) {
      for (const second of verbs) {
        for (const fault of [...faults, 'paused'] as const) {
          for (let at = 0; ; at += 1) {
            number += 1
            const outcome = number % every === 0 || at === 0 ? await smallSchedule({ shape, start, first, second, at, fault, graceMs: 600_000 }) : undefined
            if (outcome !== undefined) outcomes.push(outcome)
            else if (number % every === 0 || at === 0 || at > 60) break
          }
        }
      }
    }
  }
  return outcomes
}
