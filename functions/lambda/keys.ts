// The function that writes: virtual keys, and PUT, DELETE and recover of secrets. It reads no secret for a caller.
import { commonRoutes } from '../../shared/http/health.ts'
import { keyRoutes } from '../../shared/http/keys.ts'
import { keySections } from '../key-sections.ts'
import { openFunction } from './open.ts'

/** The handler for `keys.handler`. */
export const handler = await openFunction([...keyRoutes, ...commonRoutes], { folder: import.meta.dirname, ...keySections })
