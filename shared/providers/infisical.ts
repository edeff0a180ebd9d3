// Infisical: secrets in folders, read one by one or a whole folder at once, written so that of two writers the first wins for everybody who reads through Latchkey.
// Creating is the service's own POST, which makes nothing twice; everything after it is decided by the chain beside the secret (credentials/infisical/chain.ts).
import { isCode, LatchkeyError } from '../core/errors.ts'
import { serviceFailure } from '../core/failure.ts'
import { refuseOpenHttp } from '../credentials/plain-http.ts'
import { cursorAfter, positionOf } from '../core/names/cursors.ts'
import { defineProvider, type OpenedProvider, type SecretProvider, type WriteRequest } from '../core/provider.ts'
import { checkCall, type Call, type ProviderIo } from '../core/runtime.ts'
import type { SecretFacts, SecretName, SecretRecord, SecretValue } from '../core/secret.ts'
import { infisicalApi, isTokenRefusal, title, type NativeSecret } from '../credentials/infisical/api.ts'
import { infisicalChain, type Held } from '../credentials/infisical/chain.ts'
import { infisicalCheck } from '../credentials/infisical/check.ts'
import { authorityOf, infisicalLogin, infisicalLoginSettings, type InfisicalLoginSettings } from '../credentials/infisical/login.ts'
import { folderOfPrefix, holdsRecords, infisicalNames, nameAt, nativeName, placeOf, recordPlace, rootOf } from '../credentials/infisical/names.ts'
import { annotated, claimed, discarded, entryAt, labelLimits, labelsOf, markOf, maxValueBytes, moved, refuseLabels, refuseValue, valueOf, versionOf, type Entry, type State } from '../credentials/infisical/record.ts'

interface InfisicalSettings extends InfisicalLoginSettings {
  readonly infisical_site_url: string
  readonly infisical_project_id: string
  readonly infisical_environment_slug: string
  readonly infisical_secret_path: string
  readonly infisical_api_version: 'v3' | 'v4'
  readonly infisical_ca_cert?: string
  readonly infisical_allow_plain_http: boolean
}

const tries = 6
const largestAnswer = 16 * 1024 * 1024

const failed = (code: 'not_found' | 'conflict' | 'already_exists', name: SecretName): LatchkeyError => serviceFailure(code, { title, action: 'this', name: name.text }, code === 'conflict' ? { retryAfter: 1 } : {})

const connect = async (settings: InfisicalSettings, io: ProviderIo): Promise<OpenedProvider> => {
  const root = rootOf(settings.infisical_secret_path)
  const url = settings.infisical_site_url.replace(/\/+$/, '').replace(/\/api$/, '')
  refuseOpenHttp('infisical_site_url', url, { setting: 'infisical_allow_plain_http', value: settings.infisical_allow_plain_http })
  const ca = await authorityOf(settings.infisical_ca_cert, io)
  const client = await io.http.connect({ url, title, setting: 'infisical_site_url', maxAnswerBytes: largestAnswer, ...(ca !== undefined && { ca }) })
  const login = infisicalLogin(settings, client, io)
  const api = infisicalApi(client, login, io.clock, { version: settings.infisical_api_version, project: settings.infisical_project_id, environment: settings.infisical_environment_slug })
  const chain = infisicalChain(api, root, io)

  const need = async (name: SecretName, view: boolean, call: Call): Promise<Held> => {
    const held = await chain.load(name, view, call)
    if (held === undefined) throw failed('not_found', name)
    return held
  }

  const valueAt = async (name: SecretName, { main }: Held, entry: Entry, call: Call): Promise<SecretValue> => {
    const own = valueOf(entry) ?? (entry.stage === 'current' && entry.native !== undefined && main.version - entry.native <= 1 ? main.value : undefined)
    if (own !== undefined) return own
    if (entry.native === undefined) throw failed('not_found', name)
    const old = await api.get(main.place, { view: true, version: entry.native }, call, name.text)
    if (old.id !== main.id || old.value === undefined) throw failed('not_found', name)
    return old.value
  }

  const recordOf = async (name: SecretName, held: Held, entry: Entry | undefined, call: Call): Promise<SecretRecord> => {
    if (entry === undefined || entry.stage === 'gone') throw failed('not_found', name)
    return { name, value: await valueAt(name, held, entry, call), version: versionOf(entry) }
  }

  const read: SecretProvider['read'] = async (name, { version, stage = 'current' }, call) => {
    const held = await need(name, true, call)
    const { state } = held
    const entry = version === undefined ? entryAt(state, stage) : state.entries.find(({ id }) => id === version)
    if (entry !== undefined || version === undefined || held.companion !== undefined || !/^\d{1,9}$/.test(version)) return recordOf(name, held, entry, call)
    // Without a record the service's own numbers are the versions.
    return recordOf(name, held, { id: version, at: held.main.updated.getTime(), stage: 'previous', native: Number(version) }, call).then(({ value }) => ({ name, value, version: { id: version, stages: [], enabled: true } }))
  }

  const factsOf = (name: SecretName, { main, state, etag }: Held): SecretFacts => {
    const current = entryAt(state, 'current')
    const { description } = state
    return { name, nativeName: nativeName(main.place), ...(current !== undefined && { current: versionOf(current) }), versions: state.entries.map(versionOf), labels: state.labels, etag, ...(description !== undefined && description !== '' && { description }), created: new Date(state.created) }
  }

  const alone = (reading: Promise<SecretRecord | LatchkeyError>): Promise<SecretRecord | LatchkeyError> => reading.catch((error: unknown) => (error instanceof LatchkeyError ? error : Promise.reject(error as Error)))

  /** One list for each folder; the records of what Latchkey wrote there are one list more. */
  const readFolder = async (folder: string, names: readonly SecretName[], call: Call): Promise<readonly (SecretRecord | LatchkeyError)[]> => {
    const listed = async (where: string): Promise<ReadonlyMap<string, NativeSecret>> => new Map((await api.list(where, { view: true, recursive: false }, call).catch((error: unknown) => (isCode(error, 'not_found') ? [] : Promise.reject(error as Error)))).map((one) => [one.place.key, one]))
    const mains = await listed(folder)
    const wanted = names.map((name) => ({ name, main: mains.get(placeOf(root, name).key) }))
    if (wanted.some(({ main }) => main === undefined)) await chain.confirmScope(call)
    const records = wanted.some(({ main }) => main !== undefined && markOf(main.metadata) !== undefined) ? await listed(recordPlace({ folder, key: '' }).folder) : new Map<string, NativeSecret>()
    const one = async ({ name, main }: (typeof wanted)[number]): Promise<SecretRecord | LatchkeyError> => {
      if (main === undefined) return failed('not_found', name)
      const held = await chain.heldOf(main, records.get(main.place.key), name, call)
      return recordOf(name, held, entryAt(held.state, 'current'), call)
    }
    return Promise.all(wanted.map((each) => alone(one(each))))
  }

  const readMany: SecretProvider['readMany'] = async (names, call) => {
    checkCall(call, io.clock)
    const folders = Map.groupBy(names, (name) => placeOf(root, name).folder)
    const answers = new Map<SecretName, SecretRecord | LatchkeyError>()
    await Promise.all([...folders].map(async ([folder, within]) => {
      const found = await readFolder(folder, within, call).catch((error: unknown) => {
        if (!(error instanceof LatchkeyError) || call.signal.aborted) throw error
        // One secret that may not be seen makes the service refuse the whole list; each is asked for by itself then.
        return error.code === 'provider_denied' && error.details.issues === undefined && !isTokenRefusal(error) ? Promise.all(within.map((name) => alone(read(name, {}, call)))) : within.map(() => error)
      })
      within.forEach((name, index) => answers.set(name, found[index] ?? failed('not_found', name)))
    }))
    return names.map((name) => answers.get(name) ?? failed('not_found', name))
  }

  const list: SecretProvider['list'] = async ({ prefix, label, cursor, limit }, call) => {
    const after = cursor === undefined ? undefined : positionOf(cursor)
    const folder = folderOfPrefix(root, prefix)
    const listed = await api.list(folder, { view: false, recursive: true, ...(label !== undefined && { label }) }, call).catch((error: unknown) => (isCode(error, 'not_found') ? [] : Promise.reject(error as Error)))
    if (listed.length === 0) await chain.confirmScope(call)
    const named = listed.flatMap((main) => {
      const name = holdsRecords(main.place.folder) ? undefined : nameAt(root, main.place)
      const fits = name?.text.startsWith(prefix) === true && (label === undefined || labelsOf(main.metadata)[label[0]] === label[1])
      return name === undefined || !fits ? [] : [{ name, main }]
    })
    const rest = named.filter(({ name }) => after === undefined || name.text > after).toSorted((a, b) => (a.name.text < b.name.text ? -1 : 1))
    const items = rest.slice(0, limit).map(({ name, main }): SecretFacts => {
      const operation = markOf(main.metadata)?.operation
      return { name, nativeName: nativeName(main.place), labels: labelsOf(main.metadata), ...(operation !== undefined && operation !== '-' && { current: versionOf({ id: operation, operation, at: main.updated.getTime(), stage: 'current' }) }), ...(main.comment !== '' && { description: main.comment }), created: main.created }
    })
    const last = items.at(-1)
    return { items, ...(rest.length > items.length && last !== undefined && { cursor: cursorAfter(last.name.text) }) }
  }

  /** What an earlier sending of this write made. */
  const earlier = (state: State, { operation, stage }: WriteRequest): Entry | undefined => state.entries.find((entry) => entry.operation === operation && (stage === 'pending' ? entry.stage !== 'gone' : entry.stage !== 'pending'))

  const refuse = (state: State, { name, stage, expect }: WriteRequest): void => {
    const current = entryAt(state, 'current')
    if (stage === 'pending' && entryAt(state, 'pending') !== undefined) throw failed('conflict', name)
    if (stage === 'current' && expect === 'absent') throw failed('already_exists', name)
    if (typeof expect === 'object' && current?.id !== expect.version) throw failed('conflict', name)
  }

  const write: SecretProvider['write'] = async (request, call) => {
    const { name, value, expect, operation, stage, labels, description } = request
    refuseValue(value)
    refuseLabels(labels ?? {})
    for (let attempt = 0; attempt < tries; attempt += 1) {
      const held = await chain.load(name, false, call)
      if (held === undefined) {
        if (stage === 'pending' || typeof expect === 'object') throw failed('not_found', name)
        const made = await chain.create(request, call)
        if (made !== undefined) return { outcome: 'written', version: versionOf(made) }
        continue
      }
      const again = earlier(held.state, request)
      if (again !== undefined) {
        if (stage === 'current' && !held.synced) await chain.show(name, held.main, held.state, call)
        return { outcome: 'same_operation', version: versionOf(again) }
      }
      refuse(held.state, request)
      const before = request.before ?? entryAt(held.state, 'current')?.id
      const entry: Entry = { id: operation, operation, ...(before !== undefined && { before }), at: io.clock.now(), stage, value: value.bytes().toString('base64') }
      const next = stage === 'pending' ? claimed(held.state, entry) : annotated(moved(held.state, entry), { ...(labels !== undefined && { labels }), ...(description !== undefined && { description }) })
      const done = stage === 'pending' ? (await chain.commit(name, held, next, false, call)) !== undefined : await chain.change(name, held, next, call)
      if (done) return { outcome: 'written', version: versionOf(entry) }
    }
    throw failed('conflict', name)
  }

  /** Loads, changes and commits until it holds; a change that gives nothing ends it. */
  const change = async (name: SecretName, call: Call, shows: boolean, next: (held: Held) => State | undefined | Promise<State | undefined>): Promise<void> => {
    for (let attempt = 0; attempt < tries; attempt += 1) {
      const held = await need(name, false, call)
      const state = await next(held)
      if (state === undefined) return shows && !held.synced ? void (await chain.show(name, held.main, held.state, call)) : undefined
      if (shows ? await chain.change(name, held, state, call) : (await chain.commit(name, held, state, false, call)) !== undefined) return
    }
    throw failed('conflict', name)
  }

  const remove: SecretProvider['remove'] = async (name, { expect }, call) => {
    const place = placeOf(root, name)
    const quietly = (error: unknown): undefined => {
      if (!isCode(error, 'not_found')) throw error
    }
    const held = await chain.load(name, false, call)
    if (held !== undefined && typeof expect === 'object' && entryAt(held.state, 'current')?.id !== expect.version) throw failed('conflict', name)
    // The secret first: a record without its secret is nobody's, a secret without its record would be what it last showed.
    if (held !== undefined) await api.remove(place, call, name.text).catch(quietly)
    const left = held === undefined ? await api.get(recordPlace(place), { view: true }, call, name.text).catch(quietly) : held.companion
    if (left !== undefined) await api.remove(recordPlace(place), call, name.text).catch(quietly)
    if (held === undefined) throw failed('not_found', name)
    return {}
  }

  return {
    read,
    readMany,
    list,
    write,
    remove,
    check: infisicalCheck(api, login, root, io),
    describe: (name, call) => need(name, false, call).then((held) => factsOf(name, held)),
    promote: (name, { to, from }, call) =>
      change(name, call, true, async (held) => {
        const { state } = held
        const [current, pending] = [entryAt(state, 'current'), entryAt(state, 'pending')]
        if (current?.id === to) return undefined
        if (pending?.id !== to || current?.id !== from) throw failed('conflict', name)
        // The service forgets its old versions one day: a value that only it has is copied before it steps down.
        const value = current.value === undefined ? await valueAt(name, held, current, call).catch(() => undefined) : undefined
        const entries = value === undefined ? state.entries : state.entries.map((entry) => (entry === current ? { ...entry, value: value.bytes().toString('base64') } : entry))
        return moved({ ...state, entries }, pending)
      }),
    discard: (name, version, call) =>
      change(name, call, false, ({ state }) => {
        const entry = state.entries.find(({ id }) => id === version)
        if (entry?.stage === 'current') throw failed('conflict', name)
        return entry === undefined || entry.stage === 'gone' ? undefined : discarded(state, version)
      }).catch((error: unknown) => (isCode(error, 'not_found') ? undefined : Promise.reject(error as Error))),
    annotate: (name, annotation, call) => {
      refuseLabels(annotation.labels ?? {})
      return change(name, call, true, ({ state, etag }) => {
        if (annotation.etag !== undefined && annotation.etag !== etag) throw failed('conflict', name)
        return annotated(state, annotation)
      })
    },
    close: () => client.close(),
    traits: {
      names: infisicalNames,
      settleMs: 0,
      versions: 'opaque',
      value: { maxBytes: maxValueBytes, empty: true, bytes: 'trimmed_text' },
      write: { guarantee: 'detected', softDelete: false, labels: { travel: 'always', ...labelLimits, filter: false } },
    },
  }
}

/** Infisical. */
export const infisical = defineProvider<InfisicalSettings>({
  name: 'infisical',
  title,
  settings: {
    infisical_site_url: { type: 'url', default: 'https://app.infisical.com', env: ['INFISICAL_SITE_URL'], text: 'Where Infisical is: `https://app.infisical.com`, `https://eu.infisical.com`, or your own server.' },
    ...infisicalLoginSettings,
    infisical_project_id: { type: 'string', required: true, env: ['INFISICAL_PROJECT_ID'], text: "The project's id." },
    infisical_environment_slug: { type: 'string', default: 'dev', env: ['INFISICAL_ENVIRONMENT_SLUG'], text: 'The environment, by its slug.' },
    infisical_secret_path: { type: 'string', default: '/', env: ['INFISICAL_SECRET_PATH'], text: 'The folder below which all names lie.' },
    infisical_api_version: { type: 'string', default: 'v4', values: ['v3', 'v4'], text: '`v3` speaks `/api/v3/secrets/raw`, for older servers.' },
    infisical_ca_cert: { type: 'string', text: 'Certificate of the authority that signed your own server\'s, PEM or the path of a file.' },
    infisical_allow_plain_http: { type: 'boolean', default: false, text: 'Allows an address that begins with `http://` on another machine. Secrets then travel unencrypted.' },
  },
  open: connect,
})
