// The function that rotates: AWS Secrets Manager's steps, EventBridge's events and schedules, a queue's records. It answers no HTTP.
import { starting } from '../deployed.ts'
import { audited, hostPorts } from '../host-runtime.ts'
import { openRotator } from '../open-rotator.ts'
import type { Sent } from '../events.ts'
import { answerEvents, type LambdaContext } from './answer-events.ts'
import { withSecrets } from './variables.ts'

const ports = hostPorts()
const { rotator, runtime } = await openRotator(await starting(ports, async () => audited(await withSecrets(ports))), import.meta.dirname, { steps: true })

/** The handler for `rotate.handler`. */
export const handler = (event: unknown, context: LambdaContext): Promise<Sent> => answerEvents(rotator, runtime.clock, event, context)
