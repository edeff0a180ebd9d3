// Each weakening must be seen by the check that is there for it. A subject that nobody weakened is clean: policies.test.ts says so.
import { describe, expect, it } from 'vitest'
import { checks } from './support/checks.ts'
import { policyMutants } from './support/mutants.ts'
import { makeSubject } from './support/subject.ts'

const subject = await makeSubject()

describe('a weakening of the policies', () => {
  it.each(policyMutants)('is seen: $what ($caughtBy)', ({ caughtBy, weaken }) => {
    const mutant = weaken(subject)

    const complaints = Object.entries(checks).flatMap(([title, check]) => (title.startsWith(`${caughtBy}:`) ? check(mutant) : []))

    expect(complaints).not.toEqual([])
  })

  it('exists for every check', () => {
    const numbers = Object.keys(checks).map((title) => title.slice(0, title.indexOf(':')))

    expect(numbers.filter((number) => !policyMutants.some(({ caughtBy }) => caughtBy === number))).toEqual([])
  })
})
