// What the exam asks of whoever brings a provider: a service that can be opened, filled behind the provider's back and broken on purpose.
// Faults stay until they are healed, so that a provider whose SDK repeats calls by itself meets the same fault on every attempt.
import type { Capability, SecretProvider } from '../../shared/core/provider.ts'
import { createdName } from '../../shared/core/names/created.ts'
import type { Clock } from '../../shared/core/runtime.ts'
import type { SecretName } from '../../shared/core/secret.ts'
import type { ManualClock } from '../support/runtime.ts'

/** The ways in which a service fails. The code that a provider must answer stands beside each in `faultCodes`. */
export const faultKinds = ['denied', 'throttled', 'unavailable_before', 'unavailable_after', 'reset', 'truncated', 'slow', 'malformed', 'expired_credential'] as const
/** Nonsense in the place of an answer, as a proxy, a guest network or a wrong address gives it. A harness names the ones that it can produce and that its service's clients can tell. */
export const nonsenseKinds = ['html', 'mistyped', 'empty', 'error_body', 'redirect'] as const
export type NonsenseKind = (typeof nonsenseKinds)[number]
export type FaultKind = (typeof faultKinds)[number] | NonsenseKind

/**
 * The exact codes. `slow` is a service that holds its answer back: the exam aborts the call, or lets its deadline pass.
 * An expired credential that cannot be refreshed is a refusal.
 */
export const faultCodes = {
  denied: 'provider_denied',
  throttled: 'provider_throttled',
  unavailable_before: 'provider_unavailable',
  unavailable_after: 'provider_unavailable',
  reset: 'provider_unavailable',
  truncated: 'provider_unavailable',
  slow: 'deadline_exceeded',
  malformed: 'provider_unavailable',
  expired_credential: 'provider_denied',
  html: 'provider_unavailable',
  mistyped: 'provider_unavailable',
  empty: 'provider_unavailable',
  error_body: 'provider_unavailable',
  redirect: 'provider_unavailable',
} as const satisfies Record<FaultKind, string>

/** The faults that a service can have after it has committed: an answer that is lost, cut or garbled. `slow` may be either. */
export const afterCommit: ReadonlySet<FaultKind> = new Set<FaultKind>(['unavailable_after', 'truncated', 'malformed'])

/**
 * One thing to go wrong. Default: every call to the service, every time, until `heal()`.
 * `unavailable_before`, `denied`, `throttled`, `expired_credential` and `reset` strike before the service does anything;
 * `unavailable_after`, `truncated` and `malformed` strike after it has done everything: the change is committed, the answer is lost or useless.
 * `slow`: the service takes the call and holds its answer until `heal()` or `close()`.
 * Nonsense may strike before or after: `html` a page with 200, `mistyped` a page that calls itself JSON, `empty` 200 and no body, `error_body` 200 with the
 * service's own body of a refusal, `redirect` 302 to another place.
 */
export interface Fault {
  readonly kind: FaultKind
  /** `read`: only calls that change nothing; `change`: only calls that change something. Default: all calls. */
  readonly on?: 'read' | 'change'
  /** The how-manieth matching call from now on is the first to be struck. Default: 1. */
  readonly nth?: number
  /** How many matching calls are struck. Default: every one until `heal()`. */
  readonly times?: number
  /** Text that a service might echo in its failure. It must be in the fault's message or body, and nowhere in what the provider throws. */
  readonly echo?: string
}

/** One opened provider with the service behind it. Each case opens its own and closes it. */
export interface ExamProvider {
  readonly provider: SecretProvider
  /** The clock that the provider was opened with. */
  readonly clock: Clock
  /** Lets time go by: moves a standing clock, waits on a real one. */
  pass(ms: number): Promise<void>
  /** Puts a secret into the service behind the provider's back, as an operator would. */
  seed?(name: SecretName, value: string | Uint8Array): Promise<void>
  /** Breaks the service. There where `faults` of the harness is not empty. */
  fault?(fault: Fault): Promise<void> | void
  /** Takes every fault away and lets go of held answers. */
  heal?(): Promise<void> | void
  /** Lets so much time go by that every credential the provider holds has expired at the service. New ones can be had: the next call must succeed. */
  expire?(): Promise<void> | void
  /** The service's own name for a secret, as its events have it. */
  resourceOf?(name: SecretName): Promise<string> | string
  /** Names of other places that look like this one. */
  foreignTo?(resource: string): readonly string[]
  /** Begins a rotation as the service does: a version is reserved, without a value. */
  begin?(name: SecretName): Promise<{ readonly resource: string; readonly version: string; readonly handler: string }>
  /** How many calls the service has received so far, refused ones included. */
  calls?(): number
  /** A second provider on the same service, as another instance would have it. Closed with the first. */
  reopen(): Promise<SecretProvider>
  /** A provider whose settings are wrong in a way that only the service can tell (a key of another service, a refused identity). For `check`. */
  misconfigured?(): Promise<SecretProvider>
  close(): Promise<void>
}

/** A case of the exam that this provider, or this peer, is known to fail. It is run all the same, and must fail: a cured deviation is a failure of the list. */
export interface Deviation {
  /** A case's id, never its title. */
  readonly case: string
  readonly reason: string
}

export interface Harness {
  /** The capabilities that the provider must have; fewer is a failure, more is none. */
  readonly mustHave: readonly Capability[]
  /** What `fault` can do. Empty: the faulted half is left out, for `faultsReason`. */
  readonly faults: readonly FaultKind[]
  /** What of `nonsenseKinds` it can do beside. Default: none. */
  readonly nonsense?: readonly NonsenseKind[]
  /** Why a fault kind is not in `faults`. Default: "the harness cannot produce it". */
  readonly faultsReason?: string
  /** Two opens see nothing of each other's secrets (a fresh service each). Default: true. With false the exam's names alone keep cases apart. */
  readonly fresh?: boolean
  /** Reading operations that this provider answers without a call to its service (variables of the environment are listed, only decrypted there), so that no fault can strike them. */
  readonly answersItself?: readonly ('describe' | 'list' | 'read-missing')[]
  /** Native names for the exam to use; `label` is `[a-z0-9-]`, at most 40 characters, different for every secret. Default: `createdName('litellm/' + label)`. */
  name?(label: string): SecretName
  /** Cases known to fail here. */
  readonly deviations?: readonly Deviation[]
  /** A fresh service, or an empty corner of a shared one, and a provider opened on it. */
  open(): Promise<ExamProvider>
}

/** Any server that speaks a service's protocol, whoever wrote it: where it is, and the further settings (the credential among them) to open the provider with. */
export interface Target {
  readonly url: string
  readonly settings: Readonly<Record<string, unknown>>
  /** How long letting time go by really waits at most, where the server needs time until everybody sees a change. Default: not at all. */
  readonly settleMs?: number
}

/** `pass` for a target: as much time as it needs goes by on the wall, and the clock follows. It never runs ahead, because a server refuses what is signed in its future. */
export const passOnTarget = (clock: ManualClock, target: Target) => async (ms: number): Promise<void> => {
  const wait = Math.min(ms, target.settleMs ?? 0)
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
  clock.set(Math.max(clock.now(), Date.now()))
  await new Promise((resolve) => setImmediate(resolve))
}

/** The name a harness gives to a label of the exam. */
export const nameFor = (harness: Harness, label: string): SecretName => harness.name?.(label) ?? createdName(`litellm/${label}`)

/** `pass` for a standing clock: moves it and lets everything that woke up run. */
export const passOn = (clock: ManualClock) => async (ms: number): Promise<void> => {
  clock.advance(ms)
  await new Promise((resolve) => setImmediate(resolve))
}
