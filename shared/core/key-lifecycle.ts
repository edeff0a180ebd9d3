// Create, rotate, delete, info, list and verify of virtual keys. Every change is an operation that runs in rounds: read the facts, take one conditional
// step, read again. There is no other way to resume: a repetition, another instance and the same one after a lost answer decide from the same facts.
import { isCode, LatchkeyError } from './errors.ts'
import { keyLabels, readKeyRecord, stampOf, standingOf } from './key-record.ts'
import { KeyRecords, type KeyStore } from './key-records.ts'
import { KeySteps, type KeyLifecycleOptions, type Progress } from './key-steps.ts'
import { encodeSegment, joinPrefix } from './names.ts'
import { beginOperation, leaseMs, operationText, refuseOtherBody, rememberedMs } from './operation.ts'
import type { Call } from './runtime.ts'
import { SecretValue, type Version } from './secret.ts'
import { keyIdOf, mintToken, tokenHash, type KeyAnswer, type KeyInfo, type KeyRequest, type KeyTarget, type OperationContext, type RotateRequest, type VerifyAnswer } from './virtual-key.ts'

export type { KeyLifecycleOptions } from './key-steps.ts'

/** The virtual keys of one store. Knows no gateway: who accepts a token is `verify`, or whoever reads the store. */
export class KeyLifecycle {
  readonly #store: KeyStore
  readonly #options: KeyLifecycleOptions
  readonly #records: KeyRecords
  readonly #steps: KeySteps

  /** @throws misconfigured when a configured tag is one of Latchkey's own marks, or the key name template is unknown */
  constructor(store: KeyStore, options: KeyLifecycleOptions) {
    const taken = Object.keys(options.tags ?? {}).find((tag) => tag === keyLabels.managedBy || tag.startsWith('latchkey-'))
    if (taken !== undefined) throw new LatchkeyError('misconfigured', `key_management_settings.tags: "${taken}" is Latchkey's own mark; choose another tag.`)
    this.#store = store
    this.#options = options
    this.#records = new KeyRecords(store, options.clock, options.keyName)
    this.#steps = new KeySteps(this.#records, options)
  }

  /** Makes a key: one write where nothing stands, or one on top of a tombstone. @throws forbidden, already_exists (param key_alias), soft_deleted, conflict, too_large, throttled, unsupported */
  async create(request: KeyRequest, context: OperationContext): Promise<KeyAnswer> {
    this.#records.requireStorage()
    const { call } = context
    const { alias, teamId, token } = request
    const scope = alias === undefined ? joinPrefix(this.#store.policy.prefix, 'virtual-key-') : this.#records.nameOf({ ...request, keyId: '' }).text
    const operation = beginOperation('create', context, scope, this.#options.random)
    const keyId = keyIdOf(operation.id)
    const name = this.#records.nameOf({ ...request, keyId })
    const now = this.#options.clock.now()
    if (token !== undefined) await this.#steps.requireFreeToken(token, name.text, call)
    const expires = request.durationMs === undefined ? undefined : new Date(now + request.durationMs)
    const { description } = this.#options
    const extras = { ...(description === undefined ? {} : { description }), ...(expires === undefined ? {} : { expires }) }
    const labelsOf = (epoch: number, before?: string): Record<string, string> => {
      const plain = {
        ...this.#options.tags,
        [keyLabels.managedBy]: 'latchkey',
        [keyLabels.keyId]: keyId,
        [keyLabels.epoch]: String(epoch),
        ...(teamId === undefined ? {} : { [keyLabels.team]: encodeSegment(teamId, 'team_id') }),
        ...(expires === undefined ? {} : { [keyLabels.notAfter]: expires.toISOString() }),
        ...(token === undefined ? {} : { [keyLabels.token]: tokenHash(token) }),
        ...this.#steps.stamp(operation, epoch, { step: 'done', ...(before === undefined ? {} : { before }) }),
      }
      return { ...plain, ...this.#records.dataLabels(request.data, plain) }
    }
    labelsOf(1)

    const write = async (progress: Progress, epoch: number, before?: string): Promise<Version | undefined> => {
      if (alias !== undefined) await this.#records.writeIndex(keyId, name, call)
      if (token !== undefined) await this.#records.writeIndex(tokenHash(token), name, call)
      const value = (progress.epoch === epoch ? progress.token : undefined) ?? token ?? mintToken(keyId, this.#options.random)
      const written = operationText(epoch, operation)
      progress.applied = 'unknown'
      try {
        const outcome = await this.#records.send('write', name, call, {
          ...{ name, value, operation: written, epoch, stage: 'current', ...extras },
          ...(before === undefined ? { expect: 'absent', labels: labelsOf(1) } : { expect: { version: before }, before }),
        })
        if (outcome.outcome === 'written' || operation.digest === undefined) Object.assign(progress, { epoch, token: value })
        return outcome.outcome === 'written' ? (outcome.version ?? { id: '', stages: ['current'], enabled: true, operation: written }) : undefined
      } catch (error) {
        if (operation.digest === undefined) Object.assign(progress, { epoch, token: value })
        if (!isCode(error, 'already_exists', 'soft_deleted', 'conflict', 'not_found')) throw error
        return undefined
      }
    }

    return this.#steps.drive(operation, call, undefined, async (progress, count) => {
      const record = count === 0 ? undefined : await this.#records.describe(name, call)
      if (record === undefined) {
        const current = await write(progress, 1)
        if (current === undefined) return 'again'
        return this.#steps.answer(readKeyRecord(name, { name, nativeName: name.text, current, labels: labelsOf(1), created: new Date(now) }), operation, { ...(progress.token === undefined ? {} : { key: progress.token }) })
      }
      const standing = standingOf(record, operation.id)
      const stamp = stampOf(record, operation.id)
      refuseOtherBody(stamp, operation)
      if (standing === 'current') {
        progress.applied = 'yes'
        const before = record.epoch === 1 ? undefined : (record.current?.before ?? progress.before)
        const whole = record.complete ? record : await this.#steps.relabel(record, operation, labelsOf(record.epoch, before), call)
        return this.#steps.answer(whole, operation, await this.#steps.reveal(whole, operation, progress, record.complete, call))
      }
      if (standing === 'past') return this.#steps.superseded(record, operation, keyId)
      this.#steps.refuseDoubtful(standing)
      progress.applied = 'no'
      if (!record.ours) throw new LatchkeyError('already_exists', `A secret named "${name.text}" exists in "${this.#store.name}" and is not ours; it was left as it is. Choose another key_alias.`, { param: 'key_alias' })
      if (record.current === undefined) {
        const until = record.facts.recoverableUntil
        if (!record.revoked) throw new LatchkeyError('soft_deleted', `The secret "${name.text}" was deleted in the service while its key was live; recover it there, or wait until it is gone.`, { param: 'key_alias', ...(until === undefined ? {} : { recoverableUntil: until }) })
        await this.#records.send('recover', name, call, name)
        return 'again'
      }
      if (!record.revoked && record.complete) throw new LatchkeyError('already_exists', `Key with alias '${alias ?? name.text}' already exists. Unique key aliases across all keys are required.`, { param: 'key_alias' })
      if (!record.revoked) this.#steps.refuseYoung(record.current.created)
      this.#steps.evicted(record, operation, record.epoch + 1, false)
      progress.before = record.current.id
      await write(progress, record.epoch + 1, record.current.id)
      return 'again'
    })
  }

  /** Gives a key a new token: claim, read again, stamp, make current, retire the old one. @throws not_found, invalid_request (expired), conflict, throttled, forbidden, unsupported */
  async rotate(target: KeyTarget, request: RotateRequest, context: OperationContext): Promise<KeyAnswer> {
    this.#records.requireStorage()
    const { call } = context
    const found = await this.#steps.found(target, call)
    const { name, keyId = '' } = found
    const operation = beginOperation('rotate', context, name.text, this.#options.random)
    const graceMs = request.graceMs ?? 0
    if (request.newToken !== undefined) await this.#steps.requireFreeToken(request.newToken, name.text, call)
    const lost = (message: string): LatchkeyError => new LatchkeyError('conflict', `${message} Send it again with a new Idempotency-Key.`, { retryAfter: 1 })

    return this.#steps.drive(operation, call, found, async (progress) => {
      const record = await this.#steps.record(progress, name, call)
      const standing = standingOf(record, operation.id, progress.epoch)
      const stamp = stampOf(record, operation.id)
      const now = this.#options.clock.now()
      refuseOtherBody(stamp, operation)
      if (standing === 'current') {
        progress.applied = 'yes'
        const again = stamp?.step === 'done'
        if (!again) await this.#steps.retire(record, stamp ?? { ...operation, step: 'rotating', at: new Date(now) }, call)
        const whole = again ? record : ((await this.#records.describe(name, call)) ?? record)
        return this.#steps.answer(whole, operation, await this.#steps.reveal(record, operation, progress, again, call))
      }
      if (standing === 'past') return this.#steps.superseded(record, operation, keyId)
      this.#steps.refuseDoubtful(standing)
      if (standing === 'lost' || progress.epoch === undefined) progress.applied = 'no'
      if (standing === 'lost') await this.#steps.discardOwn(record, operation, call)
      if (record.keyId !== keyId || record.revoked || record.current === undefined || !record.complete) throw this.#steps.missing()
      if (standing === 'lost') throw lost('Another operation changed this key first; this one was not applied and never will be.')
      const current = record.current
      if (standing === 'claimed') {
        const claim = record.claims.find((each) => each.operation?.id === operation.id)?.version
        if (progress.token === undefined && !this.#store.policy.mayReadValues) {
          this.#steps.refuseYoung(claim?.created)
          await this.#steps.discardOwn(record, operation, call)
          throw lost('An earlier attempt claimed this rotation, and under access_mode write_only nobody can read the token it drew; it was taken back and not applied.')
        }
        progress.applied = 'unknown'
        if (stamp === undefined) {
          const hashes = await this.#steps.hashes(record, request.newToken, call)
          const labels = this.#steps.stamp(operation, record.epoch + 1, { step: 'rotating', before: current.id, until: new Date(now + graceMs) })
          await this.#steps.annotate(record, { ...hashes, [keyLabels.state]: 'rotating', ...this.#steps.evicted(record, operation, record.epoch + 1, true), ...labels }, call)
        }
        await this.#steps.promote(record, claim?.id ?? '', call)
        return 'again'
      }
      if (progress.epoch !== undefined) throw lost('The claim of this rotation was taken back.')
      if (record.notAfter !== undefined && record.notAfter.getTime() <= now) throw new LatchkeyError('invalid_request', `The key ${keyId} expired at ${record.notAfter.toISOString()}; an expired key is not rotated. Delete it and create a new one.`, { param: 'key' })
      if (await this.#steps.settleOthers(record, call)) return 'again'
      const epoch = record.epoch + 1
      this.#steps.evicted(record, operation, epoch, false)
      const ends = this.#records.slots === 1 && graceMs > 0 ? this.#steps.graces(record)[0]?.until : undefined
      if (ends !== undefined) throw new LatchkeyError('conflict', `This store remembers one grace at a time, and the token before this one is accepted until ${ends.toISOString()}. Wait, or rotate without a grace period, which ends it now.`, { retryAfter: Math.ceil((ends.getTime() - now) / 1000) })
      const value = request.newToken ?? mintToken(keyId, this.#options.random)
      Object.assign(progress, { epoch, applied: 'unknown', ...(operation.digest === undefined ? { token: value } : {}) })
      try {
        const outcome = await this.#records.send('write', name, call, { name, value, expect: { version: current.id }, before: current.id, operation: operationText(epoch, operation), epoch, stage: 'pending' })
        if (outcome.outcome === 'written') progress.token = value
      } catch (error) {
        if (!isCode(error, 'conflict', 'not_found')) throw error
        progress.applied = 'no'
        throw new LatchkeyError('conflict', 'Another operation on this key is in progress; this one was not applied.', { retryAfter: leaseMs / 1000 })
      }
      return 'again'
    })
  }

  /** Ends a key: a tombstone becomes current and what was before is retired. The service's own delete may follow after `purgeAfter`. @throws not_found, conflict, forbidden, unsupported */
  async remove(target: KeyTarget, context: OperationContext): Promise<KeyAnswer> {
    this.#records.requireStorage()
    const { call } = context
    const found = await this.#steps.found(target, call)
    const { name, keyId = '' } = found
    const operation = beginOperation('delete', context, name.text, this.#options.random)

    return this.#steps.drive(operation, call, found, async (progress) => {
      const record = await this.#steps.record(progress, name, call)
      const standing = standingOf(record, operation.id)
      const stamp = stampOf(record, operation.id)
      const now = this.#options.clock.now()
      refuseOtherBody(stamp, operation)
      const purge = (at: Date | undefined) => ({ purgeAfter: new Date((at?.getTime() ?? now) + rememberedMs), state: 'revoked' as const })
      if (standing === 'current') {
        progress.applied = 'yes'
        if (stamp?.step !== 'done') await this.#steps.bury(record, operation, stamp?.keyId ?? keyId, call)
        return this.#steps.answer(record, operation, { ...purge(record.current?.created ?? stamp?.at), keyId: stamp?.keyId ?? keyId })
      }
      if (standing === 'past') return this.#steps.answer(record, operation, { ...purge(stamp?.at), keyId: stamp?.keyId ?? keyId })
      if (record.revoked || record.keyId !== keyId || record.current === undefined) {
        this.#steps.refuseDoubtful(standing)
        throw this.#steps.missing('no')
      }
      const epoch = record.epoch + 1
      const { id: before } = record.current
      const labels = { [keyLabels.managedBy]: 'latchkey', [keyLabels.state]: 'revoked', [keyLabels.epoch]: String(epoch), ...this.#steps.evicted(record, operation, epoch, true), ...this.#steps.stamp(operation, epoch, { step: 'revoking', before, keyId }) }
      const value = SecretValue.of(`revoked ${new Date(now).toISOString()}`)
      progress.applied = 'unknown'
      try {
        await this.#records.send('write', name, call, { name, value, expect: { version: before }, before, operation: operationText(epoch, operation), epoch, stage: 'current', labels })
      } catch (error) {
        if (!isCode(error, 'conflict', 'not_found')) throw error
      }
      return 'again'
    })
  }

  /** What is known of a key, never its token. Expired keys are shown, deleted ones are not. @throws not_found */
  async info(target: KeyTarget, call: Call): Promise<KeyInfo> {
    const record = await this.#steps.found(target, call)
    if (record.revoked || !record.complete || record.current === undefined) throw this.#steps.missing()
    return this.#steps.info(record)
  }

  /** One page of live keys; it may be short, or empty with a cursor. With `alias` at most one key. */
  async list(query: { teamId?: string; alias?: string; cursor?: string; limit: number }, call: Call): Promise<{ items: readonly KeyInfo[]; cursor?: string }> {
    const { alias, ...page } = query
    if (alias === undefined) {
      const { items, cursor } = await this.#records.list(page, call)
      return { items: items.map((record) => this.#steps.info(record)), ...(cursor === undefined ? {} : { cursor }) }
    }
    const record = await this.#records.find({ alias, ...(query.teamId === undefined ? {} : { teamId: query.teamId }) }, call)
    const shown = record !== undefined && record.complete && !record.revoked && record.current !== undefined && (query.teamId === undefined || this.#records.teamOf(record) === query.teamId)
    return { items: shown ? [this.#steps.info(record)] : [] }
  }

  /**
   * Whether a token is accepted now: it is the current one of a live key, or one before it whose grace lasts. An unknown token is compared with a dummy.
   * Under `write_only` nothing can be compared, not even by hash: a hash says which key a token belonged to, not whether it is still current.
   * @throws forbidden naming access_mode
   */
  async verify(token: SecretValue, call: Call): Promise<VerifyAnswer> {
    if (!this.#store.policy.mayReadValues) throw new LatchkeyError('forbidden', `Tokens cannot be verified with "${this.#store.name}": key_management_settings.access_mode is write_only, so no value may be read.`)
    const record = await this.#records.find({ token }, call)
    const now = this.#options.clock.now()
    const live = record?.complete === true && !record.revoked && record.current !== undefined && (record.notAfter === undefined || record.notAfter.getTime() > now)
    const accepted = live ? [{ id: record.current?.id ?? '', until: record.notAfter }, ...this.#steps.graces(record).map(({ before, until }) => ({ id: before ?? '', until }))] : []
    for (const { id, until } of accepted) {
      const value = await this.#records.read(record?.name ?? { text: '', place: 'created' }, id, call).catch((error: unknown) => {
        if (isCode(error, 'not_found', 'version_disabled')) return unknownToken
        throw error
      })
      if (!token.equals(value) || record === undefined) continue
      const ends = [until, record.notAfter].filter((date) => date !== undefined).toSorted((a, b) => a.getTime() - b.getTime())[0]
      const teamId = this.#records.teamOf(record)
      return { valid: true, ...(record.keyId === undefined ? {} : { keyId: record.keyId }), ...(teamId === undefined ? {} : { teamId }), ...(ends === undefined ? {} : { notAfter: ends }) }
    }
    token.equals(unknownToken)
    return { valid: false }
  }
}

const unknownToken = SecretValue.of('revoked')
