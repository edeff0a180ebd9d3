// The patience of one caller, in one place: what happens when its signal aborts or its deadline passes.
import { LatchkeyError } from './errors.ts'
import type { Call, Clock } from './runtime.ts'

const over = (): LatchkeyError => new LatchkeyError('deadline_exceeded', 'The time of this request ran out before the secret manager was asked.', { applied: 'no' })

/** To be called directly before each send: once the caller left or the deadline passed, nothing more is sent. @throws the signal's reason, deadline_exceeded */
export const checkCall = (call: Call, clock: Pick<Clock, 'now'>): void => {
  call.signal.throwIfAborted()
  if (clock.now() >= call.deadline) throw over()
}

/** Waits for something that others may share: the caller may leave, the thing itself goes on. @throws deadline_exceeded */
export const waitFor = <T>(shared: Promise<T>, call: Call, clock: Pick<Clock, 'now'>): Promise<T> => {
  if (call.signal.aborted || clock.now() >= call.deadline) {
    shared.catch(() => undefined)
    return Promise.reject(over())
  }
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(new LatchkeyError('deadline_exceeded', 'The request ended before the secret manager answered.'))
    call.signal.addEventListener('abort', leave, { once: true })
    shared.then(resolve, reject).finally(() => call.signal.removeEventListener('abort', leave))
  })
}
