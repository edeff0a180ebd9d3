// Reading what is hosted before anybody asks, in the provider's own batches: the first request then finds it in memory.
import { LatchkeyError, type ErrorCode } from '../errors.ts'
import { mayReadValues } from '../policy.ts'
import type { Call } from '../runtime.ts'
import type { SecretStore } from '../store.ts'

/** How far it came. */
export interface Preloaded {
  /** How many names are in memory now. */
  readonly read: number
  /** What each of the others failed with, absences included. */
  readonly failed: readonly ErrorCode[]
}

/** Reads every hosted name of every store whose values may be read, all stores at once. Never throws. */
export const preload = async (stores: Iterable<SecretStore>, call: Call): Promise<Preloaded> => {
  const asked = [...stores].filter(({ policy }) => mayReadValues(policy) && policy.hostedKeys !== undefined)
  const answers = (await Promise.all(asked.map((store) => store.readMany([...(store.policy.hostedKeys ?? [])], call)))).flat()
  const failed = answers.flatMap((answer) => (answer instanceof LatchkeyError ? [answer.code] : []))
  return { read: answers.length - failed.length, failed }
}
