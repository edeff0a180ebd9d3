// What whoever deploys says, or leaves as it is. None of it is a secret: credentials are named, and stand in the vault.
import { at, call, format, parameter, type Parameter } from './arm.ts'

/** The parameters of the template. */
export const parameters: Readonly<Record<string, Parameter>> = {
  name: { type: 'string', defaultValue: 'latchkey', minLength: 3, maxLength: 10, description: 'Begins the names of everything that is deployed. Lower-case letters, digits and hyphens.' },
  location: { type: 'string', defaultValue: at(call('resourceGroup'), 'location'), description: 'Where. The region must have Flex Consumption with Node 24.' },
  vaultName: { type: 'string', defaultValue: format('{0}-{1}', parameter('name'), call('uniqueString', at(call('resourceGroup'), 'id'))), minLength: 3, maxLength: 24, description: 'The name of the vault that is made, unique in all of Azure.' },
  authClientId: { type: 'string', minLength: 36, maxLength: 36, description: 'Client id of the app registration that callers ask tokens for (az ad app create). The function apps answer nobody without one.' },
  callers: { type: 'array', defaultValue: [], description: 'Object ids of who may call at all. Empty: every identity of the tenant that gets a token for the registration; what each may do is said by latchkey.access.' },
  secretSettings: {
    type: 'object',
    defaultValue: { LITELLM_MASTER_KEY: 'LITELLM-MASTER-KEY' },
    description: "Credentials as environment variables of the functions: variable to name of a secret in the vault. Values are never parameters; put them into the vault (az keyvault secret set).",
  },
  sweepSchedule: { type: 'string', defaultValue: '0 */15 * * * *', description: 'When the sweep runs: six fields, seconds first.' },
  confineWrites: { type: 'bool', defaultValue: false, description: "Lets keys and rotate write only to names below the prefix for virtual keys, by a condition on their role (a preview of Azure's). Not with latchkey.rotation.secrets outside of it, and not with another prefix." },
  privateNetwork: { type: 'bool', defaultValue: false, description: "Gives the vault an address in a network of the functions' own, and no other." },
  storageSku: { type: 'string', defaultValue: 'Standard_ZRS', allowedValues: ['Standard_ZRS', 'Standard_LRS'], description: 'How storage is kept: in three zones of the region, or in one where the region has no more.' },
  maximumInstances: { type: 'int', defaultValue: 40, minValue: 1, maxValue: 1000, description: 'How many instances of each app may run at once.' },
  alertEmail: { type: 'string', defaultValue: '', description: 'An address that is told of events that are lost to the rotation. Empty: the alerts stand in the portal only.' },
  logRetentionDays: { type: 'int', defaultValue: 30, minValue: 30, maxValue: 730, description: 'How long logs are kept.' },
  awsIssuer: { type: 'string', defaultValue: '', description: 'Issuer of the identity tokens of an AWS account (aws iam enable-outbound-web-identity-federation prints it). Empty: no trust in AWS.' },
  awsAccountId: { type: 'string', defaultValue: '', description: 'The AWS account whose functions may sign in as these, where awsIssuer is set.' },
  awsDeployment: { type: 'string', defaultValue: 'latchkey', description: 'latchkey.deployment.name there: the roles are <name>-read, <name>-keys and <name>-rotate.' },
}
