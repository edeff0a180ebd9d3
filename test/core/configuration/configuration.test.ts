// The default store, LiteLLM's settings and their combinations; the documented files are in configuration-litellm.test.ts.
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { isWeakMasterKey, parseConfiguration, type Configuration, type Warning } from '../../../shared/core/configuration.ts'
import { LatchkeyError, type Issue } from '../../../shared/core/errors.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { envOf } from '../../support/runtime.ts'

type Given = { env?: Record<string, string>; loopback?: boolean }

const parse = (input: unknown, { env = {}, loopback = true }: Given = {}): Configuration => parseConfiguration(input, { env: envOf(env), loopback }).configuration
const warningsOf = (input: unknown, given?: Given): readonly Warning[] => parse(input, given).warnings
const warned = (input: unknown, given?: Given): readonly string[] => warningsOf(input, given).map(({ path }) => path)

const issuesOf = (input: unknown, given?: Given): readonly Issue[] => {
  try {
    parse(input, given)
  } catch (error) {
    if (error instanceof LatchkeyError && error.code === 'misconfigured') return error.details.issues ?? []
    throw error
  }
  return []
}
const refused = (input: unknown, given?: Given): Record<string, string> => Object.fromEntries(issuesOf(input, given).map(({ path, message }) => [path, message]))

const settings = (key_management_settings: object, system: string | null = 'aws_secret_manager'): object => ({ general_settings: { key_management_system: system, key_management_settings } })
const at = (key: string): string => `general_settings.key_management_settings.${key}`

describe('a configuration without a system', () => {
  it('is the built-in one when there is no file', () => {
    const { stores, readOrder, selectedBy, keyManagement, cache, keyName, access, warnings } = parse(undefined)

    expect([...stores].map(([name, store]) => [name, store.system, store.accessMode, store.storeVirtualKeys, store.prefix])).toEqual([
      ['default', 'embedded', 'read_and_write', true, 'litellm'],
      ['environment', 'environment', 'read_only', false, 'litellm'],
    ])
    expect({ readOrder, selectedBy, mode: keyManagement.access_mode }).toEqual({ readOrder: ['default', 'environment'], selectedBy: 'built-in', mode: 'read_and_write' })
    expect({ cache, keyName, access, warnings }).toEqual({ cache: { ttlSeconds: 300, maxStaleSeconds: 900, negativeTtlSeconds: 10, maxEntries: 1000 }, keyName: '{prefix}{alias}', access: [], warnings: [] })
  })

  it.each([[{}], [null], [{ model_list: [] }], [{ general_settings: null }], [{ general_settings: { key_management_system: null } }]])('is the environment only: %j', (input) => {
    const { stores, readOrder, selectedBy, masterKey } = parse(input)

    expect([...stores].map(([name, { system, accessMode }]) => [name, system, accessMode])).toEqual([['default', 'environment', 'read_only']])
    expect({ readOrder, selectedBy, masterKey }).toEqual({ readOrder: ['default'], selectedBy: 'none', masterKey: { kind: 'name', from: 'default name', name: 'LITELLM_MASTER_KEY', lookIn: ['environment'] } })
  })

  it('warns that settings are idle', () => {
    expect(warned({ general_settings: { key_management_settings: { store_virtual_keys: true } } })).toEqual(['general_settings.key_management_settings'])
  })

  it.each([['text'], [7], [[{}]]])('refuses a file that is no mapping: %j', (input) => {
    expect(refused(input)).toEqual({ 'the file': 'must be a mapping of settings' })
  })
})

describe('choosing the system', () => {
  it('takes local for the environment', () => {
    const { stores } = parse(settings({ hosted_keys: ['ONE'] }, 'local'))

    expect([stores.get('default')?.system, stores.get('default')?.hostedKeys]).toEqual(['environment', ['ONE']])
  })

  it('refuses an unknown system in LiteLLM\'s words and names the nearest', () => {
    expect(refused(settings({}, 'aws_secrets_manger'))['general_settings.key_management_system']).toMatch(/Invalid Key Management System selected.*did you mean aws_secret_manager\?/)
    expect(refused(settings({}, 'constructor'))['general_settings.key_management_system']).toMatch(/known are aws_secret_manager, aws_kms/)
  })

  it('warns of a legacy flag beside the key that says the same', () => {
    const input = { general_settings: { key_management_system: 'azure_key_vault', use_azure_key_vault: true } }

    expect(warned(input)).toEqual(['general_settings.use_azure_key_vault'])
    expect(parse(input).selectedBy).toBe('key_management_system')
  })

  it.each([
    ['a flag and the key', { key_management_system: 'aws_kms', use_google_kms: true }, 'general_settings.use_google_kms'],
    ['both flags', { use_azure_key_vault: true, use_google_kms: 'True' }, 'general_settings.use_google_kms'],
  ])('refuses two systems: %s', (_, general_settings, path) => {
    expect(Object.keys(refused({ general_settings }))).toEqual([path])
  })

  it('leaves a flag that is false alone', () => {
    expect(warned({ general_settings: { key_management_system: 'aws_kms', use_google_kms: false } })).toEqual([])
  })

  it('lets latchkey.default_store choose a system that LiteLLM refuses, and keeps LiteLLM\'s settings for it', () => {
    const { stores, selectedBy, warnings } = parse({ ...settings({ store_virtual_keys: true, prefix_for_stored_virtual_keys: 'gateway' }, null), latchkey: { default_store: { system: 'infisical', site_url: 'https://app.example', access_mode: 'read_and_write' } } })

    expect(stores.get('default')).toMatchObject({ system: 'infisical', accessMode: 'read_and_write', storeVirtualKeys: true, prefix: 'gateway', settings: { site_url: 'https://app.example' }, path: 'latchkey.default_store' })
    expect({ selectedBy, warnings }).toEqual({ selectedBy: 'latchkey.default_store', warnings: [] })
  })

  it('lets latchkey.default_store add to the system that LiteLLM chooses', () => {
    const { stores, selectedBy } = parse({ ...settings({ aws_region_name: 'eu-west-1' }), latchkey: { default_store: { fallback: 'environment' } } })

    expect(stores.get('default')).toMatchObject({ system: 'aws_secret_manager', settings: { aws_region_name: 'eu-west-1' }, fallbackToEnvironment: true })
    expect(selectedBy).toBe('key_management_system')
  })

  it('refuses a default_store of another system, without any system, or that contradicts a setting', () => {
    expect(Object.keys(refused({ ...settings({}), latchkey: { default_store: { system: 'embedded' } } }))).toEqual(['latchkey.default_store.system'])
    expect(Object.keys(refused({ latchkey: { default_store: { fallback: 'environment' } } }))).toEqual(['latchkey.default_store.system'])
    expect(Object.keys(refused({ ...settings({ access_mode: 'read_only' }), latchkey: { default_store: { access_mode: 'write_only' } } }))).toEqual(['latchkey.default_store.access_mode'])
  })

  it('warns of a system that LiteLLM itself refuses', () => {
    expect(warned({ general_settings: { key_management_system: 'embedded' } })).toEqual(['general_settings.key_management_system'])
  })
})

describe('key_management_settings', () => {
  it('hands a provider its settings as they are written and prints none of them', () => {
    const { stores } = parse(settings({ aws_region_name: 'eu-west-1', aws_external_id: 'os.environ/EXTERNAL', replica_regions: ['us-east-1'], aws_role_name: null }))

    const handed = stores.get('default')?.settings
    expect(handed).toEqual({ aws_region_name: 'eu-west-1', aws_external_id: 'os.environ/EXTERNAL', replica_regions: ['us-east-1'] })
    expect(`${JSON.stringify(handed)} ${inspect(stores, { depth: 9 })}`).not.toContain('eu-west-1')
  })

  it('takes references in its own settings from the environment', () => {
    const { keyManagement } = parse(settings({ description: 'os.environ/TEXT', store_virtual_keys: 'os.environ/FLAG' }), { env: { TEXT: 'of a variable', FLAG: 'True' } })

    expect([keyManagement.description, keyManagement.store_virtual_keys]).toEqual(['of a variable', true])
  })

  it('warns that another system\'s settings are idle', () => {
    const { stores, warnings } = parse(settings({ aws_region_name: 'eu-west-1', kms_key_id: 'alias/x' }, 'hashicorp_vault'))

    expect(warnings.map(({ path }) => path)).toEqual([at('aws_region_name'), at('kms_key_id')])
    expect(stores.get('default')?.settings).toEqual({})
  })

  it.each([
    ['a slip of the pen', { acces_mode: 'read_only' }, 'acces_mode', /did you mean access_mode\?/],
    ['a wrong mode', { access_mode: 'readonly' }, 'access_mode', /must be one of read_only, write_only, read_and_write; did you mean read_only\?/],
    ['a null prefix', { prefix_for_stored_virtual_keys: null }, 'prefix_for_stored_virtual_keys', /must not be null/],
    ['a prefix with two slashes', { store_virtual_keys: true, prefix_for_stored_virtual_keys: 'a//b' }, 'prefix_for_stored_virtual_keys', /empty segment/],
    ['hosted names that are no list', { hosted_keys: 'ONE' }, 'hosted_keys', /must be a list of strings/],
    ['a hosted name with a percent sign', { hosted_keys: ['A', 'B%2F'] }, 'hosted_keys[1]', /percent sign/],
    ['a hosted name written as a reference', { hosted_keys: ['os.environ/ONE'] }, 'hosted_keys[0]', /bare name/],
    ['an empty primary secret', { primary_secret_name: '' }, 'primary_secret_name', /must not be empty/],
    ['a tag of our own', { store_virtual_keys: true, tags: { 'Managed-By': 'me' } }, 'tags.Managed-By', /choose another name/],
    ['another tag of our own', { store_virtual_keys: true, tags: [{ Key: 'latchkey-epoch', Value: '7' }] }, 'tags.latchkey-epoch', /choose another name/],
    ['regions that are no list', { replica_regions: 'us-east-1' }, 'replica_regions', /must be a list of strings/],
  ])('refuses %s', (_, given, key, message) => {
    const found = refused(settings(given))

    expect(Object.keys(found)).toEqual([at(key)])
    expect(found[at(key)]).toMatch(message)
  })

  it.each([
    ['a key that is near nothing', { zebra_stripes: 7 }, 'zebra_stripes', 'ignored'],
    ['a prefix without stored keys', { prefix_for_stored_virtual_keys: 'x/' }, 'prefix_for_stored_virtual_keys', 'store_virtual_keys'],
    ['a description without stored keys', { description: 'x' }, 'description', 'store_virtual_keys'],
    ['tags without stored keys', { tags: { a: 'b' } }, 'tags', 'store_virtual_keys'],
    ['hosted names under write_only', { access_mode: 'write_only', hosted_keys: [] }, 'hosted_keys', 'write_only'],
    ['stored keys without a prefix', { store_virtual_keys: true, prefix_for_stored_virtual_keys: '' }, 'prefix_for_stored_virtual_keys', 'is empty'],
    ['stored keys below a mere slash', { store_virtual_keys: true, prefix_for_stored_virtual_keys: '/' }, 'prefix_for_stored_virtual_keys', 'is empty'],
    ['stored keys under a written read_only', { access_mode: 'read_only', store_virtual_keys: true }, 'access_mode', 'store_virtual_keys'],
  ])('warns of %s', (_, given, key, word) => {
    const [warning, ...more] = warningsOf(settings(given))

    expect(warning?.path).toBe(at(key))
    expect(warning?.message).toContain(word)
    expect(more).toEqual([])
  })

  it('stops on two hosted names that Azure Key Vault takes for one, and on no other system', () => {
    const given = { hosted_keys: ['API_KEY', 'OTHER', 'api-key', 'API_KEY'] }

    expect(Object.keys(refused(settings(given, 'azure_key_vault')))).toEqual([at('hosted_keys[2]')])
    expect(refused(settings(given))).toEqual({})
  })
})

describe('the master key', () => {
  const strong = '0123456789abcdef0123456789abcdef'
  const hosted = (master_key: unknown, key_management_settings: object = {}): object => ({ general_settings: { master_key, key_management_system: 'aws_secret_manager', key_management_settings } })

  it('is wrapped when it is a literal', () => {
    const { masterKey, warnings } = parse(hosted(strong), { loopback: false })

    expect(masterKey).toMatchObject({ kind: 'literal', from: 'general_settings.master_key', weak: false })
    expect(inspect(masterKey, { depth: 9 })).not.toContain(strong)
    expect(warnings).toEqual([])
  })

  it.each([
    ['every name is hosted', {}, ['manager', 'environment']],
    ['it is listed', { hosted_keys: ['MY_KEY'] }, ['manager', 'environment']],
    ['it is not listed', { hosted_keys: ['OTHER'] }, ['environment']],
    ['nothing is hosted', { hosted_keys: [] }, ['environment']],
    ['nothing may be read', { access_mode: 'write_only' }, ['environment']],
  ])('is looked for where its name is held: %s', (_, given, lookIn) => {
    expect(parse(hosted('os.environ/MY_KEY', given)).masterKey).toEqual({ kind: 'name', from: 'general_settings.master_key', name: 'MY_KEY', lookIn })
  })

  it('is looked for in the default store, whatever else the read order names', () => {
    const { masterKey } = parse({ ...settings({ hosted_keys: [] }), latchkey: { stores: { corp: { system: 'memory' } }, read_order: ['corp', 'default'] } })

    expect(masterKey).toMatchObject({ name: 'LITELLM_MASTER_KEY', lookIn: ['environment'] })
  })

  it('is never taken as ciphertext from the environment', () => {
    expect(parse(settings({ hosted_keys: ['LITELLM_MASTER_KEY'] }, 'aws_kms')).masterKey).toEqual({ kind: 'name', from: 'default name', name: 'LITELLM_MASTER_KEY', lookIn: ['manager'], ciphertext: true })
    expect(parse(settings({ hosted_keys: ['OTHER'] }, 'aws_kms')).masterKey).toMatchObject({ lookIn: ['environment'] })
  })

  it('may be in one named store', () => {
    expect(parse({ ...hosted('secret://corp/gateway/master?property=token'), latchkey: { stores: { corp: { system: 'memory' } } } }).masterKey).toEqual({
      kind: 'ref', from: 'general_settings.master_key', ref: { store: 'corp', name: 'gateway/master', property: 'token' },
    })
  })

  it.each([['', /must not be empty/], [1234, /put it in quotes/], ['oidc/google/x', /oidc/], ['os.environ/', /names nothing/], ['secret://corp', /secret:\/\/<store>\/<name>/], ['secret://default2/x', /did you mean default\?/]])('is refused as %j', (given, message) => {
    expect(refused(hosted(given))['general_settings.master_key']).toMatch(message)
  })

  it('is weak below 32 characters, wherever it came from', () => {
    expect(['x'.repeat(31), 'x'.repeat(32)].map((text) => isWeakMasterKey(SecretValue.of(text)))).toEqual([true, false])
  })
})

describe('the rest of the file', () => {
  it('tolerates what is LiteLLM\'s own', () => {
    const general = { alerting: ['slack'], database_connection_pool_limit: 10, database_type: 'dynamo_db', database_args: {}, disable_master_key_return: true, store_model_in_db: true, use_redis_transaction_buffer: true }
    const { warnings } = parse({ model_list: [{ x: 1 }], router_settings: { a: {} }, litellm_settings: { cache: true }, files_settings: [], callback_settings: {}, mcp_servers: {}, credential_list: [], general_settings: general })

    expect(warnings).toEqual([])
  })

  it('warns of a system at the top level and of slips that would be swallowed', () => {
    expect(warned({ key_management_system: 'aws_kms', key_management_settings: {}, general_setings: {}, general_settings: { key_managment_system: 'aws_kms' } })).toEqual([
      'key_management_system', 'key_management_settings', 'general_setings', 'general_settings.key_managment_system',
    ])
  })

  it('says that the KMS V2 of LiteLLM is not built', () => {
    expect(warned({}, { env: { USE_AWS_KMS: 'True' } })).toEqual(['USE_AWS_KMS'])
    expect(warned({}, { env: { USE_AWS_KMS: 'false' } })).toEqual([])
  })

  it('lists all five mistakes of a file at once, each with its path', () => {
    const input = {
      general_settings: { key_management_system: 'aws_secret_manger', master_key: 12, key_management_settings: { acces_mode: 'read_only', store_virtual_keys: 'perhaps', tags: { 'managed-by': 'me' } } },
    }

    const found = issuesOf(input, { loopback: false })

    expect(found.map(({ path }) => path).toSorted()).toEqual(['general_settings.key_management_system', at('acces_mode'), at('store_virtual_keys'), at('tags.managed-by'), 'general_settings.master_key'].toSorted())
  })
})
