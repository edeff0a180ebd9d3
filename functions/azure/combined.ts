// Everything in one app, under one identity that may do all of it: for whom two apps are one too many.
import { commonRoutes } from '../../shared/http/health.ts'
import { keyRoutes } from '../../shared/http/keys.ts'
import { readRoutes } from '../../shared/http/secrets.ts'
import { keySections } from '../key-sections.ts'
import { openFunction } from './open.ts'

/** What the trigger `combined` calls. */
export const handler = await openFunction('combined', [...readRoutes, ...keyRoutes, ...commonRoutes], { folder: import.meta.dirname, ...keySections })
