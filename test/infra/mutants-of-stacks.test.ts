// Stacks weakened on purpose: each is a mistake that people make, and fails the check that is named. A check that no weakening fails would show nothing.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stackChecks } from './support/stack-checks.ts'
import { makeStacksOfAll, removeScratch, type Stacks, type Variant } from './support/stacks.ts'

afterAll(removeScratch)

type Loose = Record<string, unknown>

/** Sets (or, with `undefined`, takes out) what stands at a path of every resource of a type. */
interface Weakening {
  readonly what: string
  readonly fails: string
  readonly in: Variant
  readonly type: string
  readonly path: string
  readonly to?: unknown
  /** Only resources whose JSON has this in it. */
  readonly only?: RegExp
}

const anybody = { Effect: 'Allow', Principal: '*', Action: '*', Resource: '*' }
const weakenings: readonly Weakening[] = [
  { what: 'an older runtime', fails: 'check 1', in: 'shipped', type: 'AWS::Lambda::Function', path: 'Properties.Runtime', to: 'nodejs22.x' },
  { what: 'another architecture', fails: 'check 1', in: 'urls', type: 'AWS::Lambda::Function', path: 'Properties.Architectures.0', to: 'x86_64' },
  { what: 'an unencrypted log group', fails: 'check 2', in: 'shipped', type: 'AWS::Logs::LogGroup', path: 'Properties.KmsKeyId' },
  { what: 'logs without an end', fails: 'check 2', in: 'isolated', type: 'AWS::Logs::LogGroup', path: 'Properties.RetentionInDays' },
  { what: 'a log group that Lambda makes by itself', fails: 'check 2', in: 'shipped', type: 'AWS::Lambda::Function', path: 'Properties.LoggingConfig.LogGroup' },
  { what: 'logs as text', fails: 'check 3', in: 'shipped', type: 'AWS::Lambda::Function', path: 'Properties.LoggingConfig.LogFormat', to: 'Text' },
  { what: 'a function without a bound', fails: 'check 4', in: 'shipped', type: 'AWS::Lambda::Function', path: 'Properties.ReservedConcurrentExecutions' },
  { what: 'a loop that is allowed', fails: 'check 4', in: 'shipped', type: 'AWS::Lambda::Function', path: 'Properties.RecursiveLoop', to: 'Allow' },
  { what: 'a plain secret in the environment, by its name', fails: 'check 5', in: 'tokens', type: 'AWS::Lambda::Function', path: 'Properties.Environment', to: { Variables: { VAULT_TOKEN: 'correct-horse' } } },
  { what: 'a plain secret in the environment, by its value', fails: 'check 5', in: 'shipped', type: 'AWS::Lambda::Function', path: 'Properties.Environment', to: { Variables: { MODE: 'sk-1234567890' } } },
  { what: 'a value where a reference belongs', fails: 'check 5', in: 'tokens', type: 'AWS::Lambda::Function', path: 'Properties.Environment.Variables.VAULT_TOKEN', to: 'correct-horse' },
  { what: 'a reference that CloudFormation would resolve into the template', fails: 'check 5', in: 'tokens', type: 'AWS::Lambda::Function', path: 'Properties.Environment.Variables.VAULT_TOKEN', to: '{{resolve:secretsmanager:gateway/vault-token}}' },
  { what: 'a reference that the role may not read', fails: 'check 5', in: 'tokens', type: 'AWS::Lambda::Function', path: 'Properties.Environment.Variables.VAULT_TOKEN', to: 'secret://aws_secret_manager/another' },
  { what: 'a right without its reference', fails: 'check 5', in: 'tokens', type: 'AWS::Lambda::Function', path: 'Properties.Environment.Variables.VAULT_TOKEN' },
  { what: 'a value in a template', fails: 'check 5', in: 'shipped', type: 'AWS::SecretsManager::Secret', path: 'Properties.SecretString', to: 'x' },
  { what: 'an environment under the key of AWS', fails: 'check 6', in: 'shipped', type: 'AWS::Lambda::Function', path: 'Properties.KmsKeyArn' },
  { what: 'a wildcard resource', fails: 'check 7', in: 'shipped', type: 'AWS::IAM::ManagedPolicy', path: 'Properties.PolicyDocument.Statement.0.Resource', to: '*', only: /ReadValues/ },
  { what: 'a policy of AWS', fails: 'check 8', in: 'shipped', type: 'AWS::IAM::Role', path: 'Properties.ManagedPolicyArns', to: ['arn:aws:iam::aws:policy/SecretsManagerReadWrite'] },
  { what: 'a service as a whole', fails: 'check 13', in: 'shipped', type: 'AWS::IAM::ManagedPolicy', path: 'Properties.PolicyDocument.Statement.0.Action', to: 'secretsmanager:*' },
  { what: 'our key for whatever it encrypted', fails: 'check 15', in: 'shipped', type: 'AWS::IAM::ManagedPolicy', path: 'Properties.PolicyDocument.Statement.0', to: { Effect: 'Allow', Action: 'kms:Decrypt', Resource: 'arn:aws:kms:eu-central-1:123456789012:key/x' } },
  { what: 'a public route', fails: 'check 16', in: 'shipped', type: 'AWS::ApiGatewayV2::Route', path: 'Properties.AuthorizationType', to: 'NONE', only: /GET \/health/ },
  { what: 'a public method', fails: 'check 16', in: 'private', type: 'AWS::ApiGateway::Method', path: 'Properties.AuthorizationType', to: 'NONE' },
  { what: 'a public function URL', fails: 'check 16', in: 'urls', type: 'AWS::Lambda::Url', path: 'Properties.AuthType', to: 'NONE' },
  { what: 'tokens for anybody', fails: 'check 16', in: 'tokens', type: 'AWS::ApiGatewayV2::Authorizer', path: 'Properties.JwtConfiguration.Audience', to: [] },
  { what: 'no throttle', fails: 'check 17', in: 'shipped', type: 'AWS::ApiGatewayV2::Stage', path: 'Properties.DefaultRouteSettings' },
  { what: 'no throttle on the private API', fails: 'check 17', in: 'private', type: 'AWS::ApiGateway::Stage', path: 'Properties.MethodSettings' },
  { what: 'paths in the access log', fails: 'check 18', in: 'shipped', type: 'AWS::ApiGatewayV2::Stage', path: 'Properties.AccessLogSettings.Format', to: JSON.stringify({ a: '$context.requestId', b: '$context.status', c: '$context.routeKey', d: '$context.responseLength', e: '$context.identity.sourceIp', path: '$context.path' }) },
  { what: 'bodies in the execution log', fails: 'check 18', in: 'private', type: 'AWS::ApiGateway::Stage', path: 'Properties.MethodSettings.0.DataTraceEnabled', to: true },
  { what: 'any API of anybody', fails: 'check 19', in: 'shipped', type: 'AWS::Lambda::Permission', path: 'Properties.SourceArn', only: /apigateway/ },
  { what: 'a private API that any endpoint reaches', fails: 'check 20', in: 'private', type: 'AWS::ApiGateway::RestApi', path: 'Properties.Policy.Statement', to: [anybody] },
  { what: 'a public endpoint of the private API', fails: 'check 20', in: 'private', type: 'AWS::ApiGateway::RestApi', path: 'Properties.EndpointConfiguration.Types', to: ['REGIONAL'] },
  { what: 'a cache of secrets', fails: 'check 20', in: 'private', type: 'AWS::ApiGateway::Stage', path: 'Properties.CacheClusterEnabled', to: true },
  { what: 'a cache that would keep what it is given', fails: 'check 20', in: 'private', type: 'AWS::ApiGateway::Stage', path: 'Properties.MethodSettings.0.CacheTtlInSeconds', to: 300 },
  { what: 'a firewall that counts only', fails: 'check 20', in: 'private', type: 'AWS::WAFv2::WebACL', path: 'Properties.Rules.0.Action', to: { Count: {} } },
  { what: 'tokens in the log of the firewall', fails: 'check 20', in: 'private', type: 'AWS::WAFv2::LoggingConfiguration', path: 'Properties.RedactedFields', to: [] },
  { what: 'a key that never rotates', fails: 'check 21', in: 'shipped', type: 'AWS::KMS::Key', path: 'Properties.EnableKeyRotation', to: false },
  { what: 'a key that goes with the stack', fails: 'check 21', in: 'shipped', type: 'AWS::KMS::Key', path: 'DeletionPolicy', to: 'Delete' },
  { what: 'a key for everybody', fails: 'check 22', in: 'shipped', type: 'AWS::KMS::Key', path: 'Properties.KeyPolicy.Statement.0.Principal', to: { AWS: '*' } },
  { what: 'a service that uses the key for every account', fails: 'check 22', in: 'shipped', type: 'AWS::KMS::Key', path: 'Properties.KeyPolicy.Statement.2.Condition' },
  { what: 'a missing SourceAccount', fails: 'check 23', in: 'shipped', type: 'AWS::Lambda::Permission', path: 'Properties.SourceAccount', only: /secretsmanager/ },
  { what: 'no permission to rotate at all', fails: 'check 23', in: 'urls', type: 'AWS::Lambda::Permission', path: 'Properties.Principal', to: 'apigateway.amazonaws.com', only: /secretsmanager/ },
  { what: 'a rotation with every update of the stack', fails: 'check 24', in: 'shipped', type: 'AWS::SecretsManager::RotationSchedule', path: 'Properties.RotateImmediatelyOnUpdate', to: true },
  { what: 'another interval than configured', fails: 'check 24', in: 'shipped', type: 'AWS::SecretsManager::RotationSchedule', path: 'Properties.RotationRules.AutomaticallyAfterDays', to: 90 },
  { what: 'a secret that goes with the stack', fails: 'check 25', in: 'shipped', type: 'AWS::SecretsManager::Secret', path: 'DeletionPolicy', to: 'Delete' },
  { what: 'a rule without dead letters', fails: 'check 26', in: 'shipped', type: 'AWS::Events::Rule', path: 'Properties.Targets.0.DeadLetterConfig' },
  { what: 'a schedule without dead letters', fails: 'check 26', in: 'shipped', type: 'AWS::Scheduler::Schedule', path: 'Properties.Target.DeadLetterConfig' },
  { what: 'retries without an end', fails: 'check 26', in: 'shipped', type: 'AWS::Scheduler::Schedule', path: 'Properties.Target.RetryPolicy' },
  { what: 'a function without dead letters', fails: 'check 26', in: 'isolated', type: 'AWS::Lambda::Function', path: 'Properties.DeadLetterConfig' },
  { what: 'dead letters in plain text', fails: 'check 27', in: 'shipped', type: 'AWS::SQS::Queue', path: 'Properties.SqsManagedSseEnabled', to: false },
  { what: 'dead letters without TLS', fails: 'check 27', in: 'shipped', type: 'AWS::SQS::QueuePolicy', path: 'Properties.PolicyDocument.Statement.0.Condition' },
  { what: 'alarms that the key does not let through', fails: 'check 28', in: 'shipped', type: 'AWS::KMS::Key', path: 'Properties.KeyPolicy.Statement.2.Principal', to: { Service: 'budgets.amazonaws.com' } },
  { what: 'a topic that everybody publishes to', fails: 'check 28', in: 'urls', type: 'AWS::SNS::TopicPolicy', path: 'Properties.PolicyDocument.Statement.0', to: anybody },
  { what: 'a topic in plain text', fails: 'check 28', in: 'shipped', type: 'AWS::SNS::Topic', path: 'Properties.KmsMasterKeyId' },
  { what: 'a way out to everywhere', fails: 'check 29', in: 'isolated', type: 'AWS::EC2::SecurityGroup', path: 'Properties.SecurityGroupEgress', to: [{ CidrIp: '0.0.0.0/0', IpProtocol: '-1' }] },
  { what: 'a NAT gateway', fails: 'check 29', in: 'isolated', type: 'AWS::EC2::FlowLog', path: 'Type', to: 'AWS::EC2::NatGateway' },
  { what: 'a function outside the network', fails: 'check 29', in: 'isolated', type: 'AWS::Lambda::Function', path: 'Properties.VpcConfig' },
  { what: 'the default policy of an endpoint', fails: 'check 30', in: 'isolated', type: 'AWS::EC2::VPCEndpoint', path: 'Properties.PolicyDocument' },
  { what: 'an endpoint that lets everything through', fails: 'check 30', in: 'isolated', type: 'AWS::EC2::VPCEndpoint', path: 'Properties.PolicyDocument.Statement', to: [anybody] },
  { what: 'an endpoint without its private name', fails: 'check 30', in: 'isolated', type: 'AWS::EC2::VPCEndpoint', path: 'Properties.PrivateDnsEnabled', to: false },
  { what: 'a missing endpoint', fails: 'check 30', in: 'isolated', type: 'AWS::EC2::VPCEndpoint', path: 'Type', to: 'AWS::EC2::GatewayEndpoint', only: /sts/ },
]

/** Sets what stands at a path, or takes it out. */
const put = (within: Loose, [first = '', ...rest]: readonly string[], to: unknown): void => {
  if (rest.length > 0) put(within[first] as Loose, rest, to)
  else if (to === undefined) delete within[first]
  else within[first] = to
}

const weakened = (stacks: Stacks, { in: variant, type, path, to, only }: Weakening): { readonly stacks: Stacks; readonly changed: number } => {
  const copy = structuredClone(stacks.templates) as Record<Variant, Record<string, { Resources: Record<string, Loose> }>>
  const hit = Object.values(copy[variant]).flatMap(({ Resources }) => Object.values(Resources)).filter((one) => one['Type'] === type && (only === undefined || only.test(JSON.stringify(one))))
  for (const one of hit) put(one, path.split('.'), to)
  return { stacks: { ...stacks, templates: copy as unknown as Stacks['templates'] }, changed: hit.length }
}

describe('a weakened stack', () => {
  let stacks: Stacks

  beforeAll(async () => {
    stacks = await makeStacksOfAll()
  }, 60_000)

  it.each(weakenings)('with $what fails $fails', (weakening) => {
    const { stacks: mutant, changed } = weakened(stacks, weakening)

    const complaints = Object.entries(stackChecks).flatMap(([title, check]) => (title.startsWith(`${weakening.fails}:`) ? check(mutant) : []))
    expect(changed).toBeGreaterThan(0)
    expect(complaints).not.toEqual([])
  })

  it('is there for every check', () => {
    const named = new Set(weakenings.map(({ fails }) => fails))

    expect(Object.keys(stackChecks).map((title) => title.split(':')[0] ?? '').filter((number) => !named.has(number))).toEqual([])
  })
})
