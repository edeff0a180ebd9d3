// What calls the rotate function: AWS's own rotation, the schedule of the sweep, and events of changed secrets. What cannot be delivered, or fails for good, lies in
// one dead-letter queue; it holds names, never values, so SQS's own key encrypts it and its senders need no right to ours.
import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib'
import { Rule } from 'aws-cdk-lib/aws-events'
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets'
import { ManagedPolicy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { CfnPermission, type Function } from 'aws-cdk-lib/aws-lambda'
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler'
import { CfnRotationSchedule, type ISecret } from 'aws-cdk-lib/aws-secretsmanager'
import type { ITopic } from 'aws-cdk-lib/aws-sns'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'

/** The queue of what failed for good: encrypted, over TLS only, kept for 14 days. */
export class DeadLetters extends Construct {
  readonly queue: Queue

  constructor(scope: Construct, id: string, { queueName }: { readonly queueName: string }) {
    super(scope, id)
    this.queue = new Queue(this, 'Queue', { queueName, encryption: QueueEncryption.SQS_MANAGED, enforceSSL: true, retentionPeriod: Duration.days(14), removalPolicy: RemovalPolicy.DESTROY })
  }
}

/** A secret that AWS rotates by our function. */
export interface RotatedSecret {
  readonly secret: ISecret
  readonly afterDays: number
}

/** What calls the rotate function, and how often. */
export interface RotationWiringProps {
  readonly deployment: string
  readonly function: Function
  readonly deadLetters: Queue
  /** Where a rotation that failed is told. */
  readonly alerts: ITopic
  /** Every so many minutes what is due is rotated and what has expired is ended. */
  readonly sweepMinutes: number
  /** Changes of secrets whose names begin so are told to the function. Default: none are. */
  readonly changesBelow?: string
  readonly rotated?: RotatedSecret
}

/** An event that is more than an hour old is not acted on: the sweep does what is still due. */
const maxAge = Duration.hours(1)
const retryAttempts = 2
/** What Scheduler fills in by itself. */
const scheduledTime = '<aws.scheduler.scheduled-time>'

/** Permission, schedules and rules. */
export class RotationWiring extends Construct {
  constructor(scope: Construct, id: string, { function: rotate, deadLetters, alerts, deployment, sweepMinutes, changesBelow, rotated }: RotationWiringProps) {
    super(scope, id)
    const { account } = Stack.of(this)
    rotate.configureAsyncInvoke({ maxEventAge: maxAge, retryAttempts })
    // Without the account any secret of anybody could have the function invoked; the construct of the library leaves it out (aws-cdk #28406).
    const permission = new CfnPermission(this, 'SecretsManagerMayInvoke', { action: 'lambda:InvokeFunction', functionName: rotate.functionArn, principal: 'secretsmanager.amazonaws.com', sourceAccount: account })
    if (rotated !== undefined) {
      const schedule = new CfnRotationSchedule(this, 'Schedule', { secretId: rotated.secret.secretArn, rotationLambdaArn: rotate.functionArn, rotateImmediatelyOnUpdate: false, rotationRules: { automaticallyAfterDays: rotated.afterDays } })
      schedule.node.addDependency(permission)
    }
    const delivery = { deadLetterQueue: deadLetters, maxEventAge: maxAge, retryAttempts }
    if (changesBelow !== undefined) {
      new Rule(this, 'Changed', {
        description: 'A secret has another value: what is cached of it is stale',
        eventPattern: { source: ['aws.secretsmanager'], detailType: ['Secret Label Updated'], detail: { name: [{ prefix: changesBelow }] } },
        targets: [new LambdaFunction(rotate, delivery)],
      })
    }
    const failed = new Rule(this, 'Failed', {
      description: 'AWS gave up a rotation; it is told only where a trail records management events',
      eventPattern: { source: ['aws.secretsmanager'], detailType: ['AWS Service Event via CloudTrail'], detail: { eventName: ['RotationFailed', 'RotationAbandoned'] } },
      // Written by hand: the library's own target would let the events of every account in, at the topic and at its key.
      targets: [{ bind: () => ({ arn: alerts.topicArn, deadLetterConfig: { arn: deadLetters.queueArn }, retryPolicy: { maximumEventAgeInSeconds: maxAge.toSeconds(), maximumRetryAttempts: retryAttempts } }) }],
    })
    deadLetters.addToResourcePolicy(new PolicyStatement({ sid: 'FailedRotations', principals: [new ServicePrincipal('events.amazonaws.com')], actions: ['sqs:SendMessage'], resources: [deadLetters.queueArn], conditions: { ArnEquals: { 'aws:SourceArn': failed.ruleArn } } }))
    this.sweep(rotate, deadLetters, deployment, sweepMinutes)
  }

  private sweep(rotate: Function, deadLetters: Queue, deployment: string, sweepMinutes: number): void {
    const scheduleName = `${deployment}-sweep`
    const { account } = Stack.of(this)
    const arn = Stack.of(this).formatArn({ service: 'scheduler', resource: 'schedule', resourceName: `default/${scheduleName}` })
    const role = new Role(this, 'SchedulerRole', {
      roleName: `${deployment}-scheduler`,
      description: 'EventBridge Scheduler starts the sweep',
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', { conditions: { StringEquals: { 'aws:SourceAccount': account }, ArnEquals: { 'aws:SourceArn': arn } } }),
    })
    const policy = new ManagedPolicy(this, 'SchedulerPolicy', {
      description: 'EventBridge Scheduler starts the sweep',
      roles: [role],
      statements: [
        new PolicyStatement({ sid: 'Sweep', actions: ['lambda:InvokeFunction'], resources: [rotate.functionArn] }),
        new PolicyStatement({ sid: 'DeadLetters', actions: ['sqs:SendMessage'], resources: [deadLetters.queueArn] }),
      ],
    })
    const schedule = new CfnSchedule(this, 'Sweep', {
      name: scheduleName,
      description: 'What is due is rotated, what has expired is ended',
      scheduleExpression: `rate(${sweepMinutes} minute${sweepMinutes === 1 ? '' : 's'})`,
      flexibleTimeWindow: { mode: 'FLEXIBLE', maximumWindowInMinutes: Math.max(1, Math.floor(sweepMinutes / 3)) },
      target: {
        arn: rotate.functionArn,
        roleArn: role.roleArn,
        input: JSON.stringify({ source: 'latchkey.scheduler', action: 'rotate due', scheduledTime }),
        deadLetterConfig: { arn: deadLetters.queueArn },
        retryPolicy: { maximumEventAgeInSeconds: maxAge.toSeconds(), maximumRetryAttempts: retryAttempts },
      },
    })
    schedule.node.addDependency(policy)
  }
}
