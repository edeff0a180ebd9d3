// Which key a caller means: by alias, key id, token or the hash of a supplied token. The index below `__latchkey/index/` is a hint, as is a list by label:
// neither is trusted without reading the secret that it names.
import { isCode } from '../errors.ts'
import { internalName, isBelow, joinPrefix } from '../names.ts'
import { createdName } from '../names/created.ts'
import type { Call } from '../runtime.ts'
import type { SecretName } from '../secret.ts'
import { mintedKeyId, tokenHash, type KeyTarget } from '../virtual-key.ts'
import { keyLabels, type KeyRecord } from './record.ts'
import type { KeyRecords } from './records.ts'
import { hasMoved, otherName, unlessArriving } from '../key-steps/arrival.ts'

/** The key that a target names, deleted ones included; nothing when there is none, or when the secret is not ours. */
export const findKey = async (records: KeyRecords, target: KeyTarget, call: Call): Promise<KeyRecord | undefined> => {
  if ('alias' in target) {
    const record = await records.describe(records.nameOf({ ...target, keyId: '' }), call)
    return record?.ours === true ? unlessArriving(records, record, call) : undefined
  }
  if ('keyId' in target) return byKeyId(records, target.keyId, call)
  const minted = 'token' in target ? mintedKeyId(target.token) : undefined
  if (minted !== undefined) return byKeyId(records, minted, call)
  const hash = 'token' in target ? tokenHash(target.token) : target.sha256.toLowerCase()
  return /^[0-9a-f]{64}$/.test(hash) ? byHash(records, hash, call) : undefined
}

/** Ids are 16 characters long; one that no name's segment has room for is nobody's. A key that was renamed has two names for a while: the one that lives is meant. */
const byKeyId = async (records: KeyRecords, keyId: string, call: Call): Promise<KeyRecord | undefined> => {
  if (!/^[a-z0-9]{1,52}$/.test(keyId)) return undefined
  let deleted: KeyRecord | undefined
  let unfinished: KeyRecord | undefined
  const look = async (name: SecretName): Promise<KeyRecord | undefined> => {
    const record = await records.describe(name, call)
    if (record?.ours !== true || record.keyId !== keyId) return undefined
    if (!record.revoked && record.complete) return unlessArriving(records, record, call)
    // A renaming may have written the value under the new name and not yet what says whose it is: until then the old name has the key.
    if (!record.revoked) {
      unfinished ??= record
      return undefined
    }
    deleted ??= record
    const to = otherName(record, 'to')
    const moved = to === undefined ? undefined : await records.describe(to, call)
    return moved?.keyId === keyId && moved.ours && !moved.revoked ? unlessArriving(records, moved, call) : undefined
  }
  // A key that left its name between the reading of the hints and of the secret is under one that they have by now.
  for (let read = 0; read === 0 || (read === 1 && deleted !== undefined && hasMoved(deleted)); read += 1) {
    for await (const name of hintsOf(records, keyLabels.keyId, keyId, call)) {
      const found = await look(name)
      if (found !== undefined) return found
    }
  }
  return (await look(createdName(joinPrefix(records.store.policy.prefix, `virtual-key-${keyId}`)))) ?? unfinished ?? deleted
}

/** A supplied token may be that of a deleted key and, since then, of a live one: the live one is meant. */
const byHash = async (records: KeyRecords, hash: string, call: Call): Promise<KeyRecord | undefined> => {
  let deleted: KeyRecord | undefined
  for (const label of records.room.filter ? [keyLabels.token, keyLabels.previousToken] : [keyLabels.token]) {
    for await (const name of hintsOf(records, label, hash, call)) {
      const record = await records.describe(name, call)
      if (record?.ours !== true || !holdsHash(record, hash)) continue
      // A key that is made where another one was has that one's labels until its own have come.
      const live = record.revoked || !record.complete ? undefined : await unlessArriving(records, record, call)
      if (live !== undefined) return live
      if (record.revoked) deleted ??= record
    }
  }
  return deleted
}

const holdsHash = ({ facts: { labels } }: KeyRecord, hash: string): boolean => labels[keyLabels.token] === hash || labels[keyLabels.previousToken] === hash

/** Names to look at, the likeliest first; the store is asked only by who gets past what this process remembers. */
async function* hintsOf(records: KeyRecords, label: string, value: string, call: Call): AsyncGenerator<SecretName> {
  const recent = records.recent(value)
  yield* recent
  for await (const name of records.room.filter ? listed(records, label, value, call) : await indexed(records, value, call)) if (!recent.some(({ text }) => text === name.text)) yield name
}

async function* listed(records: KeyRecords, label: string, value: string, call: Call): AsyncGenerator<SecretName> {
  let cursor: string | undefined
  do {
    const query = { prefix: joinPrefix(records.store.policy.prefix, ''), label: [label, value] as const, limit: 10, ...(cursor === undefined ? {} : { cursor }) }
    const page = await records.send('list', undefined, call, query)
    for (const { name } of page.items) yield name
    cursor = page.cursor
  } while (cursor !== undefined)
}

const indexed = async (records: KeyRecords, id: string, call: Call): Promise<readonly SecretName[]> => {
  const { prefix } = records.store.policy
  try {
    const hint = await records.read(internalName(prefix, 'index', id), undefined, call)
    const text = hint.isText ? hint.reveal() : ''
    return text.split('\n').filter((each) => each !== '' && isBelow(prefix, each)).map((each) => createdName(each))
  } catch (error) {
    if (isCode(error, 'not_found', 'invalid_request')) return []
    throw error
  }
}
