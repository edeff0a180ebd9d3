// The template of Azure: that what is committed is what is written, that every check finds nothing, and that each weakening of it is found by the check that is meant to.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { functionNames } from '../../../infra/names.ts'
import { templateJson } from '../../../infra/azure/arm.ts'
import { template } from '../../../infra/azure/template.ts'
import { vaultPrefix } from '../../../infra/azure/vault.ts'
import type { ArmResource, ArmTemplate } from '../support/arm.ts'
import { slugHashCodec } from '../../../shared/core/names/slug-hash.ts'
import { createAudit } from '../../../shared/telemetry/audit.ts'
import { ManualClock, SeededRandom } from '../../support/runtime.ts'
import { asked, checks, committed, deployments, parsed, rights, valueAt, type Check } from './checks.ts'

const root = join(import.meta.dirname, '../../..')
const text = (path: string): string => readFileSync(join(root, path), 'utf8')
const names = Object.keys(checks) as Check[]
const sound = deployments(parsed())

describe('the template of Azure', () => {
  it('is what infra/azure/template.ts writes (npm run template:azure)', () => {
    expect(committed).toBe(templateJson(template))
  })

  it.each(names)('%s', (name) => {
    const found = checks[name](sound)

    expect(found).toEqual([])
  })

  it('asks for nothing that is a secret', () => {
    const types = Object.values(parsed().parameters).map(({ type }) => type)

    expect(types.filter((type) => /^secure/i.test(type))).toEqual([])
    expect(committed).not.toMatch(/listKeys|listSecrets|AccountKey|SharedAccess/)
  })

  it('names the prefix that created names have in a vault', () => {
    const made = slugHashCodec.encode({ text: 'litellm/team-a/x', place: 'created' })

    expect(vaultPrefix).toBe('litellm-')
    expect(made.startsWith(vaultPrefix)).toBe(true)
  })

  it('speaks one version of each type', () => {
    const versions = Object.groupBy(parsed().resources, ({ type }) => type)

    expect(Object.entries(versions).filter(([, resources = []]) => new Set(resources.map(({ apiVersion }) => apiVersion)).size > 1)).toEqual([])
    expect(parsed().resources.filter(({ apiVersion }) => !/^20\d\d-\d\d-\d\d(-preview)?$/.test(apiVersion))).toEqual([])
  })

  it('runs what is built: Node 24, the queue of the code, and its poison queue', () => {
    const { resources } = deployments(parsed()).usual
    const runtimes = resources.filter(({ type }) => type === 'Microsoft.Web/sites').map(({ body }) => valueAt(body, 'properties.functionAppConfig.runtime'))

    expect(runtimes).toEqual(Array.from({ length: 3 }, () => ({ name: 'node', version: '24' })))
    expect(text('functions/azure/rotate.ts')).toContain("env.get('LATCHKEY_ROTATION_QUEUE') || 'latchkey-rotation'")
    expect(resources.filter(({ type }) => type.endsWith('/queues')).map(({ name }) => name.split('/').at(-1))).toEqual(['latchkey-rotation', 'latchkey-rotation-poison'])
  })

  it('looks for refused events by the words of the line that is written about one', async () => {
    const [rule] = deployments(parsed()).usual.resources.filter(({ type }) => type === 'Microsoft.Insights/scheduledQueryRules')
    const lines: string[] = []
    const audit = createAudit({ clock: new ManualClock(), random: new SeededRandom(), write: (line) => void lines.push(line) })

    for (const decision of ['denied', 'allowed', 'failed'] as const) await audit.record({ action: 'events:rotate', decision, caller: 'event_grid', requestId: 'r-1' })

    const [, looked = ''] = / or Message contains '([^']+)'$/.exec(String(valueAt(rule?.body, 'properties.criteria.allOf.0.query'))) ?? []
    expect(lines.filter((line) => line.includes(looked)).map((line) => (JSON.parse(line) as { readonly decision: string }).decision)).toEqual(['denied'])
  })

  it('has an example of its parameters that deploys, and a front in Bicep that passes on what there is', () => {
    const { parameters } = JSON.parse(text('infra/azure/params.example.json')) as { readonly parameters: Readonly<Record<string, { readonly value: unknown }>> }
    const bicep = text('infra/azure/main.bicep')
    const passed = [...bicep.matchAll(/^ {4}(\w+): (\w+)$/gm)].map(([, to, from]) => [to, from])

    expect(Object.keys(parameters).filter((name) => !Object.hasOwn(parsed().parameters, name))).toEqual([])
    expect(Object.keys(parameters)).toEqual(expect.arrayContaining(Object.keys(asked)))
    expect(passed.filter(([to, from]) => to !== from || !Object.hasOwn(parsed().parameters, to ?? ''))).toEqual([])
    expect([...bicep.matchAll(/outputs\.(\w+)/g)].map(([, name]) => name).filter((name) => !Object.hasOwn(parsed().outputs, name ?? ''))).toEqual([])
  })
})

describe('the file for azd', () => {
  it('puts each function as it is built into the app that the front in Bicep answers for it, and builds nothing itself', () => {
    const { infra, services } = parse(text('infra/azure/azure.yaml')) as { readonly infra: object; readonly services: Readonly<Record<string, { readonly project: string }>> }

    expect(infra).toEqual({ provider: 'bicep', path: '.', module: 'main' })
    expect(services).toEqual(Object.fromEntries(functionNames.map((name) => [name, { host: 'function', language: 'js', remoteBuild: false, project: `../../dist/azure/${name}`, resourceName: `\${${name}App}` }])))
    expect(functionNames.filter((name) => !text('infra/azure/main.bicep').includes(`output ${name}App string`))).toEqual([])
  })
})

describe('the rights on Azure', () => {
  it.each(rights.map(([who, action, id, allowed]) => ({ who, action: action.split('/').slice(1).join('/'), where: id.split('/').slice(7).join('/'), allowed, row: [who, action, id, allowed] as const })))('$who, $action on $where: $allowed', ({ row }) => {
    const found = checks['each identity may do what its app needs, and nothing more'](sound)

    expect(found.filter((line) => line.includes(`${row[0]} `) && line.endsWith(`${row[1]} on ${row[2]}`))).toEqual([])
  })
})

/** A weakened template: what was done to it, and who must notice. */
interface Weakening {
  readonly what: string
  readonly noticed: readonly Check[]
  weaken(resources: ArmResource[], template: ArmTemplate): void
}

const set = (resource: ArmResource | undefined, path: string, value: unknown): void => {
  const keys = path.split('.')
  const last = keys.pop() as string
  const holder = (keys.length === 0 ? resource : valueAt(resource, keys.join('.'))) as Record<string, unknown>
  if (value === undefined) delete holder[last]
  else holder[last] = value
}
const all = (resources: readonly ArmResource[], type: string): readonly ArmResource[] => resources.filter((resource) => resource.type === type)
const first = (resources: readonly ArmResource[], type: string): ArmResource | undefined => all(resources, type)[0]
const without = (resources: ArmResource[], unwanted: (resource: ArmResource) => boolean): void => void resources.splice(0, Infinity, ...resources.filter((resource) => !unwanted(resource)))
const role = (resources: readonly ArmResource[], id: string, who: string): ArmResource | undefined => all(resources, 'Microsoft.Authorization/roleAssignments').find((resource) => JSON.stringify(resource).includes(id) && JSON.stringify(resource['properties']).includes(`{0}-${who}'`))
const swapRole = (resources: readonly ArmResource[], from: string, to: string, who: string): void => set(role(resources, from, who), 'properties.roleDefinitionId', `[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '${to}')]`)

const [user, officer, administrator, blobOwner, queueReader, queueContributor, sender] = ['4633458b-17de-408a-b874-0445c86b69e6', 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7', '00482a5a-887f-4fb3-b363-3b7fe8e74483', 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b', '19e7f393-937e-4f77-808e-94535e297925', '974c5e8b-45b9-4653-ba55-5f855dd0fb88', 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'] as const
const needed: Check = 'each identity may do what its app needs, and nothing more'
const single: Check = 'roles are given on single resources, and none changes a resource'
const there: Check = 'whatever is spoken of is there, and deployed before'
const front: Check = 'nobody is answered without a token of Entra, and the app that rotates by nobody'
const lost: Check = 'an event that is lost is told: not delivered, not kept, or given up'

const weakenings: readonly Weakening[] = [
  { what: 'the read identity is an officer', noticed: [needed], weaken: (resources) => swapRole(resources, user, officer, 'read') },
  { what: 'the keys identity administers the vault', noticed: [needed], weaken: (resources) => swapRole(resources, officer, administrator, 'keys') },
  { what: 'the read identity has its role on the whole group', noticed: [there, single], weaken: (resources) => set(role(resources, user, 'read'), 'scope', '[resourceGroup().id]') },
  { what: 'the keys identity owns the vault', noticed: [needed, single, 'keys and rotate write below the prefix only, where that is asked for'], weaken: (resources) => swapRole(resources, officer, '8e3af657-a8ff-443c-a75c-2fe8c4bcb635', 'keys') },
  { what: 'the read identity may write the code of keys', noticed: [there, needed], weaken: (resources) => set(role(resources, blobOwner, 'read'), 'scope', role(resources, blobOwner, 'keys')?.scope) },
  { what: 'the rotate identity may write into its own queue', noticed: [needed], weaken: (resources) => swapRole(resources, queueReader, queueContributor, 'rotate') },
  { what: 'events are delivered by an identity that may not', noticed: [there, needed], weaken: (resources) => without(resources, (resource) => resource === role(resources, sender, 'events')) },
  { what: 'the condition of the prefix is gone', noticed: ['keys and rotate write below the prefix only, where that is asked for'], weaken: (resources) => set(role(resources, officer, 'keys'), 'properties.condition', undefined) },
  { what: 'the vault goes by access policies', noticed: ['the vault goes by roles, and keeps what is deleted'], weaken: (resources) => set(first(resources, 'Microsoft.KeyVault/vaults'), 'properties.enableRbacAuthorization', false) },
  { what: 'the vault can be purged', noticed: ['the vault goes by roles, and keeps what is deleted'], weaken: (resources) => set(first(resources, 'Microsoft.KeyVault/vaults'), 'properties.enablePurgeProtection', undefined) },
  { what: 'a private vault is public as well', noticed: ['a private vault has one address, in the network of the functions'], weaken: (resources) => set(first(resources, 'Microsoft.KeyVault/vaults'), 'properties.publicNetworkAccess', 'Enabled') },
  { what: 'keys of storage work', noticed: ['storage is opened by identities alone'], weaken: (resources) => set(first(resources, 'Microsoft.Storage/storageAccounts'), 'properties.allowSharedKeyAccess', true) },
  { what: 'a container is read by anybody', noticed: ['storage is opened by identities alone'], weaken: (resources) => set(first(resources, 'Microsoft.Storage/storageAccounts/blobServices/containers'), 'properties.publicAccess', 'Blob') },
  { what: 'telemetry is taken from anybody who has the key', noticed: ['telemetry is taken by identities alone'], weaken: (resources) => set(first(resources, 'Microsoft.Insights/components'), 'properties.DisableLocalAuth', false) },
  { what: 'authentication is off', noticed: [front], weaken: (resources) => set(first(resources, 'Microsoft.Web/sites/config'), 'properties.platform.enabled', false) },
  { what: 'authentication lets through who has none', noticed: [front], weaken: (resources) => set(first(resources, 'Microsoft.Web/sites/config'), 'properties.globalValidation.unauthenticatedClientAction', 'AllowAnonymous') },
  { what: 'a path needs no authentication', noticed: [front], weaken: (resources) => set(first(resources, 'Microsoft.Web/sites/config'), 'properties.globalValidation.excludedPaths', ['/secrets']) },
  { what: 'keys has no authentication', noticed: [front], weaken: (resources) => without(resources, ({ type, name }) => type === 'Microsoft.Web/sites/config' && name.includes('-keys-')) },
  { what: 'the app that rotates is open', noticed: [front], weaken: (resources) => set(all(resources, 'Microsoft.Web/sites')[2], 'properties.siteConfig.ipSecurityRestrictionsDefaultAction', undefined) },
  { what: 'a password deploys code', noticed: ['no password deploys code'], weaken: (resources) => set(first(resources, 'Microsoft.Web/sites/basicPublishingCredentialsPolicies'), 'properties.allow', true) },
  {
    what: 'a credential is plain text in a setting',
    noticed: ['settings name credentials, and hold none'],
    weaken: (resources) => set(first(resources, 'Microsoft.Web/sites'), 'properties.siteConfig.appSettings', String(valueAt(first(resources, 'Microsoft.Web/sites'), 'properties.siteConfig.appSettings')).replace('concat(createArray(', "concat(createArray(createObject('name', 'OPENAI_API_KEY', 'value', parameters('name')), ")),
  },
  { what: 'undelivered events are dropped', noticed: ['what cannot be delivered is kept, and what cannot be handled too'], weaken: (resources) => set(first(resources, 'Microsoft.EventGrid/systemTopics/eventSubscriptions'), 'properties.deadLetterWithResourceIdentity', undefined) },
  { what: 'there is no poison queue', noticed: [there, 'what cannot be delivered is kept, and what cannot be handled too'], weaken: (resources) => without(resources, ({ type, name }) => type.endsWith('/queues') && name.includes('poison')) },
  { what: 'events go to a queue that nobody reads', noticed: ['events of the vault go to the queue that the app reads'], weaken: (resources) => set(first(resources, 'Microsoft.EventGrid/systemTopics/eventSubscriptions'), 'properties.deliveryWithResourceIdentity.destination.properties.queueName', 'other') },
  { what: 'the whole tenant is let in beside the named callers', noticed: ['only named callers are let in, where they are named'], weaken: (resources) => set(first(resources, 'Microsoft.Web/sites/config'), 'properties.identityProviders.azureActiveDirectory.validation.defaultAuthorizationPolicy', null) },
  { what: 'nobody counts undelivered events', noticed: [lost], weaken: (resources) => without(resources, ({ type, name }) => type === 'Microsoft.Insights/metricAlerts' && name.includes('dead-letters')) },
  { what: 'an alert is off', noticed: [lost], weaken: (resources) => set(first(resources, 'Microsoft.Insights/metricAlerts'), 'properties.enabled', false) },
  { what: 'an alert waits for a hundred lost events', noticed: [lost], weaken: (resources) => set(first(resources, 'Microsoft.Insights/metricAlerts'), 'properties.criteria.allOf.0.threshold', 100) },
  { what: 'the messages that are given up are looked for in another queue', noticed: [lost], weaken: (resources) => set(first(resources, 'Microsoft.Insights/scheduledQueryRules'), 'properties.criteria.allOf.0.query', "AppTraces | where (Message contains 'MaxDequeueCount' and Message contains 'other-poison')") },
  { what: 'an alert tells nobody', noticed: [lost], weaken: (resources) => set(first(resources, 'Microsoft.Insights/scheduledQueryRules'), 'properties.actions.actionGroups', []) },
  { what: 'alerts go to another address', noticed: ['alerts go to the address that is given, and nowhere without one'], weaken: (resources) => set(first(resources, 'Microsoft.Insights/actionGroups'), 'properties.emailReceivers', [{ name: 'operators', emailAddress: 'other@example.com', useCommonAlertSchema: true }]) },
  { what: 'read runs as keys', noticed: [there, 'each app is its own identity, in its settings too'], weaken: (resources) => set(first(resources, 'Microsoft.Web/sites'), 'identity', all(resources, 'Microsoft.Web/sites')[1]?.['identity']) },
  { what: 'any role of the account of AWS is trusted', noticed: ['AWS is trusted only where an issuer is named, and then one role for one identity'], weaken: (resources) => set(first(resources, 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials'), 'properties.subject', '*') },
  { what: 'AWS is trusted unasked', noticed: ['AWS is trusted only where an issuer is named, and then one role for one identity'], weaken: (resources) => set(first(resources, 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials'), 'condition', undefined) },
  { what: 'an app does not wait for its rights', noticed: [there], weaken: (resources) => set(first(resources, 'Microsoft.Web/sites'), 'dependsOn', []) },
]

describe('a weakened template of Azure', () => {
  it.each(weakenings)('in which $what is noticed', ({ weaken, noticed }) => {
    const template = parsed()
    const before = JSON.stringify(template)
    weaken(template.resources as ArmResource[], template)

    const found = deployments(template)

    expect(JSON.stringify(template)).not.toBe(before)
    expect(names.filter((name) => checks[name](found).length > 0)).toEqual(names.filter((name) => noticed.includes(name)))
  })
  it('is there for every check', () => {
    expect(names.filter((name) => !weakenings.some(({ noticed }) => noticed.includes(name)))).toEqual([])
  })
})
