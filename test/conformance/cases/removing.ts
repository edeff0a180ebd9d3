// Removing: what the service's own delete means, and that what can be taken back comes back whole.
import assert from 'node:assert/strict'
import { examCase, when, type ExamCase } from '../exam.ts'

/** Remove, recover, disable. */
export const removingCases: readonly ExamCase[] = [
  examCase({
    id: 'remove.gone',
    title: 'answers not_found once a secret is removed',
    can: ['write', 'remove'],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value())

      await exam.provider.remove(name, { expect: 'any', final: false }, exam.call())
      await exam.settle()

      await exam.fails(exam.provider.read(name, {}, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'remove.versions-gone',
    title: 'removes every version, also by its id and by its stage',
    can: ['write', 'remove'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const one = await exam.create(name, exam.value())
      const two = await exam.replace(name, one, exam.value())

      await exam.provider.remove(name, { expect: 'any', final: false }, exam.call())
      await exam.settle()

      await exam.fails(exam.provider.read(name, { version: one }, exam.call()), 'not_found')
      await exam.fails(exam.provider.read(name, { version: two }, exam.call()), 'not_found')
      await exam.fails(exam.provider.read(name, { stage: 'previous' }, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'remove.missing',
    title: 'answers not_found when there is nothing to remove',
    can: ['write', 'remove'],
    run: async (exam) => {
      await exam.fails(exam.provider.remove(exam.name(), { expect: 'any', final: false }, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'remove.twice',
    title: 'answers not_found when it is removed already',
    can: ['write', 'remove'],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value())
      await exam.provider.remove(name, { expect: 'any', final: false }, exam.call())
      await exam.settle()

      await exam.fails(exam.provider.remove(name, { expect: 'any', final: false }, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'remove.condition',
    title: 'removes the version that was expected',
    can: ['write', 'remove'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const version = await exam.create(name, exam.value())

      await exam.provider.remove(name, { expect: { version }, final: false }, exam.call())
      await exam.settle()

      await exam.fails(exam.provider.read(name, {}, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'remove.condition-stale',
    title: 'answers conflict when another version is current, and removes nothing',
    can: ['write', 'remove'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const second = exam.value('second')
      const one = await exam.create(name, exam.value('first'))
      await exam.replace(name, one, second)
      const before = await exam.state(name)

      await exam.fails(exam.provider.remove(name, { expect: { version: one }, final: false }, exam.call()), 'conflict')
      await exam.settle()

      assert.deepEqual(await exam.state(name), before)
    },
  }),
  examCase({
    id: 'remove.soft-facts',
    title: 'still describes a secret whose delete can be taken back: until when, and nothing current',
    can: ['write', 'remove', 'describe'],
    where: [when.softDelete],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value())

      const { recoverableUntil } = await exam.provider.remove(name, { expect: 'any', final: false }, exam.call())
      await exam.settle()

      const facts = await exam.facts(name)
      assert.ok(recoverableUntil !== undefined && recoverableUntil.getTime() > exam.clock.now())
      assert.equal(facts.recoverableUntil?.getTime(), recoverableUntil.getTime())
      assert.equal(facts.current, undefined)
    },
  }),
  examCase({
    id: 'remove.soft-holds-name',
    title: 'answers soft_deleted, and until when, to a write under the held name',
    can: ['write', 'remove'],
    where: [when.softDelete],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value())
      await exam.provider.remove(name, { expect: 'any', final: false }, exam.call())
      await exam.settle()

      const create = await exam.fails(exam.provider.write(exam.request(name, exam.value()), exam.call()), 'soft_deleted')
      const replace = await exam.fails(exam.provider.write(exam.request(name, exam.value(), { expect: 'any' }), exam.call()), 'soft_deleted')

      assert.ok(create.details.recoverableUntil instanceof Date)
      assert.ok(replace.details.recoverableUntil instanceof Date)
      await exam.fails(exam.provider.read(name, {}, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'remove.hard-frees',
    title: 'frees the name where a delete is final',
    can: ['write', 'remove'],
    where: [when.hardDelete],
    run: async (exam) => {
      const name = exam.name()
      const second = exam.value('second')
      await exam.put(name, exam.value('first'))
      await exam.provider.remove(name, { expect: 'any', final: false }, exam.call())
      await exam.settle()

      await exam.put(name, second)

      assert.equal(await exam.text(name), second)
    },
  }),
  examCase({
    id: 'remove.final',
    title: 'leaves nothing to recover after a final delete',
    can: ['write', 'remove', 'recover'],
    where: [when.softDelete],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value())

      const { recoverableUntil } = await exam.provider.remove(name, { expect: 'any', final: true }, exam.call())
      await exam.settle()

      assert.equal(recoverableUntil, undefined)
      await exam.fails(exam.provider.read(name, {}, exam.call()), 'not_found')
      await exam.fails(exam.provider.recover(name, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'recover.whole',
    title: 'brings values, versions, stages, labels and description back',
    can: ['write', 'remove', 'recover', 'describe'],
    where: [when.versions, when.softDelete],
    run: async (exam) => {
      const name = exam.name()
      const one = await exam.create(name, exam.value('first'), { labels: { team: 'payments' }, description: 'kept' })
      await exam.replace(name, one, exam.value('second'))
      const before = await exam.state(name)
      await exam.provider.remove(name, { expect: 'any', final: false }, exam.call())
      await exam.settle()

      await exam.provider.recover(name, exam.call())
      await exam.settle()

      assert.deepEqual(await exam.state(name), before)
      assert.equal((await exam.facts(name)).recoverableUntil, undefined)
    },
  }),
  examCase({
    id: 'recover.then-write',
    title: 'writes on top of what was recovered',
    can: ['write', 'remove', 'recover'],
    where: [when.softDelete],
    run: async (exam) => {
      const name = exam.name()
      const second = exam.value('second')
      await exam.put(name, exam.value('first'))
      await exam.provider.remove(name, { expect: 'any', final: false }, exam.call())
      await exam.settle()
      await exam.provider.recover(name, exam.call())
      await exam.settle()

      await exam.put(name, second, { expect: 'any' })

      assert.equal(await exam.text(name), second)
    },
  }),
  examCase({
    id: 'recover.not-deleted',
    title: 'succeeds when nothing is deleted, and changes nothing',
    can: ['write', 'recover'],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value())
      const before = await exam.state(name)

      await exam.provider.recover(name, exam.call())

      assert.deepEqual(await exam.state(name), before)
    },
  }),
  examCase({
    id: 'recover.missing',
    title: 'answers not_found for a secret that never was',
    can: ['recover'],
    run: async (exam) => {
      await exam.fails(exam.provider.recover(exam.name(), exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'disable.read',
    title: 'answers version_disabled for a disabled version, never not_found, and its value once it is enabled again',
    can: ['write', 'setEnabled'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const value = exam.value()
      const version = await exam.create(name, value)

      await exam.provider.setEnabled(name, version, false, exam.call())
      await exam.settle()
      await exam.fails(exam.provider.read(name, {}, exam.call()), 'version_disabled')
      await exam.fails(exam.provider.read(name, { version }, exam.call()), 'version_disabled')
      await exam.provider.setEnabled(name, version, true, exam.call())
      await exam.settle()

      assert.equal(await exam.text(name), value)
    },
  }),
  examCase({
    id: 'disable.facts',
    title: 'describes which version is disabled',
    can: ['write', 'setEnabled', 'describe'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const version = await exam.create(name, exam.value())

      await exam.provider.setEnabled(name, version, false, exam.call())
      await exam.settle()

      assert.equal((await exam.facts(name)).versions?.find(({ id }) => id === version)?.enabled, false)
    },
  }),
]
