// The rows A01 to A31 that no test of the provider or of its identity has: AWS Secrets Manager as a LiteLLM file configures it, on the fake that checks every signature.
import { execFileSync } from 'node:child_process'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SecretValue } from '../../shared/core/secret.ts'
import { externalId, failureOf, keysOf, loginWorld, pod, target } from '../credentials/aws-login.ts'
import { fakeKeys, startSecretsManagerFake, type SecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { openFile, refusalOf } from './opened-file.ts'

const start = async (): Promise<SecretsManagerFake> => {
  const fake = await startSecretsManagerFake({ now: () => Date.UTC(2026, 10, 21, 12) })
  onTestFinished(() => fake.close())
  return fake
}
const envOf = (fake: SecretsManagerFake, more: Record<string, string> = {}): Record<string, string> => ({ AWS_REGION_NAME: 'us-east-1', AWS_ENDPOINT_URL_SECRETS_MANAGER: fake.url, AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey, ...more })
const fileOf = (settings: object = {}): object => ({ general_settings: { key_management_system: 'aws_secret_manager', key_management_settings: settings } })
const keeping = (settings: object = {}): object => fileOf({ access_mode: 'read_and_write', store_virtual_keys: true, ...settings })
const open = (fake: SecretsManagerFake, file: object = fileOf(), more: Record<string, string> = {}) => openFile(file, { env: envOf(fake, more) })
const operations = (fake: SecretsManagerFake): readonly string[] => fake.requests.map(({ operation }) => operation)
const inputOf = (fake: SecretsManagerFake, operation: string): Readonly<Record<string, unknown>> => fake.requests.findLast((request) => request.operation === operation)?.input ?? {}

describe('the request', () => {
  it('A01: asks for one name and the label AWSCURRENT, signed, in JSON 1.1', async () => {
    const fake = await start()
    fake.seed('K', 'v')
    const { read } = await open(fake)

    expect(await read('K')).toBe('v')
    expect(fake.requests.map(({ operation, input }) => [operation, input])).toEqual([['GetSecretValue', { SecretId: 'K', VersionStage: 'AWSCURRENT' }]])
    expect(fake.requests[0]?.headers).toMatchObject({ 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'secretsmanager.GetSecretValue' })
  })

  it.each([
    ['A01: goes to the host of its region', 'us-east-1', 'secretsmanager.us-east-1.amazonaws.com'],
    ['A30: goes to the host of its partition', 'cn-north-1', 'secretsmanager.cn-north-1.amazonaws.com.cn'],
  ])('%s', (_title, region, host) => {
    const program = `
import { guardLoopback } from './test/support/loopback-guard.ts'
guardLoopback((target) => {
  console.log(target)
  process.exit(0)
})
const { awsSecretsManager } = await import('./shared/providers/aws-secrets-manager.ts')
const { awsSecretsManagerSettings } = await import('./shared/credentials/aws-secrets/settings.ts')
const { readSettings } = await import('./shared/core/settings.ts')
const { callOf, testRuntime } = await import('./test/support/runtime.ts')
const runtime = testRuntime({ env: { AWS_ACCESS_KEY_ID: 'AKIAFAKE', AWS_SECRET_ACCESS_KEY: 'fake' } })
const { settings } = readSettings(awsSecretsManagerSettings, { aws_region_name: ${JSON.stringify(region)}, aws_max_attempts: 1 }, { path: 'settings', env: runtime.env })
const provider = await awsSecretsManager.open(settings, runtime, { kind: 'operator' })
await provider.read({ text: 'K', place: 'hosted' }, {}, callOf(runtime.clock))`

    const printed = execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program], { encoding: 'utf8', cwd: new URL('../..', import.meta.url) })

    expect(printed.trim()).toBe(`${host}:443`)
  })

  it('A10: is not made for what opens the manager', async () => {
    const fake = await start()
    fake.seed('AWS_REGION_NAME', 'of the manager')
    const { read } = await open(fake)

    expect([await read('AWS_REGION_NAME'), await read('os.environ/AWS_ACCESS_KEY_ID'), fake.requests]).toEqual(['us-east-1', fakeKeys.accessKeyId, []])
  })

  it('A29: goes where the endpoint setting says, and a Bedrock endpoint says nothing', async () => {
    const fake = await start()
    fake.seed('K', 'v')
    const { read } = await open(fake, fileOf(), { AWS_BEDROCK_RUNTIME_ENDPOINT: 'https://vpce.bedrock-runtime.example' })

    expect(await read('K')).toBe('v')
  })
})

describe('a read', () => {
  it('A02: of an absent secret goes on to the environment', async () => {
    const fake = await start()
    const { read } = await open(fake, fileOf(), { K: 'e' })

    expect([await read('K'), await read('NOWHERE'), operations(fake)]).toEqual(['e', '(not_found)', ['GetSecretValue', 'GetSecretValue']])
  })

  it.each([
    ['A03: that is refused is a refusal, after one request', 'denied', '(provider_denied)', 1],
    ['A03: that fails is a failure, after three', 'unavailable_before', '(provider_unavailable)', 3],
  ] as const)('%s', async (_title, kind, answer, requests) => {
    const fake = await start()
    fake.seed('K', 'v')
    fake.fault({ kind })
    const { read } = await open(fake, fileOf(), { K: 'e' })

    expect([await read('K'), fake.requests.length]).toEqual([answer, requests])
  })

  it('A04: of bytes answers the bytes, as base64 over HTTP', async () => {
    const fake = await start()
    fake.seed('K', Uint8Array.of(0xff, 0x00))
    const { latchkey, send } = await open(fake)

    expect([...(await latchkey.read('K')).bytes()]).toEqual([0xff, 0x00])
    expect((await send('GET /secrets/K')).json).toMatchObject({ value: '/wA=', encoding: 'base64' })
  })

  it('A09: twice is one call', async () => {
    const fake = await start()
    fake.seed('K', 'v')
    const { read } = await open(fake)

    expect([await read('K'), await read('K'), operations(fake)]).toEqual(['v', 'v', ['GetSecretValue']])
  })
})

describe('a primary secret', () => {
  const primary = fileOf({ primary_secret_name: 'P' })

  it('A05: holds several values, and is fetched once', async () => {
    const fake = await start()
    fake.seed('P', '{"A":"1","B":"2"}')
    const { read } = await open(fake, primary)

    expect([await read('A'), await read('B'), operations(fake)]).toEqual(['1', '2', ['GetSecretValue']])
  })

  it('A06: without the name has an absence, after which the environment is asked', async () => {
    const fake = await start()
    fake.seed('P', '{"A":"1"}')
    const { read } = await open(fake, primary, { D: 'e' })

    expect([await read('C'), await read('D')]).toEqual(['(not_found)', 'e'])
  })

  it('A07: gives a value that is no text as its JSON text', async () => {
    const fake = await start()
    fake.seed('P', '{"A":5}')
    const { read } = await open(fake, primary)

    expect(await read('A')).toBe('5')
  })

  it('A08: that is no JSON is an error, whatever the environment holds', async () => {
    const fake = await start()
    fake.seed('P', 'not json')
    const { read } = await open(fake, primary, { A: 'e' })

    expect(await read('A')).toBe('(misconfigured)')
  })
})

describe('a virtual key', () => {
  it('A11: is made with description and tags, beside ours', async () => {
    const fake = await start()
    const { send } = await open(fake, keeping({ description: 'for the gateway', tags: { E: 'Prod' } }))

    const { json } = await send('POST /key/generate', { key_alias: 'a' })

    const { Name, SecretString, Description, ClientRequestToken, Tags } = inputOf(fake, 'CreateSecret') as { Name: string; SecretString: string; Description: string; ClientRequestToken: string; Tags: { Key: string; Value: string }[] }
    expect({ Name, SecretString, Description }).toEqual({ Name: 'litellm/a', SecretString: json['key'], Description: 'for the gateway' })
    expect(ClientRequestToken).toMatch(/^\S{32,64}$/)
    expect(Tags.filter(({ Key }) => Key !== 'managed-by' && !Key.startsWith('latchkey-'))).toEqual([{ Key: 'E', Value: 'Prod' }])
  })

  it('A12: has tags that are a map or a list, or the start says so', async () => {
    const fake = await start()

    const refusal = await refusalOf(open(fake, keeping({ tags: 5 })))

    expect(refusal).toMatchObject({ code: 'misconfigured', message: 'general_settings.key_management_settings.tags must be a map of names to text, or a list of {Key, Value}' })
  })

  it('A13: is made under the KMS key, where one is set', async () => {
    const fake = await start()
    const with_ = await open(fake, keeping({ kms_key_id: 'alias/ours' }))
    await with_.send('POST /key/generate', { key_alias: 'with' })
    const under = inputOf(fake, 'CreateSecret')['KmsKeyId']
    const without = await open(fake, keeping())
    await without.send('POST /key/generate', { key_alias: 'without' })

    expect([under, 'KmsKeyId' in inputOf(fake, 'CreateSecret')]).toEqual(['alias/ours', false])
  })

  it('A14: is replicated once it is made', async () => {
    const fake = await start()
    const { send } = await open(fake, keeping({ replica_regions: ['us-west-2'] }))

    await send('POST /key/generate', { key_alias: 'a' })

    expect(operations(fake).filter((operation) => ['CreateSecret', 'ReplicateSecretToRegions'].includes(operation))).toEqual(['CreateSecret', 'ReplicateSecretToRegions'])
    expect(inputOf(fake, 'ReplicateSecretToRegions')).toEqual({ SecretId: 'litellm/a', AddReplicaRegions: [{ Region: 'us-west-2' }] })
  })

  it('A15: is made although its replicas fail', async () => {
    const fake = await start()
    fake.fault({ kind: 'denied', operations: ['ReplicateSecretToRegions'] })
    const { send } = await open(fake, keeping({ replica_regions: ['us-west-2'] }))

    const { status, json } = await send('POST /key/generate', { key_alias: 'a' })

    expect([status, fake.secrets.has('litellm/a'), json['warnings']]).toEqual([200, true, []])
  })

  /** A key that was made and deleted, and whose secret the service itself then holds for deletion. */
  const buried = async (fake: SecretsManagerFake) => {
    const opened = await open(fake, keeping({ tags: { E: 'Prod' } }))
    await opened.send('POST /key/generate', { key_alias: 'a' })
    await opened.send('POST /key/delete', { key_aliases: ['a'] })
    await opened.latchkey.stores.get('default')?.provider.remove?.({ text: 'litellm/a', place: 'created' }, { expect: 'any', final: false }, opened.call())
    fake.requests.length = 0
    return opened
  }

  it('A16: takes its name back from a scheduled deletion of ours, with its tags', async () => {
    const fake = await start()
    const { send, latchkey, call } = await buried(fake)

    const { status, json } = await send('POST /key/generate', { key_alias: 'a' })

    const held = await latchkey.stores.get('default')?.provider.read({ text: 'litellm/a', place: 'created' }, {}, call())
    expect([status, held?.value.reveal()]).toEqual([200, json['key']])
    expect(operations(fake)).toEqual(expect.arrayContaining(['DescribeSecret', 'RestoreSecret', 'PutSecretValue', 'TagResource']))
    expect(fake.secrets.get('litellm/a')?.tags.get('E')).toBe('Prod')
  })

  it('A16: leaves a scheduled deletion of somebody else alone', async () => {
    const fake = await start()
    fake.seed('litellm/a', 'theirs')
    const { send, latchkey, call } = await open(fake, keeping())
    await latchkey.stores.get('default')?.provider.remove?.({ text: 'litellm/a', place: 'created' }, { expect: 'any', final: false }, call())

    const { status, json } = await send('POST /key/generate', { key_alias: 'a' })

    expect([status, json.error['type'], operations(fake).includes('RestoreSecret')]).toEqual([400, 'already_exists', false])
  })

  it('A17: that cannot be written after the restore is an error, and what was restored holds no token', async () => {
    const fake = await start()
    const { send, latchkey, call } = await buried(fake)
    fake.fault({ kind: 'denied', operations: ['PutSecretValue'] })

    const { status, json } = await send('POST /key/generate', { key_alias: 'a' })

    const held = await latchkey.stores.get('default')?.provider.read({ text: 'litellm/a', place: 'created' }, {}, call())
    expect([status, json.error['type']]).toEqual([502, 'provider_denied'])
    expect(held?.value.reveal()).toMatch(/^revoked /)
  })

  it('A18: never takes the name of a live secret', async () => {
    const fake = await start()
    fake.seed('litellm/a', 'theirs')
    const { send, latchkey, call } = await open(fake, keeping())

    const { status, json } = await send('POST /key/generate', { key_alias: 'a' })

    const held = await latchkey.stores.get('default')?.provider.read({ text: 'litellm/a', place: 'created' }, {}, call())
    expect([status, json.error['type'], held?.value.equals(SecretValue.of('theirs'))]).toEqual([400, 'already_exists', true])
  })

  it('A19: that is deleted keeps its secret with a tombstone; an ordinary secret goes with seven days', async () => {
    const fake = await start()
    const { send } = await open(fake, keeping())
    await send('POST /key/generate', { key_alias: 'a' })
    await send('PUT /secrets/ordinary', { value: 'x' })

    await send('POST /key/delete', { key_aliases: ['a'] })
    const ofKey = operations(fake).includes('DeleteSecret')
    await send('DELETE /secrets/ordinary')

    expect([ofKey, inputOf(fake, 'DeleteSecret')]).toEqual([false, { SecretId: 'ordinary', RecoveryWindowInDays: 7 }])
  })

  it('A20: is rotated under its name by one new version, which becomes current by a label', async () => {
    const fake = await start()
    const { send } = await open(fake, keeping())
    await send('POST /key/generate', { key_alias: 'a' })
    fake.requests.length = 0

    const { json } = await send('POST /key/regenerate', { key_alias: 'a' })

    const moves = fake.requests.filter(({ operation, input }) => operation === 'UpdateSecretVersionStage' && input['VersionStage'] === 'AWSCURRENT')
    expect([json['stored'], fake.secrets.size]).toMatchObject([{ name: 'litellm/a' }, 1])
    expect(operations(fake).filter((operation) => ['PutSecretValue', 'CreateSecret', 'DeleteSecret'].includes(operation))).toEqual(['PutSecretValue'])
    expect(moves.map(({ input }) => input['MoveToVersionId'])).toEqual([inputOf(fake, 'PutSecretValue')['ClientRequestToken']])
  })

  it('A23: that is not there is not rotated, under whatever new alias', async () => {
    const fake = await start()
    const { send } = await open(fake, keeping())

    const { status, json } = await send('POST /key/regenerate', { key: 'a'.repeat(16), key_alias: 'b' })

    expect([status, json.error['type'], fake.secrets.size]).toEqual([404, 'not_found', 0])
  })
})

describe('regenerating under a new alias', () => {
  it('A21: reads the old secret, writes the new one with description and tags kept, and ends the old one by a tombstone', async () => {
    const fake = await start()
    const { send } = await open(fake, keeping({ description: 'for payments', tags: { Team: 'payments' } }))
    const made = await send('POST /key/generate', { key_alias: 'a', metadata: { owner: 'ada' } })
    fake.requests.length = 0

    const { status, json } = await send('POST /key/regenerate', { key: made.json['key_id'], key_alias: 'b' })

    const written = inputOf(fake, 'CreateSecret')
    expect([status, json['key_id'], json['key_alias'], json['metadata']]).toEqual([200, made.json['key_id'], 'b', { owner: 'ada' }])
    expect([written['Name'], written['Description'], written['Tags']]).toEqual(['litellm/b', 'for payments', expect.arrayContaining([{ Key: 'Team', Value: 'payments' }])])
    expect(operations(fake)).not.toContain('DeleteSecret')
    expect(await send('GET /key/info?key_alias=a')).toMatchObject({ status: 404 })
  })

  it('A22: there and back ends under the first name with the newest token', async () => {
    const fake = await start()
    const { send } = await open(fake, keeping())
    const made = await send('POST /key/generate', { key_alias: 'a' })
    await send('POST /key/regenerate', { key: made.json['key_id'], key_alias: 'b' })

    const back = await send('POST /key/regenerate', { key: made.json['key_id'], key_alias: 'a' })
    const verdicts = await Promise.all([made, back].map(({ json }) => send('POST /key/verify', { key: json['key'] })))

    expect([back.status, back.json['stored'], back.json['key_id']]).toMatchObject([200, { name: 'litellm/a' }, made.json['key_id']])
    expect(verdicts.map(({ json }) => json['valid'])).toEqual([false, true])
    expect(await send('GET /key/info?key_alias=b')).toMatchObject({ status: 404 })
  })
})

describe('a web identity token', () => {
  it('A26: goes into the role under the session name that is set, without a session policy', async () => {
    const world = await loginWorld()
    onTestFinished(() => world.sts.close())
    world.files['/var/token'] = world.sts.token()

    await keysOf(await world.open({ aws_role_name: pod, aws_session_name: 'own-session', aws_web_identity_token: '/var/token' }))

    expect(world.sts.forms).toEqual([{ action: 'AssumeRoleWithWebIdentity', signedBy: undefined, fields: { RoleArn: pod, RoleSessionName: 'own-session', WebIdentityToken: world.sts.token() } }])
  })

  it('A26: with an external id stops the start, unless another role stands between', async () => {
    const world = await loginWorld()
    onTestFinished(() => world.sts.close())
    world.files['/var/token'] = world.sts.token()
    const settings = { aws_role_name: target, aws_session_name: 'own-session', aws_external_id: externalId, aws_web_identity_token: '/var/token' }

    const straight = await failureOf(world.open(settings))
    const between = await world.open(settings, { AWS_ROLE_ARN: pod })
    await keysOf(between)

    expect(straight).toMatchObject({ code: 'misconfigured', message: expect.stringContaining('aws_external_id cannot be sent') as string })
    expect(world.sts.forms.map(({ action, fields }) => [action, fields['RoleArn'], fields['ExternalId']])).toEqual([['AssumeRoleWithWebIdentity', pod, undefined], ['AssumeRole', target, externalId]])
  })
})
