// What a provider says when its service refuses or fails: one wording for all of them, authored here. Of the answer only its status is kept.
import { LatchkeyError, type ErrorCode, type ErrorDetails } from './errors.ts'

/** What was asked of which service. */
export interface ServiceCall {
  /** The service's own name, for people. */
  readonly title: string
  /** What was done, in the service's own words: `read data/OPENAI_API_KEY`'s verb, not its path. */
  readonly action: string
  /** Our name of the secret. */
  readonly name?: string
  /** The service's name of it; shown only to who may see it. */
  readonly native?: string
  /** Which permission, role or policy is needed. */
  readonly needs?: string
}

const wording: Partial<Record<ErrorCode, (call: ServiceCall, name: string) => string>> = {
  not_found: (_, name) => `There is no such secret, or no such version of it: ${name}.`,
  already_exists: (_, name) => `There is a secret of that name already: ${name}.`,
  conflict: (_, name) => `${name} has another current version than the one named, or another operation on it is in progress.`,
  soft_deleted: (_, name) => `${name} is deleted and can still be recovered.`,
  version_disabled: (_, name) => `That version of ${name} is disabled or destroyed.`,
  invalid_request: ({ title, action }, name) => `${title} does not accept what ${action} sent for ${name}.`,
  provider_denied: ({ title, action, needs }) => `${title} refused ${action}. Check Latchkey's credentials there${needs === undefined ? '' : `, and that they have ${needs}`}.`,
  provider_throttled: ({ title, action }) => `${title} throttles ${action}.`,
  provider_quota: ({ title, action }) => `A quota of ${title} is used up: ${action} was refused.`,
  provider_unavailable: ({ title, action }) => `${title} could not be reached, or did not answer ${action} sensibly.`,
  approval_required: ({ title }, name) => `${title} took the change of ${name} as a request for approval; nothing is stored.`,
  integrity: ({ title }, name) => `What ${title} answered for ${name} does not fit its checksum.`,
}

/** The failure of one call, worded. */
export const serviceFailure = (code: ErrorCode, call: ServiceCall, details: ErrorDetails = {}): LatchkeyError => {
  const words = wording[code] ?? wording.provider_unavailable
  return new LatchkeyError(code, words?.(call, call.name ?? 'this store') ?? '', {
    ...(code === 'provider_denied' && { detail: `${call.action} on ${call.native ?? '*'}` }),
    ...(code === 'provider_throttled' && { retryAfter: 1 }),
    ...details,
  })
}
