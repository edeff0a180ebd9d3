// Update, block and unblock: what is said about a key changes, its token and epoch stay. The change is made under the claim of the next epoch, so that no rotation
// copies what was said before; the claim never becomes current. No value must be read for it, so it works under `write_only` as well; only a block reads one, where the service needs a
// version of its own for it and that is allowed.
import { LatchkeyError } from '../errors.ts'
import { encodeSegment } from '../names.ts'
import { mayReadValues } from '../policy.ts'
import type { Annotation } from '../provider.ts'
import { SecretValue } from '../secret.ts'
import type { KeyAnswer, KeyTarget, KeyUpdate, OperationContext } from '../virtual-key.ts'
import { beginOperation, leaseMs, parseStamp, refuseOtherBody, seenLabel, wasSeen } from './operation.ts'
import type { Verb } from './operation-text.ts'
import { dataOf, isForeign, keyLabels, stampOf, type KeyRecord } from './record.ts'
import type { KeyRecords } from './records.ts'
import { inProgress, isOfFormer, missingKey, notApplied, pastKey } from './refusals.ts'
import type { Progress } from '../key-steps/progress.ts'
import { refOf } from '../key-steps/key-tokens.ts'
import type { KeyHouse } from '../key-steps/steps.ts'
import { useUpEpoch } from '../key-steps/used-up-epoch.ts'

/** How long a label write may be on its way where the service takes no condition for it. */
export const onTheWayMs = 50_000

/** What changes. `waits`: whether a rotation that runs is waited for; a block ends it instead. */
export interface Change {
  readonly verb: Extract<Verb, 'update' | 'block' | 'unblock'>
  readonly waits: boolean
  /** The labels for the record as it is under the claim; called again where that changed. @throws too_large */
  of(record: KeyRecord): Omit<Annotation, 'etag'>
}

/** The labels of a change that are set, without those that it takes off. */
export const present = (labels: Readonly<Record<string, string | null>>): Record<string, string> => Object.fromEntries(Object.entries(labels).filter((pair): pair is [string, string] => pair[1] !== null))

/** A key that is blocked, or no longer. */
export const blocking = (blocked: boolean): Change => ({
  verb: blocked ? 'block' : 'unblock',
  waits: !blocked,
  of: ({ keyId = '' }) => ({ labels: { [keyLabels.blocked]: blocked ? keyId : null } }),
})

/** Other fields, another end, another team. The name stays: a new alias is a renaming. */
export const updating = (records: KeyRecords, update: Omit<KeyUpdate, 'alias'>, now: number): Change => ({
  verb: 'update',
  waits: true,
  of: (record) => {
    const { durationMs, teamId, data } = update
    const expires = durationMs === undefined ? undefined : durationMs === null ? null : new Date(now + durationMs)
    const said: Record<string, string | null> = {
      ...(expires === undefined ? {} : { [keyLabels.notAfter]: expires === null ? null : expires.toISOString() }),
      ...(teamId === undefined ? {} : { [keyLabels.team]: teamId === null ? null : encodeSegment(teamId, 'team_id') }),
    }
    const held = Object.keys(record.facts.labels).filter((key) => key.startsWith(keyLabels.data))
    const others = Object.fromEntries(Object.entries(present({ ...record.facts.labels, ...said })).filter(([key]) => !key.startsWith(keyLabels.data)))
    const merged = Object.fromEntries(Object.entries({ ...dataOf(record), ...data }).filter(([, value]) => value !== null))
    const pieces = data === undefined ? {} : { ...Object.fromEntries(held.map((key) => [key, null])), ...records.dataLabels(merged, others) }
    return { labels: { ...said, ...pieces }, ...(expires === undefined ? {} : { expires }) }
  },
})

/** Whether a block comes with a version of its own, the same token once more: where a label change that is still on its way, or is delivered again, would undo it on the version that is there. */
const needsVersion = ({ verb }: Change, { room, store }: KeyRecords, record: KeyRecord): boolean => verb === 'block' && room.lateOnVersion === true && mayReadValues(store.policy) && !isForeign(record)

/** @throws not_found, conflict, throttled, too_large, forbidden, unsupported */
export const changeKey = async ({ store, records, steps, settling, rows, answers, options }: KeyHouse, target: KeyTarget, change: Change, context: OperationContext, known?: KeyRecord): Promise<KeyAnswer> => {
  records.requireStorage()
  const { call } = context
  const found = known ?? (await steps.found(target, call))
  const { name, keyId = '' } = found
  const operation = beginOperation(change.verb, context, name.text, options.random)

  const claim = async (progress: Progress, before: string, epoch: number): Promise<void> => {
    progress.epoch = epoch
    if ((await steps.claim(name, before, epoch, operation, SecretValue.of(`held for ${change.verb}`), call)) === undefined) throw inProgress()
  }

  return steps.drive(operation, call, found, async (progress) => {
    const record = await steps.record(progress, name, call)
    const stamp = stampOf(record, operation.id)
    refuseOtherBody(stamp, operation)
    const own = record.claims.find((each) => each.operation?.id === operation.id)
    // Another key may have the alias by now: what took effect took effect on the one before.
    const same = record.keyId === keyId && !record.revoked && (stamp?.keyId ?? keyId) === keyId && !isOfFormer(record, operation.id)
    if (stamp?.step === 'done' || wasSeen(record.facts.labels[seenLabel], operation.id)) {
      progress.applied = 'yes'
      if (own !== undefined && same) await settling.ruleOut(record, own.version.id, call)
      return same ? answers.answer(record, operation, {}) : answers.superseded(record, operation, stamp?.keyId ?? pastKey(record, operation))
    }
    // A stamp that this instance wrote may be gone where labels take no condition: what it says is still to be done, as long as the claim keeps others away.
    if (progress.applied === 'yes' && stamp === undefined && same && own?.live === true && progress.stamped?.step === 'changing') {
      await settling.finish(record, progress.stamped, call)
      return 'again'
    }
    if (progress.applied === 'yes' && stamp === undefined) return same ? answers.answer(record, operation, {}) : answers.superseded(record, operation, keyId)
    if (stamp !== undefined && (!same || stamp.keyId !== keyId)) return answers.superseded(record, operation, stamp.keyId ?? keyId)
    // Without its stamp a change has not been made; an earlier attempt's may be on its way while its claim stands, where a label takes no condition.
    const conditional = record.facts.etag !== undefined
    if (stamp === undefined && (conditional ? !same || progress.sent !== true : progress.sent !== true && (!same || own === undefined))) progress.applied = 'no'
    if (!same || record.current === undefined || !record.complete) throw missingKey(store.name)
    if (stamp?.step === 'changing') {
      progress.applied = 'yes'
      await settling.finish(record, stamp, call)
      return 'again'
    }
    const now = options.clock.now()
    if (own !== undefined && !own.live) {
      // A label of an earlier sending lands within its request; after the lease nothing of it is on its way.
      if (progress.sent !== true && now - (own.version.created?.getTime() ?? now) >= leaseMs) progress.applied = 'no'
      await settling.ruleOut(record, own.version.id, call)
      throw notApplied('Another operation changed this key first; this one was not applied.')
    }
    if (own !== undefined) {
      const age = now - (own.version.created?.getTime() ?? now)
      // Without a condition a label may land late: it is only sent while it lands, if ever, before somebody else may claim.
      if (record.facts.etag === undefined && age > leaseMs - onTheWayMs) {
        if (age < leaseMs) throw new LatchkeyError('conflict', 'This change was claimed and may be on its way; ask again.', { retryAfter: Math.ceil((leaseMs - age) / 1000), applied: 'unknown' })
        await settling.ruleOut(record, own.version.id, call)
        progress.applied = 'no'
        throw notApplied('An earlier attempt at this change did not come to an end, and was taken back; it was not applied.')
      }
      const { labels, ...more } = change.of(record)
      // Of the graces that only the stamp in this slot tells of, one stays named in the new one. A block ends the others now; whatever waits was refused before.
      const [kept, ...ended] = steps.displaced(record, operation, 'change')
      for (const grace of ended) await rows?.blockAll(record, [await refOf(records, record, grace.before, call)].filter((ref) => ref !== undefined), call)
      const stamped = steps.stamp(operation, 'change', { step: rows === undefined ? 'done' : 'changing', keyId, ...(kept === undefined ? {} : { kept }) })
      const before = { applied: progress.applied, sent: progress.sent }
      progress.applied = 'unknown'
      progress.sent = true
      progress.stamped = parseStamp(Object.values(stamped)[0])
      const said = { ...labels, ...steps.evicted(record, operation, 'change', true), ...stamped }
      const apart = needsVersion(change, records, record) ? await useUpEpoch(records, steps, record, call, present(said)) : 'full'
      if (apart === 'overtaken') Object.assign(progress, before)
      if (apart === 'overtaken' || apart === undefined) return 'again'
      if (apart === 'full') await steps.annotate(record, said, call, more)
      else await records.send('discard', name, call, name, record.current.id)
      progress.applied = 'yes'
      return 'again'
    }
    if (progress.epoch !== undefined) {
      if (progress.applied === 'unknown' && operation.digest === undefined && record.facts.etag === undefined) throw new LatchkeyError('conflict', 'The claim of this change was taken back while the change was on its way; look at the key.', { applied: 'unknown' })
      throw notApplied('The claim of this change was taken back.')
    }
    if (await settling.settleOthers(record, record.current.id, call, !change.waits)) return 'again'
    change.of(record)
    steps.evicted(record, operation, 'change', !change.waits)
    const displaced = steps.displaced(record, operation, 'change')[1]
    if (displaced !== undefined && change.waits) throw new LatchkeyError('conflict', `This store has no room to remember a change beside the graces that run until ${displaced.until.toISOString()}. Wait, or rotate without a grace period.`, { retryAfter: Math.ceil((displaced.until.getTime() - now) / 1000), applied: 'no' })
    await claim(progress, record.current.id, record.epoch + 1)
    return 'again'
  })
}
