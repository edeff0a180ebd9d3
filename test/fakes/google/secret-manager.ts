// Google Secret Manager as a server: one table of methods with the permission that each needs, over REST here and over gRPC beside it, on one state. The places where
// Google's identities log in stand at the same address, so that one port is a whole cloud.
import { bearerOf, knownAccount, type FakeAccount } from '../google-bearer.ts'
import { startFake, type RunningFake, type WireAnswer, type WireRequest, type WireService } from '../wire.ts'
import { envelope, GoogleFailure, invalid, type Json, type Status } from './failure.ts'
import { fakeLogins, type FakeIdentities } from './identity.ts'
import { GoogleSecretState, projectNumber, type SecretRules } from './secrets.ts'

export const fakeProject = 'fake-project'
const audience = 'https://secretmanager.googleapis.com/'

export interface GoogleFakeOptions extends Partial<SecretRules>, Partial<Omit<FakeIdentities, 'now'>> {
  /** Whether an identity may. Default: everybody whom the fake knows may do everything. */
  readonly allows?: (who: string, permission: string, resource: string) => boolean
  /** Further tokens, and until when they hold. */
  readonly given?: ReadonlyMap<string, number>
}

type Method = readonly [permission: string, run: (state: GoogleSecretState, request: Json) => Json]
const text = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')
const object = (value: unknown): Json => (value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Json) : {})
const pageOf = (request: Json) => ({ size: Number(request['pageSize'] ?? 0), token: text(request['pageToken']), filter: text(request['filter']) })
const split = (name: unknown): readonly [path: string, version: string] => {
  const found = /^(.+\/secrets\/[^/]+)\/versions\/([^/]+)$/.exec(text(name))
  if (found?.[1] === undefined || found[2] === undefined) throw invalid('The name of the version is not one.')
  return [found[1], found[2]]
}
const state = (to: 'enable' | 'disable' | 'destroy'): Method => [`versions.${to}`, (service, request) => service.setState(...split(request['name']), to, request['etag'])]

/** The methods of the service by their names in its definition. */
export const methods: Readonly<Record<string, Method>> = {
  ListSecrets: ['secrets.list', (service, request) => service.list(text(request['parent']), pageOf(request))],
  CreateSecret: ['secrets.create', (service, request) => service.create(text(request['parent']), text(request['secretId']), object(request['secret']))],
  AddSecretVersion: ['versions.add', (service, request) => service.add(text(request['parent']), object(request['payload']))],
  GetSecret: ['secrets.get', (service, request) => service.get(text(request['name']))],
  UpdateSecret: ['secrets.update', (service, request) => service.update(text(object(request['secret'])['name']), object(request['secret']), text(request['updateMask']))],
  DeleteSecret: ['secrets.delete', (service, request) => service.remove(text(request['name']), text(request['etag']) || undefined)],
  ListSecretVersions: ['versions.list', (service, request) => service.versions(text(request['parent']), pageOf(request))],
  GetSecretVersion: ['versions.get', (service, request) => service.version(...split(request['name']))],
  AccessSecretVersion: ['versions.access', (service, request) => service.access(...split(request['name']))],
  DisableSecretVersion: state('disable'),
  EnableSecretVersion: state('enable'),
  DestroySecretVersion: state('destroy'),
  SetIamPolicy: ['secrets.setIamPolicy', (_, request) => object(request['policy'])],
  GetIamPolicy: ['secrets.getIamPolicy', () => ({ etag: 'ACAB' })],
  TestIamPermissions: ['', () => ({})],
}

/** What a caller is told: the vendor's own names in place of ours. */
const canonical = (request: Json): Json => JSON.parse(JSON.stringify(request).replaceAll(`projects/${projectNumber}`, `projects/${fakeProject}`)) as Json

/** One fake cloud. */
export class GoogleSecretFake implements WireService {
  readonly secrets: GoogleSecretState
  readonly #logins: ReturnType<typeof fakeLogins>
  readonly #options: GoogleFakeOptions
  readonly #now: () => number
  readonly #accounts: readonly FakeAccount[]

  constructor(options: GoogleFakeOptions = {}) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#accounts = options.accounts ?? [knownAccount()]
    this.secrets = new GoogleSecretState({ ...options, now: this.#now })
    this.#logins = fakeLogins({ ...options, now: this.#now, accounts: this.#accounts })
  }

  /** Carries one method out for whoever shows a token. @throws GoogleFailure */
  run(method: string, given: Json, authorization: string | undefined): Json {
    const found = methods[method]
    if (found === undefined) throw new GoogleFailure('UNIMPLEMENTED', 'The method is not implemented.')
    const [permission, run] = found
    const who = bearerOf(authorization, audience, this.#now(), this.#accounts, new Map([...(this.#options.given ?? []), ...this.#logins.tokens]))
    if (typeof who === 'string') throw new GoogleFailure('UNAUTHENTICATED', 'Request had invalid authentication credentials. Expected OAuth 2 access token.', who === 'expired' ? 'ACCESS_TOKEN_EXPIRED' : who === 'none' ? 'CREDENTIALS_MISSING' : 'ACCESS_TOKEN_TYPE_UNSUPPORTED')
    const request = canonical(given)
    const resource = [request['name'], request['parent'], request['resource'], object(request['secret'])['name']].map(text).find((name) => name !== '') ?? ''
    const may = (which: string): boolean => resource.split('/')[1] === fakeProject && (this.#options.allows?.(who.who, which, resource) ?? true)
    if (method === 'TestIamPermissions') return { permissions: (Array.isArray(request['permissions']) ? request['permissions'] : []).filter((each) => may(text(each))) }
    if (!may(`secretmanager.${permission}`)) throw new GoogleFailure('PERMISSION_DENIED', `Permission 'secretmanager.${permission}' denied for resource '${resource}' (or it may not exist).`, 'IAM_PERMISSION_DENIED')
    return run(this.secrets, request)
  }

  handle(request: WireRequest): WireAnswer {
    try {
      const login = this.#logins.handle(request)
      if (login !== undefined) return login
      const [method, body] = routed(request)
      return { status: 200, headers: { 'content-type': 'application/json; charset=UTF-8' }, body: JSON.stringify(numbered(this.run(method, body, request.headers['authorization']), request.query)) }
    } catch (error) {
      if (error instanceof GoogleFailure) return envelope(error)
      throw error
    }
  }

  changes({ method, path }: WireRequest): boolean {
    return method !== 'GET' && !path.endsWith(':testIamPermissions') && !path.endsWith(':getIamPolicy')
  }

  refuse(refusal: Parameters<WireService['refuse']>[0], echo: string): WireAnswer {
    const said: Readonly<Record<typeof refusal, readonly [Status, string, string?]>> = {
      denied: ['PERMISSION_DENIED', 'Permission denied on resource.', 'IAM_PERMISSION_DENIED'],
      throttled: ['RESOURCE_EXHAUSTED', 'Quota exceeded for quota metric.', 'RATE_LIMIT_EXCEEDED'],
      unavailable: ['UNAVAILABLE', 'The service is currently unavailable.'],
      expired_credential: ['UNAUTHENTICATED', 'Request had invalid authentication credentials.', 'ACCESS_TOKEN_EXPIRED'],
    }
    const [status, message, reason] = said[refusal]
    return envelope(new GoogleFailure(status, `${message} ${echo}`, reason))
  }

  step({ method, path }: WireRequest): { readonly call: string; readonly name: string } {
    const [, name = '', version = '', verb = ''] = /\/secrets\/?([^/:]*)(?:\/versions\/?([^/:]*))?(?::(\w+))?$/.exec(path) ?? []
    return { call: verb === '' ? `${method.toLowerCase()}${version === '' && path.endsWith('/versions') ? 'Versions' : version === '' ? 'Secret' : 'Version'}` : verb, name: version === '' ? name : `${name}@${version}` }
  }
}

const enums: Readonly<Record<string, number>> = { ENABLED: 1, DISABLED: 2, DESTROYED: 3 }
/** Enumerations as numbers where the client asks for them so. */
const numbered = (json: Json, query: URLSearchParams): Json =>
  query.get('$alt')?.includes('enum-encoding=int') === true ? (JSON.parse(JSON.stringify(json), (key, value: unknown) => (key === 'state' && typeof value === 'string' ? (enums[value] ?? 0) : value)) as Json) : json

const bodyOf = ({ body, headers }: WireRequest): Json => {
  if (body.byteLength === 0) return {}
  if (headers['content-type']?.startsWith('application/json') !== true) throw invalid('The content type must be application/json.')
  try {
    return JSON.parse(body.toString('utf8')) as Json
  } catch {
    throw invalid('Invalid JSON payload received. Unexpected token.')
  }
}

const paging = (query: URLSearchParams): Json => ({ pageSize: query.get('pageSize') ?? query.get('page_size') ?? 0, pageToken: query.get('pageToken') ?? query.get('page_token') ?? '', filter: query.get('filter') ?? '' })

/** The method that a path and a verb mean. */
const routed = (request: WireRequest): readonly [method: string, body: Json] => {
  const { method, query } = request
  const found = /^\/v1\/(projects\/[^/]+(?:\/locations\/[^/]+)?)\/secrets(?:\/([^/:]+)(?:\/versions(?:\/([^/:]+))?)?)?(?::(\w+))?$/.exec(decodeURIComponent(request.path))
  if (found === null) throw new GoogleFailure('NOT_FOUND', 'The requested URL was not found.')
  const [, parent = '', id, version, verb] = found
  const name = `${parent}/secrets/${id ?? ''}`
  const versions = request.path.includes('/versions')
  const known: Readonly<Record<string, () => readonly [string, Json]>> = {
    'GET secrets': () => ['ListSecrets', { parent, ...paging(query) }],
    'POST secrets': () => ['CreateSecret', { parent, secretId: query.get('secretId') ?? query.get('secret_id') ?? '', secret: bodyOf(request) }],
    'GET secret': () => ['GetSecret', { name }],
    'PATCH secret': () => ['UpdateSecret', { secret: { ...bodyOf(request), name }, updateMask: query.get('updateMask') ?? query.get('update_mask') ?? '' }],
    'DELETE secret': () => ['DeleteSecret', { name, etag: query.get('etag') ?? '' }],
    'POST secret:addVersion': () => ['AddSecretVersion', { ...bodyOf(request), parent: name }],
    'GET secret:getIamPolicy': () => ['GetIamPolicy', { resource: name }],
    'POST secret:setIamPolicy': () => ['SetIamPolicy', { ...bodyOf(request), resource: name }],
    'POST secret:testIamPermissions': () => ['TestIamPermissions', { ...bodyOf(request), resource: name }],
    'GET versions': () => ['ListSecretVersions', { parent: name, ...paging(query) }],
    'GET version': () => ['GetSecretVersion', { name: `${name}/versions/${version}` }],
    'GET version:access': () => ['AccessSecretVersion', { name: `${name}/versions/${version}` }],
    'POST version:disable': () => ['DisableSecretVersion', { ...bodyOf(request), name: `${name}/versions/${version}` }],
    'POST version:enable': () => ['EnableSecretVersion', { ...bodyOf(request), name: `${name}/versions/${version}` }],
    'POST version:destroy': () => ['DestroySecretVersion', { ...bodyOf(request), name: `${name}/versions/${version}` }],
  }
  const what = version !== undefined ? 'version' : versions ? 'versions' : id !== undefined ? 'secret' : 'secrets'
  const route = known[`${method} ${what}${verb === undefined ? '' : `:${verb}`}`]
  if (route === undefined) throw new GoogleFailure('NOT_FOUND', 'The requested URL was not found.')
  return route()
}

/** A running fake, with a way behind it. */
export interface RunningGoogleFake extends RunningFake {
  readonly service: GoogleSecretFake
  /** A new enabled version, as an operator's own tool adds it; the secret is made if need be. */
  seed(id: string, value: string | Uint8Array): void
}

/** What an operator does behind the wire. */
export const seedGoogle = ({ secrets }: GoogleSecretFake, id: string, value: string | Uint8Array): void => {
  const parent = `projects/${fakeProject}`
  if (!secrets.paths().includes(`${parent}/secrets/${id}`)) secrets.create(parent, id, { replication: { automatic: {} } })
  secrets.add(`${parent}/secrets/${id}`, { data: Buffer.from(value).toString('base64') })
}

/** Starts the fake on loopback. */
export const startGoogleFake = async (options: GoogleFakeOptions = {}): Promise<RunningGoogleFake> => {
  const service = new GoogleSecretFake(options)
  return { ...(await startFake(service)), service, seed: (id, value) => seedGoogle(service, id, value) }
}
