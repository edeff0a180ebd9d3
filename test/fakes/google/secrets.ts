// Secret Manager's state and rules, as the vendor's reference has them, without a transport: every method takes the request's JSON and gives the answer's. Versions
// are there by their number at once; everything else may be seen late, where a fake is made so.
import { crc32c } from '../../../shared/credentials/crc32c.ts'
import { aliasesOf, annotationsOf, GoogleFailure, invalid, labelsOf, type Json } from './failure.ts'

interface Version {
  readonly number: number
  readonly data: Buffer
  readonly created: number
  readonly state: 'ENABLED' | 'DISABLED' | 'DESTROYED'
  readonly etag: string
  readonly destroyed?: number
  readonly scheduled?: number
  readonly checked: boolean
}

interface Secret {
  readonly created: number
  readonly etag: string
  readonly replication?: Json
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly aliases: Readonly<Record<string, string>>
  readonly versions: readonly Version[]
  readonly expires?: number
  readonly rotation?: Json
  readonly topics?: readonly Json[]
  readonly destroyTtl?: string
}

export interface SecretRules {
  readonly now: () => number
  /** How long others than a read by number may see what was before. Default: 0. */
  readonly lagMs?: number
  /** Counts calls against the vendor's quotas. Default: false. */
  readonly quotas?: boolean
}

/** The project's number, which stands in every answer in place of its id. */
export const projectNumber = '100200300400'
const writable = ['labels', 'annotations', 'version_aliases', 'expire_time', 'ttl', 'rotation', 'version_destroy_ttl', 'topics'] as const
const fields: ReadonlySet<string> = new Set(['name', 'etag', 'replication', 'labels', 'annotations', 'versionAliases', 'expireTime', 'ttl', 'rotation', 'versionDestroyTtl', 'topics', 'customerManagedEncryption', 'tags', 'createTime', 'secretType', 'policyMember'])
const time = (ms: number): string => new Date(ms).toISOString()
const seconds = (text: unknown): number => {
  const found = /^(\d+)(\.\d+)?s$/.exec(String(text))
  if (found === null) throw invalid('A duration must be written as seconds, such as 3600s.')
  return Number(found[1]) * 1000
}
/** A schedule, at the earliest in five minutes and at most every hour. */
const scheduleOf = (given: Json, now: number): Json => {
  const { nextRotationTime: next, rotationPeriod: period } = given
  if (next === undefined || !(Date.parse(String(next)) >= now + 300_000)) throw invalid('rotation.next_rotation_time must be at least 5 minutes in the future.')
  if (period !== undefined && seconds(period) < 3_600_000) throw invalid('rotation.rotation_period must be at least 1 hour.')
  return given
}
/** A secret that is to be rotated has somebody to tell. */
const told = <T extends Pick<Secret, 'rotation' | 'topics'>>(secret: T): T => {
  if (secret.rotation !== undefined && (secret.topics ?? []).length === 0) throw invalid('A secret with a rotation must have at least one topic.')
  return secret
}
const object = (value: unknown): Json => (value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Json) : {})

export class GoogleSecretState {
  readonly #rules: SecretRules
  #secrets = new Map<string, { at: number; secret: Secret | undefined }[]>()
  #etags = 0
  #calls: { kind: string; at: number }[] = []

  constructor(rules: SecretRules) {
    this.#rules = rules
  }

  #etag(): string {
    return `"${(this.#etags += 1).toString(16).padStart(14, '0')}"`
  }

  /** @throws RESOURCE_EXHAUSTED */
  spend(kind: string, perMinute: number, perSecond = Number.POSITIVE_INFINITY): void {
    if (this.#rules.quotas !== true) return
    const now = this.#rules.now()
    this.#calls = this.#calls.filter(({ at }) => now - at < 60_000)
    const same = this.#calls.filter((call) => call.kind === kind)
    if (same.length >= perMinute || same.filter(({ at }) => now - at < 1000).length >= perSecond) throw new GoogleFailure('RESOURCE_EXHAUSTED', `Quota exceeded for quota metric '${kind}'.`, 'RATE_LIMIT_EXCEEDED')
    this.#calls.push({ kind, at: now })
  }

  /** What is so now, whoever may see it. */
  #truth(path: string): Secret | undefined {
    const secret = this.#secrets.get(path)?.at(-1)?.secret
    return secret?.expires !== undefined && secret.expires <= this.#rules.now() ? undefined : secret
  }

  /** What a read sees that is not by number. */
  #seen(path: string): Secret | undefined {
    const until = this.#rules.now() - (this.#rules.lagMs ?? 0)
    return (this.#rules.lagMs ?? 0) === 0 ? this.#truth(path) : this.#secrets.get(path)?.findLast(({ at }) => at <= until)?.secret
  }

  #set(path: string, secret: Secret | undefined): void {
    this.#secrets.set(path, [...(this.#secrets.get(path) ?? []), { at: this.#rules.now(), secret }])
  }

  #known(path: string, secret: Secret | undefined): Secret {
    if (secret === undefined) throw new GoogleFailure('NOT_FOUND', `Secret [${this.#numbered(path)}] not found.`)
    return secret
  }

  #numbered(path: string): string {
    return path.replace(/^projects\/[^/]+/, `projects/${projectNumber}`)
  }

  #secretJson(path: string, secret: Secret): Json {
    const { created, etag, replication, labels, annotations, aliases, expires, rotation, topics = [], destroyTtl } = secret
    return {
      name: this.#numbered(path),
      createTime: time(created),
      etag,
      ...(replication !== undefined && { replication }),
      ...(Object.keys(labels).length > 0 && { labels }),
      ...(Object.keys(annotations).length > 0 && { annotations }),
      ...(Object.keys(aliases).length > 0 && { versionAliases: aliases }),
      ...(expires !== undefined && { expireTime: time(expires) }),
      ...(rotation !== undefined && { rotation }),
      ...(topics.length > 0 && { topics }),
      ...(destroyTtl !== undefined && { versionDestroyTtl: destroyTtl }),
    }
  }

  #versionJson(path: string, { number, created, state, etag, destroyed, scheduled, checked }: Version): Json {
    return {
      name: `${this.#numbered(path)}/versions/${number}`,
      createTime: time(created),
      state,
      etag,
      replicationStatus: { automatic: {} },
      ...(destroyed !== undefined && { destroyTime: time(destroyed) }),
      ...(scheduled !== undefined && { scheduledDestroyTime: time(scheduled) }),
      ...(checked && { clientSpecifiedPayloadChecksum: true }),
    }
  }

  #written(body: Json, made: number): Partial<Secret> {
    const unknown = Object.keys(body).find((key) => !fields.has(key))
    if (unknown !== undefined) throw invalid(`Invalid JSON payload received. Unknown name "${unknown}" at 'secret': Cannot find field.`)
    const { expireTime, ttl, rotation, topics, versionDestroyTtl } = body
    if (topics !== undefined && (!Array.isArray(topics) || topics.length > 10)) throw invalid('A secret has at most 10 topics.')
    if (expireTime !== undefined && ttl !== undefined) throw invalid('Only one of expire_time and ttl may be set.')
    const expires = ttl === undefined ? (expireTime === undefined ? undefined : Date.parse(String(expireTime))) : this.#rules.now() + seconds(ttl)
    if (expires !== undefined && !(expires > this.#rules.now())) throw invalid('Secret expiration must be in the future.')
    return {
      labels: labelsOf(body['labels']),
      annotations: annotationsOf(body['annotations']),
      aliases: aliasesOf(body['versionAliases'], made),
      ...(expires !== undefined && { expires }),
      ...(rotation !== undefined && { rotation: scheduleOf(object(rotation), this.#rules.now()) }),
      ...(Array.isArray(topics) && { topics: topics.map(object) }),
      ...(versionDestroyTtl !== undefined && { destroyTtl: String(versionDestroyTtl) }),
    }
  }

  create(parent: string, id: string, body: Json): Json {
    this.spend('writes', 600)
    if (!/^[A-Za-z0-9_-]{1,255}$/.test(id)) throw invalid('The secret id must be 1 to 255 of letters, digits, _ and -.')
    const replication = object(body['replication'])
    const regional = parent.includes('/locations/')
    if (!regional && replication['automatic'] === undefined && replication['userManaged'] === undefined) throw invalid('secret.replication must be provided.')
    if (regional && body['replication'] !== undefined) throw invalid('secret.replication must not be set on a regional secret.')
    const written = this.#written(body, 0)
    const path = `${parent}/secrets/${id}`
    if (this.#truth(path) !== undefined) throw new GoogleFailure('ALREADY_EXISTS', `Secret [${this.#numbered(path)}] already exists.`)
    const secret: Secret = told({ labels: {}, annotations: {}, aliases: {}, ...written, ...(!regional && { replication }), created: this.#rules.now(), etag: this.#etag(), versions: [] })
    this.#set(path, secret)
    return this.#secretJson(path, secret)
  }

  get(path: string): Json {
    this.spend('reads', 600)
    return this.#secretJson(path, this.#known(path, this.#seen(path)))
  }

  update(path: string, body: Json, mask: string): Json {
    this.spend('writes', 600)
    this.spend(`change of ${path}`, 120, path.includes('/locations/') ? 80 : 2)
    const paths = mask.split(',').filter((part) => part !== '').map((part) => part.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))
    if (paths.length === 0) throw invalid('update_mask must be provided.')
    for (const part of paths) if (!(writable as readonly string[]).includes(part)) throw invalid(`Field ${part} is not known, or cannot be changed.`)
    const secret = this.#known(path, this.#truth(path))
    const written = this.#written(body, secret.versions.length)
    this.#match(secret.etag, body['etag'])
    const { expires, ...kept } = secret
    const changed: Secret = told({
      ...kept,
      ...(paths.includes('labels') && { labels: written.labels ?? {} }),
      ...(paths.includes('annotations') && { annotations: written.annotations ?? {} }),
      ...(paths.includes('version_aliases') && { aliases: written.aliases ?? {} }),
      ...(paths.includes('expire_time') || paths.includes('ttl') ? written.expires !== undefined && { expires: written.expires } : expires !== undefined && { expires }),
      ...(paths.includes('version_destroy_ttl') && written.destroyTtl !== undefined && { destroyTtl: written.destroyTtl }),
      ...(paths.includes('rotation') && written.rotation !== undefined && { rotation: written.rotation }),
      ...(paths.includes('topics') && { topics: written.topics ?? [] }),
      etag: this.#etag(),
    })
    this.#set(path, changed)
    return this.#secretJson(path, changed)
  }

  #match(etag: string, given: unknown): void {
    if (given !== undefined && given !== '' && given !== etag) throw new GoogleFailure('FAILED_PRECONDITION', 'The etag provided does not match the current etag of the resource.')
  }

  remove(path: string, etag: string | undefined): Json {
    this.spend('writes', 600)
    this.#match(this.#known(path, this.#truth(path)).etag, etag ?? undefined)
    this.#set(path, undefined)
    return {}
  }

  list(parent: string, query: { readonly size: number; readonly token: string; readonly filter: string }): Json {
    this.spend('reads', 600)
    const paths = [...this.#secrets.keys()].filter((path) => path.startsWith(`${parent}/secrets/`) && this.#seen(path) !== undefined)
    const terms = query.filter.split(/\s+AND\s+/).filter((term) => term.trim() !== '')
    const wanted = paths.filter((path) => terms.every((term) => this.#matches(path, this.#known(path, this.#seen(path)), term.trim())))
    // The newest first, as the service lists them.
    wanted.sort((a, b) => this.#known(b, this.#seen(b)).created - this.#known(a, this.#seen(a)).created || (a < b ? -1 : 1))
    return this.#page(wanted.map((path) => this.#secretJson(path, this.#known(path, this.#seen(path)))), 'secrets', query)
  }

  #matches(path: string, secret: Secret, term: string): boolean {
    const name = /^name:"?([\w-]+)"?$/.exec(term)?.[1]
    if (name !== undefined) return path.slice(path.indexOf('/secrets/')).toLowerCase().includes(name.toLowerCase())
    const [, key, , value] = /^labels\.([a-z][a-z0-9_-]*)\s*([=:])\s*"?([a-z0-9_*-]*)"?$/.exec(term) ?? []
    if (key === undefined) throw invalid('The filter cannot be parsed.')
    return value === '*' ? secret.labels[key] !== undefined : secret.labels[key] === value
  }

  #page(items: readonly Json[], field: string, { size, token }: { readonly size: number; readonly token: string }): Json {
    if (size < 0 || size > 25_000) throw invalid('page_size must be between 0 and 25000.')
    const at = token === '' ? 0 : Number(/^offset-(\d+)$/.exec(Buffer.from(token, 'base64url').toString('utf8'))?.[1] ?? Number.NaN)
    if (!Number.isInteger(at)) throw invalid('The page token is invalid.')
    const end = at + (size === 0 ? 25_000 : size)
    return { [field]: items.slice(at, end), ...(end < items.length && { nextPageToken: Buffer.from(`offset-${end}`).toString('base64url') }), totalSize: items.length }
  }

  add(path: string, payload: Json): Json {
    this.spend('writes', 600)
    this.spend(`change of ${path}`, 120, path.includes('/locations/') ? 80 : 2)
    const secret = this.#known(path, this.#truth(path))
    const data = Buffer.from(String(payload['data'] ?? ''), 'base64')
    const sum = payload['dataCrc32c']
    if (data.byteLength === 0) throw invalid('Secret Payload cannot be empty.')
    if (data.byteLength > 65_536) throw invalid('The secret payload must be at most 65536 bytes.')
    if (sum !== undefined && String(sum) !== String(crc32c(data))) throw invalid('The checksum of the payload does not match.')
    const version: Version = { number: secret.versions.length + 1, data, created: this.#rules.now(), state: 'ENABLED', etag: this.#etag(), checked: sum !== undefined }
    this.#set(path, { ...secret, versions: [...secret.versions, version] })
    return this.#versionJson(path, version)
  }

  /** One version by number, alias or `latest`. Only a number is never late. */
  #version(path: string, name: string): Version {
    const byNumber = /^\d+$/.test(name)
    const secret = this.#known(path, byNumber ? this.#truth(path) : this.#seen(path))
    const number = byNumber ? Number(name) : name === 'latest' ? secret.versions.length : Number(secret.aliases[name] ?? Number.NaN)
    const version = secret.versions[number - 1]
    if (version === undefined) throw new GoogleFailure('NOT_FOUND', `Secret Version [${this.#numbered(path)}/versions/${name}] not found.`)
    if (version.scheduled !== undefined && version.scheduled <= this.#rules.now()) return { ...version, state: 'DESTROYED', data: Buffer.alloc(0) }
    return version
  }

  access(path: string, name: string): Json {
    this.spend('accesses', 90_000)
    const version = this.#version(path, name)
    if (version.state !== 'ENABLED') throw new GoogleFailure('FAILED_PRECONDITION', `Secret Version [${this.#numbered(path)}/versions/${version.number}] is in ${version.state} state.`)
    return { name: `${this.#numbered(path)}/versions/${version.number}`, payload: { data: version.data.toString('base64'), dataCrc32c: String(crc32c(version.data)) } }
  }

  version(path: string, name: string): Json {
    this.spend('reads', 600)
    return this.#versionJson(path, this.#version(path, name))
  }

  versions(path: string, query: { readonly size: number; readonly token: string; readonly filter: string }): Json {
    this.spend('reads', 600)
    const wanted = /^(?:state[:=](ENABLED|DISABLED|DESTROYED))?$/.exec(query.filter)
    if (wanted === null) throw invalid('The filter cannot be parsed.')
    const all = this.#known(path, this.#seen(path)).versions.map(({ number }) => this.#version(path, String(number))).filter(({ state }) => wanted[1] === undefined || state === wanted[1])
    return this.#page(all.toReversed().map((version) => this.#versionJson(path, version)), 'versions', query)
  }

  setState(path: string, name: string, to: 'enable' | 'disable' | 'destroy', etag: unknown): Json {
    this.spend('writes', 600)
    const version = this.#version(path, name)
    this.spend(`state of ${path}/${version.number}`, 60, 1)
    this.#match(version.etag, etag)
    if (version.state === 'DESTROYED') throw new GoogleFailure('FAILED_PRECONDITION', `Secret Version [${this.#numbered(path)}/versions/${version.number}] is in DESTROYED state.`)
    const secret = this.#known(path, this.#truth(path))
    const later = to === 'destroy' && secret.destroyTtl !== undefined
    const next: Version = {
      ...version,
      etag: this.#etag(),
      state: to === 'enable' ? 'ENABLED' : to === 'disable' || later ? 'DISABLED' : 'DESTROYED',
      ...(to === 'destroy' && !later && { data: Buffer.alloc(0), destroyed: this.#rules.now() }),
      ...(later && { scheduled: this.#rules.now() + seconds(secret.destroyTtl) }),
    }
    this.#set(path, { ...secret, versions: secret.versions.map((each) => (each.number === version.number ? next : each)) })
    return this.#versionJson(path, next)
  }

  /** Every path there is, for whoever looks behind the wire. */
  paths(): readonly string[] {
    return [...this.#secrets.keys()].filter((path) => this.#truth(path) !== undefined)
  }
}
