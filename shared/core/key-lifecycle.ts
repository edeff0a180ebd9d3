// Create, rotate, delete, info, list and verify of virtual keys. Every change is an operation that runs in rounds: read the facts, take one conditional
// step, read again. There is no other way to resume: a repetition, another instance and the same one after a lost answer decide from the same facts.
import { aliasPolicy } from './configuration/alias-policy.ts'
import { isCode, LatchkeyError } from './errors.ts'
import { KeyAnswers, type KeyLifecycleOptions } from './keys/answers.ts'
import { blocking, changeKey, updating } from './keys/change.ts'
import { adoptableKeys, adoptKey } from './keys/adopt.ts'
import { createKey } from './keys/create.ts'
import { driftOf } from './keys/drift.ts'
import { findKey } from './keys/finding.ts'
import { GatewayRows } from './key-steps/gateway-rows.ts'
import { isExpired, keyLabels, type KeyRecord } from './keys/record.ts'
import { isUnanswered, KeyRecords, type KeyStore } from './keys/records.ts'
import { missingKey } from './keys/refusals.ts'
import { unlessArriving } from './key-steps/arrival.ts'
import { reconcileKeys } from './keys/reconcile.ts'
import { removeKey } from './keys/remove.ts'
import { rotateKeyStep, type KeyStepAnswer, type KeyStepRequest } from './rotation/step-key.ts'
import { movedBy, nameAfter, renameKey } from './keys/rename.ts'
import { rotateKey } from './keys/rotate.ts'
import { KeySettling } from './key-steps/settling.ts'
import { KeySteps, type KeyHouse } from './key-steps/steps.ts'
import { mayReadValues } from './policy.ts'
import type { Call } from './runtime.ts'
import { SecretValue } from './secret.ts'
import type { Adoptable, AdoptRequest, KeyAnswer, KeyInfo, KeyRequest, KeyTarget, KeyUpdate, OperationContext, ReconcileReport, RotateRequest, VerifyAnswer } from './virtual-key.ts'

export type { KeyLifecycleOptions } from './keys/answers.ts'

/** The virtual keys of one store. Knows no gateway: who accepts a token is `verify`, or whoever reads the store. */
export class KeyLifecycle {
  readonly #house: KeyHouse

  /** @throws misconfigured when a configured tag is one of Latchkey's own marks, the key name template is unknown, or the rule for aliases cannot be applied */
  constructor(store: KeyStore, options: KeyLifecycleOptions) {
    const taken = Object.keys(options.tags ?? {}).find((tag) => tag === keyLabels.managedBy || tag.startsWith('latchkey-'))
    if (taken !== undefined) throw new LatchkeyError('misconfigured', `key_management_settings.tags: "${taken}" is Latchkey's own mark; choose another tag.`)
    const records = new KeyRecords(store, options.clock, options.keyName)
    const answers = new KeyAnswers(records, options)
    const rows = options.gateway === undefined ? undefined : new GatewayRows(options.gateway, records, options.clock)
    const steps = new KeySteps(records, answers, options)
    this.#house = { store, records, options, answers, steps, rows, checkAlias: options.aliases === undefined ? undefined : aliasPolicy(options.aliases), settling: new KeySettling(steps, answers, options, rows) }
  }

  /** Makes a key: one write where nothing stands, or one on top of a tombstone. @throws forbidden, already_exists (param key_alias), soft_deleted, conflict, too_large, throttled, unsupported */
  async create(request: KeyRequest, context: OperationContext): Promise<KeyAnswer> {
    return saying(context, createKey(this.#house, request, context))
  }

  /** Gives a key a new token under the same name and key id. @throws not_found, invalid_request (expired), conflict, throttled, forbidden, unsupported */
  async rotate(target: KeyTarget, request: RotateRequest, context: OperationContext): Promise<KeyAnswer> {
    return saying(context, rotateKey(this.#house, target, request, context))
  }

  /** One step of a rotation that the secret manager drives. @throws conflict, forbidden, gateway_denied, and every failure that a repetition may mend */
  rotateByStep(request: KeyStepRequest, call: Call): Promise<KeyStepAnswer> {
    return rotateKeyStep(this.#house, request, call)
  }

  /** Ends a key by a tombstone. The service's own delete may follow after `purgeAfter`. @throws not_found, conflict, forbidden, unsupported */
  async remove(target: KeyTarget, context: OperationContext): Promise<KeyAnswer> {
    return saying(context, removeKey(this.#house, target, context))
  }

  /** Takes a key out of use, or back into it; its token stays. A block ends a rotation that runs. @throws not_found, conflict, throttled, forbidden, unsupported */
  async setBlocked(target: KeyTarget, blocked: boolean, context: OperationContext): Promise<KeyAnswer> {
    return saying(context, changeKey(this.#house, target, blocking(blocked), context))
  }

  /**
   * Changes what is said about a key; a new alias, or another team where names hold the team, moves it to another name with its id and token.
   * Under `write_only` a moved key gets a new token, because nobody can read the old one. @throws not_found, already_exists (param key_alias), conflict, throttled, too_large, forbidden, unsupported
   */
  async update(target: KeyTarget, change: KeyUpdate, context: OperationContext): Promise<KeyAnswer> {
    const { alias: _alias, ...rest } = change
    const update = async (): Promise<KeyAnswer> => {
      const record = await this.#house.steps.found(target, context.call)
      const moves = record.revoked ? change.alias !== undefined : nameAfter(this.#house, record, change).text !== record.name.text
      const source = moves ? record : await movedBy(this.#house, record, context)
      return source !== undefined ? renameKey(this.#house, target, change, context, source) : changeKey(this.#house, target, updating(this.#house.records, rest, this.#house.options.clock.now()), context, record)
    }
    return saying(context, update())
  }

  /** What is known of a key, never its token, and what is not as Latchkey left it. Expired and blocked keys are shown, deleted ones are not. @throws not_found */
  async info(target: KeyTarget, call: Call): Promise<KeyInfo> {
    const record = await this.#house.steps.found(target, call)
    if (record.revoked || !record.complete) throw missingKey(this.#house.store.name)
    const drift = await driftOf(this.#house, record, call)
    return { ...this.#house.answers.info(record), ...(drift.length === 0 ? {} : { drift }) }
  }

  /** How the key of a token does, for whoever holds the token and nothing else. @throws not_found when the token is not accepted, forbidden naming access_mode */
  async health(token: SecretValue, call: Call): Promise<KeyInfo> {
    const { valid, keyId } = await this.verify(token, call)
    if (!valid || keyId === undefined) throw missingKey(this.#house.store.name)
    return this.info({ keyId }, call)
  }

  /** Takes over a secret that LiteLLM stored: it becomes a key, its value stays. @throws not_found, already_exists, invalid_request, conflict, soft_deleted, too_large, forbidden, unsupported */
  async adopt(request: AdoptRequest, context: OperationContext): Promise<KeyAnswer> {
    return saying(context, adoptKey(this.#house, request, context))
  }

  /** One page of secrets below the prefix that are no keys yet. */
  adoptable(query: { readonly cursor?: string; readonly limit: number }, call: Call): Promise<{ items: readonly Adoptable[]; cursor?: string }> {
    return adoptableKeys(this.#house, query, call)
  }

  /** One page of the sweep; begun again without a cursor, it looks at every key. With `repair` it mends what it may. */
  reconcile(query: { readonly cursor?: string; readonly limit: number; readonly repair: boolean }, context: OperationContext): Promise<ReconcileReport> {
    return reconcileKeys(this.#house, query, context)
  }

  /** One page of live keys; it may be short, or empty with a cursor. With `alias` at most one key. */
  async list(query: { teamId?: string; alias?: string; cursor?: string; limit: number }, call: Call): Promise<{ items: readonly KeyInfo[]; cursor?: string }> {
    const { alias, ...page } = query
    if (alias === undefined) {
      const { items: listed, cursor } = await this.#house.records.list(page, call)
      const { records } = this.#house
      const items = (await Promise.all(listed.map(async (record) => unlessArriving(records, await wholly(records, record, call), call)))).filter((record) => record !== undefined)
      return { items: items.map((record) => this.#house.answers.info(record)), ...(cursor === undefined ? {} : { cursor }) }
    }
    const record = await findKey(this.#house.records, { alias, ...(query.teamId === undefined ? {} : { teamId: query.teamId }) }, call)
    const shown = record !== undefined && record.complete && !record.revoked && record.current !== undefined && (query.teamId === undefined || this.#house.records.teamOf(record) === query.teamId)
    return { items: shown ? [this.#house.answers.info(record)] : [] }
  }

  /**
   * Whether a token is accepted now: it is the current one of a live key, or one before it whose grace lasts. An unknown token is compared with a dummy.
   * Under `write_only` nothing can be compared, not even by hash: a hash says which key a token belonged to, not whether it is still current.
   * @throws forbidden naming access_mode
   */
  async verify(token: SecretValue, call: Call): Promise<VerifyAnswer> {
    if (!mayReadValues(this.#house.store.policy)) throw new LatchkeyError('forbidden', `Tokens cannot be verified with "${this.#house.store.name}": key_management_settings.access_mode is write_only, so no value may be read.`)
    const record = await findKey(this.#house.records, { token }, call)
    const keyId = record?.keyId
    const current = record?.current
    const ended = record !== undefined && isExpired(record, this.#house.options.clock.now())
    if (record === undefined || keyId === undefined || current === undefined || !record.complete || record.revoked || record.blocked || ended) {
      token.equals(unknownToken)
      return { valid: false }
    }
    const graces = this.#house.answers.graces(record).map(({ before, until }) => ({ id: before, until }))
    for (const { id, until } of [{ id: current.id, until: record.notAfter }, ...graces]) {
      const value = await this.#house.records.read(record.name, id, call).catch((error: unknown) => {
        if (isCode(error, 'not_found', 'version_disabled')) return unknownToken
        throw error
      })
      if (!token.equals(value)) continue
      const ends = [until, record.notAfter].filter((date) => date !== undefined).toSorted((a, b) => a.getTime() - b.getTime())[0]
      const teamId = this.#house.records.teamOf(record)
      return { valid: true, keyId, ...(teamId === undefined ? {} : { teamId }), ...(ends === undefined ? {} : { notAfter: ends }) }
    }
    return { valid: false }
  }
}

/** Some lists tell labels alone; where those say that an operation is under way, only the record itself says which key lives. */
const wholly = async (records: KeyRecords, record: KeyRecord, call: Call): Promise<KeyRecord | undefined> => {
  if (record.current !== undefined || record.stamps.every(({ step }) => step === 'done')) return record
  const found = await records.describe(record.name, call)
  return found?.complete === true && !found.revoked ? found : undefined
}

const unknownToken = SecretValue.of('revoked')

/** A failure before the first step of an operation: nothing was applied now, but an earlier sending with the same key may have been. */
const saying = (context: OperationContext, answer: Promise<KeyAnswer>): Promise<KeyAnswer> =>
  answer.catch((error: unknown) => {
    const said = error instanceof LatchkeyError && error.details.applied !== undefined && !(isUnanswered(error) && error.details.operationId === undefined)
    if (!(error instanceof LatchkeyError) || said) throw error
    throw error.with({ applied: isUnanswered(error) && context.idempotencyKey !== undefined ? 'unknown' : 'no' })
  })
