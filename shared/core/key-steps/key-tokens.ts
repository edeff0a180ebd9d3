// A key's tokens as the gateway is told of them: read from the store, or by hash where nobody may read them.
import { isCode } from '../errors.ts'
import type { TokenRef } from '../gateway.ts'
import { mayReadValues } from '../policy.ts'
import type { Call } from '../runtime.ts'
import { isSuppliedToken, mintedKeyId, tokenHash } from '../virtual-key.ts'
import { isForeign, keyLabels, type KeyRecord } from '../keys/record.ts'
import type { KeyRecords } from '../keys/records.ts'
import { overVersions } from './over-versions.ts'

/** A version's token for the gateway; its hash where values may not be read; nothing where neither is known any more. */
export const refOf = async (records: KeyRecords, record: KeyRecord, version: string | undefined, call: Call): Promise<TokenRef | undefined> => {
  if (version === undefined) return undefined
  if (mayReadValues(records.store.policy)) {
    try {
      return { token: await records.read(record.name, version, call) }
    } catch (error) {
      if (!isCode(error, 'not_found', 'version_disabled')) throw error
      return undefined
    }
  }
  const { labels } = record.facts
  const hash = version === record.current?.id ? labels[keyLabels.token] : labels[keyLabels.previousToken]
  return hash === undefined ? undefined : { sha256: hash }
}

/** The token that was taken over, where somebody else wrote over it since; its hash is what is left of it. */
export const overwritten = (record: KeyRecord): TokenRef | undefined => {
  const sha256 = isForeign(record) ? record.facts.labels[keyLabels.token] : undefined
  return sha256 === undefined ? undefined : { sha256 }
}

/** The tokens of every version that the key of that id has or had here, as far as they are still to be known: what its deletion must end. A key that had the name before may live elsewhere. */
export const tokensOf = async (records: KeyRecords, record: KeyRecord, keyId: string, more: readonly (string | undefined)[], call: Call): Promise<readonly TokenRef[]> => {
  const { labels, versions = [] } = record.facts
  const ids = new Set([...more, ...versions.filter(({ stages }) => stages.length > 0 && !stages.includes('current')).map(({ id }) => id), ...overVersions(record, []).map(({ id }) => id), ...record.stamps.filter((stamp) => stamp.keyId === undefined || stamp.keyId === keyId).flatMap(({ before, kept }) => [before, kept?.before])])
  if (!mayReadValues(records.store.policy)) return [labels[keyLabels.token], labels[keyLabels.previousToken]].flatMap((sha256) => (sha256 === undefined ? [] : [{ sha256 }]))
  const seen = new Set<string>()
  const refs: TokenRef[] = []
  for (const id of ids) {
    const ref = id === undefined || id === record.current?.id ? undefined : await refOf(records, record, id, call)
    if (ref === undefined || !('token' in ref) || !isSuppliedToken(ref.token) || (mintedKeyId(ref.token) ?? keyId) !== keyId || seen.has(tokenHash(ref.token))) continue
    seen.add(tokenHash(ref.token))
    refs.push(ref)
  }
  return refs
}

/** The tokens of versions that end although nothing names them any more, as happens where there is little room for stamps; none that a version in `kept` has as well: a token may have been written once more. */
export const endedTokens = async (records: KeyRecords, record: KeyRecord, versions: readonly string[], kept: readonly (string | undefined)[], call: Call): Promise<readonly TokenRef[]> => {
  if (versions.length === 0 || !mayReadValues(records.store.policy)) return []
  const known = async (ids: readonly (string | undefined)[]): Promise<readonly TokenRef[]> => (await Promise.all(ids.map((id) => refOf(records, record, id, call)))).filter((ref) => ref !== undefined)
  const living = await known(kept)
  // A key that had the name before may live elsewhere: only what was drawn for this one ends.
  return (await known(versions)).filter((ref) => 'token' in ref && mintedKeyId(ref.token) === record.keyId && !living.some((other) => sameToken(ref, other)))
}

/** The SHA-256 of a token, however it is given. */
export const hashOf = (ref: TokenRef): string => ('token' in ref ? tokenHash(ref.token) : ref.sha256)

/** Whether two refs mean one token. */
export const sameToken = (one: TokenRef, other: TokenRef): boolean => hashOf(one) === hashOf(other)

const besideMark = '.latchkey-'

/** The alias of a row whose token is not the key's current one: some of its hash is in it, because a gateway holds an alias once. */
export const aliasBeside = (alias: string, ref: TokenRef): string => `${alias}${besideMark}${hashOf(ref).slice(0, 12)}`

/** Whether an alias at the gateway is such a one, and nobody waits for it. */
export const isAliasBeside = (alias: string): boolean => alias.includes(besideMark)

/** The key's own alias in either form. */
export const ownAlias = (alias: string): string => alias.split(besideMark)[0] ?? alias
