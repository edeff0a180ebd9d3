// Who Latchkey is in CyberArk Conjur, and the one connection on which everything is said: settings, transport, login, token, and what a refusal means.
// A client certificate is transport, as in LiteLLM: it is shown on the route of API keys, with an empty body where there is no key.
import { isCode, LatchkeyError, type ErrorCode } from '../../core/errors.ts'
import { serviceFailure } from '../../core/failure.ts'
import { encodePart, type HttpPeer, type HttpRequest, type HttpResponse } from '../../core/http-client.ts'
import { retryAfterOf } from '../../core/http/answers.ts'
import { checkCall, type Call, type ProviderIo } from '../../core/runtime.ts'
import { SecretValue } from '../../core/secret.ts'
import type { SettingsTable } from '../../core/settings.ts'
import { tokenSource, withToken, type Token } from '../token.ts'
import { refuseOpenHttp } from '../plain-http.ts'
import { pemOrFile } from '../operator-files.ts'

/** Where Conjur is, and who we are there. */
export interface ConjurLoginSettings {
  readonly cyberark_api_base: string
  readonly cyberark_account: string
  readonly cyberark_username: string
  readonly cyberark_api_key?: SecretValue
  readonly cyberark_client_cert?: string
  readonly cyberark_client_key?: SecretValue
  readonly cyberark_refresh_interval: number
  readonly cyberark_ssl_verify: string
  readonly cyberark_ca_cert?: string
  readonly cyberark_authenticator: string
  readonly cyberark_jwt?: SecretValue
  readonly cyberark_allow_plain_http: boolean
}

/** The rows of the settings table that are about identity and transport. */
export const conjurLoginSettings: SettingsTable<ConjurLoginSettings> = {
  cyberark_api_base: { type: 'url', default: 'http://127.0.0.1:8080', env: ['CYBERARK_API_BASE'], text: 'Address of Conjur; of the leader where Latchkey writes, because followers only read.' },
  cyberark_account: { type: 'string', default: 'default', env: ['CYBERARK_ACCOUNT'], text: "Conjur's account (organisation)." },
  cyberark_username: { type: 'string', default: 'admin', env: ['CYBERARK_USERNAME'], text: 'Login: a user, or `host/<id>`.' },
  cyberark_api_key: { type: 'string', secret: true, env: ['CYBERARK_API_KEY'], text: 'API key of that login.' },
  cyberark_client_cert: { type: 'string', env: ['CYBERARK_CLIENT_CERT'], text: 'Client certificate: path of a PEM file, or PEM text. Shown on every connection.' },
  cyberark_client_key: { type: 'string', secret: true, env: ['CYBERARK_CLIENT_KEY'], text: 'Its private key: path of a PEM file, or PEM text.' },
  cyberark_refresh_interval: { type: 'integer', default: 300, min: 1, max: 2_592_000, env: ['CYBERARK_REFRESH_INTERVAL'], text: 'Seconds for which a value is fresh, and for which an access token that does not say its end is used (always less than 8 minutes).' },
  cyberark_ssl_verify: { type: 'string', default: 'true', env: ['CYBERARK_SSL_VERIFY'], text: 'The word `false` switches the check of the server\'s certificate off; any other leaves it on.' },
  cyberark_ca_cert: { type: 'string', text: 'Authorities to trust in place of the system\'s: path of a PEM file, or PEM text.' },
  cyberark_authenticator: { type: 'string', default: 'authn', text: '`authn` (API key or certificate), `authn-cert/<service id>` (certificate alone) or `authn-jwt/<service id>`.' },
  cyberark_jwt: { type: 'string', secret: true, text: 'For authn-jwt: the token, or the path of a file that holds it, read again for every login.' },
  cyberark_allow_plain_http: { type: 'boolean', default: false, text: 'Allows an address that begins with `http://` on another machine. Secrets then travel unencrypted.' },
}

/** The service's own name, for people. */
export const conjurTitle = 'CyberArk Conjur'

/** What a request is about, for the words of its failure. */
export interface ConjurAction {
  /** In Conjur's own words. */
  readonly action: string
  /** Our name of the secret. */
  readonly name?: string
  readonly native?: string
  /** The privilege that is missing when it is refused. */
  readonly needs?: string
}

/** A logged-in connection. */
export interface ConjurConnection {
  readonly account: string
  /**
   * Sends with a token, logging in once more when the token itself is refused.
   * @throws provider_denied (401), and what the connection itself fails with; every other status is an answer
   */
  send(request: HttpRequest, what: ConjurAction, call: Call): Promise<HttpResponse>
  close(): Promise<void>
}

const wrong = (setting: string, message: string): LatchkeyError => new LatchkeyError('misconfigured', `${setting} ${message}.`, { issues: [{ path: setting, message }] })

/** PEM text as it is, or the content of the file it names. */
const pemOf = async (setting: string, given: string, io: ProviderIo): Promise<string> => {
  const text = await pemOrFile(given, io)
  if (text === undefined) throw wrong(setting, 'names a file that is not there; give a path or the PEM text itself')
  if (!text.includes('-----BEGIN')) throw wrong(setting, 'names a file that holds no PEM')
  return text
}

const codes: Readonly<Record<number, ErrorCode>> = { 401: 'provider_denied', 403: 'provider_denied', 404: 'not_found', 405: 'misconfigured', 409: 'provider_throttled', 422: 'invalid_request', 429: 'provider_throttled' }
const hiddenHint = 'Conjur answers alike for a variable that is not there, one that has no value yet, and one that this login may not see (privilege read).'

/** What an answer that is no success means. Of the answer itself only its status is kept. */
export const conjurFailure = (response: HttpResponse, what: ConjurAction): LatchkeyError => {
  const vendor = { status: response.status }
  const code = codes[response.status] ?? 'provider_unavailable'
  if (code === 'misconfigured') return new LatchkeyError('misconfigured', `This address of ${conjurTitle} only reads (a follower refused ${what.action}): send writes to the leader, by setting cyberark_api_base to it.`, { vendor })
  const retryAfter = retryAfterOf(response)
  const details = { vendor, ...(code === 'not_found' && { hint: hiddenHint }), ...(retryAfter !== undefined && code === 'provider_throttled' && { retryAfter }) }
  return serviceFailure(code, { title: conjurTitle, ...what, ...(response.status === 401 && { needs: 'a login and credential that Conjur still knows (cyberark_username, cyberark_api_key)' }) }, details)
}

const longestUseMs = 470_000

interface Claims {
  readonly iat?: unknown
  readonly exp?: unknown
}

/** How long a token is used from now on: 85 % of the life that it states, by the server's own clock at both ends; else the interval. Always less than 8 minutes. */
const usefulMs = (payload: string, intervalSeconds: number): number => {
  let claims: Claims | undefined
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64').toString('utf8')) as Claims
  } catch {
    // A payload that states nothing.
  }
  const { iat, exp } = typeof claims === 'object' && claims !== null ? claims : {}
  const stated = typeof exp === 'number' && typeof iat === 'number' && exp > iat ? (exp - iat) * 850 : intervalSeconds * 1000
  return Math.min(stated, longestUseMs)
}

/** The access token in the form in which it is sent, and how long it is used. @throws provider_unavailable when the answer is no token */
export const readConjurToken = (body: Uint8Array, intervalSeconds: number): { readonly value: SecretValue; readonly useMs: number } => {
  const text = Buffer.from(body).toString('utf8')
  let token: { readonly protected?: unknown; readonly payload?: unknown; readonly signature?: unknown } = {}
  try {
    token = Object(JSON.parse(text)) as typeof token
  } catch {
    // What the parser says of it shows the beginning of the token.
  }
  if (typeof token.protected !== 'string' || typeof token.payload !== 'string' || typeof token.signature !== 'string') {
    throw new LatchkeyError('provider_unavailable', `${conjurTitle} could not be reached, or what answered the login is not ${conjurTitle}: its answer is no access token.`)
  }
  return { value: SecretValue.of(Buffer.from(text).toString('base64')), useMs: usefulMs(token.payload, intervalSeconds) }
}

const checkSettings = (settings: ConjurLoginSettings): { readonly kind: string; readonly service: string } => {
  const { cyberark_account: account, cyberark_username: username, cyberark_api_key: apiKey, cyberark_client_cert: cert, cyberark_client_key: key, cyberark_jwt: jwt } = settings
  if (!/^[^\s/:\p{Cc}\u2028\u2029]{1,256}$/u.test(account) || !account.isWellFormed() || account === '.' || account === '..') throw wrong('cyberark_account', 'must be 1 to 256 characters without slash, colon or space')
  if (!/^[^\p{Cc}\u2028\u2029]{1,512}$/u.test(username) || !username.isWellFormed() || username === '.' || username === '..') throw wrong('cyberark_username', 'must be 1 to 512 characters, none of them a control character')
  const [kind = '', service = '', ...more] = settings.cyberark_authenticator.split('/')
  const known = kind === 'authn' ? service === '' : ['authn-cert', 'authn-jwt'].includes(kind) && /^[\w.@-]{1,128}$/.test(service) && !/^\.+$/.test(service)
  if (!known || more.length > 0) throw wrong('cyberark_authenticator', 'must be authn, authn-cert/<service id> or authn-jwt/<service id>')
  if ((cert === undefined) !== (key === undefined)) throw wrong(cert === undefined ? 'cyberark_client_cert' : 'cyberark_client_key', 'is missing: certificate and key belong together (CYBERARK_CLIENT_CERT, CYBERARK_CLIENT_KEY)')
  if (kind === 'authn-jwt' && jwt === undefined) throw wrong('cyberark_jwt', 'is missing: authn-jwt logs in with a token')
  if (kind === 'authn-cert' && cert === undefined) throw wrong('cyberark_client_cert', 'is missing: authn-cert logs in with a certificate and its key')
  if (kind === 'authn' && apiKey === undefined && cert === undefined) {
    throw new LatchkeyError('misconfigured', 'Missing CyberArk credentials. Set cyberark_api_key (CYBERARK_API_KEY), or cyberark_client_cert and cyberark_client_key (CYBERARK_CLIENT_CERT, CYBERARK_CLIENT_KEY).', { issues: [{ path: 'cyberark_api_key', message: 'is missing, and there is no client certificate either' }] })
  }
  if (cert !== undefined && !/^https:/i.test(settings.cyberark_api_base)) throw wrong('cyberark_api_base', 'must begin with https:// where a client certificate is shown')
  refuseOpenHttp('cyberark_api_base', settings.cyberark_api_base, { setting: 'cyberark_allow_plain_http', value: settings.cyberark_allow_plain_http })
  return { kind, service }
}

/** Opens the connection; makes no call. @throws misconfigured naming the setting */
export const connectConjur = async (settings: ConjurLoginSettings, io: ProviderIo, more: Pick<HttpPeer, 'maxAnswerBytes'>): Promise<ConjurConnection> => {
  const { kind, service } = checkSettings(settings)
  const { cyberark_account: account, cyberark_username: username, cyberark_api_key: apiKey, cyberark_client_cert: cert, cyberark_client_key: key, cyberark_ca_cert: ca, cyberark_jwt: jwt } = settings
  const identity = cert === undefined || key === undefined ? undefined : { cert: await pemOf('cyberark_client_cert', cert, io), key: SecretValue.of(await pemOf('cyberark_client_key', key.reveal(), io)) }
  const client = await io.http.connect({
    url: settings.cyberark_api_base,
    title: conjurTitle,
    setting: 'cyberark_api_base',
    ...more,
    ...(ca !== undefined && { ca: await pemOf('cyberark_ca_cert', ca, io) }),
    ...(identity !== undefined && { identity }),
    verifyCertificate: settings.cyberark_ssl_verify.trim().toLowerCase() !== 'false',
  })

  const jwtNow = async (): Promise<string> => {
    const given = jwt?.reveal() ?? ''
    if (/^[\w-]+\.[\w-]+\.[\w-]*$/.test(given)) return given
    const bytes = await io.files.read(given)
    if (bytes === undefined) throw wrong('cyberark_jwt', 'is neither a token nor the path of a file that is there')
    return Buffer.from(bytes).toString('utf8').trim()
  }
  const loginRequest = async (): Promise<HttpRequest> => {
    const repeatable = true
    // The default login is a user; a token or a certificate names a host, so there it is left out.
    const host = username === 'admin' ? '' : `/${encodePart(username)}`
    if (kind === 'authn-jwt') return { method: 'POST', path: `/authn-jwt/${encodePart(service)}/${encodePart(account)}${host}/authenticate`, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: SecretValue.of(`jwt=${encodePart(await jwtNow())}`), repeatable }
    if (kind === 'authn-cert') return { method: 'POST', path: `/authn-cert/${encodePart(service)}/${encodePart(account)}${host}/authenticate`, headers: { 'content-type': 'text/plain' }, body: '', repeatable }
    return { method: 'POST', path: `/authn/${encodePart(account)}/${encodePart(username)}/authenticate`, headers: { 'content-type': 'text/plain' }, body: apiKey ?? '', repeatable }
  }
  const login = async (call: Call): Promise<Token> => {
    const response = await client.send(await loginRequest(), call)
    if (response.status !== 200) throw conjurFailure(response.status === 404 ? { ...response, status: 403 } : response, { action: 'the login', needs: `an account, a login and a credential that fit together (cyberark_account, cyberark_username, cyberark_api_key), and the right to use ${kind}` })
    const { value, useMs } = readConjurToken(response.body, settings.cyberark_refresh_interval)
    return { value, useUntil: io.clock.now() + useMs }
  }
  const tokens = tokenSource({ clock: io.clock, login: (call) => login(call) })

  const attempt = async (request: HttpRequest, what: ConjurAction, token: Token, call: Call): Promise<HttpResponse> => {
    const response = await client.send({ ...request, headers: { ...request.headers, authorization: ['Token token="', token.value, '"'] } }, call)
    if (response.status === 401) throw conjurFailure(response, what)
    return response
  }
  return {
    account,
    send: async (request, what, call) => {
      checkCall(call, io.clock)
      try {
        return await withToken(tokens, call, (token) => attempt(request, what, token, call), (error) => isCode(error, 'provider_denied') && error.details.vendor?.status === 401)
      } catch (error) {
        // Who waited for a login that others share leaves with its own reason.
        call.signal.throwIfAborted()
        throw error
      }
    },
    close: () => client.close(),
  }
}
