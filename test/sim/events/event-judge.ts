// What holds of events, however they come: the key has exactly one live token and the one before in its grace, one event and all that bring the same need rotate once,
// nothing is acknowledged before it is done, and what comes again after days changes nothing.
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretValue } from '../../../shared/core/secret.ts'
import { Violation } from '../judges/oracle.ts'
import type { Delivery } from './deliveries.ts'
import type { EventWorld } from './event-world.ts'

const name = createdName('litellm/a')

/** The rotations that took effect: a token that is written again by its own operation is the same one. */
export const rotationsOf = ({ oracle }: EventWorld): readonly string[] => [...new Set(oracle.at(name).history.flatMap(({ operation }) => (operation?.verb === 'rotate' ? [operation.id] : [])))]

/** @throws Violation when an answer says that something was done that was not */
export const judgeOutcome = (world: EventWorld, { outcome, label, faulted }: Delivery): void => {
  if (outcome === undefined) return
  const refuse = (says: string): void => {
    throw new Violation('I12 outcome', `${label} says ${outcome.decision}: ${outcome.reason}, ${says}`)
  }
  const rotated = rotationsOf(world)
  if (outcome.reason === 'rotated' && !rotated.includes(outcome.operationId ?? '')) refuse('and no rotation by it took effect')
  if (['already_done', 'too_soon'].includes(outcome.reason) && rotated.length === 0) refuse('and nothing was rotated')
  if (outcome.decision === 'retry' && outcome.error?.code === 'internal') refuse(`internal (${String((outcome.error.cause as Error | undefined)?.stack)})`)
  if (!faulted && ['not_ours', 'malformed', 'not_enabled', 'key_ended', 'not_possible'].includes(outcome.reason)) refuse('of an event that is right')
}

/** At the end, once everything was brought and the sweep has run. `most`: how many rotations all events together may begin; `least`: how many at the least. */
export const judgeEnd = async (world: EventWorld, first: SecretValue | undefined, { most, least }: { readonly most: number; readonly least: number }): Promise<void> => {
  await world.look()
  const { oracle } = world
  const { history } = oracle.at(name)
  const live = oracle.at(name).live(world.world.clock.now())
  const rotations = rotationsOf(world)
  if (live === undefined) throw new Violation('I1 key lost', 'no token is current')
  if (!(await oracle.accepts(live.value))) throw new Violation('I1 key lost', 'the current token is not accepted')
  if (rotations.length > most) throw new Violation('I3 key duplicated', `${rotations.length} rotations, where one event each makes ${most}: ${rotations.map((id) => id.slice(0, 8)).join(', ')}`)
  if (rotations.length < least) throw new Violation('I13 liveness', 'everything was acknowledged, and nothing was rotated')
  const former = history.findLast(({ value }) => value !== live.value)
  if (former !== undefined && !(await oracle.accepts(former.value))) throw new Violation('I11 grace', 'the token before is refused within its day')
  if (rotations.length === 0 && first !== undefined && live.value !== first.reveal()) throw new Violation('I4 epoch', 'the token changed without a rotation')
  if (world.hasGateway) await world.judge.judgeOrphans()
}
