// One secret of Google Secret Manager with its record: how it is loaded and committed, where a pending token waits, and what is put right afterwards.
// A version is added without any condition; only the PATCH of the record under the secret's etag makes it count. What an operator hosts has no record:
// there the newest enabled version is current, as for everybody who reads `latest`.
import { hash } from 'node:crypto'
import { isCode, LatchkeyError } from '../../core/errors.ts'
import { hostedName, internalSegment } from '../../core/names.ts'
import type { WriteRequest } from '../../core/provider.ts'
import type { Call } from '../../core/runtime.ts'
import type { SecretName, SecretValue } from '../../core/secret.ts'
import { changeTo, entryAt, entryNamed, firstAnnotations, nameAnnotation, stateOf, type Entry, type SecretState } from './annotations.ts'
import type { GoogleSecret, GoogleSecrets, GoogleVersion } from './secrets.ts'
import { hexEscapeCodec as codec } from './names.ts'

/** A pending token that nobody took away is deleted by the service itself. */
const pendingSeconds = 30 * 86_400
const rounds = 3
const destroyedAtOnce = 10

const raise = (error: unknown): never => { throw error }

/** Another operation was first, or stands in the way. */
export const conflict = (name: SecretName): LatchkeyError => new LatchkeyError('conflict', `${name.text} has another current version than the one named, or another operation on it is in progress.`, { hint: 'Read it again and decide again.' })

/** What is confirmed not to be there. */
export const absent = (name: SecretName, what = 'secret'): LatchkeyError => new LatchkeyError('not_found', `There is no such ${what}: ${name.text}.`)

/** One secret with what is known of its versions. */
export interface Loaded {
  readonly secret: GoogleSecret
  readonly state: SecretState
  /** A secret that has been made for a value that never came to count: it is not there yet. */
  readonly shell: boolean
  readonly recorded: boolean
}

/** The secret that holds a pending token: below the same prefix as the key, named after its operation, so that a late write of a dead one meets nobody's. */
const pendingId = (name: SecretName, operation: string): string => {
  const at = name.text.lastIndexOf('/') + 1
  const mark = `${/^\d{1,15}/.exec(operation)?.[0] ?? '0'}-${hash('sha256', operation, 'hex').slice(0, 16)}`
  const under = (leaf: string): SecretName => ({ text: `${name.text.slice(0, at)}${internalSegment}/pending/${leaf}-${mark}`, place: 'created' })
  const readable = under(name.text.slice(at))
  return codec.encode(readable.text.length > 80 ? under(hash('sha256', name.text, 'hex').slice(0, 32)) : readable)
}

/** Versions that stand in no record: the newest enabled one is current. What the record knows of a version stays with it. */
const foreignEntries = (recorded: readonly Entry[], versions: readonly GoogleVersion[]): readonly Entry[] => {
  const current = versions.find(({ state }) => state === 'ENABLED')?.number
  const previous = [...recorded].filter(({ stage, place }) => (stage === 'current' || stage === 'previous') && place !== current).sort((a, b) => (b.place ?? 0) - (a.place ?? 0))[0]?.place
  const listed = versions.map(({ number, state, created }): Entry => {
    const stage = state === 'DESTROYED' ? 'gone' : number === current ? 'current' : number === previous ? 'previous' : 'past'
    return { at: created?.getTime() ?? 0, ...recorded.find(({ place }) => place === number), place: number, stage, disabled: state !== 'ENABLED' }
  })
  return [...listed.reverse(), ...recorded.filter(({ place }) => place === undefined)]
}

/** Our name of a secret of the service: what its annotation says, what a name below a prefix looks like, else its own. */
export const googleNameOf = (secret: GoogleSecret): SecretName | undefined => {
  const written = nameAnnotation(secret) ?? codec.decode(secret.id)
  if (written !== undefined && (written.includes('/') || nameAnnotation(secret) !== undefined) && codec.encode({ text: written, place: 'created' }) === secret.id) return written.includes(`${internalSegment}/pending/`) ? undefined : { text: written, place: 'created' }
  return hostedName(secret.id)
}

/** The records of one place. */
export interface GoogleRecords {
  /** `undefined`: there is no such secret. */
  load(name: SecretName, call: Call): Promise<Loaded | undefined>
  /** Makes `state` what the secret says, its versions included where `record` says so. `false`: somebody else was first. */
  commit(loaded: Pick<Loaded, 'secret'>, state: SecretState, record: boolean, name: SecretName, call: Call): Promise<boolean>
  /** The value of one entry. A pending one's stands in its own secret. */
  valueOf(name: SecretName, entry: Entry, call: Call): Promise<SecretValue>
  /** Puts a pending token where it waits. Whether it is the one that counts: the first. @throws conflict when the claim was taken back */
  stash(request: WriteRequest, call: Call): Promise<boolean>
  /** Takes a version's value away for good. */
  drop(name: SecretName, entry: Entry, call: Call): Promise<void>
  /** Disables or enables a version's value. */
  setEnabled(name: SecretName, entry: Entry, enabled: boolean, call: Call): Promise<void>
  /** Lets who reads `latest` find the current value too, and destroys what can never count again. Best effort: never fails. */
  tidy(name: SecretName, call: Call): Promise<void>
}

/** The records, over the calls. `keep`: how many versions a secret keeps that are or were current. */
export const googleRecords = (secrets: GoogleSecrets, keep: number): GoogleRecords => {
  const load = async (name: SecretName, call: Call): Promise<Loaded | undefined> => {
    const id = codec.encode(name)
    const secret = await secrets.get(id, name.text, call)
    if (secret === undefined) return undefined
    const { state, recorded } = stateOf(secret)
    if (recorded && name.place === 'created') return { secret, state, recorded, shell: false }
    if (!recorded && nameAnnotation(secret) === name.text) return { secret, state, recorded, shell: true }
    const entries = foreignEntries(state.entries, await secrets.versions(id, name.text, call))
    return { secret, state: { ...state, entries }, recorded, shell: false }
  }

  /** Where an entry's value lies. */
  const placeOf = (name: SecretName, { place, operation }: Entry): readonly [id: string, version: number] => (place === undefined ? [pendingId(name, operation ?? ''), 1] : [codec.encode(name), place])

  const tidy = async (name: SecretName, call: Call): Promise<void> => {
    const id = codec.encode(name)
    for (let round = 0; round < rounds; round += 1) {
      const state = (await load(name, call))?.state
      const current = entryAt(state, 'current')?.place
      const versions = await secrets.versions(id, name.text, call)
      const newest = versions[0]?.number
      if (state === undefined || current === undefined || newest === undefined) return
      if (name.place === 'created' && newest > current) {
        const { value } = await secrets.access(id, String(current), name.text, call)
        const said = await secrets.access(id, String(newest), name.text, call).catch(() => undefined)
        if (said?.value.equals(value) !== true) {
          await secrets.add(id, value, name.text, call)
          continue
        }
      }
      const held = state.entries.filter(({ stage }) => stage === 'current' || stage === 'previous')
      const kept = new Set([...held, ...state.entries.filter(({ stage }) => stage === 'past').slice(-Math.max(1, keep - held.length))].map(({ place }) => place))
      const ours = (number: number): boolean => name.place === 'created' || entryNamed(state, String(number))?.operation !== undefined
      const spent = versions.filter(({ number, state: is }) => is !== 'DESTROYED' && number < current && !kept.has(number) && ours(number))
      for (const { number } of spent.slice(0, destroyedAtOnce)) await secrets.setState(id, number, 'destroy', name.text, call)
      return
    }
  }

  return {
    load,
    commit: ({ secret }, state, record, name, call) => secrets.patch(secret, changeTo(secret, state, record), name.text, call),
    valueOf: async (name, entry, call) => {
      const [id, version] = placeOf(name, entry)
      return (await secrets.access(id, String(version), name.text, call)).value
    },
    stash: async ({ name, operation, value }, call) => {
      const id = pendingId(name, operation)
      await secrets.create(id, firstAnnotations(codec.decode(id) ?? name.text), name.text, call, pendingSeconds)
      if ((await secrets.version(id, 1, name.text, call)) !== undefined) return false
      return secrets.add(id, value, name.text, call).then((number) => number === 1, (error: unknown) => raise(isCode(error, 'not_found') ? conflict(name) : error))
    },
    drop: async (name, entry, call) => {
      const [id, version] = placeOf(name, entry)
      if (entry.place === undefined) await secrets.remove(id, undefined, name.text, call)
      else await secrets.setState(id, version, 'destroy', name.text, call).catch((error: unknown) => (isCode(error, 'version_disabled', 'not_found') ? undefined : raise(error)))
    },
    setEnabled: async (name, entry, enabled, call) => {
      const [id, version] = placeOf(name, entry)
      await secrets.setState(id, version, enabled ? 'enable' : 'disable', name.text, call)
    },
    tidy: (name, call) => tidy(name, call).catch(() => undefined),
  }
}
