// Tokens that a caller brings: what is accepted as one, and the labels by which its key is found. The store never holds more of it than its SHA-256.
import { LatchkeyError } from '../errors.ts'
import { mayReadValues } from '../policy.ts'
import type { Call } from '../runtime.ts'
import type { SecretValue } from '../secret.ts'
import { isSuppliedToken, mintedKeyId, tokenHash } from '../virtual-key.ts'
import { findKey } from '../keys/finding.ts'
import { isForeign, keyLabels, type KeyRecord } from '../keys/record.ts'
import type { KeyRecords } from '../keys/records.ts'

/** @throws invalid_request, already_exists when a supplied token cannot be this key's */
export const requireFreeToken = async (records: KeyRecords, token: SecretValue, name: string, call: Call): Promise<void> => {
  const refuse = (message: string): LatchkeyError => new LatchkeyError('invalid_request', `key: ${message}`, { issues: [{ path: 'key', message }], param: 'key', applied: 'no' })
  if (!isSuppliedToken(token)) throw refuse('must begin with "sk-" and be at most 512 printable ASCII characters without spaces')
  if (mintedKeyId(token) !== undefined) throw refuse('is a token that Latchkey minted for a key of its own; leave it out or choose another')
  const holder = await findKey(records, { token }, call)
  if (holder !== undefined && !holder.revoked && holder.name.text !== name) throw new LatchkeyError('already_exists', 'Another key has this token already.', { param: 'key', applied: 'no' })
}

/** The labels by which supplied tokens are found: the new one's, and the one's that is about to become previous, or that of an earlier one whose grace still runs. */
export const hashLabels = async (records: KeyRecords, record: KeyRecord, token: SecretValue | undefined, graceRuns: boolean, call: Call): Promise<Readonly<Record<string, string | null>>> => {
  const { labels } = record.facts
  const named = labels[keyLabels.token] !== undefined || labels[keyLabels.previousToken] !== undefined
  if (token === undefined && !named) return {}
  // A rotation that was ruled out has named the current token as the one before already: the value says which it is.
  const current = named && mayReadValues(records.store.policy) ? await records.read(record.name, record.current?.id, call) : undefined
  const before = current === undefined ? labels[keyLabels.token] : mintedKeyId(current) === undefined ? tokenHash(current) : undefined
  if (token !== undefined && mintedKeyId(token) === undefined) await records.writeIndex(tokenHash(token), [record.name], call)
  // A value that somebody else wrote is nobody's token, and takes no place of one whose grace runs.
  return { [keyLabels.token]: token === undefined ? null : tokenHash(token), [keyLabels.previousToken]: (isForeign(record) ? undefined : before) ?? (graceRuns ? labels[keyLabels.previousToken] : undefined) ?? null }
}
