// The record of one secret, and the chain it stands in: JSON texts, one a version of a companion secret, each naming the one it is based on. The first of two writers wins
// for everybody who folds, because the service numbers versions one after the other and never changes one.
import { LatchkeyError } from '../../core/errors.ts'
import type { Annotation } from '../../core/provider.ts'
import { SecretValue, type Version } from '../../core/secret.ts'

/** One version of the secret, as the record knows it. */
export interface Entry {
  readonly id: string
  readonly operation?: string
  readonly before?: string
  /** Epoch milliseconds. */
  readonly at: number
  readonly stage: 'current' | 'previous' | 'pending' | 'past' | 'gone'
  /** The value as base64. */
  readonly value?: string
  /** In place of a value: the number under which the service itself has it, where it was there before the record. */
  readonly native?: number
}

/** What is known of one secret. */
export interface State {
  readonly entries: readonly Entry[]
  readonly labels: Readonly<Record<string, string>>
  readonly description?: string
  readonly created: number
  /** Names the link whose current value and labels the secret itself must show. */
  readonly shown?: string
}

/** One version of the companion. */
export interface Link {
  /** The id of the secret that this is about: one deleted and made anew is another. */
  readonly root: string
  /** The id of the companion itself; the first link cannot know it. */
  readonly of?: string
  /** The number of the last valid link before it; 0 for none. */
  readonly before: number
  /** The newest number that its writer saw: all between `before` and this are known not to count. */
  readonly over: number
  readonly nonce: string
  readonly state: State
}

/** A link under its number. */
export interface Numbered {
  readonly number: number
  readonly link: Link
}

const keptEntries = 16

/** A link as the companion holds it: no space at its ends, and no `$` that the service could take for a reference. */
export const linkText = (link: Link): SecretValue => SecretValue.of(JSON.stringify(link).replaceAll('$', '\\u0024'))

/** The link in a version of the companion `id`; nothing where somebody else wrote it, or where it stood in another companion of that name. */
export const linkOf = (id: string, number: number, value: SecretValue): Numbered | undefined => {
  try {
    const link = JSON.parse(value.reveal()) as Link
    const whole = typeof link.root === 'string' && Number.isSafeInteger(link.before) && Number.isSafeInteger(link.over) && typeof link.nonce === 'string' && Array.isArray(link.state.entries)
    return whole && (link.of === id || (link.of === undefined && number === 1)) ? { number, link } : undefined
  } catch {
    return undefined
  }
}

/** Whether a link is valid by itself: it lies directly on what its writer had folded. */
export const provesItself = ({ number, link }: Numbered): boolean => link.over === number - 1 && link.before <= link.over

/** The valid links among the newest ones, oldest first. Where none proves itself the chain is taken up at the newest link that any of them is based on. */
export const foldLinks = (links: readonly Numbered[]): readonly Numbered[] => {
  const start = links.findLastIndex(provesItself)
  const from = links[Math.max(start, 0)]
  if (from === undefined) return []
  const valid: Numbered[] = start < 0 ? [] : [from]
  const anchor = Math.max(...links.map(({ link }) => link.before).filter((before) => before < from.number), 0)
  for (const one of links.slice(start + 1)) if (one.link.before === (valid.at(-1)?.number ?? anchor)) valid.push(one)
  return valid
}

/** The mark that a secret itself carries: the operation of its value, the number under which that was written, and the link it shows. */
export const markLabel = 'latchkey-version'

/** What a mark says. */
export interface Mark {
  readonly operation: string
  readonly number: number
  readonly shown?: string
}

/** The mark as text. */
export const markText = ({ operation, number, shown }: Mark): string => [operation, number, ...(shown === undefined ? [] : [shown])].join(' ')

/** The mark of a secret; nothing where Latchkey never wrote it. `-` stands for a value that somebody else wrote and Latchkey annotated. */
export const markOf = (metadata: Readonly<Record<string, string>>): Mark | undefined => {
  const [, operation = '', number = '', shown] = /^(-|[a-z0-9-]{32,64}) (\d{1,12})(?: ([a-z0-9]{8,64}))?$/.exec(metadata[markLabel] ?? '') ?? []
  return operation === '' ? undefined : { operation, number: Number(number), ...(shown !== undefined && { shown }) }
}

/** The labels among a secret's pairs. */
export const labelsOf = (metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
  const { [markLabel]: _mark, ...labels } = metadata
  return labels
}

/** The entry that a stage is on. */
export const entryAt = (state: State | undefined, stage: Entry['stage']): Entry | undefined => state?.entries.find((entry) => entry.stage === stage)

/** An entry as the core knows versions. */
export const versionOf = ({ id, operation, before, at, stage }: Entry): Version => {
  const epoch = /^(\d{1,9})-/.exec(operation ?? '')?.[1]
  const stages = stage === 'current' || stage === 'previous' || stage === 'pending' ? [stage] : []
  return { id, stages, enabled: stage !== 'gone', created: new Date(at), ...(operation !== undefined && { operation }), ...(epoch !== undefined && { epoch: Number(epoch) }), ...(before !== undefined && { before }) }
}

const bare = ({ value: _value, native: _native, ...entry }: Entry, stage: 'past' | 'gone'): Entry => ({ ...entry, stage })

/** Base64 of values that no stage is on, all together; the record stays a request of a size that any server takes. */
const pastRoom = 65_536

/** The newest entries, and the values of former ones as far as there is room: a token may still be in its grace. */
const kept = (entries: readonly Entry[]): readonly Entry[] => {
  let room = pastRoom
  return entries.slice(-keptEntries).toReversed().map((entry) => {
    if (entry.stage !== 'past') return entry
    room -= entry.value?.length ?? 0
    return room < 0 ? bare(entry, 'past') : entry
  }).toReversed()
}

/** A version of its own takes the place of the current one. */
export const moved = (state: State, entry: Entry): State => {
  const entries = state.entries.filter(({ id }) => id !== entry.id).map((old): Entry => (old.stage === 'current' ? { ...old, stage: 'previous' } : old.stage === 'previous' ? { ...old, stage: 'past' } : old))
  return { ...state, entries: kept([...entries, { ...entry, stage: 'current' }]) }
}

/** A claim beside what is current. */
export const claimed = (state: State, entry: Entry): State => ({ ...state, entries: kept([...state.entries.filter(({ id }) => id !== entry.id), entry]) })

/** A version that no stage leads to any more. */
export const discarded = (state: State, version: string): State => ({ ...state, entries: state.entries.map((entry) => (entry.id === version ? bare(entry, 'gone') : entry)) })

/** Labels and description as a write or an annotation changes them. */
export const annotated = (state: State, { labels = {}, description }: Pick<Annotation, 'labels' | 'description'>): State => {
  const merged: Record<string, string | null> = { ...state.labels, ...labels }
  const kept = Object.fromEntries(Object.entries(merged).filter((pair): pair is [string, string] => pair[1] !== null))
  return { ...state, labels: kept, ...(description !== undefined && { description: description.trim() }) }
}

/** What a secret holds of its own. */
export const valueOf = ({ value }: Entry): SecretValue | undefined => (value === undefined ? undefined : SecretValue.ofBytes(Buffer.from(value, 'base64')))

/** What the service keeps of labels. */
export const labelLimits = { pairs: 60, keyBytes: 255, valueBytes: 1_000 } as const

/** @throws invalid_request, too_large naming the label and the limit, before anything is sent */
export const refuseLabels = (labels: Readonly<Record<string, string | null>>): void => {
  const wrong = (key: string, message: string): LatchkeyError => new LatchkeyError('invalid_request', `labels: ${/^[\w .:/=+@-]{1,64}$/.test(key) ? `"${key}"` : 'a label'} ${message}`, { issues: [{ path: 'labels', message }], param: 'labels' })
  for (const [key, text] of Object.entries(labels)) {
    if (key === markLabel) throw wrong(key, 'is a label that Latchkey keeps for itself')
    if (key.trim() !== key || key === '' || (text !== null && text.trim() !== text)) throw wrong(key, 'is empty or has space at an end, which Infisical would cut off')
    if (Buffer.byteLength(key) > labelLimits.keyBytes) throw wrong(key, `is ${Buffer.byteLength(key)} bytes long; Infisical allows ${labelLimits.keyBytes}`)
    if (text !== null && Buffer.byteLength(text) > labelLimits.valueBytes) throw wrong(key, `has a value of ${Buffer.byteLength(text)} bytes; Infisical allows ${labelLimits.valueBytes}`)
  }
  if (Object.keys(labels).length > labelLimits.pairs) throw wrong('', `is one of ${Object.keys(labels).length}; Infisical keeps ${labelLimits.pairs} here`)
}

/** The largest value, in bytes of UTF-8. The service names no limit of its own; three of these fit into one request. */
export const maxValueBytes = 65_536

/** Whether the service would keep a text exactly: it cuts space at both ends, but one newline at the very end stays. */
export const keptExactly = (text: string): boolean => text === (text.endsWith('\n') ? `${text.trim()}\n` : text.trim())

/** @throws too_large, invalid_request before anything is sent: what is read later is what was accepted */
export const refuseValue = (value: SecretValue): void => {
  const wrong = (code: 'too_large' | 'invalid_request', message: string): LatchkeyError => new LatchkeyError(code, `value: ${message}`, { issues: [{ path: 'value', message }], param: 'value' })
  if (value.byteLength > maxValueBytes) throw wrong('too_large', `is ${value.byteLength} bytes long; Infisical takes at most ${maxValueBytes} from Latchkey`)
  if (!value.isText) throw wrong('invalid_request', 'must be text; Infisical cannot hold other bytes')
  if (!keptExactly(value.reveal())) throw wrong('invalid_request', 'has space or line breaks at an end; Infisical would cut them off. One newline at the very end is kept')
}
