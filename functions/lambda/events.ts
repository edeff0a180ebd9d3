// What AWS sends the rotate function: the four steps, what EventBridge knows of a secret, a Scheduler's message, and a queue's records with any of these but steps.
import type { RotationStep } from '../../shared/core/rotation/event.ts'
import { dateAt, idOr, isScheduled, jsonOf, malformed, scheduledEvents, textAt, type Parsed, type Sent } from '../events.ts'
import { isMapping } from '../../shared/core/settings/mapping.ts'

const steps: Readonly<Record<string, RotationStep>> = { createSecret: 'create', setSecret: 'set', testSecret: 'test', finishSecret: 'finish', create_secret: 'create', set_secret: 'set', test_secret: 'test', finish_secret: 'finish' }
const stepFields: ReadonlySet<string> = new Set(['Step', 'SecretId', 'ClientRequestToken', 'RotationToken'])
const maxStepBytes = 2048

/** One event, and where it came from if a queue brought it. */
export interface LambdaEvents {
  /** The queue's own id of the message: what a partial failure names. */
  readonly messageId?: string
  readonly events: readonly Parsed[]
}

const versionId = /^[\x21-\x7e]{32,64}$/

const stepOf = (event: Sent, handler: string, delivery: string): Parsed => {
  const source = 'secrets_manager_step'
  const unknown = Object.keys(event).filter((key) => !stepFields.has(key))
  const [native, version, rotationToken] = [textAt(event, 'SecretId'), textAt(event, 'ClientRequestToken'), textAt(event, 'RotationToken')]
  const name = textAt(event, 'Step') ?? ''
  const step = Object.hasOwn(steps, name) ? steps[name] : undefined
  // What is no step is known by its delivery: none of its text stands in a line.
  const id = step === undefined || version === undefined || !versionId.test(version) ? delivery : `${version}:${name}`
  if (unknown.length > 0) return malformed(source, id, 'The event has fields that a rotation step does not have.')
  if (Buffer.byteLength(JSON.stringify(event)) > maxStepBytes) return malformed(source, id, `The event is longer than ${maxStepBytes} bytes.`)
  if (step === undefined) return malformed(source, id, 'Step must be createSecret, setSecret, testSecret or finishSecret.')
  if (native === undefined || !native.startsWith('arn:')) return malformed(source, id, 'SecretId must be the ARN of a secret.')
  if (version === undefined || !versionId.test(version)) return malformed(source, id, 'ClientRequestToken must have 32 to 64 characters.')
  if (event['RotationToken'] !== undefined && (rotationToken === undefined || !/^[\x21-\x7e]{36,256}$/.test(rotationToken))) return malformed(source, id, 'RotationToken must have 36 to 256 characters.')
  return { source, kind: 'step', id, native, version, step, handler, ...(rotationToken === undefined ? {} : { rotationToken }) }
}

const innerOf = (detail: Sent, key: string): Sent => (isMapping(detail[key]) ? detail[key] : {})

/** Where a change event names its secret: by its ARN if it has one anywhere, else by the name that the request had. */
const subjectOf = (event: Sent, detail: Sent): { readonly native?: string; readonly name?: string } => {
  const resources: readonly unknown[] = Array.isArray(event['resources']) ? event['resources'] : []
  const answer = innerOf(detail, 'responseElements')
  const given = [resources[0], answer['arn'], answer['aRN'], innerOf(detail, 'additionalEventData')['SecretId'], innerOf(detail, 'requestParameters')['secretId']].filter((text) => typeof text === 'string')
  const native = given.find((text) => text.startsWith('arn:'))
  const name = given[0] ?? detail['name']
  return native !== undefined ? { native } : typeof name === 'string' && name.length <= 512 ? { name } : {}
}

const bridged = (event: Sent): readonly Parsed[] => {
  const [source, id, kind, detail] = ['event_bridge', idOr(textAt(event, 'id'), 'event'), textAt(event, 'detail-type'), event['detail']] as const
  const at = dateAt(event, 'time')
  const said = { source, id, ...(at === undefined ? {} : { at }) }
  if (event['source'] === 'aws.events' && kind === 'Scheduled Event') return [{ ...said, source: 'scheduler', kind: 'due' }]
  if (isMapping(detail) && isScheduled(detail)) return scheduledEvents(detail, 'scheduler', id)
  if (event['source'] !== 'aws.secretsmanager') return [malformed(source, id, 'The event is not of AWS Secrets Manager, nor of a schedule.')]
  if (!isMapping(detail) || !['Secret Label Updated', 'AWS API Call via CloudTrail', 'AWS Service Event via CloudTrail'].includes(kind ?? '')) return [malformed(source, id, 'The event is of a kind that Secrets Manager does not send.')]
  const subject = subjectOf(event, detail)
  // Who was refused has changed nothing.
  if (textAt(detail, 'errorCode') !== undefined || /^(?:Get|List|Describe|BatchGet|Validate)/.test(textAt(detail, 'eventName') ?? '')) return [{ ...said, kind: 'probe' }]
  return [subject.native === undefined && subject.name === undefined ? malformed(source, id, 'The event names no secret.') : { ...said, kind: 'invalidate', ...subject }]
}

const one = (event: unknown, handler: string, delivery: string, direct: boolean): readonly Parsed[] => {
  if (!isMapping(event)) return [malformed('event_bridge', delivery, 'It is not a JSON object.')]
  if ('Step' in event || 'ClientRequestToken' in event) return [direct ? stepOf(event, handler, delivery) : malformed('secrets_manager_step', delivery, 'A rotation step comes from Secrets Manager itself, not through a queue.')]
  if ('detail-type' in event) return bridged(event)
  if (isScheduled(event)) return scheduledEvents(event, 'scheduler', delivery)
  return [malformed('event_bridge', delivery, 'It is no rotation step, no event of EventBridge and no message of a schedule.')]
}

/** Reads one invocation. `handler` is the ARN that the platform says was invoked; `delivery` its id of the invocation. Never throws. */
export const lambdaEvents = (event: unknown, handler: string, delivery: string): readonly LambdaEvents[] => {
  if (!isMapping(event) || !Array.isArray(event['Records'])) return [{ events: one(event, handler, delivery, true) }]
  return (event['Records'] as readonly unknown[]).map((record) => {
    if (!isMapping(record) || record['eventSource'] !== 'aws:sqs') return { events: [malformed('event_bridge', delivery, 'The record is not of an SQS queue.')] }
    const messageId = idOr(textAt(record, 'messageId'), delivery)
    return { messageId, events: one(jsonOf(typeof record['body'] === 'string' ? record['body'] : ''), handler, messageId, false) }
  })
}
