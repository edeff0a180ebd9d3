// Adopt: a secret that LiteLLM stored becomes a key, with the value that it has. Only marks are added, so that LiteLLM goes on reading it; who adopts the same value twice,
// or at the same time, gives it the same key id.
import { LatchkeyError, refuse } from '../errors.ts'
import { encodeSegment } from '../names.ts'
import { mayReadValues } from '../policy.ts'
import type { Page } from '../provider.ts'
import type { Call } from '../runtime.ts'
import type { SecretValue } from '../secret.ts'
import { isSuppliedToken, keyIdOf, mintedKeyId, tokenHash, type Adoptable, type AdoptRequest, type KeyAnswer, type OperationContext } from '../virtual-key.ts'
import { findKey } from './finding.ts'
import { beginOperation, derivedId, refuseOtherBody, seenLabel, wasSeen } from './operation.ts'
import { isForeign, keyLabels, stampOf, type KeyRecord } from './record.ts'
import { isOfFormer, pastKey, takenAlias } from './refusals.ts'
import { overwritten } from '../key-steps/key-tokens.ts'
import { noteFailure } from '../key-steps/progress.ts'
import type { KeyHouse } from '../key-steps/steps.ts'

/** What the state label says of a key whose current value Latchkey did not write: the version that was adopted. */
export const adoptedLabel = (version: string): string => `adopted ${version}`

/** @throws not_found, already_exists, invalid_request (its value is no token), conflict, soft_deleted, too_large, forbidden, unsupported */
export const adoptKey = async ({ store, records, steps, settling, rows, answers, options }: KeyHouse, request: AdoptRequest, context: OperationContext): Promise<KeyAnswer> => {
  records.requireStorage()
  const { call } = context
  const name = records.nameOf({ ...request, keyId: '' })
  const operation = beginOperation('adopt', context, name.text, options.random)
  const now = options.clock.now()
  const expires = request.durationMs === undefined ? undefined : new Date(now + request.durationMs)

  const tokenOf = async (record: KeyRecord): Promise<SecretValue | undefined> => {
    if (!mayReadValues(store.policy)) return undefined
    const token = await records.read(name, record.current?.id, call)
    if (!isSuppliedToken(token)) throw refuse('key_alias', `the value of "${name.text}" is no token: it must begin with "sk-" and be at most 512 printable ASCII characters without spaces`)
    const holder = await findKey(records, { token }, call)
    if (holder !== undefined && !holder.revoked && holder.name.text !== name.text) throw new LatchkeyError('already_exists', `Another key has the token of "${name.text}" already.`, { param: 'key_alias' })
    return token
  }

  const labelsOf = (record: KeyRecord, keyId: string, token: SecretValue | undefined): Record<string, string> => {
    const team = request.teamId === undefined ? record.facts.labels[keyLabels.team] : encodeSegment(request.teamId, 'team_id')
    const added = {
      ...options.tags,
      [keyLabels.managedBy]: 'latchkey',
      [keyLabels.keyId]: keyId,
      [keyLabels.epoch]: String(Math.max(1, record.epoch)),
      [keyLabels.state]: adoptedLabel(record.current?.id ?? ''),
      ...(team === undefined ? {} : { [keyLabels.team]: team }),
      ...(expires === undefined ? {} : { [keyLabels.notAfter]: expires.toISOString() }),
      ...(token === undefined || mintedKeyId(token) !== undefined ? {} : { [keyLabels.token]: tokenHash(token) }),
      ...steps.stamp(operation, 'change', { step: rows === undefined ? 'done' : 'changing', keyId }),
    }
    return { ...added, ...records.dataLabels(request.data, { ...record.facts.labels, ...added }) }
  }

  /** What this instance has taken over: its labels may go with the version that they are on. */
  let taken: { readonly keyId: string; readonly epoch: number; readonly token?: SecretValue } | undefined

  return steps.drive(operation, call, undefined, async (progress) => {
    const record = await records.describe(name, call)
    if (record === undefined) throw new LatchkeyError('not_found', `There is no secret "${name.text}" in "${store.name}" to adopt.`, { param: 'key_alias', applied: taken === undefined ? 'no' : 'yes' })
    const stamp = stampOf(record, operation.id)
    refuseOtherBody(stamp, operation)
    // What was adopted may have been deleted since, and another key may have the name: of that one this adoption says nothing, and does nothing to it.
    const same = !record.revoked && record.current !== undefined && (stamp?.keyId ?? taken?.keyId ?? record.keyId) === record.keyId && !isOfFormer(record, operation.id)
    if (!same && (stamp !== undefined || taken !== undefined || wasSeen(record.facts.labels[seenLabel], operation.id))) {
      progress.applied = 'yes'
      // Somebody wrote over it before the gateway was told whose token it is.
      if (stamp === undefined && taken?.token !== undefined) await rows?.mark({ token: taken.token }, taken, call)
      return answers.superseded(record, operation, stamp?.keyId ?? taken?.keyId ?? pastKey(record, operation))
    }
    if (stamp?.step === 'changing') {
      progress.applied = 'yes'
      taken ??= { keyId: stamp.keyId ?? '', epoch: record.epoch }
      await settling.finish(record, stamp, call)
      return 'again'
    }
    if (stamp !== undefined || (record.ours && record.complete && !record.revoked && !isForeign(record))) {
      progress.applied = 'yes'
      return answers.answer(record, operation, {})
    }
    progress.applied = progress.sent === true ? 'unknown' : 'no'
    if (record.current === undefined) throw new LatchkeyError('soft_deleted', `The secret "${name.text}" was deleted in the service; recover it there, then adopt it.`, { param: 'key_alias' })
    if (record.revoked) throw new LatchkeyError('not_found', `The key "${name.text}" was deleted here; nothing of it is left to adopt.`, { param: 'key_alias' })
    if (record.ours && !isForeign(record)) throw takenAlias(request.alias)
    const token = await tokenOf(record)
    // From name and version, so that everybody who adopts this value gives it the same id.
    const derived = keyIdOf(derivedId(`adopt ${name.text} ${record.current.id}`))
    const keyId = (isForeign(record) ? record.keyId : undefined) ?? (token === undefined ? undefined : mintedKeyId(token)) ?? derived
    const labels = labelsOf(record, keyId, token)
    await rows?.mark(overwritten(record), record, call)
    await records.writeIndex(keyId, [name], call)
    if (token !== undefined && mintedKeyId(token) === undefined) await records.writeIndex(tokenHash(token), [name], call)
    progress.applied = 'unknown'
    await steps.annotate(record, labels, call, expires === undefined ? {} : { expires }).catch((error: unknown) => {
      noteFailure(progress, error)
      throw error
    })
    progress.applied = 'yes'
    taken = { keyId, epoch: Math.max(1, record.epoch), ...(token === undefined ? {} : { token }) }
    return 'again'
  })
}

/** One page of secrets below the prefix that are no keys of ours; it may be empty with a cursor. Values are not looked at. */
export const adoptableKeys = async ({ store, records }: KeyHouse, query: { readonly cursor?: string; readonly limit: number }, call: Call): Promise<Page<Adoptable>> => {
  const page = await records.page(query, call)
  const found = page.items.flatMap((record): readonly Adoptable[] => {
    const alias = record.ours || record.facts.recoverableUntil !== undefined ? undefined : records.aliasOf(record)
    return alias === undefined ? [] : [{ alias, stored: { store: store.name, name: record.name.text, ...(record.current === undefined ? {} : { version: record.current.id }) } }]
  })
  return { ...page, items: found }
}
