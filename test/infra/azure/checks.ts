// What must hold of the template of Azure, each as a function of a deployment that says what is wrong with it, so that a weakened template can be given to it as well.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deploy, stumbles, type ArmTemplate, type Deployed, type Deployment } from '../support/arm.ts'
import { grantsOf, may } from './rights.ts'

/** The committed template's text. */
export const committed = readFileSync(join(import.meta.dirname, '../../../infra/azure/main.json'), 'utf8')

/** What whoever deploys must say, and what makes everything that is optional be there. */
export const asked = { authClientId: '00000000-0000-4000-8000-000000000000' }
const everything = { ...asked, privateNetwork: true, confineWrites: true, awsIssuer: 'https://issuer.tokens.sts.global.api.aws', awsAccountId: '111122223333', callers: ['caller'], alertEmail: 'ops@example.com' }

/** The committed template anew, to be weakened. */
export const parsed = (): ArmTemplate => JSON.parse(committed) as ArmTemplate

/** Deployed as it is by default, and with all that can be asked for. */
export interface Deployments {
  readonly usual: Deployment
  readonly full: Deployment
}

/** Both deployments of a template. */
export const deployments = (template: ArmTemplate): Deployments => ({ usual: deploy(template, asked), full: deploy(template, everything) })

/** A value inside of a resource, by its path; nothing where there is none. */
export const valueAt = (value: unknown, path: string): unknown => path.split('.').reduce<unknown>((of, key) => (typeof of === 'object' && of !== null ? (of as Record<string, unknown>)[key] : undefined), value)

const ofType = ({ resources }: Deployment, type: string): readonly Deployed[] => resources.filter((resource) => resource.type === type)
/** The resources of a type that must be there. */
const some = (deployment: Deployment, type: string): readonly Deployed[] => {
  const found = ofType(deployment, type)
  if (found.length === 0) throw new Error(`There is no ${type}.`)
  return found
}

const wanted = (resources: readonly Deployed[], values: Readonly<Record<string, unknown>>): readonly string[] =>
  resources.flatMap((resource) => Object.entries(values).flatMap(([path, value]) => (JSON.stringify(valueAt(resource.body, `properties.${path}`)) === JSON.stringify(value) ? [] : [`${resource.name}: ${path} must be ${JSON.stringify(value)}`])))

const base = '/subscriptions/sub/resourceGroups/group/providers'
const vault = `${base}/Microsoft.KeyVault/vaults/latchkey-unique1234567/secrets/litellm-x`
const storage = (app: string): string => `${base}/Microsoft.Storage/storageAccounts/lk${app}unique1234567`
const code = (app: string): string => `${storage(app)}/blobServices/default/containers/code`
const queue = (name: string): string => `${storage('rotate')}/queueServices/default/queues/${name}`
const [secrets, blobs, messages] = ['Microsoft.KeyVault/vaults/secrets', 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs', 'Microsoft.Storage/storageAccounts/queueServices/queues/messages']

/** Identity, action on data, resource, and whether it is allowed. */
export const rights: readonly (readonly [string, string, string, boolean])[] = [
  ['latchkey-read', `${secrets}/getSecret/action`, vault, true],
  ['latchkey-read', `${secrets}/readMetadata/action`, vault, true],
  ...['setSecret/action', 'update/action', 'delete', 'recover/action', 'purge/action', 'backup/action', 'restore/action'].map((verb) => ['latchkey-read', `${secrets}/${verb}`, vault, false] as const),
  ...['keys', 'rotate'].flatMap((who) => ['getSecret/action', 'readMetadata/action', 'setSecret/action', 'update/action', 'delete', 'recover/action'].map((verb) => [`latchkey-${who}`, `${secrets}/${verb}`, vault, true] as const)),
  ...['getSecret/action', 'readMetadata/action', 'setSecret/action'].map((verb) => ['latchkey-events', `${secrets}/${verb}`, vault, false] as const),
  // Whoever may write the place where an app's code lies is that app.
  ...['read', 'keys', 'rotate', 'events'].flatMap((who) => ['read', 'keys', 'rotate'].flatMap((app) => ['read', 'write'].map((verb) => [`latchkey-${who}`, `${blobs}/${verb}`, `${code(app)}/blobs/app.zip`, who === app] as const))),
  ['latchkey-events', `${blobs}/write`, `${storage('rotate')}/blobServices/default/containers/dead-letters/blobs/x`, true],
  ['latchkey-events', `${messages}/add/action`, queue('latchkey-rotation'), true],
  ['latchkey-events', `${messages}/read`, queue('latchkey-rotation'), false],
  ['latchkey-events', `${messages}/add/action`, queue('latchkey-rotation-poison'), false],
  ['latchkey-rotate', `${messages}/read`, queue('latchkey-rotation'), true],
  ['latchkey-rotate', `${messages}/process/action`, queue('latchkey-rotation'), true],
  ...['add/action', 'write', 'delete'].map((verb) => ['latchkey-rotate', `${messages}/${verb}`, queue('latchkey-rotation'), false] as const),
  ['latchkey-rotate', `${messages}/add/action`, queue('latchkey-rotation-poison'), true],
  ['latchkey-rotate', `${messages}/read`, queue('latchkey-rotation-poison'), false],
  ...['read', 'keys'].flatMap((who) => ['add/action', 'read', 'process/action'].map((verb) => [`latchkey-${who}`, `${messages}/${verb}`, queue('latchkey-rotation'), false] as const)),
  ...['Microsoft.KeyVault/vaults/keys/read', 'Microsoft.KeyVault/vaults/certificates/read'].flatMap((action) => ['read', 'keys', 'rotate', 'events'].map((who) => [`latchkey-${who}`, action, vault, false] as const)),
]

const settings = (site: Deployed): readonly { readonly name: string; readonly value: string }[] => valueAt(site.body, 'properties.siteConfig.appSettings') as readonly { readonly name: string; readonly value: string }[]
const site = (deployment: Deployment, app: string): Deployed => some(deployment, 'Microsoft.Web/sites').find(({ name }) => name.startsWith(`latchkey-${app}-`)) as Deployed
const settingOf = (deployment: Deployment, app: string, name: string): string | undefined => settings(site(deployment, app)).find((each) => each.name === name)?.value

/** What a setting's text may be beside a reference to the vault: none of it opens anything. */
const plainSettings = /^(?:AzureWebJobsStorage__(?:accountName|credential|clientId)|APPLICATIONINSIGHTS_(?:CONNECTION_STRING|AUTHENTICATION_STRING)|AzureWebJobsDisableHomepage|AZURE_KEY_VAULT_URI|AZURE_CLIENT_ID|LATCHKEY_ROTATION_QUEUE|LATCHKEY_SWEEP_SCHEDULE)$/

/** The checks, by what they hold. */
export const checks = {
  'whatever is spoken of is there, and deployed before': ({ usual, full }) => [...stumbles(usual, full), ...stumbles(full, full)],
  'each identity may do what its app needs, and nothing more': ({ usual }) => rights.flatMap(([who, action, id, allowed]) => (may(usual, who, action, id) === allowed ? [] : [`${who} ${allowed ? 'may not' : 'may'} ${action} on ${id}`])),
  'roles are given on single resources, and none changes a resource': ({ full }) =>
    grantsOf(full).flatMap(({ identity, role, on }) => [
      ...(/\/providers\/Microsoft\.(?:KeyVault\/vaults|Storage\/storageAccounts|Insights\/components)\//.test(on) ? [] : [`${identity} has ${role.name} on ${on}`]),
      ...(role.control.some((action) => action === '*') ? [`${identity} has ${role.name}`] : []),
    ]),
  'keys and rotate write below the prefix only, where that is asked for': ({ usual, full }) => [
    ...grantsOf(usual).flatMap(({ condition, role }) => (condition === undefined ? [] : [`${role.name} has a condition that nobody asked for`])),
    ...['keys', 'rotate'].flatMap((who) =>
      ['setSecret/action', 'restore/action', 'update/action', 'delete', 'recover/action', 'purge/action', 'backup/action', 'getSecret/action', 'readMetadata/action'].flatMap((verb) => {
        const of = (name: string): boolean => may(full, `latchkey-${who}`, `${secrets}/${verb}`, vault.replace(/litellm-x$/, name))
        return of('litellm-x') && of('OPENAI-API-KEY') === /^(?:getSecret|readMetadata)/.test(verb) ? [] : [`${who} may ${verb} on the wrong names`]
      }),
    ),
  ],
  'the vault goes by roles, and keeps what is deleted': ({ usual }) => wanted(some(usual, 'Microsoft.KeyVault/vaults'), { enableRbacAuthorization: true, enableSoftDelete: true, enablePurgeProtection: true, softDeleteRetentionInDays: 90, accessPolicies: undefined }),
  'a private vault has one address, in the network of the functions': ({ full }) => [
    ...wanted(some(full, 'Microsoft.KeyVault/vaults'), { publicNetworkAccess: 'Disabled', 'networkAcls.defaultAction': 'Deny', 'networkAcls.bypass': 'None' }),
    ...some(full, 'Microsoft.Web/sites').flatMap(({ name, body }) => (String(valueAt(body, 'properties.virtualNetworkSubnetId')).endsWith('/subnets/functions') ? [] : [`${name} is outside of the network`])),
    ...wanted(some(full, 'Microsoft.Network/privateEndpoints'), { 'privateLinkServiceConnections.0.properties.groupIds': ['vault'] }),
  ],
  'storage is opened by identities alone': ({ usual }) => [
    ...wanted(some(usual, 'Microsoft.Storage/storageAccounts'), { allowSharedKeyAccess: false, allowBlobPublicAccess: false, allowCrossTenantReplication: false, supportsHttpsTrafficOnly: true, minimumTlsVersion: 'TLS1_2' }),
    ...wanted(some(usual, 'Microsoft.Storage/storageAccounts/blobServices/containers'), { publicAccess: 'None' }),
  ],
  'telemetry is taken by identities alone': ({ usual }) => [...wanted(some(usual, 'Microsoft.Insights/components'), { DisableLocalAuth: true }), ...wanted(some(usual, 'Microsoft.OperationalInsights/workspaces'), { 'features.disableLocalAuth': true })],
  'nobody is answered without a token of Entra, and the app that rotates by nobody': ({ usual }) => [
    ...['read', 'keys'].flatMap((app) => {
      const front = ofType(usual, 'Microsoft.Web/sites/config').filter(({ name }) => name === `${site(usual, app).name}/authsettingsV2`)
      const values = { 'platform.enabled': true, 'globalValidation.requireAuthentication': true, 'globalValidation.unauthenticatedClientAction': 'Return401', 'globalValidation.excludedPaths': undefined, 'identityProviders.azureActiveDirectory.enabled': true, 'identityProviders.azureActiveDirectory.registration.clientId': asked.authClientId, 'httpSettings.requireHttps': true }
      return front.length === 1 ? wanted(front, values) : [`${app} has no authentication`]
    }),
    ...wanted([site(usual, 'rotate')], { 'siteConfig.ipSecurityRestrictionsDefaultAction': 'Deny', 'siteConfig.scmIpSecurityRestrictionsUseMain': false }),
    ...wanted(some(usual, 'Microsoft.Web/sites'), { httpsOnly: true, 'siteConfig.minTlsVersion': '1.2', 'siteConfig.ftpsState': 'Disabled' }),
  ],
  'only named callers are let in, where they are named': ({ usual, full }) => [
    ...wanted(some(full, 'Microsoft.Web/sites/config'), { 'identityProviders.azureActiveDirectory.validation.defaultAuthorizationPolicy': { allowedPrincipals: { identities: ['caller'] } } }),
    ...wanted(some(usual, 'Microsoft.Web/sites/config'), { 'identityProviders.azureActiveDirectory.validation.defaultAuthorizationPolicy': null }),
  ],
  'no password deploys code': ({ usual }) => some(usual, 'Microsoft.Web/sites').flatMap(({ name }) => ['ftp', 'scm'].flatMap((way) => wanted(ofType(usual, 'Microsoft.Web/sites/basicPublishingCredentialsPolicies').filter((policy) => policy.name === `${name}/${way}`), { allow: false }).concat(ofType(usual, 'Microsoft.Web/sites/basicPublishingCredentialsPolicies').some((policy) => policy.name === `${name}/${way}`) ? [] : [`${name}/${way} takes passwords`]))),
  'settings name credentials, and hold none': ({ usual }) => some(usual, 'Microsoft.Web/sites').flatMap((app) => settings(app).flatMap(({ name, value }) => (plainSettings.test(name) || /^@Microsoft\.KeyVault\(VaultName=[\w-]+;SecretName=[\w-]+\)$/.test(value) ? [] : [`${app.name}: ${name} is plain text`]))),
  'what cannot be delivered is kept, and what cannot be handled too': ({ usual }) => {
    const subscriptions = some(usual, 'Microsoft.EventGrid/systemTopics/eventSubscriptions')
    const containers = some(usual, 'Microsoft.Storage/storageAccounts/blobServices/containers').map(({ name }) => name)
    const queues = some(usual, 'Microsoft.Storage/storageAccounts/queueServices/queues').map(({ name }) => name.split('/').at(-1))
    return [
      ...subscriptions.flatMap(({ name, body }) => (containers.some((each) => each.endsWith(`/${String(valueAt(body, 'properties.deadLetterWithResourceIdentity.deadLetterDestination.properties.blobContainerName'))}`)) ? [] : [`${name} has no dead letters`])),
      ...(queues.includes(`${settingOf(usual, 'rotate', 'LATCHKEY_ROTATION_QUEUE') ?? ''}-poison`) ? [] : ['the queue has no poison queue']),
    ]
  },
  'an event that is lost is told: not delivered, not kept, or given up': (deployed) =>
    Object.values(deployed).flatMap((deployment) => {
      const [topic] = some(deployment, 'Microsoft.EventGrid/systemTopics')
      const metrics = some(deployment, 'Microsoft.Insights/metricAlerts')
      const rules = some(deployment, 'Microsoft.Insights/scheduledQueryRules')
      const people = ofType(deployment, 'Microsoft.Insights/actionGroups').map(({ id }) => id)
      const told = [...metrics.map(({ body }) => valueAt(body, 'properties.actions')), ...rules.map(({ body }) => valueAt(body, 'properties.actions.actionGroups'))].map((actions) => (actions as readonly (string | { readonly actionGroupId: string })[]).map((one) => (typeof one === 'string' ? one : one.actionGroupId)))
      const counted = metrics.map(({ body }) => valueAt(body, 'properties.criteria.allOf.0.metricName'))
      const query = rules.map(({ body }) => String(valueAt(body, 'properties.criteria.allOf.0.query'))).join('')
      return [
        ...wanted([...metrics, ...rules], { enabled: true, 'criteria.allOf.0.operator': 'GreaterThan', 'criteria.allOf.0.threshold': 0 }),
        ...wanted(metrics, { scopes: [topic?.id], 'criteria.allOf.0.metricNamespace': topic?.type, 'criteria.allOf.0.timeAggregation': 'Total' }),
        ...wanted(rules, { scopes: some(deployment, 'Microsoft.OperationalInsights/workspaces').map(({ id }) => id) }),
        ...['DeadLetteredCount', 'DroppedEventCount'].flatMap((metric) => (counted.includes(metric) ? [] : [`nobody counts ${metric}`])),
        ...(query.includes(`'MaxDequeueCount' and Message contains '${settingOf(deployment, 'rotate', 'LATCHKEY_ROTATION_QUEUE') ?? ''}-poison'`) ? [] : ['nobody looks for messages that were given up']),
        ...told.flatMap((groups) => (JSON.stringify(groups) === JSON.stringify(people) ? [] : [`${groups.join(', ')} is told in place of ${people.join(', ')}`])),
      ]
    }),
  'alerts go to the address that is given, and nowhere without one': ({ usual, full }) => [
    ...ofType(usual, 'Microsoft.Insights/actionGroups').map(({ name }) => `${name} was not asked for`),
    ...wanted(some(full, 'Microsoft.Insights/actionGroups'), { enabled: true, emailReceivers: [{ name: 'operators', emailAddress: everything.alertEmail, useCommonAlertSchema: true }] }),
  ],
  'events of the vault go to the queue that the app reads': ({ usual }) =>
    wanted(some(usual, 'Microsoft.EventGrid/systemTopics/eventSubscriptions'), {
      'deliveryWithResourceIdentity.destination.endpointType': 'StorageQueue',
      'deliveryWithResourceIdentity.destination.properties.resourceId': storage('rotate'),
      'deliveryWithResourceIdentity.destination.properties.queueName': settingOf(usual, 'rotate', 'LATCHKEY_ROTATION_QUEUE'),
      'filter.includedEventTypes': ['Microsoft.KeyVault.SecretNearExpiry', 'Microsoft.KeyVault.SecretExpired', 'Microsoft.KeyVault.SecretNewVersionCreated'],
    }),
  'each app is its own identity, in its settings too': ({ usual }) =>
    ['read', 'keys', 'rotate'].flatMap((app) => {
      const identity = `${base}/Microsoft.ManagedIdentity/userAssignedIdentities/latchkey-${app}`
      const { body } = site(usual, app)
      const same = JSON.stringify([Object.keys(valueAt(body, 'identity.userAssignedIdentities') as object), valueAt(body, 'properties.keyVaultReferenceIdentity'), valueAt(body, 'properties.functionAppConfig.deployment.storage.authentication.userAssignedIdentityResourceId'), settingOf(usual, app, 'AZURE_CLIENT_ID'), settingOf(usual, app, 'AzureWebJobsStorage__clientId'), settingOf(usual, app, 'AzureWebJobsStorage__accountName')])
      return same === JSON.stringify([[identity], identity, identity, `${identity}#clientId`, `${identity}#clientId`, storage(app).split('/').at(-1)]) ? [] : [`${app} is not itself: ${same}`]
    }),
  'AWS is trusted only where an issuer is named, and then one role for one identity': ({ usual, full }) => [
    ...ofType(usual, 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials').map(({ name }) => `${name} was not asked for`),
    ...['read', 'keys', 'rotate'].flatMap((app) =>
      wanted(some(full, 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials').filter(({ name }) => name === `latchkey-${app}/aws`), { issuer: everything.awsIssuer, subject: `arn:aws:iam::111122223333:role/latchkey-${app}`, audiences: ['api://AzureADTokenExchange'] }),
    ),
  ],
} satisfies Record<string, (deployments: Deployments) => readonly string[]>

/** The name of a check. */
export type Check = keyof typeof checks
