// Names: whatever the grammar allows comes back as itself, and no two names ever share a secret.
import assert from 'node:assert/strict'
import { createdName, maxNameBytes, maxSegments } from '../../../shared/core/names.ts'
import { examCase, when, type Exam, type ExamCase } from '../exam.ts'

type Writing = Exam<'write'>

/** Writes a value of its own under each name, then reads all of them. */
const keepsApart = async (exam: Writing, texts: readonly string[]): Promise<void> => {
  const pairs = texts.map((text) => ({ name: createdName(text), value: exam.value('apart') }))
  for (const { name, value } of pairs) await exam.put(name, value)
  for (const { name, value } of pairs) assert.equal(await exam.text(name), value, `${name.text} does not hold its own value`)
}

const nameCase = (id: string, title: string, texts: (label: string) => readonly string[]): ExamCase =>
  examCase({
    id: `name.${id}`,
    title,
    can: ['write'],
    where: [when.createdNames],
    run: async (exam) => keepsApart(exam, texts(exam.label(id))),
  })

const longest = (label: string): string => {
  const head = `litellm/${label}`
  const rest = maxNameBytes - head.length
  return head + `/${'n'.repeat(63)}`.repeat(Math.floor(rest / 64)) + `/${'z'.repeat((rest % 64) - 1)}`.slice(0, rest % 64)
}

/** Round trips and confinement of names. */
export const nameCases: readonly ExamCase[] = [
  nameCase('alias', "keeps LiteLLM's own names, prefix and alias with one slash", (label) => [`litellm/${label}`, `litellm/virtual-key-${label}`]),
  nameCase('every-character', 'keeps every character that the grammar allows', (label) => [`litellm/${label}/AZaz09_-.@=x`, `litellm/${label}/=x@`]),
  nameCase('deepest', 'keeps a name of eight segments', (label) => [['litellm', label, ...'abcdefgh'].slice(0, maxSegments).join('/')]),
  nameCase('longest', 'keeps names of 200 bytes apart that differ in the last', (label) => [longest(label), `${longest(label).slice(0, -1)}y`]),
  nameCase('case', 'tells names apart that differ by case alone', (label) => [`litellm/${label}/alias`, `litellm/${label}/Alias`, `litellm/${label}/ALIAS`]),
  nameCase('separators', 'tells names apart that differ by a separator alone', (label) => ['/', '-', '_', '.', '=', '@', ''].map((separator) => `litellm/${label}/a${separator}b`)),
  nameCase('look-alike', 'tells a name from the one that looks like its encoded form', (label) => [`litellm/${label}/x`, `litellm/${label}-2fx`, `litellm/${label}=2Fx`, `litellm/${label}-2Fx`, `litellm-2f${label}-2fx`, `litellm-${label}-x`]),
  nameCase('folder', 'keeps a secret whose name is the beginning of others', (label) => [`litellm/${label}`, `litellm/${label}/below`, `litellm/${label}/below/it`]),
  nameCase('partial-arn', 'tells a name from the same with a dash and six characters, as in an ARN', (label) => [`litellm/${label}`, `litellm/${label}-AbCdEf`, `litellm/${label}-x1y2z3`]),
  examCase({
    id: 'name.internal',
    title: "holds Latchkey's own records below __latchkey",
    can: ['write'],
    where: [when.createdNames],
    run: async (exam) => {
      const name = { text: `litellm/__latchkey/pending/${exam.label()}-12`, place: 'created' } as const
      const value = exam.value()

      await exam.put(name, value)

      assert.equal(await exam.text(name), value)
    },
  }),
  examCase({
    id: 'name.unholdable',
    title: 'refuses a name that the service cannot hold with invalid_request, before anything is sent',
    run: async (exam) => {
      const texts = ['x'.repeat(600), 'a'.repeat(20) + '\n', 'é'.repeat(20), 'a b:c']
      const unholdable = texts.filter((text) => {
        try {
          exam.traits.names.encode({ text, place: 'hosted' })
          return false
        } catch {
          return true
        }
      })

      await exam.sendsNothing(async () => {
        for (const text of unholdable) await exam.fails(exam.provider.read({ text, place: 'hosted' }, {}, exam.call()), 'invalid_request', 'not_found')
      })
    },
  }),
  examCase({
    id: 'name.listed',
    title: 'lists our names, not the service’s own forms of them',
    can: ['write', 'list'],
    where: [when.createdNames],
    run: async (exam) => {
      const prefix = `litellm/${exam.label('l')}/`
      const texts = ['a.b', 'a=b', 'A/b', 'a-2fb'].map((text) => prefix + text)
      for (const text of texts) await exam.put(createdName(text), exam.value())

      const listed = await exam.listed(prefix)

      assert.deepEqual(listed.map(({ name }) => name.text).sort(), [...texts].sort())
    },
  }),
  examCase({
    id: 'name.native-shown',
    title: 'says under which name the service holds a secret',
    can: ['write', 'describe'],
    run: async (exam) => {
      const name = exam.name('native')
      await exam.put(name, exam.value())

      const facts = await exam.facts(name)

      assert.deepEqual(facts.name, name)
      assert.ok(facts.nativeName.length > 0)
    },
  }),
]
