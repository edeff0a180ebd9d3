// The way to one Vault or OpenBao: its address, its namespaces, and what every answer means before a caller sees it. A namespace stands in the path of secrets and in
// the header of logins, as LiteLLM has it. Nothing that Vault says is repeated: its texts are only looked at where it has no code for what it means.
import { LatchkeyError, type ErrorCode } from '../../core/errors.ts'
import { serviceFailure, type ServiceCall } from '../../core/failure.ts'
import { encodePart, type HttpResponse } from '../../core/http-client.ts'
import { retryAfterOf } from '../../core/http/answers.ts'
import { checkCall, type Call, type ProviderIo } from '../../core/runtime.ts'
import { SecretValue } from '../../core/secret.ts'
import type { SettingsTable } from '../../core/settings.ts'
import { isMapping } from '../../core/settings/mapping.ts'
import { placeOf, vaultIdentity, vaultLoginSettings, type VaultIdentity, type VaultLoginSettings, type VaultSend } from './login.ts'
import { parseExactly } from './value-map.ts'
import { refuseOpenHttp } from '../plain-http.ts'
import { pemOrFile } from '../operator-files.ts'

/** Settings of the way there. */
export interface VaultSettings extends VaultLoginSettings {
  readonly vault_addr: string
  readonly vault_namespace?: string
  readonly vault_login_namespace?: string
  readonly vault_secret_namespace?: string
  readonly vault_namespace_header: boolean
  readonly vault_ca?: string
  readonly vault_ssl_verify: boolean
  readonly vault_allow_plain_http: boolean
}

/** The rows of the settings table for the way there and the login. */
export const vaultSettings: SettingsTable<VaultSettings> = {
  vault_addr: { type: 'url', default: 'http://127.0.0.1:8200', env: ['HCP_VAULT_ADDR'], text: 'Address of Vault or OpenBao.' },
  ...vaultLoginSettings,
  vault_namespace: { type: 'string', env: ['HCP_VAULT_NAMESPACE'], text: 'Namespace of login and secrets. Default: none.' },
  vault_login_namespace: { type: 'string', env: ['HCP_VAULT_LOGIN_NAMESPACE'], text: 'Namespace of the login, sent as a header. Default: `vault_namespace`.' },
  vault_secret_namespace: { type: 'string', env: ['HCP_VAULT_SECRET_NAMESPACE'], text: 'Namespace of the secrets, sent in the path. Default: `vault_namespace`.' },
  vault_namespace_header: { type: 'boolean', default: false, text: "Sends the secrets' namespace as the header `X-Vault-Namespace` instead of in the path; it is proved before the first write." },
  vault_ca: { type: 'string', env: ['VAULT_CACERT'], text: "Authorities to trust in place of the system's: a path or PEM text." },
  vault_ssl_verify: { type: 'boolean', default: true, text: "Checks Vault's certificate. Switch it off for tests only." },
  vault_allow_plain_http: { type: 'boolean', default: false, text: 'Allows an address that begins with `http://` on another machine. Secrets then travel unencrypted.' },
}

/** One request about secrets, or about this token. */
export interface VaultRequest {
  readonly method: string
  /** Below `/v1/` and the namespace, encoded. */
  readonly path: string
  readonly body?: SecretValue
  readonly contentType?: string
  readonly repeatable?: boolean
  /** Whose namespace it is in. Default: `secrets`. `path`: the namespace of the secrets, in the path whatever the setting says. */
  readonly within?: 'secrets' | 'login' | 'path'
}

/** An answer that is worth a caller's thought: done, refused by a condition, or not there. */
export interface VaultAnswer {
  readonly kind: 'done' | 'mismatch' | 'gone' | 'absent'
  /** Vault's `data`. */
  readonly data: Readonly<Record<string, unknown>>
}

/** A connection to one Vault under one identity. */
export interface VaultConnection {
  readonly identity: VaultIdentity
  /** The namespace of the secrets; empty: none. */
  readonly namespace: string
  /** @throws invalid_request, provider_denied, provider_throttled, provider_unavailable, misconfigured (no such engine or namespace), too_large */
  ask(request: VaultRequest, what: Omit<ServiceCall, 'title'>, call: Call): Promise<VaultAnswer>
  close(): Promise<void>
}

const title = 'Vault'
const upgradePauses = 5
const standbyStatuses: ReadonlySet<number> = new Set([472, 473])

/** A path below `/v1/`: every segment by itself, so that no name can leave its place. */
export const encodePath = (path: string): string => path.split('/').map(encodePart).join('/')

/** PEM text, or the text of the file that is named. @throws misconfigured */
const pemOf = async (io: ProviderIo, setting: string, given: string): Promise<string> => {
  const text = await pemOrFile(given, io).catch(() => undefined)
  if (text === undefined) throw new LatchkeyError('misconfigured', `${setting} names a file that is not there or cannot be read; give a path or PEM text.`, { issues: [{ path: setting, message: 'names no readable file' }] })
  return text
}

const bodyOf = (response: HttpResponse): { readonly data?: unknown; readonly errors?: unknown } | undefined => {
  if (response.body.byteLength === 0 && response.status === 204) return {}
  try {
    const body = response.headers['content-type']?.includes('json') === true ? parseExactly(Buffer.from(response.body).toString('utf8')) : undefined
    return typeof body === 'object' && body !== null ? body : undefined
  } catch {
    return undefined
  }
}

const saysOf = (errors: unknown): string | undefined => (Array.isArray(errors) ? errors.filter((text) => typeof text === 'string').join('\n') : undefined)

/** What an answer means. @throws everything that is no thought of the caller's */
const judge = (response: HttpResponse, { method }: VaultRequest, what: ServiceCall): VaultAnswer => {
  const { status } = response
  const body = bodyOf(response)
  const says = saysOf(body?.errors)
  const details = { vendor: { status } }
  const fail = (code: ErrorCode, message?: string): LatchkeyError => {
    const failure = serviceFailure(code, what, { ...details, ...(code === 'provider_throttled' && { retryAfter: retryAfterOf(response) ?? 1 }) })
    return message === undefined ? failure : failure.with({}, message)
  }
  if ((status === 200 || status === 204) && body !== undefined && body.errors === undefined) return { kind: 'done', data: isMapping(body.data) ? body.data : {} }
  if (status === 404 && isMapping(body?.data) && isMapping(body.data['metadata'])) return { kind: 'gone', data: body.data }
  if (status === 404 && ((says === '' && body?.data === undefined) || (method === 'PATCH' && response.body.byteLength === 0))) return { kind: 'absent', data: {} }
  if (status === 404 && body !== undefined) throw fail('misconfigured', 'Vault knows no KV version 2 engine at vault_mount_name, or no such namespace: it has nothing to ask for this path. Check vault_mount_name, vault_secret_namespace and that the engine is KV version 2.')
  if (status === 400 && says?.includes('check-and-set parameter did not match') === true) return { kind: 'mismatch', data: {} }
  if (status === 400 && says !== undefined) throw upgrading(response) ? fail('provider_unavailable', 'Vault is upgrading this engine to KV version 2 and answers nothing until that is done.') : fail('invalid_request')
  if (status === 403) throw fail('provider_denied')
  if (status === 405) throw fail('misconfigured', 'Vault does not do this at vault_mount_name: it is no KV version 2 engine, or an old one.')
  if (status === 413) throw fail('too_large', `The value is larger than ${title} takes in one request.`)
  if (status === 429) throw fail('provider_throttled')
  if (standbyStatuses.has(status)) throw fail('provider_unavailable', 'What answered is a standby of another cluster or a performance standby that does not forward. Let vault_addr name the active node or the load balancer before it.')
  if (status === 503) throw fail('provider_unavailable', 'Vault is sealed or in maintenance. Unseal it; nothing was done.')
  throw fail('provider_unavailable')
}

const upgrading = (response: HttpResponse): boolean => response.status === 400 && saysOf(bodyOf(response)?.errors)?.includes('Upgrading from non-versioned') === true

/** Redirects are never followed; from Vault they have one meaning. */
const explainRedirect = (error: unknown): never => {
  const status = error instanceof LatchkeyError ? (error.details.vendor?.status ?? 0) : 0
  if (!(error instanceof LatchkeyError) || status < 300 || status >= 400) throw error
  throw error.with({}, 'Vault answered with a redirect, which is never followed: a standby node that does not forward answers so. Let vault_addr name the active node or the load balancer before it.')
}

/** Opens the way to Vault. Makes no call. @throws misconfigured naming the setting */
export const connectVault = async (settings: VaultSettings, io: ProviderIo): Promise<VaultConnection> => {
  const url = settings.vault_addr.replace(/\/+$/, '')
  refuseOpenHttp('vault_addr', url, { setting: 'vault_allow_plain_http', value: settings.vault_allow_plain_http })
  const namespace = placeOf('vault_secret_namespace', settings.vault_secret_namespace ?? settings.vault_namespace)
  const loginNamespace = placeOf('vault_login_namespace', settings.vault_login_namespace ?? settings.vault_namespace)
  const { client_cert: cert, client_key: key } = settings
  const identity = cert === undefined || key === undefined ? undefined : { cert: await pemOf(io, 'client_cert', cert), key: SecretValue.of(await pemOf(io, 'client_key', key.reveal())) }
  const client = await io.http.connect({
    url,
    title,
    setting: 'vault_addr',
    verifyCertificate: settings.vault_ssl_verify,
    maxAnswerBytes: 16 * 1024 * 1024,
    ...(settings.vault_ca !== undefined && { ca: await pemOf(io, 'vault_ca', settings.vault_ca) }),
    ...(identity !== undefined && { identity }),
  })
  const send = ({ method, path, body, contentType = 'application/json', repeatable, within = 'secrets' }: VaultRequest, token: SecretValue | undefined, call: Call): Promise<HttpResponse> => {
    const inPath = within === 'path' || (within === 'secrets' && !settings.vault_namespace_header)
    const header = within === 'login' ? loginNamespace : inPath ? '' : namespace
    const headers = {
      'x-vault-request': 'true',
      ...(token !== undefined && { 'x-vault-token': token }),
      ...(header !== '' && { 'x-vault-namespace': header }),
      ...(body !== undefined && { 'content-type': contentType }),
    }
    const request = { method, path: `/v1/${inPath && namespace !== '' ? `${encodePath(namespace)}/` : ''}${path}`, headers, ...(body !== undefined && { body }), ...(repeatable !== undefined && { repeatable }), repeatOn: [412] }
    return client.send(request, call).catch(explainRedirect)
  }
  const whenUpgraded = async (request: VaultRequest, token: SecretValue, call: Call): Promise<HttpResponse> => {
    for (let pause = 1; ; pause += 1) {
      const response = await send(request, token, call)
      if (pause > upgradePauses || !upgrading(response) || io.clock.now() + 200 * pause >= call.deadline) return response
      await io.clock.sleep(200 * pause, call.signal)
    }
  }
  const loginSend: VaultSend = ({ method, path, token, body }, call) => send({ method, path: encodePath(path), within: 'login', repeatable: false, ...(body !== undefined && { body }) }, token, call)
  const who = vaultIdentity(settings, io, loginSend)

  return {
    identity: who,
    namespace,
    ask: async (request, what, call) => {
      checkCall(call, io.clock)
      const token = await who.source.get(call)
      const response = await whenUpgraded(request, token.value, call)
      if (response.status !== 403 || !who.canLogIn) return judge(response, request, { title, ...what })
      // A refused token and a missing policy look the same; only a token that may not even look at itself is one to replace.
      const self = await send({ method: 'GET', path: 'auth/token/lookup-self', within: 'login' }, token.value, call)
      if (self.status !== 403) return judge(response, request, { title, ...what })
      who.source.refused(token)
      return judge(await whenUpgraded(request, (await who.source.get(call)).value, call), request, { title, ...what })
    },
    close: () => client.close(),
  }
}
