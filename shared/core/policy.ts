// What one store may be asked, by LiteLLM's own settings: the access mode gates values, `hosted_keys` gates names, the prefix fences virtual keys.
import { isBelow } from './names.ts'

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

/** Whether this name's value may be read: not under `write_only`, and not the primary secret as a whole. */
export const mayRead = (policy: AccessPolicy, name: string): boolean => mayReadValues(policy) && (policy.hostedKeys?.has(name) ?? true) && name !== policy.primarySecretName
