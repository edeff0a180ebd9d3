// I12: every answer says what is true. What an operation did is known from what the oracle saw, never from the engine.
import { isCode } from '../../../shared/core/errors.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { Attempt, Simulation } from '../simulation.ts'
import { markOf } from '../world/verbs.ts'

/** An update, a block or a rename says that it was done: then it was to be seen. */
const judgeChange = ({ oracle, attempts }: Simulation, { answer, wish, wishNumber, operationId }: Attempt, refuse: (says: string) => void): void => {
  if (answer === undefined || answer.superseded !== undefined) return
  const names = [...oracle.names()]
  if (wish.verb === 'update' && !names.some(({ marks }) => marks.has(markOf(wishNumber)))) refuse('success')
  if (wish.verb === 'rename' && !oracle.at(createdName(`litellm/${wish.to ?? ''}`)).history.some(({ keyId }) => keyId === answer.keyId)) refuse('success')
  if (wish.verb === 'adopt' && !names.some(({ history }) => history.some(({ keyId, complete }) => keyId === answer.keyId && complete))) refuse('success')
  const wanted = wish.verb === 'block' ? true : wish.verb === 'unblock' ? false : undefined
  // What holds when it is first sent, or was seen since, may be what it found done already.
  const startStep = Math.min(...attempts.filter((other) => other.operationId === operationId && other.started).map((other) => other.startStep))
  const seen = names.map(({ blocks }) => blocks.filter(({ keyId }) => keyId === answer.keyId))
  if (wanted !== undefined && !seen.some((blocks) => blocks.some(({ blocked }, index) => blocked === wanted && (blocks[index + 1]?.step ?? Infinity) >= startStep))) refuse('success')
}

/** A creation that the gateway refuses for good is taken back by a tombstone: it was current, and says truly that it was not applied. */
const takenBack = ({ setting, oracle }: Simulation, operationId: string): boolean => setting.gateway && oracle.wasTakenBack(operationId)

/** R-5 of the operations page: where tags are mirrors, what a deletion of the same name left behind may not tell whether an operation that was sent twice took effect. */
const mayNotKnow = ({ setting, oracle, attempts }: Simulation, { wish, operationId }: Attempt): boolean => {
  const sent = attempts.filter((other) => other.operationId === operationId)
  const deleted = attempts.some((other) => other.operationId !== operationId && other.wish.verb === 'delete' && other.wish.alias === wish.alias && oracle.applied(other.operationId))
  return setting.shape.name === 'staged' && sent.length > 1 && deleted
}

/** I12: every answer says what is true. */
export const judgeAnswers = (simulation: Simulation): void => {
  if (simulation.claims.failure !== undefined) throw simulation.claims.failure
  const { oracle, attempts } = simulation
  for (const attempt of attempts) {
    const { answer, error, label, wish } = attempt
    const operationId = answer?.operationId ?? attempt.operationId
    const refuse = (says: string): void => {
      simulation.refuse('I12 outcome', `${label} answers ${says}, and that is not so`)
    }
    if (error !== undefined && error.code === 'internal') refuse(`internal (${String((error.cause as Error | undefined)?.stack)})`)
    if (wish.verb === 'reconcile') continue
    if (error !== undefined && error.details.applied === undefined && !['invalid_request', 'forbidden'].includes(error.code)) refuse(`${error.code} without saying whether it was applied`)
    // A change that came to its label ten seconds after its claim says that it does not know, where labels have no condition.
    const slow = attempts.some((other) => other.operationId === attempt.operationId && other.tookMs >= 9_000)
    const faulted = slow || attempts.some((other) => other.faulted || isCode(other.error, 'deadline_exceeded')) || [...oracle.names()].some(({ tainted }) => tainted)
    if (error?.details.applied === 'unknown' && !faulted && !mayNotKnow(simulation, attempt)) refuse('unknown without any fault')
    if (!['create', 'rotate', 'event', 'delete'].includes(wish.verb)) {
      judgeChange(simulation, attempt, refuse)
      continue
    }
    const applied = attempt.operationIds.some((id) => oracle.applied(id))
    if (answer !== undefined && !applied) refuse('success')
    const stored = oracle.tokenOf(operationId)
    const changed = oracle.keyOf(operationId)
    if (answer !== undefined && simulation.setting.bug?.remove === undefined && changed !== undefined && answer.keyId !== changed) refuse(`for key ${answer.keyId}, having changed ${changed}`)
    if (answer?.key !== undefined && (stored === undefined || stored !== answer.key.reveal())) refuse('with another token than the stored one')
    if (answer !== undefined && wish.verb !== 'delete' && answer.key === undefined && answer.keyWithheld === undefined) refuse('without a token and without a reason')
    const siblings = attempts.filter((other) => other.operationId === attempt.operationId)
    if (error?.details.applied === 'yes' && !applied) refuse('applied: yes')
    if (siblings.every((other) => other.error?.details.applied === 'no') && applied && !takenBack(simulation, operationId)) refuse('applied: no')
  }
}
