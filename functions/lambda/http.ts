// API Gateway's HTTP API, payload 2.0 (a function URL has the same shape), as an ApiRequest. The body is decoded by its flag, never by its type.
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { Clock } from '../../shared/core/runtime.ts'
import type { ApiResponse, App } from '../../shared/http/api.ts'
import { timeBudget } from '../time-budget.ts'

/** What Latchkey reads of an event. */
export interface HttpEvent {
  readonly rawPath: string
  readonly rawQueryString?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly isBase64Encoded?: boolean
  readonly requestContext: { readonly stage?: string; readonly http: { readonly method: string } }
}

/** What the platform takes back. */
export type HttpAnswer = Pick<ApiResponse, 'headers' | 'body'> & { readonly statusCode: number; readonly isBase64Encoded: false }

const isHttp = (event: unknown): event is HttpEvent =>
  typeof event === 'object' && event !== null && 'rawPath' in event && typeof (event as Partial<HttpEvent>).requestContext?.http?.method === 'string'

/** A stage that is not `$default` stands before the path unless a custom domain took it away. */
const routed = (event: HttpEvent): string => {
  const stage = `/${event.requestContext.stage ?? '$default'}`
  return event.rawPath.startsWith(`${stage}/`) ? event.rawPath.slice(stage.length) : event.rawPath
}

/** Answers one event, with the time the platform leaves less 1.5 s. @throws invalid_request for an event of any other shape, which no HTTP caller can send */
export const answerHttp = async (app: App, clock: Clock, event: unknown, remainingMs: number): Promise<HttpAnswer> => {
  if (!isHttp(event)) throw new LatchkeyError('invalid_request', 'This function takes HTTP events of API Gateway (HTTP API, payload format 2.0) or of a function URL, and nothing else.')
  const time = timeBudget(clock, remainingMs - 1_500)
  const headers = Object.fromEntries(Object.entries(event.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
  const body = Buffer.from(event.body ?? '', event.isBase64Encoded === true ? 'base64' : 'utf8')
  const request = { method: event.requestContext.http.method, path: routed(event), query: event.rawQueryString ?? '', headers, body, signal: time.signal, deadline: time.deadline }
  const { status, ...answer } = await app(request).finally(() => time.end())
  return { statusCode: status, ...answer, isBase64Encoded: false }
}
