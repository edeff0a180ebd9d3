// Any HTTP event that AWS makes, there and back. Events of API Gateway's HTTP API and of function URLs (payload 2.0) are read here; REST APIs and load
// balancers have an older form, which only who gets it loads. The body is decoded by its flag, never by its type.
import type { ApiRequest, ApiResponse } from '../../shared/http/api.ts'
import type { Deployed } from '../deployed.ts'
import { marginMs, timeBudget } from '../time-budget.ts'
import { basePath, fromPayload2, isPayload2 } from './payload-2.ts'

/** What every form of event comes down to. `multiValue`: the sender wants its headers as lists. */
export interface HttpEvent extends Pick<ApiRequest, 'method' | 'path' | 'query' | 'headers' | 'identity'> {
  readonly multiValue: boolean
}

/** What the platform takes back. */
export interface HttpAnswer {
  readonly statusCode: number
  readonly headers?: Readonly<Record<string, string>>
  readonly multiValueHeaders?: Readonly<Record<string, readonly string[]>>
  readonly body: string
  readonly isBase64Encoded: false
}

const maxAnswerBytes = 6 * 1_048_576
const inForm = ({ status, headers, body }: ApiResponse, multiValue: boolean): HttpAnswer =>
  multiValue ? { statusCode: status, multiValueHeaders: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]])), body, isBase64Encoded: false } : { statusCode: status, headers, body, isBase64Encoded: false }

/** Answers one event, with the time the platform leaves less 1.5 s. @throws invalid_request for an event that is no HTTP event, which no HTTP caller can send */
export const answerHttp = async ({ app, runtime, requestMs }: Deployed, event: unknown, remainingMs: number): Promise<HttpAnswer> => {
  const { multiValue, path, ...parts } = isPayload2(event) ? await fromPayload2(event) : (await import('./payload-1.ts')).fromPayload1(event)
  const { body = '', isBase64Encoded } = event as { readonly body?: string | null; readonly isBase64Encoded?: boolean }
  const time = timeBudget(runtime.clock, Math.min(remainingMs - marginMs, requestMs))
  const request = { ...parts, path: basePath(path, runtime.env), body: Buffer.from(body ?? '', isBase64Encoded === true ? 'base64' : 'utf8'), signal: time.signal, deadline: time.deadline }
  const response = await app(request).finally(() => time.end())
  const answer = inForm(response, multiValue)
  if (response.body.length < maxAnswerBytes / 8 || Buffer.byteLength(JSON.stringify(answer)) < maxAnswerBytes) return answer
  return inForm((await import('./too-long.ts')).tooLong(response.headers['x-request-id'] ?? ''), multiValue)
}
