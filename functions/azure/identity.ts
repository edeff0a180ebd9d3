// Whom App Service authentication ("Easy Auth") let in, from the header that it writes over whatever a caller sent. It is believed only where
// `latchkey.trust.easy_auth` says that authentication is on: where it is off, the header is the caller's own.
import type { Trust } from '../../shared/core/configuration.ts'
import type { ApiRequest } from '../../shared/http/api.ts'

const schema = 'http://schemas.microsoft.com/identity/claims/'
const types = { tenant_id: ['tid', `${schema}tenantid`], object_id: ['oid', `${schema}objectidentifier`] } as const

interface Claim {
  readonly typ: string
  readonly val: string
}

const isClaim = (given: unknown): given is Claim => typeof given === 'object' && given !== null && typeof (given as Partial<Claim>).typ === 'string' && typeof (given as Partial<Claim>).val === 'string'

/** Claims of Entra; another identity provider of the same app may have claims of the same names. */
const entraClaims = (text: string): readonly Claim[] => {
  try {
    const { auth_typ: kind, claims } = JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as { readonly auth_typ?: unknown; readonly claims?: unknown }
    return kind === 'aad' && Array.isArray(claims) ? claims.filter(isClaim) : []
  } catch {
    return []
  }
}

/** The identity, or nothing. */
export const easyAuthIdentity = (headers: Readonly<Record<string, string>>, trust: Trust): Pick<ApiRequest, 'identity'> => {
  const principal = headers['x-ms-client-principal']
  // Two headers come joined, and decoding would stop at the first one's padding.
  if (!trust.easy_auth || principal === undefined || !/^[\w+/-]+={0,2}$/.test(principal)) return {}
  const claims = entraClaims(principal)
  const of = (names: readonly string[]): readonly string[] => claims.flatMap(({ typ, val }) => (names.includes(typ) ? [val.toLowerCase()] : []))
  return claims.length === 0 ? {} : { identity: { kind: 'entra', facts: { tenant_id: of(types.tenant_id), object_id: of(types.object_id) } } }
}
