// What the provider sends, beside what Microsoft's own client sends for the same: method, path, query, and the fields of each body. Ours goes through that client,
// so what differs is what we do around it, and that is listed here with its reason.
import { describe, expect, it } from 'vitest'
import { hostedName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { slugHashCodec } from '../../../shared/core/names/slug-hash.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { openAzure, startVault } from '../../conformance/harnesses/azure-key-vault.ts'
import type { RunningFake, WireRequest } from '../../fakes/wire.ts'
import { callOf } from '../../support/runtime.ts'
import { scene } from './azure-scene.ts'

const fieldsOf = ({ body }: WireRequest): readonly string[] => (body.byteLength === 0 ? [] : Object.keys(JSON.parse(body.toString('utf8')) as object).toSorted())
/** Of the vault alone: signing in is compared by its own test. */
const shown = ({ requests }: RunningFake): readonly string[] =>
  requests.filter(({ path }) => /^\/(deleted)?secrets/.test(path)).map((request) => [request.headers['authorization'] === undefined ? 'no token' : 'token', request.method, request.path.replaceAll(/[0-9a-f]{32}/g, '{version}'), [...request.query.keys()].toSorted().join('&'), request.query.get('api-version'), fieldsOf(request).join('+')].join(' '))

describe("the provider's requests", () => {
  it("are those of Microsoft's client, without its call without a token and with the facts that a write needs", async () => {
    const name = createdName('litellm/alias')
    const native = slugHashCodec.encode(name)
    const theirs = await scene()
    const client = theirs.client()
    const made = await client.setSecret(native, 'value', { tags: { a: 'b' }, contentType: 'text/plain', expiresOn: new Date('2030-01-01T00:00:00Z') })
    await client.getSecret(native, { version: made.properties.version ?? '' })
    await client.updateSecretProperties(native, made.properties.version ?? '', { tags: { a: 'c' } })
    for await (const page of client.listPropertiesOfSecrets().byPage({ maxPageSize: 25 })) expect(page).toHaveLength(1)
    await client.beginDeleteSecret(native)
    const ours = await startVault()
    const provider = await openAzure(ours.io, ours.settings)
    const call = () => callOf(ours.runtime.clock)

    await provider.write?.({ name, value: SecretValue.of('value'), expect: 'absent', operation: `put-${'a'.repeat(32)}`, stage: 'current', labels: { a: 'b' }, expires: new Date('2030-01-01T00:00:00Z') }, call())
    await provider.read(name, {}, call())
    await provider.annotate?.(name, { labels: { a: 'c' } }, call())
    await provider.list?.({ prefix: '', limit: 25 }, call())
    await provider.remove?.(name, { expect: 'any', final: false }, call())
    await provider.close?.()
    await Promise.all([theirs.close(), ours.fake.close()])

    const versions = `token GET /secrets/${native}/versions api-version&maxresults 2026-04-01 `
    const deleted = `token GET /deletedsecrets/${native} api-version 2026-04-01 `
    const [put, get, patch, list, remove] = [
      `token PUT /secrets/${native} api-version 2026-04-01 attributes+contentType+tags+value`,
      `token GET /secrets/${native}/{version} api-version 2026-04-01 `,
      `token PATCH /secrets/${native}/{version} api-version 2026-04-01 attributes+tags`,
      'token GET /secrets api-version&maxresults 2026-04-01 ',
      `token DELETE /secrets/${native} api-version 2026-04-01 `,
    ]
    // Its first call goes out without a token and without its body, to be challenged; after a deletion it looks at once whether that is to be seen.
    expect(shown(theirs.fake)).toEqual([`no token PUT /secrets/${native} api-version 2026-04-01 `, put, get, patch, list, remove, deleted])
    expect(shown(ours.fake)).toEqual([
      // Is it there, or deleted? Then the write; then, its second being over, which version counts. No content type was there to carry over.
      ...[versions, deleted, put.replace('contentType+', ''), versions],
      // Which version counts, then that one.
      ...[versions, get],
      ...[versions, patch],
      list,
      // Which version; then the deletion, until it is to be seen.
      ...[versions, remove, deleted, deleted, deleted, deleted],
    ])
  })

  it("read a hosted secret as Microsoft's client does, and nothing else", async () => {
    const theirs = await scene()
    theirs.vault.seed('HOSTED', 'value')
    await theirs.client().getSecret('HOSTED')
    const ours = await startVault()
    ours.vault.seed('HOSTED', 'value')
    const provider = await openAzure(ours.io, ours.settings)

    await provider.read(hostedName('HOSTED'), {}, callOf(ours.runtime.clock))

    await provider.close?.()
    await Promise.all([theirs.close(), ours.fake.close()])
    expect(shown(ours.fake)).toEqual(shown(theirs.fake).slice(1))
  })

  it('sign in with the form that @azure/identity sends', async () => {
    const theirs = await scene()
    await theirs.client().getSecret('x').catch(() => undefined)
    const ours = await startVault()
    const provider = await openAzure(ours.io, ours.settings)

    await provider.read(hostedName('X'), {}, callOf(ours.runtime.clock)).catch(() => undefined)

    await provider.close?.()
    await Promise.all([theirs.close(), ours.fake.close()])
    const signIns = ({ requests }: RunningFake) => requests.filter(({ path }) => !path.startsWith('/secrets')).map(({ method, path, body }) => [method, path, Object.fromEntries([...new URLSearchParams(body.toString())].filter(([key]) => !/^(x-client|client-request-id|x-ms)/.test(key)))])
    expect(signIns(ours.fake)).toEqual(signIns(theirs.fake))
  })
})
