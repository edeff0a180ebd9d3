// The app that only reads. It holds no route that changes anything, so that its identity needs no right to.
import { commonRoutes } from '../../shared/http/health.ts'
import { readRoutes } from '../../shared/http/secrets.ts'
import { openFunction } from './open.ts'

/** What the trigger `read` calls. */
export const handler = await openFunction('read', [...readRoutes, ...commonRoutes], { folder: import.meta.dirname })
