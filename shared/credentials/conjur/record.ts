// Conjur has numbered values and nothing else, so what Latchkey knows of a secret is one JSON text in a companion variable. Its versions are a chain: each names the
// number of the version that it was based on, and the first of two writers wins for everybody who folds. The text holds the values themselves.
import { hash } from 'node:crypto'
import type { Annotation, WriteRequest } from '../../core/provider.ts'
import { SecretValue, type Stage, type Version } from '../../core/secret.ts'

/** One version of a secret, as the record knows it. */
export interface Entry {
  readonly id: string
  /** Not there: somebody else wrote it. */
  readonly operation?: string
  readonly before?: string
  readonly at?: number
  readonly stage: Stage | 'past' | 'gone'
  /** There while a stage is on it, and afterwards while there is room: a grace may run on an older version. */
  readonly value?: SecretValue
  /** Tells whether the main variable holds it. */
  readonly sum: string
  /** Its number in the main variable, where somebody else wrote it. */
  readonly number?: number
}

/** All that is known of one secret. */
export interface Book {
  readonly entries: readonly Entry[]
  readonly labels: Readonly<Record<string, string>>
  readonly description?: string
  readonly expires?: number
  readonly created?: number
}

/** One version of the companion variable. */
export interface Link {
  /** The number of the companion's version that this one was based on; 0 for none. */
  readonly before: number
  /** Different in every sending, so that who wrote it knows it again. */
  readonly nonce: string
  readonly book: Book
}

const keptEntries = 16
const pastBytes = 65_536
const staged: ReadonlySet<string> = new Set(['current', 'previous', 'pending'])

/** A short digest of a value. */
export const sumOf = (value: SecretValue): string => hash('sha256', value.bytes(), 'hex').slice(0, 32)

/** The entry at a stage. */
export const atStage = (book: Book | undefined, stage: string): Entry | undefined => book?.entries.find((entry) => entry.stage === stage)

/** The text of a link. */
export const encodeLink = ({ before, nonce, book }: Link): SecretValue =>
  SecretValue.of(JSON.stringify({ latchkey: 1, before, nonce, ...book, entries: book.entries.map(({ value, ...rest }) => ({ ...rest, ...(value !== undefined && { value: value.bytes().toString('base64') }) })) }))

type RawEntry = Omit<Entry, 'value'> & { readonly value?: string }

interface Raw extends Omit<Book, 'entries'> {
  readonly latchkey?: unknown
  readonly before?: unknown
  readonly nonce?: unknown
  readonly entries?: unknown
}

/** What a version of the companion says, or nothing where it is none of ours. */
export const decodeLink = (text: SecretValue): Link | undefined => {
  let raw: Raw
  try {
    raw = JSON.parse(text.reveal()) as Raw
  } catch {
    // What the parser says of it shows its beginning.
    return undefined
  }
  if (raw === null || typeof raw !== 'object' || raw.latchkey !== 1 || typeof raw.before !== 'number' || typeof raw.nonce !== 'string' || !Array.isArray(raw.entries)) return undefined
  const { before, nonce, entries, labels, description, expires, created } = raw
  const opened = (entries as readonly RawEntry[]).map(({ value, ...rest }): Entry => ({ ...rest, ...(value !== undefined && { value: SecretValue.ofBytes(Buffer.from(value, 'base64')) }) }))
  return { before, nonce, book: { entries: opened, labels: { ...labels }, ...(description !== undefined && { description }), ...(expires !== undefined && { expires }), ...(created !== undefined && { created }) } }
}

/** The last valid one of numbered links, oldest first. Where the beginning is no longer kept, the chain is taken up at the link that is based on the newest one not kept. */
export const foldLinks = <T extends { readonly number: number; readonly link: Link }>(links: readonly T[]): T | undefined => {
  const first = links[0]
  if (first === undefined) return undefined
  let last = Math.max(...links.map(({ link }) => link.before).filter((before) => before < first.number))
  let valid: T | undefined
  for (const each of links) {
    if (each.link.before !== last) continue
    valid = each
    last = each.number
  }
  return valid
}

const epochOf = (operation: string | undefined): number | undefined => {
  const match = /^(\d{1,9})-/.exec(operation ?? '')
  return match === null ? undefined : Number(match[1])
}

/** An entry as the house speaks of versions. */
export const versionOf = ({ id, stage, at, operation, before }: Entry): Version => {
  const epoch = epochOf(operation)
  return {
    id,
    stages: stage === 'past' || stage === 'gone' ? [] : [stage],
    enabled: stage !== 'gone',
    ...(at !== undefined && { created: new Date(at) }),
    ...(operation !== undefined && { operation }),
    ...(epoch !== undefined && { epoch }),
    ...(before !== undefined && { before }),
  }
}

const bare = ({ value: _value, ...rest }: Entry): Entry => rest

/** At most so many entries are kept, and of past ones only so many bytes, the newest first; what has a stage is always whole. */
const trimmed = (entries: readonly Entry[]): readonly Entry[] => {
  let room = keptEntries - entries.filter(({ stage }) => staged.has(stage)).length
  let bytes = pastBytes
  const kept: Entry[] = []
  for (const entry of entries.toReversed()) {
    if (staged.has(entry.stage)) kept.push(entry)
    else if ((room -= 1) >= 0) kept.push((bytes -= entry.value?.byteLength ?? 0) >= 0 ? entry : bare(entry))
  }
  return kept.toReversed()
}

/** What becomes of the others when a version becomes current. */
const stepDown = (entry: Entry): Entry => (entry.stage === 'current' ? { ...entry, stage: 'previous' } : entry.stage === 'previous' ? { ...entry, stage: 'past' } : entry)

/** Labels, description and expiry changed; `null` takes off. */
export const annotated = (book: Book, change: Annotation): Book => {
  const labels = { ...book.labels }
  for (const [key, text] of Object.entries(change.labels ?? {})) {
    if (text === null) delete labels[key]
    else labels[key] = text
  }
  const { expires: until, ...rest } = book
  const expires = change.expires === undefined ? until : change.expires?.getTime()
  return { ...rest, labels, ...(change.description !== undefined && { description: change.description }), ...(expires !== undefined && { expires }) }
}

/** One version more. A claim leaves the others, and all that is said of the secret, alone. */
export const withWrite = (book: Book | undefined, { value, operation, stage, before = atStage(book, 'current')?.id, labels, description, expires }: WriteRequest, now: number): { readonly book: Book; readonly entry: Entry } => {
  const entry: Entry = { id: operation, operation, ...(before !== undefined && { before }), at: now, stage, value, sum: sumOf(value) }
  const others = (book?.entries ?? []).filter(({ id }) => id !== operation)
  const next: Book = { labels: {}, created: now, ...book, entries: trimmed([...(stage === 'pending' ? others : others.map(stepDown)), entry]) }
  return { entry, book: stage === 'pending' ? next : annotated(next, { ...(labels !== undefined && { labels }), ...(description !== undefined && { description }), ...(expires !== undefined && { expires }) }) }
}

/** The claim becomes current. */
export const withPromoted = (book: Book, claim: Entry): Book => ({ ...book, entries: trimmed([...book.entries.filter(({ id }) => id !== claim.id).map(stepDown), { ...claim, stage: 'current' }]) })

/** A version ends for good. */
export const withDiscarded = (book: Book, version: string): Book => ({ ...book, entries: book.entries.map((entry) => (entry.id === version ? { ...bare(entry), stage: 'gone' } : entry)) })

/**
 * What somebody else wrote into the main variable counts: it is on top of whatever is known. `numbers` are the versions that the variable has, oldest first.
 * An older value of ours in the variable is no such thing: it is a mirror that lags.
 */
export const withForeign = (book: Book | undefined, numbers: readonly number[], value: SecretValue): Book => {
  const top = String(numbers.at(-1) ?? 1)
  const unknown = numbers.slice(0, -1).map((number, index, all): Entry => ({ id: String(number), stage: index === all.length - 1 ? 'previous' : 'past', sum: '', number }))
  const older = (book?.entries.map(stepDown) ?? unknown).filter(({ id }) => id !== top)
  return { labels: {}, ...book, entries: trimmed([...older, { id: top, stage: 'current', value, sum: sumOf(value), number: Number(top) }]) }
}
