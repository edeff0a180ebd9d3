// POST /events/rotation: for schedulers that only speak HTTP. The grant proves the sender; what it names is judged like any event, in one line.
import { describe, expect, it } from 'vitest'
import { readRotation } from '../../shared/core/rotation/settings.ts'
import { open, type OpenOptions } from '../http/harness.ts'

const day = 86_400_000
const path = 'POST /events/rotation'
const callers = {
  scheduler: [{ action: 'events:rotate' }],
  payments: [{ action: 'events:rotate', team: 'payments' }],
  databases: [{ action: 'events:rotate', names: ['DB_*'] }],
  reader: [{ action: 'secrets:read' }],
} as const

const house = async (options: OpenOptions = {}) => {
  const opened = await open({ callers, ...options })
  const old = async (body: object): Promise<string> => {
    const { json } = await opened.send('POST /key/generate', { body })
    opened.clock.advance(day)
    return String(json['key_id'])
  }
  const epoch = async (key: string): Promise<unknown> => (await opened.send(`GET /key/info?key=${key}`)).json['info']?.['epoch'] ?? (await opened.send(`GET /key/info?key=${key}`)).json['epoch']
  const lines = () => opened.runtime.audited.filter(({ action }) => action === 'events:rotate')
  return { ...opened, old, epoch, lines }
}

describe('POST /events/rotation', () => {
  it('rotates a key by its id, once, and answers what was decided', async () => {
    const { send, old, epoch, lines } = await house()
    const key = await old({ key_alias: 'a' })

    const first = await send(path, { as: 'scheduler', body: { kind: 'rotate', key_id: key, event_id: 'nightly-1' } })
    const again = await send(path, { as: 'scheduler', body: { kind: 'rotate', key_id: key, event_id: 'nightly-1' } })

    expect(first).toMatchObject({ status: 200, json: { decision: 'done', reason: 'rotated', key_id: key, name: 'litellm/a', store: 'default', operation_id: expect.stringMatching(/^[0-9a-f]{32}$/), next_cursor: null } })
    expect(again).toMatchObject({ status: 200, json: { decision: 'ignored', reason: 'already_done' } })
    expect(await epoch(key)).toBe(2)
    expect(lines()).toMatchObject([{ decision: 'allowed', code: 'rotated', caller: 'scheduler', keyId: key }, { decision: 'allowed', code: 'already_done', caller: 'scheduler' }])
    expect(first.body).not.toContain('sk-')
  })

  it('rotates what a name means, invalidates, and sweeps', async () => {
    const { send, old, epoch, seed } = await house()
    const key = await old({ key_alias: 'a', auto_rotate: true, rotation_interval: '1d' })
    await seed('HOSTED', 'value')

    const answers = []
    for (const body of [{ kind: 'due' }, { kind: 'rotate', name: 'litellm/a' }, { kind: 'invalidate', name: 'HOSTED' }]) answers.push((await send(path, { as: 'scheduler', body })).json)

    expect(answers).toMatchObject([{ reason: 'swept', swept: { checked: 1, repaired: 1, failed: 0 } }, { reason: 'already_done' }, { reason: 'invalidated', name: 'HOSTED' }])
    expect(await epoch(key)).toBe(2)
  })

  it('rotates an ordinary secret that a generator is configured for', async () => {
    const { send, seed, clock, stores } = await house({ rotated: readRotation({ secrets: [{ names: ['DB_*'] }] }) })
    await seed('DB_PASSWORD', 'first')
    clock.advance(day)

    const answered = await send(path, { as: 'databases', body: { kind: 'rotate', name: 'DB_PASSWORD' } })

    expect(answered).toMatchObject({ status: 200, json: { reason: 'rotated', name: 'DB_PASSWORD' } })
    const call = { signal: new AbortController().signal, deadline: clock.now() + 1_000 }
    expect((await stores.get('default')?.read({ name: 'DB_PASSWORD' }, call))?.value.reveal()).toMatch(/^\w{40}$/)
  })

  it.each<[string, string, object, number, string]>([
    ['without the grant', 'reader', { kind: 'due' }, 403, 'forbidden'],
    ['for another team’s key', 'payments', { kind: 'rotate', key_id: 'KEY' }, 404, 'not_found'],
    ['for every key, with a grant for one team', 'payments', { kind: 'due' }, 403, 'forbidden'],
    ['for a name, with a grant for one team', 'payments', { kind: 'rotate', name: 'litellm/a' }, 403, 'forbidden'],
    ['for a name that the grant does not cover', 'databases', { kind: 'rotate', name: 'litellm/a' }, 403, 'forbidden'],
    ['for a secret that is not there', 'scheduler', { kind: 'rotate', name: 'ABSENT' }, 404, 'not_found'],
    ['for a store that there is not', 'scheduler', { kind: 'rotate', name: 'A', store: 'other' }, 404, 'not_found'],
    ['with an unknown kind', 'scheduler', { kind: 'explode' }, 400, 'invalid_request'],
    ['with an unknown field', 'scheduler', { kind: 'due', native: 'arn:aws:x' }, 400, 'invalid_request'],
    ['with both a key and a name', 'scheduler', { kind: 'rotate', key_id: 'abcdefghijklmnop', name: 'A' }, 400, 'invalid_request'],
    ['with neither', 'scheduler', { kind: 'rotate' }, 400, 'invalid_request'],
    ['with a name for the sweep', 'scheduler', { kind: 'due', name: 'A' }, 400, 'invalid_request'],
    ['with an ARN for a name', 'scheduler', { kind: 'rotate', name: 'arn:aws:secretsmanager:us-east-1:1:secret:x' }, 400, 'invalid_request'],
    ['with a name of ours', 'scheduler', { kind: 'rotate', name: 'litellm/__latchkey/teams/a' }, 400, 'invalid_request'],
    ['with a time that is none', 'scheduler', { kind: 'due', scheduled_time: 'yesterday' }, 400, 'invalid_request'],
    ['with a cursor for one key', 'scheduler', { kind: 'rotate', name: 'A', cursor: 'x' }, 400, 'invalid_request'],
    ['from the future', 'scheduler', { kind: 'due', scheduled_time: '2036-11-22T09:00:00Z' }, 400, 'invalid_request'],
  ])('is refused %s, with one line and no write', async (_title, as, body, status, code) => {
    const { send, old, held, lines } = await house()
    const key = await old({ key_alias: 'a' })
    const before = await held()

    const answered = await send(path, { as, body: 'key_id' in body && body.key_id === 'KEY' ? { ...body, key_id: key } : body })

    expect([answered.status, answered.json['code']]).toEqual([status, code])
    expect([await held() === before, lines().length]).toEqual([true, 1])
  })

  it('takes one team’s key with a grant for that team', async () => {
    const { send, old } = await house()
    const key = await old({ key_alias: 'a', team_id: 'payments' })

    expect((await send(path, { as: 'payments', body: { kind: 'rotate', key_id: key } })).json).toMatchObject({ reason: 'rotated' })
  })

  it('acknowledges what is too old, and a key that has ended', async () => {
    const { send, old, clock } = await house()
    const key = await old({ key_alias: 'a' })
    const late = await send(path, { as: 'scheduler', body: { kind: 'rotate', key_id: key, scheduled_time: new Date(clock.now() - 2 * 3_600_000).toISOString() } })
    await send('POST /key/block', { body: { key } })

    const blocked = await send(path, { as: 'scheduler', body: { kind: 'rotate', key_id: key } })

    expect([late.json['reason'], blocked.json['reason'], late.status, blocked.status]).toEqual(['too_old', 'key_ended', 200, 200])
  })

  it('is 503 and changes nothing while no audit line can be written', async () => {
    const { send, old, runtime, epoch } = await house()
    const key = await old({ key_alias: 'a' })
    runtime.auditDown = true

    const lost = await send(path, { as: 'scheduler', body: { kind: 'rotate', key_id: key } })
    const next = await send(path, { as: 'scheduler', body: { kind: 'rotate', key_id: key } })
    runtime.auditDown = false

    expect([lost.status, next.status]).toEqual([503, 503])
    expect((await send(path, { as: 'scheduler', body: { kind: 'rotate', key_id: key } })).status).toBe(200)
    expect(await epoch(key)).toBe(2)
  })
})
