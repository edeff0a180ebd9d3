// What Event Grid puts into the queue, in both of its schemas and with the documentation's stray spaces, and what becomes of the message.
import { describe, expect, it } from 'vitest'
import { queueEvents, timerEvent } from '../../functions/azure/events.ts'
import { rotateTriggers } from '../../functions/azure/triggers.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { MalformedEvent, RotationEvent, RotationOutcome } from '../../shared/core/rotation/event.ts'
import { ManualClock } from '../support/runtime.ts'

const native = 'https://example-vault.vault.azure.net/secrets/litellm-a-abc/0123456789abcdef0123456789abcdef'
const topic = '/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/example-vault'
const data = { Id: native, VaultName: 'example-vault', ObjectType: 'Secret', ObjectName: 'litellm-a-abc', Version: ' 0123456789abcdef0123456789abcdef', NBF: null, EXP: '1767225600' }
const gridEvent = { id: 'e-1', topic, subject: 'litellm-a-abc', eventType: 'Microsoft.KeyVault.SecretNearExpiry', eventTime: '2026-11-21T12:00:00Z', data, dataVersion: '1', metadataVersion: '1' }
const cloudEvent = { specversion: '1.0', id: 'e-1', source: topic, subject: 'litellm-a-abc', type: 'Microsoft.KeyVault.SecretNearExpiry', time: '2026-11-21T12:00:00Z', data }
const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64')
const near: Partial<RotationEvent> = { source: 'event_grid', kind: 'rotate', native, id: 'e-1', at: new Date('2026-11-21T12:00:00Z') }

describe('a message of the queue', () => {
  it.each<[string, unknown, readonly Partial<RotationEvent>[]]>([
    ['an event in Event Grid’s schema', gridEvent, [near]],
    ['a CloudEvent', cloudEvent, [near]],
    ['base64, as Event Grid writes it', base64(gridEvent), [near]],
    ['JSON text', JSON.stringify(cloudEvent), [near]],
    ['bytes', Buffer.from(base64(cloudEvent)), [near]],
    ['a list', base64([gridEvent, { ...cloudEvent, id: 'e-2' }]), [near, { ...near, id: 'e-2' }]],
    ['keys with stray spaces and another case', { ...gridEvent, data: { ...data, ObjectName: undefined, 'ObjectName ': 'litellm-a-abc', id: ` ${native}`, Id: undefined } }, [near]],
    ['an expiry', { ...gridEvent, eventType: 'Microsoft.KeyVault.SecretExpired' }, [near]],
    ['a new version', { ...gridEvent, eventType: 'Microsoft.KeyVault.SecretNewVersionCreated' }, [{ ...near, kind: 'invalidate' }]],
    ['an event about a certificate', { ...gridEvent, eventType: 'Microsoft.KeyVault.CertificateNearExpiry' }, [{ kind: 'probe' }]],
  ])('is read: %s', (_title, message, expected) => {
    expect(queueEvents(message, 'm-1')).toMatchObject(expected)
  })

  it.each<[string, unknown]>([
    ['nothing', undefined], ['no JSON', 'not JSON'], ['no event', {}], ['an empty list', []], ['a number', 7], ['1 MB', 'x'.repeat(1_000_000)], ['base64 of no JSON', Buffer.from('not JSON').toString('base64')],
    ['a handshake of another topic', [{ id: 'e', topic: '/subscriptions/other', eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent', data: { validationCode: 'code', validationUrl: 'https://evil.example/' } }]],
    ['an event of another service', { ...gridEvent, eventType: 'Microsoft.Storage.BlobCreated' }],
    ['an address that is none', { ...gridEvent, data: { ...data, Id: 'litellm-a-abc' } }], ['the address of a key', { ...gridEvent, data: { ...data, Id: native.replace('secrets', 'keys') } }],
    ['another vault’s name beside it', { ...gridEvent, data: { ...data, VaultName: 'other-vault' } }], ['another secret’s name beside it', { ...gridEvent, data: { ...data, ObjectName: 'other' } }],
    ['a topic that is another vault', { ...gridEvent, topic: topic.replace('example-vault', 'other-vault') }], ['a key of a vault for an object', { ...gridEvent, data: { ...data, ObjectType: 'Key' } }], ['no data', { ...gridEvent, data: 'x' }],
  ])('is refused: %s', (_title, message) => {
    const [parsed] = queueEvents(message, 'm-1') as readonly MalformedEvent[]

    expect(parsed?.problem).toMatch(/\.$/)
    expect(JSON.stringify(parsed)).not.toMatch(/evil|xxxx/)
  })

  it('a tick of the timer asks for the sweep', () => {
    expect(timerEvent('tick-1')).toEqual({ source: 'timer', kind: 'due', id: 'tick-1' })
  })
})

const triggers = (decision: RotationOutcome['decision']) => {
  const poisoned: unknown[] = []
  const error = new LatchkeyError('provider_unavailable', 'The vault does not answer.')
  const rotator = { handle: async (): Promise<RotationOutcome> => ({ decision, reason: decision === 'retry' ? 'failed' : 'rotated', message: 'What was decided.', ...(decision === 'retry' ? { error } : {}) }) }
  const made = rotateTriggers({ rotator, runtime: { clock: new ManualClock() } }, 'poison')
  const context = { invocationId: 'i-1', triggerMetadata: { id: 'm-1' }, extraOutputs: { set: (output: string, value: unknown) => void poisoned.push([output, value]) } }
  return { ...made, context, poisoned }
}

describe('the triggers of the rotate app', () => {
  it.each(['done', 'ignored'] as const)('take a message for good that is %s', async (decision) => {
    const { queue, context, poisoned } = triggers(decision)

    await expect(queue(gridEvent, context)).resolves.toBeUndefined()
    expect(poisoned).toEqual([])
  })

  it('put a message that no repetition mends into the poison queue, as it came, at the first attempt', async () => {
    const { queue, context, poisoned } = triggers('refused')

    await queue('not JSON', context)

    expect(poisoned).toEqual([['poison', 'not JSON']])
  })

  it('fail for one that may be mended, so that the platform counts its attempts', async () => {
    const { queue, timer, context, poisoned } = triggers('retry')

    await expect(queue(gridEvent, context)).rejects.toMatchObject({ code: 'provider_unavailable' })
    await expect(timer({}, context)).rejects.toMatchObject({ code: 'provider_unavailable' })
    expect(poisoned).toEqual([])
  })
})
