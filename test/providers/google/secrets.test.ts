// Google Secret Manager beyond the exam: LiteLLM's table row by row, versions that are disabled or destroyed, checksums, pending tokens, pruning, and what a
// reader of `latest` finds.
import { describe, expect, it } from 'vitest'
import { hostedName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { hexEscapeCodec } from '../../../shared/credentials/google/names.ts'
import type { WriteRequest } from '../../../shared/core/provider.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { readSettings } from '../../../shared/core/settings.ts'
import { googleSecretManager } from '../../../shared/providers/google-secret-manager.ts'
import { envOf } from '../../support/runtime.ts'
import { codeOf, open, parent } from './opened.ts'

const says = (body: object | string): { kind: 'says'; answer: { status: number; headers: Record<string, string>; body: object | string } } => ({ kind: 'says', answer: { status: 200, headers: { 'content-type': 'application/json' }, body } })
const name = 'projects/1/secrets/N/versions/1'
const N = hostedName('N')

describe("LiteLLM's rows", () => {
  it('S01 reads the newest version by one request for `latest`, with a bearer token', async () => {
    const { fake, text } = await open()
    fake.seed('N', 'anything')

    const value = await text(N)

    expect(value).toBe('anything')
    expect(fake.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([`GET /v1/${parent}/N/versions/latest:access`])
    expect(fake.requests[0]?.headers['authorization']).toMatch(/^Bearer \S+$/)
  })

  it.each([
    ['S02 an empty value', { name, payload: { data: '' } }, ''],
    ['S02 an empty value that is left out, as its checksum says', { name, payload: { dataCrc32c: '0' } }, ''],
    ['S10 JSON, as text', { name, payload: { data: Buffer.from('{"a":1}').toString('base64') } }, '{"a":1}'],
  ])('%s is answered every time it is asked for', async (_title, body, expected) => {
    const { fake, text } = await open()
    fake.fault(says(body))

    const values = [await text(N), await text(N)]

    expect(values).toEqual([expected, expected])
  })

  it.each([
    ['S03 base64 with a newline', { name, payload: { data: 'YW55\ndGhpbmc=' } }, 'provider_unavailable'],
    ['S03 base64 that is cut', { name, payload: { data: 'YW55d' } }, 'provider_unavailable'],
    ['S04 a payload without data', { name, payload: {} }, 'provider_unavailable'],
    ['S06 data that is a number', { name, payload: { data: 5 } }, 'provider_unavailable'],
    ['S06 data that is a list', { name, payload: { data: ['YQ=='] } }, 'provider_unavailable'],
    ['S07 a body that is no object', '["YQ=="]', 'provider_unavailable'],
    ['S08 a wrong checksum', { name, payload: { data: 'YQ==', dataCrc32c: '1' } }, 'integrity'],
    ['a name without a version', { name: 'projects/1/secrets/N', payload: { data: 'YQ==' } }, 'provider_unavailable'],
    ['success with the body of a refusal', { error: { code: 404, status: 'NOT_FOUND', message: 'x' } }, 'provider_unavailable'],
  ])('%s is no value and no absence, and nothing of it is kept', async (_title, body, code) => {
    const { fake, text } = await open()
    fake.seed('N', 'right')
    fake.fault(says(body))

    const failed = await codeOf(text(N))
    fake.heal()

    expect([failed, await text(N)]).toEqual([code, 'right'])
  })

  it('S05 a refusal is a refusal, and the next read is answered', async () => {
    const { fake, text } = await open()
    fake.seed('N', 'value')
    fake.fault({ kind: 'denied', times: 1 })

    const codes = [await codeOf(text(N)), await text(N)]

    expect(codes).toEqual(['provider_denied', 'value'])
  })

  it('S08 a checksum that fits when asked again is answered', async () => {
    const { fake, text } = await open()
    fake.seed('N', 'value')
    fake.fault({ ...says({ name, payload: { data: 'YQ==', dataCrc32c: '1' } }), times: 1 })

    expect(await text(N)).toBe('value')
  })

  it('S09 the always-read variable and the refresh interval say how long a value is fresh', async () => {
    const env = envOf({ GOOGLE_SECRET_MANAGER_PROJECT_ID: 'p', GOOGLE_SECRET_MANAGER_REFRESH_INTERVAL: '86400', GCS_PATH_SERVICE_ACCOUNT: '/key.json' })
    const always = await open({ google_always_read: 'TRUE', google_refresh_interval_seconds: 60 })
    const day = await open({ google_refresh_interval_seconds: 86_400 })
    const plain = await open()

    const { settings } = readSettings(googleSecretManager.settings, {}, { path: 'google', env })

    expect([always, day, plain].map(({ provider }) => provider.traits.cacheTtlMs)).toEqual([0, 86_400_000, undefined])
    expect(always.provider.notices?.[0]).toContain('not recommended in production')
    expect(settings).toMatchObject({ google_project_id: 'p', google_refresh_interval_seconds: 86_400, google_always_read: false })
    expect(settings.google_service_account?.reveal()).toBe('/key.json')
  })

  it('S11 without a project the start names the variable', () => {
    const { issues } = readSettings(googleSecretManager.settings, {}, { path: 'google', env: envOf({}) })

    expect(issues.map(({ path, message }) => `${path} ${message}`)).toEqual(['google.google_project_id is required; set it here or in GOOGLE_SECRET_MANAGER_PROJECT_ID'])
  })
})

describe('what an operator hosts', () => {
  it('is read from the newest version that is enabled, whatever became of the last', async () => {
    const { fake, provider, text, call } = await open()
    for (const value of ['one', 'two', 'three']) fake.seed('N', value)
    fake.service.secrets.setState(`${parent}/N`, '3', 'disable', undefined)
    fake.service.secrets.setState(`${parent}/N`, '2', 'destroy', undefined)

    const record = await provider.read(N, {}, call())

    expect([record.value.reveal(), record.version?.id]).toEqual(['one', '1'])
    expect([await codeOf(text(N, { version: '3' })), await codeOf(text(N, { version: '2' })), await codeOf(text(N, { version: '9' }))]).toEqual(['version_disabled', 'version_disabled', 'not_found'])
  })

  it('is disabled, not absent, when no version is enabled', async () => {
    const { fake, text } = await open()
    fake.seed('N', 'one')
    fake.service.secrets.setState(`${parent}/N`, '1', 'disable', undefined)

    expect(await codeOf(text(N))).toBe('version_disabled')
  })

  it('stays what the operator makes of it after a write of ours', async () => {
    const { fake, provider, text, call } = await open()
    fake.seed('N', 'operator')
    await provider.write({ name: N, value: SecretValue.of('ours'), expect: { version: '1' }, operation: `put-${'a'.repeat(32)}`, stage: 'current' }, call())
    const ours = await text(N)

    fake.seed('N', 'operator again')
    const facts = await provider.describe(N, call())

    expect([ours, await text(N), facts.current?.id, await text(N, { stage: 'previous' })]).toEqual(['ours', 'operator again', '3', 'ours'])
  })

  it('is read two hundred times at once within the vendor\'s quotas', async () => {
    const { fake, text } = await open({}, { quotas: true })
    fake.seed('N', 'value')

    const values = await Promise.all(Array.from({ length: 200 }, () => text(N)))

    expect(new Set(values)).toEqual(new Set(['value']))
  })
})

describe('keys that Latchkey made', () => {
  it('are found by others under the alias current, and under latest', async () => {
    const { fake, write, provider, call } = await open()
    const first = await write('litellm/a', 'one')
    const operation = `2-rotate-${'b'.repeat(32)}`
    const pending = await provider.write({ name: createdName('litellm/a'), value: SecretValue.of('two'), expect: { version: first }, epoch: 2, before: first, operation, stage: 'pending' }, call())
    const while_ = fake.service.secrets.access(`${parent}/litellm-2fa`, 'latest')

    await provider.promote(createdName('litellm/a'), { to: pending.version?.id ?? '', from: first }, call())

    const read = (version: string): string => Buffer.from((fake.service.secrets.access(`${parent}/litellm-2fa`, version) as { payload: { data: string } }).payload.data, 'base64').toString()
    expect(Buffer.from((while_ as { payload: { data: string } }).payload.data, 'base64').toString()).toBe('one')
    expect([read('current'), read('latest')]).toEqual(['two', 'two'])
    expect(fake.service.secrets.paths()).toEqual([`${parent}/litellm-2fa`])
  })

  it('keep a pending token in a secret of its own below the same prefix, which the service itself deletes in the end', async () => {
    const { fake, write, provider, call, runtime } = await open()
    const first = await write('litellm/team/a', 'one')
    await provider.write({ name: createdName('litellm/team/a'), value: SecretValue.of('two'), expect: { version: first }, epoch: 2, before: first, operation: `2-rotate-${'b'.repeat(32)}`, stage: 'pending' }, call())

    const pending = fake.service.secrets.paths().find((path) => path.includes('pending'))?.split('/').at(-1) ?? ''
    const listed = await provider.list({ prefix: 'litellm/', limit: 10 }, call())
    runtime.clock.advance(31 * 86_400_000)

    expect(hexEscapeCodec.decode(pending)).toMatch(/^litellm\/team\/__latchkey\/pending\/a-2-[0-9a-f]{16}$/)
    expect(listed.items.map((item) => item.name.text)).toEqual(['litellm/team/a'])
    expect(fake.service.secrets.paths()).toEqual([`${parent}/litellm-2fteam-2fa`])
  })

  it('are put right for readers of latest when a late value of a dead write is the newest', async () => {
    const { fake, write, text } = await open()
    await write('litellm/a', 'one')
    fake.seed('litellm-2fa', 'late')
    const before = await text(createdName('litellm/a'))

    await write('litellm/a', 'two')
    fake.seed('litellm-2fa', 'later')
    await write('litellm/a', 'three')

    const latest = fake.service.secrets.access(`${parent}/litellm-2fa`, 'latest') as { payload: { data: string } }
    expect([before, Buffer.from(latest.payload.data, 'base64').toString()]).toEqual(['one', 'three'])
  })

  it('are never read from a secret that was made for a value which never came to count', async () => {
    const { fake, provider, call, text } = await open()
    fake.fault({ kind: 'unavailable_before', only: ({ method }) => method === 'PATCH' })
    const request: WriteRequest = { name: createdName('litellm/a'), value: SecretValue.of('one'), expect: 'absent', operation: `1-create-${'a'.repeat(32)}`, epoch: 1, stage: 'current' }
    const failed = await codeOf(provider.write(request, call()))
    fake.heal()

    const between = [await codeOf(text(createdName('litellm/a'))), await codeOf(provider.describe(createdName('litellm/a'), call())), (await provider.list({ prefix: '', limit: 10 }, call())).items.length]
    const { outcome } = await provider.write(request, call())

    expect([failed, ...between, outcome, await text(createdName('litellm/a'))]).toEqual(['provider_unavailable', 'not_found', 'not_found', 0, 'written', 'one'])
  })

  it('keep as many versions as the setting says, never losing current, previous or pending', async () => {
    const { fake, write, text, provider, call } = await open({ google_keep_versions: 3 })
    for (let index = 1; index <= 7; index += 1) await write('litellm/a', `value ${index}`)

    const states = (fake.service.secrets.versions(`${parent}/litellm-2fa`, { size: 0, token: '', filter: '' }) as { versions: { state: string }[] }).versions.map(({ state }) => state)

    expect(states).toEqual(['ENABLED', 'ENABLED', 'ENABLED', 'DESTROYED', 'DESTROYED', 'DESTROYED', 'DESTROYED'])
    expect([await text(createdName('litellm/a')), await text(createdName('litellm/a'), { stage: 'previous' })]).toEqual(['value 7', 'value 6'])
    expect((await provider.describe(createdName('litellm/a'), call())).versions?.filter(({ stages }) => stages.length > 0)).toHaveLength(2)
  })

  it('write with the vendor\'s delay all the same: what is stale only makes a write wait for its turn', async () => {
    const { provider, runtime, call, text } = await open({}, { lagMs: 5_000 })
    const request = (operation: string, value: string, expect: WriteRequest['expect']): WriteRequest => ({ name: createdName('litellm/a'), value: SecretValue.of(value), expect, operation: operation.padEnd(40, 'a'), stage: 'current' })
    await provider.write(request('1-create-', 'one', 'absent'), call())
    const early = await codeOf(provider.write(request('2-rotate-', 'two', { version: '1' }), call()))
    runtime.clock.advance(provider.traits.settleMs)

    const late = await provider.write(request('2-rotate-', 'two', { version: '1' }), call())
    runtime.clock.advance(provider.traits.settleMs)

    expect(early).not.toBe('ok')
    expect([late.outcome, await text(createdName('litellm/a'))]).toEqual(['written', 'two'])
  })
})
