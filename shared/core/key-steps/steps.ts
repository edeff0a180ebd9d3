// The steps that create, rotate and delete share: how an operation is driven over lost answers, and how what others left is settled.
import { isCode, LatchkeyError } from '../errors.ts'
import { findKey } from '../keys/finding.ts'
import { keyLabels, stampOf, wasCurrent, type KeyRecord } from '../keys/record.ts'
import { inProgress, missingKey } from '../keys/refusals.ts'
import { isUnanswered, type KeyRecords, type KeyStore } from '../keys/records.ts'
import { operationText } from '../keys/operation-text.ts'
import { changeLabel, isClaimed, leaseMs, rememberEvicted, seenByFormer, seenLabel, stampLabel, stampText, parseStamp, type Operation, type Stamp } from '../keys/operation.ts'
import type { Annotation, WriteOutcome } from '../provider.ts'
import type { Call } from '../runtime.ts'
import type { KeyTarget } from '../virtual-key.ts'
import type { Grace, KeyAnswers, KeyLifecycleOptions } from '../keys/answers.ts'
import type { GatewayRows } from './gateway-rows.ts'
import type { Progress } from './progress.ts'
import { withOvertaken } from './overtaken.ts'
import type { KeySettling } from './settling.ts'
import { SecretValue, type Version } from '../secret.ts'

type Labels = Readonly<Record<string, string | null>>

/** What every operation is given. */
export interface KeyHouse {
  readonly store: KeyStore
  readonly records: KeyRecords
  readonly steps: KeySteps
  readonly settling: KeySettling
  /** What the gateway is told; nothing where there is none. */
  readonly rows: GatewayRows | undefined
  readonly answers: KeyAnswers
  readonly options: KeyLifecycleOptions
  /** For an alias that is new or changes; nothing where any will do. @throws invalid_request (param key_alias) */
  readonly checkAlias: ((alias: string) => void) | undefined
}

/** The labels changed between reading and annotating: the round starts again. */
const stale = new LatchkeyError('conflict', 'Others keep changing this key; the operation gave up. Send it again.', { retryAfter: 1 })

/** Failures without an answer, and rounds, after which an operation gives up. */
const attempts = 4
const rounds = 12

/** The steps of one store's keys. */
export class KeySteps {
  readonly #records: KeyRecords
  readonly #store: KeyStore
  readonly #answers: KeyAnswers
  readonly #options: KeyLifecycleOptions

  constructor(records: KeyRecords, answers: KeyAnswers, options: KeyLifecycleOptions) {
    this.#records = records
    this.#store = records.store
    this.#answers = answers
    this.#options = options
  }

  get #now(): number {
    return this.#options.clock.now()
  }

  /** Runs rounds of "read, decide, one step" until one gives an answer. A call without an answer ends the round, not the operation, and says nothing of it. */
  async drive<T>(operation: Operation, call: Call, found: KeyRecord | undefined, round: (progress: Progress, count: number) => Promise<T | 'again'>): Promise<T> {
    const progress: Progress = { found, applied: operation.digest === undefined ? 'no' : 'unknown' }
    let failures = 0
    for (let count = 0; ; count += 1) {
      try {
        const result = await round(progress, count)
        if (result !== 'again') return result
        if (count >= rounds) throw stale
      } catch (error) {
        if (error === stale && count < rounds) continue
        if (!(error instanceof LatchkeyError)) throw error
        failures += 1
        const open = isUnanswered(error) && failures < attempts && this.#now < call.deadline && !call.signal.aborted
        const told = isUnanswered(error) ? undefined : error.code === 'gateway_unavailable' ? 'unknown' : error.details.applied
        if (!open) throw error.with({ operationId: operation.id, applied: told ?? progress.applied })
      }
    }
  }

  /** The record for this round. */
  async record(progress: Progress, name: KeyRecord['name'], call: Call): Promise<KeyRecord> {
    const record = progress.found ?? (await this.#records.describe(name, call))
    progress.found = undefined
    if (record === undefined) throw missingKey(this.#store.name)
    return record
  }

  /** The key that an operation starts from. Its key id is pinned there. @throws not_found */
  async found(target: KeyTarget, call: Call): Promise<KeyRecord> {
    return (await findKey(this.#records, target, call)) ?? Promise.reject(missingKey(this.#store.name, 'no'))
  }

  /** @throws conflict when what somebody else began is younger than the lease */
  refuseYoung(begun: Date | undefined): void {
    const left = begun === undefined ? 0 : begun.getTime() + leaseMs - this.#now
    if (left > 0) throw inProgress(left)
  }

  /** The label of an operation's stamp: the slot of the epoch that it wins, or, where it only changes what is said about the key, the one for that. */
  labelOf(epoch: number | 'change'): string {
    return epoch === 'change' ? changeLabel(this.#records.slots) : stampLabel(epoch, this.#records.slots)
  }

  /** Claims of changes whose labels may still land; of a renaming (`delete`) too, which notes on the old name where its key went. */
  changesOnTheWay({ facts, claims }: KeyRecord): readonly Version[] {
    const young = ({ created }: Version): boolean => created !== undefined && this.#now - created.getTime() < leaseMs
    return facts.etag !== undefined ? [] : claims.filter(({ operation, version }) => operation !== undefined && operation.verb !== 'rotate' && young(version)).map(({ version }) => version)
  }

  /** A tombstone that is being purged may go at any moment: nothing is written on top of it. @throws conflict while that is young */
  refusePurging(record: KeyRecord): void {
    const stamp = stampOf(record, record.operation?.id)
    if (stamp?.step === 'purging') this.refuseYoung(stamp.at)
  }

  /** An operation's stamp as a label. */
  stamp(operation: Operation, epoch: number | 'change', fields: Pick<Stamp, 'step' | 'before' | 'until' | 'keyId' | 'kept'>): Record<string, string> {
    const stamp: Stamp = { id: operation.id, verb: operation.verb, at: new Date(this.#now), ...(operation.digest === undefined ? {} : { digest: operation.digest }), ...fields }
    return { [this.labelOf(epoch)]: stampText(stamp) }
  }

  /** What must be remembered of the stamp whose slot this epoch takes. @throws throttled when there is no room, unless forced */
  evicted(record: KeyRecord, operation: Operation, slot: number | 'change', force: boolean): Record<string, string> {
    const epoch = slot === 'change' ? record.epoch : slot
    const stamp = parseStamp(record.facts.labels[this.labelOf(slot)])
    const held = record.facts.labels[seenLabel]
    const before = operation.verb === 'delete' ? withOvertaken(record, this.memory) : held
    const seen = stamp?.id === operation.id ? undefined : rememberEvicted(before, stamp, epoch, { ...this.memory, force, former: stamp?.keyId !== undefined && stamp.keyId !== record.keyId, overtaken: stamp !== undefined && isClaimed(stamp) && slot !== 'change' && !wasCurrent(record, stamp.id) })
    return (seen ?? before) === held ? {} : { [seenLabel]: seen ?? before ?? '' }
  }

  /** What is needed to remember an operation. */
  get memory(): { readonly now: number; readonly maxBytes: number } {
    return { now: this.#now, maxBytes: this.#records.room.valueBytes }
  }

  /** What only the stamp names whose slot this epoch takes: the first can be kept in the new stamp, the others cannot. */
  displaced(record: KeyRecord, operation: Operation, epoch: number | 'change'): readonly Grace[] {
    const stamp = parseStamp(record.facts.labels[this.labelOf(epoch)])
    return stamp === undefined || stamp.id === operation.id ? [] : this.#answers.namedBy(record, stamp)
  }

  async annotate(record: KeyRecord, labels: Labels, call: Call, more: Omit<Annotation, 'labels' | 'etag'> = {}): Promise<void> {
    const { etag } = record.facts
    try {
      await this.#records.send('annotate', record.name, call, record.name, { labels, ...more, ...(etag === undefined ? {} : { etag }) })
    } catch (error) {
      throw isCode(error, 'conflict') ? stale : error
    }
  }

  /** Makes the labels of a tombstone, or of nobody, those of the key that is now current. Older graces end here: they were another key's. */
  async relabel(record: KeyRecord, operation: Operation, labels: Readonly<Record<string, string>>, call: Call): Promise<KeyRecord> {
    const former = record.facts.labels[keyLabels.keyId]
    const kept = Object.entries(record.facts.labels).map(([key, text]): [string, string | null] => {
      const stamp = parseStamp(text)
      if (!key.startsWith('latchkey-')) return [key, text]
      if (stamp === undefined || stamp.id === operation.id) return [key, null]
      const { until: _ended, kept: _kept, ...rest } = stamp
      return [key, stampText(former === undefined || former === labels[keyLabels.keyId] ? rest : { keyId: former, ...rest })]
    })
    const [{ description }, expires] = [this.#options, labels[keyLabels.notAfter]]
    const more = { expires: expires === undefined ? null : new Date(expires), ...(description === undefined ? {} : { description }) }
    const { [seenLabel]: seen } = { ...record.facts.labels, ...this.evicted(record, operation, record.epoch, true) }
    const remembered = seen === undefined ? {} : { [seenLabel]: seenByFormer(seen, this.memory.maxBytes) }
    await this.annotate(record, { ...Object.fromEntries(kept), ...remembered, ...labels }, call, more)
    return (await this.#records.describe(record.name, call)) ?? record
  }

  /**
   * Sends the claim of an epoch; sent again it finds its own version. Nothing when another operation holds the epoch. A claim may take two calls, of which only the second was refused:
   * what stands of it is taken back where nobody can make it whole. With an `Idempotency-Key` it waits for its repetition, which another instance may be about already.
   */
  async claim(name: KeyRecord['name'], before: string, epoch: number, operation: Pick<Operation, 'id' | 'verb' | 'digest'>, value: SecretValue, call: Call): Promise<WriteOutcome | undefined> {
    const claim = { name, value, expect: { version: before }, before, operation: operationText(epoch, operation), epoch, stage: 'pending' } as const
    try {
      return await this.#records.send('write', name, call, claim)
    } catch (error) {
      const refused = isCode(error, 'provider_quota', 'provider_denied')
      if (refused && operation.digest === undefined) await this.#records.send('discard', name, call, name, claim.operation).catch(() => undefined)
      if (!isCode(error, 'conflict', 'not_found')) throw error
      return undefined
    }
  }

  /** The conditional step. Answers whether it was seen to hold; what came of a refusal is read afterwards, so that is no failure here. */
  promote(name: KeyRecord['name'], move: { readonly to: string; readonly from: string }, call: Call): Promise<boolean> {
    const refused = (error: unknown): boolean => {
      if (!isCode(error, 'conflict', 'not_found', 'version_disabled')) throw error
      return false
    }
    return this.#records.send('promote', name, call, name, move).then(() => true, refused)
  }

  /** A text that cannot be a token. */
  tombstone(): SecretValue {
    return SecretValue.of(`revoked ${new Date(this.#now).toISOString()}`)
  }
}
