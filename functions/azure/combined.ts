// Everything in one app, under one identity that may do all of it: for whom two apps are one too many.
import { readGateway } from '../../shared/core/configuration/gateway-section.ts'
import { checkFields } from '../../shared/core/configuration/gateway-fields.ts'
import { commonRoutes } from '../../shared/http/health.ts'
import { keyRoutes } from '../../shared/http/keys.ts'
import { readRoutes } from '../../shared/http/secrets.ts'
import { openFunction } from './open.ts'

/** What the trigger `combined` calls. */
export const handler = await openFunction('combined', [...readRoutes, ...keyRoutes, ...commonRoutes], { gateway: readGateway, checkFields })
