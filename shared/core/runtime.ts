// The ports: everything the core and the providers may know of the outside. Tests replace them; nothing else reads a clock,
// draws randomness, reads the environment or a file, or prints.
import { LatchkeyError } from './errors.ts'
import type { HttpPort } from './http-client.ts'

/** Wall-clock time. Nothing that matters hangs on a timer: a function host freezes between calls. */
export interface Clock {
  /** Milliseconds since the epoch, of this machine. */
  now(): number
  /** A pause that somebody chose, before a repetition. Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** A limit that nobody hopes to reach. Resolves once `now()` is at least `at`, or rejects with the signal's reason as soon as it aborts. */
  until(at: number, signal?: AbortSignal): Promise<void>
}

/** Where all randomness comes from. */
export interface Random {
  /** Cryptographically strong bytes. */
  bytes(count: number): Uint8Array
}

/** The environment of the process. */
export interface Env {
  /** The variable exactly as set, the empty string included; `undefined` when it is not set. */
  get(name: string): string | undefined
  names(): readonly string[]
}

/** The few things the house does with files. */
export interface Files {
  /** The file's bytes, or `undefined` when there is no such file. Other failures are thrown as LatchkeyError. */
  read(path: string): Promise<Uint8Array | undefined>
  /** Creates the file with mode 0600 and its folder with 0700; `false` and no change when it exists already. */
  createPrivate(path: string, bytes: Uint8Array): Promise<boolean>
  /** The path with every symbolic link followed, or `undefined` when there is nothing there. Other failures are thrown as LatchkeyError. */
  realPath(path: string): Promise<string | undefined>
}

/** How grave a log line is. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** One JSON line each. Fields are an allow-list of plain facts: no error objects, no values, no headers. */
export interface LogPort {
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, string | number | boolean | undefined>>): void
}

/** One decision about one caller and one thing. Values never stand in it. */
export interface AuditEvent {
  readonly action: string
  readonly decision: 'allowed' | 'denied' | 'failed'
  readonly caller: string
  readonly requestId: string
  readonly store?: string
  readonly name?: string
  readonly keyId?: string
  readonly team?: string
  readonly operationId?: string
  readonly code?: string
  readonly version?: string
  /** For events: what is to be done about it. */
  readonly note?: string
}

declare const receipt: unique symbol
/** Proof that a line was written. Only an audit port makes one, and no success leaves the API without it. */
export interface AuditReceipt {
  readonly [receipt]: true
  readonly sequence: number
}

/** Where audit lines go. */
export interface AuditPort {
  /** Resolves once the line is durable where the platform keeps its log. @throws audit_unavailable */
  record(event: AuditEvent): Promise<AuditReceipt>
}

/** Every port there is; a host makes one. */
export interface Runtime {
  readonly clock: Clock
  readonly random: Random
  readonly env: Env
  readonly files: Files
  readonly http: HttpPort
  readonly log: LogPort
  readonly audit: AuditPort
}

/** What a provider may know of the outside: no log and no audit, because providers neither log nor audit. */
export type ProviderIo = Pick<Runtime, 'clock' | 'random' | 'env' | 'files' | 'http'>

/**
 * The time and patience of one request. `deadline` is in epoch milliseconds of {@link Clock}.
 * A caller's signal ends its own waiting, never a flight that others share.
 */
export interface Call {
  readonly signal: AbortSignal
  readonly deadline: number
}

const over = (): LatchkeyError => new LatchkeyError('deadline_exceeded', 'The time of this request ran out before the secret manager was asked.', { applied: 'no' })

/** Why a timer is given up. Made once: an abort without a reason makes an error of its own. */
export const answered = new Error('answered')

/** To be called directly before each send: once the caller left or the deadline passed, nothing more is sent. @throws the signal's reason, deadline_exceeded */
export const checkCall = (call: Call, clock: Pick<Clock, 'now'>): void => {
  call.signal.throwIfAborted()
  if (clock.now() >= call.deadline) throw over()
}

/** Waits for something that others may share: the caller may leave, the thing itself goes on. @throws deadline_exceeded */
export const waitFor = <T>(shared: Promise<T>, call: Call, clock: Pick<Clock, 'now'>): Promise<T> => {
  if (call.signal.aborted || clock.now() >= call.deadline) {
    shared.catch(() => undefined)
    return Promise.reject(over())
  }
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(new LatchkeyError('deadline_exceeded', 'The request ended before the secret manager answered.'))
    call.signal.addEventListener('abort', leave, { once: true })
    shared.then(resolve, reject).finally(() => call.signal.removeEventListener('abort', leave))
  })
}
