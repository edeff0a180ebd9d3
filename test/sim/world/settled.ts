// What a world is, as text, once nobody is on the way: the store, the gateway, the clock, what every sending was answered, and all that the judges go by.
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

/**
 * The state of a world in which no call waits and none is on the way, as a number of 120 bits in text; `undefined` where something is, or where a service cannot tell
 * all that it holds. Steps of the world count by their order only, because nobody does anything else with them than to compare two. What a lagging list would
 * leave out is not in it: it is for what goes on without faults. What a sweep reported is not either: it is judged where it is made.
 */
export const settled = (simulation: Simulation): string | undefined => {
  const { world, setting, attempts, oracle, judge, claims, gateway, names, firstToken } = simulation
  const content = simulation.content()
  if (content === undefined || setting.bug !== undefined || claims.failure !== undefined) return undefined
  if (!isQuiet(simulation)) return undefined
  const steps: number[] = []
  const order = (step = -1): void => void steps.push(step)
  const sendings = attempts.map((attempt) => {
    order(attempt.startStep)
    order(attempt.firstStep)
    order(attempt.firstLook)
    const { label, operationIds, started, dead, done, tookMs, faulted, skewMs } = attempt
    return [label, operationIds, started, dead, done, tookMs, faulted, skewMs, answerOf(attempt)]
  })
  const facts = JSON.stringify([content, gateway.facts(), world.facts(), sendings, oracle.facts(order), judge.facts(), claims.facts(), [...names], firstToken?.reveal()])
  order(world.steps)
  const sorted = [...new Set(steps)].toSorted((a, b) => a - b)
  const ranks = new Map(sorted.map((step, rank) => [step, rank]))
  return hash('sha256', `${steps.map((step) => (step < 0 || step === Infinity ? step : ranks.get(step))).join()} ${facts}`, 'base64').slice(0, 20)
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

  /** Whether the world is one of them; `point`: what is still to come. */
  knows(simulation: Simulation, point: string): boolean {
    const state = settled(simulation)
    if (state === undefined) return false
    const world = `${point} ${state}`
    if (this.#worlds.has(world)) {
      this.met += 1
      return true
    }
    this.#passed.push(world)
    return false
  }

  /** The end of one run: what it passed through is proven only if it held. */
  end(held: boolean): void {
    if (held) for (const world of this.#passed) this.#worlds.add(world)
    this.#passed = []
  }
}
