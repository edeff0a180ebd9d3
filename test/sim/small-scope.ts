// The small scope, all of it: every ordered pair of verbs from every start, with one fault at every call of the first and one crash at every call of the
// second. What was reached is counted as states of the world; where a crash leaves a state behind that was there before, the rest is not run again.
import { canStrike, faults, tellsApart } from './world/faults.ts'
import { finish, starts, type Outcome, type Script, type Start } from './schedule.ts'
import type { Shape } from './shapes.ts'
import { Simulation, type Attempt, type Bug, type Decision } from './simulation.ts'
import { Proven, QuietRequests, settledWithout } from './world/settled.ts'
import { wishVerbs, type Wish, type WishVerb } from './world/verbs.ts'
import type { WireStep } from '../shapes/service.ts'

/** The eight verbs of the search; an unblock is the same code as a block. */
export const pairVerbs: readonly WishVerb[] = wishVerbs.filter((verb) => verb !== 'unblock')

/** From a key that LiteLLM stored, an adoption as well; elsewhere it finds nothing to do, or a key already. */
export const verbsFrom = (start: Start): readonly WishVerb[] => (start === 'stored' ? [...pairVerbs, 'adopt'] : pairVerbs)

export interface Explored {
  schedules: number
  /** Those that led before the second operation, or with its crash, to a world that was there before, and were not counted. */
  pruned: number
  /** Schedules that came to such a world in their recovery: the rest of it is that of the other one. */
  met: number
  pairs: number
  /** Operations that came to an end. */
  ended: number
  readonly states: Set<number>
  readonly failed: Outcome[]
  readonly quiet: QuietRequests
  /** Where the rule itself is examined: what is run on from worlds that were there before, and came to a state that was not. Otherwise it is not run on. */
  readonly doubts?: { readonly decisions: readonly Decision[]; readonly states: number }[]
}

export const explored = (doubts?: Explored['doubts']): Explored => ({ ...(doubts === undefined ? {} : { doubts }), schedules: 0, pruned: 0, met: 0, pairs: 0, ended: 0, states: new Set(), failed: [], quiet: new QuietRequests() })

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

/** Where a run stops if the world is proven: after that decision, at a point of that name. */
interface Point {
  readonly at: number
  readonly name: string
}

/** Runs one case. `undefined`: a call that it names is not there, or it stopped at its point. `before`: called before each call of the sending that a decision lets run. */
const run = async ({ shape, start, first, second, decisions, bug }: Case, all: Explored, proven: Proven, point?: Point, before?: (simulation: Simulation, attempt: Attempt) => void): Promise<{ readonly outcome?: Outcome; readonly met: readonly { readonly label: string; readonly step: WireStep }[] }> => {
  const wishes = [wishFor(first), wishFor(second)]
  const script: Script = { shape: shape.name, seed, gateway: true, start, wishes, decisions }
  const simulation = await Simulation.open({ shape, seed, gateway: true, ...(bug === undefined ? {} : { bug }) })
  simulation.world.counts = true
  simulation.counted = all.states
  simulation.quiet = all.quiet
  const stop = new Error('stop')
  const metBefore = proven.met
  let known: number | undefined
  const outcome = await finish(
    simulation,
    script,
    async () => {
      for (const [index, decision] of decisions.entries()) {
        if (!(await simulation.decide(decision, (attempt) => before?.(simulation, attempt)))) throw stop
        if (index !== point?.at || !proven.knows(simulation, point.name)) continue
        all.pruned += 1
        known = all.states.size
        if (all.doubts === undefined) throw stop
      }
    },
    false,
    proven,
  ).catch((error: unknown) => {
    if (error !== stop) throw error
    return undefined
  })
  proven.end(outcome !== undefined && outcome.violation === undefined)
  if (known !== undefined && known !== all.states.size) all.doubts?.push({ decisions, states: all.states.size - known })
  if (outcome === undefined) return { met: simulation.world.met }
  all.schedules += 1
  all.ended += outcome.ended
  all.met += proven.met - metBefore
  if (outcome.violation !== undefined) all.failed.push(outcome)
  return { outcome, met: simulation.world.met }
}

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
  const take = async (prefix: readonly Decision[]): Promise<void> => {
    number += 1
    if (number % every !== 0) return
    const beside = [...prefix, ['start', 1, 0]] as const
    const crashed: (string | undefined)[] = []
    const { outcome } = await run({ ...given, decisions: [...beside, ['run', labels[1]]] }, all, proven, { at: prefix.length - 1, name: 'second' }, (simulation, second) => {
      if (crashes > 0) crashed.push(settledWithout(simulation, second))
    })
    if (outcome === undefined) return
    for (const [at, state] of crashed.entries()) {
      crash += 1
      if (crash % crashes !== 0) continue
      if (proven.has('crash', state)) all.pruned += 1
      else await run({ ...given, decisions: [...beside, ...Array.from({ length: at }, (): Decision => ['meet', labels[1]]), ['meet', labels[1], 'crash before']] }, all, proven, { at: beside.length + at, name: 'crash' })
    }
  }
  for (const [at, step] of steps.entries()) {
    const reach: readonly Decision[] = [begin, ...Array.from({ length: at }, (): Decision => ['meet', labels[0]])]
    // It stands still before this call while the other one runs.
    await take(reach)
    for (const fault of faults) if (canStrike(fault, step) && tellsApart(fault, step)) await take([...reach, ['meet', labels[0], fault]])
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
  `exhaustive  ${shape.name.padEnd(15)} pairs × starts ${pairs}, schedules ${schedules} (of which ${met} came in their recovery to a world that was proven; ${pruned} more did before the second operation, or with its crash; ${known} requests that change nothing were known), states ${states.size}, violations ${violations}, ${seconds.toFixed(1)} s`
