// The front in Bicep, read by a parser of the language that somebody else wrote (the one of checkov): it is Bicep, and hands on what the template takes. That is no compiler: Microsoft's is in no package registry of npm or Python.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { run } from '../python-peers.ts'

const { checkov } = inject('peers')
const azure = join(import.meta.dirname, '../../../infra/azure')
const parse = "import json, sys; from pycep import BicepParser; print(json.dumps(BicepParser().parse(file_path=__import__('pathlib').Path(sys.argv[1]))))"

interface Parsed {
  readonly globals: { readonly scope: { readonly value: string } }
  readonly parameters: Readonly<Record<string, { readonly type: string; readonly default: unknown }>>
  readonly modules: Readonly<Record<string, { readonly detail: { readonly path: string }; readonly config: { readonly params: Readonly<Record<string, string>> } }>>
  readonly outputs: Readonly<Record<string, { readonly type: string; readonly value: unknown }>>
}

interface ArmTemplate {
  readonly parameters: Readonly<Record<string, { readonly type: string; readonly defaultValue?: unknown }>>
  readonly outputs: Readonly<Record<string, { readonly type: string }>>
}

/** A property of a module's outputs, as the parser writes it down. */
const outputOf = (module: string, name: string): object => ({ operator: { type: 'property_accessor', operands: { operand_1: module, operand_2: { operator: { type: 'property_accessor', operands: { operand_1: 'outputs', operand_2: name } } } } } })

describe('the front in Bicep', () => {
  if ('missing' in checkov) {
    it(`is left out: ${checkov.missing}`, () => expect(checkov.missing).not.toBe(''))
    return
  }
  const scratch = mkdtempSync(join(tmpdir(), 'latchkey-bicep-'))
  const read = (path: string): Promise<string> => run(join(dirname(checkov.url), 'python'), ['-c', parse, path], { PATH: process.env['PATH'], HOME: scratch })
  const template = JSON.parse(readFileSync(join(azure, 'main.json'), 'utf8')) as ArmTemplate
  let bicep: Parsed
  beforeAll(async () => {
    bicep = JSON.parse(await read(join(azure, 'main.bicep'))) as Parsed
  })
  afterAll(() => rmSync(scratch, { recursive: true, force: true }))

  it('is one module, the template beside it, in a resource group', () => {
    expect(bicep.globals.scope.value).toBe('resourceGroup')
    expect(Object.entries(bicep.modules).map(([name, { detail }]) => [name, detail.path])).toEqual([['latchkey', 'main.json']])
  })

  it('hands on each of its parameters under its own name, of the type and with the default that the template has, and leaves out none that the template must be given', () => {
    const params = bicep.modules['latchkey']?.config.params ?? {}
    const required = Object.entries(template.parameters).flatMap(([name, { defaultValue }]) => (defaultValue === undefined ? [name] : []))

    expect(params).toEqual(Object.fromEntries(Object.keys(bicep.parameters).map((name) => [name, name])))
    expect(Object.entries(bicep.parameters).map(([name, { type, default: standard }]) => [name, type, standard])).toEqual(Object.keys(params).map((name) => [name, template.parameters[name]?.type.toLowerCase(), template.parameters[name]?.defaultValue ?? null]))
    expect(required.filter((name) => !Object.hasOwn(params, name))).toEqual([])
  })

  it('answers what the template answers, each of its type', () => {
    expect(Object.entries(bicep.outputs).map(([name, { type, value }]) => [name, type, value])).toEqual(Object.keys(bicep.outputs).map((name) => [name, template.outputs[name]?.type.toLowerCase(), outputOf('latchkey', name)]))
  })

  it('is not read with a mistake in it', async () => {
    const path = join(scratch, 'wrong.bicep')
    writeFileSync(path, readFileSync(join(azure, 'main.bicep'), 'utf8').replace("'main.json' = {", "'main.json' {"))

    await expect(read(path)).rejects.toThrow()
  })
})
