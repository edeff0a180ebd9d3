// The sweep as a schedule begins it: page after page while there is time, a line for every key that was changed or could not be. Where the time ends it stops,
// and the next one of this process goes on there; a process that is new begins again, which repeats nothing that is done.
import type { KeyLifecycle } from '../key-lifecycle.ts'
import type { Call, Clock } from '../runtime.ts'
import type { Recorder, Verdict } from './event.ts'

/** Below this much time no further page is begun. */
const timeForPageMs = 6_000
const keysAtOnce = 50

/** Looks at what is due from `cursor` on. @throws what keeps a page from being had; nothing that concerns one key */
export const sweepDue = async (keys: KeyLifecycle, clock: Clock, given: string | undefined, call: Call, record: Recorder): Promise<Verdict> => {
  const [swept, context] = [{ checked: 0, repaired: 0, failed: 0 }, { call, caller: 'latchkey', route: 'sweep', body: '' }]
  let [cursor, overdueSince]: [string | undefined, Date | undefined] = [given, undefined]
  const left = (): number => (call.signal.aborted ? 0 : call.deadline - clock.now())
  do {
    const page = await keys.reconcile({ limit: keysAtOnce, repair: true, ...(cursor === undefined ? {} : { cursor }) }, context)
    swept.checked += page.checked
    if (page.overdueSince !== undefined && (overdueSince === undefined || page.overdueSince < overdueSince)) overdueSince = page.overdueSince
    for (const { name, keyId, finding, action } of page.items) {
      if (action !== 'repaired' && action !== 'failed') continue
      swept[action] += 1
      await record({ action: 'keys:reconcile', decision: action === 'failed' ? 'failed' : 'allowed', name, code: finding, ...(keyId === undefined ? {} : { keyId }) })
    }
    // A page that its time did not suffice for comes back with the cursor that it was asked with.
    const stuck = page.cursor !== undefined && page.cursor === cursor
    cursor = page.cursor
    if (stuck) break
  } while (cursor !== undefined && left() >= timeForPageMs)
  const { checked, repaired, failed } = swept
  const whole = cursor === undefined && left() >= timeForPageMs
  return { reason: 'swept', swept, ...(overdueSince === undefined ? {} : { overdueSince }), message: `${checked} looked at, ${repaired} brought in order, ${failed} failed${whole ? '' : '; the time ended before all were looked at'}.`, ...(cursor === undefined ? {} : { cursor }) }
}
