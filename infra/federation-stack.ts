// `LatchkeyFederation`: what belongs to the account and not to one deployment, because an account has an identity provider once. Functions on Azure and Google come in by it.
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import type { InfraConfig } from './config.ts'
import { InboundFederation } from './constructs/inbound-federation.ts'
import { assumeStatements, keysStatements, kmsStatements, readStatements, type Statement } from './policies.ts'
import type { Place } from './names.ts'

/** What functions on another cloud may do here: the same as the function `read`, and as `keys` where virtual keys are stored. */
const federatedStatements = ({ secrets, secretsRegion, keyArns, roles }: InfraConfig, place: Place): readonly Statement[] => {
  const at = { ...place, region: secretsRegion ?? place.region }
  const own = secrets === undefined ? [] : secrets.storeVirtualKeys ? keysStatements({ ...secrets, needed: [...new Set([...secrets.needed, ...secrets.readable])] }, at) : readStatements(secrets, at)
  return [...own, ...kmsStatements(keyArns, at, secrets?.storeVirtualKeys === true), ...assumeStatements(roles, place)]
}

/** Whether a configuration has anybody who comes from another cloud. */
export const needsFederation = ({ federation }: InfraConfig): boolean => federation.azure_tenant_id !== undefined || federation.google_audience !== undefined

/** The roles of the other clouds' functions. */
export class FederationStack extends Stack {
  constructor(scope: Construct, id: string, { config, ...props }: StackProps & { readonly config: InfraConfig }) {
    super(scope, id, { description: 'Lets Latchkey on Azure and Google reach AWS without a key', ...props })
    const { azure_tenant_id: tenantId, azure_audience, azure_principal_ids: principalIds = [], google_audience, google_service_account_ids: serviceAccountIds = [] } = config.federation
    const { partition, region, account } = this
    const { azureRole, googleRole } = new InboundFederation(this, 'Inbound', {
      deployment: config.name,
      statements: federatedStatements(config, { partition, region, account }),
      ...(tenantId !== undefined && azure_audience !== undefined && { azure: { tenantId, audience: azure_audience, principalIds } }),
      ...(google_audience !== undefined && { google: { audience: google_audience, serviceAccountIds } }),
    })
    for (const [name, role] of Object.entries({ AzureRoleArn: azureRole, GoogleRoleArn: googleRole })) if (role !== undefined) new CfnOutput(this, name, { value: role.attrArn })
  }
}
