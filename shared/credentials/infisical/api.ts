// Infisical's API as Latchkey speaks it: one function a call, every flag always sent because clients and versions of the service differ in their defaults,
// and what becomes of an answer that is no success. The version is a matter of path and of one parameter's name.
import { LatchkeyError, type ErrorCode } from '../../core/errors.ts'
import { serviceFailure, type ServiceCall } from '../../core/failure.ts'
import { encodePart, type HttpClient, type HttpRequest, type HttpResponse } from '../../core/http-client.ts'
import { jsonOf, retryAfterOf } from '../../core/http/answers.ts'
import { checkCall, type Call, type Clock } from '../../core/runtime.ts'
import { SecretValue } from '../../core/secret.ts'
import { withToken, type TokenSource } from '../token.ts'
import { nativeName, type Place } from './names.ts'
import { isMapping } from '../../core/settings/mapping.ts'

/** The service's name, for people. */
export const title = 'Infisical'

/** A secret as the service shows it. */
export interface NativeSecret {
  readonly id: string
  readonly version: number
  readonly place: Place
  /** Not there where it was not asked for, or may not be seen. */
  readonly value?: SecretValue
  readonly comment: string
  /** Pairs that the service keeps encrypted are left out. */
  readonly metadata: Readonly<Record<string, string>>
  readonly created: Date
  readonly updated: Date
}

/** One version of a secret's value. */
export interface NativeVersion {
  readonly version: number
  readonly value: SecretValue
}

/** What a write sends; what is left out stays as it is. */
export interface NativeWrite {
  readonly value?: SecretValue
  readonly comment?: string
  readonly metadata?: Readonly<Record<string, string>>
}

/** Which project and environment, in which version of the API. */
export interface Scope {
  readonly version: 'v3' | 'v4'
  readonly project: string
  readonly environment: string
}

/** The calls. Every one may answer provider_denied, provider_throttled, provider_unavailable, deadline_exceeded. */
export interface InfisicalApi {
  /** @throws not_found: the secret, its folder, its environment or its project */
  get(place: Place, at: { readonly view: boolean; readonly version?: number }, call: Call, name?: string): Promise<NativeSecret>
  list(folder: string, how: { readonly view: boolean; readonly recursive: boolean; readonly label?: readonly [string, string] }, call: Call): Promise<readonly NativeSecret[]>
  /** The newest versions of a secret, oldest first. */
  versions(id: string, call: Call): Promise<readonly NativeVersion[]>
  /** @throws already_exists, not_found (its folder), approval_required, invalid_request */
  create(place: Place, write: NativeWrite & { readonly value: SecretValue }, call: Call, name?: string): Promise<NativeSecret>
  /** @throws not_found, approval_required, invalid_request */
  update(place: Place, write: NativeWrite, call: Call, name?: string): Promise<NativeSecret>
  /** @throws not_found, approval_required */
  remove(place: Place, call: Call, name?: string): Promise<void>
  /** Makes a folder and those above it; one that is there is success. */
  makeFolder(folder: string, call: Call): Promise<void>
  /** @throws not_found when the project or its environment is not to be seen */
  folders(folder: string, call: Call): Promise<void>
}

type Fields = Readonly<Record<string, unknown>>


const queryOf = (pairs: Readonly<Record<string, string | number | boolean | undefined>>): string => Object.entries(pairs).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${encodePart(String(value))}`])).join('&')

/** The service's own account of a failure; nothing when what answered is not Infisical. */
const accountOf = (response: HttpResponse): { readonly name: string; readonly message: string; readonly requestId?: string } | undefined => {
  try {
    const body = jsonOf(response, title)
    if (!isMapping(body) || body['statusCode'] !== response.status) return undefined
    const requestId = body['reqId']
    return { name: String(body['error']).slice(0, 64), message: typeof body['message'] === 'string' ? body['message'] : '', ...(typeof requestId === 'string' && { requestId: requestId.slice(0, 64) }) }
  } catch {
    return undefined
  }
}

const codes: Readonly<Record<number, ErrorCode>> = { 400: 'invalid_request', 401: 'provider_denied', 403: 'provider_denied', 404: 'not_found', 409: 'conflict', 413: 'too_large', 422: 'invalid_request', 429: 'provider_throttled' }

/** What an answer that is no 200 means. Names of errors differ from version to version; what they agree on is status and, for an existing secret, the words. */
export const failureOf = (response: HttpResponse, about: ServiceCall): LatchkeyError => {
  const account = accountOf(response)
  const known = account === undefined && response.status !== 429 ? undefined : codes[response.status]
  const code = known === 'invalid_request' && /already exists?\b/i.test(account?.message ?? '') ? 'already_exists' : (known ?? 'provider_unavailable')
  const waits = Number(/\b(\d{1,4}) ?s(?:ec|econds?)?\b/i.exec(account?.message ?? '')?.[1] ?? Number.NaN)
  const retryAfter = code === 'provider_throttled' ? (retryAfterOf(response) ?? (Number.isNaN(waits) ? undefined : waits)) : undefined
  const failure = serviceFailure(code, about, { vendor: { status: response.status, ...(account !== undefined && { name: account.name, ...(account.requestId !== undefined && { requestId: account.requestId }) }) }, ...(retryAfter !== undefined && { retryAfter }) })
  return code === 'too_large' ? failure.with({}, `${title} refused ${about.action}: what was sent is larger than this server takes.`) : failure
}

/** Whether a failure is about our token, so that a new one may help. */
export const isTokenRefusal = (error: unknown): boolean => error instanceof LatchkeyError && error.code === 'provider_denied' && (error.details.vendor?.status === 401 || error.details.vendor?.name === 'TokenError')

/** What a 200 says that is none of what it should say. */
export const nonsense = (action: string, status: number): LatchkeyError => serviceFailure('provider_unavailable', { title, action }, { vendor: { status } })

/** `one`: a hidden value is a refusal. In a list it is only not there, so that the others are. */
const secretOf = (given: unknown, folder: string, view: boolean, about: ServiceCall, one = true): NativeSecret => {
  const fields = isMapping(given) ? given : {}
  const { id, version, secretKey, secretValue, secretComment, secretPath, secretMetadata, createdAt, updatedAt } = fields
  const [created, updated] = [new Date(String(createdAt)), new Date(String(updatedAt ?? createdAt))]
  const sane = typeof id === 'string' && id !== '' && Number.isSafeInteger(version) && typeof secretKey === 'string' && typeof secretValue === 'string' && secretValue.isWellFormed()
  if (!sane || Number.isNaN(created.getTime()) || Number.isNaN(updated.getTime())) throw nonsense(about.action, 200)
  const hidden = fields['secretValueHidden'] === true
  if (hidden && view && one) throw serviceFailure('provider_denied', { ...about, needs: 'the permission to read values (secrets: read value)' })
  const pairs = (Array.isArray(secretMetadata) ? secretMetadata : []).flatMap((pair: unknown) => (isMapping(pair) && typeof pair['key'] === 'string' && pair['isEncrypted'] !== true ? [[pair['key'], typeof pair['value'] === 'string' ? pair['value'] : ''] as const] : []))
  return { id, version: version as number, place: { folder: typeof secretPath === 'string' ? secretPath : folder, key: secretKey }, ...(view && !hidden && { value: SecretValue.of(secretValue) }), comment: typeof secretComment === 'string' ? secretComment : '', metadata: Object.fromEntries(pairs), created, updated }
}

const needs = { read: 'secrets: describe and read value', write: 'secrets: create and edit', remove: 'secrets: delete', folder: 'secret folders: create' } as const

/** The API behind one connection and one login. A token that was given is not asked for twice. */
export const infisicalApi = (client: HttpClient, { method, tokens }: { readonly method: string; readonly tokens: TokenSource }, clock: Clock, scope: Scope): InfisicalApi => {
  const secrets = scope.version === 'v4' ? '/api/v4/secrets' : '/api/v3/secrets/raw'
  const project = scope.version === 'v4' ? 'projectId' : 'workspaceId'
  const { environment } = scope
  const flags = { expandSecretReferences: false, include_imports: false }

  const send = async (request: Omit<HttpRequest, 'headers'>, about: ServiceCall, call: Call): Promise<Fields> => {
    checkCall(call, clock)
    const response = await withToken(tokens, call, async ({ value }) => {
      const headers = { authorization: ['Bearer ', value], accept: 'application/json', ...(request.body !== undefined && { 'content-type': 'application/json' }) }
      const answer = await client.send({ ...request, headers }, call)
      if (answer.status !== 200) throw failureOf(answer, about)
      return answer
    }, (error) => method !== 'token' && isTokenRefusal(error))
    const body = jsonOf(response, title)
    if (!isMapping(body)) throw nonsense(about.action, response.status)
    if (isMapping(body['approval']) && body['secret'] === undefined) throw serviceFailure('approval_required', about)
    return body
  }

  const pathOf = ({ key }: Place): string => `${secrets}/${encodePart(key)}`
  const about = (action: string, needed: string, place: Place, name?: string): ServiceCall => ({ title, action, native: nativeName(place), needs: needed, ...(name !== undefined && { name }) })
  const bodyOf = ({ folder }: Place, { value, comment, metadata }: NativeWrite): SecretValue =>
    SecretValue.of(JSON.stringify({
      [project]: scope.project,
      environment,
      secretPath: folder,
      type: 'shared',
      ...(value !== undefined && { secretValue: value.reveal() }),
      ...(comment !== undefined && { secretComment: comment }),
      ...(metadata !== undefined && { secretMetadata: Object.entries(metadata).map(([key, text]) => ({ key, value: text })) }),
    }))

  return {
    get: async (place, { view, version }, call, name) => {
      const query = queryOf({ [project]: scope.project, environment, secretPath: place.folder, type: 'shared', viewSecretValue: view, ...flags, version })
      const asked = about('the reading of a secret', needs.read, place, name)
      const found = secretOf((await send({ method: 'GET', path: `${pathOf(place)}?${query}` }, asked, call))['secret'], place.folder, view, asked)
      if (found.place.key !== place.key) throw nonsense(asked.action, 200)
      if (version !== undefined && found.version !== version) throw serviceFailure('not_found', asked)
      return found
    },
    list: async (folder, { view, recursive, label }, call) => {
      const safe = label !== undefined && /^[A-Za-z0-9_.@/ -]+$/.test(label.join('')) && label.every((text) => text.trim() === text && text !== '')
      const query = queryOf({ [project]: scope.project, environment, secretPath: folder, viewSecretValue: view, ...flags, recursive, ...(safe && { metadataFilter: `key=${label[0]},value=${label[1]}` }) })
      const asked = about('the listing of secrets', needs.read, { folder, key: '*' })
      const { secrets: items } = await send({ method: 'GET', path: `${secrets}?${query}` }, asked, call)
      if (!Array.isArray(items)) throw nonsense(asked.action, 200)
      return items.filter((item) => !isMapping(item) || item['type'] !== 'personal').map((item) => secretOf(item, folder, view, asked, false))
    },
    versions: async (id, call) => {
      const asked: ServiceCall = { title, action: 'the listing of versions', needs: 'secrets: read value, and commits: read' }
      const { secretVersions: items } = await send({ method: 'GET', path: `/api/v1/secret/${encodePart(id)}/secret-versions?${queryOf({ offset: 0, limit: 20 })}` }, asked, call)
      if (!Array.isArray(items)) throw nonsense(asked.action, 200)
      const versions = items.map((item): NativeVersion => {
        if (!isMapping(item) || !Number.isSafeInteger(item['version']) || typeof item['secretValue'] !== 'string') throw nonsense(asked.action, 200)
        if (item['secretValueHidden'] === true) throw serviceFailure('provider_denied', asked)
        return { version: item['version'] as number, value: SecretValue.of(item['secretValue']) }
      })
      return versions.toSorted((a, b) => a.version - b.version)
    },
    create: async (place, write, call, name) => {
      const asked = about('the creation of a secret', needs.write, place, name)
      return secretOf((await send({ method: 'POST', path: pathOf(place), body: bodyOf(place, write) }, asked, call))['secret'], place.folder, false, asked)
    },
    update: async (place, write, call, name) => {
      const asked = about('the change of a secret', needs.write, place, name)
      return secretOf((await send({ method: 'PATCH', path: pathOf(place), body: bodyOf(place, write) }, asked, call))['secret'], place.folder, false, asked)
    },
    remove: async (place, call, name) => {
      const asked = about('the deletion of a secret', needs.remove, place, name)
      if (!isMapping((await send({ method: 'DELETE', path: pathOf(place), body: bodyOf(place, {}), repeatable: true }, asked, call))['secret'])) throw nonsense(asked.action, 200)
    },
    makeFolder: async (folder, call) => {
      const segments = folder.split('/').filter((segment) => segment !== '')
      for (const [index, name] of segments.entries()) {
        const path = `/${segments.slice(0, index).join('/')}`
        const asked = about('the creation of a folder', needs.folder, { folder: path, key: name })
        const body = JSON.stringify({ workspaceId: scope.project, environment, name, path })
        await send({ method: 'POST', path: '/api/v1/folders', body }, asked, call).catch((error: unknown) => {
          if (!(error instanceof LatchkeyError) || error.code !== 'already_exists') throw error
        })
      }
    },
    folders: async (folder, call) => {
      const asked = about('the listing of folders', 'secret folders: read', { folder, key: '*' })
      const { folders } = await send({ method: 'GET', path: `/api/v1/folders?${queryOf({ workspaceId: scope.project, environment, path: folder })}` }, asked, call)
      if (!Array.isArray(folders)) throw nonsense(asked.action, 200)
    },
  }
}
