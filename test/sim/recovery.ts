// After the faults: what must hold once everybody has had time, by later requests and by sweeps.
import { createdName } from '../../shared/core/names/created.ts'
import { judgeAnswers } from './judges/answers-judge.ts'
import { Violation } from './judges/oracle.ts'
import type { Simulation } from './simulation.ts'
import type { Proven } from './world/settled.ts'
import type { Wish } from './world/verbs.ts'

/** Three sweeps: after them nothing is unfinished, and the gateway accepts what the store says. `false`: it came to a world that is proven. */
const sweep = async (simulation: Simulation, proven: Proven | undefined): Promise<boolean> => {
  // After the first sweep nothing more falls together: what it left differs as before.
  if (proven?.knows(simulation, 'sweep') === true) return false
  for (const number of [91, 92, 93]) {
    const { report, error } = await simulation.alone({ verb: 'reconcile', alias: 'a', keyed: false, graceMs: 0, attempts: 1 }, 97, number)
    const left = report?.items.filter(({ action, finding }) => action === 'failed' || finding === 'unfinished') ?? []
    if (number === 93 && error !== undefined) simulation.refuse('I13 liveness', `the third sweep answers ${error.code}: ${error.message}`)
    if (number === 93 && left.length > 0) simulation.refuse('I13 liveness', `the third sweep still says: ${left.map(({ name, finding, message }) => `${name} ${finding}: ${message}`).join('; ')}`)
    await simulation.pass(61_000)
  }
  simulation.gateway.forgotten.clear()
  simulation.judge.refused.clear()
  await simulation.look()
  if (simulation.setting.gateway) await simulation.judge.judgeOrphans()
  return true
}

const usable = async (simulation: Simulation, alias: string, wishNumber: number): Promise<void> => {
  const { oracle } = simulation
  const name = createdName(`litellm/${alias}`)
  await simulation.look()
  const { now, outsider } = oracle.at(name)
  // Somebody else's value or deletion is reported, and is not ours to undo.
  if (outsider !== undefined) return
  const plain = { alias, keyed: false, graceMs: 0, attempts: 1 } as const
  // A key that LiteLLM stored is taken over first.
  const foreign = now !== undefined && now.operation === undefined && !now.complete
  if (foreign) {
    const adopted = await simulation.alone({ verb: 'adopt', ...plain }, wishNumber, 79)
    if (adopted.answer === undefined) return simulation.refuse('I13 liveness', `to adopt ${alias} answers ${adopted.error?.code ?? 'nothing'}: ${adopted.error?.message ?? ''}`)
  }
  const alive = now !== undefined && (now.complete || foreign) && !now.revoked
  if (alive && now.blocked) await simulation.alone({ verb: 'unblock', ...plain }, wishNumber, 80)
  const verb = alive ? 'rotate' : 'create'
  const attempt = await simulation.alone({ verb, ...plain }, wishNumber)
  if (attempt.answer?.key === undefined) return simulation.refuse('I13 liveness', `a new ${verb} of ${alias} answers ${attempt.error?.code ?? 'no key'}: ${attempt.error?.message ?? ''}`)
  // A store with one slot may have no room to unblock a key beside its graces.
  if (attempt.answer.state === 'blocked') return
  if (!(await oracle.accepts(attempt.answer.key.reveal()))) throw new Violation('I1 key lost', `the new token of ${alias} is not accepted`)
  await oracle.judgeFormer(name)
}

/**
 * After the faults: what is on the way lands, leases run out, every keyed wish is sent once more, three sweeps run, and each name must be usable: a live key
 * rotates, a deleted one is created anew (that last part only if `thorough`). Only a staged store may still have to say `unknown`.
 * Where it comes to a world from which another run with the same wishes went on to its end, the rest would be the same, and is not run again.
 */
export const recover = async (simulation: Simulation, wishes: readonly Wish[], thorough = true, proven?: Proven): Promise<void> => {
  const { world, setting, attempts } = simulation
  await simulation.calm()
  while (world.late.length > 0) await world.land(0)
  await simulation.pass(120_000)
  for (const [index, wish] of wishes.entries()) {
    const mine = attempts.filter((attempt) => attempt.wish === wish)
    if (!wish.keyed || wish.verb === 'reconcile' || mine.some(({ answer }) => answer !== undefined) || !mine.some(({ started }) => started)) continue
    if (proven?.knows(simulation, `wish ${index}`) === true) return
    const again = await simulation.alone(wish, index, 90)
    // What somebody else deleted does not show its versions any more.
    const hidden = simulation.oracle.at(createdName(`litellm/${wish.alias}`)).outsider !== undefined
    if (again.error?.details.applied === 'unknown' && setting.shape.name !== 'staged' && !hidden) simulation.refuse('I13 liveness', `${again.label} still answers unknown`)
    await simulation.pass(61_000)
  }
  if (setting.sweeps !== false && !(await sweep(simulation, proven))) return
  if (thorough) for (const alias of simulation.names) await usable(simulation, alias, 98)
  judgeAnswers(simulation)
}
