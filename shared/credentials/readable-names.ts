// Which variables of the environment Latchkey opens to callers, for every provider that reads there: the credentials that it runs on are refused by
// name, whatever a configuration lists. Ciphertext is no exception: what AWS_SECRET_ACCESS_KEY decrypts to is as much a credential as the variable.
import { hostedName } from '../core/names.ts'

/** What opens the managers, the clouds and Latchkey itself. Compared in upper case: some systems do not tell cases apart. */
const neverNames: ReadonlySet<string> = new Set([
  'LITELLM_MASTER_KEY',
  'AZURE_TENANT_ID',
  'AZURE_USERNAME',
  'AZURE_PASSWORD',
  'AZURE_FEDERATED_TOKEN_FILE',
  'AZURE_AUTHORITY_HOST',
  'IDENTITY_ENDPOINT',
  'IDENTITY_HEADER',
  'MSI_ENDPOINT',
  'MSI_SECRET',
  'GOOGLE_APPLICATION_CREDENTIALS',
  'GOOGLE_APPLICATION_CREDENTIALS_JSON',
  'GCS_PATH_SERVICE_ACCOUNT',
  'VAULT_TOKEN',
  'VAULT_SECRET_ID',
  'CIRCLE_OIDC_TOKEN',
  'CIRCLE_OIDC_TOKEN_V2',
])
const neverBeginnings = ['LATCHKEY_', 'AWS_', 'AZURE_CLIENT_', 'AZURE_KEY_VAULT_', 'HCP_VAULT_', 'CYBERARK_', 'CONJUR_', 'INFISICAL_', 'CLOUDSDK_', 'ACTIONS_ID_TOKEN_REQUEST_', 'KSM_']

/**
 * Whether a name of the environment may never be read through Latchkey: its own settings and master key, and the credentials of clouds and managers.
 * `never` adds names, such as the one that the master key is configured from.
 */
export const isNeverReadable = (name: string, never: Iterable<string> = []): boolean => {
  const upper = name.toUpperCase()
  if (neverNames.has(upper) || neverBeginnings.some((beginning) => upper.startsWith(beginning))) return true
  for (const refused of never) if (refused.toUpperCase() === upper) return true
  return false
}

/** The names that a caller over HTTP may read: those in `.env`, those hosted and those that the configuration refers to, without what is never readable. */
export const readableNames = (sources: readonly Iterable<string>[], never: readonly string[] = []): ReadonlySet<string> =>
  new Set(sources.flatMap((names) => [...names]).filter((name) => !isNeverReadable(name, never)))

/** Whether somebody could ask for a variable of this name: the environment can hold names that no caller can write. */
export const isAskable = (text: string): boolean => {
  try {
    return hostedName(text).text === text
  } catch {
    return false
  }
}
