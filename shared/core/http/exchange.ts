// One request over one socket: what may be sent, how long each part may take, and what can be said of it when it fails.
// The pool of sockets belongs to one peer, so that no connection is ever shared between two services, identities or trust settings.
import { LatchkeyError } from '../errors.ts'
import type { HttpPeer, HttpRequest, HttpResponse, HttpText } from '../http-client.ts'
import { answered, type Call, type Clock } from '../runtime.ts'
import { SecretValue } from '../secret.ts'
import type { Lookup, Resolve } from './addresses.ts'

export type { Resolve } from './addresses.ts'

/** Why there is no answer: what the wire saw of it, from which setbacks.ts makes what is said. */
export interface Setback {
  readonly why: 'closed' | 'left' | 'waiting' | 'connecting' | 'answering' | 'error' | 'upgrade' | 'redirect' | 'compressed' | 'large' | 'cut'
  /** Whether anything of the request had been sent. */
  readonly sent: boolean
  /** It was the call's own time that ran out. */
  readonly outOfTime?: boolean
  readonly error?: unknown
  /** The socket had been used before. */
  readonly reused?: boolean
  readonly closed?: boolean
  readonly status?: number
}

/** Why there is no answer. `unreached`: nothing was sent. `stale`: a kept socket was dead. `broken`: it may have been carried out. `refused`: repeating does not help. */
export interface WireFailure {
  readonly failure: 'unreached' | 'stale' | 'broken' | 'refused'
  readonly error: Error
}

/** The sockets to one peer. */
export interface Wire {
  exchange(request: HttpRequest, repeatable: boolean, call: Call): Promise<HttpResponse | WireFailure>
  /** Forgets the sockets that wait for use. */
  dropIdle(): void
  close(): void
}

/** A function host may have slept since: a change is not risked on a socket that has waited as long as this. */
const freshSocketMs = 4_000
const mebibyte = 1_048_576

const textOf = (text: HttpText): string => (typeof text === 'string' ? text : text instanceof SecretValue ? text.reveal() : text.map((part) => textOf(part)).join(''))
const bytesOf = (body: NonNullable<HttpRequest['body']>): Uint8Array => (typeof body === 'string' ? Buffer.from(body, 'utf8') : body instanceof SecretValue ? body.bytes() : body)

const cannotBeSent = (what: string): LatchkeyError => new LatchkeyError('invalid_request', `${what} holds characters that cannot be sent as they are.`)

/** Opens the pool. @throws misconfigured */
export const openWire = async (peer: HttpPeer, clock: Clock, resolve: Resolve | undefined): Promise<Wire> => {
  const { setting, identity } = peer
  const base = URL.canParse(peer.url) ? new URL(peer.url) : undefined
  if (base === undefined || !/^https?:$/.test(base.protocol) || base.username !== '' || base.password !== '' || base.search !== '' || base.hash !== '') {
    throw new LatchkeyError('misconfigured', `${setting} must be a URL of scheme, host and port, without user, query or fragment.`)
  }
  const secure = base.protocol === 'https:'
  const beforePath = base.pathname.replace(/\/+$/, '')
  const host = base.hostname.replace(/^\[|\]$/g, '')
  const { request: start, Agent } = secure ? process.getBuiltinModule('node:https') : process.getBuiltinModule('node:http')
  const [connectMs, firstByteMs, totalMs] = [peer.limits?.connect ?? 2_000, peer.limits?.firstByte ?? 3_000, peer.limits?.total ?? 5_000]
  const shortestMs = Math.min(connectMs, firstByteMs, totalMs)
  const maxBytes = peer.maxAnswerBytes ?? mebibyte
  let lookup: Lookup | undefined
  const allowed = peer.addresses === undefined || peer.addresses === 'operator' ? undefined : peer.addresses.allowed
  if (allowed !== undefined || resolve !== undefined) {
    const { checkedLookup, refuseAddress } = await import('./addresses.ts')
    if (allowed !== undefined) refuseAddress(host, allowed, setting)
    lookup = checkedLookup(allowed, setting, resolve)
  }
  // What the system trusts needs no trial.
  const trust = peer.ca === undefined && identity === undefined ? { rejectUnauthorized: peer.verifyCertificate ?? true } : (await import('./trust.ts')).checkedTrust(peer, secure)
  const usedAt = new WeakMap<object, number>()
  let closed = false
  const agent = new Agent({ keepAlive: true, maxSockets: 32, maxFreeSockets: 8, scheduling: 'lifo', ...(lookup !== undefined && { lookup }), ...(secure && { ...trust, ALPNProtocols: ['http/1.1'], minVersion: 'TLSv1.2' as const }) })

  const dropIdle = (waitedMs = 0): void => {
    for (const socket of Object.values(agent.freeSockets).flatMap((sockets) => [...(sockets ?? [])])) if (clock.now() - (usedAt.get(socket) ?? 0) >= waitedMs) socket.destroy()
  }

  /** The path and the headers as they go out, held against what a URL parser and a header may be. @throws invalid_request */
  const prepare = (request: HttpRequest): { readonly path: string; readonly headers: Record<string, string>; readonly body: Uint8Array | undefined } => {
    if (!/^[A-Z]+$/.test(request.method)) throw cannotBeSent('The method')
    const path = beforePath + request.path
    const parsed = URL.canParse(path, base.origin) ? new URL(path, base.origin) : undefined
    if (parsed === undefined || !request.path.startsWith('/') || parsed.origin !== base.origin || parsed.pathname + parsed.search !== path) throw cannotBeSent('The name')
    const headers: Record<string, string> = { accept: 'application/json', 'accept-encoding': 'identity' }
    for (const [name, value] of Object.entries(request.headers ?? {})) {
      const text = textOf(value)
      if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name)) throw cannotBeSent('The name of a header')
      if (!/^[\t\x20-\x7e]*$/.test(text)) throw cannotBeSent(`The header ${name}`)
      headers[name.toLowerCase()] = text
    }
    const body = request.body === undefined ? undefined : bytesOf(request.body)
    if (body !== undefined || !['GET', 'HEAD', 'LIST', 'DELETE'].includes(request.method)) headers['content-length'] = String(body?.byteLength ?? 0)
    return { path, headers, body }
  }

  return {
    dropIdle: () => dropIdle(),
    close: () => {
      closed = true
      agent.destroy()
    },
    exchange: async (request, repeatable, call) => {
      const { path, headers, body } = prepare(request)
      const failed = async (setback: Setback): Promise<WireFailure> => (await import('./setbacks.ts')).failureOf(setback, peer, maxBytes)
      if (closed) return failed({ why: 'closed', sent: false })
      if (!repeatable) dropIdle(freshSocketMs)
      const endBy = Math.min(clock.now() + totalMs, call.deadline)
      const outcome = await new Promise<HttpResponse | Setback>((settle) => {
        let sent = false
        let over = false
        const ended = new AbortController()
        let part = { until: endBy, why: 'waiting' as Setback['why'] }
        const outgoing = start({ protocol: base.protocol, host, port: base.port === '' ? (secure ? 443 : 80) : Number(base.port), method: request.method, path, headers, agent, setDefaultHeaders: true })
        const finish = (outcome: HttpResponse | Setback): void => {
          if (over) return
          over = true
          if (outgoing.socket !== null) usedAt.set(outgoing.socket, clock.now())
          ended.abort(answered)
          call.signal.removeEventListener('abort', leave)
          if ('why' in outcome) outgoing.destroy()
          settle(outcome)
        }
        const fail = (why: Setback['why'], more: Partial<Setback> = {}): void => finish({ why, sent, ...more })
        const leave = (): void => fail('left', { error: call.signal.reason })
        /** The next part of the exchange may take until then. */
        const limit = (within: number, why: Setback['why']): void => {
          part = { until: Math.min(clock.now() + within, endBy), why }
        }
        /** Looks often enough for the shortest part: the usual exchange is over before the first look, and has needed one timer. */
        const watch = async (): Promise<void> => {
          while (clock.now() < part.until) await clock.until(Math.min(part.until, clock.now() + shortestMs), ended.signal)
          fail(part.why, { outOfTime: part.until >= call.deadline })
        }
        call.signal.addEventListener('abort', leave, { once: true })
        watch().catch(() => undefined)
        outgoing.once('socket', (socket) => {
          const connected = (): void => {
            sent = true
            limit(firstByteMs, 'answering')
          }
          if (!socket.connecting) return connected()
          limit(connectMs, 'connecting')
          socket.once(secure ? 'secureConnect' : 'connect', connected)
        })
        outgoing.on('error', (error) => fail('error', { error, reused: outgoing.reusedSocket, closed }))
        outgoing.once('upgrade', (_, socket) => {
          socket.destroy()
          fail('upgrade', { status: 101 })
        })
        outgoing.once('response', (incoming) => {
          const status = incoming.statusCode ?? 0
          limit(totalMs, 'answering')
          if (status >= 300 && status < 400) return fail('redirect', { status })
          if (!['', 'identity', 'base64'].includes(incoming.headers['content-encoding'] ?? '')) return fail('compressed', { status })
          if (Number(incoming.headers['content-length'] ?? 0) > maxBytes) return fail('large', { status })
          const chunks: Buffer[] = []
          let size = 0
          incoming.on('data', (chunk: Buffer) => {
            size += chunk.byteLength
            if (size > maxBytes) fail('large', { status })
            else chunks.push(chunk)
          })
          incoming.once('error', () => fail('cut'))
          incoming.once('end', () => {
            if (!incoming.complete) return fail('cut')
            const flat = Object.entries(incoming.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')] as const)
            finish({ status, headers: Object.fromEntries(flat), body: Buffer.concat(chunks) })
          })
        })
        outgoing.end(body)
      })
      return 'why' in outcome ? failed(outcome) : outcome
    },
  }
}
