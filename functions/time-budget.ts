// The time of one request, on every host alike: an absolute deadline for those who plan, and a signal that ends what still waits when it has come.
import { LatchkeyError } from '../shared/core/errors.ts'
import { answered, type Call, type Clock, type Env } from '../shared/core/runtime.ts'

/** The longest any request may take, in milliseconds. */
export const longestRequestMs = 25_000

/** What a function leaves unused of its platform's limit, in milliseconds, so that its answer still goes out. */
export const marginMs = 1_500

/** How long a request may take by `LATCHKEY_REQUEST_SECONDS`, in milliseconds. Default: 25 000. @throws misconfigured */
export const requestMs = (env: Env): number => {
  const text = env.get('LATCHKEY_REQUEST_SECONDS') || '25'
  const ms = /^\d{1,2}$/.test(text) ? Number(text) * 1_000 : 0
  if (ms < 1_000 || ms > longestRequestMs) throw new LatchkeyError('misconfigured', `LATCHKEY_REQUEST_SECONDS must be a whole number from 1 to ${longestRequestMs / 1_000}.`)
  return ms
}

/** The patience of one request, and how it ends. */
export interface TimeBudget extends Call {
  /** Ends the wait of this request only, with `reason` or none; afterwards no timer is left behind. */
  end(reason?: Error): void
}

/** Starts the time of one request. Default: 25 s. */
export const timeBudget = (clock: Clock, ms: number = longestRequestMs): TimeBudget => {
  const request = new AbortController()
  const timer = new AbortController()
  const budget = Math.max(0, Math.min(ms, longestRequestMs))
  clock.until(clock.now() + budget, timer.signal).then(
    () => request.abort(new LatchkeyError('deadline_exceeded', `The request was not answered within ${budget} ms.`, { applied: 'unknown' })),
    () => undefined,
  )
  return {
    signal: request.signal,
    deadline: clock.now() + budget,
    end: (reason) => {
      timer.abort(answered)
      if (reason !== undefined) request.abort(reason)
    },
  }
}

/** Does one thing with the time of one request. */
export const within = async <T>(clock: Clock, work: (call: Call) => Promise<T>): Promise<T> => {
  const time = timeBudget(clock)
  try {
    return await work(time)
  } finally {
    time.end()
  }
}
