// The function that writes: virtual keys, and PUT, DELETE and recover of secrets. It reads no secret for a caller.
import { readGateway } from '../../shared/core/configuration/gateway-section.ts'
import { checkFields } from '../../shared/core/configuration/gateway-fields.ts'
import { commonRoutes } from '../../shared/http/health.ts'
import { keyRoutes } from '../../shared/http/keys.ts'
import { openFunction } from './http.ts'

/** The entry point `keys`. */
export const keys = await openFunction([...keyRoutes, ...commonRoutes], { gateway: readGateway, checkFields })
