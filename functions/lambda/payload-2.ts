// API Gateway's HTTP API with payload 2.0; a function URL has the same form.
import type { Env } from '../../shared/core/runtime.ts'
import type { HttpEvent } from './http.ts'
import type { RequestContext } from './identity.ts'

/** What Latchkey reads of such an event. */
export interface Payload2 {
  readonly rawPath: string
  readonly rawQueryString?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly requestContext: RequestContext & { readonly stage?: string; readonly http: { readonly method: string } }
}

/** Whether an event has this form. */
export const isPayload2 = (event: unknown): event is Payload2 =>
  typeof event === 'object' && event !== null && 'rawPath' in event && typeof event.rawPath === 'string' && typeof (event as Partial<Payload2>).requestContext?.http?.method === 'string'

/** The path without what may or may not stand before it. */
export const without = (prefix: string, path: string): string => (path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path)

/** A custom domain may map the API below a path, LATCHKEY_BASE_PATH. */
export const basePath = (path: string, env: Env): string => {
  const base = env.get('LATCHKEY_BASE_PATH')
  return base === undefined || base === '' ? path : without(`/${base.replaceAll(/^\/+|\/+$/g, '')}`, path)
}

/** Its parts. Only who comes through an authorizer loads what reads its word. A stage that is not `$default` stands before the path unless a custom domain took it away. */
export const fromPayload2 = async ({ rawPath, rawQueryString = '', headers = {}, requestContext }: Payload2): Promise<HttpEvent> => ({
  method: requestContext.http.method,
  path: without(`/${requestContext.stage ?? '$default'}`, rawPath),
  query: rawQueryString,
  headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
  multiValue: false,
  ...((requestContext.authorizer ?? requestContext.identity) ? (await import('./identity.ts')).identityOf(requestContext) : {}),
})
