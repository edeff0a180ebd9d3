// The function apps. Each has an identity, a plan and a storage account of its own: whoever may write the place where an app's code lies is that app.
import type { FunctionName } from '../names.ts'
import { at, call, Expression, format, idOf, parameter, propertyOf, variable, type Resource, type Value } from './arm.ts'
import { awsTrust } from './federation.ts'
import { subnetOf } from './network.ts'
import { grant, roles } from './roles.ts'
import { containerOf, storageOf } from './storage.ts'
import { insights, vault, writesBelowPrefix } from './vault.ts'

/** The queue to which the vault's events go. */
export const queueName = 'latchkey-rotation'

const location = parameter('location')
const named = (suffix: string): Expression => format(`{0}-${suffix}`, parameter('name'))

/** The identity of an app, or of those who deliver events. */
export const identityOf = (name: FunctionName | 'events'): Resource => ({ type: 'Microsoft.ManagedIdentity/userAssignedIdentities', apiVersion: '2024-11-30', name: [named(name)], body: { location } })

/** A secret of the vault as an application setting, resolved by the platform: `@Microsoft.KeyVault(…)`. */
const references = new Expression(`map(items(parameters('secretSettings')), lambda('each', createObject('name', lambdaVariables('each').key, 'value', format('@Microsoft.KeyVault(VaultName={0};SecretName={1})', parameters('vaultName'), lambdaVariables('each').value))))`, [vault])

const setting = (name: string, value: string | Expression): Expression => call('createObject', 'name', name, 'value', value)

const settingsOf = (name: FunctionName, identity: Resource, storage: Resource): Value => {
  const clientId = propertyOf(identity, 'clientId')
  const plain = [
    setting('AzureWebJobsStorage__accountName', storage.name[0] ?? ''),
    setting('AzureWebJobsStorage__credential', 'managedidentity'),
    setting('AzureWebJobsStorage__clientId', clientId),
    setting('APPLICATIONINSIGHTS_CONNECTION_STRING', propertyOf(insights, 'ConnectionString')),
    setting('APPLICATIONINSIGHTS_AUTHENTICATION_STRING', format('ClientId={0};Authorization=AAD', clientId)),
    setting('AzureWebJobsDisableHomepage', 'true'),
    setting('AZURE_KEY_VAULT_URI', propertyOf(vault, 'vaultUri')),
    setting('AZURE_CLIENT_ID', clientId),
    ...(name === 'rotate' ? [setting('LATCHKEY_ROTATION_QUEUE', queueName), setting('LATCHKEY_SWEEP_SCHEDULE', parameter('sweepSchedule'))] : []),
  ]
  return call('concat', call('createArray', ...plain), references)
}

/** Nobody calls the app that rotates; the way by which its code is deployed stays open to who may deploy. */
const closed = { ipSecurityRestrictionsDefaultAction: 'Deny', scmIpSecurityRestrictionsUseMain: false, scmIpSecurityRestrictionsDefaultAction: 'Allow' }

/** App Service authentication: who has no token of Entra for this audience is answered 401 before a line of ours runs. */
const entraOnly = (site: Resource): Resource => ({
  type: 'Microsoft.Web/sites/config',
  apiVersion: site.apiVersion,
  name: [...site.name, 'authsettingsV2'],
  after: [site],
  body: {
    properties: {
      platform: { enabled: true },
      globalValidation: { requireAuthentication: true, unauthenticatedClientAction: 'Return401' },
      identityProviders: {
        azureActiveDirectory: {
          enabled: true,
          registration: { openIdIssuer: format('{0}{1}/v2.0', at(call('environment'), 'authentication.loginEndpoint'), at(call('tenant'), 'tenantId')), clientId: parameter('authClientId') },
          validation: {
            allowedAudiences: [parameter('authClientId'), format('api://{0}', parameter('authClientId'))],
            defaultAuthorizationPolicy: call('if', call('empty', parameter('callers')), call('null'), call('createObject', 'allowedPrincipals', call('createObject', 'identities', parameter('callers')))),
          },
        },
      },
      login: { tokenStore: { enabled: false } },
      httpSettings: { requireHttps: true },
    },
  },
})

const noPasswords = (site: Resource): readonly Resource[] =>
  ['ftp', 'scm'].map((way) => ({ type: 'Microsoft.Web/sites/basicPublishingCredentialsPolicies', apiVersion: site.apiVersion, name: [...site.name, way], after: [site], body: { properties: { allow: false } } }))

/** An app, and what others speak of. */
export interface App {
  readonly identity: Resource
  readonly storage: Resource
  readonly site: Resource
  readonly resources: readonly Resource[]
}

/** One function app and all that is its own. A plan of this kind holds one app. */
export const appOf = (name: FunctionName): App => {
  const identity = identityOf(name)
  const storage = storageOf(name)
  const code = containerOf(storage, 'code')
  const plan: Resource = { type: 'Microsoft.Web/serverfarms', apiVersion: '2025-05-01', name: [named(name)], body: { location, kind: 'functionapp', sku: { tier: 'FlexConsumption', name: 'FC1' }, properties: { reserved: true } } }
  const own = [grant(identity, roles.blobOwner, storage), grant(identity, roles.metricsPublisher, insights), grant(identity, name === 'read' ? roles.secretsUser : roles.secretsOfficer, vault, name === 'read' ? undefined : writesBelowPrefix)]
  const site: Resource = {
    type: 'Microsoft.Web/sites',
    apiVersion: '2025-05-01',
    name: [format(`{0}-${name}-{1}`, parameter('name'), variable('unique'))],
    after: [...own, code],
    body: {
      location,
      kind: 'functionapp,linux',
      identity: { type: 'UserAssigned', userAssignedIdentities: call('createObject', idOf(identity), call('createObject')) },
      properties: {
        serverFarmId: idOf(plan),
        httpsOnly: true,
        keyVaultReferenceIdentity: idOf(identity),
        virtualNetworkSubnetId: call('if', parameter('privateNetwork'), subnetOf('functions'), call('null')),
        functionAppConfig: {
          deployment: { storage: { type: 'blobContainer', value: format('{0}code', propertyOf(storage, 'primaryEndpoints.blob')), authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: idOf(identity) } } },
          runtime: { name: 'node', version: '24' },
          scaleAndConcurrency: { instanceMemoryMB: 512, maximumInstanceCount: parameter('maximumInstances'), ...(name === 'rotate' ? {} : { triggers: { http: { perInstanceConcurrency: 16 } } }) },
        },
        siteConfig: { minTlsVersion: '1.2', ftpsState: 'Disabled', ...(name === 'rotate' ? closed : {}), appSettings: settingsOf(name, identity, storage) },
      },
    },
  }
  const front = name === 'rotate' ? [] : [entraOnly(site)]
  return { identity, storage, site, resources: [identity, awsTrust(identity, name), storage, code, ...own, plan, site, ...front, ...noPasswords(site)] }
}
