// The application: the order of checks, one audit line a decision, and the headers every answer has. What a route does is in the route table.
// Checks run in one fixed order (414/431/413, 404, 405, 401, 403, 415, 400), so that nobody learns from a later one what an earlier one hides.
import { LatchkeyError } from '../core/errors.ts'
import type { AuditEvent, AuditReceipt, Call } from '../core/runtime.ts'
import type { Answer, ApiRequest, ApiResponse, App, Caller, Exchange, Route, Services } from './api.ts'
import { anonymous, demand } from './auth.ts'
import { maxBodyBytes } from './body.ts'
import type { Size } from './requests/refusals.ts'
import { createRouter, decodeName, decodeOnce, type Match } from './routing.ts'

const maxUrlBytes = 2048
const maxHeaderBytes = 8192

/** Loaded by the first request that is refused or fails. */
const refusals = (): Promise<typeof import('./requests/refusals.ts')> => import('./requests/refusals.ts')

/** What is known of a request so far; failures are rendered with as much as there is. */
export interface Progress {
  readonly requestId: string
  route?: Route
  caller: Caller
  name?: string
  /** Audit lines written. */
  lines: number
  handling: boolean
}

/** What stands on every answer, whatever it is. */
export const constantHeaders = (requestId: string) => ({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'x-request-id': requestId })

/** Makes the application of a route table. It answers every request and never throws. */
export const createApp = (routes: readonly Route[], services: Services): App => {
  const find = createRouter(routes)
  const trail = { broken: false }

  return async (request) => {
    const progress: Progress = { requestId: requestIdOf(request, services), caller: anonymous, lines: 0, handling: false }
    const answered = await respond(request, progress).catch(async (error: unknown) =>
      (await refusals()).answerFailure(request, progress, error, { runtime: services.runtime, record: (event) => record(progress, event) }),
    )
    return finish(request, progress, answered)
  }

  async function respond(request: ApiRequest, progress: Progress): Promise<ApiResponse> {
    const over = sizesOf(request).find(({ bytes, limit }) => bytes > limit)
    if (over !== undefined) throw (await refusals()).tooLarge(over)
    const match = find(request.method, request.path)
    if (match === undefined) throw (await refusals()).noRoute()
    const route = match.routes.find((row) => row.method === (request.method === 'HEAD' ? 'GET' : request.method))
    if (route === undefined) return (await refusals()).otherMethod(request.method, match, progress.requestId)
    progress.route = route
    const call: Call = { signal: request.signal, deadline: request.deadline }
    if (route.action !== 'public') progress.caller = await services.auth.authenticate(request, call)
    const raw = match.raw
    authorize(route, raw, progress)
    const body = request.body.byteLength > 0 || route.body === 'required' ? await import('./requests/body.ts') : undefined
    body?.checkContentType(request, route)
    const exchange: Exchange = {
      services,
      route,
      caller: progress.caller,
      call,
      requestId: progress.requestId,
      headers: request.headers,
      ...(request.identity !== undefined && { identity: request.identity }),
      params: Object.fromEntries(Object.entries(raw).map(([name, text]) => [name, name === 'name' ? decodeName(text) : decodeOnce(text, name)])),
      query: request.query === '' ? new Map<string, string>() : (await import('./requests/query.ts')).parseQuery(request.query, route),
      body: body?.bodyOf(request, route) ?? {},
      record: (event) => record(progress, event),
    }
    if (route.changes === true) await (await import('./requests/changes.ts')).readyToChange(request, progress, { trail, record: (event) => record(progress, event) })
    if (services.runtime.clock.now() >= request.deadline) throw new LatchkeyError('deadline_exceeded', 'The time for this request was over before it began.', { applied: 'no' })
    progress.handling = true
    return route.handler(exchange)
  }

  async function record(progress: Progress, event: Partial<AuditEvent> & Pick<AuditEvent, 'decision'>): Promise<AuditReceipt> {
    const route = progress.route
    const action = route === undefined ? 'none' : (route.audit ?? (typeof route.action === 'string' ? `${route.method} ${route.path}` : (route.action[0] ?? 'none')))
    try {
      const receipt = await services.runtime.audit.record({ action, caller: progress.caller.name, requestId: progress.requestId, ...event })
      progress.lines += 1
      trail.broken = false
      return receipt
    } catch {
      trail.broken = true
      throw (await refusals()).unaudited(route, event)
    }
  }
}

const requestIdOf = (request: ApiRequest, services: Services): string => {
  const given = request.headers['x-request-id']
  return given !== undefined && /^[\w.:@-]{1,128}$/.test(given) ? given : Buffer.from(services.runtime.random.bytes(16)).toString('hex')
}

/** The parts of a request that have a limit, in the order in which they are held against it. */
const sizesOf = (request: ApiRequest): readonly Size[] => [
  { part: 'url', bytes: request.path.length + (request.query === '' ? 0 : request.query.length + 1), limit: maxUrlBytes },
  { part: 'headers', bytes: request.headerBytes ?? Object.entries(request.headers).reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value) + 4, 0), limit: maxHeaderBytes },
  { part: 'body', bytes: request.body.byteLength, limit: maxBodyBytes(request.method, request.path) },
]

/** Whether there is anything the caller may do here; by the name where the path has one, the rest is the handler's. */
const authorize = (route: Route, raw: Match['raw'], progress: Progress): void => {
  if (typeof route.action === 'string') return
  try {
    if (raw['name'] !== undefined) progress.name = decodeName(raw['name'])
  } catch {
    demand(progress.caller, route.action)
    return
  }
  demand(progress.caller, route.action, progress.name === undefined ? {} : { name: progress.name })
}

const finish = (request: ApiRequest, progress: Progress, response: ApiResponse | Answer): ApiResponse => ({
  status: response.status,
  headers: { ...response.headers, ...constantHeaders(progress.requestId) },
  body: request.method === 'HEAD' ? '' : response.body,
})
