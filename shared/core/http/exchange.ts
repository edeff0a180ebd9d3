// One request over one socket: what may be sent, how long each part may take, and what can be said of it when it fails.
// The pool of sockets belongs to one peer, so that no connection is ever shared between two services, identities or trust settings.
import { X509Certificate } from 'node:crypto'
import { LatchkeyError } from '../errors.ts'
import type { HttpPeer, HttpRequest, HttpResponse, HttpText } from '../http-client.ts'
import type { Call, Clock } from '../runtime.ts'
import { SecretValue } from '../secret.ts'
import type { Lookup, Resolve } from './addresses.ts'

export type { Resolve } from './addresses.ts'

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

const reasons: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its name has no address',
  EAI_AGAIN: 'its name could not be looked up',
  ECONNREFUSED: 'it refused the connection',
  EHOSTUNREACH: 'there is no way to its network',
  ENETUNREACH: 'there is no way to its network',
  ECONNRESET: 'the connection broke',
  EPIPE: 'the connection broke',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not signed by an authority that is trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not signed by an authority that is trusted here',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not signed by an authority that is trusted here',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not signed by an authority that is trusted here',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  EPROTO: 'it does not speak TLS as expected',
}

/** A certificate that is not trusted now is not trusted a moment later. */
const lasting: ReadonlySet<string> = new Set(Object.keys(reasons).filter((code) => reasons[code]?.includes('certificate') === true))

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '')

const textOf = (text: HttpText): string => (typeof text === 'string' ? text : text instanceof SecretValue ? text.reveal() : text.map((part) => textOf(part)).join(''))
const bytesOf = (body: NonNullable<HttpRequest['body']>): Uint8Array => (typeof body === 'string' ? Buffer.from(body, 'utf8') : body instanceof SecretValue ? body.bytes() : body)

const cannotBeSent = (what: string): LatchkeyError => new LatchkeyError('invalid_request', `${what} holds characters that cannot be sent as they are.`)

/** Opens the pool. @throws misconfigured */
export const openWire = async (peer: HttpPeer, clock: Clock, resolve: Resolve | undefined): Promise<Wire> => {
  const { title, setting, identity } = peer
  const base = URL.canParse(peer.url) ? new URL(peer.url) : undefined
  if (base === undefined || !/^https?:$/.test(base.protocol) || base.username !== '' || base.password !== '' || base.search !== '' || base.hash !== '') {
    throw new LatchkeyError('misconfigured', `${setting} must be a URL of scheme, host and port, without user, query or fragment.`)
  }
  const secure = base.protocol === 'https:'
  const beforePath = base.pathname.replace(/\/+$/, '')
  const host = base.hostname.replace(/^\[|\]$/g, '')
  const { request: start, Agent } = secure ? process.getBuiltinModule('node:https') : process.getBuiltinModule('node:http')
  const [connectMs, firstByteMs, totalMs] = [peer.limits?.connect ?? 2_000, peer.limits?.firstByte ?? 3_000, peer.limits?.total ?? 5_000]
  const maxBytes = peer.maxAnswerBytes ?? mebibyte
  let lookup: Lookup | undefined
  const allowed = peer.addresses === undefined || peer.addresses === 'operator' ? undefined : peer.addresses.allowed
  if (allowed !== undefined || resolve !== undefined) {
    const { checkedLookup, refuseAddress } = await import('./addresses.ts')
    if (allowed !== undefined) refuseAddress(host, allowed, setting)
    lookup = checkedLookup(allowed, setting, resolve)
  }
  const trust = { ...(peer.ca !== undefined && { ca: peer.ca }), ...(identity !== undefined && { cert: identity.cert, key: identity.key.reveal() }), rejectUnauthorized: peer.verifyCertificate ?? true }
  try {
    // What the system trusts needs no trial, and the first context of a process takes milliseconds.
    if (secure && (peer.ca !== undefined || identity !== undefined)) process.getBuiltinModule('node:tls').createSecureContext(trust)
    if (peer.ca !== undefined) new X509Certificate(peer.ca)
  } catch {
    throw new LatchkeyError('misconfigured', `${title}: the client certificate, its key or the authorities given beside ${setting} are no PEM that fits together.`)
  }
  const usedAt = new WeakMap<object, number>()
  let closed = false
  const agent = new Agent({ keepAlive: true, maxSockets: 32, maxFreeSockets: 8, scheduling: 'lifo', ...(lookup !== undefined && { lookup }), ...(secure && { ...trust, ALPNProtocols: ['http/1.1'], minVersion: 'TLSv1.2' as const }) })

  const unavailable = (why: string, status?: number): LatchkeyError =>
    new LatchkeyError('provider_unavailable', `${title} could not be reached, or did not answer sensibly: ${why}. Check ${setting} and the way there.`, status === undefined ? {} : { vendor: { status } })
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
      if (closed) return { failure: 'refused', error: unavailable('the connection to it is closed') }
      if (!repeatable) dropIdle(freshSocketMs)
      const endBy = Math.min(clock.now() + totalMs, call.deadline)
      return new Promise((settle) => {
        let sent = false
        let over = false
        let timer = new AbortController()
        const outgoing = start({ protocol: base.protocol, host, port: base.port === '' ? (secure ? 443 : 80) : Number(base.port), method: request.method, path, headers, agent, setDefaultHeaders: true })
        const finish = (outcome: HttpResponse | WireFailure): void => {
          if (over) return
          over = true
          if (outgoing.socket !== null) usedAt.set(outgoing.socket, clock.now())
          timer.abort()
          call.signal.removeEventListener('abort', leave)
          if ('failure' in outcome) outgoing.destroy()
          settle(outcome)
        }
        const broken = (error: Error): void => finish({ failure: sent ? 'broken' : 'unreached', error })
        const leave = (): void => finish({ failure: 'refused', error: call.signal.reason as Error })
        /** The next part of the exchange may take until then. */
        const limit = (within: number, why: string): void => {
          timer.abort()
          timer = new AbortController()
          const at = Math.min(clock.now() + within, endBy)
          const late = (): void => {
            if (at < call.deadline) broken(unavailable(why))
            else finish({ failure: 'refused', error: new LatchkeyError('deadline_exceeded', `${title} did not answer within the time of this call.`, { applied: sent ? 'unknown' : 'no' }) })
          }
          clock.until(at, timer.signal).then(late, () => undefined)
        }
        call.signal.addEventListener('abort', leave, { once: true })
        limit(totalMs, 'too many other requests to it wait')
        outgoing.once('socket', (socket) => {
          const connected = (): void => {
            sent = true
            limit(firstByteMs, 'its answer took too long')
          }
          if (!socket.connecting) return connected()
          limit(connectMs, 'the connection took too long')
          socket.once(secure ? 'secureConnect' : 'connect', connected)
        })
        outgoing.on('error', (error) => {
          if (error instanceof LatchkeyError) return finish({ failure: 'refused', error })
          const known = unavailable(reasons[codeOf(error)] ?? 'the exchange failed')
          if (outgoing.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(codeOf(error))) finish({ failure: 'stale', error: known })
          else if (lasting.has(codeOf(error)) || closed) finish({ failure: 'refused', error: known })
          else broken(known)
        })
        outgoing.once('upgrade', (_, socket) => {
          socket.destroy()
          finish({ failure: 'refused', error: unavailable('it wants to speak another protocol', 101) })
        })
        outgoing.once('response', (incoming) => {
          const status = incoming.statusCode ?? 0
          limit(totalMs, 'its answer took too long')
          const nonsense = (why: string): void => finish({ failure: 'refused', error: unavailable(why, status) })
          if (status >= 300 && status < 400) return nonsense('it answered with a redirect, which is never followed; give the address that it leads to')
          if (!['', 'identity', 'base64'].includes(incoming.headers['content-encoding'] ?? '')) return nonsense('its answer is compressed though that was not asked for')
          if (Number(incoming.headers['content-length'] ?? 0) > maxBytes) return nonsense(`its answer is larger than ${maxBytes} bytes`)
          const chunks: Buffer[] = []
          let size = 0
          incoming.on('data', (chunk: Buffer) => {
            size += chunk.byteLength
            if (size > maxBytes) nonsense(`its answer is larger than ${maxBytes} bytes`)
            else chunks.push(chunk)
          })
          incoming.once('error', () => broken(unavailable('its answer broke off')))
          incoming.once('end', () => {
            if (!incoming.complete) return broken(unavailable('its answer broke off'))
            const flat = Object.entries(incoming.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')] as const)
            finish({ status, headers: Object.fromEntries(flat), body: Buffer.concat(chunks) })
          })
        })
        outgoing.end(body)
      })
    },
  }
}
