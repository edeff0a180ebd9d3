// The checks of stacks by number: each looks at templates and says what is wrong. Tests hold that nothing is; mutants hold that a weakened template fails its check.
import { isDeepStrictEqual } from 'node:util'
import { actionsWithoutResource } from '../../../infra/policies.ts'
import { decide, type PolicyDocument } from './iam.ts'
import { variants, world, type Stacks, type Variant } from './stacks.ts'
import { resourcesOf, type Template } from './template.ts'

/** Says what is wrong; nothing where all is well. */
export type StackCheck = (stacks: Stacks) => readonly string[]

type Properties = Readonly<Record<string, unknown>>
interface Found {
  readonly where: string
  readonly variant: Variant
  readonly id: string
  readonly properties: Properties
  readonly template: Template
}

/** Every resource of a type, in every template. */
const found = ({ templates }: Stacks, type: string): readonly Found[] =>
  (Object.keys(variants) as Variant[]).flatMap((variant) =>
    Object.entries(templates[variant]).flatMap(([stack, template]) => Object.entries(resourcesOf(template, type, world)).map(([id, properties]) => ({ where: `${variant} ${stack}.${id}`, variant, id, properties, template }))),
  )

const at = (value: unknown, ...path: readonly string[]): unknown => path.reduce<unknown>((inner, key) => (typeof inner === 'object' && inner !== null ? (inner as Properties)[key] : undefined), value)
const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value ?? ''))
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as readonly unknown[]) : value === undefined ? [] : [value])

/** One complaint a resource for which it does not hold. A type that is nowhere is a complaint too: a check of nothing shows nothing. */
const each = (stacks: Stacks, type: string, holds: (one: Found) => boolean | string): readonly string[] => {
  const all = found(stacks, type)
  if (all.length === 0) return [`no ${type} anywhere`]
  return all.flatMap((one) => {
    const said = holds(one)
    return said === true ? [] : [`${one.where}: ${said === false ? 'does not hold' : said}`]
  })
}

const statementsOf = (document: unknown): readonly Properties[] => list(at(document, 'Statement')) as readonly Properties[]
const kept = ({ template, id }: Found): boolean => template.Resources[id]?.['DeletionPolicy'] === 'Retain' && template.Resources[id]['UpdateReplacePolicy'] === 'Retain'
const ourKey = (one: Found, given: unknown): boolean => /^<LatchkeyKey\w+\.Arn>$/.test(text(given)) || (one.where.includes('LatchkeyEdge') && text(given).includes('LatchkeyKey'))

const secretName = /key|token|secret|passw|credential/i
const secretValue = /\bsk-[A-Za-z0-9]|hvs\.|\bAKIA|\bASIA|-----BEGIN|eyJ[\w-]{10}/
const looksSecret = (value: unknown): boolean => secretValue.test(text(value))

const variablesOf = (properties: Properties): readonly (readonly [string, unknown])[] => Object.entries(at(properties, 'Environment', 'Variables') ?? {})
/** The name of the secret that a variable refers to. */
const referredTo = (value: unknown): string | undefined => /^secret:\/\/aws_secret_manager\/([\w/+=.@-]+)$/.exec(text(value))?.[1]

const delivered = (target: unknown): boolean => text(at(target, 'DeadLetterConfig', 'Arn')) !== '""' && Number(at(target, 'RetryPolicy', 'MaximumEventAgeInSeconds')) > 0 && at(target, 'RetryPolicy', 'MaximumRetryAttempts') !== undefined

/** The services that publish to the topic of the alarms. */
const publishers = ['cloudwatch.amazonaws.com', 'events.amazonaws.com'] as const
const letsIn = (document: unknown, service: string, action: string): boolean => statementsOf(document).some((one) => list(at(one, 'Principal', 'Service')).includes(service) && list(one['Action']).includes(action) && at(one, 'Condition', 'StringEquals', 'aws:SourceAccount') === world.account)

const outOf = (rules: unknown): readonly unknown[] => list(rules).filter((rule) => ['0.0.0.0/0', '::/0'].includes(text(at(rule, 'CidrIp') ?? at(rule, 'CidrIpv6'))))

/** Everything that is checked of stacks, by its number. */
export const stackChecks: Readonly<Record<string, StackCheck>> = {
  'check 1: every function runs nodejs24.x on arm64': (stacks) => each(stacks, 'AWS::Lambda::Function', ({ properties }) => properties['Runtime'] === 'nodejs24.x' && isDeepStrictEqual(properties['Architectures'], ['arm64'])),
  'check 2: every function has a log group of its own, and every log group an end and our key': (stacks) => [
    ...each(stacks, 'AWS::Lambda::Function', ({ properties, template }) => resourcesOf(template, 'AWS::Logs::LogGroup', world)[text(at(properties, 'LoggingConfig', 'LogGroup')).slice(1, -1)]?.['LogGroupName'] === `/aws/lambda/${text(properties['FunctionName'])}`),
    ...each(stacks, 'AWS::Logs::LogGroup', (one) => one.properties['RetentionInDays'] === 30 && ourKey(one, one.properties['KmsKeyId'])),
  ],
  'check 3: logs are JSON, warnings of the platform and information of ours': (stacks) =>
    each(stacks, 'AWS::Lambda::Function', ({ properties }) => isDeepStrictEqual([at(properties, 'LoggingConfig', 'LogFormat'), at(properties, 'LoggingConfig', 'SystemLogLevel'), at(properties, 'LoggingConfig', 'ApplicationLogLevel')], ['JSON', 'WARN', 'INFO'])),
  'check 4: every function has a reserved concurrency, and a loop of it is ended': (stacks) => each(stacks, 'AWS::Lambda::Function', ({ properties }) => Number(properties['ReservedConcurrentExecutions']) > 0 && properties['RecursiveLoop'] === 'Terminate'),
  'check 5: no environment and no template holds a secret, and what a variable refers to is what its function may read': (stacks) => [
    ...each(stacks, 'AWS::Lambda::Function', ({ properties }) => !variablesOf(properties).some(([name, value]) => looksSecret(value) || (secretName.test(name) && referredTo(value) === undefined))),
    ...each(stacks, 'AWS::Lambda::Function', ({ properties, template }) => {
      const policies = Object.values(resourcesOf(template, 'AWS::IAM::ManagedPolicy', world)).filter((policy) => list(policy['Roles']).includes(text(at(properties, 'Role')).replace('.Arn>', '>')))
      const granted = policies.flatMap((policy) => statementsOf(policy['PolicyDocument'])).filter((one) => one['Sid'] === 'ReadVariables').flatMap((one) => list(one['Resource']))
      const wanted = variablesOf(properties).flatMap(([, value]) => referredTo(value) ?? []).map((name) => `arn:aws:secretsmanager:${world.region}:${world.account}:secret:${name}-??????`)
      return policies.length === 1 && isDeepStrictEqual(granted, wanted)
    }),
    ...(Object.keys(variants) as Variant[]).flatMap((variant) => Object.entries(stacks.templates[variant]).flatMap(([stack, template]) => (looksSecret(template) ? [`${variant} ${stack}: something in it looks like a secret`] : []))),
    ...each(stacks, 'AWS::SecretsManager::Secret', ({ properties }) => properties['SecretString'] === undefined),
  ],
  'check 6: every environment is encrypted with our key': (stacks) => each(stacks, 'AWS::Lambda::Function', (one) => ourKey(one, one.properties['KmsKeyArn'])),
  'check 7: a resource * stands only beside actions that know no other': (stacks) =>
    each(stacks, 'AWS::IAM::ManagedPolicy', ({ properties }) =>
      statementsOf(properties['PolicyDocument']).every((one) => one['Effect'] !== 'Allow' || !list(one['Resource']).includes('*') || list(one['Action']).every((action) => actionsWithoutResource.includes(text(action))))),
  'check 8: no role has a policy that AWS manages, or one without a name': (stacks) => [
    ...each(stacks, 'AWS::IAM::Role', ({ properties }) => properties['ManagedPolicyArns'] === undefined && properties['Policies'] === undefined),
    ...found(stacks, 'AWS::IAM::Policy').map(({ where }) => `${where}: is an inline policy`),
  ],
  'check 13: no policy changes identities, or does everything': (stacks) => each(stacks, 'AWS::IAM::ManagedPolicy', ({ properties }) => !statementsOf(properties['PolicyDocument']).some((one) => one['Effect'] === 'Allow' && list(one['Action']).some((action) => /^(?:iam:|\*|[a-z0-9-]+:\*)/.test(text(action))))),
  'check 15: our own key decrypts the environment of its function, and secrets through Secrets Manager': (stacks) =>
    each(stacks, 'AWS::IAM::ManagedPolicy', ({ properties }) =>
      statementsOf(properties['PolicyDocument']).every((one) => !list(one['Action']).some((action) => text(action).startsWith('kms:')) || /^secretsmanager\.[\w.-]+$/.test(text(at(one, 'Condition', 'StringEquals', 'kms:ViaService'))) || /:function:latchkey-(?:read|keys|rotate)$/.test(text(at(one, 'Condition', 'StringEquals', 'kms:EncryptionContext:aws:lambda:FunctionArn'))))),
  'check 16: every way in asks who is there': (stacks) => [
    ...each(stacks, 'AWS::ApiGatewayV2::Route', ({ properties, variant }) => (variant === 'tokens' ? properties['AuthorizationType'] === 'JWT' && /^<\w+>$/.test(text(properties['AuthorizerId'])) : properties['AuthorizationType'] === 'AWS_IAM')),
    ...each(stacks, 'AWS::ApiGatewayV2::Authorizer', ({ properties }) => isDeepStrictEqual(properties['JwtConfiguration'], { Audience: ['latchkey'], Issuer: 'https://issuer.example' })),
    ...each(stacks, 'AWS::ApiGateway::Method', ({ properties }) => properties['AuthorizationType'] === 'AWS_IAM'),
    ...each(stacks, 'AWS::Lambda::Url', ({ properties }) => properties['AuthType'] === 'AWS_IAM'),
  ],
  'check 17: every stage has a throttle': (stacks) => [
    ...each(stacks, 'AWS::ApiGatewayV2::Stage', ({ properties }) => at(properties, 'DefaultRouteSettings', 'ThrottlingRateLimit') === 50 && at(properties, 'DefaultRouteSettings', 'ThrottlingBurstLimit') === 100),
    ...each(stacks, 'AWS::ApiGateway::Stage', ({ properties }) => list(properties['MethodSettings']).some((one) => at(one, 'HttpMethod') === '*' && at(one, 'ResourcePath') === '/*' && at(one, 'ThrottlingRateLimit') === 50 && at(one, 'ThrottlingBurstLimit') === 100)),
  ],
  'check 18: the access log is JSON, with nothing that a caller sent': (stacks) =>
    (['AWS::ApiGatewayV2::Stage', 'AWS::ApiGateway::Stage'] as const).flatMap((type) =>
      each(stacks, type, ({ properties }) => {
        const format = text(at(properties, type === 'AWS::ApiGateway::Stage' ? 'AccessLogSetting' : 'AccessLogSettings', 'Format'))
        const fields = Object.values(JSON.parse(format) as Readonly<Record<string, string>>)
        return fields.length > 5 && !fields.some((field) => /header|querystring|\.path\b|rawPath|\$input|domain/i.test(field) || !field.startsWith('$context.')) && at(properties, 'MethodSettings', '0', 'DataTraceEnabled') !== true
      })),
  'check 19: an API invokes a function for its own route only': (stacks) =>
    each(stacks, 'AWS::Lambda::Permission', ({ properties }) => properties['Principal'] !== 'apigateway.amazonaws.com' || /:execute-api:[\w-]+:\d{12}:<\w+>\/[^/]+\/(?:\*|GET|POST|PUT|DELETE)\/(?:secrets|key|events|health|ready|whoami|capabilities)/.test(text(properties['SourceArn'])) || text(properties['SourceArn'])),
  'check 20: the private API denies whoever comes another way, and keeps no answer': (stacks) => [
    ...each(stacks, 'AWS::ApiGateway::RestApi', ({ properties }) => {
      const policy = properties['Policy'] as PolicyDocument
      const ask = (vpce: string | undefined, caller = `arn:aws:iam::${world.account}:root`): boolean => decide({ endpoint: [policy] }, { action: 'execute-api:Invoke', resource: 'execute-api:/latchkey/GET/secrets', caller: { kind: 'AWS', id: caller }, context: { 'aws:SourceVpce': vpce } }).allowed
      const [ours] = text(at(policy, 'Statement', '0', 'Condition', 'StringEquals', 'aws:SourceVpce')).match(/^<Endpoint\w+>$/) ?? []
      return isDeepStrictEqual(at(properties, 'EndpointConfiguration', 'Types'), ['PRIVATE']) && ours !== undefined && ask(ours) && !ask('vpce-another') && !ask(undefined) && !ask(ours, 'arn:aws:iam::999999999999:root')
    }),
    ...each(stacks, 'AWS::ApiGateway::Stage', ({ properties }) => properties['CacheClusterEnabled'] === false && list(properties['MethodSettings']).every((one) => at(one, 'CacheTtlInSeconds') === 0 && at(one, 'CacheDataEncrypted') === true)),
    ...each(stacks, 'AWS::WAFv2::WebACL', ({ properties }) => at(properties, 'Rules', '0', 'Statement', 'RateBasedStatement', 'Limit') === 2000 && at(properties, 'Rules', '0', 'Action', 'Block') !== undefined),
    ...each(stacks, 'AWS::WAFv2::LoggingConfiguration', ({ properties }) => list(properties['RedactedFields']).length === 4),
  ],
  'check 21: the key rotates and outlives the stack': (stacks) => each(stacks, 'AWS::KMS::Key', (one) => one.properties['EnableKeyRotation'] === true && kept(one)),
  'check 22: the key is for this account, and for services only on its behalf': (stacks) =>
    each(stacks, 'AWS::KMS::Key', ({ properties }) =>
      statementsOf(properties['KeyPolicy']).every((one) => {
        const service = at(one, 'Principal', 'Service')
        if (service === undefined) return at(one, 'Principal', 'AWS') === `arn:aws:iam::${world.account}:root`
        const groups = list(at(one, 'Condition', 'ArnEquals', 'kms:EncryptionContext:aws:logs:arn'))
        return !list(one['Action']).includes('kms:*') && (at(one, 'Condition', 'StringEquals', 'aws:SourceAccount') === world.account || (groups.length > 0 && groups.every((group) => /:log-group:[\w/-]+$/.test(text(group)))))
      })),
  'check 23: Secrets Manager invokes the rotate function for secrets of this account only': (stacks) => {
    const permissions = found(stacks, 'AWS::Lambda::Permission').filter(({ properties }) => properties['Principal'] === 'secretsmanager.amazonaws.com')
    return permissions.length === Object.keys(variants).length ? permissions.filter(({ properties }) => properties['SourceAccount'] !== world.account).map(({ where }) => `${where}: of every account`) : [`${permissions.length} permissions`]
  },
  'check 24: the managed secret is rotated as often as configured, and not by an update of the stack': (stacks) =>
    each(stacks, 'AWS::SecretsManager::RotationSchedule', ({ properties }) => isDeepStrictEqual(properties['RotationRules'], { AutomaticallyAfterDays: 30 }) && properties['RotateImmediatelyOnUpdate'] === false && /rotateFunction/.test(text(properties['RotationLambdaARN']))),
  'check 25: secrets outlive the stack': (stacks) => each(stacks, 'AWS::SecretsManager::Secret', (one) => kept(one) && ourKey(one, one.properties['KmsKeyId'])),
  'check 26: what cannot be delivered goes to the dead letters, after a bounded time': (stacks) => [
    ...each(stacks, 'AWS::Events::Rule', ({ properties }) => list(properties['Targets']).length > 0 && list(properties['Targets']).every(delivered)),
    ...each(stacks, 'AWS::Scheduler::Schedule', ({ properties }) => delivered(properties['Target'])),
    ...each(stacks, 'AWS::Lambda::EventInvokeConfig', ({ properties }) => Number(properties['MaximumEventAgeInSeconds']) > 0 && properties['MaximumRetryAttempts'] !== undefined),
    ...each(stacks, 'AWS::Lambda::Function', ({ properties }) => /DeadLetters/.test(text(at(properties, 'DeadLetterConfig', 'TargetArn')))),
  ],
  'check 27: dead letters travel over TLS and lie encrypted': (stacks) => [
    ...each(stacks, 'AWS::SQS::Queue', ({ properties }) => properties['SqsManagedSseEnabled'] === true && properties['MessageRetentionPeriod'] === 1_209_600),
    ...each(stacks, 'AWS::SQS::QueuePolicy', ({ properties }) => statementsOf(properties['PolicyDocument']).some((one) => one['Effect'] === 'Deny' && at(one, 'Condition', 'Bool', 'aws:SecureTransport') === 'false' && list(one['Action']).includes('sqs:*')) && statementsOf(properties['PolicyDocument']).every((one) => one['Effect'] === 'Deny' || at(one, 'Condition', 'ArnEquals', 'aws:SourceArn') !== undefined)),
  ],
  'check 28: alarms and events of this account get through the encrypted topic, and nobody else': (stacks) =>
    publishers.flatMap((service) => [
      ...each(stacks, 'AWS::KMS::Key', ({ properties }) => letsIn(properties['KeyPolicy'], service, 'kms:GenerateDataKey') && letsIn(properties['KeyPolicy'], service, 'kms:Decrypt')),
      ...each(stacks, 'AWS::SNS::TopicPolicy', ({ properties }) => letsIn(properties['PolicyDocument'], service, 'sns:Publish') && statementsOf(properties['PolicyDocument']).every((one) => one['Effect'] === 'Deny' || one['Condition'] !== undefined)),
      ...each(stacks, 'AWS::SNS::Topic', (one) => ourKey(one, one.properties['KmsMasterKeyId'])),
    ]),
  'check 29: an isolated network has no way out': (stacks) => [
    ...['AWS::EC2::NatGateway', 'AWS::EC2::InternetGateway', 'AWS::EC2::EgressOnlyInternetGateway', 'AWS::EC2::VPCPeeringConnection', 'AWS::EC2::Route'].flatMap((type) => found(stacks, type).map(({ where }) => `${where}: is a way out`)),
    ...each(stacks, 'AWS::EC2::SecurityGroup', ({ properties }) => outOf(properties['SecurityGroupEgress']).length === 0 && outOf(properties['SecurityGroupIngress']).length === 0),
    ...each(stacks, 'AWS::EC2::SecurityGroupEgress', ({ properties }) => properties['DestinationSecurityGroupId'] !== undefined && properties['FromPort'] === 443 && properties['ToPort'] === 443),
    ...each(stacks, 'AWS::EC2::Subnet', ({ properties }) => properties['MapPublicIpOnLaunch'] === false),
    ...found(stacks, 'AWS::Lambda::Function').filter(({ variant, properties }) => (stacks.configs[variant].network.mode === 'isolated') !== (properties['VpcConfig'] !== undefined)).map(({ where }) => `${where}: is not where the configuration says`),
  ],
  'check 30: a network has the endpoints that the configuration needs, each with a policy and its private name': (stacks) => [
    ...(Object.keys(variants) as Variant[]).flatMap((variant) => {
      const there = found(stacks, 'AWS::EC2::VPCEndpoint').filter((one) => one.variant === variant && !one.where.includes('LatchkeyEdge')).map(({ properties }) => text(properties['ServiceName']).split('.').at(-1) ?? '').toSorted()
      const { network, services } = stacks.configs[variant]
      const wanted = network.mode === 'isolated' ? services.toSorted() : []
      return isDeepStrictEqual(there, wanted) ? [] : [`${variant}: has ${there.join(', ')}, and needs ${wanted.join(', ')}`]
    }),
    ...each(stacks, 'AWS::EC2::VPCEndpoint', ({ properties }) => properties['PrivateDnsEnabled'] === true && statementsOf(properties['PolicyDocument']).length > 0 && statementsOf(properties['PolicyDocument']).every((one) => !list(one['Action']).includes('*') && (!list(one['Resource']).includes('*') || one['Condition'] !== undefined))),
  ],
}
