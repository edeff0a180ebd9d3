// A cache over a service whose answers a test gives one by one.
import { SecretCache, cacheKey, type CacheAnswer, type CacheLimits } from '../../shared/core/cache.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { SecretValue, type SecretRecord } from '../../shared/core/secret.ts'
import { ManualClock, callOf } from '../support/runtime.ts'

export const key = cacheKey('store\u0000name', '')
export const recordOf = (text: string, more: Partial<SecretRecord> = {}): SecretRecord => ({ name: { text: 'name', place: 'hosted' }, value: SecretValue.of(text), ...more })
export const absent = (): LatchkeyError => new LatchkeyError('not_found', 'No such secret.')
export const down = (): LatchkeyError => new LatchkeyError('provider_unavailable', 'Unreachable.')

/** A service whose answers the test gives one by one. */
const upstream = () => {
  const asked: { answer: (text: string, more?: Partial<SecretRecord>) => void; fail: (error: unknown) => void }[] = []
  const load = (): Promise<SecretRecord> =>
    new Promise((resolve, reject) => {
      asked.push({ answer: (text, more) => resolve(recordOf(text, more)), fail: reject })
    })
  return { asked, load }
}

export const setUp = (limits: Partial<CacheLimits> = {}) => {
  const clock = new ManualClock(1_000_000)
  return { clock, cache: new SecretCache(clock, limits), call: () => callOf(clock), ...upstream() }
}

export const text = async (answer: Promise<CacheAnswer>): Promise<string> => {
  const { record, state } = await answer
  return `${state} ${record.value.reveal()}`
}
