// Callers whom a platform proves: when an identity counts, what it may do, and what a token beside it changes. How each platform's word becomes an identity is
// asked in test/hosts.
import { describe, expect, it } from 'vitest'
import type { AccessEntry, Grant, PinnedIdentity } from '../../shared/core/configuration.ts'
import type { ProvedIdentity } from '../../shared/http/api.ts'
import { masterKey, open, tokenOf } from './harness.ts'

const role = 'arn:aws:iam::123456789012:role/ci'
const pin = (kind: PinnedIdentity['kind'], fields: PinnedIdentity['fields']): PinnedIdentity => ({ kind, fields })
const entry = (identity: PinnedIdentity, grants: readonly Grant[], name = 'ci'): AccessEntry => ({ name, identity, grants })
const aws = (...arns: readonly string[]): ProvedIdentity => ({ kind: 'aws_arn', facts: { aws_arn: arns } })
const sessionOf = aws('arn:aws:sts::123456789012:assumed-role/ci/run-7', role)
const ci = (...grants: readonly Grant[]): AccessEntry => entry(pin('aws_arn', { aws_arn: role }), grants)
const jwt = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln'

describe('an identity that the platform proved', () => {
  it('is the caller where an entry names it, without any token', async () => {
    const { send, seed, runtime } = await open({ access: [ci({ action: 'secrets:read', names: ['OPENAI_*'] })] })
    await seed('OPENAI_API_KEY', 'v')

    const [allowed, refused] = [await send('GET /secrets/OPENAI_API_KEY', { as: '', identity: sessionOf }), await send('GET /secrets/OTHER', { as: '', identity: sessionOf })]

    expect([allowed.status, refused.status]).toEqual([200, 403])
    expect(runtime.audited.map(({ caller, decision }) => [caller, decision])).toEqual([['ci', 'allowed'], ['ci', 'denied']])
  })

  it.each([
    ['another role', aws('arn:aws:iam::123456789012:role/other')],
    ['the role of that name in another account', aws('arn:aws:iam::210987654321:role/ci')],
    ['a role whose name begins so', aws('arn:aws:iam::123456789012:role/ci-2')],
    ['nobody', aws()],
    ['the same text, proved as something else', { kind: 'jwt', facts: { aws_arn: [role] } } as ProvedIdentity],
  ])('is nobody where none does: %s', async (_what, identity) => {
    const { send } = await open({ access: [ci({ action: '*' })] })

    const got = await send('GET /whoami', { as: '', identity })

    expect([got.status, got.json['detail']]).toEqual([401, 'No entry of latchkey.access names the identity that called, and no token was sent.'])
  })

  it('matches only if every field does', async () => {
    const fields = { issuer: 'https://idp.example', audience: 'latchkey', subject: 'team-a' }
    const { send } = await open({ access: [entry(pin('jwt', fields), [])] })
    const as = async (facts: Record<string, readonly string[]>): Promise<number> => (await send('GET /whoami', { as: '', identity: { kind: 'jwt', facts } })).status
    const right = { issuer: ['https://idp.example'], audience: ['other', 'latchkey'], subject: ['team-a'] }

    const statuses = [await as(right), await as({ ...right, issuer: ['https://evil.example'] }), await as({ ...right, audience: ['other'] }), await as({ ...right, subject: [] }), await as({ issuer: right.issuer })]

    expect(statuses).toEqual([200, 401, 401, 401, 401])
  })

  it('is the first entry that it fits, in the order of the file', async () => {
    const session = entry(pin('aws_arn', { aws_arn: 'arn:aws:sts::123456789012:assumed-role/ci/run-7' }), [], 'one-run')
    const { send } = await open({ access: [session, ci()] })

    const got = await send('GET /whoami', { as: '', identity: sessionOf })

    expect(got.json['name']).toBe('one-run')
  })

  it('is never the master, and reveals no key without the grant', async () => {
    const { send } = await open({ access: [ci({ action: '*' })] })
    await send('POST /key/generate', { body: { key_alias: 'a' } })

    const [who, reveal] = [await send('GET /whoami', { as: '', identity: sessionOf }), await send('GET /secrets/litellm/a', { as: '', identity: sessionOf })]

    expect([who.json['master'], reveal.status]).toEqual([false, 403])
  })

  it('asks /ready like anybody else where it is named nowhere, and a wrong token is still refused', async () => {
    const { send } = await open({ access: [ci({ action: 'ops:read' })] })
    const headers = { authorization: 'AWS4-HMAC-SHA256 Credential=x' }
    const stranger = aws('arn:aws:iam::123456789012:role/other')

    const answers = [await send('GET /ready', { as: '', identity: stranger, headers }), await send('GET /ready', { as: '', identity: stranger, headers: { ...headers, 'x-litellm-api-key': 'sk-wrong' } }), await send('GET /ready', { as: '', headers })]

    expect(answers.map(({ status, json }) => [status, json['stores']])).toEqual([[200, undefined], [401, undefined], [401, undefined]])
  })

  it('opens what /ready tells operators', async () => {
    const { send } = await open({ access: [ci({ action: 'ops:read' })] })

    const [with_, without] = [await send('GET /ready', { as: '', identity: sessionOf }), await send('GET /ready', { as: '' })]

    expect([with_.json['stores'] !== undefined, without.json['stores'] !== undefined]).toEqual([true, false])
  })
})

describe('a token beside an identity', () => {
  const both = async (own: Grant, other: Grant): Promise<Awaited<ReturnType<typeof open>>> => open({ access: [ci(own)], callers: { app: [other] } })
  const sent = { as: '', identity: sessionOf, headers: { authorization: 'AWS4-HMAC-SHA256 Credential=x', 'x-litellm-api-key': tokenOf('app') } }

  it.each([
    ['both allow it', { action: 'secrets:read' }, { action: 'secrets:read' }, 200],
    ['only the identity allows it', { action: 'secrets:read' }, { action: 'secrets:list' }, 403],
    ['only the token allows it', { action: 'secrets:list' }, { action: 'secrets:read' }, 403],
    ['their names do not meet', { action: 'secrets:read', names: ['A'] }, { action: 'secrets:read', names: ['B'] }, 403],
  ])('must be allowed as well: %s', async (_what, own, other, status) => {
    const { send, seed, runtime } = await both(own, other)
    await seed('A', 'v')

    const got = await send('GET /secrets/A', sent)

    expect(got.status).toBe(status)
    expect(runtime.audited.at(-1)?.caller).toBe('ci+app')
  })

  it('confines keys to the teams of both', async () => {
    const { send } = await open({ access: [ci({ action: 'keys:*', team: 'a' }, { action: 'keys:*', team: 'b' })], callers: { app: [{ action: 'keys:*', team: 'b' }, { action: 'keys:*', team: 'c' }] } })
    for (const team of ['a', 'b', 'c']) await send('POST /key/generate', { body: { key_alias: team, team_id: team } })

    const [listed, ...made] = [await send('GET /key/list?return_full_object=true', sent), ...(await Promise.all(['a', 'b', 'c'].map((team) => send('POST /key/generate', { ...sent, body: { key_alias: `new-${team}`, team_id: team } }))))]

    expect((listed.json['keys'] as unknown as { team_id: string }[]).map((key) => key.team_id)).toEqual(['b'])
    expect(made.map(({ status }) => status)).toEqual([403, 200, 403])
  })

  it('grants a field of the gateway only if both name it', async () => {
    const budget = { key_alias: 'x', max_budget: 5 }
    const one = await both({ action: 'keys:create', fields: ['max_budget'] }, { action: 'keys:create' })
    const two = await both({ action: 'keys:create', fields: ['max_budget'] }, { action: 'keys:create', fields: ['*'] })

    expect([(await one.send('POST /key/generate', { ...sent, body: budget })).status, (await two.send('POST /key/generate', { ...sent, body: budget })).status]).toEqual([403, 200])
  })

  it('refuses everything when Latchkey does not know it', async () => {
    const { send } = await both({ action: '*' }, { action: '*' })

    const got = await send('GET /whoami', { ...sent, headers: { 'x-litellm-api-key': 'sk-somebody-elses' } })

    expect([got.status, got.json['detail']]).toEqual([401, 'The credential is not one that Latchkey knows.'])
  })

  it('shows both to the caller', async () => {
    const { send } = await both({ action: 'secrets:read' }, { action: 'secrets:list' })

    const got = await send('GET /whoami', sent)

    expect(got.json).toMatchObject({ name: 'ci+app', grants: [{ action: 'secrets:read' }], also: { name: 'app', grants: [{ action: 'secrets:list' }] } })
  })

  it('decides alone where no entry names the identity', async () => {
    const { send } = await open({ access: [ci({ action: '*' })], callers: { app: [] } })
    const stranger = aws('arn:aws:iam::123456789012:role/other')

    const names = [await send('GET /whoami', { ...sent, identity: stranger }), await send('GET /whoami', { as: '', identity: stranger, headers: { 'x-litellm-api-key': masterKey } })].map((got) => got.json['name'])

    expect(names).toEqual(['app', 'master-key'])
  })

  it('is never the JWT that the platform checked in Authorization', async () => {
    const { send } = await open({ access: [entry(pin('jwt', { subject: 'team-a' }), [])], callers: { app: [] } })
    const identity: ProvedIdentity = { kind: 'jwt', facts: { subject: ['team-a'] } }
    const nameOf = async (more: Readonly<Record<string, string>>): Promise<unknown> => (await send('GET /whoami', { as: '', identity, headers: { authorization: `Bearer ${jwt}`, ...more } })).json['name']

    expect([await nameOf({}), await nameOf({ 'x-litellm-api-key': tokenOf('app') })]).toEqual(['ci', 'ci+app'])
  })

  it('is that JWT, and unknown, where no platform proved anything', async () => {
    const { send } = await open({ access: [entry(pin('jwt', { subject: 'team-a' }), [])] })

    const got = await send('GET /whoami', { as: '', headers: { authorization: `Bearer ${jwt}` } })

    expect([got.status, got.json['detail']]).toEqual([401, 'The credential is not one that Latchkey knows.'])
  })
})
