// Google Secret Manager. A version is added without any condition, and counts only once a PATCH under the secret's etag names it: annotations are the
// record, and the alias `current` moves in the same step. A pending token lies in a create-only secret of its own, whose first version counts. What an
// operator hosts has no record: there the newest enabled version is current, as for everybody who reads `latest`.
import { googleIdentity, googleIdentitySettings, type GoogleIdentitySettings } from '../credentials/google.ts'
import { annotated, checkLabels, entryAt, entryNamed, firstAnnotations, googleLabelLimits, idOf, labelFilter, nameAnnotation, stateOf, versionOf, withEntry, type Entry, type SecretState } from '../credentials/google/annotations.ts'
import { locateSecret } from '../credentials/google/locate.ts'
import { googleFindings } from '../credentials/google/probes.ts'
import { absent, conflict, googleNameOf, googleRecords, type Loaded } from '../credentials/google/records.ts'
import { googleSecrets } from '../credentials/google/secrets.ts'
import { isCode, LatchkeyError, refuse } from '../core/errors.ts'
import { refuseOpenHttp } from '../credentials/plain-http.ts'
import { hexEscapeCodec as codec } from '../credentials/google/names.ts'
import { defineProvider, type OpenedProvider, type SecretProvider, type WriteOutcome } from '../core/provider.ts'
import type { Call, ProviderIo } from '../core/runtime.ts'
import type { SecretFacts, SecretName } from '../core/secret.ts'

interface GoogleSecretManagerSettings extends GoogleIdentitySettings {
  readonly google_project_id: string
  readonly google_location?: string
  readonly google_endpoint?: string
  readonly google_allow_plain_http: boolean
  readonly google_replica_locations?: readonly string[]
  readonly google_kms_key_name?: string
  readonly google_keep_versions: number
  readonly google_refresh_interval_seconds?: number
  readonly google_always_read: boolean
}

const title = 'Google Secret Manager'
const maxBytes = 65_536
const tries = 6

const raise = (error: unknown): never => { throw error }

const connect = async (settings: GoogleSecretManagerSettings, io: ProviderIo): Promise<OpenedProvider> => {
  const { google_project_id: project, google_location: location, google_replica_locations: replicas, google_kms_key_name: kmsKey } = settings
  const wrong = (setting: string, message: string): LatchkeyError => new LatchkeyError('misconfigured', `${setting} ${message}`)
  if (!/^[a-z0-9][a-z0-9.:-]{0,99}$/.test(project)) throw wrong('google_project_id', 'must be the id or the number of a project (GOOGLE_SECRET_MANAGER_PROJECT_ID).')
  if (location !== undefined && !/^[a-z0-9-]{1,40}$/.test(location)) throw wrong('google_location', 'must be the name of a location, such as europe-west3.')
  if (replicas !== undefined && (location !== undefined || kmsKey !== undefined)) throw wrong('google_replica_locations', `does not go together with ${location === undefined ? 'google_kms_key_name' : 'google_location'}; leave one of them out.`)
  const url = settings.google_endpoint ?? (location === undefined ? 'https://secretmanager.googleapis.com' : `https://secretmanager.${location}.rep.googleapis.com`)
  refuseOpenHttp('google_endpoint', url, { setting: 'google_allow_plain_http', value: settings.google_allow_plain_http })
  const identity = await googleIdentity(settings, io)
  const parent = `projects/${project}${location === undefined ? '' : `/locations/${location}`}`
  const secrets = await googleSecrets({ title, url, setting: 'google_endpoint' }, { parent, ...(replicas !== undefined && { replicas }), ...(kmsKey !== undefined && { kmsKey }) }, identity, io)
  const records = googleRecords(secrets, settings.google_keep_versions)

  const found = (name: SecretName, call: Call): Promise<Loaded> => records.load(name, call).then((loaded) => (loaded === undefined || loaded.shell ? raise(absent(name)) : loaded))

  const factsOf = (name: SecretName, { secret, state }: Loaded): SecretFacts => {
    const { labels, entries, description, expires } = state
    const current = entryAt(state, 'current')
    return {
      name,
      nativeName: secret.id,
      labels,
      versions: entries.map(versionOf),
      etag: secret.etag,
      ...(current !== undefined && { current: versionOf(current) }),
      ...(description !== undefined && { description }),
      ...(secret.created !== undefined && { created: secret.created }),
      ...(expires !== undefined && { expires: new Date(expires) }),
      ...(secret.nextRotation !== undefined && { nextRotation: secret.nextRotation }),
    }
  }

  const read: SecretProvider['read'] = async (name, { version, stage = 'current' }, call) => {
    if (name.place !== 'created' && (version === undefined ? stage === 'current' : /^[1-9]\d{0,14}$/.test(version))) {
      // `latest` is the version made last, whatever became of it: then the newest one that is enabled counts.
      const found = await secrets.access(codec.encode(name), version ?? 'latest', name.text, call).catch((error: unknown) => (isCode(error, 'version_disabled') && version === undefined ? error : raise(error)))
      if (!(found instanceof LatchkeyError)) return { name, value: found.value, version: { id: String(found.number), stages: version === undefined ? ['current'] : [], enabled: true } }
      const newest = (await secrets.versions(codec.encode(name), name.text, call)).find(({ state }) => state === 'ENABLED') ?? raise(found)
      const { value } = await secrets.access(codec.encode(name), String(newest.number), name.text, call)
      return { name, value, version: { id: String(newest.number), stages: ['current'], enabled: true } }
    }
    const { state } = await found(name, call)
    const entry = version === undefined ? entryAt(state, stage) : entryNamed(state, version)
    if (entry === undefined) throw absent(name, version === undefined ? `${stage} version of the secret` : 'version of the secret')
    return { name, value: await records.valueOf(name, entry, call), version: versionOf(entry), ...(state.expires !== undefined && { expires: new Date(state.expires) }) }
  }

  /** Loads, changes and commits until the commit holds; a change that gives nothing ends it. */
  const change = async (name: SecretName, call: Call, next: (loaded: Loaded) => Promise<SecretState | undefined> | SecretState | undefined): Promise<SecretState | undefined> => {
    for (let attempt = 0; attempt < tries; attempt += 1) {
      const loaded = await found(name, call)
      const state = await next(loaded)
      if (state === undefined || (await records.commit(loaded, state, loaded.recorded || state.entries !== loaded.state.entries, name, call))) return state
    }
    throw conflict(name)
  }

  const write: SecretProvider['write'] = async (request, call) => {
    const { name, value, expect, operation, stage, labels = {}, description, expires } = request
    if (value.byteLength > maxBytes) throw refuse('value', `is ${value.byteLength} bytes long; ${title} holds at most ${maxBytes}`, 'too_large')
    if (value.byteLength === 0) throw refuse('value', `must not be empty; ${title} cannot hold an empty value`)
    checkLabels(labels)
    let strayed = false
    const attempt = async (): Promise<WriteOutcome | undefined> => {
      const loaded = await records.load(name, call)
      const there = loaded?.shell === false ? loaded.state : undefined
      const earlier = there?.entries.find((entry) => entry.operation === operation && entry.stage !== (stage === 'pending' ? 'gone' : 'pending'))
      if (earlier !== undefined) {
        if (earlier.stage === 'pending') await records.stash(request, call)
        return { outcome: 'same_operation', version: versionOf(earlier) }
      }
      const current = entryAt(there, 'current')
      if (stage === 'pending' ? current === undefined : typeof expect === 'object' && there === undefined) throw absent(name)
      if (stage === 'pending' && entryAt(there, 'pending') !== undefined) throw conflict(name)
      if (expect === 'absent' && there !== undefined) throw new LatchkeyError('already_exists', `There is a secret of that name already: ${name.text}.`)
      if (typeof expect === 'object' && (current === undefined || entryNamed(there, expect.version) !== current)) throw conflict(name)
      const id = codec.encode(name)
      const secret = loaded?.secret ?? (await secrets.create(id, firstAnnotations(name.text), name.text, call))
      if (secret === undefined) return undefined
      const place = stage === 'pending' ? undefined : await secrets.add(id, value, name.text, call)
      strayed ||= place !== undefined
      const before = request.before ?? (current && idOf(current))
      const entry: Entry = { stage, operation, at: io.clock.now(), ...(place !== undefined && { place }), ...(before !== undefined && { before }) }
      const base: SecretState = { ...(there ?? { labels: {} }), entries: withEntry(there?.entries ?? [], entry) }
      const next = stage === 'pending' ? base : annotated(base, { labels, ...(description !== undefined && { description }), ...(expires !== undefined && { expires }) })
      if (!(await records.commit({ secret }, next, true, name, call))) return undefined
      const won = stage === 'current' || (await records.stash(request, call))
      return { outcome: won ? 'written' : 'same_operation', version: versionOf(entry) }
    }
    try {
      for (let turn = 0; turn < tries; turn += 1) {
        const outcome = await attempt()
        if (outcome !== undefined) return outcome
      }
      throw conflict(name)
    } finally {
      if (strayed) await records.tidy(name, call)
    }
  }

  const promote: SecretProvider['promote'] = async (name, { to, from }, call) => {
    let pending: Entry | undefined
    let strayed = false
    await change(name, call, async ({ state }) => {
      const [current, next] = [entryAt(state, 'current'), entryNamed(state, to)]
      pending = next?.operation === undefined ? undefined : { stage: 'pending', operation: next.operation, at: next.at }
      if (current !== undefined && next === current) return undefined
      if (next === undefined) throw absent(name, 'version of the secret')
      if (next.stage !== 'pending' || current === undefined || entryNamed(state, from) !== current) throw conflict(name)
      const place = await secrets.add(codec.encode(name), await records.valueOf(name, next, call), name.text, call)
      strayed = true
      return { ...state, entries: withEntry(state.entries, { ...next, stage: 'current', place }) }
    }).finally(() => (strayed ? records.tidy(name, call) : undefined))
    if (pending !== undefined) await records.drop(name, pending, call).catch(() => undefined)
  }

  const discard: SecretProvider['discard'] = async (name, version, call) => {
    let ended: Entry | undefined
    await change(name, call, ({ state }) => {
      ended = entryNamed(state, version)
      if (ended?.stage === 'current') throw conflict(name)
      if (ended === undefined || ended.stage === 'gone') return undefined
      return { ...state, entries: state.entries.map((entry): Entry => (entry === ended ? { ...entry, stage: 'gone' } : entry)) }
    }).catch((error: unknown) => (isCode(error, 'not_found') ? undefined : raise(error)))
    if (ended !== undefined) await records.drop(name, ended, call)
  }

  const setEnabled: SecretProvider['setEnabled'] = async (name, version, enabled, call) => {
    const entry = entryNamed((await found(name, call)).state, version)
    if (entry === undefined || entry.stage === 'gone') throw absent(name, 'version of the secret')
    await records.setEnabled(name, entry, enabled, call)
    await change(name, call, ({ state, recorded }) => {
      const entries = state.entries.map((each): Entry => (idOf(each) === idOf(entry) ? { ...each, disabled: !enabled } : each))
      return recorded && entryNamed(state, version)?.disabled !== !enabled ? { ...state, entries } : undefined
    })
  }

  const list: SecretProvider['list'] = async ({ prefix, label, cursor, limit }, call) => {
    // Up to its first character that is written otherwise, a prefix stands in the service's own names as it is.
    const plain = /^\w*/.exec(prefix)?.[0] ?? ''
    const filter = [...(plain === '' ? [] : [`name:${plain}`]), ...(label === undefined ? [] : [labelFilter(...label)])].filter((part) => part !== undefined).join(' AND ')
    const page = await secrets.list({ filter, limit: Math.min(Math.max(limit, 1), 1000), ...(cursor !== undefined && { cursor }) }, call).catch((error: unknown) =>
      raise(isCode(error, 'invalid_request') && cursor !== undefined ? refuse('cursor', 'is not one that this list gave; begin again without it') : error),
    )
    const items = page.secrets.flatMap((secret) => {
      const name = googleNameOf(secret)
      const { state, recorded } = stateOf(secret)
      const shell = !recorded && nameAnnotation(secret) === name?.text
      if (name === undefined || shell || !name.text.startsWith(prefix) || (label !== undefined && state.labels[label[0]] !== label[1])) return []
      const { versions: _versions, current, ...facts } = factsOf(name, { secret, state, recorded, shell })
      return [{ ...facts, ...(name.place === 'created' && current !== undefined && { current }) }]
    })
    return { items, ...(page.cursor !== undefined && { cursor: page.cursor }) }
  }

  return {
    ...{ read, write, promote, discard, setEnabled, list },
    check: (depth, call, prefix = '') => googleFindings(depth, identity, secrets, io.random, prefix, call),
    describe: (name, call) => found(name, call).then((loaded) => factsOf(name, loaded)),
    locate: async (resource, call) => {
      const located = await locateSecret(secrets, parent, resource, call)
      return located && factsOf(located.name, await found(located.name, call))
    },
    annotate: async (name, annotation, call) => {
      checkLabels(annotation.labels ?? {})
      await change(name, call, ({ state, secret }) => (annotation.etag === undefined || annotation.etag === secret.etag ? annotated(state, annotation) : raise(conflict(name))))
    },
    remove: async (name, { expect }, call) => {
      const { secret, state } = await found(name, call)
      const [current, pending] = [entryAt(state, 'current'), entryAt(state, 'pending')]
      if (typeof expect === 'object' && (current === undefined || entryNamed(state, expect.version) !== current)) throw conflict(name)
      await secrets.remove(secret.id, secret.etag, name.text, call)
      if (pending !== undefined) await records.drop(name, pending, call).catch(() => undefined)
      return {}
    },
    close: () => secrets.close(),
    ...(settings.google_always_read && { notices: ['google_always_read (GOOGLE_SECRET_MANAGER_ALWAYS_READ_SECRET_MANAGER) is on: every read asks Google, which is not recommended in production.'] }),
    traits: {
      names: codec,
      // A version is there by its number at once; aliases, records and lists follow "within minutes".
      settleMs: 300_000,
      versions: 'numbered',
      ...(settings.google_always_read ? { cacheTtlMs: 0 } : settings.google_refresh_interval_seconds !== undefined && { cacheTtlMs: settings.google_refresh_interval_seconds * 1000 }),
      value: { maxBytes, empty: false, bytes: 'any' },
      write: { guarantee: 'cooperating', softDelete: false, labels: { travel: 'always', ...googleLabelLimits, filter: true } },
    },
  }
}

/** Google Secret Manager. */
export const googleSecretManager = defineProvider<GoogleSecretManagerSettings>({
  name: 'google_secret_manager',
  title,
  settings: {
    google_project_id: { type: 'string', required: true, env: ['GOOGLE_SECRET_MANAGER_PROJECT_ID'], text: 'Id or number of the project that holds the secrets.' },
    ...googleIdentitySettings,
    google_service_account: { ...googleIdentitySettings.google_service_account, env: ['GCS_PATH_SERVICE_ACCOUNT'] },
    google_location: { type: 'string', text: 'Location of regional secrets, such as `europe-west3`. Default: global secrets.' },
    google_endpoint: { type: 'url', env: ['CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER'], text: "Another endpoint than the service's own, for example of Private Service Connect or an emulator." },
    google_allow_plain_http: { type: 'boolean', default: false, text: 'Allows an endpoint that begins with `http://` on another machine. Secrets then travel unencrypted.' },
    google_replica_locations: { type: 'string_list', text: 'Locations in which a new secret is kept. Default: Google chooses.' },
    google_kms_key_name: { type: 'string', text: 'Customer managed key for secrets that Latchkey creates, as its full resource name.' },
    google_keep_versions: { type: 'integer', default: 10, min: 3, max: 12, text: 'How many versions of a secret stay readable; older ones that Latchkey wrote are destroyed.' },
    google_refresh_interval_seconds: { type: 'integer', min: 0, max: 31_536_000, env: ['GOOGLE_SECRET_MANAGER_REFRESH_INTERVAL'], text: "How long a value is fresh, in seconds. Default: the store's `ttl_seconds`." },
    google_always_read: { type: 'boolean', default: false, env: ['GOOGLE_SECRET_MANAGER_ALWAYS_READ_SECRET_MANAGER'], text: 'Asks Google at every read: no cache, no stale answers. Not recommended in production.' },
  },
  open: connect,
})
