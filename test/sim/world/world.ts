// The simulated world: processes that wait at every call to the store and to the gateway, clocks that only the scheduler moves, and the faults that can meet
// a call. Nothing here draws anything: whoever schedules says which call comes next and what becomes of it.
import { LatchkeyError, type ErrorDetails } from '../../../shared/core/errors.ts'
import type { Clock } from '../../../shared/core/runtime.ts'
import type { Hook, WireStep } from '../../shapes/service.ts'
import { ManualClock } from '../../support/runtime.ts'
import { canStrike, isGatewayCall, type Fault } from './faults.ts'
import { downMs } from './gateway.ts'
import { mix } from './mix.ts'
import { landsAnyTime } from '../shapes.ts'

export interface Process {
  readonly label: string
  dead: boolean
  done: boolean
  /** How many calls it has made. */
  calls: number
  /** When its first call was answered, in steps of the world. */
  firstStep?: number
  faulted: boolean
  /** How far its clock is ahead of the world's. */
  skewMs: number
  /** What it has been answered so far, as one number: with it, two runs of a process go on alike. */
  seen: number
  /** The last answer that was made for it, as one number: it may not have come yet. */
  made: number
}

interface Waiting {
  readonly process: Process
  readonly step: WireStep
  readonly since: number
  /** What the service does; gives what the caller is then told. */
  readonly apply: () => () => void
  readonly fail: (error: Error) => void
  readonly renewed?: boolean
}

interface Held {
  readonly process: Process
  readonly release: () => void
  /** How long after now it goes on. */
  readonly ms: number
}

interface Late {
  readonly step: WireStep
  /** Whose call it is, which of its calls, and what that process had been answered before: what it does follows from these. */
  readonly call: string
  readonly since: number
  readonly land: () => void
  /** It lands by itself once so many changes have been made in the world. */
  readonly after?: number
}

const lateMs = 50_000
const pausedMs = 90_000
const slowMs = 26_000
const lagMs = 5_000

const asText = (answer: unknown): string => (answer instanceof LatchkeyError ? `${answer.code} ${answer.message}` : answer instanceof Error ? answer.message : (JSON.stringify(answer) ?? ''))

export class World {
  readonly clock = new ManualClock()
  readonly trace: string[] = []
  readonly waiting: Waiting[] = []
  readonly held: Held[] = []
  readonly late: Late[] = []
  readonly hits = new Map<string, number>()
  /** Every call that was met, by its process. */
  readonly met: { readonly label: string; readonly step: WireStep }[] = []
  steps = 0
  /** How many changes were made. */
  changes = 0
  /** The objects of the service that were changed since somebody last looked. */
  readonly touched = new Set<string>()
  /** The largest skew of any process so far. */
  skewMs = 0
  /** Whether answers are remembered, for counting states. */
  counts = false
  /** Called after every step that may have changed something. */
  changed: () => Promise<void> = async () => undefined
  /** Told of a change that the gateway refused, by the name of its row. */
  denied: (row: string) => void = () => undefined
  /** Makes the gateway forget the next change. */
  forget: () => void = () => undefined
  /** Whether somebody is still on the way to its next call or its answer. */
  busy: () => boolean = () => false
  /** Whether everything between two calls is done in microtasks: so it is where no vendor's client stands between. */
  inMemory = false
  #downUntil = 0
  readonly #born = new Map<string, number>()

  /** What goes on from here depends on it, beside the steps and the processes. */
  facts(): unknown {
    return [this.clock.now(), this.skewMs, Math.max(0, this.#downUntil - this.clock.now()), [...this.touched]]
  }

  clockOf(process: Process): Clock {
    const { clock } = this
    // The harness of a real provider moves the world's own clock, so its processes have no other.
    if (!this.inMemory) return clock
    return {
      now: () => clock.now() + process.skewMs,
      sleep: (ms, signal) => clock.sleep(ms, signal),
      until: (at, signal) => clock.until(at - process.skewMs, signal),
    }
  }

  hookFor(process: Process): Hook {
    return <T>(step: WireStep, act: () => T) =>
      new Promise<T>((resolve, reject) => {
        if (process.dead) return
        process.calls += 1
        const remember = (answer: unknown): void => {
          if (this.counts) process.seen = mix(step.call + asText(answer), process.seen)
        }
        const apply = (lagging = false): (() => void) => {
          try {
            const answer = lagging ? this.#lagging(act()) : act()
            if (this.counts) process.made = mix(asText(answer))
            if (step.changes) this.#note(step)
            return () => {
              remember(answer)
              resolve(answer)
            }
          } catch (error) {
            if (this.counts) process.made = mix(asText(error))
            return () => {
              remember(error)
              reject(error as Error)
            }
          }
        }
        const fail = (error: Error): void => {
          remember(error)
          reject(error)
        }
        this.waiting.push({ process, step, since: this.clock.now(), apply, fail })
      })
  }

  #note({ name }: WireStep): void {
    this.changes += 1
    this.touched.add(name)
    if (!this.#born.has(name)) this.#born.set(name, this.clock.now())
  }

  /** A list as it was some seconds ago, as far as names go. */
  #lagging<T>(answer: T): T {
    if (!Array.isArray(answer)) return answer
    const young = (name: string): boolean => (this.#born.get(name) ?? 0) > this.clock.now() - lagMs
    return answer.filter((item: unknown) => !young(typeof item === 'string' ? item : (item as { name: string }).name)) as T
  }

  /** Lets everything run that can run without the service. A process that never comes to a call or an end is a failure. */
  async settle(): Promise<void> {
    if (this.inMemory) {
      for (let turns = 0; this.busy(); turns += 1) {
        if (turns > 5_000) break
        for (let each = 0; each < 4; each += 1) await Promise.resolve()
      }
      if (!this.busy()) return
    }
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
    await turn()
    for (let turns = 0; this.busy(); turns += 1) {
      if (turns > 200_000) throw new Error('a process neither calls the service nor ends')
      await turn()
    }
  }

  #hit(step: WireStep, what: string): void {
    this.hits.set(`${step.call} × ${what}`, (this.hits.get(`${step.call} × ${what}`) ?? 0) + 1)
  }

  /** One waiting call meets the service, or a fault on the way there or back. */
  async meet(index: number, fault?: Fault): Promise<void> {
    const [waiting] = this.waiting.splice(index, 1)
    if (waiting === undefined) return
    const { process, step } = waiting
    this.steps += 1
    this.met.push({ label: process.label, step })
    process.firstStep ??= this.steps
    const struck = fault !== undefined && canStrike(fault, step) ? fault : undefined
    const down = struck === undefined && isGatewayCall(step) && this.clock.now() < this.#downUntil
    this.trace.push(`${String(this.steps).padStart(4)} ${process.label.padEnd(22)} ${step.call} ${step.name}${struck === undefined ? (down ? '   (gateway down)' : '') : `   <- ${struck}`}`)
    if (struck !== undefined || down) process.faulted = true
    if (struck !== undefined) this.#hit(step, struck)
    if (down) waiting.fail(this.#failure(step, 'unavailable'))
    else if (struck === undefined) waiting.apply()()
    else this.#strike(waiting, struck)
    if (step.changes) await this.changed()
    for (let next = this.late.findIndex(({ after }) => after !== undefined && after <= this.changes); next >= 0; next = this.late.findIndex(({ after }) => after !== undefined && after <= this.changes)) await this.land(next)
  }

  #failure(step: WireStep, kind: 'unavailable' | 'denied' | 'throttled' | 'quota'): LatchkeyError {
    const details: ErrorDetails = kind === 'throttled' ? { retryAfter: 1 } : {}
    if (isGatewayCall(step)) return new LatchkeyError(kind === 'denied' ? 'gateway_denied' : 'gateway_unavailable', 'The gateway did not do it.', details)
    return new LatchkeyError(({ unavailable: 'provider_unavailable', denied: 'provider_denied', throttled: 'provider_throttled', quota: 'provider_quota' } as const)[kind], 'The service did not do it.', details)
  }

  #strike(waiting: Waiting & { apply(lagging?: boolean): () => void }, fault: Fault): void {
    const { process, step } = waiting
    const late = (after?: number): void => void this.late.push({ step, call: `${process.label} ${process.calls} ${process.seen}`, since: this.clock.now(), land: () => void waiting.apply(), ...(after === undefined ? {} : { after }) })
    const jump = (ms: number): void => {
      process.skewMs += ms
      // What it read of its clock before is not what it would have read after.
      if (this.counts) process.seen = mix(`clock ${ms}`, process.seen)
      this.skewMs = Math.max(this.skewMs, Math.abs(process.skewMs))
      waiting.apply()()
    }
    const unanswered = (): void => waiting.fail(this.#failure(step, 'unavailable'))
    const strikes: Record<Fault, () => void> = {
      'crash before': () => this.kill(process),
      'crash after': () => {
        waiting.apply()
        this.kill(process)
      },
      'crash, lands late': () => {
        late()
        this.kill(process)
      },
      'answer lost': () => {
        waiting.apply()
        unanswered()
      },
      'never sent': unanswered,
      'lands late': () => {
        late()
        unanswered()
      },
      throttled: () => waiting.fail(this.#failure(step, 'throttled')),
      'lands last': () => {
        late(this.changes + 3)
        unanswered()
      },
      'applied twice': () => {
        waiting.apply()()
        late()
      },
      '5xx after commit': () => {
        waiting.apply()
        unanswered()
      },
      'quota refused': () => waiting.fail(this.#failure(step, 'quota')),
      'denied once': () => {
        if (step.call === 'gateway.change') this.denied(step.name)
        waiting.fail(this.#failure(step, 'denied'))
      },
      'credential expired': () => void this.waiting.push({ ...waiting, renewed: true }),
      'slow answer': () => void this.held.push({ process, release: waiting.apply(), ms: slowMs }),
      paused: () => void this.held.push({ process, release: waiting.apply(), ms: pausedMs }),
      'list lags': () => waiting.apply(true)(),
      'gateway down': () => {
        this.#downUntil = this.clock.now() + downMs
        unanswered()
      },
      'gateway forgot': () => {
        this.forget()
        waiting.apply()()
      },
      'clock 10 min ahead': () => jump(600_000),
      'clock 10 min behind': () => jump(-600_000),
    }
    strikes[fault]()
  }

  kill(process: Process): void {
    process.dead = true
    for (const list of [this.waiting, this.held]) for (let index = list.length - 1; index >= 0; index -= 1) if (list[index]?.process === process) list.splice(index, 1)
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

  /** A process that stood still goes on, after the time that it stood. */
  async release(index: number): Promise<void> {
    const held = this.held[index]
    if (held === undefined) return
    await this.pass(held.ms)
    this.held.splice(this.held.indexOf(held), 1)
    this.trace.push(`     ${held.process.label.padEnd(22)} goes on`)
    held.release()
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
      if (waiting === undefined || landsAnyTime(waiting.step.call) || waiting.since > due) continue
      await this.meet(index)
      await this.settle()
    }
    this.clock.advance(ms)
    if (ms >= 1000) {
      this.trace.push(`     ${Math.round(ms / 1000)} s pass`)
      await this.changed()
    }
  }
}
