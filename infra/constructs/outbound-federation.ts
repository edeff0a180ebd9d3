// Tokens of AWS's own for another cloud. The account's switch for them is nobody's resource: `aws iam enable-outbound-web-identity-federation`, once.
import { ManagedPolicy, PolicyStatement, type IRole } from 'aws-cdk-lib/aws-iam'
import type { Construct } from 'constructs'
import { outboundIdentityStatements } from '../policies.ts'

/** Lets a role ask for tokens for these audiences, which live `maxSeconds` (60 to 3600, default 300). */
export const grantOutboundIdentity = (scope: Construct, id: string, role: IRole, audiences: readonly string[], maxSeconds = 300): ManagedPolicy =>
  new ManagedPolicy(scope, id, { description: 'Tokens for another cloud', roles: [role], statements: outboundIdentityStatements(audiences, maxSeconds).map((statement) => PolicyStatement.fromJson(statement)) })
