// The SDK's client of Secrets Manager, for everything that is no plain read.
import type { SecretsManager } from '@aws-sdk/client-secrets-manager'
import type { ProviderIo } from '../../core/runtime.ts'
import { awsRegion, type AwsIdentity } from '../aws.ts'
import { awsClient, withoutQuotaRetries } from './sdk-client.ts'
import { service, type AwsSecretsManagerSettings } from './secrets-manager.ts'

/** Opens it; makes no call. `url`: where the signed reads go as well; without one the SDK's own rules say where the service is. */
export const openSecretsManager = async (settings: AwsSecretsManagerSettings, url: string | undefined, identity: AwsIdentity, io: ProviderIo): Promise<SecretsManager> => {
  const config = { region: await awsRegion(settings), credentials: identity.credentials, ...(await awsClient(settings, { setting: 'aws_secretsmanager_endpoint', url }, service, io)) }
  const { SecretsManager: Client } = await import('@aws-sdk/client-secrets-manager')
  const api = new Client(config)
  await withoutQuotaRetries(api)
  return api
}
