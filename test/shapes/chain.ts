// The chain: where a service has no condition but keeps versions in order, every version names the one it was based on. A version is valid if that is the
// last valid one before it; all others are ignored. So the first of two writers wins, for everybody who folds.

interface ChainLink {
  readonly id: number
  /** The id of the version that this one was based on; 0 for none. */
  readonly before: number
}

/** The valid versions, oldest first. Where the beginning is no longer kept, the chain is taken up at the version that is based on the newest one not kept. */
export const foldChain = <T extends ChainLink>(versions: readonly T[]): readonly T[] => {
  const first = versions[0]
  if (first === undefined) return []
  const anchor = Math.max(...versions.filter(({ before }) => before < first.id).map(({ before }) => before))
  const valid: T[] = []
  for (const version of versions) if (version.before === (valid.at(-1)?.id ?? anchor)) valid.push(version)
  return valid
}
