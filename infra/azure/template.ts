// Latchkey on Azure: three function apps under three identities, their vault, and the way of the vault's events. `npm run template:azure` writes main.json beside this file.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { functionNames, type FunctionName } from '../names.ts'
import { alertsOf } from './alerts.ts'
import { appOf, identityOf, queueName, type App } from './apps.ts'
import { at, call, format, idOf, parameter, propertyOf, templateJson, type Resource, type Template } from './arm.ts'
import { privateVault } from './network.ts'
import { parameters } from './parameters.ts'
import { grant, roles } from './roles.ts'
import { containerOf, queueOf } from './storage.ts'
import { belowPrefix, insights, vault, vaultAudit, workspace } from './vault.ts'

const apps = { read: appOf('read'), keys: appOf('keys'), rotate: appOf('rotate') } satisfies Record<FunctionName, App>

const events = identityOf('events')
const queue = queueOf(apps.rotate.storage, queueName)
const poison = queueOf(apps.rotate.storage, `${queueName}-poison`)
const deadLetters = containerOf(apps.rotate.storage, 'dead-letters')
const delivery = [grant(events, roles.queueSender, queue), grant(events, roles.blobContributor, deadLetters)]
const topic: Resource = {
  type: 'Microsoft.EventGrid/systemTopics',
  apiVersion: '2025-02-15',
  name: [format('{0}-vault-events', parameter('name'))],
  body: { location: parameter('location'), identity: { type: 'UserAssigned', userAssignedIdentities: call('createObject', idOf(events), call('createObject')) }, properties: { source: idOf(vault), topicType: 'Microsoft.KeyVault.vaults' } },
}
const asEvents = { type: 'UserAssigned', userAssignedIdentity: idOf(events) }
const subscription: Resource = {
  type: 'Microsoft.EventGrid/systemTopics/eventSubscriptions',
  apiVersion: topic.apiVersion,
  name: [...topic.name, 'rotation'],
  after: [topic, ...delivery],
  body: {
    properties: {
      eventDeliverySchema: 'EventGridSchema',
      deliveryWithResourceIdentity: { identity: asEvents, destination: { endpointType: 'StorageQueue', properties: { resourceId: idOf(apps.rotate.storage), queueName, queueMessageTimeToLiveInSeconds: 604_800 } } },
      deadLetterWithResourceIdentity: { identity: asEvents, deadLetterDestination: { endpointType: 'StorageBlob', properties: { resourceId: idOf(apps.rotate.storage), blobContainerName: 'dead-letters' } } },
      filter: { includedEventTypes: ['SecretNearExpiry', 'SecretExpired', 'SecretNewVersionCreated'].map((type) => `Microsoft.KeyVault.${type}`) },
      retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1440 },
    },
  },
}
const takes = [grant(apps.rotate.identity, roles.queueReader, queue), grant(apps.rotate.identity, roles.queueProcessor, queue), grant(apps.rotate.identity, roles.queueSender, poison)]

/** The whole template. */
export const template: Template = {
  parameters,
  variables: { unique: call('uniqueString', at(call('resourceGroup'), 'id'), parameter('name')), belowPrefix },
  resources: [vault, workspace, insights, vaultAudit, ...privateVault(vault), ...functionNames.flatMap((name) => apps[name].resources), events, queue, poison, deadLetters, ...delivery, ...takes, topic, subscription, ...alertsOf(topic)],
  outputs: {
    ...Object.fromEntries(functionNames.map((name) => [`${name}App`, { type: 'string' as const, value: apps[name].site.name[0] ?? '' }])),
    ...Object.fromEntries((['read', 'keys'] as const).map((name) => [`${name}Url`, { type: 'string' as const, value: format('https://{0}', propertyOf(apps[name].site, 'defaultHostName')) }])),
    vaultUri: { type: 'string', value: propertyOf(vault, 'vaultUri') },
    principals: { type: 'object', value: call('createObject', ...functionNames.flatMap((name) => [name, propertyOf(apps[name].identity, 'principalId')])) },
  },
}

if (import.meta.main) await writeFile(join(import.meta.dirname, 'main.json'), templateJson(template))
