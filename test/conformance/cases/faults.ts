// The faulted half: every operation under every fault. A table of operations times a table of faults, so that neither can be forgotten for the other.
// After each: the exact code, nothing half-written, and the same call again ends where an undisturbed one does (its twin).
import assert from 'node:assert/strict'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { assertFailure, examCase, type ExamCase, type State } from '../exam.ts'
import { afterCommit, faultCodes, type Fault, type FaultKind, type faultKinds } from '../harness.ts'
import { again, assertBetween, changes, named, prepare, reads, type Full, type Operation } from './operations.ts'

/** What happens to an operation under a fault, for titles. */
export const says: Readonly<Record<FaultKind, string>> = {
  denied: 'is refused',
  throttled: 'is throttled',
  unavailable_before: 'meets a server error before anything is done',
  unavailable_after: 'is done but answered with a server error',
  reset: 'loses the connection',
  truncated: 'is answered with half an answer',
  slow: 'waits for an answer that does not come',
  malformed: 'is answered with nonsense',
  expired_credential: 'meets an expired credential',
  html: 'is answered with a page of HTML',
  mistyped: 'is answered with HTML that calls itself JSON',
  empty: 'is answered with nothing',
  error_body: 'is answered with 200 and the body of a refusal',
  redirect: 'is sent elsewhere',
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
const struck: Readonly<Record<Exclude<(typeof faultKinds)[number], 'slow'>, Fault['on']>> = {
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
