// Many secrets of AWS Secrets Manager at once. A batch knows current versions only, and what it does not settle is read alone.
import { asLatchkeyError, isCode, type LatchkeyError } from '../../core/errors.ts'
import type { SecretProvider } from '../../core/provider.ts'
import type { Call } from '../../core/runtime.ts'
import type { SecretName, SecretRecord } from '../../core/secret.ts'
import { nonsense } from '../aws-calls.ts'
import { awsFailure } from './failures.ts'
import { absent, legal, recordOf, service, type Ask, type SecretReads } from './secrets-manager.ts'

/** What a batch is read with. */
export interface BatchParts {
  readonly ask: Ask
  readonly reads: SecretReads
  readonly read: SecretProvider['read']
}

const limits = { batch: 20, singleReadsAtOnce: 8 }

type Settled = Map<string, (name: SecretName) => SecretRecord | LatchkeyError>

/** One batch of at most twenty. What its answer does not settle (no word, a next page, throttled, not the current version) is left for a read of its own. */
const readBatch = async (SecretIdList: string[], settled: Settled, call: Call, { ask, reads }: BatchParts): Promise<void> => {
  const { SecretValues, Errors } = await ask('BatchGetSecretValue', undefined, call, (patience) => reads.batchGetSecretValue({ SecretIdList }, patience))
  if (SecretValues === undefined && Errors === undefined) throw nonsense(service, 'BatchGetSecretValue')
  for (const entry of SecretValues?.filter(({ VersionStages }) => VersionStages?.includes('AWSCURRENT')) ?? []) {
    const record = recordOf(entry, 'BatchGetSecretValue')
    for (const id of [entry.Name, entry.ARN]) if (id !== undefined) settled.set(id, (name) => ({ name, ...record }))
  }
  for (const { SecretId = '', ErrorCode = '', Message = '' } of Errors ?? []) {
    const failure = await awsFailure(service, Object.assign(new Error(Message), { name: ErrorCode }), 'GetSecretValue', { text: SecretId, native: SecretId })
    if (failure.code !== 'provider_throttled') settled.set(SecretId, (name) => (isCode(failure, 'soft_deleted', 'not_found') ? absent(name) : failure))
  }
}

/** Many secrets in batches of twenty, and what no batch settles by reads of its own. */
export const readInBatches = async (names: readonly SecretName[], call: Call, parts: BatchParts): Promise<readonly (SecretRecord | LatchkeyError)[]> => {
  const settled: Settled = new Map()
  const ids = [...new Set(names.filter((name) => name.place === 'native' || legal.test(name.text)).map((name) => name.text))]
  const batches = Array.from({ length: Math.ceil(ids.length / limits.batch) }, (_, index) => ids.slice(index * limits.batch, (index + 1) * limits.batch))
  const work = batches.map((batch) =>
    readBatch(batch, settled, call, parts).catch((error: unknown) => {
      call.signal.throwIfAborted()
      if (!isCode(error, 'provider_denied', 'provider_throttled')) for (const id of batch) if (!settled.has(id)) settled.set(id, () => asLatchkeyError(error))
    }),
  )
  await Promise.all(work)
  const rest = names.filter((name) => !settled.has(name.text)).values()
  const readRest = async (): Promise<void> => {
    for (const name of rest) {
      const answer = await parts.read(name, {}, call).catch(asLatchkeyError)
      call.signal.throwIfAborted()
      settled.set(name.text, () => answer)
    }
  }
  await Promise.all(Array.from({ length: limits.singleReadsAtOnce }, readRest))
  return names.map((name) => settled.get(name.text)?.(name) ?? absent(name))
}
