// What one more provider costs: a committed patch, applied to a copy of the house, and the exam run there. A patch that no longer applies, or a provider that
// no longer passes, fails here before anybody outside finds out.
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../../..')
const patch = join(import.meta.dirname, 'doppler.patch')

interface Change {
  readonly file: string
  readonly made: boolean
  readonly added: number
  readonly removed: number
}

/** What a unified diff changes, file by file. */
const changesOf = (text: string): readonly Change[] =>
  text.split(/^(?=diff --git )/m).filter((part) => part !== '').map((part) => {
    const lines = part.split('\n')
    const counted = (sign: '+' | '-'): number => lines.filter((line) => line.startsWith(sign) && !line.startsWith(sign.repeat(3))).length
    return { file: /^\+\+\+ b\/(.+)$/m.exec(part)?.[1] ?? '', made: part.includes('\nnew file mode'), added: counted('+'), removed: counted('-') }
  })

/** A copy of what the exam needs, with the packages of this checkout. */
const copyOfTheHouse = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-new-provider-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  for (const part of ['shared', 'examples', 'package.json', 'tsconfig.json', 'vitest.config.ts', 'test/conformance', 'test/fakes', 'test/shapes', 'test/support', 'test/fixtures']) await cp(join(root, part), join(folder, part), { recursive: true })
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'), 'dir')
  return folder
}

describe('one more provider', () => {
  it('is one file, two lines, and a harness with its fake', async ({ task }) => {
    const changes = changesOf(await readFile(patch, 'utf8'))
    const edited = changes.filter(({ made }) => !made)
    task.meta.report = `files changed to add one more provider: ${edited.length} by one line each (${edited.map(({ file }) => file).join(', ')}), ${changes.length - edited.length} new (${changes.filter(({ made }) => made).map(({ file, added }) => `${file}, ${added} lines`).join('; ')})`

    expect(changes.map(({ file, made }) => [file, made])).toEqual([
      ['shared/providers/doppler.ts', true],
      ['shared/providers/registry.ts', false],
      ['test/conformance/harnesses/doppler.ts', true],
      ['test/conformance/providers.test.ts', false],
    ])
    expect(edited.map(({ added, removed }) => [added, removed])).toEqual([[1, 0], [1, 0]])
  })

  it('applies to this house and passes the exam there', { timeout: 240_000 }, async () => {
    const folder = await copyOfTheHouse()
    await run('git', ['apply', '-C1', patch], { cwd: folder, env: { PATH: process.env['PATH'], GIT_CEILING_DIRECTORIES: tmpdir() } })

    const { stdout } = await run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', 'test/conformance/providers.test.ts', '-t', 'the exam of doppler', '--no-color'], { cwd: folder, env: { PATH: process.env['PATH'], HOME: folder }, maxBuffer: 16_777_216 })

    expect(stdout).toMatch(/^doppler +healthy +(\d\d+)\/\1 /m)
    expect(stdout).toMatch(/^doppler +faulted +(\d\d+)\/\1 /m)
    expect(stdout).toMatch(/\n\d+ passed, 0 failed\n$/)
  })
})
