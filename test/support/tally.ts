// The end of a run: the exam's tables, the sentences that tests left for people to read, and as the last line how many passed and failed.
import type { Reporter, TestModule } from 'vitest/node'

declare module 'vitest' {
  interface TaskMeta {
    /** Lines for people, printed once at the end of the run. */
    report?: string
  }
}

/** Prints after the reporter that stands before it. */
export class Tally implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const passed = tests.filter((test) => test.result().state === 'passed').length
    const failedTests = tests.filter((test) => test.result().state === 'failed').length
    const brokenFiles = modules.filter((module) => module.state() === 'failed' && module.errors().length > 0).length
    const reports = tests.map((test) => test.meta().report).filter((report) => report !== undefined)
    process.on('exit', () => process.stdout.write([...reports, `${passed} passed, ${failedTests + brokenFiles + errors.length} failed`].join('\n') + '\n'))
  }
}
