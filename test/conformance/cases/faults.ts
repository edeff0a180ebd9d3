// The faulted half: every operation under every fault. A table of operations times a table of faults, so that neither can be forgotten for the other.
// After each: the exact code, nothing half-written, and the same call again ends where an undisturbed one does (its twin).
import assert from 'node:assert/strict'
import type { Capability } from '../../../shared/core/provider.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import type { SecretName } from '../../../shared/core/secret.ts'
import { assertFailure, examCase, when, type Condition, type Exam, type ExamCase, type State } from '../exam.ts'
import { afterCommit, faultCodes, type Fault, type FaultKind } from '../harness.ts'

type Full = Exam<'write' | 'describe' | 'readMany' | 'list' | 'promote' | 'annotate' | 'discard' | 'setEnabled' | 'remove' | 'recover'>
type Act = (signal?: AbortSignal) => Promise<unknown>

interface Values {
  readonly first: string
  readonly second: string
}

interface Operation {
  readonly id: string
  readonly can: readonly Capability[]
  readonly where: readonly Condition[]
  /** Makes a secret ready and answers what is done to it. Called twice with the same values: once for the fault, once for the twin. */
  prepare(exam: Full, name: SecretName, values: Values): Promise<Act>
}

const call = (exam: Full, signal?: AbortSignal) => exam.call(signal === undefined ? {} : { signal })
const labels = { team: 'payments', state: 'active' }
const described = (exam: Full): { labels?: Record<string, string>; description: string } => ({ ...(exam.traits.write?.labels !== 'none' && { labels }), description: 'before' })

const reads: readonly Operation[] = [
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

const changes: readonly Operation[] = [
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
const again = async (exam: Full, operation: Operation, { name, act }: Scene): Promise<unknown> => {
  const outcome = await act().catch((error: unknown) => {
    if (operation.id !== 'remove') throw error
    return assertFailure(error, ['not_found'])
  })
  if (operation.id === 'create' && when.labelsApart.holds(exam.traits)) await exam.provider.annotate(name, described(exam), exam.call())
  await exam.settle()
  return outcome
}

interface Scene {
  readonly name: SecretName
  readonly act: Act
  /** What an undisturbed secret with the same history looks like afterwards. */
  twin(): Promise<State>
}

const prepare = async (exam: Full, operation: Operation): Promise<Scene> => {
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

const says: Readonly<Record<FaultKind, string>> = {
  denied: 'is refused',
  throttled: 'is throttled',
  unavailable_before: 'meets a server error before anything is done',
  unavailable_after: 'is done but answered with a server error',
  reset: 'loses the connection',
  truncated: 'is answered with half an answer',
  slow: 'waits for an answer that does not come',
  malformed: 'is answered with nonsense',
  expired_credential: 'meets an expired credential',
}

const readUnderFault = (operation: Operation, fault: FaultKind): ExamCase =>
  examCase({
    id: `fault.${fault}.${operation.id}`,
    title: `${operation.id} ${says[fault]}: ${faultCodes[fault]}, never not_found, and nothing of it is kept`,
    can: operation.can as readonly 'write'[],
    where: operation.where,
    fault,
    run: async (given) => {
      const exam = given as unknown as Full
      const act = await operation.prepare(exam, exam.name(operation.id), { first: exam.value('first'), second: exam.value('second') })
      await exam.break({ kind: fault, echo: exam.value('echo') })

      await exam.fails(act(), faultCodes[fault])

      await exam.heal()
      await act()
    },
  })

const changeUnderFault = (operation: Operation, fault: Fault, id: string = fault.kind): ExamCase =>
  examCase({
    id: `fault.${id}.${operation.id}`,
    title: `${operation.id} ${says[fault.kind]}: ${faultCodes[fault.kind]}, nothing half-written, and once more it happens once`,
    can: operation.can as readonly 'write'[],
    where: operation.where,
    fault: fault.kind,
    run: async (given) => {
      const exam = given as unknown as Full
      const scene = await prepare(exam, operation)
      const { name, act, twin } = scene
      const before = await exam.state(name)
      await exam.break({ ...fault, echo: exam.value('echo') })

      await exam.fails(act(), faultCodes[fault.kind])

      await exam.heal()
      const after = await exam.state(name)
      const repeated = await again(exam, operation, scene)
      const end = await twin()
      assert.deepEqual(await exam.state(name), end)
      if (!afterCommit.has(fault.kind)) assert.deepEqual(after, before)
      assertBetween(after, before, end)
      assertSaysItsOwn(repeated, after, before)
    },
  })

/** A repeated write whose first sending took effect, and whose version the service shows, is `same_operation`. */
const assertSaysItsOwn = (repeated: unknown, after: State, before: State): void => {
  const took = after.value !== before.value && after.versions !== undefined && after.versions !== before.versions
  if (took && typeof repeated === 'object' && repeated !== null && 'outcome' in repeated) assert.equal(repeated.outcome, 'same_operation')
}

/** Every single thing that can be seen is the old one or the new one: value, number of versions, each label, description. */
const assertBetween = (after: State, before: State, end: State): void => {
  const parts = (state: State): Record<string, unknown> => ({ ...state.labels, ' value': state.value, ' versions': state.versions ?? 0, ' description': state.description })
  const [is, was, willBe] = [parts(after), parts(before), parts(end)]
  const strange = [...new Set([...Object.keys(is), ...Object.keys(was), ...Object.keys(willBe)])].filter((key) => is[key] !== was[key] && is[key] !== willBe[key])
  assert.deepEqual(strange, [], 'something is neither what it was nor what it becomes')
}

/** A change that needs several calls and is cut in the middle: old or new, never in between, and the same call again finishes it. */
const halfway = (operation: Operation, kind: 'unavailable_before' | 'unavailable_after', nth: number): ExamCase =>
  examCase({
    id: `fault.${kind}.${operation.id}.call-${nth}`,
    title: `${operation.id} ${says[kind]} at its call number ${nth}, if it has so many: old or new, and once more it happens once`,
    can: operation.can as readonly 'write'[],
    where: operation.where,
    fault: kind,
    run: async (given) => {
      const exam = given as unknown as Full
      const scene = await prepare(exam, operation)
      const { name, act, twin } = scene
      const before = await exam.state(name)
      await exam.break({ kind, on: 'change', nth, echo: exam.value('echo') })

      const outcome = await act().catch((error: unknown) => assertFailure(error, [faultCodes[kind]]))

      await exam.heal()
      const after = await exam.state(name)
      await again(exam, operation, scene)
      const end = await twin()
      assert.deepEqual(await exam.state(name), end)
      assertBetween(after, before, end)
      if (!(outcome instanceof LatchkeyError)) assert.deepEqual(after, end)
    },
  })

const once = (operation: Operation, kind: FaultKind): ExamCase =>
  examCase({
    id: `fault.${kind}.${operation.id}.once`,
    title: `${operation.id} ${says[kind]} once: it is repeated inside, or fails, and happens once`,
    can: operation.can as readonly 'write'[],
    where: operation.where,
    fault: kind,
    run: async (given) => {
      const exam = given as unknown as Full
      const scene = await prepare(exam, operation)
      const { name, act, twin } = scene
      await exam.break({ kind, on: 'change', times: 1, echo: exam.value('echo') })

      await act().catch((error: unknown) => assertFailure(error, [faultCodes[kind]]))

      await exam.heal()
      await again(exam, operation, scene)
      assert.deepEqual(await exam.state(name), await twin())
    },
  })

const slow = (operation: Operation, changing: boolean): ExamCase =>
  examCase({
    id: `fault.slow.${operation.id}`,
    title: `${operation.id} ends with the signal's reason as soon as it is aborted, sends nothing more, and can be repeated`,
    can: operation.can as readonly 'write'[],
    where: operation.where,
    fault: 'slow',
    run: async (given) => {
      const exam = given as unknown as Full
      const scene = await prepare(exam, operation)
      const { name, act, twin } = scene
      const controller = new AbortController()
      const reason = new LatchkeyError('deadline_exceeded', 'The time of this request ran out.')
      await exam.break({ kind: 'slow' })

      const waiting = exam.promptly(act(controller.signal))
      await exam.opened.pass(20)
      controller.abort(reason)
      const outcome = await waiting

      assert.ok('error' in outcome && outcome.error === reason, "the call must end with the signal's own reason")
      await exam.sendsNothing(() => exam.opened.pass(50))
      await exam.heal()
      await again(exam, operation, scene)
      if (changing) assert.deepEqual(await exam.state(name), await twin())
    },
  })

const brokenCheck = (fault: FaultKind): ExamCase =>
  examCase({
    id: `fault.${fault}.check`,
    title: `a check ${says[fault]}: it answers a finding and does not throw`,
    fault,
    run: async (exam) => {
      await exam.break({ kind: fault, echo: exam.value('echo') })

      const findings = await exam.provider.check('read', exam.call())

      assert.ok(findings.some(({ ok, message }) => !ok && message.length > 0), 'nothing was found wrong')
    },
  })

/** What each fault strikes: a refusal of changes alone still lets the provider look; a lost connection is lost for all. */
const struck: Readonly<Record<Exclude<FaultKind, 'slow'>, Fault['on']>> = {
  denied: 'change',
  throttled: undefined,
  unavailable_before: 'change',
  unavailable_after: 'change',
  reset: undefined,
  truncated: 'change',
  malformed: 'change',
  expired_credential: undefined,
}
const kinds = Object.keys(struck) as (keyof typeof struck)[]
const onOf = (kind: keyof typeof struck): Pick<Fault, 'on'> => (struck[kind] === undefined ? {} : { on: struck[kind] })
const named = (...ids: readonly string[]): readonly Operation[] => changes.filter(({ id }) => ids.includes(id))

/** Every operation under every fault. */
export const faultCases: readonly ExamCase[] = [
  ...kinds.filter((kind) => kind !== 'unavailable_after').flatMap((kind) => reads.map((operation) => readUnderFault(operation, kind))),
  ...kinds.flatMap((kind) => changes.map((operation) => changeUnderFault(operation, { kind, ...onOf(kind) }))),
  ...(['unavailable_before', 'unavailable_after'] as const).flatMap((kind) => [2, 3].flatMap((nth) => named('create', 'replace', 'claim', 'promote').map((operation) => halfway(operation, kind, nth)))),
  ...(['throttled', 'unavailable_after', 'reset'] as const).flatMap((kind) => named('create', 'replace', 'claim').map((operation) => once(operation, kind))),
  ...reads.filter(({ id }) => id !== 'read-missing').map((operation) => slow(operation, false)),
  ...named('create', 'replace', 'claim', 'promote', 'remove').map((operation) => slow(operation, true)),
  ...(['denied', 'unavailable_before', 'malformed', 'expired_credential'] as const).map(brokenCheck),
]
