// The rows L01 to L27 that hold today: virtual keys over LiteLLM's own routes, as a LiteLLM file configures them.
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { open } from '../http/harness.ts'
import { openFile, startManager } from './opened-file.ts'

let spaces = 0
/** A LiteLLM file with a manager in this process, which LiteLLM would pass over. */
const fileOf = (settings: object = {}, more: object = {}): object => ({
  general_settings: { key_management_settings: { access_mode: 'read_and_write', store_virtual_keys: true, ...settings } },
  latchkey: { default_store: { system: 'memory', space: `keys-${(spaces += 1)}` } },
  ...more,
})
const unavailable = (): Promise<never> => Promise.reject(new LatchkeyError('provider_unavailable', 'The service does not answer.'))

const opened = async (settings?: object, more?: object) => {
  const all = await openFile(fileOf(settings, more))
  const held = async (name: string, at: { readonly version?: string; readonly stage?: 'previous' } = {}): Promise<string | undefined> =>
    all.latchkey.stores.get('default')?.provider.read({ text: name, place: 'created' }, at, all.call()).then(({ value }) => value.reveal())
  return { ...all, held }
}

describe('making a key', () => {
  it.each([
    ['L01: is named below the prefix', { prefix_for_stored_virtual_keys: 'litellm/' }, 'a', 'litellm/a'],
    ['L02: has one slash after a prefix without one', { prefix_for_stored_virtual_keys: 'litellm' }, 'a', 'litellm/a'],
    ['L03: has no slash before it where the prefix is empty', { prefix_for_stored_virtual_keys: '' }, 'a', 'a'],
    ['L05: is never spared a prefix that its alias repeats', {}, 'litellm/a', 'litellm/litellm/a'],
  ])('%s', async (_title, settings, key_alias, name) => {
    const { send, held } = await opened(settings)

    const { status, json } = await send('POST /key/generate', { key_alias })

    expect([status, json['stored']]).toMatchObject([200, { name }])
    expect(json['key']).toMatch(/^sk-/)
    expect(await held(name)).toBe(json['key'])
  })

  it('L03: is warned of at the start where the prefix is empty', async () => {
    const { configuration } = await opened({ prefix_for_stored_virtual_keys: '' })

    expect(configuration.warnings.map(({ path }) => path)).toEqual(['general_settings.key_management_settings.prefix_for_stored_virtual_keys'])
  })

  it('L04: is named by its key id without an alias', async () => {
    const { send, held } = await opened()

    const { json } = await send('POST /key/generate', {})

    expect(json['stored']).toMatchObject({ name: `litellm/virtual-key-${String(json['key_id'])}` })
    expect(await held(`litellm/virtual-key-${String(json['key_id'])}`)).toBe(json['key'])
  })

  it('L06: is refused where keys are not stored, and the setting is named', async () => {
    const manager = await startManager()
    const { send } = await openFile(manager.file({ store_virtual_keys: false, hosted_keys: [] }), { env: manager.env })

    const { status, json } = await send('POST /key/generate', { key_alias: 'a' })

    expect([status, json.error['type'], manager.fake.requests]).toEqual([403, 'forbidden', []])
    expect(json.error['message']).toContain('store_virtual_keys')
  })

  it('L07: stores it under read_only too, and a file that says both is warned of it', async () => {
    const { send, held, configuration } = await opened({ access_mode: 'read_only' })

    const { json } = await send('POST /key/generate', { key_alias: 'a' })

    expect(await held('litellm/a')).toBe(json['key'])
    expect(configuration.warnings).toMatchObject([{ path: 'general_settings.key_management_settings.access_mode', message: expect.stringContaining('store_virtual_keys') as string }])
  })

  it('L08: fails where the manager fails, and hands out no key', async () => {
    const { send } = await open({ wrap: (provider): SecretProvider => ({ ...provider, write: unavailable }) })

    const { status, json, body } = await send('POST /key/generate', { body: { key_alias: 'a' } })

    expect([status, json.error['type']]).toEqual([503, 'provider_unavailable'])
    expect(body).not.toContain('sk-')
  })

  it('L09: stores it though it sends no mail, and says so', async () => {
    const { send, held } = await opened()

    const { status, json } = await send('POST /key/generate', { key_alias: 'a', send_invite_email: true })

    expect([status, json['warnings']]).toEqual([200, ['send_invite_email: Latchkey sends no mail; it was ignored.']])
    expect(await held('litellm/a')).toBe(json['key'])
  })

  it('L11: stores it in the operator\'s store for a team that nobody set up', async () => {
    const { send, held } = await opened()

    const { status, json } = await send('POST /key/generate', { key_alias: 'a', team_id: 'unknown' })

    expect([status, json['team_id'], json['stored']]).toMatchObject([200, 'unknown', { store: 'default', name: 'litellm/a' }])
    expect(await held('litellm/a')).toBe(json['key'])
  })

  it('L19: is refused under an alias that is taken', async () => {
    const { send, held } = await opened()
    const first = await send('POST /key/generate', { key_alias: 'a' })

    const { status, json } = await send('POST /key/generate', { key_alias: 'a' })

    expect([status, json.error['type'], json.error['param'], json.error['code']]).toEqual([400, 'already_exists', 'key_alias', '400'])
    expect(await held('litellm/a')).toBe(first.json['key'])
  })

  it('L19: takes an alias once for each team where names hold the team', async () => {
    const { send } = await opened({}, { latchkey: { default_store: { system: 'memory' }, key_name: '{prefix}{team}/{alias}' } })

    const answers = [await send('POST /key/generate', { key_alias: 'a', team_id: 'red' }), await send('POST /key/generate', { key_alias: 'a', team_id: 'blue' }), await send('POST /key/generate', { key_alias: 'a', team_id: 'red' })]

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 400])
  })

  it.each(['-', '', ' ', '\t'])('L20: is refused for the alias %j', async (key_alias) => {
    const { send } = await opened()

    const { status, json } = await send('POST /key/generate', { key_alias })

    expect([status, json.error['param']]).toEqual([400, 'key_alias'])
  })

  it('L21: is refused for an alias that the pattern does not match as a whole, and the pattern is named', async () => {
    const { send } = await opened({}, { litellm_settings: { key_alias_pattern: 'team-[a-z]+' } })

    const right = await send('POST /key/generate', { key_alias: 'team-red' })
    const { status, json } = await send('POST /key/generate', { key_alias: 'team-red-2' })

    expect([right.status, status, json.error['param'], json.error['type']]).toEqual([200, 400, 'key_alias', 'invalid_request'])
    expect(json.error['message']).toContain('team-[a-z]+')
  })
})

describe('rotating a key', () => {
  it('L13, L14: keeps name and key id without an alias, the second time as the first', async () => {
    const { send, held } = await opened()
    const made = await send('POST /key/generate', {})
    const name = `litellm/virtual-key-${String(made.json['key_id'])}`

    const first = await send(`POST /key/${String(made.json['key'])}/regenerate`, {})
    const afterFirst = await held(name)
    const second = await send(`POST /key/${String(first.json['key'])}/regenerate`, {})

    expect([first, second].map(({ status, json }) => [status, json['key_id'], json['stored']])).toMatchObject([[200, made.json['key_id'], { name }], [200, made.json['key_id'], { name }]])
    expect([afterFirst, await held(name)]).toEqual([first.json['key'], second.json['key']])
    expect(new Set([made, first, second].map(({ json }) => json['key'])).size).toBe(3)
  })

  it('L15: needs no body', async () => {
    const { send, held } = await opened()
    const made = await send('POST /key/generate', { key_alias: 'a' })

    const { status, json } = await send(`POST /key/${String(made.json['key_id'])}/regenerate`)

    expect([status, await held('litellm/a')]).toEqual([200, json['key']])
    expect(json['key']).not.toBe(made.json['key'])
  })

  it('L23: retains the old token for the grace, says until when and who accepts it', async () => {
    const { send, held, runtime } = await opened()
    const made = await send('POST /key/generate', { key_alias: 'a' })
    const valid = async (): Promise<unknown> => (await send('POST /key/verify', { key: made.json['key'] })).json['valid']

    const { json } = await send('POST /key/regenerate', { key_alias: 'a', grace_period: '48h' })
    const [current, previous] = [await held('litellm/a'), await held('litellm/a', { stage: 'previous' })]
    runtime.clock.advance(48 * 3_600_000 - 1)
    const before = await valid()
    runtime.clock.advance(1)

    expect(json).toMatchObject({ previous_until: '2026-11-23T12:00:00.000Z', enforced_by: ['verify'] })
    expect([current, previous]).toEqual([json['key'], made.json['key']])
    expect([before, await valid()]).toEqual([true, false])
  })

  it('L25: needs no licence', async () => {
    const { send, runtime } = await opened()
    await send('POST /key/generate', { key_alias: 'a' })

    const { status } = await send('POST /key/regenerate', { key_alias: 'a' })

    expect([runtime.env.get('LITELLM_LICENSE'), status]).toEqual([undefined, 200])
  })
})

describe('a key with auto_rotate', () => {
  it('L24: is rotated by the sweep once it is due, and is due again an interval later', async () => {
    const { send, runtime } = await opened()
    const made = await send('POST /key/generate', { key_alias: 'a', auto_rotate: true, rotation_interval: '30d' })
    const early = await send('POST /keys:reconcile', { repair: true })
    runtime.clock.advance(30 * 86_400_000)

    const swept = await send('POST /keys:reconcile', { repair: true })
    const after = await send('GET /key/info?key_alias=a')

    expect(early.json['items']).toEqual([])
    expect(swept.json['items']).toMatchObject([{ finding: 'rotation_due', action: 'repaired', key_id: made.json['key_id'] }])
    expect([after.json['epoch'], Date.parse(String(after.json['rotation_due']))]).toEqual([2, runtime.clock.now() + 30 * 86_400_000])
  })
})

describe('deleting keys', () => {
  it('L16: deletes the one without an alias as well', async () => {
    const { send } = await opened()
    const [a, x] = [await send('POST /key/generate', { key_alias: 'a' }), await send('POST /key/generate', {})]

    const { status, json } = await send('POST /key/delete', { keys: [a.json['key'], x.json['key']] })

    expect([status, json['deleted_keys']]).toEqual([200, [a.json['key_id'], x.json['key_id']]])
    expect((await send('GET /key/list')).json['keys']).toEqual([])
  })

  it('L17: goes on after one that fails, and answers each by itself', async () => {
    const { send } = await open({ wrap: (provider): SecretProvider => ({ ...provider, write: (request, call) => (request.name.text === 'litellm/a' && request.operation.includes('delete') ? unavailable() : (provider.write?.(request, call) ?? unavailable())) }) })
    for (const key_alias of ['a', 'b']) await send('POST /key/generate', { body: { key_alias } })

    const { status, json } = await send('POST /key/delete', { body: { key_aliases: ['a', 'b'] } })

    expect(status).toBe(200)
    expect(json['results']).toMatchObject([{ key_alias: 'a', deleted: false, error: { type: 'provider_unavailable' } }, { key_alias: 'b', deleted: true }])
  })

  it('L26: answers 422 to a request that names none', async () => {
    const { send } = await opened()

    expect((await send('POST /key/delete', { keys: [], key_aliases: [] })).status).toBe(422)
  })
})
