// How Latchkey becomes somebody at Vault: a token as it is, or a login that gives one with a lease. LiteLLM's order decides between several: AppRole, certificate,
// then the token; ours (JWT, Kubernetes) stand before the token. Tokens are renewed while Vault lets them be, else got anew; nothing renews by a timer.
import { serviceFailure } from '../../core/failure.ts'
import { LatchkeyError, wrongSetting as wrong } from '../../core/errors.ts'
import type { HttpResponse } from '../../core/http-client.ts'
import { jsonOf } from '../../core/http/answers.ts'
import type { Call, ProviderIo } from '../../core/runtime.ts'
import { SecretValue } from '../../core/secret.ts'
import type { SettingsTable } from '../../core/settings.ts'
import { isJwt, isOidcReference, oidcTokens, tokenFile } from '../oidc.ts'
import { tokenSource, type Token, type TokenSource } from '../token.ts'

/** Settings of the logins. */
export interface VaultLoginSettings {
  readonly vault_token?: SecretValue
  readonly approle_role_id?: string
  readonly approle_secret_id?: SecretValue
  readonly approle_mount_path: string
  readonly vault_approle_secret_id_wrapped: boolean
  readonly client_cert?: string
  readonly client_key?: SecretValue
  readonly vault_cert_role?: string
  readonly vault_jwt?: SecretValue
  readonly vault_jwt_role?: string
  readonly vault_jwt_mount_path: string
  readonly vault_kubernetes_role?: string
  readonly vault_kubernetes_token_path: string
  readonly vault_kubernetes_mount_path: string
}

/** The login rows of the settings table; names and variables of the first nine are LiteLLM's. */
export const vaultLoginSettings: SettingsTable<VaultLoginSettings> = {
  vault_token: { type: 'string', secret: true, env: ['HCP_VAULT_TOKEN'], text: 'A Vault token; used when no login is configured.' },
  approle_role_id: { type: 'string', env: ['HCP_VAULT_APPROLE_ROLE_ID'], text: 'Role id of an AppRole login; needs `approle_secret_id`.' },
  approle_secret_id: { type: 'string', secret: true, env: ['HCP_VAULT_APPROLE_SECRET_ID'], text: 'Secret id of the AppRole login.' },
  approle_mount_path: { type: 'string', default: 'approle', env: ['HCP_VAULT_APPROLE_MOUNT_PATH'], text: 'Where the AppRole login is mounted, below `auth/`.' },
  vault_approle_secret_id_wrapped: { type: 'boolean', default: false, text: '`approle_secret_id` is a wrapping token that is unwrapped once, at the first login.' },
  client_cert: { type: 'string', env: ['HCP_VAULT_CLIENT_CERT'], text: 'Client certificate for the TLS certificate login: a path or PEM text; needs `client_key`.' },
  client_key: { type: 'string', secret: true, env: ['HCP_VAULT_CLIENT_KEY'], text: 'Key of the client certificate: a path or PEM text.' },
  vault_cert_role: { type: 'string', env: ['HCP_VAULT_CERT_ROLE'], text: 'Certificate role to log in to. Default: Vault chooses the one that fits.' },
  vault_jwt: { type: 'string', secret: true, text: 'Identity token for a JWT login: the token, a file that holds it, or an `oidc/…` reference; read again at every login.' },
  vault_jwt_role: { type: 'string', text: "Role of the JWT login. Default: the login's own default role." },
  vault_jwt_mount_path: { type: 'string', default: 'jwt', text: 'Where the JWT login is mounted, below `auth/`.' },
  vault_kubernetes_role: { type: 'string', text: 'Role of a Kubernetes login.' },
  vault_kubernetes_token_path: { type: 'string', default: '/var/run/secrets/kubernetes.io/serviceaccount/token', text: "File with the service account's token; read again at every login." },
  vault_kubernetes_mount_path: { type: 'string', default: 'kubernetes', text: 'Where the Kubernetes login is mounted, below `auth/`.' },
}

/** One request to Vault before anybody is somebody. */
export type VaultSend = (request: { readonly method: string; readonly path: string; readonly token?: SecretValue; readonly body?: SecretValue }, call: Call) => Promise<HttpResponse>

/** Who Latchkey is at Vault. */
export interface VaultIdentity {
  readonly source: TokenSource
  /** Whether a refused token can be replaced by another login. */
  readonly canLogIn: boolean
  /** The setting that decides, and the credentials that were set beside it and are not used. */
  readonly setting: string
  readonly ignored: readonly string[]
}

interface Method {
  readonly title: string
  readonly setting: string
  readonly mount: string
  readonly needs: string
  body(call: Call): Promise<Record<string, string | null>>
}

const title = 'Vault'

/** Text without the spaces and slashes around it, as LiteLLM takes namespaces, mounts and prefixes. @throws misconfigured when it cannot be part of a path */
export const placeOf = (setting: string, text: string | undefined): string => {
  const place = (text ?? '').replace(/^[\s/]+|[\s/]+$/g, '')
  if (/[\p{Cc}\u2028\u2029?#%]/u.test(place) || (place !== '' && place.split('/').some((part) => ['', '.', '..'].includes(part)))) throw wrong(setting, 'must be a path without empty, "." or ".." parts, without ? # % and control characters.')
  return place
}

const leaseMargin = 60
/** A lease is used until less than 60 seconds or 20 % of it remain, but half of a short one. */
const usableMs = (seconds: number): number => (seconds - Math.min(Math.max(leaseMargin, seconds / 5), seconds / 2)) * 1000

interface Lease extends Token {
  readonly until: number | undefined
  readonly renewable: boolean
}

const leaseOf = (answer: unknown, now: number): Lease | undefined => {
  const { auth } = answer as { auth?: { client_token?: unknown; lease_duration?: unknown; renewable?: unknown } | null }
  if (typeof auth?.client_token !== 'string' || auth.client_token === '') return undefined
  const seconds = typeof auth.lease_duration === 'number' ? auth.lease_duration : 0
  const until = seconds > 0 ? now + seconds * 1000 : undefined
  return { value: SecretValue.of(auth.client_token), renewable: auth.renewable === true, until, ...(seconds > 0 && { useUntil: now + usableMs(seconds) }) }
}

const methodsOf = (settings: VaultLoginSettings, io: ProviderIo, send: VaultSend): readonly Method[] => {
  const { approle_role_id: roleId, approle_secret_id: secretId, vault_jwt: jwt, vault_jwt_role: jwtRole, vault_kubernetes_role: kubernetesRole } = settings
  let unwrapped: SecretValue | undefined
  const unwrap = async (given: SecretValue, call: Call): Promise<SecretValue> => {
    if (!settings.vault_approle_secret_id_wrapped) return given
    if (unwrapped !== undefined) return unwrapped
    const response = await send({ method: 'POST', path: 'sys/wrapping/unwrap', token: given }, call)
    const { data } = (response.status === 200 ? jsonOf(response, title) : {}) as { data?: { secret_id?: unknown } }
    if (typeof data?.secret_id !== 'string') throw serviceFailure('provider_denied', { title, action: 'unwrapping the AppRole secret id', needs: 'a wrapping token in approle_secret_id that nobody has used yet' }, { vendor: { status: response.status } })
    return (unwrapped = SecretValue.of(data.secret_id))
  }
  const identityToken = (given: SecretValue, call: Call): Promise<SecretValue> => {
    const text = given.reveal().trim()
    return isOidcReference(text) ? oidcTokens(text, 'vault_jwt', io).get(call) : isJwt(text) ? Promise.resolve(SecretValue.of(text)) : tokenFile(io.files, text, 'vault_jwt')
  }
  return [
    ...(roleId !== undefined && secretId !== undefined
      ? [{ title: 'AppRole', setting: 'approle_role_id', mount: placeOf('approle_mount_path', settings.approle_mount_path), needs: 'the right approle_role_id, and a secret id that is neither expired nor used up', body: async (call: Call) => ({ role_id: roleId, secret_id: (await unwrap(secretId, call)).reveal() }) }]
      : []),
    ...(settings.client_cert !== undefined ? [{ title: 'TLS certificate', setting: 'client_cert', mount: 'cert', needs: 'a certificate that a role of auth/cert trusts', body: async () => ({ name: settings.vault_cert_role ?? null }) }] : []),
    ...(jwt !== undefined
      ? [{ title: 'JWT', setting: 'vault_jwt', mount: placeOf('vault_jwt_mount_path', settings.vault_jwt_mount_path), needs: 'a token whose issuer, audience and claims the role takes', body: async (call: Call) => ({ ...(jwtRole !== undefined && { role: jwtRole }), jwt: (await identityToken(jwt, call)).reveal() }) }]
      : []),
    ...(kubernetesRole !== undefined
      ? [{ title: 'Kubernetes', setting: 'vault_kubernetes_role', mount: placeOf('vault_kubernetes_mount_path', settings.vault_kubernetes_mount_path), needs: 'a service account that the role takes', body: async () => ({ role: kubernetesRole, jwt: (await tokenFile(io.files, settings.vault_kubernetes_token_path, 'vault_kubernetes_token_path')).reveal() }) }]
      : []),
  ]
}

/** Who the settings say that Latchkey is. Makes no call. @throws misconfigured when they name nobody, or half of a credential */
export const vaultIdentity = (settings: VaultLoginSettings, io: ProviderIo, send: VaultSend): VaultIdentity => {
  const { vault_token: token } = settings
  if ((settings.client_cert === undefined) !== (settings.client_key === undefined)) throw wrong(settings.client_cert === undefined ? 'client_cert' : 'client_key', 'is missing: a client certificate and its key belong together.')
  const methods = methodsOf(settings, io, send)
  const named = [...methods.map(({ setting }) => setting), ...(token === undefined ? [] : ['vault_token'])]
  const [method] = methods
  if (method === undefined && token === undefined) {
    const half = settings.approle_role_id === undefined ? (settings.approle_secret_id === undefined ? undefined : 'approle_role_id') : 'approle_secret_id'
    throw half === undefined
      ? wrong('vault_token', 'or another credential is required: vault_token (HCP_VAULT_TOKEN), approle_role_id and approle_secret_id, client_cert and client_key, vault_jwt, or vault_kubernetes_role.')
      : wrong(half, 'is missing: an AppRole login needs approle_role_id and approle_secret_id.')
  }
  const facts = { canLogIn: method !== undefined, setting: named[0] ?? '', ignored: named.slice(1) }
  if (method === undefined) return { ...facts, source: tokenSource({ clock: io.clock, login: async () => ({ value: token as SecretValue }) }) }

  let lease: Lease | undefined
  const renew = async (held: Lease, call: Call): Promise<Lease | undefined> => {
    const response = await send({ method: 'POST', path: 'auth/token/renew-self', token: held.value, body: SecretValue.of('{}') }, call)
    const renewed = response.status === 200 ? leaseOf(jsonOf(response, title), io.clock.now()) : undefined
    // One that renewal no longer lengthens is at the end of its life.
    return renewed?.useUntil !== undefined && renewed.until !== undefined && held.until !== undefined && renewed.until > held.until ? renewed : undefined
  }
  const logIn = async (call: Call): Promise<Lease> => {
    const path = `auth/${method.mount}/login`
    const response = await send({ method: 'POST', path, body: SecretValue.of(JSON.stringify(await method.body(call))) }, call)
    const gained = response.status === 200 ? leaseOf(jsonOf(response, title), io.clock.now()) : undefined
    if (gained !== undefined) return gained
    const details = { vendor: { status: response.status }, detail: `POST ${path}` }
    if (response.status === 404 || response.status === 405) throw new LatchkeyError('misconfigured', `Vault has no ${method.title} login at auth/${method.mount}, or not in this namespace. Check where it is mounted.`, details)
    const code = response.status === 429 ? 'provider_throttled' : response.status >= 400 && response.status < 500 ? 'provider_denied' : 'provider_unavailable'
    throw serviceFailure(code, { title, action: `the ${method.title} login`, needs: method.needs }, details)
  }
  const login = async (call: Call, held: Token | undefined): Promise<Lease> => {
    const mine = held !== undefined && held === lease ? lease : undefined
    const renewed = mine?.renewable === true && mine.until !== undefined && io.clock.now() < mine.until ? await renew(mine, call) : undefined
    return (lease = renewed ?? (await logIn(call)))
  }
  return { ...facts, source: tokenSource({ clock: io.clock, login }) }
}
