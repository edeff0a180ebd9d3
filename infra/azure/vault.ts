// The vault, what becomes of its audit log, and how far the roles that write to it may reach.
import { policySettings } from '../../shared/core/configuration/litellm-settings.ts'
import { slugHashCodec } from '../../shared/core/names/slug-hash.ts'
import { at, call, format, idOf, parameter, variable, type Resource } from './arm.ts'

const location = parameter('location')

/** How a created secret's name begins in a vault, `litellm-`: the default prefix as the vault's codec writes it, without the hash behind it. */
export const vaultPrefix = slugHashCodec.encode({ text: String(policySettings.prefix_for_stored_virtual_keys.default), place: 'created' }).replace(/[^-]*$/, '')

/** The vault: rights by roles alone, and nothing that is deleted is gone before 90 days. */
export const vault: Resource = {
  type: 'Microsoft.KeyVault/vaults',
  apiVersion: '2026-02-01',
  name: [parameter('vaultName')],
  body: {
    location,
    properties: {
      tenantId: at(call('tenant'), 'tenantId'),
      sku: { family: 'A', name: 'standard' },
      enableRbacAuthorization: true,
      enableSoftDelete: true,
      softDeleteRetentionInDays: 90,
      enablePurgeProtection: true,
      publicNetworkAccess: call('if', parameter('privateNetwork'), 'Disabled', 'Enabled'),
      networkAcls: { bypass: 'None', defaultAction: call('if', parameter('privateNetwork'), 'Deny', 'Allow') },
    },
  },
}

/** Where logs are kept. */
export const workspace: Resource = {
  type: 'Microsoft.OperationalInsights/workspaces',
  apiVersion: '2025-07-01',
  name: [format('{0}-logs', parameter('name'))],
  body: { location, properties: { sku: { name: 'PerGB2018' }, retentionInDays: parameter('logRetentionDays'), features: { disableLocalAuth: true } } },
}

/** Where the functions' telemetry goes, by Entra's word alone. */
export const insights: Resource = {
  type: 'Microsoft.Insights/components',
  apiVersion: '2020-02-02',
  name: [format('{0}-insights', parameter('name'))],
  body: { location, kind: 'web', properties: { Application_Type: 'web', WorkspaceResourceId: idOf(workspace), IngestionMode: 'LogAnalytics', DisableLocalAuth: true } },
}

/** Who asked the vault for what. */
export const vaultAudit: Resource = {
  type: 'Microsoft.Insights/diagnosticSettings',
  apiVersion: '2021-05-01-preview',
  scope: vault,
  name: ['audit'],
  body: { properties: { workspaceId: idOf(workspace), logs: [{ categoryGroup: 'audit', enabled: true }] } },
}

/** Writes only to names below the prefix, by the names as requested and as they are. Reading is not narrowed: a condition on it would forbid lists. */
export const writesBelowPrefix = { wanted: 'confineWrites', text: variable('belowPrefix') }
const action = (verb: string): string => `!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/${verb}'})`
/** The condition itself, as Azure writes conditions. */
export const belowPrefix = [
  { verbs: ['setSecret/action', 'restore/action'], attribute: '@Request' },
  { verbs: ['update/action', 'delete', 'recover/action', 'backup/action', 'purge/action'], attribute: '@Resource' },
].map(({ verbs, attribute }) => `((${verbs.map(action).join(' AND ')}) OR (${attribute}[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith '${vaultPrefix}'))`).join(' AND ')
