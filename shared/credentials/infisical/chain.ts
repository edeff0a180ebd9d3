// How one secret is loaded and changed. The secret itself holds its value, labels and comment, for everybody who reads Infisical; what the service has no condition for
// (who may replace it, a claim, what was before) stands in the chain of a companion, which decides. A secret without a companion is its own first version.
import { isCode, LatchkeyError } from '../../core/errors.ts'
import type { Call, ProviderIo } from '../../core/runtime.ts'
import type { WriteRequest } from '../../core/provider.ts'
import type { SecretName } from '../../core/secret.ts'
import type { InfisicalApi, NativeSecret } from './api.ts'
import { placeOf, recordPlace, refuseReserved, type Place } from './names.ts'
import { entryAt, foldLinks, labelsOf, linkOf, linkText, markOf, markText, markLabel, moved, provesItself, valueOf, versionOf, type Entry, type Numbered, type State } from './record.ts'

/** A secret and what its companion says of it. */
export interface Held {
  readonly main: NativeSecret
  readonly state: State
  /** Whether the secret shows what the record says. */
  readonly synced: boolean
  /** Changes with the record; where there is none, with the secret. */
  readonly etag: string
  /** The companion as it was folded. */
  readonly companion?: { readonly id: string; readonly last: number; readonly newest: number }
}

/** What a commit made. */
export interface Committed {
  readonly main: NativeSecret
  readonly state: State
}

/** The two secrets behind one name. */
export interface Chain {
  /** Nothing when the secret is confirmed absent. `view`: with the value of the secret itself. */
  load(name: SecretName, view: boolean, call: Call): Promise<Held | undefined>
  /** What a folder's list showed of a secret and its companion. */
  heldOf(main: NativeSecret, companion: NativeSecret | undefined, name: SecretName, call: Call): Promise<Held>
  /** The service's own create of a secret. `undefined`: somebody else made one. */
  create(write: WriteRequest, call: Call): Promise<Entry | undefined>
  /** Adds a state to the chain if nobody else was first; answers the state with the link it shows. `shows`: current value or labels are others now. */
  commit(name: SecretName, held: Held, state: State, shows: boolean, call: Call): Promise<Committed | undefined>
  /** Makes the secret show its record. `false`: it is no longer there. */
  show(name: SecretName, main: NativeSecret, state: State, call: Call): Promise<boolean>
  /** Both in one. A refusal to show it takes the state back before it is thrown; not so a refusal that may pass where a key's epoch was won: whoever read that meanwhile has acted on it. */
  change(name: SecretName, held: Held, state: State, call: Call): Promise<boolean>
  /** A confirmed absence: the project and its environment are there to be seen. @throws provider_denied */
  confirmScope(call: Call): Promise<void>
}

const tries = 5
const passing = ['provider_denied', 'provider_quota'] as const
const refusals = [...passing, 'approval_required', 'invalid_request', 'too_large'] as const

const absentAs = <T>(instead: T) => (error: unknown): T => {
  if (!isCode(error, 'not_found')) throw error
  return instead
}

/** Whether the current version won an epoch: then it belongs to a key, and the record alone decides. */
const wonEpoch = (state: State): boolean => {
  const current = entryAt(state, 'current')
  return current !== undefined && versionOf(current).epoch !== undefined
}

/** What a secret without a record is by itself. A secret of somebody else that was only marked keeps the id it had before. */
const rootState = (main: NativeSecret): State => {
  const mark = markOf(main.metadata)
  const untouched = mark?.number === main.version
  const native = untouched && mark.operation === '-' && mark.shown === undefined ? main.version - 1 : main.version
  const entry = untouched && mark.operation !== '-' ? { id: mark.operation, operation: mark.operation, at: main.created.getTime() } : { id: String(native), at: main.updated.getTime() }
  return { entries: [{ ...entry, stage: 'current', native }], labels: labelsOf(main.metadata), ...(main.comment !== '' && { description: main.comment }), created: main.created.getTime() }
}

/** Somebody changed the secret itself after it showed its record: what they wrote is current. */
const overwritten = (state: State, main: NativeSecret, changesValue: boolean): State => {
  const shown = { ...state, labels: labelsOf(main.metadata), description: main.comment }
  return changesValue ? moved(shown, { id: String(main.version), at: main.updated.getTime(), stage: 'current', native: main.version }) : shown
}

/** The chain over one API, below `root`. */
export const infisicalChain = (api: InfisicalApi, root: string, io: Pick<ProviderIo, 'random'>): Chain => {
  let seen = false
  const confirmScope = async (call: Call): Promise<void> => {
    if (seen) return
    await api.folders(root, call).catch((error: unknown) => {
      if (!isCode(error, 'not_found')) throw error
      const message = 'Infisical shows Latchkey no such project and environment, so nothing in it can be called absent. Check infisical_project_id and infisical_environment_slug, and that the identity is a member of the project.'
      throw new LatchkeyError('provider_denied', message, { issues: [{ path: 'infisical_project_id', message: 'no such project, or no such environment in it' }], ...(error.details.vendor !== undefined && { vendor: error.details.vendor }) })
    })
    seen = true
  }

  const foldOf = async (companion: NativeSecret, call: Call): Promise<{ readonly last?: Numbered; readonly newest: number }> => {
    const newest = companion.value === undefined ? undefined : linkOf(companion.id, companion.version, companion.value)
    if (newest !== undefined && provesItself(newest)) return { last: newest, newest: companion.version }
    const versions = await api.versions(companion.id, call)
    const last = foldLinks(versions.flatMap(({ version, value }) => linkOf(companion.id, version, value) ?? [])).at(-1)
    return { ...(last !== undefined && { last }), newest: Math.max(companion.version, ...versions.map(({ version }) => version)) }
  }

  const heldOf: Chain['heldOf'] = async (main, companion, name, call) => {
    const mark = markOf(main.metadata)
    // What Latchkey never wrote has no record; neither has what somebody wrote anew without its mark.
    const fold = companion === undefined || mark === undefined ? undefined : await foldOf(companion, call)
    const behind = companion === undefined || fold === undefined ? {} : { companion: { id: companion.id, last: fold.last?.number ?? 0, newest: fold.newest } }
    const last = fold?.last?.link.root === main.id ? fold.last : undefined
    if (last === undefined) return { main, state: rootState(main), synced: true, etag: `m${main.version}`, ...behind }
    const { state } = last.link
    const etag = `r${last.number}`
    if (mark?.shown === state.shown && mark?.number === main.version) return { main, state, synced: true, etag, ...behind }
    // A mark of a link that is no longer the one, or of the time before the first: the secret lags behind its record.
    const based = state.entries.some(({ native }) => native === main.version - 1)
    if (mark?.shown !== state.shown && (mark?.shown !== undefined || mark?.operation !== '-' || based)) return { main, state, synced: false, etag, ...behind }
    // Written after it showed this link: by somebody else, unless it holds the very same.
    const whole = main.value === undefined ? await api.get(main.place, { view: true }, call, name.text).catch(absentAs(main)) : main
    const changesValue = !(await sameValue(whole, entryAt(state, 'current'), name, call))
    const sameLabels = JSON.stringify(Object.entries(labelsOf(whole.metadata)).toSorted()) === JSON.stringify(Object.entries(state.labels).toSorted()) && whole.comment.trim() === (state.description ?? '')
    if (!changesValue && sameLabels) return { main: whole, state, synced: false, etag, ...behind }
    return { main: whole, state: overwritten(state, whole, changesValue), synced: true, etag: `${etag}m${whole.version}`, ...behind }
  }

  const sameValue = async (main: NativeSecret, current: Entry | undefined, name: SecretName, call: Call): Promise<boolean> => {
    if (current === undefined || main.value === undefined) return false
    const before = current.native === undefined ? undefined : await api.get(main.place, { view: true, version: current.native }, call, name.text).catch(absentAs(undefined))
    return (valueOf(current) ?? (before?.id === main.id ? before.value : undefined))?.equals(main.value) === true
  }

  const load: Chain['load'] = async (name, view, call) => {
    const place = placeOf(root, name)
    const main = await api.get(place, { view }, call, name.text).catch(absentAs(undefined))
    if (main === undefined) {
      await confirmScope(call)
      return undefined
    }
    const companion = markOf(main.metadata) === undefined ? undefined : await api.get(recordPlace(place), { view: true }, call, name.text).catch(absentAs(undefined))
    return heldOf(main, companion, name, call)
  }

  const pairsOf = (state: State, number: number): Readonly<Record<string, string>> => ({ ...state.labels, [markLabel]: markText({ operation: entryAt(state, 'current')?.operation ?? '-', number, ...(state.shown !== undefined && { shown: state.shown }) }) })

  /** A secret of somebody else is marked before it gets a record, so that whoever reads it looks for one. */
  const marked = async (place: Place, main: NativeSecret, call: Call): Promise<NativeSecret> =>
    markOf(main.metadata) === undefined ? api.update(place, { metadata: { ...main.metadata, [markLabel]: markText({ operation: '-', number: main.version + 1 }) } }, call) : main

  /** Makes a secret, and its folder where that is missing. The service looks before it inserts, so two racing creates may both succeed: the one that is read counts. */
  const createIn = async (place: Place, write: Parameters<InfisicalApi['create']>[1], name: SecretName, call: Call): Promise<NativeSecret | undefined> => {
    const send = (): Promise<NativeSecret | undefined> =>
      api.create(place, write, call, name.text).catch((error: unknown) => {
        if (isCode(error, 'already_exists')) return undefined
        throw error
      })
    const made = await send().catch(async (error: unknown) => {
      if (!isCode(error, 'not_found')) throw error
      await api.makeFolder(place.folder, call)
      return send()
    })
    const read = made === undefined ? undefined : await api.get(place, { view: false }, call, name.text).catch(absentAs(undefined))
    return read?.id === made?.id ? made : undefined
  }

  const commit: Chain['commit'] = async (name, { main: before, companion }, given, shows, call) => {
    const place = placeOf(root, name)
    const record = recordPlace(place)
    refuseReserved(record)
    const nonce = Buffer.from(io.random.bytes(12)).toString('hex')
    const state = shows ? { ...given, shown: nonce } : given
    const base = { root: before.id, before: companion?.last ?? 0, nonce, state }
    const main = await marked(place, before, call)
    const committed = { main, state }
    if (companion === undefined) {
      const value = linkText({ ...base, over: 0 })
      const made = await createIn(record, { value, comment: `Record of ${place.key}, kept by Latchkey` }, name, call)
      return made === undefined ? undefined : committed
    }
    const value = linkText({ ...base, of: companion.id, over: companion.newest })
    const written = await api.update(record, { value }, call, name.text).catch(absentAs(undefined))
    if (written === undefined || written.id !== companion.id) return undefined
    if (written.version === companion.newest + 1) return committed
    const versions = await api.versions(companion.id, call)
    return foldLinks(versions.flatMap((one) => linkOf(companion.id, one.version, one.value) ?? [])).some(({ link }) => link.nonce === nonce) ? committed : undefined
  }

  const show: Chain['show'] = async (name, first, given, call) => {
    const place = placeOf(root, name)
    let [main, state] = [first, given]
    for (let attempt = 0; attempt < tries; attempt += 1) {
      const current = entryAt(state, 'current')
      const value = current === undefined ? undefined : valueOf(current)
      const written = await api.update(place, { metadata: pairsOf(state, main.version + 1), comment: state.description ?? '', ...(value !== undefined && { value }) }, call, name.text).catch(absentAs(undefined))
      if (written === undefined) return false
      if (written.id === main.id && written.version === main.version + 1) return true
      const held = await load(name, false, call)
      if (held === undefined || held.synced) return held !== undefined
      main = held.main
      state = held.state
    }
    throw new LatchkeyError('conflict', `Others keep changing ${name.text}.`, { retryAfter: 1 })
  }

  const change: Chain['change'] = async (name, held, state, call) => {
    const committed = await commit(name, held, state, true, call)
    if (committed === undefined) return false
    try {
      return await show(name, committed.main, committed.state, call)
    } catch (error) {
      if (!isCode(error, ...refusals) || (isCode(error, ...passing) && wonEpoch(committed.state))) throw error
      const now = await load(name, false, call).catch(() => undefined)
      if (now !== undefined && now.state.shown === committed.state.shown) await commit(name, now, held.state, false, call).catch(() => undefined)
      throw error
    }
  }

  const create: Chain['create'] = async ({ name, value, operation, labels = {}, description }, call) => {
    const place = placeOf(root, name)
    refuseReserved(place)
    const made = await createIn(place, { value, metadata: { ...labels, [markLabel]: markText({ operation, number: 1 }) }, ...(description !== undefined && { comment: description.trim() }) }, name, call)
    return made === undefined ? undefined : { id: operation, operation, at: made.created.getTime(), stage: 'current' }
  }

  return { load, heldOf, create, commit, show, change, confirmScope }
}
