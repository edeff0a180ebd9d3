// Tombstones: how one is written, the undo of what cannot be finished, and the end of one that another operation left half done.
import { findKey } from '../keys/finding.ts'
import { derivedId, type Operation, type Stamp } from '../keys/operation.ts'
import { operationText } from '../keys/operation-text.ts'
import { arrivalOf, keyLabels, keyOfPast, stampOf, type KeyRecord } from '../keys/record.ts'
import type { KeyRecords } from '../keys/records.ts'
import type { WriteOutcome } from '../provider.ts'
import type { Call } from '../runtime.ts'
import type { KeyHouse } from './steps.ts'

type House = Pick<KeyHouse, 'records' | 'steps' | 'settling' | 'rows'>

/**
 * Ends the version `before`, while it is current. `evicted`: what must be remembered of the stamp whose slot this takes. Gives the labels too: where they do not travel with a
 * version, they follow. None of them may harm a key that is created on top before they land: the key id stays in the stamp. @throws conflict, not_found
 */
export const writeTombstone = async ({ records, steps }: Pick<House, 'records' | 'steps'>, record: KeyRecord, operation: Operation, stamp: Pick<Stamp, 'step' | 'keyId' | 'kept'> & { readonly before: string }, evicted: Readonly<Record<string, string>>, call: Call): Promise<WriteOutcome & { readonly labels: Readonly<Record<string, string>> }> => {
  const { name } = record
  const { before } = stamp
  const epoch = record.epoch + 1
  const labels = { [keyLabels.managedBy]: 'latchkey', [keyLabels.state]: 'revoked', [keyLabels.epoch]: String(epoch), ...evicted, ...steps.stamp(operation, epoch, stamp) }
  const written = await records.send('write', name, call, { name, value: steps.tombstone(), expect: { version: before }, before, operation: operationText(epoch, operation), epoch, stage: 'current', labels })
  return { ...written, labels }
}

/** The undo of a creation, or of an arrival: a tombstone by the conditional step, with an operation id of its own, then the token at the gateway, unless the key lives on elsewhere. */
export const undo = async ({ records, steps, settling }: Pick<House, 'records' | 'steps' | 'settling'>, record: KeyRecord, operation: { readonly id: string }, call: Call, lives?: KeyRecord): Promise<void> => {
  const own: Operation = { id: derivedId(`undo ${operation.id}`), verb: 'delete' }
  const { name, current, keyId = '' } = record
  if (current === undefined) return
  await writeTombstone({ records, steps }, record, own, { step: 'revoking', before: current.id, keyId }, steps.evicted(record, own, record.epoch + 1, true), call)
  const buried = await records.describe(name, call)
  if (buried?.operation?.id === own.id) await settling.bury(buried, own, keyId, call, lives)
}

/** The version that a key may be written over, where no key lives; nothing when something had to be mended first, and the facts must be read again. @throws conflict when what stands there is still under way */
export const makeWay = async (house: House, record: KeyRecord, call: Call): Promise<string | undefined> => {
  const { records, steps } = house
  const { name, current } = record
  if (current === undefined) {
    await records.send('recover', name, call, name)
    return undefined
  }
  if (!record.revoked) steps.refuseYoung(current.created)
  if (await settleTombstone(house, record, call)) return undefined
  for (const { created } of steps.changesOnTheWay(record)) steps.refuseYoung(created)
  steps.refusePurging(record)
  return current.id
}

/** Ends a tombstone whose operation stopped before it was done: of a renaming, where the key lives on. `false`: there is nothing to end. Without a gateway only a renaming must be. */
const settleTombstone = async ({ records, settling, rows }: House, record: KeyRecord, call: Call): Promise<boolean> => {
  const { revoked, operation } = record
  const stamp = stampOf(record, operation?.id)
  if (!revoked || operation === undefined || (stamp !== undefined && stamp.step !== 'revoking') || (rows === undefined && stamp?.verb !== 'rename')) return false
  await endTombstone({ records, settling }, record, stamp ?? operation, call)
  return true
}

/** The key of that id under another name, where it lives: it has the token of a renaming that was begun or taken back. */
export const livingElsewhere = async (records: KeyRecords, record: KeyRecord, keyId: string, call: Call): Promise<KeyRecord | undefined> => {
  const there = await findKey(records, { keyId }, call)
  return there !== undefined && there.complete && !there.revoked && there.name.text !== record.name.text ? there : undefined
}

/** Ends a tombstone: nothing of the key stays, unless it lives on under another name. */
export const endTombstone = async ({ records, settling }: Pick<House, 'records' | 'settling'>, record: KeyRecord, stamp: Pick<Stamp, 'id' | 'verb' | 'digest' | 'keyId'>, call: Call): Promise<void> => {
  // Where labels follow a version apart they may still be those of the key before; the versions say whose tombstone it is.
  const keyId = stamp.keyId ?? keyOfPast(record, stamp.id) ?? record.keyId ?? ''
  const lives = await livingElsewhere(records, record, keyId, call)
  const arriving = lives === undefined ? undefined : arrivalOf(lives)
  if (lives !== undefined && arriving?.id === stamp.id) await settling.finish(lives, arriving, call)
  else await settling.bury(record, stamp, keyId, call, lives)
}
