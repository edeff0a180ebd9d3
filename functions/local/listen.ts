// The application behind Node's HTTP server, with the server's own limits: a header block or URL that Node gives up on is answered as the
// application would answer it, a slow client loses its connection, and stopping waits for the requests that are in flight.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { Clock } from '../../shared/core/runtime.ts'
import type { App } from '../../shared/http/api.ts'
import { failure } from '../../shared/http/failures.ts'
import { timeBudget, type TimeBudget } from '../time-budget.ts'
import { apiRequest, sendResponse } from './node-http.ts'

const limits = { maxHeaderSize: 16 * 1024, headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5_000, maxHeadersCount: 200 }

/** A server that takes requests. */
export interface Listening {
  /** `http://host:port`, with the port that was really taken. */
  readonly url: string
  /** Takes no new request; resolves when those in flight are answered. */
  stop(): Promise<void>
}

/** Serves `app` on one address; each request may take `requestMs`, by default 25 s. @throws misconfigured when the address cannot be taken */
export const listen = async (app: App, at: { readonly host: string; readonly port: number; readonly requestMs?: number }, clock: Clock): Promise<Listening> => {
  const server: Server = process.getBuiltinModule('node:http').createServer(limits, (message, response) => void answer(server, app, timeBudget(clock, at.requestMs), message, response))
  server.on('clientError', refuse)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(unusable(error.code, at)))
    server.listen(at.port, at.host, resolve)
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://${at.host.includes(':') ? `[${at.host}]` : at.host}:${port}`, stop: () => stop(server) }
}

const answer = async (server: Server, app: App, time: TimeBudget, message: IncomingMessage, response: ServerResponse): Promise<void> => {
  // A caller who leaves ends its own waiting for a read; a change that has begun is brought to its end.
  if (message.method === 'GET') response.once('close', () => time.end(new LatchkeyError('deadline_exceeded', 'The caller went away.')))
  try {
    const given = await app(await apiRequest(message, time))
    if (!server.listening) response.shouldKeepAlive = false
    sendResponse(given, message, response)
  } catch {
    response.destroy()
  } finally {
    time.end()
  }
}

/** Node could not read the request: its header block is too large, or it is no HTTP. */
const refuse = (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Socket): void => {
  if (!error.code?.startsWith('HPE_') || !socket.writable) return void socket.destroy()
  const longUrl = /^[A-Z]+ \S{2049}/.test(error.rawPacket?.toString('latin1') ?? '')
  const code = error.code !== 'HPE_HEADER_OVERFLOW' ? 'invalid_request' : longUrl ? 'uri_too_long' : 'headers_too_large'
  const said = { invalid_request: 'This is no HTTP request.', uri_too_long: 'The URL is longer than 2 KiB.', headers_too_large: 'The header block is larger than 8 KiB.' }[code]
  const { status, headers, body } = failure(new LatchkeyError(code, said), 'problem', '')
  const lines = Object.entries({ ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${code}\r\n${lines.join('')}\r\n${body}`)
}

const stop = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve())
    server.closeIdleConnections()
  })

const unusable = (code: string | undefined, { host, port }: { host: string; port: number }): LatchkeyError => {
  const why: Readonly<Record<string, string>> = {
    EADDRINUSE: `Port ${port} on ${host} is taken by another program. Stop that program, or choose another port: PORT=${port + 1} npm start.`,
    EACCES: `Port ${port} may not be used by this user. Choose one above 1023: PORT=4100 npm start.`,
    EADDRNOTAVAIL: `HOST=${host} is no address of this machine. Leave HOST out to listen on 127.0.0.1.`,
    ENOTFOUND: `HOST=${host} is no address of this machine. Leave HOST out to listen on 127.0.0.1.`,
  }
  return new LatchkeyError('misconfigured', why[code ?? ''] ?? `${host}, port ${port}, cannot be listened on (${code ?? 'no reason given'}).`)
}
