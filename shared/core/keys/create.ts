// Create: one conditional write where nothing stands, or one on top of a tombstone. The labels travel with a first write; over a tombstone they
// follow, and until they do the secret is no key: nobody accepts its token.
import { isCode, LatchkeyError } from '../errors.ts'
import { encodeSegment, joinPrefix } from '../names.ts'
import { SecretValue, type Version } from '../secret.ts'
import { mayReadValues } from '../policy.ts'
import { keyIdOf, mintToken, tokenHash, type KeyAnswer, type KeyRequest, type OperationContext } from '../virtual-key.ts'
import { beginOperation, leaseMs, refuseOtherBody } from './operation.ts'
import { operationText } from './operation-text.ts'
import { hasArrived, sourceOf } from '../key-steps/arrival.ts'
import { arrivalOf, keyLabels, readKeyRecord, stampOf, standingOf, type KeyRecord } from './record.ts'
import { isRefusedByGateway, refuseDoubtful, takenAlias } from './refusals.ts'
import { noteFailure, type Progress } from '../key-steps/progress.ts'
import type { KeyHouse } from '../key-steps/steps.ts'
import { makeWay, undo } from '../key-steps/tombstones.ts'
import { requireFreeToken } from '../key-steps/supplied-token.ts'

/** What two clocks may differ by before a lease means nothing to each other. */
const tolerableSkewMs = 30_000

const softDeleted = ({ name, facts: { recoverableUntil } }: KeyRecord, applied: 'no' | 'yes' | 'unknown'): LatchkeyError =>
  new LatchkeyError('soft_deleted', `The secret "${name.text}" was deleted in the service while its key was live; recover it there, or wait until it is gone.`, { param: 'key_alias', applied, ...(recoverableUntil === undefined ? {} : { recoverableUntil }) })

/** @throws forbidden, already_exists (param key_alias), soft_deleted, conflict, too_large, throttled, unsupported */
export const createKey = async (house: KeyHouse, request: KeyRequest, context: OperationContext): Promise<KeyAnswer> => {
  const { store, records, steps, settling, rows, answers, options, checkAlias } = house
  records.requireStorage()
  const { call } = context
  const { alias, teamId, token } = request
  if (alias !== undefined) checkAlias?.(alias)
  const scope = alias === undefined ? joinPrefix(store.policy.prefix, 'virtual-key-') : records.nameOf({ ...request, keyId: '' }).text
  const operation = beginOperation('create', context, scope, options.random)
  const keyId = keyIdOf(operation.id)
  const name = records.nameOf({ ...request, keyId })
  const now = options.clock.now()
  if (token !== undefined) await requireFreeToken(records, token, name.text, call)
  const expires = request.durationMs === undefined ? undefined : new Date(now + request.durationMs)
  const { description } = options
  const extras = { ...(description === undefined ? {} : { description }), ...(expires === undefined ? {} : { expires }) }
    /** Where nobody may read the token later, the gateway is told of it by its hash. */
  const byHash = rows !== undefined && !mayReadValues(store.policy)
  const labelsOf = (epoch: number, before: string | undefined, value: SecretValue | undefined): Record<string, string> => {
    const hashed = token ?? (byHash ? value : undefined)
    const plain = {
      ...options.tags,
      [keyLabels.managedBy]: 'latchkey',
      [keyLabels.keyId]: keyId,
      [keyLabels.epoch]: String(epoch),
      ...(teamId === undefined ? {} : { [keyLabels.team]: encodeSegment(teamId, 'team_id') }),
      ...(expires === undefined ? {} : { [keyLabels.notAfter]: expires.toISOString() }),
      ...(hashed === undefined ? {} : { [keyLabels.token]: tokenHash(hashed) }),
      ...steps.stamp(operation, epoch, { step: rows === undefined ? 'done' : 'registering', ...(before === undefined ? {} : { before }) }),
    }
    return { ...plain, ...records.dataLabels(request.data, plain) }
  }
  labelsOf(1, undefined, token ?? SecretValue.of('sk-'))

  const write = async (progress: Progress, epoch: number, before?: string): Promise<Version | undefined> => {
    if (alias !== undefined) await records.writeIndex(keyId, [name], call)
    if (token !== undefined) await records.writeIndex(tokenHash(token), [name], call)
    const value = (progress.epoch === epoch ? progress.token : undefined) ?? token ?? mintToken(keyId, options.random)
    progress.applied = 'unknown'
    try {
      const outcome = await records.send('write', name, call, {
        ...{ name, value, operation: operationText(epoch, operation), epoch, stage: 'current', ...extras },
        ...(before === undefined ? { expect: 'absent', labels: labelsOf(1, undefined, value) } : { expect: { version: before }, before }),
      })
      if (outcome.outcome === 'written' || operation.digest === undefined) Object.assign(progress, { epoch, token: value })
      return outcome.outcome === 'written' ? outcome.version : undefined
    } catch (error) {
      if (operation.digest === undefined) Object.assign(progress, { epoch, token: value })
      if (isCode(error, 'provider_quota') && (await records.landed(name, operation, call))) return undefined
      noteFailure(progress, error)
      if (!isCode(error, 'already_exists', 'soft_deleted', 'conflict', 'not_found')) throw error
      return undefined
    }
  }

  /** The token is added at the gateway before the key is answered. Where it is refused for good the key is taken back by a tombstone. */
  const registered = async (record: KeyRecord, progress: Progress): Promise<KeyRecord> => {
    const stamp = stampOf(record, operation.id)
    if (rows === undefined || stamp?.step !== 'registering') return record
    const own = progress.epoch === record.epoch ? progress.token : undefined
    try {
      return await settling.register(record, stamp, own ?? (mayReadValues(store.policy) ? await records.read(name, record.current?.id, call) : undefined), call)
    } catch (error) {
      if (!isRefusedByGateway(error)) throw error
      progress.refusal = error.with({ applied: 'no' }, `${error.message} The key was taken back: it is revoked in "${store.name}".`)
      await undo(house, record, operation, call)
      throw progress.refusal
    }
  }

  return steps.drive(operation, call, undefined, async (progress, count) => {
    const record = count === 0 ? undefined : await records.describe(name, call)
    if (record === undefined) {
      const current = await write(progress, 1)
      if (current === undefined) return 'again'
      const stored = readKeyRecord(name, { name, nativeName: name.text, current, labels: labelsOf(1, undefined, progress.token), created: new Date(now) })
      progress.applied = 'yes'
      const made = await registered(stored, progress)
      if (made.operation?.id !== operation.id) return answers.superseded(made, operation, keyId)
      return answers.answer(made, operation, await answers.reveal(made, operation, progress, false, call))
    }
    const standing = standingOf(record, operation.id)
    const stamp = stampOf(record, operation.id)
    refuseOtherBody(stamp, operation)
    // Nobody but this operation makes a key of this id.
    // Where versions are folded, a deleted secret shows what was written last, which another creation may have come before.
    const surely = progress.applied === 'yes' || store.provider.traits.write?.guarantee !== 'detected'
    if (record.keyId === keyId && record.current === undefined && !record.revoked) throw softDeleted(record, surely ? 'yes' : 'unknown')
    if (standing === 'current') {
      progress.applied = 'yes'
      // Once the lease may run out before this request ends, somebody else may be writing over the unfinished creation: then only a conditional write decides. So it may
      // where this clock is behind the service's: others see that the lease is over before this instance does.
      const made = record.current?.created?.getTime()
      if (!record.complete && made !== undefined && (call.deadline > made + leaseMs || (mayReadValues(store.policy) && made > options.clock.now() + tolerableSkewMs))) {
        progress.before = record.current?.id ?? ''
        // The same token again: another instance may have finished the creation since, and told of it.
        if (mayReadValues(store.policy)) Object.assign(progress, { epoch: record.epoch + 1, token: await records.read(name, progress.before, call) })
        await write(progress, record.epoch + 1, progress.before)
        return 'again'
      }
      const before = record.epoch === 1 ? undefined : (record.current?.before ?? progress.before ?? record.facts.versions?.find(({ stages }) => stages.includes('previous'))?.id)
      const labelled = record.complete ? record : await steps.relabel(record, operation, labelsOf(record.epoch, before, progress.epoch === record.epoch ? progress.token : undefined), call)
      const whole = labelled.operation?.id === operation.id ? await registered(labelled, progress) : labelled
      if (whole.operation?.id !== operation.id) return answers.superseded(whole, operation, keyId)
      return answers.answer(whole, operation, await answers.reveal(whole, operation, progress, record.complete, call))
    }
    if (standing === 'past' && progress.refusal !== undefined) throw progress.refusal
    if (standing === 'past') return answers.superseded(record, operation, keyId)
    refuseDoubtful(standing)
    if (progress.applied === 'yes' && !record.revoked) throw new LatchkeyError('conflict', `The key ${keyId} was made, and somebody else has changed its secret since. Look at it before you send anything again.`, { param: 'key_alias', applied: 'yes' })
    progress.applied = 'no'
    if (!record.ours) throw new LatchkeyError('already_exists', `A secret named "${name.text}" exists in "${store.name}" and is not ours; it was left as it is. Choose another key_alias.`, { param: 'key_alias' })
    if (record.current === undefined && !record.revoked) throw softDeleted(record, 'no')
    const arriving = arrivalOf(record)
    const source = arriving === undefined ? undefined : await sourceOf(records, record, call)
    if (arriving !== undefined && !hasArrived(record, source, arriving)) {
      steps.refuseYoung(arriving.at)
      // Where its labels have not come yet, its own token is the one of the key that it was copied from, which lives on.
      await undo(house, record, arriving, call, source ?? (await records.describe(name, call)))
      return 'again'
    }
    if (!record.revoked && record.complete) throw takenAlias(alias ?? name.text)
    const before = await makeWay(house, record, call)
    if (before === undefined) return 'again'
    steps.evicted(record, operation, record.epoch + 1, false)
    progress.before = before
    await write(progress, record.epoch + 1, before)
    return 'again'
  })
}
