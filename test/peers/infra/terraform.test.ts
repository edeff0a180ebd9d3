// The module of Google by other people's word: Terraform's formatter would change nothing, and the schema of the provider knows every name, type and attribute in it.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, inject, it } from 'vitest'
import { committed, parsed, plans } from '../../infra/gcp/checks.ts'
import { run } from '../python-peers.ts'
import { complaintsOf, readSchema, strangersIn, type Schema } from './terraform-schema.ts'

const { hcl_format: format, terraform_schema: provider } = inject('peers')
const leftOut = (missing: string): void => it(`is left out: ${missing}`, () => expect(missing).not.toBe(''))
const folder = join(import.meta.dirname, '../../../infra/gcp')
const files = readdirSync(folder).filter((file) => file.endsWith('.tf'))

describe("Terraform's formatter", () => {
  if ('missing' in format) return leftOut(format.missing)

  it('would change no file of the module', async () => {
    const changed = await run(format.url, files.map((file) => join(folder, file)), { ...process.env })

    expect(files.length).toBeGreaterThan(3)
    expect(changed).toBe('')
  })

  it('would change one whose equals signs are out of their column', async () => {
    const scratch = mkdtempSync(join(tmpdir(), 'latchkey-hcl-'))
    const file = join(scratch, 'bent.tf')
    writeFileSync(file, readFileSync(join(folder, 'main.tf'), 'utf8').replace('account_id   = ', 'account_id = '))

    const changed = await run(format.url, [file], { ...process.env }).finally(() => rmSync(scratch, { recursive: true }))

    expect(changed).toBe(`${file}\n`)
  })
})

describe('the schema of the Google provider', () => {
  if ('missing' in provider) return leftOut(provider.missing)
  let schema: Schema
  beforeAll(() => {
    schema = readSchema(provider.url)
  })

  it.each(['usual', 'full', 'writeOnly'] as const)('knows everything that would be made: %s', (which) => {
    const { made, outputs } = plans(committed)[which]

    expect(complaintsOf(schema, made)).toEqual([])
    expect(strangersIn(schema, [made, outputs])).toEqual([])
  })

  it.each([
    ['an unknown attribute', { service_accont_email: 'x' }, /has no service_accont_email/],
    ['a text where a number belongs', { timeout_seconds: 'sixty' }, /timeout_seconds is of another type/],
    ['a value where a block belongs', { secret_environment_variables: 'x' }, /must be a block/],
    ['a block without what it needs', { secret_environment_variables: [{ key: 'x', project_id: 'x', version: '1' }] }, /lacks secret/],
  ])('reports %s', (_what, more, said) => {
    const module = parsed()
    const [body = {}] = module.resource['google_cloudfunctions2_function']?.['rotate'] ?? []
    Object.assign((body['service_config'] as readonly [object])[0], { dynamic: {} }, more)

    const found = complaintsOf(schema, plans(module).usual.made)

    expect(found).toEqual([expect.stringMatching(said)])
  })

  it('reports an attribute that a resource does not have, and a type that there is not', () => {
    const strangers = strangersIn(schema, ['google_service_account.deliverer.adress', 'google_service_account.function["read"].email'])
    const complaints = complaintsOf(schema, [{ type: 'google_secret', address: 'google_secret.x', body: {} }])

    expect(strangers).toEqual(['google_service_account.deliverer.adress'])
    expect(complaints).toEqual(['google_secret.x is of no type that there is'])
  })
})
