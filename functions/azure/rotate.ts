// The app that rotates: a queue that Event Grid delivers to, and a timer. The names of the queue and of its storage account's setting are the platform's own kind of
// setting, because the platform reads them before it starts us.
import { app, output } from '@azure/functions'
import { hostRuntime } from '../host-runtime.ts'
import { openRotator } from '../open-rotator.ts'
import { rotateTriggers } from './triggers.ts'

const runtime = hostRuntime()
const opened = await openRotator(runtime, import.meta.dirname)
const queueName = runtime.env.get('LATCHKEY_ROTATION_QUEUE') || 'latchkey-rotation'
const connection = runtime.env.get('LATCHKEY_ROTATION_CONNECTION') || 'AzureWebJobsStorage'
const poison = output.storageQueue({ queueName: `${queueName}-poison`, connection })

/** What the triggers `rotation-events` and `rotation-sweep` call. */
export const triggers = rotateTriggers(opened, poison)
app.storageQueue('rotation-events', { queueName, connection, extraOutputs: [poison], handler: triggers.queue })
app.timer('rotation-sweep', { schedule: runtime.env.get('LATCHKEY_SWEEP_SCHEDULE') || '0 */15 * * * *', handler: triggers.timer })
