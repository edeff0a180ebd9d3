// A Vault in memory, from its contract: namespaces in path and header alike, seals, quotas without Retry-After, logins, policies, KV version 2 engines. It is examined by
// node-vault and hvac, and its neighbour in the peer lane is OpenBao itself.
import type { RunningFake, FakeTls, WireAnswer, WireRequest, WireService } from '../wire.ts'
import { startFake } from '../wire.ts'
import { Access, type FakeRole, type FakeToken, type Rule, type TokenWish } from './access.ts'
import { envelope, KvEngine, parseJson, refusal } from './kv.ts'

/** A running fake, and what its operator does. */
export interface VaultFake extends RunningFake {
  readonly state: VaultState
  readonly rootToken: string
}

/** How a fake begins. */
export interface VaultStart {
  readonly now: () => number
  /** Vault's free edition has no namespaces: it ignores their header. Default: true. */
  readonly namespaces?: boolean
  readonly tls?: FakeTls
}

const isList = ({ method, query }: WireRequest): boolean => method === 'LIST' || (method === 'GET' && ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(query.get('list') ?? ''))
const decode = (path: string): string => path.split('/').map((segment) => decodeURIComponent(segment)).join('/')

/** The service: its state, its rules, and what an operator sets up. */
export class VaultState implements WireService {
  readonly access: Access
  readonly rootToken: string
  /** Mount, with its namespace before it → engine. */
  readonly engines = new Map<string, KvEngine>()
  readonly namespaces = new Set<string>([''])
  readonly #hasNamespaces: boolean
  readonly #now: () => number
  sealed = false
  /** Requests of one second that are answered; more are refused. */
  perSecond = Number.POSITIVE_INFINITY
  #second = 0
  #count = 0
  /** Answers that the next requests get, whatever they are. */
  readonly says: WireAnswer[] = []

  constructor({ now, namespaces = true }: Pick<VaultStart, 'now' | 'namespaces'>) {
    this.#now = now
    this.#hasNamespaces = namespaces
    this.access = new Access(now)
    this.rootToken = this.access.token().id
    this.mount('secret')
  }

  /** Mounts a KV version 2 engine. */
  mount(path: string, namespace = ''): KvEngine {
    const engine = new KvEngine(this.#now)
    this.engines.set(namespace === '' ? path : `${namespace}/${path}`, engine)
    return engine
  }

  namespace(path: string): void {
    this.namespaces.add(path)
  }

  policy(name: string, ...rules: readonly Rule[]): void {
    this.access.policies.set(name, rules)
  }

  role(role: FakeRole): void {
    this.access.roles.push(role)
  }

  token(wish: TokenWish = {}): string {
    return this.access.token(wish).id
  }

  changes(request: WireRequest): boolean {
    const reading = /\/(?:sys\/capabilities-self|auth\/.*login|auth\/token\/renew-self|sys\/wrapping\/unwrap)$/.test(request.path)
    return !['GET', 'LIST', 'HEAD'].includes(request.method) && !reading
  }

  /** Faults are the engine's: the logins of whoever is examined go on. */
  spared(request: WireRequest): boolean {
    return /^\/v1\/auth\/.*(?:login|renew-self)$/.test(request.path)
  }

  refuse(kind: 'denied' | 'throttled' | 'unavailable' | 'expired_credential', echo: string): WireAnswer {
    if (kind === 'throttled') return refusal(429, `request path "${echo}": rate limit quota exceeded`)
    if (kind === 'unavailable') return refusal(500, `internal error ${echo}`)
    return refusal(403, `1 error occurred:\n\t* permission denied ${echo}\n\n`)
  }

  /** For the simulator: unconditional writes of metadata are named apart from the conditional ones of data. */
  step(request: WireRequest): { readonly call: string; readonly name: string } {
    const [, kind = '', name = ''] = /\/v1\/secret\/(\w+)\/(.*)$/.exec(decode(request.path)) ?? []
    const call = kind === 'metadata' && this.changes(request) ? 'patchMetadata' : kind === 'data' && this.changes(request) ? 'write' : kind
    return { call, name }
  }

  handle(request: WireRequest): WireAnswer {
    const said = this.says.shift()
    if (said !== undefined) return said
    const second = Math.floor(this.#now() / 1000)
    this.#count = second === this.#second ? this.#count + 1 : 1
    this.#second = second
    if (this.#count > this.perSecond) return refusal(429, `request path "${decode(request.path).slice(4)}": rate limit quota exceeded`)
    if (!request.path.startsWith('/v1/')) return { status: 404, headers: { 'content-type': 'text/plain' }, body: '404 page not found' }
    if (request.path === '/v1/sys/health') return { status: this.sealed ? 503 : 200, body: { initialized: true, sealed: this.sealed, standby: false } }
    if (this.sealed) return refusal(503, 'Vault is sealed')
    if (request.body.byteLength > 32 * 1024 * 1024) return refusal(413, 'http: request body too large')
    let path: string
    let body: unknown
    try {
      path = decode(request.path.slice(4))
      body = request.body.byteLength === 0 ? {} : parseJson(request.body.toString('utf8'))
    } catch {
      return refusal(400, 'failed to parse JSON input')
    }
    if (/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(path)) return refusal(400, 'path cannot contain non-printable characters')
    const header = this.#hasNamespaces ? (request.headers['x-vault-namespace'] ?? '').replace(/^\/|\/$/g, '') : ''
    if (!this.namespaces.has(header)) return refusal(404, 'namespace not found')
    const whole = header === '' ? path : `${header}/${path}`
    const namespace = this.#hasNamespaces ? [...this.namespaces].filter((one) => one === '' || whole.startsWith(`${one}/`)).reduce((a, b) => (b.length > a.length ? b : a), '') : ''
    return this.#route(request, namespace, namespace === '' ? whole : whole.slice(namespace.length + 1), body)
  }

  #route(request: WireRequest, namespace: string, path: string, body: unknown): WireAnswer {
    const id = request.headers['x-vault-token'] ?? /^Bearer (.+)$/.exec(request.headers['authorization'] ?? '')?.[1]
    const map = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
    const noHandler = refusal(404, `no handler for route "${path}". route entry not found.`)
    const login = /^auth\/(.+)\/login$/.exec(path)
    if (login !== null) return (request.method === 'POST' || request.method === 'PUT' ? this.access.login(login[1] ?? '', namespace, map, request.certificate) : refusal(405, 'unsupported operation')) ?? noHandler
    if (path === 'sys/wrapping/unwrap') return this.access.unwrap(typeof map['token'] === 'string' ? map['token'] : (id ?? ''))
    const token = this.access.known(id, namespace)
    if (token === undefined) return refusal(403, 'permission denied')
    if (path.startsWith('auth/token/') || path.startsWith('sys/')) return this.#system(request, token, namespace, path, map) ?? noHandler
    const [mount, engine] = [...this.engines].find(([at]) => (namespace === '' ? path : `${namespace}/${path}`).startsWith(`${at}/`)) ?? []
    if (mount === undefined || engine === undefined) return token.policies.includes('root') ? noHandler : refusal(403, '1 error occurred:\n\t* permission denied\n\n')
    const local = namespace === '' ? mount : mount.slice(namespace.length + 1)
    const [kind = '', ...rest] = path.slice(local.length + 1).split('/')
    const below = rest.join('/')
    const method = isList(request) ? 'LIST' : request.method
    const capability = method === 'LIST' ? 'list' : method === 'GET' ? 'read' : method === 'DELETE' ? 'delete' : method === 'PATCH' ? 'patch' : ['data', 'metadata'].includes(kind) && !engine.has(below) ? 'create' : 'update'
    if (!this.access.allows(token, namespace, path, capability)) return refusal(403, '1 error occurred:\n\t* permission denied\n\n')
    return engine.handle(kind, { method, path: below, query: request.query, type: request.headers['content-type'] ?? '', body })
  }

  #system(request: WireRequest, token: FakeToken, namespace: string, path: string, body: Readonly<Record<string, unknown>>): WireAnswer | undefined {
    const writing = request.method === 'POST' || request.method === 'PUT'
    const mounted = /^sys\/internal\/ui\/mounts\/(.+?)\/?$/.exec(path)?.[1]
    if (mounted !== undefined) {
      const there = this.engines.has(namespace === '' ? mounted : `${namespace}/${mounted}`)
      const from = namespace.slice(token.namespace.length).replace(/^\//, '')
      const rules = token.policies.flatMap((name) => this.access.policies.get(name) ?? [])
      const some = token.policies.includes('root') || rules.some((rule) => rule.path.startsWith(`${from === '' ? '' : `${from}/`}${mounted}/`))
      return there && some ? { status: 200, body: envelope({ type: 'kv', path: `${mounted}/`, options: { version: '2' } }) } : refusal(403, `preflight capability check returned 403, please ensure client's policies grant access to path "${mounted}/"`)
    }
    if (!this.access.allows(token, namespace, path, writing ? 'update' : 'read')) return refusal(403, '1 error occurred:\n\t* permission denied\n\n')
    if (path === 'auth/token/lookup-self') return this.access.lookup(token)
    if (path === 'auth/token/renew-self' && writing) return this.access.renew(token)
    if (path === 'auth/token/revoke-self' && writing) return this.access.tokens.delete(token.id), { status: 204 }
    if (path !== 'sys/capabilities-self' || !writing || !Array.isArray(body['paths'])) return undefined
    const granted = Object.fromEntries(body['paths'].map((asked) => [String(asked), this.access.capabilities(token, namespace, String(asked))]))
    return { status: 200, body: { ...granted, ...envelope(granted) } }
  }
}

/** Starts one on loopback. */
export const startVaultFake = async (start: VaultStart): Promise<VaultFake> => {
  const state = new VaultState(start)
  const running = await startFake(state, start.tls === undefined ? {} : { tls: start.tls })
  return { ...running, state, rootToken: state.rootToken }
}
