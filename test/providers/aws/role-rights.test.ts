// The rights that infra gives, asked of a Secrets Manager that keeps to them: a key lives its whole life under those of keys, rotates under those of rotate, and nothing
// changes under those of read. A right too few would be found by the first customer, a right too many by nobody.
import { describe, expect, it } from 'vitest'
import { belowPrefix, type FunctionName, type Place } from '../../../infra/names.ts'
import { keysStatements, readStatements, rotateStatements, type SecretScope } from '../../../infra/policies.ts'
import { KeyLifecycle } from '../../../shared/core/key-lifecycle.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { SecretValue, type SecretName } from '../../../shared/core/secret.ts'
import { decide, type Context } from '../../infra/support/iam.ts'
import { awsLife } from '../../lives/aws-life.ts'
import { wholeLife } from '../../lives/whole-life.ts'
import { callOf } from '../../support/runtime.ts'

const place: Place = { partition: 'aws', region: 'us-east-1', account: '123456789012' }
const scope: SecretScope = { prefix: 'litellm/', accessMode: 'read_and_write', storeVirtualKeys: true, readable: ['OPENAI_API_KEY'], writable: ['OPENAI_API_KEY'], needed: [], rotated: [], replicaRegions: [] }
const statements = { read: readStatements, keys: keysStatements, rotate: rotateStatements } as const

type Input = Readonly<Record<string, unknown>>

const arnOf = (id: unknown): string => (String(id).startsWith('arn:') ? String(id) : `${belowPrefix(place, '').slice(0, -1)}${String(id)}-AbCdEf`)

/** What IAM is asked for one call: for its own action, and for those that a creation with tags and a batch stand for as well. */
const questionsOf = (operation: string, input: Input): readonly (readonly [action: string, resource: string, context: Context])[] => {
  const { Name, SecretId, SecretIdList = [], Tags = [], TagKeys = [], RecoveryWindowInDays: days, ForceDeleteWithoutRecovery: force } = input as { readonly Name?: string; readonly SecretId?: string; readonly SecretIdList?: readonly string[]; readonly Tags?: readonly { readonly Key: string; readonly Value: string }[]; readonly TagKeys?: readonly string[]; readonly RecoveryWindowInDays?: number; readonly ForceDeleteWithoutRecovery?: boolean }
  const tagged: Context = { ...Object.fromEntries(Tags.map(({ Key, Value }) => [`aws:RequestTag/${Key}`, Value])), ...((Tags.length > 0 || TagKeys.length > 0) && { 'aws:TagKeys': [...Tags.map(({ Key }) => Key), ...TagKeys] }) }
  const resource = Name !== undefined || SecretId !== undefined ? arnOf(SecretId ?? Name) : '*'
  const context: Context = { ...tagged, ...(Name !== undefined && { 'secretsmanager:Name': Name }), ...(days !== undefined && { 'secretsmanager:RecoveryWindowInDays': String(days) }), ...(force !== undefined && { 'secretsmanager:ForceDeleteWithoutRecovery': String(force) }) }
  return [
    [operation, resource, context],
    ...(operation === 'CreateSecret' && Tags.length > 0 ? [['TagResource', resource, tagged] as const] : []),
    ...SecretIdList.map((id) => ['GetSecretValue', arnOf(id), {}] as const),
  ]
}

/** The rights of a function, as the fake asks for them. */
const rightsOf = (name: FunctionName, change: Partial<SecretScope> = {}) => {
  const identity = [{ Statement: statements[name]({ ...scope, ...change }, place) }]
  return (_who: string, operation: string, input: Input): boolean => questionsOf(operation, input).every(([action, resource, context]) => decide({ identity }, { action: `secretsmanager:${action}`, resource, context }).allowed)
}

const codeOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'ok', (error: { readonly code?: string }) => error.code ?? String(error))
const put = (name: SecretName) => ({ name, value: SecretValue.of('x'), expect: 'any', operation: `put-${'0'.repeat(32)}`, stage: 'current' }) as const

describe('the rights of the roles on AWS', () => {
  it('of keys are enough for the whole life of a key', async () => {
    const life = await awsLife(rightsOf('keys'))

    const sights = await wholeLife({ ...life, overTombstones: true })

    expect(sights.rotated.value).toMatch(/^sk-/)
  })

  it('of rotate are enough for a rotation with grace and its end, and make no key', async () => {
    let rights = rightsOf('keys')
    const { provider, runtime } = await awsLife((...asked) => rights(...asked))
    const store = { name: 'default', provider, policy: { prefix: 'litellm', storeVirtualKeys: true, accessMode: 'read_and_write' as const }, invalidate: () => undefined }
    const keys = new KeyLifecycle(store, { clock: runtime.clock, random: runtime.random })
    const context = (route: string) => ({ call: callOf(runtime.clock), caller: 'tester', route, body: '{}' })
    const { keyId } = await keys.create({ alias: 'ci' }, context('/key/generate'))
    rights = rightsOf('rotate')

    await keys.rotate({ keyId }, { graceMs: 60_000 }, context('/events/rotation'))
    runtime.clock.advance(61_000)
    const { items } = await keys.reconcile({ limit: 50, repair: true }, context('sweep'))
    const made = await codeOf(keys.create({ alias: 'another' }, context('/key/generate')))

    expect([items.map(({ finding }) => finding), made]).toEqual([['grace_over'], 'provider_denied'])
  })

  it('of read are enough to read what is hosted and what is below the prefix, one by one and together, and change neither', async () => {
    const { provider, runtime, fake } = await awsLife(rightsOf('read'))
    for (const name of ['OPENAI_API_KEY', 'litellm/ci', 'ANOTHER', 'litellm/__latchkey/pending/1']) fake.seed(name, `value of ${name}`)
    const [hosted, below, call] = [hostedName('OPENAI_API_KEY'), createdName('litellm/ci'), () => callOf(runtime.clock)]

    const read = [await provider.read(hosted, {}, call()), await provider.read(below, {}, call()), ...((await provider.readMany?.([hosted, below], call())) ?? [])].map((record) => ('value' in record ? record.value.reveal() : record.code))
    const listed = await codeOf(Promise.resolve(provider.list?.({ prefix: 'litellm', limit: 10 }, call())))
    const refused = await Promise.all([
      provider.read(hostedName('ANOTHER'), {}, call()), provider.read({ text: 'litellm/__latchkey/pending/1', place: 'created' }, {}, call()), provider.write?.(put(below), call()), provider.write?.(put(hosted), call()), provider.remove?.(below, { expect: 'any', final: false }, call()),
    ].map((act) => codeOf(Promise.resolve(act))))

    expect(read).toEqual(['value of OPENAI_API_KEY', 'value of litellm/ci', 'value of OPENAI_API_KEY', 'value of litellm/ci'])
    expect([listed, refused]).toEqual(['ok', Array.from({ length: 5 }, () => 'provider_denied')])
  })

  it('of keys read no value in write_only, and still write', async () => {
    const { provider, runtime } = await awsLife(rightsOf('keys', { accessMode: 'write_only' }))
    const name = createdName('litellm/ci')

    const told = [await codeOf(Promise.resolve(provider.write?.(put(name), callOf(runtime.clock)))), await codeOf(provider.read(name, {}, callOf(runtime.clock)))]

    expect(told).toEqual(['ok', 'provider_denied'])
  })

  it.each<[FunctionName, 'read' | 'write' | 'reach', Partial<SecretScope>]>([
    ['read', 'read', {}],
    ['read', 'reach', { accessMode: 'write_only' }],
    ['keys', 'write', {}],
    ['keys', 'write', { accessMode: 'write_only' }],
    ['keys', 'read', { accessMode: 'read_only', storeVirtualKeys: false }],
  ])('of %s are all that its check (%s) looks for', async (name, depth, change) => {
    const { provider, runtime } = await awsLife(rightsOf(name, change))

    const findings = await provider.check(depth, callOf(runtime.clock), 'litellm')

    expect(findings.filter(({ ok }) => !ok)).toEqual([])
  })
})
