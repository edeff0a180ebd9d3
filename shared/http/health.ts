// What every bundle serves beside its own routes. `/health` asks nobody; the others are loaded by the first who asks, because no secret waits for them.
import type { Answer, Exchange, Route } from './api.ts'
import { openAnswer } from './problem.ts'

const health = async (exchange: Exchange): Promise<Answer> => openAnswer(200, { status: 'ok', version: exchange.services.version })

const later = (what: 'ready' | 'whoami' | 'capabilities') => async (exchange: Exchange): Promise<Answer> => (await import('./self.ts'))[what](exchange)

/** What every bundle serves. */
export const commonRoutes: readonly Route[] = [
  { method: 'GET', path: '/health', shape: 'problem', action: 'public', handler: health },
  { method: 'GET', path: '/ready', shape: 'problem', action: 'public', handler: later('ready') },
  { method: 'GET', path: '/whoami', shape: 'problem', action: 'anyone', handler: later('whoami') },
  { method: 'GET', path: '/capabilities', shape: 'problem', action: 'anyone', handler: later('capabilities') },
]
