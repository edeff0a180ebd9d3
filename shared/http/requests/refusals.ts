// Requests that are not carried out, and failures on the way: what is said of them, after the audit line of the decision. Loaded by the first of them.
import { LatchkeyError, asLatchkeyError, isCode } from '../../core/errors.ts'
import type { AuditEvent, AuditReceipt, Runtime } from '../../core/runtime.ts'
import type { ApiRequest, ApiResponse, Route } from '../api.ts'
import type { Progress } from '../app.ts'
import { seesDetail } from '../auth.ts'
import { failure } from '../failures.ts'
import type { Match } from '../routing.ts'

/** One part of a request that has a limit. */
export interface Size {
  readonly part: 'url' | 'headers' | 'body'
  readonly bytes: number
  readonly limit: number
}

/** The failure for a request of which a part is over its limit. */
export const tooLarge = ({ part, bytes, limit }: Size): LatchkeyError => {
  if (part === 'url') return new LatchkeyError('uri_too_long', `url: is ${bytes} bytes long; the limit is ${limit}.`, { param: part })
  if (part === 'headers') return new LatchkeyError('headers_too_large', `headers: are ${bytes} bytes long; the limit is ${limit}.`, { param: part })
  return new LatchkeyError('too_large', `body: is longer than ${limit} bytes, the limit of this route.`, { param: part, hint: 'Send a smaller body.' })
}

/** The failure for a path that is none of ours. */
export const noRoute = (): LatchkeyError => new LatchkeyError('not_found', 'There is no route with this path.', { hint: 'The README lists the routes; a name goes below /secrets/.' })

/** The failure where an audit line was lost. A change that was allowed has been made by then. */
export const unaudited = (route: Route | undefined, { decision, operationId }: Partial<AuditEvent>): LatchkeyError => {
  const applied = route?.changes === true && decision === 'allowed' ? { applied: 'yes' as const, ...(operationId === undefined ? {} : { operationId }) } : {}
  return new LatchkeyError('audit_unavailable', 'The audit line cannot be written, so nothing is answered.', applied)
}

/** The value of a header `Allow`: HEAD goes with GET, and every path answers OPTIONS. */
const allowed = (routes: readonly Route[]): string => [...new Set(routes.flatMap((route) => (route.method === 'GET' ? ['GET', 'HEAD'] : [route.method]))), 'OPTIONS'].join(', ')

/** The answer for a method that none of a path's routes has: OPTIONS is told them, anything else refused. */
export const otherMethod = (method: string, { routes }: Match, requestId: string): ApiResponse => {
  const allow = allowed(routes)
  if (method === 'OPTIONS') return { status: 204, headers: { allow }, body: '' }
  const answer = failure(new LatchkeyError('method_not_allowed', `This path has ${allow}.`, { param: 'method' }), routes[0]?.shape ?? 'problem', requestId)
  return { ...answer, headers: { ...answer.headers, allow } }
}

/** What {@link answerFailure} needs of the application. */
export interface Failing {
  readonly runtime: Runtime
  record(event: Partial<AuditEvent> & Pick<AuditEvent, 'decision'>): Promise<AuditReceipt>
}

/** A failure becomes an answer, after its audit line if there was a decision and it has none yet. */
export const answerFailure = async (request: ApiRequest, progress: Progress, thrown: unknown, { runtime, record }: Failing): Promise<ApiResponse> => {
  let error = authored(request, progress, thrown, runtime)
  const decided = progress.route !== undefined && (progress.route.action !== 'public' || error.code === 'unauthenticated') && progress.lines === 0 && error.code !== 'audit_unavailable'
  if (decided) {
    const decision = isCode(error, 'forbidden', 'unauthenticated') ? 'denied' : 'failed'
    const { operationId } = error.details
    const named = progress.name === undefined ? {} : { name: progress.name }
    await record({ decision, code: error.code, ...named, ...(operationId === undefined ? {} : { operationId }) }).catch((lost: unknown) => {
      error = asLatchkeyError(lost).with({ ...error.details })
    })
  }
  return failure(error, shapeOf(request, progress), progress.requestId, seesDetail(progress.caller))
}

const authored = (request: ApiRequest, progress: Progress, thrown: unknown, runtime: Runtime): LatchkeyError => {
  const changing = progress.handling && progress.route?.changes === true
  if (thrown instanceof LatchkeyError) {
    return changing && thrown.details.applied === undefined && isCode(thrown, 'deadline_exceeded', 'provider_unavailable') ? thrown.with({ applied: 'unknown' }) : thrown
  }
  if (request.signal.aborted) return new LatchkeyError('deadline_exceeded', 'The caller stopped waiting.', changing ? { applied: 'unknown' } : {})
  runtime.log.log('error', 'unexpected failure', { request_id: progress.requestId, route: progress.route?.path, at: placeOf(thrown) })
  return asLatchkeyError(thrown)
}

const shapeOf = (request: ApiRequest, progress: Progress): Route['shape'] => progress.route?.shape ?? (request.path.startsWith('/key/') ? 'litellm' : 'problem')

/** Where an unexpected error was thrown: file and line of its first frame, nothing of its message. */
const placeOf = (thrown: unknown): string | undefined => {
  if (!(thrown instanceof Error) || thrown.stack === undefined) return undefined
  const start = thrown.stack.indexOf(thrown.message)
  return start < 0 ? undefined : /([\w.-]+:\d+):\d+\)?$/m.exec(thrown.stack.slice(start + thrown.message.length))?.[1]
}
