// Who is trusted: authorities, names, dates and client certificates, over a server of this machine.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TlsOptions, TLSSocket } from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { HttpPeer } from '../../../shared/core/http-client.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { assertNothingSecret } from '../../conformance/exam.ts'
import { authority, selfSigned, type Certificate } from '../../support/certificates.ts'
import { watch } from '../../support/canary.ts'
import { testRuntime } from '../../support/runtime.ts'
import { connectTo, startWild } from './wild-server.ts'

const root = authority()
const local = root.signs({ subject: 'localhost', names: ['localhost', '127.0.0.1'] })
const hour = 3_600_000

const serving = async (certificate: Certificate, options: TlsOptions = {}) => {
  const seen: (string | undefined)[] = []
  const server = createServer({ cert: certificate.cert, key: certificate.key, ...options }, (request: IncomingMessage, response: ServerResponse) => {
    const socket = request.socket as TLSSocket
    seen.push(String(socket.getPeerCertificate().subject?.CN))
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ protocol: socket.getProtocol(), alpn: socket.alpnProtocol }))
  })
  let connections = 0
  server.on('connection', () => {
    connections += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { url: `https://localhost:${(server.address() as AddressInfo).port}`, seen, connections: () => connections }
}

const asking = async (certificate: Certificate, more: Partial<HttpPeer> = {}, options: TlsOptions = {}) => {
  const server = await serving(certificate, options)
  const { client, call } = await connectTo(server.url, { ca: root.cert, ...more })
  return { ...server, answer: () => client.send({ method: 'GET', path: '/' }, call()) }
}

describe('a server', () => {
  it('that the given authority signed is trusted, over TLS 1.2 at least and HTTP/1.1', async () => {
    const { answer } = await asking(local)

    const { status, body } = await answer()

    expect([status, JSON.parse(Buffer.from(body).toString())]).toEqual([200, { protocol: 'TLSv1.3', alpn: 'http/1.1' }])
  })

  it.each<readonly [string, Certificate, Partial<HttpPeer>, string]>([
    ['that nobody signed', selfSigned({ subject: 'localhost', names: ['localhost'] }), {}, 'not signed by an authority'],
    ['that another authority signed', authority('another').signs({ subject: 'localhost', names: ['localhost'] }), {}, 'not signed by an authority'],
    ['whose certificate is for another name', root.signs({ subject: 'elsewhere', names: ['elsewhere.example'] }), {}, 'for another name'],
    ['whose certificate has expired', root.signs({ subject: 'localhost', names: ['localhost'], from: new Date(Date.now() - 2 * hour), until: new Date(Date.now() - hour) }), {}, 'has expired'],
    ['whose certificate is not valid yet', root.signs({ subject: 'localhost', names: ['localhost'], from: new Date(Date.now() + hour) }), {}, 'not valid yet'],
  ])('%s is not trusted, and not asked again', async (_, certificate, more, why) => {
    const { answer, connections, seen } = await asking(certificate, more)

    await expect(answer()).rejects.toMatchObject({ code: 'provider_unavailable', message: expect.stringContaining(why) as string })
    expect([connections(), seen]).toEqual([1, []])
  })

  it('that only the system’s authorities could vouch for is not trusted without being given', async () => {
    const server = await serving(local)
    const { client, call } = await connectTo(server.url)

    await expect(client.send({ method: 'GET', path: '/' }, call())).rejects.toMatchObject({ code: 'provider_unavailable', message: expect.stringContaining('not signed by an authority') as string })
  })

  it('is trusted whoever it is where verification is switched off', async () => {
    const { answer } = await asking(selfSigned({ subject: 'anybody' }), { verifyCertificate: false })

    expect((await answer()).status).toBe(200)
  })

  it('that speaks only what is too old is not spoken to', async () => {
    const { answer } = await asking(local, {}, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })

    await expect(answer()).rejects.toMatchObject({ code: 'provider_unavailable' })
  })

  it('that does not speak TLS at all is unavailable', async () => {
    const server = await startWild((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), { onSocket: (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n') })
    const { client, call } = await connectTo(`https://localhost:${server.port}`)

    await expect(client.send({ method: 'GET', path: '/' }, call())).rejects.toMatchObject({ code: 'provider_unavailable', message: expect.stringContaining('does not speak TLS') as string })
  })
})

describe('a client certificate', () => {
  const strict: TlsOptions = { ca: root.cert, requestCert: true, rejectUnauthorized: true }
  const gateway = root.signs({ subject: 'gateway' })

  it('is shown to whoever asks for it', async () => {
    const { answer, seen } = await asking(local, { identity: { cert: gateway.cert, key: SecretValue.of(gateway.key) } }, strict)

    expect([(await answer()).status, seen]).toEqual([200, ['gateway']])
  })

  it.each<readonly [string, Partial<HttpPeer>]>([
    ['none', {}],
    ['one of another authority', ((other: Certificate) => ({ identity: { cert: other.cert, key: SecretValue.of(other.key) } }))(authority('another').signs({ subject: 'gateway' }))],
  ])('that is %s is refused by the service, which is no answer', async (_, more) => {
    const { answer, seen } = await asking(local, more, strict)

    await expect(answer()).rejects.toMatchObject({ code: 'provider_unavailable' })
    expect(seen).toEqual([])
  })

  const key = watch('client key', gateway.key)
  const other = root.signs({ subject: 'other' })
  it.each<readonly [string, Partial<HttpPeer>]>([
    ['a key that is another’s', { identity: { cert: gateway.cert, key: SecretValue.of(watch('other key', other.key)) } }],
    ['a key that is none', { identity: { cert: gateway.cert, key: SecretValue.of(`-----BEGIN PRIVATE KEY-----\n${key.slice(30, 80)}`) } }],
    ['a certificate that is none', { identity: { cert: 'no certificate', key: SecretValue.of(key) } }],
    ['authorities that are none', { ca: 'no authority' }],
  ])('with %s is misconfigured before anything is dialled', async (_, more) => {
    const error = await testRuntime().http.connect({ url: 'https://localhost:1', title: 'The service', setting: 'service_url', ...more }).then(() => 'opened', (thrown: unknown) => thrown)

    expect(error).toMatchObject({ code: 'misconfigured', message: expect.stringContaining('service_url') as string })
    assertNothingSecret(error)
  })
})
