// Asking again: which outcomes are worth it, after which pause, and what may be said to have been done. Loaded by the first request that is not simply answered.
import { LatchkeyError } from '../errors.ts'
import type { HttpRequest, HttpResponse } from '../http-client.ts'
import { retryAfterOf } from './answers.ts'
import { checkCall, type Call, type Clock, type Random } from '../runtime.ts'
import type { Wire, WireFailure } from './exchange.ts'

const busyStatuses: ReadonlySet<number> = new Set([500, 502, 503, 504])
const firstPauseMs = 100
const longestPauseMs = 5_000

/** What sends, and how often at most. */
export interface Repeating {
  readonly wire: Wire
  readonly clock: Clock
  readonly random: Random
  readonly attempts: number
}

/** Goes on after the first sending had this outcome. @throws as `HttpClient.send` */
export const repeated = async ({ wire, clock, random, attempts }: Repeating, request: HttpRequest, repeatable: boolean, call: Call, first: HttpResponse | WireFailure): Promise<HttpResponse> => {
  /** A kept socket that was dead costs no attempt. */
  const onFreshSocket = async (outcome: HttpResponse | WireFailure): Promise<HttpResponse | WireFailure> => {
    if (!('failure' in outcome) || outcome.failure !== 'stale' || !repeatable) return outcome
    checkCall(call, clock)
    wire.dropIdle()
    return wire.exchange(request, repeatable, call)
  }

  const pauseBefore = async (outcome: HttpResponse | WireFailure, attempt: number): Promise<number | undefined> => {
    const jitter = ((random.bytes(1)[0] ?? 0) / 256) * firstPauseMs * 2 ** (attempt - 1)
    const grown = Math.min(longestPauseMs, firstPauseMs * 2 ** (attempt - 1) + jitter)
    if ('failure' in outcome) return outcome.failure === 'unreached' || (outcome.failure !== 'refused' && repeatable) ? grown : undefined
    const { status } = outcome
    const again = status === 429 || (repeatable && (busyStatuses.has(status) || request.repeatOn?.includes(status) === true || (status >= 400 && (await request.repeatIf?.(outcome)) === true)))
    if (!again) return undefined
    const asked = retryAfterOf(outcome)
    return asked === undefined ? grown : asked * 1000 <= longestPauseMs ? asked * 1000 : undefined
  }

  let mayBeDone = false
  /** "Not applied" is true of the sending that was not made; an earlier one may have been carried out. */
  const honest = (error: Error): Error => (mayBeDone && error instanceof LatchkeyError && error.details.applied === 'no' ? error.with({ applied: 'unknown' }) : error)
  const exchange = async (): Promise<HttpResponse | WireFailure> => {
    checkCall(call, clock)
    return wire.exchange(request, repeatable, call)
  }
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await (attempt === 1 ? Promise.resolve(first) : exchange()).then(onFreshSocket).catch((error: Error) => Promise.reject(honest(error)))
    mayBeDone ||= 'failure' in outcome ? outcome.failure === 'broken' || outcome.failure === 'stale' : busyStatuses.has(outcome.status)
    const pause = attempt < attempts ? await pauseBefore(outcome, attempt) : undefined
    if (pause !== undefined && clock.now() + pause < call.deadline) {
      await clock.sleep(pause, call.signal)
      continue
    }
    if (!('failure' in outcome)) return outcome
    throw honest(outcome.error)
  }
}
