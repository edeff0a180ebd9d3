// LiteLLM's own settings, name by name, with LiteLLM's types and defaults.

export type AccessMode = 'read_only' | 'write_only' | 'read_and_write'

/** `general_settings.key_management_settings` by LiteLLM's names, defaults filled in; `null` is "not set". */
export interface KeyManagementSettings {
  /** `null`: every name is looked up in the manager; `[]`: none is. */
  readonly hosted_keys: readonly string[] | null
  readonly store_virtual_keys: boolean
  readonly prefix_for_stored_virtual_keys: string
  readonly access_mode: AccessMode
  readonly primary_secret_name: string | null
  readonly description: string | null
  readonly tags: Readonly<Record<string, string>> | null
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
