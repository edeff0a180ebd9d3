// The steps that create, rotate and delete share: how an operation is driven over lost answers, how what others left is settled, and what is answered.
import { isCode, LatchkeyError } from './errors.ts'
import { keyLabels, stampOf, type KeyRecord, type Standing } from './key-record.ts'
import { isUnanswered, type KeyRecords, type KeyStore } from './key-records.ts'
import { leaseMs, rememberEvicted, seenLabel, stampLabel, stampText, parseStamp, type Operation, type Stamp } from './operation.ts'
import type { Annotation } from './provider.ts'
import type { Call, Clock, Random } from './runtime.ts'
import { mintedKeyId, tokenHash, type KeyAnswer, type KeyInfo, type KeyTarget } from './virtual-key.ts'
import type { SecretValue } from './secret.ts'

export interface KeyLifecycleOptions {
  readonly clock: Clock
  readonly random: Random
  /** LiteLLM's `description` and `tags` of key_management_settings. */
  readonly description?: string
  readonly tags?: Readonly<Record<string, string>>
  /** Default: "{prefix}{alias}". */
  readonly keyName?: string
  /** How long a repetition is shown the token again. Default: 900,000. */
  readonly revealWindowMs?: number
}

type Labels = Readonly<Record<string, string | null>>

/** What this instance knows of its own operation, beyond what the store says. */
export interface Progress {
  /** What was found before the first round; later rounds read again. */
  found?: KeyRecord | undefined
  applied: 'no' | 'yes' | 'unknown'
  /** The tombstone that this instance wrote over. */
  before?: string
  /** The epoch that this instance last tried to win. */
  epoch?: number
  /** The token that this instance proposed; gone where another instance may have stored another one for the same operation. */
  token?: SecretValue | undefined
}

/** The labels changed between reading and annotating: the round starts again. */
const stale = new LatchkeyError('conflict', 'Others keep changing this key; the operation gave up. Send it again.', { retryAfter: 1 })

const attempts = 4
const rounds = 12

export class KeySteps {
  readonly #records: KeyRecords
  readonly #store: KeyStore
  readonly #options: KeyLifecycleOptions

  constructor(records: KeyRecords, options: KeyLifecycleOptions) {
    this.#records = records
    this.#store = records.store
    this.#options = options
  }

  get #now(): number {
    return this.#options.clock.now()
  }

  /** Runs rounds of "read, decide, one step" until one gives an answer. A call without an answer ends the round, not the operation. */
  async drive<T>(operation: Operation, call: Call, found: KeyRecord | undefined, round: (progress: Progress, count: number) => Promise<T | 'again'>): Promise<T> {
    const progress: Progress = { found, applied: operation.digest === undefined ? 'no' : 'unknown' }
    let failures = 0
    for (let count = 0; ; count += 1) {
      try {
        const result = await round(progress, count)
        if (result !== 'again') return result
        if (count >= rounds) throw new LatchkeyError('conflict', 'Others keep changing this key; the operation gave up. Send it again.', { retryAfter: 1 })
      } catch (error) {
        if (error === stale && count < rounds) continue
        if (!(error instanceof LatchkeyError)) throw error
        failures += 1
        const open = isUnanswered(error) && failures < attempts && this.#now < call.deadline && !call.signal.aborted
        if (!open) throw error.with({ operationId: operation.id, applied: error.details.applied ?? progress.applied })
      }
    }
  }

  /** The record for this round. */
  async record(progress: Progress, name: KeyRecord['name'], call: Call): Promise<KeyRecord> {
    const record = progress.found ?? (await this.#records.describe(name, call))
    progress.found = undefined
    if (record === undefined) throw this.missing()
    return record
  }

  /** The key that an operation starts from. Its key id is pinned there. @throws not_found */
  async found(target: KeyTarget, call: Call): Promise<KeyRecord> {
    const record = await this.#records.find(target, call)
    if (record === undefined) throw this.missing('no')
    return record
  }

  missing(applied?: 'no'): LatchkeyError {
    return new LatchkeyError('not_found', `There is no such key in "${this.#store.name}". A key is named by its key id, its token, the SHA-256 of a token that the caller supplied, or its key_alias.`, { param: 'key', ...(applied === undefined ? {} : { applied }) })
  }

  /** @throws conflict when what somebody else began is younger than the lease */
  refuseYoung(begun: Date | undefined): void {
    const left = begun === undefined ? 0 : begun.getTime() + leaseMs - this.#now
    if (left > 0) throw new LatchkeyError('conflict', 'Another operation on this key is in progress; this one was not applied.', { retryAfter: Math.ceil(left / 1000), applied: 'no' })
  }

  refuseDoubtful(standing: Standing): void {
    if (standing === 'doubtful') throw new LatchkeyError('conflict', 'This operation began, others followed, and the store no longer says whether it took effect. Look at the key before you send anything again.', { applied: 'unknown' })
  }

  /** @throws invalid_request, already_exists when a supplied token cannot be this key's */
  async requireFreeToken(token: SecretValue, name: string, call: Call): Promise<void> {
    const refuse = (message: string): LatchkeyError => new LatchkeyError('invalid_request', `key: ${message}`, { issues: [{ path: 'key', message }], param: 'key', applied: 'no' })
    if (!token.isText || !/^sk-[\x21-\x7e]{1,509}$/.test(token.reveal())) throw refuse('must begin with "sk-" and be at most 512 printable ASCII characters without spaces')
    if (mintedKeyId(token) !== undefined) throw refuse('is a token that Latchkey minted for a key of its own; leave it out or choose another')
    const holder = await this.#records.find({ token }, call)
    if (holder !== undefined && !holder.revoked && holder.name.text !== name) throw new LatchkeyError('already_exists', 'Another key has this token already.', { param: 'key', applied: 'no' })
  }

  stamp(operation: Operation, epoch: number, fields: Pick<Stamp, 'step' | 'before' | 'until' | 'keyId'>): Record<string, string> {
    const stamp: Stamp = { id: operation.id, verb: operation.verb, at: new Date(this.#now), ...(operation.digest === undefined ? {} : { digest: operation.digest }), ...fields }
    return { [stampLabel(epoch, this.#records.slots)]: stampText(stamp) }
  }

  /** What must be remembered of the stamp whose slot this epoch takes. @throws throttled when there is no room, unless forced */
  evicted(record: KeyRecord, operation: Operation, epoch: number, force: boolean): Record<string, string> {
    const { labels } = record.facts
    const stamp = parseStamp(labels[stampLabel(epoch, this.#records.slots)])
    if (stamp?.id === operation.id) return {}
    const seen = rememberEvicted(labels[seenLabel], stamp, epoch, { now: this.#now, maxBytes: this.#records.room.valueBytes, force })
    return seen === undefined ? {} : { [seenLabel]: seen }
  }

  async annotate(record: KeyRecord, labels: Labels, call: Call): Promise<void> {
    await this.#change(record, { labels }, call)
  }

  async #change(record: KeyRecord, change: Annotation, call: Call): Promise<void> {
    const { etag } = record.facts
    try {
      await this.#records.send('annotate', record.name, call, record.name, { ...change, ...(etag === undefined ? {} : { etag }) })
    } catch (error) {
      throw isCode(error, 'conflict') ? stale : error
    }
  }

  /** Makes the labels of a tombstone, or of nobody, those of the key that is now current. Older graces end here: they were another key's. */
  async relabel(record: KeyRecord, operation: Operation, labels: Readonly<Record<string, string>>, call: Call): Promise<KeyRecord> {
    const kept = Object.entries(record.facts.labels).map(([key, text]): [string, string | null] => {
      if (key === seenLabel || !key.startsWith('latchkey-')) return [key, text]
      const { until: _ended, ...stamp } = parseStamp(text) ?? {}
      return [key, 'id' in stamp ? stampText(stamp as Stamp) : null]
    })
    const { description } = this.#options
    const change = { ...Object.fromEntries(kept), ...this.evicted(record, operation, record.epoch, true), ...labels }
    const expires = labels[keyLabels.notAfter]
    await this.#change(record, { labels: change, expires: expires === undefined ? null : new Date(expires), ...(description === undefined ? {} : { description }) }, call)
    return (await this.#records.describe(record.name, call)) ?? record
  }

  /** Drives what another operation left unfinished: true when something was done and the facts must be read again. @throws conflict when it is still young */
  async settleOthers(record: KeyRecord, call: Call): Promise<boolean> {
    for (const { version, operation, live } of record.claims) {
      if (operation === undefined) throw new LatchkeyError('conflict', 'Somebody other than Latchkey has a rotation of this secret pending; end it in the service first.', { applied: 'no' })
      if (live) this.refuseYoung(version.created)
      if (live && stampOf(record, operation.id) !== undefined) await this.promote(record, version.id, call)
      else await this.#records.send('discard', record.name, call, record.name, version.id)
      return true
    }
    const stamp = stampOf(record, record.operation?.id)
    if (stamp?.step !== 'rotating') return false
    this.refuseYoung(stamp.at)
    await this.retire(record, stamp, call)
    return true
  }

  /** The conditional step. What came of it is read afterwards, so a refusal is no failure here. */
  async promote(record: KeyRecord, to: string, call: Call): Promise<void> {
    try {
      await this.#records.send('promote', record.name, call, record.name, { to, from: record.current?.id ?? '' })
    } catch (error) {
      if (!isCode(error, 'conflict', 'not_found')) throw error
    }
  }

  /** Ends a rotation that has taken effect: the version before goes now or keeps its grace, then the done stamp. */
  async retire(record: KeyRecord, stamp: Stamp, call: Call): Promise<void> {
    const before = stamp.before ?? record.current?.before
    const over = stamp.until === undefined || stamp.until.getTime() <= this.#now
    if (before !== undefined && over) await this.#records.send('discard', record.name, call, record.name, before)
    const done = stampText({ ...stamp, step: 'done', at: new Date(this.#now) })
    await this.annotate(record, { [stampLabel(record.epoch, this.#records.slots)]: done, [keyLabels.epoch]: String(record.epoch), [keyLabels.state]: null, ...(over ? { [keyLabels.previousToken]: null } : {}) }, call)
  }

  /** Ends a deletion: nothing before or beside the tombstone stays, then the done stamp. */
  async bury(record: KeyRecord, operation: Operation, keyId: string, call: Call): Promise<void> {
    for (const version of record.facts.versions ?? []) {
      if (!version.stages.includes('current') && version.stages.length > 0) await this.#records.send('discard', record.name, call, record.name, version.id)
    }
    const before = stampOf(record, operation.id)?.before ?? record.current?.before
    const labels = { [keyLabels.managedBy]: 'latchkey', [keyLabels.keyId]: keyId, [keyLabels.state]: 'revoked', [keyLabels.epoch]: String(record.epoch) }
    await this.annotate(record, { ...labels, ...this.evicted(record, operation, record.epoch, true), ...this.stamp(operation, record.epoch, { step: 'done', keyId, ...(before === undefined ? {} : { before }) }) }, call)
  }

  async discardOwn(record: KeyRecord, operation: Operation, call: Call): Promise<void> {
    const own = record.claims.find((claim) => claim.operation?.id === operation.id)
    if (own !== undefined) await this.#records.send('discard', record.name, call, record.name, own.version.id)
  }

  /** The labels by which supplied tokens are found: the new one's, and the one's that is about to become previous. */
  async hashes(record: KeyRecord, token: SecretValue | undefined, call: Call): Promise<Labels> {
    const { labels } = record.facts
    if (token === undefined && labels[keyLabels.token] === undefined && labels[keyLabels.previousToken] === undefined) return {}
    const current = this.#store.policy.mayReadValues && labels[keyLabels.token] !== undefined ? await this.#records.read(record.name, record.current?.id ?? '', call) : undefined
    const before = current === undefined ? labels[keyLabels.token] : mintedKeyId(current) === undefined ? tokenHash(current) : undefined
    if (token !== undefined) await this.#records.writeIndex(tokenHash(token), record.name, call)
    return { [keyLabels.token]: token === undefined ? null : tokenHash(token), [keyLabels.previousToken]: before ?? null }
  }

  /** The rotations whose version before is still accepted. */
  graces(record: KeyRecord): readonly Stamp[] {
    return record.stamps.filter((stamp) => stamp.verb === 'rotate' && (stamp.step === 'done' || stamp.id === record.operation?.id) && stamp.before !== undefined && (stamp.until?.getTime() ?? 0) > this.#now)
  }

  /** The token for an answer; `again`: the operation was done before this request. */
  async reveal(record: KeyRecord, operation: Operation, progress: Progress, again: boolean, call: Call): Promise<Pick<KeyAnswer, 'key' | 'keyWithheld'>> {
    if (progress.token !== undefined) return { key: progress.token }
    if (!this.#store.policy.mayReadValues) return { keyWithheld: 'write_only' }
    const at = stampOf(record, operation.id)?.at ?? record.current?.created
    if (again && at !== undefined && this.#now - at.getTime() > (this.#options.revealWindowMs ?? 900_000)) return { keyWithheld: 'reveal_expired' }
    return { key: await this.#records.read(record.name, record.current?.id ?? '', call) }
  }

  info(record: KeyRecord): KeyInfo {
    const alias = this.#records.aliasOf(record)
    const teamId = this.#records.teamOf(record)
    const updated = record.stamps[0]?.at
    const until = this.graces(record).map((stamp) => stamp.until?.getTime() ?? 0)
    return {
      keyId: record.keyId ?? '',
      ...(alias === undefined ? {} : { alias }),
      ...(teamId === undefined ? {} : { teamId }),
      state: record.revoked ? 'revoked' : record.claims.some(({ live }) => live) ? 'rotating' : 'active',
      epoch: record.epoch,
      ...(record.facts.created === undefined ? {} : { created: record.facts.created }),
      ...(updated === undefined ? {} : { updated }),
      ...(record.notAfter === undefined ? {} : { expires: record.notAfter }),
      stored: { store: this.#store.name, name: record.name.text, ...(record.current === undefined ? {} : { version: record.current.id }) },
      data: this.#records.dataOf(record),
      operations: record.stamps.map(({ id, verb, step, at, before, until: ends }) => ({ id, verb, step, at, ...(before === undefined ? {} : { before }), ...(ends === undefined ? {} : { until: ends }) })),
      ...(until.length === 0 ? {} : { previousUntil: new Date(Math.max(...until)) }),
      guarantee: this.#store.provider.traits.write?.guarantee ?? 'detected',
    }
  }

  answer(record: KeyRecord, operation: Operation, more: Partial<KeyAnswer>): KeyAnswer {
    return { ...this.info(record), ...more, operationId: operation.id, enforcedBy: this.#store.policy.mayReadValues ? ['verify'] : [] }
  }

  /** The answer to a repetition of an operation that took effect and was followed by another. */
  superseded(record: KeyRecord, operation: Operation, keyId: string): KeyAnswer {
    const gone = record.revoked || record.keyId !== keyId
    return { ...this.answer(record, operation, { keyWithheld: 'superseded', superseded: gone ? 'deleted' : 'rotated' }), keyId, ...(gone ? { state: 'revoked' } : {}) }
  }
}
