// The name of a request as a store holds it.
import { placeName } from '../names/created.ts'
import type { AccessPolicy } from '../policy.ts'
import type { SecretName } from '../secret.ts'

/** @throws invalid_request for a name outside the grammar, which has no room for Latchkey's own records */
export const nameIn = ({ policy }: { readonly policy: AccessPolicy }, text: string): SecretName => placeName(text, policy.prefix, policy.hostedKeys)
