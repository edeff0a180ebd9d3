// A whole Latchkey beside a running gateway: the configuration's own words, over HTTP on both sides. What the gateway is told of a key, and what nobody is told of its master key.
import { describe, expect, it, onTestFinished } from 'vitest'
import { readGateway } from '../shared/core/configuration/gateway-section.ts'
import { parseConfiguration } from '../shared/core/configuration.ts'
import { commonRoutes } from '../shared/http/health.ts'
import { keyRoutes } from '../shared/http/keys.ts'
import { readRoutes } from '../shared/http/secrets.ts'
import { openLatchkey } from '../shared/latchkey.ts'
import { fakeMasterKey, startLitellmFake, type LitellmKnobs } from './fakes/litellm-gateway.ts'
import { callOf, testRuntime } from './support/runtime.ts'

const master = 'sk-master-0123456789-0123456789-0123456789'
let spaces = 0

const open = async (knobs: LitellmKnobs = {}, gateway: Record<string, unknown> = {}) => {
  const runtime = testRuntime({ hurries: true, env: { LITELLM_MASTER_KEY: master, GATEWAY_KEY: fakeMasterKey } })
  const fake = await startLitellmFake({ now: () => runtime.clock.now(), knobs })
  const file = { latchkey: { default_store: { system: 'memory', space: `gateway-${(spaces += 1)}`, access_mode: 'read_and_write', store_virtual_keys: true }, read_order: ['default', 'environment'], gateway: { url: fake.url, master_key: 'os.environ/GATEWAY_KEY', ...gateway } } }
  const { configuration } = parseConfiguration(file, { env: runtime.env, loopback: true, gateway: readGateway })
  const latchkey = await openLatchkey(configuration, runtime, { routes: [...readRoutes, ...keyRoutes, ...commonRoutes] })
  onTestFinished(async () => {
    await latchkey.close()
    await fake.close()
  })
  const send = async (line: string, body?: unknown): Promise<{ status: number; json: Record<string, unknown> }> => {
    const [method = 'GET', path = '/'] = line.split(' ')
    const headers = { authorization: `Bearer ${master}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const answer = await latchkey.app({ method, path, query: '', headers, body: Buffer.from(body === undefined ? '' : JSON.stringify(body)), ...callOf(runtime.clock) })
    return { status: answer.status, json: JSON.parse(answer.body) as Record<string, unknown> }
  }
  return { send, fake, runtime }
}

describe('a Latchkey with a gateway', () => {
  it('adds, rotates and ends a key there, and every answer says who enforces it', async () => {
    const { send, fake } = await open()

    const made = await send('POST /key/generate', { key_alias: 'ci', models: ['gpt-4o'] })
    const first = fake.service.accepts(String(made.json['key']))
    const rotated = await send('POST /key/regenerate', { key: made.json['key_id'] })
    const between = [made, rotated].map(({ json }) => fake.service.accepts(String(json['key'])))
    const deleted = await send('POST /key/delete', { key_aliases: ['ci'] })

    expect([made.status, rotated.status, deleted.status]).toEqual([200, 200, 200])
    expect(made.json['enforced_by']).toEqual(['gateway', 'verify'])
    expect([first, between, fake.service.accepts(String(rotated.json['key']))]).toEqual([true, [false, true], false])
  })

  it('keeps no key that the gateway will not have', async () => {
    const { send, fake } = await open({}, { master_key: 'sk-not-the-gateways-key-0123456789-0123' })

    const refused = await send('POST /key/generate', { key_alias: 'ci' })
    const listed = await send('GET /key/list')

    expect([refused.status, (refused.json['error'] as Record<string, unknown>)['type']]).toEqual([502, 'gateway_denied'])
    expect(listed.json['keys']).toEqual([])
    expect(fake.service.rows.size).toBe(0)
  })

  it('hands nobody the master key of the gateway', async () => {
    const { send } = await open()

    const read = await send('GET /secrets/GATEWAY_KEY')

    expect(read.status).toBe(404)
  })
})
