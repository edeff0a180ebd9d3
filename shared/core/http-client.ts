// The one way out for requests that Latchkey writes itself: deadlines, repetitions, size, redirects and what a failure may say are decided here, once.
// Nothing of a request ever stands in an error: no URL, no header, no body. It takes the network from process.getBuiltinModule, because an ESM import of node:http costs every cold start 10 to 20 ms.
import { openWire, type Resolve } from './http/exchange.ts'
import { checkCall, type Call, type Clock, type Random } from './runtime.ts'
import type { SecretValue } from './secret.ts'

/** One service at one address, and how it is talked to. */
export interface HttpPeer {
  /** Scheme, host and port; a path in it stands before the path of every request. */
  readonly url: string
  /** The service's name, for messages. */
  readonly title: string
  /** The setting that holds the address, for messages. */
  readonly setting: string
  /** PEM of the authorities to trust in place of the system's. */
  readonly ca?: string
  /** The certificate that Latchkey shows, PEM. */
  readonly identity?: { readonly cert: string; readonly key: SecretValue }
  /** Default: true. */
  readonly verifyCertificate?: boolean
  /** `operator`: dialled wherever it leads. Otherwise no private, local or metadata address is dialled but those in `allowed` (CIDR). Default: `operator`. */
  readonly addresses?: 'operator' | { readonly allowed: readonly string[] }
  /** Bytes of an answer's body. Default: 1 MiB. */
  readonly maxAnswerBytes?: number
  /** Sendings of one request at most, the first included. Default: 3. */
  readonly attempts?: number
  /** Milliseconds. Default: connect 2000, first byte 3000, total 5000; each of an attempt, within the call's own deadline. */
  readonly limits?: { readonly connect?: number; readonly firstByte?: number; readonly total?: number }
}

/** Text that may hold a secret, or be made of several parts. */
export type HttpText = string | SecretValue | readonly (string | SecretValue)[]

/** One request. */
export interface HttpRequest {
  readonly method: string
  /** Path and query from the first `/`, encoded. What a URL parser would read otherwise is refused. */
  readonly path: string
  readonly headers?: Readonly<Record<string, HttpText>>
  readonly body?: string | Uint8Array | SecretValue
  /** Whether it may be sent twice. Default: GET, HEAD and LIST may. */
  readonly repeatable?: boolean
  /** Statuses that are worth a repetition, beside 429 (always, nothing was done) and 500, 502, 503 and 504. */
  readonly repeatOn?: readonly number[]
  /** For services that say so in the body: whether this answer, of status 400 or more, is worth a repetition, beside those. */
  readonly repeatIf?: (response: HttpResponse) => boolean | Promise<boolean>
}

/** An answer, whatever its status. Redirects never get here. */
export interface HttpResponse {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** A connection to one service; it keeps its sockets. */
export interface HttpClient {
  /**
   * Sends one request and waits for the whole answer. Throttled and failing services are asked again, with growing pauses or as `Retry-After` says, while attempts and
   * deadline last; a request that is not repeatable only where nothing can have happened.
   * @throws provider_unavailable (also for redirects and nonsense), deadline_exceeded, invalid_request (a path or header that cannot be sent as it is), the signal's reason
   */
  send(request: HttpRequest, call: Call): Promise<HttpResponse>
  close(): Promise<void>
}

/** The port. */
export interface HttpPort {
  /** Makes no call. @throws misconfigured naming the setting when the address, a certificate or a key cannot be used */
  connect(peer: HttpPeer): Promise<HttpClient>
}

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'LIST'])
/** Text as one part of a path or query: everything but RFC 3986's unreserved characters as %XX of UTF-8, `!'()*` too, which JavaScript leaves alone. */
export const encodePart = (text: string): string => encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

/** The port on the network of this machine. `resolve` turns a host into addresses; default: the system's resolver. */
export const nodeHttp = (clock: Clock, random: Random, resolve?: Resolve): HttpPort => ({
  connect: async (peer) => {
    const wire = await openWire(peer, clock, resolve)
    const attempts = peer.attempts ?? 3

    return {
      send: async (request, call) => {
        const repeatable = request.repeatable ?? safeMethods.has(request.method)
        checkCall(call, clock)
        const first = await wire.exchange(request, repeatable, call)
        if (!('failure' in first) && first.status < 400) return first
        return (await import('./http/repeating.ts')).repeated({ wire, clock, random, attempts }, request, repeatable, call, first)
      },
      close: async () => wire.close(),
    }
  },
})
