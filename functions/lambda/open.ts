// Both HTTP functions on Lambda: opened once at initialisation, where AWS gives the whole of a processor for nothing, and their hosted secrets read before
// the first request comes. Secrets that cannot be read then stop nothing: they are read when somebody asks.
import type { Route } from '../../shared/http/api.ts'
import { openDeployed, type FunctionOptions } from '../deployed.ts'
import { answerHttp, type HttpAnswer } from './http.ts'
import { withSecrets } from './variables.ts'

/** What the platform calls, once for each event. */
export type Handler = (event: unknown, context: { getRemainingTimeInMillis(): number }) => Promise<HttpAnswer>

/** Opens Latchkey with these routes and answers the function's handler. `preloads`: where values are read. @throws misconfigured, after saying so in the log */
export const openFunction = async (routes: readonly Route[], { preloads = false, ...more }: FunctionOptions & { readonly preloads?: boolean }): Promise<Handler> => {
  // The process is frozen after each answer: nothing may be under way then.
  const deployed = await openDeployed(routes, { ...more, refreshBeside: false, prepare: withSecrets })
  if (preloads && [...deployed.stores.values()].some(({ policy }) => policy.hostedKeys !== undefined)) await (await import('./preload.ts')).preloadHosted(deployed)
  return (event, context) => answerHttp(deployed, event, context.getRemainingTimeInMillis())
}
