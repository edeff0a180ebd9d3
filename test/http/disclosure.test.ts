import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { createAudit } from '../../shared/telemetry/audit.ts'
import { createLog } from '../../shared/telemetry/log.ts'
import { canariesIn, canary, canaryToken, watch } from '../support/canary.ts'
import { testRuntime } from '../support/runtime.ts'
import { open, type Sent } from './harness.ts'

/** The application with the real log and the real trail, whose lines are kept. */
const printing = async () => {
  const given = testRuntime()
  const lines: string[] = []
  const write = (line: string): void => void lines.push(line)
  const runtime = { ...given, log: createLog({ clock: given.clock, write }), audit: createAudit({ clock: given.clock, random: given.random, write }) }
  const opened = await open({ runtime, callers: { owner: [{ action: 'keys:reveal' }], app: [{ action: 'secrets:read' }] } })
  return { ...opened, lines }
}

describe('what is told', () => {
  it('shows a value only in the answer that was asked for it, and in no line of log or trail', async () => {
    const { send, seed, lines } = await printing()
    const [value, tagged, written] = [canary('held'), canary('foreign'), canary('written')]
    await seed('A', value)
    await seed('B', tagged, {})

    const permitted = [await send('GET /secrets/A'), await send('GET /secrets/A', { headers: { accept: 'text/plain' } })]
    const others = [
      await send('GET /secrets'), await send('GET /secrets/A?property=x'), await send('GET /secrets/A?version=9'), await send('HEAD /secrets/A'), await send('DELETE /secrets/B'),
      await send('PUT /secrets/B', { body: { value: written } }), await send('PUT /secrets/A', { body: { value: written, ttl: 1 } }), await send('PUT /secrets/A', { body: { value: written, encoding: 'base64' } }),
      await send('PUT /secrets/A', { body: `{"value":"${written}"` }), await send('PUT /secrets/A', { body: { value: written, [written]: written, description: [written] } }), await send('PUT /secrets/A', { body: { value: written } }),
      await send('GET /secrets/A', { as: '', headers: { authorization: `Bearer ${written}` } }), await send('GET /secrets/A', { as: '', headers: { 'x-litellm-api-key': written } }), await send('DELETE /secrets/A'),
    ]

    expect(permitted.map((got) => got.body.includes(value))).toEqual([true, true])
    for (const got of others) expect(canariesIn(`${got.body}${JSON.stringify(got.headers)}`)).toEqual([])
    expect(lines.length).toBeGreaterThan(others.length)
    expect(canariesIn(lines.join('\n'))).toEqual([])
  })

  it('shows a token only where it is made, rotated, replayed or revealed, and never in log or trail', async () => {
    const { send, lines } = await printing()
    const supplied = canaryToken('supplied')
    const keyed = { 'idempotency-key': 'one-intent-of-this-test' }
    const made = await send('POST /key/generate', { body: { key_alias: 'a' }, headers: keyed })
    const token = watch('minted', String(made.json['key']))
    const own = await send('POST /key/generate', { body: { key_alias: 'own', key: supplied } })
    const replayed = await send('POST /key/generate', { body: { key_alias: 'a' }, headers: keyed })
    const revealed = await send('GET /secrets/litellm/a', { as: 'owner' })

    const others: readonly [string, Sent?][] = [
      [`GET /key/info?key=${token}`], [`GET /key/info?key=${supplied}`], ['GET /key/list'], ['POST /key/verify', { body: { key: token } }], ['POST /key/verify', { body: { key: `${supplied}x` } }], ['GET /secrets/litellm/a'],
      ['GET /secrets/litellm/a', { as: 'app' }], ['POST /key/generate', { body: { key_alias: 'b', key: supplied } }], ['POST /key/generate', { body: { key: supplied, models: 'x', duration: '?' } }],
      ['POST /key/regenerate', { body: { key: supplied, new_master_key: supplied } }], [`POST /key/${token}/regenerate`, { body: { key: supplied } }], ['POST /key/regenerate', { body: { key: `${token}y`, grace_period: supplied } }],
      ['POST /key/update', { body: { key: token, tags: ['a'] } }], ['POST /key/update', { body: { key: supplied } }], ['POST /key/update', { body: { key: `${token}y`, key_alias: supplied } }], ['POST /key/block', { body: { key: token } }], ['POST /key/unblock', { body: { key: token } }],
      ['POST /key/health', { as: '', headers: { authorization: `Bearer ${token}` } }], ['POST /key/health', { as: '', headers: { authorization: `Bearer ${supplied}x` } }], ['POST /key/health', { body: { key: supplied } }], ['POST /key/regenerate', { body: { key: token, new_key: `p${supplied}` } }],
      ['POST /keys:adopt', { body: { key: supplied, [supplied]: 1 } }], ['POST /keys:adopt', { body: { all: true, cursor: supplied } }], ['POST /keys:adopt', { body: { all: true, dry_run: false } }], ['POST /keys:reconcile', { body: { repair: true } }], ['POST /keys:reconcile', { body: { cursor: supplied } }],
      ['POST /key/delete', { body: { keys: [`${supplied}z`, `${token}z`] } }], ['POST /key/delete', { body: { keys: [supplied, token] } }], [`GET /key/info?key=${token}`], [`GET /secrets/x?store=${supplied}`],
    ]
    const answers: string[] = []
    for (const [line, sent] of others) {
      const got = await send(line, sent)
      answers.push(`${got.body}${JSON.stringify(got.headers)}`)
    }

    expect([made, own, replayed].map((got) => got.json['key'])).toEqual([token, supplied, token])
    expect(revealed.json['value']).toBe(token)
    expect(answers.flatMap((answer) => canariesIn(answer))).toEqual([])
    expect(canariesIn(lines.join('\n'))).toEqual([])
  })

  it('repeats nothing of a body that it refuses: no key, no text, no control character', async () => {
    const { send } = await printing()
    const text = canary('refused')

    for (const line of ['PUT /secrets/A', 'POST /secrets:read', 'POST /key/generate', 'POST /key/update', 'POST /key/block', 'POST /key/delete', 'POST /key/verify', 'POST /key/health', 'POST /key/regenerate', 'POST /keys:adopt', 'POST /keys:reconcile']) {
      for (const body of [`{"${text}":1}`, `{"names":["${text}`, `"${text}"`, `{"keys":"${text}","names":"${text}","key":["${text}"]}`, `{"metadata":{"${text}":{"${text}":{"constructor":1}}}}`]) {
        const got = await send(line, { body })

        expect(got.body.includes(text), `${line} ${body.length} ${got.body}`).toBe(false)
      }
    }
  })
})

describe('native names and principals', () => {
  it('are told to callers with ops:read or secrets:list, in single answers and in batches, and to nobody else', async () => {
    const denied = (provider: SecretProvider): SecretProvider => ({ ...provider, read: () => Promise.reject(new LatchkeyError('provider_denied', 'The service refused.', { detail: 'role/latchkey-test' })), readMany: async (names) => names.map(() => new LatchkeyError('provider_denied', 'The service refused.', { detail: 'role/latchkey-test' })) })
    const callers = { reader: [{ action: 'secrets:read' }], ops: [{ action: 'secrets:read' }, { action: 'ops:read' }], lister: [{ action: 'secrets:read' }, { action: 'secrets:list' }] }
    const { send } = await open({ wrap: denied, callers })

    const told = await Promise.all(Object.keys(callers).map(async (as) => [await send('GET /secrets/A', { as }), await send('POST /secrets:read', { as, body: { names: ['A'] } })].map((got) => got.body.includes('role/latchkey-test'))))

    expect(told).toEqual([[false, false], [true, true], [true, true]])
  })
})

describe('the audit gate', () => {
  it('answers nothing while no line can be written: every route that decides is 503', async () => {
    const { send, seed, runtime } = await open({ callers: { app: [] } })
    const value = canary('gated')
    await seed('A', value)
    await send('GET /secrets/A')
    runtime.auditDown = true

    const lines = ['GET /secrets/A', 'GET /secrets', 'GET /whoami', 'GET /capabilities', 'GET /ready', 'GET /key/list', 'DELETE /secrets/absent', 'GET /secrets/absent']
    const answers = [...(await Promise.all(lines.map((line) => send(line)))), await send('POST /secrets:read', { body: { names: ['A'] } }), await send('GET /whoami', { as: '' }), await send('GET /secrets/A', { as: 'app' })]

    expect(answers.map((got) => [got.status, got.body.includes('audit_unavailable'), got.headers['retry-after']])).toEqual(answers.map(() => [503, true, '5']))
    expect(answers.flatMap((got) => canariesIn(got.body))).toEqual([])
  })

  it('says that a change was made whose line was lost, and makes no further one until a line can be written', async () => {
    const { send, held, runtime } = await open()
    runtime.auditDown = true

    const lost = await send('POST /key/generate', { body: { key_alias: 'a' } })
    const before = await held()
    const refused = [await send('POST /key/generate', { body: { key_alias: 'b' } }), await send('PUT /secrets/A', { body: { value: 'v' } }), await send('POST /key/delete', { body: { key_aliases: ['a'] } })]
    const after = await held()
    runtime.auditDown = false
    const again = await send('POST /key/generate', { body: { key_alias: 'b' } })

    expect(lost.json.error).toMatchObject({ type: 'audit_unavailable', applied: 'yes', operation_id: expect.stringMatching(/^[0-9a-f]{32}$/) as string })
    expect(lost.body).not.toContain('sk-')
    expect(refused.map((got) => [got.status, got.body.includes('"applied":"no"')])).toEqual(refused.map(() => [503, true]))
    expect([after === before, again.status]).toEqual([true, 200])
    expect(runtime.audited.map((event) => event.action)).toEqual(['audit:resume', 'keys:create'])
  })

  it('writes exactly one line for each decision, whatever came of it', async () => {
    const { send, seed, runtime } = await open({ callers: { app: [{ action: 'secrets:read', names: ['A'] }] } })
    await seed('A', 'v')
    const lines: readonly [string, Sent?][] = [
      ['GET /secrets/A', { as: 'app' }], ['GET /secrets/B', { as: 'app' }], ['GET /secrets/A', { as: '' }], ['GET /secrets/absent'], ['PUT /secrets/C', { body: { value: 'v' } }], ['PUT /secrets/C', { body: '{' }], ['GET /secrets/A?x=1'],
      ['POST /key/generate', { body: {} }], ['POST /key/delete', { body: {} }], ['GET /whoami'], ['HEAD /secrets/A'],
    ]

    for (const [line, sent] of lines) await send(line, sent)

    expect(runtime.audited.map(({ action, decision, caller, name, code }) => [action, decision, caller, name, code])).toEqual([
      ['secrets:read', 'allowed', 'app', 'A', undefined],
      ['secrets:read', 'denied', 'app', 'B', 'forbidden'],
      ['secrets:read', 'denied', 'anonymous', undefined, 'unauthenticated'],
      ['secrets:read', 'failed', 'master-key', 'absent', 'not_found'],
      ['secrets:write', 'allowed', 'master-key', 'C', undefined],
      ['secrets:write', 'failed', 'master-key', 'C', 'invalid_request'],
      ['secrets:read', 'failed', 'master-key', 'A', 'invalid_request'],
      ['keys:create', 'allowed', 'master-key', expect.stringMatching(/^litellm\/virtual-key-/), undefined],
      ['keys:delete', 'failed', 'master-key', undefined, 'invalid_request'],
      ['GET /whoami', 'allowed', 'master-key', undefined, undefined],
      ['secrets:read', 'allowed', 'master-key', 'A', undefined],
    ])
  })

  it('writes no line for what decides nothing: health, a wrong path, a wrong method, a URL too long', async () => {
    const { send, runtime } = await open()

    for (const line of ['GET /health', 'GET /ready?x=1', 'GET /nowhere', 'PATCH /secrets/x', 'OPTIONS /secrets/x', `GET /secrets/${'a'.repeat(3000)}`]) await send(line)

    expect(runtime.audited).toEqual([])
  })

  it('keeps the token that names a key, in path, query or body, out of the trail', async () => {
    const { send, runtime } = await open()
    const token = canaryToken('pasted')

    await send(`GET /key/info?key=${token}`)
    await send(`POST /key/${token}/regenerate`)
    await send('POST /key/delete', { body: { keys: [token] } })

    expect(runtime.audited.length).toBe(3)
    expect(canariesIn(JSON.stringify(runtime.audited))).toEqual([])
  })
})

describe('values on their way', () => {
  it('compares the master key without telling where it differs', () => {
    const key = SecretValue.of('sk-0123456789')

    const answers = ['sk-0123456789', 'sk-0123456780', 'xk-0123456789', 'sk-', ''].map((text) => key.equals(SecretValue.of(text)))

    expect(answers).toEqual([true, false, false, false, false])
  })
})
