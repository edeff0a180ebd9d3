// Every system's example, started as a stranger would, against the fake that `npm run fake` starts: the printed commands, a secret that was there before, and /ready.
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { join } from 'node:path'
import { fakeSystems } from '../fakes/run.ts'
import { ServerFolder } from './server-process.ts'

const root = join(import.meta.dirname, '../..')
const masterKey = 'sk-0123456789abcdef0123456789abcdef-of-this-test'
const folder = new ServerFolder()
afterAll(() => folder.close())

const started = async (system: string) => {
  const fake = await (fakeSystems[system] as NonNullable<(typeof fakeSystems)[string]>)(masterKey)
  onTestFinished(() => fake.close())
  const server = await folder.start({ LITELLM_MASTER_KEY: masterKey, ...fake.env }, ['--config', join(root, fake.example)])
  const send = async (line: string, body?: object): Promise<{ status: number; json: Record<string, unknown> }> => {
    const [method = 'GET', path = '/'] = line.split(' ')
    const answer = await fetch(`${server.url}${path}`, { method, headers: { authorization: `Bearer ${masterKey}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
    return { status: answer.status, json: (await answer.json()) as Record<string, unknown> }
  }
  return { server, send }
}

const systems = Object.keys(fakeSystems)
const keepsKeys = systems.filter((system) => !system.endsWith('_kms'))

describe('the example of', () => {
  it.each(systems)('%s starts as it is, reads what was there, and says that it is ready', { timeout: 30_000 }, async (system) => {
    const { server, send } = await started(system)

    const [read, ready] = [await send('GET /secrets/OPENAI_API_KEY'), await send('GET /ready')]

    expect(read).toMatchObject({ status: 200, json: { value: 'sk-from-the-fake', store: 'default' } })
    expect(ready).toMatchObject({ status: 200, json: { status: 'ready', stores: [{ system, ready: true }] } })
    expect(server.output()).toMatch(/os\.environ\/OPENAI_API_KEY +manager/)
    expect(server.output()).not.toContain(masterKey)
  })

  it.each(keepsKeys)('%s keeps a key through its life', { timeout: 30_000 }, async (system) => {
    const { send } = await started(system)

    const made = await send('POST /key/generate', { key_alias: 'Team.one/ci', metadata: { purpose: 'a test' }, duration: '30d' })
    const rotated = await send('POST /key/regenerate', { key_alias: 'Team.one/ci', grace_period: '1h' })
    const verified = [await send('POST /key/verify', { key: made.json['key'] }), await send('POST /key/verify', { key: rotated.json['key'] })]
    const deleted = await send('POST /key/delete', { key_aliases: ['Team.one/ci'] })
    const gone = await send('POST /key/verify', { key: rotated.json['key'] })

    expect([made.status, rotated.status, deleted.status]).toEqual([200, 200, 200])
    expect(rotated.json).toMatchObject({ key_id: made.json['key_id'], stored: { store: 'default', name: 'litellm/Team.one/ci' } })
    expect(verified.map(({ json }) => json['valid'])).toEqual([true, true])
    expect(gone.json).toMatchObject({ valid: false })
  })
})
