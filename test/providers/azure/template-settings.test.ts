// The settings that infra/azure gives each app, read as the app reads them: they name the vault with its own slash at the end, and the one identity that signs in.
import { describe, expect, it } from 'vitest'
import { readSettings } from '../../../shared/core/settings.ts'
import { azureSite } from '../../../shared/credentials/azure/identity.ts'
import { azureSettings } from '../../../shared/credentials/azure/settings.ts'
import { deployments, parsed, valueAt } from '../../infra/azure/checks.ts'

const { usual } = deployments(parsed())
const noFiles = { read: async () => undefined, realPath: async () => undefined } as never

/** The environment of one app, with what only a deployment knows filled in as Azure would. */
const environmentOf = (app: string): Readonly<Record<string, string>> => {
  const site = usual.resources.find(({ type, name }) => type === 'Microsoft.Web/sites' && name.startsWith(`latchkey-${app}-`))
  const settings = valueAt(site?.body, 'properties.siteConfig.appSettings') as readonly { readonly name: string; readonly value: string }[]
  const known = { vaultUri: 'https://latchkey-unique1234567.vault.azure.net/', clientId: `00000000-0000-4000-8000-0000000000${app.length}${app.length}` }
  return Object.fromEntries(settings.map(({ name, value }) => [name, value.replace(/^.*#(vaultUri|clientId)$/, (_, key: keyof typeof known) => known[key])]))
}

describe('the settings of the template of Azure', () => {
  it.each(['read', 'keys', 'rotate'])('sign in as the identity of the app, and as nobody else: %s', async (app) => {
    const environment = environmentOf(app)

    const { settings, issues } = readSettings(azureSettings, {}, { path: 'azure_key_vault', env: { get: (name) => environment[name], names: () => Object.keys(environment) } })
    const site = await azureSite(settings, { files: noFiles })

    expect(issues).toEqual([])
    expect([site.vault, site.credential.kind, site.credential.clientId]).toEqual(['https://latchkey-unique1234567.vault.azure.net', 'managed_identity', environment['AZURE_CLIENT_ID']])
  })

  it('give the app that rotates its queue by the connection that the platform has', () => {
    const environment = environmentOf('rotate')

    expect([environment['LATCHKEY_ROTATION_CONNECTION'], environment['AzureWebJobsStorage__accountName'], environment['LATCHKEY_ROTATION_QUEUE']]).toEqual([undefined, 'lkrotateunique1234567', 'latchkey-rotation'])
  })
})
