// An app on Azure Functions: one HTTP trigger that takes every path, because the routes are the application's. Function keys are not used (authLevel
// anonymous): a key names nobody and its holder could not be told from another; who calls is proved by a token, the master key, or App Service authentication.
import { app } from '@azure/functions'
import type { HttpHandler } from '@azure/functions'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { Route } from '../../shared/http/api.ts'
import { openDeployed, type Deployed, type FunctionOptions } from '../deployed.ts'
import { answerHttp } from './http.ts'

/** Where the platform itself says that its authentication is off, its headers are anybody's. */
const checkTrust = ({ trust, runtime }: Deployed): void => {
  const said = runtime.env.get('WEBSITE_AUTH_ENABLED')
  if (trust.easy_auth && said !== undefined && said.toLowerCase() !== 'true') throw new LatchkeyError('misconfigured', `latchkey.trust.easy_auth is true, and App Service authentication is off (WEBSITE_AUTH_ENABLED=${said}): every caller could say who it is. Switch one of the two.`)
}

/** Opens Latchkey with these routes and registers them as one function. @throws misconfigured, after saying so in the log */
export const openFunction = async (name: string, routes: readonly Route[], more: FunctionOptions): Promise<HttpHandler> => {
  const deployed = await openDeployed(routes, more, checkTrust)
  const handler: HttpHandler = (request) => answerHttp(deployed, request)
  app.http(name, { route: '{*path}', methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'], authLevel: 'anonymous', handler })
  return handler
}
