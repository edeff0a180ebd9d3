// Secret Manager's messages through Google's own Pub/Sub server: published and pulled by Google's client, and handed on in the envelope in which a push brings them. The key
// is rotated in the examined fake of Secret Manager; what is acknowledged does not come again, and what failed does.
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { handleAll, throwRetries } from '../../../functions/events.ts'
import { pubsubEvents } from '../../../functions/gcp/events.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { createdName } from '../../../shared/core/names.ts'
import { openGoogleSecrets } from '../../conformance/harnesses/google-secret-manager.ts'
import { startGoogleFake } from '../../fakes/google/secret-manager.ts'
import { projectNumber } from '../../fakes/google/secrets.ts'
import { rotationHouse } from '../../rotation/rotation-house.ts'
import { testRuntime } from '../../support/runtime.ts'

const peer = inject('peers').pubsub

interface Message {
  readonly id: string
  readonly data: Buffer
  readonly attributes: Readonly<Record<string, string>>
  readonly publishTime: Date
  ack(): void
  nack(): void
}

/** What is used of Google's client. */
interface PubSubClient {
  createTopic(name: string): Promise<unknown>
  topic(name: string): { publishMessage(message: { readonly data: Buffer; readonly attributes: Readonly<Record<string, string>> }): Promise<string>; createSubscription(name: string): Promise<readonly [Subscription]> }
  close(): Promise<void>
}
interface Subscription {
  on(event: 'message', take: (message: Message) => void): void
  close(): Promise<void>
}

const open = async (address: string, folder: string) => {
  const { PubSub } = createRequire(join(folder, 'package.json'))('@google-cloud/pubsub') as { PubSub: new (options: object) => PubSubClient }
  // Without its domain the client asks a metadata server, which is not on this machine.
  const pubsub = new PubSub({ projectId: 'p', apiEndpoint: address, emulatorMode: true, universeDomain: 'googleapis.com' })
  const name = `rotation-${randomUUID().slice(0, 8)}`
  await pubsub.createTopic(name)
  const [subscription] = await pubsub.topic(name).createSubscription(`${name}-push`)
  const runtime = testRuntime({ hurries: true })
  const fake = await startGoogleFake({ now: () => runtime.clock.now() })
  const house = await rotationHouse(runtime, () => openGoogleSecrets(runtime, { google_endpoint: fake.url }))
  onTestFinished(async () => {
    await subscription.close()
    await pubsub.close()
    await house.provider.close?.()
    await fake.close()
  })
  const failing = { left: 0 }
  const rotator = {
    handle: (...given: Parameters<typeof house.rotator.handle>) => {
      if ((failing.left -= 1) >= 0) return Promise.resolve({ decision: 'retry', reason: 'failed', message: 'down', error: new LatchkeyError('provider_unavailable', 'It does not answer.') } as const)
      return house.rotator.handle(...given)
    },
  }
  const delivered: string[] = []
  const waiting: { readonly count: number; readonly done: () => void }[] = []
  // As push does: the envelope is posted, a success acknowledges, a failure brings the message again.
  subscription.on('message', (message) => {
    const envelope = { message: { data: message.data.toString('base64'), attributes: message.attributes, messageId: message.id, publishTime: message.publishTime.toISOString() }, subscription: `projects/p/subscriptions/${name}-push` }
    void push(message, envelope)
  })
  const push = async (message: Message, envelope: unknown): Promise<void> => {
    try {
      const [outcome] = throwRetries(await handleAll(rotator, runtime.clock, pubsubEvents(envelope, message.id), 300_000))
      message.ack()
      delivered.push(outcome?.reason ?? 'nothing')
    } catch {
      message.nack()
      delivered.push('failed')
    }
    for (const { count, done } of waiting) if (delivered.length >= count) done()
  }
  const deliveries = (count: number): Promise<readonly string[]> => (delivered.length >= count ? Promise.resolve(delivered) : new Promise((resolve) => void waiting.push({ count, done: () => resolve(delivered) })))
  const native = (alias: string): string => `projects/${projectNumber}/secrets/${house.provider.traits.names.encode(createdName(`litellm/${alias}`))}`
  const publish = (secretId: string, attributes: Readonly<Record<string, string>> = {}): Promise<string> =>
    pubsub.topic(name).publishMessage({ data: Buffer.from(JSON.stringify({ name: secretId })), attributes: { eventType: 'SECRET_ROTATE', dataFormat: 'JSON_API_V1', secretId, timestamp: new Date(runtime.clock.now()).toISOString(), ...attributes } })
  return { ...house, native, publish, deliveries, failing }
}

describe('Secret Manager’s topic, in Google’s Pub/Sub server', () => {
  if ('missing' in peer) {
    it(`is left out: ${peer.missing}`, () => {
      expect(peer.missing).not.toBe('')
    })
    return
  }
  const opened = () => open(peer.url, peer.facts['client'] ?? '')

  it('brings a message that rotates the key once, though it is published twice', async () => {
    const { publish, native, deliveries, oldKey, epochOf, accepts, tokenOf } = await opened()
    const made = await oldKey('a')

    await publish(native('a'))
    await deliveries(1)
    await publish(native('a'))

    expect(await deliveries(2)).toEqual(['rotated', 'already_done'])
    expect([await epochOf('a'), await accepts(made.key), await accepts(await tokenOf('a'))]).toEqual([2, true, true])
  })

  it('brings a message again that failed, and not one that nothing mends', async () => {
    const { publish, native, deliveries, oldKey, epochOf, failing, lines } = await opened()
    await oldKey('a')
    failing.left = 2

    await publish(native('a'))
    await deliveries(3)
    await publish(native('absent'))
    await deliveries(4)
    await publish(native('a'), { eventType: 'TOPIC_CONFIGURED' })

    expect(await deliveries(5)).toEqual(['failed', 'failed', 'rotated', 'not_ours', 'nothing_to_do'])
    expect([await epochOf('a'), lines().map(({ code }) => code)]).toEqual([2, ['rotated', 'not_ours', 'nothing_to_do']])
  })
})
