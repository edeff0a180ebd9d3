// Where ministack is wrong as a place to deploy the rotate function to: each with its reproduction for boto3, so that an upgrade shows itself. What of it reaches Latchkey is said beside it.
import type { Reproduction } from '../aws-deviations.ts'

/** One mistake, and how the tests go around it. */
export interface DeploymentDeviation {
  readonly reason: string
  readonly instead: string
  /** Python: `client(name)` is boto3's, `name` a name that nobody uses. */
  readonly reproduction: Reproduction
}

/** All that the tests of this folder meet. */
export const deploymentDeviations: readonly DeploymentDeviation[] = [
  {
    reason: 'RotateSecret calls no function, and makes a copy of the value current',
    instead: 'the test reserves the version and calls the function as the service would',
    reproduction: {
      program: [
        "sm = client('secretsmanager')",
        "before = sm.create_secret(Name=name, SecretString='x')['VersionId']",
        "token = sm.rotate_secret(SecretId=name, RotationLambdaARN='arn:aws:lambda:us-east-1:123456789012:function:' + name)['VersionId']",
        "after = sm.describe_secret(SecretId=name)['VersionIdsToStages']",
        "print(after[token], after[before])",
      ].join('\n'),
      prints: "['AWSCURRENT'] ['AWSPREVIOUS']",
      aws: 'The version is reserved under AWSPENDING, without a value, and the function is called for four steps.',
    },
  },
  {
    reason: 'the Scheduler does not fill in its placeholders',
    instead: 'a late delivery is not known for one there; only the fakes’ tests know it',
    reproduction: {
      program: [
        'import datetime, time',
        "sqs = client('sqs')",
        "url = sqs.create_queue(QueueName=name)['QueueUrl']",
        "arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']",
        "at = datetime.datetime.now(datetime.UTC).strftime('at(%Y-%m-%dT%H:%M:%S)')",
        "client('scheduler').create_schedule(Name=name, ScheduleExpression=at, FlexibleTimeWindow={'Mode': 'OFF'}, Target={'Arn': arn, 'RoleArn': 'arn:aws:iam::123456789012:role/x', 'Input': '<aws.scheduler.scheduled-time>'})",
        'messages, until = [], time.time() + 30',
        "while not messages and time.time() < until: messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get('Messages', [])",
        "print(messages[0]['Body'])",
      ].join('\n'),
      prints: '<aws.scheduler.scheduled-time>',
      aws: 'The time for which the schedule was due, as in 2026-11-22T12:00:00Z.',
    },
  },
  {
    reason: 'a created version is not known by the token of its request',
    instead: 'how old the token of a key is follows from the secret’s own age',
    reproduction: {
      program: "print(client('secretsmanager').create_secret(Name=name, SecretString='x', ClientRequestToken='t' * 32)['VersionId'] == 't' * 32)",
      prints: 'False',
      aws: 'The client request token becomes the id of the version.',
    },
  },
]
