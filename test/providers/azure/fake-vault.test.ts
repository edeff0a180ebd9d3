// The fake of Key Vault, examined by Microsoft's own client over TLS with its own way out: what it answers, and what it refuses and by which name.
import type { TokenCredential } from '@azure/identity'
import type { SecretProperties } from '@azure/keyvault-secrets'
import { afterEach, describe, expect, it } from 'vitest'
import { fakeVault } from '../../conformance/harnesses/azure-key-vault.ts'
import { refusalOf, scene, type Scene } from './azure-scene.ts'

const open: Scene[] = []
const start = async (options: Parameters<typeof scene>[0] = {}): Promise<Scene> => {
  const started = await scene(options)
  open.push(started)
  return started
}
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})
const all = async (list: AsyncIterable<SecretProperties>): Promise<SecretProperties[]> => {
  const found: SecretProperties[] = []
  for await (const each of list) found.push(each)
  return found
}
const holding = (token: string): TokenCredential => ({ getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) })

describe("Microsoft's client on the fake vault", () => {
  it('writes, reads the newest and each version, without regard to case', async () => {
    const client = (await start()).client()
    const first = await client.setSecret('Some-Name', 'first', { tags: { Owner: 'AI Platform team' }, contentType: 'text/plain', expiresOn: new Date('2030-01-01T00:00:00Z') })
    await client.setSecret('some-name', 'second')

    const newest = await client.getSecret('SOME-NAME')
    const old = await client.getSecret('some-name', { version: first.properties.version ?? '' })

    expect([newest.value, newest.properties.tags, newest.properties.expiresOn]).toEqual(['second', undefined, undefined])
    expect([old.value, old.properties.tags, old.properties.contentType, old.properties.expiresOn?.toISOString()]).toEqual(['first', { Owner: 'AI Platform team' }, 'text/plain', '2030-01-01T00:00:00.000Z'])
    expect(old.properties.createdOn?.getMilliseconds()).toBe(0)
  })

  it('replaces all tags of a version and nothing else by an update', async () => {
    const client = (await start()).client()
    const { properties } = await client.setSecret('a', 'value', { tags: { one: '1', two: '2' }, contentType: 'kept' })

    await client.updateSecretProperties('a', properties.version ?? '', { tags: { two: '3' } })

    const held = await client.getSecret('a')
    expect([held.value, held.properties.tags, held.properties.contentType, held.properties.enabled]).toEqual(['value', { two: '3' }, 'kept', true])
  })

  it('lists secrets and versions over pages of 25, each once', async () => {
    const { client, fake } = await start().then((started) => ({ client: started.client(), fake: started.fake }))
    for (let index = 0; index < 60; index += 1) await client.setSecret(`item-${index}`, 'v')
    for (let index = 0; index < 27; index += 1) await client.setSecret('item-0', `v${index}`)
    fake.requests.length = 0

    const names = (await all(client.listPropertiesOfSecrets())).map(({ name }) => name)
    const versions = await all(client.listPropertiesOfSecretVersions('item-0'))

    expect([new Set(names).size, names.length, new Set(versions.map(({ version }) => version)).size]).toEqual([60, 60, 28])
    expect(fake.requests).toHaveLength(3 + 2)
    expect(await all(client.listPropertiesOfSecretVersions('never-was'))).toEqual([])
  })

  it('answers a disabled version by its own name', async () => {
    const client = (await start()).client()
    const { properties } = await client.setSecret('a', 'value')

    await client.updateSecretProperties('a', properties.version ?? '', { enabled: false })

    expect(await refusalOf(client.getSecret('a'))).toEqual([403, 'Forbidden', 'SecretDisabled'])
  })

  it('holds a deleted name until it is purged, and takes it back whole', async () => {
    const { client } = await start().then((started) => ({ client: started.client() }))
    await client.setSecret('a', 'first')
    await client.setSecret('a', 'second')

    const deleted = await client.beginDeleteSecret('a')
    expect(deleted.getResult()?.properties.scheduledPurgeDate?.getTime()).toBeGreaterThan(Date.now())
    expect(await refusalOf(client.getSecret('a'))).toEqual([404, 'SecretNotFound'])
    expect(await refusalOf(client.setSecret('a', 'third'))).toEqual([409, 'Conflict', 'ObjectIsDeletedButRecoverable'])
    await client.beginRecoverDeletedSecret('a')
    expect([(await client.getSecret('a')).value, (await all(client.listPropertiesOfSecretVersions('a'))).length]).toEqual(['second', 2])
    await client.beginDeleteSecret('a')
    await client.purgeDeletedSecret('a')
    await client.setSecret('a', 'anew')

    expect((await all(client.listPropertiesOfSecretVersions('a'))).length).toBe(1)
  })

  it('takes its time for a deletion, a recovery and a purge', async () => {
    const { client, pass } = await start({ settleMs: 5_000 }).then((started) => ({ client: started.client(), pass: started.pass }))
    await client.setSecret('a', 'value')
    await client.beginDeleteSecret('a')

    const during = [await refusalOf(client.getDeletedSecret('a')), await refusalOf(client.setSecret('a', 'x')), await refusalOf(client.purgeDeletedSecret('a'))]
    pass(5_000)
    const after = [(await client.getDeletedSecret('a')).name, await refusalOf(client.setSecret('a', 'x'))]
    await client.beginRecoverDeletedSecret('a')
    const recovering = await refusalOf(client.setSecret('a', 'x'))
    pass(5_000)

    expect(during).toEqual([[404, 'SecretNotFound'], [409, 'Conflict', 'ObjectIsBeingDeleted'], [409, 'Conflict', 'ObjectIsBeingDeleted']])
    expect(after).toEqual(['a', [409, 'Conflict', 'ObjectIsDeletedButRecoverable']])
    expect(recovering).toEqual([409, 'Conflict', 'ObjectIsBeingRecovered'])
    expect((await client.getSecret('a')).value).toBe('value')
  })

  it.each([
    ['a name with an underscore', 'A_B', 'v', {}, [400, 'BadParameter']],
    ['sixteen tags', 'a', 'v', { tags: Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`t${index}`, ''])) }, [400, 'BadParameter']],
    ['a tag of 257 characters', 'a', 'v', { tags: { t: 'x'.repeat(257) } }, [400, 'BadParameter']],
    ['a value over 25 KB', 'a', 'x'.repeat(25_601), {}, [413, 'RequestEntityTooLarge']],
    ['an empty value', 'a', '', {}, [400, 'BadParameter']],
  ])('is refused %s', async (_title, name, value, options, refusal) => {
    const client = (await start()).client()

    expect(await refusalOf(client.setSecret(name, value, options))).toEqual(refusal)
  })

  it('is throttled by windows of ten seconds, writes apart from everything else', async () => {
    const { client, pass } = await start({ quota: { sets: 2, others: 5 } }).then((started) => ({ client: started.client(), pass: started.pass }))
    await client.setSecret('a', '1')
    await client.setSecret('a', '2')

    const third = await refusalOf(client.setSecret('a', '3'))
    const read = (await client.getSecret('a')).value
    pass(10_000)

    expect([third, read]).toEqual([[429, 'Throttled'], '2'])
    expect((await client.setSecret('a', '4')).value).toBe('4')
  })

  it('meets a conflict when it writes a name twice at once', async () => {
    const client = (await start({ concurrentMs: 60_000 })).client()
    await client.setSecret('a', '1')

    expect(await refusalOf(client.setSecret('a', '2'))).toEqual([409, 'Conflict'])
  })

  it('is refused by permission, firewall and purge protection, each by its name', async () => {
    const lacking = (await start({ lacking: ['set'] })).client()
    const outside = (await start({ firewall: true })).client()
    const kept = (await start({ purgeProtection: true })).client()
    await kept.setSecret('a', 'v')
    await kept.beginDeleteSecret('a')

    expect(await refusalOf(lacking.setSecret('a', 'v'))).toEqual([403, 'Forbidden', 'ForbiddenByPolicy'])
    expect(await refusalOf(outside.getSecret('a'))).toEqual([403, 'Forbidden', 'ForbiddenByFirewall'])
    expect(await refusalOf(kept.purgeDeletedSecret('a'))).toEqual([403, 'Forbidden'])
  })

  it.each([
    ['for another audience', ({ vault }: Scene) => vault.directory.token({ aud: 'https://management.azure.com' })],
    ['of another directory', ({ vault }: Scene) => vault.directory.token({ tid: 'another' })],
    ['that has expired', ({ vault }: Scene) => vault.directory.token({ exp: 1 })],
    ['that another key signed', () => fakeVault({ now: () => Date.now() }).directory.token()],
    ['that is none', () => 'opaque'],
  ])('is refused with a token %s', async (_title, tokenOf) => {
    const started = await start()

    expect(await refusalOf(started.client(holding(tokenOf(started))).getSecret('a'))).toEqual([401, 'Unauthorized'])
  })

  it('is challenged before its first call, and asked for a known api-version', async () => {
    const started = await start()
    await refusalOf(started.client().getSecret('a'))
    const asked = started.fake.requests.filter(({ path }) => path === '/secrets/a/').map(({ headers }) => headers['authorization']?.slice(0, 6))
    const { directory } = started.vault
    const ask = (query: string, headers: Record<string, string>): number => started.vault.handle({ method: 'GET', path: '/secrets/a', query: new URLSearchParams(query), headers, body: Buffer.alloc(0) }).status

    expect(asked).toEqual([undefined, 'Bearer'])
    expect([ask('api-version=7.4', {}), ask('', { authorization: `Bearer ${directory.token()}` }), ask('api-version=1.0', { authorization: `Bearer ${directory.token()}` }), ask('api-version=7.4', { authorization: `Bearer ${directory.token()}` })]).toEqual([401, 400, 400, 404])
  })
})
