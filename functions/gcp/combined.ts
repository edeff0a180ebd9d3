// Everything in one function, under one service account that may do all of it: for whom two functions are one too many.
import { commonRoutes } from '../../shared/http/health.ts'
import { keyRoutes } from '../../shared/http/keys.ts'
import { readRoutes } from '../../shared/http/secrets.ts'
import { keySections } from '../key-sections.ts'
import { openFunction } from './http.ts'

/** The entry point `combined`. */
export const combined = await openFunction([...readRoutes, ...keyRoutes, ...commonRoutes], { folder: import.meta.dirname, ...keySections })
