// Mutants: engines that leave one thing out, each made by a wrapper around a port of one instance, so that the simulator is seen to miss it. They are of our own
// making; the bugs that the operations page lists stand in `bugs.ts`.
import { isCode } from '../../../shared/core/errors.ts'
import { operationText, parseOperation } from '../../../shared/core/keys/operation-text.ts'
import { parseStamp, stampText } from '../../../shared/core/keys/operation.ts'
import { keyLabels } from '../../../shared/core/keys/record.ts'
import { isInternal } from '../../../shared/core/names.ts'
import type { Annotation, SecretProvider, WriteRequest } from '../../../shared/core/provider.ts'
import type { SecretFacts } from '../../../shared/core/secret.ts'
import { keyIdOf } from '../../../shared/core/virtual-key.ts'
import { withMethods } from './bugs.ts'
import type { Bug } from '../simulation.ts'

const memory = ['staged', 'compare_and_set', 'etag', 'upsert', 'plain'] as const

type Labels = NonNullable<Annotation['labels']>

/** The same provider with other labels in its writes and annotations. */
const withLabels = (provider: SecretProvider, change: (labels: Labels) => Labels): SecretProvider =>
  withMethods(provider, ({ write, annotate }) => ({
    write: (request, call) => write(request.labels === undefined ? request : { ...request, labels: change(request.labels) as NonNullable<WriteRequest['labels']> }, call),
    annotate: (name, given, call) => annotate(name, given.labels === undefined ? given : { ...given, labels: change(given.labels) }, call),
  }))

/** The same provider with other facts. */
const withFacts = (provider: SecretProvider, change: (facts: SecretFacts) => SecretFacts): SecretProvider =>
  withMethods(provider, ({ describe }) => ({ describe: async (name, call) => change(await describe(name, call)) }))

const withoutUntil = (labels: Labels): Labels =>
  Object.fromEntries(
    Object.entries(labels).map(([key, text]) => {
      const stamp = /^latchkey-op-\d$/.test(key) ? parseStamp(text ?? '') : undefined
      if (stamp === undefined) return [key, text]
      const { until: _until, kept: _kept, ...rest } = stamp
      return [key, stampText(rest)]
    }),
  )

const written = (request: WriteRequest) => ({ outcome: 'written' as const, version: { id: request.operation, stages: ['current' as const], enabled: true, operation: request.operation } })

export const mutants: readonly Bug[] = [
  {
    id: 'M-01',
    says: 'undo removed: a creation that the gateway refuses stays stored',
    shapes: memory,
    expected: ['I12 outcome', 'I13 liveness'],
    verbs: ['create', 'create', 'delete'],
    faults: ['denied once'],
    provider: (provider, { wish }) =>
      wish.verb !== 'create' ? provider : withMethods(provider, ({ write }) => ({ write: async (request, call) => (parseOperation(request.operation)?.verb === 'delete' ? written(request) : write(request, call)) })),
  },
  {
    id: 'M-02',
    says: 'confirm removed: a write that another one beat counts as done',
    shapes: ['upsert', 'plain'],
    expected: ['claim', 'I12 outcome', 'I1 key lost'],
    provider: (provider) =>
      withMethods(provider, ({ write }) => ({
        write: (request, call) =>
          write(request, call).catch((error: unknown) => {
            if (!isCode(error, 'conflict')) throw error
            return { outcome: 'written' as const, version: { id: request.operation, stages: [request.stage], enabled: true, operation: request.operation } }
          }),
      })),
  },
  {
    id: 'M-03',
    says: 'grace held in memory: only the instance that promised it knows its end',
    shapes: memory,
    expected: ['I11 grace'],
    verbs: ['rotate', 'rotate', 'create', 'delete'],
    provider: (provider, { memory: held, label }) => {
      const known = (): Map<string, string> => {
        const own = (held.get(label) ?? new Map<string, string>()) as Map<string, string>
        held.set(label, own)
        return own
      }
      const remembers = withLabels(provider, (labels) => {
        for (const text of Object.values(labels)) {
          const stamp = parseStamp(text ?? '')
          if (text !== null && stamp?.until !== undefined) known().set(stamp.id, stamp.until.toISOString())
        }
        return withoutUntil(labels)
      })
      return withFacts(remembers, (facts) => ({
        ...facts,
        labels: Object.fromEntries(
          Object.entries(facts.labels).map(([key, text]) => {
            const stamp = parseStamp(text)
            const until = stamp === undefined ? undefined : known().get(stamp.id)
            return [key, stamp === undefined || until === undefined ? text : stampText({ ...stamp, until: new Date(until) })]
          }),
        ),
      }))
    },
  },
  {
    id: 'M-04',
    says: 'resume skipped: nobody sees what others began, and what holds the epoch holds it for ever',
    shapes: memory,
    expected: ['I13 liveness', 'I12 outcome'],
    provider: (provider) => withFacts(provider, (facts) => ({ ...facts, ...(facts.versions === undefined ? {} : { versions: facts.versions.filter(({ stages }) => !stages.includes('pending')) }) })),
  },
  {
    id: 'M-05',
    says: 'ownership unchecked: a creation writes over whatever stands under its name',
    shapes: memory,
    expected: ['I1 key lost'],
    ignored: ['I12 outcome', 'I13 liveness'],
    provider: (provider, { wish }) =>
      wish.verb !== 'create'
        ? provider
        : withMethods(provider, ({ write, describe }) => ({
            write: (request, call) =>
              write(request, call).catch(async (error: unknown) => {
                if (!isCode(error, 'already_exists') || isInternal(request.name.text)) throw error
                const { current } = await describe(request.name, call)
                const operation = parseOperation(request.operation)
                const epoch = (parseOperation(current?.operation)?.epoch ?? 0) + 1
                if (current === undefined || operation === undefined) throw error
                return write({ ...request, expect: { version: current.id }, before: current.id, epoch, operation: operationText(epoch, operation) }, call)
              }),
          })),
  },
  {
    id: 'M-06',
    says: 'index forgotten: a key is stored and nobody can find it by its token',
    shapes: ['compare_and_set', 'upsert', 'plain'],
    expected: ['I1 key lost'],
    provider: (provider) => withMethods(provider, ({ write }) => ({ write: async (request, call) => (isInternal(request.name.text) ? written(request) : write(request, call)) })),
  },
  {
    id: 'M-07',
    says: 'pending forgotten: a deletion does not look for tokens that were to become current',
    shapes: memory,
    expected: ['I6 key resurrected', 'I2 orphan'],
    verbs: ['rotate', 'rotate', 'delete'],
    provider: (provider, { wish }) => (wish.verb !== 'delete' ? provider : withFacts(provider, (facts) => ({ ...facts, ...(facts.versions === undefined ? {} : { versions: facts.versions.filter(({ stages }) => !stages.includes('pending')) }) }))),
  },
  {
    id: 'M-08',
    says: 'epoch not raised: a tombstone stands in the epoch of the token that it ends',
    shapes: ['compare_and_set', 'etag', 'upsert', 'plain'],
    expected: ['I4 epoch'],
    verbs: ['create', 'rotate', 'delete'],
    provider: (provider) =>
      withMethods(provider, ({ write }) => ({
        write: (request, call) => {
          const operation = parseOperation(request.operation)
          return write(operation?.verb === 'delete' ? { ...request, epoch: operation.epoch - 1, operation: operationText(operation.epoch - 1, operation) } : request, call)
        },
      })),
  },
  {
    id: 'M-09',
    says: 'block forgotten: a rotation takes the mark off a blocked key',
    shapes: memory,
    expected: ['blocked'],
    verbs: ['block', 'rotate', 'event'],
    provider: (provider, { wish }) => (wish.verb !== 'rotate' && wish.verb !== 'event' ? provider : withLabels(provider, (labels) => ({ ...labels, [keyLabels.blocked]: null }))),
  },
  {
    id: 'M-10',
    says: 'gateway told before the store: a token is accepted that was never stored',
    shapes: memory,
    expected: ['I3 key duplicated', 'I2 orphan', 'I6 key resurrected'],
    verbs: ['create', 'create', 'delete'],
    provider: (provider, { gateway }) =>
      withMethods(provider, ({ write }) => ({
        write: async (request, call) => {
          const operation = parseOperation(request.operation)
          if (operation?.verb === 'create') await gateway.add(request.value, { keyId: keyIdOf(operation.id), epoch: operation.epoch, blocked: false, fields: {} }, call)
          return write(request, call)
        },
      })),
  },
  {
    id: 'M-11',
    says: 'tombstone skipped: a deletion blocks the tokens at the gateway and leaves the key as it is',
    shapes: memory,
    expected: ['I1 key lost', 'I12 outcome'],
    verbs: ['create', 'rotate', 'delete'],
    remove: async (provider, name, call, { gateway }) => {
      const { value } = await provider.read(name, {}, call)
      await gateway.setBlocked({ token: value }, true, call)
    },
  },
  {
    id: 'M-12',
    says: 'test skipped: a token becomes current that the gateway was told of and does not accept',
    shapes: memory,
    expected: ['I1 key lost'],
    verbs: ['rotate', 'event'],
    faults: ['gateway forgot'],
    gateway: (gateway) => ({ ...gateway, accepts: async () => true }),
  },
  {
    id: 'M-13',
    says: 'retirement forgotten: the token before stays accepted at the gateway',
    shapes: memory.filter((name) => name !== 'etag'),
    expected: ['I11 grace', 'I2 orphan'],
    verbs: ['rotate', 'event'],
    gateway: (gateway, { wish }) => (wish.verb === 'rotate' || wish.verb === 'event' ? { ...gateway, setBlocked: async () => true, change: (ref, { expires: _expires, ...change }, call) => gateway.change(ref, change, call) } : gateway),
  },
  {
    id: 'M-14',
    says: 'end forgotten: the gateway is not told when a grace ends',
    shapes: memory,
    expected: ['I11 grace', 'I2 orphan'],
    verbs: ['rotate', 'event'],
    gateway: (gateway) => ({ ...gateway, change: (ref, { expires: _expires, ...change }, call) => gateway.change(ref, change, call) }),
  },
  {
    id: 'M-15',
    says: 'unblock forgotten at the gateway: the store says that the key is in use, the gateway refuses it',
    shapes: memory,
    expected: ['I1 key lost'],
    verbs: ['block', 'unblock'],
    gateway: (gateway) => ({ ...gateway, setBlocked: async (ref, blocked, call) => (blocked ? gateway.setBlocked(ref, true, call) : true) }),
  },
]
