// The README is true: its generated parts are fresh, its commands and its program run as they stand, and what it points at is there.
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generate } from '../../functions/docs.ts'
import { errorCodes } from '../../shared/core/errors/codes.ts'
import { ServerFolder, type ServerProcess } from '../hosts/server-process.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')

const blocks = (language: string): readonly string[] => [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, text]) => text ?? '')

describe('the README', () => {
  it('has every generated part, fresh', async () => {
    expect(await generate(readme)).toBe(readme)
  })

  it('would be found stale', async () => {
    const stale = readme.replace('| `GET /health` |', '| `GET /healthy` |')

    expect(stale).not.toBe(readme)
    expect(await generate(stale)).toBe(readme)
  })

  it('refuses a part that nobody generates, and misses one that is not there', async () => {
    await expect(generate(`${readme}\n<!-- generated:nonsense -->\n<!-- /generated -->\n`)).rejects.toThrow(/nonsense is no part/)
    await expect(generate('# Latchkey\n')).rejects.toThrow(/generated:errors is nowhere/)
  })

  it('has one heading for every error code, and none for another, each with its status', () => {
    const headings = [...readme.matchAll(/^### `(\w+)`\n\n(\d{3})/gm)].map(([, code, status]) => [code, Number(status)])

    expect(headings).toEqual(Object.entries(errorCodes).map(([code, { status }]) => [code, status]))
  })

  it('points only at files and headings that are there', () => {
    const targets = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target ?? '').filter((target) => !target.startsWith('http'))
    const anchors = new Set([...readme.matchAll(/^#+ (.+)$/gm)].map(([, title]) => `#${(title ?? '').toLowerCase().replaceAll(/[^\w\- ]/g, '').replaceAll(' ', '-')}`))

    expect(targets.filter((target) => (target.startsWith('#') ? !anchors.has(target) : !existsSync(join(root, target.replace(/#.*/, '')))))).toEqual([])
  })

  it('names only scripts that there are', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
    const named = [...readme.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name ?? '')

    expect(named.filter((name) => scripts[name] === undefined)).toEqual([])
  })

  it('names only files that there are, and the provider that a reader is asked to write', () => {
    const named = [...readme.matchAll(/`((?:shared|functions|test|examples)\/[\w./-]+\.(?:ts|yaml|md))`/g)].map(([, path]) => path ?? '')

    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual(['shared/providers/keeper.ts'])
  })
})

describe('what the README shows', () => {
  const folder = new ServerFolder()
  let server: ServerProcess
  beforeAll(async () => {
    server = await folder.start()
  })
  afterAll(() => folder.close())

  it('runs as shell commands, in order, against the server of npm start, and every one succeeds', async () => {
    const commands = blocks('bash')
    const env = { PATH: process.env['PATH'] ?? '', LATCHKEY_URL: server.url, LITELLM_MASTER_KEY: server.masterKey }

    const script = ['set -e', 'curl() { command curl --fail-with-body "$@" && echo; }', ...commands].join('\n')
    const { stdout } = await run('bash', ['-c', script], { env })

    expect(commands.length).toBeGreaterThanOrEqual(3)
    expect(stdout.trimEnd().split('\n').length).toBeGreaterThanOrEqual([...commands.join('').matchAll(/^curl /gm)].length)
    expect(stdout).toMatch(/"value":"hello"/)
    expect(stdout).toMatch(/"key":"sk-/)
    expect(stdout).toMatch(/"deleted_keys":/)
  })

  it('runs as a program, against the same store', async () => {
    const programs = blocks('ts').filter((text) => text.includes('import '))

    const printed = await Promise.all(
      programs.map((program) =>
        run(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module-typescript', '--eval', program], {
          cwd: root,
          env: { PATH: process.env['PATH'] ?? '', LATCHKEY_DATA_DIR: join(folder.path, '.latchkey'), LITELLM_MASTER_KEY: server.masterKey },
        }),
      ),
    )

    expect(programs).toHaveLength(1)
    expect(printed.map(({ stdout }) => stdout)).toEqual(['hello'])
  })
})
