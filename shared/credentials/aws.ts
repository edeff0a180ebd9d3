// Who Latchkey is on AWS: the settings that say so, and the one place that turns them into credentials, for every provider that stands on AWS.
// Keys of one source are used together or not at all: a file's access key never meets the environment's session token. Keys that are simply there
// (Lambda's own among them) cost nothing; everything that needs a login is in aws/, which loads only then.
import { LatchkeyError } from '../core/errors.ts'
import type { Finding } from '../core/provider.ts'
import type { Call, ProviderIo } from '../core/runtime.ts'
import type { SecretValue } from '../core/secret.ts'
import type { SettingsTable } from '../core/settings.ts'
import type { AwsClientSettings } from './aws-calls.ts'
import { environmentKeys, type AwsKeys } from './aws-keys.ts'

/** LiteLLM's names for region and identity, and what it has no word for. */
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
  readonly aws_source_identity?: string
  readonly aws_session_tags?: Readonly<Record<string, string>>
  readonly aws_session_duration_seconds?: number
}

/** The identity of one configuration. */
export interface AwsIdentity {
  /** For the configuration of an SDK client. As a function it gives keys that are good now by our own clock, and logs in where there are none; the SDK keeps nothing of it. */
  readonly credentials: AwsKeys | ((() => Promise<AwsKeys>) & { readonly memoized: true })
  /** What the operator should know of these settings; the start prints them. */
  readonly notices: readonly string[]
  /** Called before a request. When AWS refuses the credentials themselves, what it gave says whether a new login is worth a second try. */
  attempt(): () => boolean
  /** Who AWS says we are, or which step to it fails. Empty for keys that need no login and cannot be a role's. Answers, does not throw. */
  check(call: Call): Promise<readonly Finding[]>
}

/** The identity rows of every AWS provider's settings table. */
export const awsIdentitySettings: SettingsTable<AwsIdentitySettings> = {
  aws_region_name: { type: 'string', env: ['AWS_REGION_NAME', 'AWS_REGION', 'AWS_DEFAULT_REGION'], text: 'Region of the secrets, such as `us-east-1`. There is no default.' },
  aws_access_key_id: { type: 'string', secret: true, text: 'Static access key; with it, the key set stands here alone. Else `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` of the environment, else the default chain of the AWS SDK.' },
  aws_secret_access_key: { type: 'string', secret: true, text: 'The secret key that belongs to `aws_access_key_id`.' },
  aws_session_token: { type: 'string', secret: true, text: 'The session token, where the two keys above are temporary.' },
  aws_role_name: { type: 'string', env: ['AWS_ROLE_NAME'], text: 'ARN of a role to assume, in this or another account. Not assumed again where Latchkey already is that role.' },
  aws_session_name: { type: 'string', env: ['AWS_SESSION_NAME'], text: 'Session name in `aws_role_name`, as CloudTrail shows it. Default: a generated one that begins with `latchkey-`.' },
  aws_external_id: { type: 'string', env: ['AWS_EXTERNAL_ID'], text: "External id that the role's trust policy asks for. It cannot be sent where a web identity token goes straight into the role." },
  aws_profile_name: { type: 'string', env: ['AWS_PROFILE_NAME'], text: 'Profile in the shared AWS files (`~/.aws`, or `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE`), which must be there at the start.' },
  aws_web_identity_token: { type: 'string', secret: true, env: ['AWS_WEB_IDENTITY_TOKEN'], text: 'OIDC token; or the path of a file with one, read again at every login; or `oidc/<provider>/<audience>`. It goes into `AWS_ROLE_ARN` first, where that is set and is another role than `aws_role_name`, else straight into `aws_role_name`.' },
  aws_sts_endpoint: { type: 'url', env: ['AWS_STS_ENDPOINT', 'AWS_ENDPOINT_URL_STS', 'AWS_ENDPOINT_URL'], text: "Endpoint of STS, for example of a VPC endpoint. Default: the region's own." },
  aws_source_identity: { type: 'string', text: "Source identity of the role's session, kept through further roles; the trust policy must allow `sts:SetSourceIdentity`." },
  aws_session_tags: { type: 'string_map', text: "Tags of the role's session, for policies that look at `aws:PrincipalTag`; the trust policy must allow `sts:TagSession`." },
  aws_session_duration_seconds: { type: 'integer', min: 900, max: 43_200, text: "How long a session of the role lasts, in seconds; at most the role's own limit, and 3600 where the role is assumed from another role. Default: AWS's, 3600." },
}

const misconfigured = (message: string): LatchkeyError => new LatchkeyError('misconfigured', message)

/** The region. @throws misconfigured when there is none, or when it is not the name of one */
export const awsRegion = (settings: AwsIdentitySettings): string => {
  const region = settings.aws_region_name
  if (region === undefined) throw misconfigured('aws_region_name is missing; set it beside key_management_system, or AWS_REGION_NAME (or AWS_REGION, AWS_DEFAULT_REGION) in the environment.')
  if (!/^[a-z0-9-]{1,63}$/.test(region)) throw misconfigured('aws_region_name must be made of a-z, 0-9 and "-", such as us-east-1; AWS_REGION_NAME, AWS_REGION and AWS_DEFAULT_REGION likewise.')
  return region
}

/** What makes an identity more than a set of keys. */
const needsLogin = ['aws_role_name', 'aws_session_name', 'aws_external_id', 'aws_profile_name', 'aws_web_identity_token', 'aws_source_identity', 'aws_session_tags', 'aws_session_duration_seconds'] as const

/**
 * The identity of these settings: web identity, profile or static keys as given, else the keys of the environment, else the SDK's default chain; on top of it the role, where one is named.
 * Makes no call. @throws misconfigured when the settings do not fit together
 */
export const awsIdentity = async (settings: AwsIdentitySettings & AwsClientSettings, io: ProviderIo): Promise<AwsIdentity> => {
  awsRegion(settings)
  const isGiven = settings.aws_access_key_id !== undefined || settings.aws_secret_access_key !== undefined || settings.aws_session_token !== undefined
  const keys = isGiven ? (await import('./aws/plan.ts')).staticKeys(settings) : environmentKeys(io.env)
  if (keys === undefined || needsLogin.some((setting) => settings[setting] !== undefined)) return (await import('./aws/chain.ts')).chainedIdentity(settings, io)
  return {
    credentials: keys,
    notices: settings.aws_session_token === undefined ? [] : ['aws_session_token is set: these keys end within hours, and nothing renews them.'],
    attempt: () => () => false,
    // A user's own keys have no session token: nothing that STS could tell is worth a call to it, which many networks do not even allow.
    check: async (call) => (keys.sessionToken === undefined ? [] : (await import('./aws/chain.ts')).checkKeys(settings, keys, io, call)),
  }
}
