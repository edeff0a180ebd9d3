// The exam's cases as one list, what of them applies to a harness, and how a result is told. It knows no test runner: vitest, `npm run exam` and
// whoever examines the exam stand on it alike. Cases are keyed by id for deviations and wrong providers, so that a changed title never loosens anything.
import type { Capability } from '../../shared/core/provider.ts'
import { cancellingCases } from './cases/cancelling.ts'
import { claimCases } from './cases/claims.ts'
import { faultCases } from './cases/faults.ts'
import { labelCases } from './cases/labels.ts'
import { listingCases } from './cases/listing.ts'
import { nameCases } from './cases/names.ts'
import { nonsenseCases } from './cases/nonsense.ts'
import { readingCases } from './cases/reading.ts'
import { removingCases } from './cases/removing.ts'
import { steppedCases } from './cases/stepped.ts'
import { togetherCases } from './cases/together.ts'
import { versionCases } from './cases/versions.ts'
import { writingCases } from './cases/writing.ts'
import { leftOut, runCase, type ExamCase } from './exam.ts'
import type { Deviation, Harness } from './harness.ts'

/** Every case, as data. */
export const examCases: readonly ExamCase[] = [...readingCases, ...nameCases, ...writingCases, ...versionCases, ...claimCases, ...labelCases, ...removingCases, ...listingCases, ...togetherCases, ...steppedCases, ...faultCases, ...cancellingCases, ...nonsenseCases]

/** A case by its id. @throws when there is none, so that a mistyped id never passes for a case. */
export const caseNamed = (id: string): ExamCase => {
  const found = examCases.find((one) => one.id === id)
  if (found === undefined) throw new Error(`The exam has no case ${id}.`)
  return found
}

/** The halves of the exam. */
export const halves = ['healthy', 'faulted'] as const
export type Half = (typeof halves)[number]
export const halfOf = (one: ExamCase): Half => (one.fault === undefined ? 'healthy' : 'faulted')

/** What a case is about, as the table has it. */
export const subjects = ['read', 'write', 'rotate', 'delete', 'list', 'batch'] as const
export type Subject = (typeof subjects)[number]

const subjectOfWord: Readonly<Record<string, Subject>> = {
  write: 'write', create: 'write', replace: 'write', label: 'write', description: 'write', expiry: 'write', annotate: 'write', tags: 'write',
  claim: 'rotate', step: 'rotate', promote: 'rotate', discard: 'rotate', disable: 'rotate', enable: 'rotate',
  remove: 'delete', recover: 'delete',
  list: 'list',
  batch: 'batch', 'read-many': 'batch',
}

/** By the first word of the case's id, or by the operation that a fault strikes; everything else is reading. */
export const subjectOf = ({ id }: ExamCase): Subject => {
  const words = id.split('.')
  return subjectOfWord[words[0] === 'fault' ? (words[2] ?? '') : (words[0] ?? '')] ?? 'read'
}

/** What of the exam applies to a harness. */
export interface ExamPlan {
  readonly applying: readonly ExamCase[]
  /** Ids of the cases left out, by reason. */
  readonly missing: ReadonlyMap<string, readonly string[]>
  /** Capabilities that the provider must have and has not. */
  readonly lacking: readonly Capability[]
  /** Deviations that name no case that applies. */
  readonly strangers: readonly string[]
  readonly deviations: ReadonlyMap<string, Deviation>
}

/** Opens once and decides. */
export const planExam = async (harness: Harness): Promise<ExamPlan> => {
  const opened = await harness.open()
  const deviations = new Map((harness.deviations ?? []).map((deviation) => [deviation.case, deviation]))
  const missing = new Map<string, string[]>()
  const applying: ExamCase[] = []
  for (const one of examCases) {
    const reason = leftOut(one, opened, harness)
    if (reason === undefined) applying.push(one)
    else missing.set(reason, [...(missing.get(reason) ?? []), one.id])
  }
  const lacking = harness.mustHave.filter((capability) => opened.provider[capability] === undefined)
  await opened.close()
  return { applying, missing, lacking, strangers: [...deviations.keys()].filter((id) => !applying.some((one) => one.id === id)), deviations }
}

/** Runs a case that is known to fail. @throws when it passes: the deviation is cured and its line must go. */
export const runDeviation = async (one: ExamCase, harness: Harness): Promise<void> => {
  const failed = await runCase(one, harness).then(
    () => false,
    () => true,
  )
  if (!failed) throw new Error(`${one.id} no longer deviates: take it off the list.`)
}

/** How many of the cases that ran passed. */
export type Count = [passed: number, ran: number]

/** What an exam came to. Plain data, so that it travels between processes. */
export interface ExamResult {
  readonly name: string
  readonly counts: Readonly<Record<Half, Record<Subject, Count>>>
  readonly missing: readonly (readonly [reason: string, ids: readonly string[]])[]
  readonly deviations: readonly Deviation[]
}

/** A result before anything has run; count into it. */
export const emptyResult = (name: string, plan: ExamPlan): ExamResult => {
  const none = (): Record<Subject, Count> => Object.fromEntries(subjects.map((subject) => [subject, [0, 0]])) as unknown as Record<Subject, Count>
  return { name, counts: { healthy: none(), faulted: none() }, missing: [...plan.missing], deviations: [...plan.deviations.values()] }
}

/** Counts one case that ran. */
export const count = (result: ExamResult, one: ExamCase, passed: boolean): void => {
  const cell = result.counts[halfOf(one)][subjectOf(one)]
  cell[1] += 1
  if (passed) cell[0] += 1
}

const sum = (counts: readonly Count[]): Count => counts.reduce(([passed, ran], [more, runs]) => [passed + more, ran + runs], [0, 0])
const cellOf = ([passed, ran]: Count): string => (ran === 0 ? '-' : `${passed}/${ran}`)

/** The printed table: one line a provider and half, passed of ran by subject. */
export const examTable = (results: readonly ExamResult[]): string => {
  const rows = results.flatMap(({ name, counts, missing, deviations }) => {
    const left = missing.reduce((total, [, ids]) => total + ids.length, 0)
    return halves
      .map((half) => ({ half, cells: [...subjects.map((subject) => counts[half][subject]), sum(Object.values(counts[half]))] }))
      .filter(({ half, cells }) => half === 'healthy' || (cells.at(-1)?.[1] ?? 0) > 0)
      .map(({ half, cells }) => [name, half, ...cells.map(cellOf), ...(half === 'healthy' ? [String(left), String(deviations.length)] : ['', ''])])
  })
  const table = [['exam of', 'half', ...subjects, 'all', 'left out', 'deviating'], ...rows]
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  return table.map((row) => row.map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ').trimEnd()).join('\n')
}

const shortly = (ids: readonly string[]): string => (ids.length > 4 ? `${ids.length} cases` : ids.join(', '))

const byReason = (entries: readonly (readonly [reason: string, name: string, ids: readonly string[]])[], how: string): readonly string[] => {
  const grouped = Map.groupBy(entries, ([reason]) => reason)
  return [...grouped].map(([reason, found]) => `  ${how}, ${reason}: ${found.map(([, name, ids]) => `${name} (${shortly(ids)})`).join('; ')}`)
}

/** What was left out and why, and what deviates and why: one line a reason. */
export const examReasons = (results: readonly ExamResult[]): readonly string[] => [
  ...byReason(results.flatMap(({ name, missing }) => missing.map(([reason, ids]) => [reason, name, ids] as const)), 'left out'),
  ...byReason(results.flatMap(({ name, deviations }) => [...Map.groupBy(deviations, ({ reason }) => reason)].map(([reason, found]) => [reason, name, found.map(({ case: id }) => id)] as const)), 'deviates'),
]
