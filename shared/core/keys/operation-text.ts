// The text by which a provider knows a key operation. It begins with epoch and verb, so that facts alone say who won an epoch and whether the current
// version is a tombstone. Apart from the operations themselves, because every read looks at it and none makes one.

/** What an operation does to a key. The last four change what is said about it, under a claim that never becomes current. */
export const verbs = ['create', 'rotate', 'delete', 'rename', 'update', 'block', 'unblock', 'adopt'] as const
/** One of {@link verbs}. */
export type Verb = (typeof verbs)[number]

const form = new RegExp(`^(\\d{1,9})-(${verbs.join('|')})-([0-9a-f]{32})$`)

/** The operation as a provider gets it: `<epoch>-<verb>-<id>`. */
export const operationText = (epoch: number, operation: { readonly id: string; readonly verb: Verb }): string => `${epoch}-${operation.verb}-${operation.id}`

/** Which operation wrote a version, and the epoch that it won or tried to win. */
export interface WonEpoch {
  readonly epoch: number
  readonly verb: Verb
  readonly id: string
}

/** The inverse of {@link operationText}; nothing for versions that no key operation wrote. */
export const parseOperation = (text: string | undefined): WonEpoch | undefined => {
  const [, epoch, verb, id] = form.exec(text ?? '') ?? []
  return id === undefined ? undefined : { epoch: Number(epoch), verb: verb as Verb, id }
}

/** Whether a claim shall become current: a rotation's token, or the tombstone by which a renaming leaves. The others only hold the epoch. */
export const takesEpoch = (claimed: WonEpoch | undefined): claimed is WonEpoch => claimed?.verb === 'rotate' || claimed?.verb === 'delete'

const base32 = 'abcdefghijklmnopqrstuvwxyz234567'

/** The id by which a renaming writes the key under its new name: 12 hex digits of its own id, then the key id's 80 bits, so that the version itself says whose it is. */
export const arrivalId = (id: string, keyId: string): string => {
  let bits = 0n
  for (const character of keyId) bits = (bits << 5n) | BigInt(Math.max(0, base32.indexOf(character)))
  return `${id.slice(0, 12)}${bits.toString(16).padStart(20, '0').slice(-20)}`
}

/** The inverse of {@link arrivalId}: the key id. */
export const keyIdIn = (id: string): string => {
  const bits = BigInt(`0x${id.slice(12)}`)
  return Array.from({ length: 16 }, (_, index) => base32[Number((bits >> BigInt(5 * (15 - index))) & 31n)]).join('')
}
