// Google Secret Manager as it is set and as it answers: annotations and labels, places, the vendor's refusals by name, what a check finds, and requests of ours held
// against those of the vendor's client.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { SecretManagerServiceClient } from '@google-cloud/secret-manager'
import { describe, expect, it } from 'vitest'
import { isCode } from '../../../shared/core/errors.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { googleOperator } from '../../conformance/operators/google.ts'
import { openGoogleSecrets } from '../../conformance/harnesses/google-secret-manager.ts'
import { knownAccount } from '../../fakes/google-bearer.ts'
import { fakeProject } from '../../fakes/google/secret-manager.ts'
import { testRuntime } from '../../support/runtime.ts'
import { codeOf, open, parent } from './opened.ts'

const N = hostedName('N')

describe('the requests that Latchkey makes by itself', () => {
  it('are those of the vendor\'s client in method, path and body; the client asks for enumerations as numbers besides', async () => {
    const { fake, provider, call, runtime } = await open()
    runtime.clock.set(Date.now())
    fake.seed('N', 'one')
    const client = new SecretManagerServiceClient(googleOperator({ url: fake.url, settings: { google_service_account: knownAccount().file } }))
    await provider.read(N, {}, call())
    await provider.describe(N, call())
    const ours = fake.requests.splice(0).slice(0, 2)

    await client.accessSecretVersion({ name: `${parent}/N/versions/latest` })
    await client.getSecret({ name: `${parent}/N` })
    await client.close()

    const shape = ({ method, path, body }: (typeof ours)[number]) => ({ method, path, body: body.toString('utf8') })
    expect(ours.map(shape)).toEqual(fake.requests.map(shape))
    expect(fake.requests.map(({ query }) => query.get('$alt'))).toEqual(['json;enum-encoding=int', 'json;enum-encoding=int'])
  })
})

describe('annotations and labels', () => {
  it('hold LiteLLM\'s tags and description exactly, and what lists select by as labels as well', async () => {
    const { fake, write, provider, call } = await open()
    const labels = { Environment: 'Prod', Owner: 'AI Platform team', 'managed-by': 'latchkey', 'latchkey-key-id': 'abc1', 'latchkey-team': 'Team Ü', 'latchkey-token-sha256': 'f'.repeat(64) }
    await write('litellm/a', 'one', { labels, description: 'A key: ünïcode' })
    await write('litellm/a', 'two')

    const facts = await provider.describe(createdName('litellm/a'), call())
    const held = fake.service.secrets.get(`${parent}/litellm-2fa`) as { labels: object; annotations: Record<string, string> }
    const listed = await provider.list({ prefix: 'litellm/', label: ['latchkey-team', 'Team Ü'], limit: 10 }, call())

    expect([facts.labels, facts.description]).toEqual([labels, 'A key: ünïcode'])
    expect(held.labels).toEqual({ 'managed-by': 'latchkey', 'latchkey-key-id': 'abc1', 'latchkey-team': '-54eam-20-c3-9c', 'latchkey-token-sha256': 'f'.repeat(63) })
    expect(held.annotations).toMatchObject({ Environment: 'Prod', Owner: 'AI Platform team', 'latchkey-team': 'Team Ü', 'latchkey-name': 'litellm/a', description: 'A key: ünïcode' })
    expect(listed.items.map((item) => item.name.text)).toEqual(['litellm/a'])
    expect(fake.requests.at(-1)?.query.get('filter')).toBe('name:litellm AND labels.latchkey-team=-54eam-20-c3-9c')
  })

  it.each([
    ['a tag whose name has a space', { 'Cost Centre': '1' }],
    ['a tag that is ours', { description: 'x' }],
    ['a value over 256 bytes', { a: 'x'.repeat(257) }],
    ['too many tags', Object.fromEntries(Array.from({ length: 41 }, (_, index) => [`tag${index}`, '1']))],
  ])('refuse %s before anything is sent', async (_title, labels) => {
    const { fake, write } = await open()

    expect(await codeOf(write('litellm/a', 'one', { labels }))).toBe('invalid_request')
    expect(fake.requests).toEqual([])
  })

  it('leave labels and aliases of others alone', async () => {
    const { fake, provider, call } = await open()
    fake.seed('N', 'one')
    fake.service.secrets.update(`${parent}/N`, { labels: { cost: 'x' }, versionAliases: { stable: '1' }, annotations: { theirs: 'Y' } }, 'labels,version_aliases,annotations')

    await provider.write({ name: N, value: SecretValue.of('two'), expect: 'any', operation: `put-${'a'.repeat(32)}`, stage: 'current', labels: { Owner: 'Us' } }, call())

    expect(fake.service.secrets.get(`${parent}/N`)).toMatchObject({ labels: { cost: 'x' }, versionAliases: { stable: '1', current: '2' }, annotations: { theirs: 'Y', Owner: 'Us' } })
    expect((await provider.describe(N, call())).labels).toEqual({ cost: 'x', theirs: 'Y', Owner: 'Us' })
  })

  it('answer integrity when somebody else has written into the record', async () => {
    const { fake, write, text } = await open()
    await write('litellm/a', 'one')
    fake.service.secrets.update(`${parent}/litellm-2fa`, { annotations: { 'latchkey-versions': '[["c"' } }, 'annotations')

    expect(await codeOf(text(createdName('litellm/a')))).toBe('integrity')
  })
})

describe('the service as it is set', () => {
  it('makes secrets where and how the settings say', async () => {
    const { fake, write } = await open({ google_replica_locations: ['europe-west3', 'europe-west4'] })
    await write('litellm/a', 'one')

    expect(fake.service.secrets.get(`${parent}/litellm-2fa`)).toMatchObject({ replication: { userManaged: { replicas: [{ location: 'europe-west3' }, { location: 'europe-west4' }] } } })
  })

  it('speaks to regional secrets by their location', async () => {
    const { fake, write, text } = await open({ google_location: 'europe-west3' })
    await write('litellm/a', 'one')

    expect(await text(createdName('litellm/a'))).toBe('one')
    expect(fake.service.secrets.paths()).toEqual([`projects/${fakeProject}/locations/europe-west3/secrets/litellm-2fa`])
  })

  it.each([
    ['google_project_id', { google_project_id: 'a/b' }],
    ['google_location', { google_location: 'x/../y' }],
    ['google_endpoint', { google_endpoint: 'http://secretmanager.example' }],
    ['google_replica_locations', { google_replica_locations: ['a'], google_kms_key_name: 'k' }],
    ['google_metadata_host', { google_metadata_host: 'a/b' }],
  ])('refuses a wrong %s at the start', async (setting, settings) => {
    const failure = await openGoogleSecrets(testRuntime(), settings).catch((error: unknown) => error)

    expect(isCode(failure, 'misconfigured')).toBe(true)
    expect(String(failure)).toContain(setting)
  })

  it.each([
    ['NOT_FOUND', 404, 'not_found'],
    ['PERMISSION_DENIED', 403, 'provider_denied'],
    ['UNAUTHENTICATED', 401, 'provider_denied'],
    ['FAILED_PRECONDITION', 400, 'version_disabled'],
    ['INVALID_ARGUMENT', 400, 'invalid_request'],
    ['RESOURCE_EXHAUSTED', 429, 'provider_throttled'],
    ['UNAVAILABLE', 503, 'provider_unavailable'],
    ['INTERNAL', 500, 'provider_unavailable'],
    ['DEADLINE_EXCEEDED', 504, 'provider_unavailable'],
    ['', 404, 'provider_unavailable'],
    ['', 403, 'provider_unavailable'],
  ])('reads %s (%i) as %s', async (status, number, code) => {
    const { fake, text } = await open()
    fake.fault({ kind: 'says', answer: { status: number, headers: { 'content-type': 'application/json' }, body: status === '' ? {} : { error: { code: number, status, message: 'x' } } } })

    expect(await codeOf(text(N, { version: '1' }))).toBe(code)
  })

  it('tells a quota that is used up and an API that is off from a throttle and a refusal', async () => {
    const { fake, text } = await open()
    const refusal = (status: number, name: string, reason: string) => ({ kind: 'says' as const, times: status === 429 ? 3 : 1, answer: { status, headers: { 'content-type': 'application/json' }, body: { error: { status: name, details: [{ reason }] } } } })
    fake.fault(refusal(429, 'RESOURCE_EXHAUSTED', 'RESOURCE_QUOTA_EXCEEDED'))
    const quota = await codeOf(text(N))
    fake.heal()
    fake.fault(refusal(403, 'PERMISSION_DENIED', 'SERVICE_DISABLED'))

    expect([quota, await codeOf(text(N))]).toEqual(['provider_quota', 'misconfigured'])
  })

  it('sends each request of the client once by itself: repetitions are ours', async () => {
    const { fake, provider, call } = await open()
    fake.fault({ kind: 'unavailable_before' })

    await codeOf(provider.list({ prefix: '', limit: 10 }, call()))
    await codeOf(provider.remove(N, { expect: 'any', final: true }, call()))

    expect(fake.requests.map(({ method }) => method)).toEqual(['GET', 'GET', 'GET', 'GET', 'GET', 'GET'])
  })
})

describe('the environment', () => {
  it('cannot make Google\'s client print requests, whose values would stand in them', async () => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'talkative-child.ts')], { env: { ...process.env, GOOGLE_SDK_NODE_LOGGING: 'all' } })

    expect([stdout, stderr]).toEqual(['written asked to print', ''])
  }, 30_000)
})

describe('a check', () => {
  it.each([
    ['read', 'versions.access'],
    ['read', 'secrets.get'],
    ['write', 'versions.add'],
    ['write', 'secrets.create'],
    ['write', 'secrets.update'],
    ['write', 'versions.destroy'],
  ] as const)('of depth %s names the permission %s when it is missing, and makes nothing', async (depth, permission) => {
    const { fake, provider, call } = await open({}, { allows: (_who, asked) => asked !== `secretmanager.${permission}` })

    const findings = await provider.check(depth, call())

    expect(findings.filter(({ ok }) => !ok).map(({ subject, setting }) => [subject, setting])).toEqual([[`secretmanager.${permission}`, 'google_service_account']])
    expect(findings[0]?.message).toContain('reader@fake-project.iam.gserviceaccount.com')
    expect(fake.service.secrets.paths()).toEqual([])
  })

  it('asks about secrets below the prefix only, because a condition may allow nothing beside it', async () => {
    const onProject = ['secretmanager.secrets.create', 'secretmanager.secrets.list']
    const { provider, call } = await open({}, { allows: (_who, asked, resource) => onProject.includes(asked) || /\/secrets\/litellm-2f/.test(resource) })

    const findings = await provider.check('write', call(), 'litellm')

    expect(findings.filter(({ ok }) => !ok)).toEqual([])
  })

  it('of reach asks for no permission, and says when nobody answers', async () => {
    const { fake, provider, call } = await open({}, { allows: () => false })
    const reached = await provider.check('reach', call())
    await fake.close()

    const lost = await provider.check('reach', call())

    expect(reached.every(({ ok }) => ok)).toBe(true)
    expect(lost.filter(({ ok }) => !ok).map(({ setting }) => setting)).toEqual(['google_endpoint'])
  })
})
