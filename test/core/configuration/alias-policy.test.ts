// What litellm_settings asks of the alias of a new key: LiteLLM's own form, or a pattern that was written for Python.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { compileConfigFile } from '../../../functions/build.ts'
import { parseConfiguration } from '../../../shared/core/configuration.ts'
import { aliasPolicy } from '../../../shared/core/configuration/alias-policy.ts'
import type { LatchkeyError } from '../../../shared/core/errors.ts'
import { keyRoutes } from '../../../shared/http/keys.ts'
import { readRoutes } from '../../../shared/http/secrets.ts'
import { openLatchkey } from '../../../shared/latchkey.ts'
import { callOf, envOf, testRuntime } from '../../support/runtime.ts'

const policy = (settings: unknown, env: Record<string, string> = {}): ReturnType<typeof aliasPolicy> => aliasPolicy({ settings: parseConfiguration({ litellm_settings: settings }, { env: envOf(env), loopback: true }).configuration.litellmSettings, env: envOf(env) })
const refusal = (run: () => unknown): LatchkeyError | undefined => {
  try {
    run()
    return undefined
  } catch (error) {
    return error as LatchkeyError
  }
}
const takes = (settings: unknown, alias: string): boolean => refusal(() => policy(settings)?.(alias)) === undefined

describe('a pattern for aliases', () => {
  it.each([
    ['team-[a-z]+', 'team-red', 'my-team-red'],
    ['team-[a-z]+', 'team-red', 'team-red-2'],
    ['a|b', 'b', 'bb'],
    [String.raw`^\A[a-z]+\Z$`, 'abc', 'ABC'],
    [String.raw`[a-z]+\-[0-9]+\@x\_y`, 'a-1@x_y', 'a1@x_y'],
    [String.raw`[\w\-]+`, 'a-b_c', 'a.b'],
    [String.raw`a\\Ab`, String.raw`a\Ab`, 'ab'],
  ])('%j means the whole alias: %j, and not %j', (key_alias_pattern, right, wrong) => {
    expect([takes({ key_alias_pattern }, right), takes({ key_alias_pattern }, wrong)]).toEqual([true, false])
  })

  it('is named to whoever breaks it, with the field', () => {
    const error = refusal(() => policy({ key_alias_pattern: '^team-.*' })?.('red'))

    expect(error).toMatchObject({ code: 'invalid_request', message: 'key_alias: must match litellm_settings.key_alias_pattern as a whole: ^team-.*.', details: { param: 'key_alias' } })
  })

  it('may stand in a variable', () => {
    const error = refusal(() => policy({ key_alias_pattern: 'os.environ/PATTERN' }, { PATTERN: 'x+' })?.('y'))

    expect(error?.message).toContain('x+')
  })

  it.each([['('], ['a)(b'], ['(?i)x'], ['(?P<n>x)'], ['a{,5}'], ['[z-a]'], [''], [5], [['a']]])('that is %j stops the start, and the setting is named', (key_alias_pattern) => {
    const error = refusal(() => policy({ key_alias_pattern }))

    expect(error).toMatchObject({ code: 'misconfigured', details: { issues: [{ path: 'litellm_settings.key_alias_pattern' }] } })
  })

  it('that is misspelt stops the start too, because LiteLLM would pass over it', () => {
    const error = refusal(() => policy({ key_alias_patern: 'x', drop_params: true, cache: true }))

    expect(error?.message).toBe('litellm_settings.key_alias_patern is not a setting; did you mean key_alias_pattern?')
  })

  it('stops a server that makes keys, and the build of one, but no function that only reads', async () => {
    const { configuration } = parseConfiguration({ litellm_settings: { key_alias_pattern: '(' } }, { env: envOf({}), loopback: true })
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-alias-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, 'config.yaml'), 'litellm_settings: { key_alias_pattern: "(" }\n')

    const outcomes = [openLatchkey(configuration, testRuntime(), { routes: keyRoutes }), compileConfigFile(join(folder, 'config.yaml')), openLatchkey(configuration, testRuntime(), { routes: readRoutes })]

    expect((await Promise.allSettled(outcomes)).map((outcome) => (outcome.status === 'rejected' ? (outcome.reason as LatchkeyError).code : 'opens'))).toEqual(['misconfigured', 'misconfigured', 'opens'])
  })
})

describe("LiteLLM's own form of aliases", () => {
  const on = { enable_key_alias_format_validation: true }

  it.each(['ab', 'a/b', 'team_1-x.y@z', 'a'.repeat(255)])('takes %s', (alias) => {
    expect(takes(on, alias)).toBe(true)
  })

  it.each(['a', '-ab', 'ab-', 'a b', 'a+b', 'ü1', 'a'.repeat(256)])('refuses %s', (alias) => {
    expect(takes(on, alias)).toBe(false)
  })

  it('is off unless it is switched on, and gives way to a pattern', () => {
    expect([takes({}, '-a'), takes({ enable_key_alias_format_validation: false }, '-a'), takes({ ...on, key_alias_pattern: '-.' }, '-a'), takes({ ...on, key_alias_pattern: '-.' }, 'ab')]).toEqual([true, true, true, false])
  })
})

describe('a key', () => {
  const open = async (settings: object, seed = 'first') => {
    const runtime = testRuntime({ seed })
    const file = { litellm_settings: settings, general_settings: { key_management_settings: { store_virtual_keys: true } }, latchkey: { default_store: { system: 'memory', space: 'aliases' } } }
    const { configuration } = parseConfiguration(file, { env: runtime.env, loopback: true })
    const keys = await (await openLatchkey(configuration, runtime)).keys()
    const context = () => ({ call: callOf(runtime.clock), caller: 'tester', route: '/key', body: '{}' })
    return { keys, context }
  }

  it('made before the pattern is rotated and deleted as before: an alias that does not change is not looked at again', async () => {
    const before = await open({})
    const after = await open({ key_alias_pattern: 'team-.*' }, 'second')
    await before.keys.create({ alias: 'red' }, before.context())

    const rotated = await after.keys.rotate({ alias: 'red' }, {}, after.context())
    const removed = await after.keys.remove({ alias: 'red' }, after.context())

    expect([rotated.epoch, removed.state]).toEqual([2, 'revoked'])
    await expect(after.keys.create({ alias: 'red' }, after.context())).rejects.toMatchObject({ code: 'invalid_request', details: { param: 'key_alias', applied: 'no' } })
  })

  it('is renamed only to what the pattern takes, and keeps an alias that it does not', async () => {
    const before = await open({})
    const after = await open({ key_alias_pattern: 'team-.*' }, 'second')
    await before.keys.create({ alias: 'blue' }, before.context())

    const kept = await after.keys.update({ alias: 'blue' }, { alias: 'blue', data: { note: 'x' } }, after.context())
    const refused = await after.keys.update({ alias: 'blue' }, { alias: 'green' }, after.context()).catch((error: LatchkeyError) => error.code)
    const renamed = await after.keys.update({ alias: 'blue' }, { alias: 'team-blue' }, after.context())

    expect([kept.alias, refused, renamed.alias]).toEqual(['blue', 'invalid_request', 'team-blue'])
  })

  it('without an alias is under no rule', async () => {
    const { keys, context } = await open({ key_alias_pattern: 'team-.*' })

    expect((await keys.create({}, context())).alias).toBeUndefined()
  })
})
