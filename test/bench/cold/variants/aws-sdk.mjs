// The bare SDK, its credentials from the environment.
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'

const client = new SecretsManagerClient({})

export const handler = async () => ({ statusCode: 200, body: (await client.send(new GetSecretValueCommand({ SecretId: 'app-key-1' }))).SecretString })
