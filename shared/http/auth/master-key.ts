// Whether a token is the master key. Loaded by the first token that no entry of `latchkey.access` has.
import { timingSafeEqual } from 'node:crypto'
import type { Call } from '../../core/runtime.ts'
import { SecretValue } from '../../core/secret.ts'

/** `digest` is the token's SHA-256. @throws the failure of the store that should hold the key */
export type MasterKeyCheck = (token: string, digest: Buffer, call: Call) => Promise<boolean>

/** Once a token was the master key, its digest stands for that key: the same answer for a tenth of the work. */
export const masterKeyCheck = (masterKey: (call: Call) => Promise<SecretValue | undefined>): MasterKeyCheck => {
  const known = new WeakMap<SecretValue, Buffer>()
  return async (token, digest, call) => {
    const master = await masterKey(call)
    if (master === undefined) return false
    const remembered = known.get(master)
    if (remembered !== undefined) return timingSafeEqual(remembered, digest)
    const same = master.equals(SecretValue.of(token))
    if (same) known.set(master, digest)
    return same
  }
}
