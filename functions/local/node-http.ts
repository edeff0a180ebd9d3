// A request of Node's HTTP server as an ApiRequest, and back. The body is read to one byte over the route's limit: the application sees that it is
// too long and says so, and nobody holds more than that in memory.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ApiRequest, ApiResponse } from '../../shared/http/api.ts'
import { maxBodyBytes } from '../../shared/http/body.ts'
import { messageParts } from '../node-message.ts'
import type { TimeBudget } from '../time-budget.ts'

const bodyOf = async (message: IncomingMessage, limit: number): Promise<Uint8Array> => {
  const chunks: Uint8Array[] = []
  let room = limit + 1
  for await (const chunk of message.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    chunks.push(chunk.subarray(0, room))
    room -= Math.min(room, chunk.byteLength)
    if (room === 0) break
  }
  return Buffer.concat(chunks)
}

/** Makes an ApiRequest of what Node received. @throws when the client goes away before its body is there */
export const apiRequest = async (message: IncomingMessage, time: TimeBudget): Promise<ApiRequest> => {
  const parts = messageParts(message)
  return { ...parts, body: await bodyOf(message, maxBodyBytes(parts.method, parts.path)), signal: time.signal, deadline: time.deadline }
}

/** Sends an ApiResponse. A request whose body was not read to its end ends its connection, so that its rest is never taken for a request. */
export const sendResponse = (answer: ApiResponse, message: IncomingMessage, response: ServerResponse): void => {
  if (!message.complete) response.shouldKeepAlive = false
  response.writeHead(answer.status, { ...answer.headers, 'content-length': Buffer.byteLength(answer.body) })
  response.end(message.method === 'HEAD' ? undefined : answer.body)
}
