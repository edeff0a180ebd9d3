// What one version of a path in Vault's KV engine holds: the operator's fields as they are, the value under its field, and Latchkey's marks as names of further
// fields, because names can be seen without a value. Marks count only in the version that they were written for: whatever another writer copied of them says nothing.
import type { Stage, Version } from '../../core/secret.ts'

/** One value that a path holds or held. */
export interface MapEntry {
  /** The number of the version in which it first stood. */
  readonly id: string
  readonly stage: Stage | 'past' | 'gone'
  readonly enabled: boolean
  /** Empty where somebody else wrote it. */
  readonly operation: string
  readonly before: string
  /** Epoch milliseconds. */
  readonly at: number
  /** Of the sending that made it: whether an unanswered write was one's own. */
  readonly nonce: string
}

/** The fields of one version; where only names are known, every value is null. */
export type Fields = Readonly<Record<string, unknown>>

/** How many entries a path remembers, those without a value included: a repetition of any of their operations is known. */
export const rememberedEntries = 12

const markPattern = /^latchkey-(\d{1,9})\.(\d{1,2})-(current|previous|pending|past|gone)(-off)?-(\d{1,9})-(\d{0,9})-([0-9a-z]{1,10})\.([0-9a-f]{0,16})-([0-9a-z-]{0,64})$/
const nameOf = (number: number, place: number, { id, stage, enabled, operation, before, at, nonce }: MapEntry): string =>
  `latchkey-${number}.${place}-${stage}${enabled ? '' : '-off'}-${id}-${before}-${at.toString(36)}.${nonce}-${operation}`

/** The entries of a version in settled order. Where nobody marked it, it is one value that somebody else wrote. */
export const entriesOf = (fields: Fields, number: number, at: number): readonly MapEntry[] => {
  const marks = Object.keys(fields).flatMap((name) => {
    const [, written, place, stage, off, id, before, time, nonce, operation] = markPattern.exec(name) ?? []
    if (Number(written) !== number) return []
    return [{ place: Number(place), entry: { id: id ?? '', stage: stage as MapEntry['stage'], enabled: off === undefined, operation: operation ?? '', before: before ?? '', at: Number.parseInt(time ?? '', 36), nonce: nonce ?? '' } }]
  })
  if (!marks.some(({ entry }) => entry.stage === 'current')) return [{ id: String(number), stage: 'current', enabled: true, operation: '', before: '', at, nonce: '' }]
  return marks.toSorted((a, b) => a.place - b.place).map(({ entry }) => entry)
}

/** The fields that are not Latchkey's marks. */
export const ownFields = (fields: Fields): Record<string, unknown> => Object.fromEntries(Object.entries(fields).filter(([name]) => !markPattern.test(name)))

/** Where the value of an entry stands; the current one under the field that other readers know, unless it is disabled. */
const placeOf = (entry: MapEntry, field: string, number: number, place: number): string => (entry.stage === 'current' && entry.enabled ? field : nameOf(number, place, entry))

/** The value of an entry in the version that was read, as it stands there. `undefined`: this version does not hold it. */
export const heldValue = (fields: Fields, number: number, entries: readonly MapEntry[], entry: MapEntry, field: string): unknown => {
  const place = placeOf(entry, field, number, entries.indexOf(entry))
  return Object.hasOwn(fields, place) && (place === field || fields[place] !== null) ? fields[place] : undefined
}

const longestPast = 4096
/** A key's former token may still be in grace when Vault's own history has lost it; what a plain write replaced is for that history alone. */
const staysWhenPast = ({ operation }: MapEntry, value: unknown): boolean => !operation.startsWith('put-') && fieldText(value).length <= longestPast

/** The fields of the version after `number`: the operator's as they are, and every entry with the value that `valueOf` has for it. */
export const nextFields = (fields: Fields, number: number, field: string, entries: readonly MapEntry[], valueOf: (id: string) => unknown): Record<string, unknown> => {
  const { [field]: _replaced, ...others } = ownFields(fields)
  const next: Record<string, unknown> = others
  entries.forEach((entry, place) => {
    next[nameOf(number + 1, place, entry)] = null
    const value = entry.stage === 'gone' ? undefined : valueOf(entry.id)
    if (value !== undefined && (entry.stage !== 'past' || staysWhenPast(entry, value))) next[placeOf(entry, field, number + 1, place)] = value
  })
  return next
}

/** The entries after a new one: what was current is previous, what was previous is past. A claim moves nothing. */
export const withEntry = (entries: readonly MapEntry[], entry: MapEntry): readonly MapEntry[] => {
  const moved = entries.filter(({ id }) => id !== entry.id).map((old): MapEntry => {
    if (entry.stage !== 'current') return old
    return old.stage === 'current' ? { ...old, stage: 'previous' } : old.stage === 'previous' ? { ...old, stage: 'past' } : old
  })
  const surplus = moved.length + 1 - rememberedEntries
  const droppable = moved.filter(({ stage }) => stage === 'past' || stage === 'gone').slice(0, Math.max(0, surplus))
  return [...moved.filter((old) => !droppable.includes(old)), entry]
}

/** An entry as a version, as everybody outside knows it. */
export const versionOf = ({ id, stage, enabled, operation, before, at }: MapEntry): Version => {
  const epoch = /^(\d{1,9})-/.exec(operation)?.[1]
  return {
    id,
    stages: stage === 'past' || stage === 'gone' ? [] : [stage],
    enabled: enabled && stage !== 'gone',
    created: new Date(at),
    ...(operation !== '' && { operation }),
    ...(epoch !== undefined && { epoch: Number(epoch) }),
    ...(before !== '' && { before }),
  }
}

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown
const exactJson = JSON as unknown as { parse(text: string, reviver: Reviver): unknown; rawJSON(text: string): unknown }

/** Parses JSON so that numbers which a double cannot hold come out again as they were written. @throws SyntaxError */
export const parseExactly = (text: string): unknown => exactJson.parse(text, (_, value, { source }) => (typeof value === 'number' && source !== undefined && String(value) !== source ? exactJson.rawJSON(source) : value))

/** What a field holds as text: a string as it is, anything else as its JSON. */
export const fieldText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
