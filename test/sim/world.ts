// The simulated world: processes that wait at every call to the service, a clock that only the scheduler moves, and the faults that can meet a call.
// One seed decides everything; a fault depends on seed and step alone, so that taking one away leaves the others where they were.
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { Hook, WireStep } from '../shapes/service.ts'
import { ManualClock } from '../support/runtime.ts'
import { landsAnyTime } from './shapes.ts'

export const faults = ['crash before', 'crash after', 'crash, lands late', 'answer lost', 'never sent', 'lands late', 'throttled'] as const
export type Fault = (typeof faults)[number]

/** A small generator with a period that is long enough; the same numbers on every machine. */
export const generator = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

export interface Process {
  readonly label: string
  dead: boolean
  done: boolean
  /** How many calls it has made. */
  calls: number
  /** When its first call was answered, in steps of the world. */
  firstStep?: number
  faulted: boolean
}

interface Waiting {
  readonly process: Process
  readonly step: WireStep
  readonly since: number
  /** What the service does; gives what the caller is then told. */
  readonly apply: () => () => void
  readonly fail: (error: Error) => void
}

interface Late {
  readonly step: WireStep
  readonly since: number
  readonly land: () => void
}

const lateMs = 50_000

export class World {
  readonly clock = new ManualClock()
  readonly trace: string[] = []
  readonly waiting: Waiting[] = []
  readonly late: Late[] = []
  readonly hits = new Map<string, number>()
  steps = 0
  /** Called after every step that may have changed something. */
  changed: () => Promise<void> = async () => undefined

  hookFor(process: Process): Hook {
    return <T>(step: WireStep, act: () => T) =>
      new Promise<T>((resolve, reject) => {
        if (process.dead) return
        process.calls += 1
        const apply = (): (() => void) => {
          try {
            const answer = act()
            return () => resolve(answer)
          } catch (error) {
            return () => reject(error as Error)
          }
        }
        this.waiting.push({ process, step, since: this.clock.now(), apply, fail: reject })
      })
  }

  /** Whether somebody is still on the way to its next call or its answer. */
  busy: () => boolean = () => false

  /** Lets everything run that can run without the service. Behind a vendor's SDK that takes several turns; a process that never comes to a call or an end is a failure. */
  async settle(): Promise<void> {
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
    await turn()
    for (let turns = 0; this.busy(); turns += 1) {
      if (turns > 20_000) throw new Error('a process neither calls the service nor ends')
      await turn()
    }
  }

  /** One waiting call meets the service, or a fault on the way there or back. */
  async meet(index: number, fault?: Fault): Promise<void> {
    const [waiting] = this.waiting.splice(index, 1)
    if (waiting === undefined) return
    const { process, step } = waiting
    this.steps += 1
    process.firstStep ??= this.steps
    const struck = fault !== undefined && !step.changes && fault.includes('late') ? undefined : fault
    this.trace.push(`${String(this.steps).padStart(4)} ${process.label.padEnd(22)} ${step.call} ${step.name}${struck === undefined ? '' : `   <- ${struck}`}`)
    if (struck !== undefined) {
      process.faulted = true
      this.hits.set(`${step.call} × ${struck}`, (this.hits.get(`${step.call} × ${struck}`) ?? 0) + 1)
    }
    const unavailable = (): LatchkeyError => new LatchkeyError('provider_unavailable', 'The service gave no answer.')
    if (struck === undefined) waiting.apply()()
    else if (struck === 'throttled') waiting.fail(new LatchkeyError('provider_throttled', 'The service is busy.', { retryAfter: 1 }))
    else if (struck === 'never sent') waiting.fail(unavailable())
    else if (struck === 'answer lost') {
      waiting.apply()
      waiting.fail(unavailable())
    } else if (struck === 'crash before') this.kill(process)
    else if (struck === 'crash after') {
      waiting.apply()
      this.kill(process)
    } else {
      this.late.push({ step, since: this.clock.now(), land: () => void waiting.apply() })
      if (struck === 'lands late') waiting.fail(unavailable())
      else this.kill(process)
    }
    if (step.changes) await this.changed()
  }

  kill(process: Process): void {
    process.dead = true
    for (let index = this.waiting.length - 1; index >= 0; index -= 1) if (this.waiting[index]?.process === process) this.waiting.splice(index, 1)
  }

  /** A late call reaches the service. */
  async land(index: number): Promise<void> {
    const [late] = this.late.splice(index, 1)
    if (late === undefined) return
    this.steps += 1
    this.trace.push(`${String(this.steps).padStart(4)} ${'(on the way)'.padEnd(22)} ${late.step.call} ${late.step.name}   lands now`)
    late.land()
    await this.changed()
  }

  /** Time passes. Calls that may not land later than their deadline land first. */
  async pass(ms: number): Promise<void> {
    const due = this.clock.now() + ms - lateMs
    for (let index = this.late.length - 1; index >= 0; index -= 1) {
      const late = this.late[index]
      if (late !== undefined && !landsAnyTime(late.step.call) && late.since <= due) await this.land(index)
    }
    for (let index = this.waiting.length - 1; index >= 0; index -= 1) {
      const waiting = this.waiting[index]
      if (waiting !== undefined && !landsAnyTime(waiting.step.call) && waiting.since <= due) await this.meet(index)
    }
    this.clock.advance(ms)
    if (ms >= 1000) {
      this.trace.push(`     ${Math.round(ms / 1000)} s pass`)
      await this.changed()
    }
  }
}
