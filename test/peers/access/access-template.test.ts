// The access template, deployed by boto3 to a CloudFormation that nobody here wrote: what it makes of parameters and conditions is what the resolver of test/infra makes of them,
// so that the evaluator's answers are about what is really deployed. moto takes nothing out of a list where a template says AWS::NoValue, and is not asked; ministack knows no
// account in a condition, so Latchkey's own account is not among the cases.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, inject, it } from 'vitest'
import { resourcesOf, type Template, type World } from '../../infra/support/template.ts'
import { clientEnv, run } from '../python-peers.ts'

const peer = inject('peers').ministack
const file = join(import.meta.dirname, '../../../infra/access.template.json')
const template = JSON.parse(readFileSync(file, 'utf8')) as Template
const [account, region, latchkey] = ['123456789012', 'us-east-1', '111122223333']

const deploy = `
import boto3, json, sys, time
argument = json.loads(sys.argv[1])
cloudformation, iam = boto3.client('cloudformation'), boto3.client('iam')
parameters = argument['parameters']
cloudformation.create_stack(StackName=parameters['RoleName'], TemplateBody=open(argument['file']).read(), Capabilities=['CAPABILITY_NAMED_IAM'], Parameters=[{'ParameterKey': key, 'ParameterValue': value} for key, value in parameters.items()])
cloudformation.get_waiter('stack_create_complete').wait(StackName=parameters['RoleName'], WaiterConfig={'Delay': 1, 'MaxAttempts': 30})
stack = cloudformation.describe_stacks(StackName=parameters['RoleName'])['Stacks'][0]
attached = iam.list_attached_role_policies(RoleName=parameters['RoleName'])['AttachedPolicies']
print(json.dumps({
    'outputs': {output['OutputKey']: output['OutputValue'] for output in stack['Outputs']},
    'trust': iam.get_role(RoleName=parameters['RoleName'])['Role']['AssumeRolePolicyDocument'],
    'policies': [iam.get_policy_version(PolicyArn=one['PolicyArn'], VersionId='v1')['PolicyVersion']['Document'] for one in attached],
}))
`

const secrets = `arn:aws:secretsmanager:${region}:${account}:secret`

describe('the access template', () => {
  if ('missing' in peer) {
    it(`is not deployed: ${peer.missing}`, () => {
      expect(peer.missing).not.toBe('')
    })
    return
  }

  it.each<[what: string, parameters: Readonly<Record<string, string>>]>([
    ['a team that writes, its id being changed', { ExternalId: 'old-0123456789,new-0123456789', Team: 'payments', Prefix: 'litellm/payments/', AccessMode: 'read_and_write', StoreVirtualKeys: 'true', KeyArn: `arn:aws:kms:${region}:${account}:key/a` }],
    ['an account that is read, hosted secrets and all', { ExternalId: 'one-0123456789', Prefix: 'litellm/', HostedSecretArns: `${secrets}:OPENAI_API_KEY-??????,${secrets}:DATABASE_URL-??????` }],
    ['write_only, with the session name of LiteLLM', { ExternalId: 'one-0123456789', Prefix: 'litellm/', AccessMode: 'write_only', StoreVirtualKeys: 'true', SessionNamePattern: 'litellm-session' }],
    ['no external id in another account, which nobody can assume', { Prefix: 'litellm/' }],
  ])('is what the tests say it is: %s', async (_what, more) => {
    const parameters = { LatchkeyAccount: latchkey, RoleName: `access-${randomBytes(4).toString('hex')}`, ...more }
    const world: World = { account, region, parameters }
    const [role] = Object.values(resourcesOf(template, 'AWS::IAM::Role', world))
    const policies = Object.values(resourcesOf(template, 'AWS::IAM::ManagedPolicy', world)).flatMap(({ PolicyDocument, Roles }) => (Roles === undefined ? [] : [PolicyDocument]))

    const deployed = JSON.parse(await run(inject('python'), ['-c', deploy, JSON.stringify({ file, parameters })], { ...clientEnv(peer.url), AWS_DEFAULT_REGION: region })) as unknown

    expect(deployed).toEqual({
      outputs: { TenantRoleArn: `arn:aws:iam::${account}:role/${parameters.RoleName}`, AccessMode: more['AccessMode'] ?? 'read_only', StoreVirtualKeys: more['StoreVirtualKeys'] ?? 'false' },
      trust: role?.['AssumeRolePolicyDocument'],
      policies,
    })
  })
})
