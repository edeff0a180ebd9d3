// What `npm start` prints follows the configuration: no line is offered that its policy would refuse.
import { afterEach, describe, expect, it } from 'vitest'
import { isLoopback, pasteLines } from '../../functions/local/report.ts'
import { parseConfiguration } from '../../shared/core/configuration.ts'
import { keyRoutes } from '../../shared/http/keys.ts'
import { commonRoutes } from '../../shared/http/health.ts'
import { readRoutes } from '../../shared/http/secrets.ts'
import { openLatchkey, type Latchkey } from '../../shared/latchkey.ts'
import { callOf, testRuntime } from '../support/runtime.ts'

const masterKey = 'sk-report-0123456789-0123456789-0123456789'
const opened: Latchkey[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((latchkey) => latchkey.close()))
})

/** The printed lines of a configuration, and the status of each when it is sent as it stands. */
const printed = async (store: object): Promise<readonly (readonly [line: string, status: number])[]> => {
  const runtime = testRuntime()
  const { configuration } = parseConfiguration({ general_settings: { master_key: masterKey }, latchkey: { default_store: { system: 'memory', ...store } } }, { env: runtime.env, loopback: true })
  const latchkey = await openLatchkey(configuration, runtime, { routes: [...readRoutes, ...keyRoutes, ...commonRoutes] })
  opened.push(latchkey)
  const answers: (readonly [string, number])[] = []
  for (const line of pasteLines({ url: 'http://h', stores: latchkey.stores, minted: masterKey, mark: 'abc' })) {
    const [, method = 'GET'] = /-X (\w+)/.exec(line) ?? []
    const [, path = ''] = /http:\/\/h(\S+)/.exec(line) ?? []
    const [, body = ''] = /-d '(.*)'/.exec(line) ?? []
    const headers = { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json' }
    const { status } = await latchkey.app({ method, path, query: '', headers, body: Buffer.from(body), ...callOf(runtime.clock) })
    answers.push([`${method} ${path}`, status])
  }
  return answers
}

describe('the lines to paste', () => {
  it.each([
    ['everything is allowed', { access_mode: 'read_and_write', store_virtual_keys: true }, ['PUT /secrets/your-test-key', 'GET /secrets/your-test-key', 'POST /key/generate']],
    ['nothing may be read', { access_mode: 'write_only', store_virtual_keys: true }, ['PUT /secrets/your-test-key', 'POST /key/generate', 'GET /whoami']],
    ['nothing may be written but keys', { access_mode: 'read_only', store_virtual_keys: true }, ['POST /key/generate', 'GET /whoami', 'GET /capabilities']],
    ['nothing may be written', { access_mode: 'read_only' }, ['GET /whoami', 'GET /capabilities', 'GET /health']],
    ['the names are the operator’s own', { access_mode: 'read_and_write', hosted_keys: ['OPENAI_API_KEY'] }, ['GET /whoami', 'GET /capabilities', 'GET /health']],
  ])('are three that succeed when %s', async (_title, store, lines) => {
    const answers = await printed(store)

    expect(answers.map(([line]) => line)).toEqual(lines)
    expect(answers.map(([, status]) => status).filter((status) => status >= 300)).toEqual([])
  })
})

describe('loopback', () => {
  it.each(['localhost', '127.0.0.1', '127.1.2.3', '::1'])('is %s', (host) => {
    expect(isLoopback(host)).toBe(true)
  })

  it.each(['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example.com', '1270.0.0.1', ''])('is not %s', (host) => {
    expect(isLoopback(host)).toBe(false)
  })
})
