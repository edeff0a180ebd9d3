// Changes of one secret, one after the other within one instance. Conjur has no condition: two writers both leave a version, and it keeps twenty of them.
import { waitFor, type Call, type Clock } from '../../core/runtime.ts'

/** Does one thing for a name once whatever came before for that name has ended. @throws deadline_exceeded */
export type Turns = <T>(name: string, call: Call, act: () => Promise<T>) => Promise<T>

/** Turns of one instance. */
export const takeTurns = (clock: Pick<Clock, 'now'>): Turns => {
  const last = new Map<string, Promise<void>>()
  return async (name, call, act) => {
    const before = last.get(name)
    const own = Promise.withResolvers<void>()
    // Whoever leaves while it waits must not let the next one pass what it waited for.
    const ended = before === undefined ? own.promise : before.then(() => own.promise)
    last.set(name, ended)
    try {
      if (before !== undefined) await waitFor(before, call, clock)
      return await act()
    } finally {
      own.resolve()
      if (last.get(name) === ended) last.delete(name)
    }
  }
}
