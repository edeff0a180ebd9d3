import { describe, expect, it } from 'vitest'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { open } from './harness.ts'

describe('health and readiness', () => {
  it('says that it is alive without asking anybody', async () => {
    const silent = (provider: SecretProvider): SecretProvider => ({ ...provider, check: () => Promise.reject(new Error('asked')), read: () => Promise.reject(new Error('asked')) })
    const { send, runtime } = await open({ wrap: silent, masterKey: () => Promise.reject(new Error('asked')) })

    const got = await send('GET /health', { as: '' })

    expect([got.status, got.body, runtime.audited.length]).toEqual([200, '{"status":"ok","version":"0.0.0-test"}\n', 0])
  })

  it('asks each store at most every ten seconds, whoever asks', async () => {
    let asked = 0
    const counting = (provider: SecretProvider): SecretProvider => ({ ...provider, check: async (depth) => [{ ok: (asked += depth === 'reach' ? 1 : 0) > 0, subject: 'reach', message: 'reached' }] })
    const { send, clock } = await open({ wrap: counting })

    await Promise.all([send('GET /ready'), send('GET /ready', { as: '' })])
    clock.advance(9_999)
    await send('GET /ready')
    const before = asked
    clock.advance(1)
    await send('GET /ready')

    expect([before, asked]).toEqual([1, 2])
  })

  it('tells details only to callers with ops:read', async () => {
    const down = (provider: SecretProvider): SecretProvider => ({ ...provider, check: async () => [{ ok: false, subject: 'reach', message: 'no route', setting: 'aws_region_name' }] })
    const { send, runtime } = await open({ wrap: down, callers: { ops: [{ action: 'ops:read' }], app: [{ action: 'secrets:read' }] } })

    const [anybody, app, ops] = [await send('GET /ready', { as: '' }), await send('GET /ready', { as: 'app' }), await send('GET /ready', { as: 'ops' })]

    expect([anybody.status, anybody.body, anybody.headers['retry-after'], app.body]).toEqual([503, '{"status":"not_ready"}\n', '10', '{"status":"not_ready"}\n'])
    expect(ops.json['stores']).toMatchObject([{ name: 'default', ready: false, findings: [{ message: 'no route', setting: 'aws_region_name' }] }])
    expect(runtime.audited.map((event) => [event.action, event.caller])).toEqual([['ops:read', 'ops']])
  })

  it('tells which permission is missing, and is ready all the same: an identity may be allowed certain names only', async () => {
    const depths: string[] = []
    const refused = (provider: SecretProvider): SecretProvider => ({
      ...provider,
      check: async (depth) => {
        depths.push(depth)
        return [{ ok: depth === 'reach', subject: 'put', message: 'put is refused', setting: 'role' }]
      },
    })
    const { send } = await open({ wrap: refused })

    const got = await send('GET /ready')

    expect([got.status, depths]).toEqual([200, ['reach', 'write']])
    expect(got.json['stores']).toMatchObject([{ ready: true, findings: [{ ok: true }], permissions: [{ ok: false, message: 'put is refused', setting: 'role' }] }])
  })

  it('lets a caller leave while a check hangs, and asks again ten seconds later', async () => {
    let asked = 0
    const hanging = (provider: SecretProvider): SecretProvider => ({ ...provider, check: () => ((asked += 1) === 1 ? new Promise(() => undefined) : provider.check('reach', { signal: new AbortController().signal, deadline: Number.MAX_SAFE_INTEGER })) })
    const { send, clock } = await open({ wrap: hanging })
    const leaving = new AbortController()

    const first = send('GET /ready', { as: '', signal: leaving.signal })
    await Promise.resolve()
    leaving.abort()
    const left = await first
    clock.advance(10_000)
    const later = await send('GET /ready', { as: '' })

    expect([left.status, later.status]).toEqual([504, 200])
  })

  it('is not ready when a check fails altogether', async () => {
    const broken = (provider: SecretProvider): SecretProvider => ({ ...provider, check: () => Promise.reject(new Error('vendor words')) })
    const { send } = await open({ wrap: broken })

    const got = await send('GET /ready')

    expect([got.status, got.body.includes('vendor words')]).toEqual([503, false])
  })

  it('tells a caller its name and grants', async () => {
    const grants = [{ action: 'secrets:read', names: ['OPENAI_*'] }]
    const { send } = await open({ callers: { app: grants } })

    const [app, master] = [await send('GET /whoami', { as: 'app' }), await send('GET /whoami')]

    expect(app.json).toEqual({ name: 'app', master: false, grants })
    expect(master.json).toMatchObject({ name: 'master-key', master: true })
  })

  it('tells what each store can', async () => {
    const { send } = await open()

    const got = await send('GET /capabilities')

    expect(got.json['stores']).toMatchObject([{ name: 'default', system: 'memory', guarantee: 'atomic', access_mode: 'read_and_write', can: { read: true, write: true, rotate: true, delete: true, recover: true } }])
  })
})
