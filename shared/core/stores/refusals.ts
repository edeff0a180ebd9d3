// What is said to who asks a store for something that its settings forbid, with the setting to change.
import { LatchkeyError } from '../errors.ts'
import { mayReadValues, type AccessPolicy } from '../policy.ts'

/** The failure for a name of which `mayRead` says no. */
export const readRefusal = (policy: AccessPolicy, store: string, name: string): LatchkeyError => {
  if (!mayReadValues(policy)) return new LatchkeyError('forbidden', `Store "${store}" is write_only; reading needs access_mode read_only or read_and_write.`)
  if (name === policy.primarySecretName && policy.hostedKeys?.has(name) !== false) return new LatchkeyError('forbidden', `"${name}" is the primary_secret_name of store "${store}"; its keys are read by their own names, never the whole.`)
  return new LatchkeyError('forbidden', `"${name}" is not listed in hosted_keys of store "${store}"; only listed names are read from it.`)
}

/** The failure for what the service, or this use of it, has no way to do. */
export const cannot = ({ name, system }: { readonly name: string; readonly system: string }, what: string): LatchkeyError => new LatchkeyError('unsupported', `Store "${name}" (${system}) cannot ${what}.`)

/** @throws forbidden naming the setting to change */
export const checkWrite = (policy: AccessPolicy, store: string): void => {
  if (policy.accessMode === 'read_only') {
    throw new LatchkeyError('forbidden', `Store "${store}" is read_only; writing needs access_mode write_only or read_and_write.`)
  }
}
