// Every operation that a fault can strike, as a table, and the two scenes it is played on: one that is struck, and its undisturbed twin.
import assert from 'node:assert/strict'
import type { Capability } from '../../../shared/core/provider.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import type { SecretName } from '../../../shared/core/secret.ts'
import { assertFailure, when, type Condition, type Exam, type State } from '../exam.ts'

/** An exam whose provider has everything that the operations need; `can` of each says what. */
export type Full = Exam<'write' | 'describe' | 'readMany' | 'list' | 'promote' | 'annotate' | 'discard' | 'setEnabled' | 'remove' | 'recover'>
/** Does it, once more each time. */
export type Act = (signal?: AbortSignal) => Promise<unknown>

interface Values {
  readonly first: string
  readonly second: string
}

/** One operation of a provider. */
export interface Operation {
  readonly id: string
  readonly can: readonly Capability[]
  readonly where: readonly Condition[]
  /** Makes a secret ready and answers what is done to it. Called twice with the same values: once for the fault, once for the twin. */
  prepare(exam: Full, name: SecretName, values: Values): Promise<Act>
}

const call = (exam: Full, signal?: AbortSignal) => exam.call(signal === undefined ? {} : { signal })
const labels = { team: 'payments', state: 'active' }
const described = (exam: Full): { labels?: Record<string, string>; description: string } => ({ ...(exam.traits.write?.labels !== 'none' && { labels }), description: 'before' })

/** Operations that change nothing. */
export const reads: readonly Operation[] = [
  {
    id: 'read',
    can: [],
    where: [when.fill],
    prepare: async (exam, name, { first }) => {
      await exam.put(name, first)
      return async (signal) => assert.equal((await exam.provider.read(name, {}, call(exam, signal))).value.reveal(), first)
    },
  },
  {
    id: 'read-missing',
    can: [],
    where: [],
    prepare: async (exam, name) => async (signal) => {
      const outcome = await exam.provider.read(name, {}, call(exam, signal)).catch((error: unknown) => error)
      if (!(outcome instanceof LatchkeyError) || outcome.code !== 'not_found') throw outcome
    },
  },
  {
    id: 'describe',
    can: ['describe'],
    where: [when.fill],
    prepare: async (exam, name, { first }) => {
      await exam.put(name, first)
      return async (signal) => assert.deepEqual((await exam.provider.describe(name, call(exam, signal))).name, name)
    },
  },
  {
    id: 'list',
    can: ['list'],
    where: [when.fill],
    prepare: async (exam, name, { first }) => {
      await exam.put(name, first)
      return async (signal) => void (await exam.provider.list({ prefix: name.text, limit: 10 }, call(exam, signal)))
    },
  },
  {
    id: 'read-many',
    can: ['readMany'],
    where: [when.fill],
    prepare: async (exam, name, { first }) => {
      await exam.put(name, first)
      return async (signal) => {
        const [item] = await exam.provider.readMany([name], call(exam, signal))
        if (item instanceof LatchkeyError) throw item
        assert.equal(item?.value.reveal(), first)
      }
    },
  },
]

const claimed = async (exam: Full, name: SecretName, { first, second }: Values): Promise<{ from: string; to: string }> => {
  const from = await exam.create(name, first, described(exam))
  const { version } = await exam.provider.write(exam.claim(name, from, second), exam.call())
  await exam.settle()
  assert.ok(version !== undefined)
  return { from, to: version.id }
}

/** Operations that change something. */
export const changes: readonly Operation[] = [
  {
    id: 'create',
    can: ['write'],
    where: [],
    prepare: async (exam, name, { first }) => {
      const request = exam.request(name, first, { operation: exam.operation('create'), epoch: 1, ...described(exam) })
      return (signal) => exam.provider.write(request, call(exam, signal))
    },
  },
  {
    id: 'replace',
    can: ['write'],
    where: [when.versions],
    prepare: async (exam, name, { first, second }) => {
      const from = await exam.create(name, first, described(exam))
      const request = exam.request(name, second, { expect: { version: from }, before: from, epoch: 2, operation: exam.operation('rotate', 2) })
      return (signal) => exam.provider.write(request, call(exam, signal))
    },
  },
  {
    id: 'claim',
    can: ['write', 'promote'],
    where: [when.versions],
    prepare: async (exam, name, { first, second }) => {
      const request = exam.claim(name, await exam.create(name, first, described(exam)), second)
      return (signal) => exam.provider.write(request, call(exam, signal))
    },
  },
  {
    id: 'promote',
    can: ['write', 'promote'],
    where: [when.versions],
    prepare: async (exam, name, values) => {
      const move = await claimed(exam, name, values)
      return (signal) => exam.provider.promote(name, move, call(exam, signal))
    },
  },
  {
    id: 'discard',
    can: ['write', 'promote', 'discard'],
    where: [when.versions],
    prepare: async (exam, name, values) => {
      const { to } = await claimed(exam, name, values)
      return (signal) => exam.provider.discard(name, to, call(exam, signal))
    },
  },
  {
    id: 'annotate',
    can: ['write', 'annotate', 'describe'],
    where: [when.labels],
    prepare: async (exam, name, { first }) => {
      await exam.put(name, first, described(exam))
      return (signal) => exam.provider.annotate(name, { labels: { state: 'rotating', step: '1' }, description: 'after' }, call(exam, signal))
    },
  },
  {
    id: 'enable',
    can: ['write', 'setEnabled'],
    where: [when.versions],
    prepare: async (exam, name, { first }) => {
      const version = await exam.create(name, first)
      return (signal) => exam.provider.setEnabled(name, version, true, call(exam, signal))
    },
  },
  {
    id: 'remove',
    can: ['write', 'remove'],
    where: [],
    prepare: async (exam, name, { first }) => {
      await exam.put(name, first, described(exam))
      return (signal) => exam.provider.remove(name, { expect: 'any', final: false }, call(exam, signal))
    },
  },
  {
    id: 'recover',
    can: ['write', 'remove', 'recover'],
    where: [when.softDelete],
    prepare: async (exam, name, { first }) => {
      await exam.put(name, first, described(exam))
      await exam.provider.remove(name, { expect: 'any', final: false }, exam.call())
      await exam.settle()
      return (signal) => exam.provider.recover(name, call(exam, signal))
    },
  },
]

/**
 * The same call once more. A remove may find that it has happened already. Where labels travel apart from the value, a create that was cut off may have left
 * them out, and must not write them later over newer ones: whoever repeats it annotates.
 */
export const again = async (exam: Full, operation: Operation, { name, act }: Scene): Promise<unknown> => {
  const outcome = await act().catch((error: unknown) => {
    if (operation.id !== 'remove') throw error
    return assertFailure(error, ['not_found'])
  })
  if (operation.id === 'create' && when.labelsApart.holds(exam.traits)) await exam.provider.annotate(name, described(exam), exam.call())
  await exam.settle()
  return outcome
}

/** A secret that is ready, what is done to it, and what it then should look like. */
export interface Scene {
  readonly name: SecretName
  readonly act: Act
  /** What an undisturbed secret with the same history looks like afterwards. */
  twin(): Promise<State>
}

/** Sets the scene. */
export const prepare = async (exam: Full, operation: Operation): Promise<Scene> => {
  const values = { first: exam.value('first'), second: exam.value('second') }
  const [name, twin] = [exam.name(operation.id), exam.name('twin')]
  const act = await operation.prepare(exam, name, values)
  return {
    name,
    act,
    twin: async () => {
      await (await operation.prepare(exam, twin, values))()
      await exam.settle()
      return exam.state(twin)
    },
  }
}

/** Every single thing that can be seen is the old one or the new one: value, number of versions, each label, description. */
export const assertBetween = (after: State, before: State, end: State): void => {
  const parts = (state: State): Record<string, unknown> => ({ ...state.labels, ' value': state.value, ' versions': state.versions ?? 0, ' description': state.description })
  const [is, was, willBe] = [parts(after), parts(before), parts(end)]
  const strange = [...new Set([...Object.keys(is), ...Object.keys(was), ...Object.keys(willBe)])].filter((key) => is[key] !== was[key] && is[key] !== willBe[key])
  assert.deepEqual(strange, [], 'something is neither what it was nor what it becomes')
}

/** Changes by id. */
export const named = (...ids: readonly string[]): readonly Operation[] => changes.filter(({ id }) => ids.includes(id))
