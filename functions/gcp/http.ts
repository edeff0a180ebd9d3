// A request of Google's functions-framework, there and back. The framework runs the exported handler and is never bundled; it has read the whole body, whatever
// its length, before it calls. Nothing is thrown out of here: the framework would answer with the error's text.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { Route } from '../../shared/http/api.ts'
import { openDeployed, type Deployed, type FunctionOptions } from '../deployed.ts'
import { messageParts } from '../node-message.ts'
import { marginMs, timeBudget } from '../time-budget.ts'
import { googleIdentity } from './identity.ts'

/** What the framework calls. */
export type Handler = (request: IncomingMessage & { readonly rawBody?: Uint8Array }, response: ServerResponse) => Promise<void>

/** The time of the service, where it is shorter than that of a request, less 1.5 s. */
const patience = ({ runtime, requestMs }: Deployed): number => Math.min(requestMs, (Number(runtime.env.get('CLOUD_RUN_TIMEOUT_SECONDS')) || 300) * 1_000 - marginMs)

/** Opens Latchkey with these routes and answers the function's handler. @throws misconfigured, after saying so in the log */
export const openFunction = async (routes: readonly Route[], more: FunctionOptions): Promise<Handler> => {
  // By default there is no processor between requests.
  const deployed = await openDeployed(routes, { ...more, refreshBeside: false })
  return async (request, response) => {
    const time = timeBudget(deployed.runtime.clock, patience(deployed))
    if (request.method === 'GET') response.once('close', () => time.end(new LatchkeyError('deadline_exceeded', 'The caller went away.')))
    try {
      const parts = messageParts(request)
      const { status, headers, body } = await deployed.app({ ...parts, body: request.rawBody ?? new Uint8Array(), signal: time.signal, deadline: time.deadline, ...googleIdentity(parts.headers, deployed.trust) })
      response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(request.method === 'HEAD' ? undefined : body)
    } catch {
      response.destroy()
    } finally {
      time.end()
    }
  }
}
