// What the platform is told of one invocation with events. A step that was refused fails, so that Secrets Manager knows; an asynchronous event that was refused does not,
// because no repetition mends it; of a queue's records those fail that a repetition may mend.
import type { Rotator } from '../../shared/core/rotation/rotator.ts'
import type { Clock } from '../../shared/core/runtime.ts'
import { failureOf, handleAll, shownOutcome, throwRetries, type Sent } from '../events.ts'
import { marginMs } from '../time-budget.ts'
import { lambdaEvents } from './events.ts'

/** What Latchkey uses of the platform's context. */
export interface LambdaContext {
  readonly invokedFunctionArn: string
  readonly awsRequestId: string
  getRemainingTimeInMillis(): number
}

/** Handles one invocation with the time that the platform leaves, less 1.5 s. @throws what the platform shall deliver again, or what fails a step */
export const answerEvents = async (rotator: Pick<Rotator, 'handle'>, clock: Clock, event: unknown, context: LambdaContext): Promise<Sent> => {
  const read = lambdaEvents(event, context.invokedFunctionArn, context.awsRequestId)
  const failed: { readonly itemIdentifier: string }[] = []
  const shown: Sent[] = []
  for (const { messageId, events } of read) {
    const outcomes = await handleAll(rotator, clock, events, context.getRemainingTimeInMillis() - marginMs)
    shown.push(...outcomes.map(shownOutcome))
    if (messageId !== undefined) {
      if (outcomes.some(({ decision }) => decision === 'retry')) failed.push({ itemIdentifier: messageId })
      continue
    }
    const step = events.some(({ source }) => source === 'secrets_manager_step') ? outcomes.find(({ decision }) => decision === 'refused') : undefined
    if (step !== undefined) throw failureOf(step)
    throwRetries(outcomes)
  }
  return read.some(({ messageId }) => messageId !== undefined) ? { batchItemFailures: failed } : { outcomes: shown }
}
