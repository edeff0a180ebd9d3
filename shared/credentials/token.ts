// A login that is used until shortly before it ends: one in flight, whoever waits, and one more when the service refuses what we hold.
// Compared with the clock at use, never renewed by a timer: a function host sleeps between calls.
import { LatchkeyError } from '../core/errors.ts'
import { waitFor, type Call, type Clock } from '../core/runtime.ts'
import type { SecretValue } from '../core/secret.ts'

/** What a login gave. */
export interface Token<V = SecretValue> {
  readonly value: V
  /** Epoch milliseconds after which it is not used; without it, until it is refused. */
  readonly useUntil?: number
  /** Epoch milliseconds until which the service still takes it: while it does, a login that fails to replace it harms nobody. Default: `useUntil`. */
  readonly endsAt?: number
}

/** How a service is logged into. */
export interface Login<V = SecretValue> {
  readonly clock: Clock
  /** Gets a token; `held` is the one it replaces, for services that can renew. Its call is the flight's own: no caller's leaving ends it. */
  login(call: Call, held: Token<V> | undefined): Promise<Token<V>>
}

/** The token of one identity. */
export interface TokenSource<V = SecretValue> {
  /** A token that is good now, as far as the clock tells. @throws whatever the login throws, deadline_exceeded */
  get(call: Call): Promise<Token<V>>
  /** The service refused this token: it is not given out again. */
  refused(token: Token<V>): void
}

const flightMs = 10_000
/** How long a token that still works is used before the next try to replace it. */
const nextTryMs = 30_000

/** Keeps one token. A failed login is not remembered: the next who asks tries again. */
export const tokenSource = <V = SecretValue>({ clock, login }: Login<V>): TokenSource<V> => {
  let held: Token<V> | undefined
  let flight: Promise<Token<V>> | undefined
  const good = (token: Token<V> | undefined): token is Token<V> => token !== undefined && (token.useUntil === undefined || clock.now() < token.useUntil)
  const stillWorks = (error: unknown): Token<V> => {
    if (held?.endsAt === undefined || clock.now() >= held.endsAt) throw error
    return (held = { ...held, useUntil: Math.min(held.endsAt, clock.now() + nextTryMs) })
  }
  const fly = (): Promise<Token<V>> =>
    (flight ??= login({ signal: new AbortController().signal, deadline: clock.now() + flightMs }, held)
      .then((token) => (held = token), stillWorks)
      .finally(() => (flight = undefined)))
  return {
    get: (call) => (good(held) ? Promise.resolve(held) : waitFor(fly(), call, clock)),
    refused: (token) => {
      if (held === token) held = undefined
    },
  }
}

/**
 * Runs `act` with a token; when the service refuses the token itself (`refusal` says so of a failure), logs in once more and repeats. A second refusal is the answer.
 * Only for refusals after which nothing was done.
 */
export const withToken = async <T>(source: TokenSource, call: Call, act: (token: Token) => Promise<T>, isRefusal: (error: unknown) => boolean): Promise<T> => {
  const token = await source.get(call)
  try {
    return await act(token)
  } catch (error) {
    if (!(error instanceof LatchkeyError) || !isRefusal(error)) throw error
    source.refused(token)
    return act(await source.get(call))
  }
}
