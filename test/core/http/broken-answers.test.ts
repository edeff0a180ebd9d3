// The client against servers that break off, drip, lie or answer something else. Each is told apart, none is taken for an answer, and what may have happened is not sent twice.
import { createServer, type AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import type { HttpRequest } from '../../../shared/core/http-client.ts'
import { jsonOf } from '../../../shared/core/http/answers.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { canary } from '../../support/canary.ts'
import { assertNothingSecret } from '../../conformance/exam.ts'
import { answer, connectTo, head, letPass, wild, type Behaviour, type Opened } from './wild-server.ts'

const get: HttpRequest = { method: 'GET', path: '/v1/it' }
const post: HttpRequest = { method: 'POST', path: '/v1/it', body: '{"a":1}' }
const failure = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => 'an answer', (error: unknown) => error)
const coded = async (promise: Promise<unknown>): Promise<unknown> => {
  const error = await failure(promise)
  return error instanceof LatchkeyError ? error.code : error
}

const ends: readonly (readonly [string, Behaviour])[] = [
  ['closes before it answers', (socket) => socket.end()],
  ['resets before it answers', (socket) => socket.resetAndDestroy()],
  ['resets within the headers', (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-le', () => socket.resetAndDestroy())],
  ['closes within the headers', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-le')],
  ['resets within the body', (socket) => void socket.write(`${head('200 OK', 'content-length: 100')}{"half":`, () => socket.resetAndDestroy())],
  ['closes before the announced length', (socket) => socket.end(`${head('200 OK', 'content-length: 100')}{"half":`)],
  ['closes within a chunk', (socket) => socket.end(`${head('200 OK', 'transfer-encoding: chunked')}20\r\n{"half":`)],
  ['closes between chunks, before the last', (socket) => socket.end(`${head('200 OK', 'transfer-encoding: chunked')}8\r\n{"half":\r\n`)],
  ['says something that is no HTTP', (socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n')],
  ['sends a chunk whose size is no number', (socket) => socket.end(`${head('200 OK', 'transfer-encoding: chunked')}zz\r\n{}\r\n0\r\n\r\n`)],
  ['names its length twice, differently', (socket) => socket.end(`${head('200 OK', 'content-length: 2', 'content-length: 4')}{}{}`)],
  ['names a length and chunks as well', (socket) => socket.end(`${head('200 OK', 'content-length: 2', 'transfer-encoding: chunked')}2\r\n{}\r\n0\r\n\r\n`)],
  ['sends more headers than anybody needs', (socket) => socket.end(answer('200 OK', '{}', Array.from({ length: 400 }, (_, index) => `x-${index}: ${'v'.repeat(100)}`)))],
]

describe('a server that', () => {
  it.each(ends)('%s is unavailable, and is asked three times for what may be repeated', async (_, behave) => {
    const { client, call, server } = await wild(behave)

    expect(await coded(client.send(get, call()))).toBe('provider_unavailable')
    expect(server.requests).toHaveLength(3)
  })

  it.each(ends)('%s is sent a change once', async (_, behave) => {
    const { client, call, server } = await wild(behave)

    expect(await coded(client.send(post, call()))).toBe('provider_unavailable')
    expect(server.requests).toHaveLength(1)
  })

  it.each(ends)('%s is sent a change again where the change says so', async (_, behave) => {
    const { client, call, server } = await wild((socket, request) => (request.nth === 1 ? behave(socket, request) : socket.end(answer('200 OK', '{}'))))

    const { status } = await client.send({ ...post, repeatable: true }, call())

    expect([status, server.requests.length]).toEqual([200, 2])
    expect(server.requests[0]).toEqual({ ...server.requests[1], nth: 1 })
  })

  it('refuses connections has nothing sent to it, and a change is tried again as well', async () => {
    const free = createServer()
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve))
    const { port } = free.address() as AddressInfo
    await new Promise((resolve) => free.close(resolve))
    const { client, call, runtime } = await connectTo(`http://127.0.0.1:${port}`)
    const before = runtime.clock.now()

    const error = await failure(client.send(post, call()))

    expect(error).toMatchObject({ code: 'provider_unavailable', message: expect.stringContaining('it refused the connection') as string })
    expect(runtime.clock.now() - before).toBeGreaterThanOrEqual(300)
  })

  it('closes a connection at once is unavailable', async () => {
    const { client, call, server } = await wild(() => undefined, {}, (socket) => socket.resetAndDestroy())

    expect(await coded(client.send(post, call()))).toBe('provider_unavailable')
    expect(server.requests).toHaveLength(0)
  })

  it.each(['301 Moved Permanently', '302 Found', '303 See Other', '304 Not Modified', '307 Temporary Redirect', '308 Permanent Redirect'])('answers %s is not followed, and told from an absence', async (status) => {
    const { client, call, server } = await wild((socket) => socket.end(answer(status, '', ['location: http://169.254.169.254/latest'])))

    const error = await failure(client.send(get, call()))

    expect(error).toMatchObject({ code: 'provider_unavailable', message: expect.stringContaining('redirect') as string, details: { vendor: { status: Number(status.slice(0, 3)) } } })
    expect(server.requests).toHaveLength(1)
  })

  it('wants to speak another protocol is unavailable at once', async () => {
    const { client, call, server } = await wild((socket) => void socket.write(head('101 Switching Protocols', 'connection: upgrade', 'upgrade: other')))

    expect(await coded(client.send(get, call()))).toBe('provider_unavailable')
    expect(server.requests).toHaveLength(1)
  })

  it.each([['gzip', gzipSync('{}')], ['br', Buffer.from('{}')], ['GZIP', gzipSync('{}')], ['gzip, identity', gzipSync('{}')]])('compresses (%s) what nobody asked to be compressed is unavailable', async (encoding, body) => {
    const { client, call, server } = await wild((socket) => void socket.end(Buffer.concat([Buffer.from(head('200 OK', `content-encoding: ${encoding}`, `content-length: ${body.length}`)), body])))

    expect(await coded(client.send(get, call()))).toBe('provider_unavailable')
    expect(server.requests[0]?.head.toLowerCase()).toContain('accept-encoding: identity')
  })

  it.each(['identity', 'base64', ''])('says "%s" of its encoding is understood', async (encoding) => {
    const { client, call } = await wild((socket) => socket.end(answer('200 OK', '{}', [`content-encoding: ${encoding}`])))

    expect((await client.send(get, call())).status).toBe(200)
  })

  it('announces more bytes than are believed is refused before they come', async () => {
    const { client, call } = await wild((socket) => void socket.write(head('200 OK', 'content-length: 1001')), { maxAnswerBytes: 1_000 })

    expect(await failure(client.send(get, call()))).toMatchObject({ code: 'provider_unavailable', message: expect.stringContaining('larger than 1000 bytes') as string })
  })

  it('sends more bytes than are believed, without a word of how many, is cut off', async () => {
    const { client, call, server } = await wild((socket) => {
      const flood = (): void => void (socket.destroyed || socket.write(`200\r\n${'x'.repeat(512)}\r\n`, flood))
      socket.write(head('200 OK', 'transfer-encoding: chunked'), flood)
    }, { maxAnswerBytes: 1_000 })

    expect(await coded(client.send(get, call()))).toBe('provider_unavailable')
    expect(server.requests).toHaveLength(1)
  })

  it('sends one byte more than is believed, in chunks, is refused', async () => {
    const { client, call } = await wild((socket) => void socket.write(`${head('200 OK', 'transfer-encoding: chunked')}3e9\r\n${'x'.repeat(1_001)}\r\n0\r\n\r\n`), { maxAnswerBytes: 1_000 })

    expect(await coded(client.send(get, call()))).toBe('provider_unavailable')
  })

  it('sends exactly as many bytes as are believed is believed', async () => {
    const { client, call } = await wild((socket) => void socket.write(answer('200 OK', 'x'.repeat(1_000))), { maxAnswerBytes: 1_000 })

    expect((await client.send(get, call())).body).toHaveLength(1_000)
  })

  it('says that it is still at it (1xx) before it answers is waited for', async () => {
    const { client, call } = await wild((socket) => void socket.write(`${head('100 Continue')}${head('102 Processing')}${head('103 Early Hints', 'link: </x>')}${answer('200 OK', '{"done":true}')}`))

    expect(jsonOf(await client.send(get, call()), 'The service')).toEqual({ done: true })
  })

  it('answers in pieces is put together again', async () => {
    const text = answer('200 OK', '{"whole":"ünïcode"}')
    const { client, call } = await wild((socket) => {
      const bytes = [...Buffer.from(text)]
      const next = (): void => void (bytes.length > 0 && socket.write(Buffer.from(bytes.splice(0, 7)), () => setImmediate(next)))
      next()
    })

    expect(jsonOf(await client.send(get, call()), 'The service')).toEqual({ whole: 'ünïcode' })
  })

  it('answers a second time without being asked is not listened to', async () => {
    const { client, call } = await wild((socket, { ofSocket }) => void socket.write(ofSocket === 1 ? answer('200 OK', '{"n":1}') + answer('200 OK', '{"n":"unasked"}') : answer('200 OK', '{"n":2}')))
    await client.send(get, call())

    const second = jsonOf(await client.send(get, call()), 'The service')

    expect(second).not.toEqual({ n: 'unasked' })
  })

  it('answers a second time a little later is not listened to either', async () => {
    const { client, call, server } = await wild((socket, { ofSocket }) => void socket.write(ofSocket === 1 ? answer('200 OK', '{"n":1}') : answer('200 OK', '{"n":2}')))
    await client.send(get, call())
    await new Promise((resolve) => setTimeout(resolve, 20))
    await new Promise<void>((resolve) => void server.sockets[0]?.write(answer('200 OK', '{"n":"unasked"}'), () => resolve()))
    await new Promise((resolve) => setTimeout(resolve, 20))

    const second = await client.send(get, call())

    expect(jsonOf(second, 'The service')).not.toEqual({ n: 'unasked' })
  })
})

describe('JSON', () => {
  it.each([
    ['HTML with 200', answer('200 OK', '<html>', ['content-type: text/html']).replace('content-type: application/json\r\n', '')],
    ['JSON that calls itself HTML', answer('200 OK', '{}', ['content-type: text/html']).replace('content-type: application/json\r\n', '')],
    ['JSON without a type', answer('200 OK', '{}').replace('content-type: application/json\r\n', '')],
    ['half of it', answer('200 OK', '{"half":')],
    ['nothing', answer('200 OK')],
  ])('is not made of %s', async (_, text) => {
    const { client, call } = await wild((socket) => void socket.write(text))
    const response = await client.send(get, call())

    expect(() => jsonOf(response, 'The service')).toThrow(expect.objectContaining({ code: 'provider_unavailable', details: { vendor: { status: 200 } } }))
  })

  it('is made of a vendor’s own type', async () => {
    const { client, call } = await wild((socket) => void socket.write(answer('200 OK', '{"a":1}', []).replace('application/json', 'application/vnd.x+json; charset=utf-8')))

    expect(jsonOf(await client.send(get, call()), 'The service')).toEqual({ a: 1 })
  })
})

describe('a failure', () => {
  const token = SecretValue.of(canary('token'))
  const secret = SecretValue.of(canary('body'))
  const path = `/v1/${canary('path')}`
  const request: HttpRequest = { method: 'GET', path, headers: { authorization: ['Bearer ', token] }, body: secret, repeatable: false }

  it.each<readonly [string, (opened: Opened) => Promise<unknown>, Behaviour]>([
    ['of a connection that breaks', ({ client, call }) => client.send(request, call()), (socket) => socket.resetAndDestroy()],
    ['of garbage that echoes the request', ({ client, call }) => client.send(request, call()), (socket, { head: asked, body }) => socket.end(`${asked} ${body}\r\n\r\n`)],
    ['of a redirect to the request', ({ client, call }) => client.send(request, call()), (socket) => socket.end(head('302 Found', `location: https://elsewhere.example${path}`))],
    ['of an answer that is no JSON', async ({ client, call }) => jsonOf(await client.send(request, call()), 'The service'), (socket, { head: asked, body }) => socket.end(answer('200 OK', `{${body}${asked.replaceAll('\r\n', ' ')}`))],
    ['of a body that breaks off', ({ client, call }) => client.send(request, call()), (socket, { body }) => socket.end(`${head('200 OK', 'content-length: 100')}${body}`)],
  ])('%s shows nothing of the request', async (_, act, behave) => {
    const opened = await wild(behave)

    const error = await failure(act(opened))

    expect(error).toMatchObject({ code: 'provider_unavailable' })
    assertNothingSecret(error)
  })

  it('of a header or a path that cannot be sent shows neither', async () => {
    const { client, call } = await wild(() => undefined)

    const errors = [
      await failure(client.send({ ...get, headers: { 'x-token': SecretValue.of(`${token.reveal()}\r\nx: 1`) } }, call())),
      await failure(client.send({ ...get, path: `${path}/../x` }, call())),
    ]

    expect(errors).toMatchObject([{ code: 'invalid_request' }, { code: 'invalid_request' }])
    assertNothingSecret(errors)
  })
})

describe('time', () => {
  it('for a connection is short: one that never comes about is broken off', async () => {
    const opened = await connectTo('https://127.0.0.1:1', { attempts: 1 })
    const { server } = await wild(() => undefined)
    const silent = await connectTo(`https://127.0.0.1:${server.port}`, { attempts: 1 })

    const waiting = failure(silent.client.send(get, silent.call()))
    await letPass(silent, 2_000)

    expect(await waiting).toMatchObject({ code: 'provider_unavailable', message: expect.stringContaining('the connection took too long') as string })
    expect(await coded(opened.client.send(get, opened.call()))).toBe('provider_unavailable')
  })

  it('for the first byte ends, and a read is asked again', async () => {
    const opened = await wild((socket, { nth }) => void (nth === 2 && socket.write(answer('200 OK', '{}'))))

    const waiting = opened.client.send(get, opened.call())
    await opened.server.arrived(1)
    await letPass(opened, 3_000)

    expect((await waiting).status).toBe(200)
  })

  it('for the whole answer ends however steadily it drips', async () => {
    const opened = await wild((socket) => void socket.write(`${head('200 OK', 'content-length: 1000')}{`), { attempts: 1 })
    const waiting = failure(opened.client.send(get, opened.call()))
    await opened.server.arrived(1)

    for (let second = 0; second < 5; second += 1) {
      opened.server.sockets[0]?.write('x')
      await letPass(opened, 1_000)
    }

    expect(await waiting).toMatchObject({ code: 'provider_unavailable', message: expect.stringContaining('its answer took too long') as string })
  })

  it('of the call wins where it is shorter, and says what is known of the change', async () => {
    const opened = await wild(() => undefined)
    const waiting = failure(opened.client.send(post, opened.call({ withinMs: 1_000 })))
    await opened.server.arrived(1)

    await letPass(opened, 1_000)

    expect(await waiting).toMatchObject({ code: 'deadline_exceeded', details: { applied: 'unknown' } })
    expect(opened.server.requests).toHaveLength(1)
  })

  it('of the call that ends before a connection is there says that nothing was sent', async () => {
    const { server } = await wild(() => undefined)
    const silent = await connectTo(`https://127.0.0.1:${server.port}`)

    const waiting = failure(silent.client.send(post, silent.call({ withinMs: 500 })))
    await letPass(silent, 500)

    expect(await waiting).toMatchObject({ code: 'deadline_exceeded', details: { applied: 'no' } })
  })
})
