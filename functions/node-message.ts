// A message of Node's HTTP server, as plain parts: what the local server and Google's framework have in common.
import type { IncomingMessage } from 'node:http'
import type { ApiRequest } from '../shared/http/api.ts'

/** Everything of a request but its body and its time. */
export const messageParts = (message: IncomingMessage): Pick<ApiRequest, 'method' | 'path' | 'query' | 'headers'> & { readonly headerBytes: number } => {
  const [, path = '/', query = ''] = /^([^?]*)\??(.*)$/s.exec(message.url ?? '/') ?? []
  const headers = Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]))
  const headerBytes = message.rawHeaders.reduce((sum, part) => sum + Buffer.byteLength(part, 'latin1') + 2, 0)
  return { method: message.method ?? 'GET', path, query, headers, headerBytes }
}
