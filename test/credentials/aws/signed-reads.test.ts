// The reads that Latchkey signs itself beside those of AWS's SDK, on one service: the same values, the same failures in the same words, as many requests.
import { createServer } from 'node:http'
import { inspect } from 'node:util'
import { SecretsManager } from '@aws-sdk/client-secrets-manager'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { secretsEndpoint } from '../../../shared/credentials/aws/signed-reads.ts'
import { openAws } from '../../conformance/harnesses/aws-secrets-manager.ts'
import { startSecretsManagerFake, type FakeFaultKind, type SecretsManagerFake, type SecretsManagerFakeOptions } from '../../fakes/aws-secrets-manager.ts'
import { listen } from '../../fakes/wire.ts'
import { canary } from '../../support/canary.ts'
import { callOf, testRuntime, type TestRuntime } from '../../support/runtime.ts'

const name = createdName('litellm/a')

let runtime: TestRuntime
let fake: SecretsManagerFake
let opened: SecretProvider[]

beforeEach(async () => {
  runtime = testRuntime({ hurries: true })
  opened = []
  fake = await startSecretsManagerFake({ now: () => runtime.clock.now() })
})

afterEach(async () => {
  for (const provider of opened) await provider.close?.()
  await fake.close()
})

const restart = async (options: SecretsManagerFakeOptions): Promise<void> => {
  await fake.close()
  fake = await startSecretsManagerFake(options)
}

const open = async (given: Record<string, unknown> = {}): Promise<Required<SecretProvider>> => {
  const provider = await openAws(runtime, { aws_secretsmanager_endpoint: fake.url, aws_max_attempts: 2, ...given })
  opened.push(provider)
  return provider as Required<SecretProvider>
}
const call = () => callOf(runtime.clock)
const shown = (error: unknown): unknown => (error instanceof LatchkeyError ? { code: error.code, message: error.message, details: error.details } : error)

/** What either way gives, and how many requests it took: ours first, the SDK's second. */
const bothWays = async (act: (provider: Required<SecretProvider>) => Promise<unknown>, given: Record<string, unknown> = {}): Promise<readonly [ours: unknown, theirs: unknown]> => {
  const outcomes: unknown[] = []
  for (const aws_read_with_sdk of [false, true]) {
    fake.requests.length = 0
    const outcome = await act(await open({ ...given, aws_read_with_sdk })).catch(shown)
    outcomes.push({ outcome: Array.isArray(outcome) ? outcome.map(shown) : outcome, asked: fake.requests.map(({ operation, input }) => ({ operation, input })) })
  }
  return [outcomes[0], outcomes[1]]
}

describe('a signed read and one through the SDK', () => {
  it.each([
    ['text', 'sk-0123456789'],
    ['text of every plane', 'ä\u0000"\\\u2028 🗝 \n'],
    ['64 kB of text', '"'.repeat(65_536)],
    ['bytes', Uint8Array.from({ length: 256 }, (_, index) => index)],
  ])('give the same record of %s', async (_title, value) => {
    fake.seed('litellm/a', value)

    const [ours, theirs] = await bothWays((provider) => provider.read(name, {}, call()).then(({ value: read, ...rest }) => ({ ...rest, text: read.isText, bytes: Buffer.from(read.bytes()).toString('hex') })))

    expect(ours).toEqual(theirs)
    expect(ours).toMatchObject({ outcome: { bytes: Buffer.from(value).toString('hex'), version: { stages: ['current'], created: expect.any(Date) as Date } }, asked: [{ operation: 'GetSecretValue', input: { SecretId: 'litellm/a', VersionStage: 'AWSCURRENT' } }] })
  })

  it('read many in as many batches, and settle the same ones by reads of their own', async () => {
    const names = Array.from({ length: 45 }, (_, index) => hostedName(`NAME_${index}`))
    for (const [index, { text }] of names.entries()) if (index % 3 !== 0) fake.seed(text, index % 2 === 0 ? `value ${index}` : Buffer.from([index]))

    const [ours, theirs] = await bothWays((provider) => provider.readMany(names, call()))

    expect(ours).toEqual(theirs)
    expect(ours).toMatchObject({ asked: expect.arrayContaining([{ operation: 'BatchGetSecretValue', input: { SecretIdList: names.slice(0, 20).map(({ text }) => text) } }]) as unknown })
  })

  it.each([
    'ResourceNotFoundException', 'InvalidRequestException', 'InvalidParameterException', 'DecryptionFailure', 'AccessDeniedException', 'UnrecognizedClientException', 'ExpiredTokenException',
    'MissingAuthenticationTokenException', 'ValidationException', 'LimitExceededException', 'ThrottlingException', 'TooManyRequestsException', 'RequestLimitExceeded', 'RequestTimeout', 'SlowDown', 'SomethingThatWasInventedSince', 'constructor', '__proto__',
  ])('are refused as %s in the same words, after as many requests', async (vendor) => {
    const outcomes = []
    // A quota is no failure of the service: AWS has no such answer with 5xx.
    for (const status of vendor === 'LimitExceededException' ? [400, 403] : [400, 403, 500, 503]) {
      fake.fault({ kind: 'named', name: vendor, status })
      outcomes.push(await bothWays((provider) => provider.read(name, {}, call())))
      fake.heal()
    }

    expect(outcomes.map(([ours]) => ours)).toEqual(outcomes.map(([, theirs]) => theirs))
  })

  it.each(['denied', 'throttled', 'quota', 'unavailable_after', 'expired_credential'] satisfies FakeFaultKind[])('met by %s once give the same, and ask as often', async (kind) => {
    fake.seed('litellm/a', 'one')
    const outcomes = await bothWays(async (provider) => {
      fake.heal()
      fake.fault({ kind, times: 1 })
      return provider.read(name, {}, call()).then(({ value }) => value.reveal())
    })

    expect(outcomes[0]).toEqual(outcomes[1])
  })

  it.each(['malformed', 'html', 'mistyped', 'error_body', 'redirect', 'empty', 'not_json', 'no_fields', 'truncated', 'reset'] satisfies FakeFaultKind[])('both call a strange answer (%s) an unavailable service', async (kind) => {
    fake.seed('litellm/a', 'one')
    fake.fault({ kind })

    const outcomes = await bothWays((provider) => provider.read(name, {}, call()), { aws_max_attempts: 1 })

    expect(outcomes).toMatchObject([{ outcome: { code: 'provider_unavailable' } }, { outcome: { code: 'provider_unavailable' } }])
  })
})

describe('a signed read', () => {
  it.each(['denied', 'throttled', 'unavailable_before', 'expired_credential', 'malformed', 'html', 'mistyped', 'error_body', 'redirect', 'truncated', 'named'] satisfies FakeFaultKind[])('that fails with %s keeps nothing of the answer or of the keys', async (kind) => {
    const [echo, token] = [canary('echo'), canary('session token')]
    const provider = await open({ aws_max_attempts: 1, aws_session_token: token })
    fake.fault({ kind, echo, name: `Bad.${echo}` })

    const failure = await provider.read(name, {}, call()).catch((error: unknown) => error)
    const all = inspect(failure, { depth: Infinity, showHidden: true }) + JSON.stringify(failure)

    expect(failure).toBeInstanceOf(LatchkeyError)
    expect([all.includes(echo), all.includes(token), all.includes('Signature=')]).toEqual([false, false, false])
  })

  it('corrects its clock once from what the service says, and stays right', async () => {
    let ahead = 3_600_000
    await restart({ now: () => runtime.clock.now(), time: () => runtime.clock.now() + ahead })
    fake.seed('litellm/a', 'one')
    const provider = await open({ aws_max_attempts: 1 })

    const values = [await provider.read(name, {}, call()), await provider.read(name, {}, call())].map(({ value }) => value.reveal())
    ahead = -7_200_000
    const later = await provider.read(name, {}, call())

    expect([...values, later.value.reveal()]).toEqual(['one', 'one', 'one'])
    expect(fake.requests).toHaveLength(5)
  })

  it('is not sent again for a wrong key on a right clock, nor twice for a clock that stays wrong', async () => {
    await restart({ now: () => runtime.clock.now(), time: () => runtime.clock.now() })
    await expect((await open({ aws_secret_access_key: 'a key that belongs to nobody' })).read(name, {}, call())).rejects.toMatchObject({ code: 'provider_denied' })
    const wrongKey = fake.requests.length
    let offset = 0
    await restart({ now: () => runtime.clock.now(), time: () => runtime.clock.now() + (offset += 3_600_000) })

    await expect((await open()).read(name, {}, call())).rejects.toMatchObject({ code: 'provider_denied', details: { vendor: { name: 'InvalidSignatureException' } } })

    expect([wrongKey, fake.requests.length]).toEqual([1, 2])
  })

  it('goes through an endpoint with a path', async () => {
    const seen: string[] = []
    const server = createServer((request, response) => {
      seen.push(request.url ?? '')
      request.resume().once('end', () => response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify({ Name: 'a', VersionId: 'v'.repeat(32), SecretString: 'behind a path', VersionStages: ['AWSCURRENT'] })))
    })
    const { port, close } = await listen(server)
    const provider = await open({ aws_secretsmanager_endpoint: `http://127.0.0.1:${port}/proxy/of%20ours` })

    const { value } = await provider.read(name, {}, call())
    await close()

    expect([value.reveal(), seen]).toEqual(['behind a path', ['/proxy/of%20ours/']])
  })
})

describe('the endpoint of signed reads', () => {
  const plain = { aws_read_with_sdk: false, aws_use_fips_endpoint: false, aws_use_dualstack_endpoint: false, aws_allow_plain_http: false, aws_max_attempts: 3 }
  const regions = [
    'us-east-1', 'us-east-2', 'us-west-1', 'us-west-2', 'eu-west-1', 'eu-central-1', 'eu-central-2', 'ap-northeast-3', 'ap-southeast-5', 'sa-east-1', 'ca-central-1', 'ca-west-1', 'me-south-1', 'me-central-1', 'af-south-1', 'il-central-1', 'mx-central-1',
    'cn-north-1', 'cn-northwest-1', 'us-gov-west-1', 'us-gov-east-1', 'us-iso-east-1', 'us-isob-east-1', 'eu-isoe-west-1', 'us-isof-south-1', 'eusc-de-east-1', 'nowhere',
  ]

  it.each(regions)("in %s is where AWS's own rules lead, or is left to them", (region) => {
    const theirs = new SecretsManager({ region }).config.endpointProvider({ Region: region, UseFIPS: false, UseDualStack: false }).url

    const ours = secretsEndpoint(plain, region)

    expect(ours === undefined || `${ours}/` === theirs.href).toBe(true)
    expect(ours === undefined).toBe(/iso|eusc|nowhere/.test(region))
  })

  it('is left to the SDK for FIPS, dual stack, and where the operator says so; else the operator’s own wins', () => {
    const own = { aws_secretsmanager_endpoint: 'https://vpce.example' }

    expect([{ aws_use_fips_endpoint: true }, { aws_use_dualstack_endpoint: true }, { aws_read_with_sdk: true }].map((more) => secretsEndpoint({ ...plain, ...own, ...more }, 'us-east-1'))).toEqual([undefined, undefined, undefined])
    expect(secretsEndpoint({ ...plain, ...own }, 'us-iso-east-1')).toBe('https://vpce.example')
  })
})
