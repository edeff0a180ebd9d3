// One function of Latchkey: runtime, architecture, log, key, concurrency, dead letters and role are fixed here, so that none can be without them. It may do what its
// statements say, write to its own log, and decrypt its own environment.
import { join } from 'node:path'
import { ArnFormat, type Duration, RemovalPolicy, Stack } from 'aws-cdk-lib'
import type { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2'
import { ManagedPolicy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { Alias, ApplicationLogLevel, Architecture, Code, Function, type IFunction, LoggingFormat, RecursiveLoop, Runtime, SystemLogLevel, Tracing } from 'aws-cdk-lib/aws-lambda'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { IQueue } from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import { lambdaName, logGroupName, roleName, type FunctionName } from '../names.ts'
import { networkInterfaceStatements, tracingStatements, type Statement } from '../policies.ts'

/** Where a function's network interfaces are; without one it runs in the service's own network. */
export interface Placement {
  readonly vpc: IVpc
  readonly subnets: SubnetSelection
  readonly securityGroups: readonly ISecurityGroup[]
}

/** What all functions of a deployment share. */
export interface SharedFunctionProps {
  /** Begins the names of function, role and log group. */
  readonly deployment: string
  /** The folder of the bundles: `<codeRoot>/<function>`. */
  readonly codeRoot: string
  /** Encrypts environments and logs. */
  readonly key: IKey
  /** Where an event goes that failed for good. */
  readonly deadLetters: IQueue
  readonly environment: Readonly<Record<string, string>>
  readonly memoryMb: number
  readonly logRetention: RetentionDays
  readonly logLevel: ApplicationLogLevel
  readonly tracing: boolean
  readonly placement?: Placement
}

/** What differs between Latchkey's functions. */
export interface LatchkeyFunctionProps extends SharedFunctionProps {
  readonly name: FunctionName
  readonly description: string
  readonly statements: readonly Statement[]
  readonly timeout: Duration
  /** The most instances at a time: what a flood can cost, and what it can take from the account's other functions. */
  readonly reservedConcurrency: number
  /** Instances that are kept warm. Default: none. */
  readonly provisionedConcurrency?: number
}

/** A function, its role and its log. */
export class LatchkeyFunction extends Construct {
  readonly function: Function
  readonly role: Role
  readonly logGroup: LogGroup
  /** What callers invoke: the function, or the alias whose instances are kept warm. */
  readonly callee: IFunction

  constructor(scope: Construct, id: string, props: LatchkeyFunctionProps) {
    super(scope, id)
    const { deployment, name, description, key, deadLetters, tracing, placement, provisionedConcurrency = 0 } = props
    const functionName = lambdaName(deployment, name)
    this.logGroup = new LogGroup(this, 'Log', { logGroupName: logGroupName(deployment, name), encryptionKey: key, retention: props.logRetention, removalPolicy: RemovalPolicy.RETAIN })
    this.role = new Role(this, 'Role', { roleName: roleName(deployment, name), assumedBy: new ServicePrincipal('lambda.amazonaws.com'), description })
    const policy = this.allowed(props)
    this.function = new Function(this, 'Function', {
      functionName,
      description,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      code: Code.fromAsset(join(props.codeRoot, name)),
      handler: `${name}.handler`,
      // Without this CDK would widen the role by inline policies of its own.
      role: this.role.withoutPolicyUpdates(),
      memorySize: props.memoryMb,
      timeout: props.timeout,
      reservedConcurrentExecutions: props.reservedConcurrency,
      recursiveLoop: RecursiveLoop.TERMINATE,
      environment: { ...props.environment },
      environmentEncryption: key,
      logGroup: this.logGroup,
      loggingFormat: LoggingFormat.JSON,
      systemLogLevelV2: SystemLogLevel.WARN,
      applicationLogLevelV2: props.logLevel,
      tracing: tracing ? Tracing.ACTIVE : Tracing.DISABLED,
      deadLetterQueue: deadLetters,
      ...(placement === undefined ? {} : { vpc: placement.vpc, vpcSubnets: placement.subnets, securityGroups: [...placement.securityGroups] }),
    })
    this.function.node.addDependency(policy)
    this.callee = provisionedConcurrency === 0 ? this.function : new Alias(this, 'Live', { aliasName: 'live', version: this.function.currentVersion, provisionedConcurrentExecutions: provisionedConcurrency })
  }

  private allowed({ deployment, name, description, statements, key, deadLetters, tracing, placement }: LatchkeyFunctionProps): ManagedPolicy {
    const arn = Stack.of(this).formatArn({ service: 'lambda', resource: 'function', resourceName: lambdaName(deployment, name), arnFormat: ArnFormat.COLON_RESOURCE_NAME })
    const written = [...statements, ...(tracing ? tracingStatements() : []), ...(placement === undefined ? [] : networkInterfaceStatements(arn))]
    return new ManagedPolicy(this, 'Policy', {
      description,
      roles: [this.role],
      statements: [
        ...written.map((statement) => PolicyStatement.fromJson(statement)),
        new PolicyStatement({ sid: 'WriteOwnLog', actions: ['logs:CreateLogStream', 'logs:PutLogEvents'], resources: [this.logGroup.logGroupArn] }),
        new PolicyStatement({ sid: 'DecryptOwnEnvironment', actions: ['kms:Decrypt'], resources: [key.keyArn], conditions: { StringEquals: { 'kms:EncryptionContext:aws:lambda:FunctionArn': arn } } }),
        new PolicyStatement({ sid: 'LeaveDeadLetters', actions: ['sqs:SendMessage'], resources: [deadLetters.queueArn] }),
      ],
    })
  }
}

/** The levels of our log as Lambda filters them. */
export const logLevels = { debug: ApplicationLogLevel.DEBUG, info: ApplicationLogLevel.INFO, warn: ApplicationLogLevel.WARN, error: ApplicationLogLevel.ERROR } as const
