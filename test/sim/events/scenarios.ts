// The scenarios of events, drawn from a seed: duplicates at two instances, other sources about the same need, the sweep beside them, AWS's four steps in order, repeated and
// out of order, answers lost, processes that die between two calls, and everything once more after days.
import type { RotationEvent } from '../../../shared/core/rotation/event.ts'
import { Violation } from '../judges/oracle.ts'
import { canStrike, faults, type Fault } from '../world/faults.ts'
import { generator, mix } from '../world/mix.ts'
import { judgeEnd, judgeOutcome } from './event-judge.ts'
import { EventWorld, type Host } from './event-world.ts'
import type { Sending } from './deliveries.ts'

/** What became of one scenario. */
export interface EventOutcome {
  readonly host: string
  readonly seed: string
  readonly violation?: Violation
  readonly trace: readonly string[]
  /** What there was in it. */
  readonly kinds: readonly EventKind[]
  readonly deliveries: number
  readonly rotations: number
}

/** What a scenario can have in it: an event that a key is due, the schedule's sweep, the steps of AWS in order by two drivers, and single steps in no order. */
export const eventKinds = ['event', 'due', 'steps', 'strays'] as const
export type EventKind = (typeof eventKinds)[number]

const version = '00000000-1111-4222-8333-444444444444'
const stepNames = ['create', 'set', 'test', 'finish'] as const

/** A clock that jumps by ten minutes makes another event of it: how far apart they are counts. */
const struckBy = faults.filter((fault) => !fault.startsWith('clock') && fault !== 'gateway forgot')

const one = <T>(draw: () => number, from: readonly T[]): T => from[Math.floor(draw() * from.length)] as T
const times = <T>(count: number, make: (index: number) => T): readonly T[] => Array.from({ length: count }, (_, index) => make(index))

/** One scenario. The same for the same seed. */
export const eventScenario = async (host: Host, seed: string): Promise<EventOutcome> => {
  const draw = generator(mix(`events ${seed} ${host.name}`))
  const steps = host.name === 'aws'
  const kinds = eventKinds.filter((kind) => (steps || kind === 'event' || kind === 'due') && draw() < (kind === 'strays' ? 0.4 : 0.6))
  // AWS drives what it has reserved: nobody else brings single steps of it.
  if (kinds.length === 0 || (kinds.includes('strays') && !kinds.includes('steps'))) kinds.push(steps ? 'steps' : 'event')
  const gateway = draw() < 0.5
  const rate = one(draw, [0, 0.02, 0.05, 0.1])
  const swarm = struckBy.filter(() => draw() < 0.5)
  const sim = await EventWorld.open(host, { seed, gateway })
  const { world } = sim
  const rotations = (): number => new Set(sim.oracle.at({ text: 'litellm/a', place: 'created' }).history.flatMap(({ operation }) => (operation?.verb === 'rotate' ? [operation.id] : []))).size
  let violation: Violation | undefined
  try {
    const made = await sim.key(kinds.includes('due'))
    for (const sending of sendingsOf(sim, kinds, made.keyId, draw)) sim.send(sending)
    for (let turn = 0; turn < 900; turn += 1) {
      sim.taken()
      const ready = sim.senders.filter(({ done, now }) => !done && now === undefined)
      const choices = world.waiting.length + ready.length
      if (choices + world.held.length + world.late.length === 0) break
      if (draw() < 0.1) await world.pass(1 + Math.floor(draw() * 2_000))
      if (world.late.length > 0 && draw() < 0.08) await world.land(Math.floor(draw() * world.late.length))
      if (world.held.length > 0 && draw() < 0.1) await world.release(Math.floor(draw() * world.held.length))
      if (choices > 0) {
        const choice = Math.floor(draw() * choices)
        const fault: Fault | undefined = draw() < rate && swarm.length > 0 ? one(draw, swarm) : undefined
        const met = world.waiting[choice]
        const sender = ready[choice - world.waiting.length]
        if (met !== undefined) await world.meet(choice, fault !== undefined && canStrike(fault, met.step) ? fault : undefined)
        else if (sender !== undefined) await sim.deliver(sender)
      }
      await world.settle()
      for (const delivery of sim.deliveries) judgeOutcome(sim, delivery)
    }
    await settle(sim)
    await judgeEnd(sim, made.key, { most: (kinds.includes('event') || kinds.includes('due') ? 1 : 0) + (kinds.includes('steps') ? 1 : 0), least: 1 })
    await replayed(sim)
  } catch (error) {
    if (!(error instanceof Violation)) throw Object.assign(error as Error, { seed, host: host.name, trace: world.trace })
    violation = error
  }
  return { host: host.name, seed, ...(violation === undefined ? {} : { violation }), trace: world.trace, kinds, deliveries: sim.deliveries.length, rotations: rotations() }
}

const sendingsOf = (sim: EventWorld, kinds: readonly EventKind[], keyId: string, draw: () => number): readonly Sending[] => {
  const at = new Date(sim.world.clock.now())
  const patience = 4
  const event = (more: Partial<RotationEvent>): RotationEvent => ({ source: 'http', kind: 'rotate', id: 'event-1', at, ...more })
  const sendings: Sending[] = []
  if (kinds.includes('event')) {
    sendings.push(...times(1 + Math.floor(draw() * 3), (index) => ({ label: `event ${index}`, events: times(1 + Math.floor(draw() * 2), () => event({ keyId })), again: 'event' as const, patience })))
    if (draw() < 0.4) sendings.push({ label: 'scheduler', events: [event({ source: 'scheduler', id: 'event-2', name: 'litellm/a' })], again: 'event', patience })
  }
  if (kinds.includes('due')) sendings.push(...times(1 + Math.floor(draw() * 2), (index) => ({ label: `due ${index}`, events: [event({ source: 'timer', kind: 'due', id: `due-${index}` })], again: 'event' as const, patience })))
  if (!kinds.includes('steps')) return sendings
  const reserved = sim.reserve(version)
  if (reserved === undefined) return sendings
  const { arn, handler } = reserved
  const step = (which: (typeof stepNames)[number]): RotationEvent => ({ source: 'secrets_manager_step', kind: 'step', id: `${version}:${which}`, native: arn, version, step: which, handler })
  sendings.push(...times(1 + Math.floor(draw() * 2), (index) => ({ label: `steps ${index}`, events: stepNames.flatMap((which) => times(1 + Math.floor(draw() * 1.3), () => step(which))), again: 'all' as const, patience })))
  if (kinds.includes('strays')) sendings.push({ label: 'stray', events: times(2 + Math.floor(draw() * 4), () => step(one(draw, stepNames))), again: 'event', patience: 1 })
  return sendings
}

/** Everything comes to its end: what is on the way lands, what was not acknowledged is brought again, leases run out, the sweep runs. */
const settle = async (sim: EventWorld): Promise<void> => {
  const { world } = sim
  await sim.calm()
  while (world.late.length > 0) await world.land(0)
  await world.pass(70_000)
  for (const { sending, done, failures } of [...sim.senders]) {
    if (done && failures <= sending.patience) continue
    await sim.alone(sim.send({ ...sending, label: `${sending.label} again`, patience: 2 }))
    await world.pass(61_000)
  }
  for (let number = 0; number < 3; number += 1) {
    await sim.alone(sim.send({ label: `sweep ${number}`, events: [{ source: 'timer', kind: 'due', id: `sweep-${number}` }], again: 'event', patience: 0 }))
    await world.pass(61_000)
  }
  sim.gateway.forgotten.clear()
  for (const delivery of sim.deliveries) judgeOutcome(sim, delivery)
}

/** After three days every event comes once more: it is acknowledged or refused, and changes nothing. */
const replayed = async (sim: EventWorld): Promise<void> => {
  const { world } = sim
  await world.pass(3 * 24 * 3_600_000)
  const rotation = sim.oracle.at({ text: 'litellm/a', place: 'created' }).now?.id
  const old = sim.senders.flatMap(({ sending }) => sending.events).filter(({ kind }) => kind !== 'due')
  const seen = new Map(old.map((event) => [event.id, event]))
  const before = world.changes
  for (const event of seen.values()) {
    const sender = sim.send({ label: 'replay', events: [event], again: 'event', patience: 0 })
    await sim.alone(sender)
    if (sim.deliveries.at(-1)?.outcome?.decision === 'retry') throw new Violation('I13 liveness', `${event.id} is asked for again after days: ${sim.deliveries.at(-1)?.outcome?.message ?? ''}`)
  }
  if (sim.oracle.at({ text: 'litellm/a', place: 'created' }).now?.id !== rotation) throw new Violation('I3 key duplicated', 'an event that came again after days rotated the key once more')
  if (world.changes > before) throw new Violation('I12 outcome', `events that came again after days made ${world.changes - before} changes`)
}
