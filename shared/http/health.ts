// What every bundle serves: is it alive, is it ready, who am I, what can the stores do. `/health` asks nobody.
import type { Answer, Exchange, Route } from './api.ts'
import { openAnswer } from './problem.ts'

const health = async (exchange: Exchange): Promise<Answer> => openAnswer(200, { status: 'ok', version: exchange.services.version })

/** What every bundle serves. */
export const commonRoutes: readonly Route[] = [
  { method: 'GET', path: '/health', shape: 'problem', action: 'public', handler: health },
  { method: 'GET', path: '/ready', shape: 'problem', action: 'public', handler: async (exchange) => (await import('./health/readiness.ts')).ready(exchange) },
  { method: 'GET', path: '/whoami', shape: 'problem', action: 'anyone', handler: async (exchange) => (await import('./health/readiness.ts')).whoami(exchange) },
  { method: 'GET', path: '/capabilities', shape: 'problem', action: 'anyone', handler: async (exchange) => (await import('./health/readiness.ts')).capabilities(exchange) },
]
