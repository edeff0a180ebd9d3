// The function that only reads. It holds no route that changes anything, so that its service account needs no right to.
import { commonRoutes } from '../../shared/http/health.ts'
import { readRoutes } from '../../shared/http/secrets.ts'
import { openFunction } from './http.ts'

/** The entry point `read`. */
export const read = await openFunction([...readRoutes, ...commonRoutes], { folder: import.meta.dirname })
