// A CyberArk Conjur server after the source of 1.24: account, logins and tokens of eight minutes, variables with their last twenty values, batches that are all or nothing,
// privileges, policy loads. What the real one refuses is refused, with its bodies.
import { createHash } from 'node:crypto'
import { startFake, type FakeTls, type Refusal, type RunningFake, type WireAnswer, type WireRequest, type WireService } from '../wire.ts'
import { loadPolicy, PolicyRefusal } from './policy.ts'
import { ConjurState, type Resource } from './state.ts'

export interface ConjurOptions {
  readonly now: () => number
  /** Default: `acct`. */
  readonly account?: string
  /** Whether tokens say when they end. Default: true. */
  readonly statesEnd?: boolean
  /** Logins by the name in a client's certificate. */
  readonly certificates?: Readonly<Record<string, string>>
  /** Logins by JSON web token. */
  readonly jwts?: Readonly<Record<string, string>>
}

const tokenSeconds = 480
const listedAtMost = 1_000
const stopWords: ReadonlySet<string> = new Set(['a', 'an', 'and', 'are', 'as', 'at', 'be', 'by', 'for', 'in', 'is', 'it', 'no', 'not', 'of', 'on', 'or', 'the', 'to', 'with'])

const empty = (status: number): WireAnswer => ({ status })
const problem = (status: number, code: string, message: string, more: object = {}): WireAnswer => ({ status, headers: { 'content-type': 'application/json; charset=utf-8' }, body: { error: { code, message, ...more } } })
const json = (body: object, status = 200, headers: Readonly<Record<string, string>> = {}): WireAnswer => ({ status, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, body })
/** Ruby's Base64.encode64. */
const encode64 = (value: Buffer): string => value.toString('base64').replace(/.{1,60}/g, '$&\n')
/** A part of a token: URL-safe, and with its padding. */
const padded = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
const wordsOf = (text: string): readonly string[] => text.toLowerCase().replaceAll(/[./:-]/g, ' ').split(/\s+/).filter((word) => word !== '' && !stopWords.has(word))

/** The service, without a socket. */
export class ConjurService implements WireService {
  readonly state: ConjurState
  /** So many policy loads meet another one on its way. */
  conflicts = 0
  /** What they are told to wait, in seconds. */
  conflictRetryAfter = 2
  /** So many writes of values meet another one of the same variable. */
  collisions = 0
  /** Whether this server only reads. */
  follower = false
  readonly #options: ConjurOptions

  constructor(options: ConjurOptions) {
    this.#options = options
    this.state = new ConjurState(options.account ?? 'acct')
  }

  /** The API key of a login. */
  keyOf(login: string): string {
    return this.state.apiKeys.get(this.state.roleOf(login)) ?? ''
  }

  /** What an operator does: makes the variable and sets its value. */
  seed(id: string, value: string | Uint8Array): void {
    const root = this.state.full('policy', 'root')
    this.state.setValue(this.state.add('variable', id, this.state.full('user', 'admin'), root), Buffer.from(value))
  }

  /** The values that a variable keeps, oldest first. */
  values(id: string): readonly string[] {
    return this.state.resources.get(this.state.full('variable', id))?.secrets.map(({ value }) => value.toString('utf8')) ?? []
  }

  changes({ method, path }: WireRequest): boolean {
    return method !== 'GET' && method !== 'HEAD' && !path.startsWith('/authn')
  }

  step({ method, path, query }: WireRequest): { readonly call: string; readonly name: string } {
    const [, first = '', , kind = '', ...rest] = path.split('/').map(decodeURIComponent)
    if (first.startsWith('authn')) return { call: 'authenticate', name: '' }
    if (first === 'policies') return { call: method === 'PATCH' ? 'unload' : 'loadPolicy', name: rest.join('/') }
    if (first === 'resources') return { call: rest.length === 0 ? 'list' : 'describe', name: rest.join('/') }
    if (first === 'secrets' && kind === '') return { call: 'readTogether', name: (query.get('variable_ids') ?? '').split(',')[0] ?? '' }
    return { call: method === 'POST' ? 'set' : query.has('version') ? 'readVersion' : 'read', name: rest.join('/') }
  }

  refuse(refusal: Refusal, echo: string): WireAnswer {
    if (refusal === 'throttled') return { status: 429, headers: { 'retry-after': '1' }, body: `slow down ${echo}` }
    if (refusal === 'unavailable') return { status: 503, body: `upstream ${echo}` }
    return { status: refusal === 'denied' ? 403 : 401, body: echo }
  }

  handle(request: WireRequest): WireAnswer {
    const parts = request.path.split('/').slice(1).map(decodeURIComponent)
    const [first = '', account = ''] = parts
    if (first.startsWith('authn')) return this.#authn(request, parts)
    const role = this.#roleFrom(request)
    if (role === undefined) return empty(401)
    if (request.path === '/whoami') return this.#whoami(request, role)
    const hidden = problem(404, 'not_found', 'not found in that account')
    if (first === 'secrets' && account === '') return this.#batch(request, role)
    if (account !== this.state.account) return hidden
    const [kind, id] = [parts[2] ?? '', parts.slice(3).join('/')]
    if (this.follower && this.changes(request)) return problem(405, '405', 'Write operations are not allowed')
    if (first === 'secrets') return this.#secret(request, role, this.state.resources.get(this.state.full(kind, id)), this.state.full(kind, id))
    if (first === 'policies') return this.#policy(request, role, id)
    if (first === 'resources') return id === '' ? this.#list(request, role, kind) : this.#resource(request, role, this.state.full(kind, id))
    return hidden
  }

  #sign(protectedPart: string, payload: string): string {
    return createHash('sha256').update(`${this.state.account} ${protectedPart} ${payload} the account's key`).digest('base64url')
  }

  /** A token as the server gives it. */
  tokenFor(login: string): string {
    const iat = Math.floor(this.#options.now() / 1000)
    const protectedPart = padded({ alg: 'conjur.org/slosilo/v2', kid: 'fake' })
    const payload = padded({ sub: login, iat, ...(this.#options.statesEnd !== false && { exp: iat + tokenSeconds }) })
    return JSON.stringify({ protected: protectedPart, payload, signature: this.#sign(protectedPart, payload) })
  }

  #claims(request: WireRequest): { readonly sub: string; readonly iat: number } | undefined {
    const packed = /^Token token="([A-Za-z0-9+/=]+)"$/.exec(request.headers['authorization'] ?? '')?.[1]
    if (packed === undefined) return undefined
    try {
      const token = JSON.parse(Buffer.from(packed, 'base64').toString()) as { protected: string; payload: string; signature: string }
      const claims = JSON.parse(Buffer.from(token.payload, 'base64url').toString()) as { sub: string; iat: number }
      const fresh = this.#options.now() / 1000 < claims.iat + tokenSeconds
      return token.signature === this.#sign(token.protected, token.payload) && fresh ? claims : undefined
    } catch {
      return undefined
    }
  }

  #roleFrom(request: WireRequest): string | undefined {
    const claims = this.#claims(request)
    const role = claims === undefined ? undefined : this.state.roleOf(claims.sub)
    return role !== undefined && this.state.apiKeys.has(role) ? role : undefined
  }

  /** A role by its whole id, or without the account; nothing where none is named. */
  #roleNamed(given: string | null): string | undefined {
    return given === null || given === '' ? undefined : given.split(':').length < 3 ? `${this.state.account}:${given}` : given
  }

  #token(request: WireRequest, login: string): WireAnswer {
    const token = this.tokenFor(login)
    if (request.headers['accept-encoding']?.toLowerCase().split(',').some((each) => each.trim() === 'base64') !== true) return { status: 200, headers: { 'content-type': 'application/json; charset=utf-8' }, body: token }
    return { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8', 'content-encoding': 'base64' }, body: Buffer.from(token).toString('base64') }
  }

  #authn(request: WireRequest, parts: readonly string[]): WireAnswer {
    const [authenticator = ''] = parts
    const verb = parts.at(-1)
    const { method } = request
    const own = authenticator === 'authn'
    const account = own ? parts[1] : parts[2]
    const login = (own ? parts.slice(2, -1) : parts.slice(3, -1)).join('/')
    if (account !== this.state.account) return empty(401)
    if (own && method === 'GET' && verb === 'login') {
      const [name = '', secret = ''] = Buffer.from(request.headers['authorization']?.replace(/^Basic /, '') ?? '', 'base64').toString().split(/:(.*)/s)
      return this.keyOf(name) !== '' && secret === this.keyOf(name) ? { status: 200, headers: { 'content-type': 'text/plain' }, body: this.keyOf(name) } : empty(401)
    }
    if (own && method === 'PUT' && verb === 'api_key') {
      const role = this.#roleFrom(request)
      const asked = this.#roleNamed(request.query.get('role')) ?? role
      if (role === undefined || asked === undefined || !this.state.apiKeys.has(asked)) return empty(401)
      if (asked !== role && !this.state.rolesOf(role).has(asked)) return empty(403)
      this.state.apiKeys.set(asked, this.state.newKey())
      return { status: 200, headers: { 'content-type': 'text/plain' }, body: this.state.apiKeys.get(asked) ?? '' }
    }
    if (method !== 'POST' || verb !== 'authenticate') return empty(404)
    const byCertificate = this.#options.certificates?.[request.certificate ?? '']
    if (own) {
      const key = this.keyOf(login)
      if (request.body.byteLength === 0) return byCertificate === login ? this.#token(request, login) : empty(401)
      return key !== '' && request.body.toString('utf8') === key ? this.#token(request, login) : empty(401)
    }
    const found = authenticator === 'authn-cert' ? byCertificate : authenticator === 'authn-jwt' ? this.#options.jwts?.[new URLSearchParams(request.body.toString()).get('jwt') ?? ''] : undefined
    if (found === undefined || (login !== '' && login !== found && `host/${login}` !== found)) return empty(401)
    return this.state.apiKeys.has(this.state.roleOf(found)) ? this.#token(request, found) : empty(401)
  }

  #whoami(request: WireRequest, role: string): WireAnswer {
    const claims = this.#claims(request)
    return json({ client_ip: '127.0.0.1', user_agent: request.headers['user-agent'] ?? null, account: this.state.account, username: claims?.sub ?? role, token_issued_at: new Date((claims?.iat ?? 0) * 1000).toISOString() })
  }

  #secret(request: WireRequest, role: string, resource: Resource | undefined, id: string): WireAnswer {
    const missing = problem(404, 'not_found', `CONJ00076E Variable ${id} is empty or not found.`)
    if (resource === undefined || !this.state.sees(role, resource)) return missing
    if (request.method === 'POST') {
      if (!this.state.may(role, 'update', resource)) return empty(403)
      if (this.collisions > 0) {
        this.collisions -= 1
        return empty(500)
      }
      return this.state.setValue(resource, request.body) ? empty(201) : problem(422, 'argument_error', "'value' may not be empty")
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return empty(404)
    if (!this.state.may(role, 'execute', resource)) return empty(403)
    const version = request.query.get('version')
    if (version !== null && !/^-?\d+$/.test(version)) return problem(422, 'argument_error', "invalid type for parameter 'version'")
    const secret = version === null ? resource.secrets.at(-1) : resource.secrets.find((each) => each.version === Number(version))
    return secret === undefined ? missing : { status: 200, headers: { 'content-type': resource.annotations['conjur/mime_type'] ?? 'application/octet-stream' }, body: secret.value }
  }

  #batch(request: WireRequest, role: string): WireAnswer {
    const ids = (request.query.get('variable_ids') ?? '').split(',')
    if (ids.some((id) => id === '')) return problem(422, 'argument_error', 'variable_ids')
    const found = [...new Set(ids)].flatMap((id) => this.state.resources.get(id) ?? [])
    if (found.some((resource) => !this.state.may(role, 'execute', resource))) return empty(403)
    // The server counts: an id that stands there twice is one variable too few.
    const lacking = found.length === ids.length ? found.find(({ secrets }) => secrets.length === 0)?.id : ids.find((id) => !this.state.resources.has(id))
    if (lacking !== undefined || found.length !== ids.length) return problem(404, 'not_found', `CONJ00076E Variable ${lacking ?? ''} is empty or not found.`)
    const values = found.map(({ id, secrets }) => [id, secrets.at(-1)?.value ?? Buffer.alloc(0)] as const)
    if (request.headers['accept-encoding']?.toLowerCase() === 'base64') return json(Object.fromEntries(values.map(([id, value]) => [id, encode64(value)])), 200, { 'content-encoding': 'base64' })
    if (values.some(([, value]) => Buffer.from(value.toString('utf8')).compare(value) !== 0)) return problem(406, 'not_acceptable', 'CONJ00073E Issue encoding secret into JSON format')
    return json(Object.fromEntries(values.map(([id, value]) => [id, value.toString('utf8')])))
  }

  #policy(request: WireRequest, role: string, branch: string): WireAnswer {
    const resource = this.state.resources.get(this.state.full('policy', branch))
    if (!['POST', 'PATCH'].includes(request.method)) return empty(404)
    if (resource === undefined || !this.state.sees(role, resource)) return problem(404, 'not_found', `Policy '${branch}' not found in account '${this.state.account}'`, { target: 'policy' })
    if (!this.state.may(role, request.method === 'POST' ? 'create' : 'update', resource)) return empty(403)
    if (this.conflicts > 0) {
      this.conflicts -= 1
      return { ...problem(409, 'policy_conflict', 'Concurrent policy load in progress, please retry'), headers: { 'content-type': 'application/json; charset=utf-8', 'retry-after': String(this.conflictRetryAfter) } }
    }
    try {
      return json({ created_roles: loadPolicy(this.state, branch, request.body.toString('utf8'), request.method === 'PATCH'), version: 1 }, 201)
    } catch (error) {
      if (!(error instanceof PolicyRefusal)) throw error
      return problem(422, error.code, error.message)
    }
  }

  #shown({ id, owner, policy, permissions, annotations, secrets }: Resource): object {
    return {
      created_at: new Date(0).toISOString(), id, owner, ...(policy !== undefined && { policy }), permissions,
      annotations: Object.entries(annotations).map(([name, value]) => ({ name, value })),
      ...(id.split(':')[1] === 'variable' && { secrets: secrets.map(({ version }) => ({ version, expires_at: null })) }),
    }
  }

  #list({ query }: WireRequest, role: string, inPath: string): WireAnswer {
    const kind = inPath === '' ? query.get('kind') : inPath
    const [limit, offset, search] = [query.get('limit'), query.get('offset'), query.get('search')]
    if (limit !== null && !/^[1-9]\d*$/.test(limit)) return problem(422, 'unprocessable_entity', "'limit' contains an invalid value. 'limit' must be a positive integer.")
    if (offset !== null && !/^\d+$/.test(offset)) return problem(422, 'unprocessable_entity', "'offset' contains an invalid value.")
    if (limit !== null && Number(limit) > listedAtMost && limit !== '10000') return problem(422, 'unprocessable_entity', `'Limit' parameter must not exceed ${listedAtMost}`)
    const words = search === null ? undefined : wordsOf(search)
    const all = [...this.state.resources.values()]
      .filter((resource) => this.state.sees(role, resource) && (kind === null || kind === '' || resource.id.split(':')[1] === kind))
      .filter(({ id }) => words === undefined || (words.length > 0 && words.every((word) => wordsOf(id).includes(word))))
      .toSorted((one, two) => (one.id < two.id ? -1 : 1))
    if (query.get('count') === 'true') return json({ count: all.length })
    const from = Number(offset ?? 0)
    return json(all.slice(from, from + Number(limit ?? (offset === null ? listedAtMost : 10))).map((resource) => this.#shown(resource)))
  }

  #resource({ query, method }: WireRequest, role: string, id: string): WireAnswer {
    const resource = this.state.resources.get(id)
    if (resource === undefined || !this.state.sees(role, resource) || !['GET', 'HEAD'].includes(method)) return problem(404, 'not_found', `${id} not found`, { target: id.split(':')[1] })
    if (query.has('check')) return empty(this.state.may(this.#roleNamed(query.get('role')) ?? role, query.get('privilege') ?? '', resource) ? 204 : 404)
    return json(this.#shown(resource))
  }
}

/** A running server. */
export interface ConjurFake extends RunningFake {
  readonly service: ConjurService
}

/** Starts a server on loopback. */
export const startConjurFake = async (options: ConjurOptions, more: { readonly tls?: FakeTls } = {}): Promise<ConjurFake> => {
  const service = new ConjurService(options)
  return { ...(await startFake(service, more)), service }
}
