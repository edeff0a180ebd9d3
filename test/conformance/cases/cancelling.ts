// A caller that leaves in the middle of an operation of several calls: it is let go at once, nothing more is sent, and the same operation again ends where an undisturbed one does.
import assert from 'node:assert/strict'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { examCase, type ExamCase } from '../exam.ts'
import { again, changes, prepare, reads, type Full, type Operation } from './operations.ts'

const leaving = (operation: Operation, changing: boolean, nth: number): ExamCase =>
  examCase({
    id: `fault.slow.${operation.id}.call-${nth}`,
    title: `${operation.id} that is aborted while its call number ${nth} waits, if it has so many, ends with the signal's reason, sends nothing more, and can be repeated`,
    can: operation.can as readonly 'write'[],
    where: operation.where,
    fault: 'slow',
    run: async (given) => {
      const exam = given as unknown as Full
      const scene = await prepare(exam, operation)
      const controller = new AbortController()
      const reason = new LatchkeyError('deadline_exceeded', 'The time of this request ran out.')
      await exam.break({ kind: 'slow', nth })

      const waiting = exam.promptly(scene.act(controller.signal))
      const first = await Promise.race([waiting, exam.opened.pass(20)])
      controller.abort(reason)
      const outcome = await waiting

      if (first === undefined) {
        assert.ok(!('error' in outcome) || outcome.error === reason, "the call must end with the signal's own reason")
        if ('error' in outcome) await exam.sendsNothing(() => exam.opened.pass(50))
      } else assert.ok(!('error' in outcome), 'nothing held it up, and it failed')
      await exam.heal()
      await again(exam, operation, scene)
      if (changing) assert.deepEqual(await exam.state(scene.name), await scene.twin())
    },
  })

/** Every operation, aborted in its second, third and fourth call. */
export const cancellingCases: readonly ExamCase[] = [2, 3, 4].flatMap((nth) => [
  ...reads.filter(({ id }) => id === 'list' || id === 'read-many').map((operation) => leaving(operation, false, nth)),
  ...changes.filter(({ id }) => id !== 'enable').map((operation) => leaving(operation, true, nth)),
])
