// Rotate: claim the next epoch with the new token, read again, stamp, make current, retire the version before. Each round takes one of these steps
// from what the facts say, so whoever resumes does the same.
import { isCode, LatchkeyError } from '../errors.ts'
import { mayReadValues } from '../policy.ts'
import type { Call } from '../runtime.ts'
import type { SecretValue } from '../secret.ts'
import { mintToken, type KeyAnswer, type KeyTarget, type OperationContext, type RotateRequest } from '../virtual-key.ts'
import { beginOperation, leaseMs, parseStamp, refuseOtherBody, type Operation } from './operation.ts'
import { isExpired, keyLabels, stampOf, standingOf, type KeyRecord } from './record.ts'
import { isUnanswered } from './records.ts'
import { inProgress, isRefusedByGateway, missingKey, notApplied, pastKey, refuseDoubtful } from './refusals.ts'
import { discardOwn } from '../key-steps/overtaken.ts'
import type { Progress } from '../key-steps/progress.ts'
import type { KeyHouse } from '../key-steps/steps.ts'
import { hashLabels, requireFreeToken } from '../key-steps/supplied-token.ts'

/**
 * What the labels of a key say before a claimed token becomes current: the rotation's stamp and what that displaces, which tokens are found by their hashes, and the state.
 * `token`: the new one, where it is found by its hash. @throws not_found, version_disabled when what was current has ended since
 */
export const rotatingLabels = async ({ records, steps, answers }: Pick<KeyHouse, 'records' | 'steps' | 'answers'>, record: KeyRecord, operation: Operation, { until, token }: { readonly until: Date; readonly token: SecretValue | undefined }, call: Call): Promise<Readonly<Record<string, string | null>>> => {
  const epoch = record.epoch + 1
  const kept = steps.displaced(record, operation, epoch)[0]
  const hashes = await hashLabels(records, record, token, answers.graces(record).length > 0, call)
  // Of a key that LiteLLM stored only the state says that its value was adopted; without that it would pass for somebody else's.
  const state = record.operation === undefined ? {} : { [keyLabels.state]: 'rotating' }
  return { ...hashes, ...state, ...steps.evicted(record, operation, epoch, true), ...steps.stamp(operation, epoch, { step: 'rotating', before: record.current?.id ?? '', until, ...(kept === undefined ? {} : { kept }) }) }
}

/** @throws not_found, invalid_request (expired), conflict, throttled, forbidden, unsupported */
export const rotateKey = async ({ store, records, steps, settling, rows, answers, options }: KeyHouse, target: KeyTarget, request: RotateRequest, context: OperationContext): Promise<KeyAnswer> => {
  records.requireStorage()
  const { call } = context
  const found = await steps.found(target, call)
  const { name, keyId = '' } = found
  const operation = beginOperation('rotate', context, name.text, options.random)
  const graceMs = request.graceMs ?? 0
  /** Where nobody may read the token later, the gateway is told of it by its hash. */
  const byHash = rows !== undefined && !mayReadValues(store.policy)
  if (request.newToken !== undefined) {
    records.requireRoomForToken(found)
    await requireFreeToken(records, request.newToken, name.text, call)
  }

  /** Claims with a token. `false`: another operation holds the epoch. */
  const claim = async (progress: Progress, before: string, epoch: number): Promise<boolean> => {
    const value = progress.token ?? request.newToken ?? mintToken(keyId, options.random)
    if (operation.digest === undefined) progress.token = value
    const claimed = await steps.claim(name, before, epoch, operation, value, call)
    if (claimed === undefined) return false
    if (claimed.outcome === 'written') progress.token = value
    progress.claimed = true
    return true
  }

  /** Register and test, before it becomes current. A token that the gateway does not take is ruled out; where another operation did that first, `false`. */
  const taken = async (record: KeyRecord, claimed: string, progress: Progress): Promise<boolean> => {
    let refusal = new LatchkeyError('gateway_denied', 'The gateway does not accept the new token.')
    try {
      progress.registered = progress.token ?? (await records.read(name, claimed, call))
      if (await rows?.registerNext(record, progress.registered, graceMs, call)) return true
    } catch (error) {
      // Another instance of this operation may have brought it to its end meanwhile.
      if (isCode(error, 'not_found', 'version_disabled')) return false
      if (!isRefusedByGateway(error)) throw error
      refusal = error
    }
    const now = await records.describe(name, call)
    if (now === undefined || standingOf(now, operation.id, progress.epoch) !== 'claimed') return false
    await settling.ruleOut(now, claimed, call)
    throw refusal.with({ applied: 'no' }, `${refusal.message} The rotation was taken back; the token before it stays. Send it again with a new Idempotency-Key.`)
  }

  return steps.drive(operation, call, found, async (progress) => {
    const record = await steps.record(progress, name, call)
    const standing = standingOf(record, operation.id, progress.epoch ?? progress.resumed)
    progress.resumed ??= record.claims.find(({ operation: claimed }) => claimed?.id === operation.id)?.operation?.epoch
    const stamp = stampOf(record, operation.id)
    const now = options.clock.now()
    refuseOtherBody(stamp, operation)
    const tookEffect = standing === 'current' || standing === 'past'
    if (tookEffect) progress.applied = 'yes'
    if (tookEffect && record.current === undefined && !record.revoked) throw missingKey(store.name)
    if (standing === 'current') {
      // A stamp that this instance wrote may be gone where labels take no condition: what it says is still to be done.
      const unfinished = stamp?.step === 'rotating' ? stamp : stamp === undefined ? progress.stamped : undefined
      const again = unfinished === undefined
      if (unfinished !== undefined) await settling.retire(record, unfinished, call)
      const whole = again ? record : ((await records.describe(name, call)) ?? record)
      if (whole.operation?.id !== operation.id) return answers.superseded(whole, operation, keyId)
      return answers.answer(whole, operation, await answers.reveal(whole, operation, progress, again, call))
    }
    if (standing === 'past') return answers.superseded(record, operation, pastKey(record, operation))
    // This instance saw its token become current; what followed since may have taken every trace of it.
    if (progress.applied === 'yes' && standing !== 'claimed') return answers.superseded(record, operation, keyId)
    // Once another operation has the epoch this one's token cannot become current any more, and whoever made it known ends it.
    const { registered, epoch: tried = progress.resumed } = progress
    if (registered !== undefined && (record.revoked || record.keyId !== keyId || (tried !== undefined && record.epoch >= tried))) await rows?.blockAll(record, [{ token: registered }], call)
    refuseDoubtful(standing)
    if (standing === 'lost' || progress.epoch === undefined) progress.applied = 'no'
    if (standing === 'lost') await discardOwn({ steps, settling }, record, operation, call)
    if (record.keyId !== keyId || record.revoked || record.current === undefined || !record.complete) throw missingKey(store.name)
    if (standing === 'lost') throw notApplied('Another operation changed this key first; this one was not applied and never will be.')
    const current = record.current
    const own = record.claims.find((each) => each.operation?.id === operation.id)?.version
    if (own !== undefined && standing === 'claimed') {
      if (progress.token === undefined && !mayReadValues(store.policy)) {
        steps.refuseYoung(own.created)
        await discardOwn({ steps, settling }, record, operation, call)
        throw notApplied('An earlier attempt claimed this rotation, and under access_mode write_only nobody can read the token it drew; it was taken back and not applied.')
      }
      progress.applied = 'unknown'
      if (stamp === undefined && progress.claimed !== true) {
        if (!(await claim(progress, current.id, record.epoch + 1))) return 'again'
      }
      if (stamp === undefined) {
        // The claim's own time gives every instance of this operation the same end; one that is resumed much later gives the whole grace from now. A service whose clock goes
        // before ours lengthens no grace: a rotation without one ends the old token now.
        const from = own.created !== undefined && now - own.created.getTime() < leaseMs ? Math.min(own.created.getTime(), now) : now
        const until = new Date(from + graceMs)
        const labels = await rotatingLabels({ records, steps, answers }, record, operation, { until, token: request.newToken ?? (byHash ? progress.token : undefined) }, call).catch((error: unknown) => {
          if (!isCode(error, 'not_found', 'version_disabled')) throw error
        })
        // What was current may have ended since: by another instance of this operation, or with the key.
        if (labels === undefined) return 'again'
        progress.stamped = parseStamp(labels[steps.labelOf(record.epoch + 1)] ?? undefined)
        await steps.annotate(record, labels, call)
      }
      if (rows !== undefined && !(await taken(record, own.id, progress))) return 'again'
      if (await steps.promote(record.name, { to: own.id, from: current.id }, call)) progress.applied = 'yes'
      return 'again'
    }
    if (progress.epoch !== undefined) {
      // Facts may be put together of two looks; what one of them says alone is looked at again.
      // Where one record holds claim and current version together, a claim that was taken back cannot become current.
      if (progress.doubted === true && record.facts.etag !== undefined) progress.applied = 'no'
      if (progress.doubted === true) throw notApplied('The claim of this rotation was taken back.')
      progress.doubted = true
      return 'again'
    }
    if (isExpired(record, now)) throw new LatchkeyError('invalid_request', `The key ${keyId} expired at ${record.notAfter.toISOString()}; an expired key is not rotated. Delete it and create a new one.`, { param: 'key' })
    if (await settling.settleOthers(record, current.id, call)) return 'again'
    const epoch = record.epoch + 1
    steps.evicted(record, operation, epoch, false)
    // One label holds the hash of one supplied token before the current one.
    const hashesFull = record.facts.labels[keyLabels.token] !== undefined && record.facts.labels[keyLabels.previousToken] !== undefined
    const ends = graceMs > 0 ? (steps.displaced(record, operation, epoch)[1]?.until ?? (hashesFull ? answers.info(record).previousUntil : undefined)) : undefined
    if (ends !== undefined) throw new LatchkeyError('conflict', `This store has no room to remember one more grace before ${ends.toISOString()}. Wait, or rotate without a grace period, which ends an earlier one now.`, { retryAfter: Math.ceil((ends.getTime() - now) / 1000) })
    progress.applied = 'unknown'
    progress.epoch = epoch
    const claimed = await claim(progress, current.id, epoch).catch((error: unknown) => {
      // A claim that is refused was not made, and nothing follows from it.
      if (!isUnanswered(error)) progress.applied = 'no'
      throw error
    })
    if (!claimed) throw inProgress()
    return 'again'
  })
}
