// Every system that a file may name, and the facts about it that decide where a name is looked for.

interface SystemFacts {
  /** LiteLLM itself takes it as `key_management_system`. */
  readonly inLiteLLM?: true
  /** The service takes neither case nor `_` against `-` as a difference between two names. */
  readonly foldsNames?: true
  /** Variables that open the system, which is never asked for them. LiteLLM's own list, and the session token that belongs to it. */
  readonly openedBy?: RegExp
}

/** Every system that a file may name, built or not. */
export const systems: Readonly<Record<string, SystemFacts>> = {
  aws_secret_manager: { inLiteLLM: true, openedBy: /^AWS_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|REGION(?:_NAME)?)$/ },
  aws_kms: { inLiteLLM: true },
  azure_key_vault: { inLiteLLM: true, foldsNames: true },
  google_secret_manager: { inLiteLLM: true },
  google_kms: { inLiteLLM: true },
  hashicorp_vault: { inLiteLLM: true },
  cyberark: { inLiteLLM: true },
  custom: { inLiteLLM: true },
  local: {},
  infisical: {},
  embedded: {},
  environment: {},
  memory: {},
}
