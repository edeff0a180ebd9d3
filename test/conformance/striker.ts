// Which call is struck: the bookkeeping that every harness without a wire of its own shares.
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import type { Random } from '../../shared/core/runtime.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import type { TestRuntime } from '../support/runtime.ts'
import { afterCommit, faultCodes, passOn, type ExamProvider, type Fault } from './harness.ts'

/** Counts calls, strikes those that the fault of the hour means, and holds back those that are slow. */
export class Striker {
  calls = 0
  #fault: Fault | undefined
  #matched = 0
  #held: (() => void)[] = []

  fault(fault: Fault): void {
    this.#fault = fault
    this.#matched = 0
  }

  heal(): void {
    this.#fault = undefined
    for (const letGo of this.#held.splice(0)) letGo()
  }

  /** One call. `act` is what the service does; what is thrown is what a provider must make of the fault. A held call may end by `signal`. */
  async pass<T>(change: boolean, act: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
    this.calls += 1
    const fault = this.#strikes(change)
    if (fault === undefined) return act()
    if (fault.kind === 'slow') {
      await new Promise<void>((letGo, reject) => {
        this.#held.push(letGo)
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      })
      return act()
    }
    if (afterCommit.has(fault.kind) && change) await act()
    throw new LatchkeyError(faultCodes[fault.kind], 'The service did not do what was asked of it.', { retryAfter: 1, vendor: { name: fault.kind } })
  }

  #strikes(change: boolean): Fault | undefined {
    const fault = this.#fault
    if (fault === undefined || (fault.on !== undefined && (fault.on === 'change') !== change)) return undefined
    this.#matched += 1
    const first = fault.nth ?? 1
    return this.#matched >= first && this.#matched < first + (fault.times ?? Infinity) ? fault : undefined
  }
}

/** Puts a secret there as an operator would: through a provider of the operator's own, which nothing strikes. */
export const seedThrough =
  (operator: SecretProvider, random: Random): NonNullable<ExamProvider['seed']> =>
  async (name, value) => {
    const secret = typeof value === 'string' ? SecretValue.of(value) : SecretValue.ofBytes(value)
    const operation = `seed-${Buffer.from(random.bytes(16)).toString('hex')}`
    await operator.write?.({ name, value: secret, expect: 'any', operation, stage: 'current' }, { signal: new AbortController().signal, deadline: Infinity })
  }

/** What the exam has of providers behind a striker; the operator's own stands before it. Nothing is open that would need closing. */
export const behind = async (striker: Striker, { clock, random }: TestRuntime, operator: SecretProvider, instance: () => Promise<SecretProvider>): Promise<ExamProvider> => ({
  provider: await instance(),
  clock,
  pass: passOn(clock),
  seed: seedThrough(operator, random),
  fault: (fault) => striker.fault(fault),
  heal: () => striker.heal(),
  calls: () => striker.calls,
  reopen: instance,
  close: async () => {},
})
