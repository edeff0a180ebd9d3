// Microsoft Entra ID and the managed identity endpoints, as far as a program signs in: client credentials with a secret, with a certificate's assertion and with
// another issuer's token; discovery as MSAL asks for it; App Service's and the metadata service's token requests. Written from the vendor's contract.
import { createHash, createHmac, createPublicKey, randomBytes, verify, X509Certificate, type KeyObject } from 'node:crypto'
import type { WireAnswer, WireRequest } from '../wire.ts'

/** What the vendor calls an application, with what it may sign in by. */
export interface Application {
  readonly clientId: string
  readonly secrets?: readonly string[]
  /** Secrets that were good once. */
  readonly expiredSecrets?: readonly string[]
  /** PEM. */
  readonly certificates?: readonly string[]
  readonly federated?: readonly { readonly issuer: string; readonly subject: string; readonly audience: string; readonly publicKey: KeyObject }[]
}

/** A managed identity of the host. */
export interface ManagedIdentity {
  readonly clientId: string
  readonly resourceId?: string
  /** The one that is meant when none is named. */
  readonly system?: boolean
}

/** What an access token says. */
export interface AccessClaims {
  readonly aud: string
  readonly tid: string
  readonly appid: string
  readonly exp: number
  readonly xms_cc?: readonly string[]
}

/** What a directory is made with. */
export interface DirectoryOptions {
  readonly now: () => number
  readonly tenantId?: string
  readonly resource?: string
  readonly applications?: readonly Application[]
  readonly identities?: readonly ManagedIdentity[]
  /** Seconds. Default: 3599. */
  readonly lifetime?: number
  /** What App Service puts into IDENTITY_HEADER. */
  readonly identityHeader?: string
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const decoded = (part: string | undefined): Record<string, unknown> => {
  try {
    return JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8')) as Record<string, unknown>
  } catch {
    return {}
  }
}

/** One directory (tenant) with its applications. */
export class Directory {
  readonly tenantId: string
  readonly resource: string
  readonly applications: Application[]
  readonly identities: readonly ManagedIdentity[]
  readonly #options: DirectoryOptions
  readonly #key = randomBytes(32)
  /** What is asked of a token beyond its signature, for whoever gets a new one. */
  claims: string | undefined

  constructor(options: DirectoryOptions) {
    this.#options = options
    this.tenantId = options.tenantId ?? '11111111-2222-4333-8444-555555555555'
    this.resource = options.resource ?? 'https://vault.azure.net'
    this.applications = [...(options.applications ?? [])]
    this.identities = options.identities ?? []
  }

  /** Any token; the tests make wrong ones by it. */
  token(claims: Partial<AccessClaims> = {}, key: Uint8Array = this.#key): string {
    const seconds = Math.floor(this.#options.now() / 1000)
    const body = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded({ aud: this.resource, tid: this.tenantId, appid: 'app', nbf: seconds, exp: seconds + (this.#options.lifetime ?? 3599), jti: randomBytes(8).toString('hex'), ...claims })}`
    return `${body}.${createHmac('sha256', key).update(body).digest('base64url')}`
  }

  /** What a token is worth to a vault of this directory: the reason why it is refused, or nothing. */
  fault(token: string): string | undefined {
    const [header = '', body = '', signature] = token.split('.')
    const claims = decoded(body) as Partial<AccessClaims>
    if (signature !== createHmac('sha256', this.#key).update(`${header}.${body}`).digest('base64url')) return 'AKV10046: Unable to resolve the key used for signature validation.'
    if (claims.aud !== this.resource) return 'AKV10022: Invalid audience.'
    if (claims.tid !== this.tenantId) return 'AKV10032: Invalid issuer.'
    if ((claims.exp ?? 0) * 1000 <= this.#options.now()) return 'AKV10023: The token is expired.'
    return undefined
  }

  /** Whether a request is one of ours to answer. */
  owns({ path }: WireRequest): boolean {
    return path === '/common/discovery/instance' || path === '/msi/token' || path === '/metadata/identity/oauth2/token' || /^\/[^/]+\/(v2\.0\/\.well-known|oauth2\/v2\.0)\//.test(path)
  }

  handle(request: WireRequest): WireAnswer {
    const { path, method, query } = request
    const host = request.headers['host'] ?? 'login.microsoftonline.com'
    if (path === '/msi/token' || path === '/metadata/identity/oauth2/token') return this.#managed(request)
    if (path === '/common/discovery/instance') {
      const authority = query.get('authorization_endpoint') ?? ''
      return { status: 200, body: { tenant_discovery_endpoint: authority.replace('/oauth2/v2.0/authorize', '/v2.0/.well-known/openid-configuration'), 'api-version': '1.1', metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }] } }
    }
    const [, tenant = '', ...rest] = path.split('/')
    if (tenant !== this.tenantId) return this.#error(400, 'invalid_request', 90002, 'Tenant not found.')
    const base = `https://${host}/${tenant}`
    if (rest.join('/') === 'v2.0/.well-known/openid-configuration') {
      return { status: 200, body: { issuer: `${base}/v2.0`, token_endpoint: `${base}/oauth2/v2.0/token`, authorization_endpoint: `${base}/oauth2/v2.0/authorize`, jwks_uri: `${base}/discovery/v2.0/keys`, end_session_endpoint: `${base}/oauth2/v2.0/logout` } }
    }
    if (rest.join('/') !== 'oauth2/v2.0/token') return { status: 404, body: '' }
    if (method !== 'POST' || request.headers['content-type']?.startsWith('application/x-www-form-urlencoded') !== true) return this.#error(400, 'invalid_request', 900144, 'The request body must be a form.')
    return this.#clientCredentials(new URLSearchParams(request.body.toString('utf8')), `${base}/oauth2/v2.0/token`)
  }

  #clientCredentials(form: URLSearchParams, endpoint: string): WireAnswer {
    if (form.get('grant_type') !== 'client_credentials') return this.#error(400, 'unsupported_grant_type', 70003, 'The grant type is not supported.')
    if (form.get('scope')?.split(' ')[0] !== `${this.resource}/.default`) return this.#error(400, 'invalid_resource', 500011, 'The resource principal was not found.')
    const application = this.applications.find(({ clientId }) => clientId === form.get('client_id'))
    if (application === undefined) return this.#error(400, 'unauthorized_client', 700016, 'The application was not found in the directory.')
    const refused = form.has('client_assertion') ? this.#assertion(application, form, endpoint) : this.#secret(application, form.get('client_secret') ?? '')
    if (refused !== undefined) return refused
    if (this.claims !== undefined && form.get('claims')?.includes(this.claims) !== true) return { status: 200, body: this.#granted(application.clientId) }
    return { status: 200, body: this.#granted(application.clientId, this.claims === undefined ? [] : [this.claims]) }
  }

  #granted(appid: string, proven: readonly string[] = []): object {
    const lifetime = this.#options.lifetime ?? 3599
    return { token_type: 'Bearer', expires_in: lifetime, ext_expires_in: lifetime, access_token: this.token({ appid, xms_cc: proven }) }
  }

  #secret({ secrets = [], expiredSecrets = [] }: Application, given: string): WireAnswer | undefined {
    if (secrets.includes(given)) return undefined
    return expiredSecrets.includes(given) ? this.#error(401, 'invalid_client', 7000222, 'The provided client secret keys are expired.') : this.#error(401, 'invalid_client', 7000215, 'Invalid client secret provided.')
  }

  /** A JWT signed by the application's certificate, or another issuer's token. */
  #assertion({ clientId, certificates = [], federated = [] }: Application, form: URLSearchParams, endpoint: string): WireAnswer | undefined {
    if (form.get('client_assertion_type') !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer') return this.#error(400, 'invalid_request', 50027, 'The assertion type is not supported.')
    const assertion = form.get('client_assertion') ?? ''
    const [head, body, signature = ''] = assertion.split('.')
    const [header, claims] = [decoded(head), decoded(body)]
    const signs = (key: KeyObject): boolean => {
      const pss = header['alg'] === 'PS256'
      return verify('sha256', Buffer.from(`${head}.${body}`), { key, ...(pss && { padding: 6, saltLength: 32 }) }, Buffer.from(signature, 'base64url'))
    }
    // Whoever signs does so by the machine's own clock, whatever time it is here.
    const seconds = Date.now() / 1000
    const inTime = Number(claims['exp']) > seconds && Number(claims['nbf'] ?? 0) <= seconds + 300
    if (claims['iss'] === clientId) {
      const registered = certificates.find((pem) => {
        const { raw } = new X509Certificate(pem)
        // MSAL for Python writes thumbprints with their padding.
        const is = (field: string, digest: string): boolean => String(header[field] ?? '').replace(/=+$/, '') === createHash(digest).update(raw).digest('base64url')
        return is('x5t#S256', 'sha256') || is('x5t', 'sha1')
      })
      if (registered === undefined || !signs(createPublicKey(registered))) return this.#error(401, 'invalid_client', 700027, 'The certificate with this thumbprint is not registered, or the signature is wrong.')
      if (claims['sub'] !== clientId || claims['aud'] !== endpoint || typeof claims['jti'] !== 'string') return this.#error(401, 'invalid_client', 700023, 'The assertion audience does not match.')
      return inTime ? undefined : this.#error(401, 'invalid_client', 700024, 'The assertion is not within its valid time range.')
    }
    const issuers = federated.filter(({ issuer }) => issuer === claims['iss'])
    if (issuers.length === 0) return this.#error(401, 'invalid_client', 700211, 'No matching federated identity record found for the issuer.')
    const subjects = issuers.filter(({ subject }) => subject === claims['sub'])
    if (subjects.length === 0) return this.#error(401, 'invalid_client', 700213, 'No matching federated identity record found for the subject.')
    const match = subjects.find(({ audience }) => audience === claims['aud'])
    if (match === undefined) return this.#error(401, 'invalid_client', 700212, 'No matching federated identity record found for the audience.')
    if (!signs(match.publicKey)) return this.#error(401, 'invalid_client', 700027, 'The signature of the assertion is wrong.')
    return inTime ? undefined : this.#error(401, 'invalid_client', 700024, 'The assertion is not within its valid time range.')
  }

  #managed({ path, method, query, headers }: WireRequest): WireAnswer {
    const onAppService = path === '/msi/token'
    const refused = (error: string, description: string): WireAnswer => ({ status: 400, body: onAppService ? { statusCode: 400, message: description } : { error, error_description: description } })
    if (onAppService && headers['x-identity-header'] !== (this.#options.identityHeader ?? 'identity-header')) return { status: 401, body: { statusCode: 401, message: 'The identity header is wrong.' } }
    if (!onAppService && headers['metadata'] !== 'true') return refused('bad_request_102', 'Required metadata header not specified')
    if (method !== 'GET' || query.get('api-version') !== (onAppService ? '2019-08-01' : '2018-02-01')) return refused('invalid_request', 'The api-version is not supported.')
    // MSAL names the resource with or without the slash that a scope has before `.default`.
    if (query.get('resource')?.replace(/\/$/, '') !== this.resource) return refused('invalid_resource', 'AADSTS500011: The resource principal was not found.')
    const [clientId, resourceId] = [query.get('client_id'), query.get(onAppService ? 'mi_res_id' : 'msi_res_id')]
    const identity = this.identities.find((each) => (clientId !== null ? each.clientId === clientId : resourceId !== null ? each.resourceId === resourceId : each.system === true))
    if (identity === undefined) return refused('invalid_request', 'Identity not found')
    const lifetime = this.#options.lifetime ?? 3599
    const access = { access_token: this.token({ appid: identity.clientId }), client_id: identity.clientId, expires_on: String(Math.floor(this.#options.now() / 1000) + lifetime), resource: this.resource, token_type: 'Bearer' }
    return { status: 200, body: onAppService ? access : { ...access, expires_in: String(lifetime), ext_expires_in: String(lifetime), not_before: '0' } }
  }

  #error(status: number, error: string, code: number, says: string): WireAnswer {
    const trace = 'aaaaaaaa-0000-4000-8000-000000000000'
    return { status, body: { error, error_description: `AADSTS${code}: ${says} Trace ID: ${trace}`, error_codes: [code], timestamp: '2026-11-21 12:00:00Z', trace_id: trace, correlation_id: trace } }
  }
}
