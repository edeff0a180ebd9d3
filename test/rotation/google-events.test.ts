// What Google sends: Secret Manager's messages in both envelopes, and a schedule's.
import { describe, expect, it } from 'vitest'
import { pubsubEvents } from '../../functions/gcp/events.ts'
import type { MalformedEvent, RotationEvent } from '../../shared/core/rotation/event.ts'

const secretId = 'projects/100200300400/secrets/litellm-2fa'
const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64')
const message = (eventType: string, more: object = {}, attributes: object = {}) => ({
  data: base64({ name: secretId, rotation: { nextRotationTime: '2026-12-21T12:00:00Z' } }), messageId: '77', publishTime: '2026-11-21T12:00:01Z',
  attributes: { eventType, dataFormat: 'JSON_API_V1', secretId, timestamp: '2026-11-21T12:00:00.5Z', ...attributes }, ...more,
})
const subscription = 'projects/p/subscriptions/rotate'
const cloudEvent = (given: object) => ({ specversion: '1.0', id: '77', type: 'google.cloud.pubsub.topic.v1.messagePublished', source: '//pubsub.googleapis.com/projects/p/topics/rotation', data: { message: given, subscription } })
const rotate: Partial<RotationEvent> = { source: 'pubsub', kind: 'rotate', native: secretId, id: '77', at: new Date('2026-11-21T12:00:00.5Z') }

describe('a message of Pub/Sub', () => {
  it.each<[string, unknown, Partial<RotationEvent>]>([
    ['a rotation, in a CloudEvent', cloudEvent(message('SECRET_ROTATE')), rotate],
    ['a rotation, in the envelope of a push', { message: message('SECRET_ROTATE'), subscription }, rotate],
    ['one without the time of the event', { message: message('SECRET_ROTATE', {}, { timestamp: undefined }), subscription }, { ...rotate, at: new Date('2026-11-21T12:00:01Z') }],
    ['a regional secret', { message: message('SECRET_ROTATE', { data: base64({ name: 'projects/1/locations/europe-west3/secrets/x' }) }, { secretId: 'projects/1/locations/europe-west3/secrets/x' }), subscription }, { kind: 'rotate', native: 'projects/1/locations/europe-west3/secrets/x' }],
    ['a version’s own data', cloudEvent(message('SECRET_VERSION_ADD', { data: base64({ name: `${secretId}/versions/2` }) }, { versionId: `${secretId}/versions/2` })), { ...rotate, kind: 'invalidate' }],
    ['a topic that was configured', { message: { data: '', messageId: '78', attributes: { eventType: 'TOPIC_CONFIGURED' } }, subscription }, { kind: 'probe', id: '78' }],
    ['a schedule’s sweep', cloudEvent({ data: base64({ source: 'latchkey.scheduler', action: 'rotate due' }), messageId: '79' }), { source: 'scheduler', kind: 'due', id: '79' }],
    ...['SECRET_CREATE', 'SECRET_UPDATE', 'SECRET_DELETE', 'SECRET_VERSION_ENABLE', 'SECRET_VERSION_DISABLE', 'SECRET_VERSION_DESTROY', 'SECRET_VERSION_DESTROY_SCHEDULED'].map((type): [string, unknown, Partial<RotationEvent>] => [type, cloudEvent(message(type)), { ...rotate, kind: 'invalidate' }]),
  ])('is read: %s', (_title, given, expected) => {
    expect(pubsubEvents(given, 'delivery')).toMatchObject([expected])
  })

  it.each<[string, unknown]>([
    ['nothing', undefined], ['text', 'x'], ['an empty object', {}], ['a CloudEvent of another type', { ...cloudEvent(message('SECRET_ROTATE')), type: 'google.cloud.storage.object.v1.finalized' }],
    ['a message that is not ours', cloudEvent({ data: base64({ hello: 'world' }), messageId: '1', attributes: { a: 'b' } })], ['data that is no JSON', cloudEvent({ data: 'bm90IEpTT04=', messageId: '1' })],
    ['an unknown type of event', cloudEvent(message('SECRET_TELEPORT'))], ['an unknown format', cloudEvent(message('SECRET_ROTATE', {}, { dataFormat: 'XML' }))], ['a name that is none', cloudEvent(message('SECRET_ROTATE', {}, { secretId: '../../x' }))],
    ['no name', cloudEvent(message('SECRET_ROTATE', {}, { secretId: undefined }))], ['data of another secret', cloudEvent(message('SECRET_ROTATE', { data: base64({ name: `${secretId}2` }) }))], ['no data', cloudEvent(message('SECRET_ROTATE', { data: undefined }))],
    ['data of 1 MB', cloudEvent(message('SECRET_ROTATE', { data: base64({ name: secretId, x: 'x'.repeat(1_000_000) }) }))],
  ])('is refused: %s', (_title, given) => {
    const [parsed] = pubsubEvents(given, 'delivery') as readonly MalformedEvent[]

    expect(parsed?.problem).toMatch(/\.$/)
    expect(parsed?.problem).not.toMatch(/xxxx|TELEPORT|XML/)
  })
})
