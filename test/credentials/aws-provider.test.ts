// The identity under a provider: a secret of the other account, a session that ends meanwhile, what `check` says, and what a cold start does not load.
import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LatchkeyError } from '../../shared/core/errors.ts'
import { hostedName } from '../../shared/core/names.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { readSettings } from '../../shared/core/settings.ts'
import { awsSecretsManager } from '../../shared/providers/aws-secrets-manager.ts'
import { awsSecretsManagerSettings } from '../../shared/credentials/aws-secrets/settings.ts'
import { startSecretsManagerFake, type SecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { callOf } from '../support/runtime.ts'
import { execution, externalId, failureOf, functionEnv, loginWorld, pod, target, userKeys, type LoginWorld } from './aws-login.ts'

const name = hostedName('OPENAI_API_KEY')

let world: LoginWorld
let manager: SecretsManagerFake
const opened: SecretProvider[] = []

beforeEach(async () => {
  world = await loginWorld()
  world.files['/var/token'] = world.sts.token()
  manager = await startSecretsManagerFake({ now: () => world.runtime.clock.now(), keys: world.sts.keys })
  manager.seed(name.text, 'the value')
})
afterEach(async () => {
  for (const provider of opened.splice(0)) await provider.close?.()
  await manager.close()
  await world.sts.close()
})

const opening = async (given: Record<string, unknown>, env: Record<string, string> = {}): Promise<SecretProvider> => {
  const { settings, issues } = readSettings(awsSecretsManagerSettings, { aws_region_name: 'us-east-1', aws_sts_endpoint: world.sts.url, aws_secretsmanager_endpoint: manager.url, aws_max_attempts: 1, ...given }, { path: 'settings', env: world.io(env).env })
  expect(issues).toEqual([])
  const provider = await awsSecretsManager.open(settings, world.io(env), { kind: 'operator' })
  opened.push(provider)
  return provider
}
const call = () => callOf(world.runtime.clock)
const acrossAccounts = { aws_role_name: target, aws_external_id: externalId, aws_web_identity_token: '/var/token' }
const podEnv = { AWS_ROLE_ARN: pod }
const signers = (): (string | undefined)[] => manager.requests.map(({ headers }) => /Credential=([^/]+)/.exec(String(headers.authorization))?.[1])

describe('a secret across accounts', () => {
  it('A24: is read with the session of the role', async () => {
    const provider = await opening(acrossAccounts, podEnv)

    expect((await provider.read(name, {}, call())).value.reveal()).toBe('the value')
    expect(signers()).toEqual(['ASIAFAKESESSION00002'])
  })

  it('is read again after a new login when AWS has ended the session, once for all readers', async () => {
    const provider = await opening(acrossAccounts, podEnv)
    await provider.read(name, {}, call())
    world.sts.endSessions()

    const values = await Promise.all(Array.from({ length: 5 }, () => provider.read(name, {}, call())))

    expect(values.map(({ value }) => value.reveal())).toEqual(Array.from({ length: 5 }, () => 'the value'))
    expect(world.sts.forms.filter(({ action }) => action === 'AssumeRole')).toHaveLength(2)
  })

  it('is refused in the end when a new login does not help', async () => {
    const provider = await opening(acrossAccounts, podEnv)
    manager.fault({ kind: 'expired_credential' })

    expect([(await failureOf(provider.read(name, {}, call()))).code, manager.requests.length]).toEqual(['provider_denied', 2])
  })

  it('is not asked for twice with keys that no login can renew', async () => {
    const provider = await opening(userKeys)
    manager.fault({ kind: 'expired_credential' })

    expect([(await failureOf(provider.read(name, {}, call()))).code, manager.requests.length]).toEqual(['provider_denied', 1])
  })

  it('fails with the hop that failed, not with the secret', async () => {
    const provider = await opening({ ...acrossAccounts, aws_external_id: 'wrong-id' }, podEnv)

    const failure: LatchkeyError = await failureOf(provider.read(name, {}, call()))

    expect(failure).toMatchObject({ code: 'provider_denied', message: expect.stringMatching(/hop 2 of 2.*aws_external_id/) as string })
    expect(manager.requests).toEqual([])
  })

  it('leaves a caller that does not want to wait for the login, and the login goes on', async () => {
    const provider = await opening(acrossAccounts, podEnv)
    const controller = new AbortController()
    world.sts.fault({ kind: 'slow', times: 1 })

    const reading = provider.read(name, {}, callOf(world.runtime.clock, { signal: controller.signal })).catch((error: Error) => error.message)
    await world.sts.held()
    controller.abort(new Error('the caller has gone'))
    const left = await reading
    world.sts.heal()

    expect([left, (await provider.read(name, {}, call())).value.reveal()]).toEqual(['the caller has gone', 'the value'])
  })
})

describe('the check of a provider', () => {
  it('says who Latchkey is, and what it may', async () => {
    const provider = await opening(acrossAccounts, podEnv)

    expect(await provider.check('read', call())).toEqual([
      { ok: true, subject: 'sts:GetCallerIdentity', message: 'Account 200000000002, role Target.' },
      { ok: true, subject: 'secretsmanager:GetSecretValue', message: 'Allowed.' },
    ])
  })

  it('says the hop and the setting instead, where the login fails, and asks the service nothing', async () => {
    const provider = await opening({ ...acrossAccounts, aws_external_id: 'wrong-id' }, podEnv)

    expect(await provider.check('write', call())).toEqual([{ ok: false, subject: 'sts:GetCallerIdentity', message: expect.stringMatching(/hop 2 of 2/) as string, setting: 'aws_role_name' }])
    expect(manager.requests).toEqual([])
  })

  it('is not ready by a mere reach, where the login fails', async () => {
    const provider = await opening({ ...acrossAccounts, aws_external_id: 'wrong-id' }, podEnv)

    expect(await provider.check('reach', call())).toEqual([{ ok: false, subject: 'secretsmanager:GetSecretValue', message: expect.stringMatching(/hop 2 of 2/) as string, setting: 'aws_role_name' }])
  })

  it('asks STS nothing for a mere reach, nor for a user’s own keys', async () => {
    await (await opening({}, functionEnv)).check('reach', call())
    await (await opening(userKeys)).check('read', call())

    expect(world.sts.requests).toEqual([])
    expect(signers()).toEqual([execution.accessKeyId, userKeys.aws_access_key_id])
  })
})

describe('the cold start of a function', () => {
  const loaded = (given: object, env: Record<string, string>): readonly string[] => {
    const program = `
import { registerHooks } from 'node:module'
const seen = []
registerHooks({ load: (url, context, next) => { seen.push(url); return next(url, context) } })
const { awsIdentity } = await import('./shared/credentials/aws.ts')
const variables = ${JSON.stringify(env)}
const io = { clock: { now: Date.now }, env: { get: (name) => variables[name], names: () => [] }, files: {}, http: {}, random: { bytes: (count) => new Uint8Array(count) } }
await awsIdentity(${JSON.stringify({ aws_region_name: 'us-east-1', ...given })}, io)
console.log(JSON.stringify(seen.map((url) => url.split('/shared/').at(-1))))`
    return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8', cwd: new URL('../..', import.meta.url) })) as string[]
  }

  it('loads nothing else for keys of the environment, and no SDK for anything at open', () => {
    expect(loaded({}, functionEnv)).toEqual(['credentials/aws.ts', 'credentials/aws-keys.ts'])
    expect(loaded({ aws_role_name: target }, functionEnv).filter((url) => url.includes('node_modules'))).toEqual([])
  })
})
