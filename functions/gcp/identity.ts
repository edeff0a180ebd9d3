// Whom Google's IAM let in. Cloud Run checks the identity token and forwards it without its signature, so that nobody can check it, or use it, again: its claims
// are believed only where `latchkey.trust.google_iam` says that no call comes in unchecked. A token that still has a signature was not checked by Google.
import type { Trust } from '../../shared/core/configuration.ts'
import type { ApiRequest } from '../../shared/http/api.ts'

const takenOff = ['', 'SIGNATURE_REMOVED_BY_GOOGLE']
const issuers: readonly unknown[] = ['https://accounts.google.com', 'accounts.google.com']

const claimsOf = (token: string): Readonly<Record<string, unknown>> | undefined => {
  const [, payload = '', signature, more] = token.split('.')
  if (signature === undefined || more !== undefined || !takenOff.includes(signature)) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    return typeof claims === 'object' && claims !== null ? (claims as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}

/** The identity, or nothing. Where both headers came, Cloud Run checked only `X-Serverless-Authorization`. */
export const googleIdentity = (headers: Readonly<Record<string, string>>, trust: Trust): Pick<ApiRequest, 'identity'> => {
  if (!trust.google_iam) return {}
  const token = /^bearer +(\S+) *$/i.exec(headers['x-serverless-authorization'] ?? headers['authorization'] ?? '')?.[1]
  const { iss, sub, email, email_verified: verified } = (token === undefined ? undefined : claimsOf(token)) ?? {}
  if (!issuers.includes(iss) || typeof sub !== 'string' || typeof email !== 'string' || verified !== true) return {}
  return { identity: { kind: 'google', facts: { email: [email], subject: [sub] } } }
}
