// Schedules: at random from a seed, or one after the other in a small scope. A failing one is made smaller by taking faults and sendings away.
import { createHash } from 'node:crypto'
import { Violation } from './oracle.ts'
import type { Shape } from './shapes.ts'
import { Simulation, type Bug, type Wish } from './simulation.ts'
import { faults, generator, type Fault } from './world.ts'

export interface Outcome {
  readonly violation?: Violation
  readonly trace: readonly string[]
  readonly faultSteps: readonly number[]
  readonly hits: ReadonlyMap<string, number>
  readonly operations: number
  readonly ended: number
  readonly mostCalls: number
}

const seedOf = (...parts: readonly (string | number)[]): number => createHash('sha256').update(parts.join(' ')).digest().readUInt32LE(0)

const wishesOf = (draw: () => number): readonly Wish[] =>
  Array.from({ length: 2 + Math.floor(draw() * 4) }, (): Wish => {
    const verb = (['create', 'rotate', 'rotate', 'delete'] as const)[Math.floor(draw() * 4)] ?? 'create'
    const keyed = draw() < 0.7
    return { verb, alias: draw() < 0.85 ? 'a' : 'b', keyed, graceMs: [0, 0, 90_000, 1_800_000][Math.floor(draw() * 4)] ?? 0, attempts: keyed ? 1 + Math.floor(draw() * 3) : 1 }
  })

export interface RandomSchedule {
  readonly shape: Shape
  readonly seed: string
  readonly bug?: Bug
  /** Faults that do not happen, by step; sendings that are left out, as "wish.number". For shrinking. */
  readonly without?: { readonly faults: ReadonlySet<number>; readonly sendings: ReadonlySet<string> }
}

const finish = async (simulation: Simulation, wishes: readonly Wish[], faultSteps: readonly number[], run: () => Promise<void>): Promise<Outcome> => {
  let violation: Violation | undefined
  try {
    await run()
    await simulation.recover(wishes)
  } catch (error) {
    if (!(error instanceof Violation)) throw Object.assign(error as Error, { trace: simulation.world.trace })
    violation = error
  }
  const { attempts, world } = simulation
  const ended = wishes.filter((wish) => attempts.some((attempt) => attempt.wish === wish && attempt.done)).length
  return { ...(violation === undefined ? {} : { violation }), trace: world.trace, faultSteps, hits: world.hits, operations: wishes.length, ended, mostCalls: Math.max(0, ...attempts.filter(({ faulted }) => !faulted).map(({ calls }) => calls)) }
}

/** One random schedule. */
export const randomSchedule = async ({ shape, seed, bug, without }: RandomSchedule): Promise<Outcome> => {
  const simulation = await Simulation.open(shape, seed, bug)
  const { world } = simulation
  const draw = generator(seedOf(seed, shape.name))
  const live = draw() < 0.75
  const wishes = wishesOf(draw)
  const rate = [0, 0.02, 0.05, 0.1][Math.floor(draw() * 4)] ?? 0
  const sendings = wishes.flatMap((wish, index) => Array.from({ length: wish.attempts }, (_, number) => ({ wish, index, number }))).filter(({ index, number }) => without?.sendings.has(`${index}.${number}`) !== true)
  const faultSteps: number[] = []
  const faultAt = (step: number): Fault | undefined => {
    if (without?.faults.has(step) === true) return undefined
    const chance = generator(seedOf(seed, 'fault', step))
    if (chance() >= rate) return undefined
    faultSteps.push(step)
    return faults[Math.floor(chance() * faults.length)]
  }
  return finish(simulation, wishes, faultSteps, async () => {
    if (live) await simulation.alone({ verb: 'create', alias: 'a', keyed: false, graceMs: 0, attempts: 1 }, 99)
    const ready = sendings.map((sending) => ({ ...sending, attempt: simulation.add(sending.wish, sending.index, sending.number) }))
    for (let turn = 0; turn < 1500; turn += 1) {
      const startable = ready.filter(({ attempt }) => !attempt.started)
      const choices = world.waiting.length + (world.waiting.length < 4 ? Math.min(startable.length, 2) : 0)
      if (choices === 0 && world.late.length === 0) break
      if (draw() < 0.02) await simulation.pass(draw() < 0.5 ? 61_000 : 5000)
      if (world.late.length > 0 && draw() < 0.08) await world.land(Math.floor(draw() * world.late.length))
      if (choices === 0) continue
      const choice = Math.floor(draw() * choices)
      if (choice < world.waiting.length) await world.meet(choice, faultAt(world.steps + 1))
      else {
        const next = startable[choice - world.waiting.length]
        if (next !== undefined) await simulation.start(next.attempt, next.index)
      }
      await world.settle()
      world.clock.advance(Math.floor(draw() * 40))
    }
  })
}

/** The same failure with as few faults and sendings as can be. */
export const shrink = async (schedule: RandomSchedule, found: Outcome): Promise<Outcome> => {
  let best = found
  let without = { faults: new Set<number>(), sendings: new Set<string>() }
  const attempt = async (next: typeof without): Promise<void> => {
    const outcome = await randomSchedule({ ...schedule, without: next })
    if (outcome.violation?.invariant !== found.violation?.invariant || outcome.trace.length > best.trace.length) return
    best = outcome
    without = next
  }
  for (let index = 0; index < 6; index += 1) for (let number = 0; number < 3; number += 1) await attempt({ ...without, sendings: new Set([...without.sendings, `${index}.${number}`]) })
  for (const step of found.faultSteps) await attempt({ ...without, faults: new Set([...without.faults, step]) })
  return best
}

export interface SmallCase {
  readonly shape: Shape
  readonly start: 'absent' | 'live' | 'deleted'
  readonly first: Wish['verb']
  readonly second: Wish['verb']
  /** Which of the first one's calls the fault meets, or `paused`: it waits there until the second has ended. */
  readonly at: number
  readonly fault: Fault | 'paused'
  /** In `paused`: a fault of the second as well. */
  readonly secondAt?: { readonly at: number; readonly fault: Fault }
  readonly graceMs: number
  readonly bug?: Bug
}

/** Two operations and one fault (or one pause and one fault): the first meets it, the second runs, the first is sent again. `undefined`: it has no such call. */
export const smallSchedule = async (small: SmallCase): Promise<Outcome | undefined> => {
  const { shape, start, first, second, at, fault, secondAt, graceMs, bug } = small
  const simulation = await Simulation.open(shape, 'small', bug)
  const { world } = simulation
  const wishes: Wish[] = [{ verb: first, alias: 'a', keyed: true, graceMs, attempts: 2 }, { verb: second, alias: 'a', keyed: true, graceMs, attempts: 2 }]
  let reached = true
  const outcome = await finish(simulation, wishes, [], async () => {
    if (start !== 'absent') await simulation.alone({ verb: 'create', alias: 'a', keyed: false, graceMs: 0, attempts: 1 }, 90)
    if (start === 'deleted') await simulation.alone({ verb: 'delete', alias: 'a', keyed: false, graceMs: 0, attempts: 1 }, 91)
    const [one, two] = wishes.map((wish, index) => simulation.add(wish, index, 0))
    if (one === undefined || two === undefined) return
    await simulation.start(one, 0)
    for (let index = 0; index < at && world.waiting.length > 0; index += 1) {
      await world.meet(0)
      await world.settle()
    }
    if (world.waiting.length === 0) {
      reached = false
      return
    }
    if (fault !== 'paused') await world.meet(0, fault)
    await world.settle()
    await simulation.start(two, 1)
    for (let index = 0, turns = 0; turns < 200; turns += 1) {
      const next = world.waiting.findIndex(({ process }) => process === two)
      if (next < 0) break
      await world.meet(next, index === secondAt?.at ? secondAt.fault : undefined)
      index += 1
      await world.settle()
    }
    await simulation.calm()
    if (one.answer === undefined) await simulation.alone(wishes[0] as Wish, 0, 1)
    if (two.answer === undefined) await simulation.alone(wishes[1] as Wish, 1, 1)
  })
  return reached ? outcome : undefined
}

/** A rotation stands still after `pause` calls while its key is deleted and its alias created anew; then it goes on (B-16). */
export const overtaken = async (shape: Shape, pause: number, bug?: Bug): Promise<Outcome> => {
  const simulation = await Simulation.open(shape, 'overtaken', bug)
  const wish = (verb: Wish['verb'], keyed = false): Wish => ({ verb, alias: 'a', keyed, graceMs: 0, attempts: 1 })
  const wishes = [wish('rotate', true), wish('delete'), wish('create')]
  return finish(simulation, wishes, [], async () => {
    await simulation.alone(wish('create'), 90)
    const [rotate, remove, create] = wishes.map((each, index) => simulation.add(each, index, 0))
    if (rotate === undefined || remove === undefined || create === undefined) return
    await simulation.start(rotate, 0)
    for (let call = 0; call < pause && simulation.world.waiting.length > 0; call += 1) {
      await simulation.world.meet(0)
      await simulation.world.settle()
    }
    await simulation.start(remove, 1)
    await simulation.only(remove)
    await simulation.start(create, 2)
    await simulation.only(create)
    await simulation.calm()
  })
}
