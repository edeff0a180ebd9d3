// What every fake that speaks HTTP shares: a service is one function from request to answer, without a socket. Here it gets a socket on loopback, faults
// and a record of what was asked; or no socket at all, for the simulator, where every request is one step behind a hook.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { HttpPort, HttpText } from '../../shared/core/http-client.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import type { Fault, FaultKind } from '../conformance/harness.ts'
import type { Hook } from '../shapes/service.ts'

/** One request as it arrived. */
export interface WireRequest {
  readonly method: string
  /** Encoded, without the query. */
  readonly path: string
  readonly query: URLSearchParams
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** The subject of the certificate that the client showed, if it showed one that the fake trusts. */
  readonly certificate?: string
}

/** One answer. An object as body is JSON. */
export interface WireAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | object
}

/** The refusals that a fault can ask for; the service words them as the vendor does. */
export type Refusal = 'denied' | 'throttled' | 'unavailable' | 'expired_credential'

/** A fake service: its state, its rules, and how it refuses. It knows no socket and no clock but the one it was made with. */
export interface WireService {
  /** The whole of one request, at once: what it changes is changed when it returns. */
  handle(request: WireRequest): WireAnswer
  /** Whether a request is one that changes something. */
  changes(request: WireRequest): boolean
  /** What a refusal looks like. `echo` must stand in it where a careless client would repeat it. */
  refuse(refusal: Refusal, echo: string): WireAnswer
  /** Requests that faults pass by, such as logins that the exam does not mean. Default: none. */
  spared?(request: WireRequest): boolean
  /** Name of the step and of what it is about, for the simulator's trace. Default: method and path. */
  step?(request: WireRequest): { readonly call: string; readonly name: string }
}

/** A fault of the exam, or an answer put in place of the service's. */
export interface WireFault extends Omit<Fault, 'kind'> {
  readonly kind: FaultKind | 'says'
  /** Only requests for which this is true. */
  readonly only?: (request: WireRequest) => boolean
  /** For `says`: the answer, whatever the truth. */
  readonly answer?: WireAnswer
}

/** A running fake. */
export interface RunningFake {
  readonly url: string
  /** Every request in the order of arrival, refused ones included. */
  readonly requests: WireRequest[]
  fault(fault: WireFault): void
  /** Once an answer is being held back by a `slow` fault; at once when there is no such fault. */
  held(): Promise<void>
  heal(): void
  close(): Promise<void>
}

/** TLS for a fake: its own certificate, and the authority whose clients it knows. */
export interface FakeTls {
  readonly cert: string
  readonly key: string
  readonly clientCa?: string
}

const refusals: Partial<Record<WireFault['kind'], Refusal>> = { denied: 'denied', throttled: 'throttled', unavailable_before: 'unavailable', unavailable_after: 'unavailable', expired_credential: 'expired_credential' }

const page = (echo: string): string => `<html><body>Sign in to the guest network ${echo}</body></html>`
const nonsense: Partial<Record<WireFault['kind'], (service: WireService, echo: string) => WireAnswer>> = {
  html: (_, echo) => ({ status: 200, headers: { 'content-type': 'text/html' }, body: page(echo) }),
  mistyped: (_, echo) => ({ status: 200, headers: { 'content-type': 'application/json' }, body: page(echo) }),
  empty: () => ({ status: 200, headers: { 'content-type': 'application/json' }, body: '' }),
  error_body: (service, echo) => ({ ...service.refuse('unavailable', echo), status: 200 }),
  redirect: (_, echo) => ({ status: 302, headers: { location: `https://elsewhere.example/${encodeURIComponent(echo)}` }, body: '' }),
}

/** The whole body of a request. */
export const bodyOf = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const rendered = ({ status, headers = {}, body = '' }: WireAnswer): { readonly status: number; readonly headers: Record<string, string>; readonly body: Buffer } => {
  const json = typeof body === 'object' && !(body instanceof Uint8Array)
  const bytes = typeof body === 'string' ? Buffer.from(body) : body instanceof Uint8Array ? Buffer.from(body) : Buffer.from(JSON.stringify(body))
  return { status, headers: { ...(json && { 'content-type': 'application/json' }), ...headers }, body: bytes }
}

const send = (response: ServerResponse, answer: WireAnswer): void => {
  const { status, headers, body } = rendered(answer)
  response.writeHead(status, { ...headers, ...(status !== 204 && status !== 304 && { 'content-length': body.byteLength }) })
  response.end(body)
}

/** The faults of one fake: which request is struck, and the answers that are held back. */
export interface Faults<F> {
  fault(fault: F): void
  /** The first fault whose turn it is. Every one that `means` the request counts it, up to that first. */
  striking(means: (fault: F) => boolean): F | undefined
  /** Holds an answer back until `heal`. */
  hold(): Promise<void>
  /** Once an answer is being held back; at once when there is no `slow` fault. */
  held(): Promise<void>
  /** Takes every fault away, and lets go of what is held. */
  heal(): void
}

/** No fault yet. */
export const noFaults = <F extends Pick<Fault, 'nth' | 'times'> & { readonly kind: string }>(): Faults<F> => {
  let faults: { readonly fault: F; met: number }[] = []
  const holding: (() => void)[] = []
  const waiting: (() => void)[] = []
  return {
    fault: (fault) => void faults.push({ fault, met: 0 }),
    striking: (means) =>
      faults.find((armed) => {
        const { nth: first = 1, times = Number.POSITIVE_INFINITY } = armed.fault
        if (!means(armed.fault)) return false
        armed.met += 1
        return armed.met >= first && armed.met < first + times
      })?.fault,
    hold: () =>
      new Promise((resume) => {
        holding.push(resume)
        for (const noticed of waiting.splice(0)) noticed()
      }),
    held: () => (holding.length > 0 || !faults.some(({ fault }) => fault.kind === 'slow') ? Promise.resolve() : new Promise((resolve) => void waiting.push(resolve))),
    heal: () => {
      faults = []
      for (const resume of holding.splice(0)) resume()
    },
  }
}

/** Gives a server a free port of loopback. Answers its port, and how it ends. */
export const listen = async (server: Server): Promise<{ readonly port: number; close(): Promise<void> }> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Starts a service on a free port of loopback. */
export const startFake = async (service: WireService, options: { readonly tls?: FakeTls } = {}): Promise<RunningFake> => {
  const requests: WireRequest[] = []
  const { striking, hold, ...faults } = noFaults<WireFault>()
  const means = (request: WireRequest) => ({ on, only }: WireFault): boolean =>
    (only !== undefined || service.spared?.(request) !== true) && (on === undefined || (on === 'change') === service.changes(request)) && only?.(request) !== false

  const answer = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(incoming)
    const at = (incoming.url ?? '').indexOf('?')
    const path = at < 0 ? (incoming.url ?? '') : (incoming.url ?? '').slice(0, at)
    const socket = incoming.socket as Partial<TLSSocket>
    const shown = socket.authorized === true ? socket.getPeerCertificate?.().subject?.CN : undefined
    const request: WireRequest = {
      method: incoming.method ?? '',
      path,
      query: new URLSearchParams(at < 0 ? '' : (incoming.url ?? '').slice(at + 1)),
      headers: Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)])),
      body,
      ...(shown !== undefined && { certificate: String(shown) }),
    }
    requests.push(request)
    const fault = striking(means(request))
    const echo = fault?.echo ?? ''
    if (fault?.kind === 'reset') return void incoming.socket.destroy()
    if (fault?.kind === 'says') return send(response, fault.answer ?? { status: 200 })
    const refusal = fault === undefined ? undefined : refusals[fault.kind]
    if (refusal !== undefined && fault?.kind !== 'unavailable_after') return send(response, service.refuse(refusal, echo))
    const foreign = fault === undefined ? undefined : nonsense[fault.kind]?.(service, echo)
    if (foreign !== undefined) return send(response, foreign)
    const truth = service.handle(request)
    if (refusal !== undefined) return send(response, service.refuse(refusal, echo))
    if (fault?.kind === 'slow') await hold()
    if (fault?.kind === 'malformed') return send(response, { status: 200, headers: { 'content-type': 'application/json' }, body: `{"half": "an answer ${echo}", ` })
    if (fault?.kind === 'truncated') {
      const whole = Buffer.concat([rendered(truth).body, Buffer.from(`${echo} and what is cut off`)])
      response.writeHead(200, { ...rendered(truth).headers, 'content-length': whole.byteLength })
      return void response.write(whole.subarray(0, Math.floor(whole.byteLength / 2)), () => response.destroy())
    }
    send(response, truth)
  }

  const listener = (incoming: IncomingMessage, response: ServerResponse): void => {
    answer(incoming, response).catch(() => {
      // A fake that fails is a 500, as everywhere; the test that provoked it sees it there.
      if (!response.headersSent) send(response, { status: 500, body: 'the fake failed' })
    })
  }
  const { tls } = options
  const server = tls === undefined ? createServer(listener) : createSecureServer({ cert: tls.cert, key: tls.key, ...(tls.clientCa !== undefined && { ca: tls.clientCa, requestCert: true, rejectUnauthorized: false }) }, listener)
  const { port, close } = await listen(server)
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    requests,
    ...faults,
    close: () => {
      faults.heal()
      return close()
    },
  }
}

const textOf = (text: HttpText): string => (typeof text === 'string' ? text : text instanceof SecretValue ? text.reveal() : text.map((part) => textOf(part)).join(''))

/** The same service without a socket, for the simulator: one request is one step behind the hook, and nothing is sent twice but by the provider itself. */
export const wireless = (service: WireService, hook: Hook): HttpPort => ({
  connect: async (peer) => {
    const before = new URL(peer.url).pathname.replace(/\/+$/, '')
    return {
      send: async ({ method, path, headers = {}, body = '' }, call) => {
        call.signal.throwIfAborted()
        const { pathname, searchParams } = new URL(before + path, peer.url)
        const request: WireRequest = {
          method,
          path: pathname,
          query: searchParams,
          headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name.toLowerCase(), textOf(text)])),
          body: body instanceof SecretValue ? body.bytes() : Buffer.from(body),
        }
        const step = service.step?.(request) ?? { call: method, name: pathname }
        const answer = await hook({ ...step, changes: service.changes(request) }, () => rendered(service.handle(request)))
        if (answer.status >= 300 && answer.status < 400) throw new LatchkeyError('provider_unavailable', 'It answered with a redirect.')
        return answer
      },
      close: async () => undefined,
    }
  },
})
