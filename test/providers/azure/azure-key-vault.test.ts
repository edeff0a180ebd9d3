// What is Azure Key Vault's own about the provider: names, tags, the fold, deletions that take their time, pages, bad answers and what a check says.
import { afterEach, describe, expect, it } from 'vitest'
import { hostedName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { slugHashCodec } from '../../../shared/core/names/slug-hash.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import type { SecretProvider, WriteRequest } from '../../../shared/core/provider.ts'
import { SecretValue, type SecretName } from '../../../shared/core/secret.ts'
import { foldVersions, idOf } from '../../../shared/credentials/azure/chain.ts'
import type { VaultVersion } from '../../../shared/credentials/azure/vault.ts'
import { openAzure, startVault, type RunningVault } from '../../conformance/harnesses/azure-key-vault.ts'
import type { WireAnswer } from '../../fakes/wire.ts'
import { callOf } from '../../support/runtime.ts'

interface Bench extends RunningVault {
  readonly provider: SecretProvider & Required<Pick<SecretProvider, 'write' | 'describe' | 'list' | 'remove' | 'recover' | 'promote' | 'annotate' | 'discard' | 'setEnabled'>>
  read(name: SecretName, at?: { version?: string }): Promise<string>
  write(name: SecretName, value: string, more?: Partial<WriteRequest>): Promise<string>
}
const open: Bench[] = []
const bench = async (options: Parameters<typeof startVault>[0] = {}): Promise<Bench> => {
  const started = await startVault(options)
  const provider = (await openAzure(started.io, started.settings)) as Bench['provider']
  const call = () => callOf(started.runtime.clock)
  let made = 0
  const opened: Bench = {
    ...started,
    provider,
    read: async (name, at = {}) => (await provider.read(name, at, call())).value.reveal(),
    write: async (name, value, more = {}) => (await provider.write({ name, value: SecretValue.of(value), expect: 'any', operation: `put-${String((made += 1)).padStart(32, '0')}`, stage: 'current', ...more }, call())).version?.id ?? '',
  }
  open.push(opened)
  return opened
}
afterEach(async () => {
  for (const { provider, fake } of open.splice(0)) {
    await provider.close?.()
    await fake.close()
  }
})
const failureOf = async (promise: Promise<unknown>): Promise<LatchkeyError> => {
  const error = await promise.then(() => undefined, (thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(LatchkeyError)
  return error as LatchkeyError
}
const codeOf = async (promise: Promise<unknown>): Promise<string> => (await failureOf(promise)).code
const alias = createdName('litellm/alias')

describe("LiteLLM's rows of Key Vault", () => {
  it('Z01, Z02: reads a hosted secret verbatim, JSON text unchanged, in one call', async () => {
    const { vault, read, fake } = await bench()
    vault.seed('OPENAI-API-KEY', '{ "a": 1 }')
    fake.requests.length = 0

    const value = await read(hostedName('OPENAI-API-KEY'))

    expect(value).toBe('{ "a": 1 }')
    expect(fake.requests.filter(({ path }) => path.startsWith('/secrets')).map(({ path }) => path)).toEqual(['/secrets/OPENAI-API-KEY/'])
  })

  it('Z05: reads a name with underscores under the one with hyphens', async () => {
    const { vault, read } = await bench()
    vault.seed('OPENAI-API-KEY', 'sk-parity-1')

    expect(await read(hostedName('OPENAI_API_KEY'))).toBe('sk-parity-1')
  })

  it('Z03, Z04: tells an absence from a refusal', async () => {
    const { read, fake } = await bench()

    const absent = await codeOf(read(hostedName('NOWHERE')))
    fake.fault({ kind: 'denied' })

    expect([absent, await codeOf(read(hostedName('NOWHERE')))]).toEqual(['not_found', 'provider_denied'])
  })

  it('writes a hosted secret without the tag of a name', async () => {
    const { vault, write, read } = await bench()
    vault.seed('OPENAI-API-KEY', 'old', { team: 'kept' })

    await write(hostedName('OPENAI_API_KEY'), 'new')

    expect(await read(hostedName('OPENAI_API_KEY'))).toBe('new')
    expect(vault.stored('OPENAI-API-KEY').at(-1)?.tags).toEqual({ team: 'kept', 'latchkey-version': expect.stringMatching(/^put-\d+ [0-9a-f]{32}$/) })
  })
})

describe('names', () => {
  it('of four thousand kinds never share a secret, whatever the case, and fit the vault', () => {
    const letters = ['a', 'A', 'b', '-', '_', '.', '@', '=', '/', '0']
    const texts = new Set<string>()
    for (let index = 0; index < 4_000; index += 1) texts.add(`litellm/x${[...String(index).padStart(4, '0')].map((digit) => letters[Number(digit)]).join('')}y`)

    const encoded = [...texts].map((text) => ({ text, native: slugHashCodec.encode({ text, place: 'created' }) }))

    expect(new Set(encoded.map(({ native }) => native.toLowerCase())).size).toBe(texts.size)
    expect(encoded.filter(({ native }) => !/^[0-9A-Za-z-]{1,127}$/.test(native))).toEqual([])
    expect(encoded.filter(({ text, native }) => slugHashCodec.decode(native, text) !== text)).toEqual([])
  })

  it('stay as they are between releases', () => {
    expect(['litellm/alias', 'litellm/Alias', 'litellm/__latchkey/index/k', 'litellm/team=20a/x@y.z'].map((text) => slugHashCodec.encode({ text, place: 'created' }))).toEqual([
      'litellm-alias-igs5i6cfdc4ssgtjrg5ps332yp',
      'litellm-alias-htrdrfgswxckdbkiuhdtd2ut2l',
      'litellm-latchkey-index-k-xj2i7eup66udsdfxojto4t7ndk',
      'litellm-team-20a-x-y-z-ravfqhbmkf3gq3nz4ba5lp2lej',
    ])
  })

  it('of a foreign secret are never read, written, recovered, nor described as ours', async () => {
    const { vault, provider, read, write, runtime } = await bench()
    vault.seed(slugHashCodec.encode(alias), 'foreign', { owner: 'somebody' })
    runtime.clock.advance(5_000)
    const call = callOf(runtime.clock)

    const codes = [await codeOf(read(alias)), await codeOf(provider.describe(alias, call)), await codeOf(write(alias, 'ours')), await codeOf(write(alias, 'ours', { expect: 'absent' })), await codeOf(provider.remove(alias, { expect: 'any', final: true }, call))]

    expect(codes).toEqual(['not_found', 'not_found', 'already_exists', 'already_exists', 'not_found'])
    expect(vault.stored(slugHashCodec.encode(alias))).toHaveLength(1)
  })

  it('that are hosted never reach what Latchkey created, however they are spelled', async () => {
    const { read, write } = await bench()
    await write(alias, 'a virtual key')
    const spelled = hostedName(slugHashCodec.encode(alias))

    expect([await codeOf(read(spelled)), await codeOf(read(hostedName(spelled.text.toUpperCase()))), await codeOf(write(spelled, 'stolen'))]).toEqual(['not_found', 'not_found', 'already_exists'])
  })
})

describe('tags', () => {
  const litellm = { Environment: 'Prod', Owner: 'AI Platform team' }

  it('of LiteLLM and the description stand over replacement, rotation and recreation, beside content type and expiry', async () => {
    const { provider, vault, write, runtime } = await bench()
    const expires = new Date(Date.UTC(2030, 0, 1))
    const first = await write(alias, 'first', { labels: litellm, description: 'the team key', expires })
    Object.assign(vault.stored(slugHashCodec.encode(alias))[0] ?? {}, { contentType: 'text/x-token', nbf: 1_000 })
    const second = await write(alias, 'second', { expect: { version: first } })
    const operation = `2-rotate-${'a'.repeat(32)}`
    const claim = await provider.write({ name: alias, value: SecretValue.of('third'), expect: { version: second }, before: second, operation, epoch: 2, stage: 'pending' }, callOf(runtime.clock))
    await provider.promote(alias, { to: claim.version?.id ?? '', from: second }, callOf(runtime.clock))

    const newest = vault.stored(slugHashCodec.encode(alias)).at(-1)
    const facts = await provider.describe(alias, callOf(runtime.clock))

    expect([newest?.value, newest?.contentType, newest?.nbf, newest?.exp]).toEqual(['third', 'text/x-token', 1_000, expires.getTime() / 1000])
    expect(newest?.tags).toEqual({ ...litellm, description: 'the team key', 'latchkey-name': alias.text, 'latchkey-version': `${operation} ${second}` })
    expect([facts.labels, facts.description, facts.expires]).toEqual([litellm, 'the team key', expires])
  })

  it.each([
    ['too many', { labels: Object.fromEntries(Array.from({ length: 15 }, (_, index) => [`t${index}`, 'x'])) }, '15'],
    ['a value that is too long', { labels: { long: 'x'.repeat(257) } }, '256'],
    ['a description that is too long', { description: 'ü'.repeat(129) }, '256'],
    ['one of our own', { labels: { 'latchkey-name': 'litellm/other' } }, 'latchkey-name'],
    ['one that would be the description', { labels: { description: 'x' } }, 'description'],
  ])('are refused with the limit named, before anything is sent: %s', async (_title, more, limit) => {
    const { write, vault } = await bench()

    const failure = await failureOf(write(alias, 'value', more))

    expect([failure.code, failure.message]).toEqual(['invalid_request', expect.stringContaining(limit)])
    expect(vault.stored(slugHashCodec.encode(alias))).toEqual([])
  })
})

describe('the fold', () => {
  const version = (id: string, second: number, mark?: string): VaultVersion => ({ id: id.padEnd(32, '0'), created: second * 1000, enabled: true, tags: mark === undefined ? {} : { 'latchkey-version': mark } })
  const shuffles = (versions: readonly VaultVersion[]): string[] => [versions, versions.toReversed(), [...versions.slice(1), ...versions.slice(0, 1)]].map((order) => foldVersions(order).map(idOf).join(' '))

  it.each([
    ['the first of two writers', [version('1', 1, 'one -'), version('2', 2, 'two one'), version('3', 3, 'three one')], 'one two'],
    ['the chain before the id, within one second', [version('9', 1, 'one -'), version('5', 1, 'two one'), version('1', 1, 'three two')], 'one two three'],
    ['the smaller id of two writers in one second', [version('9', 1, 'one -'), version('5', 2, 'two one'), version('4', 2, 'other one')], 'one other'],
    ['one version of a write that was sent twice', [version('1', 1, 'one -'), version('2', 2, 'two one'), version('3', 4, 'two one')], 'one two'],
    ['no copy', [version('1', 1, 'one -'), version('2', 2, 'two one'), version('3', 4, 'two none')], 'one two'],
    ["somebody else's versions always", [version('1', 1, 'one -'), version('f', 2), version('3', 3, 'three f0000000000000000000000000000000'), version('4', 4, 'four one')], 'one f0000000000000000000000000000000 three'],
  ])('counts %s, in whatever order they are listed', (_title, versions, expected) => {
    expect(new Set(shuffles(versions))).toEqual(new Set([expected]))
  })

  it('makes what counts the newest again after a lost write, for clients that read the vault themselves', async () => {
    const { vault, provider, write, read, runtime } = await bench()
    const first = await write(alias, 'first')
    const requests = Array.from({ length: 4 }, (_, index): WriteRequest => ({ name: alias, value: SecretValue.of(`racer ${index}`), expect: { version: first }, before: first, operation: `2-rotate-${String(index).repeat(32)}`, epoch: 2, stage: 'current' }))
    const second = await openAzure(open[0]?.io ?? runtime, open[0]?.settings ?? {})

    const outcomes = await Promise.allSettled(requests.map((request, index) => (index % 2 === 0 ? provider : (second as typeof provider)).write(request, callOf(runtime.clock))))
    await second.close?.()

    const winner = await read(alias)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(requests[outcomes.findIndex(({ status }) => status === 'fulfilled')]?.value.reveal()).toBe(winner)
    expect(vault.stored(slugHashCodec.encode(alias)).at(-1)?.value).toBe(winner)
  })

  it('shows nobody a version whose second is not over', async () => {
    const { vault, read, write, provider, runtime } = await bench()
    const first = await write(alias, 'first')
    vault.seed(slugHashCodec.encode(alias), 'undecided', { 'latchkey-name': alias.text, 'latchkey-version': `put-${'9'.repeat(32)} ${first}` })

    const during = await read(alias)
    runtime.clock.advance(2_000)

    expect([during, await read(alias), (await provider.describe(alias, callOf(runtime.clock))).versions?.length]).toEqual(['first', 'undecided', 2])
  })
})

describe('deletion', () => {
  it('is waited for, recovered and written over, though every step takes the vault five seconds', async () => {
    const { provider, write, read, runtime } = await bench({ settleMs: 5_000 })
    await write(alias, 'first')

    const { recoverableUntil } = await provider.remove(alias, { expect: 'any', final: false }, callOf(runtime.clock))
    const held = await failureOf(write(alias, 'second'))
    await provider.recover(alias, callOf(runtime.clock))
    await write(alias, 'second')

    expect([held.code, held.details.recoverableUntil]).toEqual(['soft_deleted', recoverableUntil])
    expect(await read(alias)).toBe('second')
  })

  it('for good takes the claims along, and frees the name', async () => {
    const { vault, provider, write, runtime } = await bench()
    const first = await write(alias, 'first')
    await provider.write({ name: alias, value: SecretValue.of('pending'), expect: { version: first }, operation: `2-rotate-${'b'.repeat(32)}`, epoch: 2, stage: 'pending' }, callOf(runtime.clock))

    await provider.remove(alias, { expect: 'any', final: true }, callOf(runtime.clock))
    await write(alias, 'anew', { expect: 'absent' })

    expect(vault.stored(slugHashCodec.encode(alias))).toHaveLength(1)
    expect(vault.stored(slugHashCodec.encode({ text: 'litellm/__latchkey/pending/alias', place: 'created' }))).toEqual([])
  })

  it('for good is refused by a vault with purge protection, and says which permission is meant', async () => {
    const { provider, write, runtime } = await bench({ purgeProtection: true })
    await write(alias, 'first')

    const failure = await failureOf(provider.remove(alias, { expect: 'any', final: true }, callOf(runtime.clock)))

    expect([failure.code, failure.message]).toEqual(['provider_denied', expect.stringContaining('purge protection')])
  })

  it('of a version is disabling: neither the stage nor the id gives its value out', async () => {
    const { vault, provider, write, read, runtime } = await bench()
    const first = await write(alias, 'first')
    await write(alias, 'second')

    await provider.discard(alias, first, callOf(runtime.clock))

    expect(await codeOf(read(alias, { version: first }))).toBe('not_found')
    expect(vault.stored(slugHashCodec.encode(alias)).map(({ enabled }) => enabled)).toEqual([false, true])
  })
})

describe('writing', () => {
  it('meets concurrent changes of a name by waiting, and stores each value once', async () => {
    const { write, read, vault } = await bench({ concurrentMs: 1_500 })

    await Promise.all([write(createdName('litellm/one'), '1'), write(createdName('litellm/two'), '2')])
    await write(createdName('litellm/one'), '3')

    expect([await read(createdName('litellm/one')), await read(createdName('litellm/two')), vault.stored(slugHashCodec.encode(createdName('litellm/one'))).length]).toEqual(['3', '2', 2])
  })

  it('sends nothing when the time of the call is too short to know what became of it', async () => {
    const { provider, vault, runtime } = await bench()

    const failure = await failureOf(provider.write({ name: alias, value: SecretValue.of('x'), expect: 'absent', operation: `put-${'c'.repeat(32)}`, stage: 'current' }, callOf(runtime.clock, { withinMs: 1_500 })))

    expect([failure.code, failure.details.applied]).toEqual(['deadline_exceeded', 'no'])
    expect(vault.stored(slugHashCodec.encode(alias))).toEqual([])
  })

  it('keeps every body of twenty first calls at once', async () => {
    const { write, read } = await bench()
    const names = Array.from({ length: 20 }, (_, index) => createdName(`litellm/first-${index}`))

    await Promise.all(names.map((name) => write(name, name.text)))

    expect(await Promise.all(names.map((name) => read(name)))).toEqual(names.map(({ text }) => text))
  })

  it('takes a secret whose record of claims somebody deleted', async () => {
    const { provider, write, fake, vault, runtime } = await bench()
    const first = await write(alias, 'first')
    const claimOf = (digit: string, before: string) => provider.write({ name: alias, value: SecretValue.of('pending'), expect: { version: before }, operation: `2-rotate-${digit.repeat(32)}`, epoch: 2, stage: 'pending' }, callOf(runtime.clock))
    const one = await claimOf('d', first)
    await provider.promote(alias, { to: one.version?.id ?? '', from: first }, callOf(runtime.clock))
    const claims = slugHashCodec.encode({ text: 'litellm/__latchkey/pending/alias', place: 'created' })
    vault.handle({ method: 'DELETE', path: `/secrets/${claims}`, query: new URLSearchParams('api-version=7.4'), headers: { authorization: `Bearer ${vault.directory.token()}` }, body: Buffer.alloc(0) })
    runtime.clock.advance(10_000)

    const two = await claimOf('e', one.version?.id ?? '')

    expect(two.outcome).toBe('written')
    expect(fake.requests.some(({ path }) => path.endsWith('/recover'))).toBe(true)
  })
})

describe('lists', () => {
  it('go over the vault by pages of 25 and leave claims out; a cursor leads nowhere else', async () => {
    const { provider, vault, write, runtime } = await bench()
    for (let index = 0; index < 60; index += 1) vault.seed(`HOSTED-${index}`, 'v')
    const first = await write(alias, 'first')
    await provider.write({ name: alias, value: SecretValue.of('pending'), expect: { version: first }, operation: `2-rotate-${'f'.repeat(32)}`, epoch: 2, stage: 'pending' }, callOf(runtime.clock))
    const call = callOf(runtime.clock)
    const texts: string[] = []
    const sizes: number[] = []
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = await provider.list({ prefix: '', limit: 40, ...(cursor !== undefined && { cursor }) }, call)
      texts.push(...page.items.map(({ name }) => name.text))
      sizes.push(page.items.length)
      cursor = page.cursor
    }
    const forged = (path: string): string => Buffer.from(path).toString('base64url')

    expect([new Set(texts).size, texts.length, texts.includes(alias.text), Math.max(...sizes) <= 40]).toEqual([61, 61, true, true])
    for (const path of ['/secrets/HOSTED-1?api-version=7.4', '/deletedsecrets?api-version=7.4', '//evil.example/secrets?x', '/secrets?other=1', '/secrets?$skiptoken=bm90LW91cnM']) expect(await codeOf(provider.list({ prefix: '', limit: 10, cursor: forged(path) }, call))).toBe('invalid_request')
  })

  it('follow no link to another host', async () => {
    const { provider, fake, runtime } = await bench()
    fake.fault({ kind: 'says', only: ({ path }) => path === '/secrets', answer: { status: 200, body: { value: [], nextLink: 'https://evil.example/secrets?$skiptoken=x' } } })

    expect(await codeOf(provider.list({ prefix: '', limit: 10 }, callOf(runtime.clock)))).toBe('provider_unavailable')
  })
})

describe('an answer', () => {
  const canary = 'canary-3f1c-of-the-answer'
  const bundle = (more: object = {}): object => ({ value: canary, id: `https://127.0.0.1/secrets/HOSTED/${'a'.repeat(32)}`, attributes: { enabled: true, created: 1, updated: 1 }, ...more })
  it.each<[string, WireAnswer, string]>([
    ['that is a page', { status: 200, headers: { 'content-type': 'text/html' }, body: `<html>${canary}` }, 'provider_unavailable'],
    ['that is a page and calls itself JSON', { status: 200, headers: { 'content-type': 'application/json' }, body: `<html>${canary}` }, 'provider_unavailable'],
    ['that is empty', { status: 200 }, 'provider_unavailable'],
    ['that is a list', { status: 200, body: [canary] }, 'provider_unavailable'],
    ['that is an error with 200', { status: 200, body: { error: { code: 'SecretNotFound', message: canary } } }, 'provider_unavailable'],
    ['without a value', { status: 200, body: bundle({ value: undefined }) }, 'provider_unavailable'],
    ['whose value is a number', { status: 200, body: bundle({ value: 7 }) }, 'provider_unavailable'],
    ['without an identifier', { status: 200, body: bundle({ id: undefined }) }, 'provider_unavailable'],
    ['about another secret', { status: 200, body: bundle({ id: `https://127.0.0.1/secrets/OTHER/${'a'.repeat(32)}` }) }, 'provider_unavailable'],
    ['without a version', { status: 200, body: bundle({ id: 'https://127.0.0.1/secrets/HOSTED' }) }, 'provider_unavailable'],
    ['that leads elsewhere', { status: 302, headers: { location: `https://elsewhere.example/${canary}` } }, 'provider_unavailable'],
    ['of 404 that is a page', { status: 404, headers: { 'content-type': 'text/html' }, body: canary }, 'provider_unavailable'],
    ['of 404 with another name', { status: 404, body: { error: { code: 'NotFound', message: canary } } }, 'provider_unavailable'],
    ['of 403 that is a page', { status: 403, headers: { 'content-type': 'text/html' }, body: canary }, 'provider_unavailable'],
    ['of a disabled version', { status: 403, body: { error: { code: 'Forbidden', message: canary, innererror: { code: 'SecretDisabled' } } } }, 'version_disabled'],
    ['of a firewall', { status: 403, body: { error: { code: 'Forbidden', message: canary, innererror: { code: 'ForbiddenByFirewall' } } } }, 'provider_denied'],
    ['of a missing role', { status: 403, body: { error: { code: 'Forbidden', message: canary, innererror: { code: 'ForbiddenByRbac' } } } }, 'provider_denied'],
    ['of throttling, without a time', { status: 429, body: { error: { code: 'Throttled', message: canary } } }, 'provider_throttled'],
    ['of trouble', { status: 500, body: canary }, 'provider_unavailable'],
  ])('%s is what it is, never a value or an absence, and nothing of it is shown', async (_title, answer, code) => {
    const { fake, read } = await bench()
    fake.fault({ kind: 'says', only: ({ path }) => path.startsWith('/secrets'), answer })

    const failure = await failureOf(read(hostedName('HOSTED')))

    expect(failure.code).toBe(code)
    expect(JSON.stringify([failure.message, failure.details, failure.stack])).not.toContain(canary)
  })

  it('of 404 to a list of versions is an absence as well', async () => {
    const { fake, read } = await bench()
    fake.fault({ kind: 'says', only: ({ path }) => path.endsWith('/versions'), answer: { status: 404, body: { error: { code: 'SecretNotFound' } } } })

    expect(await codeOf(read(alias))).toBe('not_found')
  })

  it('of a refusal names firewall, role and permission', async () => {
    const messages: string[] = []
    for (const options of [{ firewall: true }, { lacking: ['get'] }, { lacking: ['list'] }, { lacking: ['set'] }]) {
      const { provider, runtime } = await bench(options)
      messages.push((await provider.check('write', callOf(runtime.clock))).filter(({ ok }) => !ok).map(({ message }) => message).join(' '))
    }

    expect(messages).toEqual([expect.stringContaining('firewall'), expect.stringContaining('Key Vault Secrets User'), expect.stringContaining('readMetadata'), expect.stringContaining('Key Vault Secrets Officer')])
  })

  it('of a sound vault is told by what was asked of it, and by who asks', async () => {
    const { provider, runtime, fake } = await bench()

    const findings = await provider.check('write', callOf(runtime.clock))

    expect(findings.map(({ ok, subject, message }) => [ok, subject, message])).toEqual([[true, 'identity', expect.stringContaining('by client secret')], [true, 'secrets/get', 'Allowed.'], [true, 'secrets/list', 'Allowed.'], [true, 'secrets/set', 'Allowed.']])
    expect(fake.requests.some(({ method }) => method === 'PUT')).toBe(false)
  })

  it('of one secret are asked below the prefix, because a condition may allow nothing beside it', async () => {
    const { provider, runtime, fake } = await bench()

    await provider.check('write', callOf(runtime.clock), 'litellm')

    expect(fake.requests.map(({ path }) => path).filter((path) => /^\/secrets\/./.test(path) && !path.startsWith('/secrets/litellm-'))).toEqual([])
  })
})
