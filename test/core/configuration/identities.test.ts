// Entries of `latchkey.access` that a platform proves: what a file may say, and what is refused with the fix.
import { describe, expect, it } from 'vitest'
import { identities } from '../../../shared/core/configuration/identities.ts'
import { parseConfiguration, type Configuration } from '../../../shared/core/configuration.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { envOf } from '../../support/runtime.ts'

const grants = [{ action: 'secrets:read' }]
const parse = (latchkey: object, env: Record<string, string> = {}): Configuration => parseConfiguration({ latchkey }, { env: envOf(env), loopback: true, identities }).configuration
const entry = (identity: object, more: object = {}): Configuration => parse({ access: [{ name: 'ci', ...identity, grants }], ...more })

const refused = (run: () => unknown): Readonly<Record<string, string>> => {
  try {
    run()
  } catch (error) {
    return Object.fromEntries((error instanceof LatchkeyError ? (error.details.issues ?? []) : []).map(({ path, message }) => [path, message]))
  }
  return {}
}

describe('an identity in latchkey.access', () => {
  it.each([
    ['a role', 'arn:aws:iam::123456789012:role/ci', 'arn:aws:iam::123456789012:role/ci'],
    ['a role with a path, which its sessions do not show', 'arn:aws:iam::123456789012:role/team/a/ci', 'arn:aws:iam::123456789012:role/ci'],
    ['a user with a path, which its ARN always shows', 'arn:aws:iam::123456789012:user/team/jo', 'arn:aws:iam::123456789012:user/team/jo'],
    ['one session', 'arn:aws:sts::123456789012:assumed-role/ci/run-7', 'arn:aws:sts::123456789012:assumed-role/ci/run-7'],
    ['a role in another partition', 'arn:aws-us-gov:iam::123456789012:role/ci', 'arn:aws-us-gov:iam::123456789012:role/ci'],
    ['the root of an account', 'arn:aws:iam::123456789012:root', 'arn:aws:iam::123456789012:root'],
  ])('is %s', (_what, aws_arn, pinned) => {
    expect(entry({ aws_arn }).access[0]).toEqual({ name: 'ci', identity: { kind: 'aws_arn', fields: { aws_arn: pinned } }, grants })
  })

  it('is a JWT by issuer, audience and subject', () => {
    const jwt = { issuer: 'https://idp.example', audience: 'latchkey', subject: 'team-a' }

    expect(entry({ jwt }).access[0]?.identity).toEqual({ kind: 'jwt', fields: jwt })
  })

  it('is an Entra principal in lower case, where App Service authentication is trusted', () => {
    const { access, trust } = entry({ entra: { tenant_id: '0A0A0A0A-1111-2222-3333-444444444444', object_id: '0b0b0b0b-1111-2222-3333-444444444444' } }, { trust: { easy_auth: true } })

    expect(access[0]?.identity).toEqual({ kind: 'entra', fields: { tenant_id: '0a0a0a0a-1111-2222-3333-444444444444', object_id: '0b0b0b0b-1111-2222-3333-444444444444' } })
    expect(trust).toEqual({ easy_auth: true, google_iam: false })
  })

  it('is a Google account by address, and by its unique id if one is written', () => {
    const trust = { trust: { google_iam: true } }

    expect(entry({ google: { email: 'ci@p.iam.gserviceaccount.com' } }, trust).access[0]?.identity?.fields).toEqual({ email: 'ci@p.iam.gserviceaccount.com' })
    expect(entry({ google: { email: 'ci@p.iam.gserviceaccount.com', subject: '1177' } }, trust).access[0]?.identity?.fields).toEqual({ email: 'ci@p.iam.gserviceaccount.com', subject: '1177' })
  })

  it.each([
    ['a wildcard in an ARN', { aws_arn: 'arn:aws:iam::123456789012:role/*' }, 'latchkey.access[0].aws_arn', /without wildcards/],
    ['every account', { aws_arn: 'arn:aws:iam::*:role/ci' }, 'latchkey.access[0].aws_arn', /must be the ARN/],
    ['every session', { aws_arn: 'arn:aws:sts::123456789012:assumed-role/ci/*' }, 'latchkey.access[0].aws_arn', /must be the ARN/],
    ['a policy', { aws_arn: 'arn:aws:iam::123456789012:policy/ci' }, 'latchkey.access[0].aws_arn', /must be the ARN/],
    ['an empty role', { aws_arn: 'arn:aws:iam::123456789012:role/' }, 'latchkey.access[0].aws_arn', /must be the ARN/],
    ['an ARN that is a list', { aws_arn: ['arn:aws:iam::123456789012:role/ci'] }, 'latchkey.access[0].aws_arn', /must be text/],
    ['a JWT without an audience', { jwt: { issuer: 'https://idp.example', subject: 's' } }, 'latchkey.access[0].jwt.audience', /is required/],
    ['a JWT without a subject', { jwt: { issuer: 'https://idp.example', audience: 'a' } }, 'latchkey.access[0].jwt.subject', /is required/],
    ['an empty subject', { jwt: { issuer: 'https://idp.example', audience: 'a', subject: '' } }, 'latchkey.access[0].jwt.subject', /must not be empty/],
    ['an unknown field', { jwt: { issuer: 'https://idp.example', audience: 'a', subjekt: 's', subject: 's' } }, 'latchkey.access[0].jwt.subjekt', /did you mean subject/],
    ['a JWT that is text', { jwt: 'eyJ' }, 'latchkey.access[0].jwt', /must be a mapping/],
    ['a tenant that is a name', { entra: { tenant_id: 'contoso', object_id: '0b0b0b0b-1111-2222-3333-444444444444' }, }, 'latchkey.access[0].entra.tenant_id', /must be a GUID/],
    ['a domain of Google', { google: { email: '*@example.com' } }, 'latchkey.access[0].google.email', /must be one e-mail/],
    ['a token beside an identity', { token_sha256: 'ab'.repeat(32), aws_arn: 'arn:aws:iam::123456789012:role/ci' }, 'latchkey.access[0].aws_arn', /stands beside token_sha256/],
    ['nothing that proves it', {}, 'latchkey.access[0].token_sha256', /or an identity: aws_arn, jwt, entra, google/],
  ])('is not %s', (_what, identity, path, message) => {
    const issues = refused(() => entry(identity, { trust: { easy_auth: true, google_iam: true } }))

    expect(issues).toEqual({ [path]: expect.stringMatching(message) })
  })

  it('stands once', () => {
    const twice = (first: string, second: string): unknown => parse({ access: [{ name: 'a', aws_arn: first, grants }, { name: 'b', aws_arn: second, grants }] })

    expect(refused(() => twice('arn:aws:iam::123456789012:role/ci', 'arn:aws:iam::123456789012:role/path/ci'))).toEqual({ 'latchkey.access[1].aws_arn': expect.stringMatching(/is the same as latchkey.access\[0\]/) })
  })

  it.each([
    ['entra', { tenant_id: '0a0a0a0a-1111-2222-3333-444444444444', object_id: '0b0b0b0b-1111-2222-3333-444444444444' }, 'easy_auth', 'LATCHKEY_TRUST_EASY_AUTH'],
    ['google', { email: 'ci@p.iam.gserviceaccount.com' }, 'google_iam', 'LATCHKEY_TRUST_GOOGLE_IAM'],
  ])('by %s needs its platform to be trusted, in the file or the environment', (kind, fields, setting, variable) => {
    const access = [{ name: 'ci', [kind]: fields, grants }]

    expect(refused(() => parse({ access }))).toEqual({ [`latchkey.trust.${setting}`]: expect.stringMatching(/must be true/) })
    expect(refused(() => parse({ access, trust: { [setting]: false } }))).toEqual({ [`latchkey.trust.${setting}`]: expect.stringMatching(/must be true/) })
    expect(parse({ access }, { [variable]: 'true' }).trust).toMatchObject({ [setting]: true })
  })

  it('trusts nobody where nothing is written', () => {
    expect(parse({}).trust).toEqual({ easy_auth: false, google_iam: false })
    expect(refused(() => parse({ trust: { easy_oauth: true } }))).toEqual({ 'latchkey.trust.easy_oauth': expect.stringMatching(/did you mean easy_auth/) })
  })

  it('is an unknown setting where nothing reads it, so that nobody is let in by what was not read', () => {
    const unread = (): unknown => parseConfiguration({ latchkey: { access: [{ name: 'ci', aws_arn: 'arn:aws:iam::123456789012:role/ci', grants }] } }, { env: envOf({}), loopback: true })

    expect(Object.keys(refused(unread))).toEqual(['latchkey.access[0].aws_arn', 'latchkey.access[0].token_sha256'])
  })
})
