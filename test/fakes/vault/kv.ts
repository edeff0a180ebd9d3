// One KV version 2 engine, from Vault's contract: versions by number, check-and-set against the newest, deletion by mark, destruction for good, metadata apart, ten versions
// kept. What it holds is what it was sent, numbers included; maps come back with their fields in order, as Go writes them.
import type { WireAnswer } from '../wire.ts'

interface Held {
  readonly data: unknown
  readonly created: number
  deleted: number | undefined
  destroyed: boolean
}

interface Path {
  current: number
  readonly versions: Map<number, Held>
  maxVersions: number
  casRequired: boolean
  deleteAfterSeconds: number
  custom: Record<string, string>
  readonly created: number
  updated: number
}

/** How an engine is set. */
export interface KvConfig {
  maxVersions: number
  casRequired: boolean
  deleteAfterSeconds: number
}

/** One request to the engine; the path is decoded and stands below the mount. */
export interface KvRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly type: string
  readonly body: unknown
}

type Json = Record<string, unknown>
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown
const exact = JSON as unknown as { parse(text: string, reviver: Reviver): unknown; rawJSON(text: string): unknown; isRawJSON(thing: unknown): boolean }

/** JSON with its numbers as they were written. @throws SyntaxError */
export const parseJson = (text: string): unknown => exact.parse(text, (_, value, { source }) => (typeof value === 'number' && source !== undefined ? exact.rawJSON(source) : value))

const isMap = (thing: unknown): thing is Json => typeof thing === 'object' && thing !== null && !Array.isArray(thing) && !exact.isRawJSON(thing)
const numberOf = (thing: unknown): number => Number(exact.isRawJSON(thing) ? (thing as { rawJSON: string }).rawJSON : thing)
const inOrder = (thing: unknown): unknown => (isMap(thing) ? Object.fromEntries(Object.entries(thing).toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [key, inOrder(value)])) : Array.isArray(thing) ? thing.map(inOrder) : thing)
const withoutValues = (thing: unknown): unknown => (isMap(thing) && Object.keys(thing).length > 0 ? Object.fromEntries(Object.entries(thing).map(([key, value]) => [key, withoutValues(value)])) : null)

/** Vault's body around data. */
export const envelope = (data: unknown, more: Json = {}): Json => ({ request_id: '00000000-0000-4000-8000-000000000000', lease_id: '', renewable: false, lease_duration: 0, data, wrap_info: null, warnings: null, auth: null, ...more })
/** Vault's refusals. */
export const refusal = (status: number, ...errors: readonly string[]): WireAnswer => ({ status, body: { errors } })
const absent = refusal(404)
const done: WireAnswer = { status: 204, headers: { 'content-type': 'application/json' } }
const ok = (data: unknown): WireAnswer => ({ status: 200, body: envelope(data) })
const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u

const customProblem = (pairs: Readonly<Record<string, string>>): string | undefined => {
  const says = (what: string): string => `1 error occurred:\n\t* custom_metadata validation failed: ${what}\n\n`
  const entries = Object.entries(pairs)
  if (entries.length > 64) return says(`payload must contain at most 64 keys, provided ${entries.length}`)
  for (const [key, value] of entries) {
    if (key === '' || Buffer.byteLength(key) > 128) return says(`length of key "${key}" is ${Buffer.byteLength(key)} but must be 0 < len(key) <= 128`)
    if (value === '' || Buffer.byteLength(value) > 512) return says(`length of value for key "${key}" is ${Buffer.byteLength(value)} but must be 0 < len(value) <= 512`)
    if (!printable.test(key + value)) return says(`value for key "${key}" contains unprintable characters`)
  }
  return undefined
}

/** The engine. */
export class KvEngine {
  readonly config: KvConfig = { maxVersions: 0, casRequired: false, deleteAfterSeconds: 0 }
  /** While positive, an answer says that the engine is being upgraded. */
  upgrading = 0
  readonly #paths = new Map<string, Path>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  /** Whether there is metadata of a path: what makes a write an update. */
  has(path: string): boolean {
    return this.#paths.has(path)
  }

  handle(kind: string, request: KvRequest): WireAnswer {
    if (this.upgrading > 0) {
      this.upgrading -= 1
      return refusal(400, 'Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly.')
    }
    const changing = request.method === 'POST' || request.method === 'PUT'
    if ((changing || request.method === 'PATCH') && !isMap(request.body)) return refusal(400, 'failed to parse JSON input')
    if (request.method === 'PATCH' && !request.type.startsWith('application/merge-patch+json')) return refusal(415, `PATCH requires Content-Type of application/merge-patch+json, provided ${request.type}`)
    const body = isMap(request.body) ? request.body : {}
    switch (`${kind} ${changing ? 'POST' : request.method}`) {
      case 'data GET': return this.#read(request, (data) => ({ data: inOrder(data) }))
      case 'subkeys GET': return this.#read(request, (data) => ({ subkeys: data === null ? null : inOrder(withoutValues(data)) }))
      case 'data POST': return this.#write(request.path, body)
      case 'data PATCH': return this.#patch(request.path, body)
      case 'data DELETE': return this.#mark(request.path, [this.#paths.get(request.path)?.current ?? 0], (held) => void (held.deleted ??= this.#now()))
      case 'delete POST': return this.#marks(request.path, body, (held) => void (held.deleted ??= this.#now()))
      case 'undelete POST': return this.#marks(request.path, body, (held) => void (held.deleted = undefined))
      case 'destroy POST': return this.#marks(request.path, body, (held) => void (held.destroyed = true))
      case 'metadata GET': return this.#metadata(request.path)
      case 'metadata LIST': return this.#list(request.path)
      case 'metadata POST': return this.#annotate(request.path, body, false)
      case 'metadata PATCH': return this.#annotate(request.path, body, true)
      case 'metadata DELETE': return this.#paths.delete(request.path), done
      case 'config GET': return ok({ max_versions: this.config.maxVersions, cas_required: this.config.casRequired, delete_version_after: `${this.config.deleteAfterSeconds}s` })
      default: return ['data', 'metadata', 'delete', 'undelete', 'destroy', 'subkeys', 'config'].includes(kind) ? refusal(405, '1 error occurred:\n\t* unsupported operation\n\n') : { status: 404, body: envelope(null, { warnings: ['Invalid path for a versioned K/V secrets engine.'] }) }
    }
  }

  #time(ms: number | undefined): string {
    return ms === undefined ? '' : new Date(ms).toISOString()
  }

  #facts(path: Path, number: number): Json {
    const held = path.versions.get(number)
    return { version: number, created_time: this.#time(held?.created), deletion_time: this.#time(held?.deleted), destroyed: held?.destroyed === true, custom_metadata: Object.keys(path.custom).length === 0 ? null : path.custom }
  }

  #isGone(held: Held): boolean {
    return held.destroyed || (held.deleted !== undefined && held.deleted <= this.#now())
  }

  #read({ path, query }: KvRequest, shown: (data: unknown) => Json): WireAnswer {
    const found = this.#paths.get(path)
    const number = Number(query.get('version') ?? 0) || (found?.current ?? 0)
    const held = found?.versions.get(number)
    if (found === undefined || held === undefined) return absent
    const gone = this.#isGone(held)
    return { status: gone ? 404 : 200, body: envelope({ ...shown(gone ? null : held.data), metadata: this.#facts(found, number) }) }
  }

  #write(path: string, body: Json): WireAnswer {
    if (!isMap(body['data'])) return refusal(400, body['data'] === undefined ? 'no data provided' : "error converting input for field \"data\": '' expected type 'map[string]interface {}'")
    const found = this.#paths.get(path)
    const options = isMap(body['options']) ? body['options'] : {}
    if (options['cas'] !== undefined && numberOf(options['cas']) !== (found?.current ?? 0)) return refusal(400, 'check-and-set parameter did not match the current version')
    if (options['cas'] === undefined && (this.config.casRequired || found?.casRequired === true)) return refusal(400, 'check-and-set parameter required for this call')
    const now = this.#now()
    const entry = found ?? { current: 0, versions: new Map<number, Held>(), maxVersions: 0, casRequired: false, deleteAfterSeconds: 0, custom: {}, created: now, updated: now }
    this.#paths.set(path, entry)
    entry.current += 1
    entry.updated = now
    const seconds = entry.deleteAfterSeconds || this.config.deleteAfterSeconds
    entry.versions.set(entry.current, { data: body['data'], created: now, deleted: seconds > 0 ? now + seconds * 1000 : undefined, destroyed: false })
    const kept = entry.maxVersions || this.config.maxVersions || 10
    for (const number of [...entry.versions.keys()]) if (number <= entry.current - kept) entry.versions.delete(number)
    return ok(this.#facts(entry, entry.current))
  }

  #patch(path: string, body: Json): WireAnswer {
    const found = this.#paths.get(path)
    const held = found?.versions.get(found.current)
    if (found === undefined || held === undefined || this.#isGone(held)) return { status: 404, headers: { 'content-type': 'application/json' } }
    const patch = isMap(body['data']) ? body['data'] : {}
    const merged = Object.fromEntries(Object.entries({ ...(held.data as Json), ...patch }).filter(([key]) => patch[key] !== null))
    return this.#write(path, { ...body, data: merged })
  }

  #marks(path: string, body: Json, mark: (held: Held) => void): WireAnswer {
    const versions = Array.isArray(body['versions']) ? body['versions'].map(numberOf) : []
    return versions.length === 0 ? refusal(400, 'no version number provided') : this.#mark(path, versions, mark)
  }

  #mark(path: string, versions: readonly number[], mark: (held: Held) => void): WireAnswer {
    const found = this.#paths.get(path)
    for (const number of versions) {
      const held = found?.versions.get(number)
      if (held !== undefined && !held.destroyed) mark(held)
    }
    return done
  }

  #metadata(path: string): WireAnswer {
    const found = this.#paths.get(path)
    if (found === undefined) return absent
    const versions = Object.fromEntries([...found.versions].map(([number, held]) => [String(number), { created_time: this.#time(held.created), deletion_time: this.#time(held.deleted), destroyed: held.destroyed }]))
    return ok({ cas_required: found.casRequired, created_time: this.#time(found.created), updated_time: this.#time(found.updated), current_version: found.current, oldest_version: Math.min(...found.versions.keys(), found.current), max_versions: found.maxVersions, delete_version_after: `${found.deleteAfterSeconds}s`, custom_metadata: Object.keys(found.custom).length === 0 ? null : found.custom, versions })
  }

  #list(path: string): WireAnswer {
    const folder = path === '' || path.endsWith('/') ? path : `${path}/`
    const below = [...this.#paths.keys()].filter((name) => name.startsWith(folder)).map((name) => name.slice(folder.length).replace(/\/.*$/, '/'))
    return below.length === 0 ? absent : ok({ keys: [...new Set(below)].toSorted() })
  }

  #annotate(path: string, body: Json, merging: boolean): WireAnswer {
    const found = this.#paths.get(path)
    if (found === undefined && merging) return { status: 404, headers: { 'content-type': 'application/json' } }
    const given = isMap(body['custom_metadata']) ? body['custom_metadata'] : undefined
    if (given !== undefined && Object.values(given).some((value) => typeof value !== 'string' && !(merging && value === null))) return refusal(400, 'custom_metadata validation failed: values must be strings')
    const sent = Object.fromEntries(Object.entries(given ?? {}).filter((pair): pair is [string, string] => pair[1] !== null))
    const next = merging ? Object.fromEntries(Object.entries({ ...found?.custom, ...given }).filter((pair): pair is [string, string] => pair[1] !== null)) : sent
    const problem = customProblem(sent) ?? customProblem(next)
    if (problem !== undefined) return refusal(400, problem)
    const now = this.#now()
    const entry = found ?? { current: 0, versions: new Map<number, Held>(), maxVersions: 0, casRequired: false, deleteAfterSeconds: 0, custom: {}, created: now, updated: now }
    this.#paths.set(path, entry)
    if (given !== undefined) entry.custom = next
    if (body['max_versions'] !== undefined) entry.maxVersions = numberOf(body['max_versions'])
    if (typeof body['cas_required'] === 'boolean') entry.casRequired = body['cas_required']
    if (body['delete_version_after'] !== undefined) entry.deleteAfterSeconds = Number.parseInt(String(body['delete_version_after']), 10)
    entry.updated = now
    return done
  }
}
