// CyberArk's own clients in Go and Python examine the fake of Conjur, the refusals included; and what our provider sends is held against what the Go client sends.
import { describe, expect, inject, it } from 'vitest'
import { hostedName, nativeName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { openConjur } from '../../conformance/harnesses/cyberark.ts'
import { ConjurService, startConjurFake, type ConjurFake } from '../../fakes/conjur/server.ts'
import type { WireRequest } from '../../fakes/wire.ts'
import { callOf, testRuntime } from '../../support/runtime.ts'
import { goClient, pythonClient, type ClientPlan, type ClientStep, type ConjurClient } from './clients.ts'

const peers = inject('peers')
const { conjur_client: go, python_clients: python } = peers
const clients: readonly (readonly [string, ConjurClient])[] = [
  ...('url' in go ? [['Go', goClient(go.url)] as const] : []),
  ...('url' in python ? [['Python', pythonClient(python.url)] as const] : []),
]
const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString('base64')

const policy = `- !policy
  id: apps
  body:
    - !variable llm/openai-key
    - !variable llm/binary
    - !variable llm/empty
    - !variable hidden
    - !host reader
    - !host writer
    - !permit { role: !host reader, privileges: [read, execute], resource: !variable llm/openai-key }
    - !permit { role: !host reader, privileges: [read], resource: !variable llm/binary }
    - !permit { role: !host writer, privileges: [read, update], resource: !variable llm/openai-key }
`

const started = async (): Promise<{ readonly fake: ConjurFake; readonly as: (login: string, steps: readonly ClientStep[], more?: Partial<ClientPlan>) => ClientPlan }> => {
  const fake = await startConjurFake({ now: () => Date.now(), jwts: { 'aGVhZA.Ym9keQ.c2ln': 'host/apps/reader' } })
  return { fake, as: (login, steps, more = {}) => ({ url: fake.url, account: 'acct', login, key: fake.service.keyOf(login), steps, ...more }) }
}
const variable = 'apps/llm/openai-key'

describe.each(clients)("Conjur's own client in %s, on the fake", (name, client) => {
  it('makes variables and a host by policy, sets values, and reads them back: newest, by number, together', async () => {
    const { fake, as } = await started()

    const results = await client(as('admin', [
      { call: 'policy', mode: 'POST', id: 'root', policy },
      { call: 'set', id: variable, value: 'one' },
      { call: 'set', id: variable, value: 'two' },
      { call: 'set', id: variable, value: 'two' },
      { call: 'get', id: variable },
      { call: 'get version', id: variable, version: 1 },
      { call: 'batch', ids: [variable] },
      { call: 'describe', id: `variable:${variable}` },
      { call: 'list', kind: 'variable', search: 'llm', limit: 2, offset: 1 },
      { call: 'whoami' },
      { call: 'login' },
    ]))

    await fake.close()
    const [loaded, , , , newest, first, batch, described, listed, who, key] = results.map(({ answer }) => answer)
    expect(results.filter(({ error }) => error !== undefined)).toEqual([])
    expect(Object.keys((loaded as { created_roles: object }).created_roles).sort()).toEqual(['acct:host:apps/reader', 'acct:host:apps/writer'])
    expect([newest, first]).toEqual([base64('two'), base64('one')])
    expect(Object.values(batch as object)).toEqual([base64('two')])
    expect((described as { secrets: { version: number }[] }).secrets.map(({ version }) => version)).toEqual([1, 2])
    expect(listed).toEqual(['acct:variable:apps/llm/empty', 'acct:variable:apps/llm/openai-key'])
    expect(who).toMatchObject({ account: 'acct', username: 'admin' })
    expect(key).toBe(fake.service.keyOf('admin'))
  })

  it('is refused as the server refuses: wrong key, wrong account, missing, empty and invisible variables, a missing one in a batch, no privilege', async () => {
    const { fake, as } = await started()
    await client(as('admin', [{ call: 'policy', mode: 'POST', id: 'root', policy }, { call: 'set', id: variable, value: 'one' }, { call: 'set', id: 'apps/hidden', value: 'two' }, { call: 'set', id: 'apps/llm/binary', value: 'three' }]))
    const reader = 'host/apps/reader'

    const [wrongKey] = await client(as(reader, [{ call: 'get', id: variable }], { key: 'not-the-key' }))
    const [wrongAccount] = await client(as(reader, [{ call: 'get', id: variable }], { account: 'another' }))
    const asAdmin = await client(as('admin', [{ call: 'get', id: 'apps/nothing' }, { call: 'get', id: 'apps/llm/empty' }, { call: 'batch', ids: [variable, 'apps/nothing'] }, { call: 'set', id: 'apps/nothing', value: 'x' }]))
    const asReader = await client(as(reader, [{ call: 'get', id: variable }, { call: 'get', id: 'apps/hidden' }, { call: 'get', id: 'apps/llm/binary' }, { call: 'batch', ids: [variable, 'apps/hidden'] }, { call: 'set', id: variable, value: 'x' }, { call: 'policy', mode: 'POST', id: 'root', policy: '- !variable mine\n' }]))
    const asWriter = await client(as('host/apps/writer', [{ call: 'set', id: variable, value: 'y' }, { call: 'get', id: variable }]))

    await fake.close()
    expect([wrongKey?.error, wrongAccount?.error].every((error) => error !== undefined)).toBe(true)
    expect(asAdmin.map(({ status }) => status)).toEqual([404, 404, 404, 404])
    expect(asReader.map(({ answer, status }) => status ?? answer)).toEqual([base64('one'), 404, 403, 403, 403, 404])
    expect(asWriter.map(({ answer, status }) => status ?? answer)).toEqual([true, 403])
    expect(fake.service.values(variable)).toEqual(['one', 'y'])
  })

  it('deletes by policy, sees privileges, and loses its login when the key is rotated', async () => {
    const { fake, as } = await started()
    const held = fake.service
    await client(as('admin', [{ call: 'policy', mode: 'POST', id: 'root', policy }, { call: 'set', id: variable, value: 'one' }]))
    const old = held.keyOf('host/apps/reader')

    const asAdmin = await client(as('admin', [
      { call: 'exists', id: 'variable:apps/hidden' },
      { call: 'policy', mode: 'POST', id: 'apps', policy: '- !delete\n  record: !variable hidden\n' },
      { call: 'policy', mode: 'PATCH', id: 'apps', policy: '- !delete\n  record: !variable hidden\n' },
      { call: 'exists', id: 'variable:apps/hidden' },
    ]))
    const asReader = await client(as('host/apps/reader', [{ call: 'may', id: `variable:${variable}`, privilege: 'execute' }, { call: 'may', id: `variable:${variable}`, privilege: 'update' }]))
    const [rotated] = await client(as('admin', [{ call: 'rotate key', id: 'host:apps/reader' }]))
    const [withOld] = await client(as('host/apps/reader', [{ call: 'get', id: variable }], { key: old }))
    const [withNew] = await client(as('host/apps/reader', [{ call: 'get', id: variable }]))

    await fake.close()
    expect(asAdmin.map(({ answer, status }) => status ?? (typeof answer === 'boolean' ? answer : 'loaded'))).toEqual([true, 422, 'loaded', false])
    expect(asReader.map(({ answer }) => answer)).toEqual([true, false])
    expect(rotated?.answer).toBe(held.keyOf('host/apps/reader'))
    expect(withOld?.error).toBeDefined()
    expect(withNew?.answer).toBe(base64('one'))
  })

  it('logs in with a JSON web token, and not with another', async () => {
    const { fake, as } = await started()
    await client(as('admin', [{ call: 'policy', mode: 'POST', id: 'root', policy }, { call: 'set', id: variable, value: 'one' }]))
    const steps: readonly ClientStep[] = [{ call: 'get', id: variable }]

    const [right] = await client(as('host/apps/reader', steps, { jwt: 'aGVhZA.Ym9keQ.c2ln', service: 'k8s' }))
    const [wrong] = await client(as('host/apps/reader', steps, { jwt: 'aGVhZA.Ym9keQ.b3RoZXI', service: 'k8s' }))

    await fake.close()
    expect(right?.answer).toBe(base64('one'))
    expect(wrong?.error).toBeDefined()
    expect(name).not.toBe('')
  })
})

describe.each(clients.filter(([name]) => name === 'Go'))("Conjur's own client in %s, with tokens and bytes", (_name, client) => {
  it('reads any bytes together only in base64', async () => {
    const { fake, as } = await started()
    fake.service.seed('text', 'a text that is long enough for more than one line of base64, as the server breaks it')
    fake.service.seed('bytes', Uint8Array.of(0, 255, 1))

    const [plain, safe] = await client(as('admin', [{ call: 'batch', ids: ['text', 'bytes'] }, { call: 'batch safe', ids: ['text', 'bytes'] }]))

    await fake.close()
    expect(plain?.status).toBe(406)
    expect(safe?.answer).toEqual({ 'acct:variable:text': base64('a text that is long enough for more than one line of base64, as the server breaks it'), 'acct:variable:bytes': base64(Uint8Array.of(0, 255, 1)) })
  })

  it('is refused with an expired token, one of another account, and one whose signature is not the account\'s', async () => {
    const { fake, as } = await started()
    fake.service.seed('text', 'one')
    const right = fake.service.tokenFor('admin')
    const expired = new ConjurService({ now: () => Date.now() - 481_000 }).tokenFor('admin')
    const foreign = new ConjurService({ now: () => Date.now(), account: 'another' }).tokenFor('admin')
    const forged = JSON.stringify({ ...(JSON.parse(right) as object), signature: 'AAAA' })

    const results = await Promise.all([right, expired, foreign, forged].map((token) => client(as('admin', [{ call: 'get', id: 'text' }], { token }))))

    await fake.close()
    expect(results.map(([result]) => result?.status ?? result?.answer)).toEqual([base64('one'), 401, 401, 401])
  })
})

/** What is compared of a request. */
const shown = ({ method, path, query, headers, body }: WireRequest): object => ({
  method,
  path,
  query: Object.fromEntries(query),
  body: body.toString('utf8'),
  ...(headers['accept-encoding'] === 'base64' && { encoding: 'base64' }),
  authorized: (headers['authorization'] ?? '').replace(/"[^"]+"/, '""'),
})

describe.each(clients.filter(([name]) => name === 'Go'))('what the provider sends', (_name, client) => {
  /** The requests of one side, on a server of its own with the same content. */
  const recorded = async (act: (fake: ConjurFake) => Promise<unknown>): Promise<readonly object[]> => {
    const fake = await startConjurFake({ now: () => Date.now() })
    fake.service.seed('llm/openai key', 'one')
    fake.service.seed('llm/openai key', 'two')
    fake.service.seed('other', 'three')
    await act(fake)
    await fake.close()
    return fake.requests.map(shown)
  }
  const ours = (act: (provider: SecretProvider, fake: ConjurFake) => Promise<unknown>): Promise<readonly object[]> =>
    recorded(async (fake) => {
      const runtime = testRuntime()
      const provider = await openConjur(runtime, { cyberark_api_base: fake.url, cyberark_account: 'acct', cyberark_api_key: fake.service.keyOf('admin'), cyberark_delete: true })
      await act(provider, fake)
      await provider.close?.()
    })
  const theirs = (...steps: readonly ClientStep[]): Promise<readonly object[]> =>
    recorded((fake) => client({ url: fake.url, account: 'acct', login: 'admin', key: fake.service.keyOf('admin'), steps }))
  const call = callOf(testRuntime().clock)

  it('to log in and to read, newest and by number, is what the Go client sends', async () => {
    const mine = await ours(async (provider) => {
      await provider.read(hostedName('llm/openai key'), {}, call)
      await provider.read(nativeName('acct:variable:llm/openai key'), { version: '1' }, call)
    })

    expect(mine).toEqual(await theirs({ call: 'get', id: 'llm/openai key' }, { call: 'get version', id: 'llm/openai key', version: 1 }))
  })

  it('to read together is what the Go client sends, but for the slash before the query, which the server knows both ways', async () => {
    const mine = await ours((provider) => provider.readMany?.([hostedName('llm/openai key'), hostedName('other')], call) ?? Promise.resolve())
    const go = await theirs({ call: 'batch safe', ids: ['llm/openai key', 'other'] })

    expect(mine).toEqual(go.map((each) => ({ ...each, path: (each as { path: string }).path.replace(/^\/secrets\/$/, '/secrets') })))
  })

  it('to create is a policy load and values, as the Go client sends them; the companion record and reading back are ours', async () => {
    const mine = await ours((provider) => provider.write?.({ name: createdName('litellm/new'), value: SecretValue.of('value'), expect: 'absent', operation: `put-${'0'.repeat(32)}`, stage: 'current' }, call) ?? Promise.resolve())
    const go = await theirs({ call: 'policy', mode: 'POST', id: 'root', policy: '- !variable "litellm/new"\n- !variable "litellm/__latchkey/chain/new"\n' }, { call: 'set', id: 'litellm/new', value: 'value' })
    const changes = mine.filter((each) => (each as { method: string }).method === 'POST')

    expect(changes.filter((each) => !(each as { path: string }).path.includes('chain'))).toEqual(go)
    expect(changes).toHaveLength(go.length + 1)
  })

  it('to delete is a policy that the Go client sends alike', async () => {
    const mine = await ours((provider) => provider.remove?.(nativeName('other'), { expect: 'any', final: false }, call) ?? Promise.resolve())
    const go = await theirs({ call: 'policy', mode: 'PATCH', id: 'root', policy: '- !delete\n  record: !variable "other"\n' })

    expect(mine.at(-1)).toEqual(go.at(-1))
  })

  it('to look at a variable and to list is what the Go client sends, but for the kind, which is in the path and not in the query', async () => {
    const mine = await ours(async (provider) => {
      await provider.check('write', call)
      await provider.describe?.(nativeName('other'), call)
    })
    const go = await theirs(
      { call: 'whoami' },
      { call: 'list', kind: 'variable', limit: 1000 },
      { call: 'may', id: 'variable:other', privilege: 'execute' },
      { call: 'may', id: 'policy:root', privilege: 'create' },
      { call: 'may', id: 'policy:root', privilege: 'update' },
      { call: 'describe', id: 'variable:other' },
    )
    const inPath = (each: object): object => {
      const { path, query, ...rest } = each as { path: string; query: Record<string, string> }
      const { kind, ...others } = query
      return { ...rest, path: kind === undefined ? path : `${path}${kind}`, query: kind === undefined ? others : { ...others, offset: '0' } }
    }

    for (const each of go.map(inPath)) expect(mine).toContainEqual(each)
  })
})

describe('the clients of Conjur', () => {
  it.each(Object.entries({ conjur_client: go, python_clients: python }))('%s is there, or named as missing', (_name, peer) => {
    expect('url' in peer || peer.missing !== '').toBe(true)
  })
})
