// Purge: the service's own delete of a tombstone that has been kept long enough. First a conditional step that says so, because that delete takes no condition where it
// matters: whoever would make a key here meanwhile waits until a delete on its way has landed or never will.
import { createHash } from 'node:crypto'
import { keyLabels, stampOf, type KeyRecord } from '../keys/record.ts'
import { isUnanswered, type KeyRecords } from '../keys/records.ts'
import { operationText } from '../keys/operation-text.ts'
import type { Operation } from '../keys/operation.ts'
import type { Call } from '../runtime.ts'
import type { KeySteps } from './steps.ts'

/** @throws conflict when somebody else changed the secret meanwhile */
export const purgeTombstone = async (records: KeyRecords, steps: KeySteps, record: KeyRecord, call: Call): Promise<void> => {
  const { name, current } = record
  if (current === undefined || !record.revoked) return
  let tombstone = current.id
  if (stampOf(record, record.operation?.id)?.step !== 'purging') {
    const epoch = record.epoch + 1
    const purge: Operation = { id: createHash('sha256').update(`purge ${name.text} ${current.id}`).digest('hex').slice(0, 32), verb: 'delete' }
    const keyId = stampOf(record, record.operation?.id)?.keyId
    const labels = { [keyLabels.managedBy]: 'latchkey', [keyLabels.state]: 'revoked', [keyLabels.epoch]: String(epoch), ...steps.evicted(record, purge, epoch, true), ...steps.stamp(purge, epoch, { step: 'purging', before: current.id, ...(keyId === undefined ? {} : { keyId }) }) }
    const text = operationText(epoch, purge)
    await records.send('write', name, call, { name, value: steps.tombstone(), expect: { version: current.id }, before: current.id, operation: text, epoch, stage: 'current', labels })
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
