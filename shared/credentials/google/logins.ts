// How each kind of Google credential becomes an access token, over our own client: its limits, its repetitions, no redirects, no proxies.
// A service account's key signs its own token (RFC 7523 as Google's APIs take it), so that no login is needed at all; Google's library is asked for one
// thing only, the signed request by which AWS vouches for us, because its own logins keep their own clock and open their own connections.
import { sign, type KeyObject } from 'node:crypto'
import { LatchkeyError } from '../../core/errors.ts'
import { serviceFailure } from '../../core/failure.ts'
import type { HttpClient, HttpRequest, HttpText } from '../../core/http-client.ts'
import { jsonOf } from '../../core/http/answers.ts'
import type { Call, ProviderIo } from '../../core/runtime.ts'
import { SecretValue } from '../../core/secret.ts'
import type { Login, Token } from '../token.ts'
import { homePath } from '../operator-files.ts'

/** AWS vouches: the URL of GetCallerIdentity, with `{region}` where the region belongs. */
export interface AwsSource {
  readonly from: 'aws'
  readonly check: string
}

interface ServiceAccount {
  readonly kind: 'service_account'
  readonly email: string
  readonly key: KeyObject
  readonly keyId?: string
}

interface AuthorizedUser {
  readonly kind: 'authorized_user'
  readonly clientId: string
  readonly clientSecret: SecretValue
  readonly refreshToken: SecretValue
  readonly url: string
}

/** A credential whose every URL has been checked. */
export type GoogleCredential =
  | ServiceAccount
  | AuthorizedUser
  | {
      readonly kind: 'external_account'
      readonly audience: string
      readonly tokenType: string
      readonly url: string
      readonly impersonate?: string
      readonly subject:
        | AwsSource
        | { readonly from: 'file'; readonly path: string; readonly field?: string }
        | { readonly from: 'url'; readonly url: string; readonly headers: Readonly<Record<string, string>>; readonly field?: string }
    }
  | { readonly kind: 'impersonated_service_account'; readonly source: ServiceAccount | AuthorizedUser; readonly impersonate: string }
  | { readonly kind: 'metadata'; readonly host: string }

const scope = 'https://www.googleapis.com/auth/cloud-platform'
const marginMs = 60_000
const selfSignedSeconds = 3_600

type Json = Readonly<Record<string, unknown>>

const base64url = (json: Json): string => Buffer.from(JSON.stringify(json)).toString('base64url')
const form = (fields: Readonly<Record<string, string | SecretValue>>): SecretValue =>
  SecretValue.of(Object.entries(fields).map(([name, value]) => `${name}=${encodeURIComponent(value instanceof SecretValue ? value.reveal() : value)}`).join('&'))

/** Logs in as `credential`. `of` says whose login it is and which setting decides it, for messages. */
export const googleLogin = (credential: GoogleCredential, of: { readonly who: string; readonly setting: string }, io: ProviderIo): Pick<Login, 'login'> & { close(): Promise<void> } => {
  const clients = new Map<string, Promise<HttpClient>>()
  const misconfigured = (message: string): LatchkeyError => new LatchkeyError('misconfigured', `${of.setting}: ${message}`)

  /** One request to one of the hosts that the credential may name. */
  const ask = async (title: string, url: string, request: Omit<HttpRequest, 'path'>, call: Call): Promise<Awaited<ReturnType<HttpClient['send']>>> => {
    const { origin, pathname, search } = new URL(url)
    const client = clients.get(origin) ?? io.http.connect({ url: origin, title, setting: of.setting })
    clients.set(origin, client)
    const answer = await (await client).send({ ...request, path: pathname + search, repeatable: true }, call)
    const vendor = { vendor: { status: answer.status } }
    if (answer.status === 429) throw serviceFailure('provider_throttled', { title, action: 'the login' }, vendor)
    if (answer.status >= 500) throw serviceFailure('provider_unavailable', { title, action: 'the login' }, vendor)
    if (answer.status !== 200) throw new LatchkeyError('provider_denied', `${title} refused Latchkey's login. Check ${of.setting}, and that this identity still exists and may be used.`, { ...vendor, detail: `login of ${of.who}` })
    return answer
  }

  const tokenOf = (text: unknown, untilMs: number, title: string): Token => {
    if (typeof text !== 'string' || !/^[\x21-\x7e]{1,16384}$/.test(text) || !Number.isFinite(untilMs)) throw serviceFailure('provider_unavailable', { title, action: 'the login' })
    return { value: SecretValue.of(text), useUntil: untilMs - marginMs }
  }

  const post = async (title: string, url: string, body: SecretValue, headers: Readonly<Record<string, HttpText>>, call: Call): Promise<Json> =>
    jsonOf(await ask(title, url, { method: 'POST', headers, body }, call), title) as Json

  const postForm = async (title: string, url: string, fields: Readonly<Record<string, string | SecretValue>>, call: Call): Promise<Token> => {
    const answer = await post(title, url, form(fields), { 'content-type': 'application/x-www-form-urlencoded' }, call)
    return tokenOf(answer['access_token'], io.clock.now() + Number(answer['expires_in']) * 1000, title)
  }

  /** A token of the service account's own making; Google's APIs check its signature by the account's public key. */
  const selfSigned = ({ email, key, keyId }: ServiceAccount): Token => {
    const now = Math.floor(io.clock.now() / 1000)
    const unsigned = `${base64url({ alg: 'RS256', typ: 'JWT', ...(keyId !== undefined && { kid: keyId }) })}.${base64url({ iss: email, sub: email, scope, iat: now, exp: now + selfSignedSeconds })}`
    return { value: SecretValue.of(`${unsigned}.${sign('RSA-SHA256', Buffer.from(unsigned), key).toString('base64url')}`), useUntil: (now + selfSignedSeconds) * 1000 - marginMs }
  }

  const impersonated = async (by: Token, url: string, call: Call): Promise<Token> => {
    const title = "Google's impersonation"
    const answer = await post(title, url, SecretValue.of(JSON.stringify({ scope: [scope], lifetime: '3600s' })), { 'content-type': 'application/json', authorization: ['Bearer ', by.value] }, call)
    return tokenOf(answer['accessToken'], Date.parse(String(answer['expireTime'])), title)
  }

  const fieldOf = (text: string, field: string | undefined): SecretValue => {
    if (field === undefined) return SecretValue.of(text.trim())
    try {
      const value = (JSON.parse(text) as Json)[field]
      if (typeof value === 'string' && value !== '') return SecretValue.of(value)
    } catch {
      // Nothing of the text may be shown.
    }
    throw misconfigured('what credential_source leads to is no JSON with the field that subject_token_field_name names.')
  }

  /** The request to AWS that only our AWS credentials can sign; Google sends it on and learns who we are. */
  const fromAws = async ({ check }: AwsSource, audience: string, tokenType: string): Promise<SecretValue> => {
    const region = io.env.get('AWS_REGION') || io.env.get('AWS_DEFAULT_REGION')
    if (!region || !/^[a-z0-9-]{1,63}$/.test(region)) throw misconfigured('federation from AWS needs AWS_REGION or AWS_DEFAULT_REGION in the environment.')
    const given = { accessKeyId: io.env.get('AWS_ACCESS_KEY_ID') ?? '', secretAccessKey: io.env.get('AWS_SECRET_ACCESS_KEY') ?? '', token: io.env.get('AWS_SESSION_TOKEN') || undefined }
    const chain = async (): Promise<typeof given> => {
      const { accessKeyId, secretAccessKey, sessionToken } = await (await import('@aws-sdk/credential-providers')).fromNodeProviderChain({ clientConfig: { region } })()
      return { accessKeyId, secretAccessKey, token: sessionToken }
    }
    const { AwsClient } = await import('google-auth-library')
    try {
      const keys = given.accessKeyId === '' || given.secretAccessKey === '' ? await chain() : given
      const client = new AwsClient({
        type: 'external_account',
        audience,
        subject_token_type: tokenType,
        aws_security_credentials_supplier: { getAwsRegion: async () => region, getAwsSecurityCredentials: async () => ({ accessKeyId: keys.accessKeyId, secretAccessKey: keys.secretAccessKey, ...(keys.token !== undefined && { token: keys.token }) }) },
      })
      Object.assign(client, { regionalCredVerificationUrl: check })
      return SecretValue.of(await client.retrieveSubjectToken())
    } catch {
      throw misconfigured('federation from AWS found no AWS credentials: neither AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY nor anything in the default chain.')
    }
  }

  const subjectToken = async ({ subject, audience, tokenType }: Extract<GoogleCredential, { kind: 'external_account' }>, call: Call): Promise<SecretValue> => {
    if (subject.from === 'aws') return fromAws(subject, audience, tokenType)
    if (subject.from === 'url') return fieldOf(Buffer.from((await ask('The source of the federated token', subject.url, { method: 'GET', headers: subject.headers }, call)).body).toString('utf8'), subject.field)
    const bytes = await io.files.read(homePath(subject.path, io.env)).catch(() => undefined)
    if (bytes === undefined || bytes.byteLength > 65_536) throw misconfigured('the token file that credential_source names is not there, cannot be read, or is larger than 64 KiB.')
    return fieldOf(Buffer.from(bytes).toString('utf8'), subject.field)
  }

  const federated = async (account: Extract<GoogleCredential, { kind: 'external_account' }>, call: Call): Promise<Token> => {
    const token = await postForm("Google's token exchange", account.url, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      audience: account.audience,
      scope,
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      subject_token: await subjectToken(account, call),
      subject_token_type: account.tokenType,
    }, call)
    return account.impersonate === undefined ? token : impersonated(token, account.impersonate, call)
  }

  const login = async (as: GoogleCredential, call: Call): Promise<Token> => {
    switch (as.kind) {
      case 'service_account':
        return selfSigned(as)
      case 'authorized_user':
        return postForm("Google's token endpoint", as.url, { grant_type: 'refresh_token', client_id: as.clientId, client_secret: as.clientSecret, refresh_token: as.refreshToken }, call)
      case 'external_account':
        return federated(as, call)
      case 'impersonated_service_account':
        return impersonated(await login(as.source, call), as.impersonate, call)
      case 'metadata': {
        const title = "Google's metadata server"
        const response = await ask(title, `http://${as.host}/computeMetadata/v1/instance/service-accounts/default/token`, { method: 'GET', headers: { 'metadata-flavor': 'Google' } }, call)
        if (response.headers['metadata-flavor'] !== 'Google') throw serviceFailure('provider_unavailable', { title, action: 'the login' })
        const answer = jsonOf(response, title) as Json
        return tokenOf(answer['access_token'], io.clock.now() + Number(answer['expires_in']) * 1000, title)
      }
    }
  }

  return {
    login: (call) => login(credential, call),
    close: async () => {
      for (const client of clients.values()) await (await client).close()
    },
  }
}
