// The exam is examined: every wrong provider must fail the case that exists for it, which the right one passes.
import { describe, expect, it } from 'vitest'
import { runCase } from './exam.ts'
import { memoryHarness } from './harnesses/memory.ts'
import { caseNamed, count, emptyResult, examCases, examReasons, examTable, planExam, runDeviation, subjectOf, subjects } from './exam-cases.ts'
import { wrongGrown } from './wrong-growing.ts'
import { wrongReaders } from './wrong-reading.ts'
import { wrongWriters } from './wrong-writing.ts'

const wrongProviders = [...wrongReaders, ...wrongWriters, ...wrongGrown]
const verdict = (id: string, harness = memoryHarness()): Promise<string> =>
  runCase(caseNamed(id), harness).then(
    () => 'passes',
    () => 'fails',
  )

describe('a wrong provider that', () => {
  it.each(wrongProviders)('$wrong fails $case', async ({ case: id, wrap }) => {
    const right = await verdict(id)
    const wrong = await verdict(id, memoryHarness({ wrap }))

    expect({ right, wrong }).toEqual({ right: 'passes', wrong: 'fails' })
  })
})

describe('the exam', () => {
  it('is examined by at least 45 wrong providers, each wrong in its own way', ({ task }) => {
    task.meta.report = `exam  ${wrongProviders.length} wrong providers, each caught by the case that exists for it (${new Set(wrongProviders.map(({ case: id }) => id)).size} cases)`

    expect(wrongProviders.length).toBeGreaterThanOrEqual(45)
    expect(new Set(wrongProviders.map(({ wrong }) => wrong)).size).toBe(wrongProviders.length)
  })

  it('has at least 120 cases, no two with one id, each with a title', () => {
    const ids = examCases.map(({ id }) => id)

    expect(ids.length).toBeGreaterThanOrEqual(120)
    expect(new Set(ids).size).toBe(ids.length)
    expect(examCases.filter(({ id, title }) => !/^[a-z]+(\.[a-z0-9_-]+)+$/.test(id) || title === '')).toEqual([])
  })

  it('knows no case by a name it does not have', () => {
    expect(() => caseNamed('read.everything')).toThrow('The exam has no case read.everything.')
  })

  it('fails a deviation that is cured', async () => {
    await expect(runDeviation(caseNamed('read.missing'), memoryHarness())).rejects.toThrow('read.missing no longer deviates')
  })

  it('lets a deviation stand that still deviates', async () => {
    const deviating = wrongReaders.filter((wrong) => wrong.case === 'read.missing')

    await Promise.all(deviating.map(({ wrap }) => runDeviation(caseNamed('read.missing'), memoryHarness({ wrap }))))

    expect(deviating).toHaveLength(1)
  })

  it('prints a line for each half, what was left out by reason, and what deviates by id', async () => {
    const deviations = [{ case: 'read.empty', reason: 'accepts it' }]
    const result = emptyResult('some', { ...(await planExam(memoryHarness())), missing: new Map([['needs the capability list', ['list.pages', 'list.prefix']]]), deviations: new Map([['read.empty', deviations[0] ?? { case: '', reason: '' }]]) })
    for (const [id, passed] of [['read.missing', true], ['fault.reset.read-many', true], ['fault.reset.create', false], ['claim.second', true]] as const) count(result, caseNamed(id), passed)

    expect([...examTable([result]).split('\n'), ...examReasons([result])]).toEqual([
      'exam of  half     read  write  rotate  delete  list  batch  all  left out  deviating',
      'some     healthy   1/1      -     1/1       -     -      -  2/2         2          1',
      'some     faulted     -    0/1       -       -     -    1/1  1/2',
      '  left out, needs the capability list: some (list.pages, list.prefix)',
      '  deviates, accepts it: some (read.empty)',
    ])
  })

  it('has cases about every subject of the table', () => {
    const about = new Set(examCases.map(subjectOf))

    expect([...subjects].filter((subject) => !about.has(subject))).toEqual([])
  })
})
