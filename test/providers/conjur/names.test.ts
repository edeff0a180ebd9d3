// Whatever stands in a name, an account or a login: it is one variable, or it is refused before anything is sent. Nothing of it becomes policy.
import { parse } from 'yaml'
import { describe, expect, it } from 'vitest'
import { hostedName, nativeName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretName } from '../../../shared/core/secret.ts'
import { companions } from '../../../shared/credentials/conjur/chain.ts'
import { generator } from '../../sim/world/mix.ts'
import { failureOf, openedConjur, writeOf } from './opened-conjur.ts'

const hosted = (text: string): SecretName => ({ text, place: 'hosted' })

describe('a name', () => {
  it.each([
    ['climbs', '../../whoami'],
    ['climbs in the middle', 'a/../b'],
    ['stands on its folder', 'a/./b'],
    ['is two dots', '..'],
    ['breaks a line', 'a\n- !grant {role: !group admins, member: !host evil}'],
    ['returns', 'a\r\nX-Evil: 1'],
    ['has a NUL', 'a\0b'],
    ['has a tab', 'a\tb'],
    ['has the line break NEL', 'a\u0085- !policy b'],
    ['has a line separator', 'a\u2028- !policy b'],
    ['has a paragraph separator', 'a\u2029b'],
    ['has a byte order mark', '\uFEFFa'],
    ['has half a character', 'a\uD800b'],
    ['is empty', ''],
    ['is too long', 'x'.repeat(513)],
  ])('that %s is refused before anything is sent', async (_title, text) => {
    const { fake, provider, call } = await openedConjur()

    const failures = [await failureOf(provider.read(hosted(text), {}, call)), await failureOf(provider.write(writeOf(hosted(text), 'value'), call)), await failureOf(provider.readMany([hosted(text)], call))]

    expect(failures.map(({ code }) => code)).toEqual(['invalid_request', 'invalid_request', 'invalid_request'])
    expect(fake.requests).toEqual([])
  })

  it.each([
    '"quoted" \'and\' `more`', 'back\\slash', 'a: b', '!variable x', '- !delete', '#comment', '&anchor *alias', '{flow: [x]}', '%2e%2e', '%2F', '$(HOME) ${x}', '|', '> folded', 'ünïcode 世 😀', 'a,b', 'yes', 'null', '12', 'x?version=1', 'a+b', 'a;b=c', '@at', '`', '~', 'a  b ',
  ])('like %j is one variable of exactly this id, in policies and in paths', async (text) => {
    const { fake, provider, call } = await openedConjur()

    await provider.write(writeOf(hosted(text), 'value'), call)

    const loaded = fake.requests.find(({ path }) => path.startsWith('/policies/'))?.body.toString() ?? ''
    expect(fake.service.values(text)).toEqual(['value'])
    expect([...fake.service.state.resources.keys()].filter((id) => id.startsWith('acct:variable:'))).toHaveLength(2)
    expect((parse(loaded, { logLevel: 'silent' }) as unknown[])[0]).toBe(text)
    expect((await provider.read(hosted(text), {}, call)).value.reveal()).toBe('value')
    expect((await provider.readMany([hosted(text), hosted('absent')], call)).map((each) => ('value' in each ? each.value.reveal() : each.code))).toEqual(['value', 'not_found'])
  })

  it('with an account before it is a whole id only where configuration gives it', async () => {
    const { fake, provider, call, sent } = await openedConjur()
    fake.service.seed('llm/key', 'value')

    const native = await provider.read(nativeName('acct:variable:llm/key'), {}, call)
    const error = await failureOf(provider.read(hostedName('acct:variable:llm/key'), {}, call))

    expect(native.value.reveal()).toBe('value')
    expect(error.code).toBe('not_found')
    expect(sent()).toEqual(['GET /secrets/acct/variable/llm%2Fkey', 'GET /secrets/acct/variable/acct%3Avariable%3Allm%2Fkey'])
  })

  it("never reaches Latchkey's own records, hosted or native, and no list shows them", async () => {
    const { provider, call } = await openedConjur()
    await provider.write(writeOf(createdName('litellm/a'), 'value'), call)
    const record = 'litellm/__latchkey/chain/a'

    const failures = [await failureOf(provider.read(hosted(record), {}, call)), await failureOf(provider.read(nativeName(`acct:variable:${record}`), {}, call)), await failureOf(provider.read(hosted('__latchkey/chain/x'), {}, call))]
    const { items } = await provider.list({ prefix: '', limit: 10 }, call)

    expect(failures.map(({ code }) => code)).toEqual(['invalid_request', 'invalid_request', 'invalid_request'])
    expect(items.map(({ name }) => name.text)).toEqual(['litellm/a'])
  })
})

describe('the companion of a name', () => {
  it.each([
    ['root', 'litellm/alias', 'litellm/__latchkey/chain/alias'],
    ['root', 'litellm/team/alias', 'litellm/__latchkey/chain/team/alias'],
    ['root', 'litellm/__latchkey/index/abc', 'litellm/__latchkey/chain/__latchkey/index/abc'],
    ['root', 'OPENAI_API_KEY', '__latchkey/chain/OPENAI_API_KEY'],
    ['root', '__latchkey/index/abc', '__latchkey/__latchkey/chain/index/abc'],
    ['apps/llm', 'apps/llm/team/alias', 'apps/llm/__latchkey/chain/team/alias'],
    ['apps/llm', 'elsewhere', '__latchkey/chain/elsewhere'],
  ])('in the branch %s of %s is %s, and back', (branch, id, companion) => {
    const beside = companions(branch)

    expect(beside.of(id)).toBe(companion)
    expect(beside.isOne(companion)).toBe(true)
    expect(beside.mainOf(companion)).toBe(id)
    expect(beside.isOne(id)).toBe(false)
  })

  it('is its own for every name', () => {
    const draw = generator(7)
    const segments = ['a', 'b', '__latchkey', 'index', 'chain', 'x.y', '=']
    const names = new Set(Array.from({ length: 5_000 }, () => Array.from({ length: 1 + Math.floor(draw() * 5) }, () => segments[Math.floor(draw() * segments.length)]).join('/')))

    for (const branch of ['root', 'a', 'a/b']) {
      const beside = companions(branch)
      const own = [...names].filter((id) => !beside.isOne(id))
      expect(new Set(own.map(beside.of)).size).toBe(own.length)
      expect(own.filter((id) => !beside.isOne(beside.of(id)) || beside.mainOf(beside.of(id)) !== id)).toEqual([])
    }
  })
})

describe('an account and a login', () => {
  it.each(['acct%2F..', "o'brien", 'acct?x=1', 'acct#x', 'ünï', 'a&b', '%2e%2e'])('like %s stands in the path escaped, and reaches its own account only', async (account) => {
    const { fake, provider, call } = await openedConjur({ cyberark_account: account }, { server: { account } })
    fake.service.seed('SECRET', 'value')

    const { value } = await provider.read(hostedName('SECRET'), {}, call)

    expect(value.reveal()).toBe('value')
    expect(fake.requests.map(({ path }) => decodeURIComponent(path))).toEqual([`/authn/${account}/admin/authenticate`, `/secrets/${account}/variable/SECRET`])
  })

  it.each(['host/apps/../admin', 'host/a b', 'admin/../../x', 'user?x#y', 'host/100%'])('login %s is one segment of the path', async (username) => {
    const { fake, provider, call } = await openedConjur({ cyberark_username: username })

    const error = await failureOf(provider.read(hostedName('SECRET'), {}, call))

    expect(error.code).toBe('provider_denied')
    expect(fake.requests.map(({ path }) => path.split('/').map(decodeURIComponent))).toEqual([['', 'authn', 'acct', username, 'authenticate']])
  })
})
