// What a world is, as text: the store, the gateway, the clock, what every sending was answered, who is on the way with what it has seen, and all that the judges go by.
// Where two worlds are the same text and nothing but the same calm requests follow, the same follows: code, random numbers and times come from nothing else.
import { hash } from 'node:crypto'
import type { LatchkeyError } from '../../../shared/core/errors.ts'
import type { KeyAnswer, ReconcileReport } from '../../../shared/core/virtual-key.ts'
import type { Attempt, Simulation } from '../simulation.ts'

/** No call waits, none is on the way, and nobody is about to make one. */
const isQuiet = ({ world }: Simulation): boolean => world.waiting.length + world.held.length + world.late.length === 0 && !world.busy()

const answerOf = ({ answer, error }: Attempt): unknown => {
  if (answer !== undefined) return [answer, answer.key?.reveal()]
  return error === undefined ? [] : [error.code, error.message, error.details]
}

/** Who goes on from here, and with what: a process is what it has been answered so far, in that order, and a call on the way is that of a process. */
const underWay = ({ world }: Simulation): unknown => {
  const since = (at: number): number => world.clock.now() - at
  return [
    world.waiting.map(({ process, step, since: at, renewed }) => [process.label, process.calls, process.seen, step, since(at), renewed]),
    world.held.map(({ process, ms }) => [process.label, process.calls, process.seen, process.made, ms]),
    world.late.map(({ step, call, since: at, after }) => [step, call, since(at), after === undefined ? undefined : after - world.changes]),
  ]
}

/**
 * The state of a world as a number of 120 bits in text; `undefined` where a service cannot tell all that it holds, or where somebody is on the way and nobody notes what
 * processes are answered. Steps of the world count by their order only, because nobody does anything else with them than to compare two. What a lagging list would
 * leave out is not in it: it is for what goes on without faults. What a sweep reported is not either: it is judged where it is made.
 */
export const settled = (simulation: Simulation): string | undefined => {
  const { world, setting, attempts, oracle, judge, claims, gateway, names, firstToken } = simulation
  const content = simulation.content()
  if (content === undefined || setting.bug !== undefined || claims.failure !== undefined) return undefined
  if (world.busy() || (!world.counts && !isQuiet(simulation))) return undefined
  const steps: number[] = []
  const order = (step = -1): void => void steps.push(step)
  const sendings = attempts.map((attempt) => {
    order(attempt.startStep)
    order(attempt.firstStep)
    order(attempt.firstLook)
    const { label, operationIds, started, dead, done, tookMs, faulted, skewMs } = attempt
    return [label, operationIds, started, dead, done, tookMs, faulted, skewMs, answerOf(attempt)]
  })
  const facts = JSON.stringify([content, gateway.facts(), world.facts(), sendings, oracle.facts(order), judge.facts(), claims.facts(), [...names], firstToken?.reveal(), underWay(simulation)])
  order(world.steps)
  const sorted = [...new Set(steps)].toSorted((a, b) => a - b)
  const ranks = new Map(sorted.map((step, rank) => [step, rank]))
  return hash('sha256', `${steps.map((step) => (step < 0 || step === Infinity ? step : ranks.get(step))).join()} ${facts}`, 'base64').slice(0, 20)
}

/** The state as if a process had ended before the call with which it waits: it ends for a moment, and nothing of that stays. */
export const settledWithout = (simulation: Simulation, attempt: Attempt): string | undefined => {
  const { world } = simulation
  const { dead, faulted, firstStep } = attempt
  const waiting = [...world.waiting]
  world.steps += 1
  Object.assign(attempt, { dead: true, faulted: true, firstStep: firstStep ?? world.steps })
  world.waiting.splice(0, Infinity, ...waiting.filter(({ process }) => process !== attempt))
  const state = settled(simulation)
  world.waiting.splice(0, Infinity, ...waiting)
  Object.assign(attempt, { dead, faulted, firstStep })
  world.steps -= 1
  return state
}

/** What a request that changed nothing was told, and when, in steps after its start. */
export interface Quiet {
  readonly outcome: { readonly answer: KeyAnswer } | { readonly report: ReconcileReport } | { readonly error: LatchkeyError }
  readonly steps: number
  readonly firstStep: number | undefined
  readonly firstLook: number | undefined
}

/**
 * Requests that met nobody and changed nothing, not even by a call that was refused: for the same sending over the same store, gateway and clock, the code would say the
 * same again. Only what it was told is kept; what is judged of it is judged each time.
 */
export class QuietRequests {
  readonly #told = new Map<string, Quiet>()
  /** How many were answered from here. */
  known = 0

  /** The request over its world, if nobody else is on the way; the sending decides its random numbers and its operation. */
  static question(simulation: Simulation, { label, operationId, wish, skewMs }: Attempt): string | undefined {
    const { world, setting, gateway } = simulation
    const content = simulation.content()
    if (content === undefined || setting.bug !== undefined || wish.by !== undefined || !isQuiet(simulation)) return undefined
    return hash('sha256', JSON.stringify([setting.shape.name, setting.seed, setting.gateway, setting.shortPages, setting.writeOnly, label, operationId, wish, skewMs, content, gateway.facts(), world.facts()]), 'base64').slice(0, 20)
  }

  told(question: string | undefined): Quiet | undefined {
    const told = question === undefined ? undefined : this.#told.get(question)
    if (told !== undefined) this.known += 1
    return told
  }

  remember(question: string, quiet: Quiet): void {
    if (this.#told.size > 20_000) this.#told.clear()
    this.#told.set(question, quiet)
  }
}

/** Worlds from which a run went on to its end without a violation. */
export class Proven {
  readonly #worlds = new Set<string>()
  #passed: string[] = []
  /** How many runs came to such a world. */
  met = 0

  /** Whether a state is one of them; `point`: what is still to come. */
  has(point: string, state: string | undefined): boolean {
    return state !== undefined && this.#worlds.has(`${point} ${state}`)
  }

  /** Whether the world is one of them; `point`: what is still to come. */
  knows(simulation: Simulation, point: string): boolean {
    const state = settled(simulation)
    if (state === undefined) return false
    if (this.has(point, state)) {
      this.met += 1
      return true
    }
    this.#passed.push(`${point} ${state}`)
    return false
  }

  /** The end of one run: what it passed through is proven only if it held. */
  end(held: boolean): void {
    if (held) for (const world of this.#passed) this.#worlds.add(world)
    this.#passed = []
  }
}
