// The rows of Azure Key Vault that need a whole configuration: what follows an absence, what stops the start, and that a virtual key is really stored.
import { describe, expect, it, onTestFinished } from 'vitest'
import { parseConfiguration } from '../../shared/core/configuration.ts'
import { openLatchkey } from '../../shared/latchkey.ts'
import { applicationSettings, startVault } from '../conformance/harnesses/azure-key-vault.ts'
import { callOf } from '../support/runtime.ts'
import { codeOf, openFile, refusalOf } from './opened-file.ts'

const variables = { AZURE_TENANT_ID: applicationSettings.azure_tenant_id, AZURE_CLIENT_ID: applicationSettings.azure_client_id, AZURE_CLIENT_SECRET: applicationSettings.azure_client_secret }
const file = (settings: object = {}, entry: object = {}): object => ({ general_settings: { key_management_system: 'azure_key_vault', key_management_settings: settings }, latchkey: { default_store: entry } })

/** A vault, and a file that has it as its manager; the ports are the vault's, whose pauses cost nobody a second. */
const open = async (settings: object = {}, env: Readonly<Record<string, string>> = {}) => {
  const started = await startVault({}, { env: { ...variables, ...env } })
  const runtime = { ...started.runtime, ...started.io }
  const given = file(settings, { azure_key_vault_uri: started.fake.url, azure_authority_host: started.fake.url })
  const latchkey = await openLatchkey(parseConfiguration(given, { env: runtime.env, loopback: true }).configuration, runtime)
  onTestFinished(async () => {
    await latchkey.close()
    await started.fake.close()
  })
  return { ...started, latchkey, call: () => callOf(started.runtime.clock), read: (name: string) => latchkey.read(name, callOf(started.runtime.clock)).then((value) => value.reveal(), codeOf) }
}

describe("LiteLLM's file for Azure Key Vault", () => {
  it('Z03: goes on to the environment after a confirmed absence', async () => {
    const { read } = await open({}, { K: 'e' })

    expect([await read('K'), await read('NOWHERE')]).toEqual(['e', '(not_found)'])
  })

  it('Z04: does not go on after a refusal', async () => {
    const { read, fake } = await open({}, { K: 'e' })
    fake.fault({ kind: 'denied' })

    expect(await read('K')).toBe('(provider_denied)')
  })

  it('Z06: stops the start without the vault\'s address, and names the variable', async () => {
    const refusal = await refusalOf(openFile(file(), { env: variables }))

    expect(refusal).toMatchObject({ code: 'misconfigured', message: expect.stringContaining('AZURE_KEY_VAULT_URI') as string })
  })

  it('Z07: stores virtual keys', async () => {
    const { latchkey, vault, call } = await open({ store_virtual_keys: true })
    const keys = await latchkey.keys()

    const made = await keys.create({ alias: 'a' }, { call: call(), caller: 'tester', route: '/key/generate', body: '{}' })

    const held = (await latchkey.stores.get('default')?.describe({ text: 'litellm/a', place: 'created' }, call()))?.nativeName ?? ''
    expect(vault.stored(held).map(({ value }) => value)).toEqual([made.key?.reveal()])
  })
})
