// Lists, batches, descriptions and checks: complete, in order, and without a value where none belongs.
import assert from 'node:assert/strict'
import { createdName } from '../../../shared/core/names/created.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import type { SecretName } from '../../../shared/core/secret.ts'
import { assertFailure, assertNothingSecret, examCase, when, type Exam, type ExamCase } from '../exam.ts'

const below = (exam: Exam<'write' | 'list'>): { prefix: string; put(rest: string, labels?: Record<string, string>): Promise<string> } => {
  const prefix = `litellm/${exam.label('list')}/`
  return {
    prefix,
    put: async (rest, labels) => {
      await exam.put(createdName(prefix + rest), exam.value(), labels === undefined ? {} : { labels })
      return prefix + rest
    },
  }
}

const texts = (items: readonly { name: SecretName }[]): string[] => items.map(({ name }) => name.text).sort()

const lists: readonly ExamCase[] = [
  examCase({
    id: 'list.prefix',
    title: 'lists what begins with the prefix, by characters and by case, and nothing else',
    can: ['write', 'list'],
    where: [when.createdNames],
    run: async (exam) => {
      const { prefix, put } = below(exam)
      const wanted = [await put('ab'), await put('abc'), await put('ab/d'), await put('ab-e')]
      for (const rest of ['a', 'aB', 'xab', 'b']) await put(rest)

      const listed = await exam.listed(`${prefix}ab`)

      assert.deepEqual(texts(listed), [...wanted].sort())
    },
  }),
  examCase({
    id: 'list.prefix-inside',
    title: 'lists no name that holds the prefix somewhere else',
    can: ['write', 'list'],
    where: [when.createdNames],
    run: async (exam) => {
      const { prefix, put } = below(exam)
      await exam.put(createdName(`other/${prefix}x`), exam.value())
      const wanted = await put('x')

      const listed = await exam.listed(prefix)

      assert.deepEqual(texts(listed), [wanted])
    },
  }),
  examCase({
    id: 'list.pages',
    title: 'lists every secret exactly once over pages',
    can: ['write', 'list'],
    where: [when.createdNames],
    run: async (exam) => {
      const { prefix, put } = below(exam)
      const wanted: string[] = []
      for (let index = 0; index < 8; index += 1) wanted.push(await put(`item-${index}`))

      const listed = await exam.listed(prefix, { limit: 3 })

      assert.deepEqual(texts(listed), wanted)
    },
  }),
  examCase({
    id: 'list.empty',
    title: 'lists nothing where nothing is, without a failure',
    can: ['list'],
    run: async (exam) => {
      assert.deepEqual(await exam.listed(exam.name('nothing').text), [])
    },
  }),
  examCase({
    id: 'list.invalid-cursor',
    title: 'answers invalid_request to a cursor that no list gave',
    can: ['list'],
    run: async (exam) => {
      await exam.fails(exam.provider.list({ prefix: '', cursor: 'no-such-cursor!', limit: 10 }, exam.call()), 'invalid_request')
    },
  }),
  examCase({
    id: 'list.label',
    title: 'selects by a label, key and value, together with the prefix',
    can: ['write', 'list'],
    where: [when.labelFilter, when.createdNames],
    run: async (exam) => {
      const { prefix, put } = below(exam)
      const mark = exam.label('mark')
      const wanted = [await put('a', { mark }), await put('b', { mark })]
      await put('c', { mark: `${mark}x` })
      await put('d', { other: mark })
      await exam.put(createdName(`litellm/${exam.label('elsewhere')}`), exam.value(), { labels: { mark } })

      const listed = await exam.listed(prefix, { label: ['mark', mark] })

      assert.deepEqual(texts(listed), wanted)
    },
  }),
  examCase({
    id: 'list.label-pages',
    title: 'selects by a label over pages',
    can: ['write', 'list'],
    where: [when.labelFilter, when.createdNames],
    run: async (exam) => {
      const { prefix, put } = below(exam)
      const wanted = [await put('b', { kind: 'key' }), await put('d', { kind: 'key' }), await put('f', { kind: 'key' })]
      for (const rest of ['a', 'c', 'e', 'g']) await put(rest, { kind: 'other' })

      const listed = await exam.listed(prefix, { label: ['kind', 'key'], limit: 2 })

      assert.deepEqual(texts(listed), wanted)
    },
  }),
  examCase({
    id: 'list.no-values',
    title: 'shows no value in a list',
    can: ['write', 'list'],
    where: [when.createdNames],
    run: async (exam) => {
      const { prefix, put } = below(exam)
      await put('secret')

      const listed = await exam.listed(prefix)

      assert.equal(listed.length, 1)
      assertNothingSecret(listed)
    },
  }),
  examCase({
    id: 'list.agrees',
    title: 'says of a secret in a list what its description says',
    can: ['write', 'list', 'describe'],
    where: [when.versions, when.createdNames],
    run: async (exam) => {
      const { prefix, put } = below(exam)
      const name = createdName(await put('one'))

      const [listed] = await exam.listed(prefix)

      const facts = await exam.facts(name)
      assert.ok([undefined, facts.current?.id].includes(listed?.current?.id), 'the list names another current version')
      assert.equal(listed?.nativeName, facts.nativeName)
      assert.deepEqual(listed?.labels, facts.labels)
    },
  }),
  examCase({
    id: 'list.removed',
    title: 'leaves removed secrets out',
    can: ['write', 'list', 'remove'],
    where: [when.createdNames],
    run: async (exam) => {
      const { prefix, put } = below(exam)
      const gone = createdName(await put('gone'))
      const kept = await put('kept')

      await exam.provider.remove(gone, { expect: 'any', final: false }, exam.call())
      await exam.settle()

      assert.deepEqual(texts(await exam.listed(prefix)), [kept])
    },
  }),
  examCase({
    id: 'list.seeded',
    title: 'lists what an operator put into the service',
    can: ['list'],
    where: [when.seed],
    run: async (exam) => {
      const name = exam.name('seeded')
      await exam.opened.seed?.(name, exam.value())
      await exam.settle()

      assert.deepEqual(texts(await exam.listed(name.text)), [name.text])
    },
  }),
]

const batches: readonly ExamCase[] = [
  examCase({
    id: 'batch.order',
    title: 'answers many names in the order asked, also a name that is asked twice',
    can: ['readMany'],
    where: [when.fill],
    run: async (exam) => {
      const pairs = Array.from({ length: 5 }, (_, index) => ({ name: exam.name(`n${index}`), value: exam.value(`v${index}`) }))
      for (const { name, value } of pairs) await exam.put(name, value)
      const asked = [3, 0, 4, 1, 0, 2].flatMap((index) => pairs.slice(index, index + 1))

      const answered = await exam.provider.readMany(asked.map(({ name }) => name), exam.call())

      assert.deepEqual(answered.map((item) => (item instanceof LatchkeyError ? item.code : item.value.reveal())), asked.map(({ value }) => value))
      assert.deepEqual(answered.map((item) => (item instanceof LatchkeyError ? item.code : item.name.text)), asked.map(({ name }) => name.text))
    },
  }),
  examCase({
    id: 'batch.mixed',
    title: 'answers not_found in its place and the others all the same',
    can: ['readMany'],
    where: [when.fill],
    run: async (exam) => {
      const [one, missing, two] = [exam.name('one'), exam.name('missing'), exam.name('two')]
      const values = [exam.value('one'), exam.value('two')]
      await exam.put(one, values[0] ?? '')
      await exam.put(two, values[1] ?? '')

      const answered = await exam.provider.readMany([one, missing, two], exam.call())

      assert.deepEqual(answered.map((item) => (item instanceof LatchkeyError ? item.code : item.value.reveal())), [values[0], 'not_found', values[1]])
      assertFailure(answered[1], ['not_found'])
    },
  }),
  examCase({
    id: 'batch.many',
    title: 'answers more names than one call of any service takes',
    can: ['readMany'],
    where: [when.fill],
    run: async (exam) => {
      const pairs = Array.from({ length: 45 }, (_, index) => ({ name: exam.name(`m${index}`), value: exam.value(`m${index}`) }))
      for (const { name, value } of pairs) await exam.put(name, value)

      const answered = await exam.provider.readMany(pairs.map(({ name }) => name), exam.call())

      assert.deepEqual(answered.map((item) => (item instanceof LatchkeyError ? item.code : item.value.reveal())), pairs.map(({ value }) => value))
    },
  }),
  examCase({
    id: 'batch.none',
    title: 'answers no names with no answers, and sends nothing',
    can: ['readMany'],
    run: async (exam) => {
      await exam.sendsNothing(async () => assert.deepEqual(await exam.provider.readMany([], exam.call()), []))
    },
  }),
]

const facts: readonly ExamCase[] = [
  examCase({
    id: 'describe.missing',
    title: 'answers not_found for a secret that is not there',
    can: ['describe'],
    run: async (exam) => {
      await exam.fails(exam.provider.describe(exam.name(), exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'describe.no-value',
    title: 'shows no value in a description',
    can: ['describe'],
    where: [when.fill],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value())

      assertNothingSecret(await exam.facts(name))
    },
  }),
  examCase({
    id: 'describe.current',
    title: 'describes the version that a read answers',
    can: ['write', 'describe'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      await exam.create(name, exam.value())

      const { version } = await exam.provider.read(name, {}, exam.call())

      assert.equal((await exam.facts(name)).current?.id, version?.id)
    },
  }),
  examCase({
    id: 'record.no-value',
    title: 'shows no value when what a read answers is printed',
    where: [when.fill],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value())

      assertNothingSecret(await exam.provider.read(name, {}, exam.call()))
    },
  }),
  examCase({
    id: 'check.ready',
    title: 'finds nothing wrong where nothing is wrong, at every depth, and writes nothing',
    run: async (exam) => {
      const findings = [...(await exam.provider.check('reach', exam.call())), ...(await exam.provider.check('read', exam.call())), ...(exam.provider.write === undefined ? [] : await exam.provider.check('write', exam.call()))]

      assert.ok(findings.length > 0, 'a check must say what it looked at')
      assert.deepEqual(findings.filter(({ ok }) => !ok), [])
      assertNothingSecret(findings)
    },
  }),
  examCase({
    id: 'check.misconfigured',
    title: 'finds wrong settings without throwing, and names the setting',
    where: [when.misconfigured],
    run: async (exam) => {
      const wrong = await exam.opened.misconfigured?.()

      const findings = (await wrong?.check('read', exam.call())) ?? []
      await wrong?.close?.()

      assert.ok(findings.some(({ ok, setting, message }) => !ok && (setting !== undefined || message.length > 20)))
      assertNothingSecret(findings)
    },
  }),
  examCase({
    id: 'close.twice',
    title: 'can be closed twice, and another instance lives on',
    can: ['close'],
    where: [when.fill],
    run: async (exam) => {
      const name = exam.name()
      const value = exam.value()
      const other = await exam.reopen()
      await exam.put(name, value)

      await other.close()
      await other.close()

      assert.equal(await exam.text(name), value)
    },
  }),
  examCase({
    id: 'traits.agree',
    title: 'has the methods that its traits speak of, and no others',
    run: async (exam) => {
      const { traits, write, remove, recover } = exam.provider

      assert.equal(traits.write !== undefined, write !== undefined)
      assert.ok(traits.write?.softDelete !== true || remove === undefined || recover !== undefined, 'a soft delete needs recover')
      assert.ok(traits.value.maxBytes > 0 && traits.settleMs >= 0)
    },
  }),
]

/** Lists, batches, facts, checks. */
export const listingCases: readonly ExamCase[] = [...lists, ...batches, ...facts]
