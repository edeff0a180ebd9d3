// Operations: who is repeating what. An operation has an id that a repetition finds again, and a stamp in the key's labels that says how far it came.
// A stamp is a mirror: which operation won an epoch is said by the versions (`operation-text.ts`), never by a label alone.
import { createHash, createHmac } from 'node:crypto'
import { LatchkeyError } from '../errors.ts'
import type { Random } from '../runtime.ts'
import type { OperationContext } from '../virtual-key.ts'
import { verbs, type Verb } from './operation-text.ts'

/** One change that one caller asked for, however often. */
export interface Operation {
  /** 32 hex digits: from caller, route, target name and `Idempotency-Key`, or random without one. */
  readonly id: string
  readonly verb: Verb
  /** 16 hex digits of the SHA-256 of id and body; only with an `Idempotency-Key`. */
  readonly digest?: string
}

/** How long a repetition of an `Idempotency-Key` is recognised. */
export const rememberedMs = 24 * 3_600_000

/** Below this age an unfinished operation of somebody else is left alone. Politeness: safety does not rest on it. */
export const leaseMs = 60_000

const withLength = (text: string): string => `${Buffer.byteLength(text)}:${text}`

/** The operation that a request is: the same one when caller, route, target name and `Idempotency-Key` are the same. */
export const beginOperation = (verb: Verb, context: OperationContext, target: string, random: Random): Operation => {
  if (context.idempotencyKey === undefined) return { id: Buffer.from(random.bytes(16)).toString('hex'), verb }
  const message = [context.caller, context.route, target].map(withLength).join('')
  const id = createHmac('sha256', context.idempotencyKey).update(message).digest('hex').slice(0, 32)
  return { id, verb, digest: createHash('sha256').update(id + context.body).digest('hex').slice(0, 16) }
}

/** The id of an operation that no caller asked for: 32 hex digits that follow from what it does, so that whoever does it again is the same operation. */
export const derivedId = (what: string): string => createHash('sha256').update(what).digest('hex').slice(0, 32)

const steps = ['registering', 'rotating', 'revoking', 'changing', 'arriving', 'purging', 'done'] as const
/** How far an operation came. Everything but `done` is driven forward by whoever meets it. */
export type Step = (typeof steps)[number]

const verbForm = new RegExp(`^(${verbs.join('|')})$`)
const stepForm = new RegExp(`^(${steps.join('|')})$`)

/** What a key's labels remember of one operation. */
export interface Stamp {
  readonly id: string
  readonly verb: Verb
  readonly step: Step
  readonly at: Date
  /** The version that was current before. */
  readonly before?: string
  /** Until when that version is accepted. */
  readonly until?: Date
  /** Absent on operations without an `Idempotency-Key`. */
  readonly digest?: string
  /** An earlier rotation's grace whose own stamp had to go while it lasts. */
  readonly kept?: { readonly before: string; readonly until: Date }
  /** On deletes: which key it was, because the alias may belong to another one later. */
  readonly keyId?: string
}

/** Whether a stamp was made under a claim that may never have become current. */
export const isClaimed = ({ step, verb }: Stamp): boolean => step === 'rotating' || (step === 'revoking' && verb === 'rename')

const time = (date: Date | undefined): string => date?.toISOString() ?? '-'

/** A stamp as one label value: its fields parted by spaces, `-` where there is nothing. At most 256 characters. */
export const stampText = (stamp: Stamp): string =>
  [stamp.id, stamp.verb, stamp.step, time(stamp.at), stamp.before ?? '-', time(stamp.until), stamp.digest ?? '-', ...(stamp.keyId === undefined ? [] : [`key=${stamp.keyId}`]), ...(stamp.kept === undefined ? [] : [`kept=${stamp.kept.before}=${time(stamp.kept.until)}`])].join(' ')

/** The inverse of {@link stampText}; nothing for text that is no stamp. */
export const parseStamp = (text: string | undefined): Stamp | undefined => {
  const [id = '', verb = '', step = '', at = '', before = '-', until = '-', digest = '-', ...more] = (text ?? '').split(' ')
  if (!/^[0-9a-f]{32}$/.test(id) || !verbForm.test(verb) || !stepForm.test(step) || Number.isNaN(Date.parse(at))) return undefined
  const keyId = more.find((field) => field.startsWith('key='))?.slice('key='.length)
  const [, keptBefore, keptUntil = ''] = /^kept=(.+)=([^=]+)$/.exec(more.find((field) => field.startsWith('kept=')) ?? '') ?? []
  return {
    id,
    verb: verb as Verb,
    step: step as Step,
    at: new Date(at),
    ...(before === '-' ? {} : { before }),
    ...(Number.isNaN(Date.parse(until)) ? {} : { until: new Date(until) }),
    ...(digest === '-' ? {} : { digest }),
    ...(keyId === undefined ? {} : { keyId }),
    ...(keptBefore === undefined || Number.isNaN(Date.parse(keptUntil)) ? {} : { kept: { before: keptBefore, until: new Date(keptUntil) } }),
  }
}

/** The label of an epoch's stamp. Slots are never shifted: shifting is read-modify-write and loses stamps. A store with little room has one slot. */
export const stampLabel = (epoch: number, slots: number): string => `latchkey-op-${1 + (slots === 1 ? 0 : epoch % slots)}`

/** The label of the stamp of a change that raises no epoch: a slot of its own, so that it takes no rotation's place; where there is one slot, that one. */
export const changeLabel = (slots: number): string => `latchkey-op-${slots === 1 ? 1 : slots + 1}`

/** @throws idempotency_mismatch when the stamp is this operation's and was made with another body */
export const refuseOtherBody = (stamp: Stamp | undefined, operation: Operation): void => {
  if (stamp?.digest === undefined || operation.digest === undefined || stamp.digest === operation.digest) return
  throw new LatchkeyError('idempotency_mismatch', 'The Idempotency-Key was used before with another body; nothing was done. Use a new key for a new request.', { operationId: operation.id })
}

/** The label that lists operations which lost their stamp within the last day. */
export const seenLabel = 'latchkey-seen'
const seenCharacters = 12

/** Whether the list of operations that lost their slot names this one as one that took effect; `former`: on a key that had the name before; `overtaken`: as one that did not take effect and never will. */
export const wasSeen = (seen: string | undefined, id: string, which?: 'former' | 'overtaken'): boolean =>
  (seen ?? '').split(' ').some((entry) => {
    const [named, , , ...flags] = entry.split('.')
    return named === id.slice(0, seenCharacters) && flags.includes('n') === (which === 'overtaken') && (which !== 'former' || flags.includes('x'))
  })

/** The list once another key has the name; what there is no room for goes, the oldest first. */
export const seenByFormer = (seen: string, maxBytes: number): string => {
  const entries = seen.split(' ').map((entry) => (entry.endsWith('.x') ? entry : `${entry}.x`))
  while (entries.join(' ').length > maxBytes) entries.shift()
  return entries.join(' ')
}

/**
 * The list of seen operations once `evicted` (the stamp whose slot is needed) has lost its slot; nothing when the list stays as it is. Entries older than a
 * day go, operations without an `Idempotency-Key` never enter. `former`: it was done on a key that had the name before.
 * @throws throttled when there is no room: the caller must not have done anything yet. A delete is never refused: with `force` the oldest entry goes.
 */
export const rememberEvicted = (seen: string | undefined, evicted: Stamp | undefined, epoch: number, how: { now: number; maxBytes: number; force: boolean; overtaken: boolean; former?: boolean }): string | undefined => {
  if (evicted?.digest === undefined || (evicted.step === 'rotating' && !how.overtaken) || how.now - evicted.at.getTime() >= rememberedMs) return undefined
  const bornAt = (entry: string): number => Number.parseInt(entry.split('.')[2] ?? '', 36) * 60_000
  const entries = (seen ?? '').split(' ').filter((entry) => entry !== '' && how.now - bornAt(entry) < rememberedMs)
  if (entries.some((entry) => entry.startsWith(`${evicted.id.slice(0, seenCharacters)}.`))) return undefined
  entries.push(`${evicted.id.slice(0, seenCharacters)}.${epoch}.${Math.floor(evicted.at.getTime() / 60_000).toString(36)}${how.overtaken ? '.n' : ''}${how.former === true ? '.x' : ''}`)
  while (entries.join(' ').length > how.maxBytes) {
    const oldest = Math.min(...entries.map(bornAt))
    if (!how.force) {
      const retryAfter = Math.max(1, Math.ceil((oldest + rememberedMs - how.now) / 1000))
      throw new LatchkeyError('throttled', `This key has no room to remember another Idempotency-Key: ${entries.length - 1} were used within 24 hours. Nothing was done; wait for Retry-After.`, { retryAfter, applied: 'no' })
    }
    entries.splice(entries.findIndex((entry) => bornAt(entry) === oldest), 1)
  }
  return entries.join(' ')
}
