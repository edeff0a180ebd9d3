// The app that writes: virtual keys, and PUT, DELETE and recover of secrets. It reads no secret for a caller.
import { commonRoutes } from '../../shared/http/health.ts'
import { keyRoutes } from '../../shared/http/keys.ts'
import { keySections } from '../key-sections.ts'
import { openFunction } from './open.ts'

/** What the trigger `keys` calls. */
export const handler = await openFunction('keys', [...keyRoutes, ...commonRoutes], { folder: import.meta.dirname, ...keySections })
