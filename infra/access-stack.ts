// `LatchkeyAccess`: what the account that owns the secrets deploys, with CloudFormation and nothing else. Everything in it is a parameter, so that one template serves every team.
import { Aws, BootstraplessSynthesizer, CfnCondition, CfnOutput, CfnParameter, Fn, Stack, type ICfnConditionExpression } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import { SecretAccessRole, type Choices } from './constructs/secret-access-role.ts'
import { acknowledge } from './deployment/acknowledgements.ts'

const segment = '[A-Za-z0-9_.@=-]{1,64}'
const externalId = '[\\w+=.@:/-]{2,1224}'
const secretArn = 'arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\\d{12}:secret:[A-Za-z0-9/_+=.@-]{1,512}(-\\?{6})?'

/** One template for every team and account. */
export class AccessStack extends Stack {
  constructor(scope: Construct, id: string) {
    super(scope, id, { synthesizer: new BootstraplessSynthesizer(), analyticsReporting: false, description: 'Lets Latchkey, in another account, work with the secrets of this account below one prefix' })
    const text = (name: string, description: string, allowedPattern: string, fallback?: string): string =>
      new CfnParameter(this, name, { type: 'String', description, allowedPattern, ...(fallback !== undefined && { default: fallback }) }).valueAsString
    const choice = (name: string, description: string, allowedValues: string[], fallback: string): string => new CfnParameter(this, name, { type: 'String', description, allowedValues, default: fallback }).valueAsString

    const latchkeyAccount = text('LatchkeyAccount', 'The account that Latchkey runs in', '\\d{12}')
    const ids = text('ExternalId', 'The external id that Latchkey generated for this team; two with a comma between while it is being changed. Empty only in the account of Latchkey itself', `(${externalId}(,${externalId})?)?`, '')
    const team = text('Team', "The team's id; Latchkey must then say it in every session", `(${segment})?`, '')
    const prefix = text('Prefix', 'Below it are all secrets of the team; ends with a slash', `(${segment}/){1,8}`)
    const accessMode = choice('AccessMode', "LiteLLM's access_mode", ['read_only', 'write_only', 'read_and_write'], 'read_only')
    const stores = choice('StoreVirtualKeys', "LiteLLM's store_virtual_keys: whether virtual keys are written below the prefix", ['true', 'false'], 'false')
    const hosted = text('HostedSecretArns', 'Further secrets that are read, as ARNs with a comma between; six question marks may stand for what AWS adds to the name', `(${secretArn}(,${secretArn})*)?`, '')
    const keyArn = text('KeyArn', "The customer managed key of the secrets, if they have one", '(arn:aws[a-z-]*:kms:[a-z0-9-]+:\\d{12}:key/[\\w-]+)?', '')
    const sessionNamePattern = text('SessionNamePattern', "Which session names Latchkey may use; LiteLLM's own samples use litellm-session", '\\w[\\w+=,.@*?-]{1,63}', 'latchkey-*')
    const deployment = text('LatchkeyName', "latchkey.deployment.name, which the names of Latchkey's roles begin with", '[a-z][a-z0-9-]{0,29}[a-z0-9]', 'latchkey')
    const roleName = text('RoleName', 'The name of the role that is made here', '[\\w+=,.@-]{1,64}', 'latchkey-access')

    const { role } = new SecretAccessRole(this, 'Access', { latchkeyAccount, deployment, externalIds: Fn.split(',', ids), team, prefix, accessMode: 'read_only', storeVirtualKeys: false, hostedSecretArns: Fn.split(',', hosted), keyArn, sessionNamePattern, roleName }, this.choices({ latchkeyAccount, ids, team, accessMode, stores, hosted, keyArn }))
    acknowledge(this, 'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:<Prefix>*]', 'Secrets are made at run time, and AWS adds six characters to their names: the prefix is the narrowest resource that there is')
    acknowledge(this, 'AwsSolutions-IAM5[Resource::*]', 'ListSecrets and BatchGetSecretValue know no resource; the values of a batch need GetSecretValue on each')
    for (const [name, value] of Object.entries({ TenantRoleArn: role.attrArn, AccessMode: accessMode, StoreVirtualKeys: stores })) new CfnOutput(this, `${name}Output`, { value }).overrideLogicalId(name)
  }

  /** What parameters decide. Without an external id the role can be assumed in Latchkey's own account only: elsewhere one is asked for that nobody can send. */
  private choices({ latchkeyAccount, ids, team, accessMode, stores, hosted, keyArn }: { readonly latchkeyAccount: string; readonly ids: string; readonly team: string; readonly accessMode: string; readonly stores: string; readonly hosted: string; readonly keyArn: string }): Choices {
    const when = (id: string, expression: ICfnConditionExpression): CfnCondition => new CfnCondition(this, id, { expression })
    const empty = (value: string): ICfnConditionExpression => Fn.conditionEquals(value, '')
    const given = (value: string): ICfnConditionExpression => Fn.conditionNot(empty(value))
    const reads = Fn.conditionNot(Fn.conditionEquals(accessMode, 'write_only'))
    const writes = Fn.conditionEquals(stores, 'true')
    const inOwnAccount = Fn.conditionEquals(latchkeyAccount, Aws.ACCOUNT_ID)
    return {
      hasId: when('HasExternalId', given(ids)),
      ownAccount: when('IsInLatchkeysAccount', inOwnAccount),
      asksForAnything: when('AsksForAnIdOrTeam', Fn.conditionOr(given(ids), given(team), Fn.conditionNot(inOwnAccount))),
      team: when('HasTeam', given(team)),
      reads: when('Reads', reads),
      write_only: when('WriteOnly', Fn.conditionEquals(accessMode, 'write_only')),
      stores: when('Stores', writes),
      hosted: when('ReadsHosted', Fn.conditionAnd(reads, given(hosted))),
      key: when('ReadsWithKey', Fn.conditionAnd(given(keyArn), Fn.conditionNot(writes))),
      'key and stores': when('WritesWithKey', Fn.conditionAnd(given(keyArn), writes)),
    }
  }
}
