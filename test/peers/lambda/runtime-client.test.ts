// The built archive, unpacked, under AWS's own runtime client for Node and behind a Runtime API: cold and warm, killed and started again, thrown errors, and what
// is too large to give back. It prints what a log line of the platform would report.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { fakeKeys, startSecretsManagerFake, type SecretsManagerFake } from '../../fakes/aws-secrets-manager.ts'
import { recorded } from '../../hosts/lambda-process.ts'
import { Child } from '../../hosts/processes/child.ts'
import { RuntimeApi, type Outcome } from '../../hosts/processes/runtime-api.ts'
import { buildArchives, type Archives } from './built-archive.ts'

const peer = inject('peers').lambda_ric
const token = `sk-${randomBytes(32).toString('hex')}`

describe('the built archive under the runtime client of AWS', () => {
  if ('missing' in peer) {
    it(`is left out: ${peer.missing}`, () => {
      expect(peer.missing).not.toBe('')
    })
    return
  }
  const client = peer.url
  let aws: SecretsManagerFake
  let archives: Archives
  const open: (() => Promise<void>)[] = []

  beforeAll(async () => {
    aws = await startSecretsManagerFake()
    aws.seed('your-test-key', 'kept in the fake')
    archives = await buildArchives()
  })
  afterEach(async () => {
    for (const close of open.splice(0)) await close()
  })
  afterAll(async () => {
    archives.close()
    await aws.close()
  })

  const start = async (entry: 'read' | 'keys', settings: object = {}, variables: Readonly<Record<string, string>> = {}): Promise<{ api: RuntimeApi; child: Child; restart: () => Promise<Child>; initMs: number }> => {
    const [api, folder] = [await RuntimeApi.start(), archives.unpack(entry)]
    const configuration = { general_settings: { master_key: 'os.environ/LITELLM_MASTER_KEY', key_management_system: 'aws_secret_manager', key_management_settings: { access_mode: 'read_and_write', store_virtual_keys: true, ...settings } } }
    const env = {
      AWS_LAMBDA_RUNTIME_API: api.address, LAMBDA_TASK_ROOT: folder, _HANDLER: `${entry}.handler`, AWS_LAMBDA_FUNCTION_NAME: 'latchkey', AWS_LAMBDA_FUNCTION_VERSION: '$LATEST', AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512',
      AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/latchkey', AWS_LAMBDA_LOG_STREAM_NAME: '2026/11/22/[$LATEST]0', AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey,
      AWS_ENDPOINT_URL: aws.url, LITELLM_MASTER_KEY: token, LATCHKEY_CONFIG: JSON.stringify(configuration), HOME: folder, ...variables,
    }
    const started = performance.now()
    const run = async (): Promise<Child> => {
      const child = new Child([client], env)
      open.push(() => child.close())
      await Promise.race([api.idle(), child.ended()])
      return child
    }
    const child = await run()
    const initMs = performance.now() - started
    open.push(() => api.close())
    return { api, child, restart: run, initMs }
  }

  const answerOf = ({ response, error }: Outcome): { statusCode: number; headers: Record<string, string>; body: string } => {
    if (response === undefined) throw new Error(`no answer: ${JSON.stringify(error)}`)
    return JSON.parse(response) as ReturnType<typeof answerOf>
  }
  const post = (path: string, body: object, headers: object = {}): unknown =>
    recorded('function-url-post-base64', token, { rawPath: path, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers }, body: JSON.stringify(body), isBase64Encoded: false, requestContext: { stage: '$default', http: { method: 'POST' } } })
  const megabytes = (child: Child): number => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid ?? 0}/status`, 'utf8'))?.[1] ?? 0) / 1_024

  it('answers cold and warm', async () => {
    const { api, child, initMs } = await start('read')

    const cold = await api.invoke(recorded('http-api-get', token))
    const warm = await Promise.all(Array.from({ length: 20 }, () => api.invoke(recorded('http-api-get', token))))

    expect([cold, ...warm].map((outcome) => answerOf(outcome).statusCode)).toEqual(Array.from({ length: 21 }, () => 200))
    expect(answerOf(cold)).toMatchObject({ headers: { 'x-cache': 'MISS' }, body: expect.stringContaining('kept in the fake') as string })
    expect(answerOf(warm[0] as Outcome).headers['x-cache']).toBe('HIT')
    const times = warm.map(({ milliseconds }) => milliseconds).toSorted((a, b) => a - b)
    console.log(`runtime client: init ${initMs.toFixed(0)} ms, cold ${cold.milliseconds.toFixed(1)} ms, warm ${(times[10] ?? 0).toFixed(1)} ms (${(times[0] ?? 0).toFixed(1)}-${(times.at(-1) ?? 0).toFixed(1)}), max memory used ${megabytes(child).toFixed(0)} MB`)
  })

  it('has read what it hosts before it asks for its first event', async () => {
    const { api } = await start('read', { hosted_keys: ['your-test-key'] })

    const first = await api.invoke(recorded('http-api-get', token))

    expect(answerOf(first)).toMatchObject({ statusCode: 200, headers: { 'x-cache': 'HIT' } })
  })

  it('tells the platform why it cannot start while a secret that a variable refers to is not there, and starts when it is', async () => {
    const { api, child, restart } = await start('read', {}, { LITELLM_MASTER_KEY: 'secret://aws_secret_manager/gateway/master' })
    const [exit, said] = [await child.ended(), api.initError]

    aws.seed('gateway/master', token)
    await restart()
    const first = await api.invoke(recorded('http-api-get', token))

    expect(said?.errorMessage).toMatch(/^LITELLM_MASTER_KEY refers to the secret "gateway\/master", which is not in AWS Secrets Manager in us-east-1/)
    expect(exit).not.toBe(0)
    expect(answerOf(first).statusCode).toBe(200)
  })

  it('answers before its time is over, and after a kill starts again', async () => {
    const { api, child, restart } = await start('read')
    aws.fault({ kind: 'slow', operations: ['GetSecretValue'] })
    const late = await api.invoke(recorded('http-api-get', token), 3_000)
    aws.heal()
    aws.fault({ kind: 'slow', operations: ['GetSecretValue'] })
    const hanging = api.invoke(recorded('http-api-get', token, { rawPath: '/secrets/absent' }), 3_000)
    await aws.held()

    await child.close()
    api.kill('Sandbox.Timedout')
    aws.heal()
    await restart()
    const after = await api.invoke(recorded('http-api-get', token))

    expect(answerOf(late).statusCode).toBe(504)
    expect((await hanging).error?.errorType).toBe('Sandbox.Timedout')
    expect(answerOf(after).statusCode).toBe(200)
  })

  it('makes one key of a creation that was killed in its middle and sent again', async () => {
    const { api, child, restart } = await start('keys')
    const create = post('/key/generate', { key_alias: 'killed' }, { 'idempotency-key': 'the-same-intent-0001' })
    aws.fault({ kind: 'slow', operations: ['CreateSecret'], times: 1 })
    const first = api.invoke(create)
    await aws.held()

    await child.close()
    api.kill('Runtime.ExitError')
    aws.heal()
    await restart()
    const again = await api.invoke(create)
    const listed = await api.invoke(recorded('http-api-get', token, { rawPath: '/key/list' }))

    expect((await first).error?.errorType).toBe('Runtime.ExitError')
    expect(answerOf(again)).toMatchObject({ statusCode: 200, body: expect.stringContaining('"key_alias":"killed"') as string })
    expect((JSON.parse(answerOf(listed).body) as { keys: unknown[] }).keys).toHaveLength(1)
  })

  it('gives an event that is no HTTP event back as an error, and lives on', async () => {
    const { api } = await start('read')

    const [wrong, right] = [await api.invoke({ Records: [{ body: token }] }), await api.invoke(recorded('http-api-get', token))]

    expect(wrong.error?.errorMessage).toMatch(/takes HTTP events/)
    expect(JSON.stringify(wrong.error)).not.toContain(token)
    expect(answerOf(right).statusCode).toBe(200)
  })

  it('does not initialise with a configuration that is wrong, and says why in one line', async () => {
    const { api, child } = await start('read', { acces_mode: 'read_only' })

    expect(await child.ended()).not.toBe(0)
    expect(api.initError?.errorMessage).toMatch(/did you mean access_mode/)
    expect(child.log.join('\n')).toMatch(/Latchkey cannot start: .*did you mean access_mode/)
  })

  it('answers in place of what is too large to give back', async () => {
    const { api } = await start('read')
    const names = Array.from({ length: 100 }, (_, index) => `LARGE_${index}`)
    for (const name of names) aws.seed(name, 'x'.repeat(65_536))

    const [all, half] = [await api.invoke(post('/secrets:read', { names })), await api.invoke(post('/secrets:read', { names: names.slice(0, 50) }))]

    expect(answerOf(all)).toMatchObject({ statusCode: 413, body: expect.stringContaining('"code":"too_large"') as string })
    expect(answerOf(half).statusCode).toBe(200)
  })
})
