// Proof that the linter's rules report: each file below breaks one rule on purpose, is written to a scratch folder under the project's own
// configuration, and must be reported by that rule; the lawful files must not. A step of .ci/run, apart from npm test because oxlint comes by npx.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

interface Plant {
  readonly file: string
  readonly code: string
  /** The rule that must report this file; without one the file is lawful and nothing may. */
  readonly rule?: string
}

const imports = (from: string): string => `import { x } from '${from}'\n\nexport const y = x\n`
const arrow = 'no-restricted-imports'

const plants: readonly Plant[] = [
  { file: 'shared/core/p1.ts', code: imports('../http/app.ts'), rule: arrow },
  { file: 'shared/core/p2.ts', code: imports('../providers/memory.ts'), rule: arrow },
  { file: 'shared/core/p3.ts', code: imports('zod/mini'), rule: arrow },
  { file: 'shared/core/p4.ts', code: imports('node:https'), rule: arrow },
  { file: 'shared/core/p5.ts', code: imports('fast-check'), rule: arrow },
  { file: 'shared/core/configuration/p1.ts', code: imports('../../http/app.ts'), rule: arrow },
  { file: 'shared/http/p1.ts', code: imports('../providers/memory.ts'), rule: arrow },
  { file: 'shared/http/p2.ts', code: imports('zod'), rule: arrow },
  { file: 'shared/http/p3.ts', code: imports('node:http'), rule: arrow },
  { file: 'shared/http/p4.ts', code: imports('../../functions/local/server.ts'), rule: arrow },
  { file: 'shared/http/p5.ts', code: imports('yaml'), rule: arrow },
  { file: 'shared/http/p6.ts', code: imports('../latchkey.ts'), rule: arrow },
  { file: 'shared/providers/p1.ts', code: imports('./memory.ts'), rule: arrow },
  { file: 'shared/providers/p2.ts', code: imports('../core/store.ts'), rule: arrow },
  { file: 'shared/providers/p3.ts', code: imports('../http/app.ts'), rule: arrow },
  { file: 'shared/providers/p5.ts', code: imports('node:http'), rule: arrow },
  { file: 'shared/providers/p6.ts', code: imports('../core/cache.ts'), rule: arrow },
  { file: 'shared/credentials/p1.ts', code: imports('../providers/memory.ts'), rule: arrow },
  { file: 'shared/gateway/p1.ts', code: imports('../credentials/aws.ts'), rule: arrow },
  { file: 'shared/gateway/p2.ts', code: imports('../http/app.ts'), rule: arrow },
  { file: 'shared/gateway/p3.ts', code: imports('zod/mini'), rule: arrow },
  { file: 'shared/gateway/p4.ts', code: imports('node:https'), rule: arrow },
  { file: 'shared/gateway/g1.ts', code: 'export const now = (): number => Date.now()\n', rule: 'no-restricted-properties' },
  { file: 'shared/telemetry/p1.ts', code: imports('../providers/memory.ts'), rule: arrow },
  { file: 'shared/telemetry/p2.ts', code: imports('../../functions/local/server.ts'), rule: arrow },
  { file: 'shared/p1.ts', code: imports('./providers/memory.ts'), rule: arrow },
  { file: 'shared/p2.ts', code: imports('./credentials/aws.ts'), rule: arrow },
  { file: 'functions/p1.ts', code: imports('../shared/providers/embedded.ts'), rule: arrow },
  { file: 'functions/p6.ts', code: "export const open = (): Promise<unknown> => import('../shared/providers/embedded.ts')\n", rule: arrow },
  { file: 'shared/p3.ts', code: "export const open = (): Promise<unknown> => import('./providers/embedded.ts')\n", rule: arrow },
  { file: 'functions/p2.ts', code: imports('../shared/credentials/aws.ts'), rule: arrow },
  { file: 'functions/p3.ts', code: imports('node:http'), rule: arrow },
  { file: 'functions/p4.ts', code: imports('../test/support/runtime.ts'), rule: arrow },
  { file: 'functions/p5.ts', code: imports('undici'), rule: arrow },
  { file: 'shared/core/g1.ts', code: 'export const now = (): number => Date.now()\n', rule: 'no-restricted-properties' },
  { file: 'shared/core/g2.ts', code: 'export const dice = (): number => Math.random()\n', rule: 'no-restricted-properties' },
  { file: 'shared/core/g3.ts', code: 'export const later = (f: () => void): unknown => setTimeout(f, 1)\n', rule: 'no-restricted-globals' },
  { file: 'shared/core/g4.ts', code: 'export const id = (): string => crypto.randomUUID()\n', rule: 'no-restricted-globals' },
  { file: 'shared/core/g5.ts', code: 'export const home = (): string | undefined => process.env.HOME\n', rule: 'no-process-env' },
  { file: 'shared/providers/g1.ts', code: 'export const get = (): Promise<unknown> => fetch("http://127.0.0.1")\n', rule: 'no-restricted-globals' },
  { file: 'shared/providers/g2.ts', code: 'export const now = (): number => Date.now()\n', rule: 'no-restricted-properties' },
  { file: 'functions/g1.ts', code: 'export const answer = (): unknown => new Response("")\n', rule: 'no-restricted-globals' },
  { file: 'functions/g2.ts', code: 'export const print = (): void => console.log("x")\n', rule: 'no-console' },
  { file: 'shared/http/c1.ts', code: `import { b } from './c2.ts'\n\nexport const a = (): unknown => b\n`, rule: 'no-cycle' },
  { file: 'shared/http/c2.ts', code: `import { a } from './c1.ts'\n\nexport const b = (): unknown => a\n`, rule: 'no-cycle' },
  { file: 'shared/core/t1.ts', code: 'const work = async (): Promise<void> => {}\n\nexport const start = (): void => {\n  work()\n}\n', rule: 'no-floating-promises' },
  { file: 'shared/core/t2.ts', code: 'export const read = (x: any): unknown => x\n', rule: 'no-explicit-any' },
  { file: 'shared/core/t3.ts', code: '// TODO later\nexport const x = 1\n', rule: 'no-warning-comments' },
  { file: 'test/v1.test.ts', code: `import { expect, it } from 'vitest'\n\nit.only('runs alone', () => {\n  expect(1).toBe(1)\n})\n`, rule: 'no-focused-tests' },
  { file: 'test/v2.test.ts', code: `import { expect, it } from 'vitest'\n\nit.skip('never runs', () => {\n  expect(1).toBe(1)\n})\n`, rule: 'no-disabled-tests' },
  { file: 'test/v3.test.ts', code: `import { expect, it } from 'vitest'\n\nit('asks sometimes', () => {\n  if (process.pid > 1) expect(1).toBe(1)\n})\n`, rule: 'no-conditional-expect' },
  { file: 'infra/p1.ts', code: imports('../shared/http/app.ts'), rule: arrow },
  { file: 'infra/p2.ts', code: imports('../functions/lambda/open.ts'), rule: arrow },
  { file: 'infra/p3.ts', code: imports('../shared/providers/embedded.ts'), rule: arrow },
  { file: 'infra/p4.ts', code: imports('@aws-sdk/client-sts'), rule: arrow },
  { file: 'infra/p5.ts', code: imports('node:https'), rule: arrow },
  { file: 'shared/core/ok1.ts', code: `import { createHash } from 'node:crypto'\nimport { LatchkeyError } from './errors.ts'\n\nexport const y = [createHash, LatchkeyError]\n` },
  { file: 'shared/core/configuration/ok1.ts', code: `import { LatchkeyError } from '../errors.ts'\n\nexport const y = LatchkeyError\n` },
  { file: 'shared/http/ok1.ts', code: `import * as z from 'zod/mini'\nimport { LatchkeyError } from '../core/errors.ts'\nimport { createHash } from 'node:crypto'\n\nexport const y = [z, LatchkeyError, createHash]\n` },
  {
    file: 'shared/providers/ok1.ts',
    code: `import type { Agent } from 'node:https'\nimport type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager'\nimport { LatchkeyError } from '../core/errors.ts'\nimport { defineProvider } from '../core/provider.ts'\n\nexport const y = [LatchkeyError, defineProvider]\nexport type Z = Agent | SecretsManagerClient\n`,
  },
  { file: 'shared/gateway/ok1.ts', code: `import { LatchkeyError } from '../core/errors.ts'\n\nexport const y = LatchkeyError\n` },
  { file: 'infra/ok1.ts', code: `import { joinPrefix } from '../shared/core/names.ts'\n\nexport const y = joinPrefix\n` },
  { file: 'shared/ok1.ts', code: `import { LatchkeyError } from './core/errors.ts'\n\nexport const y = LatchkeyError\n` },
]

const root = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'latchkey-planted-'))
try {
  for (const part of ['.oxlintrc.json', 'tsconfig.json', 'package.json', 'shared/core']) cpSync(join(root, part), join(folder, part), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  for (const plant of plants) {
    mkdirSync(dirname(join(folder, plant.file)), { recursive: true })
    writeFileSync(join(folder, plant.file), plant.code)
  }
  // What an npm around this one was told (npm exec -c) is no business of the one inside.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_config_(?:call|package)$/i.test(name)))
  let printed: string
  try {
    printed = execFileSync('npm', ['run', '--silent', 'lint', '--', '--format=json'], { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  } catch (error) {
    printed = (error as { stdout: string }).stdout
  }
  const { diagnostics } = JSON.parse(printed) as { diagnostics: readonly { filename: string; code: string }[] }
  const wrong = plants.filter((plant) => {
    const codes = diagnostics.filter((diagnostic) => diagnostic.filename === plant.file).map((diagnostic) => diagnostic.code)
    return plant.rule === undefined ? codes.length > 0 : !codes.some((code) => code.endsWith(`(${plant.rule ?? ''})`))
  })
  for (const plant of wrong) process.stderr.write(`${plant.file}: ${plant.rule === undefined ? 'is lawful and was reported' : `was not reported by ${plant.rule}`}\n`)
  process.stdout.write(`planted violations: ${plants.length - wrong.length} of ${plants.length} as expected\n`)
  process.exitCode = wrong.length === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
