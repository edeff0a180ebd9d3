// Who may do what after a deployment: the assignments of roles of a template, read with what Azure's built-in roles allow (learn.microsoft.com, "Azure built-in roles").
import type { Deployed, Deployment } from '../support/arm.ts'

interface Role {
  readonly name: string
  /** On data: secrets, blobs, messages, telemetry. */
  readonly data: readonly string[]
  /** On the resources themselves. */
  readonly control: readonly string[]
}

const [secrets, blobs, queues] = ['Microsoft.KeyVault/vaults/secrets', 'Microsoft.Storage/storageAccounts/blobServices/containers', 'Microsoft.Storage/storageAccounts/queueServices/queues']

/** The built-in roles that a template of ours may name, and the wider ones that it must not. */
export const builtIn: Readonly<Record<string, Role>> = {
  '4633458b-17de-408a-b874-0445c86b69e6': { name: 'Key Vault Secrets User', data: [`${secrets}/getSecret/action`, `${secrets}/readMetadata/action`], control: [] },
  'b86a8fe4-44ce-4948-aee5-eccb2c155cd7': { name: 'Key Vault Secrets Officer', data: [`${secrets}/*`], control: ['Microsoft.KeyVault/vaults/secrets/*', 'Microsoft.KeyVault/vaults/read'] },
  '00482a5a-887f-4fb3-b363-3b7fe8e74483': { name: 'Key Vault Administrator', data: ['Microsoft.KeyVault/vaults/*'], control: ['Microsoft.KeyVault/*/read'] },
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b': { name: 'Storage Blob Data Owner', data: [`${blobs}/blobs/*`], control: [`${blobs}/*`, 'Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action'] },
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe': { name: 'Storage Blob Data Contributor', data: ['read', 'write', 'delete', 'move/action', 'add/action'].map((verb) => `${blobs}/blobs/${verb}`), control: [`${blobs}/read`, `${blobs}/write`, `${blobs}/delete`] },
  '974c5e8b-45b9-4653-ba55-5f855dd0fb88': { name: 'Storage Queue Data Contributor', data: ['read', 'write', 'delete', 'process/action'].map((verb) => `${queues}/messages/${verb}`), control: [`${queues}/read`, `${queues}/write`, `${queues}/delete`] },
  '19e7f393-937e-4f77-808e-94535e297925': { name: 'Storage Queue Data Reader', data: [`${queues}/messages/read`], control: [`${queues}/read`] },
  '8a0f0c08-91a1-4084-bc3d-661d67233fed': { name: 'Storage Queue Data Message Processor', data: [`${queues}/messages/read`, `${queues}/messages/process/action`], control: [] },
  'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a': { name: 'Storage Queue Data Message Sender', data: [`${queues}/messages/add/action`], control: [] },
  '3913510d-42f4-4e42-8a64-420c390055eb': { name: 'Monitoring Metrics Publisher', data: ['Microsoft.Insights/Metrics/Write', 'Microsoft.Insights/Telemetry/Write'], control: ['Microsoft.Insights/Register/Action'] },
  'b24988ac-6180-42a0-ab88-20f7382dd24c': { name: 'Contributor', data: [], control: ['*'] },
  '8e3af657-a8ff-443c-a75c-2fe8c4bcb635': { name: 'Owner', data: [], control: ['*'] },
}

/** One assignment of a role. */
export interface Grant {
  /** The id of the identity that has it. */
  readonly identity: string
  readonly role: Role
  readonly on: string
  readonly condition: string | undefined
}

const properties = ({ body }: Deployed): Readonly<Record<string, unknown>> => body['properties'] as Readonly<Record<string, unknown>>

/** All assignments. @throws for a role that the table does not know, and for a principal that is no identity of the deployment */
export const grantsOf = ({ resources }: Deployment): readonly Grant[] =>
  resources
    .filter(({ type }) => type === 'Microsoft.Authorization/roleAssignments')
    .map((assignment) => {
      const { roleDefinitionId, principalId, condition } = properties(assignment)
      const id = String(roleDefinitionId).split('/').at(-1) ?? ''
      const role = builtIn[id]
      if (role === undefined) throw new Error(`${id} is no role of the table.`)
      const [identity = '', property] = String(principalId).split('#')
      if (property !== 'principalId' || !resources.some((each) => each.id === identity && each.type === 'Microsoft.ManagedIdentity/userAssignedIdentities')) throw new Error(`${String(principalId)} is no identity of this deployment.`)
      return { identity, role, on: String(assignment.body['scope']), condition: typeof condition === 'string' ? condition : undefined }
    })

const covers = (pattern: string, action: string): boolean => new RegExp(`^${pattern.split('*').map((part) => part.replace(/[.]/g, '\\$&')).join('.*')}$`, 'i').test(action)

const conjunct = /\(\(((?:!\(ActionMatches\{'[^']+'\}\)(?: AND )?)+)\) OR \(@(?:Request|Resource)\[Microsoft\.KeyVault\/vaults\/secrets:name\] StringStartsWith '([^']+)'\)\)/g

/** Whether a condition lets an action through on a secret of that name. @throws for a condition that is more than beginnings of names for some actions */
export const admits = (condition: string | undefined, action: string, name: string): boolean => {
  if (condition === undefined) return true
  const parts = [...condition.matchAll(conjunct)]
  if (parts.length === 0 || parts.map(([whole]) => whole).join(' AND ') !== condition) throw new Error(`This condition is not known here: ${condition}`)
  return parts.every(([, actions = '', beginning = '']) => !actions.includes(`{'${action}'}`) || name.startsWith(beginning))
}

/** Whether an identity, by the end of its name, may do something to data of a resource, by the part of its id that tells it. */
export const may = (deployment: Deployment, who: string, action: string, id: string): boolean =>
  grantsOf(deployment).some(({ identity, role, on, condition }) => identity.endsWith(`/${who}`) && (id === on || id.startsWith(`${on}/`)) && role.data.some((pattern) => covers(pattern, action)) && admits(condition, action, id.slice(id.lastIndexOf('/') + 1)))
