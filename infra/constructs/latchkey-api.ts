// The way in by an HTTP API. Every route names its function and has the authorizer; there is no default route, so what is not listed is answered by
// the gateway itself. The access log says which route was asked, and nothing that a caller sent.
import { RemovalPolicy } from 'aws-cdk-lib'
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway'
import { HttpApi, HttpMethod, HttpStage, LogGroupLogDestination, type IHttpRouteAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2'
import { HttpIamAuthorizer, HttpJwtAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers'
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import type { IFunction } from 'aws-cdk-lib/aws-lambda'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import { Construct } from 'constructs'
import { apiRoutes, type ApiRoute } from '../deployment/api-routes.ts'

/** What a line of the access log says. No header, no query, no path: LiteLLM's `/key/{key}/regenerate` may have a token in it. */
const accessLogFields: Readonly<Record<string, string>> = {
  requestId: '$context.requestId',
  time: '$context.requestTimeEpoch',
  route: '$context.routeKey',
  status: '$context.status',
  bytes: '$context.responseLength',
  latency: '$context.responseLatency',
  ip: '$context.identity.sourceIp',
  principal: '$context.identity.userArn',
  subject: '$context.authorizer.claims.sub',
  authorizerError: '$context.authorizer.error',
  integrationError: '$context.integration.error',
}

/** Who proves callers: API Gateway by their signature (`iam`), or by a token of this issuer (`jwt`). */
export type ApiAuth = { readonly kind: 'iam' } | { readonly kind: 'jwt'; readonly issuer: string; readonly audiences: readonly string[] }

/** What the HTTP API needs. */
export interface LatchkeyApiProps {
  readonly name: string
  readonly functions: Readonly<Record<ApiRoute['to'], IFunction>>
  readonly auth: ApiAuth
  /** Requests a second, and how many at once. */
  readonly throttle: { readonly rate: number; readonly burst: number }
  readonly accessLogName: string
  readonly key: IKey
  readonly logRetention: RetentionDays
}

/** The HTTP API with its one stage. */
export class LatchkeyApi extends Construct {
  readonly api: HttpApi
  readonly accessLog: LogGroup

  constructor(scope: Construct, id: string, { name, functions, auth, throttle, accessLogName, key, logRetention }: LatchkeyApiProps) {
    super(scope, id)
    const authorizer: IHttpRouteAuthorizer = auth.kind === 'iam' ? new HttpIamAuthorizer() : new HttpJwtAuthorizer('Jwt', auth.issuer, { jwtAudience: [...auth.audiences] })
    const integrations = { read: new HttpLambdaIntegration('Read', functions.read), keys: new HttpLambdaIntegration('Keys', functions.keys) }
    this.api = new HttpApi(this, 'Http', { apiName: name, description: 'Latchkey: secrets are read, virtual keys are made', createDefaultStage: false, defaultAuthorizer: authorizer })
    for (const { method, path, to } of apiRoutes) this.api.addRoutes({ path, methods: [HttpMethod[method]], integration: integrations[to] })
    this.accessLog = new LogGroup(this, 'AccessLog', { logGroupName: accessLogName, encryptionKey: key, retention: logRetention, removalPolicy: RemovalPolicy.RETAIN })
    new HttpStage(this, 'Stage', {
      httpApi: this.api,
      autoDeploy: true,
      throttle: { rateLimit: throttle.rate, burstLimit: throttle.burst },
      detailedMetricsEnabled: true,
      accessLogSettings: { destination: new LogGroupLogDestination(this.accessLog), format: AccessLogFormat.custom(JSON.stringify(accessLogFields)) },
    })
  }
}
