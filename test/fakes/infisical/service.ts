// Infisical on the wire, written from its contract: both generations of the secrets API over one state, folders, versions, logins, approvals, hidden values, buckets by the
// minute. It sees no socket; every request is answered at once and whole.
import { randomUUID } from 'node:crypto'
import { startFake, type RunningFake, type WireAnswer, type WireRequest, type WireService } from '../wire.ts'
import { identitiesOf, requireMember, type Identities, type Identity } from './identities.ts'
import { badRequest, faultOf, invalid, notFound, permissionDenied, refusalAnswer, Refused, tooMany } from './refusals.ts'
import { below, Project, secretName, type Row, type Written } from './secrets.ts'

/** What every test starts with. */
export const fakeProject = { id: '5f0e2f3a-8b1c-4d2e-9f3a-1b2c3d4e5f60', environments: ['dev', 'prod'] } as const
/** The identity that may do everything. */
export const fakeIdentity = { id: '1c9e6679-7425-40de-944b-e07fc1f90ae7', clientId: 'b3a1f6a2-6f2e-4f7b-9a55-6f1f7a3c9d10', clientSecret: 'client-secret-of-the-fake-identity' } as const

/** What can be turned on the server. */
export interface Knobs {
  /** Paths whose writes become requests for approval. */
  approvals?: (path: string) => boolean
  /** Values that the identity may describe but not read. */
  hidden?: (path: string, key: string) => boolean
  /** What the identity may not do. */
  denies?: (action: 'describe' | 'create' | 'edit' | 'delete' | 'folders', path: string, identity: Identity) => boolean
  /** Secret requests by the minute. */
  secretsPerMinute?: number
  /** The list of a folder that is not there: an empty one, or 404. Default: 404. */
  missingFolderLists?: 'empty' | 'not_found'
  /** Older servers take `version` and answer the newest. */
  ignoresVersion?: boolean
  /** References in values must lead to secrets that are there. */
  checksReferences?: boolean
  /** The next creations do not see what another request has just made. */
  racingCreates?: number
}

/** A server, and what stands behind its wire. */
export interface InfisicalService extends WireService {
  readonly knobs: Knobs
  readonly project: Project
  readonly identities: Identities
}

type Fields = Readonly<Record<string, unknown>>

const jsonHeaders = { 'content-type': 'application/json; charset=utf-8' }
const largestBody = 1024 * 1024

const bodyOf = ({ body, headers }: WireRequest): Fields => {
  if (body.byteLength > largestBody) throw new Refused(413, 'FST_ERR_CTP_BODY_TOO_LARGE', 'Request body is too large')
  if (!/^application\/json\b/.test(headers['content-type'] ?? '')) throw new Refused(415, 'FST_ERR_CTP_INVALID_MEDIA_TYPE', 'Unsupported Media Type')
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'))
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as Fields
  } catch {
    // Said below.
  }
  throw badRequest('Body is not valid JSON')
}

const text = (fields: Fields, key: string, otherwise?: string): string => {
  const value = fields[key] ?? otherwise
  if (typeof value !== 'string') throw invalid(key, 'Required')
  return value
}
const slashed = (path: string): string => `/${path.trim().split('/').filter((segment) => segment !== '').join('/')}`
const flag = (query: URLSearchParams, key: string, otherwise: boolean): boolean => {
  const value = query.get(key)
  if (value === null) return otherwise
  if (value !== 'true' && value !== 'false') throw invalid(key, "Invalid enum value. Expected 'true' | 'false'")
  return value === 'true'
}

const writtenOf = (fields: Fields): Written => {
  const { secretValue, secretComment, secretMetadata, newSecretName } = fields
  for (const [key, value] of Object.entries({ secretValue, secretComment, newSecretName })) if (value !== undefined && value !== null && typeof value !== 'string') throw invalid(key, 'Expected string')
  if (secretMetadata !== undefined && secretMetadata !== null && !Array.isArray(secretMetadata)) throw invalid('secretMetadata', 'Expected array')
  const pairs = (secretMetadata as readonly Fields[] | undefined)?.map((pair) => {
    const key = text(pair, 'key').trim()
    const value = text(pair, 'value', '').trim()
    if (key === '' || key.length > 255 || value.length > 1020) throw invalid('secretMetadata', 'Invalid pair')
    return { key, value, isEncrypted: pair['isEncrypted'] === true }
  })
  return { ...(typeof secretValue === 'string' && { secretValue }), ...(typeof secretComment === 'string' && { secretComment }), ...(pairs !== undefined && { secretMetadata: pairs }), ...(typeof newSecretName === 'string' && newSecretName !== '' && { newSecretName: secretName(newSecretName) }) }
}

/** One server with one project and one identity; further ones by `identities.add`. */
export const infisicalService = ({ now, knobs = {} }: { now: () => number; knobs?: Knobs }): InfisicalService => {
  const project = new Project(now, fakeProject.environments)
  const identities = identitiesOf(now)
  identities.add({ ...fakeIdentity, method: 'universal', projects: [fakeProject.id] })
  const bucket = { minute: -1, used: 0 }

  const throttle = (): void => {
    const { secretsPerMinute } = knobs
    if (secretsPerMinute === undefined) return
    const minute = Math.floor(now() / 60_000)
    if (bucket.minute !== minute) Object.assign(bucket, { minute, used: 0 })
    bucket.used += 1
    if (bucket.used > secretsPerMinute) throw tooMany(Math.ceil(((minute + 1) * 60_000 - now()) / 1000))
  }
  const may = (action: Parameters<NonNullable<Knobs['denies']>>[0], path: string, identity: Identity): void => {
    if (knobs.denies?.(action, path, identity) === true) throw permissionDenied(action)
  }
  const shown = (row: Row, view: boolean, value = row.value, version = row.version): object => {
    const secretValueHidden = !view || knobs.hidden?.(row.path, row.key) === true
    return {
      id: row.id, _id: row.id, workspace: fakeProject.id, environment: row.environment, version, type: 'shared', secretKey: row.key, secretValue: secretValueHidden ? '<hidden-by-infisical>' : value, secretValueHidden,
      secretComment: row.comment, secretPath: row.path, skipMultilineEncoding: false, secretMetadata: row.metadata, tags: [], isRotatedSecret: false, createdAt: new Date(row.created).toISOString(), updatedAt: new Date(row.updated).toISOString(),
    }
  }
  const approval = (): object => ({ approval: { id: randomUUID(), slug: `request-${randomUUID().slice(0, 8)}`, status: 'open', hasMerged: false, createdAt: new Date(now()).toISOString() } })
  const referring = (environment: string, path: string, value: string | undefined): void => {
    const missing = [...(value ?? '').matchAll(/\$\{([A-Za-z0-9_-]+)\}/g)].map(([, key]) => key ?? '').filter((key) => project.row(environment, path, key) === undefined)
    if (knobs.checksReferences === true && missing.length > 0) throw badRequest(`Referenced secret(s) not found: ${missing.join(',')}`)
  }

  interface Where { readonly environment: string; readonly path: string }
  const scoped = (fields: Fields, projectField: string, identity: Identity): Where => {
    const id = text(fields, projectField).trim()
    if (id !== fakeProject.id) throw notFound(`Project with ID '${id}' not found`)
    requireMember(identity, id)
    return { environment: text(fields, 'environment').trim(), path: slashed(text(fields, 'secretPath', '/')) }
  }

  const list = (query: URLSearchParams, { environment, path }: Where, identity: Identity): object => {
    may('describe', path, identity)
    if (!project.hasFolder(environment, path)) {
      if (knobs.missingFolderLists !== 'empty') throw notFound(`Folder with path '${path}' in environment with slug '${environment}' not found`)
      return { secrets: [], imports: [] }
    }
    const [view, recursive, expand] = [flag(query, 'viewSecretValue', true), flag(query, 'recursive', false), flag(query, 'expandSecretReferences', false)]
    const filters = (query.get('metadataFilter') ?? '').split('|').filter((part) => part !== '').map((part) => /^key[,=](.*?)[,=]value[,=](.*)$/.exec(part) ?? /^key[,=](.*?)[,=](.*)$/.exec(part))
    const fits = (row: Row): boolean => filters.every((filter) => filter === null || row.metadata.some(({ key, value }) => key === filter[1] && value === filter[2]))
    const within = (row: Row): boolean => row.environment === environment && (recursive ? below(row.path, path) : row.path === path) && fits(row)
    const values = (row: Row): object => shown(row, view, expand ? project.expanded(row.environment, row.path, row.value) : row.value)
    const imports = flag(query, 'include_imports', false) ? project.imports.filter((each) => each.environment === environment && each.path === path).map(({ fromEnvironment, fromPath }) => ({ secretPath: fromPath, environment: fromEnvironment, folderId: randomUUID(), secrets: project.rows.filter((row) => row.environment === fromEnvironment && row.path === fromPath).map(values) })) : undefined
    return { secrets: project.rows.filter(within).map(values), ...(imports !== undefined && { imports }) }
  }

  const one = (key: string, query: URLSearchParams, { environment, path }: Where, identity: Identity): object => {
    project.requireFolder(environment, path)
    may('describe', path, identity)
    const view = flag(query, 'viewSecretValue', true)
    const imported = flag(query, 'include_imports', false) ? project.imports.filter((each) => each.environment === environment && each.path === path).flatMap(({ fromEnvironment, fromPath }) => project.row(fromEnvironment, fromPath, key) ?? []) : []
    const row = project.row(environment, path, key) ?? imported.at(-1)
    const asked = query.get('version')
    const number = asked === null || knobs.ignoresVersion === true ? undefined : Number(asked)
    const version = number === undefined ? undefined : row?.versions.find((each) => each.version === number)
    if (row === undefined || (number !== undefined && version === undefined)) throw notFound(`Secret with name '${key}' not found`)
    const value = version?.value ?? row.value
    return { secret: shown(row, view, flag(query, 'expandSecretReferences', false) ? project.expanded(row.environment, row.path, value) : value, version?.version ?? row.version) }
  }

  const changeOne = (method: string, key: string, fields: Fields, { environment, path }: Where, identity: Identity): object => {
    if (!['shared', undefined, ''].includes(fields['type'] as string | undefined)) throw badRequest('Must be user to change a personal secret')
    project.requireFolder(environment, path)
    const written = writtenOf(fields)
    const name = method === 'POST' ? secretName(key) : key
    if (method === 'POST' && written.secretValue === undefined) throw invalid('secretValue', 'Required')
    may(method === 'POST' ? 'create' : method === 'PATCH' ? 'edit' : 'delete', path, identity)
    const there = project.row(environment, path, name) !== undefined
    if (method === 'POST' && there && (knobs.racingCreates ?? 0) === 0) throw badRequest('Secret already exist')
    if (method !== 'POST' && !there) throw notFound(`Secret with name ${name} not found`)
    referring(environment, path, written.secretValue)
    if (knobs.approvals?.(path) === true) return approval()
    if (method === 'DELETE') return { secret: shown(project.remove(environment, path, name), true) }
    if (method === 'PATCH') return { secret: shown(project.update(environment, path, name, written), true) }
    const racing = (knobs.racingCreates ?? 0) > 0 && there
    if (racing) knobs.racingCreates = (knobs.racingCreates ?? 0) - 1
    return { secret: shown(project.create(environment, path, name, written, racing), true) }
  }

  const secretsRoute = (request: WireRequest, name: string | undefined, projectField: string, identity: Identity): object => {
    const { method, query } = request
    throttle()
    if (method === 'GET') {
      const where = scoped(Object.fromEntries(query), projectField, identity)
      return name === undefined ? list(query, where, identity) : one(name, query, where, identity)
    }
    const fields = bodyOf(request)
    const where = scoped(fields, projectField, identity)
    if (name === 'batch') {
      const items = fields['secrets']
      if (!Array.isArray(items) || items.length === 0) throw invalid('secrets', 'Array must contain at least 1 element(s)')
      return { secrets: (items as readonly Fields[]).map((item) => (changeOne(method, text(item, 'secretKey'), item, where, identity) as { secret?: object }).secret) }
    }
    if (name === 'move') throw invalid('secretIds', 'Required')
    if (name === undefined) throw notFound('Route not found')
    return changeOne(method, name, fields, where, identity)
  }

  const foldersRoute = (request: WireRequest, projectField: string, identity: Identity): object => {
    throttle()
    const fields = request.method === 'GET' ? Object.fromEntries(request.query) : bodyOf(request)
    const path = slashed(text(fields, 'path', text(fields, 'directory', '/')))
    const { environment } = scoped(fields, projectField, identity)
    const folder = (whole: string): object => ({ id: randomUUID(), name: whole.slice(whole.lastIndexOf('/') + 1), version: 1, createdAt: new Date(now()).toISOString(), updatedAt: new Date(now()).toISOString(), envId: randomUUID(), parentId: randomUUID(), isReserved: false, path: whole })
    if (request.method === 'GET') return { folders: project.foldersIn(environment, path, request.query.get('recursive') === 'true').map(folder) }
    if (request.method !== 'POST') throw notFound('Route not found')
    may('folders', path, identity)
    return { folder: folder(project.makeFolder(environment, path, text(fields, 'name').trim())) }
  }

  const versionsRoute = (id: string, query: URLSearchParams, identity: Identity): object => {
    const row = project.rows.find((each) => each.id === id)
    if (row === undefined) throw notFound(`Secret with ID '${id}' not found`)
    may('describe', row.path, identity)
    const [offset, limit] = [Number(query.get('offset') ?? 0), Number(query.get('limit') ?? 10)]
    return { secretVersions: row.versions.toReversed().slice(offset, offset + limit).map(({ id: versionId, version, value, at }) => ({ ...shown(row, true, value, version), id: versionId, secretId: row.id, createdAt: new Date(at).toISOString() })) }
  }

  const routed = (request: WireRequest): object => {
    const { method, path } = request
    const login = /^\/api\/v1\/auth\/([a-z]+)-auth\/login$/.exec(path)?.[1]
    if (method === 'POST' && login !== undefined) return identities.login(login, bodyOf(request))
    if (method === 'POST' && path === '/api/v1/auth/token/renew') return identities.renew(bodyOf(request)['accessToken'])
    const [, generation, raw] = /^\/api\/(v4\/secrets|v3\/secrets\/raw|v3\/secrets\/batch\/raw)(?:\/([^/]+))?$/.exec(path) ?? []
    const folders = /^\/api\/(v1|v2)\/folders$/.exec(path)?.[1]
    const versions = /^\/api\/v1\/secret\/([^/]+)\/secret-versions$/.exec(path)?.[1]
    if (generation === undefined && folders === undefined && versions === undefined) throw notFound(`Route ${method}:${path} not found`)
    const identity = identities.authenticate(request.headers['authorization'])
    if (generation !== undefined) {
      const name = generation.includes('batch') ? 'batch' : raw === undefined ? undefined : decodeURIComponent(raw)
      return secretsRoute(request, name, generation.startsWith('v4') ? 'projectId' : 'workspaceId', identity)
    }
    if (folders !== undefined) return foldersRoute(request, folders === 'v2' ? 'projectId' : 'workspaceId', identity)
    return versionsRoute(decodeURIComponent(versions ?? ''), request.query, identity)
  }

  const handle = (request: WireRequest): WireAnswer => {
    try {
      return { status: 200, headers: jsonHeaders, body: routed(request) }
    } catch (error) {
      if (error instanceof Refused) return refusalAnswer(error)
      throw error
    }
  }

  return {
    knobs,
    project,
    identities,
    handle,
    changes: ({ method, path }) => method !== 'GET' && !path.startsWith('/api/v1/auth/'),
    refuse: (refusal, echo) => refusalAnswer(faultOf(refusal, echo)),
    spared: ({ path }) => path.startsWith('/api/v1/auth/'),
    step: ({ method, path, query, body }) => {
      const folder = query.get('secretPath') ?? /"secretPath":"([^"]*)"/.exec(body.toString('utf8'))?.[1] ?? query.get('path') ?? ''
      return { call: `${method} ${path.replace(/^\/api\/v\d\//, '').replace(/\/[^/]*$/, '')}`, name: `${folder}/${path.slice(path.lastIndexOf('/') + 1)}${query.has('version') ? `@${query.get('version')}` : ''}` }
    },
  }
}

/** A server with a socket. */
export interface RunningInfisical extends RunningFake {
  readonly service: InfisicalService
}

/** Starts one on a free port of loopback. */
export const startInfisicalFake = async (options: { now: () => number; knobs?: Knobs }): Promise<RunningInfisical> => {
  const service = infisicalService(options)
  return { ...(await startFake(service)), service }
}
