// `latchkey.deployment` in the eyes of what runs: a key that is known, that means nothing there, and that the build leaves out.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { compileConfigFile } from '../../../functions/build.ts'
import { parseConfiguration } from '../../../shared/core/configuration.ts'
import { fileOf } from '../../../shared/core/configuration/compiled.ts'

const file = 'general_settings: { key_management_system: aws_secret_manager }\nlatchkey: { key_name: "{prefix}{team}/{alias}", deployment: { account: "111122223333", teams: [] } }\n'

describe('the section of the deployment', () => {
  it('is known to the functions, and means nothing to them', () => {
    const { configuration, warnings } = parseConfiguration(parse(file), { env: { get: () => undefined, names: () => [] }, loopback: true })

    expect(warnings).toEqual([])
    expect(JSON.stringify(configuration)).not.toContain('111122223333')
  })

  it('does not travel with them: the build leaves it out of their JSON', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-'))
    await writeFile(join(folder, 'config.yaml'), file)

    const text = await compileConfigFile(join(folder, 'config.yaml'))
    await rm(folder, { recursive: true })

    expect(text).not.toMatch(/deployment|111122223333/)
    expect(fileOf(JSON.parse(text))).toEqual({ general_settings: { key_management_system: 'aws_secret_manager' }, latchkey: { key_name: '{prefix}{team}/{alias}' } })
  })
})
