// Side by side: two services that see nothing of each other, hundreds of calls at once, and credentials that expire while the provider lives.
import assert from 'node:assert/strict'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { examCase, when, type Exam, type ExamCase } from '../exam.ts'

const many = 200

const crowd = async (exam: Pick<Exam, 'name' | 'value' | 'put'>, size: number) => {
  const pairs = Array.from({ length: size }, (_, index) => ({ name: exam.name(`c${index}`), value: exam.value(`crowd ${index}`) }))
  for (const { name, value } of pairs) await exam.put(name, value)
  return pairs
}

/** Much at once, and one beside the other. */
export const togetherCases: readonly ExamCase[] = [
  examCase({
    id: 'open.side-by-side',
    title: 'keeps two services apart in which the same names are made, replaced and removed',
    can: ['write', 'describe'],
    where: [when.fresh],
    run: async (exam) => {
      const name = exam.name('both')
      const [here, there] = [exam.value('here'), exam.value('there')]
      const elsewhere = await exam.harness.open()
      const beside = elsewhere.provider
      try {
        await exam.put(name, here)
        const made = await beside.write?.(exam.request(name, there), exam.call())
        if (beside.traits.settleMs > 0) await elsewhere.pass(beside.traits.settleMs)

        assert.equal(made?.outcome, 'written')
        assert.deepEqual([await exam.text(name), await exam.text(name, {}, beside)], [here, there])
        await beside.remove?.(name, { expect: 'any', final: false }, exam.call())
        assert.equal(await exam.text(name), here)
        assert.notEqual((await exam.facts(name)).current, undefined)
      } finally {
        await elsewhere.close()
      }
    },
  }),
  examCase({
    id: 'read.two-hundred',
    title: 'answers two hundred parallel reads through two instances, each with its own value, and the missing ones among them with not_found',
    where: [when.fill],
    run: async (exam) => {
      const pairs = await crowd(exam, 8)
      const missing = exam.name('nobody')
      const other = await exam.reopen()

      const answers = await Promise.all(Array.from({ length: many }, async (_, index) => {
        const provider = index % 2 === 0 ? exam.provider : other
        const asked = index % 10 === 9 ? missing : (pairs[index % pairs.length]?.name ?? missing)
        return provider.read(asked, {}, exam.call()).then(({ value }) => value.reveal(), (error: unknown) => (error instanceof LatchkeyError ? error.code : String(error)))
      }))

      assert.deepEqual(answers, Array.from({ length: many }, (_, index) => (index % 10 === 9 ? 'not_found' : pairs[index % pairs.length]?.value)))
    },
  }),
  examCase({
    id: 'batch.two-hundred',
    title: 'answers a batch of two hundred names in the order asked',
    can: ['readMany'],
    where: [when.fill],
    run: async (exam) => {
      const pairs = await crowd(exam, 7)
      const missing = exam.name('nobody')
      const asked = Array.from({ length: many }, (_, index) => (index % 50 === 49 ? { name: missing, value: 'not_found' } : (pairs[(index * 3) % pairs.length] ?? { name: missing, value: 'not_found' })))

      const answered = await exam.provider.readMany(asked.map(({ name }) => name), exam.call())

      assert.deepEqual(answered.map((item) => (item instanceof LatchkeyError ? item.code : item.value.reveal())), asked.map(({ value }) => value))
    },
  }),
  examCase({
    id: 'write.two-hundred',
    title: 'takes two hundred parallel writes of as many names, and holds each value under its own',
    can: ['write'],
    run: async (exam) => {
      const pairs = Array.from({ length: many }, (_, index) => ({ name: exam.name(`w${index}`), value: exam.value(`parallel ${index}`) }))

      const outcomes = await Promise.all(pairs.map(({ name, value }) => exam.provider.write(exam.request(name, value), exam.call())))
      await exam.settle()

      assert.deepEqual(outcomes.filter(({ outcome }) => outcome !== 'written'), [])
      for (const { name, value } of pairs) assert.equal(await exam.text(name), value)
    },
  }),
  examCase({
    id: 'credential.expires',
    title: 'reads and writes after its credential has expired: it has a new one before anybody notices',
    where: [when.fill, when.expire],
    run: async (exam) => {
      const [name, later] = [exam.name('before'), exam.name('after')]
      const [first, second] = [exam.value('before'), exam.value('after')]
      await exam.put(name, first)
      assert.equal(await exam.text(name), first)

      await exam.opened.expire?.()

      assert.equal(await exam.text(name), first)
      await exam.opened.expire?.()
      await exam.put(later, second)
      assert.equal(await exam.text(later), second)
    },
  }),
  examCase({
    id: 'credential.expires-for-many',
    title: 'answers fifty parallel reads that all meet the expired credential',
    where: [when.fill, when.expire],
    run: async (exam) => {
      const name = exam.name('crowded')
      const value = exam.value()
      await exam.put(name, value)
      await exam.text(name)

      await exam.opened.expire?.()
      const answers = await Promise.all(Array.from({ length: 50 }, () => exam.text(name)))

      assert.deepEqual([...new Set(answers)], [value])
    },
  }),
]
