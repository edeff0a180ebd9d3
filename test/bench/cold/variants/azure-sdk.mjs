// Microsoft's client with the managed identity of the host. The stub is no *.vault.azure.net, so the challenge's resource is not verified.
import { ManagedIdentityCredential } from '@azure/identity'
import { SecretClient } from '@azure/keyvault-secrets'

const client = new SecretClient(process.env.AZURE_KEY_VAULT_URI, new ManagedIdentityCredential(), { disableChallengeResourceVerification: true })

export const handler = async () => ({ statusCode: 200, body: (await client.getSecret('app-key-1')).value })
