// The exam under vitest: one test a case, run against whatever a harness opens. Methods and traits decide what applies; what does not is printed with its reason.
import { describe, expect, it } from 'vitest'
import { runCase } from './exam.ts'
import { count, emptyResult, examCases, planExam, runDeviation } from './exam-cases.ts'
import type { Harness } from './harness.ts'

/** Examines one provider. Its whole test file may be one line of this. */
export const providerConformance = (name: string, harness: Harness, options: { readonly timeout?: number } = {}): void => {
  describe(`the exam of ${name}`, { ...(options.timeout !== undefined && { timeout: options.timeout }) }, async () => {
    const plan = await planExam(harness)
    const result = emptyResult(name, plan)

    it('has the capabilities that it must have', () => {
      expect(plan.lacking).toEqual([])
    })

    it('deviates only in cases that exist and apply', () => {
      expect(plan.strangers).toEqual([])
    })

    for (const one of plan.applying) {
      const deviation = plan.deviations.get(one.id)
      it(deviation === undefined ? `${one.id}: ${one.title}` : `${one.id} still deviates: ${deviation.reason}`, async () => {
        if (deviation !== undefined) return runDeviation(one, harness)
        const passed = await runCase(one, harness).then(
          () => undefined,
          (error: unknown) => ({ error }),
        )
        count(result, one, passed === undefined)
        if (passed !== undefined) throw passed.error
      })
    }

    it('says what was left out, and why', ({ task }) => {
      task.meta.exam = result

      expect(plan.applying.length + [...plan.missing.values()].flat().length).toBe(examCases.length)
    })
  })
}
