// Who the gateway is when it calls Latchkey: a pod's projected token, EKS's pod identity, or a token that the API itself checks. None of them has a key to keep.
import { Stack } from 'aws-cdk-lib'
import { CfnPodIdentityAssociation } from 'aws-cdk-lib/aws-eks'
import { CfnManagedPolicy, CfnRole } from 'aws-cdk-lib/aws-iam'
import { Construct } from 'constructs'
import { irsaTrust, podIdentityTrust, targetRoleStatements, type ServiceAccount } from '../federation-policies.ts'
import type { Statement, TrustStatement } from '../policies.ts'

interface WithRole extends ServiceAccount {
  readonly roleName: string
  /** What the API is called by: `arn:…:execute-api:…:<api>/$default/*`, or the functions of function URLs. */
  readonly statements: readonly Statement[]
}

/** Where the gateway runs, and how it proves so. */
export type GatewayIdentityProps =
  | (WithRole & { readonly kind: 'irsa'; /** The cluster's issuer, without `https://`. */ readonly issuer: string; readonly providerArn: string })
  | (WithRole & { readonly kind: 'podIdentity'; readonly clusterName: string; /** A role of another account that the pod goes on to. */ readonly targetRoleArn?: string })
  | { readonly kind: 'jwt'; /** The cluster's issuer, without `https://`. */ readonly issuer: string; readonly audience: string }

/** The gateway's role; under `jwt` there is none, and `settings` are what `latchkey.deployment.api` needs. */
export class GatewayIdentity extends Construct {
  readonly role?: CfnRole
  readonly settings: Readonly<Record<string, string | readonly string[]>>

  constructor(scope: Construct, id: string, props: GatewayIdentityProps) {
    super(scope, id)
    this.settings = props.kind === 'jwt' ? { authorizer: 'jwt', jwt_issuer: `https://${props.issuer}`, jwt_audience: [props.audience] } : { authorizer: 'iam' }
    if (props.kind === 'jwt') return
    const { partition, region, account } = Stack.of(this)
    const { roleName, statements, namespace, serviceAccount } = props
    const pod = { namespace, serviceAccount }
    const target = props.kind === 'podIdentity' ? props.targetRoleArn : undefined
    const trust: readonly TrustStatement[] = props.kind === 'irsa' ? irsaTrust(props.providerArn, props.issuer, pod) : podIdentityTrust({ partition, region, account }, props.clusterName, pod)
    this.role = new CfnRole(this, 'Role', { roleName, description: 'The LLM gateway calls Latchkey', maxSessionDuration: 3600, assumeRolePolicyDocument: { Version: '2012-10-17', Statement: trust } })
    const Statement = [...statements, ...(target === undefined ? [] : targetRoleStatements(target))]
    new CfnManagedPolicy(this, 'Policy', { description: `What ${roleName} does`, policyDocument: { Version: '2012-10-17', Statement }, roles: [this.role.ref] })
    if (props.kind === 'podIdentity') {
      new CfnPodIdentityAssociation(this, 'Association', { clusterName: props.clusterName, namespace, serviceAccount, roleArn: this.role.attrArn, ...(target !== undefined && { targetRoleArn: target }) })
    }
  }
}
