// `npm run build` as a command: its table, its exit code, and the configuration that it puts beside the bundles.
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LambdaProcess, recorded } from './lambda-process.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
const token = 'sk-the-master-key-of-a-function-0123456789'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-build-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const build = (config: string): Promise<{ stdout: string }> => {
  writeFileSync(join(folder, 'config.yaml'), config)
  return run(process.execPath, ['functions/build.ts', '--host', 'lambda', '--out', folder, '--config', join(folder, 'config.yaml')], { cwd: root, env: { PATH: process.env['PATH'] ?? '', LITELLM_MASTER_KEY: token } })
}

describe('npm run build', { timeout: 60_000 }, () => {
  it('prints the size of every part, and writes bundles that run with the configuration beside them', async () => {
    const { stdout } = await build('general_settings:\n  master_key: os.environ/LITELLM_MASTER_KEY\nlatchkey:\n  default_store: { system: embedded, access_mode: read_and_write }\n')
    const read = new LambdaProcess(join(folder, 'lambda/read/read.mjs'), { LITELLM_MASTER_KEY: token, LATCHKEY_DATA_DIR: join(folder, 'data') })
    await read.ready()

    const { answer } = await read.invoke(recorded('http-api-get', token))
    await read.close()

    expect(stdout).toMatch(/^lambda +read +entry +[\d.]+ kB$/m)
    expect(stdout).toMatch(/^lambda +keys +aws-secrets-manager +[\d.]+ kB$/m)
    expect(answer?.statusCode).toBe(404)
    expect(readFileSync(join(folder, 'lambda/keys/latchkey.json'), 'utf8')).not.toContain(token)
  })

  it('leaves out the providers that a deployment will never have', async () => {
    const { stdout } = await run(process.execPath, ['functions/build.ts', '--host', 'lambda', '--out', folder, '--only', 'embedded'], { cwd: root })

    expect([...stdout.matchAll(/^lambda +read +([\w-]+) /gm)].map(([, part]) => part)).toEqual(['entry', 'embedded', 'environment', 'zip'])
    await expect(run(process.execPath, ['functions/build.ts', '--out', folder, '--only', 'aws'], { cwd: root })).rejects.toMatchObject({ code: 78, stderr: expect.stringMatching(/--only names aws; there are .*aws_secret_manager/) })
  })

  it('refuses a configuration that a function would refuse, and writes no bundle', async () => {
    const built = build('general_settings:\n  key_management_sytem: aws_secret_manager\nlatchkey:\n  cach: {}\n')

    await expect(built).rejects.toMatchObject({ code: 78, stderr: expect.stringMatching(/latchkey\.cach .*did you mean cache/) })
    expect(existsSync(join(folder, 'lambda'))).toBe(false)
  })
})
