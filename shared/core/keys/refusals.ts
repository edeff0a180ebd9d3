// What an operation says when it cannot go on. The words name the thing and the next step; never a token.
import { isCode, LatchkeyError } from '../errors.ts'
import { leaseMs, seenLabel, wasSeen, type Operation } from './operation.ts'
import { keyOfPast, type KeyRecord, type Standing } from './record.ts'

/** There is no such key: absent, deleted, or not ours. */
export const missingKey = (store: string, applied?: 'no'): LatchkeyError =>
  new LatchkeyError('not_found', `There is no such key in "${store}". A key is named by its key id, its token, the SHA-256 of a token that the caller supplied, or its key_alias.`, { param: 'key', ...(applied === undefined ? {} : { applied }) })

/** LiteLLM's words for an alias that another key has. */
export const takenAlias = (alias: string): LatchkeyError => new LatchkeyError('already_exists', `Key with alias '${alias}' already exists. Unique key aliases across all keys are required.`, { param: 'key_alias' })

/** Somebody else's operation holds the key, for as long as its lease may run. */
export const inProgress = (leftMs = leaseMs): LatchkeyError => new LatchkeyError('conflict', 'Another operation on this key is in progress; this one was not applied.', { retryAfter: Math.ceil(leftMs / 1000), applied: 'no' })

/** @throws conflict, applied unknown: the record does not say what became of an operation that it knows */
export const refuseDoubtful = (standing: Standing): void => {
  if (standing === 'doubtful') throw new LatchkeyError('conflict', 'This operation began, others followed, and the store no longer says whether it took effect. Look at the key before you send anything again.', { applied: 'unknown' })
}

/** The operation is over without having taken effect; its `Idempotency-Key` does not start again. */
export const notApplied = (message: string): LatchkeyError => new LatchkeyError('conflict', `${message} Send it again with a new Idempotency-Key.`, { retryAfter: 1 })

/** The key of an operation that took effect once. @throws conflict, applied: yes, when its key was deleted and nothing names it any more */
export const pastKey = (record: KeyRecord, operation: Operation): string => {
  const keyId = keyOfPast(record, operation.id)
  if (keyId === undefined) throw new LatchkeyError('conflict', 'This operation took effect on a key that was deleted since; another key has the name now.', { applied: 'yes' })
  return keyId
}

/** Whether the list of operations names one that took effect on a key which had the name before. As long as the labels are that one's, so are all that are named. */
export const isOfFormer = ({ facts, complete }: KeyRecord, id: string): boolean => wasSeen(facts.labels[seenLabel], id, complete ? 'former' : undefined)

/** Whether a failure says that the gateway will not have it, now or later. */
export const isRefusedByGateway = (error: unknown): error is LatchkeyError => isCode(error, 'gateway_denied', 'already_exists', 'invalid_request')
