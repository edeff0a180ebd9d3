// What events need of a provider: whose a resource name is, and a rotation that the service itself drives. Both ask the service and believe nothing else.
import assert from 'node:assert/strict'
import { SecretValue } from '../../../shared/core/secret.ts'
import type { ExamProvider } from '../harness.ts'
import { examCase, type Condition, type ExamCase } from '../exam.ts'

const located: Condition = { says: 'the provider can tell whose a resource name is (locate), and the harness knows the name', holds: (_, { provider, resourceOf }) => provider.locate !== undefined && resourceOf !== undefined }
const stepped: Condition = { says: 'the service drives rotations by steps (stepRotation), and the harness can begin one', holds: (_, { provider, begin }) => provider.stepRotation !== undefined && begin !== undefined }

const steps = ({ provider }: ExamProvider) => {
  assert.ok(provider.stepRotation !== undefined)
  return provider.stepRotation
}

/** `locate` and `stepRotation`. */
export const steppedCases: readonly ExamCase[] = [
  examCase({
    id: 'locate.own',
    title: 'finds the secret that a resource name means, under our name',
    can: ['write', 'describe'],
    where: [located],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value())

      const found = await exam.opened.provider.locate?.(await exam.opened.resourceOf?.(name) ?? '', exam.call())

      assert.equal(found?.name.text, name.text)
      assert.deepEqual(found, { ...(await exam.facts(name)), name: found?.name })
    },
  }),
  examCase({
    id: 'locate.foreign',
    title: 'finds nothing under a resource name of another place, of nothing, or that is none',
    can: ['write'],
    where: [located],
    run: async (exam) => {
      const name = exam.name()
      await exam.put(name, exam.value())
      const own = await exam.opened.resourceOf?.(name) ?? ''
      const others = [...(exam.opened.foreignTo?.(own) ?? []), `${own}x`, own.slice(0, -1), '', '../', name.text, 'x'.repeat(4_000)]

      for (const other of others) assert.equal(await exam.opened.provider.locate?.(other, exam.call()), undefined)
    },
  }),
  examCase({
    id: 'step.reserved',
    title: 'knows a reserved version as pending and without a value, by whom the rotation is, and a version that there is not as absent',
    can: ['write'],
    where: [stepped],
    run: async (exam) => {
      const name = exam.name()
      await exam.create(name, exam.value())
      const { resource, version, handler } = await exam.opened.begin?.(name) ?? { resource: '', version: '', handler: '' }

      const state = await steps(exam.opened).describe(resource, version, exam.call())

      assert.deepEqual([state?.enabled, state?.handler, state?.stage], [true, handler, 'pending'])
      assert.equal(await steps(exam.opened).read(name, version, exam.call()), undefined)
      assert.equal((await steps(exam.opened).describe(resource, version.replace(/.$/, (last) => (last === '0' ? '1' : '0')), exam.call()))?.stage, 'absent')
    },
  }),
  examCase({
    id: 'step.once',
    title: 'keeps the first value that is put, claims the epoch with it, and meets conflict while another claim stands',
    can: ['write', 'describe'],
    where: [stepped],
    run: async (exam) => {
      const [name, value] = [exam.name(), exam.value('pending')]
      const from = await exam.create(name, exam.value())
      const { version } = await exam.opened.begin?.(name) ?? { version: '' }
      const operation = exam.operation('rotate', 2)

      const first = await steps(exam.opened).write(name, { version, value: SecretValue.of(value), operation }, exam.call())
      const second = await steps(exam.opened).write(name, { version, value: SecretValue.of(exam.value('another')), operation }, exam.call())

      assert.deepEqual([first, second], ['written', 'same_operation'])
      assert.equal((await steps(exam.opened).read(name, version, exam.call()))?.reveal(), value)
      assert.deepEqual((await exam.facts(name)).versions?.filter(({ stages }) => stages.includes('pending')).map(({ id, operation: by, epoch }) => [id, by, epoch]), [[version, operation, 2]])
      await exam.fails(exam.provider.write(exam.claim(name, from, exam.value('a claim')), exam.call()), 'conflict')
    },
  }),
  examCase({
    id: 'step.claimed',
    title: 'puts nothing of a key while a claim of ours stands, and claims once that is gone',
    can: ['write', 'discard', 'describe'],
    where: [stepped],
    run: async (exam) => {
      const name = exam.name()
      const from = await exam.create(name, exam.value())
      const claim = await exam.provider.write(exam.claim(name, from, exam.value('a claim')), exam.call())
      const { version } = await exam.opened.begin?.(name) ?? { version: '' }
      const put = { version, value: SecretValue.of(exam.value('pending')), operation: exam.operation('rotate', 2) }

      await exam.fails(steps(exam.opened).write(name, put, exam.call()), 'conflict')
      await exam.provider.discard(name, claim.version?.id ?? '', exam.call())
      await steps(exam.opened).write(name, put, exam.call())

      assert.deepEqual((await exam.facts(name)).versions?.filter(({ stages }) => stages.includes('pending')).map(({ id }) => id), [version])
    },
  }),
  examCase({
    id: 'step.finish',
    title: 'makes the version current if the one before still is, again is success, and leaves the service its own mark',
    can: ['write', 'describe'],
    where: [stepped],
    run: async (exam) => {
      const [name, value] = [exam.name(), exam.value('pending')]
      const from = await exam.create(name, exam.value())
      const { version } = await exam.opened.begin?.(name) ?? { version: '' }
      await steps(exam.opened).write(name, { version, value: SecretValue.of(value), operation: exam.operation('rotate', 2) }, exam.call())

      await exam.fails(steps(exam.opened).finish(name, { to: version, from: version.replace(/.$/, (last) => (last === '0' ? '1' : '0')) }, exam.call()), 'conflict')
      await steps(exam.opened).finish(name, { to: version, from }, exam.call())
      await steps(exam.opened).finish(name, { to: version, from }, exam.call())

      const { current, versions } = await exam.facts(name)
      assert.deepEqual([current?.id, current?.epoch, versions?.find(({ stages }) => stages.includes('previous'))?.id], [version, 2, from])
      assert.equal(await exam.text(name), value)
      // The next claim of ours finds nothing in its way.
      await exam.provider.write(exam.claim(name, version, exam.value('next'), { epoch: 3, operation: exam.operation('rotate', 3) }), exam.call())
    },
  }),
]
