// How a secret's record, labels and description stand in Google's annotations and labels. Annotations hold any text and are the truth; Google's own labels
// allow little, and repeat what lists select by. One PATCH under the secret's etag changes all of it and the alias `current` together.
import { hash } from 'node:crypto'
import { LatchkeyError } from '../../core/errors.ts'
import type { Annotation } from '../../core/provider.ts'
import type { Stage, Version } from '../../core/secret.ts'
import type { GoogleSecret, SecretChange } from './secrets.ts'

/** One version as the record knows it. */
export interface Entry {
  /** Its number in the secret; a pending one has none there yet. */
  readonly place?: number
  /** What wrote it; a version that somebody else added has none. */
  readonly operation?: string
  readonly before?: string
  readonly stage: 'current' | 'previous' | 'pending' | 'past' | 'gone'
  /** Epoch milliseconds. */
  readonly at: number
  readonly disabled?: boolean
}

/** Everything that is kept of a secret beside its values. */
export interface SecretState {
  readonly entries: readonly Entry[]
  readonly labels: Readonly<Record<string, string>>
  readonly description?: string
  readonly expires?: number
}

/** What the labels of one secret may be. Annotations have 16 KiB together; this leaves room for the record and a description. */
export const googleLabelLimits = { pairs: 40, keyBytes: 63, valueBytes: 256 }

const annotationBytes = 16_384
const keptEntries = 16
/** Annotations of ours that are no labels. */
const own = { record: 'latchkey-versions', name: 'latchkey-name', expires: 'latchkey-expires', description: 'description' }
const ownKeys: ReadonlySet<string> = new Set(Object.values(own))
/** What lists select by is a label of Google's as well. */
const filterable: ReadonlySet<string> = new Set(['managed-by', 'latchkey-key-id', 'latchkey-state', 'latchkey-team', 'latchkey-token-sha256'])
const stages = { c: 'current', v: 'previous', n: 'pending', p: 'past', g: 'gone' } as const

const refuse = (message: string): LatchkeyError => new LatchkeyError('invalid_request', `tags: ${message}.`, { param: 'tags', issues: [{ path: 'tags', message }] })

/** A value as one of Google's labels: itself where it is legal, else escaped, else hashed. */
const labelText = (key: string, value: string): string => {
  if (key === 'latchkey-token-sha256') return value.slice(0, 63)
  const escaped = Buffer.from(value, 'utf8').reduce((text, byte) => text + (/[a-z0-9_]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `-${byte.toString(16).padStart(2, '0')}`), '')
  return escaped.length <= 63 ? escaped : hash('sha256', value, 'hex').slice(0, 63)
}

/** What a list's filter says of a label; nothing where Google cannot select by it. */
export const labelFilter = (key: string, value: string): string | undefined => (filterable.has(key) ? `labels.${key}=${labelText(key, value)}` : undefined)

/** The annotations that a secret is made with. */
export const firstAnnotations = (name: string): Readonly<Record<string, string>> => ({ [own.name]: name })

/** Our name of a secret that Latchkey made. */
export const nameAnnotation = (secret: GoogleSecret): string | undefined => secret.annotations[own.name]

/** The labels as they were written: annotations, and what Google's labels say alone. */
const labelsOf = ({ labels, annotations }: GoogleSecret): Record<string, string> => ({ ...labels, ...Object.fromEntries(Object.entries(annotations).filter(([key]) => !ownKeys.has(key))) })

const entryOf = (raw: unknown): Entry | undefined => {
  if (!Array.isArray(raw)) return undefined
  const [letter, place, operation, before, at, disabled] = raw as readonly unknown[]
  const stage = typeof letter === 'string' && Object.hasOwn(stages, letter) ? stages[letter as keyof typeof stages] : undefined
  if (stage === undefined || typeof at !== 'number' || (typeof place !== 'number' && typeof operation !== 'string')) return undefined
  return { stage, at, ...(typeof place === 'number' && { place }), ...(typeof operation === 'string' && { operation }), ...(typeof before === 'string' && { before }), ...(disabled === 1 && { disabled: true }) }
}

const entriesOf = (text: string): readonly Entry[] => {
  try {
    const raw: unknown = JSON.parse(text)
    const entries = Array.isArray(raw) ? raw.map(entryOf) : [undefined]
    if (entries.every((entry) => entry !== undefined)) return entries
  } catch {
    // What JSON.parse says shows the text.
  }
  throw new LatchkeyError('integrity', `The annotation ${own.record} of a secret is not what Latchkey wrote there; somebody else has changed it.`)
}

/** What a secret says of itself. `recorded`: it has a record of ours, so that its versions are what the record says. @throws integrity */
export const stateOf = (secret: GoogleSecret): { readonly state: SecretState; readonly recorded: boolean } => {
  const { [own.record]: record, [own.description]: description, [own.expires]: expires } = secret.annotations
  const until = expires === undefined ? secret.expires?.getTime() : Date.parse(expires)
  return {
    recorded: record !== undefined,
    state: { entries: record === undefined ? [] : entriesOf(record), labels: labelsOf(secret), ...(description !== undefined && { description }), ...(until !== undefined && Number.isFinite(until) && { expires: until }) },
  }
}

/** The same state with labels, description or expiry changed. */
export const annotated = (state: SecretState, { labels = {}, description, expires }: Pick<Annotation, 'labels' | 'description' | 'expires'>): SecretState => {
  const { expires: until, ...rest } = state
  const kept = Object.entries({ ...state.labels, ...labels }).filter((pair): pair is [string, string] => pair[1] !== null)
  const end = expires === undefined ? until : expires?.getTime()
  return { ...rest, labels: Object.fromEntries(kept), ...(description !== undefined && { description }), ...(end !== undefined && { expires: end }) }
}

/** Refuses labels that the service cannot hold. @throws invalid_request naming the limit */
export const checkLabels = (labels: Readonly<Record<string, string | null>>): void => {
  const { pairs, keyBytes, valueBytes } = googleLabelLimits
  const entries = Object.entries(labels)
  if (entries.length > pairs) throw refuse(`there are ${entries.length}; Latchkey keeps ${pairs} on Google Secret Manager`)
  for (const [key, value] of entries) {
    if (!/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(key)) throw refuse(`on Google Secret Manager a name has 1 to ${keyBytes} of A-Z a-z 0-9 . _ - and begins and ends with a letter or digit`)
    if (ownKeys.has(key)) throw refuse(`the name ${key} is Latchkey's own on Google Secret Manager`)
    if (value !== null && (Buffer.byteLength(value) > valueBytes || !value.isWellFormed())) throw refuse(`on Google Secret Manager a value has at most ${valueBytes} bytes`)
  }
}

/**
 * What to change of `secret` so that it says `state`. With `record` the versions too, and the alias `current`.
 * @throws invalid_request when the annotations would be larger than the service allows
 */
export const changeTo = (secret: GoogleSecret, { entries, labels, description, expires }: SecretState, record: boolean): SecretChange => {
  const kept = Object.entries(labels)
  const shown = kept.filter(([key]) => filterable.has(key)).map(([key, value]) => [key, labelText(key, value)] as const)
  const exact = kept.filter(([key, value]) => (filterable.has(key) ? labelText(key, value) !== value : secret.labels[key] !== value))
  const foreign = Object.entries(secret.labels).filter(([key]) => !filterable.has(key) && Object.hasOwn(labels, key))
  const { [own.record]: before, [own.name]: name } = secret.annotations
  const text = record ? JSON.stringify(lastEntries(entries).map(({ stage, place, operation, before: base, at, disabled }) => [Object.entries(stages).find(([, each]) => each === stage)?.[0], place ?? null, operation ?? null, base ?? null, at, ...(disabled === true ? [1] : [])])) : before
  const annotations = {
    ...Object.fromEntries(exact),
    ...(text !== undefined && { [own.record]: text }),
    ...(name !== undefined && { [own.name]: name }),
    ...(description !== undefined && { [own.description]: description }),
    ...(expires !== undefined && expires !== secret.expires?.getTime() && { [own.expires]: new Date(expires).toISOString() }),
  }
  const size = Object.entries(annotations).reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), 0)
  if (size > annotationBytes) throw refuse(`description, tags and what Latchkey itself keeps take ${size} bytes; Google Secret Manager has ${annotationBytes} for them`)
  const current = entries.find(({ stage }) => stage === 'current')?.place
  return { annotations, labels: Object.fromEntries([...foreign, ...shown]), ...(record && current !== undefined && { aliases: { ...secret.aliases, current: String(current) } }) }
}

/** The newest entries, with everything that a stage is on. */
const lastEntries = (entries: readonly Entry[]): readonly Entry[] => {
  const spare = entries.filter(({ stage }) => stage === 'past' || stage === 'gone').slice(0, Math.max(0, entries.length - keptEntries))
  return entries.filter((entry) => !spare.includes(entry))
}

/** The id by which a version is named: its number, and until it has one its operation. */
export const idOf = ({ place, operation }: Entry): string => (place === undefined ? (operation ?? '') : String(place))

/** The entry that an id means. A version that was pending keeps answering to the id that it had then. */
export const entryNamed = (state: SecretState | undefined, id: string): Entry | undefined => state?.entries.find((entry) => idOf(entry) === id || entry.operation === id)

/** The entry at a stage. */
export const entryAt = (state: SecretState | undefined, stage: Entry['stage']): Entry | undefined => state?.entries.find((entry) => entry.stage === stage)

/** An entry as callers see it. */
export const versionOf = (entry: Entry): Version => {
  const { stage, operation, before, at, disabled } = entry
  const epoch = /^(\d{1,15})-[a-z]+-[0-9a-f]+$/.exec(operation ?? '')?.[1]
  const on: readonly Stage[] = stage === 'past' || stage === 'gone' ? [] : [stage]
  return { id: idOf(entry), stages: on, enabled: disabled !== true && stage !== 'gone', created: new Date(at), ...(operation !== undefined && { operation }), ...(epoch !== undefined && { epoch: Number(epoch) }), ...(before !== undefined && { before }) }
}

/** One version more at the end; with a new current one the others move back. */
export const withEntry = (entries: readonly Entry[], entry: Entry): readonly Entry[] => {
  const back: Partial<Record<Entry['stage'], Entry['stage']>> = entry.stage === 'current' ? { current: 'previous', previous: 'past' } : {}
  return [...entries.filter((old) => old.operation === undefined || old.operation !== entry.operation).map((old) => ({ ...old, stage: back[old.stage] ?? old.stage })), entry]
}
