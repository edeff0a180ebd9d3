// Labels, description and expiry: exactly as written, merged, and kept over everything that changes the value.
import assert from 'node:assert/strict'
import type { SecretFacts, SecretName } from '../../../shared/core/secret.ts'
import { examCase, when, type Exam, type ExamCase } from '../exam.ts'

/** The labels asked about, as they are; a service may have others of its own. */
const among = (facts: SecretFacts, ...keys: readonly string[]): Record<string, string | undefined> => Object.fromEntries(keys.map((key) => [key, facts.labels[key]]))

/** LiteLLM's own example of `tags` and a `description`: capitals, spaces. */
const litellm = { labels: { Environment: 'Prod', Owner: 'AI Platform team' }, description: 'LiteLLM virtual key of "payments", 100 % ours' }

/** Description and tags as they were written at the beginning; a description may be missing only where it always was. */
const keeps = (facts: SecretFacts, first: SecretFacts): void => {
  assert.deepEqual(among(facts, 'Environment', 'Owner'), litellm.labels)
  assert.equal(facts.description, first.description)
}

const described = async (exam: Exam<'write' | 'describe'>, name: SecretName): Promise<{ readonly from: string; readonly first: SecretFacts }> => {
  const from = await exam.create(name, exam.value('first'), litellm)
  const first = await exam.facts(name)
  assert.ok([undefined, litellm.description].includes(first.description), 'the description is not the one written')
  return { from, first }
}

const tags: readonly ExamCase[] = [
  examCase({
    id: 'tags.over-rotation',
    title: 'keeps {Environment: Prod, Owner: "AI Platform team"} and the description over a rotation by claim and promotion',
    can: ['write', 'describe', 'promote'],
    where: [when.versions, when.labels],
    run: async (exam) => {
      const name = exam.name('tagged')
      const { from, first } = await described(exam, name)
      const { version } = await exam.provider.write(exam.claim(name, from, exam.value('second')), exam.call())
      await exam.settle()
      keeps(await exam.facts(name), first)

      await exam.provider.promote(name, { to: version?.id ?? '', from }, exam.call())
      await exam.settle()

      keeps(await exam.facts(name), first)
    },
  }),
  examCase({
    id: 'tags.over-replacements',
    title: 'keeps them over three replacements in a row, one of which adds a label of its own',
    can: ['write', 'describe'],
    where: [when.versions, when.labels],
    run: async (exam) => {
      const name = exam.name('tagged')
      const { from, first } = await described(exam, name)

      const second = await exam.replace(name, from, exam.value('second'))
      const third = await exam.replace(name, second, exam.value('third'), { epoch: 3, operation: exam.operation('rotate', 3), labels: { 'latchkey-step': '3' } })
      await exam.replace(name, third, exam.value('fourth'), { epoch: 4, operation: exam.operation('rotate', 4) })

      keeps(await exam.facts(name), first)
    },
  }),
  examCase({
    id: 'tags.over-tombstone',
    title: 'keeps them over a deletion that is a version of its own, and the next life on top of it',
    can: ['write', 'describe'],
    where: [when.versions, when.labels],
    run: async (exam) => {
      const name = exam.name('tagged')
      const { from, first } = await described(exam, name)
      const gone = await exam.replace(name, from, exam.value('tombstone'), { operation: exam.operation('delete', 2), labels: { 'latchkey-state': 'revoked' } })
      keeps(await exam.facts(name), first)

      await exam.replace(name, gone, exam.value('again'), { epoch: 3, operation: exam.operation('create', 3), labels: { 'latchkey-state': 'active' } })

      keeps(await exam.facts(name), first)
    },
  }),
  examCase({
    id: 'tags.over-recovery',
    title: 'keeps them when a deleted secret is recovered and written again',
    can: ['write', 'describe', 'remove', 'recover'],
    where: [when.versions, when.labels, when.softDelete],
    run: async (exam) => {
      const name = exam.name('tagged')
      const { first } = await described(exam, name)
      await exam.provider.remove(name, { expect: 'any', final: false }, exam.call())
      await exam.settle()

      await exam.provider.recover(name, exam.call())
      await exam.settle()
      await exam.put(name, exam.value('again'), { expect: 'any', epoch: 2, operation: exam.operation('create', 2) })

      keeps(await exam.facts(name), first)
    },
  }),
  examCase({
    id: 'tags.over-recreation',
    title: 'keeps them as they are written once more when a secret is made again that was deleted for good',
    can: ['write', 'describe', 'remove'],
    where: [when.versions, when.labels, when.hardDelete],
    run: async (exam) => {
      const name = exam.name('tagged')
      const { first } = await described(exam, name)
      await exam.provider.remove(name, { expect: 'any', final: true }, exam.call())
      await exam.settle()

      await exam.create(name, exam.value('again'), { ...litellm, epoch: 2, operation: exam.operation('create', 2) })

      keeps(await exam.facts(name), first)
    },
  }),
  examCase({
    id: 'tags.over-annotation',
    title: 'keeps them when other labels are annotated and taken off',
    can: ['write', 'describe', 'annotate'],
    where: [when.versions, when.labels],
    run: async (exam) => {
      const name = exam.name('tagged')
      const { first } = await described(exam, name)

      await exam.provider.annotate(name, { labels: { 'latchkey-op-1': 'x' } }, exam.call())
      await exam.settle()
      await exam.provider.annotate(name, { labels: { 'latchkey-op-1': null } }, exam.call())
      await exam.settle()

      keeps(await exam.facts(name), first)
    },
  }),
]

/** Labels, description, expiry. */
export const labelCases: readonly ExamCase[] = [
  ...tags,
  examCase({
    id: 'label.at-create',
    title: 'keeps the labels that a secret is made with',
    can: ['write', 'describe'],
    where: [when.labels],
    run: async (exam) => {
      const name = exam.name()

      await exam.put(name, exam.value(), { labels: { team: 'payments', state: 'active' } })

      assert.deepEqual(among(await exam.facts(name), 'team', 'state'), { team: 'payments', state: 'active' })
    },
  }),
  examCase({
    id: 'label.exact',
    title: 'keeps spaces, capitals and punctuation of a label as they are',
    can: ['write', 'describe'],
    where: [when.labels],
    run: async (exam) => {
      const name = exam.name()
      const labels = { 'latchkey-op-1': 'a:b/c=d+e@f_g-h.i', Owner: 'Platform Team', plain: '0' }

      await exam.put(name, exam.value(), { labels })

      assert.deepEqual(among(await exam.facts(name), ...Object.keys(labels)), labels)
    },
  }),
  examCase({
    id: 'label.fills-limits',
    title: 'keeps a key and a value of the longest length that the traits name',
    can: ['write', 'describe'],
    where: [when.labels],
    run: async (exam) => {
      const name = exam.name()
      const limits = exam.traits.write?.labels
      assert.ok(limits !== undefined && limits !== 'none')
      const key = 'k'.repeat(Math.min(limits.keyBytes, 512))
      const value = 'v'.repeat(Math.min(limits.valueBytes, 4_096))

      await exam.put(name, exam.value(), { labels: { [key]: value } })

      assert.equal((await exam.facts(name)).labels[key], value)
    },
  }),
  examCase({
    id: 'label.merged',
    title: 'merges the labels of a replacement over the ones that are there',
    can: ['write', 'describe'],
    where: [when.versions, when.labelsWithValue],
    run: async (exam) => {
      const name = exam.name()
      const from = await exam.create(name, exam.value(), { labels: { team: 'payments', state: 'active' } })

      await exam.replace(name, from, exam.value(), { labels: { state: 'revoked', epoch: '2' } })

      assert.deepEqual(among(await exam.facts(name), 'team', 'state', 'epoch'), { team: 'payments', state: 'revoked', epoch: '2' })
    },
  }),
  examCase({
    id: 'label.kept',
    title: 'keeps labels and description when a replacement says nothing of them',
    can: ['write', 'describe'],
    where: [when.versions, when.labels],
    run: async (exam) => {
      const name = exam.name()
      const from = await exam.create(name, exam.value(), { labels: { team: 'payments' }, description: 'for payments' })
      const before = await exam.facts(name)

      await exam.replace(name, from, exam.value())

      const { labels, description } = await exam.facts(name)
      assert.deepEqual({ team: labels['team'], description }, { team: 'payments', description: before.description })
    },
  }),
  examCase({
    id: 'label.kept-by-promotion',
    title: 'keeps labels over a claim and its promotion',
    can: ['write', 'describe', 'promote'],
    where: [when.versions, when.labels],
    run: async (exam) => {
      const name = exam.name()
      const from = await exam.create(name, exam.value(), { labels: { team: 'payments' } })
      const { version } = await exam.provider.write(exam.claim(name, from, exam.value()), exam.call())
      await exam.settle()

      await exam.provider.promote(name, { to: version?.id ?? '', from }, exam.call())
      await exam.settle()

      assert.equal((await exam.facts(name)).labels['team'], 'payments')
    },
  }),
  examCase({
    id: 'description.kept',
    title: 'gives the description back exactly, where the service has descriptions',
    can: ['write', 'describe'],
    run: async (exam) => {
      const name = exam.name()
      const description = 'Key of the "payments" team: 50 % <b>, ünïcode'

      await exam.put(name, exam.value(), { description })

      assert.ok([undefined, description].includes((await exam.facts(name)).description), 'the description is not the one written')
    },
  }),
  examCase({
    id: 'expiry.kept',
    title: 'gives the expiry back exactly, where the service has one',
    can: ['write', 'describe'],
    run: async (exam) => {
      const name = exam.name()
      const expires = new Date(Math.ceil(exam.clock.now() / 1_000) * 1_000 + 86_400_000)

      await exam.put(name, exam.value(), { expires })

      assert.ok([undefined, expires.getTime()].includes((await exam.facts(name)).expires?.getTime()), 'the expiry is not the one written')
    },
  }),
  examCase({
    id: 'annotate.adds',
    title: 'adds and changes labels without touching value, version or other labels',
    can: ['write', 'describe', 'annotate'],
    where: [when.labels],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value(), { labels: { team: 'payments', state: 'active' } })
      const before = await exam.state(name)

      await exam.provider.annotate(name, { labels: { state: 'rotating', op: 'x' } }, exam.call())
      await exam.settle()

      const after = await exam.state(name)
      assert.deepEqual({ ...after, labels: before.labels }, before)
      assert.deepEqual(among(await exam.facts(name), 'team', 'state', 'op'), { team: 'payments', state: 'rotating', op: 'x' })
    },
  }),
  examCase({
    id: 'annotate.removes',
    title: 'takes a label off that is given as null; one that is not there is no matter',
    can: ['write', 'describe', 'annotate'],
    where: [when.labels],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value(), { labels: { team: 'payments', state: 'active' } })

      await exam.provider.annotate(name, { labels: { state: null, never: null } }, exam.call())
      await exam.settle()

      assert.deepEqual(among(await exam.facts(name), 'team', 'state', 'never'), { team: 'payments', state: undefined, never: undefined })
    },
  }),
  examCase({
    id: 'annotate.etag',
    title: 'changes labels under the etag that was read, once',
    can: ['write', 'describe', 'annotate'],
    where: [when.labels],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value(), { labels: { step: '0' } })
      const { etag } = await exam.facts(name)
      const under = etag === undefined ? {} : { etag }

      await exam.provider.annotate(name, { labels: { step: '1' }, ...under }, exam.call())
      await exam.settle()

      const facts = await exam.facts(name)
      assert.equal(facts.labels['step'], '1')
      assert.ok(etag === undefined || facts.etag !== etag, 'the etag did not move')
    },
  }),
  examCase({
    id: 'annotate.stale-etag',
    title: 'answers conflict under an etag that is no longer the one, and changes nothing',
    can: ['write', 'describe', 'annotate'],
    where: [when.labels],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value(), { labels: { step: '0' } })
      const { etag } = await exam.facts(name)
      await exam.provider.annotate(name, { labels: { step: '1' } }, exam.call())
      await exam.settle()

      if (etag !== undefined) await exam.fails(exam.provider.annotate(name, { labels: { step: '2' }, etag }, exam.call()), 'conflict')
      await exam.settle()

      assert.equal((await exam.facts(name)).labels['step'], '1')
    },
  }),
  examCase({
    id: 'annotate.description',
    title: 'changes the description alone, where the service has descriptions',
    can: ['write', 'describe', 'annotate'],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value(), { description: 'before' })
      const before = await exam.state(name)

      await exam.provider.annotate(name, { description: 'after' }, exam.call())
      await exam.settle()

      const after = await exam.state(name)
      assert.deepEqual({ ...after, description: before.description }, before)
      assert.equal(after.description, before.description === undefined ? undefined : 'after')
    },
  }),
  examCase({
    id: 'annotate.expiry',
    title: 'sets the expiry and takes it off with null, where the service has one',
    can: ['write', 'describe', 'annotate'],
    run: async (exam) => {
      const name = exam.name()
      const expires = new Date(Math.ceil(exam.clock.now() / 1_000) * 1_000 + 86_400_000)
      await exam.put(name, exam.value())

      await exam.provider.annotate(name, { expires }, exam.call())
      await exam.settle()
      const set = (await exam.facts(name)).expires?.getTime()
      await exam.provider.annotate(name, { expires: null }, exam.call())
      await exam.settle()

      assert.ok([undefined, expires.getTime()].includes(set), 'the expiry is not the one written')
      assert.equal((await exam.facts(name)).expires, undefined)
    },
  }),
  examCase({
    id: 'annotate.missing',
    title: 'answers not_found for a secret that is not there, and makes none',
    can: ['write', 'annotate'],
    run: async (exam) => {
      const name = exam.name()

      await exam.fails(exam.provider.annotate(name, { labels: { state: 'x' } }, exam.call()), 'not_found')

      await exam.fails(exam.provider.read(name, {}, exam.call()), 'not_found')
    },
  }),
]
