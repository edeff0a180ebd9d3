// Versions before the current one that nobody accepts any longer: what is over goes from the manager as well. None of them can become current again, so ending one takes
// no condition, may be repeated and may land late.
import { parseOperation } from '../keys/operation-text.ts'
import type { Grace } from '../keys/answers.ts'
import type { KeyRecord } from '../keys/record.ts'
import type { Version } from '../secret.ts'

/** Those that the service still gives out, apart from those whose grace lasts. What somebody else wrote counts only where a rotation of ours took its place; tombstones hold no token. */
export const overVersions = ({ facts, current, epoch, stamps }: KeyRecord, graces: readonly Grace[]): readonly Version[] => {
  const { versions = [] } = facts
  const at = versions.findIndex(({ id }) => id === current?.id)
  const lasting = new Set(graces.map(({ before }) => before))
  const displaced = new Set(stamps.flatMap(({ verb, before, kept }) => [verb === 'rotate' ? before : undefined, kept?.before]))
  return versions.slice(0, Math.max(0, at)).filter(({ id, enabled, stages, operation }) => {
    const wrote = parseOperation(operation)
    const ours = wrote === undefined ? displaced.has(id) : wrote.verb !== 'delete' && wrote.epoch < epoch
    return ours && enabled && !stages.includes('pending') && !lasting.has(id)
  })
}
