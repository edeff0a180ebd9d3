// The chain of a secret's versions. Key Vault has no condition, so every version we write names the one it was based on, and whoever reads folds: the first of two
// writers wins, for everybody. The vault's times are whole seconds: within one second the chain itself is the order, and the version id where that says nothing.
import type { VaultVersion } from './vault.ts'

/** The tags that are ours, beside the labels of the secret. */
export const tagNames = { name: 'latchkey-name', version: 'latchkey-version', gone: 'latchkey-gone', pending: 'latchkey-pending', description: 'description' } as const

/** What a version says of itself: the operation that wrote it, and the version it was based on. */
export interface Mark {
  readonly operation: string
  /** Empty for the first version of all. */
  readonly before: string
}

/** Stands in place of a version that never is current: a copy that no fold counts. */
export const noVersion = 'none'

/** A mark as text. */
export const markText = ({ operation, before }: Mark): string => `${operation} ${before === '' ? '-' : before}`

/** The mark of a version; none: somebody else wrote it. */
export const markOf = ({ tags }: Pick<VaultVersion, 'tags'>): Mark | undefined => {
  const [, operation, before] = /^([a-z0-9-]{1,64}) (-|[a-z0-9-]{1,64})$/.exec(tags[tagNames.version] ?? '') ?? []
  return operation === undefined || before === undefined ? undefined : { operation, before: before === '-' ? '' : before }
}

/** A version's id for the rest of the house: the operation that wrote it, so that a write that was sent twice is one version; else the vault's own. */
export const idOf = (version: VaultVersion): string => markOf(version)?.operation ?? version.id

/** Whether a version's stage was ended for good. */
export const isGone = ({ tags }: VaultVersion): boolean => tags[tagNames.gone] !== undefined

/** By the vault's time, then by its id. */
export const inOrder = <V extends VaultVersion>(versions: readonly V[]): readonly V[] => versions.toSorted((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1))

/** The valid versions, oldest first: those that build on the last valid one. A version without a mark is somebody else's and always counts. */
export const foldVersions = (versions: readonly VaultVersion[]): readonly VaultVersion[] => {
  const valid: VaultVersion[] = []
  for (const second of Map.groupBy(inOrder(versions), ({ created }) => created).values()) {
    const left = [...second]
    for (;;) {
      const last = valid.at(-1)
      const next = left.find((each) => markOf(each)?.before === (last === undefined ? '' : idOf(last))) ?? left.find((each) => markOf(each) === undefined)
      if (next === undefined) break
      valid.push(next)
      left.splice(left.indexOf(next), 1)
    }
  }
  return valid
}
