// The one outgoing client: what it sends, what it refuses to send, and when it sends again.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { HttpPeer, HttpRequest } from '../../../shared/core/http-client.ts'
import { retryAfterOf } from '../../../shared/core/http/answers.ts'
import { refuseOpenHttp } from '../../../shared/credentials/plain-http.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { testRuntime } from '../../support/runtime.ts'
import { answer, startWild, wild } from './wild-server.ts'

const ok = answer('200 OK', '{}')
const get: HttpRequest = { method: 'GET', path: '/' }

describe('a request', () => {
  it('arrives as it was sent, parts of headers joined and secrets opened, and its answer comes back whole', async () => {
    const { client, call, server } = await wild((socket) => void socket.write(answer('200 OK', '{"a":1}', ['X-Twice: a', 'X-Twice: b', 'Set-Cookie: a=1', 'Set-Cookie: b=2'])))

    const { status, headers, body } = await client.send({ method: 'POST', path: '/v1/a%2Fb?x=1', headers: { 'X-Token': ['t-', SecretValue.of('open')] }, body: SecretValue.of('{"ü":1}') }, call())

    const [request] = server.requests
    expect(request?.head.split('\r\n')[0]).toBe('POST /v1/a%2Fb?x=1 HTTP/1.1')
    expect(request?.head).toMatch(/^x-token: t-open$/m)
    expect(request?.head).toMatch(/^content-length: 8$/m)
    expect(Buffer.from(request?.body ?? '', 'latin1').toString()).toBe('{"ü":1}')
    expect([status, headers['x-twice'], headers['set-cookie'], Buffer.from(body).toString()]).toEqual([200, 'a, b', 'a=1, b=2', '{"a":1}'])
  })

  it('sends bytes as they are', async () => {
    const { client, call, server } = await wild((socket) => void socket.write(ok))

    await client.send({ method: 'PUT', path: '/', body: Uint8Array.from([0, 255, 128]) }, call())

    expect(Buffer.from(server.requests[0]?.body ?? '', 'latin1')).toEqual(Buffer.from([0, 255, 128]))
  })

  it.each([['POST', /^content-length: 0$/m], ['PUT', /^content-length: 0$/m], ['GET', /^(?![\s\S]*content-length)/], ['DELETE', /^(?![\s\S]*content-length)/]])('%s without a body says so as that method does', async (method, expected) => {
    const { client, call, server } = await wild((socket) => void socket.write(ok))

    await client.send({ method, path: '/' }, call())

    expect(server.requests[0]?.head.toLowerCase()).toMatch(expected)
  })

  it('goes below the path of its address', async () => {
    const server = await startWild((socket) => void socket.write(ok))
    const runtime = testRuntime({ hurries: true })
    const client = await runtime.http.connect({ url: `http://127.0.0.1:${server.port}/base/of/it/`, title: 'The service', setting: 'service_url' })

    await client.send({ method: 'GET', path: '/v1/x' }, { signal: new AbortController().signal, deadline: Infinity })

    expect(server.requests[0]?.head).toMatch(/^GET \/base\/of\/it\/v1\/x HTTP/)
    await client.close()
  })

  it.each(['', 'v1', '/a/../b', '/a/./b', '/%2e%2e/x', '/.%2e/x', '/a\\b', '/a b', '/a\tb', '/a\r\nX: 1', '/ü', '/a#b', '/a?', '//elsewhere.example/x', 'http://elsewhere.example/', '/a?b=ü', "/a?b='"])('with the path %j is not sent, because it would be read otherwise', async (path) => {
    const { client, call, server } = await wild((socket) => void socket.write(ok))

    await expect(client.send({ method: 'GET', path }, call())).rejects.toMatchObject({ code: 'invalid_request' })
    expect(server.sockets).toHaveLength(0)
  })

  it.each([
    [{ 'x-a': 'b\r\nX-Evil: 1' }], [{ 'x-a': 'b\nc' }], [{ 'x-a': 'b\0' }], [{ 'x-a': 'ü' }], [{ 'x-a': ['a', SecretValue.of('\u0001')] }], [{ 'x-a': '\u007f' }], [{ 'x a': 'b' }], [{ 'x-a:': 'b' }], [{ 'x\r\n': 'b' }], [{ '': 'b' }],
  ])('with the headers %j is not sent', async (headers) => {
    const { client, call, server } = await wild((socket) => void socket.write(ok))

    await expect(client.send({ ...get, headers }, call())).rejects.toMatchObject({ code: 'invalid_request' })
    expect(server.sockets).toHaveLength(0)
  })

  it.each(['', 'get', 'GET /x HTTP/1.1\r\nX:', 'G T'])('with the method %j is not sent', async (method) => {
    const { client, call, server } = await wild((socket) => void socket.write(ok))

    await expect(client.send({ method, path: '/' }, call())).rejects.toMatchObject({ code: 'invalid_request' })
    expect(server.sockets).toHaveLength(0)
  })

  it('keeps no cookies', async () => {
    const { client, call, server } = await wild((socket) => void socket.write(answer('200 OK', '{}', ['set-cookie: session=1; path=/'])))
    await client.send(get, call())

    await client.send(get, call())

    expect(server.requests.map(({ head }) => head).join('\n').toLowerCase()).not.toContain('cookie')
  })

  it('passes by the proxies that the environment names', async () => {
    const server = await startWild((socket) => void socket.write(ok))
    const proxy = await startWild((socket) => void socket.end(answer('200 OK', '{"proxied":true}')))
    const at = `http://127.0.0.1:${proxy.port}`
    const program = `
      const { nodeHttp } = await import(${JSON.stringify(new URL('../../../shared/core/http-client.ts', import.meta.url).href)})
      const clock = { now: Date.now, sleep: async () => undefined, until: () => new Promise(() => undefined) }
      const client = await nodeHttp(clock, { bytes: (n) => new Uint8Array(n) }).connect({ url: 'http://127.0.0.1:${server.port}', title: 'it', setting: 'url' })
      const { body } = await client.send({ method: 'GET', path: '/' }, { signal: new AbortController().signal, deadline: Infinity })
      process.stdout.write(Buffer.from(body).toString())
      await client.close()`

    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
      env: { HTTP_PROXY: at, HTTPS_PROXY: at, ALL_PROXY: at, http_proxy: at, NODE_USE_ENV_PROXY: '1' },
    })

    expect([stdout, proxy.sockets.length]).toEqual(['{}', 0])
  })
})

describe('a busy service', () => {
  const always = (status: string, headers: readonly string[] = []) => wild((socket) => void socket.write(answer(status, '{}', headers)))

  it.each(['500 Internal Server Error', '502 Bad Gateway', '503 Service Unavailable', '504 Gateway Timeout', '429 Too Many Requests'])('that answers %s is asked three times, with growing pauses', async (status) => {
    const { client, call, server, runtime } = await always(status)
    const before = runtime.clock.now()

    const answered = await client.send(get, call())

    const waited = runtime.clock.now() - before
    expect([answered.status, server.requests.length]).toEqual([Number(status.slice(0, 3)), 3])
    expect(waited).toBeGreaterThanOrEqual(300)
    expect(waited).toBeLessThan(700)
  })

  it.each(['400 Bad Request', '403 Forbidden', '404 Not Found', '409 Conflict', '501 Not Implemented', '505 HTTP Version Not Supported'])('that answers %s has answered', async (status) => {
    const { client, call, server } = await always(status)

    await client.send(get, call())

    expect(server.requests).toHaveLength(1)
  })

  it.each([['500 Internal Server Error', 1], ['503 Service Unavailable', 1], ['429 Too Many Requests', 3]])('that answers %s to a change is sent it %i times', async (status, times) => {
    const { client, call, server } = await always(status)

    await client.send({ method: 'POST', path: '/' }, call())

    expect(server.requests).toHaveLength(times)
  })

  it('is asked again on the statuses that a request names', async () => {
    const { client, call, server } = await wild((socket, { nth }) => void socket.write(answer(nth === 1 ? '412 Precondition Failed' : '200 OK', '{}')))

    const { status } = await client.send({ ...get, repeatOn: [412] }, call())

    expect([status, server.requests.length]).toEqual([200, 2])
  })

  it('is asked as often as the peer allows', async () => {
    const { client, call, server } = await wild((socket) => void socket.write(answer('503 Service Unavailable', '{}')), { attempts: 1 })

    await client.send(get, call())

    expect(server.requests).toHaveLength(1)
  })

  it.each([['2', 4_000, 3], ['0', 0, 3], ['5', 10_000, 3], ['1.2', 4_000, 3], ['6', 0, 1], ['86400', 0, 1]])('that says Retry-After: %s is given %i ms in all and asked %i times', async (seconds, waited, times) => {
    const { client, call, server, runtime } = await always('429 Too Many Requests', [`retry-after: ${seconds}`])
    const before = runtime.clock.now()

    await client.send(get, call())

    expect([runtime.clock.now() - before, server.requests.length]).toEqual([waited, times])
  })

  it.each(['Fri, 31 Dec 1999 23:59:59 GMT', '-1', 'soon', '', '1e3', '0x10', '99999999'])('that says Retry-After: %s is given our own pauses', async (text) => {
    const { client, call, server, runtime } = await always('503 Service Unavailable', [`retry-after: ${text}`])
    const before = runtime.clock.now()

    const answered = await client.send(get, call())

    expect([retryAfterOf(answered), server.requests.length]).toEqual([undefined, 3])
    expect(runtime.clock.now() - before).toBeGreaterThanOrEqual(300)
  })

  it('is not asked again where the time of the call would end in the pause', async () => {
    const { client, call, server } = await always('503 Service Unavailable', ['retry-after: 2'])

    const { status } = await client.send(get, call({ withinMs: 1_500 }))

    expect([status, server.requests.length]).toEqual([503, 1])
  })

  it('is not asked by a call whose time is over, or whose caller is gone', async () => {
    const { client, call, server } = await always('200 OK')
    const reason = new Error('gone')

    await expect(client.send(get, call({ withinMs: 0 }))).rejects.toMatchObject({ code: 'deadline_exceeded' })
    await expect(client.send(get, call({ signal: AbortSignal.abort(reason) }))).rejects.toBe(reason)
    expect(server.sockets).toHaveLength(0)
  })
})

describe('an address', () => {
  const connect = (more: Partial<HttpPeer>) => testRuntime().http.connect({ url: 'http://127.0.0.1:1', title: 'The service', setting: 'service_url', ...more })

  it.each(['', 'service', 'ftp://service.example', 'https://user@service.example', 'https://:pass@service.example', 'https://service.example/?a=1', 'https://service.example/#a', 'file:///etc/passwd'])('like %j is misconfigured, and the setting is named', async (url) => {
    await expect(connect({ url })).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining('service_url') as string })
  })

  it.each(['http://service.example', 'HTTP://service.example:8200', ' http://service.example', 'http://127.0.0.1.example'])('like %j needs its setting to send secrets unencrypted', (url) => {
    expect(() => refuseOpenHttp('service_url', url, { setting: 'service_allow_http', value: false })).toThrow('service_allow_http')
    expect(() => refuseOpenHttp('service_url', url, { setting: 'service_allow_http', value: true })).not.toThrow()
  })

  it.each(['https://service.example', 'http://localhost:8200', 'http://127.0.0.1:8200', 'http://127.9.9.9', 'http://[::1]:8200', 'no address at all'])('like %j needs none', (url) => {
    expect(() => refuseOpenHttp('service_url', url, { setting: 'service_allow_http', value: false })).not.toThrow()
  })
})
