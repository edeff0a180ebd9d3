// What Google sends the rotate function: Secret Manager's messages by Pub/Sub, in a CloudEvent or in the bare envelope of a push, and a Cloud Scheduler's message the same way.
import { dateAt, idOr, isScheduled, jsonOf, malformed, maxEventBytes, scheduledEvents, textAt, type Parsed, type Sent } from '../events.ts'
import { isMapping } from '../../shared/core/settings/mapping.ts'

const source = 'pubsub'
const messagePublished = 'google.cloud.pubsub.topic.v1.messagePublished'
const changes: ReadonlySet<string> = new Set(['SECRET_CREATE', 'SECRET_UPDATE', 'SECRET_DELETE', 'SECRET_VERSION_ADD', 'SECRET_VERSION_ENABLE', 'SECRET_VERSION_DISABLE', 'SECRET_VERSION_DESTROY', 'SECRET_VERSION_DESTROY_SCHEDULED'])
const resource = /^projects\/[a-z0-9.:-]{1,100}(?:\/locations\/[a-z0-9-]{1,40})?\/secrets\/[A-Za-z0-9_-]{1,255}$/

/** The message of a CloudEvent, or of a push; nothing for anything else. */
const messageOf = (given: unknown): Sent | undefined => {
  if (!isMapping(given)) return undefined
  if ('specversion' in given && given['type'] !== messagePublished) return undefined
  const envelope = isMapping(given['data']) && 'specversion' in given ? given['data'] : given
  return isMapping(envelope['message']) ? envelope['message'] : undefined
}

const dataOf = (message: Sent): unknown => {
  const { data } = message
  if (typeof data !== 'string' || data.length > 2 * maxEventBytes) return undefined
  return jsonOf(Buffer.from(data, 'base64').toString('utf8'))
}

/** Reads one delivery. Never throws. */
export const pubsubEvents = (given: unknown, delivery: string): readonly Parsed[] => {
  const message = messageOf(given)
  if (message === undefined) return [malformed(source, delivery, 'It is not a message of Pub/Sub.')]
  const id = idOr(textAt(message, 'messageId') ?? textAt(message, 'message_id'), delivery)
  const attributes = isMapping(message['attributes']) ? message['attributes'] : {}
  const [type, native, format, data] = [textAt(attributes, 'eventType'), textAt(attributes, 'secretId'), textAt(attributes, 'dataFormat'), dataOf(message)]
  if (type === undefined) return isMapping(data) && isScheduled(data) ? scheduledEvents(data, 'scheduler', id) : [malformed(source, id, 'The message is neither of Secret Manager nor of a schedule.')]
  const at = dateAt(attributes, 'timestamp') ?? dateAt(message, 'publishTime') ?? dateAt(message, 'publish_time')
  const said = { source, id, ...(at === undefined ? {} : { at }) } as const
  if (type === 'TOPIC_CONFIGURED') return [{ ...said, kind: 'probe' }]
  if (type !== 'SECRET_ROTATE' && !changes.has(type)) return [malformed(source, id, 'The message has an eventType that Secret Manager does not have.')]
  if (format !== undefined && format !== 'JSON_API_V1') return [malformed(source, id, 'The message is in a format that Latchkey does not know.')]
  if (native === undefined || !resource.test(native)) return [malformed(source, id, 'secretId is not the name of a secret.')]
  // The body repeats the name; where the two disagree, somebody else wrote one of them.
  const named = isMapping(data) ? textAt(data, 'name') : undefined
  if (data === undefined || (named !== undefined && named !== native && !named.startsWith(`${native}/versions/`))) return [malformed(source, id, 'The message’s data is not of the secret that its attributes name.')]
  return [{ ...said, kind: type === 'SECRET_ROTATE' ? 'rotate' : 'invalidate', native }]
}
