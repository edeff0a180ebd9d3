// Key Vault's REST interface for secrets: versions with whole-second times and no promised order, tags that belong to a version, soft delete whose every step
// takes a while, 25 items a page, throttling by windows of ten seconds, names without case. Written from the vendor's contract, never from our client.
import { createHash } from 'node:crypto'
import type { Refusal, WireAnswer, WireRequest, WireService } from '../wire.ts'
import { Directory, type DirectoryOptions } from './entra.ts'

/** One version as it is stored. */
export interface StoredVersion {
  readonly id: string
  readonly value: string
  readonly made: number
  updated: number
  tags: Record<string, string> | undefined
  contentType: string | undefined
  enabled: boolean
  exp: number | undefined
  nbf: number | undefined
}

interface Stored {
  readonly name: string
  readonly versions: StoredVersion[]
  deletedAt?: number | undefined
  recoveredAt?: number | undefined
  purgedAt?: number | undefined
}

/** What a vault is made with. */
export interface VaultOptions extends DirectoryOptions {
  /** How long deletion, recovery and purge take. Default: 3000 ms each. */
  readonly settleMs?: number
  /** A second PUT to one name within so many milliseconds is refused, as concurrent ones are. Default: never. */
  readonly concurrentMs?: number
  readonly purgeProtection?: boolean
  /** Permissions that the caller lacks: get, list, set, delete, recover, purge. */
  readonly lacking?: readonly string[]
  /** Whether the caller's role and its condition allow an action on data of that name, as Azure calls the actions: `setSecret/action`. Default: everything. */
  readonly allows?: (action: string, name: string) => boolean
  readonly firewall?: boolean
  /** Writes, and everything else, in ten seconds. Default: 300 and 4000. */
  readonly quota?: { readonly sets: number; readonly others: number }
  /** Host of the identifiers, where a request names none. */
  readonly host?: string
}

const apiVersions: ReadonlySet<string> = new Set(['7.0', '7.1', '7.2', '7.3', '7.4', '7.5', '7.6', '2025-07-01', '2026-04-01'])
const dayMs = 86_400_000
const dataActions: Readonly<Record<string, string>> = { get: 'getSecret/action', list: 'readMetadata/action', set: 'setSecret/action', delete: 'delete', purge: 'purge/action', recover: 'recover/action' }
const says = (status: number, code: string, message: string, inner?: string): WireAnswer => ({ status, body: { error: { code, message, ...(inner !== undefined && { innererror: { code: inner } }) } } })
const notFound = (name: string): WireAnswer => says(404, 'SecretNotFound', `A secret with (name/id) ${name} was not found in this key vault.`)
const bad = (message: string): WireAnswer => says(400, 'BadParameter', message)
const gone = (inner: string): WireAnswer => says(409, 'Conflict', 'The secret is deleted, being deleted or being recovered.', inner)

/** One vault of one directory, and the directory's own endpoints beside it. */
export class KeyVault implements WireService {
  readonly directory: Directory
  readonly #options: VaultOptions
  readonly #secrets = new Map<string, Stored>()
  readonly #windows = new Map<string, number>()
  #made = 0

  constructor(options: VaultOptions) {
    this.#options = options
    this.directory = new Directory(options)
  }

  get #now(): number {
    return this.#options.now()
  }

  get #settleMs(): number {
    return this.#options.settleMs ?? 3_000
  }

  /** Puts a version behind everybody's back. */
  seed(name: string, value: string, tags?: Record<string, string>): StoredVersion {
    return this.#add(name, { value, ...(tags !== undefined && { tags }) })
  }

  /** Everything stored under a name, in the order in which it was made. */
  stored(name: string): readonly StoredVersion[] {
    return this.#live(name)?.versions ?? []
  }

  changes(request: WireRequest): boolean {
    return !this.directory.owns(request) && request.method !== 'GET'
  }

  spared(request: WireRequest): boolean {
    return this.directory.owns(request)
  }

  step(request: WireRequest): { call: string; name: string } {
    const { method, path } = request
    if (this.directory.owns(request)) return { call: 'signIn', name: path }
    const [, kind, name = '', third = ''] = path.split('/')
    const deleted = kind === 'deletedsecrets'
    const call = { GET: deleted ? 'getDeleted' : third === 'versions' ? 'listVersions' : name === '' ? 'listSecrets' : 'getSecret', PUT: 'setSecret', PATCH: 'patchTags', DELETE: deleted ? 'purge' : 'deleteSecret', POST: 'recoverDeleted' }[method]
    return { call: call ?? method, name }
  }

  refuse(refusal: Refusal, echo: string): WireAnswer {
    if (refusal === 'denied') return says(403, 'Forbidden', `Caller is not authorized to perform action on resource. ${echo}`, 'ForbiddenByRbac')
    if (refusal === 'throttled') return says(429, 'Throttled', `The request was not processed because too many requests were received. ${echo}`)
    return refusal === 'unavailable' ? says(503, 'ServiceUnavailable', echo) : this.#challenge('login.microsoftonline.com', `AKV10023: The token is expired. ${echo}`)
  }

  handle(request: WireRequest): WireAnswer {
    if (this.directory.owns(request)) return this.directory.handle(request)
    const answer = this.#answer(request)
    return { ...answer, headers: { date: new Date(this.#now).toUTCString(), ...answer.headers } }
  }

  #answer(request: WireRequest): WireAnswer {
    const host = request.headers['host'] ?? this.#options.host ?? 'vault.example'
    const token = /^Bearer (\S+)$/.exec(request.headers['authorization'] ?? '')?.[1]
    if (token === undefined) return this.#challenge(host, 'AKV10000: Request is missing a Bearer or PoP token.')
    const fault = this.directory.fault(token)
    if (fault !== undefined) return this.#challenge(host, fault)
    const version = request.query.get('api-version')
    if (version === null || !apiVersions.has(version)) return bad('api-version is not specified, or not supported.')
    if (this.#options.firewall === true) return says(403, 'Forbidden', 'Client address is not authorized and caller is not a trusted service.', 'ForbiddenByFirewall')
    const { path, method } = request
    const kind = method === 'PUT' ? 'sets' : 'others'
    const window = `${kind} ${Math.floor(this.#now / 10_000)}`
    const used = this.#windows.get(window) ?? 0
    if (used >= (this.#options.quota?.[kind] ?? (kind === 'sets' ? 300 : 4_000))) return says(429, 'Throttled', 'The request was not processed because too many requests were received.')
    this.#windows.set(window, used + 1)
    const [, collection = '', name = '', third = '', ...rest] = decodeURIComponent(path).split('/')
    if (!['secrets', 'deletedsecrets'].includes(collection) || rest.length > 0) return says(404, 'NotFound', 'The requested resource does not exist.')
    if (name !== '' && !/^[0-9A-Za-z-]{1,127}$/.test(name)) return bad(`The request URI contains an invalid name: ${name}`)
    const action = { GET: name === '' || third === 'versions' ? 'list' : 'get', PUT: 'set', PATCH: 'set', DELETE: collection === 'secrets' ? 'delete' : 'purge', POST: 'recover' }[method] ?? ''
    if (this.#options.lacking?.includes(action) === true) return says(403, 'Forbidden', `The caller does not have secrets/${action} permission.`, 'ForbiddenByPolicy')
    if (this.#options.allows?.(method === 'PATCH' ? 'update/action' : (dataActions[action] ?? ''), name) === false) return says(403, 'Forbidden', 'Caller is not authorized to perform action on resource.', 'ForbiddenByRbac')
    return collection === 'secrets' ? this.#secret(request, host, name, third) : this.#deleted(request, host, name, third)
  }

  #challenge(host: string, message: string): WireAnswer {
    const { tenantId, resource } = this.directory
    return { ...says(401, 'Unauthorized', message), headers: { 'www-authenticate': `Bearer authorization="https://${host}/${tenantId}", resource="${resource}"` } }
  }

  #secret(request: WireRequest, host: string, name: string, third: string): WireAnswer {
    const { method } = request
    if (name === '') return method === 'GET' ? this.#pages(request, host, this.#everything(host)) : says(405, 'MethodNotAllowed', 'The method is not allowed.')
    if (method === 'PUT' && third === '') return this.#put(request, host, name)
    const stored = this.#live(name)
    if (method === 'GET' && third === 'versions') return this.#pages(request, host, (stored?.versions ?? []).toSorted((a, b) => (a.id < b.id ? -1 : 1)).map((each) => this.#bundle(host, stored?.name ?? name, each, false)))
    const version = third === '' ? stored?.versions.at(-1) : stored?.versions.find(({ id }) => id === third)
    if (stored === undefined || version === undefined) return notFound(name)
    if (method === 'GET') return version.enabled ? { status: 200, body: this.#bundle(host, stored.name, version, true) } : says(403, 'Forbidden', 'Operation get is not allowed on a disabled secret.', 'SecretDisabled')
    if (method === 'PATCH' && third !== '') return this.#patch(request, host, stored, version)
    if (method !== 'DELETE' || third !== '') return says(405, 'MethodNotAllowed', 'The method is not allowed.')
    stored.deletedAt = this.#now
    return { status: 200, body: this.#deletedBundle(host, stored) }
  }

  #deleted({ method }: WireRequest, host: string, name: string, third: string): WireAnswer {
    const stored = this.#secrets.get(name.toLowerCase())
    if (this.#live(name) !== undefined || stored?.deletedAt === undefined || this.#isPurged(stored)) return notFound(name)
    if (stored.recoveredAt !== undefined) return method === 'GET' ? notFound(name) : gone('ObjectIsBeingRecovered')
    const settled = this.#now >= stored.deletedAt + this.#settleMs
    if (method === 'GET' && third === '') return settled ? { status: 200, body: this.#deletedBundle(host, stored) } : notFound(name)
    if (!settled || stored.purgedAt !== undefined) return gone('ObjectIsBeingDeleted')
    if (method === 'POST' && third === 'recover') {
      stored.recoveredAt = this.#now
      return { status: 200, body: this.#bundle(host, stored.name, stored.versions.at(-1), false) }
    }
    if (method !== 'DELETE' || third !== '') return says(405, 'MethodNotAllowed', 'The method is not allowed.')
    if (this.#options.purgeProtection === true) return says(403, 'Forbidden', 'Operation "purge" is not allowed because purge protection is enabled for this vault.')
    stored.purgedAt = this.#now
    return { status: 204 }
  }

  #put(request: WireRequest, host: string, name: string): WireAnswer {
    const body = this.#json(request)
    if (body === undefined || typeof body['value'] !== 'string' || body['value'] === '') return bad('The parameter value is not specified.')
    if (Buffer.byteLength(body['value']) > 25_600) return says(413, 'RequestEntityTooLarge', 'The secret value is too long.')
    const wrong = this.#wrong(body)
    if (wrong !== undefined) return bad(wrong)
    const stored = this.#live(name) === undefined ? this.#secrets.get(name.toLowerCase()) : undefined
    if (stored !== undefined && !this.#isPurged(stored)) {
      const { deletedAt = 0, recoveredAt, purgedAt } = stored
      return gone(recoveredAt !== undefined ? 'ObjectIsBeingRecovered' : purgedAt !== undefined || this.#now < deletedAt + this.#settleMs ? 'ObjectIsBeingDeleted' : 'ObjectIsDeletedButRecoverable')
    }
    const newest = this.#live(name)?.versions.at(-1)
    if (newest !== undefined && this.#options.concurrentMs !== undefined && this.#now - newest.made < this.#options.concurrentMs) return says(409, 'Conflict', 'There was a conflict: another operation on this secret is in progress.')
    const made = this.#add(name, body)
    return { status: 200, body: this.#bundle(host, this.#live(name)?.name ?? name, made, true) }
  }

  #patch(request: WireRequest, host: string, stored: Stored, version: StoredVersion): WireAnswer {
    const body = this.#json(request)
    const wrong = body === undefined ? 'The body is no JSON object.' : this.#wrong(body)
    if (body === undefined || wrong !== undefined) return bad(wrong ?? '')
    const { tags, contentType, attributes = {} } = body as { tags?: Record<string, string>; contentType?: string; attributes?: { enabled?: boolean; exp?: number | null; nbf?: number | null } }
    if (tags !== undefined) version.tags = tags
    if (contentType !== undefined) version.contentType = contentType
    if (attributes.enabled !== undefined) version.enabled = attributes.enabled
    if (attributes.exp !== undefined) version.exp = attributes.exp ?? undefined
    if (attributes.nbf !== undefined) version.nbf = attributes.nbf ?? undefined
    version.updated = this.#now
    return { status: 200, body: this.#bundle(host, stored.name, version, false) }
  }

  #json({ headers, body }: WireRequest): Record<string, unknown> | undefined {
    if (headers['content-type']?.startsWith('application/json') !== true) return undefined
    try {
      const json: unknown = JSON.parse(body.toString('utf8'))
      return json !== null && typeof json === 'object' && !Array.isArray(json) ? (json as Record<string, unknown>) : undefined
    } catch {
      return undefined
    }
  }

  #wrong(body: Record<string, unknown>): string | undefined {
    const { tags, contentType, attributes } = body
    if (tags !== undefined) {
      if (tags === null || typeof tags !== 'object') return 'tags must be an object.'
      const pairs = Object.entries(tags as Record<string, unknown>)
      if (pairs.length > 15) return 'A maximum of 15 tags is allowed.'
      if (pairs.some(([key, text]) => typeof text !== 'string' || key.length > 256 || text.length > 256)) return 'A tag name or value is longer than 256 characters.'
    }
    if (contentType !== undefined && (typeof contentType !== 'string' || contentType.length > 255)) return 'contentType is longer than 255 characters.'
    if (attributes !== undefined && (attributes === null || typeof attributes !== 'object')) return 'attributes must be an object.'
    const { enabled, exp, nbf } = (attributes ?? {}) as Record<string, unknown>
    if (enabled !== undefined && typeof enabled !== 'boolean') return 'enabled must be a boolean.'
    return [exp, nbf].some((time) => time !== undefined && time !== null && !Number.isSafeInteger(time)) ? 'Times are whole seconds.' : undefined
  }

  #add(name: string, body: Record<string, unknown>): StoredVersion {
    const { tags, contentType, attributes } = body as { tags?: Record<string, string>; contentType?: string; attributes?: { enabled?: boolean; exp?: number; nbf?: number } }
    const id = createHash('sha256').update(`${name.toLowerCase()} ${(this.#made += 1)}`).digest('hex').slice(0, 32)
    const made: StoredVersion = { id, value: String(body['value']), made: this.#now, updated: this.#now, tags, contentType, enabled: attributes?.enabled !== false, exp: attributes?.exp, nbf: attributes?.nbf }
    const stored = this.#live(name)
    if (stored === undefined) this.#secrets.set(name.toLowerCase(), { name, versions: [made] })
    else stored.versions.push(made)
    return made
  }

  /** A secret that is not deleted; one whose recovery is through counts again. */
  #live(name: string): Stored | undefined {
    const stored = this.#secrets.get(name.toLowerCase())
    if (stored?.recoveredAt !== undefined && this.#now >= stored.recoveredAt + this.#settleMs) Object.assign(stored, { deletedAt: undefined, recoveredAt: undefined })
    return stored?.deletedAt === undefined ? stored : undefined
  }

  #isPurged({ purgedAt }: Stored): boolean {
    return purgedAt !== undefined && this.#now >= purgedAt + this.#settleMs
  }

  #everything(host: string): object[] {
    const order = (name: string): string => createHash('sha256').update(name).digest('hex')
    const live = [...this.#secrets.keys()].flatMap((key) => this.#live(key) ?? []).toSorted((a, b) => (order(a.name) < order(b.name) ? -1 : 1))
    return live.flatMap((stored) => {
      const { id: _id, ...item } = this.#bundle(host, stored.name, stored.versions.at(-1), false)
      return [{ ...item, id: `https://${host}/secrets/${stored.name}` }]
    })
  }

  #pages({ path, query }: WireRequest, host: string, items: readonly object[]): WireAnswer {
    const size = Number(query.get('maxresults') ?? 25)
    if (!Number.isInteger(size) || size < 1 || size > 25) return bad('maxresults must be between 1 and 25.')
    const token = query.get('$skiptoken')
    const start = token === null ? 0 : Number(/^at:(\d{1,9})$/.exec(Buffer.from(token, 'base64url').toString('utf8'))?.[1] ?? NaN)
    if (Number.isNaN(start)) return bad('The skip token is invalid.')
    const next = new URLSearchParams([...query].filter(([key]) => key !== '$skiptoken'))
    next.set('$skiptoken', Buffer.from(`at:${start + size}`).toString('base64url'))
    return { status: 200, body: { value: items.slice(start, start + size), nextLink: start + size < items.length ? `https://${host}${path}?${next.toString()}` : null } }
  }

  #bundle(host: string, name: string, version: StoredVersion | undefined, whole: boolean): Record<string, unknown> {
    if (version === undefined) return {}
    const { id, value, made, updated, tags, contentType, enabled, exp, nbf } = version
    const attributes = { enabled, ...(nbf !== undefined && { nbf }), ...(exp !== undefined && { exp }), created: Math.floor(made / 1000), updated: Math.floor(updated / 1000), recoveryLevel: 'Recoverable+Purgeable', recoverableDays: 90 }
    return { ...(whole && { value }), id: `https://${host}/secrets/${name}/${id}`, ...(contentType !== undefined && { contentType }), attributes, ...(tags !== undefined && { tags }) }
  }

  #deletedBundle(host: string, stored: Stored): object {
    const { deletedAt = 0, name } = stored
    const days = { deletedDate: Math.floor(deletedAt / 1000), scheduledPurgeDate: Math.floor((deletedAt + 90 * dayMs) / 1000) }
    return { recoveryId: `https://${host}/deletedsecrets/${name}`, ...days, ...this.#bundle(host, name, stored.versions.at(-1), false) }
  }
}
