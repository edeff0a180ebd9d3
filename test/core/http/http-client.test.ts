// The one outgoing client, against a loopback server that behaves as the fault list says.
import { describe, expect, it, onTestFinished } from 'vitest'
import { startFake, type WireService } from '../../fakes/wire.ts'
import { callOf, testRuntime } from '../../support/runtime.ts'

const plain: WireService = {
  handle: (request) => ({ status: 200, body: { path: request.path, query: request.query.toString(), body: request.body.toString() } }),
  changes: (request) => request.method !== 'GET',
  refuse: (refusal, echo) => ({ status: { denied: 403, throttled: 429, unavailable: 503, expired_credential: 401 }[refusal], body: { errors: [echo] } }),
}

const started = async (more: object = {}) => {
  const runtime = testRuntime({ hurries: true })
  const fake = await startFake(plain)
  const client = await runtime.http.connect({ url: fake.url, title: 'The service', setting: 'service_url', ...more })
  onTestFinished(async () => {
    await client.close()
    await fake.close()
  })
  return { runtime, fake, client, call: () => callOf(runtime.clock) }
}

describe('a request', () => {
  it('arrives as it was sent, and its answer comes back whole', async () => {
    const { client, call } = await started()

    const answer = await client.send({ method: 'POST', path: '/v1/a%2Fb?x=1', headers: { 'X-Token': 't' }, body: '{"a":1}' }, call())

    expect([answer.status, JSON.parse(Buffer.from(answer.body).toString())]).toEqual([200, { path: '/v1/a%2Fb', query: 'x=1', body: '{"a":1}' }])
  })

  it('is sent again when the service is busy, three times in all', async () => {
    const { client, call, fake } = await started()
    fake.fault({ kind: 'unavailable_before' })

    const answer = await client.send({ method: 'GET', path: '/' }, call())

    expect([answer.status, fake.requests.length]).toEqual([503, 3])
  })
})
