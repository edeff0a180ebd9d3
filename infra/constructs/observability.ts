// Who is told when something goes wrong: alarms on functions, API and dead letters, on refusals by AWS (a tenant's trust that was cut shows there first), on a rotation
// that is overdue and on a sweep that no longer comes; and one dashboard.
import { Duration, Stack } from 'aws-cdk-lib'
import { Alarm, ComparisonOperator, Dashboard, GraphWidget, type IMetric, Metric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch'
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions'
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import type { ILogGroup } from 'aws-cdk-lib/aws-logs'
import { FilterPattern, MetricFilter } from 'aws-cdk-lib/aws-logs'
import { type ITopic, Topic } from 'aws-cdk-lib/aws-sns'
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions'
import type { IQueue } from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import type { FunctionName } from '../names.ts'
import type { LatchkeyFunction } from './latchkey-function.ts'

/** A topic for alarms, encrypted by our key; only CloudWatch and EventBridge of this account publish. */
export class Alerts extends Construct {
  readonly topic: Topic

  constructor(scope: Construct, id: string, { topicName, key, email }: { readonly topicName: string; readonly key: IKey; readonly email?: string }) {
    super(scope, id)
    this.topic = new Topic(this, 'Topic', { topicName, masterKey: key, enforceSSL: true })
    const { account } = Stack.of(this)
    for (const service of ['cloudwatch', 'events']) this.topic.addToResourcePolicy(new PolicyStatement({ sid: `From${service}`, principals: [new ServicePrincipal(`${service}.amazonaws.com`)], actions: ['sns:Publish'], resources: [this.topic.topicArn], conditions: { StringEquals: { 'aws:SourceAccount': account } } }))
    if (email !== undefined) this.topic.addSubscription(new EmailSubscription(email))
  }
}

/** What is watched. */
export interface LatchkeyAlarmsProps {
  readonly deployment: string
  readonly functions: Readonly<Record<FunctionName, LatchkeyFunction>>
  readonly deadLetters: IQueue
  readonly topic: ITopic
  readonly sweepMinutes: number
  /** Errors of the front door, where it has a count of its own. */
  readonly apiErrors?: Metric
  readonly dashboard: boolean
}

const period = Duration.minutes(5)
/** How late a rotation may be before somebody is told. */
const mostOverdue = Duration.days(3)

/** The alarms, and the dashboard where one is wanted. */
export class LatchkeyAlarms extends Construct {
  readonly dashboard: Dashboard | undefined
  private readonly action: SnsAction
  private readonly deployment: string

  constructor(scope: Construct, id: string, { deployment, functions, deadLetters, topic, sweepMinutes, apiErrors, dashboard }: LatchkeyAlarmsProps) {
    super(scope, id)
    this.action = new SnsAction(topic)
    this.deployment = deployment
    const all = Object.entries(functions)
    for (const [name, { function: watched }] of all) {
      this.alarm(`${name}-errors`, watched.metricErrors({ period }), `The function ${name} failed.`)
      this.alarm(`${name}-throttles`, watched.metricThrottles({ period }), `The function ${name} was asked for more instances than it may have.`)
    }
    this.alarm('dead-letters', deadLetters.metricApproximateNumberOfMessagesVisible({ period, statistic: 'Maximum' }), 'Something failed for good; the message names it.')
    if (apiErrors !== undefined) this.alarm('api-errors', apiErrors, 'The API answered 5xx.', 5)
    const refused = this.counted('AccessDenied', all.map(([, { logGroup }]) => logGroup), { code: 'provider_denied' })
    this.alarm('access-denied', refused, 'AWS refused Latchkey something: a policy or a trust was changed.')
    // One sweep that is missed is Scheduler's flexible window; two are not. An alarm looks back one day at most.
    const twoSweeps = Duration.minutes(Math.min(1440, sweepMinutes * 2))
    const swept = this.counted('Swept', [functions.rotate.logGroup], { code: 'swept' }, twoSweeps)
    if (sweepMinutes <= 720) this.alarm('sweep-missing', swept, 'No sweep came to its end: keys that are due are not rotated.', 1, { comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD, treatMissingData: TreatMissingData.BREACHING })
    const overdue = this.counted('RotationOverdue', [functions.rotate.logGroup], { code: 'rotation_overdue' }, twoSweeps, '$.overdue_seconds')
    this.alarm('rotation-overdue', overdue, 'A key should have been rotated three days ago, and the sweep cannot.', mostOverdue.toSeconds())
    this.dashboard = dashboard ? this.board(all, deadLetters, refused, apiErrors) : undefined
  }

  /** Counts lines of our JSON log in which these fields have these values; or takes the most that a number in them was. */
  private counted(metricName: string, logs: readonly ILogGroup[], fields: Readonly<Record<string, string>>, over = period, number?: string): Metric {
    const namespace = `Latchkey/${this.deployment}`
    const pattern = FilterPattern.all(...Object.entries(fields).map(([name, value]) => FilterPattern.stringValue(`$.${name}`, '=', value)))
    logs.forEach((logGroup, index) => new MetricFilter(this, `${metricName}${index}`, { logGroup, filterPattern: pattern, metricNamespace: namespace, metricName, metricValue: number ?? '1' }))
    return new Metric({ namespace, metricName, statistic: number === undefined ? 'Sum' : 'Maximum', period: over })
  }

  private alarm(name: string, metric: IMetric, description: string, threshold = 1, more: { readonly comparisonOperator?: ComparisonOperator; readonly treatMissingData?: TreatMissingData } = {}): void {
    const alarm = new Alarm(this, name, { alarmName: `${this.deployment}-${name}`, alarmDescription: description, metric, threshold, evaluationPeriods: 1, comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD, treatMissingData: TreatMissingData.NOT_BREACHING, ...more })
    alarm.addAlarmAction(this.action)
  }

  private board(functions: readonly (readonly [string, LatchkeyFunction])[], deadLetters: IQueue, refused: Metric, apiErrors: Metric | undefined): Dashboard {
    const graph = (title: string, left: IMetric[]): GraphWidget => new GraphWidget({ title, left, width: 8 })
    const dashboard = new Dashboard(this, 'Dashboard', { dashboardName: this.deployment })
    dashboard.addWidgets(
      graph('Calls', functions.map(([, one]) => one.function.metricInvocations({ period }))),
      graph('Time, 99 of 100', functions.map(([, one]) => one.function.metricDuration({ period, statistic: 'p99' }))),
      graph('Errors', [...functions.map(([, one]) => one.function.metricErrors({ period })), ...(apiErrors === undefined ? [] : [apiErrors])]),
    )
    dashboard.addWidgets(graph('Refused by AWS', [refused]), graph('Dead letters', [deadLetters.metricApproximateNumberOfMessagesVisible({ period })]), graph('Throttled', functions.map(([, one]) => one.function.metricThrottles({ period }))))
    return dashboard
  }
}
