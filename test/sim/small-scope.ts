// The small scope, all of it: every ordered pair of verbs from every start, with one fault at every call of the first and one crash at every call of the
// second. What was reached is counted as states of the world; where a crash leaves a state behind that was there before, the rest is not run again.
import { canStrike, faults, tellsApart, type Fault } from './world/faults.ts'
import { finish, starts, type Outcome, type Script, type Start } from './schedule.ts'
import type { Shape } from './shapes.ts'
import { Simulation, type Bug, type Decision } from './simulation.ts'
import { Proven, QuietRequests } from './world/settled.ts'
import { wishVerbs, type Wish, type WishVerb } from './world/verbs.ts'
import type { WireStep } from '../shapes/service.ts'

/** The eight verbs of the search; an unblock is the same code as a block. */
export const pairVerbs: readonly WishVerb[] = wishVerbs.filter((verb) => verb !== 'unblock')

/** From a key that LiteLLM stored, an adoption as well; elsewhere it finds nothing to do, or a key already. */
export const verbsFrom = (start: Start): readonly WishVerb[] => (start === 'stored' ? [...pairVerbs, 'adopt'] : pairVerbs)

export interface Explored {
  schedules: number
  /** Those that led before the second operation to a world that was there before, and were not counted. */
  pruned: number
  /** Schedules that came to such a world in their recovery: the rest of it is that of the other one. */
  met: number
  pairs: number
  /** Operations that came to an end. */
  ended: number
  readonly states: Set<number>
  readonly failed: Outcome[]
  readonly quiet: QuietRequests
}

export const explored = (): Explored => ({ schedules: 0, pruned: 0, met: 0, pairs: 0, ended: 0, states: new Set(), failed: [], quiet: new QuietRequests() })

const wishFor = (verb: WishVerb): Wish => ({ verb, alias: 'a', keyed: verb !== 'reconcile', graceMs: verb === 'rotate' ? 600_000 : 0, attempts: 1, ...(verb === 'rename' ? { to: 'b' } : {}) })

interface Case {
  readonly shape: Shape
  readonly start: Start
  readonly first: WishVerb
  readonly second: WishVerb
  readonly decisions: readonly Decision[]
  readonly bug?: Bug
}

const seed = 'small'

/** Runs one case. `point`: the decision after which it stops where the world is proven. `undefined`: a call that it names is not there, or it stopped. */
const run = async ({ shape, start, first, second, decisions, bug }: Case, all: Explored, proven: Proven, point = -1): Promise<{ readonly outcome?: Outcome; readonly met: readonly { readonly label: string; readonly step: WireStep }[] }> => {
  const wishes = [wishFor(first), wishFor(second)]
  const script: Script = { shape: shape.name, seed, gateway: true, start, wishes, decisions }
  const simulation = await Simulation.open({ shape, seed, gateway: true, ...(bug === undefined ? {} : { bug }) })
  simulation.world.counts = true
  simulation.counted = all.states
  simulation.quiet = all.quiet
  const stop = new Error('stop')
  const before = proven.met
  const outcome = await finish(
    simulation,
    script,
    async () => {
      for (const [index, decision] of decisions.entries()) {
        if (!(await simulation.decide(decision))) throw stop
        if (index !== point || !proven.knows(simulation, 'second')) continue
        all.pruned += 1
        throw stop
      }
    },
    false,
    proven,
  ).catch((error: unknown) => {
    if (error !== stop) throw error
    return undefined
  })
  proven.end(outcome !== undefined && outcome.violation === undefined)
  if (outcome === undefined) return { met: simulation.world.met }
  all.schedules += 1
  all.ended += outcome.ended
  all.met += proven.met - before
  if (outcome.violation !== undefined) all.failed.push(outcome)
  return { outcome, met: simulation.world.met }
}

const isCrash = (fault: Fault): boolean => fault.startsWith('crash')

/** How much of a pair: each n-th case of one fault, and beside those each n-th crash of the second operation (0: none). `offset`: from where they are counted. */
export interface Scope {
  readonly every: number
  readonly crashes: number
  readonly offset?: number
}

/** One ordered pair from one start: first in peace, then with a fault, or none, at each call of the first, and with a crash beside it at each call of the second. */
export const explorePair = async (given: Omit<Case, 'decisions'>, all: Explored, { every, crashes, offset = 0 }: Scope): Promise<void> => {
  const { first, second } = given
  const labels = [`${first} a #0.0`, `${second} a #1.0`] as const
  const begin: Decision = ['start', 0, 0]
  const proven = new Proven()
  const calm = await run({ ...given, decisions: [begin, ['run', labels[0]], ['start', 1, 0], ['run', labels[1]]] }, all, proven)
  const steps = calm.met.filter(({ label }) => label === labels[0]).map(({ step }) => step)
  let [number, crash] = [offset, offset]
  all.pairs += 1
  const take = async (prefix: readonly Decision[], dead: boolean): Promise<void> => {
    number += 1
    if (number % every !== 0) return
    const beside = [...prefix, ['start', 1, 0]] as const
    const { outcome, met } = await run({ ...given, decisions: [...beside, ['run', labels[1]]] }, all, proven, dead ? prefix.length - 1 : -1)
    if (outcome === undefined || crashes === 0) return
    for (let at = 0; at < met.filter(({ label }) => label === labels[1]).length; at += 1) {
      crash += 1
      if (crash % crashes === 0) await run({ ...given, decisions: [...beside, ...Array.from({ length: at }, (): Decision => ['meet', labels[1]]), ['meet', labels[1], 'crash before']] }, all, proven)
    }
  }
  for (const [at, step] of steps.entries()) {
    const reach: readonly Decision[] = [begin, ...Array.from({ length: at }, (): Decision => ['meet', labels[0]])]
    // It stands still before this call while the other one runs.
    await take(reach, false)
    for (const fault of faults) if (canStrike(fault, step) && tellsApart(fault, step)) await take([...reach, ['meet', labels[0], fault]], isCrash(fault))
  }
}

/** Every pair from every start on one shape. */
export const explore = async (shape: Shape, how: Omit<Scope, 'offset'>, all = explored()): Promise<Explored> => {
  let offset = 0
  for (const start of starts) {
    for (const first of verbsFrom(start)) {
      for (const second of verbsFrom(start)) {
        offset += 1
        await explorePair({ shape, start, first, second }, all, { ...how, offset })
      }
    }
  }
  return all
}

/** What the line of one shape says. */
export interface ExploredTotals {
  readonly pairs: number
  readonly schedules: number
  readonly pruned: number
  readonly met: number
  /** Requests of recoveries that change nothing and were not run again, because the same world was told the same before. */
  readonly known: number
  readonly states: { readonly size: number }
  readonly violations: number
}

/** `exhaustive  staged  pairs × starts 320, schedules 12345, states 234567, …` */
export const exploredTotals = (shape: Pick<Shape, 'name'>, { pairs, schedules, pruned, met, known, states, violations }: ExploredTotals, seconds: number): string =>
  `exhaustive  ${shape.name.padEnd(15)} pairs × starts ${pairs}, schedules ${schedules} (of which ${met} came in their recovery to a world that was proven; ${pruned} more did before the second operation; ${known} requests that change nothing were known), states ${states.size}, violations ${violations}, ${seconds.toFixed(1)} s`
