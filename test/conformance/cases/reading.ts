// Reading: every byte as it was written, absence told from everything else, and calls that are over before they begin.
import assert from 'node:assert/strict'
import { hostedName } from '../../../shared/core/names.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { examCase, when, type ExamCase } from '../exam.ts'

const roundTrip = (id: string, title: string, text: (canary: string) => string, where: ExamCase['where'] = []): ExamCase =>
  examCase({
    id: `read.${id}`,
    title,
    where: [when.fill, ...where],
    run: async (exam) => {
      const name = exam.name(id)
      const value = text(exam.value(id))

      await exam.put(name, value)

      const { value: answered } = await exam.provider.read(name, {}, exam.call())
      assert.ok(answered.bytes().equals(Buffer.from(value, 'utf8')), 'the bytes read are not the bytes written')
      assert.equal(answered.reveal(), value)
    },
  })

/** Exactly `length` bytes of text that begin with a canary and are made of three-byte characters as far as possible. */
const textOfBytes = (canary: string, length: number): string => {
  const rest = length - Buffer.byteLength(canary)
  return canary + '世'.repeat(Math.floor(rest / 3)) + 'x'.repeat(rest % 3)
}

const exactness: readonly ExamCase[] = [
  roundTrip('exact-text', 'answers exactly the text that was written', (canary) => canary),
  roundTrip('unicode', 'keeps every character: accents in both forms, emoji, right-to-left, a byte order mark inside', (canary) => `${canary} é e\u0301 😀 שלום \u{1F469}\u200D\u{1F4BB} a\uFEFFb`),
  roundTrip('json', 'keeps JSON as text, spaces and order of keys included', (canary) => `{ "z": 1,  "a": "${canary}", "n": 1.0, "u": "\\u00e9" }`),
  roundTrip('trailing-newline', 'keeps a newline at the end', (canary) => `${canary}\n`, [when.untrimmed]),
  roundTrip('spaces-around', 'keeps spaces at both ends', (canary) => `  ${canary} \t`, [when.untrimmed]),
  roundTrip('line-breaks', 'keeps carriage returns, line feeds and tabs', (canary) => `${canary}\r\nsecond\n\tthird\rlast`, [when.untrimmed]),
  roundTrip('quotes', 'keeps quotes, dollars, hashes, backslashes and percent signs', (canary) => `"${canary}' \`$HOME \${x} #no \\n \\u0041 %2F &amp; <tag>`),
  examCase({
    id: 'read.empty',
    title: 'answers an empty value as an empty value',
    where: [when.fill, when.emptyValue],
    run: async (exam) => {
      const name = exam.name('empty')

      await exam.put(name, '')

      assert.equal((await exam.provider.read(name, {}, exam.call())).value.byteLength, 0)
    },
  }),
  examCase({
    id: 'read.binary',
    title: 'keeps bytes that are no text, NUL included',
    where: [when.fill, when.anyBytes],
    run: async (exam) => {
      const name = exam.name('binary')
      const bytes = Uint8Array.from({ length: 512 }, (_, index) => 255 - (index % 256))

      await exam.put(name, bytes)

      const { value } = await exam.provider.read(name, {}, exam.call())
      assert.ok(value.equals(SecretValue.ofBytes(bytes)), 'the bytes read are not the bytes written')
      assert.equal(value.isText, false)
    },
  }),
  examCase({
    id: 'read.largest',
    title: 'keeps a value of exactly the largest size, counted in bytes',
    can: ['write'],
    run: async (exam) => {
      const name = exam.name('largest')
      const value = textOfBytes(exam.value('largest'), exam.traits.value.maxBytes)

      await exam.put(name, value)

      assert.ok((await exam.provider.read(name, {}, exam.call())).value.equals(SecretValue.of(value)), 'the bytes read are not the bytes written')
    },
  }),
]

const absence: readonly ExamCase[] = [
  examCase({
    id: 'read.missing',
    title: 'answers not_found for a secret that is not there',
    run: async (exam) => {
      await exam.fails(exam.provider.read(exam.name('missing'), {}, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'read.missing-version',
    title: 'answers not_found for a version that is not there',
    can: ['write'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name('missing-version')
      const other = exam.name('other')
      await exam.create(name, exam.value())
      await exam.create(other, exam.value())
      const foreign = await exam.replace(other, await exam.idOf(undefined, other), exam.value())

      const ids = [foreign, '987654', 'f'.repeat(36)].filter((id) => id !== '')

      const there = (await exam.provider.describe?.(name, exam.call()))?.versions?.map(({ id }) => id) ?? []
      for (const id of ids) if (!there.includes(id)) await exam.fails(exam.provider.read(name, { version: id }, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'read.missing-stage',
    title: 'answers not_found for a stage that no version has',
    can: ['write'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name('missing-stage')
      await exam.create(name, exam.value())

      await exam.fails(exam.provider.read(name, { stage: 'previous' }, exam.call()), 'not_found')

      await exam.fails(exam.provider.read(name, { stage: 'pending' }, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'read.missing-near',
    title: 'answers not_found for names near one that is there: another case, its beginning, its continuation',
    where: [when.fill],
    run: async (exam) => {
      const name = exam.name('near')
      await exam.put(name, exam.value())

      const near = [name.text.toUpperCase(), name.text.slice(0, -1), `${name.text}x`].filter((text) => text !== name.text)

      for (const text of near) await exam.fails(exam.provider.read({ ...name, text }, {}, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'read.failure-not-kept',
    title: 'sees a secret that is made after it was found missing',
    where: [when.fill],
    run: async (exam) => {
      const name = exam.name('later')
      const value = exam.value()
      await exam.fails(exam.provider.read(name, {}, exam.call()), 'not_found')

      await exam.put(name, value)

      assert.equal(await exam.text(name), value)
    },
  }),
]

const answers: readonly ExamCase[] = [
  examCase({
    id: 'read.says-its-name',
    title: 'answers the name that was asked for',
    where: [when.fill],
    run: async (exam) => {
      const name = exam.name('own-name')
      await exam.put(name, exam.value())

      const record = await exam.provider.read(name, {}, exam.call())

      assert.deepEqual(record.name, name)
      assert.ok(record.value instanceof SecretValue)
    },
  }),
  examCase({
    id: 'read.says-its-version',
    title: 'answers which version it is, and that it is current',
    can: ['write'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name('own-version')
      const id = await exam.create(name, exam.value())

      const { version } = await exam.provider.read(name, {}, exam.call())

      assert.equal(version?.id, id)
      assert.ok(version.stages.includes('current'))
      assert.equal(version.enabled, true)
    },
  }),
  examCase({
    id: 'read.seeded',
    title: 'reads what an operator put into the service',
    where: [when.seed],
    run: async (exam) => {
      const name = exam.name('seeded')
      const value = exam.value('seeded')

      await exam.opened.seed?.(name, value)
      await exam.settle()

      assert.equal(await exam.text(name), value)
    },
  }),
  examCase({
    id: 'read.seeded-change',
    title: 'sees a change that an operator made in the service: a provider keeps nothing',
    where: [when.seed],
    run: async (exam) => {
      const name = exam.name('reseeded')
      const second = exam.value('second')
      await exam.opened.seed?.(name, exam.value('first'))
      await exam.settle()
      await exam.text(name)

      await exam.opened.seed?.(name, second)
      await exam.settle()

      assert.equal(await exam.text(name), second)
    },
  }),
  examCase({
    id: 'read.apart',
    title: 'keeps two secrets apart whose names begin alike',
    where: [when.fill],
    run: async (exam) => {
      const name = exam.name('apart')
      const longer = { ...name, text: `${name.text}x` }
      const [one, two] = [exam.value('one'), exam.value('two')]

      await exam.put(name, one)
      await exam.put(longer, two)

      assert.deepEqual([await exam.text(name), await exam.text(longer)], [one, two])
    },
  }),
  examCase({
    id: 'read.hosted',
    title: 'reads the name of an environment variable verbatim',
    where: [when.fill],
    run: async (exam) => {
      const name = hostedName(`EXAM_${exam.label('h').replaceAll('-', '_').toUpperCase()}`)
      const value = exam.value('hosted')

      await exam.put(name, value)

      assert.equal(await exam.text(name), value)
    },
  }),
  examCase({
    id: 'read.other-instance',
    title: 'sees what another instance on the same service sees',
    where: [when.fill],
    run: async (exam) => {
      const name = exam.name('instances')
      const value = exam.value()
      const second = await exam.reopen()
      await exam.put(name, value)

      assert.equal(await exam.text(name, {}, second), value)
    },
  }),
  examCase({
    id: 'open.independent',
    title: 'shares nothing between two opens on two services',
    where: [when.fill, when.fresh],
    run: async (exam) => {
      const name = exam.name('two-services')
      const elsewhere = await exam.harness.open()
      await exam.put(name, exam.value())

      await exam.fails(elsewhere.provider.read(name, {}, exam.call()), 'not_found').finally(() => elsewhere.close())
    },
  }),
]

const over: readonly ExamCase[] = [
  examCase({
    id: 'read.aborted-before',
    title: "rejects with the signal's reason, and sends nothing, when the call is already aborted",
    where: [when.fill],
    run: async (exam) => {
      const name = exam.name('aborted')
      await exam.put(name, exam.value())
      const reason = new Error('the caller went away')

      await exam.sendsNothing(async () => {
        const outcome = await exam.promptly(exam.provider.read(name, {}, exam.call({ signal: AbortSignal.abort(reason) })))

        assert.deepEqual(outcome, { error: reason })
      })
    },
  }),
  examCase({
    id: 'read.deadline-before',
    title: 'answers deadline_exceeded, and sends nothing, when the time has run out',
    where: [when.fill],
    run: async (exam) => {
      const name = exam.name('late')
      await exam.put(name, exam.value())

      await exam.sendsNothing(async () => {
        await exam.fails(exam.provider.read(name, {}, exam.call({ withinMs: -1 })), 'deadline_exceeded')
      })
    },
  }),
]

/** Values, absence, answers. */
export const readingCases: readonly ExamCase[] = [...exactness, ...absence, ...answers, ...over]
