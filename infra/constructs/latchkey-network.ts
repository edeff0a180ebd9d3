// Where the functions stand: nowhere (the service's own network), in a VPC of its own that has no way out but its endpoints, or in subnets of yours.
import { RemovalPolicy, Stack } from 'aws-cdk-lib'
import { FlowLogDestination, FlowLogTrafficType, InterfaceVpcEndpointAwsService, IpAddresses, type InterfaceVpcEndpoint, type IVpc, Port, SecurityGroup, SubnetFilter, SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2'
import { ManagedPolicy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import { Construct } from 'constructs'
import type { EndpointService } from '../config.ts'
import type { ResourceStatement } from '../policies.ts'
import type { NetworkSettings } from '../settings.ts'
import type { Placement } from './latchkey-function.ts'

/** A service that the functions reach through an endpoint, and what may pass through it. */
export interface EndpointPlan {
  readonly service: EndpointService
  readonly statements: readonly ResourceStatement[]
}

/** A network of its own. */
export interface LatchkeyNetworkProps {
  readonly deployment: string
  readonly cidr: string
  readonly zones: number
  readonly endpoints: readonly EndpointPlan[]
  readonly flowLogName: string
  readonly key: IKey
  readonly logRetention: RetentionDays
}

const services = {
  secretsmanager: InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
  sts: InterfaceVpcEndpointAwsService.STS,
  kms: InterfaceVpcEndpointAwsService.KMS,
} as const

/** The isolated VPC: subnets without a route to anywhere, and one interface endpoint for each service that is needed. */
export class LatchkeyNetwork extends Construct {
  readonly vpc: IVpc
  readonly placement: Placement
  readonly endpoints: Readonly<Partial<Record<EndpointPlan['service'], InterfaceVpcEndpoint>>>

  constructor(scope: Construct, id: string, props: LatchkeyNetworkProps) {
    super(scope, id)
    // Emptying the default group needs a function of its own; nothing here uses that group, and nothing outside can.
    const vpc = new Vpc(this, 'Vpc', { vpcName: props.deployment, ipAddresses: IpAddresses.cidr(props.cidr), maxAzs: props.zones, natGateways: 0, restrictDefaultSecurityGroup: false, subnetConfiguration: [{ name: 'functions', subnetType: SubnetType.PRIVATE_ISOLATED }] })
    this.vpc = vpc
    this.refusedTraffic(vpc, props)
    const functions = new SecurityGroup(this, 'FunctionsGroup', { vpc, description: 'Latchkey functions: out to the endpoints and nowhere else', allowAllOutbound: false })
    const endpoints = new SecurityGroup(this, 'EndpointsGroup', { vpc, description: 'Endpoints: in from Latchkey functions and nowhere else', allowAllOutbound: false })
    functions.connections.allowTo(endpoints, Port.tcp(443), 'AWS services')
    const subnets = { subnetType: SubnetType.PRIVATE_ISOLATED }
    this.placement = { vpc, subnets, securityGroups: [functions] }
    this.endpoints = Object.fromEntries(
      props.endpoints.map(({ service, statements }) => {
        const endpoint = vpc.addInterfaceEndpoint(service, { service: services[service], privateDnsEnabled: true, subnets, securityGroups: [endpoints], open: false })
        for (const statement of statements) endpoint.addToPolicy(PolicyStatement.fromJson(statement))
        return [service, endpoint]
      }),
    )
  }

  /** What was refused is logged; what passed says nothing that the services do not log themselves. */
  private refusedTraffic(vpc: Vpc, { flowLogName, key, logRetention, deployment }: LatchkeyNetworkProps): void {
    const logGroup = new LogGroup(this, 'FlowLog', { logGroupName: flowLogName, encryptionKey: key, retention: logRetention, removalPolicy: RemovalPolicy.RETAIN })
    const role = new Role(this, 'FlowLogRole', { roleName: `${deployment}-flow-log`, description: 'VPC flow logs write what was refused', assumedBy: new ServicePrincipal('vpc-flow-logs.amazonaws.com', { conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } } }) })
    const policy = new ManagedPolicy(this, 'FlowLogPolicy', { description: 'VPC flow logs write what was refused', roles: [role], statements: [new PolicyStatement({ sid: 'OwnLog', actions: ['logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'], resources: [logGroup.logGroupArn] })] })
    const log = vpc.addFlowLog('Refused', { destination: FlowLogDestination.toCloudWatchLogs(logGroup, role.withoutPolicyUpdates()), trafficType: FlowLogTrafficType.REJECT })
    log.node.addDependency(policy)
  }
}

/** Subnets of yours, and groups of yours: one of ours would have to open to everywhere. `vpc`: as an app knows it already; else it is named by the settings. */
export const existingPlacement = (scope: Construct, { vpc_id: vpcId, subnet_ids: subnetIds = [], availability_zones: zones = [], security_group_ids: groups = [] }: NetworkSettings, vpc?: IVpc): Placement => {
  return {
    vpc: vpc ?? Vpc.fromVpcAttributes(scope, 'Vpc', { vpcId: vpcId ?? '', availabilityZones: [...zones], isolatedSubnetIds: [...subnetIds] }),
    subnets: vpc === undefined ? { subnetType: SubnetType.PRIVATE_ISOLATED } : { subnetFilters: [SubnetFilter.byIds([...subnetIds])] },
    securityGroups: groups.map((id, index) => SecurityGroup.fromSecurityGroupId(scope, `Group${index}`, id, { mutable: false })),
  }
}
