// The least permissions that the README prints, given to an identity of a server that enforces them: a hosted secret is read, a key lives its whole life, and nothing beside it opens.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, inject, it } from 'vitest'
import { KeyLifecycle } from '../../shared/core/key-lifecycle.ts'
import { hostedName } from '../../shared/core/names.ts'
import { createdName } from '../../shared/core/names/created.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { openAws } from '../conformance/harnesses/aws-secrets-manager.ts'
import { openVault } from '../conformance/harnesses/hashicorp-vault.ts'
import { watch } from '../support/canary.ts'
import { callOf, testRuntime, type TestRuntime } from '../support/runtime.ts'
import { clientEnv, run } from './python-peers.ts'

const peers = inject('peers')
const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
const printed = (language: string, holds: string): string => [...readme.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text = '']) => text).find((text) => text.includes(holds)) ?? ''

const codeOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'ok', (error: { code?: string }) => error.code ?? String(error))

/** What the README promises of an identity with these permissions. */
const life = async (provider: SecretProvider, runtime: TestRuntime): Promise<Record<string, unknown>> => {
  const store = { name: 'default', provider, policy: { prefix: 'litellm', storeVirtualKeys: true, accessMode: 'read_and_write' as const }, invalidate: () => undefined }
  const keys = new KeyLifecycle(store, { clock: runtime.clock, random: runtime.random, tags: { Environment: 'Prod', Owner: 'AI Platform team' } })
  const call = () => callOf(runtime.clock)
  const context = (route: string) => ({ call: call(), caller: 'tester', route, body: '{}' })
  const alias = `readme-${randomBytes(4).toString('hex')}`
  const made = await keys.create({ alias }, context('/key/generate'))
  const rotated = await keys.rotate({ alias }, { graceMs: 60_000 }, context('/key/regenerate'))
  watch('made', made.key?.reveal() ?? '')
  watch('rotated', rotated.key?.reveal() ?? '')
  const accepted = (await keys.verify(rotated.key ?? SecretValue.of(''), call())).valid
  const removed = await keys.remove({ alias }, context('/key/delete'))
  const again = await keys.create({ alias }, context('/key/generate'))
  watch('again', again.key?.reveal() ?? '')
  return {
    missing: (await provider.check('write', call(), 'litellm')).filter(({ ok }) => !ok),
    hosted: (await provider.read(hostedName('OPENAI_API_KEY'), {}, call())).value.reveal(),
    accepted,
    states: [made.epoch, rotated.epoch, removed.state, again.epoch],
    elsewhere: await codeOf(Promise.resolve(provider.write?.({ name: createdName(`other/${alias}`), value: SecretValue.of('x'), expect: 'absent', operation: `put-${randomBytes(16).toString('hex')}`, stage: 'current' }, call()))),
  }
}
const promised = { missing: [], hosted: 'the hosted one', accepted: true, states: [1, 2, 'revoked', 4], elsewhere: 'provider_denied' }

const { openbao, ministack_iam: ministack } = peers
const leftOut = (missing: string): void => it(`is left out: ${missing}`, () => expect(missing).not.toBe(''))

describe("the README's policy of Vault", () => {
  if ('missing' in openbao) return leftOut(openbao.missing)
  const { url, facts } = openbao

  it('is enough on OpenBao, and no more than enough', async () => {
    const runtime = testRuntime({ now: Date.now(), hurries: true, seed: randomBytes(8).toString('hex') })
    const root = watch('root token', facts['root_token'] ?? '')
    const operator = async (path: string, body: object): Promise<{ auth?: { client_token: string } }> => (await fetch(`${url}/v1/${path}`, { method: 'POST', headers: { 'x-vault-token': root }, body: JSON.stringify(body) })).json().catch(() => ({})) as Promise<{ auth?: { client_token: string } }>
    await operator('secret/data/OPENAI_API_KEY', { data: { key: 'the hosted one' } })
    await operator('sys/policies/acl/readme', { policy: printed('hcl', 'secret/data/litellm/*') })
    const token = watch('token', (await operator('auth/token/create', { policies: ['readme'] })).auth?.client_token ?? '')
    const provider = await openVault(runtime, { vault_addr: url, vault_token: token })

    const told = await life(provider, runtime)
    await provider.close?.()

    expect(told).toEqual(promised)
  })
})

describe("the README's policy of AWS", () => {
  if ('missing' in ministack) return leftOut(ministack.missing)
  const { url } = ministack

  it('is enough on ministack with its IAM on, and no more than enough', async () => {
    const runtime = testRuntime({ now: Date.now(), seed: randomBytes(8).toString('hex') })
    const policy = printed('json', 'secretsmanager:GetSecretValue').replaceAll('eu-central-1', 'us-east-1').replaceAll('111122223333', '123456789012')
    const program = `
import boto3, json, sys
iam, sm = boto3.client('iam'), boto3.client('secretsmanager')
sm.create_secret(Name='OPENAI_API_KEY', SecretString='the hosted one')
iam.create_user(UserName=sys.argv[1])
iam.put_user_policy(UserName=sys.argv[1], PolicyName='readme', PolicyDocument=sys.argv[2])
key = iam.create_access_key(UserName=sys.argv[1])['AccessKey']
print(json.dumps([key['AccessKeyId'], key['SecretAccessKey']]))`
    const [id, secret] = JSON.parse(await run(inject('python'), ['-c', program, `readme-${randomBytes(4).toString('hex')}`, policy], clientEnv(url))) as [string, string]
    const provider = await openAws(runtime, { aws_secretsmanager_endpoint: url, aws_access_key_id: id, aws_secret_access_key: watch('secret key', secret) })

    const told = await life(provider, runtime)
    await provider.close?.()

    expect(told).toEqual(promised)
  })
})
