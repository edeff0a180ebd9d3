// What a secret's facts say about the virtual key that it holds. Versions decide (who won the epoch, tombstone or not); labels are mirrors, and what a
// label says is taken only where the current version agrees with it.
import { parseStamp, seenLabel, wasSeen, type Stamp } from './operation.ts'
import { arrivalId, keyIdIn, parseOperation, type WonEpoch } from './operation-text.ts'
import type { SecretFacts, SecretName, Version } from '../secret.ts'
import { keyIdOf } from '../virtual-key.ts'

/** A pending version. */
export interface Claim {
  readonly version: Version
  readonly operation?: WonEpoch
  /** Whether it can still become current: made for the next epoch, on top of the version that is current. */
  readonly live: boolean
}

/** One secret, read as a virtual key. */
export interface KeyRecord {
  readonly name: SecretName
  readonly facts: SecretFacts
  /** The ownership mark, or a version that only Latchkey can have written. */
  readonly ours: boolean
  readonly current?: Version
  readonly operation?: WonEpoch
  readonly epoch: number
  readonly keyId?: string
  /** The current version is a tombstone. */
  readonly revoked: boolean
  /** Labels and current version belong to one key. A creation that stopped between the two is not a key yet. */
  readonly complete: boolean
  readonly blocked: boolean
  readonly claims: readonly Claim[]
  readonly stamps: readonly Stamp[]
  readonly notAfter?: Date
}

/** The names of the labels on a key's secret. */
export const keyLabels = {
  managedBy: 'managed-by',
  keyId: 'latchkey-key-id',
  team: 'latchkey-team',
  state: 'latchkey-state',
  /** The key id, so that a mark that lands late says nothing about a later key of the same name. */
  blocked: 'latchkey-blocked',
  epoch: 'latchkey-epoch',
  notAfter: 'latchkey-not-after',
  data: 'latchkey-data-',
  token: 'latchkey-token-sha256',
  /** The hash of a supplied token that is still in its grace. */
  previousToken: 'latchkey-previous-sha256',
} as const

/** The key that an operation brought to a name, where it is one that does: by creating it, or by renaming it there. */
export const bornAs = (operation: WonEpoch | undefined): string | undefined =>
  operation?.verb === 'create' ? keyIdOf(operation.id) : operation?.verb === 'rename' ? keyIdIn(operation.id) : undefined

/** Reads the facts of one secret as a key. */
export const readKeyRecord = (name: SecretName, facts: SecretFacts): KeyRecord => {
  const { labels, current } = facts
  const written = facts.versions?.filter(({ stages }) => stages.length > 0 && !stages.includes('pending')).map((version) => parseOperation(version.operation)).filter((operation) => operation !== undefined) ?? []
  const newest = written.toSorted((a, b) => a.epoch - b.epoch).at(-1)
  const operation = parseOperation(current?.operation) ?? (facts.recoverableUntil !== undefined && current === undefined ? newest : undefined)
  const epoch = operation?.epoch ?? Number(labels[keyLabels.epoch] ?? 0)
  const ended = /^(revoked$|to )/.test(labels[keyLabels.state] ?? '')
  const revoked = operation === undefined ? ended : operation.verb === 'delete'
  const keyId = bornAs(operation) ?? labels[keyLabels.keyId]
  const [marked, notAfter] = [labels[keyLabels.managedBy] === 'latchkey', Date.parse(labels[keyLabels.notAfter] ?? '')]
  const stamps = Object.entries(labels).filter(([key]) => /^latchkey-op-\d$/.test(key)).map(([, text]) => parseStamp(text)).filter((stamp) => stamp !== undefined)
  const claims = (facts.versions ?? []).filter((version) => version.stages.includes('pending')).map((version): Claim => {
    const claimed = parseOperation(version.operation)
    const live = !revoked && claimed?.epoch === epoch + 1 && (version.before === undefined || version.before === current?.id)
    return { version, ...(claimed === undefined ? {} : { operation: claimed }), live }
  })
  // A key that comes back to a name that it had finds the labels of its tombstone there: they name the same key, and its own have not come yet.
  const stale = ended && operation?.verb === 'rename' && Number(labels[keyLabels.epoch] ?? 0) < epoch && !stamps.some((stamp) => isArrival(stamp, operation, keyId))
  return {
    name,
    facts,
    ours: marked || operation !== undefined,
    ...(current === undefined ? {} : { current }),
    ...(operation === undefined ? {} : { operation }),
    epoch,
    ...(keyId === undefined ? {} : { keyId }),
    revoked,
    complete: marked && keyId !== undefined && labels[keyLabels.keyId] === keyId && !stale,
    blocked: keyId !== undefined && labels[keyLabels.blocked] === keyId,
    claims,
    stamps: stamps.toSorted((a, b) => b.at.getTime() - a.at.getTime()),
    ...(Number.isNaN(notAfter) ? {} : { notAfter: new Date(notAfter) }),
  }
}

/** Whether the current value is somebody else's: no operation of ours wrote it, and it is not the one that was adopted. */
export const isForeign = ({ facts, current, operation, complete }: KeyRecord): boolean =>
  complete && current !== undefined && operation === undefined && facts.labels[keyLabels.state] !== `adopted ${current.id}`

/** When the current token was made, as far as the record tells. One that its own operation wrote again, so that a claim is ruled out, is as old as it was: no rotation is put off by that. */
export const madeOf = (record: KeyRecord): Date | undefined => {
  const same = record.facts.versions?.filter(({ stages, operation }) => record.operation !== undefined && !stages.includes('pending') && parseOperation(operation)?.id === record.operation.id) ?? []
  const dates = [...[record.current, ...same].map((version) => version?.created), stampOf(record, record.operation?.id)?.at].filter((date) => date !== undefined)
  return dates.toSorted((x, y) => x.getTime() - y.getTime())[0]
}

/** Whether the end that the key was given is over. */
export const isExpired = (record: KeyRecord, now: number): record is KeyRecord & { readonly notAfter: Date } => record.notAfter !== undefined && record.notAfter.getTime() <= now

/** LiteLLM's other fields, as the labels hold them; what is no JSON counts as nothing. */
export const dataOf = (record: KeyRecord): Readonly<Record<string, unknown>> => {
  let text = ''
  for (let index = 1; record.facts.labels[`${keyLabels.data}${index}`] !== undefined; index += 1) text += record.facts.labels[`${keyLabels.data}${index}`]
  try {
    return text === '' ? {} : (JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as Record<string, unknown>)
  } catch {
    return {}
  }
}

const isArrival = ({ verb, id }: Stamp, operation: WonEpoch, keyId = ''): boolean => verb === 'rename' && arrivalId(id, keyId) === operation.id

/** The stamp of the renaming by which a record arrives under its name, until it is done. */
export const arrivalOf = ({ operation, stamps, keyId }: KeyRecord): Stamp | undefined =>
  operation?.verb === 'rename' ? stamps.find((stamp) => stamp.step === 'arriving' && isArrival(stamp, operation, keyId)) : undefined

/** The stamp of an operation that has taken effect on a live key and is not done. */
export const unfinishedOf = (record: KeyRecord): Stamp | undefined => {
  const own = stampOf(record, record.operation?.id) ?? arrivalOf(record)
  return own !== undefined && own.step !== 'done' && own.step !== 'revoking' ? own : record.stamps.find(({ step }) => step === 'changing')
}

/** The stamp of one operation, if the labels still have it. */
export const stampOf = (record: KeyRecord, id: string | undefined): Stamp | undefined => record.stamps.find((stamp) => stamp.id === id)

/** The label that holds an operation's stamp. */
export const slotOf = ({ facts }: KeyRecord, { id }: Stamp): string | undefined => Object.entries(facts.labels).find(([key, text]) => key.startsWith('latchkey-op-') && parseStamp(text)?.id === id)?.[0]

/**
 * Where an operation stands: its version is `current`; it holds the claim (`claimed`); it took effect and another followed (`past`); it can no longer take
 * effect (`lost`); it is not to be seen (`none`); it was there and the record does not say what became of it (`doubtful`).
 */
export type Standing = 'current' | 'claimed' | 'past' | 'lost' | 'none' | 'doubtful'

/** `epoch`: the epoch that the operation tried to win, where the asking instance knows. */
export const standingOf = (record: KeyRecord, id: string, epoch?: number): Standing => {
  if (record.operation?.id === id) return 'current'
  const claim = record.claims.find(({ operation }) => operation?.id === id)
  if (claim?.live === true) return 'claimed'
  const stamp = stampOf(record, id)
  if (stamp?.step === 'done' || wasSeen(record.facts.labels[seenLabel], id)) return 'past'
  if (wasSeen(record.facts.labels[seenLabel], id, 'overtaken')) return 'lost'
  const chain = chainOf(record)
  if (chain.some((link) => link.operation.id === id)) return 'past'
  // Where versions name the one before, a claim that stands beside another one's success was never current.
  if (claim?.version.before !== undefined) return 'lost'
  const tried = epoch ?? claim?.operation?.epoch ?? record.facts.versions?.map((version) => parseOperation(version.operation)).find((written) => written?.id === id)?.epoch
  if (stamp === undefined && (tried === undefined || (tried > record.epoch && claim === undefined))) return 'none'
  // Over somebody else's value nobody knows what was current before it.
  if (record.operation === undefined && stamp !== undefined && stamp.before !== record.current?.id) return 'doubtful'
  if (tried !== undefined && tried > record.epoch) return 'lost'
  if (stamp !== undefined && stamp.before === record.current?.id) return 'lost'
  return chain.some((link) => link.operation.epoch === tried || (stamp?.before !== undefined && link.before === stamp.before)) ? 'lost' : 'doubtful'
}

/** Whether an operation's version was ever current, as far as the record shows. */
export const wasCurrent = (record: KeyRecord, id: string): boolean => chainOf(record).some((link) => link.operation.id === id)

/** The key that an operation of the past changed, where another key may have the name by now; nothing when that is no longer known. */
export const keyOfPast = (record: KeyRecord, id: string): string | undefined => {
  const stamped = stampOf(record, id)?.keyId
  if (stamped !== undefined) return stamped
  const chain = chainOf(record)
  const at = chain.findIndex((link) => link.operation.id === id)
  // Only as far as no epoch is missing: over a gap another key may have had the name.
  for (let index = at; index >= 0 && index < chain.length && (index === at || chain[index]?.operation.epoch === (chain[index - 1]?.operation.epoch ?? 0) - 1); index += 1) {
    const born = bornAs(chain[index]?.operation)
    if (born !== undefined) return born
  }
  // What stands in no link was before the oldest: after a creation in the chain the name is another key's.
  if (record.current === undefined) return undefined
  const followed = chain.slice(0, at < 0 ? chain.length : at).some((link) => bornAs(link.operation) !== undefined) || wasSeen(record.facts.labels[seenLabel], id, 'former')
  return followed ? undefined : record.keyId
}

interface Link {
  readonly operation: WonEpoch
  readonly before?: string
}

/** The operations that are known to have been current, newest first, as far back as versions and stamps name the version before. */
const chainOf = (record: KeyRecord): readonly Link[] => {
  const chain: Link[] = []
  let version: Pick<Version, 'id' | 'operation' | 'before'> | undefined = record.current
  while (version !== undefined) {
    const operation: WonEpoch | undefined = parseOperation(version.operation ?? version.id)
    if (operation === undefined || chain.some((link) => link.operation.epoch <= operation.epoch)) break
    const previous = version === record.current ? record.facts.versions?.find(({ stages }) => stages.includes('previous'))?.id : undefined
    const before: string | undefined = version.before ?? stampOf(record, operation.id)?.before ?? previous
    chain.push({ operation, ...(before === undefined ? {} : { before }) })
    version = before === undefined ? undefined : (record.facts.versions?.find(({ id }) => id === before) ?? { id: before })
  }
  return chain
}
