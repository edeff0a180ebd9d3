// Hosted secrets are read while Lambda initialises. Loaded where a store hosts any.
import { preload } from '../../shared/core/stores/preload.ts'
import type { Deployed } from '../deployed.ts'
import { timeBudget } from '../time-budget.ts'

/** Half of what the platform gives an initialisation; a slow secret manager must not use up the rest. */
const preloadMs = 5_000

/** Reads the hosted secrets of every store into memory. Never throws: what cannot be read is in the log. */
export const preloadHosted = async ({ stores, runtime }: Deployed): Promise<void> => {
  const time = timeBudget(runtime.clock, preloadMs)
  const { read, failed } = await preload(stores.values(), time).finally(() => time.end())
  if (failed.length > 0) runtime.log.log('warn', `Of the hosted secrets ${read} were read at the start and ${failed.length} were not; they are read when they are asked for.`, { codes: [...new Set(failed)].join(' ') })
}
