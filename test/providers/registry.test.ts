// The one table that names providers: every system of the configuration is in it or said to be missing, and a store is opened by its provider's own table.
import { readFileSync, readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseConfigText } from '../../functions/local/config-file.ts'
import { parseConfiguration, type StoreConfiguration } from '../../shared/core/configuration.ts'
import { appliesTo } from '../../shared/core/configuration/litellm-settings.ts'
import { systems } from '../../shared/core/configuration/systems.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { defineProvider } from '../../shared/core/provider.ts'
import type { SettingsTable } from '../../shared/core/settings.ts'
import { settle } from '../../shared/core/settings/settle.ts'
import { loadProvider, openProvider, registry, type Registry } from '../../shared/providers/registry.ts'
import { envOf, testRuntime } from '../support/runtime.ts'

const storeOf = (system: string, settings: Record<string, unknown> = {}): StoreConfiguration => ({
  name: 'corp', system, path: 'latchkey.stores.corp', settings, accessMode: 'read_only', storeVirtualKeys: false, prefix: 'litellm', fallbackToEnvironment: false,
})

const failureOf = async (run: Promise<unknown>): Promise<LatchkeyError> => {
  try {
    await run
  } catch (error) {
    if (error instanceof LatchkeyError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

/** A provider that remembers what it was opened with. */
const recorder = (): { opened: unknown[]; registry: Registry } => {
  const opened: unknown[] = []
  const provider = defineProvider<{ url: string; size: number; token?: string }>({
    name: 'recorder', title: 'a provider that remembers',
    settings: {
      url: { type: 'url', required: true, env: ['RECORDER_URL'], text: 'Where it is.' },
      size: { type: 'integer', default: 7, min: 1, max: 9, text: 'How large it is.' },
      token: { type: 'string', secret: true, text: 'What opens it.' },
    },
    open: (settings, _io, origin) => {
      opened.push({ settings, origin })
      return { read: async () => { throw new LatchkeyError('not_found', 'nothing is here') }, check: async () => [] }
    },
  })
  return { opened, registry: { recorder: async () => provider } }
}

describe('the registry', () => {
  it('has every system that a file may name', () => {
    const named = Object.keys(systems).filter((system) => system !== 'local')

    expect(named.filter((system) => !Object.keys(registry).includes(system))).toEqual([])
  })

  it.each(Object.keys(registry))('loads %s under its own name', async (system) => {
    expect((await loadProvider(system)).name).toBe(system)
  })

  it('takes local for the environment', async () => {
    expect((await loadProvider('local')).name).toBe('environment')
  })


  it.each([['aws_secrets_manger', /Invalid Key Management System selected; did you mean aws_secret_manager\?/], ['toString', /Invalid Key Management System selected; there are .*infisical/]])('refuses the unknown system %s', async (system, message) => {
    const failure = await failureOf(loadProvider(system))

    expect([failure.code, failure.message]).toEqual(['misconfigured', expect.stringMatching(message)])
  })

  it('knows every setting that LiteLLM gives a system which is built', async () => {
    const built = Object.entries(appliesTo).flatMap(([key, readers]) => readers.filter((system) => Object.hasOwn(registry, system)).map((system) => [system, key] as const))

    const missing = await Promise.all(built.map(async ([system, key]) => (Object.hasOwn((await loadProvider(system)).settings, key) ? [] : [`${system}.${key}`])))

    expect(missing.flat()).toEqual([])
  })
})

describe('opening a store', () => {
  it('gives the provider its settings as its table makes them, from the operator', async () => {
    const { opened, registry: from } = recorder()

    await openProvider(storeOf('recorder', { url: 'os.environ/WHERE', token: 'opens-it' }), testRuntime({ env: { WHERE: 'https://corp.example' } }), from)

    expect(opened).toEqual([{ settings: { url: 'https://corp.example', size: 7, token: expect.objectContaining({ byteLength: 8 }) }, origin: { kind: 'operator' } }])
    expect(JSON.stringify(opened)).not.toContain('opens-it')
  })

  it('lists everything that is wrong with its settings, each with its path, and opens nothing', async () => {
    const { opened, registry: from } = recorder()

    const failure = await failureOf(openProvider(storeOf('recorder', { size: 70, tokn: 'opens-it', acces_mode: 'read_only' }), testRuntime(), from))

    expect(failure.details.issues).toEqual([
      { path: 'latchkey.stores.corp.url', message: 'is required; set it here or in RECORDER_URL' },
      { path: 'latchkey.stores.corp.size', message: 'must be between 1 and 9' },
      { path: 'latchkey.stores.corp.tokn', message: 'is not a setting; did you mean token?' },
      { path: 'latchkey.stores.corp.acces_mode', message: 'is not a setting; did you mean access_mode?' },
    ])
    expect([failure.code, opened]).toEqual(['misconfigured', []])
    expect(failure.message).not.toContain('opens-it')
  })

  it('finds a provider\'s variables in the environment, an empty one being unset', async () => {
    const { opened, registry: from } = recorder()

    await openProvider(storeOf('recorder'), testRuntime({ env: { RECORDER_URL: 'https://env.example' } }), from)

    expect(opened).toMatchObject([{ settings: { url: 'https://env.example' } }])
    expect((await failureOf(openProvider(storeOf('recorder'), testRuntime({ env: { RECORDER_URL: '' } }), from))).message).toContain('RECORDER_URL')
  })

  it('takes what the build settled, and loads the table only where the environment says what the build could not know', async () => {
    const table: SettingsTable<{ url: string; size: number }> = {
      url: { type: 'url', required: true, env: ['APART_URL'], text: 'Where it is.' },
      size: { type: 'integer', default: 7, env: ['APART_SIZE'], text: 'How large it is.' },
    }
    const told: unknown[] = []
    const loader = (): Promise<typeof table> => {
      told.push('table')
      return Promise.resolve(table)
    }
    const apart = defineProvider<{ url: string; size: number }, typeof loader>({
      name: 'apart', title: 'a provider with its table apart', settings: loader,
      open: (settings) => {
        told.push(settings)
        return { read: async () => { throw new LatchkeyError('not_found', 'nothing is here') }, check: async () => [] }
      },
    })
    const from = { apart: () => Promise.resolve(apart) }
    const settled = settle(table, {})
    const store = { ...storeOf('apart'), ...(settled !== undefined && { settled }) }

    await openProvider(store, testRuntime({ env: { APART_URL: 'https://env.example' } }), from)
    await openProvider(store, testRuntime({ env: { APART_URL: 'https://env.example', APART_SIZE: '9' } }), from)

    expect(told).toEqual([{ url: 'https://env.example', size: 7 }, 'table', { url: 'https://env.example', size: 9 }])
    expect((await failureOf(openProvider(store, testRuntime(), from))).message).toContain('APART_URL')
    expect((await loadProvider('apart', 'here', from)).settings).toBe(table)
  })

  const samples = new URL('../fixtures/litellm/', import.meta.url)
  it.each(readdirSync(samples).filter((name) => name.endsWith('.yaml')))('of %s ends in an open provider or in one authored refusal', async (name) => {
    const env = { AWS_REGION_NAME: 'eu-west-1', AWS_ACCESS_KEY_ID: 'AKIA0000FAKE0000FAKE', AWS_SECRET_ACCESS_KEY: 'fake', AWS_WEB_IDENTITY_TOKEN_FILE: 'path' }
    const { configuration } = parseConfiguration(await parseConfigText(readFileSync(new URL(name, samples)), name), { env: envOf(env), loopback: true })

    const outcome = await Promise.all([...configuration.stores.values()].map((store) => openProvider(store, testRuntime({ env })).then(() => 'open', (error: unknown) => error instanceof LatchkeyError && error.code === 'misconfigured' ? 'refused' : error)))

    expect(outcome.filter((one) => one !== 'open' && one !== 'refused')).toEqual([])
  })
})
