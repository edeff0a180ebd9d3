// `LatchkeyEdge`: the API as a private REST API that only one VPC endpoint reaches, and before it a web ACL. It names functions by their fixed names;
// to key and network it has strong references, so that they cannot go before it.
import { ArnFormat, Aws, CfnOutput, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib'
import { AccessLogFormat, AuthorizationType, CfnClientCertificate, type CfnStage, EndpointType, LambdaIntegration, LogGroupLogDestination, MethodLoggingLevel, RestApi } from 'aws-cdk-lib/aws-apigateway'
import { InterfaceVpcEndpoint, InterfaceVpcEndpointAwsService, Peer, Port, SecurityGroup, type ISecurityGroup } from 'aws-cdk-lib/aws-ec2'
import { AccountPrincipal, AnyPrincipal, ArnPrincipal, Effect, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { Function, type IFunction } from 'aws-cdk-lib/aws-lambda'
import { LogGroup, type ILogGroup } from 'aws-cdk-lib/aws-logs'
import { CfnLoggingConfiguration, CfnWebACL, CfnWebACLAssociation } from 'aws-cdk-lib/aws-wafv2'
import type { Construct } from 'constructs'
import { acknowledge } from './deployment/acknowledgements.ts'
import { apiRoutes, type ApiRoute } from './deployment/api-routes.ts'
import type { InfraConfig } from './config.ts'
import type { Placement } from './constructs/latchkey-function.ts'
import { logGroups } from './deployment/log-groups.ts'
import { lambdaName } from './names.ts'

/** What it stands in front of. */
export interface EdgeStackProps extends StackProps {
  readonly config: InfraConfig
  /** The network of the functions, in which the endpoint is. */
  readonly placement: Placement
  readonly key: IKey
}

/** What a line of the access log says: as that of the HTTP API, in the words of a REST API. */
export const restLogFields: Readonly<Record<string, string>> = {
  requestId: '$context.requestId', time: '$context.requestTimeEpoch', method: '$context.httpMethod', route: '$context.resourcePath', status: '$context.status', bytes: '$context.responseLength',
  latency: '$context.responseLatency', ip: '$context.identity.sourceIp', principal: '$context.identity.userArn', authorizerError: '$context.authorizer.error', integrationError: '$context.integration.error',
}

const stageName = 'latchkey'

/** The private front door. */
export class EdgeStack extends Stack {
  readonly api: RestApi
  readonly endpoint: InterfaceVpcEndpoint

  constructor(scope: Construct, id: string, { config, placement, key, ...props }: EdgeStackProps) {
    super(scope, id, { description: 'The private API of Latchkey', ...props })
    const log = (logId: string, logGroupName: string): ILogGroup => new LogGroup(this, logId, { logGroupName, encryptionKey: key, retention: config.observability.log_retention_days, removalPolicy: RemovalPolicy.RETAIN })
    const names = logGroups(config.name)
    this.endpoint = this.makeEndpoint(config, placement)
    this.api = this.makeApi(config, log('AccessLog', names.api))
    this.addRoutes(config)
    this.keepNothing(config)
    this.limitRates(config.api.waf_rate_limit ?? config.api.throttle_rate * 300, log('FirewallLog', names.firewall))
    acknowledge(this, 'AwsSolutions-COG4', 'Callers are workloads that sign with AWS credentials, not people of a user pool.')
    new CfnOutput(this, 'ApiUrl', { value: this.api.url })
    new CfnOutput(this, 'VpcEndpointId', { value: this.endpoint.vpcEndpointId })
  }

  /** Anybody in the VPC may come to it; who may call is decided by the API's policy, by the signature, and by Latchkey's grants. */
  private makeEndpoint({ network }: InfraConfig, { vpc, subnets, securityGroups }: Placement): InterfaceVpcEndpoint {
    const groups: readonly ISecurityGroup[] = network.mode === 'isolated' ? [this.callersGroup(network.cidr, vpc)] : securityGroups
    const endpoint = new InterfaceVpcEndpoint(this, 'Endpoint', { vpc, subnets, service: InterfaceVpcEndpointAwsService.APIGATEWAY, privateDnsEnabled: true, securityGroups: [...groups], open: false })
    endpoint.addToPolicy(new PolicyStatement({ sid: 'OnlyOurApis', principals: [new AnyPrincipal()], actions: ['execute-api:Invoke'], resources: [`arn:${Aws.PARTITION}:execute-api:${this.region}:${this.account}:*/${stageName}/*`] }))
    return endpoint
  }

  private callersGroup(cidr: string, vpc: Placement['vpc']): SecurityGroup {
    const group = new SecurityGroup(this, 'CallersGroup', { vpc, description: 'The API of Latchkey: in from this VPC', allowAllOutbound: false })
    group.addIngressRule(Peer.ipv4(cidr), Port.tcp(443), 'Callers inside the VPC')
    return group
  }

  /** A second gate behind the endpoint: whoever comes another way is denied, whatever its own policy says. */
  private makeApi({ name, api }: InfraConfig, accessLog: ILogGroup): RestApi {
    const resources = ['execute-api:/*']
    const callers = api.invoker_principals === undefined ? [new AccountPrincipal(this.account)] : api.invoker_principals.map((arn) => new ArnPrincipal(arn))
    const certificate = new CfnClientCertificate(this, 'Certificate', { description: `${name}: the gateway's own` })
    const rest = new RestApi(this, 'Api', {
      restApiName: name,
      description: 'Latchkey: secrets are read, virtual keys are made',
      endpointConfiguration: { types: [EndpointType.PRIVATE], vpcEndpoints: [this.endpoint] },
      policy: new PolicyDocument({
        statements: [
          new PolicyStatement({ sid: 'Callers', principals: callers, actions: ['execute-api:Invoke'], resources, conditions: { StringEquals: { 'aws:SourceVpce': this.endpoint.vpcEndpointId } } }),
          new PolicyStatement({ sid: 'OnlyThroughTheEndpoint', effect: Effect.DENY, principals: [new AnyPrincipal()], actions: ['execute-api:Invoke'], resources, conditions: { StringNotEquals: { 'aws:SourceVpce': this.endpoint.vpcEndpointId } } }),
        ],
      }),
      // The role that lets API Gateway write logs is one for the whole account, and not this stack's to make.
      cloudWatchRole: false,
      defaultMethodOptions: { authorizationType: AuthorizationType.IAM },
      deployOptions: {
        stageName,
        clientCertificateId: certificate.ref,
        accessLogDestination: new LogGroupLogDestination(accessLog),
        accessLogFormat: AccessLogFormat.custom(JSON.stringify(restLogFields)),
      },
    })
    rest.addRequestValidator('Validator', { validateRequestBody: true, validateRequestParameters: true })
    return rest
  }

  /**
   * A stage to which somebody attaches a cache keeps what `GET` answers, for five minutes and for whoever asks next, whatever Latchkey's grants say. Here it would keep it for no
   * time, and encrypted. CDK's own options cannot say so without paying for a cache.
   */
  private keepNothing({ api }: InfraConfig): void {
    const stage = this.api.deploymentStage.node.defaultChild as CfnStage
    const cache = { cachingEnabled: true, cacheTtlInSeconds: 0, cacheDataEncrypted: true }
    const throttle = { throttlingRateLimit: api.throttle_rate, throttlingBurstLimit: api.throttle_burst }
    stage.methodSettings = [{ httpMethod: '*', resourcePath: '/*', metricsEnabled: true, loggingLevel: MethodLoggingLevel.ERROR, dataTraceEnabled: false, ...throttle, ...cache }]
    stage.cacheClusterEnabled = false
  }

  private addRoutes({ name, functions }: InfraConfig): void {
    const arn = (to: ApiRoute['to']): string => `arn:${Aws.PARTITION}:lambda:${this.region}:${this.account}:function:${lambdaName(name, to)}${to === 'read' && functions.provisioned_concurrency > 0 ? ':live' : ''}`
    const called = (to: ApiRoute['to']): IFunction => Function.fromFunctionAttributes(this, to, { functionArn: arn(to), sameEnvironment: true })
    const integrations = { read: new LambdaIntegration(called('read'), { allowTestInvoke: false }), keys: new LambdaIntegration(called('keys'), { allowTestInvoke: false }) }
    for (const { method, path, to } of apiRoutes) this.api.root.resourceForPath(path).addMethod(method, integrations[to])
  }

  /** One address sends so many requests in five minutes and no more: whoever floods the throttle, which is everybody's, is kept away from it. What it sent is not logged. */
  private limitRates(limit: number, logGroup: ILogGroup): void {
    const visible = (metricName: string) => ({ cloudWatchMetricsEnabled: true, sampledRequestsEnabled: false, metricName })
    const acl = new CfnWebACL(this, 'Firewall', { scope: 'REGIONAL', defaultAction: { allow: {} }, visibilityConfig: visible('latchkey'), rules: [{ name: 'rate', priority: 0, action: { block: {} }, statement: { rateBasedStatement: { limit, aggregateKeyType: 'IP' } }, visibilityConfig: visible('latchkey-rate') }] })
    new CfnWebACLAssociation(this, 'FirewallOnStage', { webAclArn: acl.attrArn, resourceArn: this.api.deploymentStage.stageArn })
    const redactedFields = [{ uriPath: {} }, { queryString: {} }, ...['authorization', 'x-litellm-api-key'].map((Name) => ({ singleHeader: { Name } }))]
    // AWS WAF takes the ARN of a log group without the `:*` that its own attribute ends with.
    new CfnLoggingConfiguration(this, 'FirewallLogging', { resourceArn: acl.attrArn, logDestinationConfigs: [this.formatArn({ service: 'logs', resource: 'log-group', resourceName: logGroup.logGroupName, arnFormat: ArnFormat.COLON_RESOURCE_NAME })], redactedFields })
  }
}
