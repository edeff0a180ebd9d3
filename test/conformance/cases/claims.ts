// Claims: the pending version is the lease of one operation; only a conditional step makes it current.
import assert from 'node:assert/strict'
import type { Exam, ExamCase } from '../exam.ts'
import { examCase, when } from '../exam.ts'
import type { SecretFacts, SecretName, Version } from '../../../shared/core/secret.ts'

type Claiming = Exam<'write' | 'promote'>

interface Claimed {
  readonly name: SecretName
  readonly first: string
  readonly second: string
  readonly from: string
  readonly to: string
}

/** A secret with one version and one claim on it. */
const claimed = async (exam: Exam<'write'>, more: { labels?: Record<string, string> } = {}): Promise<Claimed> => {
  const name = exam.name('claimed')
  const [first, second] = [exam.value('first'), exam.value('second')]
  const from = await exam.create(name, first, more)
  const { outcome, version } = await exam.provider.write(exam.claim(name, from, second), exam.call())
  assert.equal(outcome, 'written')
  assert.ok(version !== undefined, 'a claim must say its version')
  await exam.settle()
  return { name, first, second, from, to: version.id }
}

const pendingOf = (facts: SecretFacts): Version | undefined => facts.versions?.find((version) => version.stages.includes('pending'))

const claiming: readonly ExamCase[] = [
  examCase({
    id: 'claim.leaves-current',
    title: 'leaves the current value readable and unchanged while a claim stands',
    can: ['write', 'promote'],
    where: [when.versions],
    run: async (exam) => {
      const { name, first, second, from } = await claimed(exam)

      const current = await exam.provider.read(name, {}, exam.call())

      assert.equal(current.value.reveal(), first)
      assert.equal(current.version?.id, from)
      assert.equal(await exam.text(name, { stage: 'pending' }), second)
    },
  }),
  examCase({
    id: 'claim.leaves-labels',
    title: "leaves the secret's labels and description alone",
    can: ['write', 'promote', 'describe'],
    where: [when.versions, when.labels],
    run: async (exam) => {
      const name = exam.name()
      const from = await exam.create(name, exam.value(), { labels: { state: 'active' }, description: 'before' })
      const before = await exam.facts(name)

      await exam.provider.write(exam.claim(name, from, exam.value('next'), { labels: { state: 'stolen' }, description: 'after' }), exam.call())
      await exam.settle()

      const { labels, description } = await exam.facts(name)
      assert.deepEqual({ labels, description }, { labels: before.labels, description: before.description })
    },
  }),
  examCase({
    id: 'claim.absent',
    title: 'answers not_found to a claim on a secret that is not there',
    can: ['write', 'promote'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const version = await exam.create(exam.name(), exam.value())

      await exam.fails(exam.provider.write(exam.claim(name, version, exam.value()), exam.call()), 'not_found')
      await exam.fails(exam.provider.write(exam.claim(name, version, exam.value(), { expect: 'any' }), exam.call()), 'not_found')
      await exam.settle()

      await exam.fails(exam.provider.read(name, {}, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'claim.second',
    title: 'answers conflict to a second claimant, and the first claim stands',
    can: ['write', 'promote', 'describe'],
    where: [when.versions],
    run: async (exam) => {
      const { name, second, from, to } = await claimed(exam)

      await exam.fails(exam.provider.write(exam.claim(name, from, exam.value('late')), exam.call()), 'conflict')
      await exam.settle()

      assert.equal(await exam.text(name, { stage: 'pending' }), second)
      assert.equal(pendingOf(await exam.facts(name))?.id, to)
    },
  }),
  examCase({
    id: 'claim.repeated',
    title: 'answers same_operation to a repeated claim, and the first value stays',
    can: ['write', 'promote'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const second = exam.value('second')
      const from = await exam.create(name, exam.value())
      const claim = exam.claim(name, from, second)
      const one = await exam.provider.write(claim, exam.call())
      await exam.settle()

      const two = await exam.provider.write({ ...claim, value: exam.request(name, exam.value('another')).value }, exam.call())

      assert.equal(two.outcome, 'same_operation')
      assert.equal(two.version?.id, one.version?.id)
      assert.equal(await exam.text(name, { stage: 'pending' }), second)
    },
  }),
  examCase({
    id: 'claim.parallel',
    title: 'lets one of six parallel claims win',
    can: ['write', 'promote'],
    where: [when.versions, when.guarded],
    run: async (exam) => {
      const name = exam.name()
      const other = await exam.reopen()
      const from = await exam.create(name, exam.value())
      const values = Array.from({ length: 6 }, (_, index) => exam.value(`claim ${index}`))

      const outcomes = await Promise.allSettled(values.map((value, index) => (index % 2 === 0 ? exam.provider : other).write(exam.claim(name, from, value), exam.call())))
      await exam.settle()

      const winners = outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' ? [values[index]] : []))
      for (const outcome of outcomes) if (outcome.status === 'rejected') await exam.fails(Promise.reject(outcome.reason as Error), 'conflict')
      assert.deepEqual(winners, [await exam.text(name, { stage: 'pending' })])
    },
  }),
  examCase({
    id: 'claim.facts',
    title: 'describes the claim with its operation',
    can: ['write', 'promote', 'describe'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const from = await exam.create(name, exam.value())
      const claim = exam.claim(name, from, exam.value('next'))
      await exam.provider.write(claim, exam.call())
      await exam.settle()

      const facts = await exam.facts(name)

      const pending = pendingOf(facts)
      assert.equal(pending?.operation, claim.operation)
      assert.ok([undefined, 2].includes(pending.epoch), 'epoch is not the one written')
      assert.equal(facts.current?.id, from)
    },
  }),
]

const promoting: readonly ExamCase[] = [
  examCase({
    id: 'promote.moves',
    title: 'makes the claim current, the old version previous, and ends the claim',
    can: ['write', 'promote'],
    where: [when.versions],
    run: async (exam) => {
      const { name, first, second, from, to } = await claimed(exam)

      await exam.provider.promote(name, { to, from }, exam.call())
      await exam.settle()

      assert.equal(await exam.text(name), second)
      assert.equal(await exam.text(name, { stage: 'previous' }), first)
      await exam.fails(exam.provider.read(name, { stage: 'pending' }, exam.call()), 'not_found')
    },
  }),
  examCase({
    id: 'promote.repeated',
    title: 'succeeds when the version is current already, and changes nothing',
    can: ['write', 'promote'],
    where: [when.versions],
    run: async (exam) => {
      const { name, from, to } = await claimed(exam)
      await exam.provider.promote(name, { to, from }, exam.call())
      await exam.settle()
      const before = await exam.state(name)

      await exam.provider.promote(name, { to, from }, exam.call())
      await exam.settle()

      assert.deepEqual(await exam.state(name), before)
    },
  }),
  examCase({
    id: 'promote.stale',
    title: 'answers conflict when the version it starts from is no longer current, and changes nothing',
    can: ['write', 'promote'],
    where: [when.versions],
    run: async (exam) => {
      const { name, from, to } = await claimed(exam)
      const tombstone = exam.value('tombstone')
      await exam.replace(name, from, tombstone, { operation: exam.operation('delete', 2) })

      await exam.fails(exam.provider.promote(name, { to, from }, exam.call()), 'conflict')
      await exam.settle()

      assert.equal(await exam.text(name), tombstone)
    },
  }),
  examCase({
    id: 'promote.unknown',
    title: 'promotes no version that is not there',
    can: ['write', 'promote'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const other = exam.name()
      const value = exam.value()
      const from = await exam.create(name, value)
      const foreign = await exam.replace(other, await exam.create(other, exam.value()), exam.value())

      await exam.fails(exam.provider.promote(name, { to: `${foreign}9`, from }, exam.call()), 'not_found', 'conflict')
      await exam.settle()

      assert.equal(await exam.text(name), value)
    },
  }),
  examCase({
    id: 'promote.frees',
    title: 'leaves room for the next claim',
    can: ['write', 'promote'],
    where: [when.versions],
    run: async (exam) => {
      const { name, from, to } = await claimed(exam)
      const third = exam.value('third')
      await exam.provider.promote(name, { to, from }, exam.call())
      await exam.settle()

      const { outcome } = await exam.provider.write(exam.claim(name, to, third, { epoch: 3, operation: exam.operation('rotate', 3) }), exam.call())
      await exam.settle()

      assert.equal(outcome, 'written')
      assert.equal(await exam.text(name, { stage: 'pending' }), third)
    },
  }),
  examCase({
    id: 'promote.other-instance',
    title: 'lets another instance see the claim and finish it',
    can: ['write', 'promote', 'describe'],
    where: [when.versions],
    run: async (exam) => {
      const { name, second, from, to } = await claimed(exam)
      const other = (await exam.reopen()) as Claiming['provider'] & { describe: NonNullable<Claiming['provider']['describe']> }
      const facts = await other.describe(name, exam.call())

      await other.promote(name, { to, from }, exam.call())
      await exam.settle()

      assert.equal(pendingOf(facts)?.id, to)
      assert.equal(await exam.text(name), second)
    },
  }),
  examCase({
    id: 'promote.against-tombstone',
    title: 'lets one of a promotion and a tombstone win when both are sent at once',
    can: ['write', 'promote'],
    where: [when.versions, when.guarded],
    run: async (exam) => {
      const { name, second, from, to } = await claimed(exam)
      const tombstone = exam.value('tombstone')
      const other = await exam.reopen()
      const bury = exam.request(name, tombstone, { expect: { version: from }, before: from, epoch: 2, operation: exam.operation('delete', 2) })

      const [promoted, buried] = await Promise.allSettled([exam.provider.promote(name, { to, from }, exam.call()), other.write(bury, exam.call())])
      await exam.settle()

      const winners = [promoted.status === 'fulfilled' ? second : '', buried.status === 'fulfilled' ? tombstone : ''].filter((value) => value !== '')
      assert.deepEqual(winners, [await exam.text(name)])
    },
  }),
]

const ending: readonly ExamCase[] = [
  examCase({
    id: 'claim.tombstone-over',
    title: 'writes a tombstone while a claim stands',
    can: ['write', 'promote'],
    where: [when.versions],
    run: async (exam) => {
      const { name, first, from } = await claimed(exam)
      const tombstone = exam.value('tombstone')

      await exam.replace(name, from, tombstone, { operation: exam.operation('delete', 2) })

      assert.equal(await exam.text(name), tombstone)
      assert.equal(await exam.text(name, { stage: 'previous' }), first)
    },
  }),
  examCase({
    id: 'discard.claim',
    title: 'ends a claim for good and leaves the current value',
    can: ['write', 'promote', 'discard'],
    where: [when.versions],
    run: async (exam) => {
      const { name, first, to } = await claimed(exam)

      await exam.provider.discard(name, to, exam.call())
      await exam.settle()

      await exam.fails(exam.provider.read(name, { stage: 'pending' }, exam.call()), 'not_found')
      assert.equal(await exam.text(name), first)
    },
  }),
  examCase({
    id: 'discard.frees',
    title: 'leaves room for another claim',
    can: ['write', 'promote', 'discard'],
    where: [when.versions],
    run: async (exam) => {
      const { name, from, to } = await claimed(exam)
      const third = exam.value('third')
      await exam.provider.discard(name, to, exam.call())
      await exam.settle()

      const { version } = await exam.provider.write(exam.claim(name, from, third, { epoch: 3, operation: exam.operation('rotate', 3) }), exam.call())
      await exam.settle()
      await exam.provider.promote(name, { to: version?.id ?? '', from }, exam.call())
      await exam.settle()

      assert.equal(await exam.text(name), third)
    },
  }),
  examCase({
    id: 'discard.repeated',
    title: 'succeeds when there is nothing to discard, and changes nothing, the etag included',
    can: ['write', 'promote', 'discard'],
    where: [when.versions],
    run: async (exam) => {
      const { name, first, to } = await claimed(exam)
      await exam.provider.discard(name, to, exam.call())
      await exam.settle()
      const before = await exam.opened.provider.describe?.(name, exam.call())

      await exam.provider.discard(name, to, exam.call())
      await exam.settle()

      assert.equal(await exam.text(name), first)
      assert.deepEqual(await exam.opened.provider.describe?.(name, exam.call()), before)
    },
  }),
  examCase({
    id: 'discard.current',
    title: 'never discards the current version',
    can: ['write', 'discard'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const value = exam.value()
      const version = await exam.create(name, value)

      await exam.fails(exam.provider.discard(name, version, exam.call()), 'conflict')

      assert.equal(await exam.text(name), value)
    },
  }),
  examCase({
    id: 'discard.previous',
    title: 'ends the stage previous for good',
    can: ['write', 'discard'],
    where: [when.versions],
    run: async (exam) => {
      const name = exam.name()
      const second = exam.value('second')
      const one = await exam.create(name, exam.value('first'))
      await exam.replace(name, one, second)

      await exam.provider.discard(name, one, exam.call())
      await exam.settle()

      await exam.fails(exam.provider.read(name, { stage: 'previous' }, exam.call()), 'not_found')
      assert.equal(await exam.text(name), second)
    },
  }),
]

/** Claim, promote, discard. */
export const claimCases: readonly ExamCase[] = [...claiming, ...promoting, ...ending]
