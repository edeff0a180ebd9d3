// The composition: what a whole configuration means once it is open, through the application and as a program sees it.
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { readGateway } from '../shared/core/configuration/gateway-section.ts'
import { parseConfiguration } from '../shared/core/configuration.ts'
import type { LatchkeyError } from '../shared/core/errors.ts'
import type { HttpClient } from '../shared/core/http-client.ts'
import type { ApiResponse } from '../shared/http/api.ts'
import { commonRoutes } from '../shared/http/health.ts'
import { keyRoutes } from '../shared/http/keys.ts'
import { readRoutes } from '../shared/http/secrets.ts'
import { openLatchkey } from '../shared/latchkey.ts'
import { callOf, testRuntime } from './support/runtime.ts'

const master = 'sk-master-0123456789-0123456789-0123456789'
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
let spaces = 0

const open = async (file: Record<string, unknown>, given: { env?: Record<string, string>; dotenv?: string } = {}) => {
  const runtime = testRuntime({ env: given.env ?? { LITELLM_MASTER_KEY: master }, files: given.dotenv === undefined ? {} : { [`${process.cwd()}/.env`]: given.dotenv } })
  const { configuration } = parseConfiguration(file, { env: runtime.env, loopback: true })
  const latchkey = await openLatchkey(configuration, runtime, { routes: [...readRoutes, ...keyRoutes, ...commonRoutes] })
  const call = () => callOf(runtime.clock)
  const send = async (line: string, sent: { token?: string; body?: unknown } = {}): Promise<{ status: number; json: Record<string, unknown> }> => {
    const [method = 'GET', path = '/'] = line.split(' ')
    const headers = { authorization: `Bearer ${sent.token ?? master}`, ...(sent.body === undefined ? {} : { 'content-type': 'application/json' }) }
    const answer: ApiResponse = await latchkey.app({ method, path, query: '', headers, body: Buffer.from(sent.body === undefined ? '' : JSON.stringify(sent.body)), ...call() })
    return { status: answer.status, json: JSON.parse(answer.body) as Record<string, unknown> }
  }
  return { latchkey, send, call, runtime }
}

const memoryStore = (more: Record<string, unknown> = {}): Record<string, unknown> => ({ system: 'memory', space: `test-${(spaces += 1)}`, access_mode: 'read_and_write', ...more })

describe('a store whose settings do not fit together', () => {
  it('is refused with all that its provider says of it, the fix included', async () => {
    const refused = open({ latchkey: { default_store: { system: 'cyberark' } } })

    await expect(refused).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringMatching(/^latchkey\.default_store Missing CyberArk credentials\. Set cyberark_api_key \(CYBERARK_API_KEY\)/) as string })
  })
})

describe('a name that no store has', () => {
  it('is not found, even where the environment stands behind and is closed for it', async () => {
    const { send } = await open({ latchkey: { default_store: memoryStore(), read_order: ['default', 'environment'] } }, { env: { LITELLM_MASTER_KEY: master, SECRET_OF_THE_HOST: 'x' } })

    const absent = await send('GET /secrets/NOWHERE')
    const closed = await send('GET /secrets/SECRET_OF_THE_HOST')
    const many = await send('POST /secrets:read', { body: { names: ['NOWHERE'] } })

    expect([absent.status, closed.status]).toEqual([404, 404])
    expect(many.json['results']).toMatchObject([{ error: { code: 'not_found' } }])
  })
})

describe('the environment', () => {
  it('opens for what the configuration refers to, what is hosted and what stands in .env, and for nothing else', async () => {
    const { send } = await open(
      { model_list: [{ model_name: 'm', litellm_params: { api_key: 'os.environ/REFERRED' } }] },
      { env: { LITELLM_MASTER_KEY: master, REFERRED: 'a', OTHER: 'b', AWS_SECRET_ACCESS_KEY: 'c' }, dotenv: 'IN_FILE=d\nLATCHKEY_AUDIT_KEY=e\n' },
    )

    const statuses = await Promise.all(['REFERRED', 'IN_FILE', 'OTHER', 'AWS_SECRET_ACCESS_KEY', 'LATCHKEY_AUDIT_KEY', 'LITELLM_MASTER_KEY', 'litellm_master_key'].map(async (name) => (await send(`GET /secrets/${name}`)).status))

    expect(statuses).toEqual([200, 200, 403, 403, 403, 403, 403])
  })

  it('answers a failed read only where the operator wrote so, and says that it did', async () => {
    const stores = { broken: memoryStore({ primary_secret_name: 'all', fallback: 'environment' }), strict: memoryStore({ primary_secret_name: 'all' }) }
    const file = { model_list: [{ litellm_params: { api_key: 'os.environ/K' } }], latchkey: { default_store: memoryStore(), stores } }
    const { latchkey, call } = await open(file, { env: { LITELLM_MASTER_KEY: master, K: 'from the environment' } })
    for (const name of ['broken', 'strict']) {
      await latchkey.stores.get(name)?.provider.write?.({ name: { text: 'all', place: 'hosted' }, value: (await import('../shared/core/secret.ts')).SecretValue.of('no json'), expect: 'any', operation: 'o'.repeat(32), stage: 'current' }, call())
    }

    const fallen = await latchkey.reader.read({ name: 'K', store: 'broken' }, call()).catch((error: LatchkeyError) => error.code)
    const refused = await latchkey.reader.read({ name: 'K', store: 'strict' }, call()).catch((error: LatchkeyError) => error.code)

    expect(fallen).toMatchObject({ source: 'environment', store: 'environment' })
    expect(refused).toBe('misconfigured')
  })
})

describe('the master key', () => {
  const hosted = { general_settings: { master_key: 'os.environ/MY_MASTER' }, latchkey: { default_store: memoryStore() } }

  it('is taken from the manager before the environment', async () => {
    const { latchkey, send, call } = await open(hosted, { env: { MY_MASTER: 'sk-from-the-environment-0123456789-0123456789' } })
    const { SecretValue } = await import('../shared/core/secret.ts')
    await latchkey.stores.get('default')?.put({ name: 'MY_MASTER', value: SecretValue.of(master) }, call())

    const right = await send('GET /whoami')
    const wrong = await send('GET /whoami', { token: 'sk-from-the-environment-0123456789-0123456789' })

    expect([right.status, wrong.status]).toEqual([200, 401])
  })

  it('can be read and written by no grant, in no spelling: whoever could would be the master', async () => {
    const token = 'token-of-a-broad-caller'
    const access = [{ name: 'broad', token_sha256: sha256(token), grants: [{ action: '*', names: ['**'] }] }]
    const { send, call, latchkey } = await open({ general_settings: { master_key: 'os.environ/MY_MASTER' }, latchkey: { default_store: memoryStore(), access } }, { env: { MY_MASTER: master } })
    const body = { value: 'sk-mine-0123456789-0123456789-0123456789' }

    const statuses = [
      (await send('GET /secrets/MY_MASTER', { token })).status,
      (await send('PUT /secrets/MY_MASTER', { token, body })).status,
      (await send('PUT /secrets/my-master', { token, body })).status,
      (await send('DELETE /secrets/MY_MASTER', { token })).status,
    ]
    const many = await send('POST /secrets:read', { token, body: { names: ['MY_MASTER', 'OTHER'] } })

    expect(statuses).toEqual([403, 403, 403, 403])
    expect(many.json['results']).toMatchObject([{ error: { code: 'forbidden' } }, { error: { code: 'not_found' } }])
    expect((await latchkey.masterKey(call()))?.reveal()).toBe(master)
    expect((await send('PUT /secrets/MY_MASTER', { body })).status).toBe(201)
  })
})

describe('a master key that stands elsewhere', () => {
  it('may be a literal, or a secret of a named store', async () => {
    const literal = await open({ general_settings: { master_key: master } }, { env: {} })
    const named = await open({ general_settings: { master_key: 'secret://vault/MASTER' }, latchkey: { default_store: memoryStore(), stores: { vault: memoryStore() } } }, { env: {} })
    const { SecretValue } = await import('../shared/core/secret.ts')
    await named.latchkey.stores.get('vault')?.put({ name: 'MASTER', value: SecretValue.of(master) }, named.call())

    const statuses = [(await literal.send('GET /whoami')).status, (await named.send('GET /whoami')).status]

    expect(statuses).toEqual([200, 200])
  })

  it('is absent where nobody set one, and a failure of its store is a failure', async () => {
    const none = await open({ latchkey: { default_store: memoryStore() } }, { env: {} })
    const broken = await open({ latchkey: { default_store: memoryStore({ primary_secret_name: 'all' }) } }, { env: { LITELLM_MASTER_KEY: master } })
    const { SecretValue } = await import('../shared/core/secret.ts')
    await broken.latchkey.stores.get('default')?.provider.write?.({ name: { text: 'all', place: 'hosted' }, value: SecretValue.of('no json'), expect: 'any', operation: 'o'.repeat(32), stage: 'current' }, broken.call())

    const outcome = [await none.latchkey.masterKey(none.call()), await broken.latchkey.masterKey(broken.call()).catch((error: LatchkeyError) => error.code)]

    expect(outcome).toEqual([undefined, 'misconfigured'])
  })
})

describe('a deleted key', () => {
  it('is absent for whoever may read tokens, in every version it had', async () => {
    const token = 'token-of-a-revealer'
    const access = [{ name: 'revealer', token_sha256: sha256(token), grants: [{ action: 'keys:reveal', names: ['**'] }] }]
    const { latchkey, send, call } = await open({ general_settings: { key_management_settings: { store_virtual_keys: true } }, latchkey: { default_store: memoryStore(), access } })
    const made = await send('POST /key/generate', { body: { key_alias: 'gone' } })
    const before = await send('GET /secrets/litellm/gone', { token })
    await send('POST /key/delete', { body: { key_aliases: ['gone'] } })

    const after = await send('GET /secrets/litellm/gone', { token })
    const old = await latchkey.reader.read({ name: 'litellm/gone', version: '1' }, call()).catch((error: LatchkeyError) => error.code)
    const previous = await latchkey.reader.read({ name: 'litellm/gone', stage: 'previous' }, call()).catch((error: LatchkeyError) => error.code)
    const many = await send('POST /secrets:read', { token, body: { names: ['litellm/gone'] } })

    expect(before.json['value']).toBe(made.json['key'])
    expect([after.status, old, previous]).toEqual([404, 'not_found', 'not_found'])
    expect(many.json['results']).toMatchObject([{ error: { code: 'not_found' } }])
  })
})

describe('a program', () => {
  it('reads by name, by os.environ/ and by secret://, and comes to the environment as LiteLLM does', async () => {
    const { latchkey, send } = await open({ general_settings: { key_management_settings: { hosted_keys: ['HOSTED'] } }, latchkey: { default_store: memoryStore(), stores: { second: memoryStore() } } }, { env: { LITELLM_MASTER_KEY: master, NOT_HOSTED: 'from the environment' } })
    await send('PUT /secrets/HOSTED', { body: { value: '{"user":"me"}' } })

    const texts = await Promise.all(['HOSTED', 'os.environ/HOSTED', 'secret://default/HOSTED?property=user', 'os.environ/NOT_HOSTED'].map(async (ref) => (await latchkey.read(ref)).reveal()))

    expect(texts).toEqual(['{"user":"me"}', '{"user":"me"}', 'me', 'from the environment'])
    await expect(latchkey.read('NOWHERE')).rejects.toMatchObject({ code: 'not_found' })
    await expect(latchkey.read('secret://second/HOSTED')).rejects.toMatchObject({ code: 'not_found' })
  })

  it('gets its default for a confirmed absence, and for nothing else', async () => {
    const { latchkey, call } = await open({ latchkey: { default_store: memoryStore(), stores: { broken: memoryStore({ primary_secret_name: 'all' }) } } })
    const { SecretValue } = await import('../shared/core/secret.ts')
    await latchkey.stores.get('broken')?.provider.write?.({ name: { text: 'all', place: 'hosted' }, value: SecretValue.of('no json'), expect: 'any', operation: 'o'.repeat(32), stage: 'current' }, call())

    const absent = await latchkey.read('NOWHERE', { default: 'instead' })

    expect(absent.reveal()).toBe('instead')
    expect((await latchkey.read('NOWHERE', { default: '' })).reveal()).toBe('')
    await expect(latchkey.read('secret://broken/K', { default: 'instead' })).rejects.toMatchObject({ code: 'misconfigured' })
  })

  it('is told of every reference where it is held', async () => {
    const keys = ['HELD', 'IN_ENV', 'NOWHERE', 'secret://second/X'].map((name) => ({ litellm_params: { api_key: name.startsWith('secret') ? name : `os.environ/${name}` } }))
    const { latchkey, send, call } = await open({ model_list: keys, latchkey: { default_store: memoryStore(), stores: { second: memoryStore({ access_mode: 'write_only' }) } } }, { env: { LITELLM_MASTER_KEY: master, IN_ENV: 'x' } })
    await send('PUT /secrets/HELD', { body: { value: 'x' } })

    const found = await latchkey.references(call())

    expect(found.map(({ reference, source }) => [reference, source])).toEqual([
      ['os.environ/HELD', 'manager'],
      ['os.environ/IN_ENV', 'environment'],
      ['os.environ/NOWHERE', 'absent'],
      ['secret://second/X', 'refused'],
    ])
  })
})

describe('opening', () => {
  it('says what is wrong with every store at once', async () => {
    const opening = open({ latchkey: { default_store: { system: 'memory', recovery_window_secnds: 1 }, stores: { a: { system: 'azure_key_vault' }, b: { system: 'memory', recovery_window_seconds: 'soon' } } } })

    await expect(opening).rejects.toMatchObject({ code: 'misconfigured', details: { issues: [{ message: expect.stringContaining('did you mean recovery_window_seconds') as string }, { path: 'latchkey.stores.a.azure_key_vault_uri' }, { path: 'latchkey.stores.b.recovery_window_seconds' }] } })
  })
})

describe('keys that cannot be opened', () => {
  const nowhere = 'http://127.0.0.1:1'
  const wrong: readonly (readonly [string, Record<string, unknown>, Record<string, unknown>, readonly string[]])[] = [
    ['a rule for aliases that does not compile', { key_alias_pattern: '(' }, {}, ['Vault', 'The LLM gateway']],
    ['certificates of the gateway that are not there', {}, { ca: '/nowhere/ca.pem' }, ['Vault']],
  ]

  /** A store and a gateway behind connections, and those of them that are open. */
  const counted = (rule: Record<string, unknown>, gateway: Record<string, unknown>) => {
    const runtime = testRuntime({ env: { LITELLM_MASTER_KEY: master } })
    const open = new Set<HttpClient>()
    const connected: string[] = []
    const connect: typeof runtime.http.connect = async (peer) => {
      const client = await runtime.http.connect(peer)
      const close = (): Promise<void> => {
        open.delete(client)
        return client.close()
      }
      open.add(client)
      connected.push(peer.title)
      return { ...client, close }
    }
    const file = { litellm_settings: rule, latchkey: { default_store: { system: 'hashicorp_vault', vault_addr: nowhere, vault_token: 'hvs.of-a-test' }, gateway: { url: nowhere, master_key: 'os.environ/LITELLM_MASTER_KEY', ...gateway } } }
    const { configuration } = parseConfiguration(file, { env: runtime.env, loopback: true, gateway: readGateway })
    return { open, connected, start: (routes = keyRoutes) => openLatchkey(configuration, { ...runtime, http: { connect } }, { routes }) }
  }

  it.each(wrong)('stop the start, and nothing stays open behind it: %s', async (_title, rule, gateway, peers) => {
    const { open, connected, start } = counted(rule, gateway)

    const refusal = await start().then(() => 'started', (error: LatchkeyError) => error.code)

    expect(refusal).toBe('misconfigured')
    expect(connected).toEqual(peers)
    expect(open.size).toBe(0)
  })

  it.each(wrong)('do not keep a program that asked for them from closing the rest: %s', async (_title, rule, gateway) => {
    const { open, start } = counted(rule, gateway)
    const latchkey = await start([])
    const refusal = await latchkey.keys().then(() => 'opened', (error: LatchkeyError) => error.code)
    const before = open.size

    await latchkey.close()

    expect(refusal).toBe('misconfigured')
    expect([before, open.size]).toEqual([1, 0])
  })
})
