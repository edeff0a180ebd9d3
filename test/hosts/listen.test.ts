// The local server's own limits, over real sockets: what Node cuts off before the application sees it, and how it stops.
import { connect } from 'node:net'
import { request } from 'node:http'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { listen, type Listening } from '../../functions/local/listen.ts'
import type { ApiRequest, App } from '../../shared/http/api.ts'
import { systemClock } from '../../shared/telemetry/node-runtime.ts'

const servers: Listening[] = []
const seen: ApiRequest[] = []

const serve = async (app: App): Promise<Listening> => {
  const server = await listen(app, { host: '127.0.0.1', port: 0 }, systemClock)
  servers.push(server)
  return server
}

const echo: App = async (asked) => {
  seen.push(asked)
  return { status: 200, headers: { 'x-seen': String(asked.body.byteLength) }, body: 'ok' }
}

/** Sends bytes as they are and answers everything that came back until the server closed the connection. */
const raw = async (url: string, text: string): Promise<string> => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.on('error', () => undefined)
  socket.write(text)
  await once(socket, 'close')
  return Buffer.concat(chunks).toString('utf8')
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()))
  seen.length = 0
})

describe('the local server', () => {
  it('passes path and query on as they came, and header names in lower case', async () => {
    const server = await serve(echo)

    await raw(server.url, 'GET /secrets/a%2Fb?refresh=true&x=%20 HTTP/1.1\r\nHost: h\r\nX-ODD: one\r\nx-odd: two\r\nConnection: close\r\n\r\n')

    expect(seen[0]).toMatchObject({ method: 'GET', path: '/secrets/a%2Fb', query: 'refresh=true&x=%20', headers: { 'x-odd': 'one, two', host: 'h' } })
  })

  it('counts the header block for the application', async () => {
    const server = await serve(echo)

    await raw(server.url, `GET / HTTP/1.1\r\nHost: h\r\nX-Long: ${'a'.repeat(9_000)}\r\nConnection: close\r\n\r\n`)

    expect(seen[0]?.headerBytes).toBeGreaterThan(9_000)
  })

  it('answers 431 as a problem when Node itself gives up on the header block', async () => {
    const server = await serve(echo)

    const answer = await raw(server.url, `GET / HTTP/1.1\r\nHost: h\r\nX-Long: ${'a'.repeat(20_000)}\r\n\r\n`)

    expect(answer).toMatch(/^HTTP\/1\.1 431 /)
    expect(answer).toContain('"code":"headers_too_large"')
    expect(seen).toEqual([])
  })

  it('answers 414 as a problem when Node itself gives up on the URL', async () => {
    const server = await serve(echo)

    const answer = await raw(server.url, `GET /secrets/${'a'.repeat(20_000)} HTTP/1.1\r\nHost: h\r\n\r\n`)

    expect(answer).toMatch(/^HTTP\/1\.1 414 /)
    expect(answer).toContain('"code":"uri_too_long"')
  })

  it('answers 400 to what is no HTTP', async () => {
    const server = await serve(echo)

    const answer = await raw(server.url, 'hello\r\n\r\n')

    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('"code":"invalid_request"')
  })

  it('holds one byte more than the limit of an endless body, lets the application answer, and ends the connection', async () => {
    const server = await serve(echo)
    const client = request(server.url, { method: 'POST', path: '/key/generate', headers: { 'transfer-encoding': 'chunked' } })
    client.on('error', () => undefined)
    client.write('a'.repeat(1024 * 1024))

    const [response] = (await once(client, 'response')) as [{ headers: Record<string, string>; resume(): void }]

    expect(response.headers['x-seen']).toBe('65537')
    expect(response.headers['connection']).toBe('close')
    client.destroy()
  })

  it('ends the signal of a read whose caller goes away', async () => {
    const asked = Promise.withResolvers<ApiRequest>()
    const server = await serve((given) => {
      asked.resolve(given)
      return new Promise((_resolve, reject) => given.signal.addEventListener('abort', () => reject(given.signal.reason as Error)))
    })
    const client = request(server.url)
    client.on('error', () => undefined)
    client.end()
    const { signal } = await asked.promise

    client.destroy()
    await once(signal, 'abort')

    expect(signal.reason).toMatchObject({ code: 'deadline_exceeded' })
  })

  it('answers a request in flight before it stops', async () => {
    const started = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const server = await serve(async () => {
      started.resolve()
      await release.promise
      return { status: 200, headers: {}, body: 'late' }
    })
    const answer = raw(server.url, 'GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    await started.promise

    const stopped = server.stop()
    release.resolve()

    expect(await answer).toContain('late')
    await expect(stopped).resolves.toBeUndefined()
  })

  it('names the port that is taken and how to choose another', async () => {
    const first = await serve(echo)
    const port = Number(new URL(first.url).port)

    await expect(listen(echo, { host: '127.0.0.1', port }, systemClock)).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringMatching(new RegExp(`Port ${port} .*PORT=${port + 1}`)) })
  })
})
