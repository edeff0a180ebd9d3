// One body over every host: the same requests get the same answers, whoever carries them. A new host is one line in `hosts`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundle } from '../../functions/build.ts'
import { LambdaProcess } from './lambda-process.ts'
import { ServerFolder } from './server-process.ts'

interface Asked {
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
}

interface Host {
  ask(asked: Asked): Promise<Answered>
  close(): Promise<void>
}

const masterKey = 'sk-one-master-key-for-every-host-0123456789'
const configuration = { latchkey: { default_store: { system: 'embedded', access_mode: 'read_and_write', store_virtual_keys: true } } }

const local = async (): Promise<Host> => {
  const folder = new ServerFolder()
  folder.write('config.yaml', JSON.stringify(configuration))
  const { url } = await folder.start({ LITELLM_MASTER_KEY: masterKey })
  const ask = ({ method = 'GET', path, headers = {}, body = '' }: Asked): Promise<Answered> =>
    new Promise((resolve, reject) => {
      const sent = request(url, { method, path, headers: { ...headers, 'content-length': Buffer.byteLength(body) } }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers as Record<string, string>, body: Buffer.concat(chunks).toString('utf8') }))
      })
      sent.on('error', reject)
      sent.end(body)
    })
  return { ask, close: () => folder.close() }
}

/** The gateway in front of two functions: it sends each route to the function that has it. */
const lambda = async (): Promise<Host> => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-hosts-'))
  const functions = await Promise.all(
    (['read', 'keys'] as const).map(async (name) => {
      await bundle(name, join(folder, name))
      const started = new LambdaProcess(join(folder, name, `${name}.mjs`), { LATCHKEY_CONFIG: JSON.stringify(configuration), LITELLM_MASTER_KEY: masterKey, LATCHKEY_DATA_DIR: join(folder, 'data') })
      await started.ready()
      return started
    }),
  )
  const ask = async ({ method = 'GET', path, headers = {}, body }: Asked): Promise<Answered> => {
    const [rawPath = '', rawQueryString = ''] = path.split('?')
    const reads = (method === 'GET' && !rawPath.startsWith('/key/')) || rawPath === '/secrets:read' || method === 'PATCH'
    const { answer } = (await functions[reads ? 0 : 1]?.invoke({ version: '2.0', rawPath, rawQueryString, headers, ...(body === undefined ? {} : { body }), requestContext: { stage: '$default', http: { method } } })) ?? {}
    return { status: answer?.statusCode ?? 0, headers: answer?.headers ?? {}, body: answer?.body ?? '' }
  }
  const close = async (): Promise<void> => {
    await Promise.all(functions.map((started) => started.close()))
    rmSync(folder, { recursive: true, force: true })
  }
  return { ask, close }
}

const hosts: readonly (readonly [name: string, open: () => Promise<Host>])[] = [
  ['local', local],
  ['lambda', lambda],
]

const authorization = `Bearer ${masterKey}`
const json = { authorization, 'content-type': 'application/json' }
const post = (path: string, body: object, headers: Readonly<Record<string, string>> = json): Asked => ({ method: 'POST', path, headers, body: JSON.stringify(body) })
const put = (path: string, body: object): Asked => ({ ...post(path, body), method: 'PUT' })
const get = (path: string, headers: Readonly<Record<string, string>> = { authorization }): Asked => ({ path, headers })

describe.each(hosts)('on %s', (_name, open) => {
  let host: Host
  beforeAll(async () => {
    host = await open()
  }, 60_000)
  afterAll(() => host.close())

  const bodyOf = async (asked: Asked): Promise<Record<string, unknown>> => JSON.parse((await host.ask(asked)).body) as Record<string, unknown>
  const statusOf = async (asked: Asked): Promise<number> => (await host.ask(asked)).status

  it('a secret is written, read, listed and deleted', async () => {
    const steps = [
      await statusOf(put('/secrets/OPENAI_API_KEY', { value: 'sk-of-the-vendor é\n' })),
      (await bodyOf(get('/secrets/OPENAI_API_KEY')))['value'],
      (await host.ask(get('/secrets/OPENAI_API_KEY', { authorization, accept: 'text/plain' }))).body,
      await bodyOf(get('/secrets?prefix=OPENAI_&limit=5')),
      await statusOf({ method: 'DELETE', path: '/secrets/OPENAI_API_KEY', headers: { authorization } }),
    ]

    expect(steps).toMatchObject([201, 'sk-of-the-vendor é\n', 'sk-of-the-vendor é\n', { items: [{ name: 'OPENAI_API_KEY' }] }, 200])
  })

  it('a virtual key is created, shown, rotated, verified and deleted', async () => {
    const made = await bodyOf(post('/key/generate', { key_alias: 'host', team_id: 'payments' }))
    const shown = await bodyOf(get('/key/info?key_alias=host'))
    const rotated = await bodyOf(post('/key/regenerate', { key_alias: 'host' }))
    const verified = await bodyOf(post('/key/verify', { key: rotated['key'] }))
    const deleted = await bodyOf(post('/key/delete', { key_aliases: ['host'] }))

    expect(made).toMatchObject({ key: expect.stringMatching(/^sk-/), key_alias: 'host', team_id: 'payments', stored: { store: 'default', name: 'litellm/host' } })
    expect(JSON.stringify(shown)).not.toContain(made['key'])
    expect(rotated).toMatchObject({ key: expect.stringMatching(/^sk-/), key_id: made['key_id'] })
    expect(rotated['key']).not.toBe(made['key'])
    expect(verified).toMatchObject({ valid: true, key_id: made['key_id'] })
    expect(deleted).toMatchObject({ deleted_keys: expect.any(Array) })
  })

  it('a name with a slash is the same with %2F', async () => {
    await host.ask(put('/secrets/team/db', { value: 'x' }))

    const answer = await host.ask(get('/secrets/team%2Fdb'))

    expect(answer.status).toBe(200)
  })

  it.each([
    ['no credential', get('/secrets/a', {}), 401, 'unauthenticated'],
    ['an absent secret', get('/secrets/absent'), 404, 'not_found'],
    ['a route that is not there', get('/nowhere'), 404, 'not_found'],
    ['a method that is not there', { method: 'PATCH', path: '/secrets/a', headers: { authorization } }, 405, 'method_not_allowed'],
    ['a body of another type', post('/secrets:read', {}, { authorization, 'content-type': 'text/xml' }), 415, 'unsupported_media_type'],
    ['a body that is no JSON', { ...post('/secrets:read', {}), body: '{"names":' }, 400, 'invalid_request'],
    ['dot segments', get('/secrets/a/%2e%2e/b'), 400, 'invalid_request'],
    ['a URL over 2 KiB', get(`/secrets/${'a'.repeat(2_100)}`), 414, 'uri_too_long'],
    ['headers over 8 KiB', get('/secrets/a', { authorization, 'x-long': 'a'.repeat(8_300) }), 431, 'headers_too_large'],
    ['a body over 64 KiB', post('/secrets:read', { names: ['a'.repeat(65_536)] }), 413, 'too_large'],
    ['a secret write over 512 KiB', put('/secrets/a', { value: 'a'.repeat(524_288) }), 413, 'too_large'],
  ] as const)('%s is a documented answer', async (_title, asked, status, code) => {
    const answer = await host.ask(asked)

    expect(answer).toMatchObject({ status, headers: { 'content-type': 'application/problem+json; charset=utf-8', 'cache-control': 'no-store', 'x-request-id': expect.any(String) } })
    expect(JSON.parse(answer.body)).toMatchObject({ code, status })
  })

  it('health needs no credential and says the version', async () => {
    const answer = await host.ask(get('/health', {}))

    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+$/) })
  })
})
