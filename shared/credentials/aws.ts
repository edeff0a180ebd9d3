// Who Latchkey is on AWS: the settings that say so, and the one place that turns them into credentials, for every provider that stands on AWS.
// Keys of one source are used together or not at all: a file's access key never meets the environment's session token.
import { LatchkeyError } from '../core/errors.ts'
import type { Env } from '../core/runtime.ts'
import type { SecretValue } from '../core/secret.ts'
import type { SettingsTable } from '../core/settings.ts'

/** LiteLLM's names for region and identity. */
export interface AwsIdentitySettings {
  readonly aws_region_name?: string
  readonly aws_access_key_id?: SecretValue
  readonly aws_secret_access_key?: SecretValue
  readonly aws_session_token?: SecretValue
  readonly aws_role_name?: string
  readonly aws_session_name?: string
  readonly aws_external_id?: string
  readonly aws_profile_name?: string
  readonly aws_web_identity_token?: SecretValue
  readonly aws_sts_endpoint?: string
}

/** One set of keys, as the AWS SDK takes it. */
export interface AwsKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

const notYet = 'Not built yet: a value given is refused at the start.'

/** The identity rows of every AWS provider's settings table. */
export const awsIdentitySettings: SettingsTable<AwsIdentitySettings> = {
  aws_region_name: { type: 'string', env: ['AWS_REGION_NAME', 'AWS_REGION', 'AWS_DEFAULT_REGION'], text: 'Region of the secrets, such as `us-east-1`. There is no default.' },
  aws_access_key_id: { type: 'string', secret: true, text: 'Static access key; with it, the key set stands here alone. Else `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` of the environment, else the default chain of the AWS SDK.' },
  aws_secret_access_key: { type: 'string', secret: true, text: 'The secret key that belongs to `aws_access_key_id`.' },
  aws_session_token: { type: 'string', secret: true, text: 'The session token, where the two keys above are temporary.' },
  aws_role_name: { type: 'string', text: `ARN of a role to assume. ${notYet}` },
  aws_session_name: { type: 'string', text: `Session name of the assumed role. ${notYet}` },
  aws_external_id: { type: 'string', text: `External id that the role's trust policy asks for. ${notYet}` },
  aws_profile_name: { type: 'string', text: `Profile in the shared AWS files. ${notYet}` },
  aws_web_identity_token: { type: 'string', secret: true, text: `OIDC token, or the path of a file with one. ${notYet}` },
  aws_sts_endpoint: { type: 'url', text: `Endpoint of STS, for example of a VPC endpoint. ${notYet}` },
}

const misconfigured = (message: string): LatchkeyError => new LatchkeyError('misconfigured', message)

/** The region. @throws misconfigured when there is none, or when it is not the name of one */
export const awsRegion = (settings: AwsIdentitySettings): string => {
  const region = settings.aws_region_name
  if (region === undefined) throw misconfigured('aws_region_name is missing; set it beside key_management_system, or AWS_REGION_NAME (or AWS_REGION, AWS_DEFAULT_REGION) in the environment.')
  if (!/^[a-z0-9-]{1,63}$/.test(region)) throw misconfigured('aws_region_name must be made of a-z, 0-9 and "-", such as us-east-1; AWS_REGION_NAME, AWS_REGION and AWS_DEFAULT_REGION likewise.')
  return region
}

const notBuilt = ['aws_role_name', 'aws_session_name', 'aws_external_id', 'aws_profile_name', 'aws_web_identity_token', 'aws_sts_endpoint'] as const

/**
 * Credentials for these settings: static keys of the settings, else those of the environment (Lambda's own among them), else the SDK's default chain,
 * which refreshes what it finds before it expires. Makes no call. @throws misconfigured
 */
export const awsCredentials = async (settings: AwsIdentitySettings, env: Env): Promise<AwsKeys | (() => Promise<AwsKeys>)> => {
  const unknown = notBuilt.filter((key) => settings[key] !== undefined)
  if (unknown.length > 0) throw misconfigured(`${unknown.join(', ')}: not built yet; leave it out and give static keys, or run with an identity that the default credential chain finds.`)
  const { aws_access_key_id: id, aws_secret_access_key: secret, aws_session_token: token } = settings
  if ((id === undefined) !== (secret === undefined)) throw misconfigured(`${id === undefined ? 'aws_secret_access_key stands without aws_access_key_id' : 'aws_access_key_id stands without aws_secret_access_key'}; set both or neither.`)
  if (id === undefined && token !== undefined) throw misconfigured('aws_session_token stands without aws_access_key_id and aws_secret_access_key; set all three or none.')
  if (id !== undefined && secret !== undefined) {
    return { accessKeyId: id.reveal(), secretAccessKey: secret.reveal(), ...(token !== undefined && { sessionToken: token.reveal() }) }
  }
  const ambient = { id: given(env, 'AWS_ACCESS_KEY_ID'), secret: given(env, 'AWS_SECRET_ACCESS_KEY'), token: given(env, 'AWS_SESSION_TOKEN') }
  // The SDK's own rule: a named profile outranks keys in the environment.
  if (ambient.id !== undefined && ambient.secret !== undefined && given(env, 'AWS_PROFILE') === undefined) {
    return { accessKeyId: ambient.id, secretAccessKey: ambient.secret, ...(ambient.token !== undefined && { sessionToken: ambient.token }) }
  }
  const { fromNodeProviderChain } = await import('@aws-sdk/credential-providers')
  return fromNodeProviderChain({ clientConfig: { region: awsRegion(settings) } })
}

const given = (env: Env, name: string): string | undefined => env.get(name) || undefined
