// The ports as a test has them: a clock that stands until it is moved, seeded randomness, an environment that holds only what is given.
import { hash } from 'node:crypto'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { nodeHttp, type HttpPort } from '../../shared/core/http-client.ts'
import type { AuditEvent, AuditReceipt, Call, Clock, Env, Files, LogLevel, Random, Runtime } from '../../shared/core/runtime.ts'

/**
 * Time stands still until `advance` or `set`; whoever sleeps wakes when its time has come. One that `hurries` lets every chosen pause (`sleep`) pass at once by
 * moving itself, so that a repetition costs nobody a second; limits (`until`) still come only when time does, and no pause moves it past a limit that somebody else waits for.
 */
export class ManualClock implements Clock {
  #now: number
  #sleepers: { at: number; wake: () => void }[] = []
  readonly #hurries: boolean

  constructor(now = Date.UTC(2026, 10, 21, 12), how: { readonly hurries?: boolean } = {}) {
    this.#now = now
    this.#hurries = how.hurries === true
  }

  now(): number {
    return this.#now
  }

  advance(ms: number): void {
    this.set(this.#now + ms)
  }

  set(now: number): void {
    this.#now = now
    const due = this.#sleepers.filter((sleeper) => sleeper.at <= now)
    this.#sleepers = this.#sleepers.filter((sleeper) => sleeper.at > now)
    for (const sleeper of due) sleeper.wake()
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (!this.#hurries || ms <= 0 || signal?.aborted === true) return this.until(this.#now + ms, signal)
    const limit = Math.min(...this.#sleepers.map(({ at }) => at))
    this.advance(Math.max(0, Math.min(ms, limit - this.#now - 1)))
    if (limit <= this.#now + 1) await new Promise((resolve) => setImmediate(resolve))
    signal?.throwIfAborted()
  }

  until(at: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error)
    if (at <= this.#now) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const sleeper = { at, wake: resolve }
      this.#sleepers.push(sleeper)
      const leave = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        reject(signal?.reason as Error)
      }
      signal?.addEventListener('abort', leave, { once: true })
    })
  }
}

/** The same bytes for the same seed, on every machine. */
export class SeededRandom implements Random {
  #counter = 0
  readonly #seed: string

  constructor(seed = 'seed') {
    this.#seed = seed
  }

  bytes(count: number): Uint8Array {
    const parts: Buffer[] = []
    for (let have = 0; have < count; have += 32) {
      parts.push(hash('sha256', `${this.#seed}:${(this.#counter += 1)}`, 'buffer'))
    }
    return Buffer.concat(parts).subarray(0, count)
  }
}

/** For those who stay on this machine. */
export const noHttp: HttpPort = { connect: () => Promise.reject(new Error('nothing here may be dialled')) }

export const envOf = (variables: Readonly<Record<string, string>>): Env => ({
  get: (name) => (Object.hasOwn(variables, name) ? variables[name] : undefined),
  names: () => Object.keys(variables),
})

/** Files in memory, by exact path. */
export const filesOf = (content: Record<string, string | Uint8Array>): Files => ({
  read: async (path) => (Object.hasOwn(content, path) ? Buffer.from(content[path] ?? '') : undefined),
  createPrivate: async (path, bytes) => {
    if (Object.hasOwn(content, path)) return false
    content[path] = bytes
    return true
  },
  realPath: async (path) => (Object.keys(content).some((known) => known === path || known.startsWith(`${path}/`)) ? path : undefined),
})

export interface TestRuntime extends Runtime {
  readonly clock: ManualClock
  readonly lines: { level: LogLevel; message: string; fields: Record<string, unknown> }[]
  readonly audited: AuditEvent[]
  /** While true, the audit port refuses to write. */
  auditDown: boolean
}

export const testRuntime = (given: { now?: number; hurries?: boolean; env?: Record<string, string>; files?: Record<string, string | Uint8Array>; seed?: string } = {}): TestRuntime => {
  const clock = new ManualClock(given.now, { hurries: given.hurries === true })
  const random = new SeededRandom(given.seed)
  const runtime: TestRuntime = {
    clock,
    random,
    http: nodeHttp(clock, random),
    env: envOf(given.env ?? {}),
    files: filesOf(given.files ?? {}),
    lines: [],
    audited: [],
    auditDown: false,
    log: { log: (level, message, fields = {}) => void runtime.lines.push({ level, message, fields }) },
    audit: {
      record: async (event) => {
        if (runtime.auditDown) throw new LatchkeyError('audit_unavailable', 'The audit line cannot be written.')
        runtime.audited.push(event)
        return { sequence: runtime.audited.length } as AuditReceipt
      },
    },
  }
  return runtime
}

/** A call with all the time there is; `clock` gives the deadline its meaning. */
export const callOf = (clock: Clock, given: { signal?: AbortSignal; withinMs?: number } = {}): Call => ({
  signal: given.signal ?? new AbortController().signal,
  deadline: clock.now() + (given.withinMs ?? 25_000),
})
