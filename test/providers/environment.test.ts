// The environment as a store: which of the two sources answers, which names stay closed, and that `.env` is never touched.
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readSettings } from '../../shared/core/settings.ts'
import { hostedName } from '../../shared/core/names.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { isNeverReadable, readableNames } from '../../shared/credentials/readable-names.ts'
import { environment } from '../../shared/providers/environment.ts'
import { nodeFiles } from '../../shared/telemetry/node-runtime.ts'
import { callOf, envOf, filesOf, ManualClock, noHttp, SeededRandom } from '../support/runtime.ts'
import { temporaryFolder, withoutRights } from './embedded-store.ts'

type Environment = SecretProvider & Required<Pick<SecretProvider, 'describe' | 'list' | 'readMany'>>

const clock = new ManualClock()
const call = () => callOf(clock)

interface Given {
  readonly env?: Record<string, string>
  readonly dotenv?: string
  readonly readable?: readonly string[]
  readonly never?: readonly string[]
}

const opened = async ({ env = {}, dotenv, ...lists }: Given): Promise<Environment> => {
  const files = filesOf(dotenv === undefined ? {} : { '/app/.env': dotenv })
  const io = { clock, random: new SeededRandom(), env: envOf(env), files, http: noHttp }
  return (await environment.open({ dotenv_path: '/app/.env', ...lists }, io, { kind: 'operator' })) as Environment
}

const textOf = async (provider: SecretProvider, name: string): Promise<string> => (await provider.read(hostedName(name), {}, call())).value.reveal()

describe('the environment', () => {
  it.each([' TRUE ', 'True', 'false', '1', '', ' ', '{"a": 1}', '0012', 'null', 'grüße', 'a\nb', 'aws_kms/x'])('answers the value %j as it is', async (value) => {
    const provider = await opened({ env: { K: value } })

    expect(await textOf(provider, 'K')).toBe(value)
  })

  it('tells names apart by case, and takes nothing off them', async () => {
    const provider = await opened({ env: { key: 'lower', KEY: 'upper', 'os.environ/K': 'prefixed' } })

    expect(await textOf(provider, 'key')).toBe('lower')
    expect(await textOf(provider, 'KEY')).toBe('upper')
    expect(await textOf(provider, 'os.environ/K')).toBe('prefixed')
    await expect(textOf(provider, 'Key')).rejects.toMatchObject({ code: 'not_found' })
  })

  it('wins over .env, with an empty value too', async () => {
    const provider = await opened({ env: { BOTH: 'environment', EMPTY: '' }, dotenv: 'BOTH=file\nEMPTY=file\nFILE=file\n' })

    expect(await Promise.all(['BOTH', 'EMPTY', 'FILE'].map((name) => textOf(provider, name)))).toEqual(['environment', '', 'file'])
  })

  it('answers an empty value of .env as a value', async () => {
    const provider = await opened({ dotenv: 'EMPTY=\n' })

    expect(await textOf(provider, 'EMPTY')).toBe('')
  })

  it('has no versions and nothing to write with', async () => {
    const provider = await opened({ env: { K: 'v' } })

    const record = await provider.read(hostedName('K'), {}, call())

    expect(record.version).toBeUndefined()
    await expect(provider.read(hostedName('K'), { version: '1' }, call())).rejects.toMatchObject({ code: 'not_found' })
    await expect(provider.read(hostedName('K'), { stage: 'previous' }, call())).rejects.toMatchObject({ code: 'not_found' })
    expect([provider.write, provider.remove, provider.traits.write]).toEqual([undefined, undefined, undefined])
  })
})

describe('.env', () => {
  it.each([
    ['unset', {}, 'value'],
    ['empty', { LITELLM_MODE: '' }, 'value'],
    ['DEV', { LITELLM_MODE: 'DEV' }, 'value'],
    ['PRODUCTION', { LITELLM_MODE: 'PRODUCTION' }, undefined],
    ['dev, which is not DEV', { LITELLM_MODE: 'dev' }, undefined],
  ])('counts while LITELLM_MODE is %s', async (_, env: Record<string, string>, expected) => {
    const provider = await opened({ env, dotenv: 'K=value\n' })

    const value = await textOf(provider, 'K').catch(() => undefined)

    expect(value).toBe(expected)
  })

  it('may be missing', async () => {
    const provider = await opened({ env: { K: 'v' } })

    expect(await textOf(provider, 'K')).toBe('v')
    expect(await provider.check('reach', call())).toEqual([{ ok: true, subject: 'environment', message: 'The process environment can be read; no .env is loaded.' }])
  })

  it('is read once, and stays as it is on the disk: bytes, mode and time', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, '.env')
    await writeFile(path, 'FIRST=1\r\n# kept\nnot an assignment\n', { mode: 0o640 })
    const before = [await readFile(path), (await stat(path)).mtimeMs, (await stat(path)).mode]
    const provider = (await environment.open({ dotenv_path: path }, { clock, random: new SeededRandom(), env: envOf({}), files: nodeFiles, http: noHttp }, { kind: 'operator' })) as Environment

    await textOf(provider, 'FIRST')
    await provider.list({ prefix: '', limit: 10 }, call())
    await provider.readMany([hostedName('FIRST'), hostedName('NONE')], call())

    expect([await readFile(path), (await stat(path)).mtimeMs, (await stat(path)).mode]).toEqual(before)
    await writeFile(path, 'FIRST=2\n')
    expect(await textOf(provider, 'FIRST')).toBe('1')
  })

  it('that may not be read is misconfigured and says what to do', async () => {
    const folder = await temporaryFolder()
    await chmod(folder, 0o755)
    await writeFile(join(folder, '.env'), 'K=v\n')
    await chmod(join(folder, '.env'), 0o000)
    const io = { clock, random: new SeededRandom(), env: envOf({}), files: nodeFiles, http: noHttp }

    const opening = withoutRights(() => environment.open({ dotenv_path: join(folder, '.env') }, io, { kind: 'operator' }))

    await expect(opening).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringMatching(/\.env cannot be read: this user may not use it.*Set dotenv_path/) })
  })

  it('that is a folder is misconfigured and says so', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, '.env'))
    const io = { clock, random: new SeededRandom(), env: envOf({}), files: nodeFiles, http: noHttp }

    const opening = environment.open({ dotenv_path: join(folder, '.env') }, io, { kind: 'operator' })

    await expect(opening).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining('is a folder') })
  })
})

describe('the names of the environment that are open', () => {
  it('are all while no list is given, the master key included: that is how the configuration reads its own references', async () => {
    const provider = await opened({ env: { ANY: 'v', LITELLM_MASTER_KEY: 'm' } })

    expect(await textOf(provider, 'ANY')).toBe('v')
    expect(await textOf(provider, 'LITELLM_MASTER_KEY')).toBe('m')
    expect((await provider.list({ prefix: '', limit: 10 }, call())).items).toEqual([])
  })

  it('are those listed and those in .env; another is forbidden whether it is there or not', async () => {
    const provider = await opened({ env: { LISTED: '1', CLOSED: '2' }, dotenv: 'IN_FILE=3\n', readable: ['LISTED', 'ABSENT'] })

    const codes = await Promise.all(['LISTED', 'IN_FILE', 'CLOSED', 'NOT_THERE', 'ABSENT', 'listed'].map((name) => textOf(provider, name).catch((error: { code: string }) => error.code)))

    expect(codes).toEqual(['1', '3', 'forbidden', 'forbidden', 'not_found', 'forbidden'])
  })

  it('are listed by name and page, without those that are not set and without the rest of the environment', async () => {
    const provider = await opened({ env: { B: '1', OTHER: '2', 'not%askable': '3' }, dotenv: 'A=1\nC=2\nLATCHKEY_X=3\n', readable: ['B', 'ABSENT', 'not%askable'] })

    const first = await provider.list({ prefix: '', limit: 2 }, call())
    const second = await provider.list({ prefix: '', limit: 2, cursor: first.cursor ?? '' }, call())

    expect([first, second].map((page) => page.items.map(({ nativeName }) => nativeName))).toEqual([['A', 'B'], ['C']])
    expect(second.cursor).toBeUndefined()
    expect((await provider.list({ prefix: 'B', limit: 2 }, call())).items).toHaveLength(1)
    expect((await provider.list({ prefix: '', label: ['a', 'b'], limit: 2 }, call())).items).toEqual([])
  })
})

describe('the names that are never readable', () => {
  const never = [
    'LITELLM_MASTER_KEY',
    'litellm_master_key',
    'LATCHKEY_EMBEDDED_KEY',
    'LATCHKEY_ANYTHING',
    'AWS_ACCESS_KEY_ID',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_SESSION_TOKEN',
    'AWS_CONTAINER_AUTHORIZATION_TOKEN',
    'AZURE_CLIENT_ID',
    'AZURE_CLIENT_SECRET',
    'AZURE_CLIENT_CERTIFICATE_PATH',
    'AZURE_TENANT_ID',
    'AZURE_FEDERATED_TOKEN_FILE',
    'IDENTITY_HEADER',
    'GOOGLE_APPLICATION_CREDENTIALS',
    'GCS_PATH_SERVICE_ACCOUNT',
    'HCP_VAULT_TOKEN',
    'HCP_VAULT_APPROLE_SECRET_ID',
    'VAULT_TOKEN',
    'CYBERARK_API_KEY',
    'INFISICAL_CLIENT_SECRET',
    'ACTIONS_ID_TOKEN_REQUEST_TOKEN',
    'CIRCLE_OIDC_TOKEN_V2',
  ]

  it.each(never)('hold %s, in the environment, in .env and on the list', async (name) => {
    const provider = await opened({ env: { [name]: 'v' }, dotenv: `${name}=v\n`, readable: [name] })

    await expect(textOf(provider, name)).rejects.toMatchObject({ code: 'forbidden', message: expect.not.stringContaining('"v"') })
    await expect(provider.describe(hostedName(name), call())).rejects.toMatchObject({ code: 'forbidden' })
    expect(await provider.readMany([hostedName(name)], call())).toEqual([expect.objectContaining({ code: 'forbidden' })])
    expect((await provider.list({ prefix: '', limit: 10 }, call())).items).toEqual([])
  })

  it.each(['OPENAI_API_KEY', 'AZURE_API_KEY', 'AZURE_API_BASE', 'GOOGLE_API_KEY', 'DATABASE_URL', 'ANTHROPIC_API_KEY', 'LITELLM_SALT_KEY', 'MY_AWS_KEY'])('do not hold %s, which a gateway needs', async (name) => {
    const provider = await opened({ env: { [name]: 'v' }, readable: [name] })

    expect(await textOf(provider, name)).toBe('v')
  })

  it('hold what the operator adds, in any spelling', async () => {
    const provider = await opened({ env: { MY_MASTER: 'v', my_master: 'w' }, readable: ['MY_MASTER', 'my_master'], never: ['My_Master'] })

    await expect(textOf(provider, 'MY_MASTER')).rejects.toMatchObject({ code: 'forbidden' })
    await expect(textOf(provider, 'my_master')).rejects.toMatchObject({ code: 'forbidden' })
    expect([isNeverReadable('MY_MASTER'), isNeverReadable('MY_MASTER', ['my_master'])]).toEqual([false, true])
  })

  it('are taken out of what hosted keys, .env and references open', () => {
    const readable = readableNames([['OPENAI_API_KEY', 'LITELLM_MASTER_KEY'], new Set(['AWS_SECRET_ACCESS_KEY', 'DB']), ['MINE', 'DB']], ['mine'])

    expect([...readable]).toEqual(['OPENAI_API_KEY', 'DB'])
  })
})

describe('the settings of the environment', () => {
  it('need nothing, and take no environment variables of their own', () => {
    const { settings, issues } = readSettings(environment.settings, { readable: null }, { path: 'store', env: envOf({}) })

    expect(issues).toEqual([])
    expect(settings).toEqual({ dotenv_path: '.env' })
  })
})
