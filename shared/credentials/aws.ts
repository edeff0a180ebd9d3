// Who Latchkey is on AWS: the settings that say so, and the one place that turns them into credentials, for every provider that stands on AWS.
// Keys of one source are used together or not at all: a file's access key never meets the environment's session token. Keys that are simply there
// (Lambda's own among them) cost nothing; everything that needs a login is in aws/, which loads only then.
import type { Finding } from '../core/provider.ts'
import type { Call, ProviderIo } from '../core/runtime.ts'
import type { SecretValue } from '../core/secret.ts'
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

/** The region. @throws misconfigured when there is none, or when it is not the name of one */
export const awsRegion = async ({ aws_region_name: region }: AwsIdentitySettings): Promise<string> => {
  if (region !== undefined && /^[a-z0-9-]{1,63}$/.test(region)) return region
  throw (await import('./aws/plan.ts')).noRegion(region)
}

/** What makes an identity more than a set of keys. */
const needsLogin = ['aws_role_name', 'aws_session_name', 'aws_external_id', 'aws_profile_name', 'aws_web_identity_token', 'aws_source_identity', 'aws_session_tags', 'aws_session_duration_seconds'] as const

/**
 * The identity of these settings: web identity, profile or static keys as given, else the keys of the environment, else the SDK's default chain; on top of it the role, where one is named.
 * Makes no call. @throws misconfigured when the settings do not fit together
 */
export const awsIdentity = async (settings: AwsIdentitySettings & AwsClientSettings, io: ProviderIo): Promise<AwsIdentity> => {
  await awsRegion(settings)
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
