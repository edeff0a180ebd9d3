// LiteLLM's own settings, name by name, with LiteLLM's types and defaults. Provider settings (`aws_*` and the like) stand in this list because LiteLLM keeps
// them here, but they are handed on as written: the provider's own table reads them when its store is opened.
import type { AccessMode } from '../policy.ts'
import type { SettingsTable } from '../settings.ts'

export type { AccessMode } from '../policy.ts'

/** What `general_settings.key_management_settings` says about every system alike. */
export interface PolicySettings {
  /** `null`: every name is looked up in the manager; `[]`: none is. */
  readonly hosted_keys: readonly string[] | null
  readonly store_virtual_keys: boolean
  readonly prefix_for_stored_virtual_keys: string
  readonly access_mode: AccessMode
  readonly primary_secret_name: string | null
  readonly description: string | null
  readonly tags: Readonly<Record<string, string>> | null
}

/** What it says about one system only. */
export interface SystemSettings {
  readonly aws_region_name: string | null
  readonly aws_role_name: string | null
  readonly aws_session_name: string | null
  readonly aws_external_id: string | null
  readonly aws_profile_name: string | null
  readonly aws_web_identity_token: string | null
  readonly aws_sts_endpoint: string | null
  readonly replica_regions: readonly string[] | null
  readonly kms_key_id: string | null
  readonly custom_secret_manager: string | null
}

/** `general_settings.key_management_settings` by LiteLLM's names, defaults filled in; `null` is "not set". */
export interface KeyManagementSettings extends PolicySettings, SystemSettings {}

/** The values of `access_mode`. */
export const accessModes = ['read_only', 'write_only', 'read_and_write'] as const satisfies readonly AccessMode[]

/** The settings that Latchkey applies itself, for every system. */
export const policySettings: SettingsTable<PolicySettings> = {
  hosted_keys: { type: 'string_list', text: 'The only names that are looked up in the manager, exact and case-sensitive; all others come from the environment. Left out: every name is looked up.' },
  store_virtual_keys: { type: 'boolean', default: false, text: 'Keep virtual keys in the manager. Without it the writing /key routes are refused.' },
  prefix_for_stored_virtual_keys: { type: 'string', default: 'litellm/', notNull: true, text: 'Stands before the name of every stored virtual key, with exactly one slash between.' },
  access_mode: { type: 'string', default: 'read_only', values: accessModes, text: 'Whether secrets may be read from the manager, written to it, or both. It does not gate the storing of virtual keys.' },
  primary_secret_name: { type: 'string', text: 'One secret, a name or a full ARN, whose JSON value holds every hosted name as a key.' },
  description: { type: 'string', text: 'The description of every stored virtual key.' },
  tags: { type: 'string_map', text: 'The tags of every stored virtual key.' },
}

/** The settings that belong to one provider; here only their type is checked, and `appliesTo` tells whose they are. */
export const systemSettings: SettingsTable<SystemSettings> = {
  aws_region_name: { type: 'string', text: 'The AWS region.' },
  aws_role_name: { type: 'string', text: 'The ARN of the role to assume.' },
  aws_session_name: { type: 'string', text: 'The session name of the assumed role.' },
  aws_external_id: { type: 'string', text: 'The external id that the role asks for.' },
  aws_profile_name: { type: 'string', text: 'A profile of the AWS configuration files.' },
  aws_web_identity_token: { type: 'string', text: 'An OIDC token, a reference to one, or the path of a token file.' },
  aws_sts_endpoint: { type: 'string', text: 'The STS endpoint, for networks that reach only their own.' },
  replica_regions: { type: 'string_list', text: 'Regions to which a stored key is replicated.' },
  kms_key_id: { type: 'string', text: 'The KMS key that encrypts what is stored.' },
  custom_secret_manager: { type: 'string', text: 'The module of your own provider.' },
}

const ofAws = ['aws_secret_manager', 'aws_kms']

/** Which systems read a provider setting; elsewhere LiteLLM leaves it idle. */
export const appliesTo: Readonly<Record<keyof SystemSettings, readonly string[]>> = {
  aws_region_name: ofAws,
  aws_role_name: ofAws,
  aws_session_name: ofAws,
  aws_external_id: ofAws,
  aws_profile_name: ofAws,
  aws_web_identity_token: ofAws,
  aws_sts_endpoint: ofAws,
  replica_regions: ['aws_secret_manager'],
  kms_key_id: ['aws_secret_manager'],
  custom_secret_manager: ['custom'],
}

/** The keys of `general_settings` that choose the default store's system. */
export interface SystemChoice {
  readonly key_management_system?: string
  readonly use_azure_key_vault: boolean
  readonly use_google_kms: boolean
}

/** Their table; with the environment, because a reference in one of them is resolved at once. */
export const systemChoice: SettingsTable<SystemChoice> = {
  key_management_system: { type: 'string', text: 'The secret manager. Left out: the environment only.' },
  use_azure_key_vault: { type: 'boolean', default: false, text: 'The older form of `key_management_system: azure_key_vault`.' },
  use_google_kms: { type: 'boolean', default: false, text: 'The older form of `key_management_system: google_kms`.' },
}

/** The keys of `general_settings` that hold a value or a reference, which is never resolved while the file is read. */
export interface GatewaySettings {
  readonly master_key?: string
  readonly database_url?: string
  readonly litellm_license?: string
}

/** Their table. */
export const gatewaySettings: SettingsTable<GatewaySettings> = {
  master_key: { type: 'string', text: 'The token that may do everything, or a reference to it. Left out: the name LITELLM_MASTER_KEY is looked up.' },
  database_url: { type: 'string', text: "The gateway's database; only a reference in it is looked at." },
  litellm_license: { type: 'string', text: 'LiteLLM\'s licence; Latchkey needs none and reads it never.' },
}
