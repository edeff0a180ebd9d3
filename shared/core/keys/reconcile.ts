// The sweep: looks at every key of a page, drives forward what stopped, ends what is over, begins what is due, and compares with the gateway. It has no steps of its own; what it
// does to a key is what the next request on that key would do. It never deletes what Latchkey does not own.
import { asLatchkeyError, isCode, type LatchkeyError } from '../errors.ts'
import type { Call } from '../runtime.ts'
import type { OperationContext, Reconciled, ReconcileReport } from '../virtual-key.ts'
import { hasArrived, sourceOf } from '../key-steps/arrival.ts'
import { GatewayPage } from '../key-steps/gateway-page.ts'
import { overVersions } from '../key-steps/over-versions.ts'
import { purgeTombstone } from '../key-steps/purge.ts'
import type { KeyHouse } from '../key-steps/steps.ts'
import { endTombstone, livingElsewhere, undo } from '../key-steps/tombstones.ts'
import { eventGraceMs, rotationContext, sweepContext } from '../rotation/schedule.ts'
import { blocking, changeKey } from './change.ts'
import { driftInStore } from './drift.ts'
import { leaseMs, rememberedMs } from './operation.ts'
import { arrivalOf, isExpired, madeOf, stampOf, unfinishedOf, type KeyRecord } from './record.ts'
import { isRefusedByGateway } from './refusals.ts'
import { removeKey } from './remove.ts'
import { rotateKey } from './rotate.ts'

/** Below this much time the rest of a page is left for the next call. */
const timeForOneMs = 5_000

const atGateway = 'gateway:'

/** What was found of one key, and how it is mended. */
interface Finding {
  readonly finding: Reconciled['finding']
  readonly message: string
  /** Absent: it is not Latchkey's to mend. */
  readonly mend?: () => Promise<unknown>
}

/** @throws forbidden, unsupported, provider_… when no page can be had; what happens to single keys is in the report */
export const reconcileKeys = async (house: KeyHouse, query: { readonly cursor?: string; readonly limit: number; readonly repair: boolean }, context: OperationContext): Promise<ReconcileReport> => {
  const { records, rows, options } = house
  records.requireStorage()
  const { call } = context
  const now = (): number => options.clock.now()
  const items: Reconciled[] = []
  let checked = 0
  let overdueSince: Date | undefined
  const report = (cursor?: string): ReconcileReport => ({ checked, items, ...(overdueSince === undefined ? {} : { overdueSince }), ...(cursor === undefined ? {} : { cursor }) })

  const settle = async (of: { readonly name: string; readonly keyId?: string | undefined }, found: Finding): Promise<void> => {
    const said = { name: of.name, ...(of.keyId === undefined ? {} : { keyId: of.keyId }), finding: found.finding, message: found.message }
    if (found.mend === undefined || !query.repair) {
      items.push({ ...said, action: found.mend === undefined ? 'left' : 'would_repair' })
      return
    }
    try {
      await found.mend()
      items.push({ ...said, action: 'repaired' })
    } catch (thrown) {
      const error = asLatchkeyError(thrown)
      const young = isCode(error, 'conflict')
      items.push({ ...said, action: young ? 'left' : 'failed', message: `${found.message} ${error.message}` })
    }
  }

  const look = async (name: KeyRecord['name']): Promise<void> => {
    for (let turn = 0; turn < 3; turn += 1) {
      const record = await records.describe(name, call)
      if (record?.ours !== true) return
      const found = await findingOf(house, record, call)
      if (found === undefined) return
      const before = items.length
      await settle({ name: record.name.text, keyId: record.keyId }, found)
      if (items[before]?.action === 'repaired') continue
      // Whatever stands before it: while this is not mended, no rotation begins.
      const due = rotationDueBy(house, record, now())
      if (due !== undefined && (overdueSince === undefined || due < overdueSince)) overdueSince = due
      return
    }
  }

  const enough = (): boolean => call.deadline - now() >= timeForOneMs && !call.signal.aborted
  if (query.cursor?.startsWith(atGateway) !== true) {
    const page = await records.page(query, call)
    for (const { name } of page.items) {
      if (!enough()) return report(query.cursor)
      checked += 1
      await look(name).catch((thrown: unknown) => items.push({ name: name.text, finding: 'unfinished', action: 'failed', message: asLatchkeyError(thrown).message }))
    }
    return report(page.cursor ?? (rows === undefined ? undefined : atGateway))
  }
  if (rows === undefined) return report()
  const position = query.cursor.slice(atGateway.length)
  const page = await rows.list({ limit: query.limit, ...(position === '' ? {} : { cursor: position }) }, call)
  const pageOfRows = new GatewayPage(house, call)
  for (const row of page.items) {
    if (row.keyId === undefined) continue
    if (!enough()) return report(query.cursor)
    checked += 1
    const wrong = await pageOfRows.look(row)
    if (wrong === undefined) continue
    const { sha256 } = row
    const mend = async (): Promise<void> => {
      if (wrong.how === 'forget') return rows.forget([{ sha256 }], call)
      if (wrong.how === 'end') return rows.endUnknown(sha256, call)
      const now = wrong.record === undefined ? undefined : await records.describe(wrong.record.name, call)
      if (now?.blocked === true) await rows.blockRow(sha256, call)
    }
    await settle({ name: wrong.record?.name.text ?? '', keyId: row.keyId }, { finding: wrong.how === 'block' ? 'gateway_differs' : 'not_ours', message: wrong.message, mend })
  }
  return report(page.cursor === undefined ? undefined : `${atGateway}${page.cursor}`)
}

/** Since when a rotation is due; nothing where none is yet, or the key is none that rotates. */
const rotationDueBy = ({ answers }: KeyHouse, record: KeyRecord, now: number): Date | undefined => {
  const due = record.revoked || record.blocked || isExpired(record, now) ? undefined : answers.rotationDue(record)
  return due === undefined || due.getTime() > now ? undefined : due
}

/** The first thing that a sweep has to do about a key; nothing when all is well. */
const findingOf = async (house: KeyHouse, record: KeyRecord, call: Call): Promise<Finding | undefined> => {
  const { store, records, steps, settling, rows, answers, options } = house
  const now = options.clock.now()
  const { name, keyId = '', current } = record
  const drift = driftInStore(house, record)
  const seen = (kind: Reconciled['finding']): { readonly message: string } | undefined => drift.find((each) => each.kind === kind)
  if (current === undefined) {
    const deleted = seen('deleted_in_service')
    return deleted === undefined ? undefined : { finding: 'deleted_in_service', message: deleted.message, mend: () => records.send('recover', name, call, name) }
  }
  const stamp = stampOf(record, record.operation?.id)
  if (record.revoked) {
    // Where labels do not come with a version, a deletion that stopped at its tombstone has not even its stamp.
    const halfway = stamp === undefined ? record.operation : stamp.step === 'revoking' ? stamp : undefined
    if (halfway !== undefined) {
      const message = stamp?.verb === 'rename' ? 'A renaming stopped after the old name ended.' : 'A deletion stopped after its tombstone.'
      const since = stamp?.at ?? current.created
      return since !== undefined && now - since.getTime() < leaseMs ? undefined : { finding: 'unfinished', message, mend: () => endTombstone(house, record, halfway, call) }
    }
    const ended = madeOf(record)
    const keep = stamp?.step === 'purging' ? leaseMs : (options.tombstoneKeepMs ?? rememberedMs)
    const over = ended !== undefined && now - ended.getTime() >= keep
    if (!over || store.provider.remove === undefined || options.purge === false) return undefined
    return { finding: 'purge_due', message: 'A deleted key has been kept as long as it must be.', mend: () => purgeTombstone(records, steps, record, call) }
  }
  const arriving = arrivalOf(record)
  const source = arriving === undefined ? undefined : await sourceOf(records, record, call)
  if (arriving !== undefined && !hasArrived(record, source, arriving)) {
    const running = source?.claims.some((claim) => claim.live && claim.operation?.id === arriving.id) === true
    if (now - arriving.at.getTime() < leaseMs) return undefined
    if (running && source?.current !== undefined) return { finding: 'unfinished', message: 'A renaming stopped before the old name ended.', mend: () => settling.settleOthers(source, source.current?.id ?? '', call) }
    return { finding: 'unfinished', message: 'A renaming was given up.', mend: () => undo(house, record, arriving, call, source) }
  }
  if (!record.complete) {
    if (current.created !== undefined && now - current.created.getTime() < leaseMs) return undefined
    return record.operation === undefined ? undefined : { finding: 'unfinished', message: 'A creation stopped before it was a key.', mend: async () => undo(house, record, record.operation ?? { id: '' }, call, await livingElsewhere(records, record, keyId, call)) }
  }
  const unfinished = seen('unfinished')
  if (unfinished !== undefined) {
    // A creation that the gateway will not have is taken back; nobody was answered that it holds.
    const halfway = unfinishedOf(record)
    if (halfway?.verb === 'unblock' && halfway.step === 'changing') return { finding: 'unfinished', message: unfinished.message, mend: () => changeKey(house, { keyId }, blocking(false), sweepContext(`unblock ${keyId} ${halfway.id}`, call)) }
    const takeBack = (error: unknown): Promise<unknown> => (isRefusedByGateway(error) && stamp?.step === 'registering' ? undo(house, record, stamp, call) : Promise.reject(error))
    return { finding: 'unfinished', message: unfinished.message, mend: () => settling.settleOthers(record, current.id, call).catch(takeBack) }
  }
  const changed = seen('value_changed')
  if (changed !== undefined) return { finding: 'value_changed', message: changed.message }
  if (record.notAfter !== undefined && now - record.notAfter.getTime() >= (options.tombstoneKeepMs ?? rememberedMs)) {
    return { finding: 'expired', message: `The key expired at ${record.notAfter.toISOString()}.`, mend: () => removeKey(house, { keyId }, sweepContext(`expire ${keyId} ${record.notAfter?.getTime() ?? 0}`, call)) }
  }
  const running = unfinishedOf(record) !== undefined || record.claims.length > 0
  // A rotation that runs still tells the gateway of the token before: it ends that itself.
  const over = running ? undefined : overVersions(record, answers.graces(record)).find(({ stages }) => stages.includes('previous'))
  if (over !== undefined) return { finding: 'grace_over', message: 'The grace of the token before is over, and the manager still gives it out.', mend: () => records.send('discard', name, call, name, over.id) }
  const due = rotationDueBy(house, record, now)
  if (due !== undefined) {
    return { finding: 'rotation_due', message: `A rotation was due at ${due.toISOString()}.`, mend: () => rotateKey(house, { keyId }, { graceMs: eventGraceMs }, rotationContext(keyId, record.epoch, call)) }
  }
  const differs = rows === undefined || running ? undefined : await rows.difference(record, call).catch((error: LatchkeyError) => ({ kind: 'gateway_differs' as const, message: error.message }))
  // Who blocked it there had a reason, and only who holds a claim may take a block off.
  if (differs?.kind === 'blocked_at_gateway') return { finding: differs.kind, message: differs.message }
  if (differs !== undefined) return { finding: differs.kind, message: differs.message, mend: () => settling.follow(record, call) }
  const newer = seen('newer_value')
  return newer === undefined ? undefined : { finding: 'newer_value', message: newer.message }
}
