// Who may do what at Vault: tokens with a time to live, policies by path, and the logins that give tokens. A refused token and a missing capability are the same 403.
import { randomBytes, verify, type KeyObject } from 'node:crypto'
import type { WireAnswer } from '../wire.ts'
import { envelope, refusal } from './kv.ts'

/** What a policy grants on a path; `*` at the end stands for anything, `+` for one segment. */
export interface Rule {
  readonly path: string
  readonly capabilities: readonly string[]
}

/** A token. */
export interface FakeToken {
  readonly id: string
  readonly namespace: string
  readonly policies: readonly string[]
  readonly ttlSeconds: number
  readonly renewable: boolean
  /** Epoch milliseconds after which it is refused, and after which no renewal helps. */
  expires: number | undefined
  readonly ends: number | undefined
  readonly kind: 'service' | 'batch'
}

/** How a token is made. Default: `root`, for ever. */
export interface TokenWish {
  readonly namespace?: string
  readonly policies?: readonly string[]
  readonly ttlSeconds?: number
  readonly maxTtlSeconds?: number
  readonly renewable?: boolean
  readonly kind?: 'service' | 'batch'
}

/** A role of a login. */
export interface FakeRole extends TokenWish {
  readonly login: 'approle' | 'cert' | 'jwt' | 'kubernetes'
  readonly mount: string
  readonly name: string
  /** AppRole: the role id, and how often each secret id may be used (0: without end). */
  readonly roleId?: string
  readonly secretIds?: Map<string, number>
  /** Certificate: the subjects that it trusts. */
  readonly subjects?: readonly string[]
  /** JWT: the issuer's key and the audience. */
  readonly key?: KeyObject
  readonly audience?: string
  /** Kubernetes: the service accounts' tokens. */
  readonly accounts?: ReadonlySet<string>
}

const defaultRules: readonly Rule[] = [
  { path: 'auth/token/lookup-self', capabilities: ['read'] },
  { path: 'auth/token/renew-self', capabilities: ['update'] },
  { path: 'sys/capabilities-self', capabilities: ['update'] },
]

const matches = (pattern: string, path: string): boolean => {
  const open = pattern.endsWith('*')
  const wanted = (open ? pattern.slice(0, -1) : pattern).split('/')
  const source = wanted.map((part) => (part === '+' ? '[^/]+' : part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))).join('/')
  return new RegExp(`^${source}${open ? '' : '$'}`).test(path)
}

/** Tokens, policies, roles. */
export class Access {
  readonly tokens = new Map<string, FakeToken>()
  readonly policies = new Map<string, readonly Rule[]>()
  readonly roles: FakeRole[] = []
  /** Wrapping token → what it wraps, once. */
  readonly wrapped = new Map<string, Record<string, unknown>>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  token({ namespace = '', policies = ['root'], ttlSeconds = 0, maxTtlSeconds = 0, renewable = true, kind = 'service' }: TokenWish = {}, id = `${kind === 'batch' ? 'hvb' : 'hvs'}.${randomBytes(12).toString('base64url')}`): FakeToken {
    const now = this.#now()
    const token: FakeToken = { id, namespace, policies: policies.includes('root') ? policies : ['default', ...policies], ttlSeconds, renewable: renewable && kind === 'service' && ttlSeconds > 0, expires: ttlSeconds > 0 ? now + ttlSeconds * 1000 : undefined, ends: maxTtlSeconds > 0 ? now + maxTtlSeconds * 1000 : undefined, kind }
    this.tokens.set(id, token)
    return token
  }

  /** The token if Vault still knows it and it is of this namespace or one above. */
  known(id: string | undefined, namespace: string): FakeToken | undefined {
    const token = this.tokens.get(id ?? '')
    if (token === undefined || (token.expires !== undefined && token.expires <= this.#now())) return undefined
    return token.namespace === '' || namespace === token.namespace || namespace.startsWith(`${token.namespace}/`) ? token : undefined
  }

  /** Capabilities on a path, as seen from the token's own namespace. The most exact rule decides. */
  capabilities(token: FakeToken, namespace: string, path: string): readonly string[] {
    if (token.policies.includes('root')) return ['root']
    const from = namespace.slice(token.namespace.length).replace(/^\//, '')
    const whole = from === '' ? path : `${from}/${path}`
    const rules = [...(from === '' ? defaultRules : []), ...token.policies.flatMap((name) => this.policies.get(name) ?? [])].filter((rule) => matches(rule.path, whole))
    const rank = ({ path: pattern }: Rule): number => (pattern.endsWith('*') ? 0 : 10_000) + pattern.length
    const best = Math.max(...rules.map(rank))
    const granted = new Set(rules.filter((rule) => rank(rule) === best).flatMap((rule) => rule.capabilities))
    return granted.size === 0 || granted.has('deny') ? ['deny'] : [...granted]
  }

  allows(token: FakeToken, namespace: string, path: string, capability: string): boolean {
    const granted = this.capabilities(token, namespace, path)
    return granted.includes('root') || granted.includes(capability)
  }

  answer(token: FakeToken): WireAnswer {
    const left = token.expires === undefined ? 0 : Math.round((token.expires - this.#now()) / 1000)
    const auth = { client_token: token.id, accessor: 'accessor', policies: token.policies, token_policies: token.policies, metadata: {}, lease_duration: left, renewable: token.renewable, entity_id: '', token_type: token.kind, orphan: true, num_uses: 0 }
    return { status: 200, body: envelope(null, { auth }) }
  }

  lookup(token: FakeToken): WireAnswer {
    const ttl = token.expires === undefined ? 0 : Math.round((token.expires - this.#now()) / 1000)
    return { status: 200, body: envelope({ accessor: 'accessor', id: token.id, ttl, renewable: token.renewable, type: token.kind, policies: token.policies, expire_time: token.expires === undefined ? null : new Date(token.expires).toISOString() }) }
  }

  renew(token: FakeToken): WireAnswer {
    if (!token.renewable) return refusal(400, 'lease is not renewable')
    token.expires = Math.min(this.#now() + token.ttlSeconds * 1000, token.ends ?? Number.POSITIVE_INFINITY)
    return this.answer(token)
  }

  unwrap(id: string): WireAnswer {
    const data = this.wrapped.get(id)
    this.wrapped.delete(id)
    return data === undefined ? refusal(400, 'wrapping token is not valid or does not exist') : { status: 200, body: envelope(data) }
  }

  /** A login; `undefined`: nothing is mounted there. */
  login(mount: string, namespace: string, body: Readonly<Record<string, unknown>>, certificate: string | undefined): WireAnswer | undefined {
    const roles = this.roles.filter((role) => role.mount === mount && (role.namespace ?? '') === namespace)
    if (roles.length === 0) return undefined
    const kind = roles[0]?.login
    if (kind === 'approle') {
      const role = roles.find(({ roleId }) => roleId === body['role_id'])
      const uses = role?.secretIds?.get(String(body['secret_id']))
      if (role === undefined || uses === undefined) return refusal(400, 'invalid role or secret ID')
      if (uses === 1) role.secretIds?.delete(String(body['secret_id']))
      if (uses > 1) role.secretIds?.set(String(body['secret_id']), uses - 1)
      return this.answer(this.token(role))
    }
    if (kind === 'cert') {
      if (certificate === undefined) return refusal(400, 'client certificate must be supplied')
      const role = roles.find(({ name, subjects }) => subjects?.includes(certificate) === true && (typeof body['name'] !== 'string' || body['name'] === name))
      return role === undefined ? refusal(400, 'invalid certificate or no client certificate supplied') : this.answer(this.token(role))
    }
    const role = body['role'] === undefined ? roles[0] : roles.find(({ name }) => name === body['role'])
    if (role === undefined) return refusal(400, `role "${String(body['role'])}" could not be found`)
    const jwt = String(body['jwt'])
    if (kind === 'kubernetes') return role.accounts?.has(jwt) === true ? this.answer(this.token(role)) : refusal(403, 'permission denied')
    const [header = '', payload = '', signature = ''] = jwt.split('.')
    const claims = (signature === '' ? {} : JSON.parse(Buffer.from(payload, 'base64url').toString())) as { aud?: string; exp?: number }
    const right = role.key !== undefined && verify('sha256', Buffer.from(`${header}.${payload}`), role.key, Buffer.from(signature, 'base64url'))
    if (!right) return refusal(400, 'error validating token: error verifying token signature: no known key successfully validated the token signature')
    if ((claims.exp ?? 0) * 1000 <= this.#now()) return refusal(400, 'error validating token: token is expired')
    return claims.aud === role.audience ? this.answer(this.token(role)) : refusal(400, 'error validating claims: aud claim does not match any bound audience')
  }
}
