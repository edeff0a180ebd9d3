// P5 as a count: what the other providers may cost the AWS read is their own lines of the registry, and what the parts of the
// core that they share with it (names, mostly) grow by, which is bounded.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { bundle } from '../../functions/build/bundle.ts'
import { partsOf, type Part } from '../../functions/build/parts.ts'

const row = { host: 'lambda', entry: 'read' } as const
const folder = mkdtempSync(join(tmpdir(), 'latchkey-registered-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const readPath = async (only?: readonly string[]): Promise<readonly Part[]> => partsOf(await bundle(row, folder, only), row).filter(({ name }) => ['entry', 'aws-secrets-manager'].includes(name))

describe('the AWS read', () => {
  it('loads the same modules whether or not the other providers are registered, and hardly more bytes than their lines of the registry', { timeout: 60_000 }, async () => {
    const [all, alone] = [await readPath(), await readPath(['aws_secret_manager'])]

    const modules = (parts: readonly Part[]): readonly string[] => parts.flatMap(({ name, inputs }) => [...inputs].map((input) => `${name}: ${input}`)).toSorted()
    const bytes = (parts: readonly Part[]): number => parts.reduce((sum, part) => sum + part.bytes, 0)
    const lines = [...readFileSync(join(import.meta.dirname, '../../shared/providers/registry.ts'), 'utf8').matchAll(/^ {2}\w+: \(\) => import\(/gm)].length - 1
    expect(modules(all)).toEqual(modules(alone))
    expect(bytes(all) - bytes(alone)).toBeLessThanOrEqual(lines * 110 + 2_624)
    console.log(`P5 count: the AWS read loads ${bytes(alone)} bytes in ${modules(alone).length} modules; with ${lines} more providers registered ${bytes(all) - bytes(alone)} bytes more`)
  })
})
