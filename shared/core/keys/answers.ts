// What is answered about a key: its facts, and the token where it may be shown. Nothing here changes anything.
import type { AliasSource } from '../configuration/alias-policy.ts'
import { dataOf, isExpired, madeOf, stampOf, wasCurrent, type KeyRecord } from './record.ts'
import type { KeyRecords, KeyStore } from './records.ts'
import type { Operation, Stamp } from './operation.ts'
import type { Gateway } from '../gateway.ts'
import { mayReadValues } from '../policy.ts'
import type { Call, Clock, Random } from '../runtime.ts'
import type { SecretValue } from '../secret.ts'
import { parseDuration, shortestRotationMs, type KeyAnswer, type KeyInfo, type KeyState } from '../virtual-key.ts'

/** What a key lifecycle is given beside its store. */
export interface KeyLifecycleOptions {
  readonly clock: Clock
  readonly random: Random
  /** LiteLLM's `description` and `tags` of key_management_settings. */
  readonly description?: string
  readonly tags?: Readonly<Record<string, string>>
  /** Default: "{prefix}{alias}". */
  readonly keyName?: string
  /** The gateway that accepts the keys, told of every change. Default: none. */
  readonly gateway?: Gateway
  /** How long a deleted or expired key is kept before the sweep ends it for good. Default: 24 hours; at least 60,000. */
  readonly tombstoneKeepMs?: number
  /** Whether the sweep sends the service's own delete. Default: true. */
  readonly purge?: boolean
  /** LiteLLM's part `litellm_settings`, which may have rules for aliases that are new. */
  readonly aliases?: AliasSource
  /** How long a repetition is shown the token again. Default: 900,000. */
  readonly revealWindowMs?: number
}

/** A version that is accepted for a while longer. */
export type Grace = NonNullable<Stamp['kept']>

/** Turns records into answers. */
export class KeyAnswers {
  readonly records: KeyRecords
  readonly #store: KeyStore
  readonly #options: KeyLifecycleOptions

  constructor(records: KeyRecords, options: KeyLifecycleOptions) {
    this.records = records
    this.#store = records.store
    this.#options = options
  }

  get #now(): number {
    return this.#options.clock.now()
  }

  /** The versions before the current one that are still accepted, each with its end. */
  graces(record: KeyRecord): readonly Grace[] {
    if (record.revoked) return []
    const announced = record.stamps.flatMap(({ verb, step, id, before, until, kept }): Grace[] => {
      const effective = verb === 'rotate' && (step === 'done' || wasCurrent(record, id)) && before !== undefined && until !== undefined
      return [...(effective ? [{ before, until }] : []), ...(kept === undefined ? [] : [kept])]
    })
    return announced.filter(({ until }) => until.getTime() > this.#now)
  }

  /** The versions before that a stamp names: those whose grace runs, and the one before a rotation that is not done, which nobody has ended yet however long its grace is over. */
  namedBy(record: KeyRecord, stamp: Stamp): readonly Grace[] {
    const graces = this.graces({ ...record, stamps: [stamp] })
    const { before, until, step, id } = stamp
    const left = step === 'rotating' && before !== undefined && until !== undefined && wasCurrent(record, id) && !graces.some((grace) => grace.before === before)
    return left ? [...graces, { before, until }] : graces
  }

  /** The token for an answer; `again`: the operation was done before this request. */
  async reveal(record: KeyRecord, operation: Operation, proposed: { readonly token?: SecretValue | undefined; readonly epoch?: number }, again: boolean, call: Call): Promise<Pick<KeyAnswer, 'key' | 'keyWithheld'>> {
    // Another instance of this operation may have won a later epoch with a token of its own.
    if (proposed.token !== undefined && proposed.epoch === record.operation?.epoch) return { key: proposed.token }
    if (!mayReadValues(this.#store.policy)) return { keyWithheld: 'write_only' }
    const at = stampOf(record, operation.id)?.at ?? record.current?.created
    if (again && at !== undefined && this.#now - at.getTime() > (this.#options.revealWindowMs ?? 900_000)) return { keyWithheld: 'reveal_expired' }
    return { key: await this.records.read(record.name, record.current?.id, call) }
  }

  /** What `/key/info` shows. */
  info(record: KeyRecord): KeyInfo {
    const alias = this.records.aliasOf(record)
    const teamId = this.records.teamOf(record)
    const updated = record.stamps[0]?.at
    // Not every service remembers when a secret was made; the stamp of the creation does, as long as it has a slot.
    const created = record.facts.created ?? record.stamps.find(({ verb, step }) => verb === 'create' && step === 'done')?.at
    const due = this.rotationDue(record)
    const until = this.graces(record).map((grace) => grace.until.getTime())
    return {
      keyId: record.keyId ?? '',
      ...(alias === undefined ? {} : { alias }),
      ...(teamId === undefined ? {} : { teamId }),
      state: this.stateOf(record),
      epoch: record.epoch,
      ...(created === undefined ? {} : { created }),
      ...(updated === undefined ? {} : { updated }),
      ...(record.notAfter === undefined ? {} : { expires: record.notAfter }),
      stored: { store: this.#store.name, name: record.name.text, ...(record.current === undefined ? {} : { version: record.current.id }) },
      data: dataOf(record),
      operations: record.stamps.map(({ id, verb, step, at, before, until: ends }) => ({ id, verb, step, at, ...(before === undefined ? {} : { before }), ...(ends === undefined ? {} : { until: ends }) })),
      ...(until.length === 0 ? {} : { previousUntil: new Date(Math.max(...until)) }),
      ...(due === undefined ? {} : { rotationDue: due }),
      guarantee: this.#store.provider.traits.write?.guarantee ?? 'detected',
    }
  }

  /** When a key with `auto_rotate` is to be rotated next: `rotation_interval` after its token was made. */
  rotationDue(record: KeyRecord): Date | undefined {
    const { auto_rotate: on, rotation_interval: interval } = dataOf(record)
    // Calendar months have no length of their own; no request is let through with them.
    const length = typeof interval === 'string' && !interval.endsWith('mo') ? parseDuration(interval, this.#now) : undefined
    const made = madeOf(record)
    return on !== true || length === undefined || made === undefined ? undefined : new Date(made.getTime() + Math.max(shortestRotationMs, length))
  }

  /** Deleted, then blocked, then expired come before what is only under way. */
  stateOf(record: KeyRecord): KeyState {
    if (record.revoked) return 'revoked'
    if (record.blocked) return 'blocked'
    if (isExpired(record, this.#now)) return 'expired'
    return record.claims.some(({ live, operation }) => live && operation?.verb === 'rotate') ? 'rotating' : 'active'
  }

  /** The answer of an operation. */
  answer(record: KeyRecord, operation: Operation, more: Partial<KeyAnswer>): KeyAnswer {
    return { ...this.info(record), ...more, operationId: operation.id, enforcedBy: [...(this.#options.gateway === undefined ? [] : (['gateway'] as const)), ...(mayReadValues(this.#store.policy) ? (['verify'] as const) : [])] }
  }

  /** The answer to a repetition of an operation that took effect and was followed by another. Of a later key under the same name it says nothing. */
  superseded(record: KeyRecord, operation: Operation, keyId: string): KeyAnswer {
    const gone = record.revoked || record.keyId !== keyId
    const said = this.answer(record, operation, { keyWithheld: 'superseded', superseded: gone ? 'deleted' : 'rotated', ...(gone ? { state: 'revoked' } : {}) })
    return record.keyId === keyId ? said : this.former(said, keyId)
  }

  /** An answer about a key whose name another key has now. */
  former(answer: KeyAnswer, keyId: string): KeyAnswer {
    const { teamId: _team, expires: _expires, previousUntil: _until, created: _created, updated: _updated, ...rest } = answer
    const { version: _version, ...stored } = answer.stored
    return { ...rest, keyId, stored, data: {}, state: 'revoked', operations: answer.operations.filter(({ id }) => id === answer.operationId) }
  }
}
