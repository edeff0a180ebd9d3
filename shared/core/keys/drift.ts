// What is not as Latchkey left it: in the manager, where anybody with rights may write, and at the gateway. It is told, and nothing is done about it here.
import { isCode } from '../errors.ts'
import type { Call } from '../runtime.ts'
import type { Drift } from '../virtual-key.ts'
import { leaseMs } from './operation.ts'
import { parseOperation } from './operation-text.ts'
import { isForeign, unfinishedOf, type KeyRecord } from './record.ts'
import type { KeyHouse } from '../key-steps/steps.ts'

/** Versions that came after the current one and are nobody's claim: somebody else's, where the service lets them in. */
const newerForeign = ({ facts, current }: KeyRecord): boolean => {
  const { versions = [] } = facts
  const at = versions.findIndex(({ id }) => id === current?.id)
  return at >= 0 && versions.slice(at + 1).some(({ operation, stages }) => parseOperation(operation) === undefined && !stages.includes('pending'))
}

/** What the store's facts alone say. */
export const driftInStore = ({ options }: Pick<KeyHouse, 'options'>, record: KeyRecord): readonly Drift[] => {
  const drift: Drift[] = []
  const now = options.clock.now()
  const old = (begun: Date | undefined): boolean => begun !== undefined && now - begun.getTime() >= leaseMs
  if (record.current === undefined && record.facts.recoverableUntil !== undefined && !record.revoked) drift.push({ kind: 'deleted_in_service', message: `The secret was deleted in the service while its key lives; it can be recovered until ${record.facts.recoverableUntil.toISOString()}.` })
  if (isForeign(record)) drift.push({ kind: 'value_changed', message: 'Somebody else wrote the current value. Rotate the key, or adopt the value.' })
  if (newerForeign(record)) drift.push({ kind: 'newer_value', message: 'Somebody else wrote a newer value, which Latchkey does not count; whoever reads the service directly may see it.' })
  const claim = record.claims.find(({ version, live }) => !live || old(version.created))
  if (claim !== undefined || old(unfinishedOf(record)?.at)) drift.push({ kind: 'unfinished', message: 'An operation stopped half-way; the next one, or a reconciliation, ends it.' })
  return drift
}

/** All of it, the gateway included. A gateway that cannot be asked is no drift. */
export const driftOf = async (house: KeyHouse, record: KeyRecord, call: Call): Promise<readonly Drift[]> => {
  const inStore = driftInStore(house, record)
  if (house.rows === undefined || record.current === undefined || record.revoked) return inStore
  const atGateway = await house.rows.difference(record, call).catch((error: unknown) => {
    if (!isCode(error, 'gateway_unavailable', 'gateway_denied', 'provider_denied', 'provider_unavailable', 'provider_throttled')) throw error
  })
  return atGateway === undefined ? inStore : [...inStore, atGateway]
}
