// Both HTTP functions on Lambda: opened once at initialisation, where AWS gives the whole of a processor for nothing, and their hosted secrets read before
// the first request comes. Secrets that cannot be read then stop nothing: they are read when somebody asks.
import type { Route } from '../../shared/http/api.ts'
import { openDeployed, type Deployed, type FunctionOptions } from '../deployed.ts'
import { timeBudget } from '../time-budget.ts'
import { answerHttp, type HttpAnswer } from './http.ts'

/** What the platform calls, once for each event. */
export type Handler = (event: unknown, context: { getRemainingTimeInMillis(): number }) => Promise<HttpAnswer>

/** Half of what the platform gives an initialisation; a slow secret manager must not use up the rest. */
const preloadMs = 5_000

const preloadHosted = async ({ stores, runtime }: Deployed): Promise<void> => {
  if (![...stores.values()].some(({ policy }) => policy.hostedKeys !== undefined)) return
  const time = timeBudget(runtime.clock, preloadMs)
  const { preload } = await import('../../shared/core/stores/preload.ts')
  const { read, failed } = await preload(stores.values(), time).finally(() => time.end())
  if (failed.length > 0) runtime.log.log('warn', `Of the hosted secrets ${read} were read at the start and ${failed.length} were not; they are read when they are asked for.`, { codes: [...new Set(failed)].join(' ') })
}

/** Opens Latchkey with these routes and answers the function's handler. `preloads`: where values are read. @throws misconfigured, after saying so in the log */
export const openFunction = async (routes: readonly Route[], { preloads = false, ...more }: FunctionOptions & { readonly preloads?: boolean }): Promise<Handler> => {
  // The process is frozen after each answer: nothing may be under way then.
  const deployed = await openDeployed(routes, { ...more, refreshBeside: false })
  if (preloads) await preloadHosted(deployed)
  return (event, context) => answerHttp(deployed, event, context.getRemainingTimeInMillis())
}
