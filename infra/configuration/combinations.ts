// Settings of `latchkey.deployment` that are well-formed and still cannot work together: told before anything is deployed, because a service would tell it half way, or never.
import type { InfraConfig, Report } from '../config.ts'
import { retentionDays } from '../settings.ts'
import { checkPolicySize } from './policy-size.ts'
import { isAccount } from './teams.ts'

/** Systems that an isolated network reaches. */
const inside: readonly string[] = ['aws_secret_manager', 'aws_kms', 'environment']

/** What Lambda keeps for itself, what Node reads before any code runs, and what the reading of references goes by. */
const taken = /^(?:_|NODE_|LAMBDA_|AWS_LAMBDA_|AWS_(?:REGION|DEFAULT_REGION|EXECUTION_ENV|ACCESS_KEY|ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|ENDPOINT_URL|ENDPOINT_URL_SECRETS_MANAGER)$)/

/** Reports everything that does not fit together. */
export const checkCombinations = (config: InfraConfig, report: Report): void => {
  const at = 'latchkey.deployment'
  if (!/^[a-z][a-z0-9-]{0,29}[a-z0-9]$/.test(config.name)) report(`${at}.name`, 'must be 2 to 31 of a-z 0-9 -, begin with a letter and end with none of -')
  if (config.account !== undefined && !isAccount(config.account)) report(`${at}.account`, 'must be 12 digits, in quotes')
  if (config.region !== undefined && !/^[a-z]{2}(-[a-z]+)+-\d$/.test(config.region)) report(`${at}.region`, 'must be the name of an AWS region, such as eu-central-1')
  checkNetwork(config, report)
  checkApi(config, report)
  checkSchedule(config, report)
  checkFederation(config, report)
  checkPolicySize(config, report)
  const { read_concurrency: reserved, provisioned_concurrency: provisioned } = config.functions
  if (provisioned > reserved) report(`${at}.functions.provisioned_concurrency`, `is more than read_concurrency (${reserved}), of which it is a part`)
  for (const variable of Object.keys(config.secretVariables)) {
    if (taken.test(variable)) report(`${at}.functions.secret_variables.${variable}`, 'cannot be set on Lambda: Lambda itself, Node or the reading of references goes by that variable, before any is resolved; take it out')
  }
  const { log_retention_days: days, alarm_email: email, alarm_topic_arn: topic } = config.observability
  if (!retentionDays.includes(days)) report(`${at}.observability.log_retention_days`, `must be one of ${retentionDays.join(', ')}`)
  if (email !== undefined && !/^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(email)) report(`${at}.observability.alarm_email`, 'must be one e-mail address')
  if (topic !== undefined && !/^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]+$/.test(topic)) report(`${at}.observability.alarm_topic_arn`, 'must be the ARN of an SNS topic')
}

const checkNetwork = ({ network, systems, configuration, region, secretsRegion, teams, federation }: InfraConfig, report: Report): void => {
  const at = 'latchkey.deployment.network'
  const { mode, vpc_id: vpc, subnet_ids: subnets, availability_zones: zones, security_group_ids: groups, cidr } = network
  if (mode === 'existing') {
    if (vpc === undefined) report(`${at}.vpc_id`, 'is required under mode: existing')
    if (subnets === undefined || subnets.length === 0) report(`${at}.subnet_ids`, 'is required under mode: existing')
    if (groups === undefined || groups.length === 0) report(`${at}.security_group_ids`, "is required under mode: existing: name groups that let the functions out to AWS's services, and to nothing else")
    if (zones === undefined || zones.length !== (subnets ?? []).length) report(`${at}.availability_zones`, 'must name one zone for each of subnet_ids, in the same order')
  } else {
    for (const [key, value] of Object.entries({ vpc_id: vpc, subnet_ids: subnets, availability_zones: zones, security_group_ids: groups })) if (value !== undefined) report(`${at}.${key}`, `does nothing under mode: ${mode}; write mode: existing, or take it out`)
  }
  if (mode !== 'isolated') return
  const [, size = ''] = /^\d{1,3}(?:\.\d{1,3}){3}\/(\d{1,2})$/.exec(cidr) ?? []
  if (size === '' || Number(size) < 16 || Number(size) > 24) report(`${at}.cidr`, 'must be an IPv4 range from /16 to /24, such as 10.0.0.0/24')
  const outside = systems.filter((system) => !inside.includes(system))
  if (outside.length > 0) report(`${at}.mode`, `isolated reaches AWS only, and ${outside.join(', ')} ${outside.length === 1 ? 'is' : 'are'} on the internet; write none, or existing with a way out`)
  if (configuration.gateway !== undefined) report(`${at}.mode`, 'isolated does not reach latchkey.gateway.url; write existing, with subnets from which the gateway can be reached')
  if (secretsRegion !== undefined) report(`${at}.mode`, `isolated has the endpoints of ${region ?? 'its own region'} only, and the secrets are in ${secretsRegion}; deploy there, or write none`)
  teams.forEach(({ region: other }, index) => {
    if (other !== undefined && other !== region) report(`latchkey.deployment.teams[${index}].region`, `is out of reach of an isolated network in ${region ?? 'another region'}; leave it out, or write network.mode: none`)
  })
  if ((federation.outbound_audiences ?? []).length > 0) report('latchkey.deployment.federation.outbound_audiences', 'are for another cloud, which an isolated network does not reach; take them out, or write network.mode: none')
}

const checkApi = ({ api, network }: InfraConfig, report: Report): void => {
  const at = 'latchkey.deployment.api'
  const { kind, authorizer, jwt_issuer: issuer, jwt_audience: audience, waf_rate_limit: waf } = api
  if (authorizer === 'jwt') {
    if (kind !== 'http') report(`${at}.authorizer`, `jwt is for kind: http; ${kind} knows iam`)
    if (issuer === undefined) report(`${at}.jwt_issuer`, 'is required under authorizer: jwt')
    else if (!issuer.startsWith('https://')) report(`${at}.jwt_issuer`, 'must begin with https://')
    if (audience === undefined || audience.length === 0) report(`${at}.jwt_audience`, 'is required under authorizer: jwt; any token of the issuer would do without')
  } else {
    for (const [key, value] of Object.entries({ jwt_issuer: issuer, jwt_audience: audience })) if (value !== undefined) report(`${at}.${key}`, 'does nothing under authorizer: iam; write authorizer: jwt, or take it out')
  }
  if (kind === 'rest_private' && network.mode === 'none') report(`${at}.kind`, 'rest_private is reached from a VPC only; write network.mode: isolated or existing')
  if (waf !== undefined && kind !== 'rest_private') report(`${at}.waf_rate_limit`, `needs kind: rest_private; AWS WAF does not stand before ${kind === 'http' ? 'an HTTP API' : 'a function URL'}`)
  for (const arn of api.invoker_principals ?? []) if (!/^arn:aws[a-z-]*:iam::\d{12}:(role|user)\/[\w+=,.@/-]+$/.test(arn)) report(`${at}.invoker_principals`, 'must be ARNs of roles or users, without wildcards')
}

const checkSchedule = ({ schedule }: InfraConfig, report: Report): void => {
  const at = 'latchkey.deployment.schedule'
  const { sweep_every_minutes: minutes, rotation_every_days: days } = schedule
  if (minutes < 1) report(`${at}.sweep_every_minutes`, 'must be at least 1: EventBridge Scheduler calls at most once a minute')
  if (minutes > 1440) report(`${at}.sweep_every_minutes`, 'must be at most 1440, a day: keys end and are due between two sweeps')
  if (days < 1) report(`${at}.rotation_every_days`, 'must be at least 1: Secrets Manager counts a schedule of rate(n days) in whole days')
  if (days > 1000) report(`${at}.rotation_every_days`, 'must be at most 1000, which is the longest that Secrets Manager allows')
}

const guid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i

const checkFederation = ({ federation, secrets, roles, configuration }: InfraConfig, report: Report): void => {
  const at = 'latchkey.deployment.federation'
  const together = (keys: Readonly<Record<string, unknown>>): void => {
    const [there] = Object.entries(keys).filter(([, value]) => value !== undefined)
    for (const [key, value] of Object.entries(keys)) if (there !== undefined && (value === undefined || (Array.isArray(value) && value.length === 0))) report(`${at}.${key}`, `is required beside ${there[0]}`)
  }
  const { azure_tenant_id: tenant, azure_audience, azure_principal_ids, google_audience, google_service_account_ids, outbound_audiences: outbound = [] } = federation
  together({ azure_tenant_id: tenant, azure_audience, azure_principal_ids })
  together({ google_audience, google_service_account_ids })
  if ((tenant !== undefined || google_audience !== undefined) && secrets === undefined && roles.length === 0) report(at, 'lets other clouds in, and no store of this file is on AWS: there is nothing for them to do; take it out')
  if (tenant !== undefined && !guid.test(tenant)) report(`${at}.azure_tenant_id`, 'must be a GUID')
  if (azure_principal_ids?.some((id) => !guid.test(id)) === true) report(`${at}.azure_principal_ids`, 'must be object ids of managed identities, each a GUID')
  if (google_service_account_ids?.some((id) => !/^\d{15,30}$/.test(id)) === true) report(`${at}.google_service_account_ids`, 'must be unique ids of service accounts, digits only; an e-mail address can be given to another account later')
  for (const { path, settings } of configuration.stores.values()) {
    for (const [key, value] of Object.entries(settings)) {
      const audience = typeof value === 'string' ? /^oidc\/aws\/(.+)$/.exec(value)?.[1] : undefined
      if (audience !== undefined && !outbound.includes(audience)) report(`${at}.outbound_audiences`, `must have ${audience}, for which ${path}.${key} asks AWS for tokens`)
    }
  }
  if (outbound.length > 10) report(`${at}.outbound_audiences`, 'must be at most 10')
  if (outbound.some((audience) => !/^[\w.:/-]{1,1000}$/.test(audience))) report(`${at}.outbound_audiences`, 'must be made of A-Z a-z 0-9 _ . : / -, without wildcards')
}
