// The end of a run: the exam's table, the sentences that tests left for people to read, and as the last line how many passed and failed.
import { relative } from 'node:path'
import type { Reporter, TestModule } from 'vitest/node'
import { examReasons, examTable, type ExamResult } from '../conformance/exam-cases.ts'

declare module 'vitest' {
  interface TaskMeta {
    /** Lines for people, printed once at the end of the run. */
    report?: string
    /** What an exam came to: a line of the table. */
    exam?: ExamResult
  }
}

const peerLane = /(?:^|\/)test\/peers\/(?!server\.)/

/** In the peer lane: which clients and servers of other people took part, file by file. */
const secondClients = (modules: readonly TestModule[]): readonly string[] => {
  const files = modules.map((module) => ({ file: relative(process.cwd(), module.moduleId).replaceAll('\\', '/'), tests: [...module.children.allTests()] })).filter(({ file }) => peerLane.test(file))
  if (files.length === 0) return []
  const counted = files.map(({ file, tests }) => [file.slice('test/peers/'.length), tests.filter((test) => test.result().state === 'passed').length, tests.length] as const)
  return ['peers and second clients, passed of all tests by file:', ...counted.toSorted().map(([file, passed, all]) => `  ${file.padEnd(44)} ${`${passed}/${all}`.padStart(9)}`)]
}

/** Prints after the reporter that stands before it. */
export class Tally implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const passed = tests.filter((test) => test.result().state === 'passed').length
    const failedTests = tests.filter((test) => test.result().state === 'failed').length
    const brokenFiles = modules.filter((module) => module.state() === 'failed' && module.errors().length > 0).length
    const exams = tests.map((test) => test.meta().exam).filter((exam) => exam !== undefined)
    const table = exams.length === 0 ? [] : [examTable(exams), ...examReasons(exams)]
    const reports = tests.map((test) => test.meta().report).filter((report) => report !== undefined)
    process.on('exit', () => process.stdout.write([...table, ...secondClients(modules), ...reports, `${passed} passed, ${failedTests + brokenFiles + errors.length} failed`].join('\n') + '\n'))
  }
}
