// Settings, credentials, and what becomes of a call that fails: everything that a later AWS service shares with Secrets Manager.
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { nodeHttp } from '../../shared/core/http-client.ts'
import { createdName } from '../../shared/core/names/created.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { readSettings } from '../../shared/core/settings.ts'
import { awsSecretsManager } from '../../shared/providers/aws-secrets-manager.ts'
import { awsSecretsManagerSettings } from '../../shared/credentials/aws-secrets/settings.ts'
import { fakeKeys, startSecretsManagerFake, type FakeFaultKind, type SecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { canary } from '../support/canary.ts'
import { callOf, testRuntime, type TestRuntime } from '../support/runtime.ts'

const name = createdName('litellm/a')
const sessionKeys = { accessKeyId: 'ASIAIOSFODNN7FAKE002', secretAccessKey: 'another/fake/secret/access/key/of/a/session', sessionToken: 'the token of a session' }

let runtime: TestRuntime
let fake: SecretsManagerFake
let opened: SecretProvider[]

beforeEach(async () => {
  runtime = testRuntime({ hurries: true })
  fake = await startSecretsManagerFake({ now: () => runtime.clock.now(), keys: [fakeKeys, sessionKeys] })
  opened = []
})

afterEach(async () => {
  for (const provider of opened) await provider.close?.()
  await fake.close()
})

const open = async (given: Record<string, unknown> = {}, env: Record<string, string> = {}): Promise<SecretProvider> => {
  const local = { ...runtime, env: testRuntime({ env }).env }
  const { settings, issues } = readSettings(awsSecretsManagerSettings, given, { path: 'settings', env: local.env })
  expect(issues).toEqual([])
  const provider = await awsSecretsManager.open(settings, local, { kind: 'operator' })
  opened.push(provider)
  return provider
}
const keyed = { aws_region_name: 'us-east-1', aws_access_key_id: fakeKeys.accessKeyId, aws_secret_access_key: fakeKeys.secretAccessKey }
const opening = (given: Record<string, unknown> = {}): Promise<SecretProvider> => open({ ...keyed, aws_secretsmanager_endpoint: fake.url, ...given })
const call = () => callOf(runtime.clock)
const failureOf = (promise: Promise<unknown>): Promise<LatchkeyError> => promise.then(() => new LatchkeyError('internal', 'it succeeded'), (error: LatchkeyError) => error)

describe('the settings of AWS', () => {
  const wrong: readonly (readonly [title: string, given: Record<string, unknown>, message: RegExp])[] = [
    ['A28: no region', {}, /aws_region_name.*AWS_REGION_NAME/],
    ['A31: a region that is none', { aws_region_name: 'US EAST' }, /aws_region_name/],
    ['an access key alone', { aws_region_name: 'us-east-1', aws_access_key_id: 'x' }, /aws_access_key_id stands without aws_secret_access_key/],
    ['a secret key alone', { aws_region_name: 'us-east-1', aws_secret_access_key: 'x' }, /aws_secret_access_key stands without aws_access_key_id/],
    ['a session token alone', { aws_region_name: 'us-east-1', aws_session_token: 'x' }, /aws_session_token/],
    ['plain http to another machine', { ...keyed, aws_secretsmanager_endpoint: 'http://vault.example:4566' }, /aws_secretsmanager_endpoint must begin with https.*aws_allow_plain_http/],
    ['a role that is no ARN', { ...keyed, aws_role_name: 'x' }, /aws_role_name must be the ARN of a role/],
  ]
  it.each(wrong)('%s: is misconfigured, and the setting is named', async (_title, given, message) => {
    const failure = await failureOf(open(given))

    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringMatching(message) as string })
  })

  it('take the region from the environment, LiteLLM’s name first', async () => {
    const provider = await open({ aws_access_key_id: fakeKeys.accessKeyId, aws_secret_access_key: fakeKeys.secretAccessKey, aws_secretsmanager_endpoint: fake.url }, { AWS_REGION_NAME: 'us-east-1', AWS_REGION: 'eu-west-1', AWS_DEFAULT_REGION: 'ap-south-1' })

    expect(await failureOf(provider.read(name, {}, call()))).toMatchObject({ code: 'not_found' })
  })

  it('allow plain http to another machine where the operator says so', async () => {
    expect(await open({ ...keyed, aws_secretsmanager_endpoint: 'http://vault.example:4566', aws_allow_plain_http: true })).toBeDefined()
  })

  it('take the keys of the environment as one set, with their session token', async () => {
    const provider = await open({ aws_region_name: 'us-east-1', aws_secretsmanager_endpoint: fake.url }, { AWS_ACCESS_KEY_ID: sessionKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: sessionKeys.secretAccessKey, AWS_SESSION_TOKEN: sessionKeys.sessionToken })

    await failureOf(provider.read(name, {}, call()))

    expect(fake.requests[0]?.headers['x-amz-security-token']).toBe(sessionKeys.sessionToken)
  })

  it('never give the session token of the environment to keys of the file', async () => {
    const provider = await open({ ...keyed, aws_secretsmanager_endpoint: fake.url }, { AWS_ACCESS_KEY_ID: sessionKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: sessionKeys.secretAccessKey, AWS_SESSION_TOKEN: sessionKeys.sessionToken })

    const failure = await failureOf(provider.read(name, {}, call()))

    expect([failure.code, fake.requests[0]?.headers['x-amz-security-token']]).toEqual(['not_found', undefined])
  })

  it('take the endpoint of one service before that of all', async () => {
    const provider = await open(keyed, { AWS_ENDPOINT_URL_SECRETS_MANAGER: fake.url, AWS_ENDPOINT_URL: 'http://127.0.0.1:9' })

    expect(await failureOf(provider.read(name, {}, call()))).toMatchObject({ code: 'not_found' })
  })
})

describe('a failure of AWS', () => {
  it.each([
    ['ResourceNotFoundException', 'not_found'],
    ['AccessDeniedException', 'provider_denied'],
    ['DecryptionFailure', 'provider_denied'],
    ['InvalidRequestException', 'provider_denied'],
    ['UnrecognizedClientException', 'provider_denied'],
    ['InvalidClientTokenId', 'provider_denied'],
    ['ExpiredTokenException', 'provider_denied'],
    ['RequestExpired', 'provider_denied'],
    ['InvalidSignatureException', 'provider_denied'],
    ['InvalidParameterException', 'invalid_request'],
    ['ValidationException', 'invalid_request'],
    ['LimitExceededException', 'provider_quota'],
    ['ThrottlingException', 'provider_throttled'],
    ['InternalServiceError', 'provider_unavailable'],
    ['SomethingThatWasInventedSince', 'provider_unavailable'],
    ['constructor', 'provider_unavailable'],
  ])('named %s is %s, whatever its status', async (vendor, code) => {
    const provider = await opening({ aws_max_attempts: 1 })
    const codes: string[] = []
    for (const status of [400, 403, 404, 500]) {
      fake.fault({ kind: 'named', name: vendor, status })
      codes.push((await failureOf(provider.read(name, {}, call()))).code)
      fake.heal()
    }

    expect(codes).toEqual([code, code, code, code])
  })

  it('that is a refusal names the action, and the secret only in the detail', async () => {
    const provider = await opening()
    fake.fault({ kind: 'denied' })

    const failure = await failureOf(provider.read(name, {}, call()))

    expect(failure.message).toContain('secretsmanager:GetSecretValue')
    expect(failure.details).toMatchObject({ detail: 'secretsmanager:GetSecretValue on litellm/a', vendor: { name: 'AccessDeniedException', status: 400 } })
  })

  it.each(['denied', 'throttled', 'unavailable_before', 'expired_credential', 'quota', 'malformed', 'html', 'truncated', 'named'] satisfies FakeFaultKind[])('of kind %s keeps nothing of what the service said, nor of what was sent', async (kind) => {
    const provider = await opening({ aws_max_attempts: 1 })
    const echo = canary('echo')
    fake.fault({ kind, echo, name: `Bad.${echo}` })

    const failure = await failureOf(provider.write?.({ name, value: SecretValue.of(canary('value')), expect: 'absent', operation: `put-${'a'.repeat(32)}`, stage: 'current' }, call()) ?? Promise.resolve())
    const shown = inspect(failure, { depth: Infinity, showHidden: true }) + JSON.stringify(failure)

    expect([shown.includes(echo), shown.includes('value.'), failure.cause]).toEqual([false, false, undefined])
  })

  it.each(['html', 'empty', 'not_json', 'no_fields', 'malformed', 'truncated'] satisfies FakeFaultKind[])('in the form of a strange answer (%s) is never an absence', async (kind) => {
    const provider = await opening({ aws_max_attempts: 1 })
    fake.seed('litellm/a', 'one')
    fake.fault({ kind })
    const attempts = [
      () => provider.read(name, {}, call()),
      () => provider.describe?.(name, call()),
      () => provider.list?.({ prefix: '', limit: 10 }, call()),
      async () => {
        throw (await provider.readMany?.([name], call()))?.[0]
      },
      () => provider.write?.({ name, value: SecretValue.of('x'), expect: 'any', operation: `put-${'a'.repeat(32)}`, stage: 'current' }, call()),
      () => provider.remove?.(name, { expect: 'any', final: false }, call()),
    ]
    const codes: string[] = []
    for (const attempt of attempts) codes.push((await failureOf(Promise.resolve(attempt()))).code)

    expect(codes).toEqual(Array.from({ length: 6 }, () => 'provider_unavailable'))
  })

  it('of the network itself is provider_unavailable', async () => {
    const provider = await opening({ aws_secretsmanager_endpoint: 'http://127.0.0.1:9', aws_max_attempts: 1 })

    expect(await failureOf(provider.read(name, {}, call()))).toMatchObject({ code: 'provider_unavailable' })
  })
})

describe('the repetitions of a call', () => {
  it.each([
    ['throttled', 'throttled', 'provider_throttled', 3],
    ['failing', 'unavailable_before', 'provider_unavailable', 3],
    ['refused', 'denied', 'provider_denied', 1],
    ['over a quota', 'quota', 'provider_quota', 1],
    ['expired', 'expired_credential', 'provider_denied', 1],
  ] as const)('that is %s are counted', async (_title, kind, code, times) => {
    const provider = await opening()
    fake.fault({ kind })

    const failure = await failureOf(provider.read(name, {}, call()))

    expect([failure.code, fake.requests.length]).toEqual([code, times])
  })

  it('end when the signal aborts', async () => {
    const provider = await opening()
    const controller = new AbortController()
    fake.fault({ kind: 'slow' })

    const reading = failureOf(provider.read(name, {}, callOf(runtime.clock, { signal: controller.signal })))
    await fake.held()
    controller.abort(new LatchkeyError('deadline_exceeded', 'The caller has gone.'))
    const failure = await reading
    fake.heal()

    expect([failure.message, fake.requests.length]).toEqual(['The caller has gone.', 1])
  })

  it('do not begin after the deadline, although no timer said so: a function may have been frozen', async () => {
    const clock = { now: () => runtime.clock.now() + (fake.requests.length > 0 ? 30_000 : 0), sleep: () => new Promise<void>(() => undefined), until: () => new Promise<void>(() => undefined) }
    const frozen = { ...runtime, clock, http: nodeHttp(clock, runtime.random) }
    const { settings } = readSettings(awsSecretsManagerSettings, { ...keyed, aws_secretsmanager_endpoint: fake.url }, { path: 'settings' })
    const provider = await awsSecretsManager.open(settings, frozen, { kind: 'operator' })
    opened.push(provider)
    fake.fault({ kind: 'unavailable_before' })

    const failure = await failureOf(provider.read(name, {}, call()))

    expect([failure.code, failure.details.applied, fake.requests.length]).toEqual(['deadline_exceeded', 'unknown', 1])
  })

  it('end when the deadline passes, and say whether anything was sent', async () => {
    const provider = await opening()
    fake.fault({ kind: 'slow' })

    const reading = failureOf(provider.read(name, {}, callOf(runtime.clock, { withinMs: 1000 })))
    await fake.held()
    runtime.clock.advance(1000)
    const late = await reading
    const before = await failureOf(provider.read(name, {}, callOf(runtime.clock, { withinMs: 0 })))

    expect([late, before].map(({ code, details }) => [code, details.applied])).toEqual([['deadline_exceeded', 'unknown'], ['deadline_exceeded', 'no']])
    expect(fake.requests).toHaveLength(1)
  })
})
