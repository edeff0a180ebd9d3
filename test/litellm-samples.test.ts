// LiteLLM's documented files taken to the wire: with the documented environment beside them, what is asked of which service, and what the caller gets.
// `aws_identity` stands in test/credentials, both KMS in test/providers/kms, the settings themselves in test/core/configuration.
import { readFileSync } from 'node:fs'
import { parse as parseDotenv } from 'dotenv'
import { afterAll, describe, expect, it } from 'vitest'
import { parseConfigText } from '../functions/local/config-file.ts'
import { parseConfiguration } from '../shared/core/configuration.ts'
import type { LatchkeyError } from '../shared/core/errors.ts'
import type { HttpPort } from '../shared/core/http-client.ts'
import { openLatchkey, type Latchkey } from '../shared/latchkey.ts'
import { crc32c } from '../shared/credentials/crc32c.ts'
import { fakeVault } from './conformance/harnesses/azure-key-vault.ts'
import { startSecretsManagerFake } from './fakes/aws-secrets-manager.ts'
import { calmHook } from './shapes/service.ts'
import { wireless, type WireService } from './fakes/wire.ts'
import { callOf, testRuntime } from './support/runtime.ts'

interface Sample {
  readonly system: string
  readonly with_env?: readonly string[]
  readonly reads?: readonly { readonly name: string; readonly secret?: string; readonly url?: string; readonly property?: string }[]
  readonly writes?: readonly { readonly alias: string; readonly url: string; readonly field: string }[]
  readonly example?: { readonly values: Readonly<Record<string, string>>; readonly secret: Readonly<Record<string, string>>; readonly fetches?: number }
}
interface Environment {
  readonly variables: Readonly<Record<string, string>>
  readonly result: { readonly credentials?: string; readonly login?: string; readonly cache_ttl_seconds?: number; readonly cached?: boolean; readonly region?: string | null }
  readonly warnings?: readonly { readonly must_mention: readonly string[]; readonly must_not_show?: readonly string[] }[]
}

const folder = new URL('fixtures/litellm/', import.meta.url)
const textOf = (file: string): string => readFileSync(new URL(file, folder), 'utf8')
const samples = JSON.parse(textOf('expected.json')) as { configurations: Record<string, Sample>; environments: Record<string, Environment> }
const environments = Object.entries(samples.environments)
const opened: Latchkey[] = []
afterAll(async () => {
  for (const latchkey of opened) await latchkey.close()
})

interface Sent {
  readonly method: string
  readonly url: string
  readonly body: string
}

const json = (body: unknown, headers: Record<string, string> = {}): { status: number; headers: Record<string, string>; body: Uint8Array } => ({ status: 200, headers: { 'content-type': 'application/json', ...headers }, body: Buffer.from(JSON.stringify(body)) })
const sampleValue = 'sk-sample-3'

/** What the documented services would answer, whatever is asked of them. */
const answers: Readonly<Record<string, (url: string, method: string) => ReturnType<typeof json>>> = {
  hashicorp_vault: (url, method) => {
    if (url.includes('/auth/')) return json({ auth: { client_token: 'hvs.of-a-login', lease_duration: 3_600, renewable: true }, data: {} })
    if (method === 'GET' && url.includes('/data/litellm/')) return { ...json({ errors: [] }), status: 404 }
    if (method === 'GET') return json({ data: { data: { key: sampleValue }, metadata: { version: 1, created_time: '2026-11-01T00:00:00Z', deletion_time: '', destroyed: false, custom_metadata: null } } })
    return json({ data: { version: 1, created_time: '2026-11-01T00:00:00Z', deletion_time: '', destroyed: false, custom_metadata: null } })
  },
  google_secret_manager: (url) => {
    if (url.includes('/computeMetadata/')) return json({ access_token: 'a-token', expires_in: 3_599, token_type: 'Bearer' }, { 'metadata-flavor': 'Google' })
    return json({ name: 'projects/100/secrets/x/versions/1', payload: { data: Buffer.from(sampleValue).toString('base64'), dataCrc32c: String(crc32c(Buffer.from(sampleValue))) } })
  },
}

const recording = (system: string, sent: Sent[], azure: WireService): HttpPort => ({
  connect: async (peer) => {
    const vault = wireless({ handle: (request) => azure.handle({ ...request, headers: { ...request.headers, host: new URL(peer.url).host } }), changes: (request) => azure.changes(request), refuse: (refusal, echo) => azure.refuse(refusal, echo) }, calmHook)
    const client = await vault.connect(peer)
    return {
      send: async (request, call) => {
        sent.push({ method: request.method, url: peer.url.replace(/\/$/, '') + request.path, body: typeof request.body === 'string' ? request.body : request.body instanceof Uint8Array ? Buffer.from(request.body).toString() : (request.body?.reveal() ?? '') })
        return answers[system]?.(peer.url.replace(/\/$/, '') + request.path, request.method) ?? client.send(request, call)
      },
      close: async () => undefined,
    }
  },
})

const open = async (file: string, envFile: string | undefined, more: Readonly<Record<string, string>> = {}) => {
  const variables = envFile === undefined ? {} : (samples.environments[envFile]?.variables ?? {})
  const { system } = samples.configurations[file] as Sample
  const runtime = testRuntime({ env: { LITELLM_MASTER_KEY: 'sk-0123456789abcdef0123456789abcdef', ...variables, ...more }, files: { 'path/to/client.pem': '-----BEGIN CERTIFICATE-----', 'path/to/client.key': '-----BEGIN PRIVATE KEY-----' }, hurries: true })
  const application = { clientId: variables['AZURE_CLIENT_ID'] ?? '', secrets: [variables['AZURE_CLIENT_SECRET'] ?? ''], expiredSecrets: [] }
  const vault = fakeVault({ now: () => runtime.clock.now(), applications: [application], tenantId: variables['AZURE_TENANT_ID'] ?? '' })
  for (const { secret } of samples.configurations[file]?.reads ?? []) if (system === 'azure_key_vault' && secret !== undefined) vault.seed(secret, sampleValue)
  const sent: Sent[] = []
  const { configuration } = parseConfiguration(await parseConfigText(Buffer.from(textOf(file)), file), { env: runtime.env, loopback: true })
  const latchkey = await openLatchkey(configuration, { ...runtime, http: system === 'aws_secret_manager' ? runtime.http : recording(system, sent, vault) })
  opened.push(latchkey)
  const notices = [...latchkey.stores.values()].flatMap(({ provider }) => provider.notices ?? [])
  return { latchkey, sent, notices, runtime, call: () => callOf(runtime.clock) }
}

const firstEnv = (file: string): string | undefined => samples.configurations[file]?.with_env?.find((name) => !name.includes('blank'))
const overHttp = Object.entries(samples.configurations).filter(([, { system }]) => ['hashicorp_vault', 'google_secret_manager', 'azure_key_vault'].includes(system))
const onAws = Object.entries(samples.configurations).filter(([, { system, reads }]) => system === 'aws_secret_manager' && reads !== undefined)

describe('the documented environments', () => {
  it.each(environments)('%s say what a dotenv parser reads, character for character', (file, { variables }) => {
    expect(parseDotenv(textOf(file))).toEqual(variables)
  })
})

describe('what the documented files read', () => {
  it.each(overHttp.flatMap(([file, { reads = [] }]) => reads.map((read) => [`${read.name} of ${file}`, file, read] as const)))('%s', async (_title, file, { name, url, secret }) => {
    const { latchkey, sent, call } = await open(file, firstEnv(file))

    const value = await latchkey.read(name, call())

    const asked = sent.filter(({ url: at }) => !/\/auth\/|computeMetadata|login\.microsoftonline/.test(at)).map(({ method, url: at }) => `${method} ${at}`)
    expect(value.reveal()).toBe(sampleValue)
    expect(asked.filter((line) => line.includes(url ?? `/${secret ?? ''}`)).length).toBeGreaterThan(0)
    expect(asked.filter((line) => !line.includes(url ?? `/${secret ?? ''}`))).toEqual([])
  })

  it.each(onAws)('on AWS: %s', async (file, { reads = [], example }) => {
    const fake = await startSecretsManagerFake({ region: 'us-east-2', keys: [{ accessKeyId: 'AKIA0000FAKE0000FAKE', secretAccessKey: 'fake-sample-secret-access-key-000000000' }] })
    for (const [name, value] of Object.entries(example?.secret ?? Object.fromEntries(reads.map(({ secret = '' }) => [secret, sampleValue])))) fake.seed(name, value)
    const { latchkey, call } = await open(file, firstEnv(file), { AWS_ENDPOINT_URL_SECRETS_MANAGER: fake.url })

    const values = await Promise.all(reads.map(async ({ name }) => [name, (await latchkey.read(name, call())).reveal()] as const))
    const asked = fake.requests.map(({ operation, input }) => `${operation} ${String(input['SecretId'])}`)
    await fake.close()

    expect(Object.fromEntries(values)).toEqual(example?.values ?? Object.fromEntries(reads.map(({ name }) => [name, sampleValue])))
    expect(new Set(asked)).toEqual(new Set(reads.map(({ secret }) => `GetSecretValue ${secret}`)))
    expect(asked).toHaveLength(example?.fetches ?? reads.length)
  })
})

describe('what the documented files write', () => {
  const writing = Object.entries(samples.configurations).filter(([, { writes }]) => writes !== undefined)
  it.each(writing)('%s', async (file, { writes = [] }) => {
    const { latchkey, sent, call } = await open(file, firstEnv(file))
    const keys = await latchkey.keys()

    for (const { alias } of writes) await keys.create({ alias }, { call: call(), caller: 'sample', route: '/key/generate', body: '{}' })

    const written = sent.filter(({ method, url }) => method === 'POST' && url.includes('/data/') && !url.includes('/__latchkey/'))
    expect(written.map(({ url }) => url)).toEqual(writes.map(({ url }) => url))
    expect(written.map(({ body }) => Object.keys((JSON.parse(body) as { data: object }).data).filter((field) => !field.startsWith('latchkey-')))).toEqual(writes.map(({ field }) => [field]))
  })
})

describe('what the documented environments make of a provider', () => {
  const withEnv = overHttp.flatMap(([file, { with_env = [] }]) => with_env.map((name) => [name, file] as const))

  it.each(withEnv)('%s with %s', async (name, file) => {
    const { result, warnings = [] } = samples.environments[name] as Environment
    const { latchkey, sent, notices, runtime, call } = await open(file, name)
    const [{ name: secret } = { name: 'OPENAI_API_KEY' }] = samples.configurations[file]?.reads ?? []
    const reads = (): number => sent.filter(({ url }) => !/\/auth\/|computeMetadata|login\.microsoftonline|oauth2/.test(url)).length
    const ttl = result.cached === false ? 0 : (result.cache_ttl_seconds ?? 300)

    await latchkey.read(secret, call())
    const first = reads()
    await latchkey.read(secret, call())
    const second = reads()
    runtime.clock.advance(ttl * 740)
    await latchkey.read(secret, call())
    const within = reads()
    runtime.clock.advance(ttl * 300)
    await latchkey.read(secret, call())
    const after = reads()

    const kept = result.cached !== false
    expect([second > first, within > second, after > within]).toEqual(kept ? [false, false, true] : [true, true, true])
    expect(sent.some(({ url }) => url.includes('/auth/cert/login'))).toBe(result.login === 'certificate')
    expect(sent.some(({ url }) => url.includes('computeMetadata'))).toBe(result.credentials === 'application default')
    expect(sent.some(({ body }) => body.includes('client_secret='))).toBe(result.credentials === 'client secret')
    expect(warnings.map(({ must_mention }) => notices.some((notice) => must_mention.every((word) => notice.includes(word))))).toEqual(warnings.map(() => true))
    expect(notices.length).toBe(warnings.length)
    expect(warnings.flatMap(({ must_not_show = [] }) => must_not_show.filter((word) => notices.join('\n').includes(word)))).toEqual([])
  })

  it('that is blank is as good as absent: without a region AWS does not start', async () => {
    const failure = await open('aws-read.yaml', 'env/aws-blank.env').then(() => undefined, (error: LatchkeyError) => error)

    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringMatching(/aws_region_name.*AWS_REGION_NAME/) as string })
  })
})
