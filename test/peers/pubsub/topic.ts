// A topic with a subscription on Google's own Pub/Sub server, through Google's own client; and a message of it in the envelope in which a push brings it.
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'

/** A message as the client gives it. */
export interface Message {
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

/** One topic. */
export interface Topic {
  publish(data: Buffer, attributes: Readonly<Record<string, string>>): Promise<string>
  /** Publishes what Secret Manager says of a secret. Default: SECRET_ROTATE. `at`: in epoch milliseconds. */
  tell(secretId: string, at: number, attributes?: Readonly<Record<string, string>>): Promise<string>
  /** Pulls from now on. */
  pull(take: (message: Message) => void): void
  /** As a push of this subscription brings it. */
  envelope(message: Message): { readonly message: object; readonly subscription: string }
  close(): Promise<void>
}

/** Makes one of its own. `address`: the server's; `folder`: where Google's client is installed. */
export const openTopic = async (address: string, folder: string): Promise<Topic> => {
  const { PubSub } = createRequire(join(folder, 'package.json'))('@google-cloud/pubsub') as { PubSub: new (options: object) => PubSubClient }
  // Without its domain the client asks a metadata server, which is not on this machine.
  const pubsub = new PubSub({ projectId: 'p', apiEndpoint: address, emulatorMode: true, universeDomain: 'googleapis.com' })
  const name = `rotation-${randomUUID().slice(0, 8)}`
  await pubsub.createTopic(name)
  const [subscription] = await pubsub.topic(name).createSubscription(`${name}-push`)
  const publish: Topic['publish'] = (data, attributes) => pubsub.topic(name).publishMessage({ data, attributes })
  return {
    publish,
    tell: (secretId, at, attributes = {}) => publish(Buffer.from(JSON.stringify({ name: secretId })), { eventType: 'SECRET_ROTATE', dataFormat: 'JSON_API_V1', secretId, timestamp: new Date(at).toISOString(), ...attributes }),
    pull: (take) => subscription.on('message', take),
    envelope: ({ id, data, attributes, publishTime }) => ({ message: { data: data.toString('base64'), attributes, messageId: id, message_id: id, publishTime: publishTime.toISOString(), publish_time: publishTime.toISOString() }, subscription: `projects/p/subscriptions/${name}-push` }),
    close: async () => {
      await subscription.close()
      await pubsub.close()
    },
  }
}
