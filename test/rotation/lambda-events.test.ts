// What AWS sends the rotate function, as its documentation has it, and what the platform is told of it.
import { describe, expect, it } from 'vitest'
import { answerEvents } from '../../functions/lambda/answer-events.ts'
import { lambdaEvents } from '../../functions/lambda/events.ts'
import type { Parsed } from '../../functions/events.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { MalformedEvent, RotationEvent, RotationOutcome } from '../../shared/core/rotation/event.ts'
import { ManualClock } from '../support/runtime.ts'

const arn = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:litellm/a-AbCdEf'
const handler = 'arn:aws:lambda:us-east-1:123456789012:function:rotate'
const token = '0a1b2c3d-0000-4000-8000-0123456789ab'
const step = { Step: 'createSecret', SecretId: arn, ClientRequestToken: token }
const at = '2026-11-21T12:00:00Z'
const labelUpdated = { version: '0', id: 'e-1', 'detail-type': 'Secret Label Updated', source: 'aws.secretsmanager', account: '123456789012', time: at, region: 'us-east-1', resources: [arn], detail: { name: 'litellm/a', labelUpdated: 'AWSCURRENT', versionId: token } }
const cloudTrail = (kind: string, detail: object): object => ({ id: 'e-2', 'detail-type': kind, source: 'aws.secretsmanager', time: at, resources: [], detail })
const schedule = { source: 'latchkey.scheduler', action: 'rotate due', schedule: 'arn:aws:scheduler:us-east-1:123456789012:schedule/default/sweep', scheduledTime: at }

const read = (event: unknown): readonly Parsed[] => lambdaEvents(event, handler, 'request-1').flatMap(({ events }) => events)

describe('an invocation of the rotate function', () => {
  it.each<[string, unknown, Partial<RotationEvent>]>([
    ['a step', step, { source: 'secrets_manager_step', kind: 'step', step: 'create', native: arn, version: token, handler, id: `${token}:createSecret` }],
    ['a step as the guide spells it', { ...step, Step: 'finish_secret' }, { kind: 'step', step: 'finish' }],
    ['a step with its rotation token', { ...step, RotationToken: 'r'.repeat(36) }, { kind: 'step', rotationToken: 'r'.repeat(36) }],
    ['a label that moved', labelUpdated, { source: 'event_bridge', kind: 'invalidate', native: arn, id: 'e-1', at: new Date(at) }],
    ['a value that was put, seen by CloudTrail', cloudTrail('AWS API Call via CloudTrail', { eventName: 'PutSecretValue', requestParameters: { secretId: 'litellm/a' }, responseElements: { arn } }), { kind: 'invalidate', native: arn }],
    ['the same in an older record', cloudTrail('AWS API Call via CloudTrail', { eventName: 'UpdateSecret', requestParameters: { secretId: 'litellm/a' }, responseElements: { aRN: arn } }), { kind: 'invalidate', native: arn }],
    ['the same by name alone', cloudTrail('AWS API Call via CloudTrail', { eventName: 'UpdateSecret', requestParameters: { secretId: 'litellm/a' } }), { kind: 'invalidate', name: 'litellm/a' }],
    ['a rotation that succeeded', cloudTrail('AWS Service Event via CloudTrail', { eventName: 'RotationSucceeded', additionalEventData: { SecretId: arn } }), { kind: 'invalidate', native: arn }],
    ['a read, seen by CloudTrail', cloudTrail('AWS API Call via CloudTrail', { eventName: 'GetSecretValue', requestParameters: { secretId: arn } }), { kind: 'probe' }],
    ['a change that was refused', cloudTrail('AWS API Call via CloudTrail', { eventName: 'PutSecretValue', errorCode: 'AccessDenied', requestParameters: { secretId: arn } }), { kind: 'probe' }],
    ['a schedule’s sweep', schedule, { source: 'scheduler', kind: 'due', at: new Date(at), id: `${schedule.schedule}@2026-11-21T12:00:00.000Z` }],
    ['a schedule of the older kind', { id: 'e-3', source: 'aws.events', 'detail-type': 'Scheduled Event', time: at, resources: ['arn:aws:events:us-east-1:123456789012:rule/sweep'], detail: {} }, { source: 'scheduler', kind: 'due', id: 'e-3', at: new Date(at) }],
    ['a schedule by EventBridge', { id: 'e-4', source: 'latchkey', 'detail-type': 'Schedule', time: at, detail: schedule }, { source: 'scheduler', kind: 'due' }],
  ])('reads %s', (_title, event, expected) => {
    expect(read(event)).toMatchObject([expected])
  })

  it('reads a schedule for single keys as one event each', () => {
    expect(read({ ...schedule, action: 'rotate', keys: ['abcdefghijklmnop', 'ponmlkjihgfedcba'] })).toMatchObject([{ kind: 'rotate', keyId: 'abcdefghijklmnop' }, { kind: 'rotate', keyId: 'ponmlkjihgfedcba' }])
  })

  it.each([{ Step: 'sk-typed-by-somebody' }, { ClientRequestToken: 'sk-typed-by-somebody' }])('knows what is no step by its delivery, and repeats nothing of it: %o', (wrong) => {
    expect(read({ ...step, ...wrong })).toMatchObject([{ id: 'request-1' }])
  })

  it('knows a later attempt of the same schedule for the same event, whatever the invocation', () => {
    const [one, two] = [lambdaEvents(schedule, handler, 'request-1'), lambdaEvents(schedule, handler, 'request-2')]

    expect(one[0]?.events[0]?.id).toBe(two[0]?.events[0]?.id)
  })

  it('reads the records of a queue, each by itself', () => {
    const records = [{ eventSource: 'aws:sqs', messageId: 'm-1', body: JSON.stringify(labelUpdated) }, { eventSource: 'aws:sqs', messageId: 'm-2', body: 'not JSON' }, { eventSource: 'aws:sqs', messageId: 'm-3', body: JSON.stringify(step) }]

    expect(lambdaEvents({ Records: records }, handler, 'r')).toMatchObject([
      { messageId: 'm-1', events: [{ kind: 'invalidate' }] },
      { messageId: 'm-2', events: [{ problem: 'It is not a JSON object.' }] },
      { messageId: 'm-3', events: [{ problem: expect.stringContaining('not through a queue') }] },
    ])
  })

  it.each<[string, unknown]>([
    ['nothing', undefined], ['text', 'x'], ['a list', []], ['an empty object', {}], ['HTTP', { version: '2.0', rawPath: '/secrets/A', requestContext: { http: { method: 'GET' } } }],
    ['an unknown step', { ...step, Step: 'dropSecret' }], ['a step with a field too many', { ...step, Extra: 1 }], ['a step without its token', { Step: 'createSecret', SecretId: arn }],
    ['a step with a short token', { ...step, ClientRequestToken: 'short' }], ['a step by name', { ...step, SecretId: 'litellm/a' }], ['a step with a number for its secret', { ...step, SecretId: 7 }],
    ['a step of 1 MB', { ...step, SecretId: `${arn}${'x'.repeat(1_000_000)}` }], ['a rotation token of one character', { ...step, RotationToken: 'x' }], ['a step that is a prototype’s member', { ...step, Step: 'constructor' }],
    ['an event of another service', { ...labelUpdated, source: 'aws.s3' }], ['an event of an unknown kind', { ...labelUpdated, 'detail-type': 'Something Else' }], ['an event without a secret', { ...labelUpdated, resources: [], detail: {} }],
    ['a schedule without an action', { source: 'latchkey.scheduler' }], ['a schedule with keys that are none', { ...schedule, action: 'rotate', keys: ['../x'] }], ['a schedule with too many keys', { ...schedule, action: 'rotate', keys: Array.from({ length: 101 }, () => 'abcdefghijklmnop') }],
    ['a record of another source', { Records: [{ eventSource: 'aws:s3', body: '{}' }] }], ['a record with 1 MB', { Records: [{ eventSource: 'aws:sqs', messageId: 'm', body: `"${'x'.repeat(1_000_000)}"` }] }],
  ])('refuses %s with a problem that holds nothing of the event', (_title, event) => {
    const [parsed] = read(event) as readonly MalformedEvent[]

    expect(parsed?.problem).toMatch(/\.$/)
    expect(parsed?.problem.length).toBeLessThan(200)
    expect(JSON.stringify(parsed)).not.toContain('xxxxxxxx')
  })
})

const outcome = (decision: RotationOutcome['decision']): RotationOutcome => ({ decision, reason: decision === 'retry' ? 'failed' : decision === 'refused' ? 'malformed' : 'rotated', message: 'What was decided.', ...(decision === 'retry' ? { error: new LatchkeyError('provider_unavailable', 'The service does not answer.') } : {}) })
const context = { invokedFunctionArn: handler, awsRequestId: 'request-1', getRemainingTimeInMillis: () => 30_000 }
const answer = (event: unknown, ...decisions: RotationOutcome['decision'][]) => {
  const left = [...decisions]
  return answerEvents({ handle: async () => outcome(left.shift() ?? 'done') }, new ManualClock(), event, context)
}

describe('what AWS is told', () => {
  it('a step that was refused or failed fails, so that the rotation does', async () => {
    await expect(answer(step, 'refused')).rejects.toThrow('malformed: What was decided.')
    await expect(answer(step, 'retry')).rejects.toMatchObject({ code: 'provider_unavailable' })
    await expect(answer(step, 'ignored')).resolves.toMatchObject({ outcomes: [{ decision: 'ignored' }] })
  })

  it('an event that was refused succeeds, because no repetition mends it; one that failed fails', async () => {
    await expect(answer(labelUpdated, 'refused')).resolves.toMatchObject({ outcomes: [{ decision: 'refused', reason: 'malformed' }] })
    await expect(answer(schedule, 'retry')).rejects.toMatchObject({ code: 'provider_unavailable' })
  })

  it('of many keys every one is handled before the first failure is told', async () => {
    const keys = ['abcdefghijklmnop', 'ponmlkjihgfedcba']
    let handled = 0
    const rotator = { handle: async () => outcome((handled += 1) === 1 ? 'retry' : 'done') }

    await expect(answerEvents(rotator, new ManualClock(), { ...schedule, action: 'rotate', keys }, context)).rejects.toMatchObject({ code: 'provider_unavailable' })
    expect(handled).toBe(2)
  })

  it('of a queue’s records only those come again that may succeed', async () => {
    const Records = ['m-1', 'm-2', 'm-3'].map((messageId) => ({ eventSource: 'aws:sqs', messageId, body: JSON.stringify(labelUpdated) }))

    await expect(answer({ Records }, 'done', 'retry', 'refused')).resolves.toEqual({ batchItemFailures: [{ itemIdentifier: 'm-2' }] })
  })
})
