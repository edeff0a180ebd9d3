// The rotate app's two triggers: a message of the queue to which Event Grid delivers, and the timer. A message that no repetition can mend goes to the poison queue at once,
// by an output of our own; one that may be mended fails, and the platform puts it there after its last attempt (`maxDequeueCount` in host.json).
import type { Rotator } from '../../shared/core/rotation/rotator.ts'
import type { Clock } from '../../shared/core/runtime.ts'
import { handleAll, throwRetries } from '../events.ts'
import { queueEvents, timerEvent } from './events.ts'

/** What Latchkey uses of the platform's invocation context. */
export interface EventContext<Output> {
  readonly invocationId: string
  readonly triggerMetadata?: Readonly<Record<string, unknown>> | undefined
  readonly extraOutputs: { set(output: Output, value: unknown): void }
}

/** The handlers, to be registered with the platform's own `app.storageQueue` and `app.timer`; `poison` is the queue output that is registered with the first. */
export const rotateTriggers = <Output>({ rotator, runtime }: { readonly rotator: Pick<Rotator, 'handle'>; readonly runtime: { readonly clock: Clock } }, poison: Output) => ({
  queue: async (message: unknown, context: EventContext<Output>): Promise<void> => {
    const { id } = context.triggerMetadata ?? {}
    const outcomes = await handleAll(rotator, runtime.clock, queueEvents(message, typeof id === 'string' ? id : context.invocationId))
    throwRetries(outcomes)
    if (outcomes.some(({ decision }) => decision === 'refused')) context.extraOutputs.set(poison, message)
  },
  timer: async (_tick: unknown, context: Pick<EventContext<Output>, 'invocationId'>): Promise<void> => {
    throwRetries(await handleAll(rotator, runtime.clock, [timerEvent(context.invocationId)]))
  },
})
