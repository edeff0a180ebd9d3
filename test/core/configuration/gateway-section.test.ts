// `latchkey.gateway`: what it means, every wrong setting with its path and fix, and where its master key is looked for.
import { describe, expect, it } from 'vitest'
import { inspect } from 'node:util'
import { parseConfiguration, type Configuration } from '../../../shared/core/configuration.ts'
import { readGateway } from '../../../shared/core/configuration/gateway-section.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { canariesIn, canary } from '../../support/canary.ts'
import { envOf } from '../../support/runtime.ts'

const strong = 'sk-0123456789abcdef0123456789abcdef'
const parse = (gateway: unknown, { general = {}, latchkey = {}, env = {} }: { general?: object; latchkey?: object; env?: Record<string, string> } = {}): Configuration =>
  parseConfiguration({ general_settings: { key_management_system: 'aws_secret_manager', ...general }, latchkey: { gateway, ...latchkey } }, { env: envOf(env), loopback: false, gateway: readGateway }).configuration

const refused = (...given: Parameters<typeof parse>): Record<string, string> => {
  try {
    parse(...given)
  } catch (error) {
    if (error instanceof LatchkeyError && error.code === 'misconfigured') return Object.fromEntries(Object.entries(Object.groupBy(error.details.issues ?? [], ({ path }) => path)).map(([path, issues]) => [path, (issues ?? []).map(({ message }) => message).join('; ')]))
    throw error
  }
  return {}
}

describe('latchkey.gateway', () => {
  it('needs an address, and has a default for everything else', () => {
    const { gateway, masterKey, warnings } = parse({ url: 'https://litellm.internal' })

    expect(gateway).toEqual({ url: 'https://litellm.internal', masterKey, licensed: false, timeoutSeconds: 5 })
    expect(warnings).toEqual([])
  })

  it('is left alone where nobody asks for it, as in the function that only reads', () => {
    const { configuration } = parseConfiguration({ latchkey: { gateway: { url: 7 } } }, { env: envOf({}), loopback: false })

    expect(configuration).not.toHaveProperty('gateway')
  })

  it.each([undefined, null])('is absent where the file says %s', (given) => {
    expect(parse(given)).not.toHaveProperty('gateway')
  })

  it('takes every setting, and an address from the environment', () => {
    const { gateway } = parse({ url: 'os.environ/GATEWAY', licensed: true, timeout_seconds: 25, ca: '-----BEGIN CERTIFICATE-----', master_key: strong }, { env: { GATEWAY: 'https://litellm.internal/llm' } })

    expect(gateway).toMatchObject({ url: 'https://litellm.internal/llm', licensed: true, timeoutSeconds: 25, ca: '-----BEGIN CERTIFICATE-----', masterKey: { kind: 'literal', from: 'latchkey.gateway.master_key', weak: false } })
  })

  it.each(['http://127.0.0.1:4000', 'http://localhost:4000', 'http://[::1]:4000'])('may be reached by plain http on this machine: %s', (url) => {
    expect(parse({ url }).gateway?.url).toBe(url)
  })

  it('may be reached by plain http elsewhere only where that is written', () => {
    expect(refused({ url: 'http://litellm.internal' })).toEqual({ 'latchkey.gateway.url': expect.stringContaining('latchkey.gateway.allow_plain_http') as string })
    expect(parse({ url: 'http://litellm.internal', allow_plain_http: true }).gateway?.url).toBe('http://litellm.internal')
  })

  it.each([
    ['no address', {}, 'latchkey.gateway.url', /is required/],
    ['an address that is none', { url: 'litellm.internal' }, 'latchkey.gateway.url', /must be a URL/],
    ['another protocol', { url: 'ftp://litellm.internal' }, 'latchkey.gateway.url', /must be a URL/],
    ['an address from a variable that is not set', { url: 'os.environ/NOT_SET' }, 'latchkey.gateway.url', /NOT_SET, which is not set/],
    ['a credential in the address', { url: 'https://admin:in-plain-text@litellm.internal' }, 'latchkey.gateway.url', /without user, query or fragment/],
    ['a query in the address', { url: 'https://litellm.internal/?a=b' }, 'latchkey.gateway.url', /without user, query or fragment/],
    ['too long a wait', { url: 'https://x.example', timeout_seconds: 26 }, 'latchkey.gateway.timeout_seconds', /between 1 and 25/],
    ['no wait', { url: 'https://x.example', timeout_seconds: 0 }, 'latchkey.gateway.timeout_seconds', /between 1 and 25/],
    ['a licence that is no boolean', { url: 'https://x.example', licensed: 'perhaps' }, 'latchkey.gateway.licensed', /true or false/],
    ['an unknown setting', { url: 'https://x.example', licenced: true }, 'latchkey.gateway.licenced', /did you mean licensed\?/],
    ['a section that is no mapping', 'https://x.example', 'latchkey.gateway', /must be a mapping/],
    ['a list', [], 'latchkey.gateway', /must be a mapping/],
    ['a master key that is no text', { url: 'https://x.example', master_key: 7 }, 'latchkey.gateway.master_key', /put it in quotes/],
    ['an empty master key', { url: 'https://x.example', master_key: '' }, 'latchkey.gateway.master_key', /leave it out/],
    ['a master key of an hour', { url: 'https://x.example', master_key: 'os.environ/oidc/google/aud' }, 'latchkey.gateway.master_key', /oidc/],
    ['a master key in a store that is not there', { url: 'https://x.example', master_key: 'secret://corp/KEY' }, 'latchkey.gateway.master_key', /not configured/],
    ['a reference without a name', { url: 'https://x.example', master_key: 'os.environ/' }, 'latchkey.gateway.master_key', /names nothing/],
  ])('refuses %s', (_title, gateway, path, message) => {
    const found = refused(gateway)

    expect(found[path]).toMatch(message)
    expect(JSON.stringify(found)).not.toContain('in-plain-text')
  })

  it('is a setting that is known by its name', () => {
    expect(refused(undefined, { latchkey: { gatewy: {} } })).toEqual({ 'latchkey.gatewy': expect.stringContaining('did you mean gateway?') as string })
  })
})

describe('the master key of the gateway', () => {
  it('is looked for where the file\'s own would be: in the manager that hosts its name, then in the environment', () => {
    const hosted = parse({ url: 'https://x.example', master_key: 'os.environ/GATEWAY_KEY' })
    const plain = parse({ url: 'https://x.example', master_key: 'os.environ/GATEWAY_KEY' }, { general: { key_management_settings: { hosted_keys: ['OTHER'] } } })

    expect(hosted.gateway?.masterKey).toEqual({ kind: 'name', from: 'latchkey.gateway.master_key', name: 'GATEWAY_KEY', lookIn: ['manager', 'environment'] })
    expect(plain.gateway?.masterKey).toMatchObject({ lookIn: ['environment'] })
  })

  it('may be in one store', () => {
    const { gateway } = parse({ url: 'https://x.example', master_key: 'secret://corp/litellm/master?property=key' }, { latchkey: { stores: { corp: { system: 'memory' } } } })

    expect(gateway?.masterKey).toEqual({ kind: 'ref', from: 'latchkey.gateway.master_key', ref: { store: 'corp', name: 'litellm/master', property: 'key' } })
  })

  it('stands among the references of the start, the address from the environment, the key where it is looked for', () => {
    const { references } = parse({ url: 'os.environ/GATEWAY', master_key: 'os.environ/GATEWAY_KEY' }, { env: { GATEWAY: 'https://x.example' } })

    expect(references.map(({ path, name, source }) => [path, name, source])).toEqual([['latchkey.gateway.url', 'GATEWAY', 'environment'], ['latchkey.gateway.master_key', 'GATEWAY_KEY', 'manager']])
  })

  it('that can be guessed is a warning, because it is the gateway\'s', () => {
    const { warnings } = parse({ url: 'https://x.example', master_key: 'sk-1234' })

    expect(warnings).toEqual([{ path: 'latchkey.gateway.master_key', message: expect.stringMatching(/^master_key is shorter.*can be guessed/) as string }])
  })

  it('is printed nowhere', () => {
    const { gateway } = parse({ url: 'https://x.example', master_key: canary('master') })

    expect(canariesIn(inspect(gateway, { depth: 9 }) + JSON.stringify(gateway))).toEqual([])
  })
})
