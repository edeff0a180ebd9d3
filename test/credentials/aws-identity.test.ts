// A login to AWS as STS sees it, field by field; how long its keys are used; and what is said when a step of it fails.
import { inspect } from 'node:util'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fakeIssuer } from '../fakes/sts.ts'
import { watch } from '../support/canary.ts'
import { callOf } from '../support/runtime.ts'
import { execution, externalId, failureOf, functionEnv, keysOf, loginWorld, pod, target, user, userKeys, type LoginWorld } from './aws-login.ts'

const minute = 60_000
const legal = /^latchkey-[0-9a-f]{16}$/

let world: LoginWorld
beforeEach(async () => {
  world = await loginWorld()
  world.files['/var/token'] = `${world.sts.token()}\n`
})
afterEach(() => world.sts.close())

const actions = (): string[] => world.sts.forms.map(({ action }) => action)
const twoHops = { aws_role_name: target, aws_web_identity_token: '/var/token', aws_external_id: externalId }
const podEnv = { AWS_ROLE_ARN: pod }

describe('the requests of a login', () => {
  it('are none for keys that are there', async () => {
    const [own, ambient] = [await world.open({ ...userKeys, aws_session_token: 'mine' }, functionEnv), await world.open({}, functionEnv)]

    expect([own.credentials, ambient.credentials]).toEqual([
      { accessKeyId: user.accessKeyId, secretAccessKey: user.secretAccessKey, sessionToken: 'mine' },
      { accessKeyId: execution.accessKeyId, secretAccessKey: execution.secretAccessKey, sessionToken: execution.sessionToken },
    ])
    expect(world.sts.requests).toEqual([])
  })

  it('are none at open', async () => {
    await world.open(twoHops, podEnv)

    expect(world.sts.requests).toEqual([])
  })

  it('A24: are one AssumeRole for a role on a user’s keys, with what is set and nothing else', async () => {
    const bare = await world.open({ ...userKeys, aws_role_name: target, aws_external_id: externalId })
    const full = await world.open({ ...userKeys, aws_role_name: target, aws_external_id: externalId, aws_session_name: 'own-session', aws_source_identity: 'somebody', aws_session_tags: { team: 'blue', 'Cost Center': '7' }, aws_session_duration_seconds: 7200 })

    const keys = [await keysOf(bare), await keysOf(full)]

    expect(world.sts.forms).toEqual([
      { action: 'AssumeRole', signedBy: user.accessKeyId, fields: { RoleArn: target, RoleSessionName: expect.stringMatching(legal) as string, ExternalId: externalId } },
      {
        action: 'AssumeRole',
        signedBy: user.accessKeyId,
        fields: { RoleArn: target, RoleSessionName: 'own-session', ExternalId: externalId, SourceIdentity: 'somebody', 'Tags.member.1.Key': 'team', 'Tags.member.1.Value': 'blue', 'Tags.member.2.Key': 'Cost Center', 'Tags.member.2.Value': '7', DurationSeconds: '7200' },
      },
    ])
    expect(keys.map(({ accessKeyId }) => accessKeyId)).toEqual(['ASIAFAKESESSION00001', 'ASIAFAKESESSION00002'])
  })

  it('A25: are one unsigned AssumeRoleWithWebIdentity for a token straight into the role, under a session name of our own making', async () => {
    await keysOf(await world.open({ aws_role_name: pod, aws_web_identity_token: '/var/token', aws_session_duration_seconds: 7200 }))

    expect(world.sts.forms).toEqual([{ action: 'AssumeRoleWithWebIdentity', signedBy: undefined, fields: { RoleArn: pod, RoleSessionName: expect.stringMatching(legal) as string, WebIdentityToken: world.sts.token(), DurationSeconds: '7200' } }])
  })

  it('are two for a token and a role across accounts: the token first, then the role with its external id', async () => {
    await keysOf(await world.open(twoHops, podEnv))

    expect(world.sts.forms).toEqual([
      { action: 'AssumeRoleWithWebIdentity', signedBy: undefined, fields: { RoleArn: pod, RoleSessionName: expect.stringMatching(legal) as string, WebIdentityToken: world.sts.token() } },
      { action: 'AssumeRole', signedBy: 'ASIAFAKESESSION00001', fields: { RoleArn: target, RoleSessionName: expect.stringMatching(legal) as string, ExternalId: externalId } },
    ])
  })

  it('take the token from wherever the setting says', async () => {
    const token = world.sts.token()
    const given = [
      [token, {}],
      ['/var/token', {}],
      ['os.environ/MY_TOKEN', { MY_TOKEN: token }],
      ['os.environ/MY_FILE', { MY_FILE: '/var/token' }],
      ['oidc/env/MY_TOKEN', { MY_TOKEN: token }],
      ['oidc/env_path/MY_FILE', { MY_FILE: '/var/token' }],
      ['oidc/circleci/x', { CIRCLE_OIDC_TOKEN: token }],
    ] as const
    for (const [text, env] of given) await keysOf(await world.open({ aws_role_name: pod, aws_web_identity_token: text }, { ...env }))

    expect(world.sts.forms.map(({ fields }) => fields['WebIdentityToken'])).toEqual(given.map(() => token))
  })

  it('ask who a role session is before they assume a role, and leave it where it already is that role', async () => {
    const same = await keysOf(await world.open({ aws_role_name: 'arn:aws:iam::100000000001:role/Execution' }, functionEnv))
    const other = await keysOf(await world.open({ aws_role_name: target, aws_external_id: externalId }, functionEnv))

    expect([same.accessKeyId, other.accessKeyId]).toEqual([execution.accessKeyId, 'ASIAFAKESESSION00001'])
    expect(actions()).toEqual(['GetCallerIdentity', 'GetCallerIdentity', 'AssumeRole'])
  })

  it('go on where STS does not say who it is', async () => {
    world.sts.fault({ kind: 'denied', on: 'read' })

    const keys = await keysOf(await world.open({ aws_role_name: target, aws_external_id: externalId }, functionEnv))

    expect(keys.accessKeyId).toBe('ASIAFAKESESSION00001')
  })
})

describe('a login from the default chain of the SDK', () => {
  let server: Server
  let variables: Record<string, string>
  beforeEach(async () => {
    server = createServer((_, response) => void response.end(JSON.stringify({ AccessKeyId: execution.accessKeyId, SecretAccessKey: execution.secretAccessKey, Token: execution.sessionToken, Expiration: new Date(world.runtime.clock.now() + 60 * minute).toISOString() })))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    variables = { HOME: '/nowhere', AWS_EC2_METADATA_DISABLED: 'true', AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
    before = Object.fromEntries(Object.keys(variables).map((name) => [name, process.env[name]]))
    Object.assign(process.env, variables)
  })
  let before: Record<string, string | undefined>
  const restore = (names: readonly string[]): void => {
    for (const name of names) {
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
    }
  }
  afterEach(() => {
    restore(Object.keys(variables))
    server.close()
  })

  it('takes what the container gives, and assumes the role with it', async () => {
    const keys = [await keysOf(await world.open({})), await keysOf(await world.open({ aws_role_name: target, aws_external_id: externalId }))]

    expect(keys.map(({ accessKeyId }) => accessKeyId)).toEqual([execution.accessKeyId, 'ASIAFAKESESSION00001'])
    expect(world.sts.forms.map(({ action, signedBy }) => [action, signedBy])).toEqual([['GetCallerIdentity', execution.accessKeyId], ['AssumeRole', execution.accessKeyId]])
  })

  it('says which settings there are when it finds nothing', async () => {
    restore(['AWS_CONTAINER_CREDENTIALS_FULL_URI'])

    const failure = await failureOf(keysOf(await world.open({})))

    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringMatching(/^No AWS credentials were found. Set aws_access_key_id/) as string, details: { issues: [{ path: 'aws_access_key_id' }] } })
  })
})

describe('the endpoint of a login', () => {
  let trap: Server
  let met: string[]
  beforeEach(async () => {
    met = []
    trap = createServer((request, response) => {
      met.push(request.url ?? '')
      response.writeHead(500).end()
    })
    await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(trap.address() as AddressInfo).port}`
    Object.assign(process.env, { AWS_ENDPOINT_URL: url, AWS_ENDPOINT_URL_STS: url })
  })
  afterEach(() => {
    delete process.env['AWS_ENDPOINT_URL']
    delete process.env['AWS_ENDPOINT_URL_STS']
    trap.close()
  })

  it('is the configured one, whatever the process’s environment names', async () => {
    const identity = await world.open(twoHops, podEnv)
    await keysOf(identity)
    await identity.check(callOf(world.runtime.clock))

    expect([met, actions()]).toEqual([[], ['AssumeRoleWithWebIdentity', 'AssumeRole', 'GetCallerIdentity']])
  })

  it('is that of the environment where none is configured', async () => {
    const trapped = process.env['AWS_ENDPOINT_URL'] ?? ''

    const failure = await failureOf(world.open({ ...twoHops, aws_sts_endpoint: undefined }, { ...podEnv, AWS_ENDPOINT_URL: trapped }).then(keysOf))

    expect([failure.code, met.length, world.sts.requests.length]).toEqual(['provider_unavailable', 1, 0])
  })
})

describe('the keys of a login', () => {
  it('are one login for all who wait, and shared by every provider with the same settings', async () => {
    const identities = [await world.open(twoHops, podEnv), await world.open(twoHops, podEnv)]

    const keys = await Promise.all(Array.from({ length: 20 }, (_, index) => keysOf(identities[index % 2] ?? identities[0]!)))

    expect(new Set(keys.map(({ accessKeyId }) => accessKeyId)).size).toBe(1)
    expect(actions()).toEqual(['AssumeRoleWithWebIdentity', 'AssumeRole'])
  })

  it('are kept for a bounded number of identities, and then those of the one not opened for longest go', async () => {
    const given = (number: number) => ({ ...userKeys, aws_role_name: target, aws_external_id: externalId, aws_session_name: `session-${number}` })
    const idOf = async (number: number): Promise<string> => (await keysOf(await world.open(given(number)))).accessKeyId.slice(-1)
    const before = [await idOf(1), await idOf(2)]
    for (let number = 3; number <= 64; number += 1) await world.open(given(number))
    const within = await idOf(1)
    await world.open(given(65))

    expect([before, within, await idOf(1), await idOf(2)]).toEqual([['1', '2'], '1', '1', '3'])
  })

  it('are apart where any setting differs', async () => {
    await keysOf(await world.open({ ...userKeys, aws_role_name: target, aws_external_id: externalId }))
    await keysOf(await world.open({ ...userKeys, aws_role_name: target, aws_external_id: externalId, aws_session_name: 'another' }))

    expect(actions()).toEqual(['AssumeRole', 'AssumeRole'])
  })

  it('are used until five minutes before their end, by our clock', async () => {
    const identity = await world.open({ ...userKeys, aws_role_name: target, aws_external_id: externalId })
    const idAfter = async (ms: number): Promise<string> => {
      world.runtime.clock.advance(ms)
      return (await keysOf(identity)).accessKeyId.slice(-1)
    }

    expect([await idAfter(0), await idAfter(54 * minute), await idAfter(2 * minute), await idAfter(0)]).toEqual(['1', '1', '2', '2'])
  })

  it('are renewed after a clock jump over their end', async () => {
    const identity = await world.open({ ...userKeys, aws_role_name: target, aws_external_id: externalId })
    await keysOf(identity)
    world.runtime.clock.advance(6 * 60 * minute)

    expect((await keysOf(identity)).accessKeyId).toBe('ASIAFAKESESSION00002')
  })

  it('are still used while STS is down and they work, and tried for again half a minute later', async () => {
    const identity = await world.open({ ...userKeys, aws_role_name: target, aws_external_id: externalId })
    const asked: (string | number)[] = []
    const ask = async (): Promise<void> => void asked.push((await keysOf(identity)).accessKeyId.slice(-1), world.sts.requests.length)
    await ask()
    world.runtime.clock.advance(56 * minute)
    world.sts.fault({ kind: 'unavailable_before' })
    await ask()
    world.runtime.clock.advance(29_000)
    await ask()
    world.runtime.clock.advance(1_000)
    await ask()
    world.runtime.clock.advance(4 * minute)
    const ended = await failureOf(keysOf(identity))
    world.sts.heal()

    expect([asked, ended.code, (await keysOf(identity)).accessKeyId]).toEqual([['1', 1, '1', 2, '1', 2, '1', 3], 'provider_unavailable', 'ASIAFAKESESSION00002'])
  })

  it.each([
    ['late', 2 * 60 * minute, 54 * minute, 56 * minute],
    ['early', -2 * 60 * minute, 59_000, 61_000],
  ])('are used for no other time when this machine’s clock is %s', async (_title, skewMs, still, over) => {
    const skewed = await loginWorld({ skewMs })
    const identity = await skewed.open({ ...userKeys, aws_role_name: target, aws_external_id: externalId })
    const begin = skewed.runtime.clock.now()
    const idAt = async (ms: number): Promise<string> => {
      skewed.runtime.clock.set(begin + ms)
      return (await keysOf(identity)).accessKeyId.slice(-1)
    }
    const ids = [await idAt(0), await idAt(still), await idAt(over)]
    await skewed.sts.close()

    expect(ids).toEqual(['1', '1', '2'])
  })

  it('come from the token as it is now: the file is read again', async () => {
    const identity = await world.open({ aws_role_name: pod, aws_web_identity_token: '/var/token' })
    await keysOf(identity)
    const second = world.sts.token({ exp: world.runtime.clock.now() / 1000 + 7200 })
    world.files['/var/token'] = second
    world.runtime.clock.advance(60 * minute)
    await keysOf(identity)

    expect(world.sts.forms.at(-1)?.fields['WebIdentityToken']).toBe(second)
  })

  it('survive a token that is renewed at the very moment', async () => {
    const old = world.sts.token({ exp: 1 })
    let reads = 0
    const io = { ...world.io(), files: { ...world.runtime.files, read: async () => Buffer.from((reads += 1) < 3 ? old : world.sts.token()) } }
    const { awsIdentity } = await import('../../shared/credentials/aws.ts')

    const keys = await keysOf(await awsIdentity(world.settings({ aws_role_name: pod, aws_web_identity_token: '/var/token', aws_session_name: 'renewed' }), io))

    expect([keys.accessKeyId, actions()]).toEqual(['ASIAFAKESESSION00001', ['AssumeRoleWithWebIdentity', 'AssumeRoleWithWebIdentity']])
  })

  it('are asked for anew once when AWS refuses them', async () => {
    const identity = await world.open({ ...userKeys, aws_role_name: target, aws_external_id: externalId })
    const first = identity.attempt()
    await keysOf(identity)
    const [second, third] = [identity.attempt(), identity.attempt()]
    const worth = [second(), (await keysOf(identity)).accessKeyId, third(), (await keysOf(identity)).accessKeyId, first()]

    expect(worth).toEqual([true, 'ASIAFAKESESSION00002', true, 'ASIAFAKESESSION00002', true])
  })
})

describe('a login that fails', () => {
  const failing = async (given: Record<string, unknown>, env: Record<string, string> = {}) => failureOf(keysOf(await world.open(given, env)))

  it.each<[string, () => Promise<Awaited<ReturnType<typeof failing>>>, { code: string; message: RegExp; setting: string; detail?: string }]>([
    ['a missing external id', () => failing({ ...userKeys, aws_role_name: target }), { code: 'provider_denied', message: /sts:AssumeRole into the role of aws_role_name \(hop 1 of 1\).*must name the identity of aws_access_key_id.*ask for no external id, because aws_external_id is not set/, setting: 'aws_role_name', detail: `sts:AssumeRole on ${target} as ${user.arn}` }],
    ['a wrong external id', () => failing({ ...userKeys, aws_role_name: target, aws_external_id: 'wrong-id' }), { code: 'provider_denied', message: /ask for no other external id than that of aws_external_id/, setting: 'aws_role_name', detail: `sts:AssumeRole on ${target} as ${user.arn}` }],
    ['a wrong external id at the second hop', () => failing({ ...twoHops, aws_external_id: 'wrong-id', aws_session_tags: { a: 'b' } }, { ...podEnv, AWS_ROLE_SESSION_NAME: 'pod-session' }), { code: 'provider_denied', message: /\(hop 2 of 2\).*must name the role of the hop before, allow sts:AssumeRole and sts:TagSession \(aws_session_tags\)/, setting: 'aws_role_name', detail: `sts:AssumeRole on ${target} as ${pod}/pod-session` }],
    ['a role that does not trust the function', () => failing({ aws_role_name: pod }, functionEnv), { code: 'provider_denied', message: /must name the identity of AWS_ACCESS_KEY_ID/, setting: 'aws_role_name', detail: `sts:AssumeRole on ${pod} as ${execution.arn}` }],
    ['a role that does not trust the token', () => failing({ aws_role_name: target, aws_web_identity_token: '/var/token' }), { code: 'provider_denied', message: /sts:AssumeRoleWithWebIdentity into the role of aws_role_name \(hop 1 of 1\).*federated principal/, setting: 'aws_role_name', detail: `sts:AssumeRoleWithWebIdentity on ${target}` }],
    ['a first hop that does not trust the token', () => failing(twoHops, { AWS_ROLE_ARN: 'arn:aws:iam::100000000001:role/Open' }), { code: 'provider_denied', message: /role of AWS_ROLE_ARN \(hop 1 of 2\)/, setting: 'AWS_ROLE_ARN' }],
    ['an expired token', () => ((world.files['/var/token'] = world.sts.token({ exp: 1 })), failing(twoHops, podEnv)), { code: 'provider_denied', message: /The token of aws_web_identity_token has expired/, setting: 'aws_web_identity_token' }],
    ['a foreign token', () => ((world.files['/var/token'] = world.sts.token({ iss: 'https://somebody.example' })), failing(twoHops, podEnv)), { code: 'provider_denied', message: /AWS does not accept the token of aws_web_identity_token: its issuer/, setting: 'aws_web_identity_token' }],
    ['a token file that has gone', async () => {
      const identity = await world.open(twoHops, podEnv)
      delete world.files['/var/token']
      return failureOf(keysOf(identity))
    }, { code: 'misconfigured', message: /aws_web_identity_token: the token file that it names does not exist/, setting: 'aws_web_identity_token' }],
    ['keys that AWS does not know', () => failing({ aws_access_key_id: 'AKIANOBODY', aws_secret_access_key: 'x', aws_role_name: target }), { code: 'provider_denied', message: /AWS does not know the credentials of aws_access_key_id/, setting: 'aws_access_key_id' }],
    ['a wrong secret key', () => failing({ ...userKeys, aws_secret_access_key: 'wrong', aws_role_name: target }), { code: 'provider_denied', message: /the secret key of aws_access_key_id is wrong/, setting: 'aws_access_key_id' }],
    ['a session that is too long', () => failing({ ...userKeys, aws_role_name: target, aws_external_id: externalId, aws_session_duration_seconds: 7201 }), { code: 'misconfigured', message: /aws_session_duration_seconds must not be over the role's own limit/, setting: 'aws_session_duration_seconds' }],
    ['tags that are too large', () => failing({ ...userKeys, aws_role_name: target, aws_external_id: externalId, aws_session_tags: Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`k${index}`, 'v'.repeat(256)])) }), { code: 'misconfigured', message: /aws_session_tags are too large/, setting: 'aws_session_tags' }],
    ['STS that throttles', () => (world.sts.fault({ kind: 'throttled' }), failing({ ...userKeys, aws_role_name: target })), { code: 'provider_throttled', message: /AWS STS throttles/, setting: 'aws_role_name' }],
    ['STS that fails', () => (world.sts.fault({ kind: 'unavailable_before' }), failing({ ...userKeys, aws_role_name: target })), { code: 'provider_unavailable', message: /AWS STS could not be reached.*VPC endpoint \(aws_sts_endpoint\)/, setting: 'aws_sts_endpoint' }],
    ['STS that hangs up', () => (world.sts.fault({ kind: 'reset' }), failing({ ...userKeys, aws_role_name: target })), { code: 'provider_unavailable', message: /AWS STS could not be reached/, setting: 'aws_sts_endpoint' }],
    ['a page in place of STS', () => (world.sts.fault({ kind: 'says', answer: { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>sign in</html>' } }), failing({ ...userKeys, aws_role_name: target })), { code: 'provider_unavailable', message: /AWS STS could not be reached/, setting: 'aws_sts_endpoint' }],
    ['JSON in place of STS', () => (world.sts.fault({ kind: 'malformed' }), failing({ ...userKeys, aws_role_name: target })), { code: 'provider_unavailable', message: /AWS STS could not be reached/, setting: 'aws_sts_endpoint' }],
    ['a redirect', () => (world.sts.fault({ kind: 'says', answer: { status: 302, headers: { location: 'http://127.0.0.1:9/', 'content-type': 'text/xml' } } }), failing({ ...userKeys, aws_role_name: target })), { code: 'provider_unavailable', message: /AWS STS could not be reached/, setting: 'aws_sts_endpoint' }],
    ['an answer without keys', () => (world.sts.fault({ kind: 'says', answer: { status: 200, headers: { 'content-type': 'text/xml' }, body: '<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>' } }), failing({ ...userKeys, aws_role_name: target })), { code: 'provider_unavailable', message: /AWS STS could not be reached/, setting: 'aws_sts_endpoint' }],
    ['a region that is not active', () => (world.sts.fault({ kind: 'says', answer: { status: 403, headers: { 'content-type': 'text/xml' }, body: '<ErrorResponse><Error><Code>RegionDisabledException</Code><Message>x</Message></Error></ErrorResponse>' } }), failing({ ...userKeys, aws_role_name: target })), { code: 'misconfigured', message: /STS is not active in this region/, setting: 'aws_region_name' }],
    ['an issuer that AWS cannot reach', () => (world.sts.fault({ kind: 'says', answer: { status: 400, headers: { 'content-type': 'text/xml' }, body: '<ErrorResponse><Error><Code>IDPCommunicationError</Code><Message>x</Message></Error></ErrorResponse>' } }), failing(twoHops, podEnv)), { code: 'provider_unavailable', message: /AWS could not reach the issuer/, setting: 'aws_web_identity_token' }],
    ['an issuer that rejects', () => (world.sts.fault({ kind: 'says', answer: { status: 403, headers: { 'content-type': 'text/xml' }, body: '<ErrorResponse><Error><Code>IDPRejectedClaim</Code><Message>x</Message></Error></ErrorResponse>' } }), failing(twoHops, podEnv)), { code: 'provider_denied', message: /The issuer of the token of aws_web_identity_token rejects it/, setting: 'aws_web_identity_token' }],
  ])('says which hop, which setting and what to do: %s', async (_title, act, { code, message, setting, detail }) => {
    const failure = await act()

    expect(failure).toMatchObject({ code, message: expect.stringMatching(message) as string, details: { issues: [{ path: setting }], ...(detail !== undefined && { detail }) } })
    expect(failure.message).not.toMatch(/arn:aws|\d{12}/)
  })

  it('shows no token, no key and nothing of what STS said', async () => {
    const token = watch('identity token', world.sts.token({ exp: 1 }))
    world.files['/var/token'] = token
    const expired = await failing({ ...twoHops, aws_session_name: 'one' }, podEnv)
    world.sts.fault({ kind: 'denied', echo: 'the echo of it all' })
    const refused = await failing({ ...userKeys, aws_role_name: target, aws_session_name: 'two' })
    const shown = [expired, refused].map((failure) => inspect(failure, { depth: Infinity, showHidden: true }) + JSON.stringify(failure)).join('\n')

    expect([shown.includes(token.slice(0, 40)), shown.includes('echo of it'), shown.includes(user.secretAccessKey), shown.includes(fakeIssuer.subject)]).toEqual([false, false, false, false])
  })

  it('ends in time, whatever it waits for, and the next one starts afresh', async () => {
    const identity = await world.open({ ...userKeys, aws_role_name: target, aws_external_id: externalId })
    world.sts.fault({ kind: 'slow' })

    const waiting = failureOf(keysOf(identity))
    await world.sts.held()
    world.runtime.clock.advance(10_000)
    const failure = await waiting
    world.sts.heal()

    expect([failure.code, failure.message, (await keysOf(identity)).accessKeyId]).toEqual(['deadline_exceeded', 'The login to AWS did not end in time; it waited for sts:AssumeRole into the role of aws_role_name (hop 1 of 1).', 'ASIAFAKESESSION00002'])
  })
})

describe('the check of an identity', () => {
  const checking = async (given: Record<string, unknown>, env: Record<string, string> = {}) => (await world.open(given, env)).check(callOf(world.runtime.clock))

  it('says who Latchkey is', async () => {
    expect([await checking(twoHops, podEnv), await checking({}, functionEnv)].flat()).toEqual([
      { ok: true, subject: 'sts:GetCallerIdentity', message: 'Account 200000000002, role Target.' },
      { ok: true, subject: 'sts:GetCallerIdentity', message: 'Account 100000000001, role Execution.' },
    ])
  })

  it('says nothing, and asks nothing, of a user’s own keys', async () => {
    expect([await checking(userKeys), world.sts.requests]).toEqual([[], []])
  })

  it('says nothing of a function’s role where STS is out of reach: its keys work without it', async () => {
    world.sts.fault({ kind: 'reset' })

    expect(await checking({}, functionEnv)).toEqual([])
  })

  it('says which hop fails, and the setting', async () => {
    expect(await checking({ ...twoHops, aws_external_id: 'wrong-id' }, podEnv)).toEqual([{ ok: false, subject: 'sts:GetCallerIdentity', message: expect.stringMatching(/hop 2 of 2/) as string, setting: 'aws_role_name' }])
  })

  it('is content with a login that STS does not want to name', async () => {
    world.sts.fault({ kind: 'denied', on: 'read' })

    expect(await checking(twoHops, podEnv)).toEqual([{ ok: true, subject: 'sts:GetCallerIdentity', message: 'The login succeeded; AWS STS did not say as whom.' }])
  })
})
