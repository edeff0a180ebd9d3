// What settings mean, and which do not fit together: found at open, without a call, with the setting and the fix.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { planOf } from '../../shared/credentials/aws/plan.ts'
import { failureOf, functionEnv, loginWorld, pod, target, userKeys, type LoginWorld } from './aws-login.ts'

const token = `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.${Buffer.from('{"sub":"x"}').toString('base64url')}.c2lnbmVk`
const home = { HOME: '/home/user' }

let world: LoginWorld
beforeEach(async () => {
  world = await loginWorld()
  world.files['/var/token'] = token
  world.files['/home/user/.aws/credentials'] = '[work]\naws_access_key_id = x\naws_secret_access_key = y\n'
  world.files['/home/user/.aws/config'] = '[default]\nregion = x\n[profile assumed]\nrole_arn = x\n'
})
afterEach(() => world.sts.close())

const opening = (given: Record<string, unknown>, env: Record<string, string> = {}) => failureOf(world.open(given, env))
const plan = (given: Record<string, unknown>, env: Record<string, string> = {}) => planOf(world.settings(given, env), world.io(env))

describe('settings of an AWS identity that do not fit together', () => {
  const withRole = { ...userKeys, aws_role_name: target }
  const withToken = { aws_role_name: target, aws_web_identity_token: token }

  it.each<[string, Record<string, unknown>, RegExp, Record<string, string>?]>([
    ['a role that is no ARN', { ...userKeys, aws_role_name: 'Target' }, /^aws_role_name must be the ARN of a role: arn:aws:iam::<12 digits>:role/],
    ['a user in place of a role', { ...userKeys, aws_role_name: 'arn:aws:iam::200000000002:user/x' }, /^aws_role_name must be the ARN/],
    ['a role with a line break', { ...userKeys, aws_role_name: `${target}\n` }, /^aws_role_name must be the ARN/],
    ['a role of another partition', { ...userKeys, aws_role_name: target.replace('arn:aws:', 'arn:aws-cn:') }, /^aws_role_name names a role of another partition/],
    ['a role of this partition in a region of another', { ...withRole, aws_region_name: 'cn-north-1' }, /another partition/],
    ['a role without a region', { ...withRole, aws_region_name: undefined }, /^aws_region_name is missing/],
    ['a session name of one letter', { ...withRole, aws_session_name: 'x' }, /^aws_session_name must have 2 to 64/],
    ['a session name with a space', { ...withRole, aws_session_name: 'a b' }, /^aws_session_name must have/],
    ['a session name of 65 letters', { ...withRole, aws_session_name: 'x'.repeat(65) }, /^aws_session_name must have/],
    ['an external id with a space', { ...withRole, aws_external_id: 'a b' }, /^aws_external_id must have 2 to 1224/],
    ['a source identity of AWS', { ...withRole, aws_source_identity: 'aws:x' }, /^aws_source_identity/],
    ['51 tags', { ...withRole, aws_session_tags: Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`k${index}`, ''])) }, /^aws_session_tags must be at most 50/],
    ['a tag of AWS', { ...withRole, aws_session_tags: { 'aws:x': 'y' } }, /^aws_session_tags must have keys/],
    ['a tag with a line break', { ...withRole, aws_session_tags: { x: 'a\nb' } }, /^aws_session_tags must have keys/],
    ['a session name without a role', { ...userKeys, aws_session_name: 'session' }, /^aws_session_name does nothing without aws_role_name/],
    ['an external id and a duration without a role', { ...userKeys, aws_external_id: 'id', aws_session_duration_seconds: 900 }, /^aws_external_id, aws_session_duration_seconds do nothing without aws_role_name/],
    ['a profile and static keys', { ...userKeys, aws_profile_name: 'work' }, /^aws_profile_name and aws_access_key_id are 2 credentials at once/, home],
    ['a token and a profile', { ...withToken, aws_profile_name: 'work' }, /^aws_web_identity_token and aws_profile_name are 2 credentials/, home],
    ['a token, a profile and keys', { ...withToken, ...userKeys, aws_profile_name: 'work' }, /are 3 credentials/, home],
    ['a token without a role', { aws_web_identity_token: token }, /^aws_web_identity_token stands without a role/],
    ['an external id that a token cannot carry', { ...withToken, aws_external_id: 'id' }, /^aws_external_id cannot be sent: aws_web_identity_token goes straight into aws_role_name.*AWS_ROLE_ARN/],
    ['an external id where the pod is the role', { ...withToken, aws_external_id: 'id' }, /^aws_external_id cannot be sent/, { AWS_ROLE_ARN: target }],
    ['an external id where the pod’s own file goes straight into the role', { aws_role_name: pod, aws_external_id: 'id' }, /^aws_external_id cannot be sent: AWS_WEB_IDENTITY_TOKEN_FILE/, { AWS_ROLE_ARN: pod, AWS_WEB_IDENTITY_TOKEN_FILE: '/var/token' }],
    ['tags that a token cannot carry', { ...withToken, aws_session_tags: { a: 'b' } }, /^aws_session_tags cannot be sent/],
    ['a source identity that a token cannot carry', { ...withToken, aws_source_identity: 'somebody' }, /^aws_source_identity cannot be sent/],
    ['a long session after another role', { ...withToken, aws_session_duration_seconds: 3601 }, /^aws_session_duration_seconds must be at most 3600/, { AWS_ROLE_ARN: pod }],
    ['a pod’s role that is no ARN', withToken, /^AWS_ROLE_ARN must be the ARN of a role/, { AWS_ROLE_ARN: 'x' }],
    ['an illegal session name of the pod', withToken, /^AWS_ROLE_SESSION_NAME must have 2 to 64/, { AWS_ROLE_ARN: pod, AWS_ROLE_SESSION_NAME: 'a b' }],
    ['a token file that is not there', { aws_role_name: target, aws_web_identity_token: '/nowhere' }, /^aws_web_identity_token: the token file that it names does not exist/],
    ['half a token', { aws_role_name: target, aws_web_identity_token: token.slice(0, 30) }, /^aws_web_identity_token: the token file that it names does not exist/],
    ['a text that is nothing', { aws_role_name: target, aws_web_identity_token: 'a\nb' }, /^aws_web_identity_token is neither a token/],
    ['an unknown issuer', { aws_role_name: target, aws_web_identity_token: 'oidc/nope/x' }, /^aws_web_identity_token: Unsupported OIDC provider/],
    ['a profile without files, as in a bundle', { aws_profile_name: 'work' }, /^aws_profile_name names a profile, but there are no shared AWS files here.*A deployed function has none/, { HOME: '/nobody' }],
    ['a profile without a home', { aws_profile_name: 'work' }, /there are no shared AWS files here/],
    ['an unknown profile', { aws_profile_name: 'another' }, /^aws_profile_name names a profile that the shared AWS files do not have/, home],
    ['STS over plain http', { ...withRole, aws_sts_endpoint: 'http://sts.sample.example' }, /^aws_sts_endpoint must begin with https.*aws_allow_plain_http/],
    ['STS with a user in the address', { ...withRole, aws_sts_endpoint: 'https://a:b@sts.sample.example' }, /^aws_sts_endpoint must be a URL of scheme, host and port/],
  ])('are found: %s', async (_title, given, message, env) => {
    const failure = await opening(given, env)

    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringMatching(message) as string })
    expect(failure.message).not.toMatch(/c2lnbmVk|\/nowhere|a b\b/)
    expect(world.sts.requests).toEqual([])
  })
})

describe('the way to an AWS identity', () => {
  it.each<[string, Record<string, unknown>, Record<string, string>, string, readonly string[]]>([
    ['static keys', userKeys, functionEnv, 'keys', []],
    ['a role on static keys', { ...userKeys, aws_role_name: target }, functionEnv, 'keys', [`AssumeRole ${target}`]],
    ['a role on the keys of the environment', { aws_role_name: target }, functionEnv, 'keys', [`AssumeRole ${target}`]],
    ['a role on a profile, which outranks the environment', { aws_role_name: target, aws_profile_name: 'work' }, { ...functionEnv, ...home }, 'profile', [`AssumeRole ${target}`]],
    ['a profile of the config file', { aws_profile_name: 'assumed' }, home, 'profile', []],
    ['a role on whatever the default chain finds', { aws_role_name: target }, {}, 'chain', [`AssumeRole ${target}`]],
    ['the environment’s profile, which outranks its keys', { aws_role_name: target }, { ...functionEnv, AWS_PROFILE: 'x' }, 'chain', [`AssumeRole ${target}`]],
    ['a token straight into the role', { aws_role_name: target, aws_web_identity_token: token }, {}, 'token', [`AssumeRoleWithWebIdentity ${target}`]],
    ['a token into the pod’s role first', { aws_role_name: target, aws_web_identity_token: token, aws_external_id: 'id' }, { AWS_ROLE_ARN: pod }, 'token', [`AssumeRoleWithWebIdentity ${pod}`, `AssumeRole ${target}`]],
    ['a token for the role that the pod already is', { aws_role_name: target, aws_web_identity_token: token }, { AWS_ROLE_ARN: target }, 'token', [`AssumeRoleWithWebIdentity ${target}`]],
    ['a token for the pod’s role alone', { aws_web_identity_token: token }, { AWS_ROLE_ARN: pod }, 'token', [`AssumeRoleWithWebIdentity ${pod}`]],
    ['a pod without any setting', {}, { AWS_ROLE_ARN: pod, AWS_WEB_IDENTITY_TOKEN_FILE: '/var/token' }, 'token', [`AssumeRoleWithWebIdentity ${pod}`]],
    ['a role on a pod', { aws_role_name: target, aws_external_id: 'id' }, { AWS_ROLE_ARN: pod, AWS_WEB_IDENTITY_TOKEN_FILE: '/var/token' }, 'token', [`AssumeRoleWithWebIdentity ${pod}`, `AssumeRole ${target}`]],
    ['a pod whose environment has keys', {}, { ...functionEnv, AWS_ROLE_ARN: pod, AWS_WEB_IDENTITY_TOKEN_FILE: '/var/token' }, 'keys', []],
    ['everything from LiteLLM’s variables', {}, { AWS_ROLE_NAME: target, AWS_WEB_IDENTITY_TOKEN: '/var/token', AWS_SESSION_NAME: 'from-env' }, 'token', [`AssumeRoleWithWebIdentity ${target}`]],
  ])('is, for %s, as documented', async (_title, given, env, start, hops) => {
    const made = await plan(given, env)

    expect([made.start.kind, made.hops.map(({ call, role }) => `${call} ${role}`)]).toEqual([start, hops])
  })

  it.each([
    ['a token that stands in the settings', { aws_role_name: target, aws_web_identity_token: token }, ['aws_web_identity_token holds a token itself']],
    ['a token in a file', { aws_role_name: target, aws_web_identity_token: '/var/token' }, []],
    ['temporary keys of the settings', { ...userKeys, aws_session_token: 'x' }, ['aws_session_token is set']],
    ['a role on temporary keys of the settings', { ...userKeys, aws_session_token: 'x', aws_role_name: target }, ['aws_session_token is set']],
    ['temporary keys of the environment, which its host renews', {}, []],
  ])('has a notice where it will end: %s', async (_title, given, begins) => {
    const { notices } = await world.open(given, functionEnv)

    expect(notices).toEqual(begins.map((text) => expect.stringMatching(new RegExp(`^${text}`)) as string))
  })

  it('has its own legal session name at each hop', async () => {
    const { hops } = await plan({ aws_role_name: target, aws_web_identity_token: token }, { AWS_ROLE_ARN: pod })

    expect(hops.map(({ sessionName }) => sessionName)).toEqual([expect.stringMatching(/^latchkey-[0-9a-f]{16}$/), expect.stringMatching(/^latchkey-[0-9a-f]{16}$/)])
    expect(new Set(hops.map(({ sessionName }) => sessionName)).size).toBe(2)
  })

  it('has the given session names where they belong', async () => {
    const env = { AWS_ROLE_ARN: pod, AWS_ROLE_SESSION_NAME: 'pod-session' }
    const both = await plan({ aws_role_name: target, aws_web_identity_token: token, aws_session_name: 'own-session' }, env)
    const straight = await plan({ aws_role_name: target, aws_web_identity_token: token, aws_session_name: 'own-session' })

    expect([...both.hops, ...straight.hops].map(({ sessionName }) => sessionName)).toEqual(['pod-session', 'own-session', 'own-session'])
  })

  it.each([
    ['https://sts.eu-west-1.amazonaws.com', 'eu-west-1'],
    ['https://sts-fips.us-west-2.amazonaws.com', 'us-west-2'],
    ['https://sts.cn-north-1.amazonaws.com.cn', 'cn-north-1'],
    ['https://vpce-0123-abcd.sts.us-gov-west-1.vpce.amazonaws.com', 'us-gov-west-1'],
    ['https://sts.amazonaws.com', 'us-east-1'],
    ['https://sts.internal.sample.example', 'eu-central-1'],
    ['http://127.0.0.1:9', 'eu-central-1'],
  ])('signs for the region that %s belongs to', async (aws_sts_endpoint, region) => {
    const { sts } = await plan({ ...userKeys, aws_region_name: 'eu-central-1', aws_sts_endpoint })

    expect(sts).toEqual({ url: aws_sts_endpoint, region })
  })

  it.each([
    [{}, undefined],
    [{ AWS_ENDPOINT_URL: 'http://127.0.0.1:1' }, 'http://127.0.0.1:1'],
    [{ AWS_ENDPOINT_URL: 'http://127.0.0.1:1', AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:2' }, 'http://127.0.0.1:2'],
    [{ AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:2', AWS_STS_ENDPOINT: 'http://127.0.0.1:3' }, 'http://127.0.0.1:3'],
    [{ AWS_STS_ENDPOINT: '' }, undefined],
  ])('takes the endpoint of the environment where none is set: %j', async (env, url) => {
    const { sts } = await plan({ ...userKeys, aws_sts_endpoint: undefined }, env as Record<string, string>)

    expect(sts).toEqual({ region: 'us-east-1', ...(url !== undefined && { url }) })
  })
})
