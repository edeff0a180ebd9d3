// What is said of stores that cannot be opened, all of them at once.
import type { StoreConfiguration } from '../configuration.ts'
import { LatchkeyError, type Issue } from '../errors.ts'

/** What is wrong with a store. A table's issues are their own message; what a provider says of settings that do not fit together is said whole, with its fix. */
const issuesOf = (error: LatchkeyError, store: StoreConfiguration): readonly Issue[] => {
  const { issues = [] } = error.details
  const whole = issues.length > 0 && issues.every(({ path, message }) => error.message.includes(`${path} ${message}`))
  return whole ? issues : [{ path: store.path, message: error.message }]
}

/** One failure with the issues of every store. */
export const misconfiguredStores = (failed: ReadonlyMap<StoreConfiguration, LatchkeyError>): LatchkeyError => {
  const issues = [...failed].flatMap(([store, error]) => issuesOf(error, store))
  return new LatchkeyError('misconfigured', issues.map(({ path, message }) => `${path} ${message}`).join('\n'), { issues })
}
