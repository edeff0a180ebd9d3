// The role that a gateway assumes to call the API, also from another account: an HTTP API has no policy of its own that could let one in.
import { Aws, Stack } from 'aws-cdk-lib'
import { AccountPrincipal, CompositePrincipal, ManagedPolicy, PolicyStatement, PrincipalWithConditions, Role } from 'aws-cdk-lib/aws-iam'
import { Construct } from 'constructs'

/** Who may assume it, and what it then may call. */
export interface InvokerRoleProps {
  readonly roleName: string
  /** ARNs of roles and users. Default: whoever in this account has a policy that allows it. */
  readonly principals?: readonly string[]
  readonly statements: readonly PolicyStatement[]
}

/** Trusts accounts and pins the callers by name: one that is made anew is still the same to it, and needs not exist yet. */
export class InvokerRole extends Construct {
  readonly role: Role

  constructor(scope: Construct, id: string, { roleName, principals, statements }: InvokerRoleProps) {
    super(scope, id)
    const accounts = [...new Set((principals ?? []).map((arn) => arn.split(':')[4] ?? ''))]
    const trusted = accounts.map((account) => new PrincipalWithConditions(new AccountPrincipal(account), { ArnEquals: { 'aws:PrincipalArn': (principals ?? []).filter((arn) => arn.split(':')[4] === account) } }))
    const [first, ...more] = trusted
    this.role = new Role(this, 'Role', { roleName, description: 'Calls the API of Latchkey', assumedBy: first === undefined ? new AccountPrincipal(Stack.of(this).account) : new CompositePrincipal(first, ...more) })
    new ManagedPolicy(this, 'Policy', { description: 'Calls the API of Latchkey', roles: [this.role], statements: [...statements] })
  }
}

/** Every route of one HTTP API. */
export const invokesApi = (scope: Construct, apiId: string): PolicyStatement =>
  new PolicyStatement({ sid: 'CallTheApi', actions: ['execute-api:Invoke'], resources: [`arn:${Aws.PARTITION}:execute-api:${Stack.of(scope).region}:${Stack.of(scope).account}:${apiId}/$default/*`] })

/** Function URLs: both actions, and the second only through the URL, because whoever invokes the function itself can say that it is anybody. */
export const invokesUrls = (arns: readonly string[]): readonly PolicyStatement[] => [
  new PolicyStatement({ sid: 'CallTheUrls', actions: ['lambda:InvokeFunctionUrl'], resources: [...arns], conditions: { StringEquals: { 'lambda:FunctionUrlAuthType': 'AWS_IAM' } } }),
  new PolicyStatement({ sid: 'OnlyThroughTheUrls', actions: ['lambda:InvokeFunction'], resources: [...arns], conditions: { Bool: { 'lambda:InvokedViaFunctionUrl': 'true' } } }),
]
