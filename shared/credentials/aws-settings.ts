// The rows of every AWS provider's settings table. A function whose build has read its settings never loads them.
import type { SettingsTable } from '../core/settings.ts'
import type { AwsIdentitySettings } from './aws.ts'
import type { AwsClientSettings } from './aws-calls.ts'

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

/** The client rows of every AWS provider's settings table. */
export const awsClientSettings: SettingsTable<AwsClientSettings> = {
  aws_use_fips_endpoint: { type: 'boolean', default: false, env: ['AWS_USE_FIPS_ENDPOINT'], text: "Uses the region's FIPS endpoint." },
  aws_use_dualstack_endpoint: { type: 'boolean', default: false, env: ['AWS_USE_DUALSTACK_ENDPOINT'], text: "Uses the region's endpoint for IPv4 and IPv6." },
  aws_allow_plain_http: { type: 'boolean', default: false, text: 'Allows an endpoint that begins with `http://` on another machine. Secrets then travel unencrypted.' },
  aws_max_attempts: { type: 'integer', default: 3, min: 1, max: 10, env: ['AWS_MAX_ATTEMPTS'], text: 'How often one request is sent at most, when AWS throttles or fails.' },
}
