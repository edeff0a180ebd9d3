// LiteLLM's environment variables as a fixture: each is a setting of the provider with LiteLLM's name, default and meaning, or is read by a file that is named,
// or is not honoured for a reason.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readSettings, type Setting } from '../../shared/core/settings.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { loadProvider, registry } from '../../shared/providers/registry.ts'
import { envOf } from '../support/runtime.ts'

interface Declared {
  readonly system: string
  readonly variable: string
  readonly setting: string
  readonly default: string | null
  readonly ours?: string | null
  readonly reason?: string
}
interface Fixture {
  readonly settings: readonly Declared[]
  readonly code: readonly { readonly variable: string; readonly file: string; readonly meaning: string }[]
  readonly notHonoured: readonly { readonly variable: string; readonly reason: string }[]
}

const root = join(import.meta.dirname, '../..')
const { settings, code, notHonoured } = JSON.parse(readFileSync(join(root, 'test/fixtures/litellm-environment-variables.json'), 'utf8')) as Fixture

/** A value that a setting of the type takes, and what it becomes. */
const samples: Readonly<Partial<Record<Setting['type'], readonly [text: string, read: unknown]>>> = {
  string: ['sample', 'sample'],
  url: ['https://sample.example', 'https://sample.example'],
  integer: ['17', 17],
  boolean: ['TRUE', true],
}
const plain = (value: unknown): unknown => (value instanceof SecretValue ? value.reveal() : value)

describe('a variable of LiteLLM', () => {
  it.each(settings)('$variable is $setting of $system, with its default', async ({ system, variable, setting, default: theirs, ours = theirs }) => {
    const table = (await loadProvider(system)).settings
    const declared = table[setting]
    const values = declared?.values
    const [text, read] = values !== undefined ? [values[0] ?? '', values[0]] : (samples[declared?.type ?? 'string'] ?? ['', ''])

    const set = readSettings(table, {}, { path: system, env: envOf({ [variable]: text }) }).settings as Record<string, unknown>
    const unset = readSettings(table, {}, { path: system, env: envOf({ [variable]: '' }) }).settings as Record<string, unknown>

    expect(declared?.env).toContain(variable)
    expect(plain(set[setting])).toEqual(read)
    expect(unset[setting] === undefined ? null : String(plain(unset[setting]))).toBe(ours)
  })

  it.each(code)('$variable is read in $file: $meaning', ({ variable, file }) => {
    expect(readFileSync(join(root, file), 'utf8')).toContain(variable)
  })

  it.each(notHonoured)('$variable is not honoured: $reason', ({ variable, reason }) => {
    const sources = ['shared', 'functions'].flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && entry.name.endsWith('.ts')))

    expect(sources.filter((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8').includes(variable))).toEqual([])
    expect(reason.length).toBeGreaterThan(20)
  })

  it('has another default here only for a reason', () => {
    expect(settings.filter(({ ours, reason }) => ours !== undefined && (reason ?? '').length < 20)).toEqual([])
  })

  it('stands in the list for every system that is built and has variables in LiteLLM', ({ task }) => {
    const systems = new Set(settings.map(({ system }) => system))
    task.meta.report = `LiteLLM's environment variables: ${new Set(settings.map(({ variable }) => variable)).size} are settings, ${code.length} are read elsewhere, ${notHonoured.length} are not honoured, each for a reason`

    expect(Object.keys(registry).filter((system) => !systems.has(system))).toEqual(['memory', 'environment', 'embedded', 'custom'])
  })
})
