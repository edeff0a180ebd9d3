// What one store may be asked, by LiteLLM's own settings: the access mode gates values, `hosted_keys` gates names, the prefix fences virtual keys.
import { LatchkeyError } from './errors.ts'
import { isBelow, placeName } from './names.ts'
import type { SecretName } from './secret.ts'

/** LiteLLM's `access_mode`. */
export type AccessMode = 'read_only' | 'write_only' | 'read_and_write'

/** What one store may be asked. */
export interface AccessPolicy {
  readonly accessMode: AccessMode
  /** `undefined`: every name. A list: only these, exact and case-sensitive. */
  readonly hostedKeys?: ReadonlySet<string>
  /** The virtual keys' prefix without its trailing slash; may be empty. */
  readonly prefix: string
  readonly storeVirtualKeys: boolean
  /** One secret that holds every hosted name as a property of its JSON value. */
  readonly primarySecretName?: string
}

/** Whether values may be read at all: not under `write_only`. */
export const mayReadValues = (policy: AccessPolicy): boolean => policy.accessMode !== 'write_only'

/** Whether a name stands among the virtual keys, where reading needs the grant `keys:reveal`. A hosted name never does. */
export const isKeyName = (policy: AccessPolicy, text: string): boolean => policy.prefix !== '' && isBelow(policy.prefix, text) && policy.hostedKeys?.has(text) !== true

/** The name of a request as this store holds it. @throws invalid_request for a name outside the grammar, which has no room for Latchkey's own records */
export const nameOf = (policy: AccessPolicy, text: string): SecretName => placeName(text, policy.prefix, policy.hostedKeys)

/** @throws forbidden naming the setting to change */
export const checkRead = (policy: AccessPolicy, store: string, name: string): void => {
  if (!mayReadValues(policy)) {
    throw new LatchkeyError('forbidden', `Store "${store}" is write_only; reading needs access_mode read_only or read_and_write.`)
  }
  if (policy.hostedKeys !== undefined && !policy.hostedKeys.has(name)) {
    throw new LatchkeyError('forbidden', `"${name}" is not listed in hosted_keys of store "${store}"; only listed names are read from it.`)
  }
  if (name === policy.primarySecretName) {
    throw new LatchkeyError('forbidden', `"${name}" is the primary_secret_name of store "${store}"; its keys are read by their own names, never the whole.`)
  }
}

/** @throws forbidden naming the setting to change */
export const checkWrite = (policy: AccessPolicy, store: string): void => {
  if (policy.accessMode === 'read_only') {
    throw new LatchkeyError('forbidden', `Store "${store}" is read_only; writing needs access_mode write_only or read_and_write.`)
  }
}
