// A key under a new name: half of a renaming. The secret under the new name says whose it is and where it comes from; it is a key only once the secret under the old
// name ended by that same renaming, because one record decides. Until then the old one is the key, and this is taken away again by whoever meets it.
import { createdName } from '../names/created.ts'
import type { Call } from '../runtime.ts'
import type { SecretName } from '../secret.ts'
import { isCode } from '../errors.ts'
import type { Stamp } from '../keys/operation.ts'
import { arrivalOf, keyLabels, standingOf, stampOf, type KeyRecord } from '../keys/record.ts'
import type { KeyRecords } from '../keys/records.ts'
import type { KeySettling } from './settling.ts'

/** What the state label says while a key moves: on the new name where it comes from, on the old one where it went. */
export const movedLabel = (which: 'from' | 'to', name: SecretName): string => `${which} ${name.text}`

/** The other name of a key that moves or moved. */
export const otherName = (record: KeyRecord, which: 'from' | 'to'): SecretName | undefined => {
  const text = record.facts.labels[keyLabels.state] ?? ''
  if (!text.startsWith(`${which} `)) return undefined
  try {
    return createdName(text.slice(which.length + 1))
  } catch (error) {
    if (isCode(error, 'invalid_request')) return undefined
    throw error
  }
}

/** Whether a key has left this name for another one. The label that says where to may follow the tombstone; the stamp of the renaming stands before that. */
export const hasMoved = (record: KeyRecord): boolean => record.revoked && (otherName(record, 'to') !== undefined || stampOf(record, record.operation?.id)?.verb === 'rename')

/** What stands under the name that a record comes from; nothing when it says none, or when that is gone for good. */
export const sourceOf = async (records: KeyRecords, record: KeyRecord, call: Call): Promise<KeyRecord | undefined> => {
  const from = otherName(record, 'from')
  return from === undefined ? undefined : records.describe(from, call)
}

/** Whether a record that arrives is the key by now: its source has ended by the same renaming, or is gone for good. */
export const hasArrived = (record: KeyRecord, source: KeyRecord | undefined, stamp: Stamp): boolean =>
  // Over a tombstone that led elsewhere its own labels have not come yet.
  otherName(record, 'to') === undefined && (source === undefined || ['current', 'past'].includes(standingOf(source, stamp.id)))

/** A record as a key: itself, or nothing where it only arrives yet. */
export const unlessArriving = async (records: KeyRecords, record: KeyRecord | undefined, call: Call): Promise<KeyRecord | undefined> => {
  // What says that it arrives follows the version where labels do, and may still be another key's.
  if (record?.operation?.verb === 'rename' && !record.complete) return undefined
  const stamp = record === undefined ? undefined : arrivalOf(record)
  return record === undefined || stamp === undefined || hasArrived(record, await sourceOf(records, record, call), stamp) ? record : undefined
}

/** Makes a renamed key findable under these names, by its id and by the hash of a token that was supplied or adopted: a rotation that was ruled out has left that as the one before. */
export const indexNames = async (records: KeyRecords, { keyId, facts: { labels } }: KeyRecord, names: readonly [SecretName, ...SecretName[]], call: Call): Promise<void> => {
  for (const id of [keyId, labels[keyLabels.token], labels[keyLabels.previousToken]]) if (id !== undefined) await records.writeIndex(id, names, call)
}

/** Ends a renaming that took effect: the gateway follows, the old secret's remains go, and the new one is done. */
export const finishArrival = async (settling: KeySettling, records: KeyRecords, record: KeyRecord, stamp: Stamp, call: Call): Promise<void> => {
  const source = await sourceOf(records, record, call)
  if (source?.operation?.id === stamp.id && stampOf(source, stamp.id)?.step !== 'done') await settling.bury(source, stamp, record.keyId ?? '', call, record)
  await settling.follow(record, call)
  await indexNames(records, record, [record.name], call)
  await settling.done(record, stamp, call, { [keyLabels.state]: null })
}
