// Azure's own roles that Latchkey's identities get, by their fixed ids, and how one is given: to one identity, on one resource.
import { call, idOf, parameter, propertyOf, type Expression, type Resource } from './arm.ts'

/** The built-in roles, by what they allow here. */
export const roles = {
  /** Key Vault Secrets User: reads values and metadata. */
  secretsUser: '4633458b-17de-408a-b874-0445c86b69e6',
  /** Key Vault Secrets Officer: everything on secrets; purge protection keeps it from purging. */
  secretsOfficer: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7',
  /** Storage Blob Data Owner: what the Functions host asks of its own storage account. */
  blobOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b',
  /** Storage Blob Data Contributor. */
  blobContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe',
  /** Storage Queue Data Reader: looks at a queue. */
  queueReader: '19e7f393-937e-4f77-808e-94535e297925',
  /** Storage Queue Data Message Processor: takes and deletes messages. */
  queueProcessor: '8a0f0c08-91a1-4084-bc3d-661d67233fed',
  /** Storage Queue Data Message Sender: adds messages. */
  queueSender: 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a',
  /** Monitoring Metrics Publisher: sends telemetry. */
  metricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb',
} as const

/** Text that holds only where it is asked for: `wanted` is a parameter of the template. */
export interface Condition {
  readonly wanted: string
  readonly text: Expression
}

/** Gives an identity a role on one resource, under `condition` where that is wanted. */
export const grant = (identity: Resource, role: string, scope: Resource, condition?: Condition): Resource => ({
  type: 'Microsoft.Authorization/roleAssignments',
  apiVersion: '2022-04-01',
  scope,
  // The same for the same three, so that a repeated deployment changes nothing.
  name: [call('guid', idOf(scope), idOf(identity), role)],
  body: {
    properties: {
      roleDefinitionId: call('subscriptionResourceId', 'Microsoft.Authorization/roleDefinitions', role),
      principalId: propertyOf(identity, 'principalId'),
      principalType: 'ServicePrincipal',
      ...(condition === undefined ? {} : { condition: call('if', parameter(condition.wanted), condition.text, call('null')), conditionVersion: call('if', parameter(condition.wanted), '2.0', call('null')) }),
    },
  },
})
