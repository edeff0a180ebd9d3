// A login that is used until shortly before it ends: one in flight, whoever waits, and one more when the service refuses what we hold.
// Compared with the clock at use, never renewed by a timer: a function host sleeps between calls.
import { LatchkeyError } from '../core/errors.ts'
import { waitFor, type Call, type Clock } from '../core/runtime.ts'
import type { SecretValue } from '../core/secret.ts'

/** What a login gave. */
export interface Token {
  readonly value: SecretValue
  /** Epoch milliseconds after which it is not used; without it, until it is refused. */
  readonly useUntil?: number
}

/** How a service is logged into. */
export interface Login {
  readonly clock: Clock
  /** Gets a token; `held` is the one it replaces, for services that can renew. Its call is the flight's own: no caller's leaving ends it. */
  login(call: Call, held: Token | undefined): Promise<Token>
}

/** The token of one identity. */
export interface TokenSource {
  /** A token that is good now, as far as the clock tells. @throws whatever the login throws, deadline_exceeded */
  get(call: Call): Promise<Token>
  /** The service refused this token: it is not given out again. */
  refused(token: Token): void
}

const flightMs = 10_000

/** Keeps one token. A failed login is not remembered: the next who asks tries again. */
export const tokenSource = ({ clock, login }: Login): TokenSource => {
  let held: Token | undefined
  let flight: Promise<Token> | undefined
  const good = (token: Token | undefined): token is Token => token !== undefined && (token.useUntil === undefined || clock.now() < token.useUntil)
  const fly = (): Promise<Token> =>
    (flight ??= login({ signal: new AbortController().signal, deadline: clock.now() + flightMs }, held)
      .then((token) => (held = token))
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
