// The sockets that are kept: used again, found dead, left alone when they have waited, and never shared. And callers that leave at every moment.
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import type { HttpRequest } from '../../../shared/core/http-client.ts'
import { answer, connectTo, head, letPass, wild } from './wild-server.ts'

const ok = answer('200 OK', '{}')
const get: HttpRequest = { method: 'GET', path: '/' }
const post: HttpRequest = { method: 'POST', path: '/', body: '{}' }
const noticed = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 20))
const failure = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => 'an answer', (error: unknown) => error)

describe('a kept socket', () => {
  it('serves one request after the other', async () => {
    const { client, call, server } = await wild((socket) => void socket.write(ok))

    for (const request of [get, post, get]) await client.send(request, call())

    expect([server.requests.length, server.sockets.length]).toEqual([3, 1])
  })

  it('that the server closed meanwhile is not used again', async () => {
    const { client, call, server } = await wild((socket) => void socket.write(ok))
    await client.send(get, call())
    server.sockets[0]?.end()
    await noticed()

    const { status } = await client.send(post, call())

    expect([status, server.requests.length, server.sockets.length]).toEqual([200, 2, 2])
  })

  it('that turns out to be dead costs a read nothing: it is sent once more at once, on a fresh one', async () => {
    const { client, call, server, runtime } = await wild((socket, { ofSocket }) => (ofSocket === 1 ? void socket.write(ok) : socket.resetAndDestroy()), { attempts: 1 })
    await client.send(get, call())
    const before = runtime.clock.now()

    const { status } = await client.send(get, call())

    expect([status, server.sockets.length, runtime.clock.now() - before]).toEqual([200, 2, 0])
  })

  it('that turns out to be dead under a change fails it: it may have been carried out', async () => {
    const { client, call, server } = await wild((socket, { ofSocket }) => (ofSocket === 1 ? void socket.write(ok) : socket.resetAndDestroy()))
    await client.send(post, call())

    await expect(client.send(post, call())).rejects.toMatchObject({ code: 'provider_unavailable' })
    expect(server.requests).toHaveLength(2)
  })

  it('that has waited four seconds is not risked for a change', async () => {
    const { client, call, server, runtime } = await wild((socket, { ofSocket }) => (ofSocket === 1 ? void socket.write(ok) : socket.resetAndDestroy()))
    await client.send(post, call())
    runtime.clock.advance(4_000)

    const { status } = await client.send(post, call())

    expect([status, server.sockets.length]).toEqual([200, 2])
  })

  it('that has waited is not risked for a change though another one was just used', async () => {
    const opened = await wild((socket, { nth }) => void (nth > 2 && socket.write(ok)))
    const { client, call, server, runtime } = opened
    const both = [client.send(get, call()), client.send(get, call())]
    await server.arrived(2)
    for (const socket of server.sockets) socket.write(ok)
    await Promise.all(both)
    runtime.clock.advance(3_999)
    await client.send(get, call())
    runtime.clock.advance(1)

    await Promise.all([client.send(post, call()), client.send(post, call())])

    expect(server.sockets).toHaveLength(3)
  })

  it('that is fresh is used for a change', async () => {
    const { client, call, server, runtime } = await wild((socket) => void socket.write(ok))
    await client.send(post, call())
    runtime.clock.advance(3_999)

    await client.send(post, call())

    expect(server.sockets).toHaveLength(1)
  })

  it('that keeps dying is given up, after as many attempts as anything else', async () => {
    const { client, call, server } = await wild((socket, { nth }) => (nth === 1 ? void socket.write(ok) : socket.resetAndDestroy()))
    await client.send(get, call())

    await expect(client.send(get, call())).rejects.toMatchObject({ code: 'provider_unavailable' })
    expect(server.requests.length).toBe(1 + 4)
  })

  it('is not kept where the answer was refused', async () => {
    const { client, call, server } = await wild((socket) => void socket.write(answer('302 Found', '', ['location: /'])))
    await failure(client.send(get, call()))

    await failure(client.send(get, call()))

    expect(server.sockets).toHaveLength(2)
  })

  it('of one client is never another’s', async () => {
    const { client, call, server } = await wild((socket) => void socket.write(ok))
    const other = await connectTo(`http://127.0.0.1:${server.port}`)
    await client.send(get, call())

    await other.client.send(get, other.call())

    expect(server.sockets).toHaveLength(2)
  })

  it('is one of at most 32; more requests wait their turn, however long the others take to be answered', async () => {
    const opened = await wild((socket, { nth }) => void (nth > 32 && socket.write(ok)))
    const { client, call, server } = opened
    const all = Promise.all(Array.from({ length: 200 }, () => client.send(get, call())))
    await server.arrived(32)
    await letPass(opened, 2_500)

    for (const socket of server.sockets) socket.write(ok)
    const answers = await all

    expect([answers.length, server.sockets.length, server.requests.length]).toEqual([200, 32, 200])
  })

  it('that never comes free ends the waiting of those behind it', async () => {
    const opened = await wild(() => undefined, { attempts: 1 })
    const { client, call, server } = opened
    const all = Promise.allSettled(Array.from({ length: 33 }, () => client.send(get, call())))
    await server.arrived(32)

    await letPass(opened, 5_000)

    const codes = (await all).map((one) => (one.status === 'rejected' && one.reason instanceof LatchkeyError ? one.reason.code : one.status))
    expect(new Set(codes)).toEqual(new Set(['provider_unavailable']))
    expect(server.requests).toHaveLength(32)
  })
})

describe('a caller that leaves', () => {
  const reason = new Error('the caller went away')

  it('while the connection is being made, is let go at once', async () => {
    const { server } = await wild(() => undefined)
    const { client, call } = await connectTo(`https://127.0.0.1:${server.port}`)
    const controller = new AbortController()

    const waiting = failure(client.send(post, call({ signal: controller.signal })))
    await noticed()
    controller.abort(reason)

    expect(await waiting).toBe(reason)
    expect(server.requests).toHaveLength(0)
  })

  it.each([
    ['before the answer begins', ''],
    ['within the headers', 'HTTP/1.1 200 OK\r\ncontent-'],
    ['within the body', `${head('200 OK', 'content-length: 100')}{`],
  ])('%s is let go at once, nothing is sent again, and the socket is not kept', async (_, begun) => {
    const { client, call, server } = await wild((socket, { nth }) => void socket.write(nth === 1 ? begun : ok))
    const controller = new AbortController()
    const waiting = failure(client.send(get, call({ signal: controller.signal })))
    await server.arrived(1)
    await noticed()

    controller.abort(reason)

    expect(await waiting).toBe(reason)
    await client.send(get, call())
    expect([server.requests.length, server.sockets.length]).toEqual([2, 2])
  })

  it('in the pause before a repetition is let go at once', async () => {
    const { client, call, server, runtime } = await wild((socket) => void socket.write(answer('503 Service Unavailable', '{}')))
    const controller = new AbortController()
    const sleep = runtime.clock.sleep.bind(runtime.clock)
    runtime.clock.sleep = (ms, signal) => {
      controller.abort(reason)
      return sleep(ms, signal)
    }

    expect(await failure(client.send(get, call({ signal: controller.signal })))).toBe(reason)
    expect(server.requests).toHaveLength(1)
  })

  it.each([
    ['503 Service Unavailable', 'unknown'],
    ['429 Too Many Requests', 'no'],
  ])('by its deadline in the pause after %s says of the change what is true: applied %s', async (status, applied) => {
    const { client, call, server, runtime } = await wild((socket) => void socket.write(answer(status, '{}')))
    runtime.clock.sleep = async () => runtime.clock.advance(60_000)

    const failed = await failure(client.send({ method: 'POST', path: '/', repeatable: true }, call()))

    expect(failed).toMatchObject({ code: 'deadline_exceeded', details: { applied } })
    expect(server.requests).toHaveLength(1)
  })

  it('after the answer changes nothing', async () => {
    const { client, call } = await wild((socket) => void socket.write(ok))
    const controller = new AbortController()
    const { status } = await client.send(get, call({ signal: controller.signal }))

    controller.abort(reason)
    const again = await client.send(get, call())

    expect([status, again.status]).toEqual([200, 200])
  })
})

describe('a client that is closed', () => {
  it('sends nothing more, and lets go of what waits', async () => {
    const { client, call, server } = await wild(() => undefined)
    const waiting = failure(client.send(get, call()))
    await server.arrived(1)

    await client.close()

    expect(await waiting).toMatchObject({ code: 'provider_unavailable' })
    expect(await failure(client.send(get, call()))).toMatchObject({ code: 'provider_unavailable' })
    expect(server.requests).toHaveLength(1)
  })
})
