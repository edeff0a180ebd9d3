// The settings table of Azure Key Vault: apart from the provider, because a function whose build has read the settings does not need it.
import type { SettingsTable } from '../../core/settings.ts'
import { azureKinds, type AzureSettings } from './identity.ts'

/** Every setting of a store on Azure Key Vault. */
export const azureSettings: SettingsTable<AzureSettings> = {
  azure_key_vault_uri: { type: 'url', required: true, env: ['AZURE_KEY_VAULT_URI'], text: 'Address of the vault, such as `https://my-vault.vault.azure.net`.' },
  azure_tenant_id: { type: 'string', env: ['AZURE_TENANT_ID'], text: 'Directory (tenant) id of the application.' },
  azure_client_id: { type: 'string', env: ['AZURE_CLIENT_ID'], text: 'Application (client) id; with a managed identity, which user-assigned one.' },
  azure_client_secret: { type: 'string', secret: true, env: ['AZURE_CLIENT_SECRET'], text: "The application's client secret." },
  azure_credential: { type: 'string', values: azureKinds, text: 'How Latchkey signs in. Default: what is set decides; where nothing is, the managed identity of the host.' },
  azure_client_certificate_path: { type: 'string', secret: true, env: ['AZURE_CLIENT_CERTIFICATE_PATH'], text: "The application's certificate with its key: path of a PEM file, or the PEM text." },
  azure_client_certificate_password: { type: 'string', secret: true, env: ['AZURE_CLIENT_CERTIFICATE_PASSWORD'], text: 'Password of that key.' },
  azure_client_send_certificate_chain: { type: 'boolean', default: false, env: ['AZURE_CLIENT_SEND_CERTIFICATE_CHAIN'], text: 'Sends the whole chain, for applications that trust a subject name and issuer.' },
  azure_federated_token_file: { type: 'string', env: ['AZURE_FEDERATED_TOKEN_FILE'], text: 'Workload identity federation: file with the token of the platform, read at every login.' },
  azure_client_assertion: { type: 'string', text: 'Federation from another cloud: where the identity token comes from, as `oidc/google/api://AzureADTokenExchange`, or `oidc/aws/api://AzureADTokenExchange` on Lambda.' },
  azure_managed_identity_resource_id: { type: 'string', text: 'Which user-assigned managed identity, by its resource id.' },
  azure_authority_host: { type: 'url', env: ['AZURE_AUTHORITY_HOST'], text: "Where to sign in. Default: the authority of the vault's cloud." },
  azure_key_vault_suffix: { type: 'string', text: 'DNS suffix of the vaults of a private cloud, such as `vault.cloud.example`. Needs `azure_authority_host`.' },
}
