// The older form: REST APIs, HTTP APIs with payload 1.0, and Application Load Balancers. A REST API decodes the query and a load balancer does not; a load
// balancer with multi-value headers sends and takes lists only.
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { HttpEvent } from './http.ts'
import { identityOf, type RequestContext } from './identity.ts'
import { without } from './payload-2.ts'

type Single = Readonly<Record<string, string | undefined>> | null
type Multi = Readonly<Record<string, readonly string[] | undefined>> | null

interface Payload1 {
  readonly version?: string
  readonly httpMethod: string
  readonly path: string
  readonly headers?: Single
  readonly multiValueHeaders?: Multi
  readonly queryStringParameters?: Single
  readonly multiValueQueryStringParameters?: Multi
  readonly requestContext: RequestContext & { readonly stage?: string; readonly elb?: unknown }
}

const isPayload1 = (event: unknown): event is Payload1 =>
  typeof event === 'object' && event !== null && typeof (event as Partial<Payload1>).httpMethod === 'string' && typeof (event as Partial<Payload1>).path === 'string' && typeof (event as Partial<Payload1>).requestContext === 'object'

/** Every value by name; the lists where there are any, because the single form keeps only the last of several. */
const valuesOf = (multi: Multi = null, single: Single = null): readonly (readonly [string, readonly string[]])[] =>
  Object.entries(multi ?? single ?? {}).map(([name, value]) => [name, value === undefined ? [] : typeof value === 'string' ? [value] : value])

/** Its parts. @throws invalid_request for anything that is no HTTP event */
export const fromPayload1 = (event: unknown): HttpEvent => {
  if (!isPayload1(event)) throw new LatchkeyError('invalid_request', 'This function takes HTTP events of API Gateway, of a function URL or of an Application Load Balancer, and nothing else.')
  const { version, path, requestContext } = event
  const encode = requestContext.elb === undefined ? encodeURIComponent : (text: string) => text
  const query = valuesOf(event.multiValueQueryStringParameters, event.queryStringParameters).flatMap(([name, values]) => values.map((value) => `${encode(name)}=${encode(value)}`))
  const headers = Object.fromEntries(valuesOf(event.multiValueHeaders, event.headers).map(([name, values]) => [name.toLowerCase(), values.join(', ')]))
  const routed = version === '1.0' ? without(`/${requestContext.stage ?? '$default'}`, path) : path
  return { method: event.httpMethod, path: routed, query: query.join('&'), headers, multiValue: (event.multiValueHeaders ?? null) !== null, ...(requestContext.elb === undefined ? identityOf(requestContext) : {}) }
}
