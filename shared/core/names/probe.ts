// The name of a secret that does not exist, for checks: whoever may ask about it is told so, and nothing is changed.
import type { Random } from '../runtime.ts'

/** One segment that nobody has; another one each time, so that no answer about it was remembered. */
export const probeSegment = (random: Random): string => `latchkey-check-${Buffer.from(random.bytes(8)).toString('hex')}`
