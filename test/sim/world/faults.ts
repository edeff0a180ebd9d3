// What can go wrong, by name: at one call, to one process, or in the world beside them. One sentence each, and where it can strike at all.
import type { WireStep } from '../../shapes/service.ts'

interface FaultFacts {
  readonly says: string
  /** `call`: any call; `change`: a call that changes something; `store`, `gateway`: only one to that side; `list`: a list of the store; `gateway change`. */
  readonly strikes: 'call' | 'change' | 'store change' | 'list' | 'gateway' | 'gateway change'
}

/** Every fault that meets one call. */
export const faultTable = {
  'crash before': { says: 'The process ends before the call leaves it.', strikes: 'call' },
  'crash after': { says: 'The call is carried out and the process ends before the answer comes.', strikes: 'call' },
  'crash, lands late': { says: 'The process ends; its call is on the way and lands at any later time.', strikes: 'change' },
  'answer lost': { says: 'The call is carried out and no answer comes.', strikes: 'call' },
  'never sent': { says: 'The call does not arrive; the caller cannot know.', strikes: 'call' },
  'lands late': { says: 'No answer comes; the call is on the way and lands at any later time.', strikes: 'change' },
  throttled: { says: 'The call is refused for now, with Retry-After.', strikes: 'call' },
  'lands last': { says: 'No answer comes; the call is overtaken by three later changes before it lands.', strikes: 'change' },
  'applied twice': { says: 'The call is answered; the network delivers it a second time, at any later time.', strikes: 'change' },
  '5xx after commit': { says: 'The call is carried out; the answer is a server error, and comes at once.', strikes: 'change' },
  'quota refused': { says: 'The store has no room: the call is refused for good and nothing is done.', strikes: 'store change' },
  'denied once': { says: 'The call is refused with 403 once; nothing is done.', strikes: 'call' },
  'credential expired': { says: 'The call is refused with an expired credential; the client gets another one and sends it again a while later.', strikes: 'call' },
  'slow answer': { says: 'The call is carried out; its answer comes when the deadline of the request has passed.', strikes: 'call' },
  paused: { says: 'The process stands still after its call, for longer than a lease, and then goes on with what it has read.', strikes: 'call' },
  'list lags': { says: 'A list does not show yet what was made in the last seconds; only lists may lag, the operations read facts.', strikes: 'list' },
  'gateway down': { says: 'The gateway answers nobody for half a minute.', strikes: 'gateway' },
  'gateway forgot': { says: 'The gateway answers that it is done, and forgets it.', strikes: 'gateway change' },
  'clock 10 min ahead': { says: 'The clock of the process jumps ten minutes ahead.', strikes: 'call' },
  'clock 10 min behind': { says: 'The clock of the process steps back by ten minutes.', strikes: 'call' },
} as const satisfies Record<string, FaultFacts>

/** A fault at one call. */
export type Fault = keyof typeof faultTable

/** All of them, in the order of the table. */
export const faults = Object.keys(faultTable) as readonly Fault[]

/** What is wrong beside any call: drawn once for a process, or done by somebody else between two calls. */
export const circumstances = {
  'clock skew': 'Each process has a clock of its own, up to 5 s ahead or behind.',
  'short pages': 'The lists that a process gets come in pages of one, some of them empty with a cursor.',
  'sent again': 'A client sends the same operation several times, to different instances, side by side.',
  'soft delete': 'Somebody else deletes the secret in the service, where that can be taken back.',
  'foreign write': 'Somebody else writes a value of the secret in the service.',
} as const

/** What somebody else does in the service. */
export type Outsider = 'soft delete' | 'foreign write'

export const isGatewayCall = ({ call }: WireStep): boolean => call.startsWith('gateway.')

const isList = ({ call }: WireStep): boolean => /^list(?:Secrets)?$/.test(call)

/** Whether a fault can strike at a step. */
export const canStrike = (fault: Fault, step: WireStep): boolean => {
  const { strikes } = faultTable[fault]
  if (strikes === 'call') return true
  if (strikes === 'list') return isList(step)
  if (strikes === 'gateway') return isGatewayCall(step)
  if (strikes === 'store change') return step.changes && !isGatewayCall(step)
  return step.changes && (strikes === 'change' || isGatewayCall(step))
}

/** Faults that leave the same world behind at a call that changes nothing: one of each kind is enough in the small scope. */
export const tellsApart = (fault: Fault, step: WireStep): boolean => canStrike(fault, step) && (step.changes || !['crash after', 'answer lost'].includes(fault))
