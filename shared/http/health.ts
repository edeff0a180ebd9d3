// What every bundle serves: is it alive, is it ready, who am I, what can the stores do. `/health` asks nobody.
import type { Answer, Exchange, Route } from './api.ts'
import { openAnswer } from './problem.ts'

const health = async (exchange: Exchange): Promise<Answer> => openAnswer(200, { status: 'ok', version: exchange.services.version })

const readiness = (handler: 'ready' | 'whoami' | 'capabilities') => async (exchange: Exchange): Promise<Answer> => (await import('./health/readiness.ts'))[handler](exchange)

/** What every bundle serves. */
export const commonRoutes: readonly Route[] = [
  { method: 'GET', path: '/health', shape: 'problem', action: 'public', handler: health },
  { method: 'GET', path: '/ready', shape: 'problem', action: 'public', handler: readiness('ready') },
  { method: 'GET', path: '/whoami', shape: 'problem', action: 'anyone', handler: readiness('whoami') },
  { method: 'GET', path: '/capabilities', shape: 'problem', action: 'anyone', handler: readiness('capabilities') },
]
