// The rotate function: a CloudEvent of Pub/Sub, as Eventarc delivers it, or the same message pushed over HTTP. Who may deliver is proved in front of it (IAM, OIDC token). An
// event that no repetition can mend is acknowledged, because a failure would only bring it again; what failed is thrown, and the subscription sends it again.
import type { Sent } from '../events.ts'
import { handleAll, throwRetries } from '../events.ts'
import { hostRuntime } from '../host-runtime.ts'
import { openRotator } from '../open-rotator.ts'
import { pubsubEvents } from './events.ts'

const { rotator, runtime } = await openRotator(hostRuntime(), import.meta.dirname)

/** The handler for a function of the signature `cloudevent`. One parameter: with two the framework waits for a callback. */
export const rotate = async (event: Sent): Promise<void> => {
  throwRetries(await handleAll(rotator, runtime.clock, pubsubEvents(event, String(event['id']))))
}
