// The exam: one list of cases, run against whatever a harness opens. Methods and traits decide what applies; what does not is printed with its reason.
// Cases are keyed by id for deviations and wrong providers, so that a changed title never loosens anything.
import { describe, expect, it } from 'vitest'
import { claimCases } from './cases/claims.ts'
import { faultCases } from './cases/faults.ts'
import { labelCases } from './cases/labels.ts'
import { listingCases } from './cases/listing.ts'
import { nameCases } from './cases/names.ts'
import { readingCases } from './cases/reading.ts'
import { removingCases } from './cases/removing.ts'
import { versionCases } from './cases/versions.ts'
import { writingCases } from './cases/writing.ts'
import { leftOut, runCase, type ExamCase } from './exam.ts'
import type { Harness } from './harness.ts'

/** Every case, as data: for the exam, for the peers, and for whoever examines the exam. */
export const examCases: readonly ExamCase[] = [...readingCases, ...nameCases, ...writingCases, ...versionCases, ...claimCases, ...labelCases, ...removingCases, ...listingCases, ...faultCases]

/** A case by its id. @throws when there is none, so that a mistyped id never passes for a case. */
export const caseNamed = (id: string): ExamCase => {
  const found = examCases.find((one) => one.id === id)
  if (found === undefined) throw new Error(`The exam has no case ${id}.`)
  return found
}

const halfOf = (one: ExamCase): 'healthy' | 'faulted' => (one.fault === undefined ? 'healthy' : 'faulted')

/** Runs a case that is known to fail. @throws when it passes: the deviation is cured and its line must go. */
export const runDeviation = async (one: ExamCase, harness: Harness): Promise<void> => {
  const failed = await runCase(one, harness).then(
    () => false,
    () => true,
  )
  if (!failed) throw new Error(`${one.id} no longer deviates: take it off the list.`)
}

/** One line of the exam's table, and under it what was left out, by reason. */
export const examReport = (name: string, counts: Readonly<Record<'healthy' | 'faulted', readonly [passed: number, ran: number]>>, missing: ReadonlyMap<string, readonly string[]>, deviating: readonly { case: string; reason: string }[]): string => {
  const left = [...missing.values()].flat().length
  const half = (which: 'healthy' | 'faulted') => `${which} ${counts[which].join('/')}`
  const lines = [`exam  ${name.padEnd(24)} ${half('healthy').padEnd(16)} ${half('faulted').padEnd(16)} left out ${String(left).padEnd(4)} deviating ${deviating.length}`]
  for (const [reason, ids] of missing) lines.push(`        left out, ${reason}: ${ids.length > 6 ? `${ids.length} cases, ${ids.slice(0, 4).join(', ')}, …` : ids.join(', ')}`)
  for (const { case: id, reason } of deviating) lines.push(`        deviates in ${id}: ${reason}`)
  return lines.join('\n')
}

/** Examines one provider. Its whole test file may be one line of this. */
export const providerConformance = (name: string, harness: Harness, options: { readonly timeout?: number } = {}): void => {
  describe(`the exam of ${name}`, { ...(options.timeout !== undefined && { timeout: options.timeout }) }, async () => {
    const opened = await harness.open()
    const deviations = new Map((harness.deviations ?? []).map((deviation) => [deviation.case, deviation]))
    const counts = { healthy: [0, 0] as [number, number], faulted: [0, 0] as [number, number] }
    const missing = new Map<string, string[]>()
    const applying: ExamCase[] = []
    for (const one of examCases) {
      const reason = leftOut(one, opened, harness)
      if (reason === undefined) applying.push(one)
      else missing.set(reason, [...(missing.get(reason) ?? []), one.id])
    }
    const lacking = harness.mustHave.filter((capability) => opened.provider[capability] === undefined)
    const strangers = [...deviations.keys()].filter((id) => !applying.some((one) => one.id === id))
    await opened.close()

    it('has the capabilities that it must have', () => {
      expect(lacking).toEqual([])
    })

    it('deviates only in cases that exist and apply', () => {
      expect(strangers).toEqual([])
    })

    for (const one of applying) {
      const deviation = deviations.get(one.id)
      it(deviation === undefined ? `${one.id}: ${one.title}` : `${one.id} still deviates: ${deviation.reason}`, async () => {
        const count = counts[halfOf(one)]
        if (deviation !== undefined) return runDeviation(one, harness)
        count[1] += 1
        await runCase(one, harness)
        count[0] += 1
      })
    }

    it('says what was left out, and why', ({ task }) => {
      task.meta.report = examReport(name, counts, missing, harness.deviations ?? [])

      expect(applying.length + [...missing.values()].flat().length).toBe(examCases.length)
    })
  })
}
