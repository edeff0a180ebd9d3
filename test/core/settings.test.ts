// The one validator: every type, environment variables, references, secrets, and every problem at once.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LatchkeyError, type Issue } from '../../shared/core/errors.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { readSettings, refuseIssues, unknownKey, type Setting } from '../../shared/core/settings.ts'
import { settle } from '../../shared/core/settings/settle.ts'
import { settledSettings } from '../../shared/core/settings/settled.ts'
import { envOf } from '../support/runtime.ts'

interface One {
  readonly one?: unknown
}

const table = (one: Partial<Setting>): { one: Setting } => ({ one: { type: 'string', text: 'The one.', ...one } })
const read = (one: Partial<Setting>, given: unknown, env?: Record<string, string>): { value: unknown; issues: readonly Issue[] } => {
  const { settings, issues } = readSettings<One>(table(one), given === undefined ? {} : { one: given }, { path: 'here', ...(env === undefined ? {} : { env: envOf(env) }) })
  return { value: settings.one, issues }
}

describe('a setting', () => {
  it.each<[Partial<Setting>, unknown, unknown]>([
    [{ type: 'string' }, 'text', 'text'],
    [{ type: 'string' }, '', ''],
    [{ type: 'string', values: ['a', 'b'] }, 'b', 'b'],
    [{ type: 'boolean' }, true, true],
    [{ type: 'boolean' }, ' False ', false],
    [{ type: 'boolean' }, 'TRUE', true],
    [{ type: 'integer' }, 7, 7],
    [{ type: 'integer' }, ' -7 ', -7],
    [{ type: 'integer', min: 0, max: 7 }, 7, 7],
    [{ type: 'url' }, 'https://a.example/x', 'https://a.example/x'],
    [{ type: 'url' }, 'http://127.0.0.1:4566', 'http://127.0.0.1:4566'],
    [{ type: 'string_list' }, ['a', ''], ['a', '']],
    [{ type: 'string_list' }, [], []],
    [{ type: 'string_map' }, { a: 'x', b: 7, c: true }, { a: 'x', b: '7', c: 'true' }],
    [{ type: 'string_map' }, [{ Key: 'a', Value: 'x' }], { a: 'x' }],
  ])('reads %j from %j', (setting, given, value) => {
    expect(read(setting, given)).toEqual({ value, issues: [] })
  })

  it.each<[Partial<Setting>, unknown, RegExp]>([
    [{ type: 'string' }, 7, /must be text; put it in quotes/],
    [{ type: 'string' }, ['a'], /must be text/],
    [{ type: 'string', values: ['read_only', 'write_only'] }, 'readonly', /must be one of read_only, write_only; did you mean read_only\?/],
    [{ type: 'boolean' }, 'yes', /true or false/],
    [{ type: 'boolean' }, 1, /true or false/],
    [{ type: 'integer' }, 1.5, /whole number/],
    [{ type: 'integer' }, '1e3', /whole number/],
    [{ type: 'integer' }, '', /whole number/],
    [{ type: 'integer', min: 0 }, -1, /between 0 and any/],
    [{ type: 'integer', max: 9 }, 10, /between any and 9/],
    [{ type: 'url' }, 'vault.example', /must be a URL/],
    [{ type: 'url' }, 'file:///etc/passwd', /must be a URL/],
    [{ type: 'string_list' }, 'a', /list of strings/],
    [{ type: 'string_list' }, ['a', 7], /list of strings/],
    [{ type: 'string_map' }, 'a', /map of names/],
    [{ type: 'string_map' }, ['a'], /map of names/],
    [{ type: 'string_map' }, { a: {} }, /no nested values/],
  ])('of %j refuses %j', (setting, given, message) => {
    const { value, issues } = read(setting, given)

    expect([value, issues.map(({ path }) => path)]).toEqual([undefined, ['here.one']])
    expect(issues[0]?.message).toMatch(message)
  })

  it('that is left out, or null, takes its default', () => {
    expect([read({ default: 'd' }, undefined), read({ default: 'd' }, null)].map(({ value }) => value)).toEqual(['d', 'd'])
    expect(read({}, undefined)).toEqual({ value: undefined, issues: [] })
  })

  it('that cannot be null says so', () => {
    expect(read({ default: 'd', notNull: true }, null).issues).toEqual([{ path: 'here.one', message: 'must not be null; leave it out for the default' }])
  })

  it('that is required names the variables that would do as well', () => {
    expect(read({ required: true, env: ['A', 'B'] }, undefined, {}).issues).toEqual([{ path: 'here.one', message: 'is required; set it here or in A or B' }])
    expect(read({ required: true }, undefined).issues).toEqual([{ path: 'here.one', message: 'is required' }])
  })

  it('is taken from the file, then from the first variable that is not empty, then from its default', () => {
    const setting = { env: ['A', 'B'], default: 'd' }

    expect(read(setting, 'file', { A: 'a' }).value).toBe('file')
    expect(read(setting, undefined, { A: 'a', B: 'b' }).value).toBe('a')
    expect(read(setting, undefined, { A: '', B: 'b' }).value).toBe('b')
    expect(read(setting, undefined, { A: '', B: '' }).value).toBe('d')
    expect(read({ type: 'integer', env: ['A'] }, undefined, { A: '86400' }).value).toBe(86_400)
  })

  it('is resolved when it refers to the environment, and says so when nothing is there', () => {
    expect(read({}, 'os.environ/A', { A: 'a' })).toEqual({ value: 'a', issues: [] })
    expect(read({ type: 'boolean' }, 'os.environ/A', { A: 'True' }).value).toBe(true)
    expect(read({}, 'os.environ/A', { A: '' }).issues).toEqual([{ path: 'here.one', message: 'refers to the environment variable A, which is not set' }])
    expect(read({ default: 'd' }, 'os.environ/A', {})).toMatchObject({ value: undefined, issues: [{ path: 'here.one' }] })
    expect(read({}, 'os.environ/A').value).toBe('os.environ/A')
  })

  it('that is a secret is wrapped, wherever it comes from', () => {
    const values = [read({ secret: true }, 'hidden-one'), read({ secret: true, env: ['A'] }, undefined, { A: 'hidden-two' }), read({ secret: true }, 'os.environ/A', { A: 'hidden-three' })].map(({ value }) => value)

    expect(values.map((value) => value instanceof SecretValue)).toEqual([true, true, true])
    expect(JSON.stringify(values)).not.toContain('hidden')
  })
})

describe('an object of settings', () => {
  const settings = { access_mode: { type: 'string', text: 'x' }, ttl: { type: 'integer', text: 'x' } } as const

  it('may be absent, and is a mapping otherwise', () => {
    expect([undefined, null, {}].map((input) => readSettings(settings, input, { path: 'here' }).issues)).toEqual([[], [], []])
    expect(['x', 7, []].map((input) => readSettings(settings, input, { path: 'here' }).issues[0]?.message)).toEqual(Array(3).fill('must be a mapping of settings'))
  })

  it('reports every problem at once, unknown keys with the nearest known one', () => {
    const { issues } = readSettings(settings, { acces_mode: 'x', ttl: 'soon', space: 1, other: 2 }, { path: 'here', foreign: ['other', 'spaces'] })

    expect(issues).toEqual([
      { path: 'here.ttl', message: 'must be a whole number' },
      { path: 'here.acces_mode', message: 'is not a setting; did you mean access_mode?' },
      { path: 'here.space', message: 'is not a setting; did you mean spaces?' },
    ])
  })

  it('never prints a key that is no name, nor a value', () => {
    const { issues } = readSettings(settings, { 'hidden key\n': 'hidden value', access_mode: ['hidden value'] }, { path: 'here' })

    expect(issues).toHaveLength(2)
    expect(JSON.stringify(issues)).not.toContain('hidden')
    expect(unknownKey('', 'acces_mode', ['access_mode']).path).toBe('acces_mode')
  })

  it('becomes one refusal that lists every issue, or none', () => {
    expect(() => refuseIssues([])).not.toThrow()
    const issues = [{ path: 'a', message: 'is wrong' }, { path: 'b', message: 'is too' }]
    expect(() => refuseIssues(issues)).toThrow(new LatchkeyError('misconfigured', 'a is wrong\nb is too', { issues }))
  })

  it('is read without a throw, whatever it holds', () => {
    fc.assert(fc.property(fc.anything(), fc.anything(), (whole, one) => {
      expect(Array.isArray(readSettings(settings, whole, { path: 'here' }).issues)).toBe(true)
      expect(Array.isArray(readSettings(settings, { access_mode: one, ttl: one }, { path: 'here', env: envOf({}) }).issues)).toBe(true)
    }))
  })
})

describe('settings that the build settled', () => {
  const anyTable = fc.record({
    type: fc.constantFrom<Setting['type'][]>('string', 'boolean', 'integer', 'url', 'string_list', 'string_map'),
    secret: fc.boolean(),
    required: fc.boolean(),
    notNull: fc.boolean(),
    values: fc.option(fc.constant(['a', 'b']), { nil: undefined }),
    default: fc.option(fc.constantFrom<(string | number | boolean)[]>('a', 7, true), { nil: undefined }),
  })
  const anyValue = fc.oneof(fc.constantFrom<unknown[]>(undefined, null, '', 'a', 'c', 'true', true, 7, 7.5, 'https://a.example', 'ftp://a.example', 'os.environ/A', [], ['a'], {}), fc.string())

  it('are what the validator makes of them, or are left to it', () => {
    fc.assert(
      fc.property(anyTable, anyValue, fc.constantFrom(undefined, '', 'a', 'https://b.example'), fc.boolean(), ({ default: standard, ...row }, given, variable, stranger) => {
        // A default that its own row would refuse stands in no table.
        const fits = standard !== undefined && typeof standard === ({ string: 'string', integer: 'number', boolean: 'boolean' } as Readonly<Record<string, string>>)[row.type]
        const rows = { one: { ...row, text: 'The one.', env: ['A'], ...(fits && { default: standard }) } } as unknown as { one: Setting }
        const input = { ...(given !== undefined && { one: given }), ...(stranger && { two: 'x' }) }
        const env = envOf(variable === undefined ? {} : { A: variable })

        const settled = settle<One>(rows, input)
        const plain = settled && (settledSettings(JSON.parse(JSON.stringify(settled)) as typeof settled, input, env) as One | undefined)

        const { settings, issues } = readSettings<One>(rows, input, { path: 'here', env })
        const shown = (each: One | undefined): unknown => (each?.one instanceof SecretValue ? `secret ${each.one.reveal()}` : each?.one)
        expect(plain === undefined ? 'left' : [[], shown(plain), Object.keys(plain)]).toEqual(plain === undefined ? 'left' : [issues, shown(settings), Object.keys(settings)])
      }),
      { numRuns: 2_000 },
    )
  })

  it.each<[Partial<Setting>, unknown, string | undefined, unknown]>([
    [{ type: 'string' }, 'text', undefined, 'text'],
    [{ type: 'string' }, undefined, 'of the environment', 'of the environment'],
    [{ type: 'string', default: 'usual' }, undefined, '', 'usual'],
    [{ type: 'string', values: ['a', 'b'] }, 'b', undefined, 'b'],
    [{ type: 'url' }, 'https://a.example', undefined, 'https://a.example'],
    [{ type: 'url', required: true }, undefined, 'https://a.example', 'https://a.example'],
    [{ type: 'boolean', default: true }, false, undefined, false],
    [{ type: 'integer', default: 7 }, undefined, undefined, 7],
    [{ type: 'integer', max: 9 }, 8, '9', 8],
    [{ type: 'string_list' }, ['a'], undefined, ['a']],
  ])('are read without their table: %j from %j and the variable %j', (row, given, variable, expected) => {
    const written = given === undefined ? {} : { one: given }
    const settled = settle<One>(table({ ...row, env: ['A'] }), written)

    const settings = settled && settledSettings(settled, written, envOf(variable === undefined ? {} : { A: variable }))

    expect(settings).toEqual({ one: expected })
  })

  it.each<[Partial<Setting>, unknown, string | undefined]>([
    [{ type: 'string' }, 'os.environ/B', undefined],
    [{ type: 'string', required: true }, undefined, undefined],
    [{ type: 'url' }, undefined, 'ftp://a.example'],
    [{ type: 'string', values: ['a', 'b'] }, undefined, 'b'],
    [{ type: 'boolean', default: true }, undefined, 'false'],
    [{ type: 'integer', default: 7 }, undefined, '8'],
    [{ type: 'integer', max: 9 }, 10, undefined],
    [{ type: 'integer' }, '8', undefined],
  ])('are left to their table: %j from %j and the variable %j', (row, given, variable) => {
    const written = given === undefined ? {} : { one: given }
    const settled = settle<One>(table({ ...row, env: ['A'] }), written)

    const settings = settled && settledSettings(settled, written, envOf(variable === undefined ? {} : { A: variable }))

    expect(settings).toBeUndefined()
  })
})
