// The rotate functions as they are deployed: built, in processes of their own under what each platform runs them with, over the services' own wire protocols. What the
// events mean is test/rotation's; here is what the platform hands over, what it is told, and what is in the store afterwards.
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { day } from '../rotation/rotation-house.ts'
import { canariesIn, watch } from '../support/canary.ts'
import { counted, deliverMixedBatch, followKeys, mixedBatchAnswers, rotatedOnce, scheduled, stepNames, told, untouched } from './processes/rotated-keys.ts'
import { openRotatingAws, openRotatingAzure, openRotatingGoogle, type RotatingAws, type RotatingAzure, type RotatingCloud, type RotatingGoogle } from './processes/rotating-clouds.ts'
import { invokedFunction } from './processes/runtime-api.ts'
import { nameIn } from '../../shared/core/stores/naming.ts'

const startingMs = 120_000

const expectNothingPrinted = (cloud: RotatingCloud): void => {
  expect(cloud.output()).toContain('"action":"events:rotate"')
  expect(canariesIn(cloud.output())).toEqual([])
}

describe('lambda: the built rotate function under the Runtime API', () => {
  const { make, stateOf, keyIdOf } = followKeys('aws')
  let aws: RotatingAws
  beforeAll(async () => {
    aws = await openRotatingAws(async (house) => {
      await make(house, 'due', { data: { auto_rotate: true, rotation_interval: '30d' } })
      for (const alias of ['steps', 'order', 'foreign', 'hurried', 'queued']) await make(house, alias)
    })
  }, startingMs)
  afterAll(() => aws?.close())

  const begin = (alias: string, lambda = invokedFunction) => {
    const token = randomUUID()
    return { token, arn: aws.begin(`litellm/${alias}`, token, lambda) }
  }
  const step = (name: string, { arn, token }: { readonly arn: string; readonly token: string }) => aws.invoke({ Step: name, SecretId: arn, ClientRequestToken: token })

  it('does AWS’s four steps in order, each delivered twice, and the key has one new token', async () => {
    const rotation = begin('steps')

    const [answers, repeated]: [unknown[], unknown[]] = [[], []]
    for (const name of stepNames) {
      answers.push(told(await step(name, rotation)))
      const [again, changes] = await counted(aws, () => step(name, rotation))
      repeated.push([told(again), changes])
    }

    expect(answers).toEqual([['done step_done'], ['done step_done'], ['done step_done'], ['done step_done']])
    expect(repeated).toEqual([[['done step_done'], 0], [['done step_done'], 0], [['done step_done'], 0], [['ignored already_done'], 0]])
    expect(aws.stagesOf('litellm/steps', rotation.token)).toContain('AWSCURRENT')
    expect(await stateOf(aws, 'steps')).toEqual(rotatedOnce)
  })

  it('fails a step out of order, so that AWS’s rotation fails, and changes nothing', async () => {
    const rotation = begin('order')

    const [answers, changes] = await counted(aws, async () => [told(await step('setSecret', rotation)), told(await step('testSecret', rotation)), told(await step('finishSecret', rotation))])

    expect([answers, changes]).toEqual([Array.from({ length: 3 }, () => 'LatchkeyError: out_of_order'), 0])
    expect(aws.stagesOf('litellm/order', rotation.token)).not.toContain('AWSCURRENT')
    expect(await stateOf(aws, 'order')).toEqual(untouched)
  })

  it('fails a step about another account’s secret, by another function, or with a field too many, and changes nothing', async () => {
    const rotation = begin('foreign', `${invokedFunction}-of-others`)
    const { arn, token } = rotation

    const [answers, changes] = await counted(aws, async () => [
      told(await step('createSecret', { arn: arn.replace('123456789012', '999999999999'), token })),
      told(await step('createSecret', { arn: arn.replace('us-east-1', 'eu-west-1'), token })),
      told(await step('createSecret', rotation)),
      told(await aws.invoke({ Step: 'createSecret', SecretId: arn, ClientRequestToken: token, Value: 'x' })),
    ])

    expect([answers, changes]).toEqual([['LatchkeyError: not_ours', 'LatchkeyError: not_ours', 'LatchkeyError: not_enabled', 'LatchkeyError: malformed'], 0])
    expect(await stateOf(aws, 'foreign')).toEqual(untouched)
  })

  it('answers a Scheduler’s "rotate due" with what is due, once, and leaves the other keys alone', async () => {
    const event = scheduled()

    const first = told(await aws.invoke(event))
    const [again, changes] = await counted(aws, () => aws.invoke(event))

    expect([first, told(again), changes]).toEqual([['done swept'], ['done swept'], 0])
    expect([await stateOf(aws, 'due'), await stateOf(aws, 'hurried')]).toEqual([rotatedOnce, untouched])
  })

  it('takes a malformed event that nobody waits for as done, because a failure would only bring it again', async () => {
    const [answers, changes] = await counted(aws, async () => [told(await aws.invoke(scheduled({ action: 'drop' }))), told(await aws.invoke({ source: 'aws.s3', 'detail-type': 'Object Created', detail: {} })), told(await aws.invoke(null))])

    expect([answers, changes]).toEqual([Array.from({ length: 3 }, () => ['refused malformed']), 0])
  })

  it('fails while AWS refuses it, so that the event comes again, and rotates once when it does', async () => {
    const event = scheduled({ action: 'rotate', keys: [keyIdOf('hurried')] })
    aws.refuseAll()
    const failed = await aws.invoke(event)
    aws.heal()

    const answers = [told(await aws.invoke(event)), told(await aws.invoke(event))]

    expect(failed).toMatchObject({ error: { errorType: 'LatchkeyError', errorMessage: expect.stringContaining('secretsmanager:') } })
    expect(answers).toEqual([['done rotated'], ['ignored already_done']])
    expect(await stateOf(aws, 'hurried')).toEqual(rotatedOnce)
  })

  it('of a queue’s records names those that shall come again, and no others', async () => {
    const answers = await deliverMixedBatch(aws, keyIdOf('queued'))

    expect(answers).toEqual(mixedBatchAnswers)
    expect(await stateOf(aws, 'queued')).toEqual(rotatedOnce)
  })

  it('prints a line for every event and no token', () => {
    expectNothingPrinted(aws)
  })
})

describe('azure: the built rotate app under the worker’s stand-in', () => {
  const { make, stateOf } = followKeys('azure')
  let azure: RotatingAzure
  beforeAll(async () => {
    azure = await openRotatingAzure(async (house) => {
      await make(house, 'due', { data: { auto_rotate: true, rotation_interval: '30d' } })
      for (const alias of ['near', 'poisoned', 'later']) await make(house, alias)
      await house.oldSecret('DB-PASSWORD', watch('azure DB-PASSWORD', 'the-first-password'))
      await house.provider.annotate?.(nameIn(house.store, 'DB-PASSWORD'), { expires: new Date(Date.now() + 20 * day) }, house.call())
    })
  }, startingMs)
  afterAll(() => azure?.close())

  /** As Event Grid writes it into a storage queue: base64 of one event. */
  const nearExpiry = (native: string, vault = new URL(native).hostname.split('.')[0]): string => {
    const [, , objectName] = new URL(native).pathname.split('/')
    const data = { Id: `${native}/0123456789abcdef0123456789abcdef`, VaultName: vault, ObjectType: 'Secret', ObjectName: objectName, Version: '0123456789abcdef0123456789abcdef', NBF: null, EXP: String(Math.floor(Date.now() / 1_000) + 20 * 86_400) }
    const topic = `/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/${vault ?? ''}`
    return Buffer.from(JSON.stringify({ id: randomUUID(), topic, subject: objectName, eventType: 'Microsoft.KeyVault.SecretNearExpiry', eventTime: new Date().toISOString(), data, dataVersion: '1', metadataVersion: '1' })).toString('base64')
  }
  const queue = 'rotation-events'

  it('registers a queue with a poison output and a timer, by the app’s own settings', () => {
    expect(azure.registered.map(({ name, bindings }) => [name, Object.values(bindings)])).toMatchObject([
      [queue, [{ type: 'queueTrigger', direction: 'in', queueName: 'rotation', connection: 'EventsStorage' }, { type: 'queue', direction: 'out', queueName: 'rotation-poison', connection: 'EventsStorage' }]],
      ['rotation-sweep', [{ type: 'timerTrigger', direction: 'in', schedule: '0 */15 * * * *' }]],
    ])
  })

  it('rotates the key of a near-expiry message; its second delivery, and another event about the same, do nothing', async () => {
    const native = azure.nativeOf('litellm/near')
    const message = nearExpiry(native)

    const first = await azure.deliver(queue, message, 'm-1')
    const [again, changes] = await counted(azure, async () => [await azure.deliver(queue, message, 'm-1'), await azure.deliver(queue, nearExpiry(native), 'm-2')])

    expect([first, again, changes]).toEqual([{ outputs: [] }, [{ outputs: [] }, { outputs: [] }], 0])
    expect(azure.vaultOf('litellm/near').versions).toBe(2)
    expect(await stateOf(azure, 'near')).toEqual(rotatedOnce)
  })

  it('rotates an ordinary secret by the operator’s own module, once, and moves its end', async () => {
    const message = nearExpiry(azure.nativeOf('DB-PASSWORD'))

    const first = await azure.deliver(queue, message, 'm-1')
    const [again, changes] = await counted(azure, () => azure.deliver(queue, message, 'm-1'))

    expect([first, again, changes]).toEqual([{ outputs: [] }, { outputs: [] }, 0])
    expect((await azure.look((house) => house.valueOf('DB-PASSWORD'))).reveal()).toBe('the-first-password+')
    expect(azure.vaultOf('DB-PASSWORD').expires).toBeGreaterThan(Date.now() + 59 * day)
  })

  it('puts a message that no repetition mends into the poison queue, as it came, and changes nothing', async () => {
    const foreign = nearExpiry(azure.nativeOf('litellm/poisoned').replace(/:\d+/, ''))
    const messages = [Buffer.from('not JSON').toString('base64'), foreign, nearExpiry(azure.nativeOf('litellm/poisoned'), 'other-vault')]

    const [answers, changes] = await counted(azure, async () => [await azure.deliver(queue, messages[0] ?? '', 'm-1'), await azure.deliver(queue, messages[1] ?? '', 'm-2'), await azure.deliver(queue, messages[2] ?? '', 'm-3')])

    expect(answers).toEqual(messages.map((message) => ({ outputs: [['rotation-poison', Buffer.from(message, 'base64').toString('utf8')]] })))
    expect(changes).toBe(0)
    expect(await stateOf(azure, 'poisoned')).toEqual(untouched)
  })

  it('fails while the vault refuses it, so that the platform counts the attempt, and rotates at the next one', async () => {
    const message = nearExpiry(azure.nativeOf('litellm/later'))
    azure.refuseAll()
    const failed = await azure.deliver(queue, message, 'm-1')
    azure.heal()

    const next = await azure.deliver(queue, message, 'm-1')

    expect([Object.keys(failed), next]).toEqual([['error'], { outputs: [] }])
    expect(await stateOf(azure, 'later')).toEqual(rotatedOnce)
  })

  it('rotates at the timer’s tick what is due, and nothing at the next', async () => {
    const first = await azure.tick('rotation-sweep')
    const [again, changes] = await counted(azure, () => azure.tick('rotation-sweep'))

    expect([first, again, changes]).toEqual([{ outputs: [] }, { outputs: [] }, 0])
    expect([await stateOf(azure, 'due'), await stateOf(azure, 'poisoned')]).toEqual([rotatedOnce, untouched])
  })

  it('prints a line for every event and no token', () => {
    expectNothingPrinted(azure)
  })
})

describe('gcp: the built rotate function under the functions-framework', () => {
  const { make, stateOf } = followKeys('google')
  let google: RotatingGoogle
  beforeAll(async () => {
    google = await openRotatingGoogle(async (house) => {
      await make(house, 'due', { data: { auto_rotate: true, rotation_interval: '30d' } })
      for (const alias of ['event', 'structured', 'others', 'later']) await make(house, alias)
    })
  }, startingMs)
  afterAll(() => google?.close())

  const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64')
  const secretRotate = (native: string): object => ({ data: base64({ name: native }), messageId: randomUUID(), publishTime: new Date().toISOString(), attributes: { eventType: 'SECRET_ROTATE', dataFormat: 'JSON_API_V1', secretId: native, timestamp: new Date().toISOString() } })
  const attributes = { specversion: '1.0', type: 'google.cloud.pubsub.topic.v1.messagePublished', source: '//pubsub.googleapis.com/projects/fake-project/topics/rotation' }
  const subscription = 'projects/fake-project/subscriptions/eventarc-rotate'
  /** As Eventarc delivers it: the event's attributes as headers. Answers the status, by which the subscription knows whether to send it again. */
  const deliver = async (message: object): Promise<number> => {
    const headers = Object.fromEntries(Object.entries({ ...attributes, id: randomUUID(), time: new Date().toISOString() }).map(([name, value]) => [`ce-${name}`, value]))
    return (await google.post({ ...headers, 'content-type': 'application/json' }, { message, subscription })).status
  }

  it('rotates the key of a SECRET_ROTATE; its second delivery, and another event about the same, do nothing', async () => {
    const native = google.nativeOf('litellm/event')
    const message = secretRotate(native)

    const first = await deliver(message)
    const [again, changes] = await counted(google, async () => [await deliver(message), await deliver(secretRotate(native))])

    expect([first, again, changes]).toEqual([204, [204, 204], 0])
    expect(await stateOf(google, 'event')).toEqual(rotatedOnce)
  })

  it('takes the same event in one JSON body', async () => {
    const { status } = await google.post({ 'content-type': 'application/cloudevents+json' }, { ...attributes, id: randomUUID(), data: { message: secretRotate(google.nativeOf('litellm/structured')), subscription } })

    expect(status).toBe(204)
    expect(await stateOf(google, 'structured')).toEqual(rotatedOnce)
  })

  it('acknowledges a message that is not ours, and changes nothing', async () => {
    const native = google.nativeOf('litellm/others')

    const [statuses, changes] = await counted(google, async () => [
      await deliver({ data: base64({ hello: 'world' }), messageId: '1', attributes: { a: 'b' } }),
      await deliver(secretRotate(native.replace(/^projects\/\d+/, 'projects/999999999999'))),
      await deliver(secretRotate(`${native}-2d`)),
      await deliver({ ...secretRotate(native), data: base64({ name: `${native}-2d` }) }),
    ])

    expect([statuses, changes]).toEqual([[204, 204, 204, 204], 0])
    expect(google.output().match(/"code":"(?:malformed|not_ours)"/g)).toEqual(['"code":"malformed"', '"code":"not_ours"', '"code":"not_ours"', '"code":"malformed"'])
    expect(await stateOf(google, 'others')).toEqual(untouched)
  })

  it('fails while Secret Manager refuses it, so that the subscription sends it again, and rotates when it does', async () => {
    const message = secretRotate(google.nativeOf('litellm/later'))
    google.refuseAll()
    const failed = await deliver(message)
    google.heal()

    const next = await deliver(message)

    expect([failed, next]).toEqual([500, 204])
    expect(await stateOf(google, 'later')).toEqual(rotatedOnce)
  })

  it('rotates for Cloud Scheduler’s message what is due, and nothing at the next', async () => {
    const due = (): object => ({ data: base64({ source: 'latchkey.scheduler', action: 'rotate due' }), messageId: randomUUID() })

    const first = await deliver(due())
    const [again, changes] = await counted(google, () => deliver(due()))

    expect([first, again, changes]).toEqual([204, 204, 0])
    expect([await stateOf(google, 'due'), await stateOf(google, 'others')]).toEqual([rotatedOnce, untouched])
  })

  it('prints a line for every event and no token', () => {
    expectNothingPrinted(google)
  })
})
