// The fake LiteLLM is held against the table of facts; and its own account of who is let in against what it answers.
import { describe, expect, it, onTestFinished } from 'vitest'
import { fakeMasterKey, litellmService, sha256, startLitellmFake, type LitellmService } from '../fakes/litellm-gateway.ts'
import { wireless } from '../fakes/wire.ts'
import type { WireStep } from '../shapes/service.ts'
import { callOf, ManualClock } from '../support/runtime.ts'
import { blocked, expired, facts, held, heldRow, models, other, unknown, type Fact } from './litellm-facts.ts'

const fill = (service: LitellmService, now: number): void => {
  service.seed(held, { ...heldRow, expires: new Date(now + 3_600_000).toISOString() })
  service.seed(other, { key_alias: 'other' })
  service.seed(blocked, { blocked: true })
  service.seed(expired, { expires: new Date(now - 1).toISOString() })
  service.seed(models, { allowed_routes: ['llm_api_routes'] })
}

/** The token that a fact is about: the new one where there is one. */
const subject = ({ body, line }: Fact): string => {
  const { new_key: token, key = '' } = (body ?? {}) as { new_key?: string; key?: string }
  const named = token ?? key
  return named.startsWith('sk-') ? sha256(named) : named !== '' ? named : (/[0-9a-f]{64}/.exec(line)?.[0] ?? '')
}

describe('the fake LiteLLM', () => {
  it.each(facts.map((fact) => [fact.line.split('?')[0], fact.fact, fact] as const))('%s: %s', async (_line, _title, fact) => {
    const clock = new ManualClock()
    const fake = await startLitellmFake({ now: () => clock.now(), ...(fact.knobs !== undefined && { knobs: fact.knobs }) })
    onTestFinished(() => fake.close())
    fill(fake.service, clock.now())
    const [method = '', path = ''] = fact.line.split(' ')
    const bearer = fact.bearer ?? fakeMasterKey

    const response = await fetch(fake.url + path, { method, headers: { ...(bearer !== '' && { authorization: `Bearer ${bearer}` }), 'content-type': 'application/json' }, ...(fact.body !== undefined && { body: JSON.stringify(fact.body) }) })
    const answer = (await response.json()) as unknown

    expect({ status: response.status, answer }).toMatchObject({ status: fact.status, answer: fact.answer })
    const row = fake.service.rows.get(subject(fact)) ?? null
    expect({ row }).toMatchObject(fact.row === undefined ? {} : { row: fact.row })
  })

  it('lists full rows with their hashes, and without them hashes alone', async () => {
    const fake = await startLitellmFake({ now: () => 0 })
    onTestFinished(() => fake.close())
    fill(fake.service, 0)
    const list = async (query: string): Promise<{ keys: readonly unknown[] }> => (await fetch(`${fake.url}/key/list?${query}`, { headers: { authorization: `Bearer ${fakeMasterKey}` } })).json() as Promise<{ keys: readonly unknown[] }>

    const [bare, full] = [await list('key_alias=held'), await list('key_alias=held&return_full_object=true')]

    expect(bare.keys).toEqual([sha256(held)])
    expect(full.keys).toMatchObject([{ token: sha256(held), key_alias: 'held', api_key: null }])
  })

  it('says of every token what its routes say', async () => {
    const clock = new ManualClock()
    const fake = await startLitellmFake({ now: () => clock.now() })
    onTestFinished(() => fake.close())
    fill(fake.service, clock.now())
    const tokens = [held, other, unknown, blocked, expired, models]

    const statuses = await Promise.all(tokens.map(async (token) => (await fetch(`${fake.url}/key/info`, { headers: { authorization: `Bearer ${token}` } })).status))

    expect(tokens.map((token) => fake.service.accepts(token))).toEqual(statuses.map((status) => status !== 401))
  })

  it('lets a replaced token in while its grace lasts, and archives what it had; an older one has no archive', async () => {
    let now = 0
    const answers: unknown[] = []
    for (const older of [false, true]) {
      now = 0
      const fake = await startLitellmFake({ now: () => now, knobs: { licensed: true, older } })
      onTestFinished(() => fake.close())
      fill(fake.service, now)
      const send = async (path: string, bearer: string, body?: object): Promise<number> => (await fetch(fake.url + path, { method: body === undefined ? 'GET' : 'POST', headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }, ...(body !== undefined && { body: JSON.stringify(body) }) })).status
      const made = await send(`/key/${sha256(other)}/regenerate`, fakeMasterKey, { new_key: unknown, grace_period: '60s' })
      const within = await send('/key/info', other)
      now = 60_001
      answers.push([made, within, await send('/key/info', other), await send('/key/info', unknown)])
    }

    expect(answers).toEqual([[200, 200, 401, 200], [200, 404, 401, 200]])
  })

  it('runs without a socket, and calls every step of the simulator by its name', async () => {
    const steps: WireStep[] = []
    const clock = new ManualClock()
    const service = litellmService({ now: () => clock.now(), knobs: { licensed: true } })
    const client = await wireless(service, async (step, apply) => {
      steps.push(step)
      return apply()
    }).connect({ url: 'http://gateway.invalid', title: 'The gateway', setting: 'url' })
    const send = (method: string, path: string, body: object | undefined, bearer = fakeMasterKey) => client.send({ method, path, headers: { authorization: `Bearer ${bearer}` }, ...(body !== undefined && { body: JSON.stringify(body) }) }, callOf(clock))

    await send('POST', '/key/generate', { key: held })
    await send('GET', '/key/info', undefined, held)
    await send('GET', `/key/info?key=${sha256(held)}`, undefined)
    await send('POST', '/key/update', { key: sha256(held) })
    await send('POST', '/key/block', { key: sha256(held) })
    await send('POST', '/key/unblock', { key: sha256(held) })
    await send('POST', `/key/${sha256(held)}/regenerate`, { new_key: other })
    await send('POST', '/key/delete', { keys: [sha256(other)] })
    await send('GET', '/key/list?page=2', undefined)

    const [first, second] = [sha256(held).slice(0, 12), sha256(other).slice(0, 12)]
    expect(steps.map(({ call, name, changes }) => [call, name, changes])).toEqual([
      ['gateway.add', first, true], ['gateway.accepts', first, false], ['gateway.find', first, false], ['gateway.change', first, true], ['gateway.block', first, true], ['gateway.unblock', first, true],
      ['gateway.replace', first, true], ['gateway.remove', second, true], ['gateway.list', 'page 2', false],
    ])
    expect(service.rows.size).toBe(0)
  })
})
