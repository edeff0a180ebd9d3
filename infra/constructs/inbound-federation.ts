// Roles with which functions on Azure and Google reach AWS, without a key: their own platform's token is the proof.
import { CfnManagedPolicy, CfnOIDCProvider, CfnRole } from 'aws-cdk-lib/aws-iam'
import { Construct } from 'constructs'
import { entraIssuer, entraTrust, googleTrust } from '../federation-policies.ts'
import type { Statement, TrustStatement } from '../policies.ts'

/** Who may come, and what they may do here. */
export interface InboundFederationProps {
  /** Begins the roles' names: `latchkey` gives `latchkey-azure` and `latchkey-google`. */
  readonly deployment: string
  readonly statements: readonly Statement[]
  readonly azure?: { readonly tenantId: string; readonly audience: string; readonly principalIds: readonly string[]; /** An identity provider of the directory that the account has already; it can have one only. */ readonly providerArn?: string }
  readonly google?: { readonly audience: string; readonly serviceAccountIds: readonly string[] }
}

/** One role for each cloud. */
export class InboundFederation extends Construct {
  readonly azureRole?: CfnRole
  readonly googleRole?: CfnRole

  constructor(scope: Construct, id: string, { deployment, statements, azure, google }: InboundFederationProps) {
    super(scope, id)
    const roleFor = (cloud: 'Azure' | 'Google', trust: readonly TrustStatement[]): CfnRole => {
      const roleName = `${deployment}-${cloud.toLowerCase()}`
      const role = new CfnRole(this, `${cloud}Role`, { roleName, description: `Latchkey on ${cloud} reads secrets here`, maxSessionDuration: 3600, assumeRolePolicyDocument: { Version: '2012-10-17', Statement: trust } })
      new CfnManagedPolicy(this, `${cloud}Policy`, { description: `What ${roleName} does`, policyDocument: { Version: '2012-10-17', Statement: statements }, roles: [role.ref] })
      return role
    }
    if (azure !== undefined) {
      const { tenantId, audience, principalIds } = azure
      const providerArn = azure.providerArn ?? new CfnOIDCProvider(this, 'EntraProvider', { url: `https://${entraIssuer(tenantId)}`, clientIdList: [audience] }).attrArn
      this.azureRole = roleFor('Azure', entraTrust(providerArn, tenantId, audience, principalIds))
    }
    if (google !== undefined) this.googleRole = roleFor('Google', googleTrust(google.audience, google.serviceAccountIds))
  }
}
