// The gateway is made to say of a key what its labels say. What was read before that may be over by then: who went on with the key has told the gateway of it already, and what is
// said here after that would undo it. So the record is read once more, and a token that is not the key's any more is given its end again.
import type { Call } from '../runtime.ts'
import type { KeyAnswers } from '../keys/answers.ts'
import { isForeign, type KeyRecord } from '../keys/record.ts'
import { hasMoved } from './arrival.ts'
import type { GatewayRows } from './gateway-rows.ts'
import { refOf, sameToken } from './key-tokens.ts'

/** Tells the gateway what the labels of `record` say. A deletion or a rotation may have come meanwhile: then what was added, unblocked or prolonged ends as that says. `unblocks`: as in {@link GatewayRows.follow}. */
export const followKey = async (rows: GatewayRows, answers: KeyAnswers, record: KeyRecord, unblocks: boolean, call: Call): Promise<void> => {
  const { records } = answers
  const told = await rows.follow(record, answers.graces(record), unblocks, call)
  const after = await records.describe(record.name, call)
  if (told === undefined) return
  if (after === undefined || (after.revoked && !hasMoved(after))) return rows.blockAll(record, [told], call)
  if (after.revoked || !after.complete || after.keyId !== record.keyId || after.current?.id === record.current?.id || isForeign(after)) return
  const current = await refOf(records, after, after.current?.id, call)
  // The same token may have been written once more.
  if (current === undefined || sameToken(current, told)) return
  for (const { before, until } of answers.graces(after)) {
    const former = await refOf(records, after, before, call)
    if (former !== undefined && sameToken(former, told)) return rows.retire(after, before, until, call)
  }
  await rows.retire(after, told, undefined, call)
}
