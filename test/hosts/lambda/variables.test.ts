// Variables that refer to secrets, on the built functions of a deployment whose store is a Vault: what the initialisation resolves, what it asks for, and how it fails and is repeated.
import { hash } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import nodeVault from 'node-vault'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { buildFolder } from '../../../functions/build/folder.ts'
import { readLock } from '../../../functions/build/lockfile.ts'
import { fakeKeys, startSecretsManagerFake, type SecretsManagerFake } from '../../fakes/aws-secrets-manager.ts'
import { startVaultFake, type VaultFake } from '../../fakes/vault/vault.ts'
import { LambdaProcess, recorded } from '../lambda-process.ts'

const folder = mkdtempSync(join(tmpdir(), 'latchkey-variables-'))
const masterKey = 'sk-the-master-key-of-a-function-0123456789'
const auditKey = 'audit-key-0123456789-0123456789-0123456789'
const processes: LambdaProcess[] = []
let aws: SecretsManagerFake
let vault: VaultFake

const onVault = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  LATCHKEY_CONFIG: JSON.stringify({
    general_settings: { master_key: 'os.environ/LITELLM_MASTER_KEY', key_management_system: 'hashicorp_vault', key_management_settings: { access_mode: 'read_and_write', store_virtual_keys: true, hosted_keys: ['OPENAI_API_KEY'] } },
    latchkey: { default_store: { vault_addr: vault.url, vault_token: 'os.environ/VAULT_TOKEN' } },
  }),
  VAULT_TOKEN: 'secret://aws_secret_manager/gateway/vault-token',
  LITELLM_MASTER_KEY: 'secret://aws_secret_manager/gateway/master',
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId,
  AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey,
  AWS_ENDPOINT_URL_SECRETS_MANAGER: aws.url,
  ...more,
})

const load = (entry: 'read' | 'keys' | 'rotate', env = onVault()): LambdaProcess => {
  const started = new LambdaProcess(join(folder, entry, `${entry}.mjs`), env)
  processes.push(started)
  return started
}

const asked = recorded('http-api-get', masterKey, { rawPath: '/secrets/OPENAI_API_KEY' })
const lines = ({ log }: LambdaProcess): readonly Readonly<Record<string, unknown>>[] => log.map((line) => JSON.parse(line) as Record<string, unknown>)

beforeAll(async () => {
  aws = await startSecretsManagerFake()
  vault = await startVaultFake({ now: () => Date.now() })
  await nodeVault({ endpoint: vault.url, token: vault.rootToken, noCustomHTTPVerbs: true }).write('secret/data/OPENAI_API_KEY', { data: { key: 'kept in the vault' } })
  const lock = await readLock()
  for (const entry of ['read', 'keys', 'rotate'] as const) await buildFolder({ host: 'lambda', entry }, join(folder, entry), { only: ['hashicorp_vault', 'environment'], providers: ['hashicorp-vault', 'environment'], lock, version: '0.0.0' })
}, 60_000)

const seedAll = (): void => {
  aws.secrets.clear()
  aws.requests.length = 0
  aws.seed('gateway/vault-token', vault.rootToken)
  aws.seed('gateway/master', masterKey)
  aws.seed('gateway/audit', auditKey)
}

afterEach(async () => {
  aws.heal()
  await Promise.all(processes.splice(0).map((started) => started.close()))
})

afterAll(async () => {
  await aws.close()
  await vault.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('a function whose variables refer to secrets', () => {
  it('opens its store, and knows its callers, by what they hold', async () => {
    seedAll()
    const read = load('read')

    const { undici } = await read.ready()
    const answers = [await read.invoke(asked), await read.invoke(recorded('http-api-get', 'secret://aws_secret_manager/gateway/master', { rawPath: '/secrets/OPENAI_API_KEY' }))]

    expect(answers.map(({ answer }) => answer?.statusCode)).toEqual([200, 401])
    expect(answers[0]?.answer?.body).toContain('kept in the vault')
    expect([undici, answers[1]?.undici]).toEqual([false, false])
  })

  it('asks for each of them once, at its initialisation, and never again', async () => {
    seedAll()
    const read = load('read')

    await read.ready()
    for (let times = 0; times < 3; times += 1) await read.invoke(asked)

    expect(aws.requests.map(({ operation, input }) => [operation, input['SecretId']]).toSorted()).toEqual([['GetSecretValue', 'gateway/master'], ['GetSecretValue', 'gateway/vault-token']])
  })

  it('writes keys, and rotates, likewise', async () => {
    seedAll()
    const [keys, rotate] = [load('keys'), load('rotate')]

    await Promise.all([keys.ready(), rotate.ready()])
    const made = await keys.invoke(recorded('function-url-post-base64', masterKey, { rawPath: '/key/generate', body: '{"key_alias":"on-vault"}', isBase64Encoded: false, requestContext: { stage: '$default', http: { method: 'POST' } } }))

    expect(made.answer?.statusCode).toBe(200)
    expect(rotate.log).toEqual([])
  })

  it('chains its audit lines under the key that one of them holds, not under the reference', async () => {
    seedAll()
    const read = load('read', onVault({ LATCHKEY_AUDIT_KEY: 'secret://aws_secret_manager/gateway/audit' }))

    await read.ready()
    await read.invoke(asked)

    expect(lines(read).find(({ msg }) => msg === 'audit chain begins')).toMatchObject({ key_id: hash('sha256', `latchkey-audit-key${auditKey}`).slice(0, 16) })
  })

  it('gives its values to nobody who asks over HTTP, and prints none', async () => {
    seedAll()
    const read = load('read')

    await read.ready()
    const answers = [await read.invoke(asked), ...(await Promise.all(['VAULT_TOKEN', 'LITELLM_MASTER_KEY'].map((name) => read.invoke(recorded('http-api-get', masterKey, { rawPath: `/secrets/${name}` })))))]

    expect(answers.map(({ answer }) => answer?.statusCode)).toEqual([200, 403, 403])
    expect(`${read.log.join('\n')}${read.stderr}${JSON.stringify(answers)}`).not.toMatch(new RegExp(`${vault.rootToken}|${masterKey}`))
  })
})

describe('a function whose variables cannot be resolved', () => {
  it.each([
    ['absent', () => aws.secrets.delete('gateway/vault-token'), 'not_found', /^Latchkey cannot start: VAULT_TOKEN refers to the secret "gateway\/vault-token", which is not in AWS Secrets Manager in us-east-1/],
    ['refused', () => aws.fault({ kind: 'denied' }), 'provider_denied', /^Latchkey cannot start: LITELLM_MASTER_KEY refers to the secret "gateway\/master", and AWS refused secretsmanager:GetSecretValue.* VAULT_TOKEN refers to the secret "gateway\/vault-token", and AWS refused/],
    ['failed', () => aws.fault({ kind: 'unavailable_before' }), 'provider_unavailable', /^Latchkey cannot start: LITELLM_MASTER_KEY refers to the secret "gateway\/master", which could not be read in us-east-1: .*Every start asks anew\./],
  ] as const)('because one is %s says so in one line, and its initialisation fails', async (_what, breaks, code, message) => {
    seedAll()
    breaks()
    const read = load('read')

    await expect(read.ready()).rejects.toThrow()

    expect(lines(read)).toMatchObject([{ level: 50, code, msg: expect.stringMatching(message) }])
  })

  it('says the same where it rotates', async () => {
    seedAll()
    aws.secrets.delete('gateway/master')
    const rotate = load('rotate')

    await expect(rotate.ready()).rejects.toThrow()

    expect(lines(rotate)).toMatchObject([{ level: 50, code: 'not_found', msg: expect.stringMatching(/^Latchkey cannot start: LITELLM_MASTER_KEY refers to the secret "gateway\/master"/) }])
  })

  it('starts when the platform repeats its initialisation and they can be', async () => {
    seedAll()
    aws.fault({ kind: 'unavailable_before' })
    await expect(load('read').ready()).rejects.toThrow()
    aws.heal()

    const again = load('read')
    await again.ready()

    expect((await again.invoke(asked)).answer?.statusCode).toBe(200)
  })

  it('gives up within the time of an initialisation', { timeout: 20_000 }, async () => {
    seedAll()
    aws.fault({ kind: 'slow' })
    const read = load('read')
    const started = performance.now()

    await expect(read.ready()).rejects.toThrow()

    expect(performance.now() - started).toBeLessThan(7_000)
    expect(lines(read)).toMatchObject([{ code: 'deadline_exceeded' }])
  })
})

it('a function without such a variable asks for none, and does not even look for what could', async () => {
  seedAll()
  const without = join(folder, 'without')
  cpSync(join(folder, 'read'), without, { recursive: true })
  const chunks = readdirSync(join(without, 'chunks')).filter((name) => name.startsWith('resolve-'))
  for (const name of chunks) rmSync(join(without, 'chunks', name))
  const start = (env: Record<string, string>): LambdaProcess => {
    const started = new LambdaProcess(join(without, 'read.mjs'), env)
    processes.push(started)
    return started
  }

  const read = start(onVault({ VAULT_TOKEN: vault.rootToken, LITELLM_MASTER_KEY: masterKey }))
  await read.ready()
  const answered = (await read.invoke(asked)).answer?.statusCode

  expect([chunks.length, answered, aws.requests]).toEqual([1, 200, []])
  await expect(start(onVault()).ready()).rejects.toThrow()
})
