// The customer managed key of a deployment: secrets, environments, logs and alarms. Its policy lets services in only for this account, or for the log groups named.
import { RemovalPolicy, Stack } from 'aws-cdk-lib'
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Key } from 'aws-cdk-lib/aws-kms'
import { Construct } from 'constructs'

/** What the key is for. */
export interface LatchkeyKeyProps {
  readonly alias: string
  readonly description: string
  /** Names of log groups that it encrypts. */
  readonly logGroups: readonly string[]
}

/** The key, rotated every year and kept when the stack goes: what it encrypted could not be read without it. */
export class LatchkeyKey extends Construct {
  readonly key: Key

  constructor(scope: Construct, id: string, { alias, description, logGroups }: LatchkeyKeyProps) {
    super(scope, id)
    const { account, region } = Stack.of(this)
    this.key = new Key(this, 'Key', { alias, description, enableKeyRotation: true, removalPolicy: RemovalPolicy.RETAIN })
    const groups = logGroups.map((name) => Stack.of(this).formatArn({ service: 'logs', resource: `log-group:${name}` }))
    this.key.addToResourcePolicy(
      new PolicyStatement({
        sid: 'Logs',
        principals: [new ServicePrincipal(`logs.${region}.amazonaws.com`)],
        actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncryptFrom', 'kms:ReEncryptTo', 'kms:GenerateDataKey', 'kms:GenerateDataKeyWithoutPlaintext', 'kms:DescribeKey'],
        resources: ['*'],
        conditions: { ArnEquals: { 'kms:EncryptionContext:aws:logs:arn': groups } },
      }),
    )
    // An alarm that may not use the topic's key is lost without a word.
    for (const service of ['cloudwatch', 'events']) this.key.addToResourcePolicy(new PolicyStatement({ sid: `Alerts${service}`, principals: [new ServicePrincipal(`${service}.amazonaws.com`)], actions: ['kms:Decrypt', 'kms:GenerateDataKey'], resources: ['*'], conditions: { StringEquals: { 'aws:SourceAccount': account } } }))
  }
}
