// Where Google's identities log in: the token endpoint, the token exchange, impersonation and the metadata server. Each gives opaque tokens with an end, and
// refuses as Google does.
import type { WireAnswer, WireRequest } from '../wire.ts'
import { bearerOf, type FakeAccount } from '../google-bearer.ts'
import type { Json } from './failure.ts'

/** Who may log in, and how. */
export interface FakeIdentities {
  readonly now: () => number
  readonly accounts: readonly FakeAccount[]
  /** A user who logged in with gcloud. */
  readonly user?: { readonly clientId: string; readonly clientSecret: string; readonly refreshToken: string }
  /** The pool that tokens are exchanged in, and which foreign tokens it takes. */
  readonly pool?: { readonly audience: string; readonly accepts: (token: string) => boolean }
  /** Service accounts that any other identity may impersonate. */
  readonly impersonable?: readonly string[]
  /** Whether there is a metadata server. Default: true. */
  readonly metadata?: boolean
  /** How long a token holds. Default: an hour. */
  readonly lifetimeSeconds?: number
}

const refused = (error: string, text: string): WireAnswer => ({ status: 400, body: { error, error_description: text } })

/** The logins, and the tokens that they have given. */
export const fakeLogins = (given: FakeIdentities): { readonly tokens: Map<string, number>; handle(request: WireRequest): WireAnswer | undefined } => {
  const tokens = new Map<string, number>()
  const seconds = given.lifetimeSeconds ?? 3_600
  const issue = (): string => {
    const token = `ya29.fake-${tokens.size + 1}`
    tokens.set(token, given.now() + seconds * 1000)
    return token
  }
  const token = (): WireAnswer => ({ status: 200, body: { access_token: issue(), expires_in: seconds, token_type: 'Bearer' } })

  const oauth = (form: URLSearchParams, url: string): WireAnswer => {
    if (form.get('grant_type') === 'refresh_token') {
      const { user } = given
      const right = user !== undefined && form.get('client_id') === user.clientId && form.get('client_secret') === user.clientSecret && form.get('refresh_token') === user.refreshToken
      return right ? token() : refused('invalid_grant', 'Bad Request')
    }
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer') return refused('unsupported_grant_type', 'Invalid grant_type')
    const who = bearerOf(`Bearer ${form.get('assertion') ?? ''}`, url, given.now(), given.accounts)
    return typeof who === 'object' ? token() : refused('invalid_grant', 'Invalid JWT Signature.')
  }

  const exchange = (form: URLSearchParams): WireAnswer => {
    const { pool } = given
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:token-exchange' || form.get('requested_token_type') !== 'urn:ietf:params:oauth:token-type:access_token') return refused('invalid_request', 'Invalid grant type.')
    if (pool === undefined || form.get('audience') !== pool.audience) return refused('invalid_target', 'The target service indicated by the "audience" parameters is invalid.')
    if (!pool.accepts(form.get('subject_token') ?? '')) return refused('invalid_grant', 'The subject token cannot be verified.')
    return { status: 200, body: { access_token: issue(), issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'Bearer', expires_in: seconds } }
  }

  const impersonate = (account: string, request: WireRequest): WireAnswer => {
    const by = bearerOf(request.headers['authorization'], 'https://iamcredentials.googleapis.com/', given.now(), given.accounts, tokens)
    if (typeof by !== 'object') return { status: 401, body: { error: { code: 401, message: 'Request had invalid authentication credentials.', status: 'UNAUTHENTICATED' } } }
    const scope = (JSON.parse(request.body.toString('utf8')) as Json)['scope']
    if (given.impersonable?.includes(account) !== true || !Array.isArray(scope)) return { status: 403, body: { error: { code: 403, message: "Permission 'iam.serviceAccounts.getAccessToken' denied.", status: 'PERMISSION_DENIED' } } }
    return { status: 200, body: { accessToken: issue(), expireTime: new Date(given.now() + seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z') } }
  }

  const metadata = (path: string, request: WireRequest): WireAnswer => {
    const headers = { 'metadata-flavor': 'Google' }
    if (given.metadata === false) return { status: 404, body: 'not found' }
    if (request.headers['metadata-flavor'] !== 'Google') return { status: 403, headers, body: 'Missing Metadata-Flavor:Google header.' }
    if (/\/service-accounts\/[^/]+\/token$/.test(path)) return { ...token(), headers }
    if (path.endsWith('/universe/universe-domain')) return { status: 200, headers, body: 'googleapis.com' }
    if (path.endsWith('/project/project-id')) return { status: 200, headers, body: 'fake-project' }
    return { status: 200, headers: { ...headers, 'content-type': 'application/json' }, body: '{"email":"machine@fake-project.iam.gserviceaccount.com","scopes":[]}' }
  }

  return {
    tokens,
    handle: (request) => {
      const { method, path } = request
      const form = (): URLSearchParams => new URLSearchParams(request.body.toString('utf8'))
      if (method === 'POST' && path === '/token') return oauth(form(), `http://${request.headers['host'] ?? ''}/token`)
      if (method === 'POST' && path === '/v1/token') return exchange(form())
      const account = /^\/v1\/projects\/-\/serviceAccounts\/([^/:]+):generateAccessToken$/.exec(path)?.[1]
      if (method === 'POST' && account !== undefined) return impersonate(decodeURIComponent(account), request)
      return method === 'GET' && path.startsWith('/computeMetadata/') ? metadata(path, request) : undefined
    },
  }
}
