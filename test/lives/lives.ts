// One line for each service: where a key's life is led, and the client that looks on.
import { awsLife } from './aws-life.ts'
import { azureLife } from './azure-life.ts'
import { conjurLife } from './conjur-life.ts'
import { googleLife } from './google-life.ts'
import { infisicalLife } from './infisical-life.ts'
import { vaultLife } from './vault-life.ts'
import type { LifeScene } from './whole-life.ts'

/** By system. */
export const lives: Readonly<Record<string, () => Promise<LifeScene>>> = {
  aws_secret_manager: awsLife,
  azure_key_vault: azureLife,
  google_secret_manager: googleLife,
  hashicorp_vault: vaultLife,
  cyberark: conjurLife,
  infisical: infisicalLife,
}
