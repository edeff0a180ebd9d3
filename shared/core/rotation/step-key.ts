// A virtual key rotated by AWS's four steps. They are the rotation's own steps, cut where AWS cuts them: claim and stamp, register, test, make current and retire. The
// version is AWS's; its label says epoch and operation, so that a request, the sweep and a later step see one operation and any of them can end it.
import { LatchkeyError } from '../errors.ts'
import { operationText } from '../keys/operation-text.ts'
import { derivedId, type Operation } from '../keys/operation.ts'
import { isExpired, stampOf, type KeyRecord } from '../keys/record.ts'
import { rotatingLabels } from '../keys/rotate.ts'
import type { KeyHouse } from '../key-steps/steps.ts'
import { mayReadValues } from '../policy.ts'
import type { StepRotation } from '../provider.ts'
import type { Call } from '../runtime.ts'
import type { SecretName, SecretValue } from '../secret.ts'
import { mintedKeyId, mintToken } from '../virtual-key.ts'
import type { RotationReason, RotationStep } from './event.ts'
import { eventGraceMs } from './schedule.ts'

/** One step of one version. */
export interface KeyStepRequest {
  readonly step: RotationStep
  readonly name: SecretName
  readonly version: string
  readonly rotation: StepRotation
  readonly rotationToken?: string
}

/** What a step came to. */
export interface KeyStepAnswer {
  readonly reason: Extract<RotationReason, 'step_done' | 'already_done' | 'not_staged' | 'out_of_order' | 'overtaken' | 'key_ended' | 'not_ours'>
  readonly keyId?: string
  readonly team?: string
  readonly operationId: string
}

const turns = 6

/** Does one step. Every call of it may have been made before. @throws what a repetition may mend; what the gateway refuses */
export const rotateKeyStep = async (house: KeyHouse, request: KeyStepRequest, call: Call): Promise<KeyStepAnswer> => {
  const { store, records, steps, settling, rows, options } = house
  const { step, name, version, rotation } = request
  // From AWS's version, so that every step, and every repetition of one, finds it again.
  const operation: Operation = { id: derivedId(version), verb: 'rotate' }
  records.requireStorage()

  const read = async (): Promise<KeyRecord | undefined> => records.describe(name, call)
  const said = (reason: KeyStepAnswer['reason'], record?: KeyRecord): KeyStepAnswer => {
    const team = record === undefined ? undefined : records.teamOf(record)
    return { reason, operationId: operation.id, ...(record?.keyId === undefined ? {} : { keyId: record.keyId }), ...(team === undefined ? {} : { team }) }
  }
  const ownClaim = (record: KeyRecord) => record.claims.find((claim) => claim.version.id === version)
  const until = (): Date => new Date(options.clock.now() + eventGraceMs)
  const isOver = (record: KeyRecord): boolean => record.revoked || isExpired(record, options.clock.now())
  const valueOf = (record: KeyRecord, id: string | undefined): Promise<SecretValue> => records.read(record.name, id, call)

  /** The token is accepted where it will be used; without a gateway it is what `verify` will compare. The one before still is, unless the key is blocked. */
  const isAccepted = async (record: KeyRecord): Promise<boolean> => {
    if (!mayReadValues(store.policy)) return true
    const [next, current] = [await valueOf(record, version), await valueOf(record, record.current?.id)]
    const { gateway } = options
    if (gateway === undefined) return mintedKeyId(next) === record.keyId && !next.equals(current)
    return record.blocked || ((await gateway.accepts(next, call)) && (await gateway.accepts(current, call)))
  }

  /** A version that lost its epoch can never become current: it is ended, so that AWS does not take it for a rotation that still runs. */
  const lose = async (record: KeyRecord): Promise<KeyStepAnswer> => {
    await settling.ruleOut(record, version, call)
    return said('overtaken', record)
  }

  const stamp = async (record: KeyRecord): Promise<void> => {
    const more = steps.displaced(record, operation, record.epoch + 1)[1]
    if (more !== undefined) throw new LatchkeyError('conflict', `This key has no room to remember one more grace before ${more.until.toISOString()}.`, { retryAfter: 60 })
    await steps.annotate(record, await rotatingLabels(house, record, operation, { until: until(), token: undefined }, call), call)
  }

  const create = async (): Promise<KeyStepAnswer> => {
    let claimed = false
    for (let turn = 0; turn < turns; turn += 1) {
      const record = await read()
      if (record?.ours !== true || !record.complete || record.current === undefined || record.keyId === undefined) return said(record?.revoked === true ? 'key_ended' : 'not_ours', record)
      if (isOver(record)) return said('key_ended', record)
      const own = ownClaim(record)
      if (own === undefined) return said('not_staged', record)
      if (own.operation !== undefined && !own.live) return lose(record)
      // Whoever ruled its claim out left the stamp: the later steps look for both, so the claim is made once more.
      if (own.operation !== undefined && stampOf(record, operation.id) !== undefined) return said('step_done', record)
      if (claimed) {
        await stamp(record)
        return said('step_done', record)
      }
      if (await settling.settleOthers({ ...record, claims: record.claims.filter((claim) => claim !== own) }, record.current.id, call)) continue
      // A repetition draws another token; the version keeps the one that it has.
      const value = mintToken(record.keyId, options.random)
      await rotation.write(name, { version, value, operation: operationText(record.epoch + 1, operation), ...(request.rotationToken === undefined ? {} : { rotationToken: request.rotationToken }) }, call)
      claimed = true
    }
    throw new LatchkeyError('conflict', 'Others keep changing this key.', { retryAfter: 1 })
  }

  /** The record of a later step, or what ends it. */
  const staged = async (): Promise<KeyRecord | KeyStepAnswer> => {
    const record = await read()
    if (record?.ours !== true || !record.complete || record.current === undefined) return said(record?.revoked === true ? 'key_ended' : 'not_ours', record)
    if (record.current.id === version) return record
    if (isOver(record)) return said('key_ended', record)
    const own = ownClaim(record)
    if (own === undefined) return said('not_staged', record)
    if (own.operation === undefined) {
      // AWS tries a configuration by `testSecret` alone, on a copy of the current value: there is nothing that could be set or finished.
      const copy = step === 'test' && mayReadValues(store.policy) ? await rotation.read(name, version, call) : undefined
      return said(copy?.equals(await valueOf(record, record.current.id)) === true ? 'step_done' : 'out_of_order', record)
    }
    if (!own.live) return lose(record)
    return stampOf(record, operation.id) === undefined ? said('out_of_order', record) : record
  }

  const finish = async (record: KeyRecord): Promise<KeyStepAnswer> => {
    const begun = stampOf(record, operation.id)
    if (record.current?.id === version) {
      if (begun?.step === 'rotating') await settling.retire(record, begun, call)
      return said(begun?.step === 'rotating' ? 'step_done' : 'already_done', record)
    }
    if (begun === undefined || !(await isAccepted(record))) return said('out_of_order', record)
    // The grace counts from now: AWS may have repeated the steps for days.
    await steps.annotate(record, steps.stamp(operation, record.epoch + 1, { ...begun, step: 'rotating', until: until() }), call)
    await rotation.finish(name, { to: version, from: record.current?.id ?? '' }, call)
    store.invalidate(name)
    const after = await read()
    const left = after === undefined ? undefined : stampOf(after, operation.id)
    if (after?.current?.id !== version) throw new LatchkeyError('conflict', 'Another operation on this key is in progress.', { retryAfter: 60 })
    if (left?.step === 'rotating') await settling.retire(after, left, call)
    return said('step_done', after)
  }

  if (step === 'create') return create()
  const record = await staged()
  if ('reason' in record) return record
  if (step === 'finish') return finish(record)
  if (record.current?.id === version) return said('already_done', record)
  if (step === 'test') return said((await isAccepted(record)) ? 'step_done' : 'out_of_order', record)
  if (rows !== undefined && !(await rows.registerNext(record, await valueOf(record, version), eventGraceMs, call))) throw new LatchkeyError('gateway_denied', 'The gateway does not accept the new token.')
  return said('step_done', record)
}
