// Trust in AWS without a key: a function's role there may sign in as the identity of the same function here, by the token that STS gives it.
import { roleArn, roleName, type FunctionName } from '../names.ts'
import { call, format, parameter, type Resource } from './arm.ts'

/** The trust of one identity in the role of the same name; deployed only where `awsIssuer` says whose tokens they are. */
export const awsTrust = (identity: Resource, name: FunctionName): Resource => ({
  type: 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials',
  apiVersion: identity.apiVersion,
  name: [...identity.name, 'aws'],
  after: [identity],
  condition: call('not', call('empty', parameter('awsIssuer'))),
  body: {
    properties: {
      issuer: parameter('awsIssuer'),
      subject: format(roleArn({ partition: 'aws', account: '{0}' }, roleName('{1}', name)), parameter('awsAccountId'), parameter('awsDeployment')),
      audiences: ['api://AzureADTokenExchange'],
    },
  },
})
