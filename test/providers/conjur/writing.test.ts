import { describe, expect, it } from 'vitest'
import type { LatchkeyError } from '../../../shared/core/errors.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import type { Call } from '../../../shared/core/runtime.ts'
import { foldLinks, type Book, type Link } from '../../../shared/credentials/conjur/record.ts'
import { openConjurWireless } from '../../conformance/harnesses/cyberark.ts'
import { loadPolicy } from '../../fakes/conjur/policy.ts'
import { ConjurService } from '../../fakes/conjur/server.ts'
import { calmHook, type Hook } from '../../shapes/service.ts'
import { callOf, testRuntime } from '../../support/runtime.ts'
import { failureOf, openedConjur, writeOf } from './opened-conjur.ts'

const name = createdName('litellm/alias')

describe('a value', () => {
  it('is sent again when another write of the same variable was on its way', async () => {
    const { fake, provider, call } = await openedConjur()
    fake.service.collisions = 2

    const { outcome } = await provider.write(writeOf(name, 'value'), call)

    expect(outcome).toBe('written')
    expect(fake.service.values('litellm/alias')).toEqual(['value'])
  })

  it('that always collides is given up, and said to be unavailable', async () => {
    const { fake, provider, call, sent } = await openedConjur()
    fake.service.collisions = 99

    const error = await failureOf(provider.write(writeOf(name, 'value'), call))

    expect(error.code).toBe('provider_unavailable')
    expect(sent().filter((line) => line.startsWith('POST /secrets/'))).toHaveLength(4)
  })

  it('whose sending is answered with a server error is sent again, and counts once', async () => {
    const { fake, provider, call } = await openedConjur()
    const from = (await provider.write(writeOf(name, 'one'), call)).version?.id ?? ''
    const request = writeOf(name, 'two', { expect: { version: from } })
    fake.fault({ kind: 'says', only: ({ method, path }) => method === 'POST' && path.includes('chain'), times: 1, answer: { status: 500 } })

    await provider.write(request, call)
    const again = await provider.write(request, call)

    expect(again.outcome).toBe('same_operation')
    expect((await provider.describe(name, call)).versions).toHaveLength(2)
  })

  it.each(['', ' ', '\n\t \r\n'])('that Conjur takes for empty (%j) is refused before anything is sent', async (value) => {
    const { fake, provider, call } = await openedConjur()

    const error = await failureOf(provider.write(writeOf(name, value), call))

    expect(error).toMatchObject({ code: 'invalid_request', details: { param: 'value' } })
    expect(fake.requests).toEqual([])
  })

  it('goes only below the branch, and the variables come out with the same ids', async () => {
    const { fake, provider, open, call, sent } = await openedConjur()
    const { service } = fake
    service.state.add('policy', 'apps/gateway', service.state.full('user', 'admin'))
    const below = await open({ cyberark_policy_branch: 'apps/gateway' })

    await below.write(writeOf(createdName('apps/gateway/team/key'), 'value'), call)
    const outside = await failureOf(below.write(writeOf(createdName('litellm/key'), 'value'), call))
    const read = await below.read(createdName('apps/gateway/team/key'), {}, call)

    const loaded = fake.requests.find(({ path }) => path.startsWith('/policies/'))
    expect(loaded?.path).toBe('/policies/acct/policy/apps%2Fgateway')
    expect(loaded?.body.toString()).toBe('- !variable "team/key"\n- !variable "__latchkey/chain/team/key"\n')
    expect(service.values('apps/gateway/team/key')).toEqual(['value'])
    expect(read.value.reveal()).toBe('value')
    expect(outside).toMatchObject({ code: 'invalid_request' })
    expect(outside.message).toContain('cyberark_policy_branch')
    expect(sent().filter((line) => line.includes('litellm'))).toEqual([])
    expect(await failureOf(provider.read(createdName('litellm/key'), {}, call))).toMatchObject({ code: 'not_found' })
  })

  it('needs no more than a branch that its host owns, and nothing but reading elsewhere', async () => {
    const { fake, open, call } = await openedConjur()
    const { service } = fake
    service.seed('OPENAI_API_KEY', 'hosted')
    const policy = '- !host gateway\n- !policy\n  id: litellm\n  owner: !host gateway\n- !permit\n  role: !host gateway\n  privileges: [read, execute]\n  resources: [!variable OPENAI_API_KEY]\n'
    const { 'acct:host:gateway': host } = loadPolicy(service.state, 'root', policy, false)
    const gateway = await open({ cyberark_username: 'host/gateway', cyberark_api_key: host?.api_key, cyberark_policy_branch: 'litellm', cyberark_delete: true })

    const findings = await gateway.check('write', call)
    const { version } = await gateway.write(writeOf(name, 'one'), call)
    await gateway.write(writeOf(name, 'two', { expect: { version: version?.id ?? '' } }), call)
    const values = [await gateway.read(name, {}, call), await gateway.read(hostedName('OPENAI_API_KEY'), {}, call)].map(({ value }) => value.reveal())
    await gateway.remove?.(name, { expect: 'any', final: false }, call)
    const elsewhere = await failureOf(gateway.write(writeOf(hostedName('OPENAI_API_KEY'), 'stolen'), call))

    expect(findings.filter(({ ok }) => !ok)).toEqual([])
    expect(values).toEqual(['two', 'hosted'])
    expect(elsewhere.code).toBe('invalid_request')
    expect(service.values('litellm/alias')).toEqual([])
  })

  it('that a follower refuses says where to send it', async () => {
    const { fake, provider, call } = await openedConjur()
    fake.service.follower = true

    const error = await failureOf(provider.write(writeOf(name, 'value'), call))

    expect(error.code).toBe('misconfigured')
    expect(error.message).toMatch(/leader.*cyberark_api_base/)
  })

  it('that is refused names the privilege that is missing: create on the branch, update on the variable', async () => {
    const { fake, provider, open, call } = await openedConjur()
    const { state } = fake.service
    const host = state.full('host', 'reader')
    state.apiKeys.set(host, state.newKey())
    await provider.write(writeOf(name, 'value'), call)
    for (const id of ['litellm/alias', 'litellm/__latchkey/chain/alias']) for (const privilege of ['read', 'execute']) state.permit(state.add('variable', id, ''), host, privilege)
    const reader = await open({ cyberark_username: 'host/reader', cyberark_api_key: fake.service.keyOf('host/reader') })

    const update = await failureOf(reader.write(writeOf(name, 'other'), call))
    const create = await failureOf(reader.write(writeOf(createdName('litellm/new'), 'other'), call))

    expect((await reader.read(name, {}, call)).value.reveal()).toBe('value')
    expect([update.code, create.code]).toEqual(['provider_denied', 'provider_denied'])
    expect(update.message).toContain('privilege update on the variable')
    expect(create.message).toMatch(/privilege create on the policy root.*cyberark_policy_branch/)
    expect((await reader.check('write', call)).filter(({ ok }) => !ok).map(({ subject, setting }) => [subject, setting])).toEqual([['update on variables', 'cyberark_username'], ['create on the policy root', 'cyberark_policy_branch']])
  })
})

describe('the main variable', () => {
  it('is set by the one that won, never by a loser', async () => {
    const { fake, provider, open, call } = await openedConjur()
    const others = await Promise.all([open(), open(), open()])
    const from = (await provider.write(writeOf(name, 'first'), call)).version?.id ?? ''

    const outcomes = await Promise.allSettled([provider, ...others].map((each, index) => each.write(writeOf(name, `racer ${index}`, { expect: { version: from } }), call)))

    const won = outcomes.flatMap(({ status }, index) => (status === 'fulfilled' ? [`racer ${index}`] : []))
    const current = (await provider.read(name, {}, call)).value.reveal()
    expect(won).toEqual([current])
    expect(fake.service.values('litellm/alias')).toEqual(['first', current])
  })

  it('that lags behind the record is mended by whoever repeats the write; Latchkey never answers the old value', async () => {
    const { fake, provider, call } = await openedConjur()
    await provider.write(writeOf(name, 'one'), call)
    const request = writeOf(name, 'two')
    fake.fault({ kind: 'unavailable_before', only: ({ method, path }) => method === 'POST' && path.endsWith('litellm%2Falias') })

    const error = await failureOf(provider.write(request, call))
    fake.heal()
    const between = (await provider.read(name, {}, call)).value.reveal()
    const raw = fake.service.values('litellm/alias').at(-1)
    const { outcome } = await provider.write(request, call)

    expect(error.code).toBe('provider_unavailable')
    expect([between, raw]).toEqual(['two', 'one'])
    expect(outcome).toBe('same_operation')
    expect(fake.service.values('litellm/alias').at(-1)).toBe('two')
  })

  it('that is set late, after another has won, is set again to what holds', async () => {
    const runtime = testRuntime()
    const call = callOf(runtime.clock)
    const service = new ConjurService({ now: () => runtime.clock.now() })
    const [reached, resumed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const held: Hook = async (step, apply) => {
      if (step.call === 'set' && step.name === 'litellm/alias') {
        reached.resolve()
        await resumed.promise
      }
      return calmHook(step, apply)
    }
    const slow = await openConjurWireless({ service, hook: held }, runtime)
    const quick = await openConjurWireless({ service, hook: calmHook }, { ...runtime, random: testRuntime({ seed: 'quick' }).random })

    const first = slow.write?.(writeOf(name, 'one'), call)
    await reached.promise
    await quick.write?.(writeOf(name, 'two'), call)
    resumed.resolve()
    await first

    expect(service.values('litellm/alias')).toEqual(['two', 'one', 'two'])
    expect((await slow.read(name, {}, call)).value.reveal()).toBe('two')
  })

  it('that somebody changes in Conjur is what is read, described as current, and a condition on the older version no longer holds', async () => {
    const { fake, provider, call } = await openedConjur()
    const before = (await provider.write(writeOf(name, 'ours', { labels: { Owner: 'AI Platform team' } }), call)).version?.id ?? ''
    fake.service.seed('litellm/alias', 'theirs')

    const { value, version } = await provider.read(name, {}, call)
    const facts = await provider.describe(name, call)
    const stale = await failureOf(provider.write(writeOf(name, 'again', { expect: { version: before } }), call))
    await provider.write(writeOf(name, 'again', { expect: { version: facts.current?.id ?? '' } }), call)

    expect([value.reveal(), version]).toEqual(['theirs', undefined])
    expect(facts).toMatchObject({ current: { id: '2' }, labels: { Owner: 'AI Platform team' } })
    expect(stale.code).toBe('conflict')
    expect((await provider.read(name, {}, call)).value.reveal()).toBe('again')
    expect((await provider.read(name, { stage: 'previous' }, call)).value.reveal()).toBe('theirs')
  })

  it('that an operator made is adopted with its value as the previous version, and keeps its numbers', async () => {
    const { fake, provider, call } = await openedConjur()
    const hosted = hostedName('OPENAI_API_KEY')
    for (const value of ['one', 'two', 'three']) fake.service.seed('OPENAI_API_KEY', value)

    const facts = await provider.describe(hosted, call)
    await provider.write(writeOf(hosted, 'four', { expect: { version: '3' } }), call)

    expect(facts.versions?.map(({ id, stages }) => [id, stages])).toEqual([['1', []], ['2', ['previous']], ['3', ['current']]])
    expect((await provider.read(hosted, { version: '1' }, call)).value.reveal()).toBe('one')
    expect((await provider.read(hosted, { stage: 'previous' }, call)).value.reveal()).toBe('three')
    expect((await provider.read(hosted, {}, call)).value.reveal()).toBe('four')
    expect(fake.service.values('OPENAI_API_KEY')).toEqual(['one', 'two', 'three', 'four'])
  })

  it('keeps description and tags over rotation, deletion and being made anew by annotation', async () => {
    const { provider, call } = await openedConjur()
    const tags = { Environment: 'Prod', Owner: 'AI Platform team' }
    const from = (await provider.write(writeOf(name, 'one', { expect: 'absent', labels: tags, description: 'Ünïcode "quoted"' }), call)).version?.id ?? ''
    const claim = await provider.write(writeOf(name, 'two', { expect: { version: from }, stage: 'pending', epoch: 2 }), call)
    await provider.promote(name, { to: claim.version?.id ?? '', from }, call)

    const tombstone = await provider.write(writeOf(name, 'revoked', { expect: { version: claim.version?.id ?? '' } }), call)
    await provider.write(writeOf(name, 'three', { expect: { version: tombstone.version?.id ?? '' } }), call)

    expect(await provider.describe(name, call)).toMatchObject({ labels: tags, description: 'Ünïcode "quoted"' })
  })

  it('holds a history that outlives the twenty versions that Conjur keeps', async () => {
    const { fake, provider, call } = await openedConjur()
    for (let count = 0; count < 25; count += 1) await provider.write(writeOf(name, `value ${count}`), call)

    const { versions, current } = await provider.describe(name, call)
    const claims = await provider.write(writeOf(name, 'next', { expect: { version: current?.id ?? '' }, stage: 'pending', epoch: 2 }), call)
    for (let count = 0; count < 20; count += 1) await provider.annotate(name, { labels: { step: `${count}` } }, call)
    await provider.promote(name, { to: claims.version?.id ?? '', from: current?.id ?? '' }, call)

    expect(versions).toHaveLength(16)
    expect(fake.service.state.resources.get('acct:variable:litellm/__latchkey/chain/alias')?.secrets).toHaveLength(20)
    expect((await provider.read(name, {}, call)).value.reveal()).toBe('next')
    expect((await provider.read(name, { stage: 'previous' }, call)).value.reveal()).toBe('value 24')
  })

  it('keeps current and claim when more claims were ended than a record remembers', async () => {
    const { provider, call } = await openedConjur()
    const from = (await provider.write(writeOf(name, 'one'), call)).version?.id ?? ''

    for (let count = 0; count < 20; count += 1) {
      const { version } = await provider.write(writeOf(name, `claim ${count}`, { expect: { version: from }, stage: 'pending' }), call)
      await provider.discard(name, version?.id ?? '', call)
    }

    expect((await provider.read(name, {}, call)).value.reveal()).toBe('one')
    expect((await provider.describe(name, call)).current?.id).toBe(from)
  })
})

describe('more writers of one name at once than Conjur keeps versions', () => {
  const many = 30
  const companion = 'litellm/__latchkey/chain/alias'

  const setting = () => {
    const runtime = testRuntime()
    const service = new ConjurService({ now: () => runtime.clock.now() })
    const open = (seed: string, hook: Hook) => openConjurWireless({ service, hook }, { ...runtime, random: testRuntime({ seed }).random })
    return { service, open, call: callOf(runtime.clock) }
  }
  const writeAbsent = async (provider: SecretProvider, index: number, call: Call): Promise<string> =>
    provider.write?.(writeOf(name, `racer ${index}`, { expect: 'absent' }), call).then(() => `racer ${index}`, (error: unknown) => (error as LatchkeyError).code) ?? ''
  const numbers = Array.from({ length: many }, (_, index) => index)

  it('are one after the other in one instance: none but the first writes', async () => {
    const { service, open, call } = setting()
    const provider = await open('one', calmHook)

    const outcomes = await Promise.all(numbers.map((index) => writeAbsent(provider, index, call)))

    expect(outcomes.filter((outcome) => outcome !== 'already_exists')).toEqual(service.values('litellm/alias'))
    expect(service.values(companion)).toHaveLength(1)
  })

  it('of which others were held up by their policies look again, and write nothing', async () => {
    const { service, open, call } = setting()
    const first = Promise.withResolvers<void>()
    const behind: Hook = async (step, apply) => {
      const answer = await calmHook(step, apply)
      if (step.call === 'loadPolicy') await first.promise
      return answer
    }
    const others = await Promise.all(numbers.map((index) => open(`${index}`, behind)))
    const racing = others.map((provider, index) => writeAbsent(provider, index, call))
    const winner = await open('winner', calmHook)

    const won = await writeAbsent(winner, many, call)
    first.resolve()

    expect(await Promise.all(racing)).toEqual(numbers.map(() => 'already_exists'))
    expect(service.values('litellm/alias')).toEqual([won])
    expect(service.values(companion)).toHaveLength(1)
  })

  it('do not win by what is no longer kept: the first alone is told so, and its value is what is read', async () => {
    const { service, open, call } = setting()
    const [all, first] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    let reached = 0
    const together: Hook = async (step, apply) => {
      if (step.call === 'set' && step.name === companion) {
        reached += 1
        if (reached === many) all.resolve()
        await (reached === 1 ? all : first).promise
      }
      return calmHook(step, apply)
    }
    const racers = await Promise.all(numbers.map((index) => open(`${index}`, together)))
    const racing = racers.map((provider, index) => writeAbsent(provider, index, call))

    const won = await Promise.race(racing)
    first.resolve()

    expect((await Promise.all(racing)).filter((outcome) => outcome !== 'conflict')).toEqual([won])
    expect(service.values(companion)).toHaveLength(20)
    expect(service.values('litellm/alias')).toEqual([won])
  })
})

describe('the chain', () => {
  const link = (number: number, before: number): { readonly number: number; readonly link: Link } => ({ number, link: { before, nonce: `${number}`, book: { entries: [], labels: {} } satisfies Book } })

  it.each([
    ['nothing', [], undefined],
    ['one', [[1, 0]], 1],
    ['each on the one before', [[1, 0], [2, 1], [3, 2]], 3],
    ['the first of two on one', [[1, 0], [2, 1], [3, 1]], 2],
    ['what builds on the loser', [[1, 0], [2, 1], [3, 1], [4, 3]], 2],
    ['what builds on the winner after a loser', [[1, 0], [2, 1], [3, 1], [4, 2]], 4],
    ['a late one of long ago', [[1, 0], [2, 1], [3, 2], [4, 0]], 3],
    ['a chain whose beginning is gone', [[7, 6], [8, 7]], 8],
    ['a late one at the beginning of what is kept', [[7, 2], [8, 6], [9, 8]], 9],
    ['a late one of a chain that was deleted', [[1, 7], [2, 0]], 2],
  ] as const)('takes %s', (_title, links, valid) => {
    expect(foldLinks(links.map(([number, before]) => link(number, before)))?.number).toBe(valid)
  })

  it('is read past texts that somebody else put into the companion variable', async () => {
    const { fake, provider, call } = await openedConjur()
    await provider.write(writeOf(name, 'one'), call)
    fake.service.seed('litellm/__latchkey/chain/alias', 'not a record')

    const value = (await provider.read(name, {}, call)).value.reveal()
    await provider.write(writeOf(name, 'two'), call)

    expect(value).toBe('one')
    expect((await provider.describe(name, call)).versions).toHaveLength(2)
    expect((await provider.read(name, {}, call)).value.reveal()).toBe('two')
  })

  it('is read past an old link of ours that the network delivered once more, long after', async () => {
    const { fake, provider, call } = await openedConjur()
    const companion = 'litellm/__latchkey/chain/alias'
    for (const value of ['one', 'two', 'three']) await provider.write(writeOf(name, value), call)
    fake.service.seed(companion, fake.service.values(companion)[1] ?? '')

    const facts = await provider.describe(name, call)
    await provider.annotate(name, { labels: { team: 'a' } }, call)

    expect(facts.versions).toHaveLength(3)
    expect(await provider.describe(name, call)).toMatchObject({ current: { id: facts.current?.id }, labels: { team: 'a' } })
    expect((await provider.read(name, {}, call)).value.reveal()).toBe('three')
  })
})
