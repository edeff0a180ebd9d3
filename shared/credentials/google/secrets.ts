// Google Secret Manager as calls: what goes over the wire and what comes back, with no opinion about stages or operations.
// What a read needs is asked for by plain requests; everything else by Google's own client, which is loaded when it is first needed and sends through ours.
import type { SecretManagerServiceClient, protos } from '@google-cloud/secret-manager'
import { isCode, type LatchkeyError } from '../../core/errors.ts'
import { serviceFailure } from '../../core/failure.ts'
import type { Call, ProviderIo } from '../../core/runtime.ts'
import { SecretValue } from '../../core/secret.ts'
import { crc32c } from '../crc32c.ts'
import { addressOf, googleApi, type GoogleAction, type GoogleService } from '../google-calls.ts'
import type { GoogleIdentity } from '../google.ts'

type ISecret = protos.google.cloud.secretmanager.v1.ISecret
type IVersion = protos.google.cloud.secretmanager.v1.ISecretVersion

/** One secret without its versions. */
export interface GoogleSecret {
  /** The last part of its resource name. */
  readonly id: string
  /** The whole of it, with the project's number. */
  readonly resource: string
  readonly etag: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  /** Numbers by alias. */
  readonly aliases: Readonly<Record<string, string>>
  readonly created?: Date
  readonly expires?: Date
  readonly nextRotation?: Date
}

/** One version without its value. */
export interface GoogleVersion {
  readonly number: number
  readonly state: string
  readonly created?: Date
}

/** Where secrets are made, and how the service is to hold them. */
export interface GooglePlace {
  /** `projects/p`, or `projects/p/locations/l`. */
  readonly parent: string
  readonly replicas?: readonly string[]
  readonly kmsKey?: string
}

/** What of a secret changes in one step. */
export type SecretChange = Partial<Pick<GoogleSecret, 'labels' | 'annotations' | 'aliases'>>

/** The calls. Every one is one request and throws what the service's refusal means; `name` is ours, for messages. */
export interface GoogleSecrets {
  get(id: string, name: string, call: Call): Promise<GoogleSecret | undefined>
  /** `undefined`: there is one already. With `ttlSeconds` the service itself deletes it then. */
  create(id: string, annotations: Readonly<Record<string, string>>, name: string, call: Call, ttlSeconds?: number): Promise<GoogleSecret | undefined>
  /** `false`: the secret is gone or has another etag by now. */
  patch(secret: GoogleSecret, change: SecretChange, name: string, call: Call): Promise<boolean>
  /** `false`: it was gone already. @throws conflict when it has another etag by now */
  remove(id: string, etag: string | undefined, name: string, call: Call): Promise<boolean>
  add(id: string, value: SecretValue, name: string, call: Call): Promise<number>
  /** By number, alias or `latest`. @throws not_found, version_disabled, integrity */
  access(id: string, version: string, name: string, call: Call): Promise<{ readonly number: number; readonly value: SecretValue }>
  /** Newest first, at most `most`. */
  versions(id: string, name: string, call: Call, most?: number): Promise<readonly GoogleVersion[]>
  version(id: string, number: number, name: string, call: Call): Promise<GoogleVersion | undefined>
  setState(id: string, number: number, to: 'enable' | 'disable' | 'destroy', name: string, call: Call): Promise<void>
  list(query: { readonly filter: string; readonly limit: number; readonly cursor?: string }, call: Call): Promise<{ readonly secrets: readonly GoogleSecret[]; readonly cursor?: string }>
  close(): Promise<void>
}

const attemptsOnMismatch = 2

/** A time as the client gives it, or as JSON does. */
const dateOf = (time: unknown): Date | undefined => {
  const { seconds, nanos = 0 }: { seconds?: unknown; nanos?: unknown } = time !== null && typeof time === 'object' ? time : {}
  const ms = typeof time === 'string' ? Date.parse(time) : Number(seconds) * 1000 + Math.floor(Number(nanos) / 1e6)
  return Number.isFinite(ms) ? new Date(ms) : undefined
}
const lastOf = (resource: unknown): string => (typeof resource === 'string' ? resource.slice(resource.lastIndexOf('/') + 1) : '')
const texts = (map: Readonly<Record<string, unknown>> | null | undefined): Record<string, string> => Object.fromEntries(Object.entries(map ?? {}).map(([key, value]) => [key, String(value)]))

const secretOf = (secret: ISecret): GoogleSecret => {
  const [created, expires, nextRotation] = [dateOf(secret.createTime), dateOf(secret.expireTime), dateOf(secret.rotation?.nextRotationTime)]
  return {
    id: lastOf(secret.name),
    resource: secret.name ?? '',
    etag: secret.etag ?? '',
    labels: texts(secret.labels),
    annotations: texts(secret.annotations),
    aliases: texts(secret.versionAliases),
    ...(created !== undefined && { created }),
    ...(expires !== undefined && { expires }),
    ...(nextRotation !== undefined && { nextRotation }),
  }
}

const raise = (error: unknown): never => { throw error }
const unless = (code: 'not_found' | 'already_exists') => (error: unknown): undefined => (isCode(error, code) ? undefined : raise(error))

/** Connects. Makes no call. @throws misconfigured */
export const googleSecrets = async (service: GoogleService, place: GooglePlace, identity: GoogleIdentity, io: ProviderIo): Promise<GoogleSecrets> => {
  const api = await googleApi(service, identity, io)
  const { parent } = place
  let client: Promise<SecretManagerServiceClient> | undefined
  const load = async (): Promise<SecretManagerServiceClient> => {
    const [{ SecretManagerServiceClient: Client }, fallback, { loggingUtils }] = await Promise.all([import('@google-cloud/secret-manager'), import('google-gax/fallback'), import('google-gax')])
    // A variable of the environment would make the client print every request, values included.
    loggingUtils.setBackend(null)
    return new Client({ ...addressOf(service), auth: api.auth }, fallback)
  }

  const action = (permission: string, id?: string, name?: string, more: Pick<GoogleAction, 'precondition'> = {}): GoogleAction => ({ action: `secretmanager.${permission}`, ...(id !== undefined && { native: id }), ...(name !== undefined && { name }), ...more })
  /** One call of the client. Nothing of it is loaded for a call whose time is over. */
  const ask = async <T>(what: GoogleAction, call: Call, act: (of: SecretManagerServiceClient, options: Parameters<Parameters<typeof api.through>[2]>[0]) => Promise<T>): Promise<T> => {
    const of = await (client ??= load())
    return api.through(what, call, (options) => act(of, options))
  }
  const nonsense = (what: GoogleAction): LatchkeyError => serviceFailure('provider_unavailable', { title: service.title, ...what })
  const path = (id: string): string => `${parent}/secrets/${id}`

  const numberOf = (version: IVersion | { readonly name?: unknown }, what: GoogleAction): number => {
    const text = lastOf(version.name)
    return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : raise(nonsense(what))
  }
  const versionOf = (version: IVersion, what: GoogleAction): GoogleVersion => {
    const created = dateOf(version.createTime)
    return { number: numberOf(version, what), state: String(version.state), ...(created !== undefined && { created }) }
  }

  const get: GoogleSecrets['get'] = async (id, name, call) => {
    const what = action('secrets.get', id, name)
    const secret = await api.send(what, { method: 'GET', path: `/v1/${path(id)}` }, call).catch(unless('not_found'))
    if (secret !== undefined && (lastOf(secret['name']) !== id || typeof secret['etag'] !== 'string')) throw nonsense(what)
    return secret && secretOf(secret)
  }

  /** The value, held against its checksum. @throws integrity */
  const opened = (payload: unknown, what: GoogleAction): SecretValue => {
    const { data, dataCrc32c: sum }: { data?: unknown; dataCrc32c?: unknown } = payload !== null && typeof payload === 'object' ? payload : {}
    // An empty value may be left out of the answer; then its checksum says so.
    const text = data === undefined && sum === '0' ? '' : data
    if (typeof text !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) throw nonsense(what)
    const bytes = Buffer.from(text, 'base64')
    if (sum !== undefined && sum !== String(crc32c(bytes))) throw serviceFailure('integrity', { title: service.title, ...what })
    return SecretValue.ofBytes(bytes)
  }

  return {
    get,
    create: async (id, annotations, name, call, ttlSeconds) => {
      const customerManagedEncryption = place.kmsKey === undefined ? undefined : { kmsKeyName: place.kmsKey }
      const regional = parent.includes('/locations/')
      const replication = place.replicas === undefined ? { automatic: { ...(customerManagedEncryption !== undefined && { customerManagedEncryption }) } } : { userManaged: { replicas: place.replicas.map((location) => ({ location })) } }
      const secret: ISecret = {
        annotations: { ...annotations },
        ...(regional ? { ...(customerManagedEncryption !== undefined && { customerManagedEncryption }) } : { replication }),
        ...(ttlSeconds !== undefined && { ttl: { seconds: ttlSeconds } }),
      }
      const made = await ask(action('secrets.create', id, name), call, (of, options) => of.createSecret({ parent, secretId: id, secret }, options)).catch(unless('already_exists'))
      return made && secretOf(made[0])
    },
    patch: async ({ id, etag }, { labels, annotations, aliases }, name, call) => {
      const paths = [...(labels === undefined ? [] : ['labels']), ...(annotations === undefined ? [] : ['annotations']), ...(aliases === undefined ? [] : ['version_aliases'])]
      const secret: ISecret = { name: path(id), etag, ...(labels !== undefined && { labels: { ...labels } }), ...(annotations !== undefined && { annotations: { ...annotations } }), ...(aliases !== undefined && { versionAliases: { ...aliases } }) }
      return ask(action('secrets.update', id, name), call, (of, options) => of.updateSecret({ secret, updateMask: { paths } }, options)).then(
        () => true,
        (error: unknown) => (isCode(error, 'conflict', 'not_found') ? false : raise(error)),
      )
    },
    remove: async (id, etag, name, call) => {
      const gone = await ask(action('secrets.delete', id, name), call, (of, options) => of.deleteSecret({ name: path(id), ...(etag !== undefined && { etag }) }, options)).catch(unless('not_found'))
      return gone !== undefined
    },
    add: async (id, value, name, call) => {
      const what = action('versions.add', id, name)
      const data = value.bytes()
      const [version] = await ask(what, call, (of, options) => of.addSecretVersion({ parent: path(id), payload: { data, dataCrc32c: String(crc32c(data)) } }, options))
      return numberOf(version, what)
    },
    access: async (id, version, name, call) => {
      const what = action('versions.access', id, name, { precondition: 'version_disabled' })
      for (let attempt = 1; ; attempt += 1) {
        const answer = await api.send(what, { method: 'GET', path: `/v1/${path(id)}/versions/${version}:access` }, call)
        try {
          return { number: numberOf(answer, what), value: opened(answer['payload'], what) }
        } catch (error) {
          if (!isCode(error, 'integrity') || attempt === attemptsOnMismatch) throw error
        }
      }
    },
    versions: async (id, name, call, most = 100) => {
      const what = action('versions.list', id, name)
      const [found] = await ask(what, call, (of, options) => of.listSecretVersions({ parent: path(id), pageSize: most }, options))
      return found.map((version) => versionOf(version, what))
    },
    version: async (id, number, name, call) => {
      const what = action('versions.get', id, name)
      const found = await ask(what, call, (of, options) => of.getSecretVersion({ name: `${path(id)}/versions/${number}` }, options)).catch(unless('not_found'))
      return found && versionOf(found[0], what)
    },
    setState: async (id, number, to, name, call) => {
      const request = { name: `${path(id)}/versions/${number}` }
      await ask(action(`versions.${to}`, id, name, { precondition: 'version_disabled' }), call, async (of, options) => {
        if (to === 'enable') await of.enableSecretVersion(request, options)
        else if (to === 'disable') await of.disableSecretVersion(request, options)
        else await of.destroySecretVersion(request, options)
      })
    },
    list: async ({ filter, limit, cursor }, call) => {
      const request = { parent, pageSize: limit, ...(filter !== '' && { filter }), ...(cursor !== undefined && { pageToken: cursor }) }
      const [found, , page] = await ask(action('secrets.list'), call, (of, options) => of.listSecrets(request, options))
      return { secrets: found.map(secretOf), ...(page.nextPageToken && { cursor: page.nextPageToken }) }
    },
    close: () => api.close(),
  }
}
