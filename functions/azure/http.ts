// A request of Azure Functions, there and back. Its objects are the platform's and made of fetch; of them only url, headers and the body's stream are touched,
// and what goes back is plain. The URL is cut as text: parsing it once more would resolve what the caller encoded.
import type { HttpRequest, HttpResponseInit } from '@azure/functions'
import { maxBodyBytes } from '../../shared/http/body.ts'
import type { Deployed } from '../deployed.ts'
import { timeBudget } from '../time-budget.ts'
import { easyAuthIdentity } from './identity.ts'

/** The body to one byte over the route's limit: the application sees that it is too long and says so. */
const bodyOf = async ({ body }: HttpRequest, limit: number): Promise<Uint8Array> => {
  const chunks: Uint8Array[] = []
  let room = limit + 1
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    chunks.push(chunk.subarray(0, room))
    room -= Math.min(room, chunk.byteLength)
    if (room === 0) break
  }
  return Buffer.concat(chunks)
}

/** Answers one request within the time of a request; the platform's own limit is far beyond it. */
export const answerHttp = async ({ app, runtime, requestMs, trust }: Deployed, request: HttpRequest): Promise<HttpResponseInit> => {
  const [, path = '', query = ''] = /^[a-z]+:\/\/[^/?#]*([^?#]*)\??([^#]*)/is.exec(request.url) ?? []
  const { method } = request
  const headers = Object.fromEntries(request.headers.entries())
  const time = timeBudget(runtime.clock, requestMs)
  try {
    const body = await bodyOf(request, maxBodyBytes(method, path))
    const { status, headers: answered, body: text } = await app({ method, path: path || '/', query, headers, body, signal: time.signal, deadline: time.deadline, ...easyAuthIdentity(headers, trust) })
    return { status, headers: answered, body: text }
  } finally {
    time.end()
  }
}
