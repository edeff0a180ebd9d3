// The function that writes: virtual keys, and PUT, DELETE and recover of secrets. It reads no secret for a caller.
import { readGateway } from '../../shared/core/configuration/gateway-section.ts'
import { checkFields } from '../../shared/core/configuration/gateway-fields.ts'
import { commonRoutes } from '../../shared/http/health.ts'
import { keyRoutes } from '../../shared/http/keys.ts'
import { openFunction } from './open.ts'

/** The handler for `keys.handler`. */
export const handler = await openFunction([...keyRoutes, ...commonRoutes], { gateway: readGateway, checkFields })
