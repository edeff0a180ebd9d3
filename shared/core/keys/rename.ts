// Rename and move: the key gets another name, and with it another team where names hold the team; its id, its fields and its token stay. Two secrets cannot change in one
// step, so one of them decides: under a claim on the old name the key is written under the new one, and it has moved when that claim, a tombstone, becomes current.
import { isCode, LatchkeyError } from '../errors.ts'
import { mayReadValues } from '../policy.ts'
import type { Random } from '../runtime.ts'
import type { SecretValue } from '../secret.ts'
import { mintToken, tokenHash, type KeyAnswer, type KeyTarget, type KeyUpdate, type OperationContext } from '../virtual-key.ts'
import { finishArrival, indexNames, movedLabel, otherName } from '../key-steps/arrival.ts'
import { present, updating } from './change.ts'
import { beginOperation, refuseOtherBody, type Operation, type Stamp } from './operation.ts'
import { arrivalId, operationText } from './operation-text.ts'
import { arrivalOf, isForeign, keyLabels, standingOf, stampOf, type KeyRecord } from './record.ts'
import { inProgress, isRefusedByGateway, missingKey, notApplied, refuseDoubtful, takenAlias } from './refusals.ts'
import { discardOwn } from '../key-steps/overtaken.ts'
import type { Progress } from '../key-steps/progress.ts'
import type { KeyHouse } from '../key-steps/steps.ts'
import { makeWay, undo } from '../key-steps/tombstones.ts'

/** Where a key would stand after a change; the same name where nothing of it changes the name. */
export const nameAfter = ({ records }: KeyHouse, record: KeyRecord, { alias, teamId }: KeyUpdate): KeyRecord['name'] => {
  const team = teamId === undefined ? records.teamOf(record) : (teamId ?? undefined)
  const kept = alias ?? records.aliasOf(record)
  return records.nameOf({ keyId: record.keyId ?? '', ...(kept === undefined ? {} : { alias: kept }), ...(team === undefined ? {} : { teamId: team }) })
}

const operationOf = (context: OperationContext, from: KeyRecord['name'], random: Random): Operation => beginOperation('rename', { ...context, route: `${context.route} rename` }, from.text, random)

/** The old name's record of a key that this very request has moved and not brought to its end; a key is found under its new name as soon as the old one ended. */
export const movedBy = async ({ records, options }: KeyHouse, record: KeyRecord, context: OperationContext): Promise<KeyRecord | undefined> => {
  const from = otherName(record, 'from')
  if (from === undefined || context.idempotencyKey === undefined) return undefined
  const { id } = operationOf(context, from, options.random)
  return record.operation?.id === arrivalId(id, record.keyId ?? '') ? records.describe(from, context.call) : undefined
}

/** @throws not_found, already_exists (param key_alias), conflict, soft_deleted, too_large, throttled, forbidden, unsupported */
export const renameKey = async (house: KeyHouse, target: KeyTarget, update: KeyUpdate, context: OperationContext, known?: KeyRecord): Promise<KeyAnswer> => {
  const { store, records, steps, settling, rows, answers, options } = house
  records.requireStorage()
  const { call } = context
  const found = known ?? (await steps.found(target, call))
  if (update.alias !== undefined && update.alias !== records.aliasOf(found)) house.checkAlias?.(update.alias)
  const { name: from, keyId = '' } = found
  const to = nameAfter(house, found, update)
  const operation = operationOf(context, from, options.random)
  const readable = mayReadValues(store.policy)
  const ownId = arrivalId(operation.id, keyId)

  /** The labels under the new name: those of the old one with what changes, without the memory of operations, which stays where they were done. */
  const labelsAt = (source: KeyRecord, epoch: number, token: SecretValue): Record<string, string> => {
    const changed = { ...source.facts.labels, ...updating(records, update, options.clock.now()).of(source).labels }
    const plain = Object.fromEntries(Object.entries(present(changed)).filter(([key]) => !/^latchkey-(op-\d|seen)$/.test(key)))
    const hashed = !readable && rows !== undefined ? { [keyLabels.token]: tokenHash(token) } : {}
    return { ...plain, ...hashed, [keyLabels.state]: movedLabel('from', from), [keyLabels.epoch]: String(epoch), ...steps.stamp(operation, epoch, { step: 'arriving', keyId }) }
  }

  /** Writes the key under its new name, over nothing or over a tombstone. Sent again it finds its own version. */
  const arrive = async (source: KeyRecord, there: KeyRecord | undefined, progress: Progress): Promise<void> => {
    const epoch = Math.max(source.epoch, there?.epoch ?? 0) + 1
    const value = readable ? await records.read(from, source.current?.id, call) : (progress.token ??= mintToken(keyId, options.random))
    const before = there?.current?.id
    const { expires } = updating(records, update, options.clock.now()).of(source)
    const ends = expires === null ? undefined : (expires ?? source.notAfter)
    const text = operationText(epoch, { id: ownId, verb: 'rename' })
    const { description } = options
    const said = { ...(ends === undefined ? {} : { expires: ends }), ...(description === undefined ? {} : { description }) }
    try {
      await records.send('write', to, call, { name: to, value, operation: text, epoch, stage: 'current', ...said, ...(before === undefined ? { expect: 'absent', labels: labelsAt(source, epoch, value) } : { expect: { version: before }, before }) })
    } catch (error) {
      if (!isCode(error, 'already_exists', 'conflict', 'not_found', 'soft_deleted')) throw error
    }
  }

  const claim = async (before: string, epoch: number, progress: Progress): Promise<void> => {
    progress.epoch = epoch
    if ((await steps.claim(from, before, epoch, { ...operation, verb: 'delete' }, steps.tombstone(), call)) === undefined) throw inProgress()
  }

  const refuseTaken = async (there: KeyRecord | undefined): Promise<boolean> => {
    if (there === undefined) return false
    if (!there.ours || (!there.revoked && there.complete)) throw takenAlias(records.aliasOf(there) ?? to.text).with({ applied: 'no' })
    if (there.current === undefined && !there.revoked) throw new LatchkeyError('soft_deleted', `The secret "${to.text}" was deleted in the service while its key was live; recover it there, or choose another alias.`, { param: 'key_alias', applied: 'no' })
    return (await makeWay(house, there, call)) === undefined
  }

  const giveUp = async (source: KeyRecord, there: KeyRecord | undefined, error: LatchkeyError): Promise<never> => {
    await discardOwn(house, source, operation, call)
    if (there?.operation?.id === ownId && arrivalOf(there) !== undefined) await undo(house, there, operation, call, source)
    throw error
  }

  return steps.drive(operation, call, found, async (progress) => {
    const source = await steps.record(progress, from, call)
    const there = await records.describe(to, call)
    const stamp = stampOf(source, operation.id)
    refuseOtherBody(stamp, operation)
    const standing = standingOf(source, operation.id)
    const arrived = there?.operation?.id === ownId ? there : undefined
    if (standing === 'current' || standing === 'past') {
      progress.applied = 'yes'
      if (there === undefined || there.keyId !== keyId || there.revoked) return answers.superseded(source, operation, keyId)
      const arriving = arrivalOf(there)
      if (arriving !== undefined) await finishArrival(settling, records, there, arriving, call)
      const whole = arriving === undefined ? there : ((await records.describe(to, call)) ?? there)
      return answers.answer(whole, operation, progress.token === undefined ? {} : { key: progress.token })
    }
    if (progress.applied === 'yes') return answers.superseded(source, operation, keyId)
    refuseDoubtful(standing)
    if (progress.epoch === undefined || standing === 'lost') progress.applied = 'no'
    if (source.keyId !== keyId || source.revoked || source.current === undefined || !source.complete) return giveUp(source, arrived, missingKey(store.name))
    // Under its new name a foreign value would pass for the key's own.
    if (isForeign(source)) return giveUp(source, arrived, new LatchkeyError('conflict', 'Somebody else wrote the current value of this key; it was not renamed. Rotate the key, or adopt the value, and rename it then.'))
    const own = source.claims.find((claim) => claim.operation?.id === operation.id)
    if (own?.live === true) {
      // An attempt that ended half-way may have left a claim without its value, which cannot become current: sent again, it is made whole.
      if (progress.epoch === undefined) {
        await claim(source.current.id, source.epoch + 1, progress)
        return 'again'
      }
      if (arrived === undefined) {
        if (await refuseTaken(there).catch((error: LatchkeyError) => giveUp(source, undefined, error))) return 'again'
        // No room under the new name: the claim on the old one would only hold the key up.
        await arrive(source, there, progress).catch((error: LatchkeyError) => (isCode(error, 'provider_quota') ? giveUp(source, undefined, error.with({ applied: 'no' })) : Promise.reject(error)))
        return 'again'
      }
      const token = readable ? undefined : progress.token
      // Another instance may still be about it, and nothing that is taken back here keeps it from its end.
      if (!readable && token === undefined) steps.refuseYoung(own.version.created)
      if (!readable && token === undefined) return giveUp(source, arrived, notApplied('Under access_mode write_only nobody can read the token that an earlier attempt drew; the renaming was taken back.'))
      // Written over the tombstone of an attempt that was taken back it still has that one's labels, which look complete.
      if (!arrived.complete || otherName(arrived, 'from')?.text !== from.text) {
        await steps.relabel(arrived, operation, labelsAt(source, arrived.epoch, token ?? (await records.read(to, arrived.current?.id, call))), call)
        return 'again'
      }
      // Nobody may read the old token: the key moves with a new one.
      if (token !== undefined) await rows?.registerAt(arrived, token, arrived.epoch, call).catch((error: unknown) => (isRefusedByGateway(error) ? giveUp(source, arrived, error.with({ applied: 'no' })) : Promise.reject(error)))
      if (stamp === undefined) {
        const leaving: Pick<Stamp, 'step' | 'before' | 'keyId'> = { step: 'revoking', before: source.current.id, keyId }
        // Where keys are found by a list that lags, the old name must lead on from the moment it ends. Elsewhere the index has both names already. Of a key that LiteLLM stored
        // only the labels say how it stands: it would have ended by this one, also where the renaming is taken back.
        const leading = records.room.filter && source.operation !== undefined ? { [keyLabels.state]: movedLabel('to', to) } : {}
        await steps.annotate(source, { ...leading, ...steps.evicted(source, operation, source.epoch + 1, true), ...steps.stamp(operation, source.epoch + 1, leaving) }, call)
      }
      progress.applied = 'unknown'
      if (await steps.promote(from, { to: own.version.id, from: source.current.id }, call)) progress.applied = 'yes'
      return 'again'
    }
    // The old name was read before the new one: what another instance has claimed and written since is seen by looking again.
    if (own === undefined && arrived !== undefined && progress.doubted !== true) {
      progress.doubted = true
      return 'again'
    }
    if (own !== undefined || arrived !== undefined || progress.epoch !== undefined || stamp !== undefined) {
      progress.applied = 'no'
      return giveUp(source, arrived, notApplied('Another operation changed this key first; it was not renamed.'))
    }
    const grace = answers.info(source).previousUntil
    if (grace !== undefined) throw new LatchkeyError('conflict', `A token before the current one is accepted until ${grace.toISOString()}, and would not move along. Wait, or rotate without a grace period.`, { retryAfter: Math.ceil((grace.getTime() - options.clock.now()) / 1000), applied: 'no' })
    if (await refuseTaken(there)) return 'again'
    if (await settling.settleOthers(source, source.current.id, call)) return 'again'
    labelsAt(source, source.epoch + 1, steps.tombstone())
    steps.evicted(source, operation, source.epoch + 1, false)
    await indexNames(records, source, [to, from], call)
    await claim(source.current.id, source.epoch + 1, progress)
    return 'again'
  })
}
