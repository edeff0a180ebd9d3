// One key is due, says an event. What decides is the record: its epoch names the operation, so that every delivery of every such event is the same one, and the
// time at which its token was made says whether the event is answered already.
import { isCode } from '../errors.ts'
import type { KeyLifecycle } from '../key-lifecycle.ts'
import { beginOperation } from '../keys/operation.ts'
import { isExpired, madeOf, readKeyRecord, stampOf } from '../keys/record.ts'
import type { SecretProvider } from '../provider.ts'
import type { Call, Clock, Random } from '../runtime.ts'
import type { SecretFacts, SecretName } from '../secret.ts'
import type { RotationEvent, Verdict } from './event.ts'
import { eventGraceMs, isTooSoon, renewedExpiry, rotationContext } from './schedule.ts'

interface Keeper {
  readonly keys: KeyLifecycle
  /** Of the store that holds the keys. */
  readonly provider: Pick<SecretProvider, 'annotate'>
  readonly clock: Clock
  readonly random: Random
}

/** Rotates the key under a name, once for whatever is delivered. @throws what a repetition may mend */
export const rotateKeyByEvent = async ({ keys, provider, clock, random }: Keeper, event: RotationEvent, name: SecretName, facts: SecretFacts, call: Call): Promise<Verdict> => {
  const record = readKeyRecord(name, facts)
  const { keyId, epoch, operation } = record
  const about = { name: name.text, ...(keyId === undefined ? {} : { keyId }) }
  if (record.revoked || record.blocked || isExpired(record, clock.now())) return { reason: 'key_ended', ...about }
  if (!record.ours || !record.complete || keyId === undefined || record.current === undefined) return { reason: 'not_ours', ...about }
  // The vault's expiry is the key's own end: a new token would have the same, and bring the same event.
  if (event.source === 'event_grid' && record.notAfter !== undefined) return { reason: 'ends_by_itself', ...about }
  const idFrom = (from: number): string => beginOperation('rotate', rotationContext(keyId, from, call), name.text, random).id
  // It took effect and stopped before its end: nothing is acknowledged before it is done.
  const stopped = operation?.id === idFrom(epoch - 1) && stampOf(record, operation.id)?.step !== 'done'
  const begun = record.claims.some((claim) => claim.operation?.id === idFrom(epoch))
  // No token is older than its secret.
  if (!stopped && !begun && isTooSoon(event.at, madeOf(record) ?? facts.created, clock.now())) return { reason: operation?.id === idFrom(epoch - 1) ? 'already_done' : 'too_soon', ...about }
  try {
    const rotated = await keys.rotate({ keyId }, { graceMs: eventGraceMs }, rotationContext(keyId, stopped ? epoch - 1 : epoch, call))
    const { operationId, teamId, stored } = rotated
    const expires = renewedExpiry(event, facts, madeOf(record), clock.now())
    if (expires !== undefined) await provider.annotate?.(name, { expires }, call)
    return { reason: rotated.superseded === undefined ? 'rotated' : 'already_done', ...about, operationId, ...(teamId === undefined ? {} : { team: teamId }), ...(stored.version === undefined ? {} : { version: stored.version }) }
  } catch (error) {
    // Deleted or expired while the event was on its way.
    if (isCode(error, 'not_found') || (isCode(error, 'invalid_request') && error.details.param === 'key')) return { reason: 'key_ended', ...about }
    throw error
  }
}
