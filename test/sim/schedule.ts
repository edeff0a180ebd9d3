// Schedules: drawn from a seed, or played from a script. A drawn one writes down every decision, so that it can be played again, made smaller by leaving
// decisions out, and kept for ever, whatever the generator draws later.
import { Violation } from './judges/oracle.ts'
import { recover } from './recovery.ts'
import { shapes, type Shape } from './shapes.ts'
import { Simulation, type Bug, type Decision, type Setting } from './simulation.ts'
import { faults, type Fault, type Outsider } from './world/faults.ts'
import type { Proven } from './world/settled.ts'
import { wishVerbs, type Wish, type WishVerb } from './world/verbs.ts'
import { generator, mix } from './world/mix.ts'

/** How an alias stands: with a key whose token before is still in its grace, with a blocked one, with a tombstone, or with a key that LiteLLM stored, among others. */
export type Start = (typeof starts)[number]
export const starts = ['absent', 'live', 'grace', 'blocked', 'deleted', 'stored'] as const

/** One schedule from beginning to end, as it can be kept in a file. */
export interface Script extends Omit<Setting, 'shape' | 'bug'> {
  readonly shape: string
  /** How the alias `a` stands before anything else happens. */
  readonly start: Start
  readonly wishes: readonly Wish[]
  readonly decisions: readonly Decision[]
}

export interface Outcome {
  readonly violation?: Violation
  readonly trace: readonly string[]
  readonly script: Script
  readonly hits: ReadonlyMap<string, number>
  readonly operations: number
  readonly ended: number
  readonly mostCalls: number
}

const before: Readonly<Record<Start, readonly WishVerb[]>> = { absent: [], live: ['create'], grace: ['create', 'rotate'], blocked: ['create', 'block'], deleted: ['create', 'delete'], stored: [] }

/** Brings the alias `a` to where it starts, and says who is going to ask for what. */
export const prepare = async (simulation: Simulation, { start, wishes }: Pick<Script, 'start' | 'wishes'>): Promise<void> => {
  if (start === 'stored') await simulation.stored('a')
  for (const [index, verb] of before[start].entries()) await simulation.alone({ verb, alias: 'a', keyed: false, graceMs: 1_800_000, attempts: 1 }, 99, index + 1)
  for (const [index, wish] of wishes.entries()) for (let number = 0; number < wish.attempts; number += 1) simulation.add(wish, index, number)
}

/** Runs to the end, or to the first violation, whatever decides. */
export const finish = async (simulation: Simulation, script: Script, run: () => Promise<void>, thorough = true, proven?: Proven): Promise<Outcome> => {
  const { wishes } = script
  let violation: Violation | undefined
  try {
    await prepare(simulation, script)
    await run()
    await recover(simulation, wishes, thorough, proven)
  } catch (error) {
    if (!(error instanceof Violation)) throw Object.assign(error as Error, { trace: simulation.world.trace, script })
    violation = error
  }
  const { attempts, world } = simulation
  const ended = wishes.filter((wish) => attempts.some((attempt) => attempt.wish === wish && attempt.done)).length
  const calm = attempts.filter(({ faulted, wish }) => !faulted && wish.verb !== 'reconcile')
  return { ...(violation === undefined ? {} : { violation }), trace: world.trace, script, hits: world.hits, operations: wishes.length, ended, mostCalls: Math.max(0, ...calm.map(({ calls }) => calls)) }
}

const shapeOf = (name: string): Shape => {
  const shape = shapes.find((each) => each.name === name)
  if (shape === undefined) throw new Error(`there is no shape "${name}"`)
  return shape
}

/** Plays a script; a decision that has nothing to be done to it any more is passed over. */
export const play = async (script: Script, bug?: Bug): Promise<Outcome> => {
  const { wishes: _wishes, decisions, start: _start, shape, ...setting } = script
  const simulation = await Simulation.open({ ...setting, shape: shapeOf(shape), ...(bug === undefined ? {} : { bug }) })
  return finish(simulation, script, async () => {
    for (const decision of decisions) await simulation.decide(decision)
  })
}

/** Draws one of a list. */
const one = <T>(draw: () => number, from: readonly T[]): T => from[Math.floor(draw() * from.length)] as T

const common: readonly WishVerb[] = ['create', 'rotate', 'rotate', 'delete']

/** Swarm: each schedule draws which verbs and which faults there are in it at all. */
const wishesOf = (draw: () => number, given: readonly WishVerb[] | undefined): readonly Wish[] => {
  const some = [...common, ...wishVerbs.filter(() => draw() < 0.4)]
  const verbs = given ?? (draw() < 0.4 ? common : some)
  const keys = one(draw, [0.7, 0.7, 0.7, 0, 1])
  return Array.from({ length: 2 + Math.floor(draw() * (draw() < 0.2 ? 7 : 4)) }, (): Wish => {
    const verb = one(draw, verbs)
    const alias = draw() < 0.85 ? 'a' : 'b'
    const keyed = verb === 'event' || (verb !== 'reconcile' && draw() < keys)
    const named = draw()
    return {
      verb,
      alias,
      keyed,
      graceMs: one(draw, [0, 0, 90_000, 1_800_000]),
      attempts: keyed ? 1 + Math.floor(draw() * 3) : 1,
      ...(verb === 'rename' ? { to: alias === 'a' ? 'b' : 'a' } : {}),
      ...(verb === 'create' || verb === 'reconcile' || named < 0.8 ? {} : { by: named < 0.9 ? ('keyId' as const) : ('token' as const) }),
    }
  })
}

/** One schedule in eight has keys that LiteLLM stored, or somebody who asks to take over what is no such key. */
const adopting = (draw: () => number, start: Start, wishes: readonly Wish[]): { readonly start: Start; readonly wishes: readonly Wish[] } => {
  if (draw() >= 0.125) return { start, wishes }
  const more = Array.from({ length: 1 + Math.floor(draw() * 2) }, (): Wish => {
    const keyed = draw() < 0.7
    return { verb: 'adopt', alias: draw() < 0.9 ? 'a' : 'b', keyed, graceMs: 0, attempts: keyed ? 1 + Math.floor(draw() * 3) : 1 }
  })
  return { start: draw() < 0.8 ? 'stored' : start, wishes: [...more, ...wishes] }
}

export interface RandomSchedule {
  readonly shape: Shape
  readonly seed: string
  readonly bug?: Bug
  /** Whether no instance may read a value; then there is no gateway, because nobody could tell it of a token that another instance drew. */
  readonly writeOnly?: boolean
  /** Whether one in eight has adoptions. Default: none has. */
  readonly adopts?: boolean
}

/** One random schedule. */
export const randomSchedule = async ({ shape, seed, bug, writeOnly = false, adopts = false }: RandomSchedule): Promise<Outcome> => {
  const draw = generator(mix(`${seed} ${shape.name}`))
  const drawnStart = one(draw, ['absent', 'absent', 'live', 'live', 'live', 'live', 'grace', 'deleted'] as const)
  const gateway = draw() < 0.7 && !writeOnly
  const skewed = draw() < 0.3
  const shortPages = draw() < 0.2
  const drawnWishes = wishesOf(draw, bug?.verbs)
  const { start, wishes } = adopts && !writeOnly ? adopting(generator(mix(`adopt ${seed} ${shape.name}`)), drawnStart, drawnWishes) : { start: drawnStart, wishes: drawnWishes }
  const rate = one(draw, bug?.faults === undefined ? [0, 0.02, 0.05, 0.1] : [0.1, 0.2])
  const swarm = draw() < 0.3 ? faults : faults.filter(() => draw() < 0.4)
  const kinds = bug?.faults ?? swarm
  const outsiders = draw() < 0.15 ? (Object.keys(shape.outsiders) as Outsider[]) : []
  const instances = 2 + Math.floor(draw() * 3)
  const setting: Setting = { shape, seed, gateway, skewed, shortPages, writeOnly, ...(bug === undefined ? {} : { bug }) }
  const simulation = await Simulation.open(setting)
  const { world } = simulation
  const decisions: Decision[] = []
  const script: Script = { shape: shape.name, seed, gateway, skewed, shortPages, writeOnly, start, wishes, decisions }
  const decide = async (decision: Decision): Promise<void> => {
    decisions.push(decision)
    await simulation.decide(decision)
  }
  const faultAt = (): Fault | undefined => (draw() >= rate || kinds.length === 0 ? undefined : one(draw, kinds))
  return finish(simulation, script, async () => {
    const ready = simulation.attempts.filter(({ started }) => !started)
    for (let turn = 0; turn < 1500; turn += 1) {
      const startable = ready.filter(({ started }) => !started)
      const choices = world.waiting.length + (world.waiting.length < instances ? Math.min(startable.length, 2) : 0)
      if (choices + world.held.length === 0 && world.late.length === 0) break
      if (draw() < 0.02) await decide(['pass', draw() < 0.5 ? 61_000 : 5_000])
      else if (draw() < 0.2) await decide(['pass', 1 + Math.floor(draw() * 200)])
      if (world.late.length > 0 && draw() < 0.08) await decide(['land', Math.floor(draw() * world.late.length)])
      if (world.held.length > 0 && draw() < 0.05) await decide(['release', one(draw, world.held).process.label])
      if (outsiders.length > 0 && draw() < 0.01) await decide(['outsider', one(draw, outsiders), draw() < 0.85 ? 'a' : 'b'])
      if (choices === 0) continue
      const choice = Math.floor(draw() * choices)
      const met = world.waiting[choice]
      const next = startable[choice - world.waiting.length]
      const fault = faultAt()
      if (met !== undefined) await decide(fault === undefined ? ['meet', met.process.label] : ['meet', met.process.label, fault])
      else if (next !== undefined) await decide(['start', next.wishNumber, next.number])
    }
  })
}

/** The same failure with as few decisions as can be: first without faults, then in halves, quarters and so on down to single ones. */
export const shrink = async (found: Outcome, bug?: Bug): Promise<Outcome> => {
  let best = found
  const attempt = async (decisions: readonly Decision[]): Promise<boolean> => {
    const outcome = await play({ ...best.script, decisions }, bug).catch(() => undefined)
    if (outcome?.violation === undefined || outcome.violation.invariant !== found.violation?.invariant) return false
    best = outcome
    return true
  }
  for (let index = 0; index < best.script.decisions.length; index += 1) {
    const at = best.script.decisions[index]
    if (at?.[0] === 'meet' && at[2] !== undefined) await attempt(best.script.decisions.map((decision, each) => (each === index ? ['meet', at[1]] : decision)))
  }
  for (let size = Math.ceil(best.script.decisions.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = best.script.decisions.length - size; from >= 0; from -= size) await attempt(best.script.decisions.filter((_, index) => index < from || index >= from + size))
  }
  return best
}

/** A rotation stands still after `pause` calls while its key is deleted and its alias created anew; then it goes on (B-16). */
export const overtaken = async (shape: Shape, pause: number, gateway: boolean, bug?: Bug): Promise<Outcome> => {
  const wish = (verb: Wish['verb'], keyed = false): Wish => ({ verb, alias: 'a', keyed, graceMs: 0, attempts: 1 })
  const wishes = [wish('rotate', true), wish('delete'), wish('create')]
  const simulation = await Simulation.open({ shape, seed: 'overtaken', gateway, ...(bug === undefined ? {} : { bug }) })
  const { world } = simulation
  const script: Script = { shape: shape.name, seed: 'overtaken', gateway, start: 'live', wishes, decisions: [] }
  return finish(simulation, script, async () => {
    const [rotate, remove, create] = wishes.map((each) => simulation.attempts.find((attempt) => attempt.wish === each))
    if (rotate === undefined || remove === undefined || create === undefined) return
    await simulation.start(rotate)
    for (let call = 0; call < pause && world.waiting.length > 0; call += 1) {
      await world.meet(0)
      await world.settle()
    }
    for (const other of [remove, create]) {
      await simulation.start(other)
      await simulation.only(other)
    }
    await simulation.calm()
  })
}
