// Secret Manager's messages through Google's own Pub/Sub server: published and pulled by Google's client, and handed on in the envelope in which a push brings them. The key
// is rotated in the examined fake of Secret Manager; what is acknowledged does not come again, and what failed does.
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { handleAll, throwRetries } from '../../../functions/events.ts'
import { pubsubEvents } from '../../../functions/gcp/events.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { openGoogleSecrets } from '../../conformance/harnesses/google-secret-manager.ts'
import { startGoogleFake } from '../../fakes/google/secret-manager.ts'
import { projectNumber } from '../../fakes/google/secrets.ts'
import { rotationHouse } from '../../rotation/rotation-house.ts'
import { testRuntime } from '../../support/runtime.ts'
import { openTopic, type Message } from './topic.ts'

const peer = inject('peers').pubsub

const open = async (address: string, folder: string) => {
  const topic = await openTopic(address, folder)
  const runtime = testRuntime({ hurries: true })
  const fake = await startGoogleFake({ now: () => runtime.clock.now() })
  const house = await rotationHouse(runtime, () => openGoogleSecrets(runtime, { google_endpoint: fake.url }))
  onTestFinished(async () => {
    await topic.close()
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
  topic.pull((message) => void push(message))
  const push = async (message: Message): Promise<void> => {
    try {
      const [outcome] = throwRetries(await handleAll(rotator, runtime.clock, pubsubEvents(topic.envelope(message), message.id), 300_000))
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
  const publish = (secretId: string, attributes: Readonly<Record<string, string>> = {}): Promise<string> => topic.tell(secretId, runtime.clock.now(), attributes)
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
