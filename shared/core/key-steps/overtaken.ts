// Operations that were overtaken: their claim stood beside another one's success and never takes effect. A claim that is taken away takes its memory along, so the key remembers
// in its list of seen operations who they were: a repetition of one does not begin again, on this key or on the next one of its name.
import { rememberEvicted, seenLabel, wasSeen, type Operation } from '../keys/operation.ts'
import { takesEpoch } from '../keys/operation-text.ts'
import { stampOf, wasCurrent, type Claim, type KeyRecord } from '../keys/record.ts'
import type { Call } from '../runtime.ts'
import type { KeyHouse } from './steps.ts'

/** What is needed to remember: the time, and how long a label may be. */
interface Memory {
  readonly now: number
  readonly maxBytes: number
}

const remembered = (seen: string | undefined, claims: readonly Claim[], how: Memory): string | undefined =>
  claims.reduce((held, { operation }) => (takesEpoch(operation) ? (rememberEvicted(held, { ...operation, step: 'rotating', at: new Date(how.now), digest: '-' }, operation.epoch, { ...how, force: true, overtaken: true }) ?? held) : held), seen)

/** The list of operations that lost their stamp, with those whose claims are ruled out by what is written now. Nobody can tell which of them has an `Idempotency-Key`. */
export const withOvertaken = (record: KeyRecord, how: Memory): string | undefined => {
  const { facts, claims, revoked } = record
  return remembered(facts.labels[seenLabel], claims.filter(({ live, operation }) => (live || revoked) && !wasCurrent(record, operation?.id ?? '')), how)
}

/** An operation takes away its own claims. One that can become current no more is remembered first, unless it is already. */
export const discardOwn = async ({ steps, settling }: Pick<KeyHouse, 'steps' | 'settling'>, record: KeyRecord, { id, digest }: Operation, call: Call): Promise<void> => {
  const held = record.facts.labels[seenLabel]
  const own = record.claims.filter(({ operation }) => operation?.id === id)
  const known = digest === undefined || stampOf(record, id) !== undefined || wasSeen(held, id) || wasSeen(held, id, 'overtaken')
  const seen = known ? held : remembered(held, own.filter(({ live }) => !live), steps.memory)
  if (seen !== undefined && seen !== held) await steps.annotate(record, { [seenLabel]: seen }, call)
  for (const { version } of own) await settling.ruleOut(record, version.id, call)
}
