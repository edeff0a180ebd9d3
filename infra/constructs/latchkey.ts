// `Latchkey`: functions, front door, key, rotation, alarms and network of one deployment, as a construct for any stack. It reads like a table of contents.
import { Annotations, Aws, Duration, Stack } from 'aws-cdk-lib'
import type { IVpc } from 'aws-cdk-lib/aws-ec2'
import { Grant, ManagedPolicy, PolicyStatement, type IGrantable } from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { FunctionUrlAuthType, type Function, type FunctionUrl } from 'aws-cdk-lib/aws-lambda'
import type { Queue } from 'aws-cdk-lib/aws-sqs'
import { Topic, type ITopic } from 'aws-cdk-lib/aws-sns'
import { Construct } from 'constructs'
import { acknowledge, acknowledgeSecrets, acknowledgeWildcard } from '../deployment/acknowledgements.ts'
import type { InfraConfig } from '../config.ts'
import { endpointPolicies } from '../endpoint-policies.ts'
import { functionStatements } from '../deployment/function-statements.ts'
import { allLogGroups, logGroups } from '../deployment/log-groups.ts'
import { referencesOf } from '../deployment/variables.ts'
import { invokerRoleName, type FunctionName, type Place } from '../names.ts'
import { assumeStatements, type RoleToAssume } from '../policies.ts'
import { InvokerRole, invokesApi, invokesUrls } from './invoker-role.ts'
import { LatchkeyApi } from './latchkey-api.ts'
import { LatchkeyFunction, logLevels, type Placement, type SharedFunctionProps } from './latchkey-function.ts'
import { LatchkeyKey } from './latchkey-key.ts'
import { existingPlacement, LatchkeyNetwork } from './latchkey-network.ts'
import { MasterKey, masterKeyName } from './master-key.ts'
import { Alerts, LatchkeyAlarms } from './observability.ts'
import { DeadLetters, RotationWiring } from './rotation.ts'

/** What a deployment is made of. */
export interface LatchkeyProps {
  readonly config: InfraConfig
  /** A VPC of the app, under `network.mode: existing`. Default: the one that the settings name. */
  readonly vpc?: IVpc
  /** A key of yours, whose policy lets CloudWatch Logs in and, without `alarmTopic`, CloudWatch and EventBridge. Default: a new one. */
  readonly existingKey?: IKey
  /** Where alarms go. Default: a new topic, or the one that the settings name. */
  readonly alarmTopic?: ITopic
  /** The folder of the built functions. Default: `dist/lambda`. */
  readonly codeRoot?: string
}

const descriptions: Readonly<Record<FunctionName, string>> = { read: 'Latchkey: reads secrets', keys: 'Latchkey: makes and changes virtual keys and secrets', rotate: 'Latchkey: rotates on events and schedules' }
/** An API waits half a minute; a sweep goes on for as long as it may. */
const timeouts: Readonly<Record<FunctionName, Duration>> = { read: Duration.seconds(30), keys: Duration.seconds(30), rotate: Duration.minutes(5) }

/** A deployment of Latchkey. */
export class Latchkey extends Construct {
  readonly key: IKey
  readonly functions: Readonly<Record<FunctionName, LatchkeyFunction>>
  readonly deadLetters: Queue
  readonly alerts: ITopic
  readonly alarms: LatchkeyAlarms
  /** Absent under `api.kind: function_url` and `rest_private`. */
  readonly api: LatchkeyApi | undefined
  /** Under `api.kind: function_url`. */
  readonly urls: Readonly<Record<'read' | 'keys', FunctionUrl>> | undefined
  /** Absent under `api.kind: rest_private`, where the API's own policy says who may call. */
  readonly invoker: InvokerRole | undefined
  /** Under `network.mode: isolated`. */
  readonly network: LatchkeyNetwork | undefined
  /** Where the functions stand; absent under `network.mode: none`. */
  readonly placement: Placement | undefined
  private readonly config: InfraConfig

  constructor(scope: Construct, id: string, { config, vpc, existingKey, alarmTopic, codeRoot = 'dist/lambda' }: LatchkeyProps) {
    super(scope, id)
    this.config = config
    const logs = logGroups(config.name)
    const logRetention = config.observability.log_retention_days
    this.key = existingKey ?? new LatchkeyKey(this, 'Key', { alias: config.name, description: `Latchkey ${config.name}: environments, logs, alarms and the master key`, logGroups: allLogGroups(config.name) }).key
    const master = config.schedule.managed_master_key ? new MasterKey(this, 'MasterKey', { name: masterKeyName(config), key: this.key }).secret : undefined
    this.network = config.network.mode === 'isolated' ? new LatchkeyNetwork(this, 'Network', { deployment: config.name, cidr: config.network.cidr, zones: config.network.zones, endpoints: endpointPolicies(config, this.place()).map(([service, statements]) => ({ service, statements })), flowLogName: logs.network, key: this.key, logRetention }) : undefined
    this.placement = config.network.mode === 'existing' ? existingPlacement(this, config.network, vpc) : this.network?.placement
    this.deadLetters = new DeadLetters(this, 'DeadLetters', { queueName: `${config.name}-dead-letters` }).queue
    this.functions = this.makeFunctions({ deployment: config.name, codeRoot, key: this.key, deadLetters: this.deadLetters, environment: this.environment(), memoryMb: config.functions.memory_mb, logRetention, logLevel: logLevels[config.observability.log_level], tracing: config.functions.tracing, ...(this.placement === undefined ? {} : { placement: this.placement }) }, master === undefined ? [] : [this.key.keyArn])
    const { read, keys, rotate } = this.functions
    this.alerts = alarmTopic ?? this.topic()
    new RotationWiring(this, 'Rotation', { deployment: config.name, function: rotate.function, deadLetters: this.deadLetters, alerts: this.alerts, sweepMinutes: config.schedule.sweep_every_minutes, ...(config.schedule.change_events ? { changesBelow: config.prefix } : {}), ...(master === undefined ? {} : { rotated: { secret: master, afterDays: config.schedule.rotation_every_days } }) })
    this.api = config.api.kind === 'http' ? new LatchkeyApi(this, 'Api', { name: config.name, functions: { read: read.callee, keys: keys.callee }, auth: this.auth(), throttle: { rate: config.api.throttle_rate, burst: config.api.throttle_burst }, accessLogName: logs.api, key: this.key, logRetention }) : undefined
    this.urls = config.api.kind === 'function_url' ? { read: read.callee.addFunctionUrl({ authType: FunctionUrlAuthType.AWS_IAM }), keys: keys.callee.addFunctionUrl({ authType: FunctionUrlAuthType.AWS_IAM }) } : undefined
    const calls = this.calls()
    this.invoker = calls.length === 0 ? undefined : new InvokerRole(this, 'Invoker', { roleName: invokerRoleName(config.name), ...(config.api.invoker_principals === undefined ? {} : { principals: config.api.invoker_principals }), statements: calls })
    this.alarms = new LatchkeyAlarms(this, 'Alarms', { deployment: config.name, functions: this.functions, deadLetters: this.deadLetters, topic: this.alerts, sweepMinutes: config.schedule.sweep_every_minutes, dashboard: config.observability.dashboard, ...(this.api === undefined ? {} : { apiErrors: this.api.api.metricServerError({ period: Duration.minutes(5) }) }) })
    this.acknowledgeFindings()
    for (const { path, message } of config.warnings) Annotations.of(this).addWarningV2(`latchkey:${path}`, `${config.file}: ${message}`)
  }

  get readFunction(): Function {
    return this.functions.read.function
  }

  get keysFunction(): Function {
    return this.functions.keys.function
  }

  get rotateFunction(): Function {
    return this.functions.rotate.function
  }

  /** Lets somebody of this app call the front door. */
  grantInvoke(grantee: IGrantable): Grant {
    const statements = this.calls()
    return Grant.addToPrincipal({ grantee, actions: statements.flatMap(({ actions }) => actions), resourceArns: statements.flatMap(({ resources }) => resources) })
  }

  /** Lets the functions assume a role that the file does not name, such as one of a team whose settings are kept elsewhere. */
  addTeam(id: string, role: RoleToAssume): void {
    new ManagedPolicy(this, id, { description: 'Latchkey assumes the role of a team', roles: Object.values(this.functions).map((one) => one.role), statements: assumeStatements([role], this.place()).map((statement) => PolicyStatement.fromJson(statement)) })
  }

  private place(): Place {
    const { partition, region, account } = Stack.of(this)
    return { partition, region, account }
  }

  private makeFunctions(shared: SharedFunctionProps, ownKeys: readonly string[]): Readonly<Record<FunctionName, LatchkeyFunction>> {
    const statements = functionStatements(this.config, this.place(), ownKeys)
    const { read_concurrency, keys_concurrency, rotate_concurrency, provisioned_concurrency } = this.config.functions
    const concurrency = { read: read_concurrency, keys: keys_concurrency, rotate: rotate_concurrency }
    const make = (name: FunctionName, provisionedConcurrency = 0): LatchkeyFunction => new LatchkeyFunction(this, name, { ...shared, environment: { ...shared.environment, ...referencesOf(this.config, name) }, name, description: descriptions[name], statements: statements[name], timeout: timeouts[name], reservedConcurrency: concurrency[name], provisionedConcurrency })
    return { read: make('read', provisioned_concurrency), keys: make('keys'), rotate: make('rotate') }
  }

  /** What every function is told beside the file that lies in its bundle. */
  private environment(): Readonly<Record<string, string>> {
    const { environment, roles, stsEndpoint } = this.config
    return roles.length > 0 && stsEndpoint === undefined ? { ...environment, AWS_ENDPOINT_URL_STS: `https://sts.${Stack.of(this).region}.${Aws.URL_SUFFIX}` } : environment
  }

  private topic(): ITopic {
    const { alarm_topic_arn: given, alarm_email: email } = this.config.observability
    return given === undefined ? new Alerts(this, 'Alerts', { topicName: `${this.config.name}-alerts`, key: this.key, ...(email === undefined ? {} : { email }) }).topic : Topic.fromTopicArn(this, 'Alerts', given)
  }

  private auth(): ConstructorParameters<typeof LatchkeyApi>[2]['auth'] {
    const { authorizer, jwt_issuer: issuer = '', jwt_audience: audiences = [] } = this.config.api
    return authorizer === 'iam' ? { kind: 'iam' } : { kind: 'jwt', issuer, audiences }
  }

  /** What a caller needs; nothing where tokens, or the API's own policy, decide. */
  private calls(): readonly PolicyStatement[] {
    if (this.urls !== undefined) return invokesUrls([this.functions.read.callee.functionArn, this.functions.keys.callee.functionArn])
    return this.api === undefined || this.config.api.authorizer === 'jwt' ? [] : [invokesApi(this, this.api.api.apiId)]
  }

  private acknowledgeFindings(): void {
    const { network } = this.config
    if (network.mode === 'none') acknowledge(this, 'NIST.800.53.R5-LambdaInsideVPC', 'The functions hold no network address and take no connection; they reach AWS over TLS with signed requests. network.mode: isolated puts them into a VPC.')
    if (network.mode === 'isolated') acknowledge(this, 'NIST.800.53.R5-VPCDefaultSecurityGroupClosed', 'Nothing uses the default group, the subnets have no route out of the VPC, and emptying the group would need one more function with rights to change networks.')
    acknowledgeSecrets(this, this.config, this.place())
    if (this.invoker !== undefined && this.api !== undefined) for (const { resources } of this.calls()) for (const resource of resources) acknowledgeWildcard(this.invoker, resource, "Routes hold names; which of them a caller may use is decided by Latchkey's own grants.")
  }
}
