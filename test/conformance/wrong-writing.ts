// Providers that are wrong on purpose, second half: writing, claims, labels, removing, and failures that say too much.
import { isCode, LatchkeyError } from '../../shared/core/errors.ts'
import type { SecretProvider, WriteRequest } from '../../shared/core/provider.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import type { Wrap } from './harnesses/memory.ts'
import { spoil, type Whole, type WrongProvider } from './wrong-reading.ts'

const onWrite = (change: (request: WriteRequest) => WriteRequest): Wrap => spoil((right) => ({ write: (request, call) => right.write(change(request), call) }))

/** What a failed write becomes. */
const onFailedWrite = (change: (error: unknown, request: WriteRequest) => unknown): Wrap =>
  spoil((right) => ({
    write: (request, call) =>
      right.write(request, call).catch((error: unknown) => {
        throw change(error, request)
      }),
  }))

const without = <T extends object, K extends keyof T>(whole: T, ...keys: readonly K[]): Omit<T, K> => {
  const rest = { ...whole }
  for (const key of keys) delete rest[key]
  return rest
}

const anyOperation = (): string => `put-${crypto.randomUUID().replaceAll('-', '')}`
const succeeds = (...codes: readonly LatchkeyError['code'][]) => (error: unknown): void => {
  if (!isCode(error, ...codes)) throw error
}
const pendingOf = async (right: Whole, request: WriteRequest, call: Parameters<SecretProvider['read']>[2]): Promise<string | undefined> =>
  (await right.describe(request.name, call)).versions?.find(({ stages }) => stages.includes('pending'))?.id

/** Wrong in what is written, claimed, kept, removed, or told in a failure. */
export const wrongWriters: readonly WrongProvider[] = [
  { wrong: 'overwrites with expect absent', case: 'write.create-existing', wrap: onWrite((request) => (request.expect === 'absent' ? { ...request, expect: 'any' } : request)) },
  { wrong: 'ignores the version that is expected', case: 'write.condition-stale', wrap: onWrite((request) => (typeof request.expect === 'object' && request.stage === 'current' ? { ...request, expect: 'any' } : request)) },
  { wrong: 'makes a secret where a version of it was expected', case: 'write.condition-absent', wrap: spoil((right) => ({
    write: (request, call) => right.write(request, call).catch((error: unknown) => (isCode(error, 'not_found') && request.stage === 'current' ? right.write({ ...request, expect: 'absent' }, call) : Promise.reject(error as Error))),
  })) },
  { wrong: 'reads first and writes then', case: 'write.parallel-replacements', wrap: spoil((right) => ({
    write: async (request, call) => {
      if (typeof request.expect !== 'object') return right.write(request, call)
      const { version } = await right.read(request.name, {}, call)
      if (version?.id !== request.expect.version) throw new LatchkeyError('conflict', 'Another version is current.')
      await new Promise((resolve) => setImmediate(resolve))
      return right.write({ ...request, expect: 'any' }, call)
    },
  })) },
  { wrong: 'looks first and creates then', case: 'write.parallel-creates', wrap: spoil((right) => ({
    write: async (request, call) => {
      if (request.expect !== 'absent') return right.write(request, call)
      const there = await right.read(request.name, {}, call).then(() => true, () => false)
      if (there) throw new LatchkeyError('already_exists', 'There is a secret of that name already.')
      await new Promise((resolve) => setImmediate(resolve))
      return right.write({ ...request, expect: 'any' }, call)
    },
  })) },
  { wrong: 'writes an operation twice', case: 'write.same-operation', wrap: onWrite((request) => ({ ...request, expect: 'any', operation: anyOperation() })) },
  { wrong: 'takes the last value of an operation', case: 'write.same-operation-other-value', wrap: spoil((right) => ({
    write: async (request, call) => {
      const outcome = await right.write(request, call)
      if (outcome.outcome === 'same_operation') await right.write({ ...request, expect: 'any', operation: anyOperation() }, call)
      return outcome
    },
  })) },
  { wrong: 'checks the condition before it knows its own operation', case: 'write.same-operation-replace', wrap: spoil((right) => ({
    write: async (request, call) => {
      if (typeof request.expect === 'object' && (await right.read(request.name, {}, call)).version?.id !== request.expect.version) throw new LatchkeyError('conflict', 'Another version is current.')
      return right.write(request, call)
    },
  })) },
  { wrong: 'repeats a lost write as a new one', case: 'fault.unavailable_after.create.once', wrap: spoil((right) => ({
    write: (request, call) => right.write(request, call).catch((error: unknown) => (isCode(error, 'provider_unavailable') ? right.write({ ...request, expect: 'any', operation: anyOperation() }, call) : Promise.reject(error as Error))),
  })) },
  { wrong: 'takes a lost answer for a success', case: 'fault.unavailable_after.create', wrap: spoil((right) => ({
    write: (request, call) => right.write(request, call).catch((error: unknown) => (isCode(error, 'provider_unavailable') ? { outcome: 'written' as const } : Promise.reject(error as Error))),
  })) },
  { wrong: 'writes the labels before the condition is checked', case: 'write.condition-stale', wrap: spoil((right) => ({
    write: async (request, call) => {
      if (request.expect !== 'absent' && request.labels !== undefined) await right.annotate(request.name, { labels: request.labels }, call)
      return right.write(request, call)
    },
  })) },
  { wrong: 'writes the labels after the value, and not when the write is repeated', case: 'fault.unavailable_before.create.call-2', wrap: spoil((right) => ({
    write: async (request, call) => {
      const outcome = await right.write(without(request, 'labels'), call)
      if (outcome.outcome === 'written' && request.stage === 'current' && request.labels !== undefined) await right.annotate(request.name, { labels: request.labels }, call)
      return outcome
    },
  })) },
  { wrong: 'replaces by deleting and making anew', case: 'fault.unavailable_before.replace.call-2', wrap: spoil((right) => ({
    write: async (request, call) => {
      if (typeof request.expect !== 'object' || request.stage === 'pending') return right.write(request, call)
      await right.remove(request.name, { expect: request.expect, final: true }, call)
      return right.write({ ...request, expect: 'absent' }, call)
    },
  })) },
  { wrong: 'takes half of the value when it is too large', case: 'write.too-large', wrap: onWrite((request) => ({ ...request, value: SecretValue.ofBytes(request.value.bytes().subarray(0, 65_536)) })) },
  { wrong: 'loses the version before', case: 'version.previous', wrap: spoil((right) => ({
    write: async (request, call) => {
      const outcome = await right.write(request, call)
      if (typeof request.expect === 'object' && request.stage === 'current') await right.discard(request.name, request.expect.version, call)
      return outcome
    },
  })) },
  { wrong: 'lists versions newest first', case: 'version.order', wrap: spoil((right) => ({
    describe: async (name, call) => {
      const facts = await right.describe(name, call)
      return { ...facts, versions: [...(facts.versions ?? [])].reverse() }
    },
  })) },
  { wrong: 'forgets which operation wrote a version', case: 'version.order', wrap: spoil((right) => ({
    describe: async (name, call) => {
      const facts = await right.describe(name, call)
      return { ...facts, versions: (facts.versions ?? []).map((version) => without(version, 'operation')) }
    },
  })) },
  { wrong: 'makes a claim current', case: 'claim.leaves-current', wrap: onWrite((request) => ({ ...request, stage: 'current' })) },
  { wrong: 'lets a second claimant in', case: 'claim.second', wrap: spoil((right) => ({
    write: async (request, call) => {
      const pending = request.stage === 'pending' ? await pendingOf(right, request, call) : undefined
      if (pending !== undefined) await right.discard(request.name, pending, call)
      return right.write(request, call)
    },
  })) },
  { wrong: 'takes the value of a repeated claim', case: 'claim.repeated', wrap: spoil((right) => ({
    write: async (request, call) => {
      const outcome = await right.write(request, call)
      if (outcome.outcome === 'written' || request.stage !== 'pending') return outcome
      await right.discard(request.name, outcome.version?.id ?? '', call)
      return { ...(await right.write({ ...request, operation: anyOperation() }, call)), outcome: 'same_operation' as const }
    },
  })) },
  { wrong: "writes a claim's labels on the secret", case: 'claim.leaves-labels', wrap: spoil((right) => ({
    write: async (request, call) => {
      const outcome = await right.write(request, call)
      if (request.stage === 'pending' && request.labels !== undefined) await right.annotate(request.name, { labels: request.labels }, call)
      return outcome
    },
  })) },
  { wrong: 'claims a secret that is not there', case: 'claim.absent', wrap: spoil((right) => ({
    write: (request, call) => right.write(request, call).catch((error: unknown) => (isCode(error, 'not_found') && request.stage === 'pending' ? right.write({ ...request, stage: 'current', expect: 'absent' }, call) : Promise.reject(error as Error))),
  })) },
  { wrong: 'lets a claim stand in the way of a tombstone', case: 'claim.tombstone-over', wrap: spoil((right) => ({
    write: async (request, call) => {
      if (request.stage === 'current' && request.expect !== 'absent' && (await pendingOf(right, request, call)) !== undefined) throw new LatchkeyError('conflict', 'Another operation is in progress.')
      return right.write(request, call)
    },
  })) },
  { wrong: 'promotes whatever is current', case: 'promote.stale', wrap: spoil((right) => ({
    promote: async (name, move, call) => right.promote(name, { ...move, from: (await right.read(name, {}, call)).version?.id ?? move.from }, call),
  })) },
  { wrong: 'refuses a promotion that has happened', case: 'promote.repeated', wrap: spoil((right) => ({
    promote: async (name, move, call) => {
      if ((await right.read(name, {}, call)).version?.id === move.to) throw new LatchkeyError('conflict', 'It is current already.')
      return right.promote(name, move, call)
    },
  })) },
  { wrong: 'promotes by writing the value once more', case: 'promote.moves', wrap: spoil((right) => ({
    promote: async (name, { to, from }, call) => {
      const { value } = await right.read(name, { version: to }, call)
      await right.write({ name, value, expect: { version: from }, operation: anyOperation(), stage: 'current' }, call)
    },
  })) },
  { wrong: 'discards nothing', case: 'discard.claim', wrap: spoil(() => ({ discard: async () => {} })) },
  { wrong: 'says that it discarded the current version', case: 'discard.current', wrap: spoil((right) => ({ discard: (name, version, call) => right.discard(name, version, call).catch(succeeds('conflict')) })) },
  { wrong: 'fails when there is nothing left to discard', case: 'discard.repeated', wrap: spoil((right) => ({
    discard: async (name, version, call) => {
      if ((await right.describe(name, call)).versions?.some(({ id, stages }) => id === version && stages.length > 0) !== true) throw new LatchkeyError('not_found', 'There is no such version.')
      return right.discard(name, version, call)
    },
  })) },
  { wrong: 'forgets labels', case: 'label.at-create', wrap: onWrite((request) => without(request, 'labels')) },
  { wrong: 'puts labels in the place of the ones before', case: 'label.merged', wrap: spoil((right) => ({
    write: async (request, call) => {
      const old = request.labels === undefined || request.expect === 'absent' ? {} : (await right.describe(request.name, call)).labels
      const outcome = await right.write(request, call)
      const gone = Object.keys(old).filter((key) => !Object.hasOwn(request.labels ?? {}, key))
      await right.annotate(request.name, { labels: Object.fromEntries(gone.map((key) => [key, null])) }, call)
      return outcome
    },
  })) },
  { wrong: 'writes labels in small letters', case: 'label.exact', wrap: onWrite((request) => ({ ...request, labels: Object.fromEntries(Object.entries(request.labels ?? {}).map(([key, value]) => [key, value.toLowerCase()])) })) },
  { wrong: 'writes null as a word', case: 'annotate.removes', wrap: spoil((right) => ({
    annotate: (name, change, call) => right.annotate(name, { ...change, labels: Object.fromEntries(Object.entries(change.labels ?? {}).map(([key, value]) => [key, String(value)])) }, call),
  })) },
  { wrong: 'ignores the etag', case: 'annotate.stale-etag', wrap: spoil((right) => ({ annotate: (name, change, call) => right.annotate(name, without(change, 'etag'), call) })) },
  { wrong: 'says that it removed what was never there', case: 'remove.missing', wrap: spoil((right) => ({ remove: (name, how, call) => right.remove(name, how, call).catch((error: unknown) => (succeeds('not_found')(error), {})) })) },
  { wrong: 'removes whatever is current', case: 'remove.condition-stale', wrap: spoil((right) => ({ remove: (name, how, call) => right.remove(name, { ...how, expect: 'any' }, call) })) },
  { wrong: 'removes for good what it says can be recovered', case: 'remove.soft-facts', wrap: spoil((right) => ({ remove: (name, how, call) => right.remove(name, { ...how, final: true }, call) })) },
  { wrong: 'recovers inside a write', case: 'remove.soft-holds-name', wrap: spoil((right) => ({
    write: (request, call) => right.write(request, call).catch(async (error: unknown) => {
      if (!isCode(error, 'soft_deleted')) throw error
      await right.recover(request.name, call)
      return right.write({ ...request, expect: 'any' }, call)
    }),
  })) },
  { wrong: 'recovers without the labels', case: 'recover.whole', wrap: spoil((right) => ({
    recover: async (name, call) => {
      await right.recover(name, call)
      await right.annotate(name, { labels: { team: null } }, call)
    },
  })) },
  { wrong: 'takes a disabled version for an absent one', case: 'disable.read', wrap: spoil((right) => ({
    read: (name, at, call) => right.read(name, at, call).catch((error: unknown) => Promise.reject(isCode(error, 'version_disabled') ? new LatchkeyError('not_found', 'There is no such version.') : (error as Error))),
  })) },
  { wrong: 'ignores the signal before it writes', case: 'write.aborted-before', wrap: spoil((right) => ({ write: (request, call) => right.write(request, { ...call, signal: new AbortController().signal }) })) },
  { wrong: 'ignores the deadline before it writes', case: 'write.deadline-before', wrap: spoil((right) => ({ write: (request, call) => right.write(request, { ...call, deadline: Infinity }) })) },
  { wrong: 'tells the value in the message of a failure', case: 'write.create-existing', wrap: onFailedWrite((_, { value }) => new LatchkeyError('already_exists', `There is a secret already; ${value.reveal()} was not written.`)) },
  { wrong: 'tells the value, encoded, in the detail of a failure', case: 'write.create-existing', wrap: onFailedWrite((_, { value }) => new LatchkeyError('already_exists', 'There is a secret already.', { detail: `request: ${value.bytes().toString('base64')}` })) },
  { wrong: 'hangs what the library threw on a failure', case: 'write.create-existing', wrap: onFailedWrite((_, { value }) => Object.assign(new LatchkeyError('already_exists', 'There is a secret already.'), { cause: new Error(`400 {"SecretString":${JSON.stringify(value.reveal())}}`) })) },
  { wrong: "keeps the library's request as a hidden property of a failure", case: 'write.create-existing', wrap: onFailedWrite((_, { value }) => Object.defineProperty(new LatchkeyError('already_exists', 'There is a secret already.'), '$request', { enumerable: false, value: { body: value.bytes() } })) },
]
