// What Latchkey sends and what node-vault sends for the same thing, side by side: method, path, query, fields of the body. Every difference stands here with its reason.
import nodeVault from 'node-vault'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { openVault } from '../../conformance/harnesses/hashicorp-vault.ts'
import { startVaultFake, type VaultFake } from '../../fakes/vault/vault.ts'
import type { WireRequest } from '../../fakes/wire.ts'
import { callOf, testRuntime, type TestRuntime } from '../../support/runtime.ts'

type Client = ReturnType<typeof nodeVault>

let runtime: TestRuntime
let fake: VaultFake
let provider: SecretProvider
let client: Client

const name = createdName('litellm/a')
const call = () => callOf(runtime.clock)
const settings = { approle_role_id: 'role', approle_secret_id: 'secret' }

beforeEach(async () => {
  runtime = testRuntime({ hurries: true })
  fake = await startVaultFake({ now: () => runtime.clock.now() })
  fake.state.role({ login: 'approle', mount: 'approle', name: 'r', roleId: 'role', secretIds: new Map([['secret', 0]]), policies: ['root'], ttlSeconds: 600 })
  provider = await openVault(runtime, { vault_addr: fake.url, ...settings })
  client = nodeVault({ endpoint: fake.url, token: fake.rootToken, noCustomHTTPVerbs: true })
  await client.write('secret/data/litellm/a', { data: { key: 'v' } })
  await client.write('secret/metadata/litellm/a', { custom_metadata: { team: 'payments' } })
})

afterEach(async () => {
  await provider.close?.()
  await fake.close()
})

const fieldsOf = (thing: unknown): unknown => (typeof thing === 'object' && thing !== null && !Array.isArray(thing) ? Object.fromEntries(Object.entries(thing).map(([key, value]) => [key.replace(/^latchkey-.*/, 'a mark'), fieldsOf(value)])) : Array.isArray(thing) ? 'a list' : 'a value')
/** Of a request what two clients must agree on. */
const shown = ({ method, path, query, body, headers }: WireRequest) => ({ method, path, query: Object.fromEntries(query), type: headers['content-type']?.replace(/;.*/, ''), body: body.byteLength === 0 ? undefined : fieldsOf(JSON.parse(body.toString())) })
const during = async (act: () => Promise<unknown>): Promise<ReturnType<typeof shown>[]> => {
  const before = fake.requests.length
  await act()
  return fake.requests.slice(before).map(shown)
}
/** The request of ours that changes or reads what is meant; looks before it and the login are Latchkey's own. */
const ours = async (part: string, method: string, act: () => Promise<unknown>) => (await during(act)).find((one) => one.path.includes(part) && one.method === method)
const theirs = async (act: (client: Client) => Promise<unknown>) => (await during(() => act(client)))[0]
const write = (more: object) => provider.write?.({ name, value: SecretValue.of('v'), expect: 'any', operation: `put-${'a'.repeat(32)}`, stage: 'current', ...more }, call()) ?? Promise.reject(new Error('it cannot write'))

describe('the requests of Latchkey equal those of node-vault', () => {
  it.each<readonly [what: string, part: string, method: string, ours: () => Promise<unknown>, theirs: (client: Client) => Promise<unknown>]>([
    ['reading', '/data/', 'GET', () => provider.read(name, {}, call()), (them) => them.read('secret/data/litellm/a')],
    ['describing', '/subkeys/', 'GET', async () => provider.describe?.(name, call()), (them) => them.read('secret/subkeys/litellm/a')],
    ['annotating', '/metadata/', 'PATCH', async () => provider.annotate?.(name, { labels: { team: 'x', state: null } }, call()), (them) => them.update('secret/metadata/litellm/a', { custom_metadata: { team: 'x', state: null } } as never)],
    ['deleting versions', '/delete/', 'POST', async () => provider.remove?.(name, { expect: 'any', final: false }, call()), (them) => them.write('secret/delete/litellm/a', { versions: [1] })],
    ['reading the versions', '/metadata/', 'GET', async () => provider.remove?.(name, { expect: 'any', final: false }, call()), (them) => them.read('secret/metadata/litellm/a')],
    ['logging in by AppRole', '/auth/approle/login', 'POST', () => provider.read(name, {}, call()), (them) => them.approleLogin({ role_id: 'role', secret_id: 'secret' }) as Promise<unknown>],
    ['looking at its own token', '/auth/token/lookup-self', 'GET', () => provider.check('reach', call()), (them) => them.tokenLookupSelf() as Promise<unknown>],
  ])('%s', async (_what, part, method, mine, other) => {
    const [sent, wanted] = [await ours(part, method, mine), await theirs(other)]

    expect(sent).toBeDefined()
    expect(sent).toEqual(wanted)
  })

  it('undeleting', async () => {
    await client.write('secret/delete/litellm/a', { versions: [1] })

    const sent = await ours('/undelete/', 'POST', async () => provider.recover?.(name, call()))

    expect(sent).toEqual(await theirs((them) => them.write('secret/undelete/litellm/a', { versions: [1] })))
  })
})

describe('they differ', () => {
  it('in a write by the check-and-set number and the marks beside the value, which make it one step of an operation', async () => {
    const sent = await ours('/data/', 'POST', () => write({}))

    const wanted = await theirs((them) => them.write('secret/data/litellm/a', { data: { key: 'v' } }))
    expect(wanted?.body).toEqual({ data: { key: 'a value' } })
    expect(sent).toEqual({ ...wanted, body: { options: { cas: 'a value' }, data: { key: 'a value', 'a mark': 'a value' } } })
  })

  it('in a list by the slash that makes a folder of the path, and by the word for true', async () => {
    const sent = await ours('/metadata/', 'GET', async () => provider.list?.({ prefix: 'litellm/', limit: 10 }, call()))

    const wanted = await theirs((them) => them.list('secret/metadata/litellm'))
    expect(wanted).toMatchObject({ path: '/v1/secret/metadata/litellm', query: { list: '1' } })
    expect(sent).toEqual({ ...wanted, path: '/v1/secret/metadata/litellm/', query: { list: 'true' } })
  })

  it('in destroying by PUT, the method that Vault documents; it takes both', async () => {
    const sent = await ours('/destroy/', 'PUT', async () => provider.remove?.(name, { expect: 'any', final: true }, call()))

    expect(sent).toEqual({ ...(await theirs((them) => them.write('secret/destroy/litellm/a', { versions: [1] }))), method: 'PUT' })
  })

  it('in renewing a token by an empty JSON object: node-vault calls no body at all a form', async () => {
    await provider.read(name, {}, call())
    runtime.clock.advance(500_000)

    const sent = await ours('/renew-self', 'POST', () => provider.read(name, {}, call()))

    client.token = fake.state.token({ ttlSeconds: 60 })
    const wanted = await theirs((them) => them.tokenRenewSelf() as Promise<unknown>)
    expect(wanted).toMatchObject({ body: undefined, type: 'application/x-www-form-urlencoded' })
    expect(sent).toEqual({ ...wanted, type: 'application/json', body: {} })
  })

  it('in the header X-Vault-Request, which a listener may require', async () => {
    await provider.read(name, {}, call())
    const mine = fake.requests.at(-1)
    await client.read('secret/data/litellm/a')

    expect([mine?.headers['x-vault-request'], fake.requests.at(-1)?.headers['x-vault-request']]).toEqual(['true', undefined])
  })
})
