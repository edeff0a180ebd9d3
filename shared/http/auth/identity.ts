// Whom an identity that the platform proved stands for. Loaded by the first request that has one.
import type { AccessEntry } from '../../core/configuration.ts'
import type { Caller, ProvedIdentity } from '../api.ts'

/** The first entry, in the file's order, all of whose fields are true of the identity. */
export const namedBy = (entries: readonly { readonly identity?: AccessEntry['identity']; readonly caller: Caller }[], { kind, facts }: ProvedIdentity): Caller | undefined =>
  entries.find(({ identity }) => identity?.kind === kind && Object.entries(identity.fields).every(([field, text]) => facts[field]?.includes(text) === true))?.caller
