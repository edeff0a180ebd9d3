// The currency at the rim: plain objects in, plain objects out, and the route table as data. No `Request`, no `Response`: touching those
// globals loads undici, which costs every cold start 10 to 20 ms.
import type { Grant } from '../core/configuration.ts'
import type { actions } from '../core/configuration/access.ts'
import type { IdentityKind } from '../core/configuration/identities.ts'
import type { AuditEvent, AuditReceipt, Call, Runtime } from '../core/runtime.ts'
import type { KeyLifecycle } from '../core/key-lifecycle.ts'
import type { Rotator } from '../core/rotation/rotator.ts'
import type { Reader } from '../core/stores/reading.ts'
import type { SecretStore } from '../core/store.ts'

/** What a host adapter makes of its event. */
export interface ApiRequest {
  readonly method: string
  /** As it came: still percent-encoded, without the query. */
  readonly path: string
  /** As it came, without `?`. */
  readonly query: string
  /** Names in lower case; a header that came twice is joined with `, `. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly signal: AbortSignal
  /** Epoch milliseconds of the clock. */
  readonly deadline: number
  /** The size of the header block where the host knows it; otherwise it is counted from `headers`. */
  readonly headerBytes?: number
  readonly identity?: ProvedIdentity
}

/**
 * Who calls, as the platform in front of a function proved it. A host adapter makes it of what only its platform can write, never of what a caller may have
 * sent; it counts for nothing unless an entry of `latchkey.access` names it.
 */
export interface ProvedIdentity {
  readonly kind: IdentityKind
  /** By the fields of that kind's settings: every text that is true of the caller. */
  readonly facts: Readonly<Record<string, readonly string[]>>
}

/** What a request says of who sent it. */
export type Credentials = Pick<ApiRequest, 'headers' | 'identity'>

/** What a host adapter turns back; the body is always text. */
export interface ApiResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** One thing a caller may be allowed to do. */
export type Action = (typeof actions)[number]

/** Who calls, proved. */
export interface Caller {
  readonly name: string
  /** The master key may do everything but `keys:reveal`. */
  readonly master: boolean
  readonly grants: readonly Grant[]
  /** The names that no grant covers, as `auth.ts` spells them: the secrets of the master keys. */
  readonly barred?: readonly string[]
  /** Who must be allowed as well: the holder of the token that an identity sent beside itself. */
  readonly also?: Caller
}

/** Tells who calls from what the platform proved and from the headers. */
export interface Authenticator {
  /** @throws unauthenticated; the failure of the master key's store when only that could decide */
  authenticate(credentials: Credentials, call: Call): Promise<Caller>
}

/** What the handlers work with; `latchkey.ts` composes it. */
export interface Services {
  /** By name; `default` is there always, and is where writes go without `store`. */
  readonly stores: ReadonlyMap<string, SecretStore>
  /** Reads across the stores in their configured order. */
  readonly reader: Reader
  /** Loaded by the first key route, so that the read function never loads it. */
  readonly keys: () => Promise<KeyLifecycle>
  /** Loaded by the first event. */
  readonly rotator: () => Promise<Rotator>
  readonly auth: Authenticator
  readonly runtime: Runtime
  readonly version: string
  /** Whether any route here changes something; the read function has none, and its identity may not either. */
  readonly changes: boolean
}

declare const audited: unique symbol
/** An answer that may leave. Only `answer` and `openAnswer` in `problem.ts` make one, and `answer` takes the audit receipt. */
export interface Answer extends ApiResponse {
  readonly [audited]: true
}

/** A value of a request's JSON body. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/** A JSON body as a whole. */
export type JsonObject = { readonly [key: string]: Json }

/** One request on its way through a handler. */
export interface Exchange {
  readonly services: Services
  readonly route: Route
  /** On public routes the caller may be absent. */
  readonly caller: Caller
  readonly call: Call
  readonly requestId: string
  readonly headers: Readonly<Record<string, string>>
  readonly identity?: ProvedIdentity
  /** Path parameters, decoded once. */
  readonly params: Readonly<Record<string, string>>
  readonly query: ReadonlyMap<string, string>
  readonly body: JsonObject
  /** Writes one audit line about one decision. @throws audit_unavailable */
  record(event: Partial<AuditEvent> & Pick<AuditEvent, 'decision'>): Promise<AuditReceipt>
}

/** One row of the route table. */
export interface Route {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** Literal text; `{name}` takes the rest up to a verb and may hold slashes, `{key}` takes one segment. */
  readonly path: string
  /** How failures are rendered: problem+json, or LiteLLM's `{"error": {…}}` with LiteLLM's statuses. */
  readonly shape: 'problem' | 'litellm'
  /** What the caller must be allowed to do, one of them; `public` asks for no credential, `anyone` for any valid one. */
  readonly action: readonly Action[] | 'public' | 'anyone'
  /** What the audit line calls it, where that is not the action. */
  readonly audit?: string
  /** The query parameters there are; every other one is refused. */
  readonly query?: readonly string[]
  /** LiteLLM's parameters that Latchkey knows and does not have: answered `unsupported`. */
  readonly unsupportedQuery?: readonly string[]
  /** Without it the route takes no body. */
  readonly body?: 'required' | 'optional'
  /** Whether it changes anything: takes `Idempotency-Key`, and waits for a working audit. */
  readonly changes?: boolean
  handler(exchange: Exchange): Promise<Answer>
}

/** The application: one request in, one answer out. It never throws. */
export type App = (request: ApiRequest) => Promise<ApiResponse>

