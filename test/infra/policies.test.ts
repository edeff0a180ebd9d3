// What each role can do, and above all what it cannot: questions to the evaluator over the policies of one sample configuration, in every mode.
import { describe, expect, it } from 'vitest'
import { checks } from './support/checks.ts'
import { makeSubject } from './support/subject.ts'

const subject = await makeSubject()

describe('the policies', () => {
  it.each(Object.keys(checks))('%s', (title) => {
    expect(checks[title]?.(subject)).toEqual([])
  })
})
