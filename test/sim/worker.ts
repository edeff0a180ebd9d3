// One worker of the long run: takes a part of the small scope or a row of random schedules, and hands back counts, states and what failed.
import { parentPort } from 'node:worker_threads'
import { eventScenario, type EventOutcome } from './events/scenarios.ts'
import { hosts } from './events/event-world.ts'
import { count, tally, type Tally } from './report.ts'
import { randomSchedule, shrink, type Outcome, type Script, type Start } from './schedule.ts'
import { explored, explorePair, verbsFrom } from './small-scope.ts'
import { shapes } from './shapes.ts'
import type { WishVerb } from './world/verbs.ts'

/** What a worker is given: all pairs of one first verb from one start, or `count` random schedules, or as many scenarios of events. */
export type Task =
  | { readonly kind: 'explore'; readonly shape: string; readonly start: Start; readonly first: WishVerb; readonly every: number; readonly crashes: number }
  | { readonly kind: 'random' | 'events'; readonly shape: string; readonly seed: string; readonly from: number; readonly count: number }

/** What it hands back. */
export interface Done {
  readonly task: Task
  readonly tally: Tally
  readonly pairs: number
  readonly pruned: number
  readonly met: number
  readonly known: number
  readonly states: Float64Array
  /** What it took of this worker's processor. */
  readonly cpuSeconds: number
  /** The first few, made small. */
  readonly failed: readonly { readonly message: string; readonly trace: readonly string[]; readonly script: Script | { readonly shape: string; readonly seed: string } }[]
}

/** Of each task, so many failures are made small and shown. */
const shown = 2

/** Scenarios of events. */
const bring = async (task: Extract<Task, { kind: 'random' | 'events' }>): Promise<Done> => {
  const host = hosts.find(({ name }) => name === task.shape)
  if (host === undefined) throw new Error(`there is no host "${task.shape}"`)
  const [seen, began, cpuBefore] = [tally(), performance.now(), process.threadCpuUsage()]
  const failed: EventOutcome[] = []
  for (let index = 0; index < task.count; index += 1) {
    const outcome = await eventScenario(host, `${task.seed}.${task.from + index}`)
    seen.schedules += 1
    seen.operations += outcome.deliveries
    seen.ended += outcome.deliveries
    const { violation } = outcome
    if (violation === undefined) continue
    seen.violations[violation.invariant] = (seen.violations[violation.invariant] ?? 0) + 1
    failed.push(outcome)
  }
  seen.seconds = (performance.now() - began) / 1000
  const { user, system } = process.threadCpuUsage(cpuBefore)
  return { task, cpuSeconds: (user + system) / 1e6, tally: seen, pairs: 0, pruned: 0, met: 0, known: 0, states: new Float64Array(), failed: failed.slice(0, shown).map(({ violation, trace, seed }) => ({ message: violation?.message ?? '', trace, script: { shape: host.name, seed } })) }
}

const carryOut = async (task: Task): Promise<Done> => {
  if (task.kind === 'events') return bring(task)
  const shape = shapes.find(({ name }) => name === task.shape)
  if (shape === undefined) throw new Error(`there is no shape "${task.shape}"`)
  const began = performance.now()
  const cpuBefore = process.threadCpuUsage()
  // A stack is costly, and every refusal of a service would have one; what failed is played again with stacks.
  Error.stackTraceLimit = 0
  const seen = tally()
  const failed: Outcome[] = []
  const all = explored()
  if (task.kind === 'explore') {
    for (const [offset, second] of verbsFrom(task.start).entries()) await explorePair({ shape, start: task.start, first: task.first, second }, all, { every: task.every, crashes: task.crashes, offset })
    seen.schedules = all.schedules
    seen.operations = 2 * all.schedules
    seen.ended = all.ended
    failed.push(...all.failed)
  } else {
    for (let index = 0; index < task.count; index += 1) {
      const outcome = await randomSchedule({ shape, seed: `${task.seed}.${task.from + index}`, adopts: true })
      count(seen, outcome)
      if (outcome.violation !== undefined) failed.push(outcome)
    }
  }
  for (const { violation } of task.kind === 'explore' ? failed : []) if (violation !== undefined) seen.violations[violation.invariant] = (seen.violations[violation.invariant] ?? 0) + 1
  Error.stackTraceLimit = 2
  const small = await Promise.all(failed.slice(0, shown).map((outcome) => shrink(outcome)))
  seen.seconds = (performance.now() - began) / 1000
  const { user, system } = process.threadCpuUsage(cpuBefore)
  return { task, cpuSeconds: (user + system) / 1e6, tally: seen, pairs: all.pairs, pruned: all.pruned, met: all.met, known: all.quiet.known, states: Float64Array.from(all.states), failed: small.map(({ violation, trace, script }) => ({ message: violation?.message ?? '', trace, script })) }
}

parentPort?.on('message', (task: Task) => {
  const answer = async (): Promise<void> => {
    try {
      parentPort?.postMessage(await carryOut(task))
    } catch (error) {
      parentPort?.postMessage({ task, error: String((error as Error).stack), script: (error as { script?: Script }).script })
    }
  }
  void answer()
})
