// What Key Vault's refusals mean. The name in the body decides, the inner one first, never the status alone: 403 is a permission, a firewall or a disabled version.
// What has no such name is somebody else's answer: neither a refusal nor an absence.
import { LatchkeyError, type ErrorCode } from '../../core/errors.ts'
import { serviceFailure } from '../../core/failure.ts'
import type { HttpResponse } from '../../core/http-client.ts'
import { jsonOf, retryAfterOf } from '../../core/http/answers.ts'
import type { AzureSite } from './identity.ts'
import { isMapping } from '../../core/settings/mapping.ts'

/** For people. */
export const title = 'Azure Key Vault'

/** What a call is about: our name and the vault's. */
export interface VaultSubject {
  readonly text: string
  readonly native: string
}

/** What is done, by the name of its permission, and to what. */
export interface VaultAction {
  readonly action: string
  readonly subject?: VaultSubject
}

/** The vault's names for its refusals, the inner one first. */
const codes: Readonly<Record<string, ErrorCode>> = {
  SecretDisabled: 'version_disabled',
  SecretNotFound: 'not_found',
  ObjectIsDeletedButRecoverable: 'soft_deleted',
  ObjectIsBeingDeleted: 'conflict',
  ObjectIsBeingRecovered: 'conflict',
  Conflict: 'conflict',
  BadParameter: 'invalid_request',
  Forbidden: 'provider_denied',
  Unauthorized: 'provider_denied',
  Throttled: 'provider_throttled',
}

const permissions: Readonly<Record<string, string>> = {
  get: 'getSecret (access policy: get; role: Key Vault Secrets User)',
  list: 'readMetadata (access policy: list; role: Key Vault Secrets User)',
  set: 'setSecret (access policy: set; role: Key Vault Secrets Officer)',
  update: 'update (access policy: set; role: Key Vault Secrets Officer)',
  delete: 'delete (access policy: delete; role: Key Vault Secrets Officer)',
  recover: 'recover (access policy: recover; role: Key Vault Secrets Officer)',
  purge: 'purge (access policy: purge; role: Key Vault Purge Operator), and a vault without purge protection',
}

const wordOf = (value: unknown): string => (typeof value === 'string' && /^\w{1,64}$/.test(value) ? value : '')
const about = ({ action, subject }: VaultAction) => ({ title, action: `secrets/${action}`, ...(subject !== undefined && { name: subject.text, native: subject.native }), needs: permissions[action] ?? action })

/** An answer that cannot be one. */
export const nonsense = (what: VaultAction, status?: number): LatchkeyError => serviceFailure('provider_unavailable', about(what), status === undefined ? {} : { vendor: { status } })

/** The failure that an answer is. @throws provider_unavailable when it is no JSON */
export const failureOf = (what: VaultAction, answer: HttpResponse): LatchkeyError => {
  const { status } = answer
  if (status >= 500 || status === 408) return nonsense(what, status)
  const said = jsonOf(answer, title)
  const error = isMapping(said) && isMapping(said['error']) ? said['error'] : {}
  const [inner, outer] = [isMapping(error['innererror']) ? wordOf(error['innererror']['code']) : '', wordOf(error['code'])]
  const code = status === 413 ? 'too_large' : status === 429 ? 'provider_throttled' : (codes[inner] ?? codes[outer] ?? 'provider_unavailable')
  const vendor = { status, name: inner === '' ? outer : inner }
  if (inner === 'ForbiddenByFirewall' || inner === 'ForbiddenByConnection') {
    return new LatchkeyError('provider_denied', 'The firewall of the vault in azure_key_vault_uri refused Latchkey: allow its network or address there, or give it a private endpoint.', { vendor, detail: `secrets/${what.action}` })
  }
  const retryAfter = code === 'provider_throttled' || code === 'conflict' ? Math.max(1, retryAfterOf(answer) ?? 1) : undefined
  return serviceFailure(code, about(what), { vendor, ...(retryAfter !== undefined && { retryAfter }) })
}

/** The vault refuses the token itself: which directory it wants, and what the next token has to prove, stand in its challenge. */
export const refusedToken = (answer: HttpResponse, { credential }: AzureSite, who: string): { readonly claims?: string; readonly failure: LatchkeyError } => {
  const said = answer.headers['www-authenticate'] ?? ''
  const tenant = /authorization(?:_uri)?="https:\/\/[^/"]+\/([\w.-]+)"/.exec(said)?.[1]
  const encoded = said.includes('insufficient_claims') ? /claims="([\w+/=-]+)"/.exec(said)?.[1] : undefined
  const elsewhere = tenant !== undefined && /^[0-9a-f-]{36}$/i.test(credential.tenantId) && tenant.toLowerCase() !== credential.tenantId.toLowerCase()
  const message = `${title} refused the token of ${who}${elsewhere ? ': the vault belongs to another directory than azure_tenant_id' : ''}. Check azure_tenant_id and azure_key_vault_uri.`
  return { failure: new LatchkeyError('provider_denied', message, { vendor: { status: 401, name: 'Unauthorized' } }), ...(encoded !== undefined && { claims: Buffer.from(encoded, 'base64').toString('utf8') }) }
}
