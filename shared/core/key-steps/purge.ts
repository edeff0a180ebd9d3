// Purge: the service's own delete of a tombstone that has been kept long enough. First a conditional step that says so, because that delete takes no condition where it
// matters: whoever would make a key here meanwhile waits until a delete on its way has landed or never will.
import { stampOf, type KeyRecord } from '../keys/record.ts'
import { isUnanswered, type KeyRecords } from '../keys/records.ts'
import { derivedId, type Operation } from '../keys/operation.ts'
import type { Call } from '../runtime.ts'
import type { KeySteps } from './steps.ts'
import { writeTombstone } from './tombstones.ts'

/** @throws conflict when somebody else changed the secret meanwhile */
export const purgeTombstone = async (records: KeyRecords, steps: KeySteps, record: KeyRecord, call: Call): Promise<void> => {
  const { name, current } = record
  if (current === undefined || !record.revoked) return
  let tombstone = current.id
  if (stampOf(record, record.operation?.id)?.step !== 'purging') {
    const purge: Operation = { id: derivedId(`purge ${name.text} ${current.id}`), verb: 'delete' }
    const keyId = stampOf(record, record.operation?.id)?.keyId
    const evicted = steps.evicted(record, purge, record.epoch + 1, true)
    const { labels } = await writeTombstone({ records, steps }, record, purge, { step: 'purging', before: current.id, ...(keyId === undefined ? {} : { keyId }) }, evicted, call)
    const after = await records.describe(name, call)
    if (after?.current === undefined || after.operation?.id !== purge.id) return
    tombstone = after.current.id
    // Where labels do not travel with a version they follow now; without them nothing is deleted, and the next sweep begins again.
    if (stampOf(after, purge.id)?.step !== 'purging') await steps.annotate(after, labels, call)
  }
  await records.send('remove', name, call, name, { expect: { version: tombstone }, final: false }).catch((error: unknown) => {
    if (!isUnanswered(error)) throw error
  })
}
