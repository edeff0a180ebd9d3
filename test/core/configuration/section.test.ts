// The top-level key `latchkey:`, stores, read order, cache, callers, and references.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseConfiguration, type Configuration } from '../../../shared/core/configuration.ts'
import { checkFields } from '../../../shared/core/configuration/gateway-fields.ts'
import { collectReferences, parseRef, referenceSource, storesFor } from '../../../shared/core/configuration/references.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { envOf } from '../../support/runtime.ts'

const parse = (input: unknown, env: Record<string, string> = {}): Configuration => parseConfiguration(input, { env: envOf(env), loopback: true, checkFields }).configuration

const refused = (input: unknown, env: Record<string, string> = {}): Record<string, string> => {
  try {
    parse(input, env)
  } catch (error) {
    if (error instanceof LatchkeyError && error.code === 'misconfigured') return Object.fromEntries((error.details.issues ?? []).map(({ path, message }) => [path, message]))
    throw error
  }
  return {}
}

const hash = 'AB'.repeat(32)
const general_settings = { key_management_system: 'aws_secret_manager' }
const entry = (more: object = {}): object => ({ name: 'gateway', token_sha256: hash, grants: [{ action: 'secrets:read' }], ...more })

describe('a system that only a registry knows', () => {
  it('may be named where its name is given, and nowhere else', () => {
    const file = { latchkey: { default_store: { system: 'doppler', access_mode: 'read_only' } } }

    const { stores } = parseConfiguration(file, { env: envOf({}), loopback: true, systems: ['doppler'] }).configuration

    expect(stores.get('default')?.system).toBe('doppler')
    expect(refused(file)).toEqual({ 'latchkey.default_store.system': expect.stringContaining('names no known system') as string })
  })

  it('is told to people whose file LiteLLM reads too', () => {
    const { warnings } = parseConfiguration({ general_settings: { key_management_system: 'doppler' } }, { env: envOf({}), loopback: true, systems: ['doppler'] })

    expect(warnings.map(({ message }) => message).join()).toContain('LiteLLM refuses key_management_system: doppler')
  })

  it('is the nearest name to a slip of the pen', () => {
    expect(() => parseConfiguration({ general_settings: { key_management_system: 'dopler' } }, { env: envOf({}), loopback: true, systems: ['doppler'] })).toThrow('did you mean doppler?')
  })
})

describe('latchkey.stores and read_order', () => {
  it('describes further stores, with the default store\'s fence and none of its virtual keys', () => {
    const { stores, readOrder } = parse({
      general_settings: { ...general_settings, key_management_settings: { store_virtual_keys: true, prefix_for_stored_virtual_keys: 'gate/' } },
      latchkey: { stores: { corp: { system: 'memory', space: 'one', access_mode: 'read_and_write', hosted_keys: ['A'], primary_secret_name: 'all', fallback: 'environment' } }, read_order: ['corp', 'default', 'environment'] },
    })

    expect(stores.get('corp')).toEqual({
      name: 'corp', system: 'memory', path: 'latchkey.stores.corp', settings: { space: 'one' }, accessMode: 'read_and_write', hostedKeys: ['A'],
      primarySecretName: 'all', storeVirtualKeys: false, prefix: 'gate', fallbackToEnvironment: true,
    })
    expect([[...stores.keys()], readOrder]).toEqual([['default', 'corp', 'environment'], ['corp', 'default', 'environment']])
  })

  it.each([
    ['a store without a system', { stores: { corp: {} } }, 'latchkey.stores.corp.system', /is required/],
    ['an unknown system', { stores: { corp: { system: 'memroy' } } }, 'latchkey.stores.corp.system', /did you mean memory\?/],
    ['a store named default', { stores: { default: { system: 'memory' } } }, 'latchkey.stores.default', /latchkey\.default_store/],
    ['a store whose name cannot stand in a reference', { stores: { 'a/b': { system: 'memory' } } }, 'latchkey.stores.(a name that no store can have)', /must be 1 to 64/],
    ['a store that only calls itself the environment', { stores: { environment: { system: 'memory' } } }, 'latchkey.stores.environment.system', /must be environment/],
    ['a fallback to somewhere else', { stores: { corp: { system: 'memory', fallback: 'corp' } } }, 'latchkey.stores.corp.fallback', /must be one of environment/],
    ['a store that is no mapping', { stores: { corp: 'memory' } }, 'latchkey.stores.corp', /must be a mapping/],
    ['a fallback to what is only ciphertext', { stores: { corp: { system: 'aws_kms', fallback: 'environment' } } }, 'latchkey.stores.corp.fallback', /must be left out under aws_kms/],
    ['an order that is no list', { read_order: 'default' }, 'latchkey.read_order', /must be a list/],
    ['an empty order', { read_order: [] }, 'latchkey.read_order', /must be a list/],
    ['an order with an unknown store', { read_order: ['defualt'] }, 'latchkey.read_order[0]', /did you mean default\?/],
    ['an order with a store twice', { read_order: ['default', 'default'] }, 'latchkey.read_order[1]', /already/],
  ])('refuses %s', (_, latchkey, path, message) => {
    const found = refused({ general_settings, latchkey })

    expect(found[path]).toMatch(message)
  })
})

describe('the rest of latchkey:', () => {
  it('reads cache, naming and callers', () => {
    const { cache, keyName, access } = parse({
      latchkey: {
        cache: { ttl_seconds: 0, max_stale_seconds: 60, negative_ttl_seconds: 1, max_entries: 10 },
        key_name: '{prefix}{team}/{alias}',
        access: [entry({ grants: [{ action: 'secrets:read', names: ['OPENAI_*', 'teams/**'] }, { action: 'keys:*', team: '*', fields: ['max_budget', '*'] }] }), { name: 'ops', token_sha256: 'os.environ/OPS_HASH', grants: [{ action: 'ops:read' }] }],
      },
    }, { OPS_HASH: 'cd'.repeat(32) })

    expect({ cache, keyName }).toEqual({ cache: { ttlSeconds: 0, maxStaleSeconds: 60, negativeTtlSeconds: 1, maxEntries: 10 }, keyName: '{prefix}{team}/{alias}' })
    expect(access).toEqual([
      { name: 'gateway', tokenSha256: hash.toLowerCase(), grants: [{ action: 'secrets:read', names: ['OPENAI_*', 'teams/**'] }, { action: 'keys:*', team: '*', fields: ['max_budget', '*'] }] },
      { name: 'ops', tokenSha256: 'cd'.repeat(32), grants: [{ action: 'ops:read' }] },
    ])
  })

  it("takes LiteLLM's refresh interval as it is given, unless the file says how long", () => {
    const interval = { SECRET_MANAGER_REFRESH_INTERVAL: '86400' }

    expect(parse({}, interval).cache.ttlSeconds).toBe(86_400)
    expect(parse({ latchkey: { cache: { ttl_seconds: 60 } } }, interval).cache.ttlSeconds).toBe(60)
    expect(parse({ latchkey: { cache: { max_entries: 5 } } }, { SECRET_MANAGER_REFRESH_INTERVAL: '' }).cache.ttlSeconds).toBe(300)
    expect(refused({}, { SECRET_MANAGER_REFRESH_INTERVAL: 'a day' })).toEqual({ SECRET_MANAGER_REFRESH_INTERVAL: expect.stringContaining('whole number of seconds') as string })
  })

  it.each([
    ['an unknown key', { acess: [] }, 'latchkey.acess', /did you mean access\?/],
    ['a section that is no mapping', [], 'latchkey', /must be a mapping/],
    ['team_endpoints', { team_endpoints: [] }, 'latchkey.team_endpoints', /not built yet/],
    ['teams', { teams: {} }, 'latchkey.teams', /not built yet/],
    ['a cache that lives too long', { cache: { ttl_seconds: 3601 } }, 'latchkey.cache.ttl_seconds', /between 0 and 3600/],
    ['an unknown cache key', { cache: { ttl: 3 } }, 'latchkey.cache.ttl', /is not a setting/],
    ['another naming', { key_name: '{alias}' }, 'latchkey.key_name', /must be one of/],
    ['access that is no list', { access: {} }, 'latchkey.access', /must be a list/],
    ['an entry that is no mapping', { access: ['x'] }, 'latchkey.access[0]', /must be a mapping/],
    ['an entry without a name', { access: [entry({ name: null })] }, 'latchkey.access[0].name', /is required/],
    ['a name that would break a log line', { access: [entry({ name: 'a b' })] }, 'latchkey.access[0].name', /must be 1 to 64/],
    ['an entry without a hash', { access: [entry({ token_sha256: null })] }, 'latchkey.access[0].token_sha256', /is required/],
    ['a token in the place of its hash', { access: [entry({ token_sha256: 'tok-in-plain-text' })] }, 'latchkey.access[0].token_sha256', /64 hex digits/],
    ['a hash that is too long', { access: [entry({ token_sha256: `${hash}00` })] }, 'latchkey.access[0].token_sha256', /64 hex digits/],
    ['two entries of one name', { access: [entry(), entry({ token_sha256: 'cd'.repeat(32) })] }, 'latchkey.access[1].name', /same as latchkey\.access\[0\]\.name/],
    ['two entries of one token', { access: [entry(), entry({ name: 'other', token_sha256: hash.toLowerCase() })] }, 'latchkey.access[1].token_sha256', /same as/],
    ['an entry without grants', { access: [entry({ grants: [] })] }, 'latchkey.access[0].grants', /is required/],
    ['an unknown action', { access: [entry({ grants: [{ action: 'secret:read' }] })] }, 'latchkey.access[0].grants[0].action', /did you mean secrets:read\?/],
    ['a pattern that is not offered', { access: [entry({ grants: [{ action: 'ops:*' }] })] }, 'latchkey.access[0].grants[0].action', /must be one of/],
    ['names that are no list', { access: [entry({ grants: [{ action: 'secrets:read', names: 'A' }] })] }, 'latchkey.access[0].grants[0].names', /must be a list/],
    ['a pattern of three stars', { access: [entry({ grants: [{ action: 'secrets:read', names: ['***'] }] })] }, 'latchkey.access[0].grants[0].names', /must be a list/],
    ['a team that is a number', { access: [entry({ grants: [{ action: 'keys:read', team: 7 }] })] }, 'latchkey.access[0].grants[0].team', /put it in quotes/],
    ['fields that are text', { access: [entry({ grants: [{ action: 'keys:create', fields: 'max_budget' }] })] }, 'latchkey.access[0].grants[0].fields', /must be a list of field names/],
    ['no fields at all', { access: [entry({ grants: [{ action: 'keys:create', fields: [] }] })] }, 'latchkey.access[0].grants[0].fields', /must be a list of field names/],
    ['a field that is no field', { access: [entry({ grants: [{ action: 'keys:create', fields: ['models', 'max_budgets'] }] })] }, 'latchkey.access[0].grants[0].fields[1]', /did you mean max_budget\?/],
    ['a field that everybody may send', { access: [entry({ grants: [{ action: 'keys:update', fields: ['metadata'] }] })] }, 'latchkey.access[0].grants[0].fields[0]', /must be a field that the gateway enforces/],
    ['fields of an action that has none', { access: [entry({ grants: [{ action: 'keys:rotate', fields: ['models'] }] })] }, 'latchkey.access[0].grants[0].fields', /has no meaning for keys:rotate; the actions with fields are keys:create, keys:update/],
    ['an unknown key of a grant', { access: [entry({ grants: [{ action: 'keys:read', teams: 'a' }] })] }, 'latchkey.access[0].grants[0].teams', /did you mean team\?/],
  ])('refuses %s', (_, latchkey, path, message) => {
    const found = refused({ latchkey })

    expect(Object.keys(found)).toEqual([path])
    expect(found[path]).toMatch(message)
    expect(JSON.stringify(found)).not.toContain('tok-in-plain-text')
  })
})

describe('references', () => {
  it('are found in the whole file, in its order, each with where it is looked for', () => {
    const { references, warnings } = parse({
      model_list: [{ litellm_params: { api_key: 'os.environ/A', 'odd key': 'os.environ/B', api_base: 'https://os.environ/C' } }],
      general_settings: { ...general_settings, key_management_settings: { hosted_keys: ['A', 'D'], aws_external_id: 'os.environ/D' }, database_url: 'os.environ/os.environ/E' },
      litellm_settings: { x: 'oidc/google/aud', y: 'os.environ/oidc/google/aud', z: 'secret://default/db?property=/url' },
    })

    expect(references.map(({ path, name, source }) => [path, name, source])).toEqual([
      ['model_list[0].litellm_params.api_key', 'A', 'manager'],
      ['model_list[0].litellm_params["odd key"]', 'B', 'environment'],
      ['general_settings.key_management_settings.aws_external_id', 'D', 'environment'],
      ['general_settings.database_url', 'os.environ/E', 'environment'],
      ['litellm_settings.z', 'db', 'manager'],
    ])
    expect(warnings).toEqual([])
  })

  it('to what opens a manager are looked for in the environment, hosted or not, and only where that manager is asked', () => {
    const names = ['AWS_REGION_NAME', 'AWS_SECRET_ACCESS_KEY', 'AWS_OTHER']
    const sources = (system: string): readonly string[] => parse({ model_list: names.map((name) => `os.environ/${name}`), general_settings: { key_management_system: system, key_management_settings: { hosted_keys: names } } }).references.map(({ source }) => source)

    expect(sources('aws_secret_manager')).toEqual(['environment', 'environment', 'manager'])
    expect(sources('hashicorp_vault')).toEqual(['manager', 'manager', 'manager'])
  })

  it('that are wrong are issues in our settings and warnings in the rest of the file', () => {
    const latchkey = { stores: { corp: { system: 'memory', space: 'secret://default/x' } } }

    expect(refused({ general_settings, latchkey })).toEqual({ 'latchkey.stores.corp.space': 'takes os.environ/NAME only: a store cannot hold what opens a store yet' })
    expect(parse({ model_list: ['os.environ/', 'secret://nowhere/x', 'secret://x'] }).warnings.map(({ path }) => path)).toEqual(['model_list[0]', 'model_list[1]', 'model_list[2]'])
  })

  it('refuse a file that is nested without end', () => {
    const deep = Array.from({ length: 70 }).reduce<unknown>((inner) => [inner], 'os.environ/A')

    expect(Object.values(refused({ model_list: deep }))).toEqual(['is nested deeper than 64 levels'])
  })

  it('stand for ciphertext only where a KMS decrypts the variable', () => {
    const { references } = parse({
      model_list: ['os.environ/HOSTED', 'os.environ/PLAIN', 'secret://corp/HOSTED'],
      general_settings: { key_management_system: 'aws_kms', key_management_settings: { hosted_keys: ['HOSTED', 'REGION'], aws_region_name: 'os.environ/REGION' } },
      latchkey: { stores: { corp: { system: 'memory' } } },
    })

    expect(references.map(({ reference, source, ciphertext }) => [reference, source, ciphertext])).toEqual([
      ['os.environ/HOSTED', 'manager', true], ['os.environ/PLAIN', 'environment', undefined], ['secret://corp/HOSTED', 'manager', undefined], ['os.environ/REGION', 'environment', undefined],
    ])
  })

  it('follow the policies of the stores in the read order', () => {
    const plan = parse({ general_settings: { ...general_settings, key_management_settings: { hosted_keys: ['A'] } }, latchkey: { stores: { corp: { system: 'memory', hosted_keys: ['B'] }, aside: { system: 'memory' } }, read_order: ['default', 'corp', 'environment'] } })

    expect(['A', 'B', 'C'].map((name) => [referenceSource(plan, { name }), storesFor(plan, name).map((store) => store.name)])).toEqual([['manager', ['default']], ['manager', ['corp']], ['environment', []]])
    expect([referenceSource(plan, { store: 'aside', name: 'C' }), referenceSource(plan, { store: 'environment', name: 'A' })]).toEqual(['manager', 'environment'])
  })

  it.each([
    ['os.environ/A', { name: 'A' }],
    ['A/b', { name: 'A/b' }],
    ['secret://corp/litellm/alias', { store: 'corp', name: 'litellm/alias' }],
    ['secret://corp/a%2Fb%3F?version=3&property=%2Fx%3Dy', { store: 'corp', name: 'a/b?', version: '3', property: '/x=y' }],
    ['secret://corp/a?property=x=y', { store: 'corp', name: 'a', property: 'x=y' }],
    ['secret://default/arn:aws:secretsmanager:eu-west-1:100000000001:secret:x-AbCdEf', { store: 'default', name: 'arn:aws:secretsmanager:eu-west-1:100000000001:secret:x-AbCdEf' }],
  ])('are parsed: %s', (text, ref) => {
    expect(parseRef(text)).toEqual(ref)
  })

  it.each(['os.environ/', '', 'secret://', 'secret://corp', 'secret://corp/', 'secret:///x', 'secret://c/x?v=1', 'secret://c/x?version=', 'secret://c/x?version=1&version=2', 'secret://c/x?a?b', 'secret://c/x#y', 'secret://c/%zz'])('are refused as %j', (text) => {
    expect(() => parseRef(text)).toThrow(/^reference: /)
  })

  it('come back from secret:// as they were encoded, whatever they hold', () => {
    const text = fc.string({ minLength: 1, unit: 'grapheme' })

    fc.assert(fc.property(text, text, text, (store, name, property) => {
      expect(parseRef(`secret://${encodeURIComponent(store)}/${encodeURIComponent(name)}?property=${encodeURIComponent(property)}`)).toEqual({ store, name, property })
    }))
  })

  it('never throw anything but an authored refusal, whatever the file is', () => {
    const plan = { stores: new Map(), readOrder: [] }

    fc.assert(fc.property(fc.object({ values: [fc.string(), fc.constantFrom('os.environ/A', 'os.environ/', 'secret://a/b', 'secret://%/b'), fc.integer(), fc.constant(null)] }), (file) => {
      expect(collectReferences(file, plan).issues).toEqual([])
    }))
  })
})
