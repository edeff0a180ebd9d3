// Variables that refer to secrets, against a Secrets Manager on loopback: what the environment then holds, what was asked and as whom, and what is said of a secret that cannot be had.
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { Call, Env } from '../../shared/core/runtime.ts'
import { resolvedVariables } from '../../shared/secret-variables.ts'
import { fakeKeys, startSecretsManagerFake, type SecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { callOf, testRuntime } from '../support/runtime.ts'

const canary = 'hvs.the-value-that-nobody-may-print'
let aws: SecretsManagerFake

beforeEach(async () => {
  aws = await startSecretsManagerFake()
})
afterEach(() => aws.close())

const ofLambda = (more: Readonly<Record<string, string>>): Record<string, string> => ({
  AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey, AWS_ENDPOINT_URL_SECRETS_MANAGER: aws.url, ...more,
})

const resolved = (more: Readonly<Record<string, string>>, call?: Call): Promise<Env> => {
  const runtime = testRuntime({ hurries: true, env: ofLambda(more) })
  return resolvedVariables(runtime, call ?? callOf(runtime.clock))
}

const refusalOf = async (more: Readonly<Record<string, string>>): Promise<LatchkeyError> => {
  const failure: unknown = await resolved(more).then(() => undefined, (error: unknown) => error)
  if (!(failure instanceof LatchkeyError)) throw new Error('it was not refused')
  return failure
}

describe('a variable that begins with secret://', () => {
  it('holds the current version of the secret, and every other variable what it held', async () => {
    aws.seed('vault/token', 'an older one')
    aws.seed('vault/token', canary)

    const env = await resolved({ VAULT_TOKEN: 'secret://aws_secret_manager/vault/token', VAULT_ADDR: 'https://vault.example', EMPTY: '' })

    expect(['VAULT_TOKEN', 'VAULT_ADDR', 'EMPTY', 'ABSENT'].map((name) => env.get(name))).toEqual([canary, 'https://vault.example', '', undefined])
    expect(env.names()).toEqual(['AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_ENDPOINT_URL_SECRETS_MANAGER', 'VAULT_TOKEN', 'VAULT_ADDR', 'EMPTY'])
    expect(aws.requests.map(({ operation, input }) => ({ operation, ...input }))).toEqual([{ operation: 'GetSecretValue', SecretId: 'vault/token', VersionStage: 'AWSCURRENT' }])
  })

  it('may name a secret by its ARN', async () => {
    aws.seed('master', canary)
    const arn = aws.secrets.get('master')?.arn ?? ''

    const env = await resolved({ LITELLM_MASTER_KEY: `secret://aws_secret_manager/${arn}` })

    expect(env.get('LITELLM_MASTER_KEY')).toBe(canary)
  })

  it('may ask for a property, and secrets that several share are asked for once', async () => {
    aws.seed('approle', JSON.stringify({ role: 'role-1', secret: { id: canary } }))

    const env = await resolved({ ROLE: 'secret://aws_secret_manager/approle?property=role', ID: 'secret://aws_secret_manager/approle?property=/secret/id', WHOLE: 'secret://aws_secret_manager/approle' })

    expect([env.get('ROLE'), env.get('ID'), JSON.parse(env.get('WHOLE') ?? '')]).toEqual(['role-1', canary, { role: 'role-1', secret: { id: canary } }])
    expect(aws.requests).toHaveLength(1)
  })

  it('may ask for a version', async () => {
    aws.seed('rotated', 'the first')
    aws.put('rotated', 'a'.repeat(32), ['of-mine'])

    const env = await resolved({ OLD: `secret://aws_secret_manager/rotated?version=${'a'.repeat(32)}`, NOW: 'secret://aws_secret_manager/rotated' })

    expect([env.get('OLD'), env.get('NOW')]).toEqual(['x', 'the first'])
  })

  it('shows its value to nobody who prints the environment, and leaves the one of the process alone', async () => {
    aws.seed('vault/token', canary)
    const runtime = testRuntime({ env: ofLambda({ VAULT_TOKEN: 'secret://aws_secret_manager/vault/token' }) })

    const env = await resolvedVariables(runtime, callOf(runtime.clock))

    expect(`${inspect(env, { depth: 9, showHidden: true })} ${JSON.stringify(env)}`).not.toContain(canary)
    expect(runtime.env.get('VAULT_TOKEN')).toBe('secret://aws_secret_manager/vault/token')
  })

  it.each([
    ['a role of a store', { AWS_ROLE_NAME: 'arn:aws:iam::444455556666:role/stores' }],
    ['a region of a store', { AWS_REGION_NAME: 'eu-west-1' }],
    ['a web identity of a store', { AWS_WEB_IDENTITY_TOKEN: 'oidc/google/x', AWS_ROLE_ARN: 'arn:aws:iam::444455556666:role/web' }],
  ])('is read as the function itself, whatever %s says', async (_what, more) => {
    aws.seed('master', canary)

    const env = await resolved({ LITELLM_MASTER_KEY: 'secret://aws_secret_manager/master', ...more })

    expect(env.get('LITELLM_MASTER_KEY')).toBe(canary)
  })

  it('is asked for again where AWS throttles or fails for a moment', async () => {
    aws.seed('master', canary)
    aws.fault({ kind: 'throttled', times: 1 })

    const env = await resolved({ LITELLM_MASTER_KEY: 'secret://aws_secret_manager/master' })

    expect([env.get('LITELLM_MASTER_KEY'), aws.requests.length]).toEqual([canary, 2])
  })

  it('waits for no other: all secrets are asked for at once', async () => {
    for (const name of ['one', 'two', 'three']) aws.seed(name, canary)
    aws.fault({ kind: 'slow' })

    const waiting = resolved({ A: 'secret://aws_secret_manager/one', B: 'secret://aws_secret_manager/two', C: 'secret://aws_secret_manager/three' })
    await expect.poll(() => aws.requests.length).toBe(3)
    aws.heal()

    expect((await waiting).get('C')).toBe(canary)
  })
})

describe('a secret that cannot be had', () => {
  it('is absent: the message names variable, secret and region', async () => {
    const failure = await refusalOf({ VAULT_TOKEN: 'secret://aws_secret_manager/vault/token' })

    expect(failure.code).toBe('not_found')
    expect(failure.message).toBe('VAULT_TOKEN refers to the secret "vault/token", which is not in AWS Secrets Manager in us-east-1, or has no such version. Put it there, or refer to another.')
  })

  it('is absent where it was deleted and can be restored', async () => {
    aws.fault({ kind: 'named', name: 'InvalidRequestException', echo: 'You can’t perform this operation on the secret because it was marked for deletion.' })

    const failure = await refusalOf({ VAULT_TOKEN: 'secret://aws_secret_manager/vault/token' })

    expect(failure).toMatchObject({ code: 'not_found', message: expect.stringMatching(/^VAULT_TOKEN refers to the secret "vault\/token", which is not .* any more: it was deleted, and can still be restored/) })
  })

  it('is refused: the message names the right that is missing', async () => {
    aws.seed('vault/token', canary)
    aws.fault({ kind: 'denied', echo: canary })

    const failure = await refusalOf({ VAULT_TOKEN: 'secret://aws_secret_manager/vault/token' })

    expect(failure.code).toBe('provider_denied')
    expect(failure.message).toBe(`VAULT_TOKEN refers to the secret "vault/token", and AWS refused secretsmanager:GetSecretValue on it in us-east-1. Allow it to this function's role and, with a customer managed key, kms:Decrypt.`)
  })

  it.each([
    ['unavailable_before', 'provider_unavailable'],
    ['throttled', 'provider_throttled'],
    ['html', 'provider_unavailable'],
    ['no_fields', 'provider_unavailable'],
    ['reset', 'provider_unavailable'],
  ] as const)('has failed after %s, and the message says that the next start asks anew', async (kind, code) => {
    aws.seed('vault/token', canary)
    aws.fault({ kind, echo: canary })

    const failure = await refusalOf({ VAULT_TOKEN: 'secret://aws_secret_manager/vault/token' })

    expect(failure.code).toBe(code)
    expect(failure.message).toMatch(/^VAULT_TOKEN refers to the secret "vault\/token", which could not be read in us-east-1: .*Every start asks anew\.$/)
    expect(inspect(failure, { depth: 9 })).not.toContain(canary)
  })

  it('is told together with every other, so that one start shows them all', async () => {
    aws.seed('there', canary)

    const failure = await refusalOf({ B: 'secret://aws_secret_manager/two', A: 'secret://aws_secret_manager/one', C: 'secret://aws_secret_manager/there' })

    expect(failure.details.issues?.map(({ path }) => path)).toEqual(['A', 'B'])
    expect(failure.message).toMatch(/^A refers to the secret "one", .* B refers to the secret "two", /)
  })

  it('is not waited for longer than the call allows', async () => {
    aws.seed('master', canary)
    aws.fault({ kind: 'slow' })
    const runtime = testRuntime({ env: ofLambda({ LITELLM_MASTER_KEY: 'secret://aws_secret_manager/master' }) })

    const waiting = resolvedVariables(runtime, callOf(runtime.clock, { withinMs: 4_000 })).catch((error: unknown) => error)
    await aws.held()
    runtime.clock.advance(4_000)

    expect(await waiting).toMatchObject({ code: 'deadline_exceeded', message: expect.stringMatching(/^LITELLM_MASTER_KEY refers to the secret "master", which could not be read/) })
  })
})

describe('a reference that cannot be meant', () => {
  it.each([
    ['another store', 'secret://corp-vault/token', /^VAULT_TOKEN must be secret:\/\/aws_secret_manager\/<name>: no store is open yet/],
    ['no name', 'secret://aws_secret_manager', /^VAULT_TOKEN must be secret:\/\/<store>\/<name>; the form is secret:\/\/aws_secret_manager\/<name>\.$/],
    ['a fragment', 'secret://aws_secret_manager/a#b', /percent-encoded/],
    ['a name that AWS does not have', 'secret://aws_secret_manager/a%20b', /is neither a name that AWS Secrets Manager can hold .* nor the full ARN/],
    ['an ARN of another service', 'secret://aws_secret_manager/arn:aws:s3:::bucket', /nor the full ARN/],
  ])('with %s is refused before anything is asked', async (_what, reference, message) => {
    const failure = await refusalOf({ VAULT_TOKEN: reference })

    expect(failure.code).toBe('misconfigured')
    expect(failure.message).toMatch(message)
    expect(aws.requests).toEqual([])
  })

  it.each([
    ['a property of what is no JSON', 'a', 'not json', 'misconfigured', /^V refers to a property of the secret "a", which is not a JSON object/],
    ['a property that is not there', 'a', '{"b":"c"}', 'not_found', /^V refers to a property of the secret "a", which has no property "p"\.$/],
  ])('%s is told without the value', async (_what, name, value, code, message) => {
    aws.seed(name, value)

    const failure = await refusalOf({ V: `secret://aws_secret_manager/${name}?property=p` })

    expect(failure.code).toBe(code)
    expect(failure.message).toMatch(message)
    expect(failure.message).not.toContain(value)
  })

  it('leads to bytes that are no text', async () => {
    aws.seed('binary', new Uint8Array([0xff, 0xfe, 0x00]))

    const failure = await refusalOf({ V: 'secret://aws_secret_manager/binary' })

    expect(failure).toMatchObject({ code: 'misconfigured', message: 'V refers to the secret "binary", which holds bytes that are no text.' })
  })
})

describe('where it is read from', () => {
  it('is what AWS_ENDPOINT_URL says, where nothing says it of Secrets Manager alone', async () => {
    aws.seed('master', canary)

    const env = await resolved({ AWS_ENDPOINT_URL_SECRETS_MANAGER: '', AWS_ENDPOINT_URL: aws.url, K: 'secret://aws_secret_manager/master' })

    expect(env.get('K')).toBe(canary)
  })

  it.each([
    ['an endpoint in the open', { AWS_ENDPOINT_URL_SECRETS_MANAGER: 'http://secrets.example' }, /AWS_ENDPOINT_URL_SECRETS_MANAGER is plain http and leads away from this machine/],
    ['an endpoint that is no URL', { AWS_ENDPOINT_URL_SECRETS_MANAGER: 'secrets' }, /AWS_ENDPOINT_URL_SECRETS_MANAGER/],
    ['no region', { AWS_REGION: '' }, /AWS_REGION is not set/],
    ['no credentials', { AWS_ACCESS_KEY_ID: '' }, /there are no AWS credentials in the environment/],
    ['FIPS, whose address the SDK knows', { AWS_ENDPOINT_URL_SECRETS_MANAGER: '', AWS_USE_FIPS_ENDPOINT: 'true' }, /Set AWS_ENDPOINT_URL_SECRETS_MANAGER/],
  ])('is refused: %s', async (_what, more, message) => {
    const failure = await refusalOf({ K: 'secret://aws_secret_manager/master', ...more })

    expect(failure.code).toBe('misconfigured')
    expect(failure.message).toMatch(/^K refers to the secret "master", /)
    expect(failure.message).toMatch(message)
  })

  it('is the region of an ARN', async () => {
    const connected: string[] = []
    const runtime = testRuntime({ env: { ...ofLambda({}), AWS_ENDPOINT_URL_SECRETS_MANAGER: '', K: 'secret://aws_secret_manager/arn:aws:secretsmanager:eu-west-1:444455556666:secret:shared-AbCdEf', L: 'secret://aws_secret_manager/own' } })
    const http = { connect: async ({ url }: { readonly url: string }) => { connected.push(url); throw new LatchkeyError('provider_unavailable', 'Not dialled.') } }

    await resolvedVariables({ ...runtime, http }, callOf(runtime.clock)).catch(() => undefined)

    expect(connected.toSorted()).toEqual(['https://secretsmanager.eu-west-1.amazonaws.com', 'https://secretsmanager.us-east-1.amazonaws.com'])
  })
})
