// The built Lambda bundles, invoked with recorded events in child processes: what they answer, what they refuse, and what they load (bench P4).
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { bundle } from '../../functions/build/bundle.ts'
import { budgets, complaints, partsOf, type Part } from '../../functions/build/parts.ts'
import { fakeKeys, startSecretsManagerFake, type SecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { LambdaProcess, recorded } from './lambda-process.ts'

const folder = mkdtempSync(join(tmpdir(), 'latchkey-lambda-'))
const token = 'sk-the-master-key-of-a-function-0123456789'
const processes: LambdaProcess[] = []
const built: Partial<Record<'read' | 'keys', Metafile>> = {}
let aws: SecretsManagerFake

const onAws = (config: object = {}, management: object = {}): Record<string, string> => ({
  LATCHKEY_CONFIG: JSON.stringify({
    general_settings: { master_key: 'os.environ/LITELLM_MASTER_KEY', key_management_system: 'aws_secret_manager', key_management_settings: { access_mode: 'read_and_write', store_virtual_keys: true, ...management } },
    ...config,
  }),
  LITELLM_MASTER_KEY: token,
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId,
  AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey,
  AWS_ENDPOINT_URL: aws.url,
})

const load = (entry: 'read' | 'keys', env: Readonly<Record<string, string>>): LambdaProcess => {
  const started = new LambdaProcess(join(folder, entry, `${entry}.mjs`), env)
  processes.push(started)
  return started
}

const opened = async (entry: 'read' | 'keys', env = onAws()): Promise<LambdaProcess> => {
  const started = load(entry, env)
  await started.ready()
  return started
}

const post = (path: string, body: object, method = 'POST'): Readonly<Record<string, unknown>> =>
  recorded('function-url-post-base64', token, { rawPath: path, body: JSON.stringify(body), isBase64Encoded: false, requestContext: { stage: '$default', http: { method } } })

const bodyOf = (given: { answer?: { body: string } }): unknown => JSON.parse(given.answer?.body ?? 'null')

const parts = (entry: 'read' | 'keys'): readonly Part[] => partsOf(built[entry] ?? { inputs: {}, outputs: {} }, { host: 'lambda', entry })

beforeAll(async () => {
  aws = await startSecretsManagerFake()
  for (const entry of ['read', 'keys'] as const) built[entry] = await bundle({ host: 'lambda', entry }, join(folder, entry))
  const keys = await opened('keys')
  await keys.invoke(post('/secrets/your-test-key', { value: 'kept in the fake' }, 'PUT'))
}, 60_000)

afterEach(async () => {
  await Promise.all(processes.splice(0).map((started) => started.close()))
})

afterAll(async () => {
  await aws.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('the built read function', () => {
  it('answers a recorded event of the HTTP API', async () => {
    const read = await opened('read')

    const given = await read.invoke(recorded('http-api-get', token))

    expect(given.answer).toMatchObject({ statusCode: 200, isBase64Encoded: false, headers: { 'cache-control': 'no-store', 'x-cache': 'MISS' } })
    expect(bodyOf(given)).toMatchObject({ name: 'your-test-key', value: 'kept in the fake', store: 'default', source: 'aws_secret_manager' })
  })

  it('takes the stage off the path, and headers in any case', async () => {
    const read = await opened('read')

    const given = await read.invoke(recorded('http-api-stage-get', token))

    expect(given.answer).toMatchObject({ statusCode: 200, body: 'kept in the fake' })
  })

  it('decodes a body by its flag', async () => {
    const read = await opened('read')

    const given = await read.invoke(recorded('function-url-post-base64', token))

    expect(bodyOf(given)).toMatchObject({ results: [{ name: 'your-test-key', value: 'kept in the fake' }, { name: 'absent', error: { code: 'not_found' } }] })
  })

  it.each([
    ['PUT', '/secrets/x', 405],
    ['DELETE', '/secrets/x', 405],
    ['POST', '/secrets/x:recover', 404],
    ['POST', '/key/generate', 404],
    ['POST', '/key/delete', 404],
    ['POST', '/key/regenerate', 404],
    ['POST', '/key/verify', 404],
  ])('has no %s %s', async (method, path, status) => {
    const read = await opened('read')

    const given = await read.invoke(post(path, { value: 'x' }, method))

    expect(given.answer?.statusCode).toBe(status)
  })

  it('answers a recorded event of a REST API, in the form that it came', async () => {
    const read = await opened('read')

    const { answer, undici } = await read.invoke(recorded('rest-api-get', token))

    expect(answer).toMatchObject({ statusCode: 200, isBase64Encoded: false, multiValueHeaders: { 'cache-control': ['no-store'] } })
    expect(answer).not.toHaveProperty('headers')
    expect(undici).toBe(false)
  })

  it('refuses an event that is no HTTP event', async () => {
    const read = await opened('read')

    const given = await read.invoke({ Records: [{ eventSource: 'aws:sqs', body: '{}' }] })

    expect(given.error?.message).toMatch(/takes HTTP events of API Gateway, of a function URL or of an Application Load Balancer/)
  })

  it('has read its hosted secrets before the first event, in batches', async () => {
    const names = Array.from({ length: 25 }, (_, index) => `HOSTED_${index}`)
    for (const name of names) aws.seed(name, `value of ${name}`)
    const before = aws.requests.length

    const read = await opened('read', onAws({}, { hosted_keys: [...names, 'your-test-key', 'HOSTED_ABSENT'] }))
    const atStart = aws.requests.slice(before).map(({ operation }) => operation)
    const first = await read.invoke(recorded('http-api-get', token))

    expect(atStart).toEqual(['BatchGetSecretValue', 'BatchGetSecretValue'])
    expect(first.answer).toMatchObject({ statusCode: 200, headers: { 'x-cache': 'HIT' } })
    expect(aws.requests.length).toBe(before + 2)
    expect(read.log.join('\n')).toMatch(/Of the hosted secrets 26 were read at the start and 1 were not.*not_found/)
    expect(read.log.join('\n')).not.toContain('value of')
  })

  it('starts, and answers, although the hosted secrets cannot be read at the start', async () => {
    aws.fault({ kind: 'denied' })
    const read = await opened('read', onAws({}, { hosted_keys: ['your-test-key'] }))
    aws.heal()

    const first = await read.invoke(recorded('http-api-get', token))

    expect(first.answer).toMatchObject({ statusCode: 200, headers: { 'x-cache': 'MISS' } })
    expect(read.log.join('\n')).toMatch(/0 were read at the start and 1 were not.*provider_denied/)
  })

  it('does not wait for them longer than its initialisation may take', async () => {
    aws.fault({ kind: 'slow', operations: ['BatchGetSecretValue', 'GetSecretValue'] })
    const started = performance.now()

    const read = await opened('read', onAws({}, { hosted_keys: ['your-test-key', 'absent'] }))
    const waited = performance.now() - started
    aws.heal()

    expect(waited).toBeLessThan(9_000)
    expect(read.log.join('\n')).toMatch(/0 were read at the start and 2 were not.*deadline_exceeded/)
  })

  it('knows callers that its gateway proved, where its configuration names them', async () => {
    const named = await opened('read', onAws({ latchkey: { access: [{ name: 'ci', aws_arn: 'arn:aws:iam::123456789012:role/path/ci', grants: [{ action: 'secrets:read', names: ['your-*'] }] }] } }))
    const unnamed = await opened('read')

    const answers = [await named.invoke(recorded('http-api-iam', token)), await named.invoke(recorded('http-api-iam', token, { rawPath: '/secrets/other' })), await unnamed.invoke(recorded('http-api-iam', token))]

    expect(answers.map(({ answer }) => answer?.statusCode)).toEqual([200, 403, 401])
  })

  it('gives up before the platform does', async () => {
    const read = await opened('read')
    aws.fault({ kind: 'slow', operations: ['GetSecretValue'] })

    const given = await read.invoke(recorded('http-api-get', token), 2_000)
    aws.heal()

    expect(given.answer?.statusCode).toBe(504)
  })

  it('says one line and fails to load when its configuration is wrong', async () => {
    const read = load('read', onAws({ latchkey: { cach: {} } }))

    await expect(read.ready()).rejects.toThrow(/did you mean cache/)

    expect(read.log.map((line) => JSON.parse(line) as Record<string, unknown>)).toMatchObject([{ level: 50, code: 'misconfigured', msg: expect.stringMatching(/^Latchkey cannot start: .*latchkey\.cach is not a setting; did you mean cache\?/) }])
  })
})

describe('the built keys function', () => {
  it('creates, rotates and deletes a virtual key', async () => {
    const keys = await opened('keys')

    const made = await keys.invoke(post('/key/generate', { key_alias: 'built' }))
    const rotated = await keys.invoke(post('/key/regenerate', { key_alias: 'built' }))
    const deleted = await keys.invoke(post('/key/delete', { key_aliases: ['built'] }))

    expect([made, rotated, deleted].map((given) => given.answer?.statusCode)).toEqual([200, 200, 200])
    expect(bodyOf(made)).toMatchObject({ key: expect.stringMatching(/^sk-/), stored: { store: 'default', name: 'litellm/built' } })
    expect(aws.secrets.has('litellm/built')).toBe(true)
  })

  it('reads no secret', async () => {
    const keys = await opened('keys')

    const given = await keys.invoke(recorded('http-api-get', token))

    expect(given.answer?.statusCode).toBe(405)
    expect(given.answer?.body).not.toContain('kept in the fake')
  })
})

describe('bench P4: what the bundles weigh and load', () => {
  it('never loads undici, not by loading the bundle and not by the first read', async () => {
    const read = load('read', onAws())

    const atImport = await read.ready()
    const first = await read.invoke(recorded('http-api-get', token))
    const second = await read.invoke(recorded('http-api-get', token))

    expect(first.answer?.statusCode).toBe(200)
    expect([atImport.undici, first.undici, second.undici]).toEqual([false, false, false])
  })

  it('keeps the read entry within its budget, and each provider apart from every other', () => {
    expect(complaints({ host: 'lambda', entry: 'read' }, parts('read'))).toEqual([])
    expect(complaints({ host: 'lambda', entry: 'keys' }, parts('keys'))).toEqual([])
  })

  it('brings one provider with the read function: ours, its SDK, and nothing of another', () => {
    const [entry, ...providers] = parts('read')
    const chunk = providers.find(({ name }) => name === 'aws-secrets-manager')

    expect([...(entry?.inputs ?? [])].filter((input) => /shared\/providers\/|node_modules/.test(input))).toEqual(['shared/providers/registry.ts'])
    expect([...(chunk?.inputs ?? [])].filter((input) => input.startsWith('shared/providers/'))).toEqual(['shared/providers/aws-secrets-manager.ts'])
    expect([...(chunk?.inputs ?? [])].some((input) => input.includes('@aws-sdk/client-secrets-manager'))).toBe(true)
  })

  it('complains about a bundle that is too heavy, holds another provider, or brings a library', () => {
    const heavy: Part = { name: 'entry', bytes: budgets.readEntry + 1, inputs: new Set(['shared/providers/memory.ts', 'node_modules/yaml/index.js']) }

    expect(complaints({ host: 'lambda', entry: 'read' }, [heavy])).toHaveLength(4)
  })
})
