// What the simulator still finds, in about 3 of 10,000 heavily faulted schedules, nearly all with a gateway: a call to the gateway that passes another one on the way, somebody else's
// value under a running rotation, and a store with one slot that forgets. Each has a script under `open/`; a test holds that it still breaks, so that whoever mends it takes it from here.
import { readdirSync, readFileSync } from 'node:fs'
import type { Invariant } from './judges/oracle.ts'
import type { Outcome, Script } from './schedule.ts'

/** The invariants that may still be seen to break, and only where there is a gateway. Without one nothing may. */
export const openInvariants: ReadonlySet<Invariant> = new Set(['I1 key lost', 'I2 orphan', 'I3 key duplicated', 'I4 epoch', 'claim', 'I6 key resurrected', 'I11 grace', 'I12 outcome', 'I13 liveness', 'blocked'])

/** How many of a run's schedules may break one of them: two in a thousand. */
export const openShare = 0.002

/** Whether a failure is of an open kind. On Conjur and Infisical a decided version goes back when the mirror of its value is refused for want of room, with or without a gateway. */
export const isOpen = ({ violation, script }: Outcome): boolean => violation !== undefined && (script.gateway === true || violation.invariant === 'I4 epoch') && openInvariants.has(violation.invariant)

const folder = new URL('./open/', import.meta.url)

/** The scripts of the open kinds. */
export const openScripts = (): readonly { readonly file: string; readonly says: string; readonly script: Script }[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .toSorted()
    .map((file) => ({ file, ...(JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as { says: string; script: Script }) }))
