// Who is told that an event is lost to the rotation: one that Event Grid could not deliver, or threw away, and one that the app gave up or refused. Each is kept, and somebody has to look at it.
import { queueName } from './apps.ts'
import { call, format, idOf, parameter, type Resource } from './arm.ts'
import { workspace } from './vault.ts'

const named = parameter('alertEmail')
const wanted = call('not', call('empty', named))

/** Deployed only where there is an address. Without one the alerts stand in the portal. */
const people: Resource = {
  type: 'Microsoft.Insights/actionGroups',
  apiVersion: '2023-01-01',
  name: [format('{0}-alerts', parameter('name'))],
  condition: wanted,
  body: { location: 'global', properties: { groupShortName: parameter('name'), enabled: true, emailReceivers: [{ name: 'operators', emailAddress: named, useCommonAlertSchema: true }] } },
}

/** Looked at every five minutes: a single event is one too many. */
const counted = (topic: Resource, name: string, metricName: string, description: string): Resource => ({
  type: 'Microsoft.Insights/metricAlerts',
  apiVersion: '2018-03-01',
  name: [format(`{0}-${name}`, parameter('name'))],
  body: {
    location: 'global',
    properties: {
      description,
      severity: 1,
      enabled: true,
      scopes: [idOf(topic)],
      evaluationFrequency: 'PT5M',
      windowSize: 'PT5M',
      criteria: { 'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria', allOf: [{ criterionType: 'StaticThresholdCriterion', name, metricNamespace: topic.type, metricName, operator: 'GreaterThan', threshold: 0, timeAggregation: 'Total' }] },
      actions: call('if', wanted, call('createArray', call('createObject', 'actionGroupId', idOf(people))), call('createArray')),
    },
  },
})

/**
 * What the host logs when it gives a message up, and what our own line says of one that no repetition can mend: both come to lie in the poison queue. No metric knows one queue of an
 * account from another.
 */
const query = `AppTraces | where (Message contains 'MaxDequeueCount' and Message contains '${queueName}-poison') or Message contains '"action":"events:rotate","decision":"denied"'`

const poisoned: Resource = {
  type: 'Microsoft.Insights/scheduledQueryRules',
  apiVersion: '2022-08-01-preview',
  name: [format('{0}-poison', parameter('name'))],
  body: {
    location: parameter('location'),
    properties: {
      description: 'An event was handled three times in vain, or refused: it lies in the poison queue.',
      severity: 1,
      enabled: true,
      scopes: [idOf(workspace)],
      evaluationFrequency: 'PT15M',
      windowSize: 'PT15M',
      criteria: { allOf: [{ query, timeAggregation: 'Count', operator: 'GreaterThan', threshold: 0, failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 } }] },
      // The table is there with the first line that an app writes.
      skipQueryValidation: true,
      actions: { actionGroups: call('if', wanted, call('createArray', idOf(people)), call('createArray')) },
    },
  },
}

/** The alerts about the way of the vault's events. */
export const alertsOf = (topic: Resource): readonly Resource[] => [
  people,
  counted(topic, 'dead-letters', 'DeadLetteredCount', 'An event of the vault could not be delivered and lies among the dead letters.'),
  counted(topic, 'dropped', 'DroppedEventCount', 'An event of the vault was neither delivered nor kept.'),
  poisoned,
]
