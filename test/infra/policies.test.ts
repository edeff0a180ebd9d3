// What each role can do, and above all what it cannot: questions to the evaluator over the policies of one sample configuration, in every mode.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { accessRows, accessTable } from './support/access-table.ts'
import { checks } from './support/checks.ts'
import { makeSubject } from './support/subject.ts'

const subject = await makeSubject()

describe('the policies', () => {
  it.each(Object.keys(checks))('%s', (title) => {
    expect(checks[title]?.(subject)).toEqual([])
  })
})

describe('the table of who can do what', () => {
  it.each(accessRows.map((row) => [`${row.role}: ${row.action} on ${row.on} is ${row.wanted}`, row] as const))('%s', (_title, { answer, wanted }) => {
    expect(answer(subject) ? 'allowed' : 'denied').toBe(wanted)
  })

  it('prints every question with the answer of the evaluator', () => {
    const table = accessTable(subject)

    expect(table.split('\n').filter((line) => line.includes('| **denied** |')).map((line) => line.split(' | ').at(-1)?.split('; ').length ?? 0).reduce((sum, count) => sum + count, 0)).toBe(accessRows.filter(({ wanted }) => wanted === 'denied').length)
    expect(table).toContain("| `keys` | `sts:AssumeRole` | **denied** | any other role; a listed role of another account, without an external id |")
  })

  it('stands in the README as the evaluator answers it', () => {
    expect(readFileSync('README.md', 'utf8')).toContain(accessTable(subject))
  })
})

describe('P19', () => {
  const templates = { access: subject.access, federation: subject.federation }

  it.each(Object.entries(templates))('no secret stands in the %s template, and none is a parameter', (_name, template) => {
    const text = JSON.stringify(template)

    expect(text).not.toMatch(/SecretString|NoEcho|AKIA|-----BEGIN|resolve:secretsmanager/)
    expect(Object.keys(template.Parameters ?? {}).filter((name) => /password|token|secret(?!Arns$)/i.test(name))).toEqual([])
  })

  it.each(Object.entries(templates))('no policy of the %s template hangs on a role without a name of its own, or is managed by somebody else', (_name, template) => {
    expect(JSON.stringify(template)).not.toMatch(/:policy\/(?:service-role\/)?[A-Z]|ManagedPolicyArns/)
  })
})
