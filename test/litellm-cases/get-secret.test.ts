// The rows G01 to G29: what LiteLLM's get_secret answers, and what a program that reads through Latchkey gets in the same situation.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startText } from '../../functions/local/report.ts'
import { applicationSettings, startVault } from '../conformance/harnesses/azure-key-vault.ts'
import { fakeKeys, startSecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { knownAccount } from '../fakes/google-bearer.ts'
import { master, openFile, refusalOf, startManager } from './opened-file.ts'

const azureEnv = (url: string): Record<string, string> => ({ AZURE_KEY_VAULT_URI: url, AZURE_TENANT_ID: applicationSettings.azure_tenant_id, AZURE_CLIENT_ID: applicationSettings.azure_client_id, AZURE_CLIENT_SECRET: applicationSettings.azure_client_secret })

describe('without a manager', () => {
  it('G01: a variable of the environment is its value', async () => {
    const { read } = await openFile({}, { env: { K: 'v' } })

    expect(await read('K')).toBe('v')
  })

  it('G02: os.environ/ before the name changes nothing', async () => {
    const { read } = await openFile({}, { env: { K: 'v' } })

    expect(await read('os.environ/K')).toBe('v')
  })

  it('G03: an unset name with a default is the default', async () => {
    const { read } = await openFile({})

    expect([await read('K', { default: 'd' }), await read('K')]).toEqual(['d', '(not_found)'])
  })

  it('G04: a boolean in the environment is one where a boolean is asked for, and its exact text elsewhere', async () => {
    const { latchkey } = await openFile({}, { env: { K: ' TRUE ' } })

    const value = await latchkey.read('K')

    expect([value.asBoolean(), value.reveal()]).toEqual([true, ' TRUE '])
  })

  it('G05: a text that looks like a boolean is a text like any other', async () => {
    const { read } = await openFile({}, { env: { K: 'True' } })

    expect(await read('K')).toBe('True')
  })

  it('G06: a text that is no boolean is none', async () => {
    const { latchkey } = await openFile({}, { env: { K: '1' } })

    expect((await latchkey.read('K')).asBoolean()).toBeUndefined()
  })

  it('G27: .env is read in LiteLLM\'s mode DEV, which is the default, and in no other', async () => {
    const local = await openFile({}, { dotenv: 'K=from the file\n' })
    const production = await openFile({}, { dotenv: 'K=from the file\n', env: { LITELLM_MODE: 'PRODUCTION' } })

    expect([await local.read('K'), await production.read('K')]).toEqual(['from the file', '(not_found)'])
  })
})

describe('which names go to the manager', () => {
  it('G07: every name goes to a custom manager that hosts no list', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-custom-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const path = join(folder, 'mine.ts')
    await writeFile(path, "export default { read: async (name) => 'asked for ' + name.text, check: async () => [{ ok: true, subject: 'mine', message: 'is ready' }] }\n")

    const { read } = await openFile({ general_settings: { key_management_system: 'custom', key_management_settings: { access_mode: 'read_only', custom_secret_manager: path } } }, { env: { ANY: 'from the environment' } })

    expect(await read('ANY')).toBe('asked for ANY')
  })

  it.each([
    ['G08: under read_only a listed name is asked for, and another comes from the environment alone', 'read_only', ['A'], ['of the manager', 'of the environment'], ['A']],
    ['G09: so it is under read_and_write', 'read_and_write', ['A'], ['of the manager', 'of the environment'], ['A']],
    ['G10: under write_only nothing is asked for, listed or not', 'write_only', ['A'], ['of the environment', 'of the environment'], []],
    ['G10: nor without a list', 'write_only', undefined, ['of the environment', 'of the environment'], []],
    ['G11: an empty list hosts nothing', 'read_only', [], ['of the environment', 'of the environment'], []],
  ] as const)('%s', async (_title, access_mode, hosted_keys, values, asked) => {
    const manager = await startManager({ A: 'of the manager', B: 'of the manager' })
    const { read } = await openFile(manager.file({ access_mode, ...(hosted_keys === undefined ? {} : { hosted_keys }) }), { env: { ...manager.env, A: 'of the environment', B: 'of the environment' } })

    expect([await read('A'), await read('os.environ/B')]).toEqual(values)
    expect(manager.asked()).toEqual(asked)
  })

  it.each([
    ['G08: over HTTP a name that is not listed is forbidden, whatever the environment holds', { hosted_keys: ['A'] }, [200, 403]],
    ['G10: over HTTP every name is forbidden under write_only', { access_mode: 'write_only' }, [403, 403]],
    ['G11: over HTTP every name is forbidden with an empty list', { hosted_keys: [] }, [403, 403]],
  ])('%s', async (_title, settings, statuses) => {
    const manager = await startManager({ A: 'of the manager' })
    const { send } = await openFile(manager.file(settings), { env: { ...manager.env, A: 'of the environment', B: 'of the environment' } })

    expect([(await send('GET /secrets/A')).status, (await send('GET /secrets/B')).status]).toEqual(statuses)
  })

  it('G20: on Azure, too, a name that is not listed never reaches the vault', async () => {
    const { fake, vault } = await startVault()
    onTestFinished(() => fake.close())
    vault.seed('B', 'of the vault')
    const file = { general_settings: { key_management_system: 'azure_key_vault', key_management_settings: { hosted_keys: ['A'] } }, latchkey: { default_store: { azure_authority_host: fake.url } } }
    const { read, send } = await openFile(file, { env: { ...azureEnv(fake.url), B: 'of the environment' } })

    expect([await read('B'), (await send('GET /secrets/B')).status]).toEqual(['of the environment', 403])
    expect(fake.requests).toEqual([])
  })

  it('G21: os.environ/ is taken off once', async () => {
    const { read } = await openFile({}, { env: { K: 'of K', 'os.environ/K': 'of the name that is left' } })

    expect(await read('os.environ/os.environ/K')).toBe('of the name that is left')
  })
})

describe('what the manager answers', () => {
  it.each([
    ['G12: True is text', 'True'],
    ['G13: true is text', 'true'],
    ['G14: so is True with a space before it', ' True'],
    ['G15: a number is text', '1'],
    ['G16: an empty value is a value', ''],
  ])('%s, every time it is read', async (_title, value) => {
    const manager = await startManager({ K: value })
    const { read } = await openFile(manager.file(), { env: { ...manager.env, K: 'of the environment' } })

    expect([await read('K'), await read('K')]).toEqual([value, value])
  })

  it('G17: a failure is a failure, and the environment answers only where the operator wrote so', async () => {
    const manager = await startManager({ K: 'v' })
    manager.fake.fault({ kind: 'denied' })
    const strict = await openFile(manager.file(), { env: { ...manager.env, K: 'e' } })
    const lenient = await openFile(manager.file({}, { model_list: [{ litellm_params: { api_key: 'os.environ/K' } }], latchkey: { default_store: { fallback: 'environment' } } }), { env: { ...manager.env, K: 'e' } })

    expect([await strict.read('K'), await lenient.read('K')]).toEqual(['(provider_denied)', 'e'])
  })

  it('G18: a default is no answer to a failure', async () => {
    const manager = await startManager({ K: 'v' })
    manager.fake.fault({ kind: 'denied' })
    const { read } = await openFile(manager.file(), { env: manager.env })

    expect(await read('K', { default: 'd' })).toBe('(provider_denied)')
  })

  it('G19: the manager wins over the environment', async () => {
    const manager = await startManager({ K: 'of the manager' })
    const { read } = await openFile(manager.file(), { env: { ...manager.env, K: 'of the environment' } })

    expect(await read('K')).toBe('of the manager')
  })

  it('V12: what Vault does not have comes from the environment', async () => {
    const manager = await startManager()
    const { read } = await openFile(manager.file(), { env: { ...manager.env, K: 'e' } })

    expect([await read('K'), manager.asked()]).toEqual(['e', ['K']])
  })

  it('G29: a boolean of the environment is the same text with a manager and without one', async () => {
    const manager = await startManager()
    const beside = await openFile(manager.file({ hosted_keys: ['A'] }), { env: { ...manager.env, B: 'true' } })
    const alone = await openFile({}, { env: { B: 'true' } })

    expect([await beside.read('B'), await alone.read('B')]).toEqual(['true', 'true'])
  })
})

describe('references of the file', () => {
  it('G22: are found wherever they stand; a setting of ours has its value, and the rest of the file stays as it is', async () => {
    const manager = await startManager({ K: 'v' })
    const file = manager.file({}, { a: { b: 'os.environ/K' }, latchkey: { default_store: { vault_token: 'os.environ/TOKEN' } } })
    const { latchkey, call, read } = await openFile(file, { env: { HCP_VAULT_ADDR: manager.fake.url, TOKEN: manager.fake.rootToken } })

    const found = await latchkey.references(call())

    expect(found).toContainEqual({ path: 'a.b', reference: 'os.environ/K', source: 'manager' })
    expect(await read('os.environ/K')).toBe('v')
  })

  it('G23: to nothing are listed as absent at the start, and the start goes on', async () => {
    const { configuration, latchkey, call } = await openFile({ model_list: [{ litellm_params: { api_key: 'os.environ/NOWHERE' } }] })

    const references = await latchkey.references(call())
    const printed = startText({ url: 'http://127.0.0.1:1', version: '0', path: 'config.yaml', configuration, stores: latchkey.stores, references, minted: undefined, weak: false, mark: 'x' })

    expect(references).toEqual([{ path: 'model_list[0].litellm_params.api_key', reference: 'os.environ/NOWHERE', source: 'absent' }])
    expect(printed).toMatch(/^ {2}os\.environ\/NOWHERE +absent {3}model_list\[0\]\.litellm_params\.api_key$/m)
  })
})

describe('the system', () => {
  it('G24: that there is not stops the start in LiteLLM\'s words', async () => {
    const refusal = await refusalOf(openFile({ general_settings: { key_management_system: 'foo' } }))

    expect(refusal).toMatchObject({ code: 'misconfigured', message: expect.stringContaining('Invalid Key Management System selected') as string })
  })

  it('G25: is Azure Key Vault by the older flag', async () => {
    const { fake, vault } = await startVault()
    onTestFinished(() => fake.close())
    vault.seed('K', 'of the vault')
    const { read } = await openFile({ general_settings: { use_azure_key_vault: true }, latchkey: { default_store: { azure_authority_host: fake.url } } }, { env: azureEnv(fake.url) })

    expect(await read('K')).toBe('of the vault')
  })

  it('G26: is Google KMS by the older flag', async () => {
    const { latchkey } = await openFile({ general_settings: { use_google_kms: true } }, { env: { GOOGLE_APPLICATION_CREDENTIALS: knownAccount().file, GOOGLE_KMS_RESOURCE_NAME: 'projects/p/locations/global/keyRings/r/cryptoKeys/k' } })

    expect(latchkey.stores.get('default')?.system).toBe('google_kms')
  })

  it('G28: holds the master key where that is hosted', async () => {
    const fake = await startSecretsManagerFake()
    onTestFinished(() => fake.close())
    fake.seed('M', master)
    const general_settings = { master_key: 'os.environ/M', key_management_system: 'aws_secret_manager', key_management_settings: { hosted_keys: ['M'] } }
    const { send, latchkey, call } = await openFile({ general_settings }, { env: { AWS_REGION_NAME: 'us-east-1', AWS_ENDPOINT_URL_SECRETS_MANAGER: fake.url, AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey, LITELLM_MASTER_KEY: 'sk-not-this-one-0123456789-0123456789' } })

    expect((await latchkey.masterKey(call()))?.reveal()).toBe(master)
    expect((await send('GET /whoami')).status).toBe(200)
  })
})
