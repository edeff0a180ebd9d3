// The bugs of the naive protocols (operations 8), each put in by a wrapper, so that the simulator is seen to catch it by its number. Nothing of this is in the
// engine: what is wrong stands here, around a service, a provider, a deletion or an answer.
import { isCode, type ErrorCode } from '../../../shared/core/errors.ts'
import { parseStamp } from '../../../shared/core/keys/operation.ts'
import { parseOperation } from '../../../shared/core/keys/operation-text.ts'
import type { SecretProvider, WriteOutcome, WriteRequest } from '../../../shared/core/provider.ts'
import { keyIdOf } from '../../../shared/core/virtual-key.ts'
import type { Call } from '../../../shared/core/runtime.ts'
import type { SecretFacts, SecretName } from '../../../shared/core/secret.ts'
import type { CompareAndSetService } from '../../shapes/compare-and-set.ts'
import type { StagedService } from '../../shapes/staged.ts'
import { upsert, type UpsertService } from '../../shapes/upsert.ts'
import type { Bug } from '../simulation.ts'

type Method<M extends 'describe' | 'write' | 'promote' | 'annotate' | 'remove' | 'recover'> = NonNullable<SecretProvider[M]>
const method = <M extends 'describe' | 'write' | 'promote' | 'annotate' | 'remove' | 'recover'>(provider: SecretProvider, name: M): Method<M> => provider[name] as Method<M>

type Methods = { readonly [M in 'describe' | 'write' | 'promote' | 'annotate']: Method<M> }

/** The same provider with some methods wrapped. */
export const withMethods = (provider: SecretProvider, wrap: (inner: Methods) => Partial<Methods>): SecretProvider => ({
  ...provider,
  ...wrap({ describe: method(provider, 'describe'), write: method(provider, 'write'), promote: method(provider, 'promote'), annotate: method(provider, 'annotate') }),
})

/** The same provider, answering otherwise where a write is refused with this code; `undefined`: the refusal stays. */
const refusedWrite = (provider: SecretProvider, code: ErrorCode, otherwise: (request: WriteRequest, call: Call) => Promise<WriteOutcome | undefined>): SecretProvider =>
  withMethods(provider, ({ write }) => ({
    write: (request, call) =>
      write(request, call).catch(async (error: unknown) => {
        const answer = isCode(error, code) ? await otherwise(request, call) : undefined
        return answer ?? Promise.reject(error)
      }),
  }))

/** The service's own delete, sent again when no answer comes. */
const removeTwice = async (provider: SecretProvider, name: SecretName, call: Call): Promise<void> => {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await method(provider, 'remove')(name, { expect: 'any', final: false }, call)
      return
    } catch (error) {
      if (isCode(error, 'not_found') && attempt > 0) return
      if (!isCode(error, 'provider_unavailable', 'provider_throttled') || attempt > 0) throw error
    }
  }
}

const currentOf = async (provider: SecretProvider, name: SecretName, call: Call): Promise<string> => (await method(provider, 'describe')(name, call)).current?.id ?? ''

/** Whatever is current is replaced. */
const promotesOverAnything = (provider: SecretProvider): SecretProvider => ({
  ...provider,
  promote: async (name, { to }, call) => method(provider, 'promote')(name, { to, from: await currentOf(provider, name, call) }, call),
})

/** A recreated key looks like the one before it. */
const blindToKeyIds = (provider: SecretProvider): SecretProvider => {
  const first = new Map<string, NonNullable<SecretFacts['current']>>()
  return {
    ...provider,
    describe: async (name, call) => {
      const facts = await method(provider, 'describe')(name, call)
      const { current } = facts
      if (current === undefined) return facts
      const known = first.get(name.text) ?? current
      first.set(name.text, known)
      const recreated = known.id !== current.id && current.operation?.includes('-create-') === true
      if (!recreated) return facts
      const seen = { ...current, ...known, stages: ['current'] as const }
      const own = facts.versions?.filter(({ stages }) => stages.includes('pending')) ?? []
      return { ...facts, current: seen, versions: [seen, ...own], labels: { ...facts.labels, 'latchkey-key-id': firstKey(known.operation) ?? facts.labels['latchkey-key-id'] ?? '' } }
    },
    promote: async (name, { to }, call) => method(provider, 'promote')(name, { to, from: await currentOf(provider, name, call) }, call),
  }
}

const firstKey = (operation: string | undefined): string | undefined => (operation?.includes('-create-') === true ? keyIdOf(operation.split('-')[2] ?? '') : undefined)

/** Stamps are moved along 1 to 4 instead of standing in the slot of their epoch. */
const shiftsStamps = (provider: SecretProvider): SecretProvider => ({
  ...provider,
  annotate: async (name, change, call) => {
    const { labels } = await method(provider, 'describe')(name, call)
    const given = Object.entries(change.labels ?? {})
    const stamps = given.filter(([key]) => /^latchkey-op-\d$/.test(key)).map(([, text]) => text)
    const held = [1, 2, 3, 4].map((slot) => labels[`latchkey-op-${slot}`]).filter((text) => text !== undefined)
    const next = [...stamps, ...held.filter((text) => !stamps.some((stamp) => parseStamp(stamp ?? '')?.id === parseStamp(text)?.id))].slice(0, 4)
    const rest = Object.fromEntries(given.filter(([key]) => !/^latchkey-op-\d$/.test(key)))
    return method(provider, 'annotate')(name, { ...change, labels: { ...rest, ...Object.fromEntries(next.map((text, index) => [`latchkey-op-${index + 1}`, text])) } }, call)
  },
})

/** One token for every claim of an operation, whatever the epoch. */
const proposesAgain: NonNullable<Bug['provider']> = (provider, { memory }) =>
  withMethods(provider, ({ write }) => ({
    write: (request, call) => {
      const operation = parseOperation(request.operation)
      if (request.stage !== 'pending' || operation?.verb !== 'rotate') return write(request, call)
      const value = (memory.get(operation.id) ?? request.value) as typeof request.value
      memory.set(operation.id, value)
      return write({ ...request, value }, call)
    },
  }))

export const bugs: readonly Bug[] = [
  {
    id: 'B-01',
    says: 'delete is the service\'s own delete; a create restores the secret, and the old token is current again',
    shapes: ['staged'],
    expected: ['I6 key resurrected'],
    ignored: ['I4 epoch', 'I12 outcome', 'I13 liveness'],
    remove: removeTwice,
    provider: (provider) =>
      refusedWrite(provider, 'soft_deleted', async (request, call) => {
        await method(provider, 'recover')(request.name, call)
        return method(provider, 'write')({ ...request, expect: { version: await currentOf(provider, request.name, call) } }, call)
      }),
  },
  {
    id: 'B-02',
    says: 'a deletion without a tombstone ends after the gateway was told: the key looks alive, and its token is refused',
    shapes: ['staged'],
    expected: ['I1 key lost'],
    ignored: ['I4 epoch', 'I12 outcome', 'I13 liveness'],
    remove: async (provider, name, call, { gateway }) => {
      const { value } = await provider.read(name, {}, call)
      await gateway.setBlocked({ token: value }, true, call)
      await removeTwice(provider, name, call)
    },
  },
  {
    id: 'B-03',
    says: 'two rotations without a claim: both go on with a token of their own',
    shapes: ['compare_and_set', 'staged', 'etag', 'upsert', 'plain'],
    expected: ['claim'],
    provider: (provider) =>
      refusedWrite(provider, 'conflict', async ({ operation, stage }) => (stage === 'pending' ? { outcome: 'written', version: { id: operation, stages: ['pending'], enabled: true, operation } } : undefined)),
  },
  {
    id: 'B-04',
    says: 'a token that was drawn for one epoch is proposed again for another; who clears the first epoch ends it',
    shapes: ['staged'],
    expected: ['I1 key lost', 'I6 key resurrected', 'I3 key duplicated'],
    verbs: ['rotate', 'rotate', 'block', 'delete'],
    provider: proposesAgain,
  },
  {
    id: 'B-05',
    says: 'a token becomes current before the gateway is told of it',
    shapes: ['staged', 'compare_and_set', 'etag', 'upsert', 'plain'],
    expected: ['I1 key lost'],
    verbs: ['rotate', 'event'],
    provider: (provider, { memory, label }) =>
      withMethods(provider, ({ promote }) => ({
        promote: async (name, move, call) => {
          await promote(name, move, call)
          await (memory.get(label) as (() => Promise<unknown>) | undefined)?.()
        },
      })),
    gateway: (gateway, { memory, label }) => ({
      ...gateway,
      add: async (token, row, call) => {
        memory.set(label, () => gateway.add(token, row, call))
        return 'added'
      },
      accepts: async () => true,
    }),
  },
  { id: 'B-06', says: 'a rotation makes its token current without asking whether a tombstone came first', shapes: ['staged', 'etag'], expected: ['I6 key resurrected', 'I4 epoch'], provider: promotesOverAnything },
  { id: 'B-07', says: 'delete wipes the path; sent again and late, it wipes the recreated key', shapes: ['compare_and_set'], expected: ['I1 key lost'], ignored: ['I4 epoch', 'I12 outcome', 'I3 key duplicated', 'I6 key resurrected', 'I13 liveness'], remove: removeTwice },
  { id: 'B-08', says: 'a repetition of a create finds the name free after a wiping delete, and creates again', shapes: ['compare_and_set'], expected: ['I3 key duplicated', 'I6 key resurrected'], ignored: ['I4 epoch', 'I12 outcome', 'I1 key lost', 'I13 liveness'], remove: removeTwice },
  {
    id: 'B-09',
    says: 'writes without a condition',
    shapes: ['compare_and_set'],
    expected: ['I1 key lost', 'I4 epoch', 'I6 key resurrected'],
    service: (given) => {
      const service = given as CompareAndSetService
      return { clock: service.clock, read: service.read.bind(service), list: service.list.bind(service), patchMetadata: service.patchMetadata.bind(service), deleteMetadata: service.deleteMetadata.bind(service), write: (name: string, data: string) => service.write(name, data, undefined) }
    },
  },
  { id: 'B-10', says: 'the newest version wins instead of the first that builds on the one before', shapes: ['upsert'], expected: ['I12 outcome', 'I4 epoch', 'I6 key resurrected'], open: (service, runtime) => upsert(service as UpsertService, (puts) => puts).open({}, runtime, { kind: 'operator' }) },
  { id: 'B-11', says: 'a final delete at once: a late repetition of the create finds the name free', shapes: ['etag'], expected: ['I3 key duplicated', 'I6 key resurrected'], ignored: ['I4 epoch', 'I12 outcome', 'I1 key lost', 'I13 liveness'], remove: removeTwice },
  {
    id: 'B-12',
    says: 'the sweep looks only at the current token and the newest claim: what was registered before stays accepted',
    shapes: ['staged', 'compare_and_set'],
    expected: ['I2 orphan', 'I6 key resurrected'],
    verbs: ['rotate', 'rotate', 'block', 'delete'],
    provider: (provider, { wish }) =>
      wish.verb !== 'reconcile'
        ? provider
        : withMethods(provider, ({ describe }) => ({
            describe: async (name, call) => {
              const facts = await describe(name, call)
              const epoch = parseOperation(facts.current?.operation)?.epoch ?? 0
              const { versions } = facts
              return versions === undefined ? facts : { ...facts, versions: versions.filter(({ stages, operation }) => stages.includes('current') || (parseOperation(operation)?.epoch ?? 0) > epoch) }
            },
          })),
    gateway: (gateway, { wish }) => (wish.verb === 'reconcile' ? { ...gateway, list: async () => ({ items: [] }) } : gateway),
  },
  {
    id: 'B-13',
    says: 'the sweep ends what it does not know, by what it read before: a token of the next epoch, current by then',
    shapes: ['staged', 'compare_and_set', 'etag', 'upsert', 'plain'],
    expected: ['I1 key lost'],
    verbs: ['rotate', 'rotate', 'reconcile'],
    provider: (provider, { memory, label }) =>
      withMethods(provider, ({ describe }) => ({
        describe: async (name, call) => {
          const facts = await describe(name, call)
          const epoch = parseOperation(facts.current?.operation)?.epoch
          if (epoch !== undefined && !memory.has(label)) memory.set(label, epoch)
          return facts
        },
      })),
    gateway: (gateway, { wish, memory, label }) =>
      wish.verb !== 'reconcile'
        ? gateway
        : {
            ...gateway,
            list: async (query, call) => {
              const page = await gateway.list(query, call)
              for (const { sha256, epoch = 0, blocked } of page.items) if (!blocked && epoch > Number(memory.get(label) ?? Infinity)) await gateway.setBlocked({ sha256 }, true, call)
              return page
            },
          },
  },
  {
    id: 'B-15',
    says: 'a claim that came too late is made again with the same token; who clears the lost one blocks it',
    shapes: ['upsert', 'plain'],
    expected: ['I1 key lost', 'I6 key resurrected', 'I3 key duplicated'],
    verbs: ['rotate', 'rotate', 'block', 'delete'],
    provider: proposesAgain,
  },
  { id: 'B-16', says: 'a rotation begun on one key goes on with the key that was created under the same alias afterwards', shapes: ['staged', 'etag'], expected: ['I1 key lost', 'I12 outcome'], ignored: ['I4 epoch'], provider: blindToKeyIds },
  {
    id: 'B-17',
    says: 'what the store no longer says is answered as "not applied"',
    shapes: ['staged'],
    expected: ['I12 outcome'],
    answer: (attempt) => {
      if (attempt.error?.details.applied === 'unknown') attempt.error = attempt.error.with({ applied: 'no' })
    },
  },
  {
    id: 'B-20',
    says: 'the shared label is handed to the put, which takes it from its holder: two claims at once',
    shapes: ['staged'],
    expected: ['claim'],
    service: (given) => {
      const service = given as StagedService
      const bound = (name: keyof StagedService): unknown => (service[name] as (...all: unknown[]) => unknown).bind(service)
      const calls = ['createSecret', 'getValue', 'describeSecret', 'moveLabel', 'tag', 'untag', 'updateDescription', 'deleteSecret', 'restoreSecret', 'listSecrets'] as const
      return {
        clock: service.clock,
        ...Object.fromEntries(calls.map((name) => [name, bound(name)])),
        putValue: (name: string, id: string, value: Uint8Array, labels: readonly string[]) => service.putValue(name, id, value, id.includes('-rotate-') ? [...labels, 'latchkey-next'] : labels),
      }
    },
  },
  { id: 'B-21', says: 'stamps are shifted through the slots by two instances, and one is lost', shapes: ['staged'], expected: ['I12 outcome', 'I3 key duplicated', 'I13 liveness', 'I11 grace'], provider: shiftsStamps },
  {
    id: 'B-22',
    says: 'a gateway that gave no answer twice counts as told',
    shapes: ['staged', 'compare_and_set', 'etag', 'upsert', 'plain'],
    expected: ['I6 key resurrected', 'I1 key lost'],
    verbs: ['rotate', 'delete', 'delete'],
    faults: ['gateway down'],
    gateway: (gateway) => {
      const told = (error: unknown): true => {
        if (!isCode(error, 'gateway_unavailable')) throw error
        return true
      }
      return { ...gateway, setBlocked: (ref, blocked, call) => gateway.setBlocked(ref, blocked, call).catch(told), change: (ref, change, call) => gateway.change(ref, change, call).catch(told) }
    },
  },
]

/** Bugs of operations 8 that are not put in here, each with what it needs. */
export const bugsElsewhere: Readonly<Record<string, string>> = {
  'B-14': 'a sweep that aborts a creation by raising its epoch; this engine never starts an aborted creation again with the token that it had drawn',
  'B-18': 'direct readers of the main variable of a store without conditions',
  'B-19': 'direct readers of the newest version',
}
