// The function that only reads. It holds no route that changes anything, so that its role needs no right to.
import { commonRoutes } from '../../shared/http/health.ts'
import { readRoutes } from '../../shared/http/secrets.ts'
import { openFunction } from './open.ts'

/** The handler for `read.handler`. */
export const handler = await openFunction([...readRoutes, ...commonRoutes], { folder: import.meta.dirname, preloads: true })
