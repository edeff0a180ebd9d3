// Delete: a tombstone becomes current, then what was before it and beside it is retired. The service's own delete is no part of this: memory of the
// operation must outlive every late call.
import { isCode } from '../errors.ts'
import type { KeyAnswer, KeyTarget, OperationContext } from '../virtual-key.ts'
import { beginOperation, refuseOtherBody, rememberedMs } from './operation.ts'
import { keyOfPast, madeOf, stampOf, standingOf } from './record.ts'
import { missingKey, pastKey, refuseDoubtful } from './refusals.ts'
import { refOf } from '../key-steps/key-tokens.ts'
import { noteFailure } from '../key-steps/progress.ts'
import type { KeyHouse } from '../key-steps/steps.ts'
import { writeTombstone } from '../key-steps/tombstones.ts'

/** @throws not_found, conflict, forbidden, unsupported */
export const removeKey = async ({ store, records, steps, settling, rows, answers, options }: KeyHouse, target: KeyTarget, context: OperationContext): Promise<KeyAnswer> => {
  records.requireStorage()
  const { call } = context
  const found = await steps.found(target, call)
  const { name, keyId = '' } = found
  const operation = beginOperation('delete', context, name.text, options.random)

  return steps.drive(operation, call, found, async (progress) => {
    const record = await steps.record(progress, name, call)
    const standing = standingOf(record, operation.id)
    const stamp = stampOf(record, operation.id)
    const now = options.clock.now()
    refuseOtherBody(stamp, operation)
    const purge = (at: Date | undefined) => ({ purgeAfter: new Date((at?.getTime() ?? now) + rememberedMs), state: 'revoked' as const })
    if (standing === 'current') {
      progress.applied = 'yes'
      // What tells whose tombstone it is may go with the versions that end here; the labels that say so as well may follow later.
      const ended = (progress.keyId ??= keyOfPast(record, operation.id) ?? keyId)
      if (stamp?.step !== 'done') await settling.bury(record, operation, ended, call)
      return answers.answer(record, operation, { ...purge(madeOf(record)), keyId: ended })
    }
    if (standing === 'past') return answers.former(answers.answer(record, operation, purge(stamp?.at)), progress.applied === 'yes' ? keyId : pastKey(record, operation))
    // This instance saw its tombstone become current; what followed since may have taken every trace of it.
    if (progress.applied === 'yes') return answers.former(answers.answer(record, operation, purge(stamp?.at)), keyId)
    refuseDoubtful(standing)
    if (record.revoked || record.keyId !== keyId || record.current === undefined) throw missingKey(store.name, 'no')
    const epoch = record.epoch + 1
    const { id: before } = record.current
    // Tokens in grace are named by the stamps: of those whose stamp goes, one stays named in the tombstone's own, and any other ends now.
    const [kept, ...ended] = steps.displaced(record, operation, epoch)
    for (const grace of ended) await rows?.blockAll(record, [await refOf(records, record, grace.before, call)].filter((ref) => ref !== undefined), call)
    progress.applied = 'unknown'
    try {
      const { outcome, version } = await writeTombstone({ records, steps }, record, operation, { step: 'revoking', before, keyId, ...(kept === undefined ? {} : { kept }) }, steps.evicted(record, operation, epoch, true), call)
      if (outcome === 'written' || version?.stages.includes('current') === true) progress.applied = 'yes'
    } catch (error) {
      if (isCode(error, 'provider_quota') && (await records.landed(name, operation, call))) return 'again'
      noteFailure(progress, error)
      if (!isCode(error, 'conflict', 'not_found')) throw error
    }
    return 'again'
  })
}
