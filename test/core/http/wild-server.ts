// A server that may do anything with its sockets: it sees requests as text and answers bytes, or does worse. No HTTP library stands between.
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createSecureServer, type TlsOptions } from 'node:tls'
import { onTestFinished } from 'vitest'
import { callOf, testRuntime, type TestRuntime } from '../../support/runtime.ts'
import type { HttpClient, HttpPeer } from '../../../shared/core/http-client.ts'
import type { Call } from '../../../shared/core/runtime.ts'

/** One request as it arrived: its head as text, its body, the how-manieth of the server and of its socket. */
export interface Arrived {
  readonly head: string
  readonly body: string
  readonly nth: number
  readonly ofSocket: number
}

/** What is done with it. */
export type Behaviour = (socket: Socket, request: Arrived) => void

/** A whole answer as it goes over the wire. */
export const answer = (status: string, body = '', headers: readonly string[] = []): string =>
  [`HTTP/1.1 ${status}`, 'content-type: application/json', `content-length: ${Buffer.byteLength(body)}`, ...headers, '', body].join('\r\n')

/** An answer that begins so; what follows is up to the test. */
export const head = (status: string, ...headers: readonly string[]): string => [`HTTP/1.1 ${status}`, ...headers, '', ''].join('\r\n')

/** The wild server. */
export interface WildServer {
  readonly port: number
  readonly requests: Arrived[]
  /** Sockets taken so far. */
  readonly sockets: Socket[]
  /** Once so many requests have arrived in all. */
  arrived(count: number): Promise<void>
}

/** Starts it on a free port; it ends with the test. `onSocket` sees a socket before anything is read from it. */
export const startWild = async (behave: Behaviour, given: { readonly onSocket?: (socket: Socket) => void; readonly tls?: TlsOptions } = {}): Promise<WildServer> => {
  const requests: Arrived[] = []
  const sockets: Socket[] = []
  let waiting: { readonly count: number; readonly wake: () => void }[] = []
  const take = (socket: Socket): void => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    given.onSocket?.(socket)
    let held = ''
    let ofSocket = 0
    socket.on('data', (chunk: Buffer) => {
      held += chunk.toString('latin1')
      for (;;) {
        const end = held.indexOf('\r\n\r\n')
        if (end < 0) return
        const length = Number(/content-length: (\d+)/i.exec(held.slice(0, end))?.[1] ?? 0)
        if (held.length < end + 4 + length) return
        ofSocket += 1
        const request = { head: held.slice(0, end), body: held.slice(end + 4, end + 4 + length), nth: requests.length + 1, ofSocket }
        held = held.slice(end + 4 + length)
        requests.push(request)
        behave(socket, request)
        for (const { count, wake } of waiting) if (requests.length >= count) wake()
        waiting = waiting.filter(({ count }) => requests.length < count)
      }
    })
  }
  const server = given.tls === undefined ? createServer(take) : createSecureServer(given.tls, take)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    sockets,
    arrived: (count) => (requests.length >= count ? Promise.resolve() : new Promise((wake) => void waiting.push({ count, wake }))),
  }
}

/** A client of ours on a server, with time that the test moves and pauses that pass at once. */
export interface Opened {
  readonly client: HttpClient
  readonly runtime: TestRuntime
  call(given?: { readonly signal?: AbortSignal; readonly withinMs?: number }): Call
}

/** Connects to `url`; the client is closed with the test. */
export const connectTo = async (url: string, more: Partial<HttpPeer> = {}): Promise<Opened> => {
  const runtime = testRuntime({ hurries: true })
  const client = await runtime.http.connect({ url, title: 'The service', setting: 'service_url', ...more })
  onTestFinished(() => client.close())
  return { client, runtime, call: (given) => callOf(runtime.clock, given) }
}

/** Both at once, on plain http. */
export const wild = async (behave: Behaviour, more: Partial<HttpPeer> = {}, onSocket?: (socket: Socket) => void): Promise<Opened & { readonly server: WildServer }> => {
  const server = await startWild(behave, onSocket === undefined ? {} : { onSocket })
  return { server, ...(await connectTo(`http://127.0.0.1:${server.port}`, more)) }
}

/** Lets everything that has happened be noticed, and then lets time go by. */
export const letPass = async ({ runtime }: Opened, ms: number): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, 20))
  runtime.clock.advance(ms)
}
