// Who Latchkey is to Infisical: a static token first, else a login of a machine identity, kept until shortly before it ends, renewed while the service allows that and made
// anew where it does not. Renewing spares client secrets, which may have a number of uses.
import { LatchkeyError, wrongSetting as wrong } from '../../core/errors.ts'
import type { HttpClient } from '../../core/http-client.ts'
import { jsonOf } from '../../core/http/answers.ts'
import { checkCall, type Call, type ProviderIo } from '../../core/runtime.ts'
import { SecretValue } from '../../core/secret.ts'
import type { SettingsTable } from '../../core/settings.ts'
import { isJwt, isOidcReference, oidcTokens, tokenFile, type IdentityTokens } from '../oidc.ts'
import { tokenSource, type Token, type TokenSource } from '../token.ts'
import { failureOf, isTokenRefusal, nonsense, title } from './api.ts'
import { signedCallerIdentity } from './aws-login.ts'
import { pemOrFile } from '../operator-files.ts'

/** The ways to log in. */
export const authMethods = ['token', 'universal', 'aws', 'azure', 'gcp', 'kubernetes', 'oidc', 'jwt'] as const
/** One of them. */
export type AuthMethod = (typeof authMethods)[number]

/** The identity rows of the settings. */
export interface InfisicalLoginSettings {
  readonly infisical_auth_method?: AuthMethod
  readonly infisical_token?: SecretValue
  readonly infisical_client_id?: string
  readonly infisical_client_secret?: SecretValue
  readonly infisical_identity_id?: string
  readonly infisical_jwt?: SecretValue
  readonly infisical_aws_region?: string
}

/** The identity rows of the settings table, LiteLLM's names first. */
export const infisicalLoginSettings: SettingsTable<InfisicalLoginSettings> = {
  infisical_auth_method: { type: 'string', values: authMethods, text: 'How to log in. Default: `token` when there is one, else `universal`. The others need `infisical_identity_id`.' },
  infisical_token: { type: 'string', secret: true, env: ['INFISICAL_TOKEN'], text: 'An access token of a machine identity; it is used as it is, before every other credential, and never renewed.' },
  infisical_client_id: { type: 'string', env: ['INFISICAL_CLIENT_ID'], text: 'Client id of a machine identity with universal auth.' },
  infisical_client_secret: { type: 'string', secret: true, env: ['INFISICAL_CLIENT_SECRET'], text: 'The client secret that belongs to it.' },
  infisical_identity_id: { type: 'string', env: ['INFISICAL_MACHINE_IDENTITY_ID'], text: 'Id of the machine identity that `aws`, `azure`, `gcp`, `kubernetes`, `oidc` and `jwt` log in as.' },
  infisical_jwt: { type: 'string', secret: true, text: 'The identity token of `azure`, `gcp`, `kubernetes`, `oidc` and `jwt`: itself, the path of a file that holds it, or an `oidc/<provider>/<audience>` reference. Default: the file of the service account for `kubernetes`, `oidc/google/<identity id>` for `gcp`, `oidc/azure/` for `azure`.' },
  infisical_aws_region: { type: 'string', env: ['AWS_REGION', 'AWS_DEFAULT_REGION'], text: 'Region of the STS endpoint that is named to Infisical by `aws`; the identity must allow it.' },
}

/** How Latchkey logs in, and with what. */
export interface InfisicalLogin {
  readonly method: AuthMethod
  /** Whose value is wrong when the login is refused. */
  readonly setting: string
  readonly tokens: TokenSource
}

const clusterToken = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/** The authority's certificate, itself or from a file. @throws misconfigured when there is no such file */
export const authorityOf = async (given: string | undefined, io: ProviderIo): Promise<string | undefined> => {
  if (given === undefined) return undefined
  const text = await pemOrFile(given, io)
  if (text === undefined) throw wrong('infisical_ca_cert', 'is neither a certificate in PEM nor the path of a file that is there.')
  return text
}

/** The method that the settings mean. @throws misconfigured */
export const methodOf = (settings: InfisicalLoginSettings): AuthMethod => {
  const { infisical_auth_method: asked, infisical_token: token, infisical_client_id: id, infisical_client_secret: secret, infisical_identity_id: identity } = settings
  const method = asked ?? (token !== undefined ? 'token' : id !== undefined || secret !== undefined ? 'universal' : undefined)
  if (method === undefined) throw wrong('infisical_token', 'is missing, and so are infisical_client_id and infisical_client_secret; set INFISICAL_TOKEN, or both of the others, or infisical_auth_method with infisical_identity_id.')
  if (method === 'token' && token === undefined) throw wrong('infisical_token', 'is missing; infisical_auth_method is token. Set it here or in INFISICAL_TOKEN.')
  if (method === 'universal' && (id === undefined || secret === undefined)) throw wrong(id === undefined ? 'infisical_client_id' : 'infisical_client_secret', 'is missing; universal auth needs client id and client secret together.')
  if (method !== 'token' && method !== 'universal' && identity === undefined) throw wrong('infisical_identity_id', `is missing; infisical_auth_method ${method} logs in as a machine identity by its id.`)
  if ((method === 'oidc' || method === 'jwt') && settings.infisical_jwt === undefined) throw wrong('infisical_jwt', `is missing; infisical_auth_method ${method} shows an identity token.`)
  if (method === 'aws' && settings.infisical_aws_region === undefined) throw wrong('infisical_aws_region', 'is missing; set it here or in AWS_REGION.')
  return method
}

const identityTokens = (method: AuthMethod, settings: InfisicalLoginSettings, io: ProviderIo): IdentityTokens => {
  const usual: Partial<Record<AuthMethod, string>> = { kubernetes: clusterToken, gcp: `oidc/google/${settings.infisical_identity_id ?? ''}`, azure: 'oidc/azure/' }
  const text = settings.infisical_jwt?.reveal().trim() ?? usual[method] ?? ''
  if (isOidcReference(text)) return oidcTokens(text, 'infisical_jwt', io)
  if (isJwt(text)) return { get: async () => SecretValue.of(text) }
  if (/\s/.test(text)) throw wrong('infisical_jwt', 'is neither a token, nor an oidc/ reference, nor the path of a file.')
  return { get: () => tokenFile(io.files, text, 'infisical_jwt') }
}

interface Grant extends Token {
  /** Until when it can be renewed; nothing where the service names no end. */
  readonly renewUntil?: number
}

/** The login of these settings over one connection. Makes no call. @throws misconfigured */
export const infisicalLogin = (settings: InfisicalLoginSettings, client: HttpClient, io: ProviderIo): InfisicalLogin => {
  const { clock } = io
  const method = methodOf(settings)
  const { infisical_token: token } = settings
  const setting = method === 'token' ? 'infisical_token' : method === 'universal' ? 'infisical_client_secret' : 'infisical_identity_id'
  if (method === 'token' && token !== undefined) return { method, setting, tokens: { get: async () => ({ value: token }), refused: () => undefined } }
  const identity = method === 'universal' || method === 'aws' ? undefined : identityTokens(method, settings, io)

  const bodyOf = async (call: Call): Promise<Readonly<Record<string, string>>> => {
    const identityId = settings.infisical_identity_id ?? ''
    if (method === 'universal') return { clientId: settings.infisical_client_id ?? '', clientSecret: settings.infisical_client_secret?.reveal() ?? '' }
    if (method === 'aws') return { identityId, ...(await signedCallerIdentity(settings.infisical_aws_region ?? '', io.env)) }
    return { identityId, jwt: (await identity?.get(call))?.reveal() ?? '' }
  }

  const grantOf = async (path: string, body: Readonly<Record<string, string>>, action: string, call: Call): Promise<Grant> => {
    checkCall(call, clock)
    const asked = clock.now()
    const answer = await client.send({ method: 'POST', path, headers: { accept: 'application/json', 'content-type': 'application/json' }, body: SecretValue.of(JSON.stringify(body)) }, call)
    if (answer.status !== 200) throw refusalOf(failureOf(answer, { title, action }), method, setting)
    const { accessToken, expiresIn, accessTokenMaxTTL } = (jsonOf(answer, title) ?? {}) as Readonly<Record<string, unknown>>
    const sane = (seconds: unknown): seconds is number => typeof seconds === 'number' && seconds >= 0 && seconds < 1e10
    if (typeof accessToken !== 'string' || !/^[\x21-\x7e]+$/.test(accessToken) || !sane(expiresIn)) throw nonsense(action, answer.status)
    // A fifth of a short life, a minute of a long one; a life of 0 has no end.
    const margin = Math.min(60_000, expiresIn * 200)
    const lives = expiresIn === 0 ? {} : { useUntil: asked + expiresIn * 1000 - margin }
    return { value: SecretValue.of(accessToken), ...lives, ...(sane(accessTokenMaxTTL) && accessTokenMaxTTL > 0 && { renewUntil: asked + accessTokenMaxTTL * 1000 - margin }) }
  }

  let held: Grant | undefined
  const renewed = async (before: Token | undefined, call: Call): Promise<Grant | undefined> => {
    if (held === undefined || before?.value !== held.value || before.useUntil === undefined || clock.now() >= before.useUntil + 10_000) return undefined
    const { renewUntil } = held
    if (renewUntil !== undefined && clock.now() >= renewUntil) return undefined
    const grant = await grantOf('/api/v1/auth/token/renew', { accessToken: before.value.reveal() }, 'the renewal of the login', call).catch((error: unknown) => {
      if (error instanceof LatchkeyError && error.code === 'deadline_exceeded') throw error
      return undefined
    })
    if (grant === undefined) return undefined
    // What a renewal names as its longest life is counted from the first login.
    return { value: grant.value, ...(grant.useUntil !== undefined && { useUntil: grant.useUntil }), ...(renewUntil !== undefined && { renewUntil }) }
  }
  const login = async (call: Call, before: Token | undefined): Promise<Grant> => (held = (await renewed(before, call)) ?? (await grantOf(`/api/v1/auth/${method}-auth/login`, await bodyOf(call), 'the login', call)))
  return { method, setting, tokens: tokenSource({ clock, login }) }
}

const refusalOf = (failure: LatchkeyError, method: AuthMethod, setting: string): LatchkeyError => {
  if (!['provider_denied', 'not_found', 'invalid_request', 'conflict'].includes(failure.code)) return failure
  const { vendor } = failure.details
  return new LatchkeyError('provider_denied', `${title} refused the login (${method}). Check ${setting}${method === 'universal' ? ' and infisical_client_id: whether they belong together, have uses left and may be used from this address' : ' and what the identity allows: its issuer, audience, subject or account'}.`, { issues: [{ path: setting, message: 'the login was refused' }], ...(vendor !== undefined && { vendor }) })
}

/** Which setting stands behind a refusal: the credential, where the token itself was refused. */
export const settingBehind = (failure: LatchkeyError, login: InfisicalLogin): string => (isTokenRefusal(failure) || failure.details.issues?.[0]?.path === login.setting ? login.setting : 'infisical_project_id')
