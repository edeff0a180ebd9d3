// From a file to a gateway: what openGateway makes of a configuration, where the master key comes from, and over TLS with an authority of one's own.
import { describe, expect, it, onTestFinished } from 'vitest'
import { parseConfiguration, type GatewayConfiguration, type MasterKeyPlan } from '../../shared/core/configuration.ts'
import { readGateway } from '../../shared/core/configuration/gateway-section.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { openGateway } from '../../shared/gateway/open.ts'
import { fakeMasterKey, litellmService, startLitellmFake } from '../fakes/litellm-gateway.ts'
import { startFake } from '../fakes/wire.ts'
import { authority as newAuthority } from '../support/certificates.ts'
import { callOf, envOf, testRuntime } from '../support/runtime.ts'
import { newToken, refusal, rowFor } from './opened-gateway.ts'

const configured = (gateway: object): GatewayConfiguration => {
  const { configuration } = parseConfiguration({ latchkey: { gateway } }, { env: envOf({}), loopback: true, gateway: readGateway })
  if (configuration.gateway === undefined) throw new Error('there is no gateway')
  return configuration.gateway
}

describe('a configured gateway', () => {
  it.each([false, true])('is opened as it is written, with a licence or without: %s', async (licensed) => {
    const runtime = testRuntime()
    const fake = await startLitellmFake({ now: () => runtime.clock.now(), knobs: { licensed } })
    onTestFinished(() => fake.close())
    const plans: MasterKeyPlan[] = []
    const configuration = configured({ url: fake.url, licensed, master_key: 'os.environ/GATEWAY_KEY' })
    const gateway = await openGateway(configuration, runtime, async (plan) => {
      plans.push(plan)
      return SecretValue.of(fakeMasterKey)
    })
    onTestFinished(() => gateway.close?.())
    const token = newToken()

    const outcome = await gateway.add(token, rowFor(), callOf(runtime.clock))

    expect([outcome, gateway.name, gateway.replace !== undefined, fake.service.accepts(token.reveal())]).toEqual(['added', 'gateway', licensed, true])
    expect(new Set(plans)).toEqual(new Set([configuration.masterKey]))
  })

  it('is told by its setting when there is no master key', async () => {
    const runtime = testRuntime()
    const gateway = await openGateway(configured({ url: 'http://127.0.0.1:1' }), runtime, async () => undefined)

    await expect(gateway.list({ limit: 1 }, callOf(runtime.clock))).rejects.toMatchObject({ code: 'misconfigured', details: { issues: [{ path: 'latchkey.gateway.master_key' }] } })
  })

  it.each(['as text', 'as a file', 'as a file at home'])('trusts the authority that is given %s, and no other', async (how) => {
    const root = newAuthority()
    const authority = root.cert
    const server = root.signs({ subject: 'localhost', names: ['localhost', '127.0.0.1'] })
    const runtime = testRuntime({ env: { HOME: '/home/ada' }, files: { '/etc/ca.pem': authority, '/home/ada/ca.pem': authority } })
    const fake = await startFake(litellmService({ now: () => runtime.clock.now() }), { tls: server })
    onTestFinished(() => fake.close())
    const open = (ca?: string) => openGateway(configured({ url: fake.url, ...(ca !== undefined && { ca }) }), runtime, async () => SecretValue.of(fakeMasterKey))
    const ca = { 'as text': authority, 'as a file': '/etc/ca.pem', 'as a file at home': '~/ca.pem' }[how]

    const [trusting, other] = [await open(ca), await open()]

    expect(await trusting.list({ limit: 1 }, callOf(runtime.clock))).toEqual({ items: [] })
    expect(await refusal(other.list({ limit: 1 }, callOf(runtime.clock)))).toEqual(['gateway_unavailable', undefined])
    await Promise.all([trusting.close?.(), other.close?.()])
  })

  it('stops the start when the file of its authority is not there', async () => {
    const opening = openGateway(configured({ url: 'https://127.0.0.1:1', ca: '/etc/nothing.pem' }), testRuntime(), async () => undefined)

    await expect(opening).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining('latchkey.gateway.ca') as string })
  })
})
