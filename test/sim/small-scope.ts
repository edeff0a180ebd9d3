// The small scope, all of it: every ordered pair of verbs from every start, with one fault at every call of the first and one crash at every call of the
// second. What was reached is counted as states of the world; where a crash leaves a state behind that was there before, the rest is not run again.
import { canStrike, faults, tellsApart, type Fault } from './world/faults.ts'
import { finish, starts, type Outcome, type Script, type Start } from './schedule.ts'
import type { Shape } from './shapes.ts'
import { Simulation, type Bug, type Decision } from './simulation.ts'
import { wishVerbs, type Wish, type WishVerb } from './world/verbs.ts'
import type { WireStep } from '../shapes/service.ts'

/** The eight verbs of the search; an unblock is the same code as a block. */
export const pairVerbs: readonly WishVerb[] = wishVerbs.filter((verb) => verb !== 'unblock')

/** From a key that LiteLLM stored, an adoption as well; elsewhere it finds nothing to do, or a key already. */
export const verbsFrom = (start: Start): readonly WishVerb[] => (start === 'stored' ? [...pairVerbs, 'adopt'] : pairVerbs)

export interface Explored {
  schedules: number
  pruned: number
  pairs: number
  readonly states: Set<number>
  readonly failed: Outcome[]
}

export const explored = (): Explored => ({ schedules: 0, pruned: 0, pairs: 0, states: new Set(), failed: [] })

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

/** Runs one case. `visited`: where it stops because the world was in that state before. `undefined`: a call that it names is not there. */
const run = async ({ shape, start, first, second, decisions, bug }: Case, all: Explored, visited?: (state: number, index: number) => boolean): Promise<{ readonly outcome?: Outcome; readonly met: readonly { readonly label: string; readonly step: WireStep }[] }> => {
  const wishes = [wishFor(first), wishFor(second)]
  const script: Script = { shape: shape.name, seed, gateway: true, start, wishes, decisions }
  const simulation = await Simulation.open({ shape, seed, gateway: true, ...(bug === undefined ? {} : { bug }) })
  simulation.world.counts = true
  simulation.counted = all.states
  let ended: 'missing' | 'visited' | undefined
  const stop = new Error('stop')
  const outcome = await finish(
    simulation,
    script,
    async () => {
      for (const [index, decision] of decisions.entries()) {
        if (!(await simulation.decide(decision))) ended = 'missing'
        else if (visited?.(simulation.state(), index) === true) ended = 'visited'
        if (ended !== undefined) throw stop
      }
    },
    false,
  ).catch((error: unknown) => {
    if (error !== stop) throw error
    return undefined
  })
  if (ended === 'visited') all.pruned += 1
  return { ...(outcome === undefined ? {} : { outcome }), met: simulation.world.met }
}

const isCrash = (fault: Fault): boolean => fault.startsWith('crash')

/**
 * One ordered pair from one start. `every`: only each n-th case of it, for a quick look. `crashes`: whether the second crashes as well, at each of its calls.
 */
export const explorePair = async (given: Omit<Case, 'decisions'>, all: Explored, how: { readonly every: number; readonly crashes: boolean; readonly offset?: number }): Promise<void> => {
  const { first, second } = given
  const labels = [`${first} a #0.0`, `${second} a #1.0`] as const
  const begin: Decision = ['start', 0, 0]
  const calm = await run({ ...given, decisions: [begin, ['run', labels[0]], ['start', 1, 0], ['run', labels[1]]] }, all)
  const steps = calm.met.filter(({ label }) => label === labels[0]).map(({ step }) => step)
  const crashed = new Set<number>()
  let number = how.offset ?? 0
  all.pairs += 1
  const take = async (prefix: readonly Decision[], crash: boolean): Promise<void> => {
    for (let at = -1; ; at += 1) {
      const rest: readonly Decision[] = at < 0 ? [['run', labels[1]]] : [...Array.from({ length: at }, (): Decision => ['meet', labels[1]]), ['meet', labels[1], 'crash before']]
      number += 1
      if (number % how.every === 0) {
        const { outcome } = await run({ ...given, decisions: [...prefix, ['start', 1, 0], ...rest] }, all, crash && at < 0 ? (state, index) => index === prefix.length - 1 && (crashed.has(state) || !crashed.add(state)) : undefined)
        if (outcome === undefined) return
        all.schedules += 1
        if (outcome.violation !== undefined) all.failed.push(outcome)
      } else if (at > 40) return
      if (!how.crashes) return
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
export const explore = async (shape: Shape, how: { readonly every: number; readonly crashes: boolean }, all = explored()): Promise<Explored> => {
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
  readonly states: { readonly size: number }
  readonly violations: number
}

/** `exhaustive  staged  pairs × starts 320, schedules 12345, states 234567, …` */
export const exploredTotals = (shape: Pick<Shape, 'name'>, { pairs, schedules, pruned, states, violations }: ExploredTotals, seconds: number): string =>
  `exhaustive  ${shape.name.padEnd(15)} pairs × starts ${pairs}, schedules ${schedules} (${pruned} more led to where others had been), states ${states.size}, violations ${violations}, ${seconds.toFixed(1)} s`
