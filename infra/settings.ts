// `latchkey.deployment`: where and how Latchkey runs, which no running function needs to know. Tables as everywhere: one validator reads them, one generator prints them.
import type { AccessMode } from '../shared/core/policy.ts'
import type { Setting, SettingsTable } from '../shared/core/settings.ts'

/** What is said of the deployment as a whole. */
export interface PlaceSettings {
  readonly name: string
  readonly account?: string
  readonly region?: string
}

/** `latchkey.deployment` itself. */
export const placeSettings: SettingsTable<PlaceSettings> = {
  name: { type: 'string', default: 'latchkey', text: 'Begins the names of functions, roles and log groups: `latchkey-read`. Role names are unique in an account, so a second deployment needs another name.' },
  account: { type: 'string', text: 'The AWS account that Latchkey is deployed to, 12 digits in quotes. Left out: the one of the credentials.' },
  region: { type: 'string', text: 'The AWS region that Latchkey is deployed to. Default: `aws_region_name` of the default store, else the one of the credentials.' },
}

/** Where the functions stand. */
export interface NetworkSettings {
  readonly mode: 'none' | 'isolated' | 'existing'
  readonly cidr: string
  readonly zones: number
  readonly vpc_id?: string
  readonly subnet_ids?: readonly string[]
  readonly availability_zones?: readonly string[]
  readonly security_group_ids?: readonly string[]
}

/** `latchkey.deployment.network`. */
export const networkSettings: SettingsTable<NetworkSettings> = {
  mode: { type: 'string', default: 'none', values: ['none', 'isolated', 'existing'], text: '`none`: no VPC. `isolated`: a VPC of its own with interface endpoints and no way to the internet. `existing`: subnets of yours.' },
  cidr: { type: 'string', default: '10.0.0.0/24', text: 'The address range of the isolated VPC, `/24` or larger.' },
  zones: { type: 'integer', default: 2, min: 1, max: 3, text: 'In how many availability zones the isolated VPC has a subnet and every endpoint an address. Each costs.' },
  vpc_id: { type: 'string', text: 'Your VPC, under `existing`.' },
  subnet_ids: { type: 'string_list', text: 'Your subnets, under `existing`.' },
  availability_zones: { type: 'string_list', text: 'Their zones, in the same order.' },
  security_group_ids: { type: 'string_list', text: 'Your security groups for the functions, under `existing`.' },
}

/** The front door. */
export interface ApiSettings {
  readonly kind: 'http' | 'function_url' | 'rest_private'
  readonly authorizer: 'iam' | 'jwt'
  readonly jwt_issuer?: string
  readonly jwt_audience?: readonly string[]
  readonly throttle_rate: number
  readonly throttle_burst: number
  readonly invoker_principals?: readonly string[]
  readonly waf_rate_limit?: number
}

/** `latchkey.deployment.api`. */
export const apiSettings: SettingsTable<ApiSettings> = {
  kind: { type: 'string', default: 'http', values: ['http', 'function_url', 'rest_private'], text: '`http`: an HTTP API. `function_url`: one URL a function, without an API. `rest_private`: a REST API that only your VPC reaches.' },
  authorizer: { type: 'string', default: 'iam', values: ['iam', 'jwt'], text: '`iam`: callers sign with AWS credentials. `jwt`: callers bring a token of `jwt_issuer`; HTTP APIs only.' },
  jwt_issuer: { type: 'url', text: 'Who signs the tokens, for example the OIDC issuer of an EKS cluster.' },
  jwt_audience: { type: 'string_list', text: 'What the tokens are for; one of it must stand in `aud`.' },
  throttle_rate: { type: 'integer', default: 50, min: 1, max: 10_000, text: 'Requests a second, of all callers together.' },
  throttle_burst: { type: 'integer', default: 100, min: 1, max: 5_000, text: 'How many may come at once.' },
  invoker_principals: { type: 'string_list', text: 'ARNs of roles, also of other accounts, that may assume the invoker role. Left out: this account, where a policy of its own allows it.' },
  waf_rate_limit: { type: 'integer', min: 10, max: 2_000_000, text: 'Requests in five minutes from one address, after which a web ACL refuses; `rest_private` only. Default: as many as `throttle_rate` lets all callers send in that time.' },
}

/** The functions. */
export interface FunctionSettings {
  readonly memory_mb: number
  readonly read_concurrency: number
  readonly keys_concurrency: number
  readonly rotate_concurrency: number
  readonly provisioned_concurrency: number
  readonly tracing: boolean
  readonly readable_names?: readonly string[]
  readonly secret_variables?: Readonly<Record<string, string>>
}

/** `latchkey.deployment.functions`. */
export const functionSettings: SettingsTable<FunctionSettings> = {
  memory_mb: { type: 'integer', default: 512, min: 128, max: 10_240, text: 'Memory of each function.' },
  read_concurrency: { type: 'integer', default: 50, min: 1, max: 1_000, text: 'How many instances of `read` may run at once, reserved.' },
  keys_concurrency: { type: 'integer', default: 10, min: 1, max: 1_000, text: 'The same of `keys`.' },
  rotate_concurrency: { type: 'integer', default: 10, min: 1, max: 100, text: 'The same of `rotate`. Below 10 Secrets Manager may find its rotations throttled.' },
  provisioned_concurrency: { type: 'integer', default: 0, min: 0, max: 1_000, text: 'How many instances of `read` are kept warm. Each costs.' },
  tracing: { type: 'boolean', default: false, text: 'X-Ray traces. The roles then have two actions on all resources.' },
  readable_names: { type: 'string_list', text: 'Secrets that `read` may read beside `hosted_keys` and the references of this file, by name; `*` at the very end stands for anything.' },
  secret_variables: { type: 'string_map', text: "Environment variable to the name (or ARN) of a secret in the cloud's own manager. The deployment writes a reference, never the value; it is resolved when a function starts." },
}

/** Logs, alarms and whom they tell. */
export interface ObservabilitySettings {
  readonly log_retention_days: number
  readonly log_level: 'debug' | 'info' | 'warn' | 'error'
  readonly alarm_email?: string
  readonly alarm_topic_arn?: string
  readonly dashboard: boolean
}

/** The periods that CloudWatch Logs keeps. */
export const retentionDays: readonly number[] = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]

/** `latchkey.deployment.observability`. */
export const observabilitySettings: SettingsTable<ObservabilitySettings> = {
  log_retention_days: { type: 'integer', default: 30, min: 1, max: 3653, text: 'How long logs are kept; one of the periods of CloudWatch Logs.' },
  log_level: { type: 'string', default: 'info', values: ['debug', 'info', 'warn', 'error'], text: 'What the functions log.' },
  alarm_email: { type: 'string', text: 'An address that every alarm is sent to; AWS asks it to confirm.' },
  alarm_topic_arn: { type: 'string', text: 'An SNS topic of yours for the alarms, in place of a new one.' },
  dashboard: { type: 'boolean', default: true, text: 'A CloudWatch dashboard.' },
}

/** What happens by the clock. */
export interface ScheduleSettings {
  readonly sweep_every_minutes: number
  readonly rotation_every_days: number
  readonly managed_master_key: boolean
  readonly change_events: boolean
}

/** `latchkey.deployment.schedule`. */
export const scheduleSettings: SettingsTable<ScheduleSettings> = {
  sweep_every_minutes: { type: 'integer', default: 15, text: 'How often keys that are due are rotated, and ends are cleaned up: 1 to 1440.' },
  rotation_every_days: { type: 'integer', default: 30, text: 'How often AWS rotates the managed master key: 1 to 1000.' },
  managed_master_key: { type: 'boolean', default: false, text: "Makes the gateway's master key as a secret of this stack, with a rotation schedule." },
  change_events: { type: 'boolean', default: true, text: "Tells the rotate function when a secret below the prefix has another value." },
}

/** One team whose secrets are in its own account. */
export interface TeamSettings {
  readonly team: string
  readonly account: string
  readonly role_name: string
  readonly external_id?: string
  readonly prefix: string
  readonly access_mode: AccessMode
  readonly store_virtual_keys: boolean
  readonly region?: string
  readonly key_arn?: string
}

/** One entry of `latchkey.deployment.teams`. */
export const teamSettings: SettingsTable<TeamSettings> = {
  team: { type: 'string', required: true, text: 'The team id.' },
  account: { type: 'string', required: true, text: 'The account that owns the secrets, 12 digits in quotes.' },
  role_name: { type: 'string', default: 'latchkey-access', text: "The role's name there, with its path if it has one." },
  external_id: { type: 'string', text: 'What the role asks for; generated by Latchkey, one for each team and account. Required outside your own account.' },
  prefix: { type: 'string', required: true, text: 'Below it are all secrets of the team, for example `litellm/team-a/`.' },
  access_mode: { type: 'string', default: 'read_only', values: ['read_only', 'write_only', 'read_and_write'], text: 'As in key_management_settings, for the role in the account of the team: the stack says its parameters (`TeamParameters1`, …).' },
  store_virtual_keys: { type: 'boolean', default: false, text: 'As in key_management_settings, likewise.' },
  region: { type: 'string', text: "The region of the team's secrets. Default: the deployment's." },
  key_arn: { type: 'string', text: "The team's KMS key. Left out: the account's `aws/secretsmanager` key." },
}

/** Who comes from another cloud, and goes to one. */
export interface FederationSettings {
  readonly azure_tenant_id?: string
  readonly azure_audience?: string
  readonly azure_principal_ids?: readonly string[]
  readonly google_audience?: string
  readonly google_service_account_ids?: readonly string[]
  readonly outbound_audiences?: readonly string[]
}

/** `latchkey.deployment.federation`. */
export const federationSettings: SettingsTable<FederationSettings> = {
  azure_tenant_id: { type: 'string', text: 'The directory whose managed identities reach AWS.' },
  azure_audience: { type: 'string', text: 'The application id URI that their tokens are for, such as `api://latchkey-aws`.' },
  azure_principal_ids: { type: 'string_list', text: 'Their principal (object) ids.' },
  google_audience: { type: 'string', text: 'The audience of the identity tokens with which Google service accounts reach AWS.' },
  google_service_account_ids: { type: 'string_list', text: 'Their unique ids, 21 digits; never an e-mail address.' },
  outbound_audiences: { type: 'string_list', text: 'Audiences for which AWS may give the functions tokens for another cloud, such as `api://AzureADTokenExchange`.' },
}

/** Every table by where it stands, in the order of the README. */
export const deploymentTables: Readonly<Record<string, Readonly<Record<string, Setting>>>> = {
  'latchkey.deployment': placeSettings,
  'latchkey.deployment.network': networkSettings,
  'latchkey.deployment.api': apiSettings,
  'latchkey.deployment.functions': functionSettings,
  'latchkey.deployment.observability': observabilitySettings,
  'latchkey.deployment.schedule': scheduleSettings,
  'latchkey.deployment.teams[]': teamSettings,
  'latchkey.deployment.federation': federationSettings,
}
