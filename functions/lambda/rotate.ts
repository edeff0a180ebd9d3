// The function that rotates: AWS Secrets Manager's steps, EventBridge's events and schedules, a queue's records. It answers no HTTP.
import { hostRuntime } from '../host-runtime.ts'
import { openRotator } from '../open-rotator.ts'
import type { Sent } from '../events.ts'
import { answerEvents, type LambdaContext } from './answer-events.ts'

const { rotator, runtime } = await openRotator(hostRuntime(), import.meta.dirname, { steps: true })

/** The handler for `rotate.handler`. */
export const handler = (event: unknown, context: LambdaContext): Promise<Sent> => answerEvents(rotator, runtime.clock, event, context)
