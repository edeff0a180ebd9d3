// Versions: each is kept under its id as long as a stage is on it, and they are listed in the order in which they were made.
import assert from 'node:assert/strict'
import { examCase, when, type ExamCase } from '../exam.ts'

/** The stages previous and by id, and the order of versions. */
export const versionCases: readonly ExamCase[] = [
  examCase({
    id: 'version.previous',
    title: 'keeps the value before under the stage previous',
    can: ['write'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const first = exam.value('first')
      const from = await exam.create(name, first)

      await exam.replace(name, from, exam.value('second'))

      const { value, version } = await exam.provider.read(name, { stage: 'previous' }, exam.call())
      assert.equal(value.reveal(), first)
      assert.equal(version?.id, from)
    },
  }),
  examCase({
    id: 'version.previous-moves',
    title: 'moves the stage previous with every replacement',
    can: ['write'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const second = exam.value('second')
      const one = await exam.create(name, exam.value('first'))
      const two = await exam.replace(name, one, second)

      await exam.replace(name, two, exam.value('third'), { epoch: 3, operation: exam.operation('rotate', 3) })

      assert.equal(await exam.text(name, { stage: 'previous' }), second)
    },
  }),
  examCase({
    id: 'version.by-id',
    title: 'reads the value of the version that is named',
    can: ['write'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const [first, second] = [exam.value('first'), exam.value('second')]
      const one = await exam.create(name, first)
      const two = await exam.replace(name, one, second)

      const values = [await exam.text(name, { version: one }), await exam.text(name, { version: two })]

      assert.deepEqual(values, [first, second])
    },
  }),
  examCase({
    id: 'version.order',
    title: 'lists versions oldest first, with the operation of each',
    can: ['write', 'describe'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const operations = [exam.operation('create', 1), exam.operation('rotate', 2), exam.operation('rotate', 3)]
      const one = await exam.create(name, exam.value('1'), { operation: operations[0] ?? '' })
      await exam.opened.pass(1_000)
      const two = await exam.replace(name, one, exam.value('2'), { operation: operations[1] ?? '' })
      await exam.opened.pass(1_000)
      const three = await exam.replace(name, two, exam.value('3'), { operation: operations[2] ?? '', epoch: 3 })

      const facts = await exam.facts(name)

      const listed = facts.versions?.filter((version) => version.stages.length > 0) ?? []
      assert.deepEqual(listed.map(({ id }) => id), [one, two, three].slice(-listed.length))
      assert.deepEqual(listed.map(({ operation }) => operation), operations.slice(-listed.length))
      assert.ok(listed.length >= 2, 'current and previous must be listed')
      assert.equal(facts.current?.id, three)
    },
  }),
  examCase({
    id: 'version.epoch',
    title: 'gives the epoch and the version before back where it says them at all, and exactly',
    can: ['write', 'describe'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const one = await exam.create(name, exam.value('1'))
      await exam.replace(name, one, exam.value('2'))

      const { current } = await exam.facts(name)

      assert.ok([undefined, 2].includes(current?.epoch), `epoch ${current?.epoch} is not the one written`)
      assert.ok([undefined, one].includes(current?.before), 'before is not the one written')
    },
  }),
]
