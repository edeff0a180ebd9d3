// Writing: conditions that hold, operations that happen once, versions that are kept, and nothing written where the answer is a refusal.
import assert from 'node:assert/strict'
import type { WriteRequest } from '../../../shared/core/provider.ts'
import { examCase, when, type Exam, type ExamCase } from '../exam.ts'

/** A refused write leaves what was there: value, versions, stages, labels, description. */
const changesNothing = async (exam: Exam<'write'>, name: WriteRequest['name'], act: () => Promise<unknown>): Promise<void> => {
  await exam.settle()
  const before = await exam.state(name)
  await act()
  await exam.settle()
  assert.deepEqual(await exam.state(name), before)
}

const creating: readonly ExamCase[] = [
  examCase({
    id: 'write.create',
    title: 'creates with expect absent and says which version it made',
    can: ['write'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const operation = exam.operation('create')

      const { outcome, version } = await exam.provider.write(exam.request(name, exam.value(), { operation, epoch: 1 }), exam.call())

      assert.equal(outcome, 'written')
      assert.ok(version !== undefined && version.stages.includes('current'))
      assert.equal(version.operation, operation)
    },
  }),
  examCase({
    id: 'write.create-existing',
    title: 'never overwrites with expect absent',
    can: ['write'],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value('first'))

      await changesNothing(exam, name, async () => {
        await exam.fails(exam.provider.write(exam.request(name, exam.value('second')), exam.call()), 'already_exists')
      })
    },
  }),
  examCase({
    id: 'write.create-over-seeded',
    title: "never overwrites with expect absent what an operator put there",
    can: ['write'],
    where: [when.seed],
    run: async (exam) => {
      const name = exam.name()
      await exam.opened.seed?.(name, exam.value('operator'))

      await changesNothing(exam, name, async () => {
        await exam.fails(exam.provider.write(exam.request(name, exam.value('ours')), exam.call()), 'already_exists')
      })
    },
  }),
  examCase({
    id: 'write.any',
    title: 'creates and replaces with expect any',
    can: ['write'],
    run: async (exam) => {
      const name = exam.name()
      const second = exam.value('second')

      await exam.put(name, exam.value('first'), { expect: 'any' })
      await exam.put(name, second, { expect: 'any' })

      assert.equal(await exam.text(name), second)
    },
  }),
  examCase({
    id: 'write.read-own',
    title: 'reads its own write, also when the value before was read already',
    can: ['write'],
    run: async (exam) => {
      const name = exam.name()
      const second = exam.value('second')
      const other = await exam.reopen()
      await exam.put(name, exam.value('first'))
      await Promise.all([exam.text(name), exam.text(name, {}, other)])

      await exam.put(name, second, { expect: 'any' })

      assert.deepEqual([await exam.text(name), await exam.text(name, {}, other)], [second, second])
    },
  }),
  examCase({
    id: 'write.too-large',
    title: 'refuses a value one byte over the limit, naming both numbers, before anything is sent',
    can: ['write'],
    run: async (exam) => {
      const name = exam.name()
      const value = exam.value('large').padEnd(exam.traits.value.maxBytes + 1, 'x')

      await exam.sendsNothing(async () => {
        const error = await exam.fails(exam.provider.write(exam.request(name, value), exam.call()), 'too_large')
        assert.match(error.message.replace(/\D/g, ' '), new RegExp(`\\b${exam.traits.value.maxBytes}\\b`))
        assert.match(error.message.replace(/\D/g, ' '), new RegExp(`\\b${value.length}\\b`))
      })

      await exam.fails(exam.provider.read(name, {}, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'write.empty-refused',
    title: 'refuses an empty value where the service has none, before anything is sent',
    can: ['write'],
    where: [when.noEmptyValue],
    run: async (exam) => {
      const name = exam.name()

      await exam.sendsNothing(async () => {
        await exam.fails(exam.provider.write(exam.request(name, ''), exam.call()), 'invalid_request')
      })

      await exam.fails(exam.provider.read(name, {}, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'write.aborted-before',
    title: 'writes nothing when the call is already aborted',
    can: ['write'],
    run: async (exam) => {
      const name = exam.name()
      const reason = new Error('the caller went away')

      await exam.sendsNothing(async () => {
        const outcome = await exam.promptly(exam.provider.write(exam.request(name, exam.value()), exam.call({ signal: AbortSignal.abort(reason) })))
        assert.deepEqual(outcome, { error: reason })
      })

      await exam.fails(exam.provider.read(name, {}, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'write.deadline-before',
    title: 'writes nothing when the time has run out',
    can: ['write'],
    run: async (exam) => {
      const name = exam.name()

      await exam.sendsNothing(async () => {
        await exam.fails(exam.provider.write(exam.request(name, exam.value()), exam.call({ withinMs: -1 })), 'deadline_exceeded')
      })

      await exam.fails(exam.provider.read(name, {}, exam.call()), 'not_found')
    },
  }),
]

const repeating: readonly ExamCase[] = [
  examCase({
    id: 'write.same-operation',
    title: 'answers same_operation to a repeated create, and makes no second version',
    can: ['write'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const request = exam.request(name, exam.value(), { operation: exam.operation('create'), epoch: 1 })
      const first = await exam.provider.write(request, exam.call())
      await exam.settle()

      await changesNothing(exam, name, async () => {
        const again = await exam.provider.write(request, exam.call())
        assert.equal(again.outcome, 'same_operation')
        assert.equal(again.version?.id, first.version?.id)
      })
    },
  }),
  examCase({
    id: 'write.same-operation-other-value',
    title: 'keeps the first value of an operation, whatever a repetition brings',
    can: ['write'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const operation = exam.operation('create')
      const first = exam.value('first')
      await exam.put(name, first, { operation, epoch: 1 })

      const again = await exam.provider.write(exam.request(name, exam.value('second'), { operation, epoch: 1 }), exam.call())

      assert.equal(again.outcome, 'same_operation')
      assert.equal(await exam.text(name), first)
    },
  }),
  examCase({
    id: 'write.same-operation-late',
    title: 'lets a late repetition of an old write change nothing',
    can: ['write'],
    where: [when.versions, when.guarded],
    run: async (exam) => {
      const name = exam.name()
      const old = exam.request(name, exam.value('old'), { expect: 'any' })
      const value = exam.value('new')
      await exam.provider.write(old, exam.call())
      await exam.put(name, value, { expect: 'any' })

      await changesNothing(exam, name, async () => {
        assert.equal((await exam.provider.write(old, exam.call())).outcome, 'same_operation')
      })

      assert.equal(await exam.text(name), value)
    },
  }),
  examCase({
    id: 'write.same-operation-replace',
    title: 'answers same_operation to a repeated conditional replacement, although its condition no longer holds',
    can: ['write'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const from = await exam.create(name, exam.value('first'))
      const request = exam.request(name, exam.value('second'), { expect: { version: from }, before: from, epoch: 2, operation: exam.operation('rotate', 2) })
      const first = await exam.provider.write(request, exam.call())
      await exam.settle()

      await changesNothing(exam, name, async () => {
        const again = await exam.provider.write(request, exam.call())
        assert.equal(again.outcome, 'same_operation')
        assert.equal(again.version?.id, first.version?.id)
      })
    },
  }),
]

const conditions: readonly ExamCase[] = [
  examCase({
    id: 'write.condition',
    title: 'replaces the version that was expected',
    can: ['write'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const second = exam.value('second')
      const from = await exam.create(name, exam.value('first'))

      const to = await exam.replace(name, from, second)

      assert.notEqual(to, from)
      assert.equal(await exam.text(name), second)
    },
  }),
  examCase({
    id: 'write.condition-stale',
    title: 'answers conflict when another version is current, and changes nothing',
    can: ['write'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const old = await exam.create(name, exam.value('first'), { labels: { kept: 'yes' } })
      await exam.replace(name, old, exam.value('second'))
      const stale = exam.request(name, exam.value('third'), { expect: { version: old }, before: old, epoch: 2, operation: exam.operation('rotate', 2), labels: { kept: 'no' }, description: 'changed' })

      await changesNothing(exam, name, async () => {
        await exam.fails(exam.provider.write(stale, exam.call()), 'conflict')
      })
    },
  }),
  examCase({
    id: 'write.condition-absent',
    title: 'answers not_found when a version is expected of a secret that is not there, and makes nothing',
    can: ['write'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const other = exam.name()
      const version = await exam.create(other, exam.value())

      await exam.fails(exam.provider.write(exam.request(name, exam.value(), { expect: { version }, before: version, epoch: 2 }), exam.call()), 'not_found')
      await exam.settle()

      await exam.fails(exam.provider.read(name, {}, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'write.parallel-creates',
    title: 'lets one of eight parallel creates win',
    can: ['write'],
    where: [when.guarded],
    run: async (exam) => {
      const name = exam.name()
      const other = await exam.reopen()
      const values = Array.from({ length: 8 }, (_, index) => exam.value(`racer ${index}`))

      const outcomes = await Promise.allSettled(values.map((value, index) => (index % 2 === 0 ? exam.provider : other).write(exam.request(name, value), exam.call())))
      await exam.settle()

      const winners = outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' ? [values[index]] : []))
      for (const outcome of outcomes) if (outcome.status === 'rejected') await exam.fails(Promise.reject(outcome.reason as Error), 'already_exists', 'conflict')
      assert.deepEqual(winners, [await exam.text(name)])
    },
  }),
  examCase({
    id: 'write.parallel-replacements',
    title: 'lets one of eight parallel conditional writes win',
    can: ['write'],
    where: [when.versions, when.guarded],
    run: async (exam) => {
      const name = exam.name()
      const other = await exam.reopen()
      const from = await exam.create(name, exam.value('first'))
      const values = Array.from({ length: 8 }, (_, index) => exam.value(`racer ${index}`))

      const outcomes = await Promise.allSettled(
        values.map((value, index) => (index % 2 === 0 ? exam.provider : other).write(exam.request(name, value, { expect: { version: from }, before: from, epoch: 2, operation: exam.operation('rotate', 2) }), exam.call())),
      )
      await exam.settle()

      const winners = outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' ? [values[index]] : []))
      for (const outcome of outcomes) if (outcome.status === 'rejected') await exam.fails(Promise.reject(outcome.reason as Error), 'conflict')
      assert.deepEqual(winners, [await exam.text(name)])
    },
  }),
  examCase({
    id: 'write.parallel-repetitions',
    title: 'makes one version of four parallel sendings of one operation',
    can: ['write', 'describe'],
    where: [when.versions, when.guarded],
    run: async (exam) => {
      const name = exam.name()
      const request = exam.request(name, exam.value(), { operation: exam.operation('create'), epoch: 1 })

      const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => exam.provider.write(request, exam.call())))
      await exam.settle()

      assert.ok(outcomes.some((outcome) => outcome.status === 'fulfilled'))
      for (const outcome of outcomes) if (outcome.status === 'rejected') await exam.fails(Promise.reject(outcome.reason as Error), 'conflict', 'provider_unavailable')
      assert.equal(await exam.countOf(name), 1)
    },
  }),
]

/** Creating, repeating, conditions. */
export const writingCases: readonly ExamCase[] = [...creating, ...repeating, ...conditions]
