// AWS's own linter over the templates of every kind of deployment, and over the one for the accounts that own secrets. It needs no server, only the environment of Python.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, inject, it } from 'vitest'
import { run } from '../python-peers.ts'

const root = join(import.meta.dirname, '../../..')
const python = inject('python')

describe('cfn-lint', () => {
  if (python === '') {
    it('is left out: there is no Python', () => {
      expect(python).toBe('')
    })
    return
  }
  const scratch = mkdtempSync(join(tmpdir(), 'latchkey-templates-'))
  afterAll(() => rmSync(scratch, { recursive: true, force: true }))
  // W3005: CDK writes dependencies that references make anyway.
  const lint = (...files: readonly string[]): Promise<string> => run(join(dirname(python), 'cfn-lint'), ['--ignore-checks', 'W3005', '--regions', 'eu-central-1', '--format', 'parseable', '--', ...files], { PATH: process.env['PATH'], HOME: scratch })

  it('finds nothing in any template', async () => {
    const paths = (await run(process.execPath, [join(root, 'test/infra/support/write-templates.ts'), scratch], { PATH: process.env['PATH'], HOME: scratch })).trim().split('\n')

    expect(paths.length).toBeGreaterThan(6)
    expect(await lint(...paths, join(root, 'infra/access.template.json'))).toBe('')
  }, 120_000)

  it('finds a property that is none', async () => {
    const path = join(scratch, 'wrong.json')
    writeFileSync(path, readFileSync(join(root, 'infra/access.template.json'), 'utf8').replace('"MaxSessionDuration"', '"MaxSessionLength"'))

    await expect(lint(path)).rejects.toThrow()
  })
})
