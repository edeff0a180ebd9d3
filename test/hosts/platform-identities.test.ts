// What Azure and Google say of a caller, and what only the caller says: everything that is not the platform's word must lead to nobody.
import { describe, expect, it } from 'vitest'
import { easyAuthIdentity } from '../../functions/azure/identity.ts'
import { googleIdentity } from '../../functions/gcp/identity.ts'
import { open } from '../http/harness.ts'

const nobody = { easy_auth: false, google_iam: false }
const easyAuth = { easy_auth: true, google_iam: false }
const googleIam = { easy_auth: false, google_iam: true }
const tenant = '0a0a0a0a-1111-2222-3333-444444444444'
const object = '0b0b0b0b-1111-2222-3333-444444444444'

const principal = (given: unknown): Record<string, string> => ({ 'x-ms-client-principal': Buffer.from(JSON.stringify(given)).toString('base64'), 'x-ms-client-principal-id': object, 'x-ms-client-principal-idp': 'aad' })
const schema = 'http://schemas.microsoft.com/identity/claims/'
const entra = { auth_typ: 'aad', name_typ: 'name', role_typ: 'roles', claims: [{ typ: `${schema}tenantid`, val: tenant.toUpperCase() }, { typ: `${schema}objectidentifier`, val: object }, { typ: 'azp', val: 'c' }] }
const known = { kind: 'entra', facts: { tenant_id: [tenant], object_id: [object] } }

describe("App Service authentication's word", () => {
  it.each([
    ['by the long names of its claims', entra],
    ['by the short ones', { ...entra, claims: [{ typ: 'tid', val: tenant }, { typ: 'oid', val: object }] }],
  ])('is an identity where it is trusted, %s', (_how, given) => {
    expect(easyAuthIdentity(principal(given), easyAuth)).toEqual({ identity: known })
  })

  it('is nobody where it is not trusted, because then the header is the caller\'s', () => {
    expect(easyAuthIdentity(principal(entra), nobody)).toEqual({})
    expect(easyAuthIdentity(principal(entra), googleIam)).toEqual({})
  })

  it.each([
    ['the header of the name alone', { 'x-ms-client-principal-id': object, 'x-ms-client-principal-name': 'jo@example.com', 'x-ms-client-principal-idp': 'aad' }],
    ['another identity provider with claims of the same names', principal({ ...entra, auth_typ: 'google' })],
    ['no provider', principal({ claims: entra.claims })],
    ['no claims', principal({ auth_typ: 'aad' })],
    ['claims that are no list', principal({ auth_typ: 'aad', claims: { tid: tenant } })],
    ['claims of other shapes', principal({ auth_typ: 'aad', claims: [null, 'tid', { typ: 'tid' }, { typ: 7, val: tenant }] })],
    ['JSON that is no object', { 'x-ms-client-principal': Buffer.from('7').toString('base64') }],
    ['null', { 'x-ms-client-principal': Buffer.from('null').toString('base64') }],
    ['no JSON', { 'x-ms-client-principal': 'bm9wZQ==' }],
    ['two headers joined', { 'x-ms-client-principal': `${principal(entra)['x-ms-client-principal'] ?? ''}, ${principal(entra)['x-ms-client-principal'] ?? ''}` }],
  ])('is nobody from %s', (_what, headers) => {
    expect(easyAuthIdentity(headers, easyAuth)).toEqual({})
  })

  it('lets in the one principal that is pinned, and no other of the tenant', async () => {
    const { send } = await open({ access: [{ name: 'jo', identity: { kind: 'entra', fields: { tenant_id: tenant, object_id: object } }, grants: [] }] })
    const as = async (given: unknown): Promise<number> => (await send('GET /whoami', { as: '', ...easyAuthIdentity(principal(given), easyAuth) })).status
    const stranger = { ...entra, claims: [{ typ: 'tid', val: tenant }, { typ: 'oid', val: '0c0c0c0c-1111-2222-3333-444444444444' }] }
    const otherTenant = { ...entra, claims: [{ typ: 'tid', val: '0d0d0d0d-1111-2222-3333-444444444444' }, { typ: 'oid', val: object }] }

    expect([await as(entra), await as(stranger), await as(otherTenant)]).toEqual([200, 401, 401])
  })
})

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const claims = { iss: 'https://accounts.google.com', aud: 'https://read-abc.a.run.app', sub: '117700000000000000001', email: 'ci@p.iam.gserviceaccount.com', email_verified: true, exp: 1_795_265_999 }
const forwarded = (given: unknown = claims, signature = 'SIGNATURE_REMOVED_BY_GOOGLE'): string => `Bearer ${part({ alg: 'RS256' })}.${part(given)}.${signature}`
const google = { identity: { kind: 'google', facts: { email: [claims.email], subject: [claims.sub] } } }

describe("Google IAM's word", () => {
  it.each([
    ['Authorization', { authorization: forwarded() }],
    ['X-Serverless-Authorization', { 'x-serverless-authorization': forwarded() }],
    ['X-Serverless-Authorization, beside a token for Latchkey', { 'x-serverless-authorization': forwarded(), authorization: 'Bearer sk-a-token' }],
    ['an empty signature', { authorization: forwarded(claims, '') }],
    ['the issuer without its scheme', { authorization: forwarded({ ...claims, iss: 'accounts.google.com' }) }],
  ])('is an identity where it is trusted, in %s', (_where, headers) => {
    expect(googleIdentity(headers, googleIam)).toEqual(google)
  })

  it('is nobody where it is not trusted, because then nobody has checked it', () => {
    expect(googleIdentity({ authorization: forwarded() }, nobody)).toEqual({})
    expect(googleIdentity({ authorization: forwarded() }, easyAuth)).toEqual({})
  })

  it.each([
    ['a token with its signature, which Google did not check', { authorization: forwarded(claims, 'c2lnbmF0dXJl') }],
    ['Authorization, where Google checked the other header', { authorization: forwarded(), 'x-serverless-authorization': 'Bearer ya29.access' }],
    ['another issuer', { authorization: forwarded({ ...claims, iss: 'https://accounts.google.com.evil.example' }) }],
    ['an address that is not verified', { authorization: forwarded({ ...claims, email_verified: false }) }],
    ['an address that is verified in words', { authorization: forwarded({ ...claims, email_verified: 'true' }) }],
    ['no address', { authorization: forwarded({ ...claims, email: undefined }) }],
    ['addresses in a list', { authorization: forwarded({ ...claims, email: [claims.email] }) }],
    ['no subject', { authorization: forwarded({ ...claims, sub: undefined }) }],
    ['claims that are null', { authorization: forwarded(null) }],
    ['claims that are no JSON', { authorization: 'Bearer aaaa.bbbb.' }],
    ['four parts', { authorization: `${forwarded()}.x` }],
    ['two parts', { authorization: `Bearer ${part({})}.${part(claims)}` }],
    ['another scheme', { authorization: forwarded().replace('Bearer', 'Basic') }],
    ['the header of a proxy that is not there', { 'x-goog-authenticated-user-email': 'accounts.google.com:ci@p.iam.gserviceaccount.com' }],
  ])('is nobody from %s', (_what, headers) => {
    expect(googleIdentity(headers, googleIam)).toEqual({})
  })

  it('lets in the account that is pinned, and none that took its address later', async () => {
    const { send } = await open({ access: [{ name: 'ci', identity: { kind: 'google', fields: { email: claims.email, subject: claims.sub } }, grants: [] }] })
    const as = async (given: unknown): Promise<number> => {
      const headers = { authorization: forwarded(given) }
      return (await send('GET /whoami', { as: '', headers, ...googleIdentity(headers, googleIam) })).status
    }

    expect([await as(claims), await as({ ...claims, sub: '117700000000000000002' }), await as({ ...claims, email: 'other@p.iam.gserviceaccount.com' })]).toEqual([200, 401, 401])
  })
})
