// What stands half done is driven forward or ended here: claims of others, operations that took effect and are not done, tombstones. Whoever meets such a thing
// does the same, the request that repeats it, the next operation on the key and the sweep, so that there is one way to resume and no other.
import { LatchkeyError } from '../errors.ts'
import type { TokenRef } from '../gateway.ts'
import { mayReadValues } from '../policy.ts'
import type { Call } from '../runtime.ts'
import type { SecretValue } from '../secret.ts'
import type { GatewayRows } from './gateway-rows.ts'
import { endedTokens, refOf, sameToken, tokensOf } from './key-tokens.ts'
import { overVersions } from './over-versions.ts'
import { stampText, type Operation, type Stamp } from '../keys/operation.ts'
import { takesEpoch } from '../keys/operation-text.ts'
import { finishArrival, movedLabel } from './arrival.ts'
import { followKey } from './following.ts'
import { isForeign, keyLabels, slotOf, stampOf, unfinishedOf, type KeyRecord } from '../keys/record.ts'
import type { KeyRecords, KeyStore } from '../keys/records.ts'
import { isRefusedByGateway } from '../keys/refusals.ts'
import type { KeySteps } from './steps.ts'
import { useUpEpoch } from './used-up-epoch.ts'
import type { KeyAnswers, KeyLifecycleOptions } from '../keys/answers.ts'

/** Ends and drives forward what operations left on one store's keys. */
export class KeySettling {
  readonly #records: KeyRecords
  readonly #store: KeyStore
  readonly #answers: KeyAnswers
  readonly #options: KeyLifecycleOptions
  readonly #steps: KeySteps
  /** What the gateway is told; nothing where there is none. */
  readonly rows: GatewayRows | undefined

  constructor(steps: KeySteps, answers: KeyAnswers, options: KeyLifecycleOptions, rows: GatewayRows | undefined) {
    this.#records = answers.records
    this.#store = this.#records.store
    this.#answers = answers
    this.#options = options
    this.#steps = steps
    this.rows = rows
  }

  get #now(): number {
    return this.#options.clock.now()
  }

  /**
   * Drives what another operation left unfinished: true when something was done and the facts must be read again. What is younger than the lease is left alone,
   * unless `force` says that this operation waits for no rotation: then its claim is ruled out. @throws conflict when it is still young
   */
  async settleOthers(record: KeyRecord, from: string, call: Call, force = false): Promise<boolean> {
    for (const { version, operation, live } of record.claims) {
      if (operation === undefined) throw new LatchkeyError('conflict', 'Somebody other than Latchkey has a rotation of this secret pending; end it in the service first.', { applied: 'no' })
      const stamp = stampOf(record, operation.id)
      const over = stamp?.step === 'done'
      const rotation = operation.verb === 'rotate'
      // Over somebody else's value no step rules a claim out: there a rotation that has begun is driven forward, and one that has not is waited for.
      const held = isForeign(record)
      const begun = live && rotation && stamp !== undefined && (held || !force)
      if (live && !over && !(force && rotation && (begun || !held))) this.#steps.refuseYoung(version.created)
      if (begun && (await this.#registered(record, version.id, stamp, call))) await this.#steps.promote(record.name, { to: version.id, from }, call)
      // A change that is stored is brought to its end under its claim: without that nobody takes a block off.
      else if (!live || stamp?.step !== 'changing' || !(await this.#finished(record, stamp, call))) await this.ruleOut(record, version.id, call, force)
      return true
    }
    const stamp = unfinishedOf(record)
    if (stamp === undefined) return false
    if (!(force && stamp.step === 'rotating')) this.#steps.refuseYoung(stamp.at)
    return this.#finished(record, stamp, call)
  }

  /** `false`: the gateway will not have a change that is not done without it. */
  #finished(record: KeyRecord, stamp: Stamp, call: Call): Promise<boolean> {
    return this.finish(record, stamp, call).then(() => true, (error: unknown) => (stamp.step === 'changing' && isRefusedByGateway(error) ? stamp.verb === 'update' : Promise.reject(error)))
  }

  /** Drives an operation forward from the step at which it stands. Every call of it may have been made before. */
  async finish(record: KeyRecord, stamp: Stamp, call: Call): Promise<void> {
    if (stamp.step === 'rotating') return this.retire(record, stamp, call)
    if (stamp.step === 'registering') {
      const token = await this.#ref(record, record.current?.id, call)
      await this.register(record, stamp, token !== undefined && 'token' in token ? token.token : undefined, call)
      return
    }
    if (stamp.step === 'arriving') return finishArrival(this, this.#records, record, stamp, call)
    const holds = record.claims.some(({ live, operation }) => live && operation?.id === stamp.id)
    const followed = stamp.step === 'changing' ? this.follow(record, call, holds && stamp.verb === 'unblock') : Promise.resolve()
    const refusal = await followed.then(() => undefined, (error: unknown) => (isRefusedByGateway(error) ? error : Promise.reject(error)))
    // A block is not done before the gateway has it; of an update nothing waits for a gateway that will not have it. Whoever asked is told.
    if (refusal === undefined || stamp.verb === 'update') await this.done(record, stamp, call)
    if (refusal !== undefined) throw refusal.with({ applied: 'yes' }, `${refusal.message} The change is stored; the gateway does not follow.`)
  }

  /** The gateway's rows say what the labels say. */
  async follow(record: KeyRecord, call: Call, unblocks = false): Promise<void> {
    if (this.rows !== undefined) await followKey(this.rows, this.#answers, record, unblocks, call)
  }

  /** Marks an operation as done, in the slot where its stamp stands or stood. */
  async done(record: KeyRecord, stamp: Stamp, call: Call, more: Readonly<Record<string, null>> = {}): Promise<void> {
    await this.#steps.annotate(record, { ...more, [slotOf(record, stamp) ?? this.#steps.labelOf(stamp.step === 'changing' ? 'change' : record.epoch)]: stampText({ ...stamp, step: 'done', at: new Date(this.#now) }) }, call)
  }

  /**
   * Adds a new key's token at the gateway, then reads the record again: a tombstone that came first ends the token there. Without a token (nobody may read it any more) the
   * key is only marked done; its next rotation registers one. Gives the record as it is then.
   */
  async register(record: KeyRecord, stamp: Stamp, token: SecretValue | undefined, call: Call): Promise<KeyRecord> {
    if (token !== undefined) await this.rows?.register(record, token, call)
    const after = await this.#records.describe(record.name, call)
    if (after === undefined || after.revoked || after.keyId !== record.keyId) {
      if (token !== undefined) await this.rows?.blockAll(record, [{ token }], call)
      return after ?? record
    }
    if (stampOf(after, stamp.id)?.step === 'registering') await this.done(after, stamp, call)
    return after
  }

  /** A version's token, where there is a gateway to tell of it. */
  #ref(record: KeyRecord, version: string | undefined, call: Call): Promise<TokenRef | undefined> {
    return this.rows === undefined ? Promise.resolve(undefined) : refOf(this.#records, record, version, call)
  }

  /** The record once something of it was discarded, which changes its etag; nothing when another operation came first. */
  async #fresh(record: KeyRecord, call: Call): Promise<KeyRecord | undefined> {
    if (record.facts.etag === undefined) return record
    const now = await this.#records.describe(record.name, call)
    return now?.operation?.id === record.operation?.id ? now : undefined
  }

  /** Whether a claim's token is at the gateway and accepted there, so that it may become current. */
  async #registered(record: KeyRecord, version: string, stamp: Stamp, call: Call): Promise<boolean> {
    if (this.rows === undefined) return true
    const ref = mayReadValues(this.#store.policy) ? await this.#ref(record, version, call) : undefined
    if (ref === undefined || !('token' in ref)) return false
    try {
      return await this.rows.registerNext(record, ref.token, Math.max(0, (stamp.until?.getTime() ?? 0) - this.#now), call)
    } catch (error) {
      if (!isRefusedByGateway(error)) throw error
      return false
    }
  }

  /** Ends a claim that shall not become current: first the step that rules it out, only then its token at the gateway. */
  async ruleOut(record: KeyRecord, version: string, call: Call, blocks = false): Promise<void> {
    const claim = record.claims.find((each) => each.version.id === version)
    const readable = mayReadValues(this.#store.policy)
    if (claim?.live === true && takesEpoch(claim.operation) && readable && !isForeign(record)) {
      const after = await useUpEpoch(this.#records, this.#steps, record, call)
      if (after === 'overtaken' || after === undefined) return
      if (after !== 'full') return this.ruleOut(after, version, call)
    }
    const { labels } = record.facts
    const hash = stampOf(record, claim?.operation?.id) === undefined ? undefined : labels[keyLabels.token]
    const drew = this.rows !== undefined && claim?.operation?.verb === 'rotate'
    const ref = !drew ? undefined : readable ? await this.#ref(record, version, call) : hash === undefined ? undefined : { sha256: hash }
    // What another step has ruled out already, and what belongs to a key that is being blocked, ends at the gateway first: nothing is left behind if the process ends in between.
    const dead = claim?.live === false || (blocks && !readable)
    if (ref !== undefined && dead) await this.rows?.blockAll(record, [ref], call)
    await this.#records.send('discard', record.name, call, record.name, version)
    if (ref === undefined) return
    // Where nothing could rule it out, it may have become current before it was taken away.
    if (!dead && (await this.#records.describe(record.name, call))?.current?.id === version) return
    if (!dead) await this.rows?.blockAll(record, [ref], call)
    const now = readable ? undefined : await this.#fresh(record, call)
    if (now !== undefined) await this.#steps.annotate(now, { [keyLabels.token]: labels[keyLabels.previousToken] ?? null, [keyLabels.previousToken]: null }, call)
  }

  /** Ends a rotation that has taken effect: the version before goes now or keeps its grace, then the done stamp. */
  async retire(record: KeyRecord, stamp: Stamp, call: Call): Promise<void> {
    const over = stamp.until === undefined || stamp.until.getTime() <= this.#now
    await this.rows?.retire(record, stamp.before, stamp.until, call)
    // The stamp may be gone from the labels; what it says of the grace holds.
    const said = { ...record, stamps: [stamp, ...record.stamps.filter(({ id }) => id !== stamp.id)] }
    const graces = this.#answers.graces(said)
    const ended = new Set([...(stamp.before !== undefined && over ? [stamp.before] : []), ...overVersions(said, graces).map(({ id }) => id)])
    await this.rows?.blockAll(record, await endedTokens(this.#records, record, [...ended].filter((id) => id !== stamp.before), [record.current?.id, stamp.before, ...graces.map(({ before }) => before)], call), call)
    for (const id of ended) await this.#records.send('discard', record.name, call, record.name, id)
    const now = ended.size > 0 ? await this.#fresh(record, call) : record
    const done = stampText({ ...stamp, step: 'done', at: new Date(this.#now) })
    if (now !== undefined) await this.#steps.annotate(now, { [slotOf(record, stamp) ?? this.#steps.labelOf(record.epoch)]: done, [keyLabels.epoch]: String(record.epoch), [keyLabels.state]: null, ...(over && graces.length === 0 ? { [keyLabels.previousToken]: null } : {}) }, call)
  }

  /** Ends a deletion: nothing before or beside the tombstone stays, then the done stamp. `moved`: where the key lives on; its token stays accepted. */
  async bury(record: KeyRecord, operation: Pick<Operation, 'id' | 'verb' | 'digest'>, keyId: string, call: Call, moved?: KeyRecord): Promise<void> {
    const beside = (record.facts.versions ?? []).filter(({ stages }) => stages.length > 0 && !stages.includes('current'))
    if (this.rows !== undefined) {
      const living = moved === undefined ? [] : await Promise.all([moved.current?.id, ...this.#answers.graces(moved).map(({ before }) => before)].map((id) => this.#ref(moved, id, call)))
      const ended = (await tokensOf(this.#records, record, keyId, [record.current?.before, stampOf(record, operation.id)?.before], call)).filter((ref) => !living.some((kept) => kept !== undefined && sameToken(ref, kept)))
      await this.rows.blockAll(record, ended, call)
    }
    // A change may be on its way where labels have no condition: its claim stays, so that no key is made here before that has landed.
    const held = new Set(this.#steps.changesOnTheWay(record).map(({ id }) => id))
    const ended = [...beside.filter(({ id }) => !held.has(id)), ...overVersions(record, []).filter((version) => !beside.includes(version))]
    for (const { id } of ended) await this.#records.send('discard', record.name, call, record.name, id)
    const now = ended.length === 0 ? record : await this.#fresh(record, call)
    if (now === undefined) return
    const before = stampOf(record, operation.id)?.before ?? record.current?.before ?? beside.find(({ stages }) => stages.includes('previous'))?.id
    const labels = { [keyLabels.managedBy]: 'latchkey', [keyLabels.state]: moved === undefined ? 'revoked' : movedLabel('to', moved.name), [keyLabels.epoch]: String(record.epoch) }
    await this.#steps.annotate(now, { ...labels, ...this.#steps.evicted(record, operation, record.epoch, true), ...this.#steps.stamp(operation, record.epoch, { step: 'done', keyId, ...(before === undefined ? {} : { before }) }) }, call)
  }
}
