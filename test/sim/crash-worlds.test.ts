// What is said of a crash without carrying it out: the world as if a process had ended is the world in which it did, with another process on its way beside it.
import { describe, expect, it } from 'vitest'
import { prepare } from './schedule.ts'
import { explored, explorePair, type Explored } from './small-scope.ts'
import { shapes, type Shape } from './shapes.ts'
import { Simulation, type Decision } from './simulation.ts'
import type { Fault } from './world/faults.ts'
import { settled, settledWithout } from './world/settled.ts'
import type { Wish } from './world/verbs.ts'

const wish = (verb: Wish['verb']): Wish => ({ verb, alias: 'a', keyed: true, graceMs: 0, attempts: 1 })
const [first, second] = ['rotate a #0.0', 'delete a #1.0']

const opened = async (shape: Shape, fault: Fault | 'nothing'): Promise<Simulation> => {
  const simulation = await Simulation.open({ shape, seed: 'crash', gateway: true })
  simulation.world.counts = true
  await prepare(simulation, { start: 'live', wishes: [wish('rotate'), wish('delete')] })
  const decisions: readonly Decision[] = [['start', 0, 0], ['meet', first], ['meet', first], fault === 'nothing' ? ['meet', first] : ['meet', first, fault], ['start', 1, 0]]
  for (const decision of decisions) await simulation.decide(decision)
  return simulation
}

const memory = shapes.filter(({ inMemory }) => inMemory)
const cases = memory.flatMap((shape) => (['nothing', 'answer lost', 'lands late', 'slow answer', 'clock 10 min ahead', 'crash, lands late'] as const).map((fault) => ({ shape, name: shape.name, fault })))

describe('a world as if a process ended', () => {
  it.each(cases)('is the one in which it ends, at each of its calls, on $name beside: $fault', async ({ shape, fault }) => {
    const simulation = await opened(shape, fault)
    const said: (string | undefined)[] = []
    await simulation.decide(['run', second], (attempt) => said.push(settledWithout(simulation, attempt)))

    const seen: (string | undefined)[] = []
    for (let at = 0; at < said.length; at += 1) {
      const other = await opened(shape, fault)
      for (let call = 0; call < at; call += 1) await other.decide(['meet', second])
      await other.decide(['meet', second, 'crash before'])
      seen.push(settled(other))
    }

    expect(said.length).toBeGreaterThan(2)
    expect(said).not.toContain(undefined)
    expect(said).toEqual(seen)
  })
})

describe('a world that was there before', () => {
  it.each(memory)('is followed by no state that was not, on $name', { timeout: 120_000 }, async (shape) => {
    const doubts: NonNullable<Explored['doubts']> = []
    const all = explored(doubts)

    await explorePair({ shape, start: 'live', first: 'rename', second: 'block' }, all, { every: 3, crashes: 2 })

    expect(all.pruned).toBeGreaterThan(20)
    expect(doubts).toEqual([])
  })
})
