// What stands between a provider and its service may answer in the service's place: a proxy's page, a guest network's sign-in, a redirect, a refusal with 200.
// None of it is a value, and none of it an absence.
import assert from 'node:assert/strict'
import type { ErrorCode } from '../../../shared/core/errors.ts'
import { examCase, type ExamCase } from '../exam.ts'
import { nonsenseKinds, type NonsenseKind } from '../harness.ts'
import { says } from './faults.ts'
import { again, assertBetween, named, prepare, reads, type Full, type Operation } from './operations.ts'

const codes: readonly ErrorCode[] = ['provider_unavailable', 'integrity']

const nonsenseRead = (operation: Operation, kind: NonsenseKind): ExamCase =>
  examCase({
    id: `fault.${kind}.${operation.id}`,
    title: `${operation.id} ${says[kind]}: provider_unavailable or integrity, never a value and never not_found`,
    can: operation.can as readonly 'write'[],
    where: operation.where,
    fault: kind,
    run: async (given) => {
      const exam = given as unknown as Full
      const act = await operation.prepare(exam, exam.name(operation.id), { first: exam.value('first'), second: exam.value('second') })
      await exam.break({ kind, echo: exam.value('echo') })

      await exam.fails(act(), ...codes)

      await exam.heal()
      await act()
    },
  })

const nonsenseChange = (operation: Operation, kind: NonsenseKind): ExamCase =>
  examCase({
    id: `fault.${kind}.${operation.id}`,
    title: `${operation.id} ${says[kind]}: provider_unavailable or integrity, never a success, and once more it happens once`,
    can: operation.can as readonly 'write'[],
    where: operation.where,
    fault: kind,
    run: async (given) => {
      const exam = given as unknown as Full
      const scene = await prepare(exam, operation)
      const before = await exam.state(scene.name)
      await exam.break({ kind, echo: exam.value('echo') })

      await exam.fails(scene.act(), ...codes)

      await exam.heal()
      const after = await exam.state(scene.name)
      await again(exam, operation, scene)
      const end = await scene.twin()
      assert.deepEqual(await exam.state(scene.name), end)
      assertBetween(after, before, end)
    },
  })

/** Every read under every nonsense, and the changes whose success must be named by the service itself. */
export const nonsenseCases: readonly ExamCase[] = [
  ...nonsenseKinds.flatMap((kind) => reads.map((operation) => nonsenseRead(operation, kind))),
  ...nonsenseKinds.flatMap((kind) => named('create', 'replace').map((operation) => nonsenseChange(operation, kind))),
]
