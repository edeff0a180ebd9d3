// How a claim is ruled out for good. To discard it says nothing to whoever paused with it in hand and makes it current afterwards, so its epoch is used up first: the token that is
// current is written once more, by the operation that it belongs to, under the epoch that the claim was made for. From then on no conditional step of the claim holds.
import { isCode } from '../errors.ts'
import { derivedId, seenLabel } from '../keys/operation.ts'
import { operationText } from '../keys/operation-text.ts'
import { keyLabels, type KeyRecord } from '../keys/record.ts'
import type { KeyRecords } from '../keys/records.ts'
import type { Call } from '../runtime.ts'
import { withOvertaken } from './overtaken.ts'
import type { KeySteps } from './steps.ts'

/**
 * The record once no claim for its next epoch can take effect any more; `overtaken` where another step came first and nothing was written, nothing where one came after, so that the facts
 * must be read again; `full` where the service has no room for a version more. Repeated, and by two at once, it is done once. `more`: labels that come with the version.
 */
export const useUpEpoch = async (records: KeyRecords, steps: KeySteps, record: KeyRecord, call: Call, more: Readonly<Record<string, string>> = {}): Promise<KeyRecord | 'full' | 'overtaken' | undefined> => {
  const { name, current } = record
  if (current === undefined) return 'overtaken'
  // A value that LiteLLM wrote and Latchkey adopted has no operation; it gets one here.
  const operation = record.operation ?? { verb: 'adopt' as const, id: derivedId(`adopt ${name.text} ${current.id}`) }
  const epoch = record.epoch + 1
  const seen = withOvertaken(record, steps.memory)
  try {
    const value = await records.read(name, current.id, call)
    await records.send('write', name, call, { name, value, expect: { version: current.id }, before: current.id, operation: operationText(epoch, operation), epoch, stage: 'current', labels: { [keyLabels.epoch]: String(epoch), ...(seen === undefined ? {} : { [seenLabel]: seen }), ...more } })
  } catch (error) {
    if (isCode(error, 'provider_quota')) return 'full'
    if (!isCode(error, 'conflict', 'not_found', 'version_disabled')) throw error
    return 'overtaken'
  }
  const now = await records.describe(name, call)
  return now?.operation?.id === operation.id && now.epoch === epoch ? now : undefined
}
