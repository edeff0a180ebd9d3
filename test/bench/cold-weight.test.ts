// Bench P4 as a gate, for each cloud: what a cold read loads and asks is counted, in a process of its own, out of the bundle as it is shipped. Times are `npm run bench`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LambdaProcess, recorded } from '../hosts/lambda-process.ts'
import { buildLatchkey, callerToken, clouds, type Cloud } from './cold/builds.ts'
import { environmentOf, runOnce, startUpstream, type Upstream } from './cold/rounds.ts'

const kilobyte = 1024
/** Minified bytes of everything that the first read loads. They may only fall; the goal for AWS is 45. */
const budgets: Readonly<Record<Cloud, number>> = { aws: 73 * kilobyte, azure: 101 * kilobyte, google: 99 * kilobyte }
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

  it('and everything that only another request needs are one program: a refusal is worded by a file that is loaded for it', { timeout: 60_000 }, async () => {
    const { file } = await buildLatchkey('aws', join(folder, 'refusing'), `https://localhost:${upstream.https}`)
    const read = new LambdaProcess(file, environmentOf(upstream))
    await read.ready()

    const [stranger, bad, many] = [
      await read.invoke(recorded('http-api-get', 'sk-of-nobody-0123456789-0123456789-012345')),
      await read.invoke(recorded('http-api-get', callerToken, { rawPath: '/secrets/app-key-1', rawQueryString: 'stage=other' })),
      await read.invoke(recorded('http-api-get', callerToken, { rawPath: '/secrets:read', requestContext: { http: { method: 'POST' } }, headers: { authorization: `Bearer ${callerToken}`, 'content-type': 'application/json' }, body: '{"names":["app-key-1","app-key-2"]}' })),
    ]
    await read.close()

    expect([stranger, bad, many].map(({ answer }) => answer?.statusCode)).toEqual([401, 400, 200])
    expect((JSON.parse(many.answer?.body ?? '{}') as { results: readonly { value?: string }[] }).results.map(({ value }) => typeof value)).toEqual(['string', 'string'])
  })
})
