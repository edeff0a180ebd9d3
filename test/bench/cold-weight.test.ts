// Bench P4 as a gate, for each cloud: what a cold read loads and asks is counted, in a process of its own, out of the bundle as it is shipped. Times are `npm run bench`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fakeKeys, startSecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { LambdaProcess, recorded } from '../hosts/lambda-process.ts'
import { buildLatchkey, callerToken, clouds, type Cloud } from './cold/builds.ts'
import { environmentOf, runOnce, startUpstream, type Upstream } from './cold/rounds.ts'

const kilobyte = 1024
/** Minified bytes of everything that the first read loads. They may only fall. */
const budgets: Readonly<Record<Cloud, number>> = { aws: 45 * kilobyte, azure: 78.5 * kilobyte, google: 77.5 * kilobyte }
/** Exactly what is asked of the cloud for a first read, and nothing for a second. */
const calls: Readonly<Record<Cloud, Readonly<Record<string, number>>>> = { aws: { GetSecretValue: 1 }, azure: { token: 1, getSecret: 1 }, google: { token: 1, access: 1 } }
/** All of Node's own modules beyond those of an empty process; a hand-written read alone has 65. */
const mostBuiltins = 70

let upstream: Upstream
let folder: string

beforeAll(async () => {
  upstream = await startUpstream()
  folder = mkdtempSync(join(tmpdir(), 'latchkey-cold-weight-'))
})
afterAll(async () => {
  await upstream.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('a cold read', () => {
  it.each(Object.keys(clouds) as Cloud[])('of %s loads its own provider and no library, never undici, and asks as little as there is to ask', { timeout: 60_000 }, async (cloud) => {
    const built = await buildLatchkey(cloud, join(folder, cloud), `https://localhost:${upstream.https}`)
    await upstream.counts()

    const sample = await runOnce({ name: cloud, file: built.file, event: recorded('http-api-get', callerToken, { rawPath: '/secrets/app-key-1' }), kilobytes: built.bytes / kilobyte }, environmentOf(upstream))

    expect(await upstream.counts()).toEqual(calls[cloud])
    expect(sample.undici).toBe('never')
    expect(sample.builtins).toBeLessThanOrEqual(mostBuiltins)
    expect(built.inputs.filter((input) => input.includes('node_modules') || (input.startsWith('shared/providers/') && ![`shared/providers/${clouds[cloud].provider}.ts`, 'shared/providers/registry.ts'].includes(input)))).toEqual([])
    expect(built.inputs.filter((input) => input.startsWith('shared/core/configuration/')).toSorted()).toEqual(['shared/core/configuration/compiled.ts'])
    expect(built.bytes).toBeLessThanOrEqual(budgets[cloud])
    console.log(`P4 count: ${cloud}: ${(built.bytes / kilobyte).toFixed(1)} kB in ${built.files} files, ${sample.builtins} built-ins, undici ${sample.undici}`)
  })

  it('and everything that only another request needs are one program: each is answered by files that are loaded for it', { timeout: 60_000 }, async () => {
    const { file } = await buildLatchkey('aws', join(folder, 'asking'), `https://localhost:${upstream.https}`)
    const read = new LambdaProcess(file, environmentOf(upstream))
    await read.ready()
    const ask = async (path: string, change: Readonly<Record<string, unknown>> = {}): Promise<number | undefined> => (await read.invoke(recorded('http-api-get', callerToken, { rawPath: path, ...change }))).answer?.statusCode
    const http = (method: string): Readonly<Record<string, unknown>> => ({ requestContext: { http: { method } } })
    const post = { ...http('POST'), headers: { authorization: `Bearer ${callerToken}`, 'content-type': 'application/json' } }

    const statuses = {
      stranger: (await read.invoke(recorded('http-api-get', 'sk-of-nobody-0123456789-0123456789-012345'))).answer?.statusCode,
      stage: await ask('/secrets/app-key-1', { rawQueryString: 'stage=other' }),
      version: await ask('/secrets/app-key-1', { rawQueryString: 'stage=previous' }),
      property: await ask('/secrets/app-key-1', { rawQueryString: 'property=a' }),
      noRoute: await ask('/nothing'),
      options: await ask('/secrets/app-key-1', http('OPTIONS')),
      patch: await ask('/secrets/app-key-1', http('PATCH')),
      long: await ask(`/secrets/${'a'.repeat(3_000)}`),
      noGrant: await ask('/secrets/other'),
      keyName: await ask('/secrets/litellm/key'),
      health: await ask('/health'),
      whoami: await ask('/whoami'),
      identity: await ask('/secrets/app-key-1', { requestContext: { http: { method: 'GET' }, authorizer: { iam: { userArn: 'arn:aws:iam::123456789012:role/nobody' } } } }),
      many: await ask('/secrets:read', { ...post, body: '{"names":["app-key-1","app-key-2"]}' }),
      noBody: await ask('/secrets:read', { ...post, body: '' }),
      noJson: await ask('/secrets:read', { ...post, body: '{' }),
    }
    await read.close()

    expect(statuses).toEqual({
      stranger: 401, stage: 400, version: 200, property: 503, noRoute: 404, options: 204, patch: 405, long: 414, noGrant: 403, keyName: 403,
      health: 200, whoami: 200, identity: 200, many: 200, noBody: 400, noJson: 400,
    })
  })

  it('says what AWS refuses, and that it cannot be reached, by files that are loaded for it', { timeout: 60_000 }, async () => {
    const aws = await startSecretsManagerFake()
    const { file } = await buildLatchkey('aws', join(folder, 'refused'), `https://localhost:${upstream.https}`)
    const keys = { AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey }
    const [there, nowhere] = [aws.url, 'http://127.0.0.1:1'].map((url) => new LambdaProcess(file, { ...environmentOf(upstream), ...keys, AWS_SESSION_TOKEN: '', AWS_ENDPOINT_URL: url }))
    const asked = recorded('http-api-get', callerToken, { rawPath: '/secrets/app-key-1' })
    await Promise.all([there?.ready(), nowhere?.ready()])

    const answers = await Promise.all([there?.invoke(asked), nowhere?.invoke(asked)])
    await Promise.all([there?.close(), nowhere?.close()])
    await aws.close()

    expect(answers.map((each) => (JSON.parse(each?.answer?.body ?? '{}') as { code?: string }).code)).toEqual(['not_found', 'provider_unavailable'])
  })
})
