// Keys of a cloud whose rotate function runs in a process of its own: made with tokens that no output may hold, and looked at after its work; and what the function's answers
// come to for the platform.
import { randomUUID } from 'node:crypto'
import type { KeyAnswer } from '../../../shared/core/virtual-key.ts'
import { day } from '../../rotation/rotation-house.ts'
import { watch } from '../../support/canary.ts'
import type { House, RotatingAws, RotatingCloud } from './rotating-clouds.ts'
import type { Outcome } from './runtime-api.ts'

/** AWS's steps, in their order. */
export const stepNames = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const

/** What is true of a key that nothing was done to. */
export const untouched = { epoch: 1, ended: true, same: true, now: [true, true], aDayLater: [true, true] }
/** What is true of a key after one rotation with a day's grace. */
export const rotatedOnce = { epoch: 2, ended: true, same: false, now: [true, true], aDayLater: [false, true] }

/** Follows the keys of one cloud, by their aliases. */
export const followKeys = (cloudName: string) => {
  const made = new Map<string, KeyAnswer>()
  const make = async (house: House, alias: string, more: object = {}): Promise<void> => {
    const key = await house.oldKey(alias, more)
    watch(`${cloudName} ${alias}`, key.key?.reveal() ?? '')
    made.set(alias, key)
  }
  /** How often a key has a new token, whether every operation on it came to its end, whether the first one and the current one are accepted, and what is left of the first a day later. */
  const stateOf = (cloud: RotatingCloud, alias: string) =>
    cloud.look(async (house) => {
      const [first, current] = [made.get(alias)?.key, await house.tokenOf(alias)]
      watch(`${cloudName} ${alias} now`, current.reveal())
      const at = async () => [await house.accepts(first), await house.accepts(current)]
      const { epoch, operations } = await house.keys.info({ alias }, house.call())
      const state = { epoch, ended: operations.every(({ step }) => step === 'done'), same: first?.equals(current), now: await at() }
      house.clock.advance(day + 60_000)
      return { ...state, aDayLater: await at() }
    })
  return { make, stateOf, keyIdOf: (alias: string): string | undefined => made.get(alias)?.keyId }
}

/** What was answered to somebody, and how many changes were asked of the service for it. */
export const counted = async <T>(cloud: RotatingCloud, act: () => Promise<T>): Promise<readonly [T, number]> => {
  const before = cloud.changes()
  const answer = await act()
  return [answer, cloud.changes() - before]
}

/** What Lambda takes for the answer: the decisions, or the failure. */
export const told = ({ response, error }: Outcome): unknown => {
  if (error !== undefined) return `${error.errorType}: ${String(error.errorMessage).split(':')[0] ?? ''}`
  return (JSON.parse(response ?? '') as { readonly outcomes: readonly { readonly decision: string; readonly reason: string }[] }).outcomes.map(({ decision, reason }) => `${decision} ${reason}`)
}

/** What EventBridge Scheduler sends. Default: the sweep. */
export const scheduled = (more: object = {}): object => ({ source: 'latchkey.scheduler', action: 'rotate due', schedule: 'arn:aws:scheduler:us-east-1:123456789012:schedule/default/sweep', scheduledTime: new Date().toISOString(), ...more })

/** A queue's batch, of which only the second record can ever be done; it rotates a key. */
const mixedBatch = (keyId: string | undefined): object => {
  const bodies = [{ hello: 'world' }, scheduled({ action: 'rotate', keys: [keyId] }), { Step: 'createSecret', SecretId: 'x', ClientRequestToken: randomUUID() }]
  return { Records: bodies.map((body, index) => ({ eventSource: 'aws:sqs', messageId: `m-${index + 1}`, body: JSON.stringify(body) })) }
}

/** What the queue is told of such a batch while AWS refuses the function, and afterwards. */
export const deliverMixedBatch = async (aws: RotatingAws, keyId: string | undefined): Promise<readonly unknown[]> => {
  const batch = mixedBatch(keyId)
  aws.refuseAll()
  const refused = await aws.invoke(batch)
  aws.heal()
  const healed = await aws.invoke(batch)
  return [refused.response, healed.response].map((text) => JSON.parse(text ?? '') as unknown)
}
/** What it should be told: the record that a repetition may mend, and then none. */
export const mixedBatchAnswers = [{ batchItemFailures: [{ itemIdentifier: 'm-2' }] }, { batchItemFailures: [] }]
