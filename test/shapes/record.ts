// The providers whose service has no stages keep one record per secret and change it by one conditional step. What a write, a claim or a promotion
// does to the record stands here once; how a record is loaded and committed is the port, and differs by service.
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { Annotation, OpenedProvider, ReadAt, WriteOutcome, WriteRequest } from '../../shared/core/provider.ts'
import type { Call, Clock } from '../../shared/core/runtime.ts'
import { SecretValue, type SecretFacts, type SecretName, type Version } from '../../shared/core/secret.ts'
import { alreadyExists, conflict, epochOf, notFound, pageOf, requireFits, stagesOf } from './service.ts'

export interface Entry {
  readonly id: string
  readonly operation: string
  readonly before?: string
  readonly at: number
  readonly stage: 'current' | 'previous' | 'pending' | 'past' | 'gone'
  /** The value as base64, where the record itself holds it. */
  readonly value?: string
  /** Where the value lies, where the record does not hold it. */
  readonly place?: number
}

export interface SecretState {
  readonly entries: readonly Entry[]
  readonly labels: Readonly<Record<string, string>>
  readonly description?: string
  readonly expires?: number
  readonly created: number
}

export interface Loaded {
  readonly state: SecretState
  /** What the next commit is conditional on. */
  readonly token: string
}

/** How one service holds records. */
export interface RecordPort {
  readonly traits: NonNullable<OpenedProvider['traits']>
  load(name: SecretName, call: Call): Promise<Loaded | undefined>
  /** Makes `state` the record if `token` still holds (`undefined`: if there is none). `false`: somebody else was first. `moved`: another version is current. */
  commit(name: SecretName, state: SecretState, token: string | undefined, call: Call, moved: boolean): Promise<boolean>
  names(call: Call): Promise<readonly SecretName[]>
  remove?(name: SecretName, token: string, call: Call): Promise<void>
  /** The id of a version that the next commit makes. Default: its operation. */
  idOf?(write: WriteRequest, loaded: Loaded | undefined): string
  /** Where values stand apart from the record. `store` runs before the commit that makes the value current, `stash` after the commit of a claim. */
  readonly apart?: {
    store(name: SecretName, value: SecretValue, call: Call): Promise<number>
    /** Whether this value is the one that counts. */
    stash(name: SecretName, entry: Entry, value: SecretValue, call: Call): Promise<boolean>
    stashed(name: SecretName, entry: Entry, call: Call): Promise<SecretValue>
    read(name: SecretName, entry: Entry, call: Call): Promise<SecretValue>
    drop(name: SecretName, entry: Entry, call: Call): Promise<void>
  }
  /** Labels that the commit does not carry. */
  annotate?(name: SecretName, change: Annotation, call: Call): Promise<void>
}

const kept = 16
const tries = 6
const byStage = (state: SecretState | undefined, stage: string): Entry | undefined => state?.entries.find((entry) => entry.stage === stage)

const versionOf = (entry: Entry): Version => {
  const epoch = epochOf(entry.operation)
  return { id: entry.id, stages: stagesOf(entry.stage), enabled: entry.stage !== 'gone', created: new Date(entry.at), operation: entry.operation, ...(epoch === undefined ? {} : { epoch }), ...(entry.before === undefined ? {} : { before: entry.before }) }
}

const changed = (state: SecretState, change: Annotation): SecretState => {
  const labels = { ...state.labels }
  for (const [key, text] of Object.entries(change.labels ?? {})) {
    if (text === null) delete labels[key]
    else labels[key] = text
  }
  const { expires, ...rest } = state
  const until = change.expires === undefined ? expires : change.expires?.getTime()
  return { ...rest, labels, ...(change.description === undefined ? {} : { description: change.description }), ...(until === undefined ? {} : { expires: until }) }
}

/** A provider over one record per secret. */
export const recordProvider = (port: RecordPort, clock: Clock): OpenedProvider => {
  const labelsTravel = port.annotate === undefined
  const etags = labelsTravel

  const need = async (name: SecretName, call: Call): Promise<Loaded> => {
    const loaded = await port.load(name, call)
    if (loaded === undefined) throw notFound()
    return loaded
  }

  const valueOf = async (name: SecretName, entry: Entry | undefined, call: Call): Promise<SecretValue> => {
    if (entry === undefined || entry.stage === 'gone') throw notFound('version')
    if (entry.value !== undefined) return SecretValue.ofBytes(Buffer.from(entry.value, 'base64'))
    if (port.apart === undefined) throw notFound('version')
    return entry.stage === 'pending' ? port.apart.stashed(name, entry, call) : port.apart.read(name, entry, call)
  }

  const factsOf = (name: SecretName, { state, token }: Loaded): SecretFacts => {
    const current = byStage(state, 'current')
    return {
      name,
      nativeName: name.text,
      ...(current === undefined ? {} : { current: versionOf(current) }),
      versions: state.entries.map(versionOf),
      labels: state.labels,
      ...(etags ? { etag: token } : {}),
      ...(state.description === undefined ? {} : { description: state.description }),
      created: new Date(state.created),
      ...(state.expires === undefined ? {} : { expires: new Date(state.expires) }),
    }
  }

  const add = (state: SecretState | undefined, entry: Entry, write: WriteRequest): SecretState => {
    const entries = (state?.entries ?? []).filter((old) => old.id !== entry.id).map((old): Entry => {
      if (entry.stage === 'pending') return old
      return old.stage === 'current' ? { ...old, stage: 'previous' } : old.stage === 'previous' ? { ...old, stage: 'past' } : old
    })
    const base: SecretState = { ...(state ?? { labels: {}, created: clock.now() }), entries: [...entries, entry].slice(-kept) }
    return entry.stage === 'pending' || !labelsTravel ? base : changed(base, { labels: write.labels ?? {}, ...(write.description === undefined ? {} : { description: write.description }), ...(write.expires === undefined ? {} : { expires: write.expires }) })
  }

  /** The version that an earlier sending of this write made. */
  const earlier = (state: SecretState, write: WriteRequest): Entry | undefined =>
    state.entries.find((entry) => entry.operation === write.operation && (write.stage === 'pending' ? entry.stage !== 'gone' : entry.stage !== 'pending'))

  const refuse = (loaded: Loaded | undefined, write: WriteRequest): void => {
    const current = byStage(loaded?.state, 'current')
    if (write.stage === 'pending') {
      if (current === undefined) throw notFound()
      if (byStage(loaded?.state, 'pending') !== undefined) throw conflict('Another operation holds the claim.')
    } else if (write.expect === 'absent' && loaded !== undefined) throw alreadyExists()
    else if (typeof write.expect === 'object') {
      if (loaded === undefined) throw notFound()
      if (current?.id !== write.expect.version) throw conflict()
    }
  }

  const write = async (request: WriteRequest, call: Call): Promise<WriteOutcome> => {
    requireFits(request.value.byteLength, { maxBytes: 65_536, empty: true, ...port.traits.value })
    const { name } = request
    for (let attempt = 0; attempt < tries; attempt += 1) {
      const loaded = await port.load(name, call)
      const again = loaded === undefined ? undefined : earlier(loaded.state, request)
      if (again !== undefined) {
        if (again.stage === 'pending') await port.apart?.stash(name, again, request.value, call)
        return { outcome: 'same_operation', version: versionOf(again) }
      }
      refuse(loaded, request)
      const before = request.before ?? byStage(loaded?.state, 'current')?.id
      const place = request.stage === 'current' ? await port.apart?.store(name, request.value, call) : undefined
      const entry: Entry = {
        id: port.idOf?.(request, loaded) ?? request.operation,
        operation: request.operation,
        ...(before === undefined ? {} : { before }),
        at: clock.now(),
        stage: request.stage,
        ...(port.apart === undefined ? { value: request.value.bytes().toString('base64') } : {}),
        ...(place === undefined ? {} : { place }),
      }
      if (!(await port.commit(name, add(loaded?.state, entry, request), loaded?.token, call, request.stage === 'current'))) continue
      if (request.stage === 'pending') {
        if ((await port.apart?.stash(name, entry, request.value, call)) === false) return { outcome: 'same_operation', version: versionOf(entry) }
      } else if (port.annotate !== undefined && (request.labels !== undefined || request.description !== undefined || request.expires !== undefined)) {
        await port.annotate(name, { labels: request.labels ?? {}, ...(request.description === undefined ? {} : { description: request.description }), ...(request.expires === undefined ? {} : { expires: request.expires }) }, call)
      }
      return { outcome: 'written', version: versionOf(entry) }
    }
    throw conflict('Others keep changing this secret.')
  }

  /** Loads, changes and commits until the commit holds; a change that gives nothing ends it. */
  const change = async (name: SecretName, call: Call, next: (loaded: Loaded) => Promise<SecretState | undefined>): Promise<Loaded | undefined> => {
    for (let attempt = 0; attempt < tries; attempt += 1) {
      const loaded = await need(name, call)
      const state = await next(loaded)
      if (state === undefined) return undefined
      if (await port.commit(name, state, loaded.token, call, byStage(state, 'current')?.id !== byStage(loaded.state, 'current')?.id)) return loaded
    }
    throw conflict('Others keep changing this secret.')
  }

  return {
    traits: port.traits,
    check: async () => [{ ok: true, subject: 'reach', message: 'The service answers.' }],
    read: async (name, at: ReadAt, call) => {
      const { state } = await need(name, call)
      const entry = at.version === undefined ? byStage(state, at.stage ?? 'current') : state.entries.find(({ id }) => id === at.version)
      const value = await valueOf(name, entry, call)
      return { name, value, ...(entry === undefined ? {} : { version: versionOf(entry) }), ...(state.expires === undefined ? {} : { expires: new Date(state.expires) }) }
    },
    describe: async (name, call) => factsOf(name, await need(name, call)),
    list: async (query, call) => {
      const names = new Map((await port.names(call)).filter(({ text }) => text.startsWith(query.prefix)).map((name) => [name.text, name]))
      const page = pageOf([...names.keys()], query)
      const items: SecretFacts[] = []
      for (const text of page.names) {
        const name = names.get(text)
        const loaded = name === undefined ? undefined : await port.load(name, call)
        if (name === undefined || loaded === undefined) continue
        const { versions: _left, ...facts } = factsOf(name, loaded)
        if (query.label === undefined || facts.labels[query.label[0]] === query.label[1]) items.push(facts)
      }
      return { items, ...(page.cursor === undefined ? {} : { cursor: page.cursor }) }
    },
    write,
    promote: async (name, { to, from }, call) => {
      const before = await change(name, call, async ({ state }) => {
        const current = byStage(state, 'current')
        if (current?.id === to) return undefined
        const pending = byStage(state, 'pending')
        if (current?.id !== from || pending?.id !== to) throw conflict()
        const place = port.apart === undefined ? undefined : await port.apart.store(name, await port.apart.stashed(name, pending, call), call)
        const entries = state.entries.filter(({ id }) => id !== to).map((old): Entry => (old.stage === 'current' ? { ...old, stage: 'previous' } : old.stage === 'previous' ? { ...old, stage: 'past' } : old))
        return { ...state, entries: [...entries, { ...pending, stage: 'current', ...(place === undefined ? {} : { place }) }] }
      })
      const pending = byStage(before?.state, 'pending')
      if (pending !== undefined) await port.apart?.drop(name, pending, call)
    },
    discard: async (name, version, call) => {
      const before = await change(name, call, async ({ state }) => {
        const entry = state.entries.find(({ id }) => id === version)
        if (entry?.stage === 'current') throw conflict('The version is current.')
        if (entry === undefined || entry.stage === 'gone') return undefined
        return { ...state, entries: state.entries.map((old): Entry => {
          if (old !== entry) return old
          const { value: _value, ...bare } = old
          return { ...bare, stage: 'gone' }
        }) }
      }).catch((error: unknown) => {
        if (error instanceof LatchkeyError && error.code === 'not_found') return undefined
        throw error
      })
      const dropped = before?.state.entries.find(({ id }) => id === version)
      if (dropped !== undefined) await port.apart?.drop(name, dropped, call)
    },
    annotate: async (name, annotation, call) => {
      if (port.annotate !== undefined) return port.annotate(name, annotation, call)
      await change(name, call, async ({ state, token }) => {
        if (annotation.etag !== undefined && annotation.etag !== token) throw conflict('The secret was changed since.')
        return changed(state, annotation)
      })
    },
    ...(port.remove === undefined ? {} : {
      remove: async (name, how, call) => {
        const { state, token } = await need(name, call)
        if (typeof how.expect === 'object' && byStage(state, 'current')?.id !== how.expect.version) throw conflict()
        await port.remove?.(name, token, call)
        return {}
      },
    }),
  }
}
