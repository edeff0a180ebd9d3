// The fake under examination by AWS's own SDK, without any of our code between them: what the service does, as its documentation and its errors have it.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SecretsManager } from '@aws-sdk/client-secrets-manager'
import { fakeKeys, startSecretsManagerFake, type SecretsManagerFake } from '../fakes/aws-secrets-manager.ts'

const token = (letter: string): string => letter.repeat(32)
const day = 86_400_000

let now = Date.UTC(2026, 10, 21)
let fake: SecretsManagerFake
let api: SecretsManager

const clientOf = (credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } = fakeKeys): SecretsManager => new SecretsManager({ region: 'us-east-1', endpoint: fake.url, credentials, maxAttempts: 1 })

beforeEach(async () => {
  now = Date.UTC(2026, 10, 21)
  fake = await startSecretsManagerFake({ now: () => now, disabledKeys: new Set(['alias/disabled']) })
  api = clientOf()
})

afterEach(async () => {
  api.destroy()
  await fake.close()
})

/** What a call came to: the error's name, or `ok`. */
const outcome = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'ok', (error: unknown) => (error instanceof Error ? error.name : 'nothing'))

const make = (name = 'a', letter = 'a', value = 'one') => api.createSecret({ Name: name, ClientRequestToken: token(letter), SecretString: value })
const put = (letter: string, value = letter, stages?: string[], name = 'a') => api.putSecretValue({ SecretId: name, ClientRequestToken: token(letter), SecretString: value, ...(stages && { VersionStages: stages }) })
const move = (label: string, to: string | undefined, from: string | undefined) => api.updateSecretVersionStage({ SecretId: 'a', VersionStage: label, ...(to && { MoveToVersionId: token(to) }), ...(from && { RemoveFromVersionId: token(from) }) })
const current = async (): Promise<string | undefined> => (await api.getSecretValue({ SecretId: 'a', VersionStage: 'AWSCURRENT' })).SecretString
const stages = async (): Promise<Record<string, string[]>> => {
  const answer = (await api.describeSecret({ SecretId: 'a' })).VersionIdsToStages ?? {}
  return Object.fromEntries(Object.entries(answer).map(([id, labels]) => [id.slice(0, 1), labels.toSorted()]))
}

/** Scenario → what the official SDK must see. Every row begins with the secret `a`, version `a…`, value `one`. */
const refusals: readonly (readonly [title: string, run: () => Promise<unknown>, expected: string])[] = [
  ['a missing secret', () => api.getSecretValue({ SecretId: 'nope' }), 'ResourceNotFoundException'],
  ['a missing label', () => api.getSecretValue({ SecretId: 'a', VersionStage: 'AWSPENDING' }), 'ResourceNotFoundException'],
  ['a missing version', () => api.getSecretValue({ SecretId: 'a', VersionId: token('z') }), 'ResourceNotFoundException'],
  ['a version and a label that disagree', async () => { await put('b'); return api.getSecretValue({ SecretId: 'a', VersionId: token('a'), VersionStage: 'AWSCURRENT' }) }, 'ResourceNotFoundException'],
  ['names in another case', () => api.getSecretValue({ SecretId: 'A' }), 'ResourceNotFoundException'],
  ['a name that is taken', () => make('a', 'b'), 'ResourceExistsException'],
  ['a token that is taken, with another value', () => put('a', 'two'), 'ResourceExistsException'],
  ['a create repeated with its token and another value', () => make('a', 'a', 'two'), 'ResourceExistsException'],
  ['a create repeated with its token and value', () => make('a', 'a', 'one'), 'ok'],
  ['a put repeated with its token and value', () => put('a', 'one'), 'ok'],
  ['a token of 31 characters', () => api.putSecretValue({ SecretId: 'a', ClientRequestToken: 'a'.repeat(31), SecretString: 'x' }), 'ValidationException'],
  ['a token of 65 characters', () => api.putSecretValue({ SecretId: 'a', ClientRequestToken: 'a'.repeat(65), SecretString: 'x' }), 'ValidationException'],
  ['65,536 bytes', () => put('b', 'é'.repeat(32_768)), 'ok'],
  ['65,537 bytes', () => put('b', `${'é'.repeat(32_768)}x`), 'ValidationException'],
  ['an empty value', () => put('b', ''), 'ValidationException'],
  ['text and bytes together', () => api.putSecretValue({ SecretId: 'a', SecretString: 'x', SecretBinary: Buffer.from('x') }), 'InvalidParameterException'],
  ['a put without a value', () => api.putSecretValue({ SecretId: 'a' }), 'InvalidParameterException'],
  ['a name with a space', () => make('a b'), 'InvalidParameterException'],
  ['a name of 512 characters', () => make('n'.repeat(512)), 'ok'],
  ['a name of 513 characters', () => make('n'.repeat(513)), 'ValidationException'],
  ['51 tags', () => api.createSecret({ Name: 'b', SecretString: 'x', Tags: Array.from({ length: 51 }, (_, index) => ({ Key: `k${index}`, Value: '' })) }), 'ValidationException'],
  ['a tag name of AWS', () => api.tagResource({ SecretId: 'a', Tags: [{ Key: 'aws:owner', Value: 'x' }] }), 'InvalidParameterException'],
  ['a tag name of 129 characters', () => api.tagResource({ SecretId: 'a', Tags: [{ Key: 'k'.repeat(129), Value: 'x' }] }), 'ValidationException'],
  ['a tag with a comma', () => api.tagResource({ SecretId: 'a', Tags: [{ Key: 'k', Value: 'x,y' }] }), 'InvalidParameterException'],
  ['a label move without its present holder', async () => { await put('b', 'b', ['mine']); return move('AWSCURRENT', 'b', undefined) }, 'InvalidParameterException'],
  ['a label move with a holder of the past', async () => { await put('b'); await put('c', 'c', ['mine']); return move('AWSCURRENT', 'c', 'a') }, 'InvalidParameterException'],
  ['a label move with its present holder', async () => { await put('b', 'b', ['mine']); return move('AWSCURRENT', 'b', 'a') }, 'ok'],
  ['taking AWSCURRENT off', () => move('AWSCURRENT', undefined, 'a'), 'InvalidParameterException'],
  ['a label move to a version that is not there', () => move('mine', 'z', undefined), 'ResourceNotFoundException'],
  ['a 21st label', async () => { for (let index = 0; index < 20; index += 1) await put(String.fromCharCode(98 + index), 'x', [`label-${index}`]); return put('x', 'x', ['label-20']) }, 'LimitExceededException'],
  ['21 secrets in a batch', () => api.batchGetSecretValue({ SecretIdList: Array.from({ length: 21 }, (_, index) => `s${index}`) }), 'ValidationException'],
  ['a batch of nothing', () => api.batchGetSecretValue({}), 'InvalidParameterException'],
  ['a page token of another list', () => api.listSecrets({ NextToken: Buffer.from('versions:0').toString('base64url') }), 'InvalidNextTokenException'],
  ['101 secrets a page', () => api.listSecrets({ MaxResults: 101 }), 'ValidationException'],
  ['a recovery window of 6 days', () => api.deleteSecret({ SecretId: 'a', RecoveryWindowInDays: 6 }), 'InvalidParameterException'],
  ['a recovery window and no recovery', () => api.deleteSecret({ SecretId: 'a', RecoveryWindowInDays: 7, ForceDeleteWithoutRecovery: true }), 'InvalidParameterException'],
  ['a final delete of a missing secret', () => api.deleteSecret({ SecretId: 'nope', ForceDeleteWithoutRecovery: true }), 'ok'],
  ['a rotation without a function', () => api.rotateSecret({ SecretId: 'a' }), 'InvalidRequestException'],
  ['a disabled KMS key', () => api.createSecret({ Name: 'k', SecretString: 'x', KmsKeyId: 'alias/disabled' }), 'EncryptionFailure'],
  ['an operation that it does not know', () => api.getRandomPassword({}), 'UnknownOperationException'],
]

describe('the fake of AWS Secrets Manager, to its official SDK', () => {
  it.each(refusals)('answers %s as the service does', async (_title, run, expected) => {
    await make()

    expect(await outcome(run())).toBe(expected)
  })

  const deleted: readonly (readonly [title: string, run: () => Promise<unknown>, expected: string])[] = [
    ['a read', () => api.getSecretValue({ SecretId: 'a' }), 'InvalidRequestException'],
    ['a put', () => put('b'), 'InvalidRequestException'],
    ['a create', () => make('a', 'b'), 'InvalidRequestException'],
    ['a tag', () => api.tagResource({ SecretId: 'a', Tags: [{ Key: 'k', Value: 'v' }] }), 'InvalidRequestException'],
    ['a label move', () => move('mine', 'a', undefined), 'InvalidRequestException'],
    ['a second delete', () => api.deleteSecret({ SecretId: 'a' }), 'InvalidRequestException'],
    ['a final delete', () => api.deleteSecret({ SecretId: 'a', ForceDeleteWithoutRecovery: true }), 'ok'],
    ['a description of it', () => api.describeSecret({ SecretId: 'a' }), 'ok'],
    ['a recovery', () => api.restoreSecret({ SecretId: 'a' }), 'ok'],
  ]
  it.each(deleted)('while a secret is scheduled for deletion, answers %s as the service does', async (_title, run, expected) => {
    await make()
    await api.deleteSecret({ SecretId: 'a', RecoveryWindowInDays: 7 })

    expect(await outcome(run())).toBe(expected)
  })

  it('frees a name when the recovery window is over, and not before', async () => {
    await make()
    await api.deleteSecret({ SecretId: 'a', RecoveryWindowInDays: 7 })
    now += 7 * day - 1
    const before = await outcome(make('a', 'b'))
    now += 1

    expect([before, await outcome(make('a', 'b'))]).toEqual(['InvalidRequestException', 'ok'])
  })

  it('brings values, labels and tags back with a recovery', async () => {
    await make()
    await put('b')
    await api.tagResource({ SecretId: 'a', Tags: [{ Key: 'k', Value: 'v' }] })
    await api.deleteSecret({ SecretId: 'a' })
    await api.restoreSecret({ SecretId: 'a' })

    expect([await current(), await stages(), (await api.describeSecret({ SecretId: 'a' })).Tags]).toEqual(['b', { a: ['AWSPREVIOUS'], b: ['AWSCURRENT'] }, [{ Key: 'k', Value: 'v' }]])
  })

  it('moves AWSPREVIOUS by itself, and hides a version without a label', async () => {
    await make()
    await put('b')
    await put('c', 'c', ['mine'])
    await move('AWSCURRENT', 'c', 'b')
    const listed = (await api.listSecretVersionIds({ SecretId: 'a' })).Versions?.length
    const all = (await api.listSecretVersionIds({ SecretId: 'a', IncludeDeprecated: true })).Versions?.length

    expect([await current(), await stages(), listed, all]).toEqual(['c', { b: ['AWSPREVIOUS'], c: ['AWSCURRENT', 'mine'] }, 2, 3])
  })

  it('keeps B current when A is put again with the token of A', async () => {
    await make()
    await put('b')
    await put('a', 'one')

    expect(await current()).toBe('b')
  })

  it('hands a label that a put names to the new version without asking its holder', async () => {
    await make()
    await put('b', 'b', ['shared'])
    await put('c', 'c', ['shared'])

    expect(await stages()).toEqual({ a: ['AWSCURRENT'], c: ['shared'] })
  })

  it('lets one of ten parallel creates of a name win', async () => {
    const outcomes = await Promise.all([...'bcdefghijk'].map((letter) => outcome(make('p', letter))))

    expect(outcomes.filter((one) => one === 'ok')).toHaveLength(1)
  })

  it('keeps bytes, by name and by full ARN', async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 128])
    const { ARN } = await api.createSecret({ Name: 'bytes', SecretBinary: bytes })

    expect(Buffer.from((await api.getSecretValue({ SecretId: ARN })).SecretBinary ?? []).equals(bytes)).toBe(true)
  })

  it('reports missing and deleted secrets of a batch beside the values', async () => {
    await make()
    await make('b', 'b')
    await api.deleteSecret({ SecretId: 'b' })
    const { SecretValues, Errors } = await api.batchGetSecretValue({ SecretIdList: ['a', 'b', 'nope'] })

    expect([SecretValues?.map(({ Name }) => Name), Errors?.map(({ SecretId, ErrorCode }) => [SecretId, ErrorCode])]).toEqual([['a'], [['b', 'InvalidRequestException'], ['nope', 'ResourceNotFoundException']]])
  })

  it('lists by prefix, case and tag, in pages, without what is to be deleted', async () => {
    for (const [index, name] of ['litellm/a', 'litellm/b', 'Litellm/c', 'other/litellm', 'litellm/d'].entries()) await api.createSecret({ Name: name, SecretString: 'x', Tags: [{ Key: 'team', Value: index < 2 ? 'red' : 'blue' }] })
    await api.deleteSecret({ SecretId: 'litellm/d' })
    const input = { Filters: [{ Key: 'name' as const, Values: ['litellm/'] }], MaxResults: 1, SortBy: 'name' as const, SortOrder: 'asc' as const }
    const first = await api.listSecrets(input)
    const second = await api.listSecrets({ ...input, NextToken: first.NextToken })
    const tagged = await api.listSecrets({ Filters: [{ Key: 'tag-key', Values: ['team'] }, { Key: 'tag-value', Values: ['re'] }] })
    const negated = await api.listSecrets({ Filters: [{ Key: 'name', Values: ['!litellm/'] }] })

    expect([first, second, tagged, negated].map((page) => page.SecretList?.map(({ Name }) => Name).toSorted())).toEqual([['litellm/a'], ['litellm/b'], ['litellm/a', 'litellm/b'], ['Litellm/c', 'other/litellm']])
    expect(second.NextToken).toBeUndefined()
  })

  it('knows whose signature is good', async () => {
    const strangers = [
      { ...fakeKeys, accessKeyId: 'AKIAIOSFODNN7NOBODY1' },
      { ...fakeKeys, secretAccessKey: 'another' },
      { ...fakeKeys, sessionToken: 'a token that was never issued' },
    ].map(clientOf)
    const outcomes = await Promise.all(strangers.map((client) => outcome(client.getSecretValue({ SecretId: 'a' }))))
    const elsewhere = new SecretsManager({ region: 'eu-west-1', endpoint: fake.url, credentials: fakeKeys, maxAttempts: 1 })

    expect(outcomes).toEqual(['UnrecognizedClientException', 'InvalidSignatureException', 'UnrecognizedClientException'])
    expect(await outcome(elsewhere.getSecretValue({ SecretId: 'a' }))).toBe('InvalidSignatureException')
    for (const client of [...strangers, elsewhere]) client.destroy()
  })
})
