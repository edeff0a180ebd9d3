// Names: whatever the grammar allows comes back as itself, and no two names ever share a secret.
import assert from 'node:assert/strict'
import { maxSegmentBytes } from '../../../shared/core/names.ts'
import { maxNameBytes, maxSegments } from '../../../shared/core/names/created.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { assertFailure, examCase, when, type Exam, type ExamCase } from '../exam.ts'

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

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.@='

/** Names drawn from the whole grammar, the same ones on every machine: one to six segments of one to 64 characters, edges and doubled signs included, and beside each the one that differs in the case of its last letter. */
const drawn = (label: string, count: number): readonly string[] => {
  let state = 2_463_534_242
  const draw = (below: number): number => {
    state ^= (state << 13) & 0xffff_ffff
    state ^= state >>> 17
    state ^= (state << 5) & 0xffff_ffff
    return (state >>> 0) % below
  }
  const segment = (most: number): string => {
    const text = Array.from({ length: 1 + draw(most) }, () => letters[draw(letters.length)]).join('')
    return text.replaceAll(/^[._]+|\.+$|\.{2,}/g, (edge) => '='.repeat(edge.length))
  }
  const near = (text: string): string => text.replace(/[A-Za-z](?=[^A-Za-z]*$)/, (letter) => (letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()))
  return Array.from({ length: count / 2 }, (_, index) => {
    const room = maxNameBytes - `litellm/${label}-${index}`.length
    const segments = Array.from({ length: 1 + draw(6) }, () => segment(draw(4) === 0 ? maxSegmentBytes : 9))
    while (segments.join('/').length + 1 > room) segments.pop()
    const text = [`litellm/${label}-${index}`, ...segments].join('/')
    return near(text) === text ? [text] : [text, near(text)]
  }).flat()
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
  nameCase('drawn', 'keeps thirty names drawn from the whole grammar', (label) => drawn(label, 30)),
  nameCase('doubled', 'tells names apart that differ by a doubled sign or by where a sign stands', (label) => ['a-b', 'a--b', 'a---b', '-a-b', 'a-b-', 'a=b', 'a==b', 'a.b', 'a__b', 'a_b', 'a@@b', 'a-=b', 'a=-b'].map((end) => `litellm/${label}/${end}`)),
  nameCase('segments', 'tells names apart whose slashes stand elsewhere', (label) => ['ab/c/d', 'a/bc/d', 'a/b/cd', 'abc/d', 'a/bcd', 'abcd'].map((end) => `litellm/${label}/${end}`)),
  nameCase('longest-segment', 'keeps segments of 64 characters apart that differ in the last', (label) => ['a', 'b', '-', '='].map((end) => `litellm/${label}/${'s'.repeat(63)}${end}`)),
  nameCase('numbers', 'keeps names that look like numbers, dates and versions', (label) => ['0', '00', '1', '01', '1e3', '1000', '-1', '2026-11-21', 'v1', '1.0', '1.00', 'latest', 'current', 'versions'].map((end) => `litellm/${label}/${end}`)),
  nameCase('inherited', 'keeps names that every object has', (label) => ['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'prototype', 'null', 'undefined', 'true'].map((end) => `litellm/${label}/${end}`)),
  examCase({
    id: 'name.double-dots',
    title: 'keeps two dots inside a segment, or refuses them with invalid_request before anything is sent (Vault takes them for a way up)',
    can: ['write'],
    where: [when.createdNames],
    run: async (exam) => {
      const label = exam.label()
      const [dotted, single] = [createdName(`litellm/${label}/a..b`), createdName(`litellm/${label}/a.b`)]
      const value = exam.value('single')
      await exam.put(single, value)
      const before = exam.opened.calls?.()

      const outcome = await exam.provider.write(exam.request(dotted, exam.value('dotted')), exam.call()).catch((error: unknown) => assertFailure(error, ['invalid_request']))

      if (outcome instanceof Error) assert.equal(exam.opened.calls?.(), before, 'something was sent')
      assert.equal(await exam.text(single), value)
    },
  }),
  examCase({
    id: 'name.inherited-missing',
    title: 'answers not_found for names that every object has and nobody wrote',
    where: [when.createdNames],
    run: async (exam) => {
      const label = exam.label()

      for (const end of ['constructor', 'toString', 'valueOf', 'hasOwnProperty']) await exam.fails(exam.provider.read(createdName(`litellm/${label}/${end}`), {}, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'name.encoded-form',
    title: 'reads no secret that Latchkey made under the form in which the service holds its name',
    can: ['write'],
    where: [when.createdNames],
    run: async (exam) => {
      const names = ['x.y', 'a/b', 'C'].map((end) => createdName(`litellm/${exam.label('form')}/${end}`))
      const values = names.map(() => exam.value('encoded'))
      for (const [index, name] of names.entries()) await exam.put(name, values[index] ?? '')

      for (const [index, name] of names.entries()) {
        const form = exam.traits.names.encode(name)
        const found = form === name.text ? undefined : await exam.provider.read({ text: form, place: 'hosted' }, {}, exam.call()).then(({ value }) => value.reveal(), () => undefined)
        assert.notEqual(found, values[index], 'a hosted name reached what Latchkey made')
      }
    },
  }),
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
