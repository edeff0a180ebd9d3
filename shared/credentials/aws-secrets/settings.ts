// The settings table of AWS Secrets Manager: apart from the provider, because a function whose build has read the settings does not need it.
import type { SettingsTable } from '../../core/settings.ts'
import { awsClientSettings, awsIdentitySettings } from '../aws-settings.ts'
import type { AwsSecretsManagerSettings } from '../aws/secrets-manager.ts'

/** Every setting of a store on AWS Secrets Manager. */
export const awsSecretsManagerSettings: SettingsTable<AwsSecretsManagerSettings> = {
  ...awsIdentitySettings,
  ...awsClientSettings,
  aws_secretsmanager_endpoint: { type: 'url', env: ['AWS_ENDPOINT_URL_SECRETS_MANAGER', 'AWS_ENDPOINT_URL'], text: "Another endpoint than the region's own, for example of a VPC endpoint or an emulator." },
  aws_read_with_sdk: { type: 'boolean', default: false, text: 'Reads through the AWS SDK as well, instead of by requests that Latchkey signs itself. A cold read then takes about twice as long.' },
  kms_key_id: { type: 'string', text: "Customer managed KMS key for secrets that Latchkey creates. Default: the account's `aws/secretsmanager` key." },
  replica_regions: { type: 'string_list', text: 'Regions that a new secret is replicated to; best effort.' },
  recovery_window_days: { type: 'integer', default: 7, min: 7, max: 30, text: 'How long a deleted secret can be recovered, in days.' },
}
