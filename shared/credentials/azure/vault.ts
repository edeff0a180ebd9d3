// Key Vault's calls. A value is read by a plain request; everything else goes through Microsoft's own client, loaded by who needs it first, which sends through ours. Its token
// handling is a formality: it is challenged and answered on this machine, and the real token is put on here. So no call travels without one, no first call loses its body, and
// no token or refusal of the vendor's enters its errors.
import type { SecretClient, SecretProperties } from '@azure/keyvault-secrets'
import { isCode, LatchkeyError } from '../../core/errors.ts'
import { encodePart, type HttpRequest, type HttpResponse } from '../../core/http-client.ts'
import { jsonOf } from '../../core/http/answers.ts'
import { checkCall, type Call, type ProviderIo } from '../../core/runtime.ts'
import { azureSite, type AzureSettings } from './identity.ts'
import { azureTokens } from './login.ts'
import { failureOf, nonsense, refusedToken, title, type VaultAction, type VaultSubject } from './refusals.ts'
import type { SdkClient } from './pipeline.ts'
import { secretOf } from './vault-answers.ts'
import type { Token } from '../token.ts'
import { isMapping } from '../../core/settings/mapping.ts'
import { isLoopbackHost } from '../../core/settings/loopback.ts'

/** One version as the vault lists it. */
export interface VaultVersion {
  /** 32 hex digits; empty in a list of secrets. */
  readonly id: string
  /** Whole seconds, in epoch milliseconds. */
  readonly created: number
  readonly enabled: boolean
  readonly tags: Readonly<Record<string, string>>
  readonly contentType?: string
  readonly expires?: Date
  readonly notBefore?: Date
}

/** One version with its value. */
export interface VaultSecret extends VaultVersion {
  readonly value: string
}

/** A secret that is deleted and can be taken back. */
export interface DeletedSecret extends VaultVersion {
  readonly until?: Date
}

/** What a PUT or PATCH says beside the value. `null` takes the expiry off. */
export interface VaultProperties {
  readonly tags?: Readonly<Record<string, string>>
  readonly contentType?: string
  readonly expires?: Date | null
  readonly notBefore?: Date
  readonly enabled?: boolean
}

/** One vault. Every call throws not_found, version_disabled, soft_deleted, conflict, invalid_request, provider_… as the vault says by name, never by guess. */
export interface Vault {
  /** Who asks, for people, and the setting that decides it. */
  readonly who: string
  readonly setting: string
  /** Signs in, or has a token already. */
  signIn(call: Call): Promise<void>
  get(subject: VaultSubject, version: string | undefined, call: Call): Promise<VaultSecret>
  /** In no particular order; none for a secret that is not there. `asOf`: the vault's own time when it began to say so. */
  versions(subject: VaultSubject, call: Call): Promise<{ readonly versions: readonly VaultVersion[]; readonly asOf: number }>
  /** `link` is the path of the next page. */
  page(link: string | undefined, size: number, call: Call): Promise<{ readonly items: readonly (VaultVersion & { readonly native: string })[]; readonly link?: string }>
  put(subject: VaultSubject, value: string, properties: VaultProperties, call: Call): Promise<VaultVersion>
  patch(subject: VaultSubject, version: string, properties: VaultProperties, call: Call): Promise<VaultVersion>
  remove(subject: VaultSubject, call: Call): Promise<DeletedSecret>
  /** `undefined` when nothing of that name is deleted, or not yet to be seen. */
  deleted(subject: VaultSubject, call: Call): Promise<DeletedSecret | undefined>
  recover(subject: VaultSubject, call: Call): Promise<void>
  purge(subject: VaultSubject, call: Call): Promise<void>
  close(): Promise<void>
}

/** A list's cursor: the vault's own next page, opaque to callers. */
export const cursorOf = (link: string): string => Buffer.from(link).toString('base64url')

/** The inverse of {@link cursorOf}. It can lead to nothing but a page of the list. @throws invalid_request */
export const linkOf = (cursor: string): string => {
  const text = Buffer.from(cursor, 'base64url').toString('utf8')
  const url = URL.canParse(text, 'https://vault') ? new URL(text, 'https://vault') : undefined
  const known = url !== undefined && text.startsWith('/secrets?') && url.pathname === '/secrets' && [...url.searchParams.keys()].every((key) => ['api-version', 'maxresults', '$skiptoken'].includes(key))
  if (known && cursorOf(text) === cursor) return text
  const message = 'is not one that this list gave; begin again without it'
  throw new LatchkeyError('invalid_request', `cursor: ${message}.`, { param: 'cursor', issues: [{ path: 'cursor', message }] })
}

interface Context extends VaultAction {
  readonly call: Call
  nextLink?: string | undefined
  /** The vault's time at its first answer. */
  asOf?: number
}

const mostPages = 400
/** The one that Microsoft's client asks for. */
const apiVersion = '2026-04-01'
/** The token that the SDK sees. It is replaced before anything is sent. */
const placeholder = { token: 'put-on-by-latchkey', expiresOnTimestamp: 8_640_000_000_000_000 }

/** Opens a vault. Makes no call. @throws misconfigured */
export const openVault = async (settings: AzureSettings, io: ProviderIo): Promise<Vault> => {
  const site = await azureSite(settings, io)
  const [http, tokens] = await Promise.all([io.http.connect({ url: site.vault, title, setting: 'azure_key_vault_uri' }), azureTokens(settings, site, io)])
  const origin = site.vault.replace(/^http:/, 'https:')
  const notYet = { status: 404, headers: { 'content-type': 'application/json' }, body: Buffer.from('{"error":{"code":"SecretNotFound"}}') }
  const challenge = { status: 401, headers: { 'www-authenticate': `Bearer authorization="${site.authority}/${site.credential.tenantId || 'organizations'}", resource="${site.resource}"` }, body: Buffer.alloc(0) }

  const exchange = async (context: Context, request: HttpRequest): Promise<HttpResponse> => {
    const { call, action } = context
    // Whether a deletion or recovery is through is asked by whoever waits for it; the SDK's own look would read the value.
    if (request.method === 'GET' && (action === 'delete' || action === 'recover')) return notYet
    const withToken = async (token: Token): Promise<HttpResponse> => http.send({ ...request, headers: { ...request.headers, authorization: ['Bearer ', token.value] }, ...(request.method === 'PATCH' && { repeatable: true }) }, call)
    const token = await tokens.get(call)
    let answer = await withToken(token)
    if (answer.status === 401) {
      const { claims } = refusedToken(answer, site, tokens.who)
      tokens.refused(token, claims)
      answer = await withToken(await tokens.get(call))
      if (answer.status === 401) throw refusedToken(answer, site, tokens.who).failure
    }
    if (answer.status === 204) return answer
    if (answer.status !== 200) throw failureOf(context, answer)
    const json = jsonOf(answer, title)
    if (!isMapping(json) || 'error' in json) throw nonsense(context, answer.status)
    const date = Date.parse(answer.headers['date'] ?? '')
    context.asOf ??= Number.isNaN(date) ? io.clock.now() : date
    context.nextLink = typeof json['nextLink'] === 'string' && json['nextLink'] !== '' ? json['nextLink'] : undefined
    return answer
  }

  let loaded: Promise<{ readonly client: SecretClient; readonly contexts: import('node:async_hooks').AsyncLocalStorage<Context> }> | undefined
  const load = async () => {
    const [{ SecretClient: Client }, { requestOf, responseOf }] = await Promise.all([import('@azure/keyvault-secrets'), import('./pipeline.ts')])
    const { AsyncLocalStorage } = process.getBuiltinModule('node:async_hooks')
    const contexts = new AsyncLocalStorage<Context>()
    const httpClient: SdkClient = {
      sendRequest: async (request) => {
        const context = contexts.getStore()
        if (context === undefined) throw nonsense({ action: 'a call' })
        return responseOf(request, request.headers.has('authorization') ? await exchange(context, requestOf(request, site.vault, title)) : challenge)
      },
    }
    const options = { httpClient, retryOptions: { maxRetries: 0 }, disableChallengeResourceVerification: isLoopbackHost(new URL(site.vault).hostname) }
    return { client: new Client(origin, { getToken: async () => placeholder }, options), contexts }
  }

  /** Runs one method of the SDK for one caller. Whatever the SDK throws that is not ours is an answer it could not read. */
  const run = async <T>(action: string, subject: VaultSubject | undefined, call: Call, act: (client: SecretClient, context: Context) => Promise<T>): Promise<T> => {
    checkCall(call, io.clock)
    const context: Context = { call, action, ...(subject !== undefined && { subject }) }
    try {
      const { client, contexts } = await (loaded ??= load())
      return await contexts.run(context, () => act(client, context))
    } catch (error) {
      call.signal.throwIfAborted()
      throw error instanceof LatchkeyError ? error : nonsense(context)
    }
  }

  const versionOf = (properties: SecretProperties, subject: VaultSubject | undefined, version?: string): VaultVersion => {
    const { createdOn, enabled, tags, contentType, expiresOn, notBefore, name } = properties
    const id = properties.version ?? ''
    if ((subject !== undefined && name.toLowerCase() !== subject.native.toLowerCase()) || (version !== undefined && id !== version) || !(createdOn instanceof Date)) throw nonsense({ action: 'an answer', ...(subject !== undefined && { subject }) })
    return {
      id,
      created: createdOn.getTime(),
      enabled: enabled !== false,
      tags: { ...tags },
      ...(contentType !== undefined && { contentType }),
      ...(expiresOn !== undefined && { expires: expiresOn }),
      ...(notBefore !== undefined && { notBefore }),
    }
  }
  const written = (properties: SecretProperties, subject: VaultSubject, version?: string): VaultVersion => {
    const made = versionOf(properties, subject, version)
    if (!/^[0-9a-f]{32}$/.test(made.id)) throw nonsense({ action: 'an answer', subject })
    return made
  }
  const deletedOf = (properties: SecretProperties & { readonly scheduledPurgeDate?: Date }, subject: VaultSubject): DeletedSecret => ({ ...versionOf(properties, subject), ...(properties.scheduledPurgeDate !== undefined && { until: properties.scheduledPurgeDate }) })
  /** The SDK's types know no `null`; its wire does, and it is the only word for "none". */
  const optionsOf = ({ expires, ...rest }: VaultProperties) => ({ ...rest, ...(expires !== undefined && { expiresOn: expires as Date }) })

  return {
    who: tokens.who,
    setting: site.credential.setting,
    signIn: async (call) => void (await tokens.get(call)),
    get: async (subject, version, call) => {
      checkCall(call, io.clock)
      const answer = await exchange({ call, action: 'get', subject }, { method: 'GET', path: `/secrets/${encodePart(subject.native)}/${version === undefined ? '' : encodePart(version)}?api-version=${apiVersion}` })
      return secretOf(jsonOf(answer, title), subject, version)
    },
    versions: (subject, call) =>
      run('list', subject, call, async (client, context) => {
        const found: VaultVersion[] = []
        let pages = 0
        for await (const page of client.listPropertiesOfSecretVersions(subject.native).byPage({ maxPageSize: 25 })) {
          found.push(...page.map((properties) => written(properties, subject)))
          if ((pages += 1) >= mostPages) throw nonsense(context)
        }
        return { versions: found, asOf: context.asOf ?? io.clock.now() }
      }).catch((error: unknown) => (isCode(error, 'not_found') ? { versions: [], asOf: io.clock.now() } : Promise.reject(error as Error))),
    page: (link, size, call) =>
      run('list', undefined, call, async (client, context) => {
        const step = await client.listPropertiesOfSecrets().byPage({ maxPageSize: size, ...(link !== undefined && { continuationToken: `${origin}${link}` }) }).next()
        const page: readonly SecretProperties[] = step.done === true ? [] : step.value
        const items = page.map((properties) => ({ ...versionOf(properties, undefined), native: properties.name }))
        if (context.nextLink === undefined) return { items }
        const next = new URL(context.nextLink)
        if (next.origin !== origin) throw nonsense(context)
        return { items, link: next.pathname + next.search }
      }),
    put: (subject, value, properties, call) => run('set', subject, call, async (client) => written((await client.setSecret(subject.native, value, optionsOf(properties))).properties, subject)),
    patch: (subject, version, properties, call) => run('update', subject, call, async (client) => written(await client.updateSecretProperties(subject.native, version, optionsOf(properties)), subject, version)),
    remove: (subject, call) =>
      run('delete', subject, call, async (client, context) => {
        const { result } = (await client.beginDeleteSecret(subject.native)).getOperationState()
        if (result === undefined) throw nonsense(context)
        return deletedOf(result.properties, subject)
      }),
    deleted: (subject, call) =>
      run('get', subject, call, async (client) => deletedOf((await client.getDeletedSecret(subject.native)).properties, subject)).catch((error: unknown) => (isCode(error, 'not_found') ? undefined : Promise.reject(error as Error))),
    recover: (subject, call) => run('recover', subject, call, async (client) => void (await client.beginRecoverDeletedSecret(subject.native))),
    purge: (subject, call) => run('purge', subject, call, (client) => client.purgeDeletedSecret(subject.native)),
    close: async () => {
      await http.close()
      await tokens.close()
    },
  }
}
