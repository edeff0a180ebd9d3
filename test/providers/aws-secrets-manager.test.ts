// What the exam cannot see of AWS Secrets Manager: which calls are made, what stands in them, and labels that others have left or hold.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isCode, type LatchkeyError } from '../../shared/core/errors.ts'
import { hostedName, nativeName } from '../../shared/core/names.ts'
import { createdName } from '../../shared/core/names/created.ts'
import type { SecretProvider, WriteRequest } from '../../shared/core/provider.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { openAws } from '../conformance/harnesses/aws-secrets-manager.ts'
import { startSecretsManagerFake, type SecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { callOf, testRuntime, type TestRuntime } from '../support/runtime.ts'

const name = createdName('litellm/a')
const operation = (epoch: number, verb: string, letter = 'a'): string => `${epoch}-${verb}-${letter.repeat(32)}`
const first = operation(1, 'create')
const next = operation(2, 'rotate')
const other = operation(2, 'rotate', 'b')

let runtime: TestRuntime
let fake: SecretsManagerFake
let provider: Required<SecretProvider>

beforeEach(async () => {
  runtime = testRuntime({ hurries: true })
  fake = await startSecretsManagerFake({ now: () => runtime.clock.now() })
  provider = await opening()
})

afterEach(async () => {
  await provider.close()
  await fake.close()
})

const opening = async (given: Record<string, unknown> = {}): Promise<Required<SecretProvider>> => (await openAws(runtime, { aws_secretsmanager_endpoint: fake.url, aws_max_attempts: 2, ...given })) as Required<SecretProvider>
const call = () => callOf(runtime.clock)
const write = (more: Partial<WriteRequest> = {}) => provider.write({ name, value: SecretValue.of('value one'), expect: 'absent', operation: first, stage: 'current', ...more }, call())
const claim = (id = next, more: Partial<WriteRequest> = {}) => write({ value: SecretValue.of(`value of ${id}`), expect: { version: first }, before: first, epoch: 2, operation: id, stage: 'pending', ...more })
const codeOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'ok', (error: LatchkeyError) => error.code)
const operations = (): string[] => fake.requests.map((request) => request.operation)
const input = (which: string): Readonly<Record<string, unknown>> | undefined => fake.requests.findLast((request) => request.operation === which)?.input
/** An operator's own label move, behind the provider's back. */
const label = (version: string, text: string): void => void fake.secrets.get('litellm/a')?.versions.get(version)?.labels.add(text)
const labelsOf = (version: string): string[] => [...(fake.secrets.get('litellm/a')?.versions.get(version)?.labels ?? [])].toSorted()

describe('reads from AWS Secrets Manager', () => {
  it('always name the label they want', async () => {
    await write()
    await provider.read(name, {}, call())
    await provider.read(name, { stage: 'current' }, call())
    await codeOf(provider.read(name, { stage: 'previous' }, call()))
    await provider.read(name, { version: first }, call())
    const asked = fake.requests.filter((request) => request.operation === 'GetSecretValue').map((request) => request.input)

    expect(asked).toEqual([
      { SecretId: 'litellm/a', VersionStage: 'AWSCURRENT' },
      { SecretId: 'litellm/a', VersionStage: 'AWSCURRENT' },
      { SecretId: 'litellm/a', VersionStage: 'AWSPREVIOUS' },
      { SecretId: 'litellm/a', VersionId: first },
    ])
  })

  it('take a full ARN from the configuration as it is', async () => {
    await write()
    const arn = fake.secrets.get('litellm/a')?.arn ?? ''

    expect((await provider.read(nativeName(arn), {}, call())).value.reveal()).toBe('value one')
  })

  it('send nothing for a version id that no version can have', async () => {
    expect([await codeOf(provider.read(name, { version: '7' }, call())), fake.requests.length]).toEqual(['not_found', 0])
  })

  it('see what AWS’s own rotation holds as pending', async () => {
    await write()
    await claim()
    await provider.discard(name, next, call())
    label(next, 'AWSPENDING')

    expect((await provider.read(name, { stage: 'pending' }, call())).value.reveal()).toBe(`value of ${next}`)
  })

  it('call nothing pending because a label was left on the current version', async () => {
    await write()
    label(first, 'latchkey-next')
    label(first, 'AWSPENDING')

    expect([await codeOf(provider.read(name, { stage: 'pending' }, call())), (await provider.describe(name, call())).versions?.[0]?.stages]).toEqual(['not_found', ['current']])
  })

  it('carry no date of the next rotation, which only a description knows', async () => {
    await write()
    const secret = fake.secrets.get('litellm/a')
    Object.assign(secret ?? {}, { nextRotation: runtime.clock.now() + 1000 })

    expect([(await provider.read(name, {}, call())).nextRotation, (await provider.describe(name, call())).nextRotation?.getTime()]).toEqual([undefined, runtime.clock.now() + 1000])
  })

  it('ask for dates only where epochs do not settle the order', async () => {
    await write()
    await write({ expect: { version: first }, operation: next })
    await provider.describe(name, call())
    const settled = fake.count('ListSecretVersionIds')
    await claim(operation(3, 'rotate'), { expect: { version: next }, epoch: 3 })
    await provider.describe(name, call())

    expect([settled, fake.count('ListSecretVersionIds')]).toEqual([0, 1])
  })
})

describe('many reads from AWS Secrets Manager', () => {
  const names = Array.from({ length: 100 }, (_, index) => hostedName(`KEY_${String(index).padStart(3, '0')}`))
  const values = (answers: readonly unknown[]): unknown[] => answers.map((answer) => (isCode(answer, 'not_found', 'provider_denied', 'invalid_request') ? answer.code : (answer as { value: SecretValue }).value.reveal()))

  beforeEach(() => {
    for (const { text } of names) fake.seed(text, `value of ${text}`)
  })

  it('cost five calls for 100 names', async () => {
    const answers = await provider.readMany(names, call())

    expect([operations(), values(answers)]).toEqual([Array.from({ length: 5 }, () => 'BatchGetSecretValue'), names.map(({ text }) => `value of ${text}`)])
  })

  it.each(['denied', 'throttled'] as const)('fall back to single reads when the batch is %s', async (kind) => {
    await provider.close()
    provider = await opening({ aws_max_attempts: 1 })
    fake.fault({ kind, operations: ['BatchGetSecretValue'] })

    const answers = await provider.readMany(names, call())

    expect([fake.count('BatchGetSecretValue'), fake.count('GetSecretValue'), values(answers)]).toEqual([5, 100, names.map(({ text }) => `value of ${text}`)])
  })

  it('answer each name by itself, in order, a repeated one twice, and ask for a name that cannot be here not at all', async () => {
    await provider.remove(hostedName('KEY_001'), { expect: 'any', final: false }, call())
    const answers = await provider.readMany([hostedName('KEY_002'), hostedName('nope'), hostedName('KEY 3'), hostedName('KEY_001'), hostedName('KEY_002')], call())

    expect(values(answers)).toEqual(['value of KEY_002', 'not_found', 'invalid_request', 'not_found', 'value of KEY_002'])
    expect(input('BatchGetSecretValue')).toEqual({ SecretIdList: ['KEY_002', 'nope', 'KEY_001'] })
  })

  it('ask again, by itself and by label, for what a batch answers with another version, or throttles', async () => {
    const [odd, busy] = [hostedName('KEY_001'), hostedName('KEY_002')]
    const answer = { SecretValues: [{ Name: 'KEY_001', ARN: 'arn', VersionId: 'v', SecretString: 'the value before', VersionStages: ['AWSPREVIOUS'] }], Errors: [{ SecretId: 'KEY_002', ErrorCode: 'ThrottlingException', Message: 'Rate exceeded' }] }
    fake.fault({ kind: 'says', operations: ['BatchGetSecretValue'], answer })

    const answers = await provider.readMany([odd, busy], call())

    expect([values(answers), fake.count('GetSecretValue')]).toEqual([['value of KEY_001', 'value of KEY_002'], 2])
  })

  it('ask for nothing when nothing is asked', async () => {
    expect([await provider.readMany([], call()), fake.requests.length]).toEqual([[], 0])
  })
})

describe('writes to AWS Secrets Manager', () => {
  it('create with token, key, description and tags in one call, and replicate after it', async () => {
    await provider.close()
    provider = await opening({ kms_key_id: 'alias/ours', replica_regions: ['eu-west-1', 'us-west-2'] })

    await write({ labels: { 'managed-by': 'latchkey', team: 'payments' }, description: 'a key' })

    expect(operations()).toEqual(['DescribeSecret', 'CreateSecret', 'ReplicateSecretToRegions'])
    expect(input('CreateSecret')).toEqual({ Name: 'litellm/a', ClientRequestToken: first, SecretString: 'value one', KmsKeyId: 'alias/ours', Description: 'a key', Tags: [{ Key: 'managed-by', Value: 'latchkey' }, { Key: 'team', Value: 'payments' }] })
    expect(input('ReplicateSecretToRegions')).toEqual({ SecretId: 'litellm/a', AddReplicaRegions: [{ Region: 'eu-west-1' }, { Region: 'us-west-2' }] })
  })

  it('succeed when only the replicas fail', async () => {
    await provider.close()
    provider = await opening({ replica_regions: ['eu-west-1'] })
    fake.fault({ kind: 'denied', operations: ['ReplicateSecretToRegions'] })

    expect((await write()).outcome).toBe('written')
  })

  it('send bytes that are no text as bytes', async () => {
    await write({ value: SecretValue.ofBytes(Uint8Array.of(255, 0)) })

    expect(input('CreateSecret')).toMatchObject({ SecretBinary: '/wA=' })
  })

  it('do not take an answer without the version for a success', async () => {
    await write()
    fake.fault({ kind: 'no_fields', operations: ['PutSecretValue'] })

    expect([await codeOf(write({ expect: 'any', operation: next })), await codeOf(write({ expect: { version: next }, operation: operation(3, 'rotate') }))]).toEqual(['provider_unavailable', 'provider_unavailable'])
  })

  it('replace without a condition by one put, with changed labels before it', async () => {
    await write({ labels: { kept: 'yes', changed: 'no' }, description: 'old' })
    fake.requests.length = 0

    await write({ expect: 'any', operation: next, labels: { kept: 'yes', changed: 'yes' }, description: 'new' })

    expect(operations()).toEqual(['DescribeSecret', 'TagResource', 'UpdateSecret', 'PutSecretValue'])
    expect([input('TagResource')?.['Tags'], input('PutSecretValue')]).toEqual([[{ Key: 'changed', Value: 'yes' }], { SecretId: 'litellm/a', ClientRequestToken: next, VersionStages: ['AWSCURRENT'], SecretString: 'value one' }])
  })

  it('put the labels back when the value behind them is refused', async () => {
    await write({ labels: { kept: 'yes', changed: 'no' }, description: 'old' })
    fake.fault({ kind: 'denied', operations: ['PutSecretValue'] })

    const code = await codeOf(write({ expect: 'any', operation: next, labels: { changed: 'yes', added: 'yes' }, description: 'new' }))
    const { labels, description } = await provider.describe(name, call())

    expect([code, labels, description]).toEqual(['provider_denied', { kept: 'yes', changed: 'no' }, 'old'])
  })

  it('replace under a condition by a label move that names the holder, and leave no label of their own', async () => {
    await write()
    fake.requests.length = 0

    await write({ expect: { version: first }, operation: next })

    expect(fake.requests.slice(1, 3).map((request) => request.input)).toEqual([
      { SecretId: 'litellm/a', ClientRequestToken: next, VersionStages: [`latchkey-claim-${next}`], SecretString: 'value one' },
      { SecretId: 'litellm/a', VersionStage: 'AWSCURRENT', MoveToVersionId: next, RemoveFromVersionId: first },
    ])
    expect([labelsOf(first), labelsOf(next)]).toEqual([['AWSPREVIOUS'], ['AWSCURRENT']])
  })

  it.each([
    ['an unanswered move', { kind: 'unavailable_after', operations: ['UpdateSecretVersionStage'], times: 1 }],
    ['an unanswered put', { kind: 'unavailable_after', operations: ['PutSecretValue'], times: 1 }],
  ] as const)('take %s that happened for what it is', async (_title, fault) => {
    await write()
    fake.fault(fault)

    const { outcome } = await write({ expect: { version: first }, operation: next })

    expect([outcome, labelsOf(first), labelsOf(next)]).toEqual(['written', ['AWSPREVIOUS'], ['AWSCURRENT']])
  })

  it('go on with a version that was put and never moved', async () => {
    await write()
    fake.fault({ kind: 'reset', operations: ['UpdateSecretVersionStage'] })
    const broken = await codeOf(write({ expect: { version: first }, operation: next }))
    fake.heal()

    const { outcome } = await write({ expect: { version: first }, operation: next, value: SecretValue.of('another value') })

    expect([broken, outcome, labelsOf(next), (await provider.read(name, {}, call())).value.reveal()]).toEqual(['provider_unavailable', 'same_operation', ['AWSCURRENT'], 'value one'])
  })

  it.each([
    ['a name of AWS', { 'aws:x': 'y' }],
    ['a name of 128 characters', { ['k'.repeat(128)]: 'y' }],
    ['a value of 256 characters', { k: 'v'.repeat(256) }],
    ['a character that is not allowed', { k: 'a,b' }],
    ['51 pairs', Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`k${index}`, 'v']))],
  ])('refuse labels with %s before anything is sent', async (_title, labels) => {
    expect([await codeOf(write({ labels })), await codeOf(provider.annotate(name, { labels }, call())), fake.requests.length]).toEqual(['invalid_request', 'invalid_request', 0])
  })

  it('delete with the configured recovery window, and for good only when asked', async () => {
    await provider.close()
    provider = await opening({ recovery_window_days: 30 })
    await write()

    await provider.remove(name, { expect: 'any', final: false }, call())
    const window = input('DeleteSecret')
    await provider.remove(name, { expect: 'any', final: true }, call())

    expect([window, input('DeleteSecret')]).toEqual([{ SecretId: 'litellm/a', RecoveryWindowInDays: 30 }, { SecretId: 'litellm/a', ForceDeleteWithoutRecovery: true }])
  })
})

describe('claims in AWS Secrets Manager', () => {
  it('put under a label of their own and take the shared one from nobody', async () => {
    await write()
    fake.requests.length = 0

    await claim()

    expect(fake.requests.slice(1).map((request) => [request.operation, request.input['VersionStages'] ?? request.input['VersionStage'], request.input['RemoveFromVersionId']])).toEqual([
      ['PutSecretValue', [`latchkey-claim-${next}`], undefined],
      ['UpdateSecretVersionStage', 'latchkey-next', undefined],
    ])
  })

  it('leave no label behind when another wins between look and move', async () => {
    await write()
    await claim()
    const late = await opening()
    fake.fault({ kind: 'slow', operations: ['PutSecretValue'], times: 1 })
    await provider.discard(name, next, call())
    const losing = codeOf(late.write({ name, value: SecretValue.of('late'), expect: { version: first }, operation: other, stage: 'pending' }, call()))
    await fake.held()
    await claim(operation(2, 'rotate', 'c'))
    fake.heal()

    expect([await losing, labelsOf(other)]).toEqual(['conflict', []])
    await late.close()
  })

  it('take the shared label over from a version that it was left on', async () => {
    await write()
    label(first, 'latchkey-next')

    await claim()

    expect([labelsOf(first), labelsOf(next)]).toEqual([['AWSCURRENT'], [`latchkey-claim-${next}`, 'latchkey-next']])
  })

  it('find room where broken operations have left their labels', async () => {
    await write()
    for (let index = 0; index < 19; index += 1) fake.put('litellm/a', operation(2, 'rotate', String.fromCharCode(99 + index)), [`latchkey-claim-${operation(2, 'rotate', String.fromCharCode(99 + index))}`])

    expect([(await claim()).outcome, labelsOf(next)]).toEqual(['written', [`latchkey-claim-${next}`, 'latchkey-next']])
  })

  it('give way to a rotation of AWS’s own', async () => {
    await write()
    await claim()
    await provider.discard(name, next, call())
    label(next, 'AWSPENDING')

    expect(await codeOf(claim(other))).toBe('conflict')
  })

  it('go on with a claim that was put and not yet held', async () => {
    await write()
    fake.fault({ kind: 'reset', operations: ['UpdateSecretVersionStage'] })
    await codeOf(claim())
    fake.heal()

    const { outcome } = await claim(next, { value: SecretValue.of('another value') })

    expect([outcome, (await provider.read(name, { stage: 'pending' }, call())).value.reveal()]).toEqual(['same_operation', `value of ${next}`])
  })

  it('end without a label when they become current, also when the ending had been lost', async () => {
    await write()
    await claim()
    fake.fault({ kind: 'reset', operations: ['UpdateSecretVersionStage'], nth: 2 })
    const broken = await codeOf(provider.promote(name, { to: next, from: first }, call()))
    fake.heal()
    const between = labelsOf(next)

    await provider.promote(name, { to: next, from: first }, call())

    expect([broken, between.includes('latchkey-next'), labelsOf(next)]).toEqual(['provider_unavailable', true, ['AWSCURRENT']])
  })
})

describe('lists of AWS Secrets Manager', () => {
  it('mean one label, exactly, where the service means prefixes of any', async () => {
    const labels = [{ team: 'red' }, { team: 'redder' }, { team: 'blue', colour: 'red' }]
    for (const [index, given] of labels.entries()) await write({ name: createdName(`litellm/${index}`), operation: operation(1, 'create', String(index)), labels: given })

    const { items } = await provider.list({ prefix: 'litellm/', label: ['team', 'red'], limit: 10 }, call())

    expect(items.map((facts) => facts.name.text)).toEqual(['litellm/0'])
    expect(input('ListSecrets')).toMatchObject({ Filters: [{ Key: 'name', Values: ['litellm/'] }, { Key: 'tag-key', Values: ['team'] }, { Key: 'tag-value', Values: ['red'] }], SortBy: 'name', SortOrder: 'asc', MaxResults: 10 })
  })

  it('leave out what a service lists beside what was asked', async () => {
    const entry = (Name: string, more = {}) => ({ Name, ARN: `arn:${Name}`, Tags: [], ...more })
    fake.fault({ kind: 'says', answer: { SecretList: [entry('litellm/a'), entry('other/litellm/b'), entry('Litellm/c'), entry('litellm/d', { DeletedDate: 1 })], NextToken: 'more' } })

    const { items, cursor } = await provider.list({ prefix: 'litellm/', limit: 10 }, call())

    expect([items.map((facts) => facts.name.text), cursor]).toEqual([['litellm/a'], 'more'])
  })

  it('leave a name out that no request could say, and ask nothing for a prefix that no name has', async () => {
    fake.seed('a//b', 'x')
    fake.seed('a/c', 'x')
    const { items } = await provider.list({ prefix: 'a', limit: 10 }, call())
    const asked = fake.requests.length

    expect([items.map((facts) => facts.name.text), (await provider.list({ prefix: '!a', limit: 10 }, call())).items, fake.requests.length - asked]).toEqual([['a/c'], [], 0])
  })
})

describe('a check of AWS Secrets Manager', () => {
  it('writes nothing and leaves nothing', async () => {
    const findings = await provider.check('write', call())

    expect([findings.every(({ ok }) => ok), fake.secrets.size, operations()]).toEqual([true, 0, ['GetSecretValue', 'PutSecretValue', 'UpdateSecretVersionStage', 'TagResource'].map((one) => expect.stringMatching(one) as unknown)])
  })

  it('tells a service that refuses from one that cannot be reached', async () => {
    fake.fault({ kind: 'denied' })
    const [reach, read] = [await provider.check('reach', call()), await provider.check('read', call())]
    fake.heal()
    fake.fault({ kind: 'reset' })
    const away = await provider.check('reach', call())

    expect([reach, read, away].map((findings) => findings.every(({ ok }) => ok))).toEqual([true, false, false])
  })
})
