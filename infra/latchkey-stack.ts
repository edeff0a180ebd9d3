// The stack `Latchkey`: one deployment, and what people and other stacks must know of it. It refers to no other stack.
import { CfnOutput, Fn, Stack, type StackProps } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import { accessParameters } from './deployment/access-parameters.ts'
import { Latchkey, type LatchkeyProps } from './constructs/latchkey.ts'

/** One deployment as a stack of its own. */
export class LatchkeyStack extends Stack {
  readonly latchkey: Latchkey

  constructor(scope: Construct, id: string, { config, ...props }: LatchkeyProps & StackProps) {
    super(scope, id, { description: 'Latchkey, the secret manager of an LLM gateway', ...props })
    this.latchkey = new Latchkey(this, 'Latchkey', { config, ...props })
    for (const [name, value] of Object.entries(this.outputs(config))) if (value !== undefined) new CfnOutput(this, name, { value })
  }

  /** Chosen by CloudFormation: looking them up would need credentials, and make a synth of today another one than yesterday's. */
  override get availabilityZones(): string[] {
    return [0, 1, 2].map((index) => Fn.select(index, Fn.getAzs()))
  }

  /** Their names stay: `cdk deploy --outputs-file` writes them for scripts. */
  private outputs(config: LatchkeyProps['config']): Readonly<Record<string, string | undefined>> {
    const { api, urls, functions, key, deadLetters, alerts, alarms, network, invoker } = this.latchkey
    const sts = network?.endpoints.sts
    return {
      ApiUrl: api?.api.apiEndpoint,
      ReadUrl: urls?.read.url,
      KeysUrl: urls?.keys.url,
      Region: this.region,
      InvokerRoleArn: invoker?.role.roleArn,
      ReadRoleArn: functions.read.role.roleArn,
      KeysRoleArn: functions.keys.role.roleArn,
      RotateRoleArn: functions.rotate.role.roleArn,
      KeyArn: key.keyArn,
      SecretPrefix: config.prefix,
      DlqUrl: deadLetters.queueUrl,
      AlertsTopicArn: alerts.topicArn,
      DashboardUrl: alarms.dashboard === undefined ? undefined : `https://${this.region}.console.aws.amazon.com/cloudwatch/home?region=${this.region}#dashboards:name=${config.name}`,
      VpcId: network?.vpc.vpcId,
      // The first name is the regional one, as `<hosted zone>:<name>`.
      StsEndpointDns: sts === undefined ? undefined : Fn.select(1, Fn.split(':', Fn.select(0, sts.vpcEndpointDnsEntries))),
      ...Object.fromEntries(config.teams.map((team, index) => [`TeamParameters${index + 1}`, accessParameters(team, { account: this.account, deployment: config.name })])),
      GatewayConfig: invoker === undefined ? undefined : this.toJsonString({ aws_region_name: this.region, aws_role_name: invoker.role.roleArn, aws_session_name: 'litellm-session', ...(sts === undefined ? {} : { aws_sts_endpoint: `https://sts.${this.region}.${this.urlSuffix}` }) }),
    }
  }
}
