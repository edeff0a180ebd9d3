// Who Latchkey is on Azure, and where the vault is: the settings that say so, checked against each other before anything is sent.
// Exactly one credential is used, named or decided by what is set, never the SDK's chain of guesses; cloud, authority and token scope follow from the vault's own address.
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { wrongSetting as wrong } from '../../core/errors.ts'
import type { ProviderIo } from '../../core/runtime.ts'
import type { SecretValue } from '../../core/secret.ts'
import type { SettingsTable } from '../../core/settings.ts'
import { isLoopbackHost } from '../../core/settings/loopback.ts'

/** Settings of the vault's address and of the identity. LiteLLM's four come first. */
export interface AzureSettings {
  readonly azure_key_vault_uri: string
  readonly azure_tenant_id?: string
  readonly azure_client_id?: string
  readonly azure_client_secret?: SecretValue
  readonly azure_credential?: AzureKind
  readonly azure_client_certificate_path?: SecretValue
  readonly azure_client_certificate_password?: SecretValue
  readonly azure_client_send_certificate_chain: boolean
  readonly azure_federated_token_file?: string
  readonly azure_client_assertion?: string
  readonly azure_managed_identity_resource_id?: string
  readonly azure_authority_host?: string
  readonly azure_key_vault_suffix?: string
}

const kinds = ['client_secret', 'client_certificate', 'workload_identity', 'client_assertion', 'managed_identity'] as const
/** How Latchkey signs in. */
export type AzureKind = (typeof kinds)[number]

/** The rows of the settings table. */
export const azureSettings: SettingsTable<AzureSettings> = {
  azure_key_vault_uri: { type: 'url', required: true, env: ['AZURE_KEY_VAULT_URI'], text: 'Address of the vault, such as `https://my-vault.vault.azure.net`.' },
  azure_tenant_id: { type: 'string', env: ['AZURE_TENANT_ID'], text: 'Directory (tenant) id of the application.' },
  azure_client_id: { type: 'string', env: ['AZURE_CLIENT_ID'], text: 'Application (client) id; with a managed identity, which user-assigned one.' },
  azure_client_secret: { type: 'string', secret: true, env: ['AZURE_CLIENT_SECRET'], text: "The application's client secret." },
  azure_credential: { type: 'string', values: kinds, text: 'How Latchkey signs in. Default: what is set decides; where nothing is, the managed identity of the host.' },
  azure_client_certificate_path: { type: 'string', secret: true, env: ['AZURE_CLIENT_CERTIFICATE_PATH'], text: "The application's certificate with its key: path of a PEM file, or the PEM text." },
  azure_client_certificate_password: { type: 'string', secret: true, env: ['AZURE_CLIENT_CERTIFICATE_PASSWORD'], text: 'Password of that key.' },
  azure_client_send_certificate_chain: { type: 'boolean', default: false, env: ['AZURE_CLIENT_SEND_CERTIFICATE_CHAIN'], text: 'Sends the whole chain, for applications that trust a subject name and issuer.' },
  azure_federated_token_file: { type: 'string', env: ['AZURE_FEDERATED_TOKEN_FILE'], text: 'Workload identity federation: file with the token of the platform, read at every login.' },
  azure_client_assertion: { type: 'string', text: 'Federation from another cloud: where the identity token comes from, as `oidc/google/api://AzureADTokenExchange`, or `oidc/aws/api://AzureADTokenExchange` on Lambda.' },
  azure_managed_identity_resource_id: { type: 'string', text: 'Which user-assigned managed identity, by its resource id.' },
  azure_authority_host: { type: 'url', env: ['AZURE_AUTHORITY_HOST'], text: "Where to sign in. Default: the authority of the vault's cloud." },
  azure_key_vault_suffix: { type: 'string', text: 'DNS suffix of the vaults of a private cloud, such as `vault.cloud.example`. Needs `azure_authority_host`.' },
}

/** What one credential is made of. Certificates and tokens stay where they are until a login asks for them. */
export interface AzureCredential {
  readonly kind: AzureKind
  /** The setting that decides it, for messages. */
  readonly setting: string
  readonly tenantId: string
  readonly clientId: string
}

/** A vault and the way to a token for it. */
export interface AzureSite {
  /** Scheme, host and port. */
  readonly vault: string
  readonly credential: AzureCredential
  readonly authority: string
  /** Such as `https://vault.azure.net`. */
  readonly resource: string
  /** Whether the authority is one of Azure's own clouds. */
  readonly knownAuthority: boolean
}

const clouds = [
  { suffix: 'vault.azure.net', authorities: ['login.microsoftonline.com', 'login.windows.net'] },
  { suffix: 'vault.usgovcloudapi.net', authorities: ['login.microsoftonline.us'] },
  { suffix: 'vault.azure.cn', authorities: ['login.chinacloudapi.cn', 'login.partner.microsoftonline.cn'] },
] as const

/** A bare https address, or one of this machine; the parser's own form of it must be what was written. */
const originOf = (setting: string, text: string): URL => {
  const url = new URL(text)
  const bare = text.toLowerCase().replace(/\/+$/, '')
  if (url.origin !== bare.replace(/^(https):\/\/([^/]*):443$/, '$1://$2')) throw wrong(setting, 'must be scheme and host alone, such as https://my-vault.vault.azure.net: no user, path, query or fragment.')
  if (url.protocol !== 'https:' && !isLoopbackHost(url.hostname)) throw wrong(setting, 'must begin with https:// unless it is on this machine.')
  return url
}

/** The vault, and the cloud that it belongs to (T-20: one label before a suffix that is known, so that no look-alike ever sees a token). */
const placeOf = (settings: AzureSettings): Pick<AzureSite, 'vault' | 'authority' | 'resource' | 'knownAuthority'> => {
  const { azure_key_vault_uri: uri, azure_key_vault_suffix: own, azure_authority_host: given } = settings
  const vault = originOf('azure_key_vault_uri', uri)
  const authority = given === undefined ? undefined : originOf('azure_authority_host', given)
  const signsInto = clouds.find(({ authorities }) => authorities.some((host) => host === authority?.hostname))
  if (own !== undefined && !/^(?=.{3,200}$)[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(own)) throw wrong('azure_key_vault_suffix', 'must be a lower-case DNS suffix without a leading dot, such as vault.cloud.example.')
  const label = vault.hostname.slice(0, vault.hostname.indexOf('.'))
  const suffix = vault.hostname.slice(label.length + 1)
  const cloud = clouds.find((each) => each.suffix === suffix)
  const local = isLoopbackHost(vault.hostname)
  if (!local && (!/^[a-z0-9-]{1,127}$/.test(label) || vault.port !== '' || (cloud === undefined && suffix !== own))) {
    throw wrong('azure_key_vault_uri', `must be one name before ${clouds.map((each) => each.suffix).join(', ')}; for a private cloud set azure_key_vault_suffix.`)
  }
  if (cloud === undefined && !local && authority === undefined) throw wrong('azure_authority_host', 'is required beside azure_key_vault_suffix: a private cloud has its own.')
  if (cloud !== undefined && authority !== undefined && signsInto !== cloud) throw wrong('azure_authority_host', `and azure_key_vault_uri are of two clouds: vaults below ${cloud.suffix} belong to https://${cloud.authorities[0]}.`)
  const home = cloud ?? signsInto ?? (local && own === undefined ? clouds[0] : undefined)
  return {
    vault: vault.origin,
    authority: authority?.origin ?? `https://${(home ?? clouds[0]).authorities[0]}`,
    resource: `https://${home?.suffix ?? own ?? ''}`,
    knownAuthority: authority === undefined || signsInto !== undefined,
  }
}

const settingOf: Readonly<Record<AzureKind, keyof AzureSettings>> = {
  client_secret: 'azure_client_secret',
  client_certificate: 'azure_client_certificate_path',
  workload_identity: 'azure_federated_token_file',
  client_assertion: 'azure_client_assertion',
  managed_identity: 'azure_managed_identity_resource_id',
}

const credentialOf = (settings: AzureSettings): AzureCredential => {
  const { azure_credential: named, azure_tenant_id: tenantId = '', azure_client_id: clientId = '' } = settings
  const set = kinds.filter((kind) => settings[settingOf[kind]] !== undefined)
  if (named === undefined && set.length > 1) throw wrong(set.map((kind) => settingOf[kind]).join(' and '), `are both set, and only one may sign in; leave one out, or say which in azure_credential (${set.join(', ')}).`)
  const kind = named ?? set[0] ?? 'managed_identity'
  const setting = settingOf[kind]
  if (kind === 'managed_identity') {
    if (clientId !== '' && settings.azure_managed_identity_resource_id !== undefined) throw wrong('azure_client_id and azure_managed_identity_resource_id', 'both name a managed identity; leave one out.')
    return { kind, setting: clientId !== '' ? 'azure_client_id' : setting, tenantId, clientId }
  }
  const missing = [...(settings[setting] === undefined ? [setting] : []), ...(tenantId === '' ? ['azure_tenant_id'] : []), ...(clientId === '' ? ['azure_client_id'] : [])]
  if (missing.length > 0) throw wrong(missing.join(' and '), `must be set to sign in by ${kind}; in the environment: ${missing.map((key) => (key === 'azure_client_assertion' ? 'none' : key.toUpperCase())).join(', ')}.`)
  if (!/^[A-Za-z0-9.-]{1,253}$/.test(tenantId) || tenantId.startsWith('.')) throw wrong('azure_tenant_id', 'must be the id or domain of a directory.')
  if (!/^[A-Za-z0-9-]{1,64}$/.test(clientId)) throw wrong('azure_client_id', 'must be the id of an application.')
  return { kind, setting, tenantId, clientId }
}

/** The certificate and its key as PEM, read anew, so that one that was renewed on disk is used. @throws misconfigured */
export const clientCertificate = async (settings: AzureSettings, files: ProviderIo['files']): Promise<string> => {
  const setting = 'azure_client_certificate_path'
  const given = settings.azure_client_certificate_path?.reveal() ?? ''
  const bytes = given.includes('-----BEGIN') ? Buffer.from(given) : await files.read(given)
  if (bytes === undefined) throw wrong(setting, 'names a file that does not exist.')
  const pem = Buffer.from(bytes).toString('utf8')
  const password = settings.azure_client_certificate_password?.reveal()
  const [certificate] = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(pem) ?? []
  if (certificate === undefined) throw wrong(setting, 'holds no PEM certificate. A PFX file must be converted to PEM first.')
  const fits = ((): boolean => {
    try {
      return new X509Certificate(certificate).checkPrivateKey(createPrivateKey({ key: pem, format: 'pem', ...(password !== undefined && { passphrase: password }) }))
    } catch {
      throw wrong(setting, 'holds no private key that can be used; an encrypted one needs azure_client_certificate_password.')
    }
  })()
  if (!fits) throw wrong(setting, 'holds a private key that does not belong to its first certificate.')
  return pem
}

/** Where the vault is and who asks, decided without the network. @throws misconfigured naming the settings that do not fit and the fix */
export const azureSite = async (settings: AzureSettings, io: Pick<ProviderIo, 'files'>): Promise<AzureSite> => {
  const place = placeOf(settings)
  const credential = credentialOf(settings)
  if (credential.kind === 'client_certificate') await clientCertificate(settings, io.files)
  return { ...place, credential }
}
