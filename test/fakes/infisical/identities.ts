// Machine identities and their tokens: lives, longest lives, numbers of uses, and who belongs to which project. Tokens are signed, so that a foreign one is known.
import { createHmac, randomUUID } from 'node:crypto'
import { badRequest, forbidden, invalid, notFound, tokenError, unauthorized } from './refusals.ts'

/** One identity, and the one way in which it logs in. */
export interface Identity {
  readonly id: string
  readonly projects: readonly string[]
  readonly method: string
  /** For universal auth. */
  readonly clientId?: string
  readonly clientSecret?: string
  /** How often the client secret may be used; 0: without end. */
  readonly secretUses?: number
  /** Seconds; 0: without end. Default: 7200. */
  readonly ttl?: number
  /** Seconds; 0: without end. Default: 86400. */
  readonly maxTtl?: number
  /** How often one token may be used; 0: without end. */
  readonly tokenUses?: number
  /** Whether what was shown instead of a client secret is good. */
  accepts?(shown: Readonly<Record<string, string>>): boolean
}

interface Issued {
  readonly identity: Identity
  readonly born: number
  uses: number
  revoked: boolean
}

/** The identities of one server. */
export interface Identities {
  add(identity: Identity): void
  /** A token made in the service's own pages: it ends only when it is taken away. */
  issue(identityId: string): string
  revokeTokens(): void
  login(method: string, shown: Readonly<Record<string, unknown>>): object
  renew(token: unknown): object
  /** Whose request this is. */
  authenticate(authorization: string | undefined): Identity
  readonly logins: { readonly method: string }[]
}

const encoded = (thing: object): string => Buffer.from(JSON.stringify(thing)).toString('base64url')

/** `now`: epoch milliseconds. */
export const identitiesOf = (now: () => number, secret = randomUUID()): Identities => {
  const identities = new Map<string, Identity>()
  const issued = new Map<string, Issued>()
  const uses = new Map<string, number>()
  const logins: { readonly method: string }[] = []
  const seconds = (): number => Math.floor(now() / 1000)
  const signed = (text: string): string => createHmac('sha256', secret).update(text).digest('base64url')

  const tokenOf = (identity: Identity, id: string, ends: number | undefined): string => {
    const text = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded({ identityId: identity.id, identityAccessTokenId: id, authTokenType: 'identityAccessToken', iat: seconds(), nonce: randomUUID(), ...(ends !== undefined && { exp: ends }) })}`
    return `${text}.${signed(text)}`
  }
  const grant = (identity: Identity, id: string, born: number): object => {
    const { ttl = 7200, maxTtl = 86_400 } = identity
    const longest = maxTtl === 0 ? Number.POSITIVE_INFINITY : born + maxTtl
    const ends = ttl === 0 ? undefined : Math.min(seconds() + ttl, longest)
    return { accessToken: tokenOf(identity, id, ends), expiresIn: ends === undefined ? 0 : ends - seconds(), accessTokenMaxTTL: maxTtl, tokenType: 'Bearer' }
  }
  const begin = (identity: Identity): { readonly id: string; readonly born: number } => {
    const id = randomUUID()
    issued.set(id, { identity, born: seconds(), uses: 0, revoked: false })
    return { id, born: seconds() }
  }
  /** @throws TokenError for what is no token of ours, or is over */
  const opened = (token: string): { readonly id: string; readonly entry: Issued } => {
    const [head = '', body = '', signature] = token.split('.')
    if (signature === undefined) throw tokenError('The provided access token is malformed. Please use a valid token or generate a new one and try again.')
    if (signed(`${head}.${body}`) !== signature) throw tokenError('invalid signature')
    const { identityAccessTokenId: id, exp } = JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as { identityAccessTokenId: string; exp?: number }
    if (exp !== undefined && seconds() >= exp) throw tokenError('Your token has expired. Please re-authenticate.')
    const entry = issued.get(id)
    if (entry === undefined || entry.revoked) throw unauthorized('No identity access token found')
    return { id, entry }
  }

  return {
    logins,
    add: (identity) => void identities.set(identity.id, identity),
    issue: (identityId) => {
      const identity = identities.get(identityId)
      if (identity === undefined) throw new Error(`there is no identity ${identityId}`)
      return tokenOf(identity, begin(identity).id, undefined)
    },
    revokeTokens: () => {
      for (const entry of issued.values()) entry.revoked = true
    },
    login: (method, shown) => {
      logins.push({ method })
      const text = (key: string): string => {
        const value = shown[key]
        if (typeof value !== 'string' || value === '') throw invalid(key, 'Required')
        return value
      }
      if (method === 'universal') {
        const [clientId, clientSecret] = [text('clientId').trim(), text('clientSecret').trim()]
        const identity = [...identities.values()].find((each) => each.clientId === clientId)
        if (identity === undefined || identity.method !== 'universal') throw unauthorized('Invalid credentials')
        const used = uses.get(identity.id) ?? 0
        if (identity.clientSecret !== clientSecret) throw unauthorized('Invalid credentials')
        if (identity.secretUses !== undefined && identity.secretUses > 0 && used >= identity.secretUses) throw unauthorized('Access denied due to client secret usage limit reached')
        uses.set(identity.id, used + 1)
        const { id, born } = begin(identity)
        return grant(identity, id, born)
      }
      const identity = identities.get(text('identityId'))
      if (identity === undefined) throw notFound('Identity auth method not found. Did you configure it?')
      if (identity.method !== method) throw badRequest(`The identity has no ${method} auth method.`)
      const given = method === 'aws' ? { iamRequestBody: text('iamRequestBody'), iamRequestHeaders: text('iamRequestHeaders'), iamHttpRequestMethod: text('iamHttpRequestMethod') } : { jwt: text('jwt') }
      if (identity.accepts?.(given) !== true) throw unauthorized('Access denied: the identity does not allow what was shown.')
      const { id, born } = begin(identity)
      return grant(identity, id, born)
    },
    renew: (token) => {
      if (typeof token !== 'string') throw invalid('accessToken', 'Required')
      const { id, entry } = opened(token)
      const { maxTtl = 86_400, ttl = 7200 } = entry.identity
      if (maxTtl > 0 && seconds() >= entry.born + maxTtl) throw unauthorized('Failed to renew identity access token because the max TTL was reached')
      if (ttl === 0) throw badRequest('Failed to renew a token without an end')
      return grant(entry.identity, id, entry.born)
    },
    authenticate: (authorization) => {
      const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1]
      if (token === undefined) throw unauthorized('Token missing')
      const { entry } = opened(token)
      const { tokenUses = 0 } = entry.identity
      if (tokenUses > 0 && entry.uses >= tokenUses) throw unauthorized('Unable to access due to access token usage limit')
      entry.uses += 1
      return entry.identity
    },
  }
}

/** @throws ForbiddenError for who is no member */
export const requireMember = (identity: Identity, project: string): void => {
  if (!identity.projects.includes(project)) throw forbidden('You are not a member of this project')
}
