// A configuration that the build compiled means what the parser makes of its file, for every file that we have; and nothing at all where the environment says otherwise.
import { hash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { parseConfigText } from '../../../functions/local/config-file.ts'
import { functionConfiguration } from '../../../functions/function-configuration.ts'
import { compile } from '../../../shared/core/configuration/compile.ts'
import { revive } from '../../../shared/core/configuration/compiled.ts'
import { parseConfiguration } from '../../../shared/core/configuration.ts'
import { canary } from '../../support/canary.ts'
import { envOf } from '../../support/runtime.ts'

const root = join(import.meta.dirname, '../../..')
const files = ['examples', 'test/fixtures/litellm'].flatMap((folder) => readdirSync(join(root, folder)).filter((name) => name.endsWith('.yaml')).map((name) => `${folder}/${name}`))
const bare = envOf({})
const options = { env: bare, loopback: true }
/** As it lies beside the bundle. */
const written = (file: unknown, env = bare): unknown => JSON.parse(JSON.stringify(compile(file, { ...options, env }) ?? null))
const load = async (name: string): Promise<unknown> => JSON.parse(JSON.stringify(await parseConfigText(readFileSync(join(root, name)), name)).replaceAll(/"os\.environ\/(\w+_SHA256)"/g, (_, variable: string) => `"${hash('sha256', variable)}"`))

describe('a compiled configuration', () => {
  it.each(files)('of %s is what the parser makes of the file', async (name) => {
    const file = await load(name)

    const revived = revive(written(file), bare)

    expect(revived).toEqual(parseConfiguration(file, options).configuration)
  })

  it('keeps the master key, and prints neither it nor the settings of a store', () => {
    const [key, secret] = [canary('master key of a file, long enough for anybody'), canary('secret key')]
    const file = { general_settings: { master_key: key }, latchkey: { default_store: { system: 'aws_secret_manager', aws_access_key_id: 'AKIA', aws_secret_access_key: secret } } }

    const revived = revive(written(file), bare)
    const shown = inspect(revived, { depth: Infinity }) + JSON.stringify([...(revived?.stores.values() ?? [])])

    expect(revived?.masterKey).toMatchObject({ kind: 'literal' })
    expect(revived?.masterKey.kind === 'literal' && revived.masterKey.value.reveal() === key).toBe(true)
    expect(revived?.stores.get('default')?.settings['aws_secret_access_key'] === secret).toBe(true)
    expect([shown.includes(key), shown.includes(secret)]).toEqual([false, false])
  })

  it.each([
    ['SECRET_MANAGER_REFRESH_INTERVAL', '60'],
    ['USE_AWS_KMS', 'true'],
  ])('holds only where %s is not set, as it was not in the build', (name, value) => {
    const file = { general_settings: { key_management_system: 'aws_secret_manager' } }

    const compiled = written(file)

    expect(revive(compiled, envOf({ [name]: '' }))).toBeDefined()
    expect(revive(compiled, envOf({ [name]: value }))).toBeUndefined()
    expect(compile(file, { ...options, env: envOf({ [name]: value }) })).toBeUndefined()
  })

  it('is read anew from its file where it does not hold, was compiled by another build, or a gateway is wanted', async () => {
    const file = { general_settings: { key_management_system: 'aws_secret_manager', master_key: 'os.environ/MASTER' }, latchkey: { cache: { max_entries: 7 } } }
    const compiled = written(file) as Record<string, unknown>
    const env = envOf({ SECRET_MANAGER_REFRESH_INTERVAL: '60' })
    const told: string[] = []

    const [here, there, old, plain] = await Promise.all([functionConfiguration(compiled, bare), functionConfiguration(compiled, env), functionConfiguration({ ...compiled, compiled: 'latchkey/0' }, bare), functionConfiguration(file, bare)])
    await functionConfiguration(compiled, bare, { gateway: () => void told.push('asked') })

    expect(here.cache).toEqual({ ttlSeconds: 300, maxStaleSeconds: 900, negativeTtlSeconds: 10, maxEntries: 7 })
    expect(there.cache).toMatchObject({ ttlSeconds: 60 })
    expect([old, plain].map(({ masterKey, cache }) => ({ masterKey, cache }))).toEqual([here, here].map(({ masterKey, cache }) => ({ masterKey, cache })))
    expect(told).toEqual(['asked'])
  })

  it('is none of a file that is wrong: the build says so', () => {
    expect(() => compile({ latchkey: { cach: {} } }, options)).toThrow(/latchkey\.cach/)
  })
})
