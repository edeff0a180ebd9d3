// The application: the order of checks, one audit line a decision, and the headers every answer has. What a route does is in the route table.
// Checks run in one fixed order (414/431/413, 404, 405, 401, 403, 415, 400), so that nobody learns from a later one what an earlier one hides.
import { LatchkeyError, asLatchkeyError, isCode } from '../core/errors.ts'
import type { AuditEvent, AuditReceipt, Call } from '../core/runtime.ts'
import type { Answer, ApiRequest, ApiResponse, App, Caller, Exchange, Route, Services } from './api.ts'
import { anonymous, demand, seesDetail } from './auth.ts'
import { badField, checkContentType, maxBodyBytes } from './body.ts'
import { allowed, createRouter, decodeName, decodeOnce, parseQuery, type Match } from './routing.ts'

const maxUrlBytes = 2048
const maxHeaderBytes = 8192

/** What is known of a request so far; failures are rendered with as much as there is. */
interface Progress {
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
    const answered = await respond(request, progress).catch((error: unknown) => fail(request, progress, error))
    return finish(request, progress, answered)
  }

  async function respond(request: ApiRequest, progress: Progress): Promise<ApiResponse> {
    checkSizes(request)
    const match = find(request.method, request.path)
    if (match === undefined) throw new LatchkeyError('not_found', 'There is no route with this path.', { hint: 'The README lists the routes; a name goes below /secrets/.' })
    if (request.method === 'OPTIONS') return { status: 204, headers: { allow: allowed(match.routes) }, body: '' }
    const route = match.routes.find((row) => row.method === (request.method === 'HEAD' ? 'GET' : request.method))
    if (route === undefined) return await refuseMethod(match, progress)
    progress.route = route
    const call: Call = { signal: request.signal, deadline: request.deadline }
    if (route.action !== 'public') progress.caller = await services.auth.authenticate(request, call)
    const raw = match.raw
    authorize(route, raw, progress)
    if (route.body !== undefined && request.body.byteLength > 0) checkContentType(request.headers)
    const exchange: Exchange = {
      services,
      route,
      caller: progress.caller,
      call,
      requestId: progress.requestId,
      headers: request.headers,
      ...(request.identity !== undefined && { identity: request.identity }),
      params: Object.fromEntries(Object.entries(raw).map(([name, text]) => [name, name === 'name' ? decodeName(text) : decodeOnce(text, name)])),
      query: parseQuery(request.query, route, (name) => unsupportedQuery(name)),
      body: await bodyOf(request, route),
      record: (event) => record(progress, event),
    }
    if (route.changes === true) await readyToChange(request, progress)
    if (services.runtime.clock.now() >= request.deadline) throw new LatchkeyError('deadline_exceeded', 'The time for this request was over before it began.', { applied: 'no' })
    progress.handling = true
    return route.handler(exchange)
  }

  /** After a line was lost, nothing more is changed until a line can be written again. */
  async function readyToChange(request: ApiRequest, progress: Progress): Promise<void> {
    const key = request.headers['idempotency-key']
    if (key !== undefined && !/^[\x20-\x7e]{16,255}$/.test(key)) throw badField('idempotency-key', 'must be 16 to 255 printable ASCII characters', 'Send a fresh UUID for each intent.')
    if (!trail.broken) return
    await record(progress, { action: 'audit:resume', decision: 'allowed' }).catch((error: unknown) => {
      throw asLatchkeyError(error).with({ applied: 'no' })
    })
    progress.lines = 0
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
      const applied = route?.changes === true && event.decision === 'allowed' ? { applied: 'yes' as const, ...(event.operationId === undefined ? {} : { operationId: event.operationId }) } : {}
      throw new LatchkeyError('audit_unavailable', 'The audit line cannot be written, so nothing is answered.', applied)
    }
  }

  /** A failure becomes an answer, after its audit line if there was a decision and it has none yet. */
  async function fail(request: ApiRequest, progress: Progress, thrown: unknown): Promise<ApiResponse> {
    let error = authored(request, progress, thrown)
    const decided = progress.route !== undefined && (progress.route.action !== 'public' || error.code === 'unauthenticated') && progress.lines === 0 && error.code !== 'audit_unavailable'
    if (decided) {
      const decision = isCode(error, 'forbidden', 'unauthenticated') ? 'denied' : 'failed'
      const { operationId } = error.details
      const named = progress.name === undefined ? {} : { name: progress.name }
      await record(progress, { decision, code: error.code, ...named, ...(operationId === undefined ? {} : { operationId }) }).catch((lost: unknown) => {
        error = asLatchkeyError(lost).with({ ...error.details })
      })
    }
    const { failure } = await import('./failures.ts')
    return failure(error, shapeOf(request, progress), progress.requestId, seesDetail(progress.caller))
  }

  function authored(request: ApiRequest, progress: Progress, thrown: unknown): LatchkeyError {
    const changing = progress.handling && progress.route?.changes === true
    if (thrown instanceof LatchkeyError) {
      return changing && thrown.details.applied === undefined && isCode(thrown, 'deadline_exceeded', 'provider_unavailable') ? thrown.with({ applied: 'unknown' }) : thrown
    }
    if (request.signal.aborted) return new LatchkeyError('deadline_exceeded', 'The caller stopped waiting.', changing ? { applied: 'unknown' } : {})
    services.runtime.log.log('error', 'unexpected failure', { request_id: progress.requestId, route: progress.route?.path, at: placeOf(thrown) })
    return asLatchkeyError(thrown)
  }
}

const requestIdOf = (request: ApiRequest, services: Services): string => {
  const given = request.headers['x-request-id']
  return given !== undefined && /^[\w.:@-]{1,128}$/.test(given) ? given : Buffer.from(services.runtime.random.bytes(16)).toString('hex')
}

const checkSizes = (request: ApiRequest): void => {
  const url = request.path.length + (request.query === '' ? 0 : request.query.length + 1)
  if (url > maxUrlBytes) throw new LatchkeyError('uri_too_long', `url: is ${url} bytes long; the limit is ${maxUrlBytes}.`, { param: 'url' })
  const counted = Object.entries(request.headers).reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value) + 4, 0)
  const headers = request.headerBytes ?? counted
  if (headers > maxHeaderBytes) throw new LatchkeyError('headers_too_large', `headers: are ${headers} bytes long; the limit is ${maxHeaderBytes}.`, { param: 'headers' })
  const limit = maxBodyBytes(request.method, request.path)
  if (request.body.byteLength > limit) throw new LatchkeyError('too_large', `body: is longer than ${limit} bytes, the limit of this route.`, { param: 'body', hint: 'Send a smaller body.' })
}

const shapeOf = (request: ApiRequest, progress: Progress): Route['shape'] => progress.route?.shape ?? (request.path.startsWith('/key/') ? 'litellm' : 'problem')

const refuseMethod = async (match: Match, progress: Progress): Promise<ApiResponse> => {
  const { failure } = await import('./failures.ts')
  const allow = allowed(match.routes)
  const answer = failure(new LatchkeyError('method_not_allowed', `This path has ${allow}.`, { param: 'method' }), match.routes[0]?.shape ?? 'problem', progress.requestId)
  return { ...answer, headers: { ...answer.headers, allow } }
}

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

const bodyOf = async (request: ApiRequest, route: Route): Promise<Exchange['body']> => {
  if (request.body.byteLength > 0 && route.body === undefined) throw badField('body', 'must be empty on this route; the limit is 0 bytes', 'Send no body.')
  if (request.body.byteLength === 0 && route.body === 'required') throw badField('body', 'must not be empty', 'Send a JSON object with `Content-Type: application/json`.')
  return request.body.byteLength === 0 ? {} : (await import('./json-reader.ts')).parseBody(request.body)
}

const unsupportedQuery = (name: string): LatchkeyError =>
  new LatchkeyError('unsupported', `query.${name}: is LiteLLM's; Latchkey keeps no table of keys that it could sort or search by it.`, { param: name, hint: 'Page with cursor and limit; narrow by team_id and key_alias.' })

/** Where an unexpected error was thrown: file and line of its first frame, nothing of its message. */
const placeOf = (thrown: unknown): string | undefined => {
  if (!(thrown instanceof Error) || thrown.stack === undefined) return undefined
  const start = thrown.stack.indexOf(thrown.message)
  return start < 0 ? undefined : /([\w.-]+:\d+):\d+\)?$/m.exec(thrown.stack.slice(start + thrown.message.length))?.[1]
}

const finish = (request: ApiRequest, progress: Progress, response: ApiResponse | Answer): ApiResponse => ({
  status: response.status,
  headers: { ...response.headers, ...constantHeaders(progress.requestId) },
  body: request.method === 'HEAD' ? '' : response.body,
})
