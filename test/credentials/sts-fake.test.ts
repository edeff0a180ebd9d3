// The fake STS under AWS's own client: what it gives, and every refusal that the identity tests rely on.
import { AssumeRoleCommand, AssumeRoleWithWebIdentityCommand, GetCallerIdentityCommand, GetWebIdentityTokenCommand, STSClient, type AssumeRoleCommandInput, type GetWebIdentityTokenCommandInput } from '@aws-sdk/client-sts'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fakeKeys } from '../fakes/aws-signature.ts'
import { fakeIssuer, startStsFake, type StsFake } from '../fakes/sts.ts'

const user = { ...fakeKeys, arn: 'arn:aws:iam::100000000001:user/latchkey' }
const role = 'arn:aws:iam::200000000002:role/path/Target'
const pod = 'arn:aws:iam::100000000001:role/Pod'

let fake: StsFake
let now: number
let client: STSClient

const clientOf = (given: object = {}): STSClient => new STSClient({ region: 'us-east-1', endpoint: fake.url, credentials: fakeKeys, maxAttempts: 1, ...given })

beforeEach(async () => {
  now = Date.now()
  fake = await startStsFake({
    now: () => now,
    callers: [user],
    roles: [
      { arn: role, principals: [user.arn, pod], externalId: 'the-right-one', maxSeconds: 7200 },
      { arn: pod, web: fakeIssuer },
      { arn: 'arn:aws:iam::100000000001:role/Tagged', principals: [user.arn], tagSession: true, setSourceIdentity: true },
    ],
  })
  client = clientOf()
})
afterEach(async () => {
  client.destroy()
  await fake.close()
})

const assume = (more: Partial<AssumeRoleCommandInput> = {}, by = client) => by.send(new AssumeRoleCommand({ RoleArn: role, RoleSessionName: 'session', ExternalId: 'the-right-one', ...more }))
const web = (token: string, more: object = {}) => client.send(new AssumeRoleWithWebIdentityCommand({ RoleArn: pod, RoleSessionName: 'session', WebIdentityToken: token, ...more }))
const nameOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'ok', (error: Error) => error.name)

describe('the fake STS', () => {
  it('says who signed', async () => {
    expect(await client.send(new GetCallerIdentityCommand({}))).toMatchObject({ Account: '100000000001', Arn: user.arn })
  })

  it('gives keys of a role that work until they end', async () => {
    const { Credentials, AssumedRoleUser } = await assume({ DurationSeconds: 900 })
    const session = clientOf({ credentials: { accessKeyId: Credentials?.AccessKeyId, secretAccessKey: Credentials?.SecretAccessKey, sessionToken: Credentials?.SessionToken } })
    const caller = await session.send(new GetCallerIdentityCommand({}))
    now += 900_000
    const late = await nameOf(session.send(new GetCallerIdentityCommand({})))

    expect([AssumedRoleUser?.Arn, caller.Arn, Credentials?.Expiration?.getTime(), late]).toEqual(['arn:aws:sts::200000000002:assumed-role/Target/session', 'arn:aws:sts::200000000002:assumed-role/Target/session', Math.floor(now), 'ExpiredToken'])
    session.destroy()
  })

  it('gives keys for a token, unsigned', async () => {
    await web(fake.token())

    expect(fake.forms).toEqual([{ action: 'AssumeRoleWithWebIdentity', fields: { RoleArn: pod, RoleSessionName: 'session', WebIdentityToken: fake.token() }, signedBy: undefined }])
  })

  it.each<[string, string, (() => Promise<unknown>)]>([
    ['a wrong external id', 'AccessDenied', () => assume({ ExternalId: 'another' })],
    ['no external id', 'AccessDenied', () => assume({ ExternalId: undefined })],
    ['a role that is not there', 'AccessDenied', () => assume({ RoleArn: 'arn:aws:iam::200000000002:role/Nobody' })],
    ['a role that trusts tokens only', 'AccessDenied', () => assume({ RoleArn: pod })],
    ['a session name of one letter', 'ValidationError', () => assume({ RoleSessionName: 'x' })],
    ['a session name with a space', 'ValidationError', () => assume({ RoleSessionName: 'a b' })],
    ['an illegal external id', 'ValidationError', () => assume({ ExternalId: 'a b' })],
    ['too short a session', 'ValidationError', () => assume({ DurationSeconds: 60 })],
    ['a session over the role’s limit', 'ValidationError', () => assume({ DurationSeconds: 7201 })],
    ['tags without the right to them', 'AccessDenied', () => assume({ Tags: [{ Key: 'a', Value: 'b' }] })],
    ['a source identity without the right to it', 'AccessDenied', () => assume({ SourceIdentity: 'somebody' })],
    ['too many tags', 'ValidationError', () => assume({ Tags: Array.from({ length: 51 }, (_, index) => ({ Key: `k${index}`, Value: '' })) })],
    ['tags that do not fit', 'PackedPolicyTooLargeException', () => assume({ Tags: Array.from({ length: 50 }, (_, index) => ({ Key: `k${index}`, Value: 'v'.repeat(256) })) })],
    ['an unknown access key', 'InvalidClientTokenId', () => assume({}, clientOf({ credentials: { ...fakeKeys, accessKeyId: 'AKIANOBODY' } }))],
    ['a wrong secret key', 'SignatureDoesNotMatch', () => assume({}, clientOf({ credentials: { ...fakeKeys, secretAccessKey: 'wrong' } }))],
    ['another region', 'SignatureDoesNotMatch', () => assume({}, clientOf({ region: 'eu-west-1' }))],
    ['an expired token', 'ExpiredTokenException', () => web(fake.token({ exp: 1 }))],
    ['a foreign token', 'InvalidIdentityTokenException', () => web(`${fake.token().slice(0, -2)}xx`)],
    ['a token for somebody else', 'InvalidIdentityTokenException', () => web(fake.token({ aud: 'another' }))],
    ['a token of another subject', 'AccessDenied', () => web(fake.token({ sub: 'another' }))],
    ['a token of three letters', 'ValidationError', () => web('abc')],
  ])('refuses %s', async (_title, name, act) => {
    expect(await nameOf(act())).toBe(name)
  })

  it('allows tags and a source identity where the trust policy does', async () => {
    expect(await nameOf(assume({ RoleArn: 'arn:aws:iam::100000000001:role/Tagged', Tags: [{ Key: 'a', Value: 'b' }], SourceIdentity: 'somebody' }))).toBe('ok')
  })

  it('ends a chained session after an hour at most', async () => {
    const { Credentials } = await web(fake.token())
    const session = clientOf({ credentials: { accessKeyId: Credentials?.AccessKeyId, secretAccessKey: Credentials?.SecretAccessKey, sessionToken: Credentials?.SessionToken } })

    expect([await nameOf(assume({ DurationSeconds: 3601 }, session)), await nameOf(assume({ DurationSeconds: 3600 }, session)), await nameOf(assume({ DurationSeconds: 3601 }))]).toEqual(['ValidationError', 'ok', 'ok'])
    session.destroy()
  })
})

describe('the fake STS, asked for a token for another cloud', () => {
  const outbound = (more: Partial<GetWebIdentityTokenCommandInput> = {}) => client.send(new GetWebIdentityTokenCommand({ Audience: ['api://a'], SigningAlgorithm: 'RS256', ...more }))

  it('gives one to whoever signed, for these audiences and five minutes', async () => {
    fake.outbound.on = true

    const { WebIdentityToken: token = '', Expiration: end } = await outbound({ Audience: ['api://a', 'b c'] })

    expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))).toMatchObject({ sub: user.arn, aud: ['api://a', 'b c'] })
    expect(end?.getTime()).toBe((Math.floor(now / 1000) + 300) * 1000)
  })

  it.each([
    ['while the account has not switched it on', {}, { on: false }, 'OutboundWebIdentityFederationDisabledException'],
    ['for an audience that the policy does not name', { Audience: ['api://b'] }, { on: true, audiences: ['api://a'] }, 'AccessDenied'],
    ['for longer than an hour', { DurationSeconds: 3601 }, { on: true }, 'ValidationError'],
    ['for less than a minute', { DurationSeconds: 59 }, { on: true }, 'ValidationError'],
    ['under another algorithm', { SigningAlgorithm: 'HS256' }, { on: true }, 'ValidationError'],
    ['for nobody', { Audience: [] }, { on: true }, 'ValidationError'],
  ])('refuses one %s', async (_what, more, state, name) => {
    Object.assign(fake.outbound, state)

    expect(await nameOf(outbound(more))).toBe(name)
  })
})
