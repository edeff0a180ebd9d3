// What a test says when schedules fail: the first one, made as small as can be, with its trace and the script to keep.
import { shrink, type Outcome } from './schedule.ts'

/** Nothing when all hold. */
export const withoutFailures = async (outcomes: readonly Outcome[]): Promise<string> => {
  const failed = outcomes.filter(({ violation }) => violation !== undefined)
  const [first] = failed
  if (first === undefined) return ''
  const { violation, trace, script } = await shrink(first)
  return [`${failed.length} of ${outcomes.length} failed; the first: ${violation?.message ?? ''}`, ...trace, JSON.stringify({ says: violation?.message, script })].join('\n')
}
